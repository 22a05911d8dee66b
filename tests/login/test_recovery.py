# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recovery by the command, which needs only a shell, and by the playbook; for everyone, or for one account."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import typing as t
from collections.abc import Iterator

import pytest

from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH, credentials
from login.modules import Answer, turn_on
from login.people import PASSWORD, Person, new_person, playbook, unwrapped
from login.policy import SWITCH, TALLY, off
from login.trouble import full_disk

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]
COMMAND = "/usr/local/sbin/twofactor-recover"
DEMO = "/etc/pam.d/demo"

OFF = "two-factor login is off for everyone on this host; secrets are kept"
OFF_ALREADY = "two-factor login was off already"


@dataclasses.dataclass(frozen=True)
class People:
    """Two people on a host where sshd and another service ask for the code."""

    alice: Person
    bob: Person

    @property
    def host(self) -> Host:
        return self.alice.host

    def enable(self) -> Answer:
        """Turn two-factor login on, if it is off."""
        return turn_on(self.host, self.alice, self.bob, services=["demo"])


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[People]:
    host.write(DEMO, "@include common-auth\n@include common-account\n")
    yield People(new_person(host), new_person(host))
    off(host)
    host.run("rm", DEMO)


@pytest.fixture
def on(people: People) -> People:
    """Make sure that two-factor login is on, so that there is something to recover from."""
    people.enable()
    for person in (people.alice, people.bob):
        assert not person.by_key().ok
        assert not demo(person)
    # An unanswered prompt may be counted as a wrong code, and all tests here share these people.
    people.host.run("rm -f /run/fleet-auth/faillock/*")
    return people


def demo(person: Person) -> bool:
    """Whether the other service accepts the password alone."""
    done = person.host.run("pamtester", "demo", person.name, "authenticate", input=f"{PASSWORD}\n", check=False)
    return done.returncode == 0


def assert_gets_in_as_before(person: Person) -> None:
    """Check that the person gets in each way that works without two-factor login, and is asked for no code."""
    for login in (person.by_password(methods="password"), person.by_key(batch=True), person.by_password()):
        assert login.ok, login
    assert demo(person)


def recover(host: Host, *arguments: str, bare: t.Sequence[str] = (), **how: t.Any) -> subprocess.CompletedProcess[str]:
    done = host.run(*bare, COMMAND, *arguments, check=False, **how)
    # On a busy machine sshd may not have handled its signal yet, and accept one more connection with its old settings.
    host.run(
        "sshd=$(systemctl show --property MainPID --value ssh)\n"
        "while grep -q '^ShdPnd:.*[13579bdf]$' /proc/$sshd/status; do sleep 0.05; done"
    )
    return done


def last_line_in_log(host: Host) -> str:
    host.run("journalctl", "--sync")
    return host.run("journalctl", "-t", "twofactor-recover", "-o", "cat", "-n", "1").stdout.strip()


@contextlib.contextmanager
def without_python(host: Host) -> Iterator[None]:
    host.run("mkdir /usr/hidden && mv /usr/bin/python3* /usr/hidden/")
    try:
        assert host.run("python3", "--version", check=False).returncode != 0
        yield
    finally:
        host.run("mv /usr/hidden/* /usr/bin/ && rmdir /usr/hidden")


# The command, for everyone


@pytest.mark.quick
def test_a_shell_is_all_that_the_command_needs(on: People) -> None:
    host = on.host
    secrets = credentials(host)
    with without_python(host):
        # No network, an empty environment, and nothing on the PATH.
        bare = ["unshare", "--net", "env", "-i", "PATH=/nonexistent"]
        first = recover(host, bare=bare)
        assert (first.returncode, first.stdout, first.stderr) == (0, f"twofactor-recover: {OFF}\n", "")
        for person in (on.alice, on.bob):
            assert_gets_in_as_before(person)
        assert credentials(host) == secrets
        assert last_line_in_log(host) == OFF
        second = recover(host, bare=bare)
        assert (second.returncode, second.stdout, second.stderr) == (0, f"twofactor-recover: {OFF_ALREADY}\n", "")
        assert last_line_in_log(host) == OFF_ALREADY
    assert credentials(host) == secrets


