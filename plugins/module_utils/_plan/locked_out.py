# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who can log in today, and could no longer once a service asked for the code. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._host.state import Account, HostState, Login
from .._texts import drop_in, sshd_config
from .._wanted.bounds import is_account_name
from .people import Names, Reason
from .scope import in_scope, with_other_names
from .situation import Situation

_FACTORS = {"publickey": "publickey", "password": "password", "keyboard-interactive": "password"}
"""The first factor, as `ssh_first_factors` names it, of each method of sshd. No other method can precede a code."""


class LockedOut(t.NamedTuple):
    """An account that would be locked out, from which services, and why."""

    user: str
    services: tuple[str, ...]
    reason: Reason

    @property
    def message(self) -> str:
        """The sentence about this account."""
        return self.reason.sentence(self.user)


def locked_out(situation: Situation, services: t.Collection[str], enrolled: t.Collection[str]) -> t.Iterator[LockedOut]:
    """Yield every account that can log in today, and could no longer once these services asked for the code.

    sshd may be among the services; `enrolled` are the accounts that would then have a credential.
    """
    settings, state = situation
    named = with_other_names(state.accounts, enrolled)
    seen_with_password = _seen_with_password(state)
    for account in state.accounts.values():
        needs_code = in_scope(settings, account.name, account.groups, named)
        if "sshd" in services and not _comes_from_exempt_address(situation, account):
            locked = None
            if situation.keys_only(account):
                locked = _without_keys(situation, account)
            elif needs_code:
                locked = _locked_out_of_sshd(situation, account, account.name in enrolled)
            if locked:
                yield locked
                continue
        if not needs_code:
            continue
        has_password = not account.is_expired and (
            account.has_password or account.password_is_empty or account.name in seen_with_password
        )
        lost_services = tuple(
            one for one in services if one != "sshd" and has_password and _accepts_password(state, account, one)
        )
        if lost_services and account.name not in enrolled:
            reason = Reason(_no_credential, (state.hostname, lost_services, False, _groups_instead(account)))
            if account.name in settings.keys_only_users:
                reason = Reason(_keys_alone, (state.hostname, lost_services))
            yield LockedOut(account.name, lost_services, reason)


def unproven(situation: Situation, proven: t.Collection[str]) -> t.Iterator[tuple[str, Reason]]:
    """Yield every account that would need a code for sshd and is not proven."""
    for account in situation.state.accounts.values():
        if (
            account.name not in proven
            and situation.in_scope(account)
            and not situation.keys_only(account)
            and not _comes_from_exempt_address(situation, account)
            and may_log_in(situation.state, account)
        ):
            host, self_made = situation.state.hostname, situation.unaccepted.get(account.name)
            if self_made:
                day, _slash, place = self_made.partition("/")
                yield account.name, Reason(_not_accepted, (host,), f" on {day} ({place})")
            else:
                yield account.name, Reason(_no_proof, (host,))


def _without_keys(situation: Situation, account: Account) -> LockedOut | None:
    """Return the account as locked out if it logs in today, must use security keys alone, and has none declared."""
    settings, state = situation
    name = account.name
    lets_in = may_log_in(state, account) or drop_in.is_keys_only(account.sshd)
    if name in settings.declared_keys or not lets_in:
        return None
    return LockedOut(name, ("sshd",), Reason(_no_declared_key, (state.hostname, name == state.ansible_user)))


def left_without_keys(situation: Situation) -> t.Iterator[tuple[str, Reason]]:
    """Yield every account that today logs in with declared keys alone, no longer will, and has no other way in."""
    settings, state = situation
    for account in state.accounts.values():
        if not drop_in.is_keys_only(account.sshd) or situation.keys_only(account) or account.has_key:
            continue
        needs_code = settings.ssh and situation.in_scope(account)
        by_password = account.has_password and not (needs_code and "password" not in settings.ssh_first_factors)
        if not by_password and account.name in situation.keys_only_lists:
            yield account.name, Reason(_no_key_of_its_own, (state.hostname,))


