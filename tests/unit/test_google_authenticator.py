# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import subprocess
import typing as t

import pyotp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import (
    RECOVERY_CODES,
    App,
    Clock,
    Credential,
    CredentialError,
)
from ansible_collections.fleet.auth.plugins.module_utils._backends.google_authenticator import (
    adjust,
    code_length,
    pam_line,
    pass_code,
    read,
    recovery_codes,
    revise,
    use_code,
    with_pass,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH, CodeStep, except_services
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, User
from unit import scripts
from unit.builders import KEY, OTHER_KEY, SECRET, texts_of

GOOGLE = "google_authenticator"
OTHER_SECRET = base64.b32encode(OTHER_KEY).decode()
NEW = f'{SECRET}\n" STEP_SIZE 30\n" WINDOW_SIZE 3\n" DISALLOW_REUSE\n" TOTP_AUTH\n'
SWITCH = CodeStep.wanted(Settings(backend=GOOGLE), [], pam_line(Settings(backend=GOOGLE))).render()
UNTIL = "2026-11-25T07:00:00Z"
PASS = pass_code(OTHER_KEY, 6)

intervals = st.integers(5, 60)
histories = st.lists(st.integers(0, 10**9), unique=True, max_size=4)
scratch_codes = st.lists(st.integers(10**7, 10**8 - 1).map(str), unique=True, max_size=5)


def codes(key: bytes, step: int, interval: int = 30) -> str:
    return pyotp.TOTP(base64.b32encode(key).decode(), interval=interval).at(step * interval)


def use(text: str, code: str, at: float = 0) -> str | None:
    return use_code(text, "alice", code, CodeStep.parse(SWITCH), Clock(at, "2026-03-01T12:00:00L"))


def update(text: str | None, key: bytes | None = None, **options: t.Any) -> str:
    """Bring alice's credential to the given options. A key that the host makes is OTHER_KEY."""
    wanted = {name: options.pop(name) for name in ("renew", "recovery_codes") if name in options}
    settings = Settings(backend=GOOGLE, **options)
    return revise(text, User("alice", secret=key, **wanted), settings, lambda _bytes: OTHER_KEY)


class TestCredential:
    def test_of_a_new_user_has_every_option(self) -> None:
        assert update(None, KEY) == NEW
        assert update(None, KEY, interval=45, window=2) == NEW.replace("30", "45").replace("SIZE 3", "SIZE 5")
        assert update(None) == NEW.replace(SECRET, OTHER_SECRET)
        assert update(None, KEY, renew="2026") == NEW.replace("\n", '\n" FLEET_AUTH_RENEWAL 2026\n', 1)

    @given(key=st.binary(min_size=1, max_size=64), interval=intervals, used=histories, codes=scratch_codes)
    def test_is_read_as_it_was_written(self, key: bytes, interval: int, used: list[int], codes: list[str]) -> None:
        secret, steps = base64.b32encode(key).decode().rstrip("="), "".join(f" {step}" for step in used)
        options = f'" STEP_SIZE {interval}\n" DISALLOW_REUSE{steps}\n" TOTP_AUTH\n'
        text = f"{secret}\n{options}" + "".join(code + "\n" for code in codes)
        assert read(text, "alice") == Credential((App("", key, interval, tuple(used)),), recovery_codes_left=len(codes))

    def test_is_read_as_its_own_tool_writes_it(self) -> None:
        text = 'gezd gnbv-gy3t qojq\n" RATE_LIMIT 3 30 1700000000\n" TOTP_AUTH\r\n12345678\n'
        assert read(text, "alice") == Credential((App("", KEY[:10], 30),), recovery_codes_left=1)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "line 1 has no key in base32"),
            ("# a note\n" + NEW, "line 1 has no key in base32"),
            (NEW.replace(SECRET, "A"), "line 1 has no key in base32"),
            (NEW.replace(SECRET, SECRET + "9"), "line 1 has no key in base32"),
            (NEW.replace(SECRET, SECRET + "\N{LATIN SMALL LETTER LONG S}"), "line 1 has no key in base32"),
            (NEW + "\0", "line 6 has a NUL byte"),
            (NEW.replace("E 30", "E 61"), "line 2 has a STEP_SIZE that pam_google_authenticator does not accept"),
            (NEW.replace("E 30", "E"), "line 2 has a STEP_SIZE that pam_google_authenticator does not accept"),
            (NEW.replace("E 3\n", "E 101\n"), "line 3 has a WINDOW_SIZE that pam_google_authenticator does not accept"),
            (
                NEW.replace("REUSE", "REUSE x"),
                "line 4 has a DISALLOW_REUSE that pam_google_authenticator does not accept",
            ),
            (NEW + '" RATE_LIMIT 3\n', "line 6 has a RATE_LIMIT that pam_google_authenticator does not accept"),
            (NEW + '" RATE_LIMIT 3 30 \n', "line 6 has a RATE_LIMIT that pam_google_authenticator does not accept"),
            (NEW + '" RATE_LIMIT 3 30x\n', "line 6 has a RATE_LIMIT that pam_google_authenticator does not accept"),
            (NEW + '" RATE_LIMIT 0 30\n', "line 6 has a RATE_LIMIT that pam_google_authenticator does not accept"),
            (
                NEW.replace("REUSE", "REUSE\t5 x"),
                "line 4 has a DISALLOW_REUSE that pam_google_authenticator does not accept",
            ),
            (NEW.replace('" TOTP_AUTH\n', ""), "is not for time-based codes: no line has TOTP_AUTH"),
            (NEW + '" HOTP_COUNTER 1\n', "line 6 is for codes that are based on a counter (HOTP_COUNTER)"),
            (NEW + '" HOTP_COUNTER\t 7 x\n', "line 6 is for codes that are based on a counter (HOTP_COUNTER)"),
            (SECRET, "is not for time-based codes: no line has TOTP_AUTH"),
        ],
    )
    def test_that_the_module_would_misread_is_refused_with_the_line(self, text: str, problem: str) -> None:
        with pytest.raises(CredentialError) as caught:
            read(text, "alice")
        assert str(caught.value) == problem
        assert SECRET[:8] not in texts_of(caught.value)

    @pytest.mark.parametrize(
        ("text", "key", "used", "codes"),
        [
            (NEW + "# a note\n12345678\n", KEY, (), 0),
            (NEW + "12345678\n1234567\n87654321\n", KEY, (), 1),
            (NEW + "\r\n 012345678\r\n+87654321", KEY, (), 2),
            (NEW + '" HOTP_COUNTER soon\n', KEY, (), 0),
            (NEW + '" HOTP_COUNTER -1\n', KEY, (), 0),
            (NEW.replace("REUSE", "REUSE\t-1 +7  "), KEY, (7,), 0),
            (NEW.replace("E 30", "E 30 seconds").replace("GEZD", "ge-z d\t"), KEY, (), 0),
            (NEW.replace(SECRET, "0189".replace("9", "A")), b"\x72\xc2", (), 0),
            ('GEZDGNBV\n" MINE " TOTP_AUTHENTIC', KEY[:5], (), 0),
        ],
    )
    def test_is_read_as_the_module_reads_it(self, text: str, key: bytes, used: tuple[int, ...], codes: int) -> None:
        assert read(text, "alice") == Credential((App("", key, 30, used),), recovery_codes_left=codes)

    def test_has_codes_in_places_where_the_module_finds_them(self) -> None:
        given = with_pass(NEW + "12345678\n# a note\n87654321\n", "alice", OTHER_KEY, UNTIL)
        assert given.endswith(f"12345678\n{PASS}\n# a note\n87654321\n")
        assert use(given, PASS)
        assert use(NEW + "+12345678\n", "12345678") == NEW

    @given(st.text())
    def test_is_read_or_refused_for_any_text(self, text: str) -> None:
        try:
            assert read(text, "alice").phone
        except CredentialError as error:
            assert str(error)  # noqa: PT017

    @pytest.mark.parametrize("length", range(len(NEW) - 1))
    def test_that_is_cut_short_anywhere_is_refused(self, length: int) -> None:
        with pytest.raises(CredentialError):
            read(NEW[:length], "alice")