def test_nobody_but_root_can_recover(on: People) -> None:
    before = on.host.snapshot()
    for arguments in ([], ["--user", on.alice.name]):
        done = recover(on.host, *arguments, user=on.alice.name)
        assert done.returncode == 1
        assert "only root can do this; try: sudo twofactor-recover" in done.stderr
    assert on.host.snapshot() == before
    assert not on.alice.by_key().ok


def test_used_code_stays_used_when_two_factor_login_is_turned_on_again(on: People) -> None:
    ssh.fresh_step(at_least=20)
    code = on.alice.code()
    assert on.alice.by_password(code).ok
    secrets = credentials(on.host)
    assert recover(on.host).returncode == 0
    assert on.alice.by_key(batch=True).ok
    assert on.enable().changed
    assert credentials(on.host) == secrets
    assert not on.alice.by_password(code).ok
    assert not on.alice.by_key(code).ok
    assert on.bob.by_password(on.bob.code()).ok


def test_damaged_switch_denies_everyone_and_the_command_gets_them_in(on: People) -> None:
    for damage in ("rm {}", "echo 'auth required' >{}", "echo 'auth required pam_gone.so' >{}"):
        on.host.run(damage.format(SWITCH))
        assert not on.alice.by_password(on.alice.code()).ok
        assert recover(on.host).stdout == f"twofactor-recover: {OFF}\n"
        assert_gets_in_as_before(on.alice)


def test_full_disk_stops_nobody_from_getting_in(on: People) -> None:
    with full_disk(on.host, "/etc/pam.d"):
        one = recover(on.host, "--user", on.alice.name)
        assert one.returncode == 1
        assert f"cannot write {SWITCH}; if the disk is full, leave --user out" in one.stderr
        for person in (on.alice, on.bob):
            assert not person.by_key().ok
        everyone = recover(on.host)
        assert (everyone.returncode, everyone.stdout) == (0, f"twofactor-recover: {OFF}\n")
        for person in (on.alice, on.bob):
            assert_gets_in_as_before(person)


# The command, for one account


def test_one_account_is_let_in_and_nobody_else(on: People) -> None:
    alice, bob, host = on.alice, on.bob, on.host
    ssh.fresh_step(at_least=20)
    code = alice.code()
    assert alice.by_password(code).ok
    secrets = credentials(host)
    for said in (
        f"{alice.name} needs no code on this host until the next run of the playbook",
        f"{alice.name} needed no code already",
    ):
        done = recover(host, "--user", alice.name)
        assert (done.returncode, done.stdout) == (0, f"twofactor-recover: {said}\n")
        assert last_line_in_log(host) == said
    assert_gets_in_as_before(alice)
    assert not bob.by_key().ok
    assert not bob.by_password().ok
    assert not bob.by_password(methods="password").ok
    assert not demo(bob)
    assert bob.by_password(bob.code()).ok
    assert credentials(host)[alice.credential] == secrets[alice.credential]
    assert on.enable().changed
    assert not alice.by_key().ok
    assert not alice.by_password(code).ok


def test_wrong_codes_are_forgotten(on: People) -> None:
    alice, bob, host = on.alice, on.bob, on.host
    for attempt in range(5):
        assert not alice.by_key(alice.code(steps=1000 + attempt)).ok
    assert not bob.by_key(bob.code(steps=1000)).ok
    ssh.fresh_step()
    closed = alice.by_password(alice.code(steps=1))
    assert (closed.ok, len(closed.prompts)) == (False, 1)
    assert recover(host, "--user", alice.name).returncode == 0
    assert host.run("ls", TALLY).stdout.split() == [bob.name]
    on.enable()
    assert alice.by_password(alice.code(steps=1)).ok
    assert recover(host).returncode == 0
    assert host.run("ls", TALLY).stdout == ""


