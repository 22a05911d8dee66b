# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The refusals: sentences that say why a host is not changed, what is wrong there, and what to do. Pure."""

from __future__ import annotations

import typing as t

from .. import _places as places
from .._backends import backends
from .._host.state import WRITTEN_AT_LOGIN, HostState
from .._texts import drop_in, sshd_config
from .._texts.sshd_start import Start
from . import credentials, locked_out, people
from .changes import Change, Edit, Expectation, MakeDirectory, Write
from .situation import Situation

# The types of a directory in /etc and /run for which nobody has chosen a type.
_SELINUX_DEFAULTS = ("etc_t", "var_run_t")


def timer(situation: Situation) -> t.Iterator[str]:
    """Refuse if a rollback timer is wanted and systemd, which would start it, does not run."""
    settings, state = situation
    if settings.rollback_after and not state.has_systemd:
        yield (
            f"systemd does not run on {state.hostname}, so no timer can roll the change back if nobody gets in "
            "afterwards. Set O(rollback_after) to 0 to go on without a timer."
        )


def host(situation: Situation) -> t.Iterator[str]:
    """Refuse what the host itself lacks, apart from packages, which the role installs."""
    settings, state = situation
    backend = backends.BACKENDS[settings.backend]
    unfit = backend.unfit(state.code_modules.get(settings.backend), state.release)
    if unfit:
        yield f"the backend {settings.backend} does not work on {state.hostname}: {unfit}."
    for path in sorted(state.foreign_files):
        yield (
            f"{path} on {state.hostname} is not a file of fleet.auth, which needs this path. Move it to another path, "
            "change what refers to it, and run again."
        )
    yield from timer(situation)
    yield from settings_to_lose(state)
    yield from selinux(situation)
    yield from _outdated_units(situation)
    if state.read_only_to_polkit:
        paths = " and ".join(state.read_only_to_polkit)
        yield (
            f"polkit on {state.hostname} checks codes in a unit of systemd that may not write to {paths}, so right "
            f"codes would be denied, and count as wrong ones. Run 'systemctl edit {places.POLKIT_UNIT}', add the lines "
            f"'[Service]' and 'ReadWritePaths=-{' -'.join(state.read_only_to_polkit)}', or leave polkit-1 out of "
            "O(services)."
        )
    if state.systemd_error:
        yield (
            f"systemd on {state.hostname} does not say how it starts sshd and other ways in: "
            f"{sentence(state.systemd_error)} Run 'systemctl show ssh.service' there until it answers, and run again."
        )
    if settings.self_service and not state.has_systemd:
        yield (
            f"O(self_service) needs a socket of systemd, which does not run on {state.hostname}. Leave O(self_service) "
            "false."
        )


def settings_to_lose(state: HostState) -> t.Iterator[str]:
    """Refuse to lose settings, such as a port of sshd, that somebody has added to our drop-in."""
    for number, line in drop_in.foreign_lines(state.own_text(places.DROP_IN) or ""):
        yield (
            f"{places.DROP_IN} on {state.hostname}, line {number}, is a setting that fleet.auth has not written, and a "
            f"change would lose it: {line!r}. Move it to another file in {places.DROP_IN_DIRECTORY}, and run again."
        )


def selinux(situation: Situation) -> t.Iterator[str]:
    """Refuse directories to which SELinux would not let sshd write, because they have the type of their parent."""
    settings, state = situation
    if state.selinux_types is None:
        return
    # Up to and including release 9, the policy uses the older path of /run.
    is_older = state.release[1].partition(".")[0] in ("8", "9")
    for path in (backends.BACKENDS[settings.backend].DIRECTORY, places.RUN_DIRECTORY):
        current, wanted = state.selinux_types.get(path, "none yet"), WRITTEN_AT_LOGIN[path]
        if current in (*_SELINUX_DEFAULTS, "none yet"):
            pattern = f"/var{path}" if is_older and path == places.RUN_DIRECTORY else path
            yield (
                f"SELinux on {state.hostname} would keep sshd from writing to {path} (type {current}), which it has to "
                f"do at each code. Run there: mkdir -p {path}; semanage fcontext -a -t {wanted} "
                f"'{pattern}(/.*)?'; restorecon -R {path}."
            )


