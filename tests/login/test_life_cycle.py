# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A person's second factor over the years: proven, renewed, on a further device, on paper, given up."""

from __future__ import annotations

import dataclasses
import typing as t

import pyotp
import pytest

from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH
from login.modules import Answer, module, options
from login.people import Person, Run, inventory_path, new_person, playbook, settings, unwrapped
from login.sudo import sudo

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]

People = t.Callable[[], Person]

# A window so wide that a test ends before its codes do, and enough attempts for a few wrong ones.
ENROLLED: dict[str, t.Any] = {
    "ssh": True,
    "services": [],
    "exempt_users": ["ansible"],
    "scope": "enrolled",
    "window": 3,
    "lockout": {"attempts": 20},
}


def users(host: Host, *entries: dict[str, t.Any], **values: t.Any) -> Answer:
    """Run the module with these entries of `users`; everybody else stays as they are."""
    done = module(host, "twofactor", {**ENROLLED, **values, "users": entries})
    assert done.ok, done.output
    return done


def enrolment(person: Person) -> dict[str, t.Any]:
    """The contents of the person's sheet."""
    found = module(person.host, "twofactor_enrolment_info", {"users": [person.name]})
    assert found.ok, found.output
    first, *further = found["enrolments"]
    assert not first["device"]
    return {**first, "devices": {one["device"]: one["secret"] for one in further}}


def info(person: Person) -> dict[str, t.Any]:
    """What twofactor_info reports about the person."""
    return dict(module(person.host, "twofactor_info")["users"][person.name])


def verify(person: Person, code: str) -> Run:
    """Run the playbook, with its prompts answered."""
    return playbook("verify", person.host, user=person.name, code=code)


@pytest.fixture(scope="module")
def on(host: Host) -> Host:
    """A host that asks enrolled people for codes; nobody is enrolled yet."""
    users(host)
    return host


@pytest.fixture
def one(on: Host) -> Person:
    """A person whose phone is enrolled."""
    made = new_person(on)
    users(on, made.entry, require_proof=False)
    return made


class TestProof:
    def test_is_required_before_sshd_asks_for_codes(self, host: Host, person: People) -> None:
        module(host, "twofactor", {"enabled": False})
        alice = person()
        wanted = settings(alice, require_proof=True)
        refused = playbook("enable", host, **wanted)
        assert not refused.ok
        copied = f"ansible-playbook fleet.auth.verify -i {inventory_path(host.fleet).resolve()} -e user={alice.name}"
        assert copied in unwrapped(refused.output)
        assert not host.exists(alice.credential)

        assert module(host, "twofactor", options(alice, require_proof=True, ssh=False)).ok
        assert not module(host, "twofactor", options(alice, require_proof=True)).ok
        wrong = verify(alice, alice.code(steps=1000))
        assert not wrong.ok
        told = f"The code of {alice.name} was not right on {host.name}. It may be from another host's entry"
        assert told in unwrapped(wrong.output)
        assert not info(alice)["proven"]
        assert alice.by_key(batch=True).ok

        ssh.fresh_step(at_least=20)
        right = verify(alice, alice.code(steps=-1))
        assert right.ok, right.output
        assert f"{alice.name} is proven" in right.output.replace("\n", " ")
        assert info(alice)["proven"]
        again = module(host, "twofactor_verify", {"user": alice.name, "code": alice.code(steps=-1)})
        assert not again["valid"], again.output
        on = playbook("enable", host, **wanted)
        assert on.ok, on.output
        assert not alice.by_key(batch=True).ok
        assert alice.by_key(alice.code(steps=1)).ok

    def test_may_be_a_login_to_another_service(self, host: Host, person: People) -> None:
        module(host, "twofactor", {"enabled": False})
        alice = person()
        wanted = options(alice, require_proof=True, services=["sudo"])
        host.run("gpasswd", "-a", alice.name, "sudo")
        assert module(host, "twofactor", {**wanted, "ssh": False}).ok
        ssh.fresh_step()
        assert sudo(alice, alice.password, alice.code()).stdout == "root\n"
        on = module(host, "twofactor", wanted)
        assert on.ok, on.output

    def test_may_be_vouched_for(self, host: Host, person: People) -> None:
        module(host, "twofactor", {"enabled": False})
        alice = person()
        wanted = options(alice, require_proof=True)
        assert not module(host, "twofactor", wanted).ok
        wanted["users"] = [{**alice.entry, "proven": True}]
        on = module(host, "twofactor", wanted)
        assert on.ok, on.output
        ssh.fresh_step()
        assert alice.by_password(alice.code()).ok


def test_credential_that_was_restored_with_other_rights_is_put_right(one: Person) -> None:
    """pam_google_authenticator denies every code if others may read it."""
    one.host.run("chmod", "0644", one.credential)
    one.host.run("chown", "nobody", one.credential)
    assert users(one.host).changed
    assert one.host.run("stat", "-c", "%a %U", one.credential).stdout == "600 root\n"
    assert not users(one.host).changed
    assert one.by_key(one.code()).ok


