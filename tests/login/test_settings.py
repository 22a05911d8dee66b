# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each setting does to a login. Each class has one set of settings, put on a running host."""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Iterator

import pyotp
import pytest

from hosts import Host
from login import ssh
from login.backends import credentials
from login.modules import Answer, module, turn_on
from login.people import PASSWORD, Person, new_person
from login.policy import DROP_IN
from login.sudo import sudo

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.release("debian13")]


_ALLOW = """
set -e
key=$1
shift
newusers
for name; do
    install -d -o "$name" -g "$name" -m 0700 "/home/$name/.ssh"
    echo "$key" >"/home/$name/.ssh/authorized_keys"
done
gpasswd --members "$(IFS=,; echo "$*")" sudo
"""


class People(t.NamedTuple):
    """The accounts of a host, and an iterator over those that have not logged in yet."""

    all: tuple[Person, ...]
    unused: Iterator[Person]


@pytest.fixture(scope="module")
def people(host: Host) -> People:
    """All people that the tests of a host need, made at once; they may use sudo."""
    people = tuple(Person(f"tester{number}", host, host.key) for number in range(45))
    lines = (f"{person.name}:{person.password}:::,,,:/home/{person.name}:/bin/bash\n" for person in people)
    public_key = host.key.with_suffix(".pub").read_text().strip()
    host.run("sh", "-c", _ALLOW, "sh", public_key, *(person.name for person in people), input="".join(lines))
    return People(people, iter(people))


@pytest.fixture(scope="class")
def options(host: Host, people: People, request: pytest.FixtureRequest) -> dict[str, t.Any]:
    """The options of the class, put in force for everybody."""
    options: dict[str, t.Any] = request.cls.options
    turn_on(host, *people.all, **options)
    return options


@pytest.fixture
def person(people: People, options: dict[str, t.Any]) -> Person:
    """An enrolled person who has not logged in yet, at the beginning of a step."""
    ssh.fresh_step(options.get("interval", 30))
    return next(people.unused)


class TestWindow0:
    options: t.ClassVar = {"window": 0}

    def test_current_code_gets_in_once(self, person: Person) -> None:
        code = person.code()
        assert person.by_password(code).ok
        assert not person.by_password(code).ok

    @pytest.mark.parametrize("steps", [-1, 1])
    def test_code_one_step_away_is_denied(self, person: Person, steps: int) -> None:
        assert not person.by_password(person.code(steps=steps)).ok


class TestWindow3:
    options: t.ClassVar = {"window": 3}

    @pytest.mark.parametrize("steps", [-3, 3])
    def test_code_at_the_edge_gets_in_once(self, person: Person, steps: int) -> None:
        code = person.code(steps=steps)
        assert person.by_password(code).ok
        assert not person.by_password(code).ok

    @pytest.mark.parametrize("steps", [-4, 4])
    def test_code_outside_is_denied(self, person: Person, steps: int) -> None:
        assert not person.by_password(person.code(steps=steps)).ok

    def test_code_older_than_a_used_one_is_denied(self, person: Person) -> None:
        assert person.by_password(person.code(steps=1)).ok
        assert not person.by_password(person.code(steps=-2)).ok


class TestEightDigits:
    options: t.ClassVar = {"otp_digits": 8}

    def test_code_of_eight_digits_gets_in(self, person: Person) -> None:
        assert person.by_password(person.code(digits=8)).ok

    def test_code_of_eight_digits_gets_in_after_a_key(self, person: Person) -> None:
        assert person.by_key(person.code(digits=8)).ok

    @pytest.mark.parametrize("digits", [6, 7])
    def test_shorter_code_of_the_same_secret_is_denied(self, person: Person, digits: int) -> None:
        assert not person.by_password(person.code(digits=digits)).ok
        assert not person.by_key(person.code(digits=digits)).ok


