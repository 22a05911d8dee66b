# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""If something on a host is full, broken, missing or busy, a change is made completely or not at all, and says so."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hosts import Host
from login import ssh
from login.modules import module, options
from login.people import Person, new_person, playbook, settings, unwrapped
from login.policy import DROP_INS, WATCHED, assert_nothing_left, assert_off, assert_on, off, somebody
from login.trouble import full_disk

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.release("debian13")]

PUT_BACK = "Everything was put back as it was."


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    with somebody(host) as person:
        yield person


# Full


@pytest.mark.parametrize("directory", [DROP_INS, "/etc/pam.d", "/etc/tmpfiles.d", "/var/lib/fleet-auth"])
def test_turning_on_with_no_room_is_refused_and_changes_nothing(host: Host, person: Person, directory: str) -> None:
    with full_disk(host, directory):
        before = host.snapshot(WATCHED)
        refused = module(host, "twofactor", options(person, rollback_after=60))
        assert not refused.ok
        assert f"Two-factor login on {host.name}: No space left on device: {directory}/" in refused.message
        assert refused.message.endswith(" Nothing was changed.")
        assert host.snapshot(WATCHED) == before
        assert host.run("systemctl list-units --plain --no-legend 'fleet-auth*'").stdout == ""
        assert_off(person)
    assert_nothing_left(host)


def test_changing_settings_and_turning_off_with_no_room_are_refused_and_change_nothing(
    host: Host, person: Person
) -> None:
    assert module(host, "twofactor", options(person)).ok
    with full_disk(host, "/etc/pam.d"):
        before = host.snapshot(WATCHED)
        for wanted in (options(person, otp_digits=8), {"enabled": False}):
            refused = module(host, "twofactor", wanted)
            assert "No space left on device: /etc/pam.d/" in refused.message
            assert refused.message.endswith(" Nothing was changed.")
        assert host.snapshot(WATCHED) == before
        assert_on(person)


