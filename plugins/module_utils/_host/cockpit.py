# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at how Cockpit is started, and at the keys with which it could let people in who have a Kerberos ticket.

systemd.exec(5), krb5.conf(5), keytab(5).
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import typing as t

from .. import _places as places
from .._texts import keytab
from . import systemd
from .command import Run
from .files import changed_since, read_file, with_included
from .processes import Process
from .state import CockpitStart

_DEFAULT = re.compile(r"^\s*default_keytab_name\s*=\s*\"?(?:(?:WR)?FILE:)?(/[^\s\"]+)", re.MULTILINE)
_INCLUDED = re.compile(r"^include(dir)?[ \t]+(\S+)", re.MULTILINE)
_INCLUDED_NAMES = re.compile(r"[A-Za-z0-9_-]+|[^.].*\.conf")
"""The names of the files that Kerberos reads in a directory that it includes."""
_WEB_SERVER = "cockpit-ws"
_PROGRAMS = (_WEB_SERVER, "cockpit-tls")
"""The programs that read its configuration when they start."""
_SERVICES = (
    *(places.COCKPIT_UNIT, "cockpit-wsinstance-http.service"),
    *(f"{name}@{systemd.INSTANCE}.service" for name in ("cockpit-wsinstance-https", "cockpit-session")),
)
"""The services that serve its pages, and the service that authenticates people."""
_CONFIG_DIRECTORIES = "XDG_CONFIG_DIRS"


def starts(run: Run, processes: t.Iterable[Process]) -> tuple[CockpitStart, ...]:
    """How Cockpit's own units start it, and how other units do that run it now.

    Any account can give a process that name, for example in a job of cron. It does not count then, unless its unit
    starts all its programs as that account.
    """
    owners: dict[str, set[str]] = {}
    for one in processes:
        if one.program == _WEB_SERVER and one.unit and not one.is_in_container:
            owners.setdefault(one.unit, set()).add(one.owner)
    others = {name for name in owners if name not in _SERVICES and not name.startswith("user@")}
    return tuple(
        CockpitStart(
            unit.place_of([_CONFIG_DIRECTORIES]) or unit.place_of([unit.program]) or unit.name,
            unit.program,
            unit.words,
            unit.value(_CONFIG_DIRECTORIES),
            unit.name if unit.is_outdated else "",
            unit.name if unit.hides((places.PAM_D, places.COCKPIT_DIRECTORY)) else "",
        )
        for unit in systemd.services(run, [*_SERVICES, *sorted(others)], [_CONFIG_DIRECTORIES])
        if unit.name not in others or owners[unit.name] & {"", unit.owner}
    )


def is_unread(processes: t.Iterable[Process]) -> bool:
    """Whether units that a restart of Cockpit restarts run programs from before its configuration changed, or went."""
    path = places.COCKPIT_CONFIG if os.path.exists(places.COCKPIT_CONFIG) else places.COCKPIT_DIRECTORY
    running = (one for one in processes if one.program in _PROGRAMS and not one.is_in_container)
    units = (places.COCKPIT_UNIT, places.COCKPIT_UNITS)
    return any(
        changed_since(one.started, path)
        for one in running
        if any(fnmatch.fnmatchcase(one.unit, pattern) for pattern in units)
    )


def keytabs() -> dict[str, tuple[str, ...]]:
    """The principals with a key in each keytab that Cockpit reads, by path, without keytabs that hold no key.

    A keytab that cannot be parsed may hold any key. In place of a principal it has a text that says why.
    """
    configs = with_included(places.KRB5_CONFIG, _included_paths).values()
    named = [path for file in configs for path in _DEFAULT.findall(file.content)]
    found = {path: _principals(path) for path in dict.fromkeys([*places.KEYTABS, *named])}
    return {path: names for path, names in found.items() if names}


def _included_paths(_path: str, text: str) -> t.Iterator[str]:
    """The files that a Kerberos configuration includes."""
    for is_directory, path in _INCLUDED.findall(text):
        if is_directory:
            paths = glob.glob(f"{glob.escape(path)}/*")
            yield from (one for one in paths if _INCLUDED_NAMES.fullmatch(one.rpartition("/")[2]))
        else:
            yield path


def _principals(path: str) -> tuple[str, ...]:
    """The principals with a key in a keytab."""
    file = read_file(path)
    if file is None or not file.content:
        return ()
    try:
        return keytab.principals(file.content.encode("utf-8", "surrogateescape"))
    except keytab.KeytabError as error:
        return (f"unknown, since {error}",)
