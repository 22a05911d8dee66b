# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of a change, in sentences for a person: what is wrong, where, and what to do. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._backends import backends
from .._host.state import WRITTEN_AT_LOGIN, HostState
from .._texts import drop_in, sshd_config
from .._texts.sshd_start import Start
from .._wanted.bounds import is_account_name
from . import credentials, locked_out, people
from .changes import Change, Edit, Expectation, MakeDirectory, Write
from .situation import Situation

# What a directory has in /etc and /run where nobody has chosen a type for it.
_SELINUX_DEFAULTS = ("etc_t", "var_run_t")


def timer(situation: Situation) -> t.Iterator[str]:
    """A rollback timer that is wanted, and cannot be had because systemd does not run."""
    settings, state = situation
    if settings.rollback_after and not state.has_systemd:
        yield (
            f"systemd does not run on {state.hostname}, so no timer can put the host back if nobody gets in "
            "afterwards. Set O(rollback_after) to 0 to go on without one."
        )


def host(situation: Situation) -> t.Iterator[str]:
    """What the host itself lacks, apart from packages, which the role installs."""
    settings, state = situation
    backend = backends.BACKENDS[settings.backend]
    unfit = backend.unfit(state.code_modules.get(settings.backend), state.release)
    if unfit:
        yield f"{settings.backend} is no backend for {state.hostname}: {unfit}."
    for path in sorted(state.foreign_files):
        yield (
            f"{path} on {state.hostname} is not a file of fleet.auth, which needs that name. Move it to another one, "
            "with what refers to it, and run again."
        )
    yield from timer(situation)
    yield from selinux(situation)
    if settings.self_service and not state.has_systemd:
        yield (
            f"O(self_service) is a socket of systemd, which does not run on {state.hostname}. Leave O(self_service) "
            "false."
        )


def selinux(situation: Situation) -> t.Iterator[str]:
    """Directories that sshd may not write to where SELinux is enforced, because they have the type of their parent."""
    settings, state = situation
    if state.selinux_types is None:
        return
    # Until release 9 the policy names /run by its older path.
    is_older = state.release[1].partition(".")[0] in ("8", "9")
    for path in (backends.BACKENDS[settings.backend].DIRECTORY, places.RUN_DIRECTORY):
        found, wanted = state.selinux_types.get(path, "none yet"), WRITTEN_AT_LOGIN[path]
        if found in (*_SELINUX_DEFAULTS, "none yet"):
            pattern = f"/var{path}" if is_older and path == places.RUN_DIRECTORY else path
            yield (
                f"SELinux on {state.hostname} would keep sshd from writing to {path} (type {found}), and so from "
                f"asking for codes rightly. Run there: mkdir -p {path}; semanage fcontext -a -t {wanted} "
                f"'{pattern}(/.*)?'; restorecon -R {path}."
            )


def files(state: HostState, changes: t.Collection[Change]) -> t.Iterator[str]:
    """What is in place of a file or of a directory that is needed, and files that would not be as before."""
    made = {change.path: "file" for change in changes if isinstance(change, Write)}
    made.update({change.path: "directory" for change in changes if isinstance(change, MakeDirectory)})
    for path, needed in made.items():
        found = state.files.get(path)
        # A link in place of a file of ours is replaced.
        if found and (found.kind or "file") != needed and not (found.link and needed == "file"):
            yield (
                f"{path} on {state.hostname} is a {found.kind or 'file'}, and fleet.auth needs a {needed} of that "
                "name. Move it away, and run again."
            )
    for path in dict.fromkeys(change.path for change in changes if isinstance(change, Edit)):
        file = state.files.get(path)
        if file and file.names > 1:
            yield (
                f"{path} on {state.hostname} has another name as well, a hard link, which a change of it would leave "
                f"behind. Find it with 'find /etc -xdev -samefile {path}', and remove it, or make it a copy."
            )


def accounts(situation: Situation) -> t.Iterator[str]:
    """Users and groups that the host does not have, and credentials that would let nobody in."""
    settings, state = situation
    strangers = [user.name for user in settings.users if user.present and user.name not in state.accounts]
    yield from people.together((name, people.Reason(_no_account, (state.hostname,))) for name in strangers)
    for group in settings.scope_groups:
        if group not in state.groups:
            yield (
                f"O(scope_groups): there is no group {group} on {state.hostname}, so nobody would need a code. Make "
                "the group, or leave it out."
            )
    for group in settings.security_keys_only_groups:
        if group not in state.groups:
            yield (
                f"O(security_keys_only_groups): there is no group {group} on {state.hostname}. Create it first, or "
                "leave it out."
            )
    yield from _other_groups(situation)
    yield from people.together(_exempt_and_keys_only(situation))
    if settings.scope == "enrolled":
        odd = [name for name in sorted(situation.enrolled_afterwards) if not is_account_name(name)]
        if odd:
            # As Python writes them, since they may hold anything.
            files = people.Names(tuple(repr(backends.credential_path(state.backend, name)) for name in odd))
            yield people.Sentence(_odd_names(files, state.hostname), tuple(map(repr, odd)))
    yield from people.together(_other_names(situation))
    yield from _in_no_group(situation)
    yield from people.together(credentials.problems(situation))


