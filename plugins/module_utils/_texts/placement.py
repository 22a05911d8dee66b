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
    ServiceFiles,
    Step,
    Unclear,
    all_auth_lines,
    auth_lines,
    has_other_types,
    is_continued,
    is_elsewhere,
)
from .proof import Problem, Proof, further_factors

_NAME = places.SWITCH.rpartition("/")[2]
_JUDGE = places.JUDGE.rpartition("/")[2]
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
        steps = dict(auth_lines(text))
        if not steps:
            raise PamError(
                f"{files.path(service)} has no auth line, so libpam uses {files.path(dispatch.OTHER)}. Add "
                f"'auth include' with the file that asks for the password, or leave {service} out."
            )
        found = _primary(steps, files)
        if len(found) != 1:
            raise PamError(_no_place(service, lines, found, files))
        possible = _possible(service, lines, found[0], steps, files)
        blocks = (block._replace(declared_keys=declared_keys) for block in possible)
        return _proven(service, lines, found[0], steps, files, blocks)
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


def _primary(steps: t.Mapping[int, Step], files: ServiceFiles) -> list[int]:
    """The lines, counted from 0, that have or include a module that asks for the password.

    This module is pam_unix, whatever else asks for a password around it. Without pam_unix, it is any first factor. If
    there are several lines then and none of them includes a file, only the last one is returned, since a block can
    contain the lines before it as well.
    """
    found = [n for n, step in steps.items() if _is_primary(step, files, {"pam_unix.so"}.__contains__)]
    if not found:
        found = [n for n, step in steps.items() if _is_primary(step, files, pam_modules.is_first_factor)]
        if not any(steps[n].control in INCLUDES for n in found):
            found = found[-1:]
    return [n - 1 for n in found]


def _is_primary(step: Step, files: ServiceFiles, asks_for_password: t.Callable[[str], bool]) -> bool:
    """Whether a line has or includes a module that asks for the password, judged by its name."""
    if step.control not in INCLUDES:
        return asks_for_password(step.name)
    return step.module in places.PRIMARY_STACKS or any(
        asks_for_password(one.step.name) for one in all_auth_lines(step.module, files.texts)
    )


def _no_place(service: str, lines: t.Sequence[str], found: t.Sequence[int], files: ServiceFiles) -> str:
    shown = "; ".join(f"line {n + 1}: {lines[n].strip()}" for n in found) or "none"
    return (
        f"{files.path(service)} must have exactly one place where it asks for the password: an auth line that "
        f"includes {', '.join(places.PRIMARY_STACKS)} or another file with pam_unix.so, pam_sss.so or the "
        f"like, or such a module itself; found {shown}. Bring the file to that form, or leave {service} out."
    )


def _proven(
    service: str,
    lines: t.Sequence[str],
    position: int,
    steps: t.Mapping[int, Step],
    files: ServiceFiles,
    possible: t.Iterable[Block],
) -> Block:
    """The first proven block that asks neither strangers nor anybody in vain; or else the first one that is judged."""
    problems: list[Problem] = []
    asking: list[Block] = []
    for block in possible:
        text, origins = block.applied(lines)
        proof = Proof(service, files.texts, {**files.texts, service: text}, {service: origins})
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
    raise PamError(_refusal(service, lines, position, steps[position + 1], problems, files))


def _possible(
    service: str, lines: t.Sequence[str], position: int, steps: t.Mapping[int, Step], files: ServiceFiles
) -> t.Iterator[Block]:
    """The blocks to try, the simplest first."""
    step = steps[position + 1]
    whole = not _is_cut(lines, position, position)
    if step.control in INCLUDES:
        kept, inside = lines[position].strip(), (f"auth substack {step.module}", True)
        if step.control == "substack":
            tried = [(f"auth include {step.module}", False), inside, (f"auth include {step.module}", True)]
        elif step.control == "include" or not has_other_types(step.module, files.texts):
            tried = [(kept, False), (kept, True), inside]
        else:
            tried = [(kept, False), (kept, True)]
        yield from (Block(service, position, position, (line,), judged) for line, judged in tried if whole)
        return
    auth = [number - 1 for number in steps]
    here = auth.index(position)
    for judged in (False, True):
        if whole and step.control in ("required", "requisite"):
            module = [match.start() for match in WORD.finditer(lines[position])][2]
            yield Block(service, position, position, (f"auth requisite {lines[position][module:].strip()}",), judged)
        for last in auth[here:]:
            for first in reversed(auth[: here + 1]):
                if not _is_cut(lines, first, last):
                    yield Block(service, first, last, tuple(lines[first : last + 1]), judged)


