# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who needs a code. Everybody else logs in exactly as before, and damage lets nobody off.

Each class has one scope, set on a running host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import Host
from login import ssh
from login.modules import Answer, module, options, turn_on
from login.people import PASSWORD, Person, new_person, unwrapped
from login.policy import SWITCH, off
from login.sudo import sudo

pytestmark = pytest.mark.usefixtures("package")
OATH = "/etc/oath"
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"
UNIX_SOCKET = "/run/ssh-unix-local/socket"

Account = Callable[..., Person]
Cast = dict[str, Person]

_RELAY = """\
import os, socket, sys, threading
target = sys.argv[1]
if target.startswith("/"):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(target)
else:
    peer = socket.create_connection((target, 22))
def out():
    while data := peer.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=out, daemon=True).start()
while data := os.read(0, 65536):
    peer.sendall(data)
"""


@dataclasses.dataclass(frozen=True)
class Inside(Host):
    """A host that ssh reaches from the host itself: at one of its own addresses, or through a socket."""

    target: str

    @property
    def ssh_options(self) -> tuple[str, ...]:
        relay = ["docker", "exec", "--interactive", self.container, "python3", "/run/relay.py", self.target]
        return (*super().ssh_options, "-o", f"ProxyCommand={shlex.join(relay)}")


def inside(person: Person, target: str = "127.0.0.1") -> Person:
    """The same person, logging in from the host itself."""
    person.host.write("/run/relay.py", _RELAY)
    return dataclasses.replace(person, host=Inside(**vars(person.host), target=target))


def experience(person: Person) -> str:
    """What logins without a code look like: the offered methods, the prompts, and the result."""
    logins = at_once(
        lambda: person.by_password(methods="none"),
        person.by_password,
        lambda: person.by_password(methods="password"),
        lambda: person.by_password(password="wrong"),
        lambda: person.by_key(batch=True),
    )
    lines = [f"{login.ok} {login.output!r} {login.prompts} {login.reason!r}" for login in logins]
    return "\n".join(lines).replace(person.name, "NAME")


def needs_code(person: Person) -> None:
    """Check that neither factor alone gets in, and that each does with a code. Uses up two codes."""
    ssh.fresh_step()
    alone = at_once(
        lambda: person.by_key(batch=True),
        lambda: person.by_password(methods="password"),
        person.by_password,
    )
    assert not any(login.ok for login in alone), alone
    by_key = person.by_key(person.code())
    assert by_key.ok, by_key.reason
    by_password = person.by_password(person.code(steps=1))
    assert by_password.ok, by_password.reason


def is_denied(person: Person) -> None:
    """Check that not even a right code gets in."""
    ssh.fresh_step()
    logins = at_once(lambda: person.by_key(batch=True), lambda: person.by_key(person.code()))
    logins.append(person.by_password(person.code()))
    assert not any(login.ok for login in logins), logins


def at_once(*logins: Callable[[], ssh.Login]) -> list[ssh.Login]:
    """Log in in parallel; no two of the logins may use a code."""
    with ThreadPoolExecutor(len(logins)) as pool:
        return list(pool.map(lambda login: login(), logins))


@contextlib.contextmanager
def damaged(host: Host, path: str, damage: str) -> Iterator[None]:
    """Damage a file or directory for the duration of the block: `deleted` or `emptied`."""
    host.run("mv", path, f"{path}.away")
    if damage == "emptied":
        host.write(path, "", 0o600)
    try:
        yield
    finally:
        host.run("rm", "-f", path)
        host.run("mv", f"{path}.away", path)


@pytest.fixture(scope="module")
def before(host: Host) -> str:
    """What logins of any account look like while two-factor login is off."""
    person = new_person(host)
    seen = experience(person)
    host.run("userdel", "--force", "--remove", person.name)
    assert "(publickey,password)" in seen
    assert seen.count("True ") == 3
    return seen


