# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import struct
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import oath
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import report, survey
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH, except_services
from unit.builders import (
    COMMON_AUTH,
    IN_SYNC,
    KEY,
    NOT_IN_SYNC,
    RANDOM_KEY,
    SECRET,
    file,
    host_state,
    plan,
    settings,
    with_sshd_settings,
)
from unit.simulator import Machine

WANTED = settings("alice", "bob", "carol", ssh=True, services=["sudo"], exempt_users=["ansible"])


@pytest.fixture(scope="module")
def on() -> HostState:
    """A host where the settings are in force."""
    return Machine.booted(host_state()).stages(plan(WANTED, host_state()).changes)[-1].state


def changed(state: HostState, path: str, text: str | None) -> HostState:
    files = {one: now for one, now in state.files.items() if one != path}
    return with_sshd_settings(replace(state, files=files if text is None else {**files, path: file(text)}))


class TestDoors:
    """What a login would find."""

    def test_are_neither_open_nor_denying_on_a_healthy_host(self, on: HostState) -> None:
        for state in (on, host_state()):
            assert report.lets_in(Situation(WANTED, state)) == []
            assert report.denying(Situation(WANTED, state)) == []

    def test_are_open_if_the_block_or_the_drop_in_is_lost(self, on: HostState) -> None:
        for path in (f"{places.PAM_D}/sshd", places.DROP_IN):
            state = changed(on, path, host_state().text(path))
            assert report.lets_in(Situation(WANTED, state)) == ["sshd"]

    def test_are_open_if_another_drop_in_wins(self, on: HostState) -> None:
        state = changed(
            on, f"{places.DROP_IN_DIRECTORY}/00-a.conf", "Match User alice\n    AuthenticationMethods any\n"
        )
        assert report.lets_in(Situation(WANTED, state)) == ["sshd"]

    def test_are_open_if_another_drop_in_wins_from_one_address(self, on: HostState) -> None:
        text = "Match Address 10.0.0.0/8\n    AuthenticationMethods publickey\n"
        state = changed(on, f"{places.DROP_IN_DIRECTORY}/00-a.conf", text)
        assert report.enforced(Situation(WANTED, state))["sshd"] is False
        assert report.lets_in(Situation(WANTED, state)) == ["sshd"]

    def test_are_not_called_open_before_two_factor_login_is_enabled(self, on: HostState) -> None:
        target = replace(WANTED, services=("sudo", "cockpit"))
        assert report.lets_in(Situation(target, on)) == []

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (
                lambda state: replace(state, code_modules={}),
                "pam_oath.so, which /etc/pam.d/twofactor needs, is missing",
            ),
            (lambda state: changed(state, places.SWITCH, None), "/etc/pam.d/twofactor on web1 is gone"),
            (lambda state: changed(state, places.SWITCH, "auth required\n"), "/etc/pam.d/twofactor on web1 is damaged"),
        ],
    )
    def test_are_denying_if_nobody_who_needs_a_code_gets_in(
        self, on: HostState, change: t.Callable[[HostState], HostState], why: str
    ) -> None:
        situation = Situation(WANTED, change(on))
        assert report.denying(situation) == ["sshd", "sudo"]
        assert report.lets_in(situation) == []
        told = survey.would_be_locked_out(situation)
        assert {one["user"] for one in told} == {"alice", "bob", "carol"}
        assert all(f"is denied at sshd and sudo on web1: {why}" in one["message"] for one in told)
        assert any("denied" in one for one in plan(WANTED, situation.state).warnings)


