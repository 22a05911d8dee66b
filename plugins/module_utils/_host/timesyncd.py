# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the state of systemd-timesyncd from its properties on D-Bus. Pure."""

from __future__ import annotations

import json
import typing as t

from .time_service import Probe, Reading, Unreadable, excerpt, silence

# The assumed drift of an undisciplined clock: PHI in RFC 5905, section 7.2.
DRIFT = 15e-6

SYNCHRONIZED = "/run/systemd/timesync/synchronized"
"""Touched by systemd-timesyncd at each synchronisation, systemd-timesyncd.service(8)."""


class TimesyncState(t.NamedTuple):
    """What systemd-timesyncd says about its last poll. Times are in seconds; `offset` is NTP time minus clock."""

    server: str
    poll_seconds: float
    leap: int
    stratum: int
    root_delay: float
    root_dispersion: float
    offset: float
    delay: float
    ignored: bool
    packet_count: int


class SystemdTimesyncd:
    """systemd-timesyncd, read over D-Bus, and the time of its last synchronisation.

    `timedatectl show-timesync` is not used: it prints timestamps in whole seconds, too coarse for an offset, and makes
    D-Bus start a stopped systemd-timesyncd.
    An offset that systemd-timesyncd has just corrected stays in its last answer, and in the error, until the next poll.
    """

    name = "systemd-timesyncd"

    CALL = (
        *("busctl", "--json=short", "--auto-start=no", "call"),
        *("org.freedesktop.timesync1", "/org/freedesktop/timesync1"),
        *("org.freedesktop.DBus.Properties", "GetAll", "s", "org.freedesktop.timesync1.Manager"),
    )

    def read(self, probe: Probe) -> Reading | None:
        code, out, _err = probe.run(self.CALL)
        if code != 0:
            return None
        state = parse_timesync(out)
        fault = self._fault_in(state)
        if fault is not None:
            return Reading(source=state.server or None, fault=fault)
        synchronized = probe.mtime(SYNCHRONIZED)
        if synchronized is None:
            fault = f"systemd-timesyncd has not synchronised the clock since it started: {SYNCHRONIZED} is missing"
            return Reading(source=state.server, fault=fault)
        age = probe.now - synchronized
        delay = abs(state.delay) + state.root_delay
        error = abs(state.offset) + delay / 2 + state.root_dispersion + DRIFT * abs(age)
        return Reading(state.server, error, silence(self.name, state.server, age, state.poll_seconds))

    @staticmethod
    def _fault_in(state: TimesyncState) -> str | None:
        """Why the clock is not in sync, according to the last answer of the server; None if it may be."""
        if not state.server:
            return "systemd-timesyncd runs, but has no time server"
        if state.packet_count == 0:
            return f"systemd-timesyncd has had no answer from {state.server} yet"
        if state.leap == 3 or not 1 <= state.stratum <= 15:
            return f"{state.server} is not in sync itself: it says leap {state.leap}, stratum {state.stratum}"
        if state.ignored:
            return f"systemd-timesyncd ignored the last answer of {state.server}, which did not fit those before"
        return None


def parse_timesync(text: str) -> TimesyncState:
    """Parse the properties of org.freedesktop.timesync1.Manager, as busctl(1) prints them in JSON.

    Raises Unreadable.
    """
    try:
        (properties,) = json.loads(text)["data"]
        server = properties["ServerName"]["data"]
        poll = properties["PollIntervalUSec"]["data"]
        message = properties["NTPMessage"]["data"]
        leap, _version, _mode, stratum, _precision, root_delay, root_dispersion = message[:7]
        _reference, originated, received, transmitted, arrived, ignored, packet_count = message[7:14]
        numbers = (poll, leap, stratum, root_delay, root_dispersion, packet_count)
        if not all(isinstance(number, int) for number in (*numbers, originated, received, transmitted, arrived)):
            raise ValueError
        if not isinstance(server, str) or not isinstance(ignored, bool):
            raise ValueError
        return TimesyncState(
            server=server,
            poll_seconds=poll / 1e6,
            leap=leap,
            stratum=stratum,
            root_delay=root_delay / 1e6,
            root_dispersion=root_dispersion / 1e6,
            # RFC 5905, section 8: T1 to T4.
            offset=((received - originated) + (transmitted - arrived)) / 2e6,
            delay=((arrived - originated) - (transmitted - received)) / 1e6,
            ignored=ignored,
            packet_count=packet_count,
        )
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise Unreadable(f"busctl printed {excerpt(text)}") from error
