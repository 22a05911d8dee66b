# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PAM services that the rules of sudo make it use, in place of its own; sudoers(5). Text in, text out."""

from __future__ import annotations

import re
import typing as t

from .. import _places as places

_CONTINUED = re.compile(r"\\\n")
_DEFAULTS = re.compile(r"\s*Defaults\b")
_SETTING = re.compile(r"\b(pam_(?:login_|askpass_)?service)\s*=\s*\"?([^\s\",]+)")
_BEFORE_COMMENT = re.compile(r'(?:"(?:[^\\"]|\\.)*"|\\.|#(?=-?\d)|[^#])*')
"""A # followed by a number is an account or a group, not a comment."""
_INCLUDE = re.compile(r'[ \t]*[@#]include(dir)?[ \t]+(?:"((?:[^\\"]|\\.)+)"|"?((?:[^\\\s"]|\\.)+))')
_MAIN_FILE = re.compile(r"^[ \t]*Plugin[ \t](?:.*[ \t])?sudoers_file=(/\S+)", re.MULTILINE)
_OWN = {"pam_service": "sudo", "pam_askpass_service": "sudo", "pam_login_service": "sudo-i"}
"""The service of sudo's own that each setting replaces."""


class OtherService(t.NamedTuple):
    """A line that makes sudo use another PAM service for some accounts."""

    path: str
    number: int
    setting: str
    service: str

    @property
    def instead_of(self) -> str:
        """The service that sudo would use without the line."""
        return _OWN[self.setting]


def other_services(files: t.Mapping[str, str]) -> list[OtherService]:
    """The lines that make sudo use another PAM service for any account; `files` has those with its rules, by path."""
    return [
        OtherService(path, number, setting, service)
        for path, text in files.items()
        for number, line in _lines(text)
        if _DEFAULTS.match(line)
        for setting, service in _SETTING.findall(_before_comment(line))
        if service != _OWN[setting]
    ]


def main_file(config: str) -> str:
    """The file with the rules, as sudo's own configuration (`config`) names it; sudo.conf(5)."""
    found = _MAIN_FILE.findall(_CONTINUED.sub(" ", config))
    return found[-1] if found else places.SUDOERS


def included(text: str, hostname: str = "") -> t.Iterator[str]:
    """The paths that a file of rules includes on a host of this name: files, and directories with a / at their end."""
    for _number, line in _lines(text):
        found = _INCLUDE.match(line)
        if found:
            path = re.sub(r"\\(.)", r"\1", found[2] or found[3]).replace("%h", hostname.partition(".")[0])
            path = path if path.startswith("/") else f"{places.SUDOERS.rpartition('/')[0]}/{path}"
            yield f"{path.rstrip('/')}/" if found[1] else path


def is_read(name: str) -> bool:
    """Whether sudo reads a file of this name in an included directory; it skips the copies that editors leave."""
    return "." not in name and not name.endswith("~")


def _before_comment(line: str) -> str:
    found = _BEFORE_COMMENT.match(line)
    return found[0] if found else ""


def _lines(text: str) -> t.Iterator[tuple[int, str]]:
    """The lines as sudo joins them, each with the number where it begins."""
    number = 1
    for line in _CONTINUED.sub("\0", text).split("\n"):
        yield number, line.replace("\0", " ")
        number += 1 + line.count("\0")
