# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the clock in sync? What the time services print goes in, one SyncStatus comes out.

Nothing here touches the host: commands and file times come through the callables that the caller passes. A new time
service is one class with a `name` and a `read`, and one line in SERVICES.

A source that died leaves a time service content for hours, so how long it has been silent is judged here: it counts as
dead after three of its polls, and never before 10 s. That is 192 s with chrony's shortest default poll of 64 s, 3072 s
with its longest of 1024 s; 96 s and 6144 s with systemd-timesyncd's 32 s and 2048 s. Until then the bound on the
error, which grows while a source is silent, keeps a clock that drifts from passing.
"""

from __future__ import annotations

import json
import math
import re
import typing as t

from .command import Run

Mtime = t.Callable[[str], t.Optional[float]]

SILENT_POLLS = 3
# A busy host that polls each second may miss a few, and chronyc waits up to 7 s for its answer.
PATIENCE_SECONDS = 10.0
# How far an undisciplined clock is taken to drift: PHI in RFC 5905, section 7.2.
DRIFT = 15e-6

SYNCHRONIZED = "/run/systemd/timesync/synchronized"
"""Touched by systemd-timesyncd at each synchronisation, systemd-timesyncd.service(8)."""


class SyncStatus(t.NamedTuple):
    """Whether the clock of a host is in sync.

    `service` is the time service that answered, `source` the server or reference clock that it follows.
    `error_seconds` is the upper bound of the clock's error, |offset| + root delay / 2 + root dispersion, provided that
    the source is right (chronyc(1), tracking). Each is None where nothing is known.
    `reason` is for a person: what was read, and what it means. It ends without a full stop.
    """

    in_sync: bool
    service: str | None
    source: str | None
    error_seconds: float | None
    reason: str

    def as_dict(self) -> dict[str, t.Any]:
        """The status in plain types, as modules return it."""
        return self._asdict()


def time_sync(run: Run, mtime: Mtime, now: float, max_error_seconds: float) -> SyncStatus:
    """Ask the time services in turn; the first that runs decides.

    `run` takes a list of arguments and returns return code, standard output and standard error; a code other than 0
    where the command does not exist. `mtime` returns a file's time of modification, None where there is no such file.
    `now` is the host's clock just before the call. Times are in seconds since the epoch. At most three commands run.

    The clock is in sync if a service follows a source that is alive and the error is at most `max_error_seconds`, which
    is above 0. Output that cannot be understood means not in sync; it is no error.
    """
    asked = Asked(run, mtime, now)
    for service in SERVICES:
        try:
            reading = service.read(asked)
        except Unreadable as error:
            return SyncStatus(False, service.name, None, None, f"{service.name} could not be understood: {error}")
        if reading is not None:
            return _judge(service.name, reading, max_error_seconds)
    names = " nor ".join(service.name for service in SERVICES)
    return SyncStatus(False, None, None, None, f"no time service answers: neither {names} runs")


class Asked(t.NamedTuple):
    """What a time service is read with; see time_sync()."""

    run: Run
    mtime: Mtime
    now: float


class Reading(t.NamedTuple):
    """What a time service that runs says.

    `fault` is what speaks against being in sync, apart from too large an error; without it `error_seconds` is a number.
    """

    source: str | None = None
    error_seconds: float | None = None
    fault: str | None = None


class Unreadable(ValueError):
    """The output of a command is not what its documentation promises."""


class TimeService(t.Protocol):
    """One time service."""

    name: str

    def read(self, asked: Asked) -> Reading | None:
        """Read the service's state; None where it does not run. Raises Unreadable."""


def _judge(service: str, reading: Reading, max_error_seconds: float) -> SyncStatus:
    """Whether the clock is in sync by what its service says."""
    source, error, fault = reading.source, reading.error_seconds, reading.fault
    if fault is None and error is not None and error <= max_error_seconds:
        reason = f"{service} follows {source}, and the clock is at most {error:.6f} s off"
        return SyncStatus(True, service, source, error, reason)
    if fault is None:
        off = f"the clock may be {error:.6f} s off, and {max_error_seconds:g} s are allowed"
        fault = f"{service} follows {source}, but {off}"
    return SyncStatus(False, service, source, error, fault)


def _silence(service: str, source: str, age: float, poll_seconds: float) -> str | None:
    """What speaks against a source whose last useful answer is `age` seconds old."""
    patience = max(SILENT_POLLS * poll_seconds, PATIENCE_SECONDS)
    if age > patience:
        return (
            f"{service} follows {source}, which has told it nothing useful for {age:.0f} s: "
            f"it is asked every {poll_seconds:g} s, and counts as dead after {patience:g} s"
        )
    if age < -PATIENCE_SECONDS:
        return f"{service}'s last answer from {source} is {-age:.0f} s in the future: the clock was set back meanwhile"
    return None


