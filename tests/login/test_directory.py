# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts of a directory. sssd finds each by name and lists none; they are asked, exempt or named like any others.

One host distinguishes capitals from small letters and uses pam_oath; the other one does neither. The tests of a host
follow each other, so that it goes from one policy to the next.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import hosts
from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH, use
from login.directory import Directory
from login.doors import by_cockpit, by_su
from login.modules import module, options
from login.people import PASSWORD, Person, new_person
from login.policy import CODE_PROMPT, WATCHED, assert_off, assert_on, off
from login.sudo import sudo

HOSTS = {"web12": ("debian12-joined", OATH), "web13": ("debian13-joined", GOOGLE)}
# The directory may have keys for any account; as far as a run can tell, for root as well.
EXEMPT = ["ansible", "root"]
# sshd trusts another host to say who logs in. Here, root on that host may log in as any account.
TRUSTING = "HostbasedAuthentication yes\nHostbasedUsesNameFromPacketOnly yes\n"
SSSD_REFUSES = 3
"""Seconds until sssd checks passwords again after one took too long to check: its `offline_timeout`, and one more."""
IGNORING_CASE = "sed -i 's/^case_sensitive.*/case_sensitive = false/' /etc/sssd/sssd.conf"


class Place(t.NamedTuple):
    """A host that is joined to a directory, and its files before."""

    host: Host
    directory: Directory
    before: dict[str, t.Any]
    local: Person
    """A person with a local account on the host."""

    def person(self, name: str, secret_of: Person | None = None) -> Person:
        """A person of the directory. For a second name of an account, *secret_of* is the person with the first name."""
        made = Person(name, self.host, self.host.key)
        return dataclasses.replace(made, secret=secret_of.secret) if secret_of else made

    def wanted(self, *people: Person, **values: t.Any) -> dict[str, t.Any]:
        """The options for these people; recent logins of others are ignored."""
        exempt = [*EXEMPT, *([self.local.name] if self.local not in people else [])]
        return options(*people, **{"services": [], "exempt_users": exempt, "seen_days": 0, **values})

    def apply(self, *people: Person, **values: t.Any) -> None:
        done = module(self.host, "twofactor", self.wanted(*people, **values))
        assert done.ok, done.output

    def by_ticket(self, name: str) -> bool:
        """Whether this account can log in with a Kerberos ticket."""
        return self._by("gssapi-with-mic", name, f"echo '{PASSWORD}' | kinit {name}")

    def by_trusted_host(self, name: str) -> bool:
        """Whether root of the host `directory` can log in as this account by host-based authentication."""
        return self._by("hostbased", name, "kdestroy -q")

    def _by(self, method: str, name: str, before: str) -> bool:
        connect = f"ssh -o StrictHostKeyChecking=no -o BatchMode=yes -o PreferredAuthentications={method}"
        words = f"{before}; {connect} -o HostbasedAuthentication=yes {name}@{self.host.name} true"
        return self.directory.host.run(words, check=False).returncode == 0


@pytest.fixture(scope="module")
def fleet_of_directory(worker_id: str) -> Iterator[dict[str, Host]]:
    name = hosts.of_this_checkout(f"directory-{worker_id}")
    wanted = {"directory": hosts.DIRECTORY, **{host: release for host, (release, _backend) in HOSTS.items()}}
    machines = {machine.name: machine for machine in hosts.up(name, wanted, recreate=True)}
    directory = Directory(machines["directory"])
    key = machines["directory"].key.with_suffix(".pub").read_text().strip()
    people = directory.group("people")
    for who in ("alice", "bob", "frank"):
        number = directory.account(who, group=people, key=key)
        # A second name of the same account, which is in no group at all.
        directory.account(f"{who}2", uid=number, key=key)
    for who in ("dave", "deploy"):
        directory.account(who, group=people, key=key)
    for who in ("carol", "erin"):
        directory.account(who, group=people)
    directory.group("coded", ["frank"])
    directory.group("friends", ["dave"])
    directory.group("admins", ["alice"])
    directory.group("deployers", ["deploy"])
    directory.rule("%admins")
    directory.rule("deploy", "!authenticate")
    for host in HOSTS:
        directory.service(f"host/{host}")
    directory.commit()
    yield machines
    hosts.down(name)


@pytest.fixture(scope="module", params=HOSTS)
def place(fleet_of_directory: dict[str, Host], request: pytest.FixtureRequest) -> Place:
    host, directory = fleet_of_directory[request.param], Directory(fleet_of_directory["directory"])
    use(host, HOSTS[host.name][1])
    host.write("/etc/krb5.keytab", directory.keytab(f"host/{host.name}"), 0o600)
    host.run("systemctl", "start", "cockpit.socket")
    host.run(f"{IGNORING_CASE if host.name == 'web13' else ':'}; systemctl start sssd")
    trust(host, fleet_of_directory["directory"])
    local = new_person(host)
    # Cockpit makes its certificate when somebody first connects.
    assert by_cockpit(local, PASSWORD) == (True, [])
    return Place(host, directory, host.snapshot(WATCHED), local)


