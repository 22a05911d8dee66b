# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where to put the code step in a PAM service; pam.conf(5). Pure.

It belongs right after the primary authentication, so that only a right password leads to it. Otherwise strangers could
use up somebody's codes and close the code step for them. The primary authentication is recognized by the names of
modules and files; `proof` shows whether the code step may follow it.
"""

from __future__ import annotations

import typing as t

from .. import _places as places
from . import dispatch, pam_modules
from .pam_conf import (
    INCLUDES,
    WORD,
    Rule,
    ServiceFiles,
    Unclear,
    all_auth_lines,
    auth_lines,
    has_other_types,
    is_continued,
    is_elsewhere,
    service_name,
)
from .proof import Problem, Proof, further_factors

_NAME = service_name(places.SWITCH)
_JUDGE = service_name(places.JUDGE)
_ASK = f"auth substack {_NAME}"
_ACCEPTED = "auth [success=ignore default={}] pam_exec.so quiet " + places.KEY_ACCEPTED
# Jumps over the code step alone, and only after a key that sshd has accepted.
_DECLARED = f"auth [success=1 default=ignore] pam_exec.so quiet {places.KEY_DECLARED}"
_AFTER_KEY = (
    _ASK,
    "auth [success=done default=ignore] pam_permit.so",
    "auth requisite pam_deny.so",
)
# Options with which a module does not ask for a password, but uses the one that an earlier module has asked for;
# pam_unix(8), pam_krb5(8). (There are two modules called pam_krb5. Debian's asks even with use_first_pass, if there is
# no password to use.)
_REUSE_OPTIONS = ("use_first_pass", "force_first_pass")
_DENY_IF_FAILED = (
    f"auth substack {_JUDGE}",
    f"auth [success=die default=ignore] pam_exec.so quiet seteuid {places.FIRST_FACTOR_FAILED}",
)


class PamError(ValueError):
    """A file in which the code step cannot be placed with certainty; the text shows the lines and the remedy."""


class Block(t.NamedTuple):
    """The block that replaces the primary authentication of a service."""

    service: str
    first: int
    """The first line of the primary authentication, counted from 0."""
    last: int
    primary_lines: tuple[str, ...]
    """The lines of the primary authentication, as the block has them."""
    judged: bool = False
    """Whether the block has to find out if a login was denied already, because the stack goes on after a denial."""
    declared_keys: bool = False
    """Whether sshd asks for no code after a declared security key."""

    @property
    def lines(self) -> list[tuple[str, int]]:
        """The lines of the block, each with its number in the original file, from 1; 0 for a line of ours."""
        kept = range(self.first + 1, self.last + 2) if len(self.primary_lines) > 1 else [self.first + 1]
        return [
            *((line, 0) for line in (self._after_a_key if self.service == "sshd" else ())),
            *zip(self.primary_lines, kept),
            *((line, 0) for line in (_DENY_IF_FAILED if self.judged else ())),
            (_ASK, 0),
        ]

    @property
    def _after_a_key(self) -> tuple[str, ...]:
        """The lines for a login to sshd with a key; any other login jumps over them."""
        lines = (_DECLARED, *_AFTER_KEY) if self.declared_keys else _AFTER_KEY
        return (_ACCEPTED.format(len(lines)), *lines)

    def applied(self, lines: t.Sequence[str]) -> tuple[str, list[int]]:
        """The file with the block in place of the replaced lines, and the original number of each line."""
        numbered = [(line, number) for number, line in enumerate(lines, start=1)]
        whole = [*numbered[: self.first], *self.lines, *numbered[self.last + 1 :]]
        return "\n".join(line for line, _number in whole), [number for _line, number in whole]


def block_of(service: str, files: ServiceFiles, *, declared_keys: bool = False) -> Block:
    """The block for a service whose file does not have one.

    `declared_keys` says whether sshd asks for no code after a declared security key.

    Raises PamError where no possible block is proven.
    """
    text = files.texts[service]
    lines = text.split("\n")
    try:
        _check_includes(service, files)
        rules = dict(auth_lines(text))
        if not rules:
            raise PamError(
                f"{files.path(service)} has no auth line, so libpam uses {files.path(dispatch.OTHER)}. Add "
                f"'auth include' with the file that asks for the password, or leave {service} out."
            )
        found = _primary(rules, files)
        if len(found) != 1:
            raise PamError(_no_place(service, lines, found, files))
        primary = _Primary(service, files, lines, rules, found[0])
        return primary.proven(block._replace(declared_keys=declared_keys) for block in primary.blocks())
    except Unclear as unclear:
        raise PamError(f"{files.path(service)}: {unclear}, or leave {service} out.") from unclear


def check_covered(service: str, files: ServiceFiles, blocks: t.Mapping[str, Block]) -> None:
    """Check that a service without a block asks for the code, because it includes others that have these blocks.

    `files` are without any block. Raises PamError where this is not proven.
    """
    after = {name: block.applied(files.texts[name].split("\n")) for name, block in blocks.items()}
    texts = {**files.texts, **{name: text for name, (text, _origins) in after.items()}}
    origins = {name: numbers for name, (_text, numbers) in after.items()}
    path, others = files.path(service), " and ".join(sorted(blocks))
    if service == "sshd":
        raise PamError(
            f"{path} includes {others}, which would ask for codes, but logins with keys need a block in {path} itself. "
            f"Include the file there that asks for the password, such as common-auth, in place of {others}."
        )
    try:
        _check_includes(service, files)
        problem = Proof(service, files.texts, texts, origins).problem
    except Unclear as unclear:
        raise PamError(f"{path}: {unclear}, or leave {service} out.") from unclear
    if problem:
        where = files.where(problem.handler.chain) if problem.handler else path
        line = f": {problem.handler.line.strip()!r}" if problem.handler else ""
        raise PamError(
            f"{path} includes {others}, which would ask for codes, but {where}, {problem.text}{line}. Change that "
            f"{'line' if line else 'file'}, or leave {service} out."
        )


def asks(service: str, before: ServiceFiles, after: ServiceFiles) -> bool:
    """Whether nobody gets in to a service without a code, with the files as they are `after`."""
    try:
        return Proof(service, before.texts, after.texts, {}).asks_everybody
    except Unclear:
        return False


def _primary(rules: t.Mapping[int, Rule], files: ServiceFiles) -> list[int]:
    """The lines, counted from 0, that have or include a module that asks for the password.

    This module is pam_unix, whatever else asks for a password around it. Without pam_unix, it is any first factor. If
    there are several lines then and none of them includes a file, only the last one is returned, since a block can
    contain the lines before it as well.
    """
    found = [n for n, rule in rules.items() if _is_primary(rule, files, {"pam_unix.so"}.__contains__)]
    if not found:
        found = [n for n, rule in rules.items() if _is_primary(rule, files, pam_modules.is_first_factor)]
        if not any(rules[n].control in INCLUDES for n in found):
            found = found[-1:]
    return [n - 1 for n in found]


def _is_primary(rule: Rule, files: ServiceFiles, asks_for_password: t.Callable[[str], bool]) -> bool:
    """Whether a line has or includes a module that asks for the password, judged by its name."""
    if rule.control not in INCLUDES:
        return asks_for_password(rule.name)
    return rule.module in places.PRIMARY_STACKS or any(
        asks_for_password(one.rule.name) for one in all_auth_lines(rule.module, files.texts)
    )


def _no_place(service: str, lines: t.Sequence[str], found: t.Sequence[int], files: ServiceFiles) -> str:
    shown = "; ".join(f"line {n + 1}: {lines[n].strip()}" for n in found) or "none"
    return (
        f"{files.path(service)} must have exactly one place where it asks for the password: an auth line that "
        f"includes {', '.join(places.PRIMARY_STACKS)} or another file with pam_unix.so, pam_sss.so or the "
        f"like, or such a module itself; found {shown}. Bring the file to that form, or leave {service} out."
    )


class _Primary(t.NamedTuple):
    """The primary authentication of a service, and what is around it."""

    service: str
    files: ServiceFiles
    lines: t.Sequence[str]
    """The lines of the file of the service."""
    rules: t.Mapping[int, Rule]
    """Its auth lines, each by its number, from 1."""
    position: int
    """The line that asks for the password, counted from 0."""

    @property
    def rule(self) -> Rule:
        """What the line that asks for the password means."""
        return self.rules[self.position + 1]

    def proven(self, blocks: t.Iterable[Block]) -> Block:
        """The first proven block that asks neither strangers nor in vain; or else the first one that is judged.

        Raises PamError where no block is proven.
        """
        problems: list[Problem] = []
        asking: list[Block] = []
        for block in blocks:
            text, origins = block.applied(self.lines)
            texts = {**self.files.texts, self.service: text}
            proof = Proof(self.service, self.files.texts, texts, {self.service: origins})
            if proof.problem:
                problems.append(proof.problem)
            elif proof.asks_strangers or proof.asks_in_vain:
                asking.append(block)
            else:
                return block
        # Where a first factor decides nothing after a wrong password, no module can distinguish that from a right one.
        judged = [block for block in asking if block.judged]
        if judged:
            return judged[0]
        raise PamError(self._refusal(problems))

    def blocks(self) -> t.Iterator[Block]:
        """The blocks to try, the simplest first."""
        service, position, control = self.service, self.position, self.rule.control
        if control in INCLUDES:
            if not self._is_cut(position, position):
                yield from (Block(service, position, position, (line,), judged) for line, judged in self._includes())
            return
        auth = [number - 1 for number in self.rules]
        here = auth.index(position)
        for judged in (False, True):
            if control in ("required", "requisite") and not self._is_cut(position, position):
                module = [match.start() for match in WORD.finditer(self.lines[position])][2]
                requisite = "auth requisite " + self.lines[position][module:].strip(" \t")
                yield Block(service, position, position, (requisite,), judged)
            for last in auth[here:]:
                for first in reversed(auth[: here + 1]):
                    if not self._is_cut(first, last):
                        yield Block(service, first, last, tuple(self.lines[first : last + 1]), judged)

    def _includes(self) -> list[tuple[str, bool]]:
        """The ways to include the file that asks for the password, each with whether the block is judged."""
        included = self.rule.module
        kept, inside = self.lines[self.position].strip(" \t"), (f"auth substack {included}", True)
        if self.rule.control == "substack":
            return [(f"auth include {included}", False), inside, (f"auth include {included}", True)]
        if self.rule.control == "include" or not has_other_types(included, self.files.texts):
            return [(kept, False), (kept, True), inside]
        return [(kept, False), (kept, True)]

    def _is_cut(self, first: int, last: int) -> bool:
        """Whether this range of lines begins or ends in the middle of a continued line."""
        return any(map(is_continued, self.lines[max(0, first - 1) : last + 1]))

    def _refusal(self, problems: t.Sequence[Problem]) -> str:
        """Why no block is proven, with the line that prevents the simplest one, or else the primary authentication."""
        service, path, number = self.service, self.files.path(self.service), self.position + 1
        if self._is_cut(self.position, self.position):
            return (
                f"{path}, line {number}, or the one before it, is continued on the next line. Write each on one line, "
                f"or leave {service} out."
            )
        # In a substack nothing ends the service. So what prevents including the file in another way is not what is
        # wrong.
        of_lines = [one for one in problems if one.handler] or list(problems)
        problem = of_lines[-1 if self.rule.control == "substack" else 0] if of_lines else None
        if problem is None or problem.handler is None:
            what = (
                problem.text if problem else "goes on after a wrong password, and anybody would be asked for the code"
            )
            return f"{path} {what}: line {number}: {self.lines[self.position].strip()!r}. Leave {service} out."
        chain = problem.handler.chain
        side = ""
        if len(chain) == 1 and chain[0][1] != number:
            side = f"is {'before' if chain[0][1] < number else 'after'} the primary authentication and "
        return (
            f"{self.files.where(chain)}, {side}{problem.text}: {problem.handler.line.strip()!r}. Change that line, or "
            f"leave {service} out."
        )


def _check_includes(service: str, files: ServiceFiles, above: tuple[tuple[str, int], ...] = ()) -> None:
    """Check that every included file exists, and that libpam can read each line. Raises PamError, Unclear."""
    outer = above[0][0] if above else service
    try:
        rules = list(auth_lines(files.texts[service]))
    except Unclear as unclear:
        raise PamError(f"{files.path(service)}: {unclear}, or leave {outer} out.") from unclear
    for number, rule in rules:
        chain = (*above, (service, number))
        problem = f"{rule.fault}, so libpam treats it as a failure" if rule.fault else ""
        remedy = "Put that right"
        if rule.module.endswith("\r"):
            problem = f"names {rule.module!r}, with a carriage return at its end, and libpam does not know that name"
        elif rule.control in INCLUDES and rule.module not in files.texts:
            problem = f"includes {rule.module}, which is not there"
            if is_elsewhere(rule.module):
                problem += f", or is a file of {places.PAM_D} under another path"
                remedy = f"Name a file that is there, and a file of {places.PAM_D} by its name alone"
            elif "/" in rule.module:
                problem, remedy = f"includes {rule.module}, which is an incomplete path", "Give the full one"
        elif rule.control in INCLUDES and rule.module in files.only_vendors:
            problem = f"includes {rule.module}, which is in {places.VENDOR_PAM_D} alone, where Debian's libpam looks "
            problem += "for services, but not for included files: it denies everybody"
            remedy = f"Give the full path, {files.path(rule.module)}"
        if rule.module in dict(chain) and rule.control in INCLUDES:
            problem = f"includes {rule.module}, which in turn includes this file"
        if problem:
            if r"\r" in problem:
                remedy = f"Save the file with the line ends of Unix (sed -i 's/\\r$//' {files.path(service)})"
            raise PamError(f"{files.where(chain)}, {problem}. {remedy}, or leave {outer} out.")
        if rule.control in INCLUDES:
            _check_includes(rule.module, files, chain)


def check_codes(service: str, files: ServiceFiles, code_modules: t.Collection[str]) -> None:
    """Check that no line of these files asks for a code, and that none relies on such a line.

    The files are without the code step. A line with use_first_pass relies on a line before it that has asked for the
    password. Raises PamError.
    """
    problems = []
    has_password = False
    for one in all_auth_lines(service, files.texts):
        where, line = f"{files.path(one.stack)}, line {one.number},", repr(one.line.strip())
        words = one.line.split()
        reuse = next((word for word in words if word in _REUSE_OPTIONS), "")
        if one.rule.name in code_modules:
            problems.append(
                f"{where} asks for a code of its own, so that {service} would ask for two: {line}. Remove it in the "
                f"same run, before the role (docs/adopt.md has the play), or leave {service} out."
            )
        elif reuse and not has_password and _result_matters(one.rule):
            problems.append(
                f"{where} uses the password that an earlier line asks for, but no earlier line is known to ask for a "
                f"password (a code is not one): {line}. Remove {reuse} from it, so that it asks for the password "
                f"itself, or leave {service} out."
            )
        elif not reuse:
            has_password = has_password or pam_modules.sets_authtok(one.rule.name, words)
    if problems:
        raise PamError(" And ".join(problems))


def check_account_lines(block: Block, files: ServiceFiles) -> None:
    """Check that every login reaches the account lines that follow the code step. Raises PamError.

    `files` are without any block. Account lines before the block may end the account stack, or jump into our lines.
    """
    try:
        stack = dispatch.load(block.service, files.texts, "account")
    except Unclear as unclear:
        raise PamError(f"{files.path(block.service)}: {unclear}, or leave {block.service} out.") from unclear
    before = [one for one in stack if one.chain[0][1] <= block.first]
    for position, handler in enumerate(before):
        for outcome, action in handler.actions.items():
            if action == "done" and outcome != "new_authtok_reqd" and handler.level == 0:
                problem = "can end the account stack"
            elif action.isdigit() and dispatch.after_jump(stack, position, int(action)) > (len(before), 0):
                problem = "jumps over a number of modules"
            else:
                continue
            raise PamError(
                f"{files.where(handler.chain)}, is before the primary authentication and {problem}, so a login "
                f"could skip the account lines that fleet.auth adds after it: {handler.line.strip()!r}. Move line "
                f"{handler.chain[0][1]} of {files.path(block.service)} after line {block.last + 1}, or leave "
                f"{block.service} out."
            )


def _result_matters(rule: Rule) -> bool:
    """Whether the result of a module that uses a password matters; where it opens a keyring, say, it does not."""
    default = rule.actions.get("default", "bad")
    ends = rule.actions.get("success", default), rule.actions.get("auth_err", default)
    return pam_modules.is_first_factor(rule.name) or ends not in (("ok", "ignore"), ("ignore", "ignore"))


class OtherFactor(t.NamedTuple):
    """A line of a service that asks, or may ask, for something besides the password and our code."""

    where: str
    """The place of the line, and of the lines that include it."""
    line: str
    is_known: bool
    """Whether its module is known to ask for another factor. Other modules are only known to be able to deny."""
    place: str
    """`before` the primary authentication, `in` it, or `after` the code step."""


def other_factors(block: Block, files: ServiceFiles) -> list[OtherFactor]:
    """The further second factors of a service; `files` are without any block. Raises Unclear."""
    found = []
    for handler in further_factors(dispatch.load(block.service, files.texts)):
        number = handler.chain[0][1] - 1
        place = "before" if number < block.first else "in" if number <= block.last else "after"
        found.append(_other_factor(handler, files, place))
    return found


def other_factors_of_covered(service: str, files: ServiceFiles, asking: t.Collection[str]) -> list[OtherFactor]:
    """The further second factors of a service, except those in the included services `asking`. Raises Unclear."""
    found = further_factors(dispatch.load(service, files.texts))
    return [_other_factor(one, files, "after") for one in found if not {file for file, _line in one.chain} & {*asking}]


def _other_factor(handler: dispatch.Handler, files: ServiceFiles, place: str) -> OtherFactor:
    known = pam_modules.is_second_factor(handler)
    return OtherFactor(files.where(handler.chain), handler.line.strip(), known, place)
