# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turning it off restores every byte, whatever an administrator changed meanwhile; failures and damage are repaired.

The module does this, and tests that do not concern the role run the module alone.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from hosts import Host
from hosts.host import Entry
from login import ssh
from login.backends import GOOGLE, OATH, backend_of, credentials
from login.modules import Answer, module, options, turn_on
from login.people import PASSWORD, Person, Run, enable, new_person, playbook, settings, unwrapped
from login.policy import DROP_IN, SWITCH, TALLY
from login.sheets import LATE_FAILURE
from login.sudo import sudo
from login.trouble import broken_disk

pytestmark = [pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]
SERVICES = ("sudo", "su")

Snapshot = dict[str, Entry]


class Place(t.NamedTuple):
    """A host, all people on it, and an iterator over those who have not logged in yet."""

    host: Host
    everyone: list[Person]
    people: Iterator[Person]

    def enable(self, **options: t.Any) -> Answer:
        """Turn two-factor login on for everyone, with the module."""
        return turn_on(self.host, *self.everyone, **{"services": SERVICES, **options})

    def enable_by_playbook(self) -> Run:
        return enable(self.host, *self.everyone, services=SERVICES)

    def disable(self, **options: t.Any) -> Answer:
        """Turn two-factor login off, with the module."""
        done = module(self.host, "twofactor", {"enabled": False, **options})
        assert done.ok, done.output
        return done

    def disable_by_playbook(self, *arguments: str, **variables: t.Any) -> Run:
        run = playbook("disable", self.host, *arguments, **variables)
        assert run.ok, run.output
        return run


@pytest.fixture(scope="module")
def place(host: Host, package: None) -> Place:
    """The package is installed first, so that its own changes in /etc are not taken for ours."""
    del package
    people = [new_person(host, groups=["sudo"]) for _number in range(24)]
    return Place(host, people, iter(people))


@pytest.fixture
def off(place: Place) -> Snapshot:
    """A snapshot of the host with two-factor login off and no credentials."""
    if place.host.exists(backend_of(place.host).directory) or _ours(place.host):
        place.disable(purge_credentials=True)
    return _snapshot(place.host)


@pytest.fixture
def on(place: Place) -> Snapshot:
    """A snapshot of the host with two-factor login on."""
    place.enable()
    return _snapshot(place.host)


@pytest.mark.quick
def test_disabling_restores_every_byte_and_password_and_key_get_in(place: Place, off: Snapshot, tmp_path: Path) -> None:
    place.enable_by_playbook()
    person = next(place.people)
    assert not person.by_password().ok
    assert not person.by_key(batch=True).ok
    place.disable_by_playbook(twofactor_enrolment_dir=str(tmp_path / "sheets"))
    assert not (tmp_path / "sheets").exists()
    assert _snapshot(place.host) == off
    for login in (person.by_password(), person.by_password(methods="password"), person.by_key(batch=True)):
        assert login.ok, login.reason


def test_only_credentials_are_left_and_purging_removes_them(place: Place, off: Snapshot) -> None:
    host = place.host
    place.enable()
    assert _ours(host)
    place.disable()
    assert _ours(host) == []
    kept = credentials(host)
    assert kept.pop(backend_of(host).directory)[:3] == (0o700, 0, 0)
    assert {entry[:3] for entry in kept.values()} <= {(mode, 0, 0) for mode in backend_of(host).modes}

    assert not place.disable().changed
    assert place.disable(purge_credentials=True).changed
    assert not host.exists(backend_of(host).directory)
    assert _snapshot(host) == off
    assert not place.disable(purge_credentials=True).changed


@pytest.mark.usefixtures("on")
def test_secret_stays_and_used_code_stays_used_when_it_is_on_again(place: Place) -> None:
    person = next(place.people)
    ssh.fresh_step(at_least=20)
    code = person.code(steps=-1)
    assert person.by_key(code).ok
    place.disable()
    place.enable()
    assert not person.by_key(code).ok
    assert person.by_key(person.code()).ok


@pytest.mark.usefixtures("off")
def test_disabling_a_host_that_was_never_on_changes_and_installs_nothing(place: Place) -> None:
    place.host.run("dpkg", "--purge", backend_of(place.host).package)
    try:
        before = _snapshot(place.host)
        assert not place.disable_by_playbook().changed
        assert _snapshot(place.host) == before
        assert _ours(place.host) == []
        assert place.host.run("dpkg-query", "--show", backend_of(place.host).package, check=False).returncode
    finally:
        place.host.install(backend_of(place.host).package)


