# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the journal of a change of this host that is not confirmed yet, or was cut short."""

from __future__ import annotations

import os
import time

from .. import _places as places
from . import files, journal

CONFIRMED_WITHIN = 60
"""The seconds within which a run confirms its change, if it can. This takes a new connection and one module."""


def is_pending() -> bool:
    """Whether there is such a change."""
    return os.path.exists(places.JOURNAL)


def awaits_confirmation() -> bool:
    """Whether the run of this change may still confirm it.

    Only a completed change can be confirmed; a change that is not complete was cut short.
    """
    text = _journal()
    return text is not None and time.clock_gettime(time.CLOCK_BOOTTIME) - journal.done_at(text) < CONFIRMED_WITHIN


def pending_change() -> tuple[str, float] | None:
    """The token that confirms the change, and the time it began, in seconds since boot; None if there is no change."""
    text = _journal()
    return None if text is None else (journal.token_of(text), journal.made_at(text))


def _journal() -> str | None:
    """The text of the journal; None if there is none."""
    try:
        return files.read(places.JOURNAL)
    except FileNotFoundError:
        return None