class TestRevision:
    @pytest.mark.parametrize("end", ["", "\n", "12345678\n"])
    def test_leaves_a_correct_credential_unchanged(self, end: str) -> None:
        text = f'{SECRET.lower()}\n" RATE_LIMIT 3 30\n" DISALLOW_REUSE 7\n" MINE\n" TOTP_AUTH\r{end}'
        for key in (None, KEY):
            assert update(text, key) == text
        assert adjust(text, Settings(backend=GOOGLE)) == text

    def test_forgets_the_history_only_with_a_replaced_key(self) -> None:
        used = use(NEW, codes(KEY, 100), at=3000) or ""
        assert '" DISALLOW_REUSE 100\n' in used
        assert update(used, OTHER_KEY) == NEW.replace(SECRET, OTHER_SECRET)
        assert update(used, interval=45, window=0) == used.replace("E 30", "E 45").replace("SIZE 3", "SIZE 1")

    def test_renews_once_per_name(self) -> None:
        used = use(NEW, codes(KEY, 100), at=3000) or ""
        once = update(used, renew="lost")
        assert once == NEW.replace(f"{SECRET}\n", f'{OTHER_SECRET}\n" FLEET_AUTH_RENEWAL lost\n')
        again = use(once, codes(OTHER_KEY, 100), at=3000) or ""
        for wanted in ({"renew": "lost"}, {}):
            assert update(again, **wanted) == again
        assert "RENEWAL again" in update(again, renew="again")
        assert update(used, KEY, renew="lost").startswith(f'{SECRET}\n" FLEET_AUTH_RENEWAL lost\n')
        assert '" DISALLOW_REUSE 100\n' in update(used, KEY, renew="lost")

    def test_forbids_reuse_of_codes_and_clock_adjustment(self) -> None:
        text = f'{SECRET}\n" TIME_SKEW 4\n" RESETTING_TIME_SKEW 1+4 2+4\n" TOTP_AUTH\n'
        assert adjust(text, Settings(backend=GOOGLE, window=0)) == (
            f'{SECRET}\n" DISALLOW_REUSE\n" WINDOW_SIZE 1\n" TOTP_AUTH\n'
        )

    @given(codes=scratch_codes, window=st.integers(0, 10), interval=intervals)
    def test_is_idempotent(self, codes: list[str], window: int, interval: int) -> None:
        text = update(NEW + "".join(f"{code}\n" for code in codes), window=window, interval=interval)
        assert update(text, window=window, interval=interval) == text
        assert read(text, "alice").recovery_codes_left == len(codes)


