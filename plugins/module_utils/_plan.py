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

from ansible_collections.fleet.auth.plugins.module_utils import _lockout, _oath, _pam, _recovery, _sshd
from ansible_collections.fleet.auth.plugins.module_utils._changes import (
    Change,
    Enrol,
    Expectation,
    MakeDirectory,
    Plan,
    ReloadSshd,
    Remove,
    Write,
)
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings
from ansible_collections.fleet.auth.plugins.module_utils._state import (
    OWN_DIRECTORIES,
    OWN_FILES,
    FileState,
    HostState,
)


def plan(settings: Settings, state: HostState, stranger: str) -> Plan:
    """Decide what brings the host to the wanted state. `stranger` is an address that is not exempt."""
    return (_Enable(settings, state, stranger) if settings.enabled else _Disable(settings, state)).plan()


def enrolled_users(state: HostState) -> frozenset[str]:
    """The accounts whose credential pam_oath can read."""
    return frozenset(user for user in state.credentials if tokens_of(state, user))


def tokens_of(state: HostState, user: str) -> tuple[_oath.Token, ...]:
    """A user's tokens; none where the file is missing or damaged."""
    file = state.credentials.get(user)
    try:
        return _oath.parse_credential(file.content, user) if file else ()
    except _oath.CredentialError:
        return ()


def protected_services(state: HostState) -> tuple[str, ...]:
    """The services whose file has our block."""
    prefix = _pam.DIRECTORY + "/"
    return tuple(
        sorted(
            path[len(prefix) :]
            for path, file in state.files.items()
            if path.startswith(prefix) and not file.link and _pam.is_protected(file.content)
        )
    )


def _no_timer(settings: Settings, state: HostState) -> list[str]:
    if not settings.rollback_after or state.has_systemd:
        return []
    return [
        f"systemd does not run on {state.hostname}, so no timer can put the host back if nobody gets in afterwards. "
        "Set rollback_after to 0 to go on without one."
    ]


class _Changes:
    """Collects changes on top of what the host has, so that what is right already is no change."""

    def __init__(self, state: HostState) -> None:
        self.state = state
        self.files = dict(state.files)
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

    def directory(self, path: str) -> None:
        mode = OWN_DIRECTORIES[path]
        now = self.files.get(path)
        if now is None or (now.mode, now.uid, now.gid) != (mode, 0, 0):
            self.files[path] = FileState(content="", mode=mode)
            self.changes.append(MakeDirectory(path, mode))

    def text(self, path: str) -> str | None:
        file = self.files.get(path)
        return None if file is None else file.content

    def unprotect(self, service: str) -> None:
        path = f"{_pam.DIRECTORY}/{service}"
        self.write(path, _pam.unprotect(service, t.cast(str, self.text(path))))


def _remove_stale_locks(do: _Changes) -> None:
    do.changes += [Remove(path) for path in do.state.stale_locks]


