# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the state of chrony from the output of chronyc(1). Pure."""

from __future__ import annotations

import typing as t

from .time_service import Probe, Reading, Unreadable, excerpt, finite, silence


class Tracking(t.NamedTuple):
    """What `chronyc -c tracking` says about the clock. Times are in seconds; `offset` is NTP time minus clock."""

    reference_id: str
    reference_time: float
    offset: float
    root_delay: float
    root_dispersion: float
    update_interval: float
    leap: str


class Source(t.NamedTuple):
    """A line of `chronyc -c sources`. Polls are 2**`poll` seconds apart; `reach` has the last eight as bits."""

    name: str
    state: str
    poll: int
    reach: int


class Chrony:
    """chrony, read with chronyc(1): a line of `tracking`, then `sources`, used only if `tracking` shows no fault."""

    name = "chrony"

    def read(self, probe: Probe) -> Reading | None:
        code, out, err = probe.run(("chronyc", "-n", "-c", "-m", "tracking", "sources"))
        line, _end, rest = out.partition("\n")
        if code != 0 and "," not in line:
            return None
        tracking = parse_tracking(line)
        fault = self._fault_in(tracking)
        if fault is not None:
            return Reading(fault=fault)
        if code != 0:
            raise Unreadable(f"chronyc sources ended with {code}: {excerpt(err or rest)}")
        sources = parse_sources(rest)
        selected = next((source for source in sources if source.state == "*"), None)
        if selected is None:
            listed = ", ".join(f"{source.name} (state {source.state}, reach {source.reach:o})" for source in sources)
            return Reading(fault=f"chrony has selected none of its sources: {listed or 'it has none'}")
        error = abs(tracking.offset) + abs(tracking.root_delay) / 2 + tracking.root_dispersion
        return Reading(selected.name, error, self._fault_of(selected, tracking, probe.now))

    @staticmethod
    def _fault_in(tracking: Tracking) -> str | None:
        """Why the clock is not in sync, according to `tracking`; None if it may be."""
        if tracking.reference_id == "00000000" or tracking.leap == "Not synchronised":
            return "chrony runs, but follows no source: the clock is not synchronised"
        if tracking.reference_id == "7F7F0101":
            return "chrony follows the host's own clock (reference 127.127.1.1) instead of a source"
        if tracking.leap not in ("Normal", "Insert second", "Delete second"):
            return f"chrony gives the leap status {tracking.leap!r}"
        return None

    def _fault_of(self, selected: Source, tracking: Tracking, now: float) -> str | None:
        """What is wrong with the selected source: it no longer answers, or has said nothing useful for too long."""
        if selected.reach == 0:
            return f"{selected.name}, which chrony follows, has left its last eight polls unanswered"
        # The reference time is that of chronyd's own clock, to which the host's clock is still being slewed.
        age = now + tracking.offset - tracking.reference_time
        # With the `filter` option an update takes several polls.
        return silence(self.name, selected.name, age, max(2.0**selected.poll, tracking.update_interval))


def parse_tracking(text: str) -> Tracking:
    """Parse the output of `chronyc -c tracking`: one line of 14 fields, in the order of chronyc(1).

    Raises Unreadable.
    """
    fields = text.strip().split(",")
    try:
        if len(fields) < 14 or len(fields[0]) != 8 or not fields[13]:
            raise ValueError
        int(fields[0], 16)
        return Tracking(
            reference_id=fields[0].upper(),
            reference_time=finite(fields[3]),
            offset=finite(fields[4]),
            root_delay=finite(fields[10]),
            root_dispersion=finite(fields[11]),
            update_interval=finite(fields[12]),
            leap=fields[13],
        )
    except ValueError as error:
        raise Unreadable(f"chronyc tracking printed {excerpt(text)}") from error


def parse_sources(text: str) -> tuple[Source, ...]:
    """Parse the output of `chronyc -c sources`: a line of 10 fields for each source, nothing if there is no source.

    Raises Unreadable.
    """
    sources = []
    for line in text.splitlines():
        fields = line.split(",")
        try:
            if len(fields) < 10 or len(fields[1]) != 1 or not fields[2]:
                raise ValueError
            source = Source(name=fields[2], state=fields[1], poll=int(fields[4]), reach=int(fields[5], 8))
            if not (-32 <= source.poll <= 32 and 0 <= source.reach <= 0o377):
                raise ValueError
        except ValueError as error:
            raise Unreadable(f"chronyc sources printed {excerpt(line)}") from error
        sources.append(source)
    return tuple(sources)
