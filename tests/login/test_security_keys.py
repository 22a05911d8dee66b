# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security keys in the place of codes: a declared one gets in with its PIN, and everything else needs a code."""

from __future__ import annotations

import pytest

from hosts import Host
from login import ssh
from login.modules import module, options, turn_on
from login.people import Person
from login.policy import CODE_PROMPT, assert_off, off, somebody
from login.security_keys import Key, authorize, security_keys

pytestmark = [
    pytest.mark.usefixtures("package"),
    pytest.mark.parametrize("host", ["debian12", "debian13", "debian11-google"], indirect=True),
]


def entry(person: Person, *keys: Key) -> list[dict[str, object]]:
    """The option `users`, where these keys are declared of the person."""
    return [{**person.entry, "security_keys": [key.line for key in keys]}]


def asks_for_a_code(login: ssh.Login) -> bool:
    return any(CODE_PROMPT in prompt for prompt in login.prompts)


# Also guards: test_guards takes out what these rest on.


def undeclared_security_key_needs_a_code(person: Person) -> None:
    with security_keys("mine", "other") as (mine, other):
        authorize(person, mine, other)
        turn_on(person.host, person, users=entry(person, mine))
        assert not other.log_in(person).ok


def security_key_without_its_pin_is_denied(person: Person) -> None:
    with security_keys("quick", verified=False) as (quick,):
        authorize(person, quick)
        turn_on(person.host, person, users=entry(person, quick))
        assert not quick.log_in(person).ok


def test_declared_key_gets_in_with_its_pin_and_everything_else_needs_a_code(host: Host) -> None:
    with (
        somebody(host) as person,
        security_keys("blue", "found") as (blue, found),
        security_keys("nist", kind="ecdsa-sk") as (nist,),
        security_keys("quick", verified=False) as (quick,),
    ):
        authorize(person, blue, found, nist, quick)
        before = host.snapshot(["/etc", "/usr/local", "/usr/libexec"])
        turn_on(host, person, users=entry(person, blue, nist, quick))
        users = entry(person, blue, nist, quick)
        told = module(host, "twofactor_info", options(person, users=users))
        assert told["users"][person.name]["security_keys"] == ["blue", "nist", "quick"]
        assert told["enforced"] == {"sshd": True}
        assert not told["changes"]

        for key in (blue, nist):
            login = key.log_in(person)
            assert login.ok, login.reason
            assert not asks_for_a_code(login)
        # A client in batch mode does not go on to PAM.
        assert not blue.log_in(person, batch=True).ok
        for login in (found.log_in(person), person.by_key(), person.by_password()):
            assert not login.ok
            assert asks_for_a_code(login)
        denied = quick.log_in(person, person.code())
        assert not denied.ok
        assert "user verification" in host.run("journalctl", "-u", "ssh", "--since", "-1min").stdout
        assert found.log_in(person, person.code()).ok

        # The account's own list is not what counts, and the root's is put right.
        path = f"/etc/security/twofactor-keys/{person.name}"
        host.run("sh", "-c", f"cat >>{path}", input=f"{found.line}\n")
        assert found.log_in(person).ok
        drifted = module(host, "twofactor_info", options(person, users=users))
        assert drifted["enforced"] == {"sshd": False}
        assert drifted["changes"] == [f"write {path}"]
        turn_on(host, person, users=users)
        assert not found.log_in(person).ok

        # Recovery lets a key in that wants no PIN, until the next run.
        host.run("twofactor-recover", "--user", person.name)
        assert quick.log_in(person, batch=True).ok
        turn_on(host, person, users=entry(person, nist))
        assert not quick.log_in(person).ok
        assert not blue.log_in(person).ok
        assert nist.log_in(person).ok

        turn_on(host, person)
        assert asks_for_a_code(nist.log_in(person))
        assert not host.exists("/etc/security/twofactor-keys")
        off(host)
        assert_off(person)
        assert quick.log_in(person, batch=True).ok
        assert host.snapshot(["/etc", "/usr/local", "/usr/libexec"]) == before
