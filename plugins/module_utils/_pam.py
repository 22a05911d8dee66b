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

from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings

DIRECTORY = "/etc/pam.d"
SWITCH = f"{DIRECTORY}/twofactor"
KEY_ACCEPTED = "/usr/libexec/fleet-auth/ssh-key-accepted"
TALLY_DIRECTORY = "/run/fleet-auth/faillock"
SCOPE_USERS = "/etc/security/twofactor-users"
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"

_BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
_REPLACED = "#| "
_END = "# END fleet.auth twofactor"

_HEADER = "# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.\n"
PASS_THROUGH = _HEADER + "auth required pam_permit.so\n"

_AUTH_LINE = re.compile(r"-?auth[ \t]+(?P<control>\[[^\]]*\]|\S+)[ \t]+(?P<module>\S+)", re.IGNORECASE)
_INCLUDE_LINE = re.compile(r"@include[ \t]+(?P<module>\S+)")
_OTHER_STACKS = re.compile(r"common-(account|password|session(-noninteractive)?)")
_PRIMARY = ("common-auth", "password-auth", "system-auth")
# Modules that may end a service's stack before the primary authentication: root needs no password for su, and a client
# certificate of Cockpit is an authentication of its own that an administrator has to switch on.
_MAY_END_EARLY = ("pam_rootok.so", "pam_cockpit_cert.so")
# A configuration line that libpam cuts is a line that denies everyone; releases before 1.6 read 1024 bytes.
_LINE_LENGTH = 800

KEY_ACCEPTED_SCRIPT = """\
#!/bin/sh
# Managed by fleet.auth. Tells PAM whether sshd has accepted a public key for this login, by sshd's SSH_AUTH_INFO_0.
case "${SSH_AUTH_INFO_0-}" in
"publickey "*) exit 0 ;;
*) exit 1 ;;
esac
"""


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
    position, primary = _primary(service, lines)
    _check_before(service, lines[:position])
    stack = _include_target(lines[position])
    _check_included(service, lines[position], included.get(stack, ""))
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


def switch(settings: Settings, code_line: str) -> str:
    """The code step: who skips it, the tally of wrong codes, and the module that asks for the code.

    Only a rule that succeeds lets anybody skip the code, so a missing or truncated list asks everyone.
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
            f"auth [perm_denied=ignore default=1] pam_access.so accessfile={EXEMPT_ORIGINS} noaudit",
            "auth [success=done default=ignore] pam_permit.so",
        ]
    if settings.scope == "groups":
        lines.append(_skip_line(f"user notingroup {':'.join(settings.scope_groups)}"))
    elif settings.scope == "enrolled":
        lines.append(
            "auth [success=done default=ignore] pam_listfile.so "
            f"item=user sense=deny file={SCOPE_USERS} onerr=fail quiet"
        )
    lines += [
        f"auth requisite pam_faillock.so preauth silent {tally}",
        f"auth [success=1 default=ignore] {code_line}",
        f"auth [default=die] pam_faillock.so authfail {tally}",
        f"auth sufficient pam_faillock.so authsucc {tally}",
    ]
    return _HEADER + "".join(line + "\n" for line in lines)


def except_service(switch_text: str, service: str) -> str:
    """The same code step, but passed by one service while that is on its way in or out."""
    return _HEADER + _skip_line(f"service = {service}") + "\n" + switch_text


def asks_for_code(switch_text: str | None, module: str) -> bool:
    """Whether the text, if it is a code step at all, asks anybody for a code."""
    return switch_text is not None and any(
        line.startswith("auth ") and f" {module} " in line for line in switch_text.split("\n")
    )


def scope_users(users: t.Iterable[str]) -> str:
    """The list of pam_listfile(8): one name a line."""
    return "".join(f"{user}\n" for user in sorted(users))


def exempt_origins(settings: Settings) -> str:
    """The rules of pam_access, access.conf(5).

    A denial is what exempts: where no rule is found, access is granted, so a lost or emptied file exempts nobody.
    """
    return "".join(f"-:ALL:{address}\n" for address in settings.exempt_addresses) + "+:ALL:ALL\n"


def _skip_line(condition: str) -> str:
    return f"auth [success=done default=ignore] pam_succeed_if.so quiet {condition}"


def _skip(condition: str, names: t.Sequence[str]) -> t.Iterator[str]:
    chunk: list[str] = []
    for name in names:
        if chunk and len(":".join([*chunk, name])) > _LINE_LENGTH:
            yield _skip_line(f"{condition} {':'.join(chunk)}")
            chunk = []
        chunk.append(name)
    if chunk:
        yield _skip_line(f"{condition} {':'.join(chunk)}")


def _include_target(line: str) -> str:
    """The file that a line of the auth stack includes, or an empty text."""
    include = _INCLUDE_LINE.match(line.strip())
    if include:
        return include.group("module")
    auth = _AUTH_LINE.match(line.strip())
    if auth and auth.group("control").lower() in ("include", "substack"):
        return auth.group("module")
    return ""


def _primary(service: str, lines: t.Sequence[str]) -> tuple[int, str]:
    found = [n for n, line in enumerate(lines) if _include_target(line) in _PRIMARY]
    if len(found) == 1:
        position = found[0]
        continued = position > 0 and lines[position - 1].endswith("\\")
        if not continued and not lines[position].endswith("\\"):
            return position, lines[position].strip()
    shown = "; ".join(f"line {n + 1}: {lines[n]}" for n in found) or "none"
    raise PamError(
        f"{DIRECTORY}/{service} must have exactly one line, whole, that includes {', '.join(_PRIMARY)} for auth; found "
        f"{shown}. Bring the file to that form, or leave {service} out."
    )


def _check_before(service: str, before: t.Sequence[str]) -> None:
    for number, line in enumerate(before, start=1):
        target = _include_target(line)
        auth = _AUTH_LINE.match(line.strip())
        if target and not _OTHER_STACKS.fullmatch(target):
            problem = "includes further authentication"
        elif auth and _jumps(auth.group("control")):
            problem = "jumps over a number of modules, which the code step would change"
        elif auth and _ends_stack(auth.group("control")) and auth.group("module") not in _MAY_END_EARLY:
            problem = "can end the authentication before the code is asked for"
        else:
            continue
        raise PamError(
            f"{DIRECTORY}/{service}, line {number}, stands before the primary authentication and {problem}: "
            f"{line.strip()!r}. Change that line, or leave {service} out."
        )


def _check_included(service: str, line: str, text: str) -> None:
    for number, inner in enumerate(text.split("\n"), start=1):
        auth = _AUTH_LINE.match(inner.strip())
        if auth and _ends_stack(auth.group("control")):
            raise PamError(
                f"{DIRECTORY}/{service} takes its primary authentication from {line.strip()!r}, whose line {number} "
                f"ends the whole stack at a right password, before the code is asked for: {inner.strip()!r}. "
                f"Replace it by a jump, as pam-auth-update(8) writes it, or leave {service} out."
            )


def _jumps(control: str) -> bool:
    return bool(re.search(r"=[ \t]*[0-9]", control))


def _ends_stack(control: str) -> bool:
    return control.lower() == "sufficient" or bool(re.search(r"=[ \t]*done\b", control.lower()))