class TestRenewal:
    def test_gives_a_new_secret_once_and_leaves_others_alone(self, one: Person) -> None:
        other = new_person(one.host)
        users(one.host, other.entry, require_proof=False)
        others_file = one.host.read(other.credential)
        entry = {"name": one.name, "renew": "phone-lost"}
        renewed = users(one.host, entry)
        assert renewed["to_enrol"] == [one.name]
        assert not one.by_key(one.code()).ok
        new = dataclasses.replace(one, secret=enrolment(one)["secret"])
        assert new.secret != one.secret
        code = new.code()
        assert new.by_key(code).ok

        again = users(one.host, entry)
        assert not again.changed
        assert not users(one.host, {"name": one.name}).changed
        assert not new.by_password(code).ok, "the used code is forgotten"
        assert enrolment(one)["secret"] == new.secret
        assert one.host.read(other.credential) == others_file

    @pytest.mark.backends(OATH)
    def test_is_required_before_the_length_of_codes_changes(self, one: Person) -> None:
        before = one.host.snapshot(["/etc"])
        refused = module(one.host, "twofactor", {**ENROLLED, "otp_digits": 8})
        assert not refused.ok
        assert "would become 8 digits long" in refused.message
        assert one.name in refused.message
        assert one.host.snapshot(["/etc"]) == before

        changed = users(one.host, otp_digits=8, renew="changed")
        assert one.name in changed["to_enrol"]
        assert not one.by_key(one.code()).ok
        assert one.by_key(one.code(digits=8)).ok
        assert enrolment(one)["digits"] == 8
        users(one.host, renew="changed")


@pytest.mark.backends(OATH)
class TestFurtherDevices:
    def test_have_their_own_codes_and_are_removed_one_by_one(self, one: Person) -> None:
        tablet, spare = pyotp.random_base32(), None
        entry = {"name": one.name, "devices": [{"name": "tablet", "secret": tablet}, {"name": "spare"}]}
        assert users(one.host, entry)["to_enrol"] == [one.name]
        devices = enrolment(one)["devices"]
        assert devices["tablet"] == tablet
        spare = devices["spare"]
        assert info(one)["devices"] == ["tablet", "spare"]
        codes = [one.code(), ssh.code(tablet), ssh.code(spare)]
        assert [one.by_key(code).ok for code in (*codes, *codes)] == [True] * 3 + [False] * 3
        assert not users(one.host, entry).changed

        users(one.host, {"name": one.name, "devices": [{"name": "tablet", "state": "absent"}]})
        assert info(one)["devices"] == ["spare"]
        assert not one.by_key(ssh.code(tablet, steps=1)).ok
        assert not one.by_key(codes[2]).ok, "the used code is forgotten"
        assert one.by_key(ssh.code(spare, steps=1)).ok
        assert one.by_key(one.code(steps=1)).ok


class TestRecoveryCodes:
    @pytest.mark.backends(OATH)
    def test_are_right_once_each_in_their_order(self, one: Person) -> None:
        entry = {"name": one.name, "recovery_codes": "first"}
        assert users(one.host, entry, window=1)["to_enrol"] == [one.name]
        paper = [code["code"] for code in enrolment(one)["recovery_codes"]]
        assert len(paper) == len(set(paper)) == 10
        assert info(one)["recovery_codes_left"] == 10

        assert one.by_key(paper[0]).ok
        assert not one.by_password(paper[0]).ok
        assert one.by_password(one.code()).ok, "a code of the app is no longer right"
        assert not one.by_password(paper[2]).ok, "a code was skipped"
        assert one.by_password(paper[1]).ok
        assert info(one)["recovery_codes_left"] == 8
        assert [code["number"] for code in enrolment(one)["recovery_codes"]] == list(range(3, 11))

        assert not users(one.host, entry, window=1).changed
        assert not one.by_key(paper[1]).ok, "a used code is given back"
        users(one.host, {"name": one.name, "recovery_codes": "second"}, window=1)
        assert not one.by_key(paper[2]).ok, "a code of the old set is still right"
        assert one.by_key(enrolment(one)["recovery_codes"][0]["code"]).ok

    @pytest.mark.backends(GOOGLE)
    def test_are_right_once_each_in_any_order(self, one: Person) -> None:
        entry = {"name": one.name, "recovery_codes": "first"}
        assert users(one.host, entry, window=0)["to_enrol"] == [one.name]
        paper = [code["code"] for code in enrolment(one)["recovery_codes"]]
        assert {len(code) for code in paper} == {8}
        assert one.by_key(paper[4]).ok
        assert not one.by_password(paper[4]).ok
        assert one.by_password(paper[0]).ok
        assert info(one)["recovery_codes_left"] == 8
        assert not users(one.host, entry, window=0).changed
        assert not one.by_key(paper[4]).ok, "a used code is given back"
        users(one.host, {"name": one.name, "recovery_codes": "second"})
        assert not one.by_key(paper[1]).ok, "a code of the old set is still right"
        assert one.by_key(enrolment(one)["recovery_codes"][0]["code"]).ok

    def test_all_ten_are_right(self, one: Person) -> None:
        users(one.host, {"name": one.name, "recovery_codes": "first"}, window=1)
        paper = [code["code"] for code in enrolment(one)["recovery_codes"]]
        assert [one.by_key(code).ok for code in paper] == [True] * 10
        assert info(one)["recovery_codes_left"] == 0
        assert enrolment(one)["recovery_codes"] == []


class TestDeletedAccount:
    def test_leaves_a_credential_that_is_reported_and_can_be_removed(self, one: Person) -> None:
        one.host.run("userdel", "--force", "--remove", one.name)
        warned = users(one.host)
        assert f"there is no account {one.name} on {one.host.name} any more, but a credential" in warned.output
        assert one.host.exists(one.credential)
        gone = users(one.host, {"name": one.name, "state": "absent"})
        assert gone.changed
        assert not one.host.exists(one.credential)
        assert "there is no account" not in users(one.host).output
