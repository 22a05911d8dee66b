# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths that root cannot change: immutable, append-only or mounted read-only. Nothing is changed, each is named."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator

import pytest

from hosts import Host
from login.backends import GOOGLE, OATH, Backend, use
from login.modules import module, options, turn_on
from login.people import Person, new_person
from login.policy import DROP_IN, JOURNAL, SWITCH, WATCHED, assert_nothing_left, assert_off, assert_on, off, somebody

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.release("debian12")]
SSHD = "/etc/pam.d/sshd"
END_PASSES = "/usr/libexec/fleet-auth-end-passes"


@contextlib.contextmanager
def attribute(host: Host, letter: str, path: str) -> Iterator[str]:
    """Set an attribute on a path; yields what a run says about it."""
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
    """Mount a directory read-only; yields what a run says about it."""
    host.run(f"mount --rbind {directory} {directory} && mount -o remount,ro,bind {directory}")
    try:
        yield (
            f"{directory} on {host.name} is mounted read-only (see 'findmnt -T {directory}'), and files in it have to "
            "be changed. Mount it read-write, and run again."
        )
    finally:
        host.run("umount", "--recursive", directory)


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    host.install("e2fsprogs")
    with somebody(host) as person:
        yield person


def assert_refused(person: Person, said: str, **wanted: object) -> None:
    """Check that a run, and one in check mode, say this once and change nothing."""
    host = person.host
    before = host.snapshot(WATCHED)
    for check in (True, False):
        refused = module(host, "twofactor", wanted or options(person), check=check)
        assert not refused.ok, refused.output
        assert refused.message.count(said) == 1, refused.message
        assert f"Two-factor login on {host.name} was not changed: " in refused.message
        assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_write_protected_files_are_named_before_anything_is_turned_on(host: Host, person: Person) -> None:
    for letter, path in (("i", SSHD), ("a", SSHD), ("i", "/etc/pam.d"), ("a", "/etc/ssh/sshd_config.d")):
        with attribute(host, letter, path) as said:
            assert_refused(person, said)
            info = module(host, "twofactor_info", options(person))
            assert info["refusals"] == [said]
    for directory in ("/etc", "/etc/pam.d", "/var/lib"):
        with read_only(host, directory) as said:
            assert_refused(person, said)
    host.run(f"cp -a {SSHD} /root/sshd && mount --bind /root/sshd {SSHD}")
    try:
        assert_refused(person, f"{SSHD} on {host.name} is a mount of its own (see findmnt), and has to be changed.")
    finally:
        host.run(f"umount {SSHD} && rm /root/sshd")
    with attribute(host, "i", "/etc/pam.d/su"):
        # An attribute on a file that the run does not change is no obstacle.
        turn_on(host, person)
    assert_on(person)


def test_write_protected_files_are_named_while_it_is_on(host: Host, person: Person) -> None:
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


@pytest.mark.parametrize("backend", [OATH, GOOGLE], ids=lambda backend: backend.name)
def test_run_and_status_warn_if_logins_cannot_record_used_codes(
    host: Host, backend: Backend, request: pytest.FixtureRequest
) -> None:
    host.install(backend.package)
    use(host, backend)
    request.addfinalizer(lambda: use(host, OATH))
    host.install("e2fsprogs")
    with somebody(host) as person:
        turn_on(host, person)
        directory = backend.directory
        writes = f"each login has to note the used code in {directory}"
        for everybody, said, held in (
            (True, f"{directory} on {host.name} is immutable (chattr +i), and", attribute(host, "i", directory)),
            (True, f"{directory} on {host.name} is append-only (chattr +a), and", attribute(host, "a", directory)),
            (True, f"/etc on {host.name} is mounted read-only (see 'findmnt -T /etc'), and", read_only(host, "/etc")),
            (
                False,
                f"the credential of {person.name} on {host.name}, {person.credential}, is immutable (chattr +i), and",
                attribute(host, "i", person.credential),
            ),
        ):
            with held:
                again = module(host, "twofactor", options(person))
                assert (again.ok, again.changed) == (True, False), again.output
                (warning,) = again["warnings"]
                assert warning.startswith(f"{said} {writes}"), warning
                found = module(host, "twofactor_info", options(person))
                assert found["drift"] == [warning]
                assert ("sshd" in found["denying"]) == everybody
                login = person.by_password(person.code())
                assert not login.ok, said
            # A right code that could not be recorded counts as a wrong one.
            host.run("rm", "--force", f"/run/fleet-auth/faillock/{person.name}")
        # A minute later, the next run removes the files that those logins left behind.
        host.run(f"find {directory} -type f ! -name {person.name} -exec touch -d '2 minutes ago' {{}} +")
        free = module(host, "twofactor", options(person))
        assert free.ok, free.output
        assert "warnings" not in free.values
        assert_on(person)


