# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that records what two-factor login found on a host and changed, so that turning it off can restore that."""

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


OWN_RIGHTS = Rights(0o700, 0, 0)
"""The mode and owner of our credential directories."""


@dataclass(frozen=True)
class OriginalState:
    """What has to be remembered about a host; on most hosts, nothing."""

    made: frozenset[str] = frozenset()
    """Shared directories that did not exist before. They are removed again once they are empty."""
    directories: t.Mapping[str, Rights] = field(default_factory=dict)
    """Credential directories that existed before, with their mode and owner."""

    @classmethod
    def parse(cls, text: str | None) -> OriginalState:
        """Read the file. Unknown lines are skipped."""
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
