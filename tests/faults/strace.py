# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch the system calls of a command with strace, and strike at them."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LOG = "/srv/faults/strace"

FAULTS: t.Final = {
    "KILL": "signal=KILL",
    "ENOSPC": "error=ENOSPC",
    "EIO": "error=EIO",
    "EROFS": "error=EROFS",
}

_STARTS = ("clone", "clone3", "fork", "vfork")
_CHANGES = (
    *("creat", "open", "openat", "truncate", "ftruncate", "write", "pwrite64", "writev", "fsync", "fdatasync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fchmodat2"),
    *("chown", "fchown", "lchown", "fchownat"),
)
_OPENS = ("open", "openat")
_WITH_DATA = ("write", "pwrite64", "writev")
_FOR_WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT)\b")
# Nothing there outlives a boot or decides a login. Ansible unpacks itself in /tmp.
_ELSEWHERE = re.compile(r"/(dev|proc|tmp|run/chrony|srv/faults)\b")

_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_PATH = re.compile(r'"(/[^"]*)"|\d<(/[^>]*)>')


@dataclass(frozen=True)
class Call:
    """One system call of a command that changes the host.

    strace strikes at the `number`-th call of this name that concerns `path`, in any process that makes so many. What
    Python does before a module begins concerns other paths.
    """

    name: str
    path: str | None
    """None for the start of a process: then it is the `number`-th start by the command's first process."""
    number: int
    by_first: bool = False
    """Whether the call is made by the command's first process, and not by one that it has started."""

    def __str__(self) -> str:
        ordinal = f" #{self.number}" if self.number > 1 or self.path is None else ""
        return f"{self.name}({self.path or ''}){ordinal}"

    def struck(self, fault: str, command: Sequence[str]) -> list[str]:
        """The command under strace, which strikes at this call."""
        where = ["-P", self.path] if self.path else []
        inject = f"inject={self.name}:{FAULTS[fault]}:when={self.number}"
        # strace counts the calls of each process separately, so with -f it would strike several processes where they
        # make the same call. The n-th start of a process is such a call, in the undo script as well. With
        # --seccomp-bpf, which is faster and needs -f, strace 6.1 sends no signals.
        if self.by_first and (fault == "KILL" or self.path is None):
            how = []
        else:
            how = ["-f"] if fault == "KILL" else ["-f", "--seccomp-bpf"]
        return [*_STRACE, *how, *where, "-e", f"trace={self.name}", "-e", inject, *command]


_STRACE = ("strace", "-y", "-o", LOG)


def watched(command: Sequence[str]) -> list[str]:
    """The command under strace, which only watches."""
    names = ",".join(f"?{name}" for name in (*_STARTS, *_CHANGES))
    return [*_STRACE, "-f", "--seccomp-bpf", "-e", f"trace={names}", *command]


def has_struck(log: str) -> bool:
    """Whether the call to strike at was made."""
    return "(INJECTED)" in log or "+++ killed by SIGKILL +++" in log


def calls(log: str) -> list[Call]:
    """The calls of a watched command that changed the host, in order, and the starts of processes.

    Calls that failed anyway are left out, and so are processes started by other processes than the command's first one.
    """
    found: dict[Call, None] = {}
    first = log.split(" ", 1)[0]
    counts: Counter[tuple[str, str, str | None]] = Counter()
    for line in _whole(log):
        call = _LINE.match(line)
        if not call:
            continue
        pid, name, arguments = call["pid"], call["name"], call["arguments"]
        if name in _WITH_DATA:
            arguments = arguments.split(",", 1)[0]
        paths = [None] if name in _STARTS else [text or opened for text, opened in _PATH.findall(arguments)]
        if not paths:
            continue
        # strace -P looks at the first path of a call, and for a symlink at the last one.
        path = paths[-1 if name.startswith("symlink") else 0]
        counts[pid, name, path] += 1
        if call["result"].startswith("-"):
            continue
        if path is None:
            changes = pid == first
        else:
            changes = not _ELSEWHERE.match(path) and (name not in _OPENS or bool(_FOR_WRITING.search(arguments)))
        if changes:
            found[Call(name, path, counts[pid, name, path], by_first=pid == first)] = None
    return list(found)


def _whole(log: str) -> Iterator[str]:
    """The lines of a log. Lines that were cut in two by another process are put together."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        pid = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>", line):
            yield begun.pop(pid, "") + line[resumed.end() :]
        else:
            yield line
