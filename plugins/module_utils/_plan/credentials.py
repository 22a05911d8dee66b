# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what becomes of a host's credential files, and finds what prevents it. Pure."""

from __future__ import annotations

import typing as t

from .._backends import backends
from .._backends.credential import App, CannotHold, Credential, CredentialError, MakeKey
from .._host.state import Hold, HostState
from .._wanted.settings import User
from . import held
from .people import Names, Reason, sentences, shown
from .scope import in_scope
from .situation import Situation


def leftovers(situation: Situation) -> list[str]:
    """Copies of the valid credentials in other backends, as an interrupted move leaves them."""
    return [
        backends.credential_path(backend, name)
        for backend, files in situation.state.other_credentials.items()
        for name in sorted(files)
        if situation.is_copy(backend, name)
    ]


def revised(situation: Situation, make_key: MakeKey) -> dict[str, str]:
    """The credential files as the settings want them, by user.

    This includes enrolled users whom the settings do not name. Raises CredentialError if `problems` names a file.
    """
    return {name: _revised(situation, name, make_key) for name in _holders_afterwards(situation)}


def _holders_afterwards(situation: Situation) -> list[str]:
    """Everyone who has a credential afterwards; users named in the settings come first."""
    wanted = [user.name for user in situation.settings.users if user.wants_credential]
    return [*dict.fromkeys([*wanted, *sorted(situation.enrolled - situation.absent_users)])]


def _revised(situation: Situation, name: str, make_key: MakeKey) -> str:
    """The credential file of one user as the settings want it."""
    state, file = situation.state, situation.state.credentials.get(name)
    before = file.content if file else None
    return backends.revised(situation.settings, name, before, state.backend, state.now, make_key)


def to_enrol(situation: Situation, revised: t.Mapping[str, str]) -> list[str]:
    """The users who have to set up their apps, or set them up again, once their credentials are these."""
    renewed = [name for name, text in revised.items() if _has_new_key(situation, name, text)]
    return [*dict.fromkeys([*with_other_codes(situation, revised), *renewed])]


def with_other_codes(situation: Situation, revised: t.Mapping[str, str]) -> list[str]:
    """The users whose apps would show codes of another length or interval than the host then accepts."""
    settings, digits = situation.settings, backends.code_length(situation.state.code_step)
    if digits and digits != settings.otp_digits:
        return sorted(situation.enrolled)
    return [
        name
        for name, text in revised.items()
        if any(app.interval not in (None, settings.interval) for app in _voided_devices(situation, name, text))
    ]


def with_void_recovery_codes(situation: Situation, revised: t.Iterable[str]) -> list[str]:
    """The users whose recovery codes on paper would be void, because the other backend makes them in another way."""
    names = (name for name in revised if situation.moving)
    return [name for name in names if (found := situation.credentials.get(name)) and found.recovery_codes_left]


def _has_new_key(situation: Situation, name: str, text: str) -> bool:
    """Whether a user's credential would have a key, or a set of recovery codes, that it does not have now."""
    before, after = situation.credentials.get(name), _read(situation, name, text)
    known = {app.key for app in before.apps} if before else set()
    known_set = before.recovery_set if before and not situation.moving else ""
    return any(app.key not in known for app in after.apps) or after.recovery_set not in ("", known_set)


def has_one_key_twice(situation: Situation, name: str, text: str) -> bool:
    """Whether two devices of a user have the same key, so that each code would be valid twice."""
    keys = [app.key for app in _read(situation, name, text).apps]
    return len(set(keys)) < len(keys)


def interval(situation: Situation, name: str, text: str) -> int | None:
    """For how many seconds the first device shows each code, if this is the text of a user's credential."""
    phone = _read(situation, name, text).phone
    return phone.interval if phone else None


def _read(situation: Situation, name: str, text: str) -> Credential:
    """What a credential file in the wanted backend says."""
    return backends.BACKENDS[situation.settings.backend].read(text, name)


