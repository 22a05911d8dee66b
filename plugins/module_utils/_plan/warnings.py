# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The warnings: sentences about a host that people should know, and that prevent no change. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._backends import backends
from .._host.state import HostState
from .._texts import pam, sshd_config
from .._texts.opened import opening_file
from .._wanted.bounds import CONSOLE
from . import credentials, scope
from .people import Names, Sentence
from .situation import Situation


def why_nobody_gets_in(state: HostState) -> credentials.Denial | None:
    """Why everybody who needs a code is denied on this host; None if that is not so."""
    step, backend = state.code_step, backends.asking(state.code_step)
    if not state.protected_services:
        return None
    if backend and backend not in state.code_modules:
        module = backends.BACKENDS[backend].MODULE
        return credentials.Denial(f"{module}, which {places.SWITCH} needs, is missing on {state.hostname}")
    missing = state.missing_modules(state.text(places.SWITCH) or "") if backend else []
    if missing:
        are = "are" if missing[1:] else "is"
        return credentials.Denial(
            f"{' and '.join(missing)}, without which {places.SWITCH} denies, {are} missing on {state.hostname}",
            "Install the package that contains it, or run twofactor-recover on the host, which turns two-factor login "
            "off",
        )
    if not backend and step.damage and not step.passes_everyone:
        return credentials.Denial(f"{places.SWITCH} on {state.hostname} is {'gone' if step.is_gone else 'damaged'}")
    held_for_all = credentials.holds_of_all(state) if backend else []
    return credentials.denied(state, held_for_all[0]) if held_for_all else None


def drift(situation: Situation, services: t.Collection[str]) -> t.Iterator[str]:
    """Warn if the host is not as the last run left it: say what was open, and for whom."""
    settings, state = situation
    hostname = state.hostname
    gone = tuple(name for name in sorted(situation.enrolled - set(state.accounts)) if not settings.user(name))
    if gone:
        yield Sentence(_no_account(Names(gone), hostname), gone)
    step = state.code_step
    if not state.asks_for_code:
        if state.protected_services and step.damage:
            did = "asked nobody for a code" if step.passes_everyone else "denied everybody"
            yield f"{places.SWITCH} on {hostname} was {'gone' if step.is_gone else 'damaged'}, and {did}."
        return
    if step.damage and state.protected_services:
        yield f"{places.SWITCH} on {hostname} was damaged ({step.damage}): it is not certain who was asked for a code."
    service_files = state.service_files
    for service in state.protected_services:
        opened = opening_file(service, service_files.texts)
        if opened:
            yield (
                f"{places.PAM_D}/{service} on {hostname} let exempt accounts in with any password, and those who "
                f"need a code with any password and their code, since fleet.auth 1.0 turned two-factor login on there: "
                f"{opened} does not deny a wrong password by itself, and that counted as a right one. A run of this "
                f"release closes this. Look at who has logged in to {service} since then."
            )
    if backends.asking(step) not in state.code_modules and state.protected_services:
        yield f"{t.cast(credentials.Denial, why_nobody_gets_in(state)).why}: everybody who needs a code was denied."
    if "sshd" in services and "sshd" not in state.protected_services and state.text(places.DROP_IN) is not None:
        yield f"sshd on {hostname} was not asking for codes: {places.PAM_D}/sshd had lost the block."
    if "sshd" in services and state.text(places.DROP_IN) is not None and state.unread_by_sshd:
        yield (
            f"sshd on {hostname} has not read its files since {' and '.join(state.unread_by_sshd)} changed, so it may "
            "have asked for less. A run of fleet.auth.enable has it read them."
        )
    if "cockpit" in services and state.unread_by_cockpit:
        yield (
            f"Cockpit on {hostname} has not read {places.COCKPIT_CONFIG} since it changed, so it may have let people "
            "in without a code. A run of fleet.auth.enable restarts it."
        )
    if places.TALLY_DIRECTORY not in state.files:
        yield f"{places.TALLY_DIRECTORY} on {hostname} was missing: wrong codes were not counted."
    recovered = tuple(scope.let_off(situation))
    if recovered:
        yield Sentence(
            f"twofactor-recover has let {Names(recovered)} off on {hostname}, which has not asked "
            f"{Names(recovered).them} for a code since. The next run of fleet.auth.enable or fleet.auth.rollout "
            "makes it ask again.",
            recovered,
        )
    not_asked = tuple(scope.not_asked(situation, situation.enrolled & situation.enrolled_afterwards))
    if not_asked:
        yield Sentence(
            f"{places.SWITCH} on {hostname} did not name {Names(not_asked)}: no code was asked for, in spite of a "
            "credential.",
            not_asked,
        )


def _no_account(names: Names, host: str) -> str:
    what = names.verb("a credential, which the next account of that name", "credentials, which the next of those names")
    it_is, them = names.verb("it is", "they are"), names.verb("it", "them")
    return (
        f"there {names.verb('is no account', 'are no accounts')} {names} on {host} any more, but {what} would get. "
        f"Unless {it_is} in a directory that does not answer, remove {them} with O(users): [{{name: "
        f"{names.verb(names.them, 'NAME')}, state: absent}}]."
    )


