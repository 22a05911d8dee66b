# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody's credential says, whichever backend keeps it: the keys of the devices, and what was used of them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

MakeKey = t.Callable[[int], bytes]
"""Makes a key of so many bytes."""
RECOVERY_CODES = 10
"""How many recovery codes a set has."""
LONG_AGO = 0
"""A step that stands for all whose codes cannot be right any more."""


class CredentialError(ValueError):
    """A credential that its module would not read as it is meant, or cannot hold. The text never has the key."""


class CannotHold(CredentialError):
    """What one backend says of a user, and another one cannot hold."""

    def __init__(self, what: str, remedy: t.Callable[[str], str]) -> None:
        super().__init__(what)
        self.remedy = remedy
        """What of the settings lets the rest go along, as the beginning of a sentence about somebody, or about them."""


LAST_USED = "%Y-%m-%dT%H:%M:%SL"
"""How liboath writes the time beside a used code, for strftime(3)."""


class Clock(t.NamedTuple):
    """A moment, as seconds since the epoch and as local time in the form of `LAST_USED`."""

    seconds: float
    local: str


@dataclass(frozen=True)
class App:
    """What makes codes for a user on one device."""

    name: str
    """That of a further device; empty for the user's first one."""
    key: bytes = field(repr=False)
    interval: int | None
    """For how many seconds a code is shown; None where codes go by a counter."""
    used: tuple[int, ...] = ()
    """The steps whose codes are used, as far as it matters; none where no code was ever right."""


class Credential(t.NamedTuple):
    """What a user's credential says."""

    apps: tuple[App, ...]
    renewal: str = ""
    """The name of the last renewal of the first device."""
    recovery_set: str = ""
    """The name of the set of recovery codes."""
    recovery_codes_left: int = 0
    pass_until: str | None = None
    """When the time of a pass is over, in UTC (ISO 8601)."""
    self_made: str = ""
    """When and where its user made it alone, such as 2026-11-28/cockpit, until somebody has accepted it."""

    @property
    def phone(self) -> App | None:
        """The user's first device."""
        return next((app for app in self.apps if not app.name and app.interval is not None), None)

    @property
    def proven(self) -> bool:
        """Whether a code of a device was right, since its key is what it is.

        A code proves nothing where whoever had the password made the key.
        """
        return not self.self_made and any(app.used for app in self.apps)
