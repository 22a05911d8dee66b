# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code step: the file /etc/pam.d/twofactor, which every protected service includes; pam.conf(5).

It defines who is asked for a code, which module asks, and after how many wrong codes the code step closes. From the
top, its lines are::

    auth [success=N …] pam_succeed_if.so quiet user = NAME         let off by twofactor-recover, one line per account
    auth [success=N …] pam_succeed_if.so quiet service in LIST     passed while a service is added or removed
    auth [success=N …] pam_succeed_if.so quiet user in LIST        exempt users
    auth [success=N …] pam_succeed_if.so quiet user ingroup LIST   exempt groups
    auth [perm_denied=N …] pam_access.so accessfile=FILE …         exempt origins
    auth [success=N …] pam_succeed_if.so quiet user notingroup …   scope by groups; or `user notin LIST`, by names; and
                                                                   `uid notin LIST`, for their other names
    auth [success=ignore default=1] pam_exec.so …                  whether sshd would answer with the password itself
    auth [default=die] pam_deny.so                                 if so: neither asked nor counted
    auth [success=1 default=ignore] pam_succeed_if.so quiet service in …   unless a daemon asks:
    auth [… default=die] pam_exec.so …                             whether the limits of the caller let it count
    auth […] pam_faillock.so preauth …                             the tally of wrong codes
    auth [success=1 default=ignore] MODULE …                       the module that asks for the code
    auth […] pam_faillock.so …                                     the tally again: one more wrong code, or none

A jump by N skips all lines that follow.
"""

from __future__ import annotations

import functools
import re
import typing as t

from .. import _places as places
from .._wanted.settings import Lockout, Settings
from .pam_conf import INCLUDES, WORD, is_continued, rule_of
from .succeed_if import jump_line, lists, skipped_if_any, skipped_outside_groups, skipped_unless_named

_HEADER = f"# The code step of two-factor login. {places.MARK}: changes made here are lost.\n"
PASS_THROUGH = _HEADER + "auth [default=ignore] pam_permit.so\n"
"""A code step that changes nothing: a service with it lets in the same logins as without it."""

_PASS_THROUGHS = (["auth [default=ignore] pam_permit.so"], ["auth required pam_permit.so"])
"""The lines of a pass-through, as this release and as release 1.0 write them."""
_NOT_ASKING = ("pam_access.so", "pam_deny.so", "pam_exec.so", "pam_faillock.so", "pam_permit.so", "pam_succeed_if.so")
_DENYING_PASSWORD_METHOD = (
    f"auth [success=ignore default=1] pam_exec.so quiet {places.PASSWORD_METHOD}",
    "auth [default=die] pam_deny.so",
)
_CHECKING_LIMITS = (
    jump_line("service in sshd:cockpit:login:remote:twofactor-code", 1),
    f"auth [success=ignore ignore=ignore default=die] pam_exec.so quiet stdout seteuid {places.LIMITS_SUFFICE}",
)
"""Deny if wrong codes could not be counted. Daemons have the limits of the host; other programs, those of a person.

