# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the host: everything that a plan depends on. Changes nothing."""

from __future__ import annotations

import glob
import itertools
import os
import pwd
import time
import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._texts import pam, pam_conf, sshd_config
from .._texts.code_step import CodeStep
from .._texts.patterns import loose_glob, matching_paths
from .._texts.sshd_config import Effective, Origin
from .._texts.sshd_start import Start
from .._wanted.settings import Settings
from . import accounts, become, cockpit, credentials, doors, nss, sshd, sshd_starts, system
from .clock import sync_status
from .command import Run
from .files import included, inside, read_file
from .holds import holds
from .processes import processes
from .session import connection
from .state import OWN_DIRECTORIES, OWN_FILES, CockpitStart, Connection, FileState, HostState, Login, Sshd
from .systemd import SystemdError


def look(settings: Settings, run: Run) -> HostState:
    """Look at everything that a plan for these settings depends on."""
    running = processes()
    units, systemd_error = sshd_starts.Units(), ""
    cockpit_starts: tuple[CockpitStart, ...] = ()
    try:
        units = sshd_starts.units(run)
        cockpit_starts = cockpit.starts(run, running) if "cockpit" in settings.services else ()
    except SystemdError as error:
        systemd_error = str(error)
    listening = sshd_starts.listeners(running, units)
    further, accepted = (settings.sshd_configs, settings.accepted_doors) if settings.ssh else ((), None)
    start, *other_starts = sshd_starts.starts(units.own, listening, further, accepted)
    own_configs = [one.start.config for one in listening if not one.is_separate]
    configs = [start.config, *(one.config for one in other_starts), *own_configs]
    files = _files(configs, units.variables)
    elsewhere = included_by_sshd(files, configs)
    files.update(elsewhere)
    services_included = _included_by_services(files)
    files.update(services_included)
    session = connection()
    module_directories = credentials.module_directories()
    kept = {name: credentials.credentials(one) for name, one in backends.BACKENDS.items()}
    people, groups = _people(settings, [*itertools.chain(*kept.values()), *([session.user] if session else [])])
    address = sshd.sample_address(settings)

    def seen_by_sshd(start: Start, session: Connection | None = None) -> sshd.Views:
        texts = _sshd_texts(files, start, elsewhere)
        return sshd.views(run, groups, texts, address, session, start.words, settings.exempts)

    seen = seen_by_sshd(start, session)
    others = [(one, seen_by_sshd(one)) for one in other_starts]
    switch = files.get(places.SWITCH)
    backend = backends.in_use(
        CodeStep.parse(switch.content if switch else None), [name for name in kept if kept[name]], settings.backend
    )
    release, family = system.os_release(settings.backend)
    asks_polkit = settings.enabled and "polkit-1" in settings.services
    return HostState(
        hostname=os.uname().nodename,
        files=files,
        accounts=accounts.accounts(people, groups, seen.settings, seen.elsewhere.values()),
        credentials=kept[backend],
        backend=backend,
        other_credentials={name: files for name, files in kept.items() if name != backend and files},
        groups=frozenset(filter(nss.group_exists, {*settings.scope_groups, *settings.security_keys_only_groups})),
        groups_known_as=nss.known_as(
            {*settings.scope_groups, *settings.security_keys_only_groups, *settings.exempt_groups}
        ),
        time_sync=sync_status(run, settings.time_sync.max_error_seconds) if settings.enabled else None,
        sample_address=address,
        sshd_error=seen.error,
        sshd_elsewhere=seen.elsewhere,
        sshd_included=tuple(elsewhere),
        services_included=tuple(services_included),
        sshd_variables=units.variables,
        unread_by_sshd=sshd_starts.unread(listening, _sshd_texts(files, start, elsewhere), seen.pid_file, units.own),
        stopped_units=units.stopped,
        outdated_units=units.outdated if settings.enabled else (),
        sshd_start=start,
        listeners=listening,
        daemons=doors.daemons(running, units.sockets, units.commands) if settings.enabled else {},
        other_sshds=tuple(Sshd(one, found.settings, found.error, found.elsewhere) for one, found in others),
        connection=session,
        connection_sshd=seen.connection,
        become_asks=become.asking(run, session, _new_services(settings, files)) if session else frozenset(),
        sudo_rules=become.sudo_rules() if {"sudo", "sudo-i"}.intersection(settings.services) else {},
        code_modules=credentials.code_modules(),
        module_directories=module_directories,
        pam_modules=credentials.pam_modules(module_directories),
        keytabs=cockpit.keytabs() if "cockpit" in settings.services else {},
        cockpit_starts=cockpit_starts,
        systemd_error=systemd_error,
        unread_by_cockpit=settings.enabled and "cockpit" in settings.services and cockpit.is_unread(running),
        container=(read_file(places.CONTAINER) or FileState("", 0)).content.strip(),
        release=release,
        os_family=family,
        read_only_to_polkit=system.read_only_to_polkit(run, settings.backend) if asks_polkit else (),
        selinux_types=system.selinux_types(),
        has_qrencode=os.path.exists(places.QRENCODE),
        has_systemd=os.path.isdir(places.SYSTEMD),
        pending=os.path.exists(places.JOURNAL),
        missing=frozenset(path for path in places.SHARED_DIRECTORIES if not os.path.isdir(path)),
        fixed_directories=frozenset(filter(_is_fixed, backends.DIRECTORIES)),
        inside={path: inside(path) for path in (*backends.DIRECTORIES, *places.SHARED_DIRECTORIES)},
        authorized_keys=_authorized_keys(settings, people, seen.settings),
        holds=holds(backends.credential_path(backend, name) for name in kept[backend]) if settings.enabled else (),
        stale_locks=credentials.stale_locks(),
        tallies=credentials.tallies(),
        now=time.time(),
    )


