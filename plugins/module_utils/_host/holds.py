# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for what keeps root from changing a file: its attributes, chattr(1), or what is mounted there."""

from __future__ import annotations

import array
import fcntl
import os
import platform
import re
import stat
import typing as t

from .state import MOUNTED, Hold

# FS_IOC_GETFLAGS of linux/fs.h: an ioctl that reads a long. A few architectures have another number for reading.
_READ = 0x40000000 if platform.machine().startswith(("ppc", "mips", "sparc", "alpha")) else 0x80000000
_GET_FLAGS = _READ | array.array("l").itemsize << 16 | ord("f") << 8 | 1
_ATTRIBUTES = {0x10: "i", 0x20: "a"}
"""FS_IMMUTABLE_FL and FS_APPEND_FL, by the letters of chattr(1)."""


def holds(paths: t.Iterable[str]) -> tuple[Hold, ...]:
    """What keeps these paths from being written, replaced or removed; each hold is given once."""
    found: dict[Hold, None] = {}
    mounted = _mounted()
    of_directories: dict[str, tuple[Hold, ...]] = {}
    for path in paths:
        directory = os.path.dirname(path)
        if directory not in of_directories:
            of_directories[directory] = _of_directory(_nearest(directory))
        found.update(dict.fromkeys(of_directories[directory]))
        if path in mounted and not os.path.isdir(path):
            found[Hold(path, MOUNTED)] = None
        # On a read-only file system, attributes do not matter.
        if all(hold.attribute for hold in of_directories[directory]):
            found.update(dict.fromkeys(_of_attributes(path)))
    return tuple(found)


def _mounted() -> frozenset[str]:
    """The paths at which something is mounted; proc(5), mountinfo."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            paths = [line.split(" ")[4] for line in file]
    except OSError:
        return frozenset()
    return frozenset(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path) for path in paths)


def _of_directory(directory: str) -> tuple[Hold, ...]:
    """What keeps files in a directory from being created, replaced or removed."""
    if _is_read_only(directory):
        return (Hold(_top_read_only(directory), ""),)
    return _of_attributes(directory)


def _of_attributes(path: str) -> tuple[Hold, ...]:
    return tuple(Hold(path, letter) for letter in _attributes(path))


def _nearest(directory: str) -> str:
    """This directory, or the nearest one above it that exists."""
    while directory and not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory or "."


def _is_read_only(directory: str) -> bool:
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def _top_read_only(directory: str) -> str:
    """The topmost directory, from this one upwards, to which all are read-only; people see that as one mount."""
    above = os.path.dirname(directory)
    while above != directory and _is_read_only(above):
        directory, above = above, os.path.dirname(above)
    return directory


def _attributes(path: str) -> str:
    """The letters of the attributes that protect a file or directory; empty if there is no file or directory."""
    try:
        if stat.S_IFMT(os.lstat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            return ""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(descriptor, _GET_FLAGS, flags, True)
    except OSError:
        # The file system has no such attributes.
        return ""
    finally:
        os.close(descriptor)
    return "".join(letter for bit, letter in _ATTRIBUTES.items() if flags[0] & bit)
