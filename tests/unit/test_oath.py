# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t
from dataclasses import replace

import pyotp
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import (
    RECOVERY_CODES,
    Clock,
    CredentialError,
)
from ansible_collections.fleet.auth.plugins.module_utils._backends.hotp import hotp
from ansible_collections.fleet.auth.plugins.module_utils._backends.oath import (
    CodeRules,
    code_rules,
    pam_line,
    read,
    revise,
    use_code,
)
from ansible_collections.fleet.auth.plugins.module_utils._backends.usersfile import Token, tokens_of
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH, CodeStep, except_services
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Device, Settings, User
from unit.builders import KEY, OTHER_KEY, RFC_4226_CODES, new_credential, settings, texts_of

HEX = KEY.hex()
LOCAL = "2026-03-01T12:00:00L"
NO_TIME = "a time of the last code that is not like 2026-01-31T12:00:00L"
USED = f"0 755224 {LOCAL}"

keys = st.binary(min_size=16, max_size=32)
intervals = st.sampled_from([30, 60])
histories = st.one_of(
    st.just((0, None, None)),
    st.tuples(st.integers(0, 9999), st.from_regex(r"[0-9]{6,8}", fullmatch=True), st.just(LOCAL)),
)


@st.composite
def tokens(draw: st.DrawFn, time_based: bool | None = None) -> Token:
    based = draw(st.booleans()) if time_based is None else time_based
    counter, last_code, last_used = draw(histories)
    return Token(
        user="alice",
        key=draw(st.binary(min_size=1, max_size=32)),
        interval=draw(intervals) if based else None,
        digits=draw(st.sampled_from([None, 6, 7, 8])),
        pin=draw(st.sampled_from(["-", "+", "1234"])),
        counter=counter,
        last_code=last_code,
        last_used=last_used,
    )


lines_without_token = st.sampled_from(["", "  ", "\t", "# HOTP/T30 alice - 00", "#", "# \x0b a note \x0c"])


@st.composite
def written(draw: st.DrawFn, token: Token) -> str:
    """The line as somebody else may have written it."""
    blank = draw(st.sampled_from([" ", "\t", "  "]))
    end = draw(st.sampled_from(["", " ", "\r"]))
    return token.render().replace(" ", blank) + end


def codes(key: bytes, step: int, digits: int = 6, interval: int = 30) -> str:
    return pyotp.TOTP(base64.b32encode(key).decode(), digits=digits, interval=interval).at(step * interval)


def use(text: str, code: str, *, window: int = 1, digits: int = 6, at: float = 0) -> str | None:
    line = pam_line(Settings(window=window, otp_digits=digits))
    return use_code(text, "alice", code, CodeStep.parse(f"auth required {line}"), Clock(at, LOCAL))


def update(text: str | None, key: bytes | None = None, interval: int = 30, **wanted: t.Any) -> str:
    """Bring alice's credential to the given options. A key that the host makes is OTHER_KEY."""
    return revise(text, User("alice", secret=key, **wanted), Settings(interval=interval), lambda _bytes: OTHER_KEY)


