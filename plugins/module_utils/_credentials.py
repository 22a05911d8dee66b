# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the credential files of a host say of its accounts: who is enrolled, proven, damaged or left behind. Pure."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _lockout, _oath, _pam
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings, User
from ansible_collections.fleet.auth.plugins.module_utils._state import HostState


def enrolled(state: HostState) -> frozenset[str]:
    """The accounts whose credential pam_oath can read."""
    return frozenset(user for user in state.credentials if tokens(state, user))


def proven(state: HostState) -> frozenset[str]:
    """The accounts of which a code of a device was right at least once, since the last renewal."""
    return frozenset(user for user in state.credentials if is_proven(tokens(state, user)))


def is_proven(tokens: t.Iterable[_oath.Token]) -> bool:
    """Whether a code of one of the user's devices was right, since its secret is what it is."""
    return any(token.is_device and token.last_code is not None for token in tokens)


def tokens(state: HostState, user: str) -> tuple[_oath.Token, ...]:
    """A user's tokens; none where the file is missing or damaged."""
    file = state.credentials.get(user)
    try:
        return _oath.parse_credential(file.content, user) if file else ()
    except _oath.CredentialError:
        return ()


def revised(settings: Settings, state: HostState) -> dict[str, str]:
    """The credential files as the settings want them, by user; no key in them is one that the host will make.

    Raises CredentialError where `problems` names a file.
    """
    numbers = itertools.count()
    texts = {}
    for user in settings.users:
        if user.present:
            file = state.credentials.get(user.name)
            before = file.content if file else None
            texts[user.name] = _oath.revise(before, user, settings.interval, lambda n: next(numbers).to_bytes(n, "big"))
    return texts


def with_other_codes(settings: Settings, state: HostState, revised: t.Mapping[str, str]) -> list[str]:
    """Those whose apps would show other codes than the host takes afterwards."""
    rules = _oath.code_rules(state.text(_pam.SWITCH) or "")
    if rules and rules.digits != settings.otp_digits:
        return sorted(enrolled(state))
    return [
        name
        for name, text in revised.items()
        if any(
            token.is_device and token.interval not in (None, settings.interval)
            for token in _not_in(tokens(state, name), _oath.parse_credential(text, name))
        )
    ]


def has_new_key(state: HostState, name: str, text: str) -> bool:
    """Whether a user's credential would have a key that it does not have now."""
    known = {token.key for token in tokens(state, name)}
    return any(token.key not in known for token in _oath.parse_credential(text, name))


def has_one_key_twice(name: str, text: str) -> bool:
    """Whether two tokens of a credential would take one code, each for itself."""
    keys = [token.key for token in _oath.parse_credential(text, name)]
    return len(set(keys)) < len(keys)


def _not_in(before: t.Iterable[_oath.Token], after: t.Iterable[_oath.Token]) -> list[_oath.Token]:
    """The tokens whose codes are not right any more."""
    kept = {(token.key, token.interval) for token in after}
    return [token for token in before if (token.key, token.interval) not in kept]


def problems(settings: Settings, state: HostState) -> t.Iterator[str]:
    """Every account whose credential file lets nobody in, or would let the account off because it is gone."""
    asked = _pam.asked_users(state.text(_pam.SWITCH)) if settings.scope == "enrolled" else None
    for name in sorted({*state.credentials, *(asked or ())} & set(state.accounts)):
        user = settings.user(name)
        if user is None or user.present:
            yield from _problem(settings, state, name, user)


def _problem(settings: Settings, state: HostState, name: str, user: User | None) -> t.Iterator[str]:
    file = state.credentials.get(name)
    credential = f"the credential of {name} on {state.hostname}, {_oath.credential_path(name)},"
    if file is None:
        if user is None and _lockout.in_scope(settings, name, state.accounts[name].groups, {name}):
            yield (
                f"{credential} is gone, which must not let {name} off: every code is denied. Restore the file, enrol "
                f"{name} anew with users, or take {name} out with state: absent."
            )
        return
    try:
        tokens = _oath.parse_credential(file.content, name)
    except _oath.CredentialError as error:
        yield f"{credential} {error}: every code is denied. Restore the file, or remove it and enrol {name} anew."
        return
    if user and not any(token.is_phone for token in tokens):
        yield f"{credential} holds no time-based token. Add one, or remove the file and enrol {name} anew."