@pytest.mark.backends(OATH)
def test_check_mode_shows_what_disabling_does_and_does_nothing(place: Place, on: Snapshot) -> None:
    person = next(place.people)
    announced = place.disable_by_playbook("--check", "--diff")
    assert announced.changed
    assert _snapshot(place.host) == on
    assert not person.by_password().ok
    done = place.disable_by_playbook("--diff")
    assert _diffs(announced.output) == _diffs(done.output)
    assert _diffs(done.output)


def test_edits_of_an_administrator_stay(place: Place, off: Snapshot) -> None:
    host = place.host
    originals = {path: host.read(path) for path in ("/etc/pam.d/sshd", "/etc/pam.d/sudo", "/etc/ssh/sshd_config")}
    odd = b"# not UTF-8: \xe9\xff\r\n\n" + originals["/etc/pam.d/sudo"] + b"#\tno newline at the end"
    host.write("/etc/pam.d/sudo", odd, 0o640)
    host.run("chown", "daemon:adm", "/etc/pam.d/sudo")
    before = {**originals, "/etc/pam.d/sudo": odd}
    try:
        modes = {path: host.snapshot([path])[path][:3] for path in before}
        place.enable()
        assert {path: host.snapshot([path])[path][:3] for path in before} == modes
        for path in before:
            host.run("sh", "-c", _EDIT, "sh", path)
        place.enable()
        place.disable()
        for path, text in before.items():
            assert host.read(path) == b"# above: an edit\n" + text + b"# below: an edit\n", path
        assert {path: host.snapshot([path])[path][:3] for path in before} == {**modes, "/etc/pam.d/sshd": (0o600, 2, 3)}
    finally:
        host.run("chown", "root:root", *before)
        for path, text in originals.items():
            host.write(path, text, off[path][0])
    assert _snapshot(host) == off


def test_disabling_needs_no_clock_in_sync(place: Place, off: Snapshot) -> None:
    place.enable()
    place.host.run("systemctl", "stop", "chrony")
    try:
        place.disable()
        assert _snapshot(place.host) == off
    finally:
        place.host.run("systemctl", "start", "chrony")
        place.host.run("chronyc", "waitsync", "60", "0", "0", "0.5")


def test_services_are_removed_one_by_one_and_the_others_still_ask(place: Place, off: Snapshot) -> None:
    host, (switched, sudoer) = place.host, (next(place.people), next(place.people))
    place.enable()
    ssh.fresh_step()
    assert _su(sudoer, switched, switched.code(steps=-1)) == switched.name
    assert sudo(sudoer, PASSWORD, sudoer.code()).stdout == "root\n"

    place.enable(services=["su"], ssh=True)
    assert _same(host, off, "/etc/pam.d/sudo")
    assert sudo(sudoer, PASSWORD).stdout == "root\n"
    assert not sudoer.by_password().ok
    assert _su(sudoer, switched) is None

    place.enable(services=["su"], ssh=False)
    assert _same(host, off, "/etc/pam.d/sudo", "/etc/pam.d/sshd", "/etc/ssh/sshd_config.d")
    assert not host.exists(DROP_IN)
    assert sudoer.by_password().ok
    assert sudoer.by_key(batch=True).ok
    assert _su(sudoer, switched) is None
    ssh.fresh_step()
    assert _su(sudoer, switched, switched.code()) == switched.name

    place.enable(services=[], ssh=False)
    assert _same(host, off, *(f"/etc/pam.d/{service}" for service in ("sudo", "sshd", "su")))
    assert _su(sudoer, switched) == switched.name
    place.disable(purge_credentials=True)
    assert _snapshot(host) == off


@pytest.mark.usefixtures("off")
def test_service_file_of_a_package_upgrade_is_reported_and_repaired(place: Place) -> None:
    person, stock = next(place.people), place.host.read("/etc/pam.d/sshd")
    place.enable()
    on = _snapshot(place.host)
    place.host.write("/etc/pam.d/sshd", stock)
    assert person.by_password().ok
    run = place.enable_by_playbook()
    assert "was not asking for codes: /etc/pam.d/sshd had lost the block" in unwrapped(run.output)
    _assert_repaired(place, run, on, person)


def test_emptied_switch_is_repaired(place: Place, on: Snapshot) -> None:
    person = next(place.people)
    place.host.write(SWITCH, "")
    assert person.by_password().ok
    _assert_repaired(place, place.enable(), on, person)


def test_removed_tally_is_reported_and_repaired(place: Place, on: Snapshot) -> None:
    person = next(place.people)
    place.host.run("rm", "-r", TALLY)
    run = place.enable()
    assert f"{TALLY} on {place.host.name} was missing: wrong codes were not counted" in unwrapped(run.output)
    _assert_repaired(place, run, on, person)
    for attempt in range(5):
        assert not person.by_key(person.code(steps=1000 + attempt)).ok
    ssh.fresh_step()
    assert not person.by_key(person.code(steps=1)).ok


