# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PAM service text in, PAM service text out; pam.conf(5).

A service is protected by a marked block in the place of its primary authentication. The block carries the line that it
replaces, so taking it out needs no memory, and every other byte of the file stays.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils._settings import PAM_LINE, Settings

DIRECTORY = "/etc/pam.d"
SWITCH = f"{DIRECTORY}/twofactor"
KEY_ACCEPTED = "/usr/libexec/fleet-auth/ssh-key-accepted"
TALLY_DIRECTORY = "/run/fleet-auth/faillock"
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"
NEXT = ".next"
"""What is added to the name of a list that a switch goes by until the old one is replaced."""

_BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
_REPLACED = "#| "
_END = "# END fleet.auth twofactor"

_HEADER = "# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.\n"
PASS_THROUGH = _HEADER + "auth required pam_permit.so\n"

# What libpam takes for one word: anything in brackets, or up to the next blank.
_WORD = re.compile(r"\[((?:\\\]|[^\]])*)\]?|([^ \t\[][^ \t]*)")
_INCLUDES = ("@include", "include", "substack")
_PRIMARY = ("common-auth", "password-auth", "system-auth")
# Modules that may end a service's stack before the primary authentication: root needs no password for su, and a client
# certificate of Cockpit is an authentication of its own that an administrator has to switch on.
_MAY_END_EARLY = ("pam_rootok.so", "pam_cockpit_cert.so")

KEY_ACCEPTED_SCRIPT = """\
#!/bin/sh
# Managed by fleet.auth. Tells PAM whether sshd has accepted a public key for this login, by sshd's SSH_AUTH_INFO_0.
case "${SSH_AUTH_INFO_0-}" in
"publickey "*) exit 0 ;;
*) exit 1 ;;
esac
"""


class _Step(t.NamedTuple):
    """One line of an auth stack. What is included stands as the module of a control that includes it."""

    control: str
    module: str


class _Included(t.NamedTuple):
    """One line of an included stack, and where it stands."""

    path: str
    number: int
    line: str
    control: str


class PamError(ValueError):
    """A file in which the code step cannot be placed with certainty; the text shows the lines and the remedy."""


def is_protected(text: str) -> bool:
    """Whether the file has our block, whole or not."""
    return any(line.startswith((_BEGIN, _END)) for line in text.split("\n"))


def protect(service: str, text: str, included: t.Mapping[str, str]) -> str:
    """Put the code step right after the primary authentication.

    `included` has the texts of the files in /etc/pam.d that the primary authentication may stand in. A file that is
    protected already comes out as this release would write it. Raises PamError.
    """
    lines = unprotect(service, text).split("\n")
    position = _primary(service, lines)
    _check_around(service, lines, position, included)
    stack = _include_target(lines[position])
    _check_included(service, stack, included)
    primary = lines[position].strip()
    step = "auth substack twofactor"
    # Under substack a wrong password would not end the stack: the code would be asked for in any case, and a wrong one
    # be counted against somebody whose password a stranger does not know.
    first = primary if primary.startswith("@include") else f"auth include {stack}"
    block = [_BEGIN, _REPLACED + lines[position]]
    if service == "sshd":
        block += [
            f"auth [success=ignore default=3] pam_exec.so quiet {KEY_ACCEPTED}",
            step,
            "auth [success=done default=ignore] pam_permit.so",
            "auth requisite pam_deny.so",
        ]
    block += [first, step, _END]
    return "\n".join(lines[:position] + block + lines[position + 1 :])