def _locked_out_of_sshd(situation: Situation, account: Account, enrolled: bool) -> LockedOut | None:
    """What would lock the account out of sshd, if anything: no credential, or no first factor still accepted."""
    settings, state = situation
    name, host = account.name, state.hostname
    ways = _ways_in(account)
    is_ansible = name == state.ansible_user
    has_way = ways.by_key or ways.by_password
    if not has_way or (account.key_is_elsewhere and not ways.by_password and ways.root_login == "yes"):
        # Whether anybody has a key for this account is best seen from past logins.
        evidence = None if is_ansible else _by_evidence(situation, account, enrolled)
        if evidence or not (has_way or is_ansible):
            return evidence
    if ways.root_login != "yes":
        line = sshd_config.setting_line(state.sshd_files(), "PermitRootLogin")
        reason = Reason(_root_by_key, (host, ways.root_login, line, is_ansible))
    elif not enrolled:
        reason = Reason(_no_credential, (host, ("sshd",), is_ansible, _groups_instead(account)))
    elif not has_way:
        return _by_evidence(situation, account, enrolled)
    elif _first_factors(account).isdisjoint(settings.ssh_first_factors):
        reason = Reason(_other_factor, (host, ways.by_key, tuple(settings.ssh_first_factors), is_ansible))
    else:
        return None
    return LockedOut(name, ("sshd",), reason)


def _first_factors(account: Account) -> set[str]:
    """The first factors that the account has. Our drop-in accepts each, whatever sshd asks for today."""
    takes_keys = any(sshd.on("pubkeyauthentication") for sshd in (account.sshd, *account.sshd_elsewhere))
    has = {"publickey": account.has_key and takes_keys, "password": account.has_password}
    return {factor for factor, is_there in has.items() if is_there}


def _by_evidence(situation: Situation, account: Account, enrolled: bool) -> LockedOut | None:
    """The same for an account with no password or key that can be seen on the host, but with past logins."""
    settings, state = situation
    name, logins = account.name, _logins(state, account)
    if not logins:
        return None
    login = logins[0]
    how, day = f"by {login.method} " if login.method else "", f"on {login.day}"
    if not enrolled:
        reason = Reason(_seen_without_credential, (state.hostname, how, _groups_instead(account)), day)
    elif not any(factor in settings.ssh_first_factors for factor in _factors(logins)):
        reason = Reason(_seen_by_other_method, (state.hostname, how, tuple(settings.ssh_first_factors)), day)
    else:
        return None
    return LockedOut(name, ("sshd",), reason)


def _factors(logins: t.Iterable[Login]) -> set[str]:
    """The first factors that these logins show; all, if no method is known."""
    methods = {login.method.partition("/")[0] for login in logins if login.method}
    return {_FACTORS[method] for method in methods & _FACTORS.keys()} if methods else {*_FACTORS.values()}


def _logins(state: HostState, account: Account) -> tuple[Login, ...]:
    """The account's recent logins to sshd, latest first; none if it has expired, or sshd no longer admits it."""
    root_login = _root_login(account)
    views = (account.sshd, *account.sshd_elsewhere)
    if (
        account.is_expired
        or root_login == "no"
        or not any(sshd_config.admits(sshd, account.name, account.groups) for sshd in views)
    ):
        return ()
    logins = state.logins.get((account.name, "sshd"), ())
    # Unless PermitRootLogin is `yes`, root's password is no longer accepted, even if it was then.
    return tuple(one for one in logins if root_login == "yes" or not _by_password(one))


def may_log_in(state: HostState, account: Account) -> bool:
    """Whether the account can log in to sshd today, or has done so recently and is still admitted."""
    return logs_in(account) or bool(_logins(state, account))


def logs_in(account: Account) -> bool:
    """Whether the account can log in to sshd today, as far as the host shows its keys and password."""
    ways = _ways_in(account)
    return ways.by_key or ways.by_password


class _Ways(t.NamedTuple):
    """Whether an account gets in to sshd with a key, and with a password, and under which PermitRootLogin."""

    by_key: bool
    by_password: bool
    root_login: str


def _ways_in(account: Account) -> _Ways:
    """How the account gets in to sshd from any of the addresses that the configuration distinguishes."""
    all_ways = [_ways_under(sshd, account) for sshd in (account.sshd, *account.sshd_elsewhere)]
    open_ways = [ways for ways in all_ways if ways.by_key or ways.by_password]
    restricted = [ways for ways in open_ways if ways.root_login != "yes"]
    if restricted or not open_ways:
        return (restricted or all_ways)[0]
    return _Ways(any(ways.by_key for ways in open_ways), any(ways.by_password for ways in open_ways), "yes")


