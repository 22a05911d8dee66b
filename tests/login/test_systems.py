# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is specific to a release or a set-up of it, and on Debian 11 the core of what other tests check elsewhere."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable, Iterator

import pytest

from hosts import Host
from hosts.host import Entry
from login import ssh, test_login
from login.modules import module, options, turn_on
from login.people import Person, enable, new_person, playbook, settings, unwrapped
from login.policy import WATCHED, assert_off, assert_on, somebody
from login.test_login import Enabled

CHECKS: tuple[Callable[[Person], None], ...] = (
    test_login.test_password_and_code_get_in,
    test_login.test_key_and_code_get_in_with_no_password_asked,
    test_login.test_key_alone_is_denied,
    test_login.test_password_alone_is_denied,
    test_login.test_wrong_password_is_denied_before_the_code_is_asked_for_and_uses_up_no_code,
    test_login.test_used_code_is_denied,
    test_login.test_five_wrong_codes_close_the_code_step_for_password_and_key,
)
LIMIT = "/etc/systemd/system/ssh.service.d/limit.conf"


@pytest.mark.parametrize("host", ["debian11"], indirect=True)
def test_pam_oath_of_debian_11_is_refused_with_a_remedy_and_nothing_changes(host: Host) -> None:
    person = new_person(host)
    before = host.snapshot([*WATCHED, "/var/lib/dpkg"])
    run = playbook("enable", host, **settings(person))
    assert not run.ok
    assert "the backend oath does not work on web11: Debian 11 has a pam_oath.so that does not know" in run.output
    assert "set twofactor_backend to google_authenticator" in run.output
    assert host.snapshot([*WATCHED, "/var/lib/dpkg"]) == before


@pytest.mark.parametrize("host", ["debian12"], indirect=True)
def test_package_that_no_repository_has_is_named_with_its_source(host: Host) -> None:
    host.run("dpkg", "--purge", "libpam-oath")
    release = host.read("/usr/lib/os-release")
    with somebody(host) as person:
        before = host.snapshot(WATCHED)
        host.write("/usr/lib/os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n')
        try:
            run = playbook("enable", host, **settings(person))
        finally:
            host.write("/usr/lib/os-release", release)
        assert not run.ok
        assert "pam_oath could not be installed" in unwrapped(run.output)
        assert "https://docs.fedoraproject.org/en-US/epel/" in run.output
        assert host.snapshot(WATCHED) == before


@pytest.fixture
def sshd_started_by_socket(host: Host) -> Iterator[None]:
    """sshd is started by the first connection, as on Ubuntu since 22.10, and at most five times in an hour."""
    host.write(LIMIT, "[Unit]\nStartLimitIntervalSec=3600\n")
    host.run("systemctl daemon-reload && systemctl stop ssh.service && systemctl start ssh.socket")
    # Ansible may use a connection from before, and sshd -T needs a directory that sshd's unit makes, so log in once.
    assert ssh.login(host, "ansible", key=host.key, batch=True).ok
    yield
    host.run("rm", LIMIT)
    host.run("systemctl daemon-reload && systemctl stop ssh.socket ssh.service && systemctl start ssh.service")


@pytest.mark.usefixtures("package", "sshd_started_by_socket")
class TestSshdStartedByItsSocket:
    def test_asks_for_codes_until_recovery_whether_it_runs_or_not(self, host: Host) -> None:
        with somebody(host) as person:
            for stop in ("true", "systemctl stop ssh.service"):
                turn_on(host, person)
                assert_on(person, steps=int(stop != "true"))
                host.run(f"{stop}; twofactor-recover")
                assert_off(person)

    def test_takes_any_number_of_changes(self, host: Host) -> None:
        """systemd gives up a service that was started too often, and its socket with it."""
        with somebody(host) as person:
            for number in range(7):
                change = {"rollback_after": 0, "ssh_first_factors": ["publickey", "password"][number % 2 :]}
                done = module(host, "twofactor", options(person, **change))
                assert done.ok, done.output
            ssh.fresh_step()
            assert_on(person)


class Place(t.NamedTuple):
    """A host with two-factor login on, and its files before."""

    enabled: Enabled
    before: dict[str, Entry]
    exempt: Person
    offered: str
    """What ssh said before about the methods that the exempt person could use."""


@pytest.fixture(scope="module")
def place(host: Host, package: None) -> Place:
    """The package is installed first, so that its own changes in /etc are not taken for ours."""
    del package
    exempt, *people = [new_person(host) for _number in range(len(CHECKS) + 2)]
    again = functools.partial(enable, host, *people, exempt_users=["ansible", exempt.name])
    offered = exempt.by_password(methods="none").reason
    before = host.snapshot(WATCHED)
    again()
    return Place(Enabled(host, iter(people), again), before, exempt, offered)


@pytest.mark.parametrize("host", ["debian11-google"], indirect=True)
class TestDebian11:
    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("test_"))
    def test_logins(self, place: Place, check: Callable[[Person], None]) -> None:
        ssh.fresh_step()
        check(next(place.enabled.people))

    def test_used_code_is_denied_after_another_run_which_changes_nothing(self, place: Place) -> None:
        enabled = place.enabled
        test_login.test_used_code_is_denied_after_another_run_of_the_playbook(enabled, next(enabled.people))

    def test_exempt_person_is_offered_the_same_methods_as_before(self, place: Place) -> None:
        assert "(publickey,password)" in place.offered
        assert place.exempt.by_password(methods="none").reason == place.offered
        assert place.exempt.by_password(methods="password").ok

    def test_turning_off_restores_every_byte(self, place: Place) -> None:
        host = place.enabled.host
        run = playbook("disable", host, twofactor_purge_credentials=True)
        assert run.ok, run.output
        assert host.snapshot(WATCHED) == place.before