class _Enable:
    def __init__(self, settings: Settings, state: HostState, stranger: str) -> None:
        self.settings = settings
        self.state = state
        self.stranger = stranger
        self.refusals: list[str] = []
        self.warnings: list[str] = []
        self.changes = _Changes(state)
        self.old_switch = state.text(_pam.SWITCH)
        self.was_active = _pam.asks_for_code(self.old_switch, _oath.MODULE)
        self.old_services = protected_services(state)
        absent = {user.name for user in settings.users if not user.present}
        present = {user.name for user in settings.users if user.present}
        self.enrolled = (enrolled_users(state) | present) - absent

    def plan(self) -> Plan:
        missing = self._missing_packages()
        self.refusals += _no_timer(self.settings, self.state)
        self._check_users()
        texts = self._protected_texts()
        if self.settings.ssh:
            self._check_sshd()
        if not self.refusals:
            found = _lockout.lockouts(self.settings, self.state, self.enrolled, list(texts))
            self.refusals += [lockout.message for lockout in found]
        if not self.refusals:
            self._change(texts)
            self._check_time()
            self._check_drift(texts)
        if self.refusals:
            return Plan(refusals=tuple(self.refusals), warnings=tuple(self.warnings), missing_packages=missing)
        return Plan(tuple(self.changes.changes), (), tuple(self.warnings), missing)

    # What stands in the way

    def _missing_packages(self) -> tuple[str, ...]:
        module = self.state.code_module
        if module is None:
            return (_oath.PACKAGES[self.state.os_family],)
        if _oath.REQUIRED_IN_MODULE not in module:
            self.refusals.append(
                f"{_oath.MODULE} on {self.state.hostname} does not know usersfile=…/${{USER}}, and would deny every "
                "code; install oath-toolkit 2.6.7 or later."
            )
        return ()

    def _check_users(self) -> None:
        host = self.state.hostname
        for user in self.settings.users:
            if user.present and user.name not in self.state.accounts:
                self.refusals.append(
                    f"there is no account {user.name} on {host}. Create it first, or take {user.name} out of users."
                )
        for group in self.settings.scope_groups:
            if group not in self.state.groups:
                self.refusals.append(f"scope_groups: there is no group {group} on {host}, so nobody would need a code.")
        self.refusals += _lockout.credential_problems(self.settings, self.state)

    def _protected_texts(self) -> dict[str, str]:
        """The service files as they shall be, by service, of those that shall ask for the code."""
        texts: dict[str, str] = {}
        host = self.state.hostname
        wanted = (["sshd"] if self.settings.ssh else []) + list(self.settings.services)
        included = {p[len(_pam.DIRECTORY) + 1 :]: text for p, text in self.state.texts(_pam.DIRECTORY + "/").items()}
        for service in wanted:
            file = self.state.files.get(f"{_pam.DIRECTORY}/{service}")
            if file is None:
                if service != "cockpit":
                    self.refusals.append(f"there is no {_pam.DIRECTORY}/{service} on {host}. Take {service} out.")
                continue
            if file.link:
                self.refusals.append(
                    f"{_pam.DIRECTORY}/{service} on {host} is a symbolic link to {file.link}, which something else "
                    f"manages. Make it a file of its own, or leave {service} out."
                )
                continue
            try:
                texts[service] = _pam.protect(service, file.content, included)
            except _pam.PamError as error:
                self.refusals.append(f"on {host}, {error}")
        for service in self.old_services:
            if service not in wanted:
                try:
                    _pam.unprotect(service, included[service])
                except _pam.PamError as error:
                    self.refusals.append(f"on {host}, {error}")
        return texts

    def _check_sshd(self) -> None:
        files, host = self.state.texts(_sshd.CONFIG), self.state.hostname
        if self.state.sshd_error:
            self.refusals.append(f"sshd on {host} does not tell its settings: {self.state.sshd_error}")
            return
        sshd = self.state.accounts["root"].sshd
        self.refusals += [f"on {host}, {conflict}" for conflict in _sshd.conflicts(files, sshd)]
        if self.settings.exempt_addresses and sshd.on("usedns"):
            # PAM gets the name then, and takes any address that it resolves to.
            self.refusals.append(
                f"sshd on {host} goes by the names of those who connect ({_sshd.setting_line(files, 'UseDNS')}), and "
                "who owns a name can point it at an exempt address. Set UseDNS no, or leave exempt_addresses out."
            )
        factors = self.settings.ssh_first_factors
        if "publickey" in factors and not sshd.on("pubkeyauthentication"):
            self.refusals.append(
                f"sshd on {host} accepts no keys ({_sshd.setting_line(files, 'PubkeyAuthentication')}). "
                "Set PubkeyAuthentication yes, or ssh_first_factors to [password]."
            )
        takes_passwords = sshd.on("passwordauthentication") or sshd.on("kbdinteractiveauthentication")
        if "password" in factors and not takes_passwords and self.changes.text(_sshd.DROP_IN) is None:
            self.refusals.append(
                f"sshd on {host} accepts no passwords today ({_sshd.setting_line(files, 'PasswordAuthentication')}), "
                "and a password with a code would open that door. Set ssh_first_factors to [publickey]."
            )
        ours, effective = self.state.connection, self.state.connection_sshd
        account = self.state.accounts.get(ours.user) if ours else None
        if account and effective is not None and not _sshd.admits(effective, account.name, account.groups):
            self.refusals.append(
                f"{account.name}, as whom Ansible connects, is shut out by the files of sshd on {host} (DenyUsers, "
                "AllowUsers, DenyGroups or AllowGroups), which sshd has not read yet: a reload would lock it out. "
                f"Let {account.name} in there first."
            )

    def _check_time(self) -> None:
        status = self.state.time_sync
        if status is None or status.in_sync or not self.settings.time_sync.required:
            return
        if self.was_active:
            self.warnings.append(f"the clock of {self.state.hostname} is not in sync: {status.reason}")
        else:
            self.refusals.append(
                f"the clock of {self.state.hostname} is not in sync: {status.reason}. Codes depend on the time, so "
                "two-factor login was not turned on. Start chrony or systemd-timesyncd with a server that it reaches, "
                "or set time_sync: {required: false}."
            )

    def _check_drift(self, texts: t.Mapping[str, str]) -> None:
        lost = [service for service in texts if self.was_active and service not in self.old_services]
        if "sshd" in lost and self.state.text(_sshd.DROP_IN) is not None:
            self.warnings.append(
                f"sshd on {self.state.hostname} was not asking for codes: {_pam.DIRECTORY}/sshd had lost the block."
            )
        if self.was_active and _pam.TALLY_DIRECTORY not in self.state.files:
            self.warnings.append(
                f"{_pam.TALLY_DIRECTORY} on {self.state.hostname} was missing: wrong codes were not counted."
            )
        if any(isinstance(change, ReloadSshd) for change in self.changes.changes) or "sshd" not in texts:
            return
        for expectation in self._expectations():
            effective = self.state.accounts[expectation.user].sshd
            wrong = [k for k, value in expectation.settings.items() if effective.get(k, ()) != value]
            if wrong:
                self.refusals.append(
                    f"sshd on {self.state.hostname} does not do for {expectation.user} what {_sshd.DROP_IN} says "
                    f"({', '.join(wrong)}): another part of its configuration wins. See 'sshd -T -C user="
                    f"{expectation.user},host=x,addr={expectation.address}'."
                )

    # What to do, in order

    def _change(self, texts: t.Mapping[str, str]) -> None:
        do, settings = self.changes, self.settings
        ssh = "sshd" in texts
        joining = [service for service in texts if service not in self.old_services]
        leaving = [service for service in self.old_services if service not in texts]
        _remove_stale_locks(do)
        self._prepare(ssh)

        if self.was_active and joining:
            do.write(_pam.SWITCH, _pam.except_services(t.cast(str, self.old_switch), joining), 0o644)
        elif texts and not self.was_active and (not self.old_services or _pam.passes_everyone(self.old_switch)):
            # A switch that is damaged or gone lets nobody in, and stays so until the new one is there.
            do.write(_pam.SWITCH, _pam.PASS_THROUGH, 0o644)
        for service, text in texts.items():
            do.write(f"{_pam.DIRECTORY}/{service}", text)
        if not self.was_active:
            # Nobody is asked for a code there, and nobody shall be when the switch is put in place.
            for service in leaving:
                do.unprotect(service)

        drop_in = _sshd.drop_in(settings, self.enrolled)
        old_drop_in = do.text(_sshd.DROP_IN)
        if ssh and any(do.text(path) != text for path, text in self._policy().items()):
            # Whoever enters or leaves the scope is sent to PAM for as long as PAM may ask.
            self._write_drop_in(_sshd.both(drop_in, old_drop_in) if old_drop_in not in (None, drop_in) else drop_in)
        self._write_policy(leaving if self.was_active else [])
        if ssh:
            self._write_drop_in(drop_in)
        elif old_drop_in is not None:
            do.remove(_sshd.DROP_IN)
            do.changes.append(ReloadSshd(()))
        for service in leaving:
            do.unprotect(service)
        self._write_policy([])
        self._tidy(ssh)

    def _policy(self, leaving: t.Sequence[str] = (), suffix: str = "") -> dict[str, str]:
        """The files by which PAM knows who is asked for what; the switch, which names the others, comes last."""
        settings, policy = self.settings, {}
        if settings.exempt_addresses:
            policy[_pam.EXEMPT_ORIGINS + suffix] = _pam.exempt_origins(settings)
        if settings.scope == "enrolled":
            policy[_pam.SCOPE_USERS + suffix] = _pam.scope_users(self.enrolled)
        switch = _pam.switch(settings, _oath.pam_line(settings), suffix)
        policy[_pam.SWITCH] = _pam.except_services(switch, leaving) if leaving else switch
        return policy

    def _write_policy(self, leaving: t.Sequence[str]) -> None:
        do, policy = self.changes, self._policy(leaving)
        changing = [path for path, text in policy.items() if do.text(path) != text]
        in_use = [path for path in changing if path != _pam.SWITCH and do.text(path) is not None]
        if self.was_active and in_use and len(changing) > 1:
            # No rename changes two files, so the switch goes by new lists until the old ones are replaced.
            for path, text in self._policy(leaving, _pam.NEXT).items():
                do.write(path, text, 0o644)
        for path, text in policy.items():
            do.write(path, text, 0o644)

    def _prepare(self, ssh: bool) -> None:
        do = self.changes
        for path in OWN_DIRECTORIES:
            do.directory(path)
        self._enrol()
        if ssh:
            do.write(_pam.KEY_ACCEPTED, _pam.KEY_ACCEPTED_SCRIPT, 0o755)
        do.write(_recovery.COMMAND, _recovery.SCRIPT, 0o755)
        do.write(_recovery.TMPFILES, _recovery.TMPFILES_RULES, 0o644)

    def _tidy(self, ssh: bool) -> None:
        do, policy = self.changes, self._policy()
        if not ssh:
            do.remove(_pam.KEY_ACCEPTED)
        for path in OWN_FILES:
            if path.startswith((_pam.EXEMPT_ORIGINS, _pam.SCOPE_USERS)) and path not in policy:
                do.remove(path)
        for user in self.settings.users:
            if not user.present and user.name in self.state.credentials:
                do.changes.append(Remove(_oath.credential_path(user.name)))

    def _enrol(self) -> None:
        for user in self.settings.users:
            if not user.present:
                continue
            file = self.state.credentials.get(user.name)
            change = Enrol(user.name, self.settings.interval, user.secret, new=file is None)
            if file is not None:
                text = _oath.update_credential(file.content, user.name, user.secret, self.settings.interval)
                if text == file.content and (file.mode, file.uid, file.gid) == (0o600, 0, 0):
                    continue
            self.changes.changes.append(change)

    def _write_drop_in(self, text: str) -> None:
        before = len(self.changes.changes)
        self.changes.write(_sshd.DROP_IN, text, 0o644)
        if len(self.changes.changes) > before:
            self.changes.changes.append(ReloadSshd(self._expectations()))

    def _expectations(self) -> tuple[Expectation, ...]:
        """One account of each class that sshd's configuration can tell apart then, root, and Ansible's own account."""
        state, settings = self.state, self.settings
        texts = {**state.texts(_sshd.CONFIG), _sshd.DROP_IN: self.changes.text(_sshd.DROP_IN) or ""}
        patterns = _sshd.distinguishing(texts)
        wanted = _sshd.expected(settings)
        seen: set[tuple[t.Any, ...]] = set()
        found = []
        ours = state.connection.user if state.connection else None
        for account in state.accounts.values():
            scope = _lockout.in_scope(settings, account.name, account.groups, self.enrolled)
            key = (
                account.name if account.name in ("root", ours) else None,
                scope,
                _sshd.account_class(patterns, account.name, account.groups),
            )
            if key in seen:
                continue
            seen.add(key)
            if scope:
                found.append(Expectation(account.name, self.stranger, wanted))
            elif state.text(_sshd.DROP_IN) is None:
                as_before = {keyword: account.sshd.get(keyword, ()) for keyword in wanted}
                found.append(Expectation(account.name, self.stranger, as_before))
        return tuple(found)