class TestEnforced:
    def test_covers_each_service_that_asks_or_should_ask(self, on: HostState) -> None:
        assert report.enforced(Situation(WANTED, on)) == {"sshd": True, "sudo": True}
        assert report.enforced(Situation(WANTED, host_state())) == {"sshd": False, "sudo": False}
        cockpit = replace(WANTED, ssh=False, services=("cockpit",))
        assert report.enforced(Situation(cockpit, on)) == {"cockpit": False, "sshd": True, "sudo": True}
        assert report.enforced(Situation(settings(services=["gone"]), host_state())) == {}

    @pytest.mark.parametrize("text", [None, "", PASS_THROUGH, "# auth required pam_oath.so\n"])
    def test_is_false_for_every_service_if_the_switch_asks_nobody(self, on: HostState, text: str | None) -> None:
        assert report.enforced(Situation(WANTED, changed(on, places.SWITCH, text))) == {"sshd": False, "sudo": False}

    def test_is_false_for_every_service_if_the_module_is_not_installed(self, on: HostState) -> None:
        assert report.enforced(Situation(WANTED, replace(on, code_modules={}))) == {"sshd": False, "sudo": False}

    def test_is_false_for_a_service_that_lets_people_in_before_the_code(self, on: HostState) -> None:
        first = f"auth [success=done default=ignore] pam_unix.so\n{COMMON_AUTH}"
        state = changed(on, f"{places.PAM_D}/common-auth", first)
        assert report.enforced(Situation(WANTED, state)) == {"sshd": False, "sudo": False}
        assert report.lets_in(Situation(WANTED, state)) == ["sshd", "sudo"]

    @pytest.mark.parametrize(
        "copy", ["sshd.dpkg-old", "sshd.rpmsave", "sshd~", "sudo.bak", ".sshd.swp", "sshd.ucf-dist"]
    )
    def test_ignores_backup_copies_of_service_files(self, on: HostState, copy: str) -> None:
        state = changed(on, f"{places.PAM_D}/{copy}", t.cast(str, on.text(f"{places.PAM_D}/sshd")))
        assert report.enforced(Situation(WANTED, state)) == {"sshd": True, "sudo": True}
        assert plan(WANTED, state).changes == ()
        off = Machine.booted(state).stages(plan(settings(enabled=False), state).changes)[-1].state
        assert off.text(f"{places.PAM_D}/{copy}") == host_state().text(f"{places.PAM_D}/sshd")

    def test_is_false_for_a_service_without_the_block(self, on: HostState) -> None:
        original = host_state().text(f"{places.PAM_D}/sudo")
        assert report.enforced(Situation(WANTED, changed(on, f"{places.PAM_D}/sudo", original))) == {
            "sshd": True,
            "sudo": False,
        }

    @pytest.mark.parametrize("text", [None, "Match User alice\n    PasswordAuthentication no\n"])
    def test_is_false_for_sshd_that_does_not_send_everyone_in_scope_to_pam(
        self, on: HostState, text: str | None
    ) -> None:
        assert report.enforced(Situation(WANTED, changed(on, places.DROP_IN, text))) == {
            "sshd": False,
            "sudo": True,
        }

    def test_is_false_for_sshd_that_does_not_print_its_settings(self, on: HostState) -> None:
        assert report.enforced(Situation(WANTED, replace(on, sshd_error="broken")))["sshd"] is False

    def test_of_sshd_depends_on_the_scope(self, on: HostState) -> None:
        target = replace(WANTED, exempt_users=())
        assert report.enforced(Situation(target, on))["sshd"] is False

    def test_is_false_for_a_service_that_the_switch_lets_pass(self, on: HostState) -> None:
        switch = except_services(t.cast(str, on.text(places.SWITCH)), ["sshd"])
        assert report.enforced(Situation(WANTED, changed(on, places.SWITCH, switch))) == {"sshd": False, "sudo": True}

    @pytest.mark.parametrize(
        ("damage", "line"),
        [
            (lambda text: f"auth sufficient pam_permit.so\n{text}", 1),
            (lambda text: text.replace("[success=9 ", "[success=2 "), 2),
            (lambda text: text.replace("auth [default=die] pam_faillock.so", "# pam_faillock.so"), 10),
        ],
    )
    def test_is_false_if_the_switch_is_damaged_and_may_ask_nobody(
        self, on: HostState, damage: t.Callable[[str], str], line: int
    ) -> None:
        state = changed(on, places.SWITCH, damage(t.cast(str, on.text(places.SWITCH))))
        assert state.asks_for_code
        assert report.enforced(Situation(WANTED, state)) == {"sshd": False, "sudo": False}
        assert plan(WANTED, state).warnings == (
            f"{places.SWITCH} on web1 was damaged (not as it was written, from line {line} on): it is not certain who "
            "was asked for a code.",
        )

    def test_is_false_if_the_switch_has_lost_a_name(self) -> None:
        target = replace(WANTED, scope="enrolled")
        state = Machine.booted(host_state()).stages(plan(target, host_state()).changes)[-1].state
        assert report.enforced(Situation(target, state)) == {"sshd": True, "sudo": True}
        text = t.cast(str, state.text(places.SWITCH)).replace("alice:", "")
        state = changed(state, places.SWITCH, text)
        assert report.enforced(Situation(target, state)) == {"sshd": False, "sudo": False}
        exempt = replace(target, exempt_users=("ansible", "alice"))
        assert report.enforced(Situation(exempt, state)) == {"sshd": True, "sudo": True}


