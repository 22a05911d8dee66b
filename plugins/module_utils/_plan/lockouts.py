# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who needs a code, and who could log in today and could not afterwards. Pure."""

from __future__ import annotations

import ipaddress
import typing as t

from .. import _places as places
from .._host.state import Account, HostState
from .._texts import pam, sshd_config
from .._wanted.settings import Settings


class Lockout(t.NamedTuple):
    """One account that would be locked out, of which services, and the sentence that says why and what to do."""

    user: str
    services: tuple[str, ...]
    message: str


def in_scope(settings: Settings, name: str, groups: t.Collection[str], enrolled: t.Collection[str]) -> bool:
    """Whether this account needs a code, wherever it comes from."""
    if name in settings.exempt_users or set(groups) & set(settings.exempt_groups):
        return False
    if settings.scope == "groups":
        return bool(set(groups) & set(settings.scope_groups))
    return settings.scope == "everyone" or name in enrolled


def let_off(settings: Settings, state: HostState, enrolled: t.Collection[str]) -> list[str]:
    """The enrolled accounts that need a code and that the switch passes, since it goes by names and has lost theirs."""
    asked = pam.asked_users(state.text(places.SWITCH))
    if settings.scope != "enrolled" or asked is None:
        return []
    accounts = [account for name, account in state.accounts.items() if name not in asked]
    return sorted(one.name for one in accounts if in_scope(settings, one.name, one.groups, enrolled))


def lockouts(
    settings: Settings, state: HostState, enrolled: t.Collection[str], services: t.Collection[str]
) -> t.Iterator[Lockout]:
    """Every account that the settings would lock out.

    `enrolled` are the accounts with a credential once the settings are in force, `services` those that ask for the code
    then, sshd among them.
    """
    for account in state.accounts.values():
        if not in_scope(settings, account.name, account.groups, enrolled):
            continue
        if "sshd" in services and not _comes_from_exempt_address(settings, state, account):
            lockout = _from_sshd(settings, state, account, account.name in enrolled)
            if lockout:
                yield lockout
                continue
        lost = [service for service in services if service != "sshd" and _has_password_for(state, account, service)]
        if lost and account.name not in enrolled:
            yield Lockout(account.name, tuple(lost), _no_credential(state, account.name, lost))


def unproven(
    settings: Settings, state: HostState, enrolled: t.Collection[str], proven: t.Collection[str]
) -> t.Iterator[str]:
    """Every account that would need a code for sshd, and nobody has seen one of its codes be right."""
    for account in state.accounts.values():
        name, host = account.name, state.hostname
        if (
            name not in proven
            and in_scope(settings, name, account.groups, enrolled)
            and not _comes_from_exempt_address(settings, state, account)
            and logs_in(account)
        ):
            yield (
                f"{name} logs in to sshd on {host}, and no code of {name} was right there yet. Run with ssh false, "
                f"hand out the enrolment sheet, and prove a code: ansible-playbook fleet.auth.verify -e user={name}. "
                f"Or vouch for {name} with proven: true in users, or for everyone with require_proof: false."
            )


def _from_sshd(settings: Settings, state: HostState, account: Account, enrolled: bool) -> Lockout | None:
    name, host = account.name, state.hostname
    by_key, by_password = _ways_in(account)
    if not by_key and not by_password:
        return None
    root_login = _root_login(account)
    who = f"{name}, as whom Ansible connects," if state.connection and state.connection.user == name else name
    if root_login != "yes":
        line = sshd_config.setting_line(state.texts(places.SSHD_CONFIG), "PermitRootLogin")
        message = (
            f"{who} logs in to sshd on {host} with a key alone, and under PermitRootLogin {root_login} ({line}) sshd "
            f"refuses a key with a code as well: {name} would be locked out. Exempt {name} with exempt_users, or enrol "
            f"{name} and set PermitRootLogin yes."
        )
    elif not enrolled:
        message = _no_credential(state, who, ["sshd"], name)
    elif not (by_key and "publickey" in settings.ssh_first_factors) and not (
        by_password and "password" in settings.ssh_first_factors
    ):
        has, needs = ("key", "publickey") if by_key else ("password", "password")
        message = (
            f"{who} logs in to sshd on {host} with a {has} only, which ssh_first_factors "
            f"({', '.join(settings.ssh_first_factors)}) leaves out: {name} would be locked out. Add {needs} to "
            f"ssh_first_factors, give {name} the other factor, or exempt {name} with exempt_users."
        )
    else:
        return None
    return Lockout(name, ("sshd",), message)


def logs_in(account: Account) -> bool:
    """Whether the account gets in to sshd today."""
    return any(_ways_in(account))


def _ways_in(account: Account) -> tuple[bool, bool]:
    """Whether the account gets in to sshd by a key, and by a password."""
    sshd, root_login = account.sshd, _root_login(account)
    admitted = root_login != "no" and sshd_config.admits(sshd, account.name, account.groups)
    by_key = admitted and account.has_key and sshd.on("pubkeyauthentication")
    by_password = (
        admitted
        and account.has_password
        and root_login == "yes"
        and (sshd.on("passwordauthentication") or sshd.on("kbdinteractiveauthentication"))
    )
    return by_key, by_password


def _root_login(account: Account) -> str:
    return account.sshd.first("permitrootlogin") if account.uid == 0 else "yes"


def _no_credential(state: HostState, who: str, services: t.Sequence[str], name: str | None = None) -> str:
    name = name or who
    leave = "leave ssh false" if "sshd" in services else f"leave {' and '.join(services)} out of services"
    return (
        f"{who} has no credential and would be locked out of {' and '.join(services)} on {state.hostname}. "
        f"Enrol {name} with users, exempt {name} with exempt_users, or {leave}."
    )


def _comes_from_exempt_address(settings: Settings, state: HostState, account: Account) -> bool:
    """The account that Ansible uses is known to come from one address; everybody else may come from anywhere."""
    connection = state.connection
    if connection is None or connection.user != account.name:
        return False
    try:
        address = ipaddress.ip_address(connection.address)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in settings.exempt_addresses)


def _has_password_for(state: HostState, account: Account, service: str) -> bool:
    if not account.has_password:
        return False
    disallowed = (state.text(places.COCKPIT_DISALLOWED) or "").split()
    return not (service == "cockpit" and account.name in disallowed)