class TestRecoveryCodes:
    def test_are_made_once_per_name_and_removed_with_an_empty_name(self) -> None:
        first = update(NEW, recovery_codes="first")
        assert read(first, "alice").recovery_set == "first"
        paper = [code for _number, code in recovery_codes(first, "alice", 6)]
        assert len(set(paper)) == RECOVERY_CODES
        used = use(first, paper[3]) or ""
        for wanted in ({"recovery_codes": "first"}, {}):
            assert update(used, **wanted) == used
        assert read(update(used, recovery_codes="second"), "alice").recovery_codes_left == RECOVERY_CODES
        assert update(used, recovery_codes="") == NEW

    def test_are_right_once_each_in_any_order(self) -> None:
        text = update(NEW, recovery_codes="first")
        for left, (_number, code) in enumerate(reversed(recovery_codes(text, "alice", 6)), start=1):
            text = use(text, code) or ""
            assert read(text, "alice").recovery_codes_left == RECOVERY_CODES - left
            assert use(text, code) is None
        assert not read(text, "alice").proven

    def test_written_by_hand_are_replaced_and_removed(self) -> None:
        assert update(NEW + "12345678\n", recovery_codes="") == NEW
        assert "12345678" not in update(NEW + "12345678\n", recovery_codes="first")


class TestPass:
    def test_is_right_once_next_to_recovery_codes(self) -> None:
        before = update(NEW, recovery_codes="first")
        text = with_pass(before, "alice", OTHER_KEY + b"x", UNTIL)
        code = pass_code(OTHER_KEY + b"x", 6)
        assert (read(text, "alice").pass_until, read(text, "alice").recovery_codes_left) == (UNTIL, RECOVERY_CODES)
        assert code not in [one for _number, one in recovery_codes(text, "alice", 6)]
        used = use(text, code) or ""
        assert (read(used, "alice").pass_until, read(used, "alice").recovery_codes_left) == (None, RECOVERY_CODES)
        assert read(update(text, recovery_codes=""), "alice").pass_until == UNTIL

    def test_replaces_the_last_one(self) -> None:
        text = with_pass(with_pass(NEW, "alice", OTHER_KEY, UNTIL), "alice", KEY, UNTIL)
        assert use(text, PASS) is None
        assert use(text, pass_code(KEY, 6))

    @pytest.mark.parametrize("end", ["", "\n12345678\n"])
    @pytest.mark.parametrize(
        ("now", "used", "stays"),
        [
            ("2026-11-25T06:59:59Z", False, True),
            ("2026-11-25T07:00:00Z", False, False),
            ("2026-11-25T06:59:59Z", True, False),
        ],
    )
    def test_ends_on_the_host_when_used_or_expired(
        self, tmp_path_factory: pytest.TempPathFactory, end: str, now: str, used: bool, stays: bool
    ) -> None:
        before = NEW.rstrip("\n") + end
        text = with_pass(before, "alice", OTHER_KEY, UNTIL)
        if used:
            text = use(text, PASS) or ""
        path = tmp_path_factory.mktemp("pass") / "alice"
        path.write_text(text)
        function = scripts.functions(scripts.script("end-passes"))["without_ended"]
        words = ["/bin/sh", "-euc", f"now={now}\n{function}\nwithout_ended google_authenticator {path}"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.rstrip("\n") == (text if stays else before).rstrip("\n")


class TestUseOfACode:
    """Codes accepted here were also accepted by pam_google_authenticator 20191231; all others were refused by both."""

    @given(
        key=st.binary(min_size=16, max_size=32),
        now=st.integers(30, 10**8),
        interval=intervals,
        window=st.integers(0, 10),
        offsets=st.lists(st.integers(-12, 12), min_size=1, max_size=5),
    )
    def test_is_right_within_the_window_unless_it_was_used(
        self, key: bytes, now: int, interval: int, window: int, offsets: list[int]
    ) -> None:
        valid = [codes(key, now + offset, interval) for offset in range(-12, 13)]
        assume(len(set(valid)) == len(valid))
        text, used = update(None, key, interval=interval, window=window), set[int]()
        for offset in offsets:
            after = use(text, codes(key, now + offset, interval), at=now * interval)
            assert (after is not None) == (abs(offset) <= window and offset not in used)
            if after is not None:
                text = after
                used.add(offset)
                assert read(text, "alice").proven

    def test_forgets_steps_that_can_no_longer_be_right(self) -> None:
        text = NEW.replace("REUSE", "REUSE 96 97 99")
        assert '" DISALLOW_REUSE 99 100\n' in (use(text, codes(KEY, 100), at=3000) or "")

    @pytest.mark.parametrize("code", ["", "75522", "7552244", "75522x", "٧٥٥٢٢٤", "755 24", "-55224", SECRET])
    def test_of_a_wrong_form_is_refused(self, code: str) -> None:
        assert use(NEW, code) is None


class TestLine:
    def test_names_a_file_per_user_owned_by_root_and_adjusts_no_clock(self) -> None:
        assert pam_line(Settings()) == (
            "pam_google_authenticator.so [authtok_prompt=One-time password (TOTP): ] "
            "secret=/etc/google-authenticator/${USER} user=root noskewadj"
        )

    @pytest.mark.parametrize(
        ("text", "length"), [(SWITCH, 6), (except_services(SWITCH, ["sshd"]), 6), (PASS_THROUGH, None), ("", None)]
    )
    def test_gives_the_length_of_codes(self, text: str, length: int | None) -> None:
        assert code_length(CodeStep.parse(text)) == length


@pytest.mark.parametrize(("text", "used"), [(NEW, False), (use(NEW, codes(KEY, 0)) or "", True)])
def test_pattern_matches_a_credential_that_was_used_for_a_login(text: str, used: bool) -> None:
    pattern = scripts.assigned(scripts.script("undo"), "used")
    assert (subprocess.run(["grep", "-qE", pattern], input=text, text=True, check=False).returncode == 0) == used