def _voided_devices(situation: Situation, name: str, text: str) -> list[App]:
    """The devices whose codes are no longer valid once this is the text of the user's credential."""
    before = situation.credentials.get(name)
    kept = {(app.key, app.interval) for app in _read(situation, name, text).apps}
    return [app for app in before.apps if (app.key, app.interval) not in kept] if before else []


def problems(situation: Situation) -> t.Iterator[tuple[str, Reason]]:
    """Yield every account whose credential lets nobody in, or is gone, which must not exempt the account."""
    settings, state = situation
    asked = state.code_step.names if settings.scope == "enrolled" else None
    moving = _holders_afterwards(situation) if situation.moving else ()
    names = sorted(({*state.credentials, *(asked or ())} & {*state.accounts, *moving}) - situation.absent_users)
    faults = {name: _fault(state, name) for name in names if name in state.credentials.keys() - situation.enrolled}
    in_words = _faults_in_words(faults)
    for name in names:
        if name in faults:
            yield name, Reason(_damaged, (state.hostname, state.backend, in_words), faults[name])
            continue
        user = settings.user(name)
        reason = _problem(situation, name, user if user and user.wants_credential else None)
        if reason:
            yield name, reason


def _fault(state: HostState, name: str) -> str:
    """Why an account's credential cannot be read, so that every code is denied."""
    try:
        backends.BACKENDS[state.backend].read(state.credentials[name].content, name)
    except CredentialError as error:
        return str(error)
    return ""


def _faults_in_words(faults: t.Mapping[str, str]) -> str:
    """What is wrong with these credentials: the fault that all share, or each fault with those of the shown names."""
    names_by_fault: dict[str, list[str]] = {}
    for name in shown(faults):
        names_by_fault.setdefault(faults[name], []).append(name)
    if len({*faults.values()}) == 1:
        return next(iter(names_by_fault))
    return "; ".join(f"{', '.join(names)}: {fault}" for fault, names in names_by_fault.items())


def _problem(situation: Situation, name: str, user: User | None) -> Reason | None:
    """What is wrong with a credential that is missing or can be read; None if nothing is.

    `user` is what the settings say about the account, if they want a credential for it.
    """
    settings, state = situation
    where = (state.hostname, state.backend)
    if name not in state.credentials:
        is_gone = user is None and in_scope(settings, name, state.accounts[name].groups, {name})
        return Reason(_gone, where) if is_gone else None
    if user and not situation.credentials[name].phone:
        return Reason(_without_phone, where)
    return _cannot_move(situation, name) if situation.moving else None


def _cannot_move(situation: Situation, name: str) -> Reason | None:
    """Why the credential of an account cannot move to another backend; None if it can."""
    settings, state = situation
    where, target = (state.hostname, state.backend), settings.backend
    if name in state.other_credentials.get(target, ()) and not situation.is_copy(target, name):
        return Reason(_would_replace, (*where, target))
    try:
        _revised(situation, name, bytes)
    except CannotHold as error:
        return Reason(_does_not_fit, (*where, str(error), error.remedy("them")), error.remedy(name))
    return None


class Denial(t.NamedTuple):
    """Why everybody who needs a code is denied on a host, and what helps, each without its full stop."""

    why: str
    remedy: str = (
        "Run fleet.auth.enable, which repairs it, or twofactor-recover on the host, which turns two-factor login off"
    )


def held_at_logins(situation: Situation) -> t.Iterator[str]:
    """Yield what keeps logins from noting which code was used; both backends then deny the code."""
    state = situation.state
    for hold in holds_of_all(state):
        denial = denied(state, hold)
        yield f"{denial.why}. {denial.remedy}."
    owners = _owners(state)
    held_credentials = ((owners[hold.path], hold.attribute) for hold in state.holds if hold.path in owners)
    about = (state.hostname, state.backend, state.asks_for_code)
    yield from sentences((name, Reason(_held, (*about, attribute))) for name, attribute in held_credentials)