def test_modules_that_write_credentials_first_name_what_is_write_protected(host: Host, person: Person) -> None:
    host.install("qrencode")
    turn_on(host, person, self_service=True)
    other, guest = new_person(host), new_person(host)
    key = base64.b32decode(other.secret).hex()
    host.write("/etc/users.oath", f"HOTP/T30 {other.name} - {key}\n", mode=0o600)
    made = b"# fleet.auth self-made=2026-11-28/terminal\n" + host.read(person.credential)
    host.write(person.credential, made, mode=0o600)
    user = {"user": person.name}
    of_one = {
        "twofactor_accept": (user, f"The credential of {person.name} was not accepted on {host.name}"),
        "twofactor_pass": (user, f"{person.name} got no pass on {host.name}"),
        "twofactor_verify": ({**user, "code": "000000"}, f"The code of {person.name} cannot be checked on {host.name}"),
    }
    adopts: dict[str, tuple[dict[str, str], str]] = {"twofactor_adopt": ({}, f"Nobody was taken over on {host.name}")}
    invites = {"twofactor_invitation": ({"user": guest.name}, f"{guest.name} was not invited on {host.name}")}
    invitations = "/var/lib/fleet-auth-invitations"
    try:
        for asked, held in (
            (of_one, attribute(host, "i", person.credential)),
            ({**of_one, **adopts}, attribute(host, "i", "/etc/oath")),
            ({**of_one, **adopts}, read_only(host, "/etc")),
            (invites, attribute(host, "i", invitations)),
            (invites, read_only(host, "/var/lib")),
        ):
            before = host.snapshot(["/etc", "/var/lib/fleet-auth-invitations"])
            with held as said:
                for name, (arguments, beginning) in asked.items():
                    for check in (True, False):
                        refused = module(host, name, arguments, check=check)
                        assert not refused.ok, (name, refused.output)
                        assert refused.message == f"{beginning}: {said}"
            assert host.snapshot(["/etc", "/var/lib/fleet-auth-invitations"]) == before
        for name, (arguments, _beginning) in {**of_one, **adopts, **invites}.items():
            done = module(host, name, arguments)
            assert done.ok, done.output
    finally:
        # The script that ends passes removes itself when there is no pass.
        off(host)
        host.run(f"test ! -e {END_PASSES} || {END_PASSES}")
        host.run("rm", "--force", "/etc/users.oath")
        for one in (other, guest):
            host.run("userdel", "--force", "--remove", one.name)


def test_recovery_command_names_a_write_protected_code_step(host: Host, person: Person) -> None:
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


def test_rollback_names_a_write_protected_file_and_finishes_once_it_is_writable(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    turn_on(host, person, rollback_after=600)
    with attribute(host, "i", SSHD):
        for _attempt in range(2):
            done = host.run("sh", f"{JOURNAL}.sh", check=False)
            assert done.returncode == 1
            assert f"could not be undone: cannot change {SSHD}: chattr holds it; run 'chattr -ia {SSHD}'" in done.stdout
        # The switch was put back first, so nobody is asked for a code and everybody gets in.
        login = person.by_password()
        assert login.ok, login.reason
        # Not confirmed, and a rollback has begun: the next run tries to finish the rollback, and cannot either.
        host.run("sed", "-i", "/^done/d", JOURNAL)
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert f"cannot change {SSHD}: chattr holds it" in refused.message
    host.run("sh", f"{JOURNAL}.sh")
    assert host.snapshot(WATCHED) == before
    assert_off(person)