@pytest.mark.parametrize("text", [None, "", "Match User *\n    AuthenticationMethods publickey\n"])
def test_drop_in_deleted_or_edited_by_hand_is_repaired(place: Place, on: Snapshot, text: str | None) -> None:
    person = next(place.people)
    if text is None:
        place.host.run("rm", DROP_IN)
    else:
        place.host.write(DROP_IN, text)
    place.host.run("systemctl", "restart", "ssh")
    assert person.by_key(batch=True).ok
    _assert_repaired(place, place.enable(), on, person)


def test_change_that_fails_restores_files_and_credentials(place: Place, on: Snapshot) -> None:
    host, person = place.host, next(place.people)
    before = credentials(host)
    users = [{"name": person.name, "secret": pyotp.random_base32()}, {"name": "ansible"}]
    with broken_disk(host):
        failed = module(host, "twofactor", options(users=users, services=SERVICES, interval=60))
    assert not failed.ok
    assert "No space left on device" in failed.message
    assert "Nothing was changed" in failed.message
    assert credentials(host) == before
    assert _snapshot(host) == on
    ssh.fresh_step()
    assert person.by_key(person.code()).ok


@pytest.mark.backends(OATH)
@pytest.mark.usefixtures("off")
def test_sheet_that_could_not_be_written_is_written_by_the_next_run(place: Place, tmp_path: Path) -> None:
    sheet = tmp_path / f"ansible@{place.host.name}.html"
    variables = {**settings(users=[{"name": "ansible"}], ssh=False), "twofactor_enrolment_dir": str(tmp_path)}
    assert not playbook("enable", place.host, **variables, twofactor_issuer=LATE_FAILURE).ok
    assert place.host.exists(f"{backend_of(place.host).directory}/ansible")
    assert not sheet.exists()
    printed = tmp_path / "sheets.pdf"
    printed.write_text("all sheets as they were")
    assert playbook("enable", place.host, **variables).ok
    assert sheet.exists()
    assert not printed.exists()


_EDIT = r"""
set -e
{ echo "# above: an edit"; cat "$1"; echo "# below: an edit"; } >"$1.new"
cat "$1.new" >"$1"
rm "$1.new"
if [ "$1" = /etc/pam.d/sshd ]; then chown 2:3 "$1"; chmod 0600 "$1"; fi
"""


def _snapshot(host: Host) -> Snapshot:
    """All that a run may change, except the credentials and the tally, which logins change as well."""
    found = host.snapshot(["/etc", "/usr", "/var/lib/fleet-auth", "/run/fleet-auth"])
    of_logins = (f"{backend_of(host).directory}/", f"{TALLY}/")
    return {path: entry for path, entry in found.items() if not f"{path}/".startswith(of_logins)}


def _ours(host: Host) -> list[str]:
    """All paths with a name of ours, except in file systems that show processes.

    The lock with which runs take turns is left out: if it were removed, two runs could run at once.
    """
    roots = ["/", "/run", "/tmp", "/dev/shm"]
    names = ["-name", "*fleet?auth*", "-o", "-name", "*two*factor*"]
    found = host.run("find", *roots, "-xdev", *names).stdout.splitlines()
    return [path for path in found if path != "/run/fleet-auth.lock"]


def _same(host: Host, before: Snapshot, *paths: str) -> bool:
    under = tuple(f"{path}/" for path in paths)
    return host.snapshot(paths) == {path: entry for path, entry in before.items() if f"{path}/".startswith(under)}


def _assert_repaired(place: Place, run: Run | Answer, on: Snapshot, person: Person) -> None:
    assert run.changed
    assert _snapshot(place.host) == on
    assert place.host.snapshot([TALLY])[TALLY] == (0o700, 0, 0, "d")
    assert not person.by_password().ok
    assert not person.by_key(batch=True).ok
    ssh.fresh_step()
    login = person.by_password(person.code())
    assert login.ok, login.reason


def _su(who: Person, to: Person, code: str = "") -> str | None:
    """Run `id -un` through su, as somebody who knows the password of *to*; return its output, or None."""
    done = who.host.run("su", to.name, "-c", "id -un", input=f"{PASSWORD}\n{code}\n", user=who.name, check=False)
    return None if done.returncode else done.stdout.strip()


def _diffs(output: str) -> list[str]:
    """The lines of all diffs that a run shows."""
    return [line for line in output.splitlines() if line.startswith(("+", "-", "@@"))]
