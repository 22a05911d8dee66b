# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every door asks for the code, in each layout of /etc/pam.d, and no stranger can close one."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import typing as t
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam import protect
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam_conf import ServiceFiles
from ansible_collections.fleet.auth.plugins.module_utils._texts.placement import PamError
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, SettingsError
from hosts import Host
from hosts.host import Entry
from login import ssh
from login.doors import DOORS, Door, by_su, by_sudo, counted_wrong_codes
from login.modules import module, options, turn_on
from login.people import PASSWORD, Person, new_person
from login.policy import WATCHED, off
from unit.builders import options as defaults
from unit.layouts import DIRECT, RHEL, RHEL_SSSD, Layout, check_round_trip

HELPER = "/usr/libexec/fleet-auth/first-factor-failed"
# Debian's own services with a primary authentication. The others are parts of services, or ask for no password.
PROTECTABLE = {"chfn", "chsh", "login", "sshd", "su", "su-l", "sudo", "sudo-i"}

ATTEMPTS = 3
POLICY = {
    "services": ["sudo", "su", "login"],
    "allow_console": True,
    "lockout": {"attempts": ATTEMPTS, "unlock_seconds": 900, "count_seconds": 900},
}


LAYOUTS = {"as it comes": Layout({}, {}), "like RHEL": RHEL, "without includes": DIRECT}
AUTHSELECT = "/etc/authselect"