def _is_cut(lines: t.Sequence[str], first: int, last: int) -> bool:
    """Whether this range of lines begins or ends in the middle of a continued line."""
    return any(map(is_continued, lines[max(0, first - 1) : last + 1]))


def _refusal(
    service: str,
    lines: t.Sequence[str],
    position: int,
    step: Step,
    problems: t.Sequence[Problem],
    files: ServiceFiles,
) -> str:
    """Why no block is proven, with the line that prevents the simplest one, or else the primary authentication."""
    if _is_cut(lines, position, position):
        return (
            f"{files.path(service)}, line {position + 1}, or the one before it, is continued on the next line. Write "
            f"each on one line, or leave {service} out."
        )
    # In a substack nothing ends the service. So what prevents including the file in another way is not what is wrong.
    of_lines = [one for one in problems if one.handler] or list(problems)
    problem = of_lines[-1 if step.control == "substack" else 0] if of_lines else None
    if problem is None or problem.handler is None:
        what = problem.text if problem else "goes on after a wrong password, and anybody would be asked for the code"
        return f"{files.path(service)} {what}: line {position + 1}: {lines[position].strip()!r}. Leave {service} out."
    chain = problem.handler.chain
    side = ""
    if len(chain) == 1 and chain[0][1] != position + 1:
        side = f"is {'before' if chain[0][1] < position + 1 else 'after'} the primary authentication and "
    return (
        f"{files.where(chain)}, {side}{problem.text}: {problem.handler.line.strip()!r}. Change that line, or leave "
        f"{service} out."
    )


def _check_includes(service: str, files: ServiceFiles, above: tuple[tuple[str, int], ...] = ()) -> None:
    """Check that every included file exists, and that libpam can read each line. Raises PamError, Unclear."""
    outer = above[0][0] if above else service
    try:
        steps = list(auth_lines(files.texts[service]))
    except Unclear as unclear:
        raise PamError(f"{files.path(service)}: {unclear}, or leave {outer} out.") from unclear
    for number, step in steps:
        chain = (*above, (service, number))
        problem = f"{step.fault}, so libpam treats it as a failure" if step.fault else ""
        remedy = "Put that right"
        if step.module.endswith("\r"):
            problem = f"names {step.module!r}, with a carriage return at its end, and libpam does not know that name"
        elif step.control in INCLUDES and step.module not in files.texts:
            problem = f"includes {step.module}, which is not there"
            if is_elsewhere(step.module):
                problem += f", or is a file of {places.PAM_D} under another path"
                remedy = f"Name a file that is there, and a file of {places.PAM_D} by its name alone"
            elif "/" in step.module:
                problem, remedy = f"includes {step.module}, which is an incomplete path", "Give the full one"
        elif step.control in INCLUDES and step.module in files.only_vendors:
            problem = f"includes {step.module}, which is in {places.VENDOR_PAM_D} alone, where Debian's libpam looks "
            problem += "for services, but not for included files: it denies everybody"
            remedy = f"Give the full path, {files.path(step.module)}"
        if step.module in dict(chain) and step.control in INCLUDES:
            problem = f"includes {step.module}, which in turn includes this file"
        if problem:
            if r"\r" in problem:
                remedy = f"Save the file with the line ends of Unix (sed -i 's/\\r$//' {files.path(service)})"
            raise PamError(f"{files.where(chain)}, {problem}. {remedy}, or leave {outer} out.")
        if step.control in INCLUDES:
            _check_includes(step.module, files, chain)


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
        if one.step.name in code_modules:
            problems.append(
                f"{where} asks for a code of its own, so that {service} would ask for two: {line}. Remove it in the "
                f"same run, before the role (docs/adopt.md has the play), or leave {service} out."
            )
        elif reuse and not has_password and _result_matters(one.step):
            problems.append(
                f"{where} uses the password that an earlier line asks for, but no earlier line is known to ask for a "
                f"password (a code is not one): {line}. Remove {reuse} from it, so that it asks for the password "
                f"itself, or leave {service} out."
            )
        elif not reuse:
            has_password = has_password or pam_modules.sets_authtok(one.step.name, words)
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


def _result_matters(step: Step) -> bool:
    """Whether the result of a module that uses a password matters; where it opens a keyring, say, it does not."""
    default = step.actions.get("default", "bad")
    ends = step.actions.get("success", default), step.actions.get("auth_err", default)
    return pam_modules.is_first_factor(step.name) or ends not in (("ok", "ignore"), ("ignore", "ignore"))


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
