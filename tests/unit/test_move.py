# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host moves from one backend to the other: secrets stay, used codes stay used, and what cannot move is reported."""

from __future__ import annotations

import subprocess
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends import (
    backends,
    google_authenticator,
    oath,
    usersfile,
)
from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import Clock
from ansible_collections.fleet.auth.plugins.module_utils._backends.hotp import hotp
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import Plan
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, User
from unit import scripts
from unit.builders import ACCOUNTS, KEY, OTHER_KEY, SECRET, account, credential, file, host_state, plan, settings
from unit.simulator import carried_out

GOOGLE, OATH = "google_authenticator", "oath"
NOW = 30 * 1000.0
CLOCK = Clock(NOW, "2026-03-01T12:00:00L")
SWITCHES = {
    name: CodeStep.parse(f"auth required {backend.pam_line(Settings(backend=name, window=10))}")
    for name, backend in backends.BACKENDS.items()
}
PHONE = f"HOTP/T30 alice - {KEY.hex()}\n"


def wanted(backend: str, *names: str, **changes: t.Any) -> Settings:
    return settings(*names, **{"backend": backend, "ssh": True, "exempt_users": ["ansible"], **changes})


def refused(target: Settings, state: HostState) -> tuple[str, ...]:
    return plan(target, state).refusals


def on(text: str = PHONE, **changes: t.Any) -> HostState:
    """A host that asks with pam_oath, on which alice has this credential."""
    state = host_state(credentials={**{n: credential(n) for n in ("bob", "carol")}, "alice": file(text, 0o600)})
    return carried_out(wanted(OATH, **changes), replace(state, now=NOW))


def moved(text: str, source: str, target: str, **options: t.Any) -> str:
    """alice's credential in the other backend. A key that the host makes is OTHER_KEY."""
    made = Settings(backend=target, users=(User("alice"),), **options)
    return backends.revised(made, "alice", text, source, NOW, lambda length: OTHER_KEY[:length])


