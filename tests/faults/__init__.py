# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults at every point at which a change of two-factor login can be killed, or fail because of the disk.

A change makes a number of system calls that alter the host. On real hosts, the change is run once for each of these
calls and struck there: the process is killed, or the call fails. Then people log in, and the answers they get must be
those of the old policy or of the new one. Whatever comes next (the next run, the timer, a boot, the recovery command or
the console) must bring the host to a known state.

``python -m faults`` strikes at every call, ``python -m faults --sample`` at a few of them.
"""

from __future__ import annotations

from .campaign import Campaign
from .ground import Ground
from .kinds import KINDS, Kind
from .strace import FAULTS, Call
from .trial import Trial, Verdict

__all__ = ["FAULTS", "KINDS", "Call", "Campaign", "Ground", "Kind", "Trial", "Verdict"]