class TestLetOff:
    """The recovery command has exempted an account in front of the switch and in the drop-in."""

    @pytest.fixture
    def recovered(self, on: HostState) -> HostState:
        switch, drop_in = t.cast(str, on.text(places.SWITCH)), t.cast(str, on.text(places.DROP_IN))
        lines = sum(line.startswith("auth ") for line in switch.splitlines())
        rule = f"auth [success={lines} default=ignore] pam_succeed_if.so quiet user = alice\n"
        matched = re.sub(r"(?m)^(Match User \S+)", r"\1,!alice", drop_in)
        return changed(changed(on, places.SWITCH, rule + switch), places.DROP_IN, matched)

    def test_account_is_named_and_the_others_are_still_asked(self, on: HostState, recovered: HostState) -> None:
        told = report.status(Situation(WANTED, recovered))
        assert told["let_off"] == ["alice"]
        assert report.lets_in(Situation(WANTED, recovered)) == []
        assert told["asks"] == ["sshd", "sudo"]
        assert told["enforced"] == {"sshd": False, "sudo": False}
        (warning,) = plan(WANTED, recovered).warnings
        assert warning.startswith(
            "twofactor-recover has let alice off on web1, which has not asked alice for a code since."
        )
        assert plan(WANTED, on).warnings == ()

    def test_excludes_accounts_that_need_no_code(self, recovered: HostState) -> None:
        exempt = replace(WANTED, exempt_users=("ansible", "alice"))
        assert report.status(Situation(exempt, recovered))["let_off"] == []


def user_report(**special: t.Any) -> dict[str, t.Any]:
    """The report on a user with these values; all others are empty."""
    nothing = {"enrolled": False, "proven": False, "in_scope": False, "recovered": False, "locked": False}
    kept = {
        "devices": [],
        "recovery_codes_left": 0,
        "pass_until": None,
        "self_made": None,
        "security_keys": [],
        "security_keys_only": False,
        "key_denied": None,
    }
    return {**nothing, **kept, **special}


class TestUsers:
    def test_are_everyone_who_is_or_should_be_enrolled(self, on: HostState) -> None:
        used = file(f"HOTP/T30 bob - {KEY.hex()} 0 755224 2026-03-01T12:00:00L\n", 0o600)
        credentials = {**on.credentials, "bob": used, "carol": file("", 0o600), "ghost": on.credentials["alice"]}
        target = settings("alice", "zoe", scope="enrolled")
        assert report.users(Situation(target, replace(on, credentials=credentials))) == {
            "alice": user_report(enrolled=True, in_scope=True),
            "bob": user_report(enrolled=True, in_scope=True, proven=True),
            "zoe": user_report(),
        }

    def test_have_devices_and_recovery_codes(self, on: HostState) -> None:
        text = (
            f"# fleet.auth renewal=2\nHOTP/T30 bob - {KEY.hex()}\n"
            f"# fleet.auth device=tablet\nHOTP/T30 bob - {KEY[::-1].hex()} 0 755224 2026-03-01T12:00:00L\n"
            f"# fleet.auth recovery-codes=a\nHOTP/E bob - {KEY[:16].hex()} 6 755224 2026-03-01T12:00:00L\n"
        )
        state = replace(on, credentials={"bob": file(text, 0o600)})
        assert report.users(Situation(settings(), state))["bob"] == user_report(
            enrolled=True, in_scope=True, proven=True, devices=["tablet"], recovery_codes_left=3
        )

    def test_are_locked_after_too_many_wrong_codes(self, on: HostState) -> None:
        tally = b"".join(struct.pack("=52sHHQ", b"x", 0, 1, 1000 - second) for second in range(5))
        for now, locked in ((1000, True), (2000, False)):
            state = replace(on, tallies={"alice": tally}, now=now)
            assert {name: user["locked"] for name, user in report.users(Situation(WANTED, state)).items()} == {
                "alice": locked,
                "bob": False,
                "carol": False,
            }


