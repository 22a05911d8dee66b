# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who needs a code, and who could log in today and could not afterwards. Pure."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.fleet.auth.plugins.module_utils import _oath, _pam, _sshd
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings, User
from ansible_collections.fleet.auth.plugins.module_utils._state import COCKPIT_DISALLOWED, Account, HostState


@dataclass(frozen=True)
class Lockout:
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


def credential_problems(settings: Settings, state: HostState) -> t.Iterator[str]:
    """Every account whose credential file lets nobody in, or would let the account off because it is gone."""
    asked = (state.text(_pam.SCOPE_USERS) or "").split() if settings.scope == "enrolled" else ()
    for name in sorted({*state.credentials, *asked} & set(state.accounts)):
        user = settings.user(name)
        if user is None or user.present:
            yield from _credential_problem(settings, state, name, user)


def _credential_problem(settings: Settings, state: HostState, name: str, user: User | None) -> t.Iterator[str]:
    file = state.credentials.get(name)
    credential = f"the credential of {name} on {state.hostname}, {_oath.credential_path(name)},"
    if file is None:
        if user is None and in_scope(settings, name, state.accounts[name].groups, {name}):
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
    if user and all(token.interval is None for token in tokens):
        yield f"{credential} holds no time-based token. Add one, or remove the file and enrol {name} anew."


def _from_sshd(settings: Settings, state: HostState, account: Account, enrolled: bool) -> Lockout | None:
    sshd, name, host = account.sshd, account.name, state.hostname
    root_login = sshd.first("permitrootlogin") if account.uid == 0 else "yes"
    admitted = root_login != "no" and _sshd.admits(sshd, name, account.groups)
    by_key = admitted and account.has_key and sshd.on("pubkeyauthentication")
    by_password = (
        admitted
        and account.has_password
        and root_login == "yes"
        and (sshd.on("passwordauthentication") or sshd.on("kbdinteractiveauthentication"))
    )
    if not by_key and not by_password:
        return None
    who = f"{name}, as whom Ansible connects," if state.connection and state.connection.user == name else name
    if root_login != "yes":
        line = _sshd.setting_line(state.texts(_sshd.CONFIG), "PermitRootLogin")
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
    disallowed = (state.text(COCKPIT_DISALLOWED) or "").split()
    return not (service == "cockpit" and account.name in disallowed)
