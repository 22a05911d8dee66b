# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the host: everything that a plan depends on. Changes nothing."""

from __future__ import annotations

import glob
import os
import time
import typing as t

from .. import _places as places
from .._backends import backends
from .._texts.code_step import CodeStep
from .._wanted.settings import Settings
from . import accounts, cockpit, credentials, sshd, system
from .clock import sync_status
from .command import Run
from .files import read_file
from .state import OWN_DIRECTORIES, OWN_FILES, FileState, HostState


def look(settings: Settings, run: Run) -> HostState:
    """See what a plan for these settings depends on."""
    files = _files()
    session = sshd.connection()
    people = accounts.people(settings)
    groups = accounts.groups_of(people.values())
    sshd_texts = {path: file.content for path, file in files.items() if path.startswith(places.SSHD_CONFIG)}
    stranger = sshd.stranger(settings)
    seen = sshd.views(run, groups, sshd_texts, stranger, session)
    kept = {name: credentials.credentials(one) for name, one in backends.BACKENDS.items()}
    switch = files.get(places.SWITCH)
    backend = backends.in_use(
        CodeStep.parse(switch.content if switch else None), [name for name in kept if kept[name]], settings.backend
    )
    release, family = system.os_release(settings.backend)
    return HostState(
        hostname=os.uname().nodename,
        files=files,
        accounts=accounts.accounts(people, groups, seen.of),
        credentials=kept[backend],
        backend=backend,
        others={name: files for name, files in kept.items() if name != backend and files},
        groups=frozenset(filter(accounts.group_exists, settings.scope_groups)),
        time_sync=sync_status(run, settings.time_sync.max_error_seconds) if settings.enabled else None,
        stranger=stranger,
        sshd_error=seen.error,
        connection=session,
        connection_sshd=seen.connection,
        sudo_asks_connection=(
            session is not None and "sudo" in settings.services and accounts.sudo_asks(run, session.user)
        ),
        code_modules=credentials.code_modules(),
        keytabs=cockpit.keytabs() if "cockpit" in settings.services else {},
        release=release,
        os_family=family,
        selinux_types=system.selinux_types(),
        has_qrencode=os.path.exists(places.QRENCODE),
        has_systemd=os.path.isdir(places.SYSTEMD),
        pending=os.path.exists(places.JOURNAL),
        stale_locks=credentials.stale_locks(),
        tallies=credentials.tallies(),
        now=time.time(),
    )


def _files() -> dict[str, FileState]:
    """The files that a change may concern, of those that there are."""
    paths = {*OWN_FILES, *OWN_DIRECTORIES, places.SSHD_CONFIG, places.COCKPIT_CONFIG, places.COCKPIT_DISALLOWED}
    paths.update([*places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG, *places.SELF_SERVICE_LISTENING])
    for directory in (places.PAM_D, places.DROP_IN_DIRECTORY):
        paths.update(glob.glob(f"{directory}/*"))
    for directory in places.SELF_SERVICE_DIRECTORIES:
        paths.update(_tree(directory))
    found = {path: read_file(path) for path in paths}
    return {path: file for path, file in found.items() if file is not None}


def _tree(directory: str) -> t.Iterator[str]:
    """A directory and what is in it, but for what a change has laid ready there."""
    yield directory
    for path in glob.glob(f"{directory}/*"):
        yield from _tree(path)