def _ways_under(sshd: sshd_config.Effective, account: Account) -> _Ways:
    """How the account gets in with these settings of sshd.

    A method that only our own drop-in turns on is no way in that existed before: where the drop-in applies, a login
    begins as it says.
    """
    root_login = _root_login(account, sshd)
    admitted = root_login != "no" and sshd_config.admits(sshd, account.name, account.groups)
    by_key = admitted and account.has_key and sshd.on("pubkeyauthentication") and sshd_config.accepts(sshd, "publickey")
    by_password = (
        admitted
        and account.has_password
        and root_login == "yes"
        and (sshd.on("passwordauthentication") or sshd.on("kbdinteractiveauthentication"))
        and sshd_config.accepts(sshd, "password", "keyboard-interactive")
    )
    return _Ways(by_key, by_password, root_login)


def _root_login(account: Account, sshd: sshd_config.Effective | None = None) -> str:
    """What PermitRootLogin means for the account; `yes` for any account but root."""
    return (sshd or account.sshd).first("permitrootlogin") if account.uid == 0 else "yes"


def _groups_instead(account: Account) -> str | None:
    """The groups by which to exempt an account whose name fits no credential and no list; None for other accounts."""
    if is_account_name(account.name):
        return None
    return " or ".join(group for group in account.groups if is_account_name(group))


# The sentences


def _subject(names: Names, is_ansible: bool) -> str:
    """The subject of a sentence; it says so if this is Ansible's own account."""
    return f"{names}, the account that Ansible connects as," if is_ansible else str(names)


def _remedies(names: Names, groups: str | None) -> str:
    """How they can keep logging in; by these groups if no file can carry their names, see `_groups_instead`."""
    if groups is None:
        return f"Enrol {names.them} with O(users), exempt {names.them} with O(exempt_users)"
    return (
        f"Neither a credential nor O(exempt_users) can hold {names.verb('this name', 'these names')}. Exempt a group "
        f"of {names.verb('the account', 'these accounts')} ({groups or 'add it to one'}) with O(exempt_groups)"
    )


def _no_credential(
    names: Names, _detail: str, host: str, services: tuple[str, ...], is_ansible: bool, groups: str | None
) -> str:
    leave = "leave O(ssh) false" if "sshd" in services else f"leave {' and '.join(services)} out of O(services)"
    return (
        f"{_subject(names, is_ansible)} {names.verb('has', 'have')} no credential and would be locked out of "
        f"{' and '.join(services)} on {host}. {_remedies(names, groups)}, or {leave}."
    )


def _not_accepted(names: Names, when: str, host: str) -> str:
    """The sentence about credentials that their owners made alone."""
    user = names.verb(names.them, "NAME")
    return (
        f"{names} enrolled on {host}{when} with nothing but the first factor. It may have been somebody else, so the "
        f"credential is not proven yet. Ask {names.them}, and accept {names.verb('it', 'each')}: ansible-playbook "
        f"fleet.auth.accept -e user={user}. If it was somebody else, change the password, and remove the credential "
        "with state: absent in O(users)."
    )


def _no_proof(names: Names, _detail: str, host: str) -> str:
    log_in, sheet = names.verb("logs in", "log in"), names.verb("the enrolment sheet", "their enrolment sheets")
    user, code = names.verb(names.them, "NAME"), names.verb("a code", "a code of each")
    return (
        f"{names} {log_in} to sshd on {host}, but no code of {names.them} was right there yet. Run with O(ssh) false, "
        f"hand out {sheet}, and prove {code}: ansible-playbook fleet.auth.verify -e user={user}. Or vouch for "
        f"{names.them} with proven: true in O(users), or for everyone with O(require_proof): false."
    )


def _keys_alone(names: Names, _detail: str, host: str, services: tuple[str, ...]) -> str:
    asking = " and ".join(services)
    return (
        f"{names} {names.verb('logs', 'log')} in with security keys alone, {names.verb('has', 'have')} no credential, "
        f"and would be locked out of {asking} on {host}, where ssh keys do not help. Give {names.them} a code "
        f"as well, with secret in O(users), or leave {asking} out of O(services)."
    )


