# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PAM service text in, PAM service text out; pam.conf(5).

A service is protected by a marked block in the place of its primary authentication. The block carries the line that it
replaces, so taking it out needs no memory, and every other byte of the file stays.
"""

from __future__ import annotations

import itertools
import re
import typing as t

from .. import _places as places
from .._wanted.settings import BACKENDS, PAM_LINE, Settings
from . import dispatch
from .pam_conf import (
    INCLUDES,
    WORD,
    Included,
    Step,
    ends_stack,
    everything,
    flattened,
    include_target,
    is_continued,
    jumps,
    step_of,
)

_BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
_REPLACED = "#| "
_END = "# END fleet.auth twofactor"

_HEADER = "# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.\n"
PASS_THROUGH = _HEADER + "auth [default=ignore] pam_permit.so\n"
"""A code step that changes nothing: who was let in before it is let in, and nobody else."""

_ENDS = "ends the whole stack at a right password, before the code is asked for"
# Modules that fail where the password is wrong.
_FAIL = ("pam_unix.so", "pam_sss.so", "pam_ldap.so", "pam_krb5.so", "pam_winbind.so", "pam_deny.so")
# What these end in, whoever logs in.
_ALWAYS = {
    "pam_permit.so": "success",
    "pam_deny.so": "auth_err",
    "pam_env.so": "ignore",
    "pam_faildelay.so": "ignore",
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
_CODE_MODULES = tuple(backend.module for backend in BACKENDS.values())
# Modules that may end a service's stack before the primary authentication: root needs no password for su, and a client
# certificate of Cockpit is an authentication of its own that an administrator has to switch on.
_MAY_END_EARLY = ("pam_rootok.so", "pam_cockpit_cert.so")

HELPERS = (places.KEY_ACCEPTED, places.FIRST_FACTOR_FAILED, places.JUDGE, places.NOTE)
"""The files that a block may call."""


def _name(path: str) -> str:
    """The name by which another file of the same directory includes this one."""
    return path[len(places.PAM_D) + 1 :]


class _Primary(t.NamedTuple):
    """The lines of the primary authentication, from the first to the last, and what the block has instead."""

    first: int
    last: int
    instead: list[str]


class PamError(ValueError):
    """A file in which the code step cannot be placed with certainty; the text shows the lines and the remedy."""


def is_protected(text: str) -> bool:
    """Whether the file has our block, whole or not."""
    return any(line.startswith((_BEGIN, _END)) for line in text.split("\n"))


def protect(service: str, text: str, included: t.Mapping[str, str]) -> str:
    """Put the code step right after the primary authentication, where only a right password leads.

    Otherwise strangers could use up somebody's codes, and close the code step for them. `included` has the texts of the
    files in /etc/pam.d that the primary authentication may stand in. A file that is protected already comes out as this
    release would write it. Raises PamError.
    """
    text = unprotect(service, text)
    _check_codes(service, {**included, service: text})
    lines = text.split("\n")
    primary = _primary(service, lines, included)
    _check_around(service, lines, primary, included)
    step = "auth substack twofactor"
    replaced = lines[primary.first : primary.last + 1]
    block = [_BEGIN if len(replaced) == 1 else f"{_BEGIN}s", *(_REPLACED + line for line in replaced)]
    if service == "sshd":
        block += [
            f"auth [success=ignore default=3] pam_exec.so quiet {places.KEY_ACCEPTED}",
            step,
            "auth [success=done default=ignore] pam_permit.so",
            "auth requisite pam_deny.so",
        ]
    block += [*primary.instead, step, _END]
    return "\n".join([*lines[: primary.first], *block, *lines[primary.last + 1 :]])


def helpers(texts: t.Collection[str]) -> tuple[str, ...]:
    """Those of `HELPERS` that protected service files with these texts call."""
    called = {line.rpartition(" ")[2] for text in texts for line in text.split("\n")}
    if _name(places.JUDGE) in called:
        called.add(_name(places.NOTE))
    return tuple(path for path in HELPERS if called & {path, _name(path)})


def opened_up(service: str, texts: t.Mapping[str, str]) -> str | None:
    """The file by which our block lets people in with any password, if without it the service would not.

    The blocks of release 1.0 did, where the file of the first factor decides nothing at a wrong password. `texts` has
    the files of /etc/pam.d by name.
    """
    try:
        before = unprotect(service, texts[service])
        primary = _primary(service, before.split("\n"), texts)
    except PamError:
        return None
    stack = include_target(before.split("\n")[primary.first])

    def lets_in(text: str, of_conditions: t.Iterable[str]) -> bool:
        def outcomes(handler: dispatch.Handler) -> t.Iterable[str]:
            if handler.name in _ALWAYS:
                return [_ALWAYS[handler.name]]
            if handler.line.rstrip().endswith((places.KEY_ACCEPTED, places.FIRST_FACTOR_FAILED)):
                return ["auth_err"]
            if handler.stack == _name(places.SWITCH):
                return ["success", "auth_err"]
            return of_conditions if handler.name in _CONDITIONS else ["auth_err", "ignore"]

        return any(one.lets_in for one in dispatch.ends(dispatch.load(service, {**texts, service: text}), outcomes))

    for conditions in (["auth_err", "ignore"], ["auth_err", "ignore", "success"]):
        if lets_in(texts[service], conditions) and not lets_in(before, conditions):
            return f"{places.PAM_D}/{stack or service}"
    return None


def includes(text: str, name: str) -> bool:
    """Whether the auth stack of a service file takes in another one."""
    return name in map(include_target, text.split("\n"))


def unprotect(service: str, text: str) -> str:
    """Take the block out and put the line back that it replaced. A file without a block comes back as it is."""
    lines = text.split("\n")
    begins = [n for n, line in enumerate(lines) if line.startswith(_BEGIN)]
    ends = [n for n, line in enumerate(lines) if line.startswith(_END)]
    if not begins and not ends:
        return text
    if len(begins) != 1 or len(ends) != 1 or ends[0] <= begins[0] + 1 or not lines[begins[0] + 1].startswith(_REPLACED):
        raise PamError(
            f"the block of fleet.auth in {places.PAM_D}/{service} is damaged (lines "
            f"{', '.join(str(n + 1) for n in sorted(begins + ends))}). It begins with {_BEGIN!r}, then {_REPLACED!r} "
            f"and the line that it replaced, and ends with {_END!r}; put it right or remove it by hand, and run again."
        )
    begin, end = begins[0], ends[0]
    inside = itertools.takewhile(lambda line: line.startswith(_REPLACED), lines[begin + 1 : end])
    return "\n".join([*lines[:begin], *(line[len(_REPLACED) :] for line in inside), *lines[end + 1 :]])


def switch(settings: Settings, enrolled: t.Iterable[str], code_line: str, suffix: str = "") -> str:
    """The code step: who skips it, the tally of wrong codes, and the module that asks for the code.

    `enrolled` are the accounts in scope where the scope is `enrolled`; `suffix` is added to the name of the list of
    origins. Only rules that succeed let anybody skip the code, so a rule or a list that is damaged asks everyone.

    It can only deny. No line of it counts as a success, for a service may have a first factor that decides nothing
    where the password is wrong, and leaves it to the end of the stack to deny what nobody has allowed.
    """
    lock = settings.lockout
    tally = (
        f"conf=/dev/null dir={places.TALLY_DIRECTORY} deny={lock.attempts} unlock_time={lock.unlock_seconds} "
        f"fail_interval={lock.count_seconds} even_deny_root"
    )
    while_open = f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}"
    lines = [
        while_open,
        f"auth [success=1 default=ignore] {code_line}",
        f"auth [default=die] pam_faillock.so authfail {tally}",
        # Once more, for prompts that were held open while others were answered wrongly.
        while_open,
        f"auth [default=ignore] pam_faillock.so authsucc {tally}",
    ]
    if settings.scope == "groups":
        lines = _passed_by([f"user notingroup {':'.join(settings.scope_groups)}"], lines)
    elif settings.scope == "enrolled":
        lines = _passed_unless_named(sorted(enrolled), lines)
    if settings.exempt_addresses:
        accessfile = f"{places.EXEMPT_ORIGINS}{suffix}"
        origins = f"auth [perm_denied={len(lines)} default=ignore] pam_access.so accessfile={accessfile} noaudit"
        lines = [origins, *lines]
    lines = _passed_by([f"user ingroup {names}" for names in _lists(settings.exempt_groups)], lines)
    lines = _passed_by([f"user in {names}" for names in _lists(settings.exempt_users)], lines)
    return _HEADER + "".join(line + "\n" for line in lines)


def except_services(switch_text: str, services: t.Sequence[str]) -> str:
    """The same code step, but passed by these services, while they are on their way in or out."""
    lines = [line for line in switch_text.split("\n") if step_of(line)]
    passed = _passed_by([f"service in {names}" for names in _lists(services)], lines)
    return _HEADER + "".join(f"{line}\n" for line in passed[: -len(lines) or None]) + switch_text


def excepted_services(switch_text: str | None) -> frozenset[str]:
    """The services that pass such a code step."""
    found = re.findall(r"^auth .* quiet service in (\S+)$", switch_text or "", re.MULTILINE)
    return frozenset(name for names in found for name in names.split(":"))


def asked_users(switch_text: str | None) -> frozenset[str] | None:
    """The accounts that the code step names as those whom it asks; None where it does not go by names."""
    found = re.findall(r"^auth .* user notin (\S+)", switch_text or "", re.MULTILINE)
    return frozenset(name for names in found for name in names.split(":") if name) if found else None


def recovered_users(switch_text: str | None) -> frozenset[str]:
    """The accounts that twofactor-recover has let off."""
    return frozenset(re.findall(r"^auth .* quiet user = (\S+)$", switch_text or "", re.MULTILINE))


def asks_for_code(switch_text: str | None, module: str) -> bool:
    """Whether the text, if it is a code step at all, asks anybody for a code."""
    return switch_text is not None and any(
        line.startswith("auth ") and f" {module} " in line for line in switch_text.split("\n")
    )


def passes_everyone(switch_text: str | None) -> bool:
    """Whether the text is a code step that does nothing, as PASS_THROUGH does or an empty one."""
    lines = (line.partition("#")[0] for line in (switch_text or "#").split("\n"))
    return switch_text is not None and all("pam_permit.so" in line for line in lines if line.strip())


def exempt_origins(settings: Settings) -> str:
    """The rules of pam_access, access.conf(5).

    A denial is what exempts: where no rule is found, access is granted, so a lost or emptied file exempts nobody.
    """
    return "".join(f"-:ALL:{address}\n" for address in settings.exempt_addresses) + "+:ALL:ALL\n"


def _passed_by(conditions: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, over which whoever meets one of these conditions jumps; pam_succeed_if(8).

    A jump decides nothing, so nobody gets in by it whom the service would not let in by itself.
    """
    over = range(len(lines) + len(conditions) - 1, -1, -1)
    return [*(_passing_line(condition, number) for condition, number in zip(conditions, over)), *lines]


