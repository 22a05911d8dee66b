# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock, with real outputs of chrony 4.3 and systemd-timesyncd 252 and 257; `now` is the time of the output."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._host.chrony import Source, parse_sources, parse_tracking
from ansible_collections.fleet.auth.plugins.module_utils._host.time_service import SyncStatus, Unreadable
from ansible_collections.fleet.auth.plugins.module_utils._host.time_sync import time_sync
from ansible_collections.fleet.auth.plugins.module_utils._host.timesyncd import SYNCHRONIZED, parse_timesync
from ansible_collections.fleet.auth.plugins.modules import time_sync_info

TRACKING = (
    "7F000001,127.0.0.1,4,1795489785.348153963,-0.000001644,-0.000000255,0.000000255,0.037,-0.000,5.357,"
    "0.000006382,0.000049311,2.0,Normal\n"
)
SOURCES = "^,*,127.0.0.1,3,6,17,8,-0.000000049,-0.000000304,0.000003257\n"
NOW = 1795489793.008

NEVER_SYNCED = (
    "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,"
    "Not synchronised\n"
)
LOCAL_CLOCK = (
    "7F7F0101,,10,1795489791.230044155,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,"
    "0.000000000,0.0,Normal\n"
)
# The server of a client that polls every 16 s was killed at 1795489873.
DEAD_SOURCE = (
    "7F000001,127.0.0.1,4,1795489864.449691119,-0.000005042,-0.000000792,0.000000792,0.072,-0.000,2.205,"
    "0.000005285,0.000169753,2.0,Normal\n"
)
DEAD_SOURCE_SOURCES = "^,*,127.0.0.1,3,4,74,53,-0.000000276,-0.000001068,0.000002680\n"
# The same client 140 s after the kill, when all eight polls were unanswered.
UNREACHABLE_SOURCES = "^,?,127.0.0.1,3,4,0,148,-0.000000276,-0.000001068,0.000002680\n"
# chronyd -x, which does not touch the clock, with a source 5 s ahead; and with one 5 s behind.
SLOW_BY_FIVE = (
    "7F000001,127.0.0.1,4,1795489797.653271303,4.999998093,0.000000161,0.000001519,0.085,0.003,0.256,"
    "0.000004351,0.000001763,1.0,Normal\n"
)
FAST_BY_FIVE = (
    "7F000001,127.0.0.1,4,1795489787.111893104,-5.000000477,0.000000230,0.000000524,-0.027,0.084,0.117,"
    "0.000006106,0.000001428,1.0,Normal\n"
)
OFF_BY_FIVE_SOURCES = "^,*,127.0.0.1,3,0,377,1,0.000001098,0.000001259,0.000004550\n"
# Polls every second with the option `filter 5`, read just before the next update.
FILTERED = (
    "7F000001,127.0.0.1,4,1795489793.160763263,-0.000001009,-0.000000927,0.000000927,-0.071,-0.000,1.143,"
    "0.000003965,0.000011764,5.1,Normal\n"
)
FILTERED_SOURCES = "^,*,127.0.0.1,3,0,377,5,-0.000000134,-0.000000854,0.000003053\n"
MANY_SOURCES = """\
^,*,127.0.0.1,3,0,377,0,0.000000416,0.000000324,0.000003380
^,+,127.0.0.2,4,0,377,0,0.000000002,-0.000000089,0.000003093
^,x,127.0.0.3,4,0,377,1,-0.499999583,-0.499999672,0.000003336
^,?,127.0.0.4,0,6,0,4294967295,0.000000000,0.000000000,0.000000000
"""
NO_CHRONYD = (1, "506 Cannot talk to daemon\n", "")

