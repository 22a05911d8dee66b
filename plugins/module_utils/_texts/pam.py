# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The block that makes a PAM service ask for a code, and the files that it calls; pam.conf(5). Text in, text out.

A service is protected by a marked block in the place of its primary authentication. The block carries the line that it
replaces, so taking it out needs no memory, and every other byte of the file stays.
"""

from __future__ import annotations

import itertools
import typing as t

from . import placement
from .pam_conf import include_target
from .placement import PamError

DIRECTORY = placement.DIRECTORY
SWITCH = f"{DIRECTORY}/twofactor"
KEY_ACCEPTED = "/usr/libexec/fleet-auth/ssh-key-accepted"
RUN_DIRECTORY = "/run/fleet-auth"
TALLY_DIRECTORY = f"{RUN_DIRECTORY}/faillock"
FIRST_FACTOR_FAILED = "/usr/libexec/fleet-auth/first-factor-failed"
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"
NEXT = ".next"
"""What is added to the name of a list that a switch goes by until the old one is replaced."""

_BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
_REPLACED = "#| "
_END = "# END fleet.auth twofactor"

KEY_ACCEPTED_SCRIPT = """\
#!/bin/sh
# Managed by fleet.auth. Tells PAM whether sshd has accepted a public key for this login, by sshd's SSH_AUTH_INFO_0.
case "${SSH_AUTH_INFO_0-}" in
"publickey "*) exit 0 ;;
*) exit 1 ;;
esac
"""

# A file is named after the process by its number and its start, for numbers are used again; proc(5).
FIRST_FACTOR_FAILED_SCRIPT = """\
#!/bin/sh
# Managed by fleet.auth. With "note", notes that the first factor of the login that calls it was wrong; without, tells
# whether that was noted, and forgets it. No module of PAM is told how a substack before it has ended.
read -r status <"/proc/$PPID/stat" || exit 1
set -- "${1-}" ${status##*) }
note=/run/fleet-auth/failed.$PPID.${21}
case $1 in
note) : >"$note" ;;
*) [ -e "$note" ] && /bin/rm "$note" ;;
esac
"""


_JUDGE = f"{DIRECTORY}/twofactor-judge"
_NOTE = f"{DIRECTORY}/twofactor-note"
# `done` is the one action of libpam that tells a first factor that was wrong from others, and it turns one that has
# decided nothing into a success. So that happens one level further down, and `reset` brings back what was before it.
_JUDGES = {
    _JUDGE: """\
# Notes whether the first factor was wrong, and changes nothing. Managed by fleet.auth: changes made here are lost.
auth substack twofactor-note
auth [default=reset] pam_permit.so
""",
    _NOTE: f"""\
# Part of twofactor-judge. Managed by fleet.auth: changes made here are lost.
auth [success=done default=ignore] pam_permit.so
auth [default=ignore] pam_exec.so quiet seteuid {FIRST_FACTOR_FAILED} note
""",
}
GATES = tuple(f"{DIRECTORY}/twofactor-{stack}" for stack in placement.PRIMARY)
"""Files of release 1.0, through which a service took its first factor."""
HELPERS = {
    KEY_ACCEPTED: (KEY_ACCEPTED_SCRIPT, 0o755),
    FIRST_FACTOR_FAILED: (FIRST_FACTOR_FAILED_SCRIPT, 0o755),
    **{path: (text, 0o644) for path, text in _JUDGES.items()},
}
"""The text and the mode of each file that a block may call."""


def _name(path: str) -> str:
    """The name by which another file of the same directory includes this one."""
    return path[len(DIRECTORY) + 1 :]


def is_protected(text: str) -> bool:
    """Whether the file has our block, whole or not."""
    return any(line.startswith((_BEGIN, _END)) for line in text.split("\n"))


def protect(service: str, text: str, included: t.Mapping[str, str], code_modules: t.Collection[str]) -> str:
    """Put the code step right after the primary authentication of a service; see `placement`.

    `included` has the texts of the files in /etc/pam.d that the primary authentication may stand in, by name, and
    `code_modules` the PAM modules that ask for codes, which nothing but the code step may have. A file that is
    protected already comes out as this release would write it. Raises PamError.
    """
    text = unprotect(service, text)
    others = {name: one for name, one in included.items() if name != _name(SWITCH)}
    placement.check_codes(service, {**others, service: text}, code_modules)
    lines = text.split("\n")
    primary = placement.primary_of(service, lines, included)
    placement.check_around(service, lines, primary, included)
    step = "auth substack twofactor"
    replaced = lines[primary.first : primary.last + 1]
    block = [_BEGIN if len(replaced) == 1 else f"{_BEGIN}s", *(_REPLACED + line for line in replaced)]
    if service == "sshd":
        block += [
            f"auth [success=ignore default=3] pam_exec.so quiet {KEY_ACCEPTED}",
            step,
            "auth [success=done default=ignore] pam_permit.so",
            "auth requisite pam_deny.so",
        ]
    block += primary.instead
    if primary.judged:
        block += [
            f"auth substack {_name(_JUDGE)}",
            f"auth [success=die default=ignore] pam_exec.so quiet seteuid {FIRST_FACTOR_FAILED}",
        ]
    block += [step, _END]
    return "\n".join([*lines[: primary.first], *block, *lines[primary.last + 1 :]])


def helpers(texts: t.Collection[str]) -> dict[str, tuple[str, int]]:
    """Those of `HELPERS` that protected service files with these texts call."""
    called = {line.rpartition(" ")[2] for text in texts for line in text.split("\n")}
    if _name(_JUDGE) in called:
        called.add(_name(_NOTE))
    return {path: one for path, one in HELPERS.items() if called & {path, _name(path)}}


def includes(text: str, name: str) -> bool:
    """Whether the auth stack of a service file takes in another one."""
    return name in map(include_target, text.split("\n"))


def unprotect(service: str, text: str) -> str:
    """Take the block out and put the line back that it replaced. A file without a block comes back as it is.

    Raises PamError where the block is damaged.
    """
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
    inside = itertools.takewhile(lambda line: line.startswith(_REPLACED), lines[begin + 1 : end])
    return "\n".join([*lines[:begin], *(line[len(_REPLACED) :] for line in inside), *lines[end + 1 :]])