class TestCode:
    @pytest.mark.parametrize(
        ("counter", "expected"),
        list(enumerate(RFC_4226_CODES)),
    )
    def test_is_that_of_rfc_4226_appendix_d(self, counter: int, expected: str) -> None:
        assert hotp(KEY, counter, 6) == expected

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            (59, "94287082"),
            (1111111109, "07081804"),
            (1111111111, "14050471"),
            (1234567890, "89005924"),
            (2000000000, "69279037"),
            (20000000000, "65353130"),
        ],
    )
    def test_is_that_of_rfc_6238_appendix_b(self, seconds: int, expected: str) -> None:
        assert hotp(KEY, seconds // 30, 8) == expected

    @given(key=keys, counter=st.integers(0, 2**63), digits=st.integers(6, 8))
    def test_is_that_of_pyotp(self, key: bytes, counter: int, digits: int) -> None:
        assert hotp(key, counter, digits) == pyotp.HOTP(base64.b32encode(key).decode(), digits=digits).at(counter)


class TestCredential:
    def test_of_a_new_user_is_one_time_based_token_without_history(self) -> None:
        assert new_credential("alice", KEY, 60) == f"HOTP/T60 alice - {HEX}\n"

    @given(st.lists(tokens(), min_size=1, max_size=4))
    def test_survives_rendering_and_parsing(self, made: list[Token]) -> None:
        text = "".join(token.render() + "\n" for token in made)
        assert tokens_of(text, "alice") == tuple(made)

    @given(data=st.data(), made=st.lists(tokens(), min_size=1, max_size=3))
    def test_is_read_with_any_spacing(self, data: st.DataObject, made: list[Token]) -> None:
        draw = data.draw
        lines = [line for token in made for line in (draw(lines_without_token), draw(written(token)))]
        assert tokens_of("\n".join(lines), "alice") == tuple(made)

    @pytest.mark.parametrize(
        ("kind", "interval", "digits"),
        [
            *[("HOTP", None, None), ("HOTP/E", None, None), ("HOTP/E/6", None, 6), ("HOTP/E/8", None, 8)],
            *[("HOTP/T30", 30, None), ("HOTP/T30/7", 30, 7), ("HOTP/T60", 60, None), ("HOTP/T60/6", 60, 6)],
        ],
    )
    def test_may_have_any_type_that_pam_oath_knows(self, kind: str, interval: int | None, digits: int | None) -> None:
        assert tokens_of(f"{kind} alice - {HEX}", "alice") == (Token("alice", KEY, interval, digits),)

    @pytest.mark.parametrize(
        "kind", ["TOTP", "HOTP/6", "HOTP/T45", "HOTP/T30/9", "HOTP/T30/", "hotp/T30", "HOTP/E/T30"]
    )
    def test_with_a_type_that_pam_oath_ignores_is_refused(self, kind: str) -> None:
        with pytest.raises(CredentialError, match=r"^line 2 has a type that pam_oath does not know$"):
            tokens_of(f"HOTP/T30 alice - {HEX}\n{kind} alice - {HEX}\n", "alice")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "holds no token"),
            ("\n# HOTP/T30 alice - 00\n", "holds no token"),
            ("HOTP/T30 alice -\n", "line 1 is cut short"),
            ("HOTP/T30\n", "line 1 is cut short"),
            (f"HOTP/T30 bob - {HEX}\n", "line 1 belongs to another user"),
            (f"HOTP/T30 alice - {HEX}f\n", "line 1 has no hexadecimal key of 1 to 32 bytes"),
            ("HOTP/T30 alice - GEZDGNBVGY3TQOJQ\n", "line 1 has no hexadecimal key of 1 to 32 bytes"),
            (f"HOTP/T30 alice - {'31' * 33}\n", "line 1 has no hexadecimal key of 1 to 32 bytes"),
            (f"HOTP/T30 alice - {HEX} x 755224 {LOCAL}\n", "line 1 has a counter that is no number"),
            (f"HOTP/T30 alice - {HEX} ² 755224 {LOCAL}\n", "line 1 has a counter that is no number"),
            (f"HOTP/T30 alice - {HEX} 0 755224 2026-03-01\n", f"line 1 has {NO_TIME}"),
            (f"HOTP/T30 alice - {HEX} 0 755224 2026-13-01T00:00:00L\n", f"line 1 has {NO_TIME}"),
        ],
    )
    def test_that_pam_oath_would_misread_is_refused_with_the_line(self, text: str, problem: str) -> None:
        with pytest.raises(CredentialError) as caught:
            tokens_of(text, "alice")
        assert str(caught.value) == problem

    @pytest.mark.parametrize(
        ("line", "counter", "last_code", "last_used"),
        [
            (f"HOTP alice - {HEX} 7", 7, None, None),
            (f"HOTP alice - {HEX} +7 755224", 7, "755224", None),
            (f"HOTP alice - {HEX} {'9' * 20}", 2**64 - 1, None, None),
            (f"HOTP alice - {HEX} -1 none 2026-3-1T1:2:3L more", 2**64 - 1, "none", "2026-3-1T1:2:3L"),
            (f"\t HOTP/E  alice - {HEX}\0 x\r", 0, None, None),
        ],
    )
    def test_is_read_as_pam_oath_reads_it(
        self, line: str, counter: int, last_code: str | None, last_used: str | None
    ) -> None:
        text = f"  # a note\n{line}\n"
        assert tokens_of(text, "alice") == (
            Token("alice", KEY, None, counter=counter, last_code=last_code, last_used=last_used),
        )
        assert tokens_of(tokens_of(text, "alice")[0].render(), "alice") == tokens_of(text, "alice")

    def test_has_no_used_code_if_the_last_one_is_none(self) -> None:
        for word in ("none", "²²²²²²", "0"):
            assert not read(f"HOTP/T30 alice - {HEX} 0 {word}\n", "alice", 0.0).proven

    @given(st.text())
    def test_is_read_or_refused_for_any_text(self, text: str) -> None:
        try:
            assert tokens_of(text, "alice")
        except CredentialError as error:
            assert str(error)  # noqa: PT017

    @pytest.mark.parametrize("key", [HEX[:-1] + "g", HEX + HEX + "00"])
    @pytest.mark.parametrize("history", ["", f" {USED}", " 0 755224"])
    def test_does_not_show_its_key_when_it_is_refused(self, key: str, history: str) -> None:
        with pytest.raises(CredentialError) as caught:
            tokens_of(f"HOTP/T30 alice - {key}{history}\n", "alice")
        assert HEX[:8] not in texts_of(caught.value)

    @given(tokens())
    def test_token_shows_neither_key_nor_code_in_its_repr(self, token: Token) -> None:
        token = replace(token, key=KEY, last_code="755224", last_used=LOCAL)
        shown = f"{token!r} {token}"
        assert HEX not in shown
        assert repr(KEY) not in shown
        assert "755224" not in shown


