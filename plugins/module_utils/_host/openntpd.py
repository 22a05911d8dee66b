# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""openntpd, which cannot report how far off the clock may be. Pure."""

from __future__ import annotations

from .time_service import Probe, Reading, excerpt


class Openntpd:
    """openntpd, detected with ntpctl(8), and never considered in sync.

    It calls the clock synced once it has ended an adjustment, even while the servers differ from the clock by a second.
    ntpctl prints the offset from each server, but neither root delay nor root dispersion, which bound how far that
    server may be from the true time. So the error of the clock has no known bound.
    """

    name = "openntpd"

    def read(self, probe: Probe) -> Reading | None:
        code, out, err = probe.run(("ntpctl", "-s", "status"))
        if code != 0:
            return None
        output = excerpt(" ".join((out or err).split()))
        return Reading(fault=f"openntpd runs, which does not report how far off the clock may be, but only {output}")