class TestMove:
    def test_changes_the_switch_between_the_new_credentials_and_the_end_of_the_old_ones(self) -> None:
        made = plan(wanted(GOOGLE, "alice"), on())
        names = ("alice", "bob", "carol")
        assert report.changes(made) == [
            "make /etc/google-authenticator",
            *(f"write /etc/google-authenticator/{name}" for name in names),
            "write /etc/pam.d/twofactor",
            *(f"remove /etc/oath/{name}" for name in names),
            "remove /etc/oath",
        ]
        assert made.to_enrol == ()
        assert report.diff(made, on())[1]["after"] == ("credential of alice, 30 seconds a code; the key is not shown\n")

    def test_there_and_back_restores_everything(self) -> None:
        there = carried_out(wanted(GOOGLE), on())
        assert plan(wanted(GOOGLE), there) == Plan()
        assert carried_out(wanted(OATH), there) == on()

    def test_leaves_files_that_are_no_credentials(self) -> None:
        state = on()
        state = replace(state, credentials={**state.credentials, "users.oath": file("HOTP/T30 zoe - 00\n")})
        made = plan(wanted(GOOGLE), state)
        assert not made.refusals
        assert "remove /etc/oath" not in report.changes(made)
        assert "remove /etc/oath/users.oath" not in report.changes(made)

    def test_while_disabled_happens_when_enabled_again(self) -> None:
        off = carried_out(settings(enabled=False), on())
        assert off.backend == OATH
        after = carried_out(wanted(GOOGLE), off)
        assert (after.backend, set(after.credentials), after.other_credentials) == (
            GOOGLE,
            {"alice", "bob", "carol"},
            {},
        )

    def test_interrupted_by_a_recovery_is_cleaned_up(self) -> None:
        there = carried_out(wanted(GOOGLE), on())
        halfway = replace(there, other_credentials={OATH: on().credentials})
        assert report.changes(plan(wanted(GOOGLE), halfway)) == [
            *(f"remove /etc/oath/{name}" for name in ("alice", "bob", "carol"))
        ]
        purged = plan(settings(enabled=False, purge_credentials=True), halfway)
        assert {"remove /etc/oath/alice", "remove /etc/google-authenticator/alice"} <= {*report.changes(purged)}

    @pytest.mark.parametrize("text", [PHONE.replace(KEY.hex(), OTHER_KEY.hex()), "mine\n"])
    def test_leaves_foreign_files_in_the_directory_of_another_backend(self, text: str) -> None:
        there = carried_out(wanted(GOOGLE), on())
        others = {OATH: {"alice": file(text, 0o600)}}
        beside = replace(there, other_credentials=others)
        assert plan(wanted(GOOGLE), beside) == Plan()
        absent = wanted(GOOGLE, users=[{"name": "alice", "state": "absent"}], scope="enrolled")
        assert carried_out(absent, beside).other_credentials == others
        purged = plan(settings(enabled=False, purge_credentials=True), beside)
        assert not any(change.startswith("remove /etc/oath") for change in report.changes(purged))

    @pytest.mark.parametrize("text", [moved(PHONE.replace(KEY.hex(), OTHER_KEY.hex()), OATH, GOOGLE), "mine\n"])
    def test_onto_foreign_files_is_refused(self, text: str) -> None:
        beside = replace(on(), other_credentials={GOOGLE: {"alice": file(text, 0o600)}})
        assert refused(wanted(GOOGLE), beside) == (
            "the credential of alice on web1, /etc/oath/alice, would replace "
            "/etc/google-authenticator/alice, which has another secret. Remove that file first, or leave backend at "
            "oath.",
        )
        same = replace(on(), other_credentials={GOOGLE: {"alice": file(moved(PHONE, OATH, GOOGLE), 0o600)}})
        assert not refused(wanted(GOOGLE), same)

    def test_does_not_move_removed_users(self) -> None:
        target = wanted(GOOGLE, users=[{"name": "bob", "state": "absent"}], scope="enrolled")
        after = carried_out(target, on(scope="enrolled"))
        assert (set(after.credentials), after.other_credentials) == ({"alice", "carol"}, {})

    def test_keeps_proof(self) -> None:
        used = oath.use_code(PHONE, "alice", hotp(KEY, 1000, 6), SWITCHES[OATH], CLOCK) or ""
        assert google_authenticator.read(moved(used, OATH, GOOGLE), "alice").proven
        assert not google_authenticator.read(moved(PHONE, OATH, GOOGLE), "alice").proven
        long_ago = PHONE.replace("\n", f" 0 {hotp(KEY, 5, 6)} 1970-01-01T00:02:30L\n")
        assert google_authenticator.read(moved(long_ago, OATH, GOOGLE), "alice").proven
        assert oath.read(moved(moved(long_ago, OATH, GOOGLE), GOOGLE, OATH), "alice").proven


class TestCode:
    @pytest.mark.parametrize(("source", "target"), [(OATH, GOOGLE), (GOOGLE, OATH)])
    @given(window=st.integers(0, 10), offset=st.integers(-10, 10), later=st.integers(0, 40))
    def test_used_code_stays_used(self, source: str, target: str, window: int, offset: int, later: int) -> None:
        key, text = KEY, PHONE if source == OATH else moved(PHONE, OATH, GOOGLE, window=10)
        code = hotp(key, 1000 + offset, 6)
        used = backends.BACKENDS[source].use_code(text, "alice", code, SWITCHES[source], CLOCK)
        assert used
        after = moved(used, source, target, window=window)
        now = Clock(NOW + 30 * later, CLOCK.local)
        line = backends.BACKENDS[target].pam_line(Settings(backend=target, window=window))
        step = CodeStep.parse(f"auth required {line}")
        assert backends.BACKENDS[target].use_code(after, "alice", code, step, now) is None

    def test_codes_before_the_last_one_of_pam_oath_stay_used(self) -> None:
        text = PHONE
        for step in (999, 1001):
            text = oath.use_code(text, "alice", hotp(KEY, step, 6), SWITCHES[OATH], CLOCK) or ""
        after = moved(text, OATH, GOOGLE)
        for step in (999, 1000, 1001):
            code = hotp(KEY, step, 6)
            assert google_authenticator.use_code(after, "alice", code, SWITCHES[GOOGLE], CLOCK) is None