class TestUpdate:
    @given(
        data=st.data(),
        before=st.lists(tokens(False), max_size=2),
        token=tokens(True),
        after=st.lists(tokens(), max_size=2),
    )
    def test_changes_only_the_first_time_based_token_and_keeps_its_history_with_its_key(
        self, data: st.DataObject, before: list[Token], token: Token, after: list[Token]
    ) -> None:
        draw = data.draw
        around = st.lists(lines_without_token, max_size=2)
        head = [*(draw(written(one)) for one in before), *draw(around)]
        tail = [*draw(around), *(draw(written(one)) for one in after)]
        line = draw(written(token))
        key, interval = draw(st.sampled_from([None, token.key, OTHER_KEY])), draw(intervals)

        text = update("\n".join([*head, line, *tail]), key, interval)

        changed = text.split("\n")[len(head)]
        assert text.split("\n") == [*head, changed, *tail]
        (now,) = tokens_of(changed, "alice")
        if key in (None, token.key):
            assert now == replace(token, interval=interval, digits=None)
        else:
            assert now == Token("alice", key, interval, pin=token.pin)
        if now == token:
            assert changed == line
        assert update(text, key, interval) == text

    @pytest.mark.parametrize("end", ["", "\n", "\n\n"])
    def test_leaves_a_correct_line_unchanged(self, end: str) -> None:
        text = f"HOTP/T30\talice\t-\t{HEX.upper()}\t0\t755224\t{LOCAL}{end}"
        assert update(text, None, 30) == text
        assert update(text, KEY, 30) == text

    def test_forgets_the_history_of_a_replaced_key(self) -> None:
        text = f"HOTP/T30 alice 1234 {HEX} {USED}\n"
        assert update(text, OTHER_KEY, 30) == f"HOTP/T30 alice 1234 {OTHER_KEY.hex()}\n"

    def test_needs_a_time_based_token(self) -> None:
        with pytest.raises(CredentialError, match=r"^holds no time-based token$"):
            update(f"HOTP/E alice - {HEX}\n", KEY, 30)


