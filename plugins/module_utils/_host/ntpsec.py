# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the state of ntpsec from the output of ntpq(1). Pure."""

from __future__ import annotations

import re
import typing as t

from .time_service import Probe, Reading, Unreadable, excerpt, finite, silence

_OWN_CLOCK = ("LOCAL(", "127.127.1.")
"""How the name of the driver for the host's own clock begins, in ntpsec and in ntpd."""


class Ntpsec:
    """ntpsec, read with ntpq(1): the variables of the clock, then the sources. The mark `*` or `o` means selected.

    The older ntpd prints the same format.
    """

    name = "ntpsec"

    def read(self, probe: Probe) -> Reading | None:
        _code, out, _err = probe.run(("ntpq", "-n", "-c", "rv 0", "-c", "peers"))
        # If ntpd does not run, ntpq says so, but may still return 0.
        if "leap=" not in out:
            return None
        clock, sources = parse_ntpq(out)
        if clock.leap == 3 or clock.stratum > 15:
            state = f"it says leap {clock.leap}, stratum {clock.stratum}"
            return Reading(fault=f"ntpsec runs, but follows no source: {state}")
        followed = next((one for one in sources if one.mark in "*o"), None)
        if followed is None:
            listed = ", ".join(f"{one.name} (reach {one.reach:o})" for one in sources)
            return Reading(fault=f"ntpsec has selected none of its sources: {listed or 'it has none'}")
        # The local clock driver, or orphan mode. A server may say LOCL as well, of its own clock.
        if followed.name.startswith(_OWN_CLOCK) or followed.refid == ".ORPH.":
            return Reading(fault=f"ntpsec follows the host's own clock ({followed.name}) instead of a source")
        error = abs(clock.offset) + abs(clock.root_delay) / 2 + clock.root_dispersion
        fault = (
            f"{followed.name}, which ntpsec follows, has left its last eight polls unanswered"
            if followed.reach == 0
            else silence(self.name, followed.name, followed.silent, followed.poll_seconds)
        )
        return Reading(followed.name, error, fault)


class NtpClock(t.NamedTuple):
    """What `ntpq -c rv` says about the clock. Times are in seconds; `offset` is the offset of the clock."""

    leap: int
    stratum: int
    root_delay: float
    root_dispersion: float
    offset: float


class NtpSource(t.NamedTuple):
    """A line of `ntpq -n -c peers`. Polls are `poll_seconds` apart; the last answer came `silent` seconds ago."""

    mark: str
    name: str
    refid: str
    silent: float
    poll_seconds: float
    reach: int


def parse_ntpq(text: str) -> tuple[NtpClock, tuple[NtpSource, ...]]:
    """Parse the output of `ntpq -n -c 'rv 0' -c peers`, whose times are in milliseconds. Raises Unreadable."""
    variables, _line, table = text.partition("====")
    values = dict(re.findall(r"\b(leap|stratum|rootdelay|rootdisp|offset)=([^\s,]+)", variables))
    try:
        clock = NtpClock(
            leap=int(values["leap"], 2),
            stratum=int(values["stratum"]),
            root_delay=finite(values["rootdelay"]) / 1e3,
            root_dispersion=finite(values["rootdisp"]) / 1e3,
            offset=finite(values["offset"]) / 1e3,
        )
        lines = [line for line in table.lstrip("=").splitlines() if line.strip()]
        return clock, tuple(map(_ntp_source, lines))
    except (LookupError, ValueError) as error:
        raise Unreadable(f"ntpq printed {excerpt(text)}") from error


def _ntp_source(line: str) -> NtpSource:
    """Parse the line of a source. Its first character is the mark that ntpd gives it. Raises ValueError."""
    name, refid, _stratum, _kind, when, poll, reach, *_numbers = line[1:].split()
    return NtpSource(line[0], name, refid, _ntp_seconds(when), _ntp_seconds(poll), int(reach, 8))


def _ntp_seconds(text: str) -> float:
    """The seconds of a time such as 45, 17m, 3h or 2d; 0 for `-`, which means no answer yet. Raises ValueError."""
    units = {"m": 60.0, "h": 3600.0, "d": 86400.0}
    if text == "-":
        return 0.0
    return finite(text[:-1]) * units[text[-1]] if text[-1] in units else finite(text)