def test_dot_in_a_name_is_no_wildcard(people: People) -> None:
    host = people.host
    dotted, other = (Person(name, host, host.key) for name in ("per.son", "perxson"))
    for person in (dotted, other):
        host.add_user(person.name, password=person.password, authorized_key=host.key.with_suffix(".pub"))
    try:
        turn_on(host, people.alice, people.bob, dotted, other, scope="enrolled", services=["demo"])
        assert recover(host, "--user", other.name).returncode == 0
        assert_gets_in_as_before(other)
        assert not dotted.by_key().ok
        assert recover(host, "--user", dotted.name).returncode == 0
        assert_gets_in_as_before(dotted)
        assert not people.alice.by_key().ok
    finally:
        for person in (dotted, other):
            host.run("userdel", "--force", "--remove", person.name)
            host.run("rm", person.credential)


def test_names_that_are_no_account_are_refused(on: People) -> None:
    before = on.host.snapshot()
    for name in ("nosuchuser", "", "-x", ".", "../shadow", "a b", "a\nb", f"{on.alice.name};id", "$(id)", "a,b", "*"):
        done = recover(on.host, "--user", name)
        assert done.returncode == 2, (name, done)
        assert "account" in done.stderr
    number = on.host.run("id", "-u", on.alice.name).stdout.strip()
    done = recover(on.host, "--user", number)
    assert done.returncode == 2
    assert f"{number} is the number of {on.alice.name}; try: twofactor-recover --user {on.alice.name}" in done.stderr
    for arguments in (["--user"], ["--user", on.alice.name, on.bob.name], [on.alice.name], ["--off"], [""]):
        done = recover(on.host, *arguments)
        assert done.returncode == 2, (arguments, done)
        assert done.stderr.startswith("usage: twofactor-recover ")
    assert recover(on.host, "--help").returncode == 0
    assert on.host.snapshot() == before
    assert not on.alice.by_key().ok


# The playbook, which runs the command, so that a backend makes no difference to it


@pytest.mark.backends(OATH)
def test_playbook_turns_everything_off_and_a_second_run_changes_nothing(on: People) -> None:
    secrets = credentials(on.host)
    # An error in the settings does not stop the playbook.
    first = playbook(
        "recover", on.host, everyone=True, twofactor_otp_digits=99, twofactor_users=[{"name": "nosuchuser"}]
    )
    assert first.ok, first.output
    assert first.changed
    assert f"Two-factor login is off for everyone on {on.host.name}; secrets are kept." in first.output
    for person in (on.alice, on.bob):
        assert_gets_in_as_before(person)
    second = playbook("recover", on.host, everyone=True)
    assert second.ok, second.output
    assert not second.changed
    for_one = playbook("recover", on.host, user=on.alice.name)
    assert for_one.ok, for_one.output
    assert not for_one.changed
    assert f"Two-factor login is off on {on.host.name}; {on.alice.name} needs no code." in for_one.output
    assert credentials(on.host) == secrets


@pytest.mark.backends(OATH)
def test_playbook_lets_one_account_in_and_a_second_run_changes_nothing(on: People) -> None:
    first = playbook("recover", on.host, user=on.alice.name)
    assert first.ok, first.output
    assert first.changed
    assert_gets_in_as_before(on.alice)
    assert not on.bob.by_key().ok
    second = playbook("recover", on.host, user=on.alice.name)
    assert second.ok, second.output
    assert not second.changed
    unknown = playbook("recover", on.host, user="nosuchuser")
    assert not unknown.ok
    refusal = f"nosuchuser was not let in on {on.host.name}: there is no account nosuchuser on {on.host.name}; see"
    assert refusal in unwrapped(unknown.output)