class TestUnproven:
    def test_are_those_whose_secret_was_made_on_the_host_and_never_used(self, on: HostState) -> None:
        used = file(f"HOTP/T30 bob - {KEY.hex()} 0 755224 2026-03-01T12:00:00L\n", 0o600)
        state = replace(on, credentials={**on.credentials, "bob": used})
        given = {"name": "carol", "secret": SECRET}
        assert report.to_prove(Situation(WANTED, on)) == ["alice", "bob", "carol"]
        assert report.to_prove(Situation(WANTED, state)) == ["alice", "carol"]
        target = settings(users=[{"name": "alice"}, {"name": "bob"}, given])
        assert report.to_prove(Situation(target, state)) == ["alice"]
        target = settings(users=[{"name": "alice", "state": "absent"}, {"name": "zoe"}])
        assert report.to_prove(Situation(target, state)) == []

    def test_are_none_if_two_factor_login_is_off(self, on: HostState) -> None:
        assert report.to_prove(Situation(replace(WANTED, enabled=False), on)) == []


class TestStatus:
    @pytest.mark.parametrize("time_sync", [IN_SYNC, NOT_IN_SYNC, None])
    def test_contains_the_services_the_users_and_the_clock(self, on: HostState, time_sync: t.Any) -> None:
        state = replace(on, time_sync=time_sync)
        status = report.status(Situation(WANTED, state))
        assert status == {
            "enforced": report.enforced(Situation(WANTED, state)),
            "users": report.users(Situation(WANTED, state)),
            "asks": ["sshd", "sudo"],
            "let_off": [],
            "guard": {"mode": "off", "alerts": []},
            "time_sync": time_sync and time_sync._asdict(),
        }
        assert json.loads(json.dumps(status)) == status

    def test_never_contains_a_secret(self, on: HostState) -> None:
        for key in (KEY, RANDOM_KEY):
            assert key.hex() not in json.dumps(report.status(Situation(WANTED, on)))

    def test_names_who_would_be_locked_out_if_sshd_asked(self) -> None:
        target = settings("alice", services=["sudo", "gone"])
        told = survey.would_be_locked_out(Situation(target, host_state(credentials=["bob"])))
        assert {one["user"]: one["services"] for one in told} == {
            "ansible": ["sshd"],
            "alice": ["sshd"],
            "carol": ["sshd"],
        }
        assert told[1]["message"].startswith("alice has no credential and would be locked out of sshd on web1. ")