class TestSevenDigits:
    options: t.ClassVar = {"otp_digits": 7}

    def test_code_of_seven_digits_gets_in(self, person: Person) -> None:
        assert person.by_password(person.code(digits=7)).ok

    @pytest.mark.parametrize("digits", [6, 8])
    def test_code_of_another_length_is_denied(self, person: Person, digits: int) -> None:
        assert not person.by_password(person.code(digits=digits)).ok


class TestSixtySeconds:
    options: t.ClassVar = {"interval": 60}

    @pytest.mark.parametrize("steps", [-1, 0, 1])
    def test_code_within_the_window_gets_in(self, person: Person, steps: int) -> None:
        assert person.by_password(person.code(interval=60, steps=steps)).ok

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_code_outside_the_window_is_denied(self, person: Person, steps: int) -> None:
        assert not person.by_password(person.code(interval=60, steps=steps)).ok

    def test_code_of_thirty_seconds_is_denied(self, person: Person) -> None:
        assert not person.by_password(person.code()).ok


class TestKeyAsTheOnlyFirstFactor:
    options: t.ClassVar = {"ssh_first_factors": ["publickey"]}

    def test_key_and_code_get_in(self, person: Person) -> None:
        login = person.by_key(person.code())
        assert login.ok, login.reason
        assert len(login.prompts) == 1

    def test_key_alone_is_denied(self, person: Person) -> None:
        assert not person.by_key().ok
        assert not person.by_key(batch=True).ok

    def test_password_and_code_are_denied(self, person: Person) -> None:
        code = person.code()
        login = person.by_password(code)
        assert (login.ok, login.prompts) == (False, ())
        assert not person.by_password(code, methods="keyboard-interactive").ok
        assert not person.by_password(code, methods="password").ok
        assert person.by_key(code).ok


class TestPasswordAsTheOnlyFirstFactor:
    options: t.ClassVar = {"ssh_first_factors": ["password"]}

    def test_password_and_code_get_in(self, person: Person) -> None:
        login = person.by_password(person.code())
        assert login.ok, login.reason
        assert len(login.prompts) == 2

    def test_key_and_code_are_denied(self, person: Person) -> None:
        code = person.code()
        assert not person.by_key(code).ok
        assert not person.by_key(batch=True).ok
        assert not person.by_key(methods="publickey").ok
        assert person.by_password(code).ok

    def test_key_does_not_replace_the_password(self, person: Person) -> None:
        login = person.by_key(person.code(), password=PASSWORD)
        assert login.ok, login.reason
        assert len(login.prompts) == 2


class TestChangeOfSettings:
    """Each test changes the settings of a host on which people have logged in."""

    options: t.ClassVar[dict[str, t.Any]] = {}

    def test_secrets_stay(self, host: Host, person: Person, people: People) -> None:
        used, unused = person, next(people.unused)
        assert used.by_password(used.code()).ok
        turn_on(host, used, unused, otp_digits=8, window=2, interval=60)
        for somebody in (used, unused):
            ssh.fresh_step(60)
            assert ssh.credential(host, somebody.name) == pyotp.TOTP(somebody.secret).byte_secret()
            assert somebody.by_password(somebody.code(digits=8, interval=60, steps=2)).ok

    def test_used_code_stays_used(self, host: Host, person: Person) -> None:
        turn_on(host, person, window=1)
        at = ssh.fresh_step()
        assert person.by_password(person.code(at=at, steps=1)).ok
        turn_on(host, person, window=3)
        assert not person.by_password(person.code(at=at, steps=1)).ok
        turn_on(host, person, window=3, otp_digits=8)
        assert not person.by_key(person.code(at=at, steps=1, digits=8)).ok
        turn_on(host, person, window=3)
        assert not person.by_password(person.code(at=at, steps=1)).ok
        assert person.by_password(person.code(at=at, steps=2)).ok

    def test_used_code_stays_used_when_it_is_cut_to_the_new_length(self, host: Host, person: Person) -> None:
        turn_on(host, person, window=3, otp_digits=8)
        at = ssh.fresh_step()
        assert person.by_password(person.code(at=at, steps=1, digits=8)).ok
        turn_on(host, person, window=3, otp_digits=6)
        assert not person.by_password(person.code(at=at, steps=1)).ok
        assert person.by_password(person.code(at=at, steps=2)).ok


