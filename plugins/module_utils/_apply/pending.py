# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change of this host that nobody has confirmed yet, or that died half-way: its journal tells."""

from __future__ import annotations

import os
import time

from .. import _places as places
from . import journal

CONFIRMED_WITHIN = 60.0
"""How many seconds after a change its run confirms it, if it still can. It is a new connection and one module."""


def is_pending() -> bool:
    """Whether there is one."""
    return os.path.exists(places.JOURNAL)


def seconds_to_confirm() -> float:
    """For how long a change has still to be given for its confirmation, which its run is about to send; 0 if none is.

    Only a change that was carried out to its end waits for one; another one has died.
    """
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            done = journal.done_at(file.read())
    except FileNotFoundError:
        return 0.0
    left = CONFIRMED_WITHIN - (time.clock_gettime(time.CLOCK_BOOTTIME) - done)
    return min(max(left, 0.0), CONFIRMED_WITHIN)


def pending_change() -> tuple[str, float] | None:
    """The token that confirms it, and when it began, in seconds since boot; None where there is none."""
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            script = file.read()
    except FileNotFoundError:
        return None
    return journal.token_of(script), journal.made_at(script)