def unprotect(service: str, text: str) -> str:
    """Take the block out and put the line back that it replaced. A file without a block comes back as it is."""
    lines = text.split("\n")
    begins = [n for n, line in enumerate(lines) if line.startswith(_BEGIN)]
    ends = [n for n, line in enumerate(lines) if line.startswith(_END)]
    if not begins and not ends:
        return text
    if len(begins) != 1 or len(ends) != 1 or ends[0] <= begins[0] + 1 or not lines[begins[0] + 1].startswith(_REPLACED):
        raise PamError(
            f"the block of fleet.auth in {DIRECTORY}/{service} is damaged (lines "
            f"{', '.join(str(n + 1) for n in sorted(begins + ends))}). It begins with {_BEGIN!r}, then {_REPLACED!r} "
            f"and the line that it replaced, and ends with {_END!r}; put it right or remove it by hand, and run again."
        )
    begin, end = begins[0], ends[0]
    replaced = lines[begin + 1][len(_REPLACED) :]
    return "\n".join([*lines[:begin], replaced, *lines[end + 1 :]])


def switch(settings: Settings, enrolled: t.Iterable[str], code_line: str, suffix: str = "") -> str:
    """The code step: who skips it, the tally of wrong codes, and the module that asks for the code.

    `enrolled` are the accounts in scope where the scope is `enrolled`; `suffix` is added to the name of the list of
    origins. Only rules that succeed let anybody skip the code, so a rule or a list that is damaged asks everyone.
    """
    lock = settings.lockout
    tally = (
        f"conf=/dev/null dir={TALLY_DIRECTORY} deny={lock.attempts} unlock_time={lock.unlock_seconds} "
        f"fail_interval={lock.count_seconds} even_deny_root"
    )
    lines = [
        *_skip("user in", settings.exempt_users),
        *_skip("user ingroup", settings.exempt_groups),
    ]
    if settings.exempt_addresses:
        lines += [
            f"auth [perm_denied=ignore default=1] pam_access.so accessfile={EXEMPT_ORIGINS}{suffix} noaudit",
            "auth [success=done default=ignore] pam_permit.so",
        ]
    if settings.scope == "groups":
        lines.append(_skip_line(f"user notingroup {':'.join(settings.scope_groups)}"))
    elif settings.scope == "enrolled":
        lines += _skip_unless_named(sorted(enrolled))
    lines += [
        f"auth requisite pam_faillock.so preauth silent {tally}",
        f"auth [success=1 default=ignore] {code_line}",
        f"auth [default=die] pam_faillock.so authfail {tally}",
        f"auth sufficient pam_faillock.so authsucc {tally}",
    ]
    return _HEADER + "".join(line + "\n" for line in lines)


def except_services(switch_text: str, services: t.Sequence[str]) -> str:
    """The same code step, but passed by these services, while they are on their way in or out."""
    return _HEADER + "".join(f"{line}\n" for line in _skip("service in", services)) + switch_text


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


def _skip_line(condition: str) -> str:
    return f"auth [success=done default=ignore] pam_succeed_if.so quiet {condition}"


def _skip(condition: str, names: t.Sequence[str]) -> t.Iterator[str]:
    for listed in _lists(names):
        yield _skip_line(f"{condition} {listed}")


def _skip_unless_named(names: t.Sequence[str]) -> t.Iterator[str]:
    """Whoever is in none of the lists skips the code. A line that does not succeed ends the search: the code is asked.

    No account is in a list that is a colon alone, so with no names nobody is asked.
    """
    *others, last = list(_lists(names)) or [":"]
    for rest, listed in zip(range(len(others), 0, -1), others):
        yield f"auth [success=ignore default={rest}] pam_succeed_if.so quiet user notin {listed}"
    yield _skip_line(f"user notin {last}")


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


def _step(line: str) -> _Step | None:
    """What a line means for the auth stack, as libpam reads it; None where it means nothing."""
    words = [bracketed or plain for bracketed, plain in _WORD.findall(line.partition("#")[0])]
    if words and words[0] == "@include":
        words.insert(0, "auth")
    kind, control, module = [*words, "", "", ""][:3]
    return _Step(control.lower(), module) if kind.lower() in ("auth", "-auth") else None