PHONE = f"HOTP/T30 alice - {HEX}"
MADE = f"HOTP/T30 alice - {OTHER_KEY.hex()}"


class TestRevision:
    def test_makes_the_credential_of_a_new_user(self) -> None:
        assert update(None) == f"{MADE}\n"
        assert update(None, KEY, 60) == f"HOTP/T60 alice - {HEX}\n"
        assert update(None, renew="2026") == f"# fleet.auth renewal=2026\n{MADE}\n"

    def test_renews_once_per_name(self) -> None:
        once = update(f"{PHONE} {USED}\n", renew="lost")
        assert once == f"# fleet.auth renewal=lost\n{MADE}\n"
        used = once.replace("\n", f" {USED}\n").replace(f"lost {USED}", "lost")
        for wanted in ({"renew": "lost"}, {}):
            assert update(used, **wanted) == used
        assert update(used, renew="again") == f"# fleet.auth renewal=again\n{MADE}\n"

    def test_keeps_a_given_key_despite_a_renewal(self) -> None:
        assert update(f"{PHONE} {USED}\n", KEY, renew="lost") == f"# fleet.auth renewal=lost\n{PHONE} {USED}\n"

    def test_remembers_the_renewal_when_a_key_is_given(self) -> None:
        text = f"# fleet.auth renewal=lost\n{PHONE}\n"
        assert update(text, OTHER_KEY) == f"# fleet.auth renewal=lost\n{MADE}\n"

    @pytest.mark.parametrize("end", ["", "\n"])
    def test_adds_and_removes_one_device_and_leaves_the_others(self, end: str) -> None:
        tablet, spare = Device("tablet"), Device("spare", secret=KEY)
        with_both = update(f"{MADE} {USED}{end}", devices=(tablet, spare))
        assert with_both == (f"{MADE} {USED}\n# fleet.auth device=tablet\n{MADE}\n# fleet.auth device=spare\n{PHONE}\n")
        assert update(with_both, devices=(tablet, spare)) == with_both
        assert update(with_both) == with_both
        used = use(with_both, codes(KEY, 100), at=3000)
        assert used
        assert update(used, devices=(Device("tablet", present=False),)) == (
            f"{MADE} {USED}\n# fleet.auth device=spare\n{PHONE} 0 {codes(KEY, 100)} {LOCAL}\n"
        )

    @pytest.mark.parametrize("end", ["", "\n"])
    def test_has_nothing_to_do_for_an_absent_device(self, end: str) -> None:
        assert update(f"{PHONE}{end}", devices=(Device("tablet", present=False),)) == f"{PHONE}{end}"

    def test_sets_the_interval_of_every_device(self) -> None:
        text = f"# fleet.auth device=tablet\n{MADE} {USED}\n{PHONE}\n"
        assert update(text, interval=60, devices=(Device("tablet"),)) == text.replace("T30", "T60")

    def test_makes_a_set_of_recovery_codes_once_per_name(self) -> None:
        once = update(f"{PHONE}\n", recovery_codes="first")
        assert once == f"{PHONE}\n# fleet.auth recovery-codes=first\nHOTP/E alice - {OTHER_KEY.hex()}\n"
        used = use(once, hotp(OTHER_KEY, 0, 6))
        assert used
        for wanted in ({"recovery_codes": "first"}, {}):
            assert update(used, interval=60, **wanted) == used.replace("T30", "T60")
        assert update(used, recovery_codes="second") == once.replace("first", "second")
        assert update(used, recovery_codes="") == f"{PHONE}\n"
        assert update(f"{PHONE}\n", recovery_codes="") == f"{PHONE}\n"

    def test_of_a_damaged_file_is_refused_without_the_key(self) -> None:
        with pytest.raises(CredentialError, match=r"^line 2 is cut short$") as caught:
            update(f"{PHONE}\nHOTP/T30 alice\n")
        assert HEX not in texts_of(caught.value)