def _no_declared_key(names: Names, _detail: str, host: str, is_ansible: bool) -> str:
    return (
        f"{_subject(names, is_ansible)} must log in to sshd on {host} with security keys alone, but none is declared: "
        f"{names.verb(names.them, 'they')} would be locked out. Declare a key with security_keys in O(users), or take "
        f"{names.them} out of O(security_keys_only_groups)."
    )


def _no_key_of_its_own(names: Names, _detail: str, host: str) -> str:
    return (
        f"{names} {names.verb('logs', 'log')} in to sshd on {host} with declared security keys alone. Without "
        f"security_keys_only, sshd reads other files, which have no key of {names.them}: "
        f"{names.verb(names.them, 'they')} would be locked out. Put a key into authorized_keys first, or leave "
        "security_keys_only on."
    )


def _root_by_key(names: Names, _detail: str, host: str, root_login: str, line: str, is_ansible: bool) -> str:
    them = names.them
    return (
        f"{_subject(names, is_ansible)} {names.verb('logs in', 'log in')} to sshd on {host} with a key alone, and with "
        f"PermitRootLogin {root_login} ({line}) sshd refuses a key together with a code: {names.verb(them, 'they')} "
        f"would be locked out. Exempt {them} with O(exempt_users), or enrol {them} and set PermitRootLogin yes."
    )


def _other_factor(
    names: Names, _detail: str, host: str, by_key: bool, allowed: tuple[str, ...], is_ansible: bool
) -> str:
    them, (has, needs) = names.them, ("key", "publickey") if by_key else ("password", "password")
    return (
        f"{_subject(names, is_ansible)} {names.verb('logs in', 'log in')} to sshd on {host} with a {has} only, which "
        f"O(ssh_first_factors) ({', '.join(allowed)}) does not allow: {names.verb(them, 'they')} would be locked out. "
        f"Add {needs} to O(ssh_first_factors), give {them} the other factor, or exempt {them} with O(exempt_users)."
    )


def _seen(names: Names, day: str, host: str, how: str) -> str:
    """The beginning of a sentence about accounts with past logins; with the day, if it is about one account."""
    return f"{names} {names.verb('has', 'have')} logged in to sshd on {host} {how}{day or 'lately'}"


def _seen_without_credential(names: Names, day: str, host: str, how: str, groups: str | None) -> str:
    return (
        f"{_seen(names, day, host, how)}, {names.verb('has', 'have')} no credential, and would be locked out. "
        f"{_remedies(names, groups)}, or leave O(ssh) false. If nobody logs in as {names.them} any more, set "
        f"O(seen_days) to fewer days, to ignore these logins."
    )


def _seen_by_other_method(names: Names, day: str, host: str, how: str, allowed: tuple[str, ...]) -> str:
    them = names.them
    return (
        f"{_seen(names, day, host, how)}, but with two-factor login sshd accepts only {' or '.join(allowed)} before "
        f"the code: {names.verb(them, 'they')} would be locked out. Give {them} such a factor and log in with it once, "
        f"or exempt {them} with O(exempt_users) or O(exempt_groups)."
    )


def _comes_from_exempt_address(situation: Situation, account: Account) -> bool:
    """Whether this is Ansible's own account and its address is exempt. All others may come from anywhere."""
    connection = situation.state.connection
    return connection is not None and connection.user == account.name and situation.settings.exempts(connection.address)


def _seen_with_password(state: HostState) -> set[str]:
    """The accounts that recently logged in with a password anywhere: it works at every service that asks for one."""
    return {name for (name, _service), logins in state.logins.items() if any(map(_by_password, logins))}


def _by_password(login: Login) -> bool:
    """Whether a password was typed for this login."""
    return _FACTORS.get(login.method.partition("/")[0]) == "password"


def _accepts_password(state: HostState, account: Account, service: str) -> bool:
    """Whether a service accepts a password of this account. Cockpit has a list of accounts that it refuses."""
    disallowed = (state.text(places.COCKPIT_DISALLOWED) or "").split()
    return not (service == "cockpit" and account.name in disallowed)
