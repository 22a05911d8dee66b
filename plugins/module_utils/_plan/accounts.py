# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The refusals about accounts and groups, and the names that they have. Pure."""

from __future__ import annotations

import typing as t

from .._backends import backends
from .._wanted.bounds import is_account_name
from . import credentials, locked_out, people, scope
from .situation import Situation


def refusals(situation: Situation) -> t.Iterator[str]:
    """Refuse users and groups that the host does not have or cannot use as set, and unusable credentials."""
    settings, state = situation
    strangers = [user.name for user in settings.users if user.present and user.name not in state.accounts]
    yield from people.sentences((name, people.Reason(_no_account, (state.hostname,))) for name in strangers)
    for group in settings.scope_groups:
        if group not in state.groups:
            yield (
                f"O(scope_groups): there is no group {group} on {state.hostname}, so nobody would need a code. "
                "Create the group, or leave it out."
            )
    for group in settings.security_keys_only_groups:
        if group not in state.groups:
            yield (
                f"O(security_keys_only_groups): there is no group {group} on {state.hostname}. Create it first, or "
                "leave it out."
            )
    yield from _other_groups(situation)
    yield from people.sentences(_exempt_and_keys_only(situation))
    if settings.scope == "enrolled":
        odd = [name for name in sorted(situation.enrolled_afterwards) if not is_account_name(name)]
        if odd:
            # Written as Python strings, since they may hold any characters.
            files = people.Names(tuple(repr(backends.credential_path(state.backend, name)) for name in odd))
            yield people.Sentence(_odd_names(files, state.hostname), tuple(map(repr, odd)))
    yield from people.sentences(_other_names(situation))
    yield from _in_no_group(situation)
    yield from people.sentences(credentials.problems(situation))


def _other_groups(situation: Situation) -> t.Iterator[str]:
    """Refuse a second name of a group: sshd, and the look at a host, know only the name that its number has."""
    settings, state = situation
    options = {
        "scope_groups": settings.scope_groups,
        "security_keys_only_groups": settings.security_keys_only_groups,
        "exempt_groups": settings.exempt_groups,
    }
    for option, groups in options.items():
        for group in groups:
            known = state.groups_known_as.get(group)
            if known:
                yield (
                    f"O({option}): {group} on {state.hostname} is another name of the group {known}: both have the "
                    f"same number, and sshd finds their members only in {known}. Name {known} in its place, or give "
                    f"{group} a number of its own."
                )


def _exempt_and_keys_only(situation: Situation) -> t.Iterator[tuple[str, people.Reason]]:
    """Yield users who must log in with security keys alone, and are in a group that is exempt from that."""
    settings, state = situation
    for name in settings.keys_only_users:
        groups = state.accounts[name].groups if name in state.accounts else ()
        exempt = sorted(set(settings.exempt_groups).intersection(groups))
        if exempt:
            yield name, people.Reason(_exempt_anyhow, (state.hostname, tuple(exempt)))


def _exempt_anyhow(names: people.Names, _detail: str, host: str, groups: tuple[str, ...]) -> str:
    return (
        f"{names} on {host} {names.verb('has', 'have')} security_keys_only, but "
        f"{names.verb('is a member', 'are members')} of {' and '.join(groups)}, which O(exempt_groups) exempts from "
        "that. Leave out one of the two."
    )


def _odd_names(files: people.Names, host: str) -> str:
    return (
        f"{files} on {host} {files.verb('is the credential of an account', 'are credentials of accounts')} whose name "
        f"PAM or sshd cannot hold. Remove {files.verb('the file', 'the files')}, or set O(scope) to everyone or groups."
    )


def _in_no_group(situation: Situation) -> t.Iterator[str]:
    """Refuse accounts that sshd finds in no group at all: it cannot see that they are in no exempt group."""
    settings, state = situation
    if not settings.ssh or not settings.exempt_groups or settings.scope == "groups":
        return
    names = [
        account.name
        for account in state.accounts.values()
        if not account.groups
        and (
            account.name in situation.enrolled_afterwards
            or (settings.scope == "everyone" and locked_out.may_log_in(state, account))
        )
    ]
    yield from people.sentences((name, people.Reason(_no_group, (state.hostname,))) for name in names)


def _no_group(names: people.Names, _detail: str, host: str) -> str:
    return (
        f"{names} {names.verb('is', 'are')} in no group that has a name on {host}. sshd cannot check such an account "
        f"against O(exempt_groups), so {names.verb(names.them, 'they')} could not log in. Put {names.them} into a "
        "group, or use O(exempt_users) in place of O(exempt_groups)."
    )


def _other_names(situation: Situation) -> t.Iterator[tuple[str, people.Reason]]:
    """Yield second names of accounts that need a code, which get in without one, as they are in no group in scope."""
    settings, state = situation
    if settings.scope != "groups":
        return
    names = {account.uid: account.name for account in state.accounts.values() if situation.in_scope(account)}
    for account in state.accounts.values():
        exempt = scope.is_exempt(settings, account.name, account.groups)
        known = account.has_password or account.has_key
        if known and not exempt and account.uid in names and not situation.in_scope(account):
            whose = f"another name of {names[account.uid]} (uid {account.uid})"
            yield account.name, people.Reason(_other_name, (state.hostname,), whose)


def _other_name(names: people.Names, whose: str, host: str) -> str:
    are = whose or "other names of accounts that need a code ('getent passwd' shows which have the same number)"
    it, them = names.verb("it", "they"), names.verb("it", "them")
    return (
        f"{names} on {host} {names.verb('is', 'are')} {are}, but in none of O(scope_groups): {it} would get in as "
        f"{names.verb('that account', 'those')} without a code. Make {names.them} {names.verb('a member', 'members')} "
        f"of a group of O(scope_groups) and enrol {them} as well, exempt {them} with O(exempt_users), or remove {them}."
    )


def _no_account(names: people.Names, _detail: str, host: str) -> str:
    there, it = names.verb("is no account", "are no accounts"), names.verb("it", "them")
    return f"there {there} {names} on {host}. Create {it} first, or take {names.them} out of O(users)."
