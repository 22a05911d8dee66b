# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry a plan out on a host that is only a `HostState`, and find out who gets in after each change."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import CredentialError
from ansible_collections.fleet.auth.plugins.module_utils._host.state import FileState, HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import (
    Change,
    Enrol,
    GiveBack,
    Listen,
    MakeDirectory,
    Move,
    ReloadSshd,
    Remove,
    RemoveMoved,
    Renew,
    RestartCockpit,
    StopListening,
    Write,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit import model
from unit.builders import STRANGER, host_state, plan, random_keys, security_key, with_sshd_settings
from unit.model import Client

EXEMPT = "192.0.2.9"
"""An address in the networks that the tests exempt."""

CLIENTS = {
    "key in batch mode": Client(key=True, batch=True),
    "key": Client(key=True),
    "key and code": Client(key=True, code=True),
    "password": Client(password=True),
    "password and code": Client(password=True, code=True),
    "wrong password and code": Client(password=False, code=True),
    "security key": Client(key=True, security_key=security_key(1)),
    "security key without its PIN": Client(key=True, security_key=security_key(1), verified=False),
}

LISTENING = {
    places.SELF_SERVICE_UNIT: places.SELF_SERVICE_LISTENING,
    places.GUARD_UNIT: (places.GUARD_LINK,),
}
"""By unit: what exists while systemd listens or watches."""

Logins = dict[tuple[str, str, str, str], bool]


@dataclass(frozen=True)
class Machine:
    """A host, and the files as its sshd has read them; the current files may differ."""

    state: HostState
    read_by_sshd: t.Mapping[str, str]

    @classmethod
    def booted(cls, state: HostState) -> Machine:
        return cls(state, _texts(state))

    def after(self, change: Change) -> Machine:
        """The host once this change is carried out, and nothing after it."""
        if isinstance(change, ReloadSshd):
            self._check(change)
            return replace(self, state=with_sshd_settings(self.state), read_by_sshd=_texts(self.state))
        files = dict(self.state.files)
        if isinstance(change, RestartCockpit):
            return self
        if isinstance(change, (Listen, StopListening)):
            assert f"{places.UNIT_DIRECTORY}/{change.unit}" in files, "systemd knows no such unit"
            listening = LISTENING[change.unit]
            files = {path: file for path, file in files.items() if path not in listening}
            if isinstance(change, Listen):
                files.update(dict.fromkeys(listening, FileState("", 0o644)))
            stopped = self.state.stopped_units - {change.unit}
            return replace(self, state=with_sshd_settings(replace(self.state, files=files, stopped_units=stopped)))
        kept = {**self.state.other_credentials, self.state.backend: self.state.credentials}
        stores = {one.DIRECTORY: dict(kept.get(backend, {})) for backend, one in backends.BACKENDS.items()}
        directory, _slash, name = change.path.rpartition("/")
        if isinstance(change, Write):
            files[change.path] = FileState(change.content, change.mode, change.uid, change.gid)
        elif isinstance(change, Enrol):
            stores[directory][change.user] = FileState(change.content, 0o600)
        elif isinstance(change, (Renew, Move)):
            before = change.before if isinstance(change, Move) else change.path
            text = stores[before.rpartition("/")[0]][change.user].content
            stores[directory][change.user] = FileState(change.revision.text(text, random_keys(1000)), 0o600)
        elif isinstance(change, MakeDirectory):
            files[change.path] = FileState("", change.mode, kind="directory")
        elif isinstance(change, GiveBack):
            files[change.path] = FileState("", change.mode, change.uid, change.gid, kind="directory")
        elif directory in stores:
            del stores[directory][name]
        else:
            assert isinstance(change, (Remove, RemoveMoved))
            assert not stores.get(change.path), "somebody's credential would be lost"
            del files[change.path]
            files = {path: file for path, file in files.items() if not path.startswith(f"{change.path}/")}
        return self._with(files, {name: stores[one.DIRECTORY] for name, one in backends.BACKENDS.items()})

    def _with(self, files: t.Mapping[str, FileState], stores: t.Mapping[str, t.Mapping[str, FileState]]) -> Machine:
        switch = files.get(places.SWITCH)
        having = [backend for backend, credentials in stores.items() if credentials]
        backend = backends.in_use(CodeStep.parse(switch.content if switch else None), having, self.state.backend)
        others = {name: one for name, one in stores.items() if name != backend and one}
        state = replace(self.state, files=files, credentials=stores[backend], backend=backend, other_credentials=others)
        return replace(self, state=with_sshd_settings(state))

    def stages(self, changes: t.Iterable[Change]) -> list[Machine]:
        """The host before the first change, between any two, and after the last."""
        return list(itertools.accumulate(changes, Machine.after, initial=self))

    def logins(self, restarted: bool = False) -> Logins:
        """Who gets in, by service, account, address and what they present; `restarted`: after a restart of sshd."""
        files, found = _texts(self.state), Logins()
        config = files if restarted else self.read_by_sshd
        credentials = [user for user in self.state.credentials if _can_be_read(self.state, user)]
        for account, (what, client) in itertools.product(self.state.accounts.values(), CLIENTS.items()):
            name, groups = account.name, account.groups
            for address in (STRANGER, EXEMPT):
                found["sshd", name, address, what] = model.log_in(
                    files, name, groups, address, client, credentials, config
                )
            for service in ("cockpit", "sudo"):
                if not client.key:
                    found[service, name, "", what] = model.use_service(
                        files, service, name, groups, client, credentials
                    )
        return found

    def _check(self, change: ReloadSshd) -> None:
        """The checks that a host makes before sshd reads its files again."""
        for expectation in change.expectations:
            groups = self.state.accounts[expectation.user].groups
            address = expectation.origin.address or expectation.address
            found = model.sshd_settings(_texts(self.state), expectation.user, groups, address)
            assert found == {**found, **expectation.settings}, expectation


def carried_out(target: Settings, state: HostState | None = None) -> HostState:
    """The host after a run with these settings that refuses nothing, by default from a host that was never on."""
    state = state or host_state()
    made = plan(target, state)
    assert not made.refusals
    return Machine.booted(state).stages(made.changes)[-1].state


def _texts(state: HostState) -> dict[str, str]:
    return {path: file.content for path, file in state.files.items()}


def _can_be_read(state: HostState, user: str) -> bool:
    try:
        backends.BACKENDS[state.backend].read(state.credentials[user].content, user)
    except CredentialError:
        return False
    return True
