# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two-factor login is turned on only if the clock is in sync, and turned off in any case."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t
from collections.abc import Callable, Iterator

import pytest

from hosts import PATIENCE, Host
from login import ssh
from login.modules import module, options, turn_on
from login.people import Person, enable, new_person, playbook, settings, unwrapped
from login.policy import nothing_changes

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.release("debian12")]

WATCHED = ("/etc", "/usr/local", "/usr/libexec", "/var/lib/dpkg", "/var/lib/fleet-auth")

FLEET = "server ntp iburst minpoll 0 maxpoll 0\n"
UNREACHABLE = "server 192.0.2.1 iburst minpoll 0 maxpoll 0\n"
# Polled every 2 s, a source is silent for too long (10 s) before chrony drops it (eight polls).
IN_THE_HOST = "server 127.0.0.1 port 1123 iburst minpoll 1 maxpoll 1\n"

SERVER = """\
local stratum 5
allow 127.0.0.1
port 1123
cmdport 0
bindcmdaddress /
pidfile /run/time-server.pid
"""

NTPSEC = """\
[Unit]
ConditionCapability=

[Service]
ExecStart=
ExecStart=/usr/sbin/ntpd -p /run/ntpd.pid -c /etc/ntpsec/ntp.conf
"""
"""As Debian starts it, but without the account that sets the clock, because a container may not set it."""
# Without a restrict line, ntpsec answers no queries.
ASKED_BY_THE_HOST = "restrict 127.0.0.1\n"

NO_SERVICE = "no time service answers: neither chrony nor ntpsec nor systemd-timesyncd nor openntpd runs"
START = "Start chrony, ntpsec or systemd-timesyncd"


@dataclasses.dataclass(frozen=True)
class Clock:
    """The time services of a host, and which sources they follow, if any."""

    host: Host

    def follow(self, sources: str, config: str = "") -> None:
        """Restart chrony with these sources and no state."""
        self.host.write("/etc/chrony/sources.d/fleet.sources", sources)
        self.host.write("/etc/chrony/conf.d/test.conf", config)
        self.host.run("systemctl", "restart", "chrony")

    def await_tracking(self, reference: str) -> None:
        """Wait until chrony follows the reference whose identifier begins with this."""
        self._await(["chronyc", "-n", "-c", "tracking"], lambda said: said.startswith(reference))

    def await_source(self, state: str) -> None:
        """Wait until the only source is in this state; `*` is the one that chrony follows."""
        self._await(["chronyc", "-n", "-c", "sources"], lambda said: said.startswith(f"^,{state},"))

    def await_synchronized(self) -> None:
        """Wait until systemd-timesyncd has synchronised the clock."""
        self._await(["ls", "/run/systemd/timesync/synchronized"], bool)

    def await_ntpsec(self) -> None:
        """Wait until ntpsec follows its source."""
        self._await(["ntpq", "-n", "-c", "peers"], lambda said: "\n*" in said)

    def install(self, package: str) -> None:
        """Install a time service. Debian allows only one, so the other is removed."""
        self.host.install(package)

    def _await(self, command: list[str], there: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not there(said := self.host.run(*command, check=False).stdout):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)


@pytest.fixture(scope="module")
def clock(host: Host) -> Iterator[Clock]:
    clock = Clock(host)
    yield clock
    for account in ("systemd-timesync", "ntpsec", "ntpd"):
        host.run("userdel", account, check=False)
    host.run("rm", "-f", "/etc/chrony/conf.d/test.conf")
    host.write("/etc/chrony/sources.d/fleet.sources", FLEET)
    host.run("systemctl", "restart", "chrony")
    clock.await_source("*")


@pytest.fixture(scope="module")
def alice(host: Host) -> Person:
    return new_person(host)


@pytest.fixture
def off(host: Host) -> Iterator[None]:
    """Turn two-factor login off after the test."""
    yield
    turn_off(host)


def turn_off(host: Host) -> None:
    """Turn two-factor login off, and check that this does not depend on the time."""
    done = module(host, "twofactor", {"enabled": False, "purge_credentials": True})
    assert done.ok, done.output
    assert "not in sync" not in done.output


def refused(alice: Person, reason: str, remedy: str = START, **values: t.Any) -> None:
    """Check that the module refuses to turn two-factor login on for this reason, a pattern, and changes nothing."""
    with nothing_changes(alice, WATCHED):
        done = module(alice.host, "twofactor", options(alice, **values))
        assert not done.ok, done.output
        assert not done.changed, done.output
    assert re.search(_sentence(alice.host, reason, remedy=remedy), unwrapped(done.message)), done.output


def _sentence(host: Host, reason: str, option: str = "time_sync", remedy: str = START) -> str:
    return (
        rf"Two-factor login on {host.name} was not changed: the clock of {host.name} is not in sync: {reason}\. Codes "
        rf"depend on the time, so two-factor login was not turned on\. {remedy} with a server that it reaches, or set "
        rf"{option}: \{{required: false\}}\."
    )


def test_no_time_service_is_refused(alice: Person, clock: Clock) -> None:
    clock.host.run("systemctl", "stop", "chrony")
    refused(alice, NO_SERVICE)
    with nothing_changes(alice, WATCHED):
        run = playbook("enable", alice.host, **settings(alice))
        assert run.recap["failed"] == 1, run.output
        assert not run.changed, run.output
    assert re.search(_sentence(alice.host, NO_SERVICE, "twofactor_time_sync"), unwrapped(run.output)), run.output


def test_clock_that_was_never_in_sync_is_refused(alice: Person, clock: Clock) -> None:
    clock.follow(UNREACHABLE)
    refused(alice, "chrony runs, but follows no source: the clock is not synchronised")