@pytest.fixture(scope="module", params=[pytest.param("as it comes", marks=pytest.mark.quick), *list(LAYOUTS)[1:]])
def layout(host: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """The layout of the host's PAM files: as Debian ships them, or as the test writes them.

    If the test's services include files, these are links into authselect's directory.
    """
    host.install("libpam-oath")
    off(host)
    services, included = LAYOUTS[request.param]
    files = {f"/etc/pam.d/{name}": text for name, text in services.items() if name != "cockpit"}
    before = {path: host.read(path) for path in files}
    for path, text in files.items():
        host.write(path, text)
    select(host, included)
    for name in included:
        host.run("ln", "-s", f"{AUTHSELECT}/{name}", f"/etc/pam.d/{name}")
    yield request.param
    off(host)
    for path, content in before.items():
        host.write(path, content)
    host.run("rm", "-rf", AUTHSELECT, *(f"/etc/pam.d/{name}" for name in included))


def select(host: Host, stacks: t.Mapping[str, str]) -> None:
    """Write the stacks that services include, as authselect(8) does."""
    for name, text in stacks.items():
        host.write(f"{AUTHSELECT}/{name}", text)


@dataclasses.dataclass
class Tries:
    """What happened at one door."""

    wrong_passwords: list[bool]
    counted_wrong_passwords: int
    right: bool
    used: bool
    wrong: bool
    missing: bool
    counted: int
    right_but_closed: bool


class Place(t.NamedTuple):
    """A host where every door asks for codes, what was tried at each, and its files before."""

    host: Host
    layout: str
    before: dict[str, Entry]
    tries_by_door: dict[str, Future[Tries]]
    person: Person
    other: Person
    limited: Person
    """Three people who have not logged in yet."""


@pytest.fixture(scope="module")
def place(host: Host, layout: str) -> Iterator[Place]:
    """Try all doors in parallel, because each takes a while to deny."""
    person, other, limited, *others = people = [new_person(host, groups=["sudo"]) for _number in range(3 + len(DOORS))]
    before = host.snapshot(WATCHED)
    turn_on(host, *people, **POLICY)
    with ThreadPoolExecutor() as pool:
        tries_by_door = {name: pool.submit(try_door, DOORS[name], one) for name, one in zip(DOORS, others, strict=True)}
        yield Place(host, layout, before, tries_by_door, person, other, limited)
    for person in people:
        host.run("userdel", "--force", "--remove", person.name)


def try_door(door: Door, person: Person) -> Tries:
    def guess() -> bool:
        return door(person, "wrong", f"{secrets.randbelow(10**6):06}")

    wrong_passwords = [guess() for _attempt in range(ATTEMPTS + 1)]
    counted_wrong_passwords = counted_wrong_codes(person)
    ssh.fresh_step()
    code = person.code()
    return Tries(
        wrong_passwords=wrong_passwords,
        counted_wrong_passwords=counted_wrong_passwords,
        right=door(person, PASSWORD, code),
        used=door(person, PASSWORD, code),
        wrong=door(person, PASSWORD, person.code(steps=1000)),
        missing=door(person, PASSWORD, ""),
        counted=counted_wrong_codes(person),
        right_but_closed=door(person, PASSWORD, person.code(steps=1)),
    )


@pytest.mark.parametrize("door", DOORS)
def test_door_needs_the_code_and_does_not_count_wrong_passwords(place: Place, door: str) -> None:
    assert place.tries_by_door[door].result() == Tries(
        wrong_passwords=[False] * (ATTEMPTS + 1),
        counted_wrong_passwords=0,
        right=True,
        used=False,
        wrong=False,
        missing=False,
        counted=ATTEMPTS,
        right_but_closed=False,
    )


def test_key_needs_the_code_as_well(place: Place) -> None:
    assert not place.person.by_key(batch=True).ok
    ssh.fresh_step()
    login = place.person.by_key(place.person.code())
    assert login.ok, login.reason


def test_nobody_guesses_on_behind_low_limits(place: Place) -> None:
    """su and sudo keep the limits of their caller, with which no wrong code could be counted.

    Here the caller knows the person's password: at su somebody else, at sudo somebody at the person's shell.
    """
    host, person = place.host, place.limited
    commands = {f"su {person.name} -c 'id -un'": "nobody", "sudo --stdin id -un": person.name}

    def at_limit(limit: str, command: str, *answers: str) -> str:
        script = f"trap '' XFSZ; ulimit {limit}; exec {command}"
        typed = "".join(f"{answer}\n" for answer in answers)
        done = host.run("bash", "-c", script, input=typed, user=commands[command], check=False)
        return done.stdout + done.stderr

    ssh.fresh_step()
    for limit, command in itertools.product(("-f 0", "-n 6"), commands):
        for password, code in (("wrong", person.code()), (PASSWORD, "000000"), (PASSWORD, person.code())):
            said = at_limit(limit, command, password, code)
            assert "One-time password (" not in said, said
            assert not {person.name, "root"} & set(said.split("\n")), said
    for command in commands:
        said = at_limit("-f 9", command, PASSWORD)
        assert "One-time passwords cannot be checked" in said, said
    assert counted_wrong_codes(person) == 0
    assert by_su(person, PASSWORD, person.code())
    assert by_sudo(person, PASSWORD, person.code(steps=1))


# In the other layouts no door needs the helper.
@pytest.mark.parametrize("layout", ["like RHEL"], indirect=True)
def test_lost_helper_counts_wrong_passwords_and_lets_nobody_in_until_the_next_run(place: Place) -> None:
    host, person = place.host, place.person
    host.run("rm", HELPER)
    ssh.fresh_step()
    right = person.code(steps=1)
    assert not person.by_password(person.code(steps=1000), password="wrong").ok
    assert counted_wrong_codes(person) == 1
    assert not person.by_password(right, password="wrong").ok
    turn_on(host, **POLICY)
    assert host.exists(HELPER)
    before = counted_wrong_codes(person)
    assert not person.by_password(person.code(steps=1000), password="wrong").ok
    assert counted_wrong_codes(person) == before


@pytest.mark.parametrize("layout", ["like RHEL"], indirect=True)
def test_other_profile_of_authselect_asks_for_the_code_and_needs_no_run(place: Place) -> None:
    host, person = place.host, place.other
    for tries in place.tries_by_door.values():
        tries.result()
    select(host, RHEL_SSSD.included)
    ssh.fresh_step()
    assert not person.by_password(person.code(steps=1000)).ok
    assert not person.by_password(person.code(), password="wrong").ok
    login = person.by_password(person.code())
    assert login.ok, login.reason
    assert not module(host, "twofactor", options(**POLICY), check=True)["changed"]
    select(host, RHEL.included)


def test_turning_off_restores_every_byte(place: Place) -> None:
    for tries in place.tries_by_door.values():
        tries.result()
    off(place.host)
    assert place.host.snapshot(WATCHED) == place.before


def test_services_of_the_release_are_restored_byte_for_byte_in_any_order(host: Host) -> None:
    off(host)
    names = host.run("ls", "/etc/pam.d").stdout.split()
    files = {name: host.read(f"/etc/pam.d/{name}").decode() for name in names}
    services = {name: text for name, text in files.items() if _is_protectable(name, files)}
    assert services.keys() == PROTECTABLE

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        check_round_trip(Layout(services, {name: text for name, text in files.items() if name not in services}), data)

    check()


def _is_protectable(name: str, files: dict[str, str]) -> bool:
    try:
        Settings.from_options(defaults(services=[name], ssh=True, allow_console=True), backends.unsupported)
        protect(name, files[name], ServiceFiles(files), backends.MODULES)
    except (SettingsError, PamError):
        return name == "sshd"
    return True