def test_recovery_needs_no_room(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    with full_disk(host, "/etc/pam.d"):
        host.run("twofactor-recover")
        assert_off(person)


# Broken


@contextlib.contextmanager
def reload_that_fails(host: Host) -> Iterator[None]:
    """The unit of sshd has a reload command that fails."""
    host.write("/etc/systemd/system/ssh.service.d/broken.conf", "[Service]\nExecReload=\nExecReload=/bin/false\n")
    host.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        host.run("rm", "-r", "/etc/systemd/system/ssh.service.d")
        host.run("systemctl", "daemon-reload")


@contextlib.contextmanager
def sshd_with_another_configuration(host: Host) -> Iterator[None]:
    """An sshd that reads another file than /etc/ssh/sshd_config, one that includes no drop-ins."""
    host.run("grep -v ^Include /etc/ssh/sshd_config >/etc/ssh/other && mv /usr/sbin/sshd /usr/sbin/sshd.real")
    host.write("/usr/sbin/sshd", '#!/bin/sh\nexec /usr/sbin/sshd.real -f /etc/ssh/other "$@"\n', 0o755)
    try:
        yield
    finally:
        host.run("mv /usr/sbin/sshd.real /usr/sbin/sshd && rm /etc/ssh/other")
        host.run("systemctl", "restart", "ssh")


def test_change_is_put_back_if_sshd_does_not_reload(host: Host, person: Person) -> None:
    with reload_that_fails(host):
        before = host.snapshot(WATCHED)
        refused = module(host, "twofactor", options(person))
        assert host.snapshot(WATCHED) == before
        assert "ssh.service does not reload: " in refused.message
        assert refused.message.endswith(PUT_BACK)
    assert_nothing_left(host)
    assert_off(person)


def test_change_is_put_back_if_sshd_ignores_the_drop_in(host: Host, person: Person) -> None:
    with sshd_with_another_configuration(host):
        before = host.snapshot(WATCHED)
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert "sshd would not do what was meant for " in refused.message
        assert ": kbdinteractiveauthentication is 'no' instead of 'yes', because another part of" in refused.message
        assert refused.message.endswith(PUT_BACK)
        assert host.snapshot(WATCHED) == before
        assert_off(person)
    assert_nothing_left(host)


# Missing


def test_removed_package_denies_everyone_in_scope_until_the_next_run(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    host.run("dpkg", "--remove", "--force-depends", "libpam-oath")
    assert not person.by_key(person.code()).ok
    assert not person.by_password(person.code()).ok
    exempt = ssh.login(host, "ansible", key=host.key, batch=True)
    assert exempt.ok, exempt.reason
    assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": False}
    run = playbook("enable", host, **settings(person))
    assert run.changed, run.output
    assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": True}
    assert_on(person)


def test_service_file_that_a_package_has_replaced_is_reported_and_repaired(host: Host, person: Person) -> None:
    before = host.read("/etc/pam.d/sshd")
    assert module(host, "twofactor", options(person)).ok
    host.write("/etc/pam.d/sshd", before)
    assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": False}
    run = playbook("enable", host, **settings(person))
    assert run.changed, run.output
    assert f"sshd on {host.name} was not asking for codes" in unwrapped(run.output)
    assert_on(person)


def test_emptied_code_step_is_reported_and_repaired(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    host.write("/etc/pam.d/twofactor", "")
    assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": False}
    assert module(host, "twofactor", options(person)).changed
    assert_on(person)


# Busy

RUNS = 20
PEOPLE = 24


class Busy:
    """People who log in as fast as they can, and try each code twice."""

    def __init__(self, people: list[Person]) -> None:
        self.people = people
        self.used: dict[str, list[str]] = {person.name: [] for person in people}
        self.wrong: list[str] = []
        self.stop = threading.Event()

    @property
    def logins(self) -> int:
        """How often somebody got in."""
        return sum(map(len, self.used.values()))

    def log_in(self, number: int, of: int) -> None:
        """Log in as every *of*-th person in turn, until told to stop."""
        steps = {person.name: 0 for person in self.people[number::of]}
        while not self.stop.is_set():
            for person in self.people[number::of]:
                now = int(time.time()) // 30
                step = max(now, steps[person.name] + 1)
                if step > now + 1 or self.stop.is_set():
                    continue
                steps[person.name] = step
                code = person.code(at=step * 30)
                first = person.by_key(code)
                if first.ok:
                    self.used[person.name].append(code)
                else:
                    self.wrong.append(f"{person.name} was denied: {first.prompts} {first.reason}")
                if person.by_key(code).ok:
                    self.wrong.append(f"{person.name} got in with a used code")
            time.sleep(0.1)


def test_logins_go_on_at_full_speed_during_many_runs(host: Host) -> None:
    off(host)
    people = [new_person(host) for _number in range(PEOPLE)]
    wanted = options(*people, lockout={"attempts": 100})
    assert module(host, "twofactor", wanted).ok
    busy = Busy(people)
    with ThreadPoolExecutor(3) as pool:
        logging_in = [pool.submit(busy.log_in, number, 3) for number in range(3)]
        try:
            for number in itertools.count():
                # At least this many runs, and until there were as many logins as people.
                if number >= RUNS and (busy.logins >= PEOPLE or busy.wrong or any(map(Future.done, logging_in))):
                    break
                # Of every four runs, one finds nothing to do, one writes files, and two reload sshd as well.
                variant = ({}, {"window": 2}, {"window": 2, "exempt_groups": ["games"]}, {})[number % 4]
                done = module(host, "twofactor", {**wanted, **variant})
                assert done.ok, done.output
        finally:
            busy.stop.set()
        for one in logging_in:
            one.result()
    try:
        assert busy.wrong == []
        assert busy.logins >= PEOPLE
        for person in people:
            codes = busy.used[person.name]
            fields = host.read(f"/etc/oath/{person.name}").decode().split()
            assert fields[5:6] == codes[-1:], person.name
            assert not any(person.by_key(code).ok for code in codes[-1:])
    finally:
        off(host)
        for person in people:
            host.run("userdel", "--force", "--remove", person.name)
