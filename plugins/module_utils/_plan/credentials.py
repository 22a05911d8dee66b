# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the credential files of a host say of its accounts: who is enrolled, proven, damaged or left behind. Pure."""

from __future__ import annotations

import itertools
import typing as t

from .. import _places as places
from .._backends import backends
from .._backends.codes import App, Credential, CredentialError
from .._host.state import HostState
from .._texts import pam
from .._wanted.settings import Settings, User
from . import lockouts


def enrolled(state: HostState) -> frozenset[str]:
    """The accounts whose credential the backend can read."""
    return frozenset(user for user in state.credentials if credential(state, user))


def proven(state: HostState) -> frozenset[str]:
    """The accounts of which a code of a device was right at least once, since the last renewal."""
    return frozenset(user for user in state.credentials if is_proven(state, user))


def is_proven(state: HostState, user: str) -> bool:
    """Whether a code of one of the user's devices was right, since its secret is what it is."""
    found = credential(state, user)
    return found is not None and found.proven


def credential(state: HostState, user: str) -> Credential | None:
    """What a user's credential says; nothing where it is missing or damaged."""
    file = state.credentials.get(user)
    try:
        return backends.BACKENDS[state.backend].read(file.content, user) if file else None
    except CredentialError:
        return None


def leftovers(state: HostState) -> list[str]:
    """Credentials in other backends with the secrets of those that count, as a move leaves them that was cut short."""
    return [
        backends.credential_path(backend, name)
        for backend, files in state.others.items()
        for name in sorted(files)
        if _is_copy(state, backend, name)
    ]


def _is_copy(state: HostState, backend: str, user: str) -> bool:
    """Whether another backend has the same secret for a user."""
    counts = credential(state, user)
    try:
        copy = backends.BACKENDS[backend].read(state.others[backend][user].content, user)
    except CredentialError:
        return False
    ours, theirs = counts.phone if counts else None, copy.phone
    return ours is not None and theirs is not None and ours.key == theirs.key


def is_moving(settings: Settings, state: HostState) -> bool:
    """Whether the credentials are in another backend than the settings want."""
    return settings.backend != state.backend


def revised(settings: Settings, state: HostState) -> dict[str, str]:
    """The credential files as the settings want them, by user; no key in them is one that the host will make.

    Those whom the settings do not name are there as well. Raises CredentialError where `problems` names a file.
    """
    return {name: _revised(settings, state, name) for name in _concerned(settings, state)}


def _concerned(settings: Settings, state: HostState) -> list[str]:
    """Everyone who has a credential afterwards; those whom the settings name come first."""
    absent = {user.name for user in settings.users if not user.present}
    present = [user.name for user in settings.users if user.present]
    return [*dict.fromkeys([*present, *sorted(enrolled(state) - absent)])]


def _revised(settings: Settings, state: HostState, name: str) -> str:
    file, numbers = state.credentials.get(name), itertools.count()
    return backends.revised(
        settings,
        name,
        file.content if file else None,
        state.backend,
        state.now,
        lambda length: next(numbers).to_bytes(length, "big"),
    )


def with_other_codes(settings: Settings, state: HostState, revised: t.Mapping[str, str]) -> list[str]:
    """Those whose apps would show other codes than the host takes afterwards."""
    asking = backends.asking(state.text(places.SWITCH))
    digits = backends.BACKENDS[asking].code_length(state.text(places.SWITCH) or "") if asking else None
    if digits and digits != settings.otp_digits:
        return sorted(enrolled(state))
    return [
        name
        for name, text in revised.items()
        if any(
            app.interval not in (None, settings.interval) for app in _not_in(state, name, _read(settings, name, text))
        )
    ]


def with_void_recovery_codes(settings: Settings, state: HostState, revised: t.Iterable[str]) -> list[str]:
    """Those whose recovery codes stop to be right because another backend has none of their form."""
    had = (name for name in revised if is_moving(settings, state))
    return [name for name in had if (found := credential(state, name)) and found.recovery_codes_left]


def has_new_key(settings: Settings, state: HostState, name: str, text: str) -> bool:
    """Whether a user's credential would have a key, or a set of recovery codes, that it does not have now."""
    before, after = credential(state, name), _read(settings, name, text)
    known = {app.key for app in before.apps} if before else set()
    known_set = before.recovery_set if before and not is_moving(settings, state) else ""
    return any(app.key not in known for app in after.apps) or after.recovery_set not in ("", known_set)


def has_one_key_twice(settings: Settings, name: str, text: str) -> bool:
    """Whether two devices of a user would take one code, each for itself."""
    keys = [app.key for app in _read(settings, name, text).apps]
    return len(set(keys)) < len(keys)


def interval(settings: Settings, name: str, text: str) -> int | None:
    """For how many seconds a credential, as it shall be, shows a code."""
    phone = _read(settings, name, text).phone
    return phone.interval if phone else None


def _read(settings: Settings, name: str, text: str) -> Credential:
    return backends.BACKENDS[settings.backend].read(text, name)


def _not_in(state: HostState, name: str, after: Credential) -> list[App]:
    """The devices whose codes are not right any more."""
    before, kept = credential(state, name), {(app.key, app.interval) for app in after.apps}
    return [app for app in before.apps if (app.key, app.interval) not in kept] if before else []


def problems(settings: Settings, state: HostState) -> t.Iterator[str]:
    """Every account whose credential file lets nobody in, or would let the account off because it is gone."""
    asked = pam.asked_users(state.text(places.SWITCH)) if settings.scope == "enrolled" else None
    moving = _concerned(settings, state) if is_moving(settings, state) else ()
    for name in sorted({*state.credentials, *(asked or ())} & {*state.accounts, *moving}):
        user = settings.user(name)
        if user is None or user.present:
            yield from _problem(settings, state, name, user)


def _problem(settings: Settings, state: HostState, name: str, user: User | None) -> t.Iterator[str]:
    file = state.credentials.get(name)
    where = f"the credential of {name} on {state.hostname}, {backends.credential_path(state.backend, name)},"
    if file is None:
        if user is None and lockouts.in_scope(settings, name, state.accounts[name].groups, {name}):
            yield (
                f"{where} is gone, which must not let {name} off: every code is denied. Restore the file, enrol "
                f"{name} anew with users, or take {name} out with state: absent."
            )
        return
    try:
        found = backends.BACKENDS[state.backend].read(file.content, name)
    except CredentialError as error:
        yield f"{where} {error}: every code is denied. Restore the file, or remove it and enrol {name} anew."
        return
    if user and not found.phone:
        yield f"{where} holds no time-based token. Add one, or remove the file and enrol {name} anew."
        return
    if is_moving(settings, state):
        target = settings.backend
        if name in state.others.get(target, ()) and not _is_copy(state, target, name):
            yield (
                f"{where} would take the place of {backends.credential_path(target, name)}, which has another secret. "
                f"Remove that one first, or leave backend at {state.backend}."
            )
        try:
            _revised(settings, state, name)
        except CredentialError as error:
            yield f"{where} {error}. Remove or renew it first, or leave backend at {state.backend}."