@pytest.fixture(scope="class")
def account(host: Host, before: str) -> Iterator[Account]:
    """Make accounts for the tests of one class, and remove them before the next class, whose scope they would be in."""
    assert before
    made: list[Person] = []

    def make(**how: t.Any) -> Person:
        made.append(new_person(host, **how))
        return made[-1]

    yield make
    for person in made:
        host.run("userdel", "--force", "--remove", person.name)


@pytest.fixture(scope="class")
def everyone(host: Host, account: Account) -> Cast:
    """Scope everyone, with exempt accounts and an exempt group."""
    cast = {
        "inside": account(groups=["sudo"]),
        "leaver": account(),
        "damaged file emptied": account(),
        "damaged file deleted": account(),
        "damaged directory": account(),
        "member for a while": account(groups=["friends"]),
        "exempt": account(groups=["sudo"]),
        "exempt with a credential": account(),
        "in an exempt group": account(groups=["friends"]),
        "in an exempt primary group": account(groups=["friends"]),
    }
    host.run("usermod", "--gid", "friends", "--groups", "", cast["in an exempt primary group"].name)
    everyone_but(host, cast, "exempt", "exempt with a credential")
    return cast


def everyone_but(host: Host, cast: Cast, *exempt: str) -> None:
    """Turn two-factor login on, with these roles exempt."""
    without = ("exempt", "in an exempt group", "in an exempt primary group")
    turn_on(
        host,
        *(person for role, person in cast.items() if role not in without),
        services=["sudo"],
        exempt_users=["ansible", *(cast[role].name for role in exempt)],
        exempt_groups=["friends"],
    )


class TestEveryone:
    def test_inside_needs_the_code(self, everyone: Cast) -> None:
        needs_code(everyone["inside"])

    @pytest.mark.parametrize(
        "who", ["exempt", "exempt with a credential", "in an exempt group", "in an exempt primary group"]
    )
    def test_exempt_logs_in_as_before(self, everyone: Cast, before: str, who: str) -> None:
        assert experience(everyone[who]) == before

    def test_exempt_needs_no_code_on_another_service(self, everyone: Cast) -> None:
        assert sudo(everyone["exempt"], PASSWORD).stdout == "root\n"
        assert sudo(everyone["inside"], PASSWORD).returncode != 0

    @pytest.mark.parametrize("damage", ["emptied", "deleted"])
    def test_lost_credential_denies(self, host: Host, everyone: Cast, damage: str) -> None:
        person = everyone[f"damaged file {damage}"]
        with damaged(host, f"{OATH}/{person.name}", damage):
            is_denied(person)
        needs_code(person)

    def test_lost_directory_denies(self, host: Host, everyone: Cast) -> None:
        person = everyone["damaged directory"]
        with damaged(host, OATH, "deleted"):
            is_denied(person)
        needs_code(person)

    def test_leaving_an_exempt_group_takes_effect_at_the_next_login(
        self, host: Host, everyone: Cast, before: str
    ) -> None:
        person = everyone["member for a while"]
        assert person.by_key(batch=True).ok
        host.run("gpasswd", "--delete", person.name, "friends")
        needs_code(person)
        host.run("gpasswd", "--add", person.name, "friends")
        assert experience(person) == before

    def test_change_of_scope_applies_to_those_who_leave_and_enter(
        self, host: Host, everyone: Cast, before: str
    ) -> None:
        everyone_but(host, everyone, "exempt", "leaver")
        assert experience(everyone["leaver"]) == before
        assert experience(everyone["exempt"]) == before
        needs_code(everyone["exempt with a credential"])


class Here(t.NamedTuple):
    """The address from which the tests connect, as sshd sees it, and the accounts."""

    address: str
    cast: Cast


@pytest.fixture(scope="class")
def addresses(host: Host, account: Account) -> Here:
    """Scope everyone, with the tests' own address exempt."""
    roles = ("visitor", "local", "socket", "list emptied", "list deleted", "change")
    cast = {role: account() for role in roles}
    connection = ssh.login(host, "ansible", key=host.key, command="echo $SSH_CONNECTION").output
    here = Here(connection.split()[0], cast)
    turn_on(host, *cast.values(), exempt_addresses=[here.address])
    return here


