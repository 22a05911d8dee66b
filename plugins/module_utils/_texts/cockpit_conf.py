# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways past PAM in Cockpit's configuration, and the block that closes the one by Kerberos; cockpit.conf(5).

The last value of a setting applies. If Cockpit cannot read a line, it ignores the whole file. Text in, text out.
"""

from __future__ import annotations

import re
import typing as t

_SECTION = re.compile(r"\s*\[([^\]\[]+)\]\s*")
_SETTING = re.compile(r"\s*([A-Za-z0-9-]+)\s*=\s*(.*)")
_IGNORED = re.compile(r"\s*(#.*)?")

_BEGIN = "# BEGIN fleet.auth twofactor: Kerberos asks nobody for a code"
_NEW_FILE = ", in a file that was not there"
_NO_LINE_END = ", below a line that had no end"
_BODY = "[Negotiate]\naction = none\n# END fleet.auth twofactor\n"
_BLOCK = re.compile(f"{re.escape(_BEGIN)}({re.escape(_NEW_FILE)}|{re.escape(_NO_LINE_END)}|)\n{re.escape(_BODY)}")


_PROGRAMS = ("command", "unixpath")
"""The settings for the program that decides who gets in, or its socket. Each way to log in is a section with them."""
_SESSION_SOCKET = "/run/cockpit/session"
"""The socket of Cockpit's own program in later releases."""
_BY_SSH = "ssh-login"
_OWN = {"": ("cockpit-session",), _BY_SSH: ("cockpit-ssh", "cockpit-beiboot")}
"""Cockpit's programs that use PAM; and those that use sshd, for logins from the page to other machines."""
_OWN_DIRECTORIES = ("/usr/libexec", "/usr/lib/cockpit")
"""Where distributions install them."""
_FALSE = ("/bin/false", "/usr/bin/false")
"""The program that lets nobody in."""
_PAST_PAM = ("clientcertauthentication", "forwardedforheader", *_PROGRAMS)
"""The settings that let people in past PAM, or make Cockpit believe the address that a request claims."""


class OwnProgram(t.NamedTuple):
    """A line that lets another program than Cockpit's own decide who gets in."""

    number: int
    section: str
    setting: str
    program: str


class _Setting(t.NamedTuple):
    """A setting, and the number of its line."""

    number: int
    value: str


def accepts_kerberos(text: str | None) -> bool:
    """Whether Cockpit tries to let people in by Kerberos, which it does unless this is turned off."""
    found = _settings(text or "")
    off = found.get(("negotiate", "action")) if found is not None else None
    # Cockpit compares the whole value, to the end of the line.
    return off is None or off.value != "none"


def certificate_line(text: str | None) -> int | None:
    """The number of the line that makes Cockpit let people in by certificate; None if there is none."""
    found = _readable(text)
    setting = found.get(("webservice", "clientcertauthentication"))
    return setting.number if setting and setting.value.strip().lower() in ("yes", "true", "1") else None


def own_programs(text: str | None) -> list[OwnProgram]:
    """The lines that let other programs than Cockpit's own decide who gets in."""
    return [
        OwnProgram(setting.number, section, name, setting.value.strip())
        for (section, name), setting in _readable(text).items()
        if name in _PROGRAMS and not _authenticates(_program(setting.value), section)
    ]


def logs_in_by_ssh(text: str | None) -> bool:
    """Whether Cockpit's page also logs people in by ssh, to any machine that it reaches, so to its own host as well.

    It does unless its program for that is false(1). LoginTo hides the field, and in later releases also closes the way.
    """
    program = (_settings(text or "") or {}).get((_BY_SSH, "command"))
    return program is None or _program(program.value) not in _FALSE


def is_own_program(path: str) -> bool:
    """Whether a program is one of Cockpit's own, by its name and by the directory where distributions install them."""
    directory, _slash, name = path.rpartition("/")
    return directory in _OWN_DIRECTORIES and name.startswith("cockpit-")


def _program(value: str) -> str:
    """The path of a program that may have arguments, or of a socket."""
    return value.split()[0] if value.strip() else ""


def _authenticates(path: str, section: str) -> bool:
    """Whether a program or socket is Cockpit's own way to authenticate, or lets nobody in."""
    is_own = is_own_program(path) and path.rpartition("/")[2] in _OWN.get(section, _OWN[""])
    return is_own or path in (_SESSION_SOCKET, *_FALSE)


def header_of_origin(text: str | None) -> tuple[int, str] | None:
    """The number of the line with the request header from which Cockpit takes a client's address, and that header."""
    setting = _readable(text).get(("webservice", "forwardedforheader"))
    return (setting.number, setting.value.strip()) if setting and setting.value.strip() else None


def unreadable_line(text: str | None) -> int | None:
    """The number of the first line because of which Cockpit would ignore the whole file; None if there is none."""
    return next((number for number, line in _lines(text or "") if _is_unreadable(line)), None)


def without_kerberos(text: str | None) -> str:
    """The file with our block at its end, where it wins over all before it."""
    text = without_block(text)
    how = _NEW_FILE if text is None else _NO_LINE_END if text and not text.endswith("\n") else ""
    above = f"{text or ''}\n" if how == _NO_LINE_END else text or ""
    return f"{above}{_BEGIN}{how}\n{_BODY}"


def without_block(text: str | None) -> str | None:
    """The file as it was before our block; None if there was no file. A block that somebody changed is not ours."""
    found = _BLOCK.search(text or "")
    if text is None or found is None:
        return text
    before, after = text[: found.start()], text[found.end() :]
    if found[1] == _NO_LINE_END and not after:
        before = before[:-1]
    return None if found[1] == _NEW_FILE and not before + after else before + after


def past_pam(text: str | None) -> str:
    """The lines that decide who gets in past PAM, or make Cockpit ignore the file; each with its section before it.

    The line that closes the login by ssh is not among them.
    """
    shown, section = "", ""
    for _number, line in _lines(text or ""):
        heading, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if heading:
            section = heading[1].lower()
        elif setting and section and not _may_let_in(section, setting[1].lower(), setting[2]):
            continue
        elif setting or not _IGNORED.fullmatch(line):
            shown += f"{section}\t{line}\n"
    return shown


def _may_let_in(section: str, name: str, value: str) -> bool:
    """Whether a setting may let people in past PAM."""
    if (section, name) == (_BY_SSH, "command"):
        return value.strip(" \t\r") not in _FALSE
    return section == "negotiate" or name in _PAST_PAM


def _readable(text: str | None) -> dict[tuple[str, str], _Setting]:
    """The settings in the lines that can be read, even if Cockpit ignores the whole file because of another line."""
    return _settings(text or "", strict=False) or {}


def _settings(text: str, *, strict: bool = True) -> dict[tuple[str, str], _Setting] | None:
    """The settings by section and name, both in lower case; None if Cockpit ignores the file."""
    found: dict[tuple[str, str], _Setting] = {}
    section = ""
    for number, line in _lines(text):
        heading, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if heading:
            section = heading[1].lower()
        elif setting and section:
            found[section, setting[1].lower()] = _Setting(number, setting[2])
        elif strict and (setting or _is_unreadable(line)):
            return None
    return found


def _lines(text: str) -> t.Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), start=1)


def _is_unreadable(line: str) -> bool:
    return not any(pattern.fullmatch(line) for pattern in (_SECTION, _SETTING, _IGNORED))