def _other_groups(situation: Situation) -> t.Iterator[str]:
    """Groups by a name that is not the one of their number, by which sshd and a look at the host tell them."""
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
                    f"O({option}): {group} on {state.hostname} is another name of the group {known}, which has its "
                    f"number, and sshd knows its members by {known} alone. Name {known} in its place, or give {group} "
                    "a number of its own."
                )


def _exempt_and_keys_only(situation: Situation) -> t.Iterator[tuple[str, people.Reason]]:
    """Who shall log in with security keys alone, and is in a group that is exempt from that."""
    settings, state = situation
    for name in settings.keys_only_users:
        groups = state.accounts[name].groups if name in state.accounts else ()
        exempt = sorted(set(settings.exempt_groups).intersection(groups))
        if exempt:
            yield name, people.Reason(_exempt_anyhow, (state.hostname, tuple(exempt)))


def _exempt_anyhow(names: people.Names, _detail: str, host: str, groups: tuple[str, ...]) -> str:
    return (
        f"{names} on {host} {names.verb('has', 'have')} security_keys_only, and "
        f"{names.verb('is a member', 'are members')} of {' and '.join(groups)}, which O(exempt_groups) lets in by "
        "other ways. Leave one of them out."
    )


def _odd_names(files: people.Names, host: str) -> str:
    return (
        f"{files} on {host} {files.verb('is the credential of a name', 'are credentials of names')} that PAM or sshd "
        f"cannot have. Remove {files.verb('it', 'them')}, or set O(scope) to everyone or groups."
    )


def _in_no_group(situation: Situation) -> t.Iterator[str]:
    """People whom sshd counts into no group at all, so that it cannot tell that they are in none that is exempt."""
    settings, state = situation
    if not settings.ssh or not settings.exempt_groups or settings.scope == "groups":
        return
    found = [
        account.name
        for account in state.accounts.values()
        if not account.groups
        and (
            account.name in situation.enrolled_afterwards
            or (settings.scope == "everyone" and locked_out.may_log_in(state, account))
        )
    ]
    yield from people.together((name, people.Reason(_no_group, (state.hostname,))) for name in found)


def _no_group(names: people.Names, _detail: str, host: str) -> str:
    return (
        f"{names} {names.verb('is', 'are')} in no group that has a name on {host}, and sshd cannot tell that such an "
        f"account is in none of O(exempt_groups): {names.verb('it', 'they')} could not log in. Put {names.them} into a "
        "group, or have O(exempt_users) in place of O(exempt_groups)."
    )


def _other_names(situation: Situation) -> t.Iterator[tuple[str, people.Reason]]:
    """Second names of accounts that need a code, by which the groups would let them in without one."""
    settings, state = situation
    if settings.scope != "groups":
        return
    names = {account.uid: account.name for account in state.accounts.values() if situation.in_scope(account)}
    for account in state.accounts.values():
        exempt = account.name in settings.exempt_users or set(account.groups) & set(settings.exempt_groups)
        known = account.has_password or account.has_key
        if known and not exempt and account.uid in names and not situation.in_scope(account):
            whose = f"{names[account.uid]} by another name (uid {account.uid})"
            yield account.name, people.Reason(_other_name, (state.hostname,), whose)


def _other_name(names: people.Names, whose: str, host: str) -> str:
    are = whose or "further names of accounts that need a code ('getent passwd' shows by their numbers of which)"
    it, them = names.verb("it", "they"), names.verb("it", "them")
    return (
        f"{names} on {host} {names.verb('is', 'are')} {are}, and in none of O(scope_groups): {it} would get in as "
        f"{names.verb('that account', 'those')} with no code. Make {names.them} {names.verb('a member', 'members')} of "
        f"a group of O(scope_groups) and enrol {them} as well, exempt {them} with O(exempt_users), or remove {them}."
    )