def test_clock_of_the_host_itself_is_refused(alice: Person, clock: Clock) -> None:
    clock.follow("", config="local stratum 8\n")
    clock.await_tracking("7F7F0101")
    refused(alice, r"chrony follows the host's own clock \(reference 127\.127\.1\.1\) instead of a source")


def test_source_that_died_is_refused(alice: Person, clock: Clock) -> None:
    host = clock.host
    host.write("/run/time-server.conf", SERVER)
    host.run("systemd-run", "--collect", "--unit", "time-server", "chronyd", "-x", "-d", "-f", "/run/time-server.conf")
    clock.follow(IN_THE_HOST)
    clock.await_source("*")
    # On a busy machine, a poll may be late.
    assert any(module(host, "twofactor", options(alice), check=True).ok for _attempt in range(3))
    host.run("systemctl", "stop", "time-server")
    time.sleep(11)
    refused(
        alice,
        r"(chrony follows 127\.0\.0\.1, which has sent nothing useful for 1\d s: it is asked every 2(\.\d)? s, and is "
        r"considered dead after 10 s|chrony has selected none of its sources: 127\.0\.0\.1 \(state \?, reach 0\))",
    )


def test_error_beyond_the_bound_is_refused(alice: Person, clock: Clock) -> None:
    clock.follow(FLEET)
    clock.await_source("*")
    refused(
        alice,
        r"chrony follows [\d.]+, but the clock may be 0\.\d+ s off, and 1e-09 s are allowed",
        time_sync={"max_error_seconds": 1e-9},
    )


@pytest.mark.usefixtures("off")
def test_clock_in_sync_by_chrony(alice: Person, clock: Clock) -> None:
    clock.follow(FLEET)
    clock.await_source("*")
    turn_on(alice.host, alice)
    ssh.fresh_step()
    assert alice.by_password(alice.code()).ok


@pytest.mark.usefixtures("off")
def test_clock_in_sync_by_systemd_timesyncd(alice: Person, clock: Clock) -> None:
    host, config = clock.host, "/etc/systemd/timesyncd.conf.d/fleet.conf"
    server = host.read(config)
    clock.install("systemd-timesyncd")
    # The package started it before D-Bus knew its bus name.
    host.run("systemctl", "restart", "systemd-timesyncd")
    try:
        clock.await_synchronized()
        turn_on(host, alice)
        assert not alice.by_password().ok
        turn_off(host)
        host.write(config, "[Time]\nNTP=192.0.2.1\n")
        host.run("systemctl", "restart", "systemd-timesyncd")
        refused(alice, r"systemd-timesyncd (runs, but has no time server|has had no answer from 192\.0\.2\.1 yet)")
        host.run("systemctl", "stop", "systemd-timesyncd")
        refused(alice, NO_SERVICE)
    finally:
        host.write(config, server)
        clock.install("chrony")


@pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module")
@pytest.mark.usefixtures("off")
def test_clock_in_sync_by_ntpsec_and_never_by_openntpd(alice: Person, clock: Clock) -> None:
    host = clock.host
    host.write("/etc/systemd/system/ntpsec.service.d/container.conf", NTPSEC)
    try:
        clock.install("ntpsec")
        host.write("/etc/ntpsec/ntp.conf", FLEET + ASKED_BY_THE_HOST)
        host.run("systemctl", "restart", "ntpsec")
        clock.await_ntpsec()
        turn_on(host, alice)
        assert not alice.by_password().ok
        turn_off(host)
        host.write("/etc/ntpsec/ntp.conf", UNREACHABLE + ASKED_BY_THE_HOST)
        host.run("systemctl", "restart", "ntpsec")
        refused(alice, r"ntpsec runs, but follows no source: it says leap 3, stratum \d+")
        clock.install("openntpd")
        host.write("/etc/openntpd/ntpd.conf", "server ntp\n")
        host.run("systemctl", "restart", "openntpd")
        refused(
            alice,
            r"openntpd runs, which does not report how far off the clock may be, but only "
            r"'[01]/1 peers valid, clock .*'",
            remedy="Install chrony, ntpsec or systemd-timesyncd in place of openntpd,",
        )
    finally:
        clock.install("chrony")


@pytest.mark.usefixtures("off")
def test_host_that_loses_sync_still_asks_and_the_run_only_warns(alice: Person, clock: Clock) -> None:
    host = clock.host
    clock.follow(FLEET)
    clock.await_source("*")
    turn_on(host, alice)
    host.run("systemctl", "stop", "chrony")
    again = enable(host, alice)
    assert not again.changed, again.output
    warning = f"the clock of {host.name} is not in sync: {NO_SERVICE}"
    assert warning in unwrapped(again.output)
    assert not alice.by_password().ok
    ssh.fresh_step()
    assert alice.by_password(alice.code()).ok
    other = turn_on(host, alice, window=2)
    assert other.changed
    assert warning in unwrapped(other.output)


@pytest.fixture
def enforced_out_of_sync(alice: Person, clock: Clock) -> None:
    clock.host.run("systemctl", "stop", "chrony")
    turn_on(clock.host, alice, time_sync={"required": False})
    assert not alice.by_password().ok


@pytest.mark.usefixtures("off", "enforced_out_of_sync")
def test_out_of_sync_clock_is_accepted_if_sync_is_not_required(alice: Person) -> None:
    ssh.fresh_step()
    assert alice.by_password(alice.code()).ok


@pytest.mark.usefixtures("off", "enforced_out_of_sync")
def test_recovery_needs_no_clock_in_sync_but_turning_on_again_does(alice: Person) -> None:
    alice.host.run("twofactor-recover")
    refused(alice, NO_SERVICE)