def _outdated_units(situation: Situation) -> t.Iterator[str]:
    """Refuse units whose files systemd has not read yet: it is not known how they will start their program."""
    settings, state = situation
    programs = dict.fromkeys((one.outdated for one in state.cockpit_starts if one.outdated), "Cockpit")
    programs.update(dict.fromkeys(state.outdated_units if settings.ssh else (), "sshd"))
    for unit, program in programs.items():
        yield (
            f"the files of {unit} on {state.hostname} have changed since systemd read them, so {program} may be "
            "started in another way from the next boot on. Run 'systemctl daemon-reload' there, and run again."
        )


def files(state: HostState, changes: t.Collection[Change]) -> t.Iterator[str]:
    """Refuse if something else is in the place of a needed file or directory, or a changed file has a hard link."""
    kinds = {change.path: "file" for change in changes if isinstance(change, Write)}
    kinds.update({change.path: "directory" for change in changes if isinstance(change, MakeDirectory)})
    for path, needed in kinds.items():
        existing = state.files.get(path)
        # A link in the place of a file of ours is replaced.
        if existing and (existing.kind or "file") != needed and not (existing.link and needed == "file"):
            yield (
                f"{path} on {state.hostname} is a {existing.kind or 'file'}, and fleet.auth needs a {needed} of that "
                "name. Move it away, and run again."
            )
    for path in dict.fromkeys(change.path for change in changes if isinstance(change, Edit)):
        file = state.files.get(path)
        if file and file.names > 1:
            yield (
                f"{path} on {state.hostname} has a second hard link, which a change of the file would not reach. Find "
                f"it with 'find /etc -xdev -samefile {path}', and remove it, or make it a copy."
            )


def modules(state: HostState, changes: t.Iterable[Change]) -> t.Iterator[str]:
    """Refuse PAM files of ours that need a module which is not installed, because they would deny everybody.

    The modules that ask for codes are left out, because the role installs them.
    """
    own = [one for one in changes if isinstance(one, Write) and not isinstance(one, Edit)]
    texts = [one.content for one in own if one.path.startswith(f"{places.PAM_D}/")]
    asking = {one.MODULE for one in backends.BACKENDS.values()}
    missing = [name for name in state.missing_modules("".join(texts)) if name not in asking]
    if missing:
        are = "are" if missing[1:] else "is"
        yield (
            f"{' and '.join(missing)} {are} missing on {state.hostname}, so everybody who needs a code would be "
            "denied. Install the package that contains it (Debian: libpam-modules, RHEL: pam), and run again."
        )