def _no_account(names: people.Names, _detail: str, host: str) -> str:
    there, it = names.verb("is no account", "are no accounts"), names.verb("it", "them")
    return f"there {there} {names} on {host}. Create {it} first, or take {names.them} out of O(users)."


def sshd(situation: Situation) -> t.Iterator[str]:
    """What in the configuration of sshd keeps it from asking for a code, or would open a door that is closed today."""
    settings, state = situation
    files, host = state.sshd_files(), state.hostname
    if any(sshd.error for sshd in state.sshds):
        for sshd in state.sshds:
            if sshd.error:
                yield f"sshd{_started(sshd.start)} on {host} does not tell its settings: {sentence(sshd.error)}"
        return
    root = state.accounts["root"].sshd
    told = [
        f"on {host}, {conflict}"
        for sshd in state.sshds
        for conflict in drop_in.conflicts(state.sshd_files(sshd.start), sshd.any_account, settings)
    ]
    yield from dict.fromkeys(told)
    if settings.declared_keys and "pubkeyauthoptions" not in root:
        holders = tuple(sorted(settings.declared_keys))
        yield people.Sentence(
            f"sshd on {host} cannot ask for the PIN of a security key, for it is older than OpenSSH 8.4. Leave "
            f"security_keys out for {people.Names(holders)}.",
            holders,
        )
    if settings.exempt_addresses and root.on("usedns"):
        # PAM gets the name then, and takes any address that it resolves to.
        yield (
            f"sshd on {host} goes by the names of those who connect ({sshd_config.setting_line(files, 'UseDNS')}), and "
            "who owns a name can point it at an exempt address. Set UseDNS no, or leave O(exempt_addresses) out."
        )
    factors = settings.ssh_first_factors
    if "publickey" in factors and not _taken(situation, "pubkeyauthentication"):
        yield (
            f"sshd on {host} accepts no keys ({sshd_config.setting_line(files, 'PubkeyAuthentication')}). "
            "Set PubkeyAuthentication yes, or O(ssh_first_factors) to [password]."
        )
    takes_passwords = _taken(situation, "passwordauthentication", "kbdinteractiveauthentication")
    if "password" in factors and not takes_passwords and state.text(places.DROP_IN) is None:
        yield (
            f"sshd on {host} accepts no passwords today ({sshd_config.setting_line(files, 'PasswordAuthentication')}), "
            "and would then take a password with a code. Set O(ssh_first_factors) to [publickey]."
        )
    ours, effective = state.connection, state.connection_sshd
    account = state.accounts.get(ours.user) if ours else None
    if account and effective is not None and not sshd_config.admits(effective, account.name, account.groups):
        yield (
            f"{account.name}, as whom Ansible connects, is shut out by the files of sshd on {host} (DenyUsers, "
            "AllowUsers, DenyGroups or AllowGroups), which sshd has not read yet: a reload would lock it out. "
            f"Let {account.name} in there first."
        )


def _taken(situation: Situation, *keywords: str) -> bool:
    """Whether sshd has one of these on for anybody who is to be asked; what it says of root is about root alone."""
    accounts = situation.state.accounts
    asked = [one for one in accounts.values() if one.uid and situation.in_scope(one)] or [accounts["root"]]
    return any(one.sshd.on(keyword) for one in asked for keyword in keywords)


def become(situation: Situation) -> t.Iterator[str]:
    """How Ansible could become root no longer: it answers the prompt for a password, and none for a code.

    Under sudo -p both even read alike. Where the service asks for codes already, there is nothing more to lose.
    """
    settings, state = situation
    account = state.accounts.get(state.connection.user) if state.connection else None
    if not account or not state.connection or account.uid == 0:
        return
    root, by = state.accounts["root"], state.connection.programs
    by_systemd = next((program for program in places.ASKING_SYSTEMD if program in by), "")
    # su wants the password of root, and so root's code; under sudo it wants none.
    by_su = "su" in by and not {"sudo", "doas"}.intersection(by[by.index("su") :])
    asking = {*state.become_asks, *(("su", "su-l") if by_su else ())}.intersection(settings.services)
    remedies = {
        "sudo": (account, f"let sudo ask {account.name} for no password (NOPASSWD)"),
        "doas": (account, f"let doas ask {account.name} for no password (nopass)"),
        **dict.fromkeys(("su", "su-l"), (root, "become root by sudo with NOPASSWD")),
        "polkit-1": (account, f"let polkit ask {account.name} for no password (a rule)"),
    }
    for service, (whose, instead) in remedies.items():
        if service in asking and not state.asks_at(service) and situation.in_scope(whose):
            program = by_systemd if service == "polkit-1" else service
            yield (
                f"{account.name}, as whom Ansible connects, becomes root on {state.hostname} by {program} with a "
                f"password, and Ansible cannot answer {service}'s second prompt, for the code: each try would fail, "
                f"and count as a wrong code. Exempt {whose.name} with O(exempt_users), {instead}, or leave {service} "
                "out of O(services)."
            )