class TestDiff:
    def test_shows_each_file_once_from_first_to_last_content(self) -> None:
        before = host_state()
        diff = {
            one["before_header"]: (one["before"], one["after"]) for one in report.diff(plan(WANTED, before), before)
        }
        after = Machine.booted(before).stages(plan(WANTED, before).changes)[-1].state
        for path in (places.SWITCH, f"{places.PAM_D}/sudo", places.DROP_IN, places.TMPFILES):
            assert diff[path] == (before.text(path) or "", after.text(path))
        assert diff[oath.DIRECTORY] == ("", "directory, mode 0700\n")
        assert set(diff) == {*after.files} - {*before.files} | {
            f"{places.PAM_D}/sshd",
            f"{places.PAM_D}/sudo",
            *(f"/etc/oath/{name}" for name in ("alice", "bob", "carol")),
        }

    def test_of_disabling_is_reversed(self, on: HostState) -> None:
        off = report.diff(plan(settings(enabled=False, purge_credentials=True), on), on)
        diff = {one["after_header"]: (one["before"], one["after"]) for one in off}
        assert diff[places.SWITCH] == (on.text(places.SWITCH), "")
        assert diff[f"{places.PAM_D}/sudo"][1] == host_state().text(f"{places.PAM_D}/sudo")
        assert diff["/etc/oath/alice"] == ("credential of alice, 30 seconds a code; the key is not shown\n", "")
        assert diff[oath.DIRECTORY] == ("directory, mode 0700\n", "")

    def test_describes_a_credential_without_its_content(self, on: HostState) -> None:
        target = settings(users=[{"name": "alice", "secret": SECRET}], scope="enrolled", interval=60)
        for state in (host_state(), on):
            shown = report.diff(plan(target, state), state)
            (credential,) = (one for one in shown if one["after_header"] == "/etc/oath/alice")
            assert credential["before"] in ("", "credential of alice, 30 seconds a code; the key is not shown\n")
            assert credential["after"].startswith(
                "credential of alice, 60 seconds a code; the key is not shown\nnew secret, "
            )
            for key in (KEY, RANDOM_KEY):
                assert key.hex() not in json.dumps(shown)
            assert SECRET not in json.dumps(shown)

    def test_says_what_is_new_for_a_person(self) -> None:
        def shown(state: HostState, **alice: t.Any) -> list[str]:
            target = settings(users=[{"name": "alice", **alice}], scope="enrolled")
            (one,) = (
                one for one in report.diff(plan(target, state), state) if one["after_header"] == "/etc/oath/alice"
            )
            first, *news = str(one["after"]).splitlines()
            assert one["before"] in ("", f"{first}\n")
            return news

        assert shown(host_state()) == ["new secret, new sheet"]
        enrolled = host_state(credentials=["alice"])
        assert shown(enrolled, renew="lost", recovery_codes="2026", devices=[{"name": "tablet"}]) == [
            "new secret, new sheet: the codes of the old one stop",
            "device tablet added, with a secret and a sheet of its own",
            "10 recovery codes, set 2026, on the sheet",
        ]
        more = settings(
            users=[{"name": "alice", "recovery_codes": "a", "devices": [{"name": "old"}]}], scope="enrolled"
        )
        later = Machine.booted(enrolled).stages(plan(more, enrolled).changes)[-1].state
        assert shown(later, recovery_codes="b", devices=[{"name": "old", "state": "absent"}]) == [
            "device old removed: its codes stop",
            "10 recovery codes, set b, on the sheet: those of the set a stop",
        ]
        assert shown(later, recovery_codes="") == ["recovery codes removed"]
        readable = replace(enrolled, credentials={"alice": replace(enrolled.credentials["alice"], mode=0o644)})
        assert shown(readable) == ["written anew: the codes stay the same"]

    def test_of_a_removed_long_file_shows_only_its_length(self, on: HostState) -> None:
        off = {one["after_header"]: one for one in report.diff(plan(settings(enabled=False), on), on)}
        gone = off[places.RECOVERY_COMMAND]
        lines = t.cast(str, on.text(places.RECOVERY_COMMAND)).count("\n")
        assert (gone["before"], gone["after"]) == (f"a file of fleet.auth, removed ({lines} lines)\n", "")
        assert sum(one["before"].count("\n") for one in off.values()) < 100

    def test_of_a_new_long_file_shows_only_its_length(self) -> None:
        state = host_state()
        found = report.diff(plan(WANTED, state), state)
        new = {one["after_header"]: one["after"] for one in found}
        assert re.fullmatch(r"a file of fleet\.auth, new \(\d+ lines\)\n", new[places.RECOVERY_COMMAND])
        assert "AuthenticationMethods" in new[places.DROP_IN]
        assert "pam_oath.so" in new[places.SWITCH]
        assert sum(text.count("\n") for text in new.values()) < 150

    def test_of_a_changed_long_file_shows_the_difference(self, on: HostState) -> None:
        text = t.cast(str, on.text(places.RECOVERY_COMMAND))
        older = changed(on, places.RECOVERY_COMMAND, f"{text}# older\n")
        (one,) = report.diff(plan(WANTED, older), older)
        assert one["before"].removesuffix("# older\n") == one["after"] == text

    def test_is_empty_if_nothing_changes(self, on: HostState) -> None:
        assert report.diff(plan(WANTED, on), on) == []

    def test_can_be_sent_for_any_bytes_in_a_file(self) -> None:
        path = f"{places.PAM_D}/sudo"
        text = "# \udcff\udce9\n" + t.cast(str, host_state().text(path))
        state = host_state(files={path: text})
        shown = json.dumps(report.diff(plan(WANTED, state), state), ensure_ascii=False)
        assert "# \ufffd\ufffd" in shown.encode().decode()

    def test_agrees_with_the_listed_changes(self, on: HostState) -> None:
        target = replace(WANTED, otp_digits=8)
        assert report.changes(plan(target, on)) == ["write /etc/pam.d/twofactor"]
        assert [one["after_header"] for one in report.diff(plan(target, on), on)] == [places.SWITCH]