def sshd(situation: Situation) -> t.Iterator[str]:
    """Refuse a configuration of sshd that prevents codes, or with which the change would open a closed door."""
    settings, state = situation
    files, host = state.sshd_files(), state.hostname
    if any(sshd.error for sshd in state.sshds):
        for sshd in state.sshds:
            if sshd.error:
                yield f"sshd{_start_of(sshd.start)} on {host} does not report its settings: {sentence(sshd.error)}"
        return
    conflicts = [
        f"on {host}, {conflict}"
        for sshd in state.sshds
        for conflict in drop_in.conflicts(state.sshd_files(sshd.start), sshd.any_account, settings)
    ]
    yield from dict.fromkeys(conflicts)
    if settings.declared_keys and "pubkeyauthoptions" not in state.sshds[0].any_account:
        holders = tuple(sorted(settings.declared_keys))
        yield people.Sentence(
            f"sshd on {host} cannot ask for the PIN of a security key: it is older than OpenSSH 8.4. Leave "
            f"security_keys out for {people.Names(holders)}.",
            holders,
        )
    root = state.root
    if situation.keys_only(root) and root.sshd.first("permitrootlogin") == "forced-commands-only":
        yield (
            f"sshd on {host} lets root in only for a command that is written beside its key "
            f"({sshd_config.setting_line(files, 'PermitRootLogin')}), and the list of declared security keys has no "
            "commands. Leave security_keys_only off for root, or set PermitRootLogin prohibit-password."
        )
    for sshd in state.sshds if settings.exempt_addresses else ():
        if sshd.any_account.on("usedns"):
            # PAM accepts any address to which the name resolves.
            line = sshd_config.setting_line(state.sshd_files(sshd.start), "UseDNS")
            yield (
                f"sshd{_start_of(sshd.start)} on {host} gives PAM the host names of clients ({line}), and the owner of "
                "a name can point it at an exempt address. Set UseDNS no, or leave O(exempt_addresses) out."
            )
    factors = settings.ssh_first_factors
    if "publickey" in factors and not _is_on_for_anybody(situation, "pubkeyauthentication"):
        yield (
            f"sshd on {host} accepts no keys ({sshd_config.setting_line(files, 'PubkeyAuthentication')}). "
            "Set PubkeyAuthentication yes, or O(ssh_first_factors) to [password]."
        )
    accepts_passwords = _is_on_for_anybody(situation, "passwordauthentication", "kbdinteractiveauthentication")
    if "password" in factors and not accepts_passwords and state.text(places.DROP_IN) is None:
        yield (
            f"sshd on {host} accepts no passwords today ({sshd_config.setting_line(files, 'PasswordAuthentication')}), "
            "but would accept a password with a code afterwards. Set O(ssh_first_factors) to [publickey]."
        )
    account, effective = state.accounts.get(state.ansible_user or ""), state.connection_sshd
    if account and effective is not None and not sshd_config.admits(effective, account.name, account.groups):
        yield (
            f"{account.name}, the account that Ansible connects as, is not admitted by the files of sshd on {host} "
            "(DenyUsers, AllowUsers, DenyGroups or AllowGroups), which sshd has not read yet: a reload would lock "
            f"{account.name} out. Let {account.name} in there first."
        )


def _is_on_for_anybody(situation: Situation, *keywords: str) -> bool:
    """Whether one of these is on in sshd for anybody who will be asked; the settings for root apply to root only."""
    accounts = situation.state.accounts
    asked = [one for one in accounts.values() if one.uid and situation.in_scope(one)] or [situation.state.root]
    return any(one.sshd.on(keyword) for one in asked for keyword in keywords)


def become(situation: Situation) -> t.Iterator[str]:
    """Refuse a change that would keep Ansible from becoming root: it answers a password prompt, but no code prompt.

    With sudo -p both prompts even read the same. If the service asks for codes already, nothing more can be lost.
    """
    settings, state = situation
    account = state.accounts.get(state.ansible_user or "")
    if not account or not state.connection or account.uid == 0:
        return
    root, programs = state.root, state.connection.programs
    by_systemd = next((program for program in places.ASKING_SYSTEMD if program in programs), "")
    # su wants the password of root, and so root's code; under sudo it wants none.
    by_su = "su" in programs and not {"sudo", "doas"}.intersection(programs[programs.index("su") :])
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
                f"{account.name}, the account that Ansible connects as, becomes root on {state.hostname} by {program} "
                f"with a password, but Ansible cannot answer {service}'s second prompt, for the code: each try would "
                f"fail, and count as a wrong code. Exempt {whose.name} with O(exempt_users), {instead}, or leave "
                f"{service} out of O(services)."
            )