def enrolments(situation: Situation, revised: t.Mapping[str, str]) -> t.Iterator[str]:
    """People who would be asked for a code that their app does not show, as far as anybody knows.

    `revised` are the credential files as they will be.
    """
    settings, state = situation
    others = credentials.with_other_codes(situation, revised)
    if others and settings.renew != "changed":
        yield people.Sentence(
            f"codes on {state.hostname} would become {settings.otp_digits} digits long, a new one every "
            f"{settings.interval} seconds, and the apps of {people.Names(tuple(others))} show others. Set O(renew) to "
            "changed to go on, and hand out their new enrolment sheets; their secrets stay.",
            tuple(others),
        )
    on_paper = credentials.with_void_recovery_codes(situation, revised)
    if on_paper and settings.renew != "changed":
        yield people.Sentence(
            f"recovery codes on {state.hostname} would be made anew by the {settings.backend} backend, and those that "
            f"{people.Names(tuple(on_paper))} have on paper would not be right any more. Set O(renew) to changed to go "
            "on, and hand out their new enrolment sheets.",
            tuple(on_paper),
        )
    twice = (name for name, text in revised.items() if credentials.has_one_key_twice(situation, name, text))
    yield from people.together((name, people.Reason(_one_key_twice, (state.hostname,))) for name in twice)
    if settings.ssh and settings.require_proof:
        enforced = state.asks_at("sshd")
        asked = (one.name for one in state.accounts.values() if enforced and sshd_config.sends_to_pam(one.sshd))
        vouched_for = (user.name for user in settings.users if user.proven)
        yield from people.together(locked_out.unproven(situation, {*situation.proven, *asked, *vouched_for}))


def _one_key_twice(names: people.Names, _detail: str, host: str) -> str:
    return (
        f"two devices of {names.verb('', 'each of ')}{names} on {host} would have one secret, and each code of it "
        "would be right twice. Give each device a secret of its own, or none."
    )


def clock(situation: Situation) -> t.Iterator[str]:
    """A clock that is not in sync, where two-factor login is off. Where it is on, turning it off helps nobody."""
    if situation.clock_fault and not situation.state.asks_for_code:
        yield (
            f"{situation.clock_fault}. Codes depend on the time, so two-factor login was not turned on. "
            f"{_remedy_for_the_clock(situation.state)}"
        )


def _remedy_for_the_clock(state: HostState) -> str:
    """What to do about the clock, which a container does not have for itself."""
    if state.container and state.time_sync is not None and state.time_sync.service is None:
        return (
            f"{state.hostname} is a container ({state.container}), which has the clock of the machine that it runs on. "
            "See that a time service keeps that one in sync, and say so with O(time_sync): {required: false}."
        )
    known = "chrony, ntpsec or systemd-timesyncd"
    # Which never tells what is asked of a time service, however well it is set up.
    vague = state.time_sync is not None and state.time_sync.service == "openntpd"
    instead = f"Install {known} in place of openntpd," if vague else f"Start {known}"
    return f"{instead} with a server that it reaches, or set O(time_sync): {{required: false}}."


def sentence(text: str) -> str:
    """A text that somebody else wrote, with one full stop at its end."""
    return f"{text.strip().rstrip('.')}."


def _started(start: Start) -> str:
    """What tells an sshd from one that is started as usual, for a message."""
    return f", as {start.source} starts it ({' '.join(start.words)})," if start.words else ""


def expectations(state: HostState, expected: t.Iterable[Expectation]) -> t.Iterator[str]:
    """What sshd does otherwise than its drop-in, which is right already, says."""
    views = {tuple(sshd.start.words): sshd.views for sshd in state.sshds}
    for expectation in expected:
        start = expectation.start
        effective = views[tuple(start.words)][expectation.origin][expectation.user]
        wrong = [keyword for keyword, value in expectation.settings.items() if effective.get(keyword, ()) != value]
        if wrong:
            yield (
                f"sshd{_started(start)} on {state.hostname} does not do for {expectation.user} what {places.DROP_IN} "
                f"says ({', '.join(wrong)}): another part of its configuration wins. See "
                f"'{' '.join(['sshd', *start.words])} -T -C {expectation.connection_spec}'."
            )
