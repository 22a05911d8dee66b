# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks by logging in which policy a host follows, and whether a change has left anything behind."""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections.abc import Iterator

import hosts
from hosts import PATIENCE, Host
from hosts.docker import docker
from login import ssh
from login.backends import backend_of
from login.modules import module
from login.people import Person, new_person

CODE_PROMPT = "One-time password"
SWITCH = "/etc/pam.d/twofactor"
DROP_INS = "/etc/ssh/sshd_config.d"
DROP_IN = f"{DROP_INS}/00-twofactor.conf"
TALLY = "/run/fleet-auth/faillock"
JOURNAL = "/var/lib/fleet-auth/undo"
WATCHED = ("/etc", "/usr/local", "/usr/libexec", "/var/lib/fleet-auth")
"""The paths that a change writes to, except those that are made again at boot."""

_LEFTOVERS = r"""
find / -xdev \( -name '.*.fleet-auth-*' -o -name 'fleet-auth-undo*' \)
find /run -name '.*.fleet-auth-*' -o -name 'fleet-auth-undo*'
ls -d /var/lib/fleet-auth 2>/dev/null
systemctl list-units --plain --no-legend 'fleet-auth*'
true
"""


def off(host: Host) -> None:
    """Turn two-factor login off at once, and delete all credentials."""
    if host.exists(JOURNAL):
        # Otherwise a run would first wait for the change to be confirmed.
        host.run("sh", f"{JOURNAL}.sh", check=False)
    if host.exists(backend_of(host).directory):
        done = module(host, "twofactor", {"enabled": False, "purge_credentials": True})
        assert done.ok, done.output


@contextlib.contextmanager
def somebody(host: Host, **account: t.Any) -> Iterator[Person]:
    """A new person on a host where two-factor login is off; it is turned off again afterwards."""
    off(host)
    made = new_person(host, **account)
    ssh.fresh_step()
    try:
        yield made
    finally:
        off(host)
        host.run("userdel", "--force", "--remove", made.name)


class Pair(t.NamedTuple):
    """Two people: with `policy` one is exempt; the other one is to be enrolled."""

    exempt: Person
    enrolled: Person

    def policy(self, *services: str, **values: t.Any) -> dict[str, t.Any]:
        """Options with which these services ask for codes, and 50 wrong codes are allowed."""
        exempt = ["ansible", self.exempt.name]
        return {"services": list(services), "exempt_users": exempt, "lockout": {"attempts": 50}, **values}


@contextlib.contextmanager
def pair(host: Host) -> Iterator[Pair]:
    """Two new people on a host where two-factor login is off; it is turned off again afterwards."""
    host.install("libpam-oath")
    off(host)
    made = Pair(new_person(host), new_person(host))
    try:
        yield made
    finally:
        off(host)
        for person in made:
            host.run("userdel", "--force", "--remove", person.name)


def assert_off(person: Person) -> None:
    """Check that the host asks for no code: the key alone and the password alone get in."""
    key = person.by_key(batch=True)
    assert key.ok, key.reason
    password = person.by_password(methods="password")
    assert password.ok, password.reason


@contextlib.contextmanager
def nothing_changes(person: Person, watched: t.Sequence[str]) -> Iterator[None]:
    """Check that the block leaves these paths of the host as they were, and that the host asks for no code."""
    before = person.host.snapshot(watched)
    yield
    assert person.host.snapshot(watched) == before
    assert_off(person)


def assert_on(person: Person, **how: t.Any) -> None:
    """Check that the host requires a code, and accepts the one that the person's phone shows now."""
    assert not person.by_key(batch=True).ok
    assert not person.by_password().ok
    login = person.by_key(person.code(**how))
    assert login.ok, login.reason


def give_wrong_codes(person: Person, number: int) -> None:
    """Log in with wrong codes, alternating between key and password."""
    for attempt in range(number):
        log_in = person.by_password if attempt % 2 else person.by_key
        assert not log_in(person.code(steps=1000 + attempt)).ok


def assert_closed(person: Person) -> None:
    """Check that the code step is closed for the person: even a right code is not asked for."""
    for login in (person.by_password(person.code()), person.by_key(person.code())):
        assert not login.ok
        assert not any(CODE_PROMPT in prompt for prompt in login.prompts)


def assert_nothing_left(host: Host) -> None:
    """Check that no files or units of a change under way are left."""
    left = host.run(_LEFTOVERS).stdout
    assert not left, left


def switched_at(host: Host) -> float:
    """When the code step was put in force, in seconds since the epoch."""
    return float(host.run("stat", "-c", "%.9Z", SWITCH).stdout)


def await_end(host: Host, seconds: float) -> None:
    """Wait until no change is under way, and the unit that puts one back has finished."""
    deadline = time.monotonic() + seconds
    under_way = f"[ -e {JOURNAL} ] || systemctl is-active --quiet fleet-auth-undo.service"
    while host.run(under_way, check=False).returncode == 0:
        assert time.monotonic() < deadline, f"the change is still under way after {seconds} s"
        time.sleep(0.2)


def roll_back_now(host: Host) -> None:
    """Put an unconfirmed change back at once, as the timer would."""
    host.run("systemctl", "start", "fleet-auth-undo.service")
    await_end(host, PATIENCE)
    assert_nothing_left(host)


def reboot(host: Host) -> None:
    """Restart the host: /run is emptied, and the units that run at boot run again."""
    docker("restart", host.container)
    hosts.up(host.fleet, {host.name: host.release})