With `stdout`, pam_exec needs two free file descriptors, as many as pam_faillock needs to count.
"""
_GONE, _EMPTY, _PERMITS = "gone", "empty", "of pam_permit.so alone"
_NOT_OURS = "not as it was written, from line {} on"
_IN_FRONT = r"auth \[success=(\w+) default=ignore\] pam_succeed_if\.so quiet (?:user =|service in) \S+"


class CodeStep(t.NamedTuple):
    """The contents of the code step. Without a module it is a pass-through, which asks nobody.

    It can only deny. None of its lines counts as a success, because the first factor of a service may decide nothing
    after a wrong password: the login is then denied at the end of the stack only if no module has succeeded. So a login
    that needs no code jumps over the remaining lines, and a jump decides nothing. (The lines of release 1.0 had `done`
    instead, which does count as a success.) Only a rule that succeeds lets anybody skip the code. If a rule or a list
    is damaged, everyone is asked.
    """

    recovered: tuple[str, ...] = ()
    """The accounts that twofactor-recover has let off."""
    excepted_services: tuple[str, ...] = ()
    """The services that it passes while they are being added or removed."""
    exempt_users: tuple[str, ...] = ()
    exempt_groups: tuple[str, ...] = ()
    origins: str = ""
    """The file of access.conf(5) with the origins that are exempt; empty where none are."""
    scope_groups: tuple[str, ...] = ()
    """The groups whose members it asks; none unless it selects accounts by group."""
    names: frozenset[str] | None = None
    """The accounts that it asks; None unless it selects accounts by name."""
    member_names: frozenset[str] = frozenset()
    """If it selects by group: the accounts that were members. Under these names, membership alone decides."""
    uids: frozenset[int] = frozenset()
    """The numbers of the accounts that it asks, under whatever other name they log in."""
    denies_password_method: bool = False
    """Whether it denies logins by sshd's method `password` without asking: sshd would give the password as the code."""
    module: str = ""
    """The PAM module that asks for the code, such as `pam_oath.so`."""
    arguments: str = ""
    """The arguments of that module, as they are in the file."""
    lockout: Lockout | None = None
    """When wrong codes close it; None if the file does not say."""
    damage: str = ""
    """What is wrong with the text; empty where it is as this release, or release 1.0, writes it.

    A damaged code step may not ask all those whom it seems to ask.
    """

    @classmethod
    def wanted(
        cls,
        settings: Settings,
        enrolled: t.Iterable[str],
        module_line: str,
        suffix: str = "",
        uids: t.Iterable[int] = (),
    ) -> CodeStep:
        """The code step for these settings.

        `enrolled` are the accounts in scope where the scope is `enrolled` or `groups`, and `uids` their numbers.
        `module_line` is the module with its arguments. `suffix` is added to the name of the file of exempt origins.
        """
        module, _space, arguments = module_line.partition(" ")
        numbers = frozenset(uids)
        return cls(
            exempt_users=settings.exempt_users,
            exempt_groups=settings.exempt_groups,
            origins=f"{places.EXEMPT_ORIGINS}{suffix}" if settings.exempt_addresses else "",
            scope_groups=settings.scope_groups if settings.scope == "groups" else (),
            names=frozenset(enrolled) if settings.scope == "enrolled" else None,
            member_names=frozenset(enrolled) if settings.scope == "groups" and numbers else frozenset(),
            uids=numbers if settings.scope != "everyone" else frozenset(),
            denies_password_method=settings.ssh,
            module=module,
            arguments=arguments,
            lockout=settings.lockout,
        )

    @staticmethod
    def parse(text: str | None) -> CodeStep:
        """Read a code step; `text` is None where the file does not exist. Never raises: see `damage`."""
        return _parse(text)

    def render(self) -> str:
        """The text of the file."""
        if not self.module:
            return PASS_THROUGH
        text = _HEADER + "".join(f"{line}\n" for line in self._lines())
        if self.excepted_services:
            text = except_services(text, self.excepted_services)
        for name in reversed(self.recovered):
            text = f"{jump_line(f'user = {name}', len(_rules(text)))}\n{text}"
        return text

    @property
    def passes_everyone(self) -> bool:
        """Whether it does nothing, like the pass-through or an empty file."""
        return not self.module and self.damage in ("", _EMPTY, _PERMITS)

    @property
    def is_gone(self) -> bool:
        """Whether there is no such file. Then every protected service denies everyone."""
        return self.damage == _GONE

    def option(self, name: str) -> str | None:
        """The value of an argument of the module that has the form NAME=VALUE; None where it is not there."""
        words = (word.partition("=") for word in self.arguments.split())
        return next((value for word, equals, value in words if equals and word == name), None)

    def standing(self, user: str, groups: t.Collection[str]) -> str:
        """What it does with an account in these groups, apart from rules on services and origins.

        Returns `asked`, `exempt`, or `free`, which means that a code step by names does not name the account.
        """
        exempt = user in self.recovered or user in self.exempt_users or not set(groups).isdisjoint(self.exempt_groups)
        if exempt or (self.scope_groups and set(groups).isdisjoint(self.scope_groups)):
            return "exempt"
        return "asked" if self.names is None or user in self.names else "free"

    def _lines(self) -> list[str]:
        """The lines without those that are put in front of them later; pam_faillock(8), pam_succeed_if(8)."""
        lock = self.lockout or Lockout()
        tally = (
            f"conf=/dev/null dir={places.TALLY_DIRECTORY} deny={lock.attempts} unlock_time={lock.unlock_seconds} "
            f"fail_interval={lock.count_seconds} even_deny_root"
        )
        while_open = f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}"
        lines = [
            *_CHECKING_LIMITS,
            while_open,
            f"auth [success=1 default=ignore] {self.module} {self.arguments}".rstrip(),
            f"auth [default=die] pam_faillock.so authfail {tally}",
            # Once more, for prompts that stayed open while others were answered wrongly.
            while_open,
            f"auth [default=ignore] pam_faillock.so authsucc {tally}",
        ]
        if self.denies_password_method:
            lines = [*_DENYING_PASSWORD_METHOD, *lines]
        if self.scope_groups:
            groups = ":".join(self.scope_groups)
            lines = skipped_outside_groups(groups, sorted(self.member_names), sorted(self.uids), lines)
        elif self.names is not None:
            lines = skipped_unless_named(sorted(self.names), sorted(self.uids), lines)
        if self.origins:
            origins = f"auth [perm_denied={len(lines)} default=ignore] pam_access.so accessfile={self.origins} noaudit"
            lines = [origins, *lines]
        lines = skipped_if_any([f"user ingroup {names}" for names in lists(self.exempt_groups)], lines)
        return skipped_if_any([f"user in {names}" for names in lists(self.exempt_users)], lines)