class TestRecoveryCode:
    TEXT = f"{PHONE}\n# fleet.auth recovery-codes=first\nHOTP/E alice - {OTHER_KEY.hex()}\n"

    @pytest.mark.parametrize("window", [1, 2])
    def test_is_right_once_and_in_order(self, window: int) -> None:
        text = self.TEXT
        for number in range(RECOVERY_CODES):
            code = hotp(OTHER_KEY, number, 6)
            assert list(tokens_of(text, "alice")[1].recovery_codes_left) == list(range(number, 10))
            text = use(text, code, window=window) or ""
            assert text, number
            assert use(text, code, window=window) is None
        assert not tokens_of(text, "alice")[1].recovery_codes_left
        assert text.startswith(f"{PHONE}\n# fleet.auth recovery-codes=first\nHOTP/E alice - ")

    def test_is_no_code_of_a_device(self) -> None:
        phone, codes_of_paper = tokens_of(self.TEXT, "alice")
        assert (phone.is_device, codes_of_paper.is_device) == (True, False)


class TestUseOfATimeBasedCode:
    """Codes accepted here were also accepted by pam_oath 2.6.7 and 2.6.12; all others were refused by all of them."""

    @given(
        key=keys,
        now=st.integers(20, 10**9),
        second=st.integers(0, 29),
        interval=intervals,
        digits=st.integers(6, 8),
        window=st.integers(0, 10),
        offsets=st.lists(st.integers(-12, 12), min_size=1, max_size=5),
    )
    def test_is_right_within_the_window_unless_it_or_a_later_one_was_used(
        self, key: bytes, now: int, second: int, interval: int, digits: int, window: int, offsets: list[int]
    ) -> None:
        valid = [codes(key, now + offset, digits, interval) for offset in range(-12, 13)]
        assume(len(set(valid)) == len(valid))
        text, last = new_credential("alice", key, interval), -13
        for offset in offsets:
            code = codes(key, now + offset, digits, interval)
            used = use(text, code, window=window, digits=digits, at=now * interval + second)
            assert (used is not None) == (abs(offset) <= window and offset > last)
            if used is not None:
                text, last = used, offset
                assert tokens_of(text, "alice") == (Token("alice", key, interval, None, "-", 0, code, LOCAL),)

    @pytest.mark.parametrize("later", [0, 1, 2, 40])
    def test_that_was_used_stays_used(self, later: int) -> None:
        used = use(new_credential("alice", KEY, 30), codes(KEY, 100), window=2, at=3000)
        assert used
        assert use(used, codes(KEY, 100), window=2, at=3000 + later) is None
        assert use(used, codes(KEY, 99), window=2, at=3000 + later) is None

    @pytest.mark.parametrize(("before", "after"), [(8, 6), (8, 7), (6, 8), (7, 6)])
    def test_that_was_used_stays_used_with_another_length(self, before: int, after: int) -> None:
        used = use(new_credential("alice", KEY, 30), codes(KEY, 101, before), digits=before, at=3000)
        assert used
        for step in (99, 100, 101):
            assert use(used, codes(KEY, step, after), digits=after, at=3000) is None
        assert use(used, codes(KEY, 102, after), digits=after, at=3030)

    @pytest.mark.parametrize("step", [0, 1, 3])
    def test_is_right_near_the_epoch(self, step: int) -> None:
        assert use(new_credential("alice", KEY, 30), codes(KEY, step), window=3, at=0)

    @given(tokens(), tokens())
    def test_leaves_every_other_line_unchanged(self, before: Token, after: Token) -> None:
        text = f"# mine\r\n{before.render()}\t\nHOTP/T30 alice - {HEX}\n\n{after.render()}"
        assume(codes(KEY, 100) not in (before.last_code, after.last_code))
        assume(use(f"{before.render()}\n{after.render()}", codes(KEY, 100), at=3000) is None)
        used = use(text, codes(KEY, 100), at=3000)
        assert used == text.replace(
            f"HOTP/T30 alice - {HEX}\n", f"HOTP/T30 alice - {HEX} 0 {codes(KEY, 100)} {LOCAL}\n"
        )

    def test_of_a_second_device_uses_up_its_own_line(self) -> None:
        text = new_credential("alice", KEY, 30) + new_credential("alice", OTHER_KEY, 60)
        once = use(text, codes(OTHER_KEY, 50, interval=60), at=3000)
        assert once
        assert [token.last_code for token in tokens_of(once, "alice")] == [
            None,
            codes(OTHER_KEY, 50, interval=60),
        ]
        assert use(once, codes(OTHER_KEY, 50, interval=60), at=3000) is None
        assert use(once, codes(KEY, 100), at=3000)

    @pytest.mark.parametrize("code", ["", "75522", "7552244", "75522x", "٧٥٥٢٢٤", "755 24", "-55224", "+755224"])
    def test_of_a_wrong_form_is_refused(self, code: str) -> None:
        assert use(new_credential("alice", KEY, 30), code) is None

    def test_of_the_length_that_is_not_in_force_is_refused(self) -> None:
        text = f"HOTP/T30/6 alice - {HEX}\n"
        assert use(text, codes(KEY, 100, 6), digits=8, at=3000) is None
        assert use(text, codes(KEY, 100, 8), digits=8, at=3000)

    def test_is_refused_in_a_file_that_is_damaged(self) -> None:
        with pytest.raises(CredentialError, match="line 1 belongs to another user"):
            use(f"HOTP/T30 bob - {HEX}\n", "755224")


