# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root cannot change: immutable, append-only, or mounted read-only. Nothing is changed, and each is named."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from hosts import Host
from login.modules import module, options, turn_on
from login.people import Person
from login.policy import JOURNAL, WATCHED, assert_nothing_left, assert_off, assert_on, somebody

pytestmark = pytest.mark.usefixtures("package")
SSHD = "/etc/pam.d/sshd"
SWITCH = "/etc/pam.d/twofactor"
DROP_IN = "/etc/ssh/sshd_config.d/00-twofactor.conf"


@contextlib.contextmanager
def attribute(host: Host, letter: str, path: str) -> Iterator[str]:
    """Something has an attribute; what a run says of it."""
    host.run("chattr", f"+{letter}", path)
    try:
        kind = {"i": "immutable", "a": "append-only"}[letter]
        yield (
            f"{path} on {host.name} is {kind} (chattr +{letter}), and has to be changed. Run there: chattr "
            f"-{letter} {path}."
        )
    finally:
        host.run("chattr", f"-{letter}", path)


@contextlib.contextmanager
def read_only(host: Host, directory: str) -> Iterator[str]:
    """A directory is mounted read-only; what a run says of it."""
    host.run(f"mount --rbind {directory} {directory} && mount -o remount,ro,bind {directory}")
    try:
        yield (
            f"{directory} on {host.name} is mounted read-only (see 'findmnt -T {directory}'), and files in it have to "
            "be changed. Mount it to be written to, and run again."
        )
    finally:
        host.run("umount", "--recursive", directory)


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    host.install("e2fsprogs")
    with somebody(host) as person:
        yield person


def assert_refused(person: Person, said: str, **wanted: object) -> None:
    """A run and a check mode run say this once and change nothing."""
    host = person.host
    before = host.snapshot(WATCHED)
    for check in (True, False):
        refused = module(host, "twofactor", wanted or options(person), check=check)
        assert not refused.ok, refused.output
        assert refused.message.count(said) == 1, refused.message
        assert f"Two-factor login on {host.name} was not changed: " in refused.message
        assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_what_cannot_be_changed_is_named_before_anything_is_turned_on(host: Host, person: Person) -> None:
    for letter, path in (("i", SSHD), ("a", SSHD), ("i", "/etc/pam.d"), ("a", "/etc/ssh/sshd_config.d")):
        with attribute(host, letter, path) as said:
            assert_refused(person, said)
            told = module(host, "twofactor_info", options(person))
            assert told["refusals"] == [said]
    for directory in ("/etc", "/etc/pam.d", "/var/lib"):
        with read_only(host, directory) as said:
            assert_refused(person, said)
    with attribute(host, "i", "/etc/pam.d/su"):
        # A file that is not to be changed is in nobody's way.
        turn_on(host, person)
    assert_on(person)


def test_what_cannot_be_changed_is_named_where_it_is_on(host: Host, person: Person) -> None:
    turn_on(host, person)
    for letter, path in (("i", SWITCH), ("i", SSHD), ("a", DROP_IN)):
        with attribute(host, letter, path) as said:
            assert_refused(person, said, enabled=False)
            again = module(host, "twofactor", options(person))
            assert (again.ok, again.changed) == (True, False), again.output
    with attribute(host, "i", SWITCH) as said:
        assert_refused(person, said, **options(person, otp_digits=8))
    with read_only(host, "/etc") as said:
        assert_refused(person, said, enabled=False)
    assert_on(person)


def test_recovery_command_says_what_holds_the_code_step(host: Host, person: Person) -> None:
    turn_on(host, person)
    before = host.snapshot(WATCHED)
    with attribute(host, "i", SWITCH):
        for words in ((), ("--user", person.name)):
            done = host.run("twofactor-recover", *words, check=False)
            assert done.returncode == 1
            assert f"cannot write {SWITCH}: chattr holds it; run 'chattr -ia {SWITCH}', and this again" in done.stderr
        assert host.snapshot(WATCHED) == before
    with read_only(host, "/etc"):
        for words in ((), ("--user", person.name)):
            done = host.run("twofactor-recover", *words, check=False)
            assert done.returncode == 1
            assert f"cannot write {SWITCH}: it is mounted read-only (see 'findmnt -T {SWITCH}')" in done.stderr
        assert host.snapshot(WATCHED) == before
    assert_on(person)
    host.run("twofactor-recover")
    assert_off(person)


def test_putting_back_says_what_holds_a_file_and_goes_on_once_it_is_free(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    turn_on(host, person, rollback_after=600)
    with attribute(host, "i", SSHD):
        for _attempt in range(2):
            done = host.run("sh", f"{JOURNAL}.sh", check=False)
            assert done.returncode == 1
            assert f"could not be undone: cannot change {SSHD}: chattr holds it; run 'chattr -ia {SSHD}'" in done.stdout
        # The switch was put back first, so nobody is asked for a code, and everybody gets in.
        login = person.by_password()
        assert login.ok, login.reason
        # Confirmed by nobody, and begun to be put back: the next run goes on with that, and cannot either.
        host.run("sed", "-i", "/^done/d", JOURNAL)
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert f"cannot change {SSHD}: chattr holds it" in refused.message
    host.run("sh", f"{JOURNAL}.sh")
    assert host.snapshot(WATCHED) == before
    assert_off(person)
