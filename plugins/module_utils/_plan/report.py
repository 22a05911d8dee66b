# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run reports: what is enforced, who is enrolled, what a plan changes. Pure, and never with a secret."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._backends import backends
from .._backends.credential import Credential
from .._host.state import HostState
from .._texts import drop_in, pam, sshd_config, tally
from . import cockpit, guard, scope, warnings
from .changes import Plan
from .people import Names, Sentence
from .situation import Situation


def status(situation: Situation) -> dict[str, t.Any]:
    """The state of a host, as the modules return it."""
    return {**in_short(situation), "users": users(situation)}


def in_short(situation: Situation) -> dict[str, t.Any]:
    """The state of a host without its users, who may be many."""
    asks = asking_services(situation)
    return {
        "enforced": enforced(situation, asks),
        "asks": asks,
        "let_off": scope.let_off(situation),
        "guard": {
            "mode": guard.mode(situation.state),
            "alerts": [one._asdict() for one in guard.alerts(situation.state)],
        },
        "time_sync": situation.state.time_sync._asdict() if situation.state.time_sync else None,
    }


def enforced(situation: Situation, asks: t.Collection[str] | None = None) -> dict[str, bool]:
    """Whether each service that asks or must ask for the code really does so, from everyone in scope.

    `asks` is what `asking_services` returns, if it is known.
    """
    asks = asking_services(situation) if asks is None else asks
    let_off = scope.let_off(situation)
    services = dict.fromkeys([*situation.services, *situation.state.protected_services])
    return {service: service in asks and not let_off for service in services}


def asking_services(situation: Situation) -> list[str]:
    """The services that ask everyone in scope for the code, except those whom the recovery command has let off."""
    state, step = situation.state, situation.state.code_step
    if backends.asking(step) not in state.code_modules or not _switch_is_on(situation):
        return []
    by_another = (one for one in situation.services if pam.asks_by_include(one, state.service_files))
    asked = [
        one for one in dict.fromkeys([*by_another, *state.protected_services]) if one not in step.excepted_services
    ]
    return [service for service in asked if _has_no_bypass(situation, service)]


def lets_in(situation: Situation) -> list[str]:
    """The services that are set up to ask, and let in without a code others than those whom recovery has let off."""
    state, asks = situation.state, asking_services(situation)
    if not situation.settings.enabled or denying(situation):
        return []
    set_up = {*state.protected_services, *(["sshd"] if state.text(places.DROP_IN) is not None else [])}
    passed = set(state.code_step.excepted_services)
    return [one for one in situation.services if one in set_up - passed and one not in asks and state.asks_for_code]


def denying(situation: Situation) -> list[str]:
    """The services that deny everybody who needs a code, even with a right one."""
    return [*situation.state.protected_services] if warnings.why_nobody_gets_in(situation.state) else []


def users(situation: Situation) -> dict[str, dict[str, t.Any]]:
    """Everyone who is enrolled, will be, or has a security key, by name."""
    state = situation.state
    keys = situation.keys_in_force
    known = (situation.enrolled | set(keys)) & set(state.accounts)
    names = {user.name for user in situation.settings.users} | known
    recovered = state.code_step.recovered
    return {
        name: {
            **_user(situation, name),
            "recovered": name in recovered,
            "security_keys": [key.label for key in keys.get(name, ())],
            "key_denied": None,
            "security_keys_only": name in state.accounts and drop_in.is_keys_only(state.accounts[name].sshd),
        }
        for name in sorted(names)
    }


def key_denied(situation: Situation, name: str, fingerprint: str) -> str | None:
    """The label of a user's valid key with this fingerprint; None if the key or the account is gone."""
    keys = situation.keys_in_force.get(name, ()) if name in situation.state.accounts else ()
    return next((key.label for key in keys if key.fingerprint == fingerprint), None)


