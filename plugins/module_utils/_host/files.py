# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at a file, and at the files that it includes."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import stat
import time
import typing as t

from .. import _places as places
from .state import FileState

_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_KINDS = {stat.S_IFDIR: "directory", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}


def read_file(path: str) -> FileState | None:
    """The file at a path; None if there is nothing, or a symbolic link whose target does not exist."""
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise
    content = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = file.read().decode("utf-8", "surrogateescape")
    return FileState(
        content=content,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        link=os.path.realpath(path) if os.path.islink(path) else None,
        names=_names(path, status) if stat.S_ISREG(status.st_mode) else 1,
        kind="" if stat.S_ISREG(status.st_mode) else _KINDS.get(stat.S_IFMT(status.st_mode), "device"),
    )


def changed_since(moment: float, path: str) -> bool:
    """Whether the content of a file has changed since then, or it has come there; `moment` in seconds since the epoch.

    A file that has come from elsewhere has kept the time of its content. Its own time of change is then newer, but that
    alone may be a change of its mode or its attributes; its directory has changed as well. A time that is still to come
    says nothing, because the clock was wrong.
    """
    try:
        file, directory = os.stat(path), os.stat(os.path.dirname(os.path.realpath(path)))
    except OSError:
        return False
    now = time.time()
    return any(moment < one <= now for one in (file.st_mtime, min(file.st_ctime, directory.st_mtime)))


def included(
    files: t.Mapping[str, FileState], paths_in: t.Callable[[str, str], t.Iterable[str]]
) -> dict[str, FileState]:
    """The files that these files include, directly or indirectly.

    :param paths_in: returns the paths that a file includes, given its own path and its text.
    """
    found: dict[str, FileState] = {}
    fresh = files
    while fresh:
        paths = {one for path, file in fresh.items() for one in paths_in(path, file.content)} - found.keys()
        read = ((path, read_file(path)) for path in sorted(paths))
        fresh = {path: file for path, file in read if file is not None}
        found.update(fresh)
    return found


def with_included(path: str, paths_in: t.Callable[[str, str], t.Iterable[str]]) -> dict[str, FileState]:
    """A file, if it exists, and all files that it includes; see `included`."""
    file = read_file(path)
    files = {path: file} if file else {}
    return {**files, **included(files, paths_in)}


def _names(path: str, status: os.stat_result) -> int:
    """How many names a file has, without the hard links with which a change under way keeps it."""
    if status.st_nlink == 1:
        return 1
    kept = glob.glob(f"{glob.escape(os.path.dirname(path))}/{places.STAGED}")
    return status.st_nlink - sum(os.path.samestat(os.lstat(one), status) for one in kept)


def inside(directory: str) -> tuple[str, ...]:
    """The names in a directory, without those that a change under way has staged there; empty if it does not exist."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name for name in names if not fnmatch.fnmatchcase(name, places.STAGED)))