def _passing_line(condition: str, number: int) -> str:
    return f"auth [success={number} default=ignore] pam_succeed_if.so quiet {condition}"


def _passed_unless_named(names: t.Sequence[str], lines: t.Sequence[str]) -> list[str]:
    """The lines, over which whoever is in none of the lists jumps.

    A list that does not succeed ends the search, and the code is asked. No account is in a list that is a colon alone,
    so with no names nobody is asked.
    """
    *others, last = list(_lists(names)) or [":"]
    return [
        *(
            f"auth [success=ignore default={rest}] pam_succeed_if.so quiet user notin {listed}"
            for rest, listed in zip(range(len(others), 0, -1), others)
        ),
        _passing_line(f"user notin {last}", len(lines)),
        *lines,
    ]


def _lists(names: t.Sequence[str]) -> t.Iterator[str]:
    """The lists of pam_succeed_if(8), as many as it takes for each to fit into a line."""
    chunk: list[str] = []
    for name in names:
        if chunk and len(":".join([*chunk, name])) > PAM_LINE:
            yield ":".join(chunk)
            chunk = []
        chunk.append(name)
    if chunk:
        yield ":".join(chunk)


def _primary(service: str, lines: t.Sequence[str], included: t.Mapping[str, str]) -> _Primary:
    """The lines in which the service authenticates somebody first."""
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
            primary = _Primary(position, position, _from_stack(service, lines, position, included))
        elif step.control in ("required", "requisite"):
            module = [match.start() for match in WORD.finditer(lines[position])][2]
            primary = _Primary(position, position, [f"auth requisite {lines[position][module:].strip()}"])
        else:
            primary = _from_jumps(lines, position)
    if primary and not any(map(is_continued, lines[max(0, primary.first - 1) : primary.last + 1])):
        return primary
    shown = "; ".join(f"line {n + 1}: {lines[n]}" for n in found) or "none"
    raise PamError(
        f"{places.PAM_D}/{service} must have exactly one line, whole, that includes "
        f"{', '.join(places.PRIMARY_STACKS)} for auth, or that requires pam_unix.so, or lines that jump over one 'auth "
        "requisite pam_deny.so' as pam-auth-update(8) writes them; found "
        f"{shown}. Bring the file to that form, or leave {service} out."
    )