def except_services(text: str, services: t.Sequence[str]) -> str:
    """The text of a code step, whoever wrote it, changed to pass these services while they are added or removed."""
    lines = [line for _number, line in _rules(text)]
    skipped = skipped_if_any([f"service in {names}" for names in lists(services)], lines)
    return _HEADER + "".join(f"{line}\n" for line in skipped[: -len(lines) or None]) + text


def exempt_origins(settings: Settings) -> str:
    """The rules of pam_access, access.conf(5).

    A denial is what exempts: where no rule is found, access is granted, so a lost or emptied file exempts nobody.
    """
    return "".join(f"-:ALL:{address}\n" for address in settings.exempt_addresses) + "+:ALL:ALL\n"


@functools.lru_cache(maxsize=32)
def _parse(text: str | None) -> CodeStep:
    """Read the known lines, wherever they are and whatever else is there; then check that there is nothing else."""
    if text is None:
        return CodeStep(damage=_GONE)
    rules = _rules(text)
    names_by_rule: dict[str, list[str]] = {}
    member_names: list[str] = []
    asking: list[tuple[bool, str, str]] = []
    origins, lockout, denies_password_method = "", None, False
    for _number, line in rules:
        control, module, arguments = _parts(line)
        words = arguments.split()
        if line == _CHECKING_LIMITS[0]:
            continue
        if module == "pam_succeed_if.so" and len(words) >= 3:
            subject, operator, listed = words[-3:]
            names = [listed] if operator == "=" else listed.split(":")
            # After the line with the groups that are asked, names are those for which these groups decide.
            by_groups = (subject, operator) == ("user", "in") and "user notingroup" in names_by_rule
            known = member_names if by_groups else names_by_rule.setdefault(f"{subject} {operator}", [])
            known.extend(filter(None, names))
        elif module == "pam_access.so":
            origins = next((word[len("accessfile=") :] for word in words if word.startswith("accessfile=")), origins)
        elif module == "pam_exec.so":
            denies_password_method = denies_password_method or arguments.endswith(places.PASSWORD_METHOD)
        elif module == "pam_faillock.so":
            lockout = lockout or _lockout(words)
        elif module not in _NOT_ASKING and control not in INCLUDES:
            asking.append((control == "success=1 default=ignore", module, arguments))
    _sure, module, arguments = max(asking, key=lambda one: one[0], default=(False, "", ""))
    step = CodeStep(
        recovered=tuple(names_by_rule.get("user =", ())),
        excepted_services=tuple(names_by_rule.get("service in", ())),
        exempt_users=tuple(names_by_rule.get("user in", ())),
        exempt_groups=tuple(names_by_rule.get("user ingroup", ())),
        origins=origins,
        scope_groups=tuple(names_by_rule.get("user notingroup", ())),
        names=frozenset(names_by_rule["user notin"]) if "user notin" in names_by_rule else None,
        member_names=frozenset(member_names),
        uids=frozenset(int(uid) for uid in names_by_rule.get("uid notin", ()) if uid.isdecimal()),
        denies_password_method=denies_password_method,
        module=module,
        arguments=arguments,
        lockout=lockout,
    )
    continued = [number for number, line in enumerate(text.split("\n"), start=1) if is_continued(line)]
    damage = _NOT_OURS.format(continued[0]) if continued else _damage(step, rules)
    return step._replace(damage=damage)


