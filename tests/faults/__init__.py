# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every point at which a change of two-factor login can be killed, or fail for want of a disk, on real hosts.

A change makes a number of system calls that change the host. It is run once for each of them, and struck there: killed,
or the call fails. Then people log in, and what they meet has to be the old policy or the new one; and whatever comes
next, the next run, the timer, a boot, the recovery command or the console, has to bring the host to a known state.

``python -m faults`` strikes everywhere, ``python -m faults --sample`` here and there.
"""

from __future__ import annotations

from .campaign import Campaign
from .ground import Ground
from .kinds import KINDS, Kind
from .strace import FAULTS, Call
from .trial import Trial, Verdict

__all__ = ["FAULTS", "KINDS", "Call", "Campaign", "Ground", "Kind", "Trial", "Verdict"]
