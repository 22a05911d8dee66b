# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock with ntpsec. The outputs are those of ntpq from ntpsec 1.2.2."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._host.ntpsec import parse_ntpq
from ansible_collections.fleet.auth.plugins.module_utils._host.time_service import SyncStatus, Unreadable
from ansible_collections.fleet.auth.plugins.module_utils._host.time_sync import time_sync

IN_SYNC = """\
associd=0 status=0014 leap_none, sync_unspec, 1 event, freq_mode,
leap=00, stratum=4, precision=-24, rootdelay=0.13, rootdisp=1.015,
refid=192.168.48.2, reftime=eeb55dde.d2966c72 2026-11-28T14:04:14.822Z, tc=3,
peer=17767, offset=0.02214, frequency=0.0, sys_jitter=0.0,
clk_jitter=0.01029, clock=eeb55de0.79c7e209 2026-11-28T14:04:16.475Z,
processor="x86_64", system="Linux/6.18.44-fc-v657",
version="ntpd ntpsec-1.2.2", clk_wander=0.0, mintc=0
     remote           refid      st t when poll reach   delay   offset   jitter
===============================================================================
*192.168.48.2    127.127.1.1      3 u    1    8    7   0.1303  -0.0001   0.0203
"""
# Just started, with "disable ntp", so that ntpd never took over the clock.
NEVER_SYNCED = IN_SYNC.replace("leap_none", "leap_alarm").replace("leap=00", "leap=11")
NOT_RUNNING = (0, "", "***Socket error; probably ntpd is not running\n")
SOURCE = "*192.168.48.2    127.127.1.1      3 u    1    8    7 "


def status(ntpq: tuple[int, str, str], max_error_seconds: float = 1.0) -> SyncStatus:
    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        return ntpq if argv[0] == "ntpq" else (1, "", "")

    return time_sync(run, lambda _path: None, 1_800_000_000.0, max_error_seconds)


def with_source(line: str) -> tuple[int, str, str]:
    return 0, IN_SYNC.replace(SOURCE, line), ""


def test_follows_a_source() -> None:
    found = status((0, IN_SYNC, ""))
    assert (found.in_sync, found.service, found.source) == (True, "ntpsec", "192.168.48.2")
    # |offset| + root delay / 2 + root dispersion; ntpq prints milliseconds.
    assert found.error_seconds == pytest.approx((0.02214 + 0.13 / 2 + 1.015) / 1e3)
    assert not status((0, IN_SYNC, ""), 0.001).in_sync


def test_does_not_run() -> None:
    found = status(NOT_RUNNING)
    assert found.service is None
    assert "nor ntpsec nor" in found.reason


@pytest.mark.parametrize(
    ("ntpq", "reason"),
    [
        ((0, NEVER_SYNCED, ""), "ntpsec runs, but follows no source: it says leap 3, stratum 4"),
        (with_source(SOURCE.replace("*", " ")), "none of its sources: 192.168.48.2 (reach 7)"),
        (
            with_source(SOURCE.replace("   7 ", "   0 ")),
            "192.168.48.2, which ntpsec follows, has left its last eight",
        ),
        (with_source(SOURCE.replace("  1    8 ", " 9m    8 ")), "which has sent nothing useful for 540 s"),
        (with_source("*LOCAL(0)        .LOCL.           5 u    1    8    7 "), "the host's own clock (LOCAL(0))"),
        (with_source("*127.127.1.0     .LOCL.           5 l    1    8    7 "), "the host's own clock (127.127.1.0)"),
        (with_source("*10.0.0.1        .ORPH.           5 u    1    8    7 "), "the host's own clock (10.0.0.1)"),
        ((0, IN_SYNC.replace("rootdisp=1.015", "rootdisp=nan"), ""), "ntpsec could not be understood"),
        ((0, IN_SYNC.replace("   1    8    7 ", "   1    8 "), ""), "ntpsec could not be understood"),
    ],
)
def test_is_not_in_sync(ntpq: tuple[int, str, str], reason: str) -> None:
    found = status(ntpq)
    assert not found.in_sync
    assert found.service == "ntpsec"
    assert reason in found.reason


@given(st.text("abl=01e*.,- \n\t", max_size=80))
def test_any_output_is_read_or_unreadable(text: str) -> None:
    with contextlib.suppress(Unreadable):
        parse_ntpq(f"leap=00, stratum=1, rootdelay=0, rootdisp=0, offset=0\n====\n{text}")
