# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who can log in today, and could not once a service asked for the code. Pure."""

from __future__ import annotations

import ipaddress
import typing as t

from .. import _places as places
from .._host.state import Account, HostState, Login
from .._texts import sshd_config
from .._wanted.bounds import is_account_name
from .scope import in_scope, with_other_names
from .situation import Situation

# What sshd takes before a code is a key or a password; these are neither.
_OTHER_METHODS = ("gssapi-with-mic", "gssapi-keyex", "hostbased", "none")


class LockedOut(t.NamedTuple):
    """One account that would be locked out, of which services, and the sentence that says why and what to do."""

    user: str
    services: tuple[str, ...]
    message: str


def locked_out(situation: Situation, services: t.Collection[str], enrolled: t.Collection[str]) -> t.Iterator[LockedOut]:
    """Every account that could log in today, and could not once these services asked for the code.

    sshd may be among the services; `enrolled` are the accounts that have a credential then.
    """
    settings, state = situation
    named = with_other_names(state.accounts, enrolled)
    for account in state.accounts.values():
        if not in_scope(settings, account.name, account.groups, named):
            continue
        if "sshd" in services and not _comes_from_exempt_address(situation, account):
            found = _of_sshd(situation, account, account.name in enrolled)
            if found:
                yield found
                continue
        lost = [service for service in services if service != "sshd" and _gets_in_to(state, account, service)]
        if lost and account.name not in enrolled:
            yield LockedOut(account.name, tuple(lost), _no_credential(state, account, account.name, lost))


def unproven(situation: Situation, proven: t.Collection[str]) -> t.Iterator[str]:
    """Every account that would need a code for sshd, and is not among those with whom a code was seen to be right."""
    for account in situation.state.accounts.values():
        name, host = account.name, situation.state.hostname
        if (
            name not in proven
            and situation.in_scope(account)
            and not _comes_from_exempt_address(situation, account)
            and (logs_in(account) or _has_logged_in(situation.state, account))
        ):
            yield not_accepted(situation, name) or (
                f"{name} logs in to sshd on {host}, and no code of {name} was right there yet. Run with ssh false, "
                f"hand out the enrolment sheet, and prove a code: ansible-playbook fleet.auth.verify -e user={name}. "
                f"Or vouch for {name} with proven: true in users, or for everyone with require_proof: false."
            )


def not_accepted(situation: Situation, name: str) -> str:
    """What there is to say of a credential that its owner made alone; empty where it was accepted, or given."""
    made = situation.waiting.get(name)
    if not made:
        return ""
    day, _slash, place = made.partition("/")
    return (
        f"{name} enrolled on {situation.state.hostname} on {day} ({place}) with nothing but the first factor. It may "
        f"have been somebody else, so it counts for nothing yet. Ask {name}, and accept it: ansible-playbook "
        f"fleet.auth.accept -e user={name}. Was it somebody else, renew it and change the password."
    )


def _of_sshd(situation: Situation, account: Account, enrolled: bool) -> LockedOut | None:
    """What keeps the account out of sshd, if anything does: no credential, or no first factor that still counts."""
    settings, state = situation
    name, host = account.name, state.hostname
    by_key, by_password = _ways_in(account)
    if not by_key and not by_password:
        return _by_evidence(situation, account, enrolled)
    root_login = _root_login(account)
    who = f"{name}, as whom Ansible connects," if state.connection and state.connection.user == name else name
    if root_login != "yes":
        line = sshd_config.setting_line(state.sshd_files(), "PermitRootLogin")
        message = (
            f"{who} logs in to sshd on {host} with a key alone, and under PermitRootLogin {root_login} ({line}) sshd "
            f"refuses a key with a code as well: {name} would be locked out. Exempt {name} with exempt_users, or enrol "
            f"{name} and set PermitRootLogin yes."
        )
    elif not enrolled:
        message = _no_credential(state, account, who, ["sshd"])
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
    return LockedOut(name, ("sshd",), message)


def _by_evidence(situation: Situation, account: Account, enrolled: bool) -> LockedOut | None:
    """The same of an account that has neither a password nor a key that the host could show, but has logged in."""
    settings, state = situation
    name, login = account.name, _has_logged_in(state, account)
    if login is None:
        return None
    method = login.method.partition("/")[0]
    how = f"by {login.method} " if login.method else ""
    seen = f"{name} has logged in to sshd on {state.hostname} {how}on {login.day}"
    if not enrolled:
        message = (
            f"{seen}, has no credential, and would be locked out. {_remedies(account)}, or leave ssh false. If nobody "
            f"logs in as {name} any more, seen_days with fewer days passes over it."
        )
    elif method in _OTHER_METHODS or (method == "publickey" and "publickey" not in settings.ssh_first_factors):
        message = (
            f"{seen}, and with two-factor login sshd takes nothing but {' or '.join(settings.ssh_first_factors)} "
            f"before the code: {name} would be locked out. Give {name} such a factor and log in by it once, or exempt "
            f"{name} with exempt_users or exempt_groups."
        )
    else:
        return None
    return LockedOut(name, ("sshd",), message)


def _has_logged_in(state: HostState, account: Account) -> Login | None:
    """When the account has logged in to sshd lately, if its files still let it try."""
    admitted = _root_login(account) != "no" and sshd_config.admits(account.sshd, account.name, account.groups)
    return state.logins.get((account.name, "sshd")) if admitted else None


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
    """What PermitRootLogin means for the account; `yes` where it is not root's."""
    return account.sshd.first("permitrootlogin") if account.uid == 0 else "yes"


def _no_credential(state: HostState, account: Account, who: str, services: t.Sequence[str]) -> str:
    """The sentence about somebody without a credential; `who` is the name with what else is to be said of it."""
    leave = "leave ssh false" if "sshd" in services else f"leave {' and '.join(services)} out of services"
    return (
        f"{who} has no credential and would be locked out of {' and '.join(services)} on {state.hostname}. "
        f"{_remedies(account)}, or {leave}."
    )


def _remedies(account: Account) -> str:
    """How the account can go on to log in, by what its name can be carried in."""
    name = account.name
    if is_account_name(name):
        return f"Enrol {name} with users, exempt {name} with exempt_users"
    groups = " or ".join(group for group in account.groups if is_account_name(group))
    return (
        "Neither a credential nor exempt_users can carry this name. Exempt a group that it is in "
        f"({groups or 'put it into one'}) with exempt_groups"
    )


def _comes_from_exempt_address(situation: Situation, account: Account) -> bool:
    """Whether it is Ansible's own account and its address is exempt. Everybody else may come from anywhere."""
    connection = situation.state.connection
    if connection is None or connection.user != account.name:
        return False
    try:
        address = ipaddress.ip_address(connection.address)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in situation.settings.exempt_addresses)


def _gets_in_to(state: HostState, account: Account, service: str) -> bool:
    """Whether the account gets in to a service that asks for a password. Cockpit has a list of those it refuses."""
    if not account.has_password and (account.name, service) not in state.logins:
        return False
    disallowed = (state.text(places.COCKPIT_DISALLOWED) or "").split()
    return not (service == "cockpit" and account.name in disallowed)