def _people(
    settings: Settings, known: t.Iterable[str]
) -> tuple[dict[str, pwd.struct_passwd], dict[str, tuple[str, ...]]]:
    """The accounts that the host lists, that the settings name or that `known` has; and the groups of each."""
    listed = nss.listed()
    # A directory may list nobody, and yet know the accounts that are named.
    named = {*(user.name for user in settings.users), *settings.exempt_users, *known}
    unlisted = nss.by_own_name({*named, *nss.members(settings.scope_groups)} - listed.keys())
    nsswitch = read_file(places.NSSWITCH)
    groups = {
        **nss.groups_of(listed.values(), nsswitch.content if nsswitch else ""),
        **nss.groups_of_each(unlisted.values()),
    }
    return {**listed, **unlisted}, groups


def _authorized_keys(
    settings: Settings, people: t.Mapping[str, pwd.struct_passwd], sshd_of: t.Mapping[str, Effective]
) -> dict[str, frozenset[str]]:
    """The security keys with which each account with declared keys can log in, if sshd reads keys from files alone."""
    names = [name for name in settings.declared_keys if name in people]
    found = ((name, accounts.security_keys(people[name], sshd_of[name], sshd_of)) for name in names)
    return {name: keys for name, keys in found if keys is not None}


def _sshd_texts(files: t.Mapping[str, FileState], start: Start, elsewhere: t.Collection[str]) -> dict[str, str]:
    """The texts of the files that an sshd started this way reads, by path."""
    inside = f"{places.DROP_IN_DIRECTORY}/"
    return {
        path: file.content
        for path, file in files.items()
        if path == start.config or path.startswith(inside) or path in elsewhere
    }


def included_by_sshd(files: t.Mapping[str, FileState], configs: t.Iterable[str]) -> dict[str, FileState]:
    """The files that these configurations of sshd, or their drop-ins, include from elsewhere."""

    def elsewhere(path: str, text: str) -> t.Iterator[str]:
        patterns = sshd_config.included(path, text)
        found = itertools.chain.from_iterable(matching_paths(one, glob.glob(loose_glob(one))) for one in patterns)
        return (one for one in found if one not in files)

    drop_ins = {path: file for path, file in files.items() if path.startswith(f"{places.DROP_IN_DIRECTORY}/")}
    return included({**drop_ins, **{path: files[path] for path in configs if path in files}}, elsewhere)


def _included_by_services(files: t.Mapping[str, FileState]) -> dict[str, FileState]:
    """The files that PAM services include by an absolute path, without those that are in their own directory."""
    directory = os.path.realpath(places.PAM_D)

    def elsewhere(_path: str, text: str) -> t.Iterator[str]:
        found = filter(os.path.isfile, pam_conf.included_elsewhere(text))
        return (one for one in found if os.path.dirname(os.path.realpath(one)) != directory)

    services = (f"{places.PAM_D}/", f"{places.VENDOR_PAM_D}/")
    return included({path: file for path, file in files.items() if path.startswith(services)}, elsewhere)