def _include_target(line: str) -> str:
    """The file that a line of the auth stack includes, or an empty text."""
    step = _step(line)
    return step.module if step and step.control in _INCLUDES else ""


def _is_continued(line: str) -> bool:
    return line.partition("#")[0].rstrip(" \t").endswith("\\")


def _primary(service: str, lines: t.Sequence[str]) -> int:
    found = [n for n, line in enumerate(lines) if _include_target(line) in _PRIMARY]
    if len(found) == 1 and not any(map(_is_continued, lines[max(0, found[0] - 1) : found[0] + 1])):
        return found[0]
    shown = "; ".join(f"line {n + 1}: {lines[n]}" for n in found) or "none"
    raise PamError(
        f"{DIRECTORY}/{service} must have exactly one line, whole, that includes {', '.join(_PRIMARY)} for auth; found "
        f"{shown}. Bring the file to that form, or leave {service} out."
    )


def _check_around(service: str, lines: t.Sequence[str], position: int, included: t.Mapping[str, str]) -> None:
    """Nothing before the primary authentication may get past the code, and nothing after it may undo a wrong one."""
    for number, line in enumerate(lines, start=1):
        problem = _problem_before(line, included) if number <= position else ""
        step = _step(line)
        if number > position and step and "reset" in step.control:
            problem = "can undo a wrong code"
        if problem:
            where = "before" if number <= position else "after"
            raise PamError(
                f"{DIRECTORY}/{service}, line {number}, stands {where} the primary authentication and {problem}: "
                f"{line.strip()!r}. Change that line, or leave {service} out."
            )


def _problem_before(line: str, included: t.Mapping[str, str]) -> str:
    step, target = _step(line), _include_target(line)
    if _is_continued(line):
        return "goes on in the next line, which is not looked at"
    if target:
        more = target not in included or any(_included(target, included))
        return "includes further authentication" if more else ""
    if step and _jumps(step.control):
        return "jumps over a number of modules, which the code step would change"
    if step and _ends_stack(step.control) and step.module not in _MAY_END_EARLY:
        return "can end the authentication before the code is asked for"
    return ""


def _check_included(service: str, stack: str, included: t.Mapping[str, str]) -> None:
    """The stack that the primary authentication stands in has to come to its end, where the code step follows."""
    steps = list(_included(stack, included))
    for rest, step in zip(reversed(range(len(steps))), steps):
        if _ends_stack(step.control):
            problem = "ends the whole stack at a right password, before the code is asked for"
        elif any(jump > rest for jump in _jumps(step.control)):
            problem = "jumps past the end of that file, over the code step"
        elif _is_continued(step.line):
            problem = "goes on in the next line, which is not looked at"
        elif step.control in _INCLUDES:
            problem = "includes what is not there to be looked at"
        else:
            continue
        raise PamError(
            f"{DIRECTORY}/{service} takes its primary authentication from {step.path}, whose line {step.number} "
            f"{problem}: {step.line.strip()!r}. Write it as pam-auth-update(8) does, or leave {service} out."
        )


def _included(stack: str, included: t.Mapping[str, str], above: tuple[str, ...] = ()) -> t.Iterator[_Included]:
    """The auth lines of an included file and of those that it includes. To libpam a substack is like one module."""
    for number, line in enumerate(included.get(stack, "").split("\n"), start=1):
        step = _step(line)
        if step is None:
            continue
        if step.control == "substack":
            yield _Included(f"{DIRECTORY}/{stack}", number, line, "")
        elif step.control in _INCLUDES and step.module in included and step.module not in above:
            yield from _included(step.module, included, (*above, stack))
        else:
            yield _Included(f"{DIRECTORY}/{stack}", number, line, step.control)


def _jumps(control: str) -> list[int]:
    return [int(number) for number in re.findall(r"=\s*([0-9]+)", control)]


def _ends_stack(control: str) -> bool:
    return control == "sufficient" or bool(re.search(r"=\s*done", control))
