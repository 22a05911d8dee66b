# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The change of this host that nobody has confirmed yet, or that died half-way: its journal tells."""

from __future__ import annotations

import os

from .. import _places as places
from . import journal


def is_pending() -> bool:
    """Whether there is one."""
    return os.path.exists(places.JOURNAL)


def pending_change() -> tuple[str, float] | None:
    """The token that confirms it, and when it began, in seconds since boot; None where there is none."""
    try:
        with open(places.JOURNAL, encoding="utf-8") as file:
            script = file.read()
    except FileNotFoundError:
        return None
    return journal.token_of(script), journal.made_at(script)
