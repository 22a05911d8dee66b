# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""openntpd, which cannot tell how far off the clock may be. Pure."""

from __future__ import annotations

from .time_service import Asked, Reading, excerpt


class Openntpd:
    """openntpd, recognised by ntpctl(8), and never in sync.

    It calls the clock synced once an adjustment of it has ended, and goes on calling it so while its servers differ
    from the clock by a second. ntpctl tells how far the clock is from each server, but neither root delay nor root
    dispersion, which is how far that server may be from the true time: there is no bound of the error to be had.
    """

    name = "openntpd"

    def read(self, asked: Asked) -> Reading | None:
        code, out, err = asked.run(("ntpctl", "-s", "status"))
        if code != 0:
            return None
        told = excerpt(" ".join((out or err).split()))
        return Reading(fault=f"openntpd runs, which does not tell how far off the clock may be, but only {told}")