class Made(t.NamedTuple):
    """Two people for whom no secret was given, and the run that enrolled them."""

    one: Person
    other: Person
    run: Answer


@pytest.fixture(scope="class")
def made(host: Host) -> Made:
    one, other = new_person(host), new_person(host)
    return Made(one, other, _enrol(host, one.name, other.name))


class TestSecretThatIsNotGiven:
    def test_is_20_random_bytes(self, host: Host, made: Made) -> None:
        secrets = [ssh.credential(host, person.name) for person in (made.one, made.other)]
        assert [len(secret) for secret in secrets] == [20, 20]
        assert secrets[0] != secrets[1]
        assert all(secret.count(0) < 10 for secret in secrets)

    def test_is_readable_by_root_only(self, host: Host, made: Made) -> None:
        entries = credentials(host)
        assert entries["/etc/oath"][:3] == (0o700, 0, 0)
        assert entries[made.one.credential][:3] == (0o600, 0, 0)

    def test_is_never_shown(self, host: Host, made: Made) -> None:
        secret = ssh.credential(host, made.one.name)
        assert secret.hex() not in made.run.output
        assert base64.b32encode(secret).decode() not in made.run.output

    def test_is_reported_once(self, host: Host, made: Made) -> None:
        assert made.run["to_enrol"] == [made.one.name, made.other.name]
        again = _enrol(host, made.one.name, made.other.name, window=2)
        assert again.changed
        assert again["to_enrol"] == []

    def test_logs_in(self, host: Host, made: Made) -> None:
        ssh.fresh_step()
        code = ssh.code(ssh.credential(host, made.one.name))
        assert made.one.by_password(code).ok

    def test_stays_with_its_used_code_after_another_run_and_after_off_and_on(self, host: Host, made: Made) -> None:
        at = ssh.fresh_step()
        path = made.other.credential
        code = ssh.code(ssh.credential(host, made.other.name), at=at, steps=2)
        _enrol(host, made.one.name, made.other.name, window=3)
        assert made.other.by_password(code).ok
        before = host.read(path)
        assert not _enrol(host, made.one.name, made.other.name, window=3).changed
        assert host.read(path) == before
        assert module(host, "twofactor", {"enabled": False}).ok
        assert made.other.by_key(batch=True).ok
        assert host.read(path) == before
        assert _enrol(host, made.one.name, made.other.name, window=3)["to_enrol"] == []
        assert host.read(path) == before
        assert not made.other.by_password(code).ok


class TestSecretThatIsGiven:
    options: t.ClassVar[dict[str, t.Any]] = {}

    def test_replaces_the_old_one(self, host: Host, person: Person) -> None:
        assert person.by_password(person.code()).ok
        anew = Person(person.name, host, person.key)
        turn_on(host, anew)
        ssh.fresh_step()
        assert not person.by_password(person.code(steps=1)).ok
        assert anew.by_password(anew.code()).ok
        assert not anew.by_password(anew.code()).ok

    def test_is_the_same_however_it_is_written(self, host: Host, person: Person) -> None:
        assert person.by_password(person.code()).ok
        before = host.read(person.credential)
        spaced = "-".join(re.findall("....", person.secret.lower()))
        turn_on(host, users=[{"name": person.name, "secret": spaced}])
        assert host.read(person.credential) == before

    def test_stays_when_it_is_no_longer_given(self, host: Host, person: Person) -> None:
        assert person.by_password(person.code()).ok
        before = host.read(person.credential)
        turn_on(host, users=[{"name": person.name}])
        assert host.read(person.credential) == before