def holds_of_all(state: HostState) -> list[Hold]:
    """What keeps logins from writing to any of the credentials."""
    owners = _owners(state)
    return [hold for hold in state.holds if hold.path not in owners]


def denied(state: HostState, hold: Hold) -> Denial:
    """Why everybody's codes are denied because of this hold, and what helps."""
    why = f"{held.what_holds(hold, state.hostname)}, and {_writes(state.backend)}: every code"
    # In an append-only directory logins can create lock files but not remove them. Locks that stay deny every code too.
    locks = ", and run again a minute later, which removes the locks that logins have left" * (hold.attribute == "a")
    return Denial(f"{why} {_is_denied(state.asks_for_code)}", held.remedy(hold) + locks)


def _owners(state: HostState) -> dict[str, str]:
    """The account of each credential file, by path."""
    return {backends.credential_path(state.backend, name): name for name in state.credentials}


# The sentences


def _subject(names: Names, host: str, backend: str) -> str:
    """The subject of a sentence: one account's credential with its file, or the credentials of several."""
    if len(names.names) == 1:
        return f"the credential of {names} on {host}, {backends.credential_path(backend, names.names[0])},"
    return f"the credentials of {names} on {host}, in {backends.BACKENDS[backend].DIRECTORY},"


def _gone(names: Names, _detail: str, host: str, backend: str) -> str:
    return (
        f"{_subject(names, host, backend)} {names.verb('is', 'are')} gone. This does not exempt {names.them}: every "
        f"code is denied. Restore {names.verb('the file', 'the files')}, enrol {names.them} anew with O(users), or "
        f"remove {names.them} with state: absent."
    )


def _damaged(names: Names, of_one: str, host: str, backend: str, faults: str) -> str:
    return (
        f"{_subject(names, host, backend)} {names.verb(of_one, f'are damaged ({faults})')}: every code is denied. "
        f"Restore {names.verb('the file, or remove it', 'the files, or remove them')} and enrol {names.them} anew."
    )


def _without_phone(names: Names, _detail: str, host: str, backend: str) -> str:
    return (
        f"{_subject(names, host, backend)} {names.verb('holds', 'hold')} no time-based token. Add one"
        f"{names.verb('', ' to each')}, or remove the {names.verb('file', 'files')} and enrol {names.them} anew."
    )


def _would_replace(names: Names, _detail: str, host: str, backend: str, target: str) -> str:
    there = names.verb(
        f"{backends.credential_path(target, names.names[0])}, which has another secret. Remove that file",
        f"those in {backends.BACKENDS[target].DIRECTORY}, which have other secrets. Remove those",
    )
    return f"{_subject(names, host, backend)} would replace {there} first, or leave O(backend) at {backend}."


def _does_not_fit(names: Names, of_one: str, host: str, backend: str, error: str, remedy: str) -> str:
    return (
        f"{_subject(names, host, backend)} {names.verb(error, f'cannot move: each {error}')}. "
        f"{of_one or remedy}, or leave O(backend) at {backend}."
    )


def _writes(backend: str) -> str:
    return f"each login has to note the used code in {backends.BACKENDS[backend].DIRECTORY}"


def _is_denied(now: bool) -> str:
    return "is denied" if now else "would be denied"


def _held(names: Names, _detail: str, host: str, backend: str, asks: bool, attribute: str) -> str:
    path = backends.credential_path(backend, names.verb(names.names[0], "NAME"))
    remedy = held.remedy(Hold(path, attribute)).replace("Run there", names.verb("Run there", "Run there for each"))
    return (
        f"{_subject(names, host, backend)} {names.verb('is', 'are')} {held.in_words(attribute)}, and "
        f"{_writes(backend)}: every code of {names.them} {_is_denied(asks)}. {remedy}."
    )
