# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules twofactor_verify and twofactor_info report what real logins show."""

from __future__ import annotations

import json
import tempfile
import typing as t
from collections.abc import Iterator

import pyotp
import pytest

import preloaded
from hosts import Host
from login import modules, ssh
from login.backends import GOOGLE, OATH, backend_of
from login.modules import Answer, turn_on
from login.people import Person, inventory_path, new_person

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]


def module(host: Host, name: str, *, check: bool = False, **options: t.Any) -> Answer:
    """Run a module of the collection with only these options."""
    return modules.module(host, name, options, check=check)


def shown(host: Host, name: str, **options: t.Any) -> str:
    """All that Ansible prints about a module with -vvvv. Secrets are not on the command line."""
    words = ["ansible", host.name, "-i", str(inventory_path(host.fleet)), "-m", f"fleet.auth.{name}", "-vvvv"]
    words += ["-e", "ansible_pipelining=true"]
    references = json.dumps({option: f"{{{{ {option} }}}}" for option in options})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(options, file)
        file.flush()
        done = preloaded.run(*words, "--args", references, "--extra-vars", f"@{file.name}")
    return done.stdout + done.stderr


def valid(person: Person, code: str, *, check: bool = False) -> bool:
    """Whether twofactor_verify finds this code right. Checks that it uses up a right code, except in check mode."""
    before = person.host.read(person.credential)
    result = module(person.host, "twofactor_verify", check=check, user=person.name, code=code)
    assert result.ok, result.output
    right = bool(result.values["valid"])
    assert result.values["changed"] == right
    assert (person.host.read(person.credential) != before) == (right and not check)
    return right


def failure(host: Host, **options: t.Any) -> str:
    """The message with which twofactor_verify fails."""
    result = module(host, "twofactor_verify", **options)
    assert not result.ok, result.output
    assert not result.values["changed"]
    return str(result.values["msg"])


def reported(*, proven: bool) -> dict[str, t.Any]:
    """What twofactor_info reports about a person with one device."""
    common = {"enrolled": True, "in_scope": True, "recovered": False, "locked": False}
    nothing_more = {"devices": [], "recovery_codes_left": 0, "pass_until": None, "self_made": None}
    no_keys = {"security_keys": [], "security_keys_only": False, "key_denied": None}
    return {**common, **nothing_more, **no_keys, "proven": proven}


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[Person]:
    made = [new_person(host) for _number in range(10)]
    turn_on(host, *made)
    return iter(made)


@pytest.fixture
def person(people: Iterator[Person]) -> Person:
    ssh.fresh_step(at_least=12)
    return next(people)


def test_right_code_is_valid_once_and_used_up_for_a_login_as_well(person: Person) -> None:
    code = person.code()
    assert valid(person, code)
    assert not valid(person, code)
    assert not person.by_password(code).ok
    assert person.by_key(person.code(steps=1)).ok


def test_code_used_by_a_login_is_not_valid(person: Person) -> None:
    code = person.code()
    assert person.by_password(code).ok
    assert not valid(person, code)
    assert valid(person, person.code(steps=-1)) == (backend_of(person.host) is GOOGLE)


def test_check_mode_does_not_use_the_code_up(person: Person) -> None:
    code = person.code()
    assert valid(person, code, check=True)
    assert valid(person, code, check=True)
    assert person.by_password(code).ok
    assert not valid(person, code, check=True)


def test_wrong_code_is_not_valid(person: Person) -> None:
    code = person.code()
    for wrong in (person.code(steps=1000), code[:-1], f"{code}0", ""):
        assert not valid(person, wrong)
    assert person.by_password(code).ok


@pytest.mark.backends(OATH)
def test_length_and_window_are_those_in_force(host: Host, people: Iterator[Person]) -> None:
    first, second = next(people), next(people)
    turn_on(host, otp_digits=8, window=0)
    assert not valid(first, first.code())
    ssh.fresh_step(at_least=15)
    assert not valid(first, first.code(digits=8, steps=-1))
    assert valid(first, first.code(digits=8))
    ssh.fresh_step()
    assert second.by_key(second.code(digits=8)).ok
    turn_on(host)