class TestUserWhoIsAddedLater:
    options: t.ClassVar[dict[str, t.Any]] = {}

    def test_leaves_the_others_as_they_are(self, host: Host, person: Person) -> None:
        assert person.by_password(person.code()).ok
        before = credentials(host)
        later = new_person(host)
        turn_on(host, person, later)
        after = credentials(host)
        assert after.pop(later.credential)[:3] == (0o600, 0, 0)
        assert after == before
        ssh.fresh_step()
        assert later.by_password(later.code()).ok

    def test_may_be_listed_alone(self, host: Host, person: Person) -> None:
        before = credentials(host)
        later = new_person(host)
        turn_on(host, later)
        after = credentials(host)
        del after[later.credential]
        assert after == before
        ssh.fresh_step()
        assert person.by_password(person.code()).ok


class TestSudoFirstAndSshLater:
    """The cautious order: people prove their codes on another service before sshd asks for them."""

    options: t.ClassVar = {"ssh": False, "services": ["sudo"]}

    def test_sudo_asks_for_the_code(self, person: Person) -> None:
        done = sudo(person, PASSWORD, person.code())
        assert done.stdout == "root\n", done.stderr
        assert "One-time password (OATH)" in done.stderr

    def test_sudo_denies_without_a_right_code(self, person: Person) -> None:
        code = person.code()
        assert sudo(person, PASSWORD).returncode != 0
        assert sudo(person, PASSWORD, person.code(steps=1000)).returncode != 0
        assert sudo(person, "wrong", code).returncode != 0
        assert sudo(person, PASSWORD, code).returncode == 0
        assert sudo(person, PASSWORD, code).returncode != 0

    def test_sudo_without_a_password_goes_on_without_a_code(self, host: Host, person: Person) -> None:
        assert person.name
        assert host.run("sudo", "-k", "-n", "id", "-un", user="ansible").stdout == "root\n"

    def test_ssh_asks_for_no_code(self, host: Host, person: Person) -> None:
        assert person.by_key(batch=True).ok
        login = person.by_password(methods="password")
        assert login.ok
        assert login.prompts == (f"{person.name}@127.0.0.1's password:",)
        assert not host.exists(DROP_IN)

    def test_ssh_is_turned_on_later_and_off_again_while_sudo_stays_protected(self, host: Host, person: Person) -> None:
        turn_on(host, person, window=3, ssh=True, services=["sudo"])
        at = ssh.fresh_step()
        assert not person.by_key(batch=True).ok
        assert person.by_key(person.code(at=at)).ok
        assert sudo(person, PASSWORD, person.code(at=at)).returncode != 0, "the code was used for ssh"
        assert sudo(person, PASSWORD, person.code(at=at, steps=1)).returncode == 0

        turn_on(host, person, window=3, ssh=False, services=["sudo"])
        assert person.by_key(batch=True).ok
        assert person.by_password(methods="password").ok
        assert not host.exists(DROP_IN)
        assert sudo(person, PASSWORD).returncode != 0
        assert sudo(person, PASSWORD, person.code(at=at, steps=1)).returncode != 0, "the code was used for sudo"
        assert sudo(person, PASSWORD, person.code(at=at, steps=2)).returncode == 0

    def test_sudo_is_left_out_again_while_ssh_stays_protected(self, host: Host, person: Person) -> None:
        turn_on(host, person, ssh=True, services=["sudo"])
        turn_on(host, person, ssh=True, services=[])
        ssh.fresh_step()
        assert sudo(person, PASSWORD).stdout == "root\n"
        assert not person.by_key(batch=True).ok
        assert person.by_key(person.code()).ok


def _enrol(host: Host, *names: str, **options: t.Any) -> Answer:
    """Turn two-factor login on for these people, without giving secrets."""
    return turn_on(host, users=[{"name": name} for name in names], **options)