class _Disable:
    """Off never asks for the time, for credentials, or for anybody's consent; the switch goes first."""

    def __init__(self, settings: Settings, state: HostState) -> None:
        self.settings = settings
        self.state = state

    def plan(self) -> Plan:
        do, refusals, warnings = _Changes(self.state), _no_timer(self.settings, self.state), []
        _remove_stale_locks(do)
        if _pam.asks_for_code(do.text(_pam.SWITCH), _oath.MODULE):
            do.write(_pam.SWITCH, _pam.PASS_THROUGH, 0o644)
        if do.text(_sshd.DROP_IN) is not None:
            do.remove(_sshd.DROP_IN)
            do.changes.append(ReloadSshd(()))
        for service in protected_services(self.state):
            try:
                do.unprotect(service)
            except _pam.PamError as error:
                refusals.append(f"on {self.state.hostname}, {error}")
        for path in OWN_FILES:
            do.remove(path)
        kept = set(self.state.credentials)
        if self.settings.purge_credentials:
            for user in sorted(self.state.credentials):
                if tokens_of(self.state, user):
                    kept.remove(user)
                    do.changes.append(Remove(_oath.credential_path(user)))
                else:
                    warnings.append(f"{_oath.credential_path(user)} is not a credential of {user}; it was left alone.")
        for path in sorted(OWN_DIRECTORIES, reverse=True):
            if path != _oath.DIRECTORY or not kept:
                do.remove(path)
        return Plan(() if refusals else tuple(do.changes), tuple(refusals), tuple(warnings))