def doors(situation: Situation, services: t.Collection[str]) -> t.Iterator[str]:
    """Warn if few can get in at the console to recover, and if sudo asks for the code but sudo -i does not."""
    state = situation.state
    if CONSOLE in services:
        with_password = (one for one in state.accounts.values() if one.has_password or one.password_is_empty)
        free = sorted(one.name for one in with_password if not situation.in_scope(one))
        yield (
            f"the console of {state.hostname} asks for the code as well, and without a phone "
            f"{'only ' + ', '.join(free) if free else 'nobody'} can get in there to run twofactor-recover."
        )
    if "sudo" in services and "sudo-i" not in services and _has_own_stack("sudo-i", "sudo", state):
        yield (
            f"sudo on {state.hostname} asks for the code, but sudo -i does not: it has its own file, "
            f"{places.PAM_D}/sudo-i. Add sudo-i to O(services)."
        )


def _has_own_stack(service: str, other: str, state: HostState) -> bool:
    """Whether a service exists and neither includes the other one nor is a link to its file."""
    files, file = state.service_files, state.files.get(f"{places.PAM_D}/{service}")
    is_link = file is not None and file.link == f"{places.PAM_D}/{other}"
    return service in files.texts and other not in pam.included(service, files) and not is_link


def ended_passes(situation: Situation) -> t.Iterator[str]:
    """Warn of passes that end because the credentials move to another backend."""
    moved = sorted(situation.enrolled - situation.absent_users if situation.moving else ())
    ends = {name: until for name in moved if (until := situation.credentials[name].pass_until)}
    if ends:
        yield Sentence(_ended_pass(ends, situation.state.hostname, situation.settings.backend), tuple(ends))


def _ended_pass(ends: t.Mapping[str, str], host: str, backend: str) -> str:
    """The sentence about passes; `ends` has the time until which each is valid, by account."""
    (name, until), *others = ends.items()
    if others:
        names = Names(tuple(f"{one} (until {until})" for one, until in ends.items()))
        what, another = f"the passes of {names} on {host} end", "each another one"
    else:
        what, another = f"the pass of {name} on {host}, which is valid until {until}, ends", f"{name} another one"
    return f"{what} with the move to {backend}. Give {another} afterwards, with fleet.auth.pass."


def self_made(situation: Situation) -> t.Iterator[str]:
    """Warn of credentials that users made alone and nobody has accepted."""
    if situation.unaccepted:
        made = (one.partition("/") for one in situation.unaccepted.values())
        people = Names(
            tuple(f"{name} ({day}, {place})" for name, (day, _slash, place) in zip(situation.unaccepted, made))
        )
        yield (
            f"{people} enrolled on {situation.state.hostname} with nothing but the first factor, and nobody has "
            "accepted that yet. It may have been somebody else: ask, and accept it with ansible-playbook "
            "fleet.auth.accept -e user=NAME."
        )


def security_keys(situation: Situation) -> t.Iterator[str]:
    """Warn of declared security keys that let in nobody, or the holder of one key as several users."""
    settings, state = situation
    holders: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for name, keys in settings.declared_keys.items():
        for key in keys:
            holders.setdefault(key.words, []).append(name)
            labels.setdefault(key.words, key.label)
            authorized = state.authorized_keys.get(name)
            account = state.accounts.get(name)
            needs_it = account is not None and not situation.keys_only(account)
            if account and needs_it and authorized is not None and key.words not in authorized:
                yield (
                    f"the security key {key.label} of {name} is in none of the files in which sshd on {state.hostname} "
                    f"looks for keys of {name} ({' '.join(account.sshd.get('authorizedkeysfile', ()))}), and lets "
                    "nobody in there. Put it into one of them, like any other key."
                )
    for words, names in holders.items():
        if len(names) > 1:
            yield (
                f"the security key {labels[words]} is declared for {' and '.join(names)}: anyone who has it can log in "
                f"to {state.hostname} as each of them. Declare a key for one person only."
            )


def clock(situation: Situation) -> t.Iterator[str]:
    """Warn of a clock that is not in sync, if two-factor login is on: right codes may be refused."""
    if situation.clock_fault and situation.state.asks_for_code:
        yield situation.clock_fault


def origins(situation: Situation) -> t.Iterator[str]:
    """Warn if sshd was not asked about every address that its configuration distinguishes."""
    state = situation.state
    for sshd in state.sshds if situation.settings.ssh else ():
        further = sshd_config.further_origins(state.sshd_files(sshd.start).texts)
        if further:
            yield (
                f"{sshd.start.config} on {state.hostname}, with the files that it includes, distinguishes more "
                f"addresses and ports than a run looks at: {further} were left out, and accounts that get in only from "
                "one of these may be missed. Use fewer of them in lines with Match Address, LocalAddress and "
                "LocalPort, such as a network in place of its hosts."
            )


def unread(situation: Situation) -> t.Iterator[str]:
    """Warn if recent logins could not be read in full."""
    if situation.state.logins_unread:
        yield (
            f"recent logins to {situation.state.hostname} could not be read in full: "
            f"{situation.state.logins_unread}. For the rest, only passwords and keys show who would be locked out."
        )
