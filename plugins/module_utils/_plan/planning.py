# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings and a host's state in, an ordered list of changes or refusals out. Pure.

The order is the safety: after each change, logins follow the old policy or the new one. sshd sends accounts to PAM
before PAM asks them for a code, and stops to send them only after PAM has stopped to ask. What asks is one file, the
switch, which a rename puts in place for all services at once.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._host.state import OWN_DIRECTORIES, OWN_FILES, FileState, HostState
from .._texts import pam, self_service, sshd_config
from .._wanted.settings import Settings
from . import credentials, lockouts, refusals
from .changes import Change, Enrol, Expectation, MakeDirectory, Plan, ReloadSshd, Remove, Socket, Write

_SELF_SERVICE_TREES = tuple(f"{directory}/" for directory in places.SELF_SERVICE_DIRECTORIES)


def plan(settings: Settings, state: HostState, stranger: str) -> Plan:
    """Decide what brings the host to the wanted state. `stranger` is an address that is not exempt."""
    return (_Enable(settings, state, stranger) if settings.enabled else _Disable(settings, state)).plan()


class _Changes:
    """Collects changes on top of what the host has, so that what is right already is no change."""

    def __init__(self, state: HostState) -> None:
        self.state = state
        self.files = dict(state.files)
        self.credentials = {
            backend.DIRECTORY: set(state.credentials if name == state.backend else state.others.get(name, ()))
            for name, backend in backends.BACKENDS.items()
        }
        """Whose credentials there are, by directory."""
        self.changes: list[Change] = []

    def write(self, path: str, content: str, mode: int | None = None) -> None:
        """Mode and owner of a file that is not ours stay (`mode` is None)."""
        now = self.files.get(path)
        if mode is None:
            wanted = replace(t.cast(FileState, now), content=content)
        else:
            wanted = FileState(content=content, mode=mode)
        if now != wanted:
            self.files[path] = wanted
            self.changes.append(Write(path, content, wanted.mode, wanted.uid, wanted.gid))

    def remove(self, path: str) -> None:
        if self.files.pop(path, None) is not None:
            self.changes.append(Remove(path))

    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that is in it."""
        self.remove(path)
        self.files = {one: file for one, file in self.files.items() if not one.startswith(f"{path}/")}

    def remove_credential(self, path: str, moved: Enrol | None = None) -> None:
        directory, _slash, name = path.rpartition("/")
        self.credentials[directory].remove(name)
        self.changes.append(Remove(path, moved))

    def directory(self, path: str, mode: int) -> None:
        now = self.files.get(path)
        if now is None or (now.mode, now.uid, now.gid) != (mode, 0, 0):
            self.files[path] = FileState(content="", mode=mode)
            self.changes.append(MakeDirectory(path, mode))

    def text(self, path: str) -> str | None:
        file = self.files.get(path)
        return None if file is None else file.content

    def unprotect(self, service: str) -> None:
        path = f"{places.PAM_D}/{service}"
        self.write(path, pam.unprotect(service, t.cast(str, self.text(path))))


def _stop_self_service(do: _Changes) -> None:
    if places.SELF_SERVICE_SOCKET_UNIT in do.files and any(path in do.files for path in places.SELF_SERVICE_LISTENING):
        do.changes.append(Socket(places.SELF_SERVICE_UNIT, listening=False))


def _remove_self_service(do: _Changes) -> None:
    _stop_self_service(do)
    for path in (places.SELF_SERVICE_SOCKET_UNIT, *places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG):
        do.remove(path)
    for path in places.SELF_SERVICE_DIRECTORIES:
        do.remove_tree(path)


def _remove_stale_locks(do: _Changes) -> None:
    do.changes += [Remove(path) for path in do.state.stale_locks]


class _Enable:
    def __init__(self, settings: Settings, state: HostState, stranger: str) -> None:
        self.settings = settings
        self.state = state
        self.stranger = stranger
        self.refusals: list[str] = []
        self.changes = _Changes(state)
        self.backend = backends.BACKENDS[settings.backend]
        self.is_moving = credentials.is_moving(settings, state)
        self.was_active = state.asks_for_code
        self.old_switch = state.text(places.SWITCH)
        self.old_services = state.protected_services
        absent = {user.name for user in settings.users if not user.present}
        present = {user.name for user in settings.users if user.present}
        self.enrolled = (credentials.enrolled(state) | present) - absent
        self.revised: dict[str, str] = {}
        """The credential files as they shall be, by user."""
        self.to_enrol: list[str] = []

    def plan(self) -> Plan:
        settings, state = self.settings, self.state
        missing = tuple(self._missing_packages())
        self.refusals += refusals.host(settings, state)
        self.refusals += refusals.accounts(settings, state, self.enrolled)
        texts = self._protected_texts()
        if settings.ssh:
            self.refusals += refusals.sshd(settings, state)
        if not self.refusals:
            found = lockouts.lockouts(settings, state, self.enrolled, list(texts))
            self.refusals += [lockout.message for lockout in found]
        self.refusals += refusals.become(settings, state, self.enrolled)
        if not self.refusals:
            self.revised = credentials.revised(settings, state)
            self.refusals += refusals.enrolments(settings, state, self.enrolled, self.revised)
        warnings = [
            *refusals.drift(settings, state, self.enrolled, list(texts)),
            *refusals.doors(settings, state, self.enrolled, list(texts)),
        ]
        if not self.refusals:
            self._change(texts)
            if "sshd" in texts and not self._reloads():
                self.refusals += refusals.expectations(state, self._expectations())
            clock = list(refusals.clock(settings, state))
            (warnings if self.was_active else self.refusals).extend(clock)
        if self.refusals:
            return Plan(refusals=tuple(self.refusals), warnings=tuple(warnings), missing_packages=missing)
        return Plan(
            changes=tuple(self.changes.changes),
            warnings=tuple(warnings),
            missing_packages=missing,
            to_enrol=tuple(dict.fromkeys(self.to_enrol)),
        )

    def _missing_packages(self) -> t.Iterator[str]:
        if self.settings.backend not in self.state.code_modules:
            yield self.backend.PACKAGES[self.state.os_family]
        if self.settings.self_service and not self.state.has_qrencode:
            yield places.QRENCODE_PACKAGE

    def _reloads(self) -> bool:
        return any(isinstance(change, ReloadSshd) for change in self.changes.changes)

    def _protected_texts(self) -> dict[str, str]:
        """The service files as they shall be, by service, of those that shall ask for the code."""
        texts: dict[str, str] = {}
        host = self.state.hostname
        wanted = (["sshd"] if self.settings.ssh else []) + list(self.settings.services)
        included = {p[len(places.PAM_D) + 1 :]: text for p, text in self.state.texts(places.PAM_D + "/").items()}
        for service in wanted:
            file = self.state.files.get(f"{places.PAM_D}/{service}")
            if file is None:
                if service != "cockpit":
                    self.refusals.append(f"there is no {places.PAM_D}/{service} on {host}. Take {service} out.")
                continue
            if file.link:
                self.refusals.append(
                    f"{places.PAM_D}/{service} on {host} is a symbolic link to {file.link}, which something else "
                    f"manages. Make it a file of its own, or leave {service} out."
                )
                continue
            try:
                texts[service] = pam.protect(service, file.content, included)
            except pam.PamError as error:
                self.refusals.append(f"on {host}, {error}")
        for service in self.old_services:
            if service not in wanted:
                try:
                    pam.unprotect(service, included[service])
                except pam.PamError as error:
                    self.refusals.append(f"on {host}, {error}")
        return texts

    # What to do, in order

    def _change(self, texts: t.Mapping[str, str]) -> None:
        do, settings = self.changes, self.settings
        ssh = "sshd" in texts
        joining = [service for service in texts if service not in self.old_services]
        leaving = [service for service in self.old_services if service not in texts]
        _remove_stale_locks(do)
        self._prepare(texts)

        if self.was_active and joining:
            do.write(places.SWITCH, pam.except_services(t.cast(str, self.old_switch), joining), 0o644)
        elif texts and not self.was_active and (not self.old_services or pam.passes_everyone(self.old_switch)):
            # A switch that is damaged or gone lets nobody in, and stays so until the new one is there.
            do.write(places.SWITCH, pam.PASS_THROUGH, 0o644)
        for service, text in texts.items():
            do.write(f"{places.PAM_D}/{service}", text)
        if not self.was_active:
            # Nobody is asked for a code there, and nobody shall be when the switch is put in place.
            for service in leaving:
                do.unprotect(service)

        shows_no_prompts = sshd_config.shows_no_prompts(
            self.state.texts(places.SSHD_CONFIG), self.state.accounts["root"].sshd
        )
        drop_in = sshd_config.drop_in(settings, self.enrolled, shows_no_prompts)
        old_drop_in = do.text(places.DROP_IN)
        if ssh and any(do.text(path) != text for path, text in self._policy().items()):
            # Whoever enters or leaves the scope is sent to PAM for as long as PAM may ask.
            self._write_drop_in(
                sshd_config.both(drop_in, old_drop_in) if old_drop_in not in (None, drop_in) else drop_in
            )
        self._move()
        self._write_policy(leaving if self.was_active else [])
        if ssh:
            self._write_drop_in(drop_in)
        elif old_drop_in is not None:
            do.remove(places.DROP_IN)
            do.changes.append(ReloadSshd(()))
        for service in leaving:
            do.unprotect(service)
        self._write_policy([])
        self._tidy(texts)
        self._serve()

    def _policy(self, leaving: t.Sequence[str] = (), suffix: str = "") -> dict[str, str]:
        """The files by which PAM knows who is asked for what; the switch, which names the other, comes last."""
        settings, policy = self.settings, {}
        if settings.exempt_addresses:
            policy[places.EXEMPT_ORIGINS + suffix] = pam.exempt_origins(settings)
        switch = pam.switch(settings, self.enrolled, self.backend.pam_line(settings), suffix)
        policy[places.SWITCH] = pam.except_services(switch, leaving) if leaving else switch
        return policy

    def _write_policy(self, leaving: t.Sequence[str]) -> None:
        do, policy = self.changes, self._policy(leaving)
        changing = [path for path, text in policy.items() if do.text(path) != text]
        if self.was_active and len(changing) > 1 and do.text(places.EXEMPT_ORIGINS) is not None:
            # No rename changes two files, so the switch goes by a new list until the old one is replaced.
            for path, text in self._policy(leaving, places.NEXT).items():
                do.write(path, text, 0o644)
        for path, text in policy.items():
            do.write(path, text, 0o644)

    def _prepare(self, texts: t.Mapping[str, str]) -> None:
        do = self.changes
        for path, mode in OWN_DIRECTORIES.items():
            if path == self.backend.DIRECTORY or path not in backends.DIRECTORIES:
                do.directory(path, mode)
        self._enrol()
        for path in (*pam.helpers(texts.values()), places.RECOVERY_COMMAND, places.TMPFILES):
            do.write(path, self.settings.files[path], places.FOR_LOGINS[path])

    def _tidy(self, texts: t.Mapping[str, str]) -> None:
        do, policy = self.changes, self._policy()
        called = pam.helpers(texts.values())
        for path in (*pam.HELPERS, *places.GATES):
            if path not in called:
                do.remove(path)
        for path in (places.EXEMPT_ORIGINS, places.EXEMPT_ORIGINS + places.NEXT):
            if path not in policy:
                do.remove(path)
        absent = {user.name for user in self.settings.users if not user.present}
        gone = {*absent, *(self.revised if self.is_moving else ())} & set(self.state.credentials)
        paths = [backends.credential_path(self.state.backend, name) for name in sorted(gone)]
        if not self.is_moving:
            paths += credentials.leftovers(self.state)
        moves = {change.before: change for change in do.changes if isinstance(change, Enrol) and change.source}
        for path in paths:
            do.remove_credential(path, moves.get(path))
        for directory, names in do.credentials.items():
            if directory != self.backend.DIRECTORY and not names:
                do.remove(directory)

    def _serve(self) -> None:
        """People's own page comes last, and goes by what is in force then. Nobody uses it while its files change."""
        do = self.changes
        if not self.settings.self_service:
            _remove_self_service(do)
            return
        texts = {
            path: text
            for path, text in self.settings.files.items()
            if path in places.FOR_SELF_SERVICE or path.startswith(_SELF_SERVICE_TREES)
        }
        texts[places.SELF_SERVICE_CONFIG] = self_service.config(self.settings)
        directories = sorted({path.rpartition("/")[0] for path in texts if path.startswith(_SELF_SERVICE_TREES)})
        wanted = {path: FileState("", 0o755) for path in directories}
        wanted.update({path: FileState(text, 0o644) for path, text in texts.items()})
        found = {
            path: file for path, file in do.files.items() if path in wanted or path.startswith(_SELF_SERVICE_TREES)
        }
        if found == wanted and all(path in do.files for path in places.SELF_SERVICE_LISTENING):
            return
        _stop_self_service(do)
        for path in directories:
            do.directory(path, 0o755)
        # The unit that listens comes last.
        for path in sorted(texts, key=lambda path: path == places.SELF_SERVICE_SOCKET_UNIT):
            do.write(path, texts[path], 0o644)
        for path in sorted(set(found) - set(wanted)):
            if path in do.files:  # what an earlier release left, and not in a directory that is gone by now
                do.remove_tree(path)
        do.changes.append(Socket(places.SELF_SERVICE_UNIT, listening=True))

    def _enrol(self) -> None:
        settings, state = self.settings, self.state
        self.to_enrol += credentials.with_other_codes(settings, state, self.revised)
        for name, text in self.revised.items():
            file = state.credentials.get(name)
            if file is None or not (self.is_moving or self._is_right(name, file, text)):
                self._make(name, text, new=file is None)
            if credentials.has_new_key(settings, state, name, text):
                self.to_enrol.append(name)

    def _is_right(self, name: str, file: FileState, text: str) -> bool:
        if self.settings.user(name) is None:
            return file.content == text
        return any(file == FileState(text, mode) for mode in self.backend.MODES)

    def _move(self) -> None:
        """Bring the credentials into the backend that is asked next; the other one is asked until then."""
        for name, text in self.revised.items():
            if self.is_moving and name in self.state.credentials:
                self._make(name, text, source=self.state.backend)

    def _make(self, name: str, text: str, **how: t.Any) -> None:
        interval = credentials.interval(self.settings, name, text)
        self.changes.changes.append(Enrol(name, self.settings, interval, now=self.state.now, **how))

    def _write_drop_in(self, text: str) -> None:
        before = len(self.changes.changes)
        self.changes.write(places.DROP_IN, text, 0o644)
        if len(self.changes.changes) > before:
            self.changes.changes.append(ReloadSshd(self._expectations()))

    def _expectations(self) -> tuple[Expectation, ...]:
        """One account of each class that sshd's configuration can tell apart then, root, and Ansible's own account."""
        state, settings = self.state, self.settings
        texts = {**state.texts(places.SSHD_CONFIG), places.DROP_IN: self.changes.text(places.DROP_IN) or ""}
        patterns = sshd_config.distinguishing(texts)
        wanted = sshd_config.expected(settings, state.accounts["root"].sshd)
        seen: set[tuple[t.Any, ...]] = set()
        found = []
        ours = state.connection.user if state.connection else None
        for account in state.accounts.values():
            scope = lockouts.in_scope(settings, account.name, account.groups, self.enrolled)
            key = (
                account.name if account.name in ("root", ours) else None,
                scope,
                sshd_config.account_class(patterns, account.name, account.groups),
            )
            if key in seen:
                continue
            seen.add(key)
            if scope:
                found.append(Expectation(account.name, self.stranger, wanted))
            elif state.text(places.DROP_IN) is None:
                as_before = {keyword: account.sshd.get(keyword, ()) for keyword in sshd_config.expected(settings)}
                found.append(Expectation(account.name, self.stranger, as_before))
        return tuple(found)


