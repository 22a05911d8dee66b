# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security keys in place of codes: a declared key gets in with its PIN, and everything else needs a code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hosts import Host
from login import ssh
from login.modules import connections, module, options, turn_on
from login.people import Person, new_person, playbook, settings
from login.policy import CODE_PROMPT, DROP_INS, assert_off, off, somebody
from login.security_keys import Key, authenticator, authorize, pin_pad, security_keys, through_agent
from login.test_connection import Controller

pytestmark = pytest.mark.usefixtures("package")

ON_EACH_RELEASE = pytest.mark.parametrize("host", ["debian12", "debian13", "debian11-google"], indirect=True)


def entry(person: Person, *keys: Key) -> list[dict[str, object]]:
    """The option `users` with these keys declared for the person."""
    return [{**person.entry, "security_keys": [key.line for key in keys]}]


def asks_for_a_code(login: ssh.Login) -> bool:
    return any(CODE_PROMPT in prompt for prompt in login.prompts)


def in_journal(host: Host, text: str) -> bool:
    """Whether sshd logs this text within a few seconds."""
    for _try in range(25):
        if text in host.run("journalctl", "--since", "-2min").stdout:
            return True
        time.sleep(0.2)
    return False


# test_guards uses these checks too: it takes out the guards that they depend on.


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


def undeclared_key_is_denied_where_keys_are_alone(person: Person) -> None:
    with security_keys("mine", "other") as (mine, other):
        authorize(person, other)
        turn_on(person.host, person, users=[{**entry(person, mine)[0], "security_keys_only": True}])
        assert not other.log_in(person).ok


@ON_EACH_RELEASE
def test_declared_key_gets_in_with_its_pin_and_everything_else_needs_a_code(host: Host) -> None:
    with (
        somebody(host) as person,
        security_keys("blue", "found") as (blue, found),
        security_keys("nist", kind="ecdsa-sk") as (nist,),
        security_keys("quick", verified=False) as (quick,),
    ):
        authorize(person, blue, found, nist, quick)
        before = host.snapshot(["/etc", "/usr/local", "/usr/libexec"])
        in_use = module(host, "twofactor_adopt")["security_keys"]
        assert in_use == {person.name: sorted(key.line.rpartition(" ")[0] for key in (blue, found, nist, quick))}
        turn_on(host, person, users=entry(person, blue, nist, quick))
        users = entry(person, blue, nist, quick)
        info = module(host, "twofactor_info", options(person, users=users))
        assert info["users"][person.name]["security_keys"] == ["blue", "nist", "quick"]
        assert info["enforced"] == {"sshd": True}
        assert not info["changes"]

        for key in (blue, nist):
            login = key.log_in(person)
            assert login.ok, login.reason
            assert not asks_for_a_code(login)
        # A client in batch mode does not continue with PAM.
        assert not blue.log_in(person, batch=True).ok
        for login in (found.log_in(person), person.by_key(), person.by_password()):
            assert not login.ok
            assert asks_for_a_code(login)
        denied = quick.log_in(person, person.code())
        assert not denied.ok
        assert in_journal(host, "user verification requirement not met")
        info = module(host, "twofactor_info", options(person, users=users))
        assert info["users"][person.name]["key_denied"].endswith("/quick")
        assert found.log_in(person, person.code()).ok

        # A key counts only in root's list, not in the account's own. The next run restores root's list.
        path = f"/etc/security/twofactor-keys/{person.name}"
        host.run("sh", "-c", f"cat >>{path}", input=f"{found.line}\n")
        assert found.log_in(person).ok
        drifted = module(host, "twofactor_info", options(person, users=users))
        assert drifted["enforced"] == {"sshd": False}
        assert drifted["changes"] == [f"write {path}"]
        turn_on(host, person, users=users)
        assert not found.log_in(person).ok

        # Recovery lets in a key that asks for no PIN, until the next run.
        host.run("twofactor-recover", "--user", person.name)
        assert quick.log_in(person, batch=True).ok
        announced = module(host, "twofactor", options(person, users=entry(person, nist)), check=True)
        assert any("key" in change for change in announced["changes"])
        assert turn_on(host, person, users=entry(person, nist))["changes"] == announced["changes"]
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