NO_TIMESYNCD = (1, "", 'Call failed: Name "org.freedesktop.timesync1" does not exist\n')
TIMESYNC = (
    '{"type":"a{sv}","data":[{"LinkNTPServers":{"type":"as","data":[]},"SystemNTPServers":{"type":"as","data":["ntp"]},'
    '"RuntimeNTPServers":{"type":"as","data":[]},"FallbackNTPServers":{"type":"as","data":[]},'
    '"ServerName":{"type":"s","data":"ntp"},"ServerAddress":{"type":"(iay)","data":[2,[172,19,0,2]]},'
    '"RootDistanceMaxUSec":{"type":"t","data":5000000},"PollIntervalMinUSec":{"type":"t","data":32000000},'
    '"PollIntervalMaxUSec":{"type":"t","data":32000000},"PollIntervalUSec":{"type":"t","data":32000000},'
    '"NTPMessage":{"type":"(uuuuittayttttbtt)","data":[0,4,4,3,-26,0,0,[127,127,1,1],'
    "1795490348886069,1795490348886141,1795490348886254,1795490348886270,false,3,15]},"
    '"Frequency":{"type":"x","data":0}}]}\n'
)
TIMESYNC_SYNCHRONIZED = 1795490348.886239654
TIMESYNC_NOW = 1795490364.591
# A server 5 s ahead, in a container where systemd-timesyncd may not set the clock.
TIMESYNC_SLOW_BY_FIVE = [
    *[0, 4, 4, 2, -20, 9994, 19989, [10, 0, 0, 1]],
    *[1795490264883750, 1795490269883904, 1795490269883964, 1795490264883992, False, 1, 0],
]
TIMESYNC_NO_ANSWER = [
    *[0, 0, 0, 0, 0, 0, 0, [0, 0, 0, 0]],
    *[0, 18444535084909551616, 18444535084909551616, 0, False, 0, 0],
]


class FakeHost:
    """Answers the commands of the time services, and remembers them."""

    def __init__(
        self,
        tracking: str | None = None,
        sources: str | tuple[int, str, str] = "",
        timesync: str | None = None,
        synchronized: float | None = None,
        now: float = NOW,
    ) -> None:
        self.tracking, self.sources, self.timesync = tracking, sources, timesync
        self.synchronized, self.now = synchronized, now
        self.commands: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        self.commands.append(tuple(argv))
        if argv[0] == "busctl":
            return NO_TIMESYNCD if self.timesync is None else (0, self.timesync, "")
        if self.tracking is None:
            return NO_CHRONYD
        code, out, err = self.sources if isinstance(self.sources, tuple) else (0, self.sources, "")
        return code, self.tracking + ("" if self.tracking.endswith("\n") else "\n") + out, err

    def mtime(self, path: str) -> float | None:
        assert path == SYNCHRONIZED
        return self.synchronized

    def status(self, max_error_seconds: float = 1.0) -> SyncStatus:
        return time_sync(self.run, self.mtime, self.now, max_error_seconds)


def with_field(line: str, number: int, value: str) -> str:
    """The line of chronyc with field `number`, counted from 1 as in chronyc(1), replaced."""
    fields = line.strip().split(",")
    fields[number - 1] = value
    return ",".join(fields) + "\n"


def with_properties(**values: object) -> str:
    """The answer of systemd-timesyncd with properties replaced."""
    answer = json.loads(TIMESYNC)
    for name, value in values.items():
        answer["data"][0][name]["data"] = value
    return json.dumps(answer)


def with_message(**values: object) -> str:
    """The answer of systemd-timesyncd with fields of its NTP message replaced."""
    places = {"leap": 0, "stratum": 3, "root_delay": 5, "root_dispersion": 6, "arrived": 11, "ignored": 12}
    message = json.loads(TIMESYNC)["data"][0]["NTPMessage"]["data"]
    for name, value in values.items():
        message[places[name]] = value
    return with_properties(NTPMessage=message)


def timesyncd(
    timesync: str = TIMESYNC, *, synchronized: float | None = TIMESYNC_SYNCHRONIZED, age: float = 16
) -> FakeHost:
    """A host with systemd-timesyncd, which last synchronised `age` seconds ago."""
    return FakeHost(timesync=timesync, synchronized=synchronized, now=TIMESYNC_SYNCHRONIZED + age)