def trust(host: Host, other: Host) -> None:
    """Make a host trust another one to say who logs in (host-based authentication)."""
    other.write("/etc/ssh/ssh_config.d/signing.conf", "EnableSSHKeysign yes\n")
    keys = other.run("cat /etc/ssh/ssh_host_*_key.pub").stdout.splitlines()
    host.write("/etc/ssh/ssh_known_hosts", "".join(f"{other.name} {key}\n" for key in keys))
    host.write("/etc/ssh/shosts.equiv", f"{other.name} root\n")
    host.write("/etc/ssh/sshd_config.d/81-trust.conf", TRUSTING)
    host.run("systemctl", "reload", "ssh")


def other_names(place: Place, person: Person) -> list[Person]:
    """The same person under the other names of the account."""
    names = [f"{person.name}2", *([person.name.upper()] if place.host.name == "web13" else [])]
    return [dataclasses.replace(person, name=name) for name in names]


def gets_in(login: t.Callable[[], bool]) -> bool:
    """Whether one of three attempts succeeds. On a busy machine sssd may be too late to check a password.

    No code is used up then, since the code comes after the password.
    """
    for _attempt in range(2):
        if login():
            return True
        time.sleep(SSSD_REFUSES)
    return login()


def assert_no_way_in_without_a_code(*people: Person) -> None:
    """Check that a key alone, a password alone or a wrong code gets nobody in. In parallel, as sshd delays denials."""
    tried = {
        f"{person.name} by {how}": functools.partial(ssh.gets_in, login, *code, **options)
        for person in people
        for how, login, code, options in (
            ("key", person.by_key, (), {"batch": True}),
            ("password", person.by_password, (), {"methods": "password"}),
            ("wrong code", person.by_password, ("000000",), {}),
        )
    }
    with ThreadPoolExecutor(len(tried)) as pool:
        found = dict(zip(tried, pool.map(lambda attempt: attempt(), tried.values()), strict=True))
    assert [way for way, got_in in found.items() if got_in] == []


def test_recent_logins_are_named_with_method_and_day(place: Place) -> None:
    host, (bob, carol, dave) = place.host, map(place.person, ("bob", "carol", "dave"))
    assert bob.by_password(methods="password").ok
    assert dave.by_key(batch=True).ok
    assert place.by_ticket("carol")
    assert place.by_trusted_host("erin")
    refused = module(host, "twofactor", place.wanted(seen_days=1))
    assert not refused.ok
    seen = {"bob": "password", "dave": "publickey", "carol": "gssapi-with-mic", "erin": "hostbased"}
    for name, method in seen.items():
        assert re.search(rf"{name}\b.* logged in to sshd on {host.name} by {method} on 20", refused.message), name
    # No code can follow a ticket or host-based authentication, so these accounts are named even when enrolled.
    refused = module(host, "twofactor", place.wanted(bob, carol, dave, place.person("erin"), seen_days=1))
    for name in ("carol", "erin"):
        assert f"{name} has logged in to sshd on {host.name} by {seen[name]} on 20" in refused.message
    # alice gave sudo a password, and somebody gave frank's to su, so both have one. sudo asks deploy for none.
    alice, frank, deploy = map(place.person, ("alice", "frank", "deploy"))
    assert gets_in(lambda: sudo(alice, PASSWORD).stdout == "root\n")
    assert sudo(deploy).stdout == "root\n"
    assert gets_in(lambda: by_su(frank, PASSWORD, ""))
    refused = module(host, "twofactor", place.wanted(bob, dave, ssh=False, services=["sudo"], seen_days=1))
    assert f"have no credential and would be locked out of sudo on {host.name}" in refused.message
    assert all(re.search(rf"\b{name}\b.* have no credential", refused.message) for name in ("alice", "frank"))
    assert "deploy" not in refused.message
    assert host.snapshot(WATCHED) == place.before


