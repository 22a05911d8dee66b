# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A first factor that decides nothing when the password is wrong lets nobody in, whatever is around it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import Host
from login import ssh
from login.doors import by_pam
from login.modules import module, options, turn_on
from login.people import PASSWORD, Person, new_person
from login.policy import WATCHED, Pair, off, pair

pytestmark = pytest.mark.release("debian12")

SERVICE = "door"
FOUND = f"/etc/pam.d/{SERVICE}"
STACK = "/etc/pam.d/password-auth"
# With a wrong password, pam_unix is ignored, and pam_env and pam_faildelay never decide.
UNDECIDED = {
    "sufficient alone": "auth sufficient pam_unix.so\n",
    "optional alone": "auth optional pam_unix.so\n",
    "env at the end": "auth [success=done default=ignore] pam_unix.so\nauth required pam_env.so\n",
    "env around": "auth required pam_env.so\nauth sufficient pam_unix.so\nauth required pam_faildelay.so delay=1\n",
    "absent at the end": "auth sufficient pam_unix.so\n-auth required pam_that_is_not_there.so\n",
}
RELEASE_1_0 = """\
# BEGIN fleet.auth twofactor: in place of the next line
#| auth include password-auth
auth substack twofactor-password-auth
auth [success=die default=ignore] pam_exec.so quiet seteuid /usr/libexec/fleet-auth/first-factor-failed
auth substack twofactor
# END fleet.auth twofactor
account required pam_permit.so
"""
GATE_1_0 = """\
auth substack password-auth
auth [success=done default=ignore] pam_permit.so
auth [default=ignore] pam_exec.so quiet seteuid /usr/libexec/fleet-auth/first-factor-failed note
auth requisite pam_deny.so
"""


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[Pair]:
    with pair(host) as people:
        yield people
    host.run(f"rm -f {FOUND} {FOUND}-* {STACK}")


def gets_in(person: Person, *answers: str, service: str = SERVICE) -> bool:
    """Whether the service lets the person in with these answers."""
    return by_pam(person, service, *answers)[0]


# As pam-auth-update writes it for a fingerprint reader with no enrolled finger.
ANOTHER_FIRST = """\
auth [success=2 default=ignore] pam_debug.so auth=authinfo_unavail
auth [success=1 default=ignore] pam_unix.so nullok try_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
"""


def test_password_and_code_are_asked_for_if_another_module_comes_first(host: Host, people: Pair) -> None:
    off(host)
    common = host.read("/etc/pam.d/common-auth")
    host.write("/etc/pam.d/common-auth", ANOTHER_FIRST)
    host.write(FOUND, "@include common-auth\naccount required pam_permit.so\n")
    try:
        turn_on(host, people.enrolled, **people.policy(SERVICE))
        assert gets_in(people.exempt, PASSWORD)
        assert not gets_in(people.exempt, "wrong")
        ssh.fresh_step()
        assert not gets_in(people.enrolled, PASSWORD)
        assert not gets_in(people.enrolled, "wrong", people.enrolled.code())
        assert gets_in(people.enrolled, PASSWORD, people.enrolled.code())
        login = people.enrolled.by_password(people.enrolled.code(steps=1))
        assert login.ok, login.reason
    finally:
        off(host)
        host.write("/etc/pam.d/common-auth", common)


@pytest.mark.parametrize("stack", UNDECIDED)
def test_wrong_password_gets_nobody_in(host: Host, people: Pair, stack: str) -> None:
    """Through two services: one includes the stack, the other has it as a substack."""
    off(host)
    other = new_person(host)
    host.write(STACK, UNDECIDED[stack])
    services = {f"{SERVICE}-{control}": control for control in ("include", "substack")}
    for service, control in services.items():
        host.write(f"/etc/pam.d/{service}", f"auth {control} password-auth\naccount required pam_permit.so\n")
    wanted = options(people.enrolled, other, **people.policy(*services))
    before = host.snapshot(WATCHED)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda service: exempt_needs_the_password(people.exempt, service), services))
        assert module(host, "twofactor", wanted).ok
        list(pool.map(lambda service: exempt_needs_the_password(people.exempt, service), services))
        ssh.fresh_step(at_least=15)
        list(pool.map(enrolled_needs_password_and_code, (people.enrolled, other), services))
    assert not module(host, "twofactor", wanted, check=True)["changed"]
    off(host)
    assert host.snapshot(WATCHED) == before
    host.run("rm", *(f"/etc/pam.d/{service}" for service in services))
    host.run("userdel", "--force", "--remove", other.name)


def exempt_needs_the_password(person: Person, service: str) -> None:
    assert not gets_in(person, "wrong", service=service)
    assert gets_in(person, PASSWORD, service=service)


def enrolled_needs_password_and_code(person: Person, service: str) -> None:
    assert not gets_in(person, PASSWORD, person.code(steps=1000), service=service)
    assert not gets_in(person, PASSWORD, service=service)
    assert not gets_in(person, "wrong", person.code(), service=service)
    assert gets_in(person, PASSWORD, person.code(steps=1), service=service)


def test_wrong_password_gets_nobody_in_by_ssh(host: Host, people: Pair) -> None:
    off(host)
    sshd = host.read("/etc/pam.d/sshd")
    host.write(STACK, UNDECIDED["env around"])
    host.write("/etc/pam.d/sshd", sshd.replace(b"@include common-auth", b"auth substack password-auth"))
    try:
        turn_on(host, people.enrolled, **people.policy())
        assert not people.exempt.by_password(password="wrong").ok
        login = people.exempt.by_password()
        assert login.ok, login.reason
        assert people.exempt.by_key(batch=True).ok
        ssh.fresh_step()
        assert not people.enrolled.by_password(people.enrolled.code(), password="wrong").ok
        login = people.enrolled.by_password(people.enrolled.code(steps=1))
        assert login.ok, login.reason
    finally:
        off(host)
        host.write("/etc/pam.d/sshd", sshd)


def test_host_of_release_1_0_is_reported_and_repaired(host: Host, people: Pair) -> None:
    off(host)
    host.write(STACK, UNDECIDED["sufficient alone"])
    host.write(FOUND, "auth include password-auth\naccount required pam_permit.so\n")
    wanted = people.policy(SERVICE)
    turn_on(host, people.enrolled, **wanted)
    # The files as release 1.0 left them.
    host.write(FOUND, RELEASE_1_0)
    host.write("/etc/pam.d/twofactor-password-auth", GATE_1_0)
    assert gets_in(people.exempt, "anything")
    info = module(host, "twofactor_info", options(people.enrolled, **wanted))
    (warning,) = [one for one in info["drift"] if FOUND in one]
    assert "any password" in warning
    assert STACK in warning
    done = module(host, "twofactor", options(people.enrolled, **wanted))
    assert done.changed
    assert warning in done.output
    assert not gets_in(people.exempt, "anything")
    assert not host.exists("/etc/pam.d/twofactor-password-auth")
    info = module(host, "twofactor_info", options(people.enrolled, **wanted))
    assert not [one for one in info["drift"] if FOUND in one]