class TestNoService:
    def test_a_host_without_a_time_service_is_not_in_sync(self) -> None:
        assert FakeHost().status() == SyncStatus(
            in_sync=False,
            service=None,
            source=None,
            error_seconds=None,
            reason="no time service answers: neither chrony nor ntpsec nor systemd-timesyncd nor openntpd runs",
        )

    def test_missing_commands_count_as_services_that_do_not_run(self) -> None:
        status = time_sync(lambda argv: (127, "", f"{argv[0]}: command not found"), lambda _path: None, NOW, 1.0)
        assert (status.in_sync, status.service) == (False, None)

    def test_asking_systemd_timesyncd_does_not_start_it(self) -> None:
        host = FakeHost()
        host.status()
        (asked,) = (command for command in host.commands if command[0] == "busctl")
        assert "--auto-start=no" in asked


class TestChrony:
    def test_a_clock_that_follows_a_server_is_in_sync(self) -> None:
        status = FakeHost(TRACKING, SOURCES).status()
        assert status._asdict() == {
            "in_sync": True,
            "service": "chrony",
            "source": "127.0.0.1",
            "error_seconds": pytest.approx(0.000001644 + 0.000006382 / 2 + 0.000049311),
            "reason": "chrony follows 127.0.0.1, and the clock is at most 0.000054 s off",
        }

    def test_a_host_in_sync_costs_one_command(self) -> None:
        host = FakeHost(TRACKING, SOURCES)
        assert host.status().in_sync
        assert host.commands == [("chronyc", "-n", "-c", "-m", "tracking", "sources")]

    def test_a_clock_that_was_never_set_is_not_in_sync(self) -> None:
        status = FakeHost(NEVER_SYNCED).status()
        assert (status.in_sync, status.service, status.source, status.error_seconds) == (False, "chrony", None, None)
        assert status.reason == "chrony runs, but follows no source: the clock is not synchronised"

    def test_the_leap_status_alone_says_that_the_clock_is_not_synchronised(self) -> None:
        assert "not synchronised" in FakeHost(with_field(TRACKING, 14, "Not synchronised"), SOURCES).status().reason

    def test_an_empty_reference_alone_says_that_the_clock_is_not_synchronised(self) -> None:
        assert "not synchronised" in FakeHost(with_field(TRACKING, 1, "00000000"), SOURCES).status().reason

    def test_a_host_that_follows_its_own_clock_is_not_in_sync(self) -> None:
        status = FakeHost(LOCAL_CLOCK, SOURCES).status()
        assert (status.in_sync, status.error_seconds) == (False, None)
        assert status.reason == "chrony follows the host's own clock (reference 127.127.1.1) instead of a source"

    @pytest.mark.parametrize(("leap", "in_sync"), [("Insert second", True), ("Delete second", True), ("Norm", False)])
    def test_an_announced_leap_second_is_fine_and_an_unknown_leap_status_is_not(self, leap: str, in_sync: bool) -> None:
        assert FakeHost(with_field(TRACKING, 14, leap), SOURCES).status().in_sync is in_sync

    def test_a_source_that_died_is_found_out_after_three_polls(self) -> None:
        died = 1795489864.4497
        alive = FakeHost(DEAD_SOURCE, DEAD_SOURCE_SOURCES, now=died + 47).status()
        dead = FakeHost(DEAD_SOURCE, DEAD_SOURCE_SOURCES, now=died + 53).status()
        assert (alive.in_sync, dead.in_sync) == (True, False)
        assert dead.source == "127.0.0.1"
        assert dead.reason == (
            "chrony follows 127.0.0.1, which has sent nothing useful for 53 s: "
            "it is asked every 16 s, and is considered dead after 48 s"
        )

    def test_no_selected_source_is_not_in_sync_even_if_tracking_looks_right(self) -> None:
        status = FakeHost(DEAD_SOURCE, UNREACHABLE_SOURCES, now=1795489865).status()
        assert not status.in_sync
        assert status.reason == "chrony has selected none of its sources: 127.0.0.1 (state ?, reach 0)"

    def test_no_source_at_all_is_not_in_sync(self) -> None:
        assert FakeHost(TRACKING, "").status().reason == "chrony has selected none of its sources: it has none"

    def test_a_selected_source_with_reach_0_is_not_in_sync(self) -> None:
        status = FakeHost(TRACKING, with_field(SOURCES, 6, "0")).status()
        assert not status.in_sync
        assert status.reason == "127.0.0.1, which chrony follows, has left its last eight polls unanswered"

    def test_the_selected_of_many_sources_counts(self) -> None:
        tracking = with_field(TRACKING, 4, "1795489872.871970684")
        assert FakeHost(tracking, MANY_SOURCES, now=1795489873.4).status().source == "127.0.0.1"

    @pytest.mark.parametrize("tracking", [SLOW_BY_FIVE, FAST_BY_FIVE])
    def test_too_large_an_error_is_not_in_sync(self, tracking: str) -> None:
        status = FakeHost(tracking, OFF_BY_FIVE_SOURCES, now=1795489793.013).status()
        assert not status.in_sync
        assert status.error_seconds == pytest.approx(5, abs=0.001)
        assert status.reason == (
            "chrony follows 127.0.0.1, but the clock may be 5.000002 s off, and 1 s are allowed"
            if tracking is SLOW_BY_FIVE
            else "chrony follows 127.0.0.1, but the clock may be 5.000005 s off, and 1 s are allowed"
        )

    @pytest.mark.parametrize("tracking", [SLOW_BY_FIVE, FAST_BY_FIVE])
    def test_the_age_of_the_reference_is_measured_on_the_corrected_clock(self, tracking: str) -> None:
        """Without the correction, one reference would be 5 s in the future and the other 5 s too old."""
        assert FakeHost(tracking, OFF_BY_FIVE_SOURCES, now=1795489793.013 + 9).status(6.0).in_sync
        assert FakeHost(tracking, OFF_BY_FIVE_SOURCES, now=1795489793.013 - 9).status(6.0).in_sync

    @pytest.mark.parametrize(("bound", "in_sync"), [(0.0000543, True), (0.0000541, False)])
    def test_the_bound_applies_to_the_sum_of_offset_delay_and_dispersion(self, bound: float, in_sync: bool) -> None:
        assert FakeHost(TRACKING, SOURCES).status(bound).in_sync is in_sync

    @pytest.mark.parametrize("field", [5, 11, 12])
    def test_each_part_of_the_error_counts(self, field: int) -> None:
        status = FakeHost(with_field(TRACKING, field, "2.5"), SOURCES).status()
        assert not status.in_sync

    def test_a_clock_set_back_since_the_last_answer_is_not_in_sync(self) -> None:
        status = FakeHost(TRACKING, SOURCES, now=NOW - 3600).status()
        assert not status.in_sync
        assert status.reason == (
            "chrony's last answer from 127.0.0.1 is 3592 s in the future: the clock was set back meanwhile"
        )

    def test_an_update_while_chronyc_waited_is_not_in_the_future(self) -> None:
        assert FakeHost(TRACKING, SOURCES, now=NOW - 15).status().in_sync

    def test_a_source_polled_every_second_may_miss_a_few(self) -> None:
        sources = with_field(SOURCES, 5, "0")
        assert FakeHost(TRACKING, sources, now=1795489785.3 + 9).status().in_sync
        assert not FakeHost(TRACKING, sources, now=1795489785.3 + 11).status().in_sync

    def test_the_filter_option_may_take_several_polls_for_an_update(self) -> None:
        assert FakeHost(FILTERED, FILTERED_SOURCES, now=1795489793.2 + 15).status().in_sync
        assert not FakeHost(FILTERED, FILTERED_SOURCES, now=1795489793.2 + 16).status().in_sync

    def test_a_running_chrony_decides_where_both_run(self) -> None:
        host = FakeHost(NEVER_SYNCED, timesync=TIMESYNC, synchronized=NOW)
        assert host.status().service == "chrony"

    @pytest.mark.parametrize(
        "tracking",
        [
            "",
            "\n",
            "chronyc: something is wrong\n",
            TRACKING[:90],
            with_field(TRACKING, 1, "?"),
            with_field(TRACKING, 1, "0000000"),
            with_field(TRACKING, 1, "not-hex!"),
            with_field(TRACKING, 4, "nan"),
            with_field(TRACKING, 5, "inf"),
            with_field(TRACKING, 12, ""),
            with_field(TRACKING, 14, ""),
        ],
    )
    def test_tracking_that_cannot_be_understood_is_not_in_sync(self, tracking: str) -> None:
        status = FakeHost(tracking, SOURCES).status()
        assert (status.in_sync, status.service) == (False, "chrony")
        assert status.reason.startswith("chrony could not be understood: chronyc tracking printed ")

    @pytest.mark.parametrize(
        "sources",
        [
            "garbage\n",
            SOURCES[:20],
            SOURCES + SOURCES[:20],
            with_field(SOURCES, 5, "x"),
            with_field(SOURCES, 5, "99999"),
            with_field(SOURCES, 6, "9"),
            with_field(SOURCES, 6, "400"),
            with_field(SOURCES, 3, ""),
        ],
    )
    def test_sources_that_cannot_be_understood_are_not_in_sync(self, sources: str) -> None:
        status = FakeHost(TRACKING, sources).status()
        assert (status.in_sync, status.service) == (False, "chrony")
        assert status.reason.startswith("chrony could not be understood: chronyc sources printed ")

    def test_a_chronyd_that_goes_away_between_the_answers_is_not_in_sync(self) -> None:
        status = FakeHost(TRACKING, NO_CHRONYD).status()
        assert not status.in_sync
        assert status.reason == (
            "chrony could not be understood: chronyc sources ended with 1: '506 Cannot talk to daemon'"
        )


