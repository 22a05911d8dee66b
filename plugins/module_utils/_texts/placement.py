# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the code step may stand in a PAM service; pam.conf(5).

It belongs right after the primary authentication, where only a right password leads: otherwise strangers could use up
somebody's codes, and close the code step for them. Nothing before it may get past it, and nothing after it may undo a
wrong code.
"""

from __future__ import annotations

import typing as t

from .. import _places as places
from . import dispatch
from .pam_conf import (
    INCLUDES,
    WORD,
    Included,
    Step,
    Unclear,
    ends_stack,
    everything,
    flattened,
    include_target,
    is_continued,
    jumps,
    step_of,
)

_ENDS = "ends the whole stack at a right password, before the code is asked for"
# What these end in without a first factor, whoever logs in.
_ALWAYS = {
    "pam_unix.so": ("auth_err",),
    "pam_permit.so": ("success",),
    "pam_deny.so": ("auth_err",),
    "pam_env.so": ("ignore",),
    "pam_faildelay.so": ("ignore",),
}
# Modules that look at an account or at a place, and at no password.
_CONDITIONS = (
    "pam_access.so",
    "pam_faillock.so",
    "pam_group.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_nologin.so",
    "pam_securetty.so",
    "pam_sepermit.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_time.so",
    "pam_usertype.so",
    "pam_wheel.so",
)
# Modules that may end a service's stack before the primary authentication: root needs no password for su, and a client
# certificate of Cockpit is an authentication of its own that an administrator has to switch on.
_MAY_END_EARLY = ("pam_rootok.so", "pam_cockpit_cert.so")


class Primary(t.NamedTuple):
    """The lines of the primary authentication, and what the block has in their place."""

    first: int
    """The first one, counted from 0."""
    last: int
    instead: list[str]
    judged: bool = False
    """Whether a wrong password does not end the stack, so that the block has to find out about it."""


class PamError(ValueError):
    """A file in which the code step cannot be placed with certainty; the text shows the lines and the remedy."""


def primary_of(service: str, lines: t.Sequence[str], included: t.Mapping[str, str]) -> Primary:
    """The lines in which a service, whose file has no block of ours, authenticates somebody first.

    `included` has the texts of the files that it may include, by name. Raises PamError where they are not certain.
    """
    steps = [step_of(line) for line in lines]
    found = [
        n
        for n, step in enumerate(steps)
        if step and (include_target(lines[n]) in places.PRIMARY_STACKS or step.module.endswith("pam_unix.so"))
    ]
    primary = None
    if len(found) == 1:
        position, step = found[0], t.cast(Step, steps[found[0]])
        if include_target(lines[position]):
            primary = _from_stack(service, lines, position, included)
        elif step.control in ("required", "requisite"):
            module = [match.start() for match in WORD.finditer(lines[position])][2]
            primary = Primary(position, position, [f"auth requisite {lines[position][module:].strip()}"])
        else:
            primary = _from_jumps(lines, position)
    if primary and not any(map(is_continued, lines[max(0, primary.first - 1) : primary.last + 1])):
        return primary
    shown = "; ".join(f"line {n + 1}: {lines[n]}" for n in found) or "none"
    raise PamError(
        f"{places.PAM_D}/{service} must have exactly one line, whole, that includes "
        f"{', '.join(places.PRIMARY_STACKS)} for auth, or that requires pam_unix.so, or lines that jump over one 'auth "
        f"requisite pam_deny.so' as pam-auth-update(8) writes them; found {shown}. Bring the file to that form, or "
        f"leave {service} out."
    )


def _from_jumps(lines: t.Sequence[str], position: int) -> Primary | None:
    """The lines around this one that jump to one place if they succeed, with what ends the stack before that place."""
    auth = [(number, step) for number, step in enumerate(map(step_of, lines)) if step]
    here = [number for number, _step in auth].index(position)
    end = here + max([0, *jumps(auth[here][1].control)])
    jumping = [n for n in range(end) if n < len(auth) and _jumps_to(auth[n][1], end - n)]
    first = end - len(jumping)
    if here not in jumping or jumping[0] != first or end >= len(auth) or not _always_ends(auth[end][1]):
        return None
    return Primary(auth[first][0], auth[end][0], list(lines[auth[first][0] : auth[end][0] + 1]))


def _jumps_to(step: Step, number: int) -> bool:
    """Whether a success jumps over so many modules, and nothing else leads anywhere."""
    actions = step.actions
    others = [action for outcome, action in actions.items() if outcome not in ("success", "new_authtok_reqd")]
    jumps = [actions[outcome] for outcome in ("success", "new_authtok_reqd") if outcome in actions]
    return set(jumps) == {str(number)} and "default" in actions and set(others) <= {"ignore", "bad", "die"}


def _always_ends(step: Step) -> bool:
    return (step.control == "requisite" and step.module == "pam_deny.so") or step.actions == {"default": "die"}


def _from_stack(service: str, lines: t.Sequence[str], position: int, included: t.Mapping[str, str]) -> Primary:
    """The primary authentication where a line includes the stack of it. Raises PamError."""
    stack, control = include_target(lines[position]), t.cast(Step, step_of(lines[position])).control
    steps = list(flattened(stack, included))
    problems = [(one, _problem_inside(one, rest)) for rest, one in zip(reversed(range(len(steps))), steps)]
    problems = [(one, problem) for one, problem in problems if problem]
    if not problems and _ends_at_wrong_password(stack, included):
        # Under substack a wrong password would end that alone, and the code would be asked for in any case.
        instead = lines[position].strip() if control == "@include" else f"auth include {stack}"
        return Primary(position, position, [instead])
    is_last = not any(map(step_of, lines[position + 1 :]))
    only_ends = all(problem == _ENDS for _one, problem in problems) and (is_last or not problems)
    resets = any("reset" in one.step.control for one in steps)
    if stack in included and (control == "substack" or (control == "include" and only_ends and not resets)):
        return Primary(position, position, [f"auth substack {stack}"], judged=True)
    where = f"{places.PAM_D}/{stack}, which goes on after a wrong password, and anybody would be asked for the code"
    if stack not in included:
        where = f"{places.PAM_D}/{stack}, which is not there"
    if control != "substack":
        problems += [(one, "can undo what was decided before it") for one in steps if "reset" in one.step.control]
    for one, problem in problems[:1]:
        where = f"{places.PAM_D}/{one.stack}, whose line {one.number} {problem}: {one.line.strip()!r}"
    raise PamError(
        f"{places.PAM_D}/{service} takes its primary authentication from {where}. Write it as pam-auth-update(8) does, "
        f"take it in with 'auth substack', or leave {service} out."
    )


def check_codes(service: str, texts: t.Mapping[str, str], code_modules: t.Collection[str]) -> None:
    """Nothing but the code step, which is not among these texts, may ask for a code. Raises PamError."""
    for one in everything(service, texts):
        if one.step.module.rpartition("/")[2] in code_modules:
            raise PamError(
                f"{places.PAM_D}/{one.stack}, line {one.number}, asks for a code of its own, so that {service} would "
                f"ask for two: {one.line.strip()!r}. Remove it in the same run, before the role (docs/adopt.md has the "
                f"play), or leave {service} out."
            )


def check_around(service: str, lines: t.Sequence[str], primary: Primary, included: t.Mapping[str, str]) -> None:
    """Nothing before the primary authentication may get past the code, and nothing after it may undo a wrong one.

    Raises PamError.
    """
    for number, line in enumerate(lines):
        step, problem, where = step_of(line), "", "after"
        if number < primary.first:
            problem, where = _problem_before(line, included), "before"
        elif number > primary.last and step and "reset" in step.control:
            problem = "can undo a wrong code"
        if problem:
            raise PamError(
                f"{places.PAM_D}/{service}, line {number + 1}, stands {where} the primary authentication and "
                f"{problem}: {line.strip()!r}. Change that line, or leave {service} out."
            )


def _problem_before(line: str, included: t.Mapping[str, str]) -> str:
    """Why a line may not stand before the primary authentication; an empty text where it may."""
    step, target = step_of(line), include_target(line)
    if is_continued(line):
        return "goes on in the next line, which is not looked at"
    if target:
        more = target not in included or any(flattened(target, included))
        return "includes further authentication" if more else ""
    if step and jumps(step.control):
        return "jumps over a number of modules, which the code step would change"
    if step and ends_stack(step.control) and step.module.rpartition("/")[2] not in _MAY_END_EARLY:
        return "can end the authentication before the code is asked for"
    return ""


def _problem_inside(one: Included, rest: int) -> str:
    """Why the stack may not come to its end, where the code step follows; `rest` is how many steps it goes on."""
    if ends_stack(one.step.control):
        return _ENDS
    if any(jump > rest for jump in jumps(one.step.control)):
        return "jumps past the end of that file, over the code step"
    if is_continued(one.line):
        return "goes on in the next line, which is not looked at"
    return "includes what is not there to be looked at" if one.step.control in INCLUDES else ""


def without_first_factor(handler: dispatch.Handler, conditions_hold: bool = True) -> tuple[str, ...]:
    """How a module may end where whoever logs in has none of the first factors: it fails, or has no opinion.

    What only looks at the account or at the place may succeed all the same, if `conditions_hold`.
    """
    if conditions_hold and handler.name in _CONDITIONS:
        return "auth_err", "ignore", "success"
    return _ALWAYS.get(handler.name, ("auth_err", "ignore"))


def _ends_at_wrong_password(stack: str, included: t.Mapping[str, str]) -> bool:
    """Whether nobody comes to the end of an included stack without a first factor, in whichever way that is missing."""
    comes_to_the_end = False

    def outcomes(handler: dispatch.Handler) -> tuple[str, ...]:
        nonlocal comes_to_the_end
        if handler is end:
            comes_to_the_end = True
        return without_first_factor(handler)

    end = dispatch.Handler(stack, 0, "", 0, "the line after it", {})
    try:
        dispatch.ends([*dispatch.load(stack, included), end], outcomes)
    except Unclear:
        return False
    return not comes_to_the_end