def _rules(text: str) -> list[tuple[int, str]]:
    """The lines that mean something to libpam, without comments, each with its number from 1."""
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.partition("#")[0].strip()) for number, line in numbered if rule_of(line)]


def _parts(line: str) -> tuple[str, str, str]:
    """The control flag of a line, the name of its module without the directory, and its arguments."""
    rule = rule_of(line)
    if rule is None:
        return "", "", ""
    starts = [match.start() for match in WORD.finditer(line)]
    return rule.control, rule.name, line[starts[3] :] if len(starts) > 3 else ""


def _lockout(words: t.Iterable[str]) -> Lockout | None:
    """The bounds that a line of pam_faillock sets, if it sets all of them."""
    given = dict(word.partition("=")[::2] for word in words)
    try:
        return Lockout(int(given["deny"]), int(given["unlock_time"]), int(given["fail_interval"]))
    except (KeyError, ValueError):
        return None


def _damage(step: CodeStep, rules: t.Sequence[tuple[int, str]]) -> str:
    """What is wrong with the lines that `step` was read from: this release, or 1.0, has to write the same for it."""
    if not rules:
        return _EMPTY
    lines = [" ".join(line.split()) for _number, line in rules]
    if not step.module and all("pam_permit.so" in line for line in lines):
        return "" if lines in _PASS_THROUGHS else _PERMITS
    front, left = 0, len(lines)
    for line in lines:
        is_front = " quiet user = " in line or " quiet service in " in line
        found = re.fullmatch(_IN_FRONT, line) if is_front else None
        left -= 1
        if not found or found.group(1) not in ("done", str(left)):
            break
        front += 1
    written = [" ".join(line.split()) for line in step._lines()]
    if lines[front:] == written or lines[front:] == _as_1_0_wrote(written):
        return ""
    place = front + max(_common(lines[front:], form) for form in (written, _as_1_0_wrote(written)))
    number = rules[place][0] if place < len(rules) else rules[-1][0] + 1
    return _NOT_OURS.format(number)


def _common(lines: t.Sequence[str], form: t.Sequence[str]) -> int:
    """How many lines are the same, from the top."""
    pairs = enumerate(zip(lines, form))
    return next((place for place, (line, wanted) in pairs if line != wanted), min(len(lines), len(form)))


def _as_1_0_wrote(lines: t.Iterable[str]) -> list[str]:
    """The same lines, as release 1.0 wrote them: with actions that count as a success, and without jumps."""
    old: list[str] = []
    for line in lines:
        if line in _CHECKING_LIMITS:
            continue
        line = re.sub(r"\[success=\d+ (default=ignore\] pam_succeed_if\.so )", r"[success=done \1", line)
        line = re.sub(r"\[[^]]*\] (pam_faillock\.so preauth )", r"requisite \1", line)
        line = re.sub(r"\[[^]]*\] (pam_faillock\.so authsucc )", r"sufficient \1", line)
        origins = re.sub(r"\[perm_denied=\d+ default=ignore\]", "[perm_denied=ignore default=1]", line)
        old += [line] if origins == line else [origins, "auth [success=done default=ignore] pam_permit.so"]
    return old