@pytest.fixture
def shell(tmp_path: Path) -> t.Callable[..., str]:
    """Run a line of shell with the functions that undo a move; $1 is a file with this text."""
    functions = "".join(scripts.functions(scripts.script("undo")).values())

    def run(line: str, text: str = "") -> str:
        path = tmp_path / "credential"
        path.write_text(text)
        words = ["/bin/sh", "-euc", f"{functions}\n{line}", "sh", str(path)]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    return run


class TestUndo:
    """Codes used after a move stay used when it is undone."""

    @pytest.mark.parametrize("key", [KEY, b"k", bytes(range(32)), b"%n$(id)\\'\"`"])
    @pytest.mark.parametrize("step", [0, 1, 58_000_000, 2**40])
    def test_computes_the_code_of_a_step_in_a_shell(self, shell: t.Callable[..., str], key: bytes, step: int) -> None:
        assert shell(f"hotp {key.hex()} {step}") == hotp(key, step, 6)

    def test_marks_codes_accepted_by_pam_google_authenticator_as_used_for_pam_oath(
        self, shell: t.Callable[..., str]
    ) -> None:
        there = moved(PHONE, OATH, GOOGLE)
        for step in (1001, 1000):
            there = google_authenticator.use_code(there, "alice", hotp(KEY, step, 6), SWITCHES[GOOGLE], CLOCK) or ""
        last = shell('last_step_google_authenticator "$1"', there)
        assert last == "1001\n"
        before = TestRefusal.TABLET.replace("alice - ", "alice 1234 ")
        back = shell(f'keep_used_oath "$1" {last}', before)
        assert usersfile.tokens_of(back, "alice")[1] == usersfile.tokens_of(before, "alice")[1]
        for step in (999, 1000, 1001):
            assert oath.use_code(back, "alice", hotp(KEY, step, 6), SWITCHES[OATH], CLOCK) is None
        assert oath.use_code(back, "alice", hotp(KEY, 1002, 6), SWITCHES[OATH], CLOCK)

    def test_changes_nothing_if_only_a_scratch_code_was_used(self, shell: t.Callable[..., str]) -> None:
        last = shell('last_step_google_authenticator "$1"', moved(PHONE, OATH, GOOGLE))
        assert shell(f'keep_used oath "$1" {last}', PHONE) == PHONE

    @pytest.mark.parametrize("window", [0, 1, 10])
    def test_marks_all_current_codes_as_used_for_pam_google_authenticator(
        self, shell: t.Callable[..., str], window: int
    ) -> None:
        before = moved(PHONE, OATH, GOOGLE, window=window)
        back = shell('keep_used google_authenticator "$1" ""', before)
        now = int(time.time())
        for step in range(now // 30 - window, now // 30 + window + 1):
            right = hotp(KEY, step, 6)
            clock = Clock(float(now), CLOCK.local)
            assert google_authenticator.use_code(before, "alice", right, SWITCHES[GOOGLE], clock)
            assert google_authenticator.use_code(back, "alice", right, SWITCHES[GOOGLE], clock) is None
        assert back.replace(back.split("DISALLOW_REUSE")[1].split("\n")[0], "") == before


class TestRecoveryCodes:
    TEXT = PHONE + f"# fleet.auth recovery-codes=first\nHOTP/E alice - {OTHER_KEY.hex()}\n"

    def test_are_made_again_under_their_name(self) -> None:
        there = moved(self.TEXT, OATH, GOOGLE)
        assert google_authenticator.read(there, "alice").recovery_set == "first"
        for number in range(10):
            assert google_authenticator.use_code(there, "alice", hotp(OTHER_KEY, number, 6), CodeStep(), CLOCK) is None
        back = moved(there, GOOGLE, OATH)
        assert oath.read(back, "alice").recovery_set == "first"
        for _number, code in google_authenticator.recovery_codes(there, "alice", 6):
            assert oath.use_code(back, "alice", code, SWITCHES[OATH], CLOCK) is None

    def test_become_invalid_only_on_request(self) -> None:
        assert refused(wanted(GOOGLE, renew="never"), on(self.TEXT)) == (
            "the google_authenticator backend would make new recovery codes on web1, and those on the paper of alice "
            "would no longer be valid. Set renew to changed to go on, and hand out their new enrolment sheets.",
        )
        assert plan(wanted(GOOGLE), on(self.TEXT)).to_enrol == ("alice",)
        there = carried_out(wanted(GOOGLE), on(self.TEXT))
        assert plan(wanted(OATH), there).to_enrol == ("alice",)


class TestRefusal:
    TABLET = PHONE + f"# fleet.auth device=tablet\nHOTP/T30 alice - {OTHER_KEY.hex()}\n"

    def test_of_a_second_device_says_how_to_go_on(self) -> None:
        assert refused(wanted(GOOGLE), on(self.TABLET)) == (
            "the credential of alice on web1, /etc/oath/alice, has further devices (tablet), but "
            "pam_google_authenticator has one secret per user. Remove them with devices: [{name: tablet, state: "
            "absent}] of alice in users, or leave backend at oath.",
        )
        without = wanted(GOOGLE, users=[{"name": "alice", "devices": [{"name": "tablet", "state": "absent"}]}])
        assert google_authenticator.read(
            carried_out(without, on(self.TABLET)).credentials["alice"].content, "alice"
        ).apps == (oath.read(PHONE, "alice").apps)
        assert not refused(wanted(OATH), on(self.TABLET))

    def test_of_devices_without_a_name_says_whose_lines_to_remove(self) -> None:
        text = f"{PHONE}HOTP/T30 alice - {OTHER_KEY.hex()}\nHOTP/E alice - {'63' * 20}\n"
        (told,) = refused(wanted(GOOGLE), on(text))
        assert "has further devices (2 without a name), but" in told
        assert told.endswith("Remove the lines of those without a name from the file, or leave backend at oath.")
        assert not refused(wanted(GOOGLE), on(PHONE))

    def test_of_paper_alone_says_what_is_missing(self) -> None:
        paper = f"# fleet.auth recovery-codes=first\nHOTP/E alice - {OTHER_KEY.hex()}\n"
        (told,) = refused(wanted(GOOGLE), on(paper))
        assert "has recovery codes and no device, but pam_google_authenticator" in told
        assert "Remove the file, or leave backend at oath." in told
        removed = {name: one for name, one in on().credentials.items() if name != "alice"}
        assert not refused(wanted(GOOGLE, "alice"), replace(on(), credentials=removed))

    def test_of_another_interval_or_length_names_those_whose_apps_show_other_codes(self) -> None:
        (told,) = refused(wanted(GOOGLE, "alice", interval=45, renew="never"), on())
        assert "the apps of alice show other ones" in told
        (told,) = refused(wanted(GOOGLE, renew="never"), on(otp_digits=8))
        assert "the apps of alice, bob and carol show other ones" in told

    def test_of_an_interval_unknown_to_pam_oath_names_users_without_settings(self) -> None:
        there = carried_out(wanted(GOOGLE, "alice", interval=45), on())
        assert refused(wanted(OATH), there) == (
            "the credential of alice on web1, /etc/google-authenticator/alice, has codes for 45 seconds, but pam_oath "
            "can do only 30 and 60. Name alice in users, so that the interval applies, and set renew to changed, or "
            "leave backend at google_authenticator.",
        )
        assert plan(wanted(OATH, "alice", renew="changed"), there).to_enrol == ("alice",)
        assert carried_out(wanted(OATH, "alice", renew="changed"), there).credentials["alice"].content == PHONE

    def test_of_a_key_that_is_too_long_for_pam_oath(self) -> None:
        state = carried_out(wanted(GOOGLE), on())
        long = google_authenticator.revise(None, User("alice"), Settings(backend=GOOGLE), lambda _n: b"k" * 33)
        (told,) = refused(wanted(OATH), replace(state, credentials={**state.credentials, "alice": file(long, 0o400)}))
        assert "has a key of 33 bytes, but pam_oath reads only 32. Give alice a new one with renew: NAME in" in told
        state = replace(state, credentials={**state.credentials, "alice": file(long, 0o400)})
        for renewed in ({"renew": "2026"}, {"secret": SECRET}):
            after = carried_out(wanted(OATH, users=[{"name": "alice", **renewed}]), state)
            assert plan(wanted(OATH, users=[{"name": "alice", **renewed}]), after) == Plan()

    def test_to_overwrite_another_secret_ends_once_that_file_is_removed(self) -> None:
        beside = replace(on(), other_credentials={GOOGLE: {"alice": file("mine\n", 0o600)}})
        assert refused(wanted(GOOGLE), beside)
        assert not refused(wanted(GOOGLE), replace(beside, other_credentials={}))


class TestPass:
    def given(self, until: str) -> HostState:
        return on(oath.with_pass(PHONE, "alice", OTHER_KEY, until))

    def test_ended_by_a_move_is_warned_about(self) -> None:
        told = "the pass of alice on web1, which is valid until 2026-11-25T07:00:00Z, ends"
        (warning,) = plan(wanted(GOOGLE), self.given("2026-11-25T07:00:00Z")).warnings
        assert warning.startswith(told)
        assert not plan(wanted(OATH), self.given("2026-11-25T07:00:00Z")).warnings
        absent = wanted(GOOGLE, scope="enrolled", users=[{"name": "alice", "state": "absent"}])
        assert not plan(absent, self.given("2026-11-25T07:00:00Z")).warnings

    def test_of_many_users_is_one_sentence(self) -> None:
        names = [f"u{number:03}" for number in range(300)]
        until = "2026-11-25T07:00:00Z"
        given = {n: file(oath.with_pass(PHONE.replace("alice", n), n, OTHER_KEY, until), 0o600) for n in names}
        state = host_state(ACCOUNTS[0], *map(account, names), credentials=given)
        made = plan(wanted(GOOGLE, scope="enrolled", users=[]), state)
        (warning,) = made.warnings
        first = ", ".join(f"{name} (until {until})" for name in names[:10])
        assert warning == (
            f"the passes of {first} and 290 more on web1 end with the move to google_authenticator. Give each another "
            "one afterwards, with fleet.auth.pass."
        )
        assert report.all_users(made.warnings) == [{"message": warning, "users": names}]


class TestAllCredentials:
    def test_get_a_changed_window(self) -> None:
        there = carried_out(wanted(GOOGLE), on())
        made = plan(wanted(GOOGLE, "bob", window=2), there)
        assert report.changes(made) == [f"write /etc/google-authenticator/{n}" for n in ("bob", "alice", "carol")]
        after = carried_out(wanted(GOOGLE, "bob", window=2), there)
        assert all('" WINDOW_SIZE 5\n' in one.content for one in after.credentials.values())

    @pytest.mark.parametrize("mode", [0o400, 0o600])
    def test_may_have_the_modes_that_a_login_leaves(self, mode: int) -> None:
        there = carried_out(wanted(GOOGLE), on())
        state = replace(there, credentials={n: replace(one, mode=mode) for n, one in there.credentials.items()})
        assert plan(wanted(GOOGLE, "alice", "bob", "carol"), state) == Plan()
        wide = replace(
            state, credentials={**state.credentials, "alice": replace(state.credentials["alice"], mode=0o640)}
        )
        assert report.changes(plan(wanted(GOOGLE, "alice"), wide)) == ["write /etc/google-authenticator/alice"]
