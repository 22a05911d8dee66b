# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the clock of the host: asks the time services whether it is in sync."""

from __future__ import annotations

import os
import time

from .command import Run
from .time_service import SyncStatus
from .time_sync import time_sync


def sync_status(run: Run, max_error_seconds: float) -> SyncStatus:
    """Whether the clock is in sync, with an error of at most `max_error_seconds`."""
    return time_sync(run, _mtime, time.time(), max_error_seconds)


def _mtime(path: str) -> float | None:
    """The time at which a file was last written; None if there is no such file."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