class TestSystemdTimesyncd:
    def test_a_clock_that_follows_a_server_is_in_sync(self) -> None:
        status = timesyncd(age=15.705).status()
        offset, delay, drift = 0.000028, 0.000088, 15e-6 * 15.705
        assert status._asdict() == {
            "in_sync": True,
            "service": "systemd-timesyncd",
            "source": "ntp",
            "error_seconds": pytest.approx(offset + delay / 2 + drift, abs=1e-6),
            "reason": "systemd-timesyncd follows ntp, and the clock is at most 0.000308 s off",
        }

    def test_a_server_that_died_is_found_out_after_three_polls(self) -> None:
        """All that systemd-timesyncd reports stays the same; only the time of the last synchronisation shows it."""
        assert timesyncd(age=95).status().in_sync
        dead = timesyncd(age=146).status()
        assert not dead.in_sync
        assert dead.reason == (
            "systemd-timesyncd follows ntp, which has sent nothing useful for 146 s: "
            "it is asked every 32 s, and is considered dead after 96 s"
        )

    def test_a_clock_that_was_never_set_is_not_in_sync(self) -> None:
        status = timesyncd(with_properties(NTPMessage=TIMESYNC_NO_ANSWER), synchronized=None).status()
        assert not status.in_sync
        assert status.reason == "systemd-timesyncd has had no answer from ntp yet"

    def test_a_missing_time_of_synchronisation_is_not_in_sync(self) -> None:
        status = timesyncd(synchronized=None).status()
        assert not status.in_sync
        assert status.reason.startswith("systemd-timesyncd has not synchronised the clock since it started")

    def test_no_server_is_not_in_sync(self) -> None:
        status = timesyncd(with_properties(ServerName="")).status()
        assert (status.in_sync, status.source) == (False, None)
        assert status.reason == "systemd-timesyncd runs, but has no time server"

    @pytest.mark.parametrize("message", [{"leap": 3}, {"stratum": 0}, {"stratum": 16}])
    def test_a_server_that_is_not_in_sync_itself_is_no_source(self, message: dict[str, int]) -> None:
        status = timesyncd(with_message(**message)).status()
        assert not status.in_sync
        assert status.reason.startswith("ntp is not in sync itself: it says leap ")

    def test_an_announced_leap_second_is_fine(self) -> None:
        assert timesyncd(with_message(leap=1)).status().in_sync

    def test_an_ignored_answer_is_not_in_sync(self) -> None:
        status = timesyncd(with_message(ignored=True)).status()
        assert not status.in_sync
        assert status.reason == "systemd-timesyncd ignored the last answer of ntp, which did not fit those before"

    def test_too_large_an_error_is_not_in_sync(self) -> None:
        status = timesyncd(with_properties(NTPMessage=TIMESYNC_SLOW_BY_FIVE)).status()
        assert not status.in_sync
        assert status.error_seconds == pytest.approx(5.025, abs=0.001)
        assert "but the clock may be 5.0" in status.reason

    @pytest.mark.parametrize(
        "message", [{"root_delay": 2_100_000}, {"root_dispersion": 1_100_000}, {"arrived": 1795490347786270}]
    )
    def test_each_part_of_the_error_counts(self, message: dict[str, int]) -> None:
        """In the last message, the clock was set back by 1.1 s between question and answer."""
        assert not timesyncd(with_message(**message)).status().in_sync

    def test_a_long_poll_interval_leaves_room_for_the_clock_to_drift(self) -> None:
        day = with_properties(PollIntervalUSec=86_400_000_000)
        assert timesyncd(day, age=60_000).status().in_sync
        assert not timesyncd(day, age=70_000).status().in_sync

    def test_a_clock_set_back_since_the_last_answer_is_not_in_sync(self) -> None:
        assert timesyncd(age=-3600).status().reason == (
            "systemd-timesyncd's last answer from ntp is 3600 s in the future: the clock was set back meanwhile"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "[]",
            '{"data":[]}',
            '{"data":[[]]}',
            TIMESYNC[:-20],
            with_properties(ServerName=None),
            with_properties(PollIntervalUSec="32s"),
            with_properties(NTPMessage=[]),
            with_properties(NTPMessage=TIMESYNC_SLOW_BY_FIVE[:12]),
            with_properties(NTPMessage={}),
            with_message(stratum="3"),
            with_message(root_delay=math.nan),
            with_message(root_dispersion=10**400),
            with_message(ignored=0),
            "[" * 100_000,
        ],
    )
    def test_output_that_cannot_be_understood_is_not_in_sync(self, text: str) -> None:
        status = timesyncd(text).status()
        assert (status.in_sync, status.service) == (False, "systemd-timesyncd")
        assert status.reason.startswith("systemd-timesyncd could not be understood: busctl printed ")