def _from_jumps(lines: t.Sequence[str], position: int) -> _Primary | None:
    """The lines around this one that jump to one place if they succeed, with what ends the stack before that place."""
    auth = [(number, step) for number, step in enumerate(map(step_of, lines)) if step]
    here = [number for number, _step in auth].index(position)
    end = here + max([0, *jumps(auth[here][1].control)])
    jumping = [n for n in range(end) if n < len(auth) and _jumps_to(auth[n][1], end - n)]
    first = end - len(jumping)
    if here not in jumping or jumping[0] != first or end >= len(auth) or not _always_ends(auth[end][1]):
        return None
    return _Primary(auth[first][0], auth[end][0], list(lines[auth[first][0] : auth[end][0] + 1]))


def _jumps_to(step: Step, number: int) -> bool:
    """Whether a success jumps over so many modules, and nothing else leads anywhere."""
    actions = step.actions
    others = [action for outcome, action in actions.items() if outcome not in ("success", "new_authtok_reqd")]
    jumps = [actions[outcome] for outcome in ("success", "new_authtok_reqd") if outcome in actions]
    return set(jumps) == {str(number)} and "default" in actions and set(others) <= {"ignore", "bad", "die"}


def _always_ends(step: Step) -> bool:
    return (step.control == "requisite" and step.module == "pam_deny.so") or step.actions == {"default": "die"}


