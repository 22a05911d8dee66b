# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two-factor login found on a host and has changed, for when it is turned off: a file of its own, if need be."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

_HEAD = "# What two-factor login found on this host, for when it is turned off. Managed by fleet.auth.\n"


class Rights(t.NamedTuple):
    """The mode and the owner of a directory."""

    mode: int
    uid: int
    gid: int


OURS = Rights(0o700, 0, 0)
"""Of a directory of credentials."""


@dataclass(frozen=True)
class Found:
    """What has to be remembered of a host, which on most hosts is nothing."""

    made: frozenset[str] = frozenset()
    """Directories of others that were not there. They go again, once they are empty."""
    directories: t.Mapping[str, Rights] = field(default_factory=dict)
    """Directories of credentials that were there before, and how."""

    @classmethod
    def parse(cls, text: str | None) -> Found:
        """Read the file. A line that it cannot have is passed over."""
        text = text or ""
        found = re.findall(r"^found (/\S+) ([0-7]{4}) (\d+) (\d+)$", text, re.MULTILINE)
        return cls(
            frozenset(re.findall(r"^made (/\S+)$", text, re.MULTILINE)),
            {path: Rights(int(mode, 8), int(uid), int(gid)) for path, mode, uid, gid in found},
        )

    def render(self) -> str | None:
        """The text of the file; None where there is nothing to remember."""
        lines = [f"made {path}\n" for path in sorted(self.made)]
        lines += [
            f"found {path} {one.mode:04o} {one.uid} {one.gid}\n" for path, one in sorted(self.directories.items())
        ]
        return _HEAD + "".join(lines) if lines else None