def _new_services(settings: Settings, files: t.Mapping[str, FileState]) -> t.Iterator[str]:
    """The services that should ask for codes and do not have our block yet."""
    for service in settings.services:
        file = files.get(f"{places.PAM_D}/{service}")
        if not (file and pam.is_protected(file.content)):
            yield service


def look_back(settings: Settings, run: Run, state: HostState) -> HostState:
    """Add recent logins to the state, and the accounts of those logins that the host does not list."""
    # Imported only if somebody may be asked for a code for the first time.
    from . import logins

    seen = logins.seen(run, settings.seen_days, state.now)
    entries = nss.by_typed_name({one.name for one in seen.logins})
    found: dict[tuple[str, str], tuple[Login, ...]] = {}
    for one in seen.logins:
        if one.name in entries:
            name = entries[one.name].pw_name
            found[name, one.service] = (*found.get((name, one.service), ()), one._replace(name=name))
    unlisted = {one.pw_name: one for one in entries.values() if one.pw_name not in state.accounts}
    groups = nss.groups_of_each(unlisted.values())

    def seen_by_sshd(start: Start) -> sshd.Views:
        texts = state.sshd_files(start).texts
        return sshd.views(run, groups, texts, state.sample_address, None, start.words, settings.exempts)

    views = seen_by_sshd(state.sshd_start)
    return replace(
        state,
        accounts={**state.accounts, **accounts.accounts(unlisted, groups, views.settings, views.elsewhere.values())},
        sshd_elsewhere=_joined(state.sshd_elsewhere, views),
        other_sshds=tuple(_with_more(one, seen_by_sshd(one.start)) for one in state.other_sshds),
        logins=found,
        logins_unread=seen.unread,
    )


def _with_more(known: Sshd, more: sshd.Views) -> Sshd:
    """An sshd with what is known, and the settings of further accounts."""
    return known._replace(settings={**known.settings, **more.settings}, elsewhere=_joined(known.elsewhere, more))


def _joined(
    known: t.Mapping[Origin, t.Mapping[str, Effective]], more: sshd.Views
) -> dict[Origin, t.Mapping[str, Effective]]:
    """The known settings by origin, with those of further accounts."""
    return {origin: {**settings, **more.elsewhere.get(origin, more.settings)} for origin, settings in known.items()}


def _files(sshd_configs: t.Iterable[str], variables: t.Iterable[str]) -> dict[str, FileState]:
    """The existing files that a change may concern."""
    paths = {*OWN_FILES, *OWN_DIRECTORIES, places.SSHD_CONFIG, places.COCKPIT_CONFIG, places.COCKPIT_DISALLOWED}
    paths.update(sshd_configs)
    paths.update(
        [*places.FOR_GUARD, places.GUARD_CONFIG, places.GUARD_LINK, places.GUARD_DIRECTORY, places.GUARD_ALERTS]
    )
    paths.update([*places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG, *places.SELF_SERVICE_LISTENING])
    paths.add(places.INVITATIONS)
    for directory in (places.PAM_D, places.VENDOR_PAM_D, places.DROP_IN_DIRECTORY):
        paths.update(glob.glob(f"{directory}/*"))
    for pattern in (*places.SSHD_STARTS, *variables):
        paths.update(glob.glob(pattern))
    for directory in (*places.SELF_SERVICE_DIRECTORIES, places.KEYS_DIRECTORY, places.KEYS_ONLY_DIRECTORY):
        paths.update(_tree(directory))
    found = {path: read_file(path) or _dangling_link(path) for path in paths}
    return {path: file for path, file in found.items() if file is not None}


def _dangling_link(path: str) -> FileState | None:
    """The symbolic link at this path if its target does not exist, or None."""
    return FileState("", 0, link=os.path.realpath(path), kind="link to nowhere") if os.path.islink(path) else None


def _is_fixed(path: str) -> bool:
    """Whether a directory cannot be renamed, because it is mounted there, or is only reached by a link."""
    return os.path.ismount(path) or os.path.islink(path)


def _tree(directory: str) -> t.Iterator[str]:
    """A directory and everything in it except hidden files, such as staged ones."""
    yield directory
    for path in glob.glob(f"{directory}/*"):
        yield from _tree(path)