class Tracking(t.NamedTuple):
    """What chronyd says of the clock, `chronyc -c tracking`. Times are seconds; `offset` is NTP time minus clock."""

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
    """chrony, read by chronyc(1): a line of `tracking`, and `sources` after it, which count where that has no fault."""

    name = "chrony"

    def read(self, asked: Asked) -> Reading | None:
        code, out, err = asked.run(("chronyc", "-n", "-c", "-m", "tracking", "sources"))
        line, _end, rest = out.partition("\n")
        if code != 0 and "," not in line:
            return None
        tracking = parse_tracking(line)
        fault = self._fault_in(tracking)
        if fault is not None:
            return Reading(fault=fault)
        if code != 0:
            raise Unreadable(f"chronyc sources ended with {code}: {_excerpt(err or rest)}")
        sources = parse_sources(rest)
        selected = next((source for source in sources if source.state == "*"), None)
        if selected is None:
            listed = ", ".join(f"{source.name} (state {source.state}, reach {source.reach:o})" for source in sources)
            return Reading(fault=f"chrony has selected none of its sources: {listed or 'it has none'}")
        error = abs(tracking.offset) + abs(tracking.root_delay) / 2 + tracking.root_dispersion
        return Reading(selected.name, error, self._fault_of(selected, tracking, asked.now))

    @staticmethod
    def _fault_in(tracking: Tracking) -> str | None:
        """What `tracking` says against being in sync."""
        if tracking.reference_id == "00000000" or tracking.leap == "Not synchronised":
            return "chrony runs, but follows no source: the clock is not synchronised"
        if tracking.reference_id == "7F7F0101":
            return "chrony follows the host's own clock (reference 127.127.1.1) instead of a source"
        if tracking.leap not in ("Normal", "Insert second", "Delete second"):
            return f"chrony gives the leap status {tracking.leap!r}"
        return None

    def _fault_of(self, selected: Source, tracking: Tracking, now: float) -> str | None:
        """What speaks against the source that is followed: it answers no more, or said nothing useful for long."""
        if selected.reach == 0:
            return f"{selected.name}, which chrony follows, has left its last eight polls unanswered"
        # The reference time is on the clock that chronyd keeps, which the host's clock is still slewed to.
        age = now + tracking.offset - tracking.reference_time
        # With the `filter` option an update takes several polls.
        return _silence(self.name, selected.name, age, max(2.0**selected.poll, tracking.update_interval))


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
            reference_time=_finite(fields[3]),
            offset=_finite(fields[4]),
            root_delay=_finite(fields[10]),
            root_dispersion=_finite(fields[11]),
            update_interval=_finite(fields[12]),
            leap=fields[13],
        )
    except ValueError as error:
        raise Unreadable(f"chronyc tracking printed {_excerpt(text)}") from error


def parse_sources(text: str) -> tuple[Source, ...]:
    """Parse the output of `chronyc -c sources`: a line of 10 fields for each source, none where there is no source.

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
            raise Unreadable(f"chronyc sources printed {_excerpt(line)}") from error
        sources.append(source)
    return tuple(sources)


class Ntpsec:
    """ntpsec, read by ntpq(1): the variables of the clock, and after them the sources, of which `*` or `o` counts.

    The older ntpd answers in the same words.
    """

    name = "ntpsec"

    def read(self, asked: Asked) -> Reading | None:
        _code, out, _err = asked.run(("ntpq", "-n", "-c", "rv 0", "-c", "peers"))
        # Where ntpd does not run, ntpq says so, and may call that a success.
        if "leap=" not in out:
            return None
        clock, sources = parse_ntpq(out)
        if clock.leap == 3 or clock.stratum > 15:
            told = f"it says leap {clock.leap}, stratum {clock.stratum}"
            return Reading(fault=f"ntpsec runs, but follows no source: {told}")
        followed = next((one for one in sources if one.mark in "*o"), None)
        if followed is None:
            listed = ", ".join(f"{one.name} (reach {one.reach:o})" for one in sources)
            return Reading(fault=f"ntpsec has selected none of its sources: {listed or 'it has none'}")
        if followed.refid in (".LOCL.", ".ORPH."):
            return Reading(fault=f"ntpsec follows the host's own clock ({followed.name}) instead of a source")
        error = abs(clock.offset) + abs(clock.root_delay) / 2 + clock.root_dispersion
        fault = (
            f"{followed.name}, which ntpsec follows, has left its last eight polls unanswered"
            if followed.reach == 0
            else _silence(self.name, followed.name, followed.silent, followed.poll_seconds)
        )
        return Reading(followed.name, error, fault)


class NtpClock(t.NamedTuple):
    """What ntpd says of the clock, `ntpq -c rv`. Times are seconds; `offset` is the clock's."""

    leap: int
    stratum: int
    root_delay: float
    root_dispersion: float
    offset: float


