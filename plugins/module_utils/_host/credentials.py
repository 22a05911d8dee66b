# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the files of the backends: credentials, files that logins have left beside them, and tallies."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import glob
import os
import time
import typing as t

from .. import _places as places
from .._backends import backends
from .files import read_file
from .state import FileState

if t.TYPE_CHECKING:
    from .._backends.backend import Backend


def credentials(backend: Backend) -> dict[str, FileState]:
    """The credential files of a backend, by account."""
    try:
        names = os.listdir(backend.DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    others = (".*", *backend.LEFT_BEHIND)
    names = [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in others)]
    found = {name: read_file(f"{backend.DIRECTORY}/{name}") for name in names}
    return {name: file for name, file in found.items() if file is not None}


def stale_locks() -> tuple[str, ...]:
    """The files that interrupted logins have left behind. As long as one exists, all codes of its user are denied."""
    found = [path for pattern in backends.LEFT_BEHIND for path in glob.glob(pattern)]
    return tuple(sorted(filter(_is_stale, found)))


def _is_stale(path: str) -> bool:
    """Whether an interrupted login left this file: it is old, and no process holds pam_oath's lock on it."""
    try:
        with open(path, "rb+") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < places.STALE_LOCK_SECONDS:
                return False
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def tallies() -> dict[str, bytes]:
    """The tallies of wrong codes, by account."""
    try:
        names = os.listdir(places.TALLY_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    tallies = {}
    for name in names:
        with contextlib.suppress(OSError), open(os.path.join(places.TALLY_DIRECTORY, name), "rb") as file:
            tallies[name] = file.read()
    return tallies


def module_directories() -> tuple[str, ...]:
    """The directories of PAM modules that the host has, as real paths."""
    found = (os.path.realpath(path) for place in places.PAM_MODULE_DIRECTORIES for path in glob.glob(place))
    return tuple(sorted(set(found)))


def pam_modules(directories: t.Iterable[str]) -> frozenset[str] | None:
    """The file names of the PAM modules in these directories; None if there are no directories."""
    found = [glob.glob(f"{one}/pam_*.so") for one in directories]
    return frozenset(os.path.basename(path) for paths in found for path in paths) if found else None


def code_modules() -> dict[str, bytes]:
    """The contents of the backends' PAM modules that are installed, by backend."""
    found = {}
    for name, backend in backends.BACKENDS.items():
        for path in [
            path for place in places.PAM_MODULE_DIRECTORIES for path in glob.glob(f"{place}/{backend.MODULE}")
        ][:1]:
            with open(path, "rb") as file:
                found[name] = file.read()
    return found