def _user(situation: Situation, name: str) -> dict[str, t.Any]:
    """What is reported of one user."""
    settings, state = situation
    credential = situation.credentials.get(name) or Credential(())
    account, wrong_codes = state.accounts.get(name), state.tallies.get(name)
    return {
        "enrolled": name in situation.enrolled,
        "proven": credential.proven,
        "in_scope": account is not None and situation.in_scope_now(account),
        "locked": wrong_codes is not None and tally.locked_until(wrong_codes, settings.lockout, state.now) is not None,
        "devices": [app.name for app in credential.apps if app.name],
        "recovery_codes_left": credential.recovery_codes_left,
        "pass_until": credential.pass_until,
        "self_made": situation.unaccepted.get(name),
    }


def all_users(sentences: t.Iterable[str]) -> list[dict[str, t.Any]]:
    """All users of each refusal or warning whose text shows only some of them."""
    about = (one for one in sentences if isinstance(one, Sentence) and Names(one.users).leaves_out)
    return [{"message": str(one), "users": sorted(one.users)} for one in about]


def to_prove(situation: Situation) -> list[str]:
    """The users of the settings whose secret was made on the host, and who have not proven a code of it yet."""
    if not situation.settings.enabled:
        return []
    made_here = {user.name for user in situation.settings.users if user.wants_credential and user.secret is None}
    return sorted((made_here & situation.enrolled) - situation.proven - situation.unaccepted.keys())


def changes(plan: Plan) -> list[str]:
    """The changes of a plan in words, in order."""
    if not plan.changes:
        return []
    # Imported only if there are changes, which saves compiling it on other hosts.
    from . import wording

    return wording.in_words(plan.changes)


def diff(plan: Plan, state: HostState) -> list[dict[str, str]]:
    """The diff of each file between now and the end of the plan; credentials are only described."""
    if not plan.changes:
        return []
    from . import wording

    return wording.diff(plan.changes, state)


def _switch_is_on(situation: Situation) -> bool:
    """Whether the switch asks for codes, and leaves out nobody who is enrolled and in scope."""
    certain = situation.state.asks_for_code and not situation.state.code_step.damage
    return certain and not scope.not_asked(situation, situation.enrolled)


def _has_no_bypass(situation: Situation, service: str) -> bool:
    """Whether a service has no way in that bypasses the code step, in PAM files or beside PAM."""
    if not pam.asks(service, situation.state.service_files):
        return False
    if service == "sshd":
        return _sshd_sends_to_pam(situation) and _keys_are_declared(situation)
    if service == "cockpit":
        return not any(cockpit.ways_without_code(situation))
    return not any(one.instead_of == service for one in situation.other_sudo_services)


def _sshd_sends_to_pam(situation: Situation) -> bool:
    """Whether sshd sends every account in scope to PAM for the code, from every address.

    This leaves out people who are let off, and exempt addresses.
    """
    state = situation.state
    accounts, recovered = state.accounts.values(), state.code_step.recovered
    asked = [one for one in accounts if situation.in_scope_now(one) or situation.keys_only(one)]
    wanted = {one.name: situation.keys_only(one) for one in asked if one.name not in recovered}
    return all(
        sshd.error is None
        # PAM accepts any address to which the name of a client resolves.
        and not (situation.settings.exempt_addresses and sshd.any_account.on("usedns"))
        and sshd_config.read_order(state.sshd_files(sshd.start)) is not None
        and all(
            effective[name].get(keyword, ()) == value
            for effective in sshd.views.values()
            for name, keys_only in wanted.items()
            for keyword, value in drop_in.expected(
                situation.settings, sshd.any_account, name, keys_only=keys_only
            ).items()
        )
        for sshd in state.sshds
    )


def _keys_are_declared(situation: Situation) -> bool:
    """Whether the settings declare every security key that sshd accepts in place of a code."""
    declared = {name: {key.words for key in keys} for name, keys in situation.settings.declared_keys.items()}
    lists = [*situation.keys_in_force.items(), *situation.keys_only_lists.items()]
    return all(key.words in declared.get(name, ()) for name, keys in lists for key in keys)