class TestExemptAddresses:
    def test_exempt_address_logs_in_as_before(self, addresses: Here, before: str) -> None:
        assert experience(addresses.cast["visitor"]) == before

    def test_any_other_address_needs_the_code(self, addresses: Here) -> None:
        needs_code(inside(addresses.cast["local"]))

    def test_exempt_account_needs_no_code_from_any_other_address(self, host: Host, addresses: Here) -> None:
        ansible = inside(Person("ansible", host, host.key))
        assert addresses.address not in ansible.by_key(batch=True, command="echo $SSH_CONNECTION").output
        assert ansible.by_key(batch=True).output == "ansible"

    def test_peer_without_an_address_is_in_scope_for_sshd(self, host: Host, addresses: Here) -> None:
        name = addresses.cast["visitor"].name
        sshd = "/usr/sbin/sshd -T -C user={},host={},addr={}"
        exempt = host.run(sshd.format(name, addresses.address, addresses.address)).stdout
        assert "authenticationmethods any\n" in exempt
        unknown = host.run(sshd.format(name, "UNKNOWN", "UNKNOWN")).stdout
        assert "authenticationmethods publickey,keyboard-interactive:pam keyboard-interactive:pam\n" in unknown
        assert "passwordauthentication no\n" in unknown

    def test_socket_of_the_machine_needs_the_code(self, host: Host, addresses: Here) -> None:
        assert host.exists(UNIX_SOCKET) == (host.release == "debian13")
        if host.exists(UNIX_SOCKET):
            needs_code(inside(addresses.cast["socket"], UNIX_SOCKET))

    @pytest.mark.parametrize("damage", ["emptied", "deleted"])
    def test_lost_list_of_addresses_asks_everyone(self, host: Host, addresses: Here, damage: str) -> None:
        person = addresses.cast[f"list {damage}"]
        with damaged(host, EXEMPT_ORIGINS, damage):
            assert not person.by_password().ok
            assert not person.by_password(methods="password").ok
            needs_code(inside(person))
        assert person.by_password().ok

    def test_change_of_scope_applies_to_those_who_leave_and_enter(
        self, host: Host, addresses: Here, before: str
    ) -> None:
        turn_on(host, *addresses.cast.values(), exempt_addresses=["127.0.0.0/8", "2001:db8::/32"])
        needs_code(addresses.cast["change"])
        assert experience(inside(addresses.cast["change"])) == before


@pytest.fixture(scope="class")
def enrolled(host: Host, account: Account) -> Cast:
    """Scope enrolled."""
    roles = ("inside", "damaged file emptied", "damaged file deleted", "damaged directory", "name removed")
    more = ("chain misspelt", "chain without a module", "forgotten", "leaver", "exempt with a credential")
    cast = {role: account() for role in (*roles, *more)}
    outside = {"outside": account(groups=["sudo"]), "joiner": account()}
    enrolled_but(host, cast)
    return cast | outside


def enrolled_but(host: Host, cast: Cast, **values: t.Any) -> Answer:
    """Turn two-factor login on for these people only."""
    exempt = ["ansible", cast["exempt with a credential"].name]
    people = [person for role, person in cast.items() if role not in ("outside", "joiner")]
    return turn_on(host, *people, scope="enrolled", services=["sudo"], exempt_users=exempt, **values)