def test_ansible_of_the_directory_is_not_locked_out(place: Place) -> None:
    for scope in ({}, {"scope": "groups", "scope_groups": ["deployers"]}):
        refused = module(place.host, "twofactor", place.wanted(rollback_after=60, **scope), user="deploy")
        assert not refused.ok
        assert "deploy, the account that Ansible connects as, has no credential" in refused.message
    assert place.host.snapshot(WATCHED) == place.before


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("alice", {}),
        ("bob", {"scope": "enrolled"}),
        ("frank", {"scope": "groups", "scope_groups": ["coded"]}),
    ],
)
def test_no_name_of_an_account_gets_in_without_a_code(place: Place, name: str, scope: dict[str, t.Any]) -> None:
    person, (carol, dave) = place.person(name), map(place.person, ("carol", "dave"))
    place.apply(person, services=["su"], exempt_groups=["friends"], **scope)
    # sssd knows only one of several accounts with the same uid at a time, so their names are tried in turn.
    assert_no_way_in_without_a_code(person)
    assert_on(person)
    for other in other_names(place, person):
        assert_no_way_in_without_a_code(other)
        assert not by_su(other, PASSWORD, "000000"), other.name
    # Nothing changes for accounts out of scope.
    assert_off(dave)
    assert carol.by_password(methods="password").ok == bool(scope)
    assert place.by_ticket("carol") == bool(scope)
    assert place.by_trusted_host("erin") == bool(scope)
    assert place.by_trusted_host("dave")
    assert not any(map(place.by_trusted_host, (name, *(other.name for other in other_names(place, person)))))
    # Nor after a run without `users`, which knows people only from the host's files.
    assert not module(
        place.host, "twofactor", place.wanted(services=["su"], exempt_groups=["friends"], **scope)
    ).changed


def test_sudo_and_cockpit_use_the_directory(place: Place) -> None:
    # Cockpit looks people up by their uid, and then finds one account or another that has it. dave's is his alone.
    host, alice, dave = place.host, place.person("alice"), place.person("dave")
    policy = {"services": ["sudo", "cockpit"], "cockpit_negotiate": "none", "scope": "enrolled"}
    done = module(host, "twofactor", place.wanted(alice, dave, **policy), user="deploy")
    assert done.ok, done.output
    ssh.fresh_step()
    assert sudo(alice, PASSWORD).returncode != 0
    assert gets_in(lambda: sudo(alice, PASSWORD, alice.code()).stdout == "root\n")
    entered, asked = by_cockpit(dave, PASSWORD)
    assert not entered
    assert CODE_PROMPT in asked[0]
    assert gets_in(lambda: by_cockpit(dave, PASSWORD, dave.code())[0])
    assert gets_in(lambda: by_cockpit(place.person("carol"), PASSWORD) == (True, []))
    for other in other_names(place, alice):
        assert sudo(other, PASSWORD).returncode != 0
        assert not by_cockpit(other, PASSWORD, "000000")[0]


def test_file_in_a_home_is_taken_over(place: Place) -> None:
    host, dave = place.host, place.person("dave")
    off(host)
    path = "/home/dave/.google_authenticator"
    host.write(path, f'{dave.secret}\n" DISALLOW_REUSE\n" TOTP_AUTH\n', 0o600)
    host.run("chown", "dave:", path)
    done = module(host, "twofactor_adopt", {"users": [{"name": "dave"}]})
    assert done["adopted"] == ["dave"], done.output
    place.apply(scope="enrolled")
    assert_on(dave)
    host.run("twofactor-recover", "--user", "dave")
    assert dave.by_password().ok
    place.apply(scope="enrolled")
    assert not dave.by_password().ok


def test_directory_that_is_down_lets_nobody_in_who_needs_a_code(place: Place) -> None:
    host, directory, bob, local = place.host, place.directory.host, place.person("bob"), place.local
    policy = {"scope": "enrolled", "exempt_users": EXEMPT}
    place.apply(bob, local, **policy)
    before = host.snapshot(WATCHED)
    directory.run("systemctl", "stop", "slapd", "krb5-kdc")
    try:
        for lost in (":", "rm -f /var/lib/sss/db/*"):
            host.run(f"systemctl stop sssd; {lost}; systemctl start sssd")
            assert_no_way_in_without_a_code(bob, *other_names(place, bob))
            assert Person("ansible", host, host.key).by_key(batch=True).ok
            # A run that cannot look an account up keeps what it has for it.
            assert module(host, "twofactor", place.wanted(**policy)).ok
            assert host.snapshot(WATCHED) == before
        assert_on(local)
    finally:
        directory.run("systemctl", "start", "slapd", "krb5-kdc")
        host.run("systemctl", "restart", "sssd")
    assert_no_way_in_without_a_code(bob, *other_names(place, bob))
    assert_on(bob)


def test_turning_off_restores_every_byte(place: Place) -> None:
    off(place.host)
    for name in ("alice", "bob"):
        assert_off(place.person(name))
    assert place.by_ticket("carol")
    assert place.by_trusted_host("erin")
    after = place.host.snapshot(WATCHED)
    assert {path for path in {*after, *place.before} if after.get(path) != place.before.get(path)} == set()
