# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the processes of the host, once; proc(5)."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import typing as t

from .._texts.login_daemons import SERVERS

_REPLACED = re.compile(r"([.]dpkg-(new|tmp)|;[0-9a-f]+)? \(deleted\)$")
"""What a link of proc(5) has behind the name of a program that an upgrade has replaced meanwhile."""
_BETWEEN = re.compile(r"[\s,:\"']+")
_UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.MULTILINE)


class Process(t.NamedTuple):
    """A process of this host, and not of a container on it."""

    pid: int
    uid: int
    command_line: str
    """Its words, each with a NUL behind it; or what it has put in their place."""

    @property
    def program(self) -> str:
        """The file name of its program, as its first word has it."""
        return self.command_line.partition("\0")[0].partition(" ")[0].rstrip(":").rpartition("/")[2]

    @property
    def served(self) -> tuple[str, ...]:
        """The words of its command line that may be programs, where it starts one of them for each connection."""
        words = self.command_line.split("\0")
        server = "".join(words[1:2]) if self.program == "busybox" else self.program
        return tuple(_BETWEEN.split(" ".join(words[1:]))) if server in SERVERS else ()

    @property
    def executable(self) -> str:
        """The file that it runs, or that it ran before an upgrade; an empty text where it is gone."""
        with contextlib.suppress(OSError):
            return _REPLACED.sub("", os.readlink(f"/proc/{self.pid}/exe"))
        return ""

    @property
    def owner(self) -> str:
        """The account that it runs as, or an empty text for root."""
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name if self.uid else ""
        return str(self.uid)

    def has(self, path: str) -> bool:
        """Whether this path is the same file to it as to us, or nothing to both: not where it has another root.

        A process that is gone, or that may not be looked at, has whatever we have.
        """
        is_seen = _identity(f"/proc/{self.pid}/root") is not None
        return not is_seen or _identity(f"/proc/{self.pid}/root{path}") == _identity(path)

    @property
    def unit(self) -> str:
        """The service of systemd that it belongs to, or an empty text."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/cgroup", encoding="utf-8") as file:
            return next(iter(_UNIT.findall(file.read())), "")
        return ""

    @property
    def is_inside(self) -> bool:
        """Whether it is in a container, with process numbers and a root directory of its own.

        A unit can have numbers of its own (PrivatePIDs) with the files of the host.
        """
        try:
            has_own_numbers = os.readlink(f"/proc/{self.pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        except OSError:
            return False
        return has_own_numbers and not self.has("/")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def processes() -> list[Process]:
    """Every process that runs a program, those in containers too."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            command_line = file.read(8192)
            if command_line:
                uid = os.fstat(file.fileno()).st_uid
                found.append(Process(int(name), uid, command_line.decode("utf-8", "replace")))
    return found