class NtpSource(t.NamedTuple):
    """A line of `ntpq -n -c peers`. Polls are `poll_seconds` apart, and the last answer came `silent` seconds ago."""

    mark: str
    name: str
    refid: str
    silent: float
    poll_seconds: float
    reach: int


def parse_ntpq(text: str) -> tuple[NtpClock, tuple[NtpSource, ...]]:
    """Parse what `ntpq -n -c 'rv 0' -c peers` prints; times are in milliseconds there. Raises Unreadable."""
    variables, _line, table = text.partition("====")
    told = dict(re.findall(r"\b(leap|stratum|rootdelay|rootdisp|offset)=([^\s,]+)", variables))
    try:
        clock = NtpClock(
            leap=int(told["leap"], 2),
            stratum=int(told["stratum"]),
            root_delay=_finite(told["rootdelay"]) / 1e3,
            root_dispersion=_finite(told["rootdisp"]) / 1e3,
            offset=_finite(told["offset"]) / 1e3,
        )
        lines = [line for line in table.lstrip("=").splitlines() if line.strip()]
        return clock, tuple(map(_ntp_source, lines))
    except (LookupError, ValueError) as error:
        raise Unreadable(f"ntpq printed {_excerpt(text)}") from error


def _ntp_source(line: str) -> NtpSource:
    """A line of a source, whose first character says what ntpd makes of it. Raises ValueError."""
    name, refid, _stratum, _kind, when, poll, reach, *_numbers = line[1:].split()
    return NtpSource(line[0], name, refid, _ntp_seconds(when), _ntp_seconds(poll), int(reach, 8))


def _ntp_seconds(text: str) -> float:
    """A time such as 45, 17m, 3h or 2d; `-` where there was no answer yet. Raises ValueError."""
    units = {"m": 60.0, "h": 3600.0, "d": 86400.0}
    if text == "-":
        return 0.0
    return _finite(text[:-1]) * units[text[-1]] if text[-1] in units else _finite(text)


class TimesyncState(t.NamedTuple):
    """What systemd-timesyncd says of its last poll. Times are seconds; `offset` is NTP time minus clock."""

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

    `timedatectl show-timesync` prints the same, but its timestamps in whole seconds, from which no offset can be had;
    and D-Bus would start a stopped systemd-timesyncd for it.
    An offset that systemd-timesyncd has just corrected stays in its last answer, and in the error, until the next poll.
    """

    name = "systemd-timesyncd"

    CALL = (
        *("busctl", "--json=short", "--auto-start=no", "call"),
        *("org.freedesktop.timesync1", "/org/freedesktop/timesync1"),
        *("org.freedesktop.DBus.Properties", "GetAll", "s", "org.freedesktop.timesync1.Manager"),
    )

    def read(self, asked: Asked) -> Reading | None:
        code, out, _err = asked.run(self.CALL)
        if code != 0:
            return None
        state = parse_timesync(out)
        fault = self._fault_in(state)
        if fault is not None:
            return Reading(source=state.server or None, fault=fault)
        synchronized = asked.mtime(SYNCHRONIZED)
        if synchronized is None:
            fault = f"systemd-timesyncd has not synchronised the clock since it started: {SYNCHRONIZED} is missing"
            return Reading(source=state.server, fault=fault)
        age = asked.now - synchronized
        delay = abs(state.delay) + state.root_delay
        error = abs(state.offset) + delay / 2 + state.root_dispersion + DRIFT * abs(age)
        return Reading(state.server, error, _silence(self.name, state.server, age, state.poll_seconds))

    @staticmethod
    def _fault_in(state: TimesyncState) -> str | None:
        """What the last answer of the server says against being in sync."""
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
        raise Unreadable(f"busctl printed {_excerpt(text)}") from error


SERVICES: tuple[TimeService, ...] = (
    Chrony(),
    Ntpsec(),
    SystemdTimesyncd(),
)


def _finite(text: str) -> float:
    """A number of seconds; NaN and infinity are none. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _excerpt(text: str) -> str:
    """The beginning of an output, for a message."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:80] + "…") if text else "nothing"