class TestUseOfAnEventBasedCode:
    @given(
        key=keys, window=st.integers(0, 10), start=st.integers(0, 50), jumps=st.lists(st.integers(-2, 12), max_size=5)
    )
    def test_is_right_up_to_window_steps_after_the_last_one(
        self, key: bytes, window: int, start: int, jumps: list[int]
    ) -> None:
        valid = [hotp(key, counter, 6) for counter in range(start + 100)]
        assume(len(set(valid)) == len(valid))
        text = f"HOTP/E alice - {key.hex()} {start} {hotp(key, start, 6)} {LOCAL}\n"
        last = start
        for jump in jumps:
            event = max(0, last + jump)
            used = use(text, hotp(key, event, 6), window=window)
            assert (used is not None) == (last < event <= last + window)
            if used is not None:
                text, last = used, event
                assert tokens_of(text, "alice")[0].counter == event

    @pytest.mark.parametrize(("window", "right"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])])
    def test_is_right_within_the_window_for_the_first_use(self, window: int, right: list[int]) -> None:
        text = f"HOTP alice - {HEX}\n"
        assert [event for event in range(5) if use(text, hotp(KEY, event, 6), window=window)] == right


class TestRules:
    @pytest.mark.parametrize(("window", "digits"), [(0, 6), (1, 7), (10, 8)])
    def test_are_read_back_from_the_switch(self, window: int, digits: int) -> None:
        wanted = settings(window=window, otp_digits=digits)
        text = CodeStep.wanted(wanted, [], pam_line(wanted)).render()
        assert code_rules(CodeStep.parse(text)) == CodeRules(window, digits)
        assert code_rules(CodeStep.parse(except_services(text, ["sshd"]))) == CodeRules(window, digits)

    @pytest.mark.parametrize("text", ["", PASS_THROUGH])
    def test_are_none_if_no_code_is_asked_for(self, text: str) -> None:
        assert code_rules(CodeStep.parse(text)) is None

    def test_line_names_a_file_per_user_the_window_and_the_length(self) -> None:
        line = pam_line(settings(window=3, otp_digits=8))
        assert line == "pam_oath.so usersfile=/etc/oath/${USER} window=3 digits=8"