def _from_stack(service: str, lines: t.Sequence[str], position: int, included: t.Mapping[str, str]) -> list[str]:
    """What a block has in the place of a line that includes the stack of the primary authentication."""
    stack, control = include_target(lines[position]), t.cast(Step, step_of(lines[position])).control
    steps = list(flattened(stack, included))
    problems = [(one, _problem_inside(one, rest)) for rest, one in zip(reversed(range(len(steps))), steps)]
    problems = [(one, problem) for one, problem in problems if problem]
    if not problems and _ends_at_wrong_password(steps):
        # Under substack a wrong password would end that alone, and the code would be asked for in any case.
        return [lines[position].strip() if control == "@include" else f"auth include {stack}"]
    is_last = not any(map(step_of, lines[position + 1 :]))
    only_ends = all(problem == _ENDS for _one, problem in problems) and (is_last or not problems)
    resets = any("reset" in one.step.control for one in steps)
    if stack in included and (control == "substack" or (control == "include" and only_ends and not resets)):
        return [
            f"auth substack {stack}",
            f"auth substack {_name(places.JUDGE)}",
            f"auth [success=die default=ignore] pam_exec.so quiet seteuid {places.FIRST_FACTOR_FAILED}",
        ]
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


def _check_codes(service: str, texts: t.Mapping[str, str]) -> None:
    """Nothing but the code step may ask for a code."""
    others = {name: text for name, text in texts.items() if name != _name(places.SWITCH)}
    for one in everything(service, others):
        if one.step.module.rpartition("/")[2] in _CODE_MODULES:
            raise PamError(
                f"{places.PAM_D}/{one.stack}, line {one.number}, asks for a code of its own, so that {service} would "
                f"ask for two: {one.line.strip()!r}. Remove it in the same run, before the role (docs/adopt.md has the "
                f"play), or leave {service} out."
            )


def _check_around(service: str, lines: t.Sequence[str], primary: _Primary, included: t.Mapping[str, str]) -> None:
    """Nothing before the primary authentication may get past the code, and nothing after it may undo a wrong one."""
    for number, line in enumerate(lines):
        step, problem, where = step_of(line), "", "after"
        if number < primary.first:
            problem, where = _problem_before(line, included), "before"
        elif number > primary.last and step and "reset" in step.control:
            problem = "can undo a wrong code"
        if problem:
            raise PamError(
                f"{places.PAM_D}/{service}, line {number + 1}, stands {where} the primary authentication and {problem}"
                f": {line.strip()!r}. Change that line, or leave {service} out."
            )


def _problem_before(line: str, included: t.Mapping[str, str]) -> str:
    step, target = step_of(line), include_target(line)
    if is_continued(line):
        return "goes on in the next line, which is not looked at"
    if target:
        more = target not in included or any(flattened(target, included))
        return "includes further authentication" if more else ""
    if step and jumps(step.control):
        return "jumps over a number of modules, which the code step would change"
    if step and ends_stack(step.control) and step.module not in _MAY_END_EARLY:
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


def _ends_at_wrong_password(steps: t.Sequence[Included]) -> bool:
    """Whether a wrong password ends the whole stack. What is not known is taken for a success, which does not."""
    position = 0
    while position < len(steps):
        step = steps[position].step
        action = step.action("auth_err" if step.module in _FAIL else "success")
        if action == "die":
            return True
        position += 1 + (int(action) if action.isdigit() else 0)
    return False
