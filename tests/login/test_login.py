# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who gets in and who does not, on a host with two-factor login for sshd and default settings."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH, backend_of
from login.people import Person, Run, enable, new_person
from login.policy import CODE_PROMPT, assert_closed, give_wrong_codes

PASSWORD_PROMPT = "Password:"
pytestmark = pytest.mark.backends(OATH, GOOGLE, everywhere=True)


class Enabled(t.NamedTuple):
    """A host with two-factor login on, people who have not logged in yet, and a way to run the playbook again."""

    host: Host
    people: Iterator[Person]
    again: Callable[[], Run]


@pytest.fixture(scope="module")
def enabled(host: Host) -> Enabled:
    people = [new_person(host) for _number in range(32)]
    enable(host, *people)
    return Enabled(host, iter(people), functools.partial(enable, host, *people))


@pytest.fixture
def person(enabled: Enabled) -> Person:
    ssh.fresh_step()
    return next(enabled.people)


@pytest.mark.quick
def test_password_and_code_get_in(person: Person) -> None:
    login = person.by_password(person.code())
    assert login.ok, login.reason
    assert login.output == person.name
    password, code = login.prompts
    assert PASSWORD_PROMPT in password
    assert CODE_PROMPT in code


@pytest.mark.quick
def test_key_and_code_get_in_with_no_password_asked(person: Person) -> None:
    login = person.by_key(person.code())
    assert login.ok, login.reason
    assert len(login.prompts) == 1
    assert CODE_PROMPT in login.prompts[0]


@pytest.mark.quick
def test_key_alone_is_denied(person: Person) -> None:
    assert not person.by_key().ok
    assert not person.by_key(batch=True).ok
    assert not person.by_key(methods="publickey").ok


@pytest.mark.quick
def test_password_alone_is_denied(person: Person) -> None:
    assert not person.by_password().ok
    assert not person.by_password(methods="password").ok


@pytest.mark.quick
def test_wrong_code_is_denied_after_password_and_after_key(person: Person) -> None:
    wrong = person.code(steps=1000)
    assert not person.by_password(wrong).ok
    assert not person.by_key(wrong).ok


def test_empty_code_is_denied(person: Person) -> None:
    assert not person.by_password("").ok
    assert not person.by_key("").ok


def test_wrong_password_is_denied_before_the_code_is_asked_for_and_uses_up_no_code(person: Person) -> None:
    code = person.code()
    login = person.by_password(code, password="wrong")
    assert not login.ok
    assert not any(CODE_PROMPT in prompt for prompt in login.prompts)
    assert person.by_password(code).ok


@pytest.mark.quick
def test_used_code_is_denied(person: Person) -> None:
    code = person.code()
    assert person.by_password(code).ok
    assert not person.by_password(code).ok
    assert not person.by_key(code).ok


@pytest.mark.quick
def test_used_code_is_denied_after_another_run_of_the_playbook(enabled: Enabled, person: Person) -> None:
    ssh.fresh_step(at_least=20)
    code = person.code()
    assert person.by_password(code).ok
    credential = enabled.host.read(person.credential)
    run = enabled.again()
    assert not run.changed, run.output
    assert enabled.host.read(person.credential) == credential
    assert not person.by_password(code).ok


def test_code_older_than_a_used_one_is_denied_by_pam_oath_and_accepted_once_by_the_other(person: Person) -> None:
    assert person.by_password(person.code()).ok
    assert person.by_password(person.code(steps=-1)).ok == (backend_of(person.host) is GOOGLE)
    assert not person.by_password(person.code(steps=-1)).ok


@pytest.mark.parametrize("steps", [-1, 1])
def test_code_at_the_edge_of_the_window_gets_in(person: Person, steps: int) -> None:
    assert person.by_password(person.code(steps=steps)).ok


@pytest.mark.parametrize("steps", [-2, 2])
def test_code_outside_the_window_is_denied(person: Person, steps: int) -> None:
    assert not person.by_password(person.code(steps=steps)).ok


def test_code_of_somebody_else_is_denied(enabled: Enabled, person: Person) -> None:
    assert not person.by_password(next(enabled.people).code()).ok


@pytest.mark.quick
def test_sftp_with_a_code(person: Person) -> None:
    assert "root:" in ssh.sftp(person.host, person.name, "/etc/passwd", key=person.key, code=person.code()).output
    assert not ssh.sftp(person.host, person.name, "/etc/passwd", key=person.key).ok


def test_eight_people_log_in_at_once(enabled: Enabled) -> None:
    people = [next(enabled.people) for _number in range(8)]
    ssh.fresh_step(at_least=15)
    with ThreadPoolExecutor(8) as pool:
        logins = list(pool.map(lambda person: person.by_password(person.code()), people))
    assert all(login.ok for login in logins), [login.reason for login in logins]


@pytest.mark.quick
def test_account_that_ansible_uses_gets_in_by_key_alone(enabled: Enabled) -> None:
    login = ssh.login(enabled.host, "ansible", key=enabled.host.key, batch=True)
    assert login.ok, login.reason
    assert login.prompts == ()


def test_five_wrong_codes_close_the_code_step_for_password_and_key(person: Person) -> None:
    give_wrong_codes(person, 5)
    assert_closed(person)


def test_wrong_passwords_of_strangers_close_nothing(person: Person) -> None:
    for attempt in range(6):
        assert not person.by_password(person.code(steps=1000 + attempt), password="wrong").ok
    assert person.by_password(person.code()).ok
