# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who needs a code. Pure."""

from __future__ import annotations

import typing as t

from .._wanted.settings import Settings

if t.TYPE_CHECKING:
    from .._host.state import Account
    from .situation import Situation


def is_exempt(settings: Settings, name: str, groups: t.Collection[str]) -> bool:
    """Whether this account is exempt, by its name or by a group."""
    return name in settings.exempt_users or not set(groups).isdisjoint(settings.exempt_groups)


def in_scope(settings: Settings, name: str, groups: t.Collection[str], enrolled: t.Collection[str]) -> bool:
    """Whether this account needs a code, from any address.

    `enrolled` are the accounts that have a credential, with all names that the host lists for them.
    """
    if is_exempt(settings, name, groups):
        return False
    if settings.scope == "groups":
        return bool(set(groups) & set(settings.scope_groups))
    return settings.scope == "everyone" or name in enrolled


def with_other_names(accounts: t.Mapping[str, Account], names: t.Collection[str]) -> frozenset[str]:
    """These names, and all other names of the same accounts on the host, which have the same number."""
    uids = {accounts[name].uid for name in names if name in accounts}
    return frozenset(names) | {account.name for account in accounts.values() if account.uid in uids}


def not_asked(situation: Situation, enrolled: t.Collection[str]) -> list[str]:
    """The enrolled accounts that need a code and are not asked for one.

    With the scope `enrolled`, the switch lists everyone who is asked, and somebody may have removed a name.
    """
    settings, state = situation
    asked = state.code_step.names
    if settings.scope != "enrolled" or asked is None:
        return []
    enrolled = frozenset(enrolled) - situation.not_asked_yet
    accounts = [account for name, account in state.accounts.items() if name not in asked]
    return sorted(one.name for one in accounts if in_scope(settings, one.name, one.groups, enrolled))


def let_off(situation: Situation) -> list[str]:
    """The accounts that need a code, and that the recovery command has let off until the next run."""
    accounts = situation.state.accounts
    found = (accounts[name] for name in situation.state.code_step.recovered if name in accounts)
    return sorted({account.name for account in found if situation.in_scope_now(account)})
