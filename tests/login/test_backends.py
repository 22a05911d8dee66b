# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moving from one backend to the other while people log in, and intervals that only one of them supports."""

from __future__ import annotations

import threading
import typing as t
from collections.abc import Iterator

import pytest

from hosts import PATIENCE, Host
from login import ssh
from login.backends import GOOGLE, OATH, Backend, backend_of, use
from login.modules import Answer, module, options
from login.people import Person, enable, new_person
from login.policy import assert_nothing_left, assert_on, await_end

pytestmark = pytest.mark.release("debian12")

RETURN = {OATH: GOOGLE, GOOGLE: OATH}


@pytest.fixture
def alice(host: Host) -> Person:
    return new_person(host)


@pytest.fixture(scope="module", autouse=True)
def _packages(host: Host) -> None:
    host.install(*(backend.package for backend in (GOOGLE, OATH)))


@pytest.fixture(autouse=True)
def _off_again(host: Host) -> Iterator[None]:
    """Turn two-factor login off after each test, and go back to pam_oath."""
    yield
    done = module(host, "twofactor", {"enabled": False, "purge_credentials": True})
    assert done.ok, done.output
    for backend in (GOOGLE, OATH):
        assert not host.exists(backend.directory)
    use(host, OATH)


def run(*people: Person, **changes: t.Any) -> Answer:
    """Run the module for these people, with the backend that their host currently uses."""
    return module(people[0].host, "twofactor", options(*people, services=[], scope="enrolled", **changes))


def on(*people: Person, **changes: t.Any) -> None:
    done = run(*people, **changes)
    assert done.ok, done.output


def sheet(person: Person) -> dict[str, t.Any]:
    """The contents of the person's first sheet."""
    found = module(person.host, "twofactor_enrolment_info", {"users": [person.name]})
    assert found.ok, found.output
    return dict(found["enrolments"][0])


def clock_offset_is_not_recorded(person: Person) -> None:
    """Check that no clock offset is recorded; pam_google_authenticator could apply one after three codes that agree."""
    assert not person.by_key(person.code(steps=20)).ok
    assert "SKEW" not in person.host.read(person.credential).decode()


class TestMove:
    @pytest.mark.parametrize("first", [OATH, GOOGLE], ids=lambda backend: backend.name)
    def test_there_and_back_keeps_secrets_and_used_codes(self, host: Host, alice: Person, first: Backend) -> None:
        bob = new_person(host)
        use(host, first)
        # So wide that the used code would be right if it were not used.
        on(alice, bob, window=4)
        for steps, second in ((-1, RETURN[first]), (2, first)):
            code = alice.code(steps=steps)
            assert alice.by_password(code).ok
            use(host, second)
            moved = enable(host, alice, bob, scope="enrolled", window=4)
            assert moved.changed
            assert not host.exists(RETURN[second].directory)
            assert not alice.by_key(code).ok, "a used code is right again"
            assert not run(alice, bob, window=4).changed
            info = module(host, "twofactor_info")["users"]
            assert (info[alice.name]["proven"], info[bob.name]["proven"]) == (True, False)
            assert {sheet(one)["secret"] for one in (alice, bob)} == {alice.secret, bob.secret}
        for one in (alice, bob):
            assert_on(one, steps=4 if one is alice else 0)

    def test_nobody_gets_in_without_a_code_and_everybody_with_one(self, host: Host, alice: Person) -> None:
        people = [new_person(host) for _number in range(12)]
        on(alice, *people)
        let_in, done = list[str](), threading.Event()

        def knock() -> None:
            while not done.is_set():
                login = alice.by_key(batch=True)
                let_in.extend(login.output for _once in range(login.ok))

        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            for backend, one in zip((GOOGLE, OATH, GOOGLE), people, strict=False):
                use(host, backend)
                on(alice, *people)
                login = one.by_password(one.code())
                assert login.ok, login.reason
        finally:
            done.set()
            knocking.join()
        assert let_in == []

    def test_makes_new_recovery_codes_if_renewal_is_allowed(self, host: Host, alice: Person) -> None:
        entry = {**alice.entry, "recovery_codes": "first"}
        on(alice, users=[entry])
        paper = [code["code"] for code in sheet(alice)["recovery_codes"]]
        assert alice.by_key(paper[0]).ok
        for backend in (GOOGLE, OATH):
            use(host, backend)
            refused = run(alice, users=[entry], renew="never")
            assert not refused.ok
            assert f"those on the paper of {alice.name} would no longer be valid" in refused.message
            done = run(alice, users=[entry])
            assert done["to_enrol"] == [alice.name]
            new = [code["code"] for code in sheet(alice)["recovery_codes"]]
            assert not alice.by_key(paper[0]).ok, "a spent code is right again"
            assert not alice.by_key(paper[1]).ok, "a code of a set that is void is right"
            assert alice.by_key(new[0]).ok
            paper = new

    def test_is_refused_until_the_second_device_is_removed(self, host: Host, alice: Person) -> None:
        on(alice, users=[{**alice.entry, "devices": [{"name": "tablet"}]}])
        use(host, GOOGLE)
        other = f"{GOOGLE.directory}/{alice.name}"
        host.run("install", "-d", "-m", "0700", GOOGLE.directory)
        host.write(other, f'{"A" * 32}\n" TOTP_AUTH\n', mode=0o600)
        refused = run(alice)
        assert not refused.ok
        assert f"{other}, which has another secret. Remove that file first, or leave backend at oath" in refused.message
        assert run(alice, backend=OATH.name).ok
        host.run("rm", other)
        refused = run(alice)
        assert not refused.ok
        assert "has further devices (tablet), but pam_google_authenticator has one secret per user" in refused.message
        assert host.exists(f"{OATH.directory}/{alice.name}")
        on(alice, users=[{**alice.entry, "devices": [{"name": "tablet", "state": "absent"}]}])
        ssh.fresh_step()
        assert_on(alice)

    @pytest.mark.parametrize("first", [OATH, GOOGLE], ids=lambda backend: backend.name)
    def test_unconfirmed_move_is_put_back_and_used_codes_stay_used(
        self, host: Host, alice: Person, first: Backend
    ) -> None:
        bob = new_person(host)
        use(host, first)
        on(alice, bob)
        before, credential = host.snapshot(["/etc"]), alice.credential
        use(host, RETURN[first])
        on(alice, bob, rollback_after=25)
        code = alice.code(steps=1)
        assert alice.by_key(code).ok
        await_end(host, 25 + PATIENCE)
        after = host.snapshot(["/etc"])
        assert after.pop(credential)[:3] == (0o600, 0, 0)
        del before[credential]
        assert after == before
        assert_nothing_left(host)
        assert not alice.by_key(code).ok, "a used code is right again"
        assert bob.by_key(bob.code()).ok
        ssh.fresh_step(at_least=29)
        assert_on(alice, steps=1)

    def test_check_mode_announces_the_move_and_does_not_make_it(self, host: Host, alice: Person) -> None:
        on(alice)
        use(host, GOOGLE)
        before = host.snapshot(["/etc"])
        announced = module(host, "twofactor", options(alice, services=[], scope="enrolled"), check=True)
        assert host.snapshot(["/etc"]) == before
        assert announced["changes"] == run(alice)["changes"]

    def test_move_while_two_factor_login_is_off_keeps_used_codes(self, host: Host, alice: Person) -> None:
        on(alice)
        code = alice.code()
        assert alice.by_key(code).ok
        host.run("twofactor-recover")
        assert alice.by_key(batch=True).ok
        use(host, GOOGLE)
        on(alice)
        assert not alice.by_key(code).ok
        assert not host.exists(OATH.directory)


