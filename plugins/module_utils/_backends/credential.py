# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a credential, independent of the backend: the keys of the devices, and which codes were used."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

MakeKey = t.Callable[[int], bytes]
"""Makes a random key of this many bytes."""
RECOVERY_CODES = 10
"""How many recovery codes a set has."""
LONG_AGO = 0
"""A step that stands for all steps whose codes can no longer be valid."""


class CredentialError(ValueError):
    """A credential that its PAM module would not read as intended, or cannot hold. The text never has the key."""


class CannotHold(CredentialError):
    """A credential of one backend that has something that another backend cannot hold."""

    def __init__(self, what: str, remedy: t.Callable[[str], str]) -> None:
        super().__init__(what)
        self.remedy = remedy
        """Returns what to set so that the rest can be moved, as the start of a sentence; takes a name, or `them`."""


LAST_USED = "%Y-%m-%dT%H:%M:%SL"
"""The format in which liboath writes the time of a used code, for strftime(3)."""


class Clock(t.NamedTuple):
    """A time, in seconds since the epoch and as local time in the format `LAST_USED`."""

    seconds: float
    local: str


@dataclass(frozen=True)
class App:
    """The key of one device of a user, and how codes are made with it."""

    name: str
    """The name of a further device; empty for the user's first one."""
    key: bytes = field(repr=False)
    interval: int | None
    """For how many seconds a code is shown; None if codes depend on a counter, not on the time."""
    used: tuple[int, ...] = ()
    """The steps whose codes are used, as far as it matters; empty if no code was ever used."""


class Credential(t.NamedTuple):
    """The content of a user's credential."""

    apps: tuple[App, ...]
    renewal: str = ""
    """The name of the last renewal of the first device."""
    recovery_set: str = ""
    """The name of the set of recovery codes."""
    recovery_codes_left: int = 0
    pass_until: str | None = None
    """The time at which the pass ends, in UTC (ISO 8601); None if there is no pass."""
    self_made: str = ""
    """When and where its user made it alone, such as 2026-11-28/cockpit; empty once it is accepted."""

    @property
    def phone(self) -> App | None:
        """The user's first device."""
        return next((app for app in self.apps if not app.name and app.interval is not None), None)

    @property
    def proven(self) -> bool:
        """Whether a code of a device was right once, with its present key.

        A code proves nothing if the key may have been made by anyone who had the password.
        """
        return not self.self_made and any(app.used for app in self.apps)