def test_user_without_a_credential_is_refused_by_name(host: Host, people: Iterator[Person]) -> None:
    del people
    for user in ("ansible", "nosuchuser"):
        assert failure(host, user=user, code="123456") == (
            f"{user} has no credential on {host.name}. Enrol {user} with the option users of fleet.auth.twofactor."
        )
    assert failure(host, user="../shadow", code="123456") == (
        f"'../shadow' is not the name of an account that has a credential on {host.name}. Correct the name."
    )


@pytest.mark.backends(GOOGLE)
def test_window_is_that_in_force_and_a_recovery_code_is_right_once(host: Host, people: Iterator[Person]) -> None:
    person = next(people)
    turn_on(host, users=[{**person.entry, "recovery_codes": "first"}], window=0)
    ssh.fresh_step(at_least=15)
    assert not valid(person, person.code(steps=-1))
    assert valid(person, person.code())
    (found,) = module(host, "twofactor_enrolment_info", users=[person.name]).values["enrolments"]
    code = found["recovery_codes"][4]["code"]
    assert valid(person, code)
    assert not valid(person, code)
    assert not person.by_key(code).ok
    turn_on(host)


@pytest.mark.backends(OATH)
def test_damaged_credential_is_refused_without_showing_it(host: Host, people: Iterator[Person]) -> None:
    del people
    host.write("/etc/oath/ansible", "HOTP/T30 ansible - c0ffee31323334353637383930zz\n", 0o600)
    try:
        assert failure(host, user="ansible", code="123456") == (
            f"The credential of ansible on {host.name}, /etc/oath/ansible, line 1 has no hexadecimal key of 1 to 32 "
            "bytes. Restore it, or remove it and enrol anew."
        )
    finally:
        host.run("rm", "/etc/oath/ansible")


def test_code_and_secret_are_never_shown(person: Person) -> None:
    code = person.code()
    output = shown(person.host, "twofactor_verify", user=person.name, code=code)
    assert '"valid": true' in output
    for secret in (code, person.secret, pyotp.TOTP(person.secret).byte_secret().hex()):
        assert secret not in output


def test_info_shows_who_is_enrolled_proven_and_would_be_locked_out(host: Host, people: Iterator[Person]) -> None:
    person, newcomer = next(people), new_person(host)
    options: dict[str, t.Any] = {"ssh": True, "exempt_users": ["ansible"]}
    before = host.snapshot(["/etc", "/var/lib/fleet-auth", "/run/fleet-auth"])
    info = module(host, "twofactor_info", **options).values
    assert not info["changed"]
    assert info["enforced"] == {"sshd": True}
    assert info["users"][person.name] == reported(proven=False)
    assert newcomer.name not in info["users"]
    assert info["time_sync"]["in_sync"]
    assert info["would_be_locked_out"] == [
        {
            "user": newcomer.name,
            "services": ["sshd"],
            "message": f"{newcomer.name} has no credential and would be locked out of sshd on {host.name}. Enrol "
            f"{newcomer.name} with users, exempt {newcomer.name} with exempt_users, or leave ssh false.",
        }
    ]
    assert host.snapshot(["/etc", "/var/lib/fleet-auth", "/run/fleet-auth"]) == before

    assert not person.by_key(person.code(steps=1000)).ok
    ssh.fresh_step()
    assert module(host, "twofactor_info", **options).values["users"][person.name]["proven"] is False
    assert person.by_key(person.code()).ok
    turn_on(host, newcomer)
    info = module(host, "twofactor_info", **options).values
    assert info["users"][person.name]["proven"] is True
    assert info["users"][newcomer.name] == reported(proven=False)
    assert info["would_be_locked_out"] == []

    info = module(host, "twofactor_info", exempt_users=[person.name]).values
    assert info["users"][person.name]["in_scope"] is False
    assert [one["user"] for one in info["would_be_locked_out"]] == ["ansible"]
    assert info["would_be_locked_out"][0]["message"].startswith(
        "ansible, the account that Ansible connects as, has no credential"
    )


def test_off_is_reported_and_verify_is_refused(host: Host, people: Iterator[Person]) -> None:
    person = next(people)
    host.run("twofactor-recover")
    info = module(host, "twofactor_info", ssh=True, exempt_users=["ansible"]).values
    assert info["enforced"] == {"sshd": False}
    assert info["users"][person.name]["enrolled"]
    assert info["would_be_locked_out"] == []
    assert failure(host, user=person.name, code=person.code()) == (
        f"Two-factor login is off on {host.name}: there is nothing to check a code against. Enable it first."
    )