class TestParsers:
    def test_the_fields_of_tracking(self) -> None:
        tracking = parse_tracking(SLOW_BY_FIVE)
        assert (tracking.reference_id, tracking.leap) == ("7F000001", "Normal")
        assert (tracking.reference_time, tracking.update_interval) == (1795489797.653271303, 1.0)
        assert (tracking.offset, tracking.root_delay, tracking.root_dispersion) == (
            4.999998093,
            0.000004351,
            0.000001763,
        )

    def test_the_fields_of_sources(self) -> None:
        assert parse_sources(MANY_SOURCES) == (
            Source(name="127.0.0.1", state="*", poll=0, reach=255),
            Source(name="127.0.0.2", state="+", poll=0, reach=255),
            Source(name="127.0.0.3", state="x", poll=0, reach=255),
            Source(name="127.0.0.4", state="?", poll=6, reach=0),
        )

    def test_the_offset_and_the_delay_of_systemd_timesyncd(self) -> None:
        """For this poll, `timedatectl timesync-status` printed: offset +18us, delay 57us."""
        times = [1795490215549947, 1795490215549994, 1795490215550048, 1795490215550058]
        state = parse_timesync(
            with_properties(NTPMessage=[0, 4, 4, 3, -26, 0, 0, [127, 127, 1, 1], *times, False, 1, 0])
        )
        assert state.offset == pytest.approx(18.5e-6)
        assert state.delay == pytest.approx(57e-6)

    def test_microseconds_of_systemd_timesyncd_become_seconds(self) -> None:
        state = parse_timesync(with_properties(NTPMessage=TIMESYNC_SLOW_BY_FIVE))
        assert (state.poll_seconds, state.root_delay, state.root_dispersion) == (32, 0.009994, 0.019989)

    def test_an_unreadable_output_is_cut_short_in_the_error(self) -> None:
        with pytest.raises(Unreadable) as error:
            parse_tracking("x" * 10_000)
        assert len(str(error.value)) < 120


