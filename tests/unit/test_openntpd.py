# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock with openntpd, which is never known to be in sync."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host.time_service import SyncStatus
from ansible_collections.fleet.auth.plugins.module_utils._host.time_sync import time_sync


def status(ntpctl: tuple[int, str, str]) -> SyncStatus:
    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        return ntpctl if argv[0] == "ntpctl" else (1, "", "")

    return time_sync(run, lambda _path: None, 1_800_000_000.0, 3600.0)


@pytest.mark.parametrize("output", ["4/4 peers valid, clock synced, stratum 3", "0/1 peers valid, clock unsynced"])
def test_never_reports_the_possible_error_of_the_clock(output: str) -> None:
    reason = f"openntpd runs, which does not report how far off the clock may be, but only '{output}'"
    assert status((0, f"{output}\n", "")) == SyncStatus(False, "openntpd", None, None, reason)


def test_does_not_run() -> None:
    found = status((1, "", "ntpctl: connect: /var/lib/openntpd/run/ntpd.sock: No such file or directory\n"))
    assert found.service is None
    assert found.reason.endswith("nor openntpd runs")