@ON_EACH_RELEASE
def test_keys_alone_get_in_and_nothing_else_does(host: Host) -> None:
    with (
        somebody(host) as person,
        security_keys("blue", "own") as (blue, own),
        security_keys("quick", verified=False) as (quick,),
    ):
        # Only the list of declared keys is used, not the account's own.
        authorize(person, own)
        before = host.snapshot(["/etc", "/usr/local", "/usr/libexec"])
        no_keys = f"{DROP_INS}/50-no-keys.conf"
        keys = {"security_keys": [blue.line, quick.line], "security_keys_only": True}
        alone = [{"name": person.name, **keys}]
        turn_on(host, person, users=alone)
        info = module(host, "twofactor_info", options(person, users=alone))
        assert info["enforced"] == {"sshd": True}
        assert not info["changes"]
        mine = info["users"][person.name]
        assert (mine["enrolled"], mine["security_keys_only"]) == (False, True)
        assert not host.exists(person.credential)

        for batch in (True, False):
            login = blue.log_in(person, batch=batch)
            assert login.ok, login.reason
        assert through_agent(person, blue) == person.name
        # Even where sshd otherwise accepts no keys of this account.
        host.write(no_keys, f"Match User {person.name}\n    PubkeyAuthentication no\n")
        host.run("systemctl", "reload", "ssh")
        assert blue.log_in(person, batch=True).ok
        host.run(f"rm {no_keys}; systemctl reload ssh")
        for login in (own.log_in(person), person.by_key(), person.by_password()):
            assert not login.ok
            assert not login.prompts or "PIN" in login.prompts[0]
        assert not quick.log_in(person).ok
        assert in_journal(host, "user verification requirement not met")
        info = module(host, "twofactor_info", options(person, users=alone))
        assert info["users"][person.name]["key_denied"].endswith("/quick")

        refused = module(host, "twofactor", options(person, users=alone, services=["sudo"]))
        assert "logs in with security keys alone, has no credential, and would be locked out of sudo" in refused.message

        # Having a code as well, for sudo and Cockpit, changes nothing at sshd.
        turn_on(host, person, users=[{**person.entry, **keys}])
        assert host.exists(person.credential)
        assert not person.by_key(person.code()).ok
        assert blue.log_in(person, batch=True).ok

        host.run("twofactor-recover", "--user", person.name)
        assert person.by_password().ok
        assert own.log_in(person, batch=True).ok
        turn_on(host, person, users=[{**person.entry, **keys}])
        assert not person.by_password().ok

        # Security keys alone through a group, which is refused while the person has no key.
        in_group = {"users": [{**person.entry, "security_keys": []}], "security_keys_only_groups": [person.name]}
        refused = module(host, "twofactor", options(person, **in_group))
        assert "must log in to sshd on" in refused.message
        in_group["users"] = entry(person, blue)
        turn_on(host, person, **in_group)
        assert blue.log_in(person, batch=True).ok
        assert not person.by_key(person.code()).ok

        instead = options(person, users=entry(person, own), ssh_first_factors=["publickey"])
        host.run("sh", "-c", f"cd /home/{person.name}/.ssh && mv authorized_keys away")
        refused = module(host, "twofactor", instead, check=True)
        assert "Put a key into authorized_keys first, or leave security_keys_only on." in refused.message
        host.run("sh", "-c", f"cd /home/{person.name}/.ssh && mv away authorized_keys")
        assert module(host, "twofactor", instead, check=True).ok

        turn_on(host, person, users=entry(person, own))
        assert person.by_key(person.code()).ok
        assert own.log_in(person).ok
        assert not host.exists("/etc/security/twofactor-only-keys")
        off(host)
        assert_off(person)
        assert host.snapshot(["/etc", "/usr/local", "/usr/libexec"]) == before


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_ansible_s_own_account_may_log_in_with_keys_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with somebody(host) as person, security_keys("blue") as (blue,), pin_pad() as program:
        authorize(person, blue)
        other = new_person(host)
        rule = f"/etc/sudoers.d/{person.name}"
        host.run("sh", "-c", f"echo '{person.name} ALL=(ALL) NOPASSWD: ALL' >{rule}")
        for name, value in program.items():
            monkeypatch.setenv(name, value)
        alone = [{"name": person.name, "security_keys": [blue.line], "security_keys_only": True}, other.entry]
        variables = {
            **settings(person, users=alone, services=["sudo"], scope="enrolled", exempt_users=[]),
            "twofactor_enrolment_dir": str(tmp_path / "sheets"),
            "ansible_user": person.name,
            "ansible_ssh_private_key_file": str(blue.path),
            "ansible_ssh_extra_args": f"-o SecurityKeyProvider={authenticator()} -o BatchMode=yes",
        }
        first = playbook("enable", host, **variables)
        assert first.ok, first.output
        page = tmp_path / "sheets" / f"{person.name}~keys@{host.name}.html"
        assert page.stat().st_mode & 0o777 == 0o600
        assert "<li>blue</li>" in page.read_text()
        assert person.secret not in page.read_text()
        again = playbook("enable", host, **variables)
        assert again.ok, again.output
        assert not again.changed
        # On the same host, another account's runs answer codes.
        with connections(host) as control:
            account = {
                "ansible_become": False,
                "ansible_user": other.name,
                "ansible_ssh_private_key_file": str(other.key),
            }
            ping = Controller(tmp_path, control, (other,)).ping("--limit", host.name, **account)
        assert ping.status == 0, ping.output
        assert not person.by_password().ok
        host.run("rm", rule)