class TestEnrolled:
    def test_inside_needs_the_code(self, enrolled: Cast) -> None:
        needs_code(enrolled["inside"])

    @pytest.mark.parametrize("who", ["outside", "exempt with a credential"])
    def test_outside_logs_in_as_before(self, enrolled: Cast, before: str, who: str) -> None:
        assert experience(enrolled[who]) == before

    def test_outside_needs_no_code_on_another_service(self, enrolled: Cast) -> None:
        assert sudo(enrolled["outside"], PASSWORD).stdout == "root\n"

    @pytest.mark.parametrize("damage", ["emptied", "deleted"])
    def test_lost_credential_denies(self, host: Host, enrolled: Cast, damage: str) -> None:
        person = enrolled[f"damaged file {damage}"]
        with damaged(host, f"{OATH}/{person.name}", damage):
            is_denied(person)
        needs_code(person)

    def test_lost_directory_denies(self, host: Host, enrolled: Cast, before: str) -> None:
        person = enrolled["damaged directory"]
        with damaged(host, OATH, "deleted"):
            is_denied(person)
            assert experience(enrolled["outside"]) == before
        needs_code(person)

    @pytest.mark.parametrize(
        ("damage", "edit"),
        [("misspelt", "s/ user notin / user notinn /"), ("without a module", "/ notin /s/pam_succeed_if/pam_gone/")],
    )
    def test_damaged_chain_asks_everyone_until_the_next_run(
        self, host: Host, enrolled: Cast, before: str, damage: str, edit: str
    ) -> None:
        host.run("sed", "-i", edit, SWITCH)
        needs_code(enrolled[f"chain {damage}"])
        assert not enrolled["outside"].by_password().ok
        assert sudo(enrolled["outside"], PASSWORD).returncode != 0
        assert enrolled_but(host, enrolled).changed
        assert experience(enrolled["outside"]) == before

    def test_removed_name_is_reported_and_put_back_by_the_next_run(self, host: Host, enrolled: Cast) -> None:
        person = enrolled["name removed"]
        host.run("sed", "-i", rf"/ user notin /s/\b{person.name}\b/gone/", SWITCH)
        assert not person.by_password().ok
        number = host.run("id", "-u", person.name).stdout.strip()
        host.run("sed", "-i", rf"/ uid notin /s/\b{number}\b/4294967294/", SWITCH)
        assert person.by_password().ok
        run = enrolled_but(host, enrolled)
        assert run.changed
        told = f"{SWITCH} on {host.name} did not name {person.name}: no code was asked for, in spite of a credential."
        assert told in unwrapped(run.output)
        needs_code(person)
        assert not enrolled_but(host, enrolled).changed

    @pytest.mark.parametrize("damage", ["emptied", "deleted"])
    def test_lost_credential_still_denies_after_the_next_run(self, host: Host, enrolled: Cast, damage: str) -> None:
        person = enrolled["forgotten"]
        with damaged(host, f"{OATH}/{person.name}", damage):
            module(host, "twofactor", options(scope="enrolled"))
            is_denied(person)

    def test_change_of_scope_applies_to_those_who_leave_and_enter(
        self, host: Host, enrolled: Cast, before: str
    ) -> None:
        leaver = enrolled["leaver"]
        stay = [person.entry for role, person in enrolled.items() if role not in ("leaver", "outside")]
        enrolled_but(host, enrolled, users=[*stay, {"name": leaver.name, "state": "absent"}])
        assert experience(leaver) == before
        assert experience(enrolled["outside"]) == before
        needs_code(enrolled["joiner"])


@pytest.fixture(scope="class")
def nobody_enrolled(host: Host, account: Account) -> Person:
    """Scope enrolled, with nobody enrolled."""
    off(host)
    person = account(groups=["sudo"])
    turn_on(host, scope="enrolled", services=["sudo"])
    return person


class TestNobodyEnrolled:
    def test_everyone_logs_in_as_before(self, host: Host, nobody_enrolled: Person, before: str) -> None:
        assert b"pam_oath.so" in host.read(SWITCH)
        assert experience(nobody_enrolled) == before
        assert sudo(nobody_enrolled, PASSWORD).stdout == "root\n"
        assert not turn_on(host, scope="enrolled", services=["sudo"]).changed

    def test_first_enrolled_account_needs_the_code(self, host: Host, nobody_enrolled: Person) -> None:
        turn_on(host, nobody_enrolled, scope="enrolled", services=["sudo"])
        needs_code(nobody_enrolled)