def enrolments(situation: Situation, revised: t.Mapping[str, str]) -> t.Iterator[str]:
    """Refuse to ask people for a code that their apps may not show.

    `revised` are the new texts of the credential files.
    """
    settings, state = situation
    others = credentials.with_other_codes(situation, revised)
    if others and settings.renew != "changed":
        yield people.Sentence(
            f"codes on {state.hostname} would become {settings.otp_digits} digits long, a new one every "
            f"{settings.interval} seconds, but the apps of {people.Names(tuple(others))} show other ones. Set "
            "O(renew) to changed to go on, and hand out their new enrolment sheets; their secrets stay.",
            tuple(others),
        )
    on_paper = credentials.with_void_recovery_codes(situation, revised)
    if on_paper and settings.renew != "changed":
        yield people.Sentence(
            f"the {settings.backend} backend would make new recovery codes on {state.hostname}, and those on the "
            f"paper of {people.Names(tuple(on_paper))} would no longer be valid. Set O(renew) to changed to go on, "
            "and hand out their new enrolment sheets.",
            tuple(on_paper),
        )
    twice = (name for name, text in revised.items() if credentials.has_one_key_twice(situation, name, text))
    yield from people.sentences((name, people.Reason(_one_key_twice, (state.hostname,))) for name in twice)
    if settings.ssh and settings.require_proof:
        enforced = state.asks_at("sshd")
        asked = (one.name for one in state.accounts.values() if enforced and sshd_config.sends_to_pam(one.sshd))
        vouched_for = (user.name for user in settings.users if user.proven)
        yield from people.sentences(locked_out.unproven(situation, {*situation.proven, *asked, *vouched_for}))


def _one_key_twice(names: people.Names, _detail: str, host: str) -> str:
    return (
        f"two devices of {names.verb('', 'each of ')}{names} on {host} would have the same secret, and each of its "
        "codes would be valid twice. Give each device a secret of its own, or none."
    )


def clock(situation: Situation) -> t.Iterator[str]:
    """Refuse a clock that is not in sync, if two-factor login is off. Once it is on, turning it off helps nobody."""
    if situation.clock_fault and not situation.state.asks_for_code:
        yield (
            f"{situation.clock_fault}. Codes depend on the time, so two-factor login was not turned on. "
            f"{_remedy_for_the_clock(situation.state)}"
        )


def _remedy_for_the_clock(state: HostState) -> str:
    """What to do about the clock. A container has no clock of its own."""
    if state.container and state.time_sync is not None and state.time_sync.service is None:
        return (
            f"{state.hostname} is a container ({state.container}), which uses the clock of the machine that it runs "
            "on. See that a time service there keeps it in sync, and say so with O(time_sync): {required: false}."
        )
    known = "chrony, ntpsec or systemd-timesyncd"
    # openntpd never reports how far off the clock may be, however well it is set up.
    vague = state.time_sync is not None and state.time_sync.service == "openntpd"
    instead = f"Install {known} in place of openntpd," if vague else f"Start {known}"
    return f"{instead} with a server that it reaches, or set O(time_sync): {{required: false}}."


def sentence(text: str) -> str:
    """A text from elsewhere, such as an error message, with one full stop at its end."""
    return f"{text.strip().rstrip('.')}."


def _start_of(start: Start) -> str:
    """What a message says of an sshd that is not started in the usual way; empty for one that is."""
    return f", as {start.source} starts it ({' '.join(start.words)})," if start.words else ""


def expectations(state: HostState, expected: t.Iterable[Expectation]) -> t.Iterator[str]:
    """Refuse if sshd does not do what its drop-in says, though that is right already."""
    views = {tuple(sshd.start.words): sshd.views for sshd in state.sshds}
    for expectation in expected:
        start = expectation.start
        effective = views[tuple(start.words)][expectation.origin][expectation.user]
        wrong = [keyword for keyword, value in expectation.settings.items() if effective.get(keyword, ()) != value]
        if wrong:
            yield (
                f"sshd{_start_of(start)} on {state.hostname} does not do for {expectation.user} what {places.DROP_IN} "
                f"says ({', '.join(wrong)}): another part of its configuration wins. See "
                f"'{' '.join(['sshd', *start.words])} -T -C {expectation.connection_spec}'."
            )
