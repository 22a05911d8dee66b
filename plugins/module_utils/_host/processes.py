# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the processes of the host, once; proc(5)."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import time
import typing as t

from .._texts.login_daemons import SERVERS

_REPLACED = re.compile(r"([.]dpkg-(new|tmp)|;[0-9a-f]+)? \(deleted\)$")
"""The ending that a link in proc(5) has after the name of a program that an upgrade has replaced."""
_BETWEEN = re.compile(r"[\s,:\"']+")
_UNIT = re.compile(r"/([^/\n]+\.service)(?:/|$)", re.MULTILINE)


class Process(t.NamedTuple):
    """A process that the host sees; see `is_in_container` for those in containers."""

    pid: int
    uid: int
    command_line: str
    """Its words, each followed by a NUL; or the title that the process has written over them."""

    @property
    def program(self) -> str:
        """The file name of its program, from the first word of its command line."""
        return self.command_line.partition("\0")[0].partition(" ")[0].rstrip(":").rpartition("/")[2]

    @property
    def served(self) -> tuple[str, ...]:
        """The words of its command line that may be the program that it starts for each connection, if it does so."""
        words = self.command_line.split("\0")
        server = "".join(words[1:2]) if self.program == "busybox" else self.program
        return tuple(_BETWEEN.split(" ".join(words[1:]))) if server in SERVERS else ()

    @property
    def started(self) -> float:
        """When it started, in seconds since the epoch; the present time if it has ended."""
        now, since_boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as file:
            # The program's name, in brackets, may have any character.
            return now - since_boot + int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return now

    @property
    def executable(self) -> str:
        """The file that it runs, or that an upgrade has replaced since; empty if the process has ended."""
        with contextlib.suppress(OSError):
            return _REPLACED.sub("", os.readlink(f"/proc/{self.pid}/exe"))
        return ""

    @property
    def owner(self) -> str:
        """The account that it runs as, or its UID if that has no name; empty for root."""
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name if self.uid else ""
        return str(self.uid)

    def has(self, path: str) -> bool:
        """Whether it sees the same file at this path as we do, or neither sees one. It may have another root directory.

        The answer is yes for a process that has ended, or that we may not look at.
        """
        is_seen = _identity(f"/proc/{self.pid}/root") is not None
        return not is_seen or _identity(f"/proc/{self.pid}/root{path}") == _identity(path)

    @property
    def unit(self) -> str:
        """The systemd unit that it belongs to; empty if there is none."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return next(iter(_UNIT.findall(file.read())), "")
        return ""

    @property
    def is_in_container(self) -> bool:
        """Whether it is in a container, with its own PID namespace and its own root directory.

        A unit may have its own PID namespace (PrivatePIDs) and still see the host's files.
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
    """Every process that runs a program, including those in containers."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            command_line = file.read(8192)
            if command_line:
                uid = os.fstat(file.fileno()).st_uid or _uid(name)
                found.append(Process(int(name), uid, command_line.decode("utf-8", "replace")))
    return found


def _uid(process: str) -> int:
    """The account that a process runs as; if it has the rights of several, one of them that is not root.

    Any account can have root own the files of its process in proc(5), by prctl(2), PR_SET_DUMPABLE.
    """
    with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
        ids = next((line.split()[1:] for line in file if line.startswith("Uid:")), [])
    return next((int(one) for one in ids if one != "0"), 0)