_MANY = """\
install -d -m 0700 /etc/oath && cd /etc/oath && umask 077
for number in $(seq -w 999); do
    echo "HOTP/T30 $1.$number - 3132333435363738393031323334353637383930" >"$1.$number"
done
"""


@pytest.fixture(scope="class")
def many(host: Host, account: Account) -> Iterator[Cast]:
    """Scope enrolled, with a thousand more names enrolled."""
    off(host)
    first, outside, last = sorted((account() for _number in range(3)), key=lambda person: person.name)
    host.run("sh", "-c", _MANY, "sh", first.name)
    turn_on(host, first, last, scope="enrolled")
    yield {"first": first, "outside": outside, "last": last}
    host.run("sh", "-c", f"rm /etc/oath/{first.name}.*")


class TestManyEnrolled:
    def test_names_are_split_over_several_lines(self, host: Host, many: Cast) -> None:
        lines = host.read(SWITCH).decode().split("\n")
        names = [line.rpartition(" ")[2].split(":") for line in lines if " user notin " in line]
        assert len(names) > 10
        assert sum(map(len, names)) == 1001
        assert names[0][0] == many["first"].name
        assert names[-1][-1] == many["last"].name

    @pytest.mark.parametrize("who", ["first", "last"])
    def test_inside_needs_the_code(self, many: Cast, who: str) -> None:
        needs_code(many[who])

    def test_outside_logs_in_as_before(self, many: Cast, before: str) -> None:
        assert experience(many["outside"]) == before

    def test_second_run_changes_nothing(self, host: Host, many: Cast) -> None:
        assert not turn_on(host, many["first"], many["last"], scope="enrolled").changed

    def test_only_the_recovered_account_logs_in_without_the_code(self, host: Host, many: Cast) -> None:
        host.run("twofactor-recover", "--user", many["first"].name)
        assert many["first"].by_password().ok
        assert not many["last"].by_password().ok
        assert many["outside"].by_password().ok


@pytest.fixture(scope="class")
def groups(host: Host, account: Account) -> Cast:
    """Scope groups, with two groups."""
    people = {
        "member": account(groups=["coded"]),
        "member of the second group": account(groups=["coders"]),
        "by primary group": account(groups=["coded"]),
        "exempt": account(groups=["coded"]),
        "in an exempt group": account(groups=["coded", "friends"]),
        "outside with a credential": account(),
    }
    host.run("usermod", "--gid", "coded", "--groups", "", people["by primary group"].name)
    turn_on(
        host,
        *people.values(),
        scope="groups",
        scope_groups=["coded", "coders"],
        exempt_users=["ansible", people["exempt"].name],
        exempt_groups=["friends"],
    )
    return people | {"outside": account()}


class TestGroups:
    @pytest.mark.parametrize("who", ["member", "member of the second group", "by primary group"])
    def test_inside_needs_the_code(self, groups: Cast, who: str) -> None:
        needs_code(groups[who])

    @pytest.mark.parametrize("who", ["outside", "outside with a credential", "exempt", "in an exempt group"])
    def test_outside_logs_in_as_before(self, groups: Cast, before: str, who: str) -> None:
        assert experience(groups[who]) == before

    def test_membership_takes_effect_at_the_next_login(self, host: Host, groups: Cast, before: str) -> None:
        person = groups["outside with a credential"]
        host.run("gpasswd", "--add", person.name, "coders")
        needs_code(person)
        host.run("gpasswd", "--delete", person.name, "coders")
        assert experience(person) == before

    def test_member_without_a_credential_is_denied(self, host: Host, groups: Cast, before: str) -> None:
        person = groups["outside"]
        host.run("gpasswd", "--add", person.name, "coded")
        is_denied(person)
        host.run("gpasswd", "--delete", person.name, "coded")
        assert experience(person) == before
