# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for what keeps root from changing a file: its attributes, chattr(1), or a file system mounted read-only."""

from __future__ import annotations

import array
import fcntl
import os
import platform
import stat
import typing as t

from .state import Hold

# FS_IOC_GETFLAGS of linux/fs.h: an ioctl that reads a long. A few architectures number that direction otherwise.
_READ = 0x40000000 if platform.machine().startswith(("ppc", "mips", "sparc", "alpha")) else 0x80000000
_GET_FLAGS = _READ | array.array("l").itemsize << 16 | ord("f") << 8 | 1
_ATTRIBUTES = {0x10: "i", 0x20: "a"}
"""FS_IMMUTABLE_FL and FS_APPEND_FL, by the letters of chattr(1)."""


def holds(paths: t.Iterable[str]) -> tuple[Hold, ...]:
    """What keeps these paths from being written, replaced or removed; each is named once."""
    found: dict[Hold, None] = {}
    for path in paths:
        directory = _nearest_directory(path)
        if _is_read_only(directory):
            found[Hold(_topmost_read_only(directory), "")] = None
            continue
        for one in (directory, path):
            found.update(dict.fromkeys(Hold(one, letter) for letter in _attributes(one)))
    return tuple(found)


def _nearest_directory(path: str) -> str:
    """The directory of this path, or of those above it the first that there is."""
    directory = os.path.dirname(path)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def _is_read_only(directory: str) -> bool:
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def _topmost_read_only(directory: str) -> str:
    """How far up the directories are read-only as well: that is one mount to a person, if not to the kernel."""
    above = os.path.dirname(directory)
    while above != directory and _is_read_only(above):
        directory, above = above, os.path.dirname(above)
    return directory


def _attributes(path: str) -> str:
    """The letters of the attributes that keep a file or directory as it is; none where there is no such thing."""
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
        # A file system that has no such attributes.
        return ""
    finally:
        os.close(descriptor)
    return "".join(letter for bit, letter in _ATTRIBUTES.items() if flags[0] & bit)