class _Disable:
    """Off never asks for the time, for credentials, or for anybody's consent; the switch goes first."""

    def __init__(self, settings: Settings, state: HostState) -> None:
        self.settings = settings
        self.state = state

    def plan(self) -> Plan:
        do, refused, warnings = _Changes(self.state), [*refusals.timer(self.settings, self.state)], []
        _remove_stale_locks(do)
        if self.state.asks_for_code:
            do.write(places.SWITCH, pam.PASS_THROUGH, 0o644)
        if do.text(places.DROP_IN) is not None:
            do.remove(places.DROP_IN)
            do.changes.append(ReloadSshd(()))
        for service in self.state.protected_services:
            try:
                do.unprotect(service)
            except pam.PamError as error:
                refused.append(f"on {self.state.hostname}, {error}")
        _remove_self_service(do)
        for path in OWN_FILES:
            do.remove(path)
        if self.settings.purge_credentials:
            for user in sorted(self.state.credentials):
                path = backends.credential_path(self.state.backend, user)
                if credentials.credential(self.state, user):
                    do.remove_credential(path)
                else:
                    warnings.append(f"{path} is not a credential of {user}; it was left alone.")
            for path in credentials.leftovers(self.state):
                do.remove_credential(path)
        for path in sorted(OWN_DIRECTORIES, reverse=True):
            if not do.credentials.get(path):
                do.remove(path)
        return Plan(() if refused else tuple(do.changes), tuple(refused), tuple(warnings))
