# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the journal of a change of this host that is not confirmed yet, or was cut short."""

from __future__ import annotations

import os
import time

from .. import _places as places
from . import journal

CONFIRMED_WITHIN = 60
"""The seconds within which a run confirms its change, if it can. This takes a new connection and one module."""


def is_pending() -> bool:
    """Whether there is such a change."""
    return os.path.exists(places.JOURNAL)


def awaits_confirmation() -> bool:
    """Whether the run of this change may still confirm it.

    Only a completed change can be confirmed; a change that is not complete was cut short.
    """
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            done = journal.done_at(file.read())
    except FileNotFoundError:
        return False
    return time.clock_gettime(time.CLOCK_BOOTTIME) - done < CONFIRMED_WITHIN


def pending_change() -> tuple[str, float] | None:
    """The token that confirms the change, and the time it began, in seconds since boot; None if there is no change."""
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            script = file.read()
    except FileNotFoundError:
        return None
    return journal.token_of(script), journal.made_at(script)