def damaged(text: str) -> st.SearchStrategy[str]:
    """A real output with a part replaced, or any other text."""
    places = st.integers(0, len(text))
    return st.text() | st.builds(
        lambda start, end, piece: text[:start] + piece + text[end:],
        places,
        places,
        st.text('0123456789,.-+*^?nai{}[]"\n', max_size=8),
    )


@given(damaged(TRACKING), damaged(MANY_SOURCES))
def test_whatever_chronyc_prints_gives_a_status(tracking: str, sources: str) -> None:
    status = FakeHost(tracking, sources).status()
    assert status.service == "chrony"
    assert not status.in_sync or (status.source is not None and 0 <= (status.error_seconds or 0) <= 1)


@given(damaged(TIMESYNC))
def test_whatever_busctl_prints_gives_a_status(text: str) -> None:
    status = timesyncd(text).status()
    assert status.service == "systemd-timesyncd"
    assert not status.in_sync or (status.source is not None and 0 <= (status.error_seconds or 0) <= 1)


def test_each_service_is_asked_until_one_answers() -> None:
    asked: list[str] = []

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        asked.append(command[0])
        return 127, "", f"{command[0]}: command not found"

    status = time_sync(run, lambda _path: None, NOW, 1.0)
    assert asked == ["chronyc", "ntpq", "busctl", "ntpctl"]
    assert status.reason == "no time service answers: neither chrony nor ntpsec nor systemd-timesyncd nor openntpd runs"
    assert FakeHost(TRACKING, SOURCES).status().service == "chrony"


class Failed(Exception):
    """The module called fail_json."""


class FakeModule:
    """The parts of an AnsibleModule that time_sync_info needs."""

    def __init__(self, **params: object) -> None:
        self.params = params
        self.result: dict[str, object] = {}

    def __call__(self, **_spec: object) -> FakeModule:
        return self

    def fail_json(self, msg: str) -> None:
        raise Failed(msg)

    def exit_json(self, **result: object) -> None:
        self.result = result


class TestModule:
    @pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
    def test_a_bound_that_is_not_a_positive_number_of_seconds_is_refused(
        self, bound: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time_sync_info, "AnsibleModule", FakeModule(max_error_seconds=bound))
        with pytest.raises(Failed, match=f"^max_error_seconds is {bound}; it must be a number of seconds above 0\\.$"):
            time_sync_info.main()

    def test_the_status_is_returned_in_plain_types(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = FakeModule(max_error_seconds=0.5)
        host = FakeHost(TRACKING, SOURCES)
        monkeypatch.setattr(time_sync_info, "AnsibleModule", module)
        monkeypatch.setattr(time_sync_info, "sync_status", lambda _run, bound: host.status(bound))
        time_sync_info.main()
        assert module.result == {"changed": False, "time_sync": host.status()._asdict()}