class TestInterval:
    @pytest.mark.parametrize("interval", [5, 45])
    def test_interval_that_pam_oath_lacks_is_that_of_the_codes(self, host: Host, alice: Person, interval: int) -> None:
        use(host, GOOGLE)
        on(alice, interval=interval)
        assert sheet(alice)["interval"] == interval
        at = ssh.fresh_step(interval, at_least=3)
        stale, code = (alice.code(interval=interval, at=at, steps=steps) for steps in (-4, 0))
        assert not alice.by_key(stale).ok
        assert not alice.by_key(alice.code()).ok
        assert alice.by_key(code).ok
        assert not alice.by_password(code).ok

    def test_interval_that_no_backend_supports_is_refused_with_what_each_supports(
        self, host: Host, alice: Person
    ) -> None:
        for backend in (OATH, GOOGLE):
            use(host, backend)
            refused = run(alice, interval=45, otp_digits=8)
            assert not refused.ok
            assert (
                "no backend can do. oath can do 6 to 8 digits for 30 or 60 seconds, google_authenticator can do 6 "
                "digits for 5 to 60 seconds."
            ) in refused.message
        assert backend_of(host) is GOOGLE
        assert "Set backend to oath." in run(alice, otp_digits=8).message


class TestCredential:
    @pytest.fixture
    def carol(self, alice: Person) -> Person:
        use(alice.host, GOOGLE)
        on(alice, interval=5)
        return alice

    def test_damaged_credential_denies_and_is_reported_without_the_secret(self, host: Host, carol: Person) -> None:
        text = host.read(carol.credential).decode()
        for damage, told in (("", "line 1 has no key in base32"), (text[:40], "is not for time-based codes")):
            host.write(carol.credential, damage, 0o600)
            assert not carol.by_key(carol.code(interval=5)).ok
            assert not carol.by_key(batch=True).ok
            refused = run(carol, interval=5)
            assert not refused.ok
            assert f"{carol.credential}, {told}" in refused.message
            assert carol.secret not in refused.output
        host.run("rm", carol.credential)
        assert not carol.by_key(carol.code(interval=5)).ok

    def test_is_not_adjusted_to_a_phone_whose_clock_is_off(self, carol: Person) -> None:
        for _step in range(4):
            ssh.fresh_step(5, at_least=5)
            assert not carol.by_key(carol.code(interval=5, steps=20)).ok
        clock_offset_is_not_recorded(carol)
