# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import subprocess
import typing as t

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import oath
from ansible_collections.fleet.auth.plugins.module_utils._texts import pam as pam_text
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam import (
    PASS_THROUGH,
    PamError,
    asked_users,
    asks_for_code,
    except_services,
    exempt_origins,
    is_protected,
    protect,
    switch,
    unprotect,
)
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit.builders import COMMON_AUTH, INCLUDED, SERVICES, host_files, settings
from unit.layouts import DIRECT, LAYOUTS, RHEL, Layout
from unit.model import Pam

HELPERS = host_files(self_service=False)

BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
END = "# END fleet.auth twofactor"


ENROLLED = ("alice", "bob")


def step_of(wanted: Settings, enrolled: t.Iterable[str] = ENROLLED) -> str:
    return switch(wanted, enrolled, oath.pam_line(wanted))


STACKS = {**INCLUDED, **RHEL.included}


def protected(text: str, service: str = "sudo", **included: str) -> str:
    more = {name.replace("_", "-"): stack for name, stack in included.items()}
    return protect(service, text, {**INCLUDED, **more})


def refusal(text: str, **included: str) -> str:
    with pytest.raises(PamError) as caught:
        protected(text, **included)
    return str(caught.value)


# Lines as they stand in service files, with bytes that are not UTF-8 as surrogates.
remarks = st.binary(max_size=12).map(lambda raw: "#" + raw.replace(b"\n", b"").decode("utf-8", "surrogateescape"))
other_lines = st.one_of(
    remarks,
    st.sampled_from(
        [
            *[
                "",
                " ",
                "\t",
                "#%PAM-1.0",
                "@include common-account",
                "@include common-session",
                "@include common-password",
            ],
            "session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close",
            "account\trequired\tpam_nologin.so",
            "-session optional pam_systemd.so",
            "password required pam_deny.so",
            "session required pam_env.so # [1]",
        ]
    ),
)
lines_before = st.one_of(
    other_lines,
    st.sampled_from(
        [
            "auth required pam_env.so",
            "auth       optional   pam_faildelay.so  delay=3000000",
            "auth requisite pam_nologin.so",
            "auth sufficient pam_rootok.so",
            "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] pam_cockpit_cert.so",
        ]
    ),
)
lines_after = st.one_of(
    other_lines,
    st.sampled_from(
        [
            "auth optional pam_group.so",
            "auth [success=1 default=ignore] pam_succeed_if.so user = root",
            "auth sufficient pam_permit.so",
            "auth include postlogin",
        ]
    ),
)
primaries = st.sampled_from(
    [
        *["@include common-auth", "@include\tcommon-auth", "  @include common-auth  ", "@include common-auth # [1]"],
        *["auth substack password-auth", "auth\tsubstack\tsystem-auth", "-AUTH SUBSTACK common-auth"],
        *["auth [include] common-auth", "\tauth       substack     common-auth"],
        *["auth required pam_unix.so", "-auth\trequisite  pam_unix.so nullok # [1]"],
    ]
)
services = st.sampled_from(["sshd", "cockpit", "sudo", "su"])
Parts = tuple[str, list[str], str, list[str]]
service_files = st.tuples(services, st.lists(lines_before, max_size=4), primaries, st.lists(lines_after, max_size=4))


class TestProtect:
    @given(service_files)
    def test_puts_the_step_in_the_place_of_one_line_and_keeps_every_other_byte(self, parts: Parts) -> None:
        service, before, primary, after = parts
        text = protect(service, "\n".join([*before, primary, *after]), STACKS)
        assert is_protected(text)
        block = text.split("\n")[len(before) : -len(after) or None]
        assert text == "\n".join([*before, *block, *after])
        assert (block[0], block[1], block[-1]) == (BEGIN, f"#| {primary}", END)

    @given(service_files)
    def test_is_undone_byte_for_byte_and_is_the_same_when_repeated(self, parts: Parts) -> None:
        service, before, primary, after = parts
        text = "\n".join([*before, primary, *after])
        once = protect(service, text, STACKS)
        assert unprotect(service, once) == text
        assert protect(service, once, STACKS) == once

    @given(st.binary(), services)
    def test_is_undone_or_refused_whatever_the_file_holds(self, raw: bytes, service: str) -> None:
        self.check_any(raw, service)

    @given(st.data(), services)
    def test_is_undone_or_refused_whatever_lines_the_file_has(self, data: st.DataObject, service: str) -> None:
        end = data.draw(st.sampled_from(["\n", "\r\n", "\\\n", " \\ \n"]))
        strange = st.one_of(
            lines_before, lines_after, primaries, st.sampled_from([BEGIN, END, "#| @include common-auth"])
        )
        lines = data.draw(st.lists(strange, max_size=6))
        self.check_any(
            (end.join(lines) + data.draw(st.sampled_from(["", end]))).encode("utf-8", "surrogateescape"), service
        )

    @staticmethod
    def check_any(raw: bytes, service: str) -> None:
        text = raw.decode("utf-8", "surrogateescape")
        try:
            once = protect(service, text, STACKS)
        except PamError:
            return
        original = unprotect(service, text)
        assert unprotect(service, once) == original
        assert protect(service, once, STACKS) == once

    @given(st.text())
    def test_is_undone_in_a_file_without_a_block_by_doing_nothing(self, text: str) -> None:
        assume(not is_protected(text))
        assert unprotect("sudo", text) == text

    @given(service_files, st.lists(other_lines, max_size=4), st.lists(lines_after, max_size=4))
    def test_is_undone_around_what_an_administrator_wrote_meanwhile(
        self, parts: Parts, before_now: list[str], after_now: list[str]
    ) -> None:
        service, before, primary, after = parts
        block = protect(service, "\n".join([*before, primary, *after]), STACKS).split("\n")
        block = block[len(before) : -len(after) or None]
        edited = "\n".join([*before_now, *block, *after_now])
        assert unprotect(service, edited) == "\n".join([*before_now, primary, *after_now])
        assert unprotect(service, protect(service, edited, STACKS)) == "\n".join([*before_now, primary, *after_now])

    @given(service_files, st.lists(lines_after, max_size=6))
    def test_brings_the_block_of_another_release_up_to_date(self, parts: Parts, inner: list[str]) -> None:
        service, before, primary, after = parts
        other = "\n".join([*before, BEGIN + " (1.0)", f"#| {primary}", *inner, END, *after])
        assert protect(service, other, STACKS) == protect(service, "\n".join([*before, primary, *after]), STACKS)

    def test_writes_the_stack_that_was_tried_with_real_logins(self) -> None:
        assert protect("sshd", SERVICES["sshd"], INCLUDED) == SERVICES["sshd"].replace(
            "@include common-auth\n",
            f"""\
{BEGIN}
#| @include common-auth
auth [success=ignore default=3] pam_exec.so quiet /usr/libexec/fleet-auth/ssh-key-accepted
auth substack twofactor
auth [success=done default=ignore] pam_permit.so
auth requisite pam_deny.so
@include common-auth
auth substack twofactor
{END}
""",
        )
        assert protect("sudo", SERVICES["sudo"], INCLUDED) == SERVICES["sudo"].replace(
            "@include common-auth\n",
            f"{BEGIN}\n#| @include common-auth\n@include common-auth\nauth substack twofactor\n{END}\n",
        )

    def test_lets_a_wrong_password_end_a_stack_that_was_a_substack(self) -> None:
        text = protect("cockpit", SERVICES["cockpit"], INCLUDED)
        assert "\nauth include common-auth\nauth substack twofactor\n" in text
        assert "\n#| auth       substack     common-auth\n" in text


class TestRefusal:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "none"),
            ("account required pam_unix.so\n# @include common-auth\n", "none"),
            ("auth sufficient pam_unix.so\n", "line 1: auth sufficient pam_unix.so"),
            ("auth optional pam_unix.so\n", "line 1: auth optional pam_unix.so"),
            ("auth [success=ok default=die] pam_unix.so\n", "line 1: auth [success=ok default=die] pam_unix.so"),
            (
                "auth required pam_unix.so\n@include common-auth\n",
                "line 1: auth required pam_unix.so; line 2: @include common-auth",
            ),
            ("auth required \\\npam_unix.so\n", "none"),
            ("auth required pam_unix.so \\\n", "line 1: auth required pam_unix.so \\"),
            ("@include common-auth\r\n", "none"),
            ("@INCLUDE common-auth\n", "none"),
            ("@include common-auth-site\n", "none"),
            (
                "@include common-auth\n\nauth include system-auth\n",
                "line 1: @include common-auth; line 3: auth include system-auth",
            ),
            ("@include common-auth \\\n", "line 1: @include common-auth \\"),
            ("session optional pam_x.so \\ \n@include common-auth\n", "line 2: @include common-auth"),
        ],
    )
    def test_of_a_file_without_one_certain_place_shows_what_was_found(self, text: str, found: str) -> None:
        assert refusal(text) == (
            "/etc/pam.d/sudo must have exactly one line, whole, that includes common-auth, password-auth, system-auth "
            "for auth, or that requires pam_unix.so, or lines that jump over one 'auth requisite pam_deny.so' as "
            f"pam-auth-update(8) writes them; found {found}. Bring the file to that form, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "lines",
        [
            ["[success=1 default=ignore] pam_unix.so"],
            ["[success=1 default=ignore] pam_unix.so", "required pam_deny.so"],
            ["[success=2 default=ignore] pam_unix.so", "requisite pam_deny.so", "required pam_permit.so"],
            ["[success=1 default=1] pam_unix.so", "requisite pam_deny.so"],
            ["[success=1] pam_unix.so", "requisite pam_deny.so"],
            ["[success=1 default=ignore ignore=1] pam_unix.so", "requisite pam_deny.so"],
            ["[success=1 new_authtok_reqd=2 default=ignore] pam_unix.so", "requisite pam_deny.so", "optional pam_x.so"],
            ["[success=2 default=ignore] pam_unix.so", "required pam_env.so", "requisite pam_deny.so"],
            [
                "[success=2 default=ignore] pam_unix.so",
                "[success=2 default=ignore] pam_sss.so",
                "requisite pam_deny.so",
            ],
            ["[success=2 default=ignore] pam_unix.so", "include postlogin", "requisite pam_deny.so"],
            ["[success=1 default=ignore] pam_unix.so", "requisite pam_deny.so \\"],
        ],
    )
    def test_of_jumps_that_do_not_all_lead_past_one_end_shows_the_line(self, lines: list[str]) -> None:
        told = refusal("".join(f"auth {line}\n" for line in lines))
        assert f"found line 1: auth {lines[0]}. Bring the file to that form" in told

    def test_of_a_jump_that_leads_into_those_of_the_primary_authentication_shows_it(self) -> None:
        text = "auth [success=1 default=ignore] pam_wheel.so\n" + LAYOUTS["no includes"].services["sudo"]
        assert "line 1, stands before the primary authentication and jumps over a number of modules" in refusal(text)

    @pytest.mark.parametrize(
        "module", ["pam_oath.so usersfile=/etc/users.oath", "/lib/security/pam_google_authenticator.so"]
    )
    @pytest.mark.parametrize(
        ("text", "included", "where"),
        [
            ("@include common-auth\n{line}\n", {}, "sudo, line 2"),
            ("{line}\naccount required pam_unix.so\n", {}, "sudo, line 1"),
            ("@include common-auth\n", {"common_auth": f"{COMMON_AUTH}{{line}}\n"}, "common-auth, line 8"),
            ("@include common-auth\nauth substack mfa\n", {"mfa": "# codes\n{line}\n"}, "mfa, line 2"),
        ],
    )
    def test_of_a_line_that_asks_for_a_code_as_well_shows_it(
        self, module: str, text: str, included: dict[str, str], where: str
    ) -> None:
        line = f"auth required {module} nullok"
        found = refusal(text.format(line=line), **{name: one.format(line=line) for name, one in included.items()})
        assert found == (
            f"/etc/pam.d/{where}, asks for a code of its own, so that sudo would ask for two: {line!r}. Remove it in "
            "the same run, before the role (docs/adopt.md has the play), or leave sudo out."
        )

    def test_spares_the_code_step_itself_and_lines_that_ask_nobody(self) -> None:
        files = {"twofactor": step_of(settings()), "sudo": protected("@include common-auth\n")}
        for text in (
            "@include common-auth\n#auth required pam_oath.so\n",
            "account required pam_oath.so\n@include common-auth\n",
        ):
            assert is_protected(protected(text, **files))
        assert protected(files["sudo"], **files) == files["sudo"]
        with pytest.raises(PamError, match="exactly one line"):
            protected("@include sudo\n", "sudo-i", **files)

    def test_of_a_stack_that_is_not_there_says_so(self) -> None:
        assert refusal("auth substack password-auth\n") == (
            "/etc/pam.d/sudo takes its primary authentication from /etc/pam.d/password-auth, which is not there. Write "
            "it as pam-auth-update(8) does, take it in with 'auth substack', or leave sudo out."
        )

    @pytest.mark.parametrize(
        "stack",
        [
            "auth required pam_unix.so\n",
            "auth [success=1 default=ignore] pam_unix.so\nauth required pam_deny.so\n",
            "auth [success=1 default=ignore] pam_unix.so\nauth substack loop\n",
            "auth substack common-auth\nauth required pam_permit.so\n",
            "auth requisite pam_nologin.so\nauth required pam_unix.so\n",
            "auth required pam_permit.so\n",
        ],
    )
    def test_of_an_included_stack_that_goes_on_after_a_wrong_password_says_so(self, stack: str) -> None:
        assert refusal("@include common-auth\n", common_auth=stack) == (
            "/etc/pam.d/sudo takes its primary authentication from /etc/pam.d/common-auth, which goes on after a wrong "
            "password, and anybody would be asked for the code. Write it as pam-auth-update(8) does, take it in with "
            "'auth substack', or leave sudo out."
        )
        judged = "\nauth substack common-auth\nauth substack twofactor-judge\n"
        assert judged in protected("auth substack common-auth\n", common_auth=stack)
        assert judged in protected("auth include common-auth\n", common_auth=stack)

    @pytest.mark.parametrize(
        "line", ["auth required pam_deny.so", "auth include postlogin", "-auth optional pam_group.so"]
    )
    def test_of_a_stack_that_ends_what_comes_after_it_shows_where(self, line: str) -> None:
        told = refusal(f"auth include password-auth\n{line}\n", password_auth=RHEL.included["password-auth"])
        assert "whose line 4 ends the whole stack at a right password, before the code is asked for" in told

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            *[
                (line, "can end the authentication before the code is asked for")
                for line in (
                    "auth sufficient pam_wheel.so trust",
                    "-AUTH\tSufficient pam_wheel.so",
                    "auth [sufficient] pam_wheel.so",
                    "[auth] sufficient pam_wheel.so",
                    "auth [success=done default=ignore] pam_wheel.so",
                    "auth [success=done default=ignore]pam_wheel.so",
                    "auth [success=donedefault=ignore] pam_wheel.so",
                    "auth [ success = done ] pam_wheel.so",
                    "auth success=done pam_wheel.so",
                    "auth [default=DONE] pam_wheel.so",
                    "auth sufficient pam_rootok.so.1",
                )
            ],
            *[
                (line, "jumps over a number of modules, which the code step would change")
                for line in ("auth [success=1 default=ignore] pam_wheel.so", "auth [default= 2]pam_wheel.so")
            ],
            *[
                (line, "includes further authentication")
                for line in (
                    "@include pre-auth",
                    "auth include pre-auth",
                    "auth [substack] pre-auth",
                    "@include not-there",
                )
            ],
            ("auth \\\nsufficient pam_wheel.so", "goes on in the next line, which is not looked at"),
            ("account required pam_x.so \\", "goes on in the next line, which is not looked at"),
        ],
    )
    def test_of_a_line_before_the_primary_authentication_shows_it(self, line: str, problem: str) -> None:
        assert refusal(f"#%PAM-1.0\n{line}\n# \\\n\n@include common-auth\n", pre_auth="auth required pam_env.so\n") == (
            f"/etc/pam.d/sudo, line 2, stands before the primary authentication and {problem}: "
            f"{line.splitlines()[0].strip()!r}. Change that line, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "line", ["auth [default=reset] pam_permit.so", "auth [success=ok ignore = reset]pam_permit.so"]
    )
    def test_of_a_line_that_undoes_a_wrong_code_shows_it(self, line: str) -> None:
        assert refusal(f"@include common-auth\n{line}\n") == (
            "/etc/pam.d/sudo, line 2, stands after the primary authentication and can undo a wrong code: "
            f"{line!r}. Change that line, or leave sudo out."
        )

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            *[
                (line, "ends the whole stack at a right password, before the code is asked for")
                for line in (
                    "auth sufficient pam_unix.so nullok",
                    "auth [success=done default=ignore]pam_unix.so",
                    "-auth [sufficient] pam_sss.so",
                )
            ],
            *[
                (line, "jumps past the end of that file, over the code step")
                for line in ("auth [success=2 default=ignore] pam_unix.so", "auth [success=ok default=3]pam_unix.so")
            ],
            ("auth include gone", "includes what is not there to be looked at"),
            ("auth required \\", "goes on in the next line, which is not looked at"),
        ],
    )
    @pytest.mark.parametrize("nested", [False, True])
    def test_of_an_included_line_that_gets_past_the_step_shows_it(self, line: str, problem: str, nested: bool) -> None:
        stack = f"auth required pam_env.so\n{line}\nauth requisite pam_deny.so\n"
        included = {"common_auth": "# site\n@include site\n", "site": stack} if nested else {"common_auth": stack}
        assert refusal("@include common-auth\n", **included) == (
            f"/etc/pam.d/sudo takes its primary authentication from /etc/pam.d/{'site' if nested else 'common-auth'}, "
            f"whose line 2 {problem}: {line!r}. Write it as pam-auth-update(8) does, "
            "take it in with 'auth substack', or leave sudo out."
        )

    @pytest.mark.parametrize(
        "stack",
        [
            COMMON_AUTH,
            "auth [success=2 default=ignore] pam_unix.so\n" + COMMON_AUTH.replace("pam_unix", "pam_sss"),
            "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
            "auth requisite pam_faillock.so preauth\nauth requisite pam_unix.so\nauth optional pam_cap.so\n",
            "auth required pam_unix.so\n" + COMMON_AUTH,
            "account sufficient pam_x.so\nsession [default=done] pam_y.so\n# auth sufficient pam_z.so\n" + COMMON_AUTH,
        ],
    )
    def test_spares_a_stack_that_comes_to_its_end(self, stack: str) -> None:
        assert is_protected(protected("@include common-auth\n", common_auth=stack))

    def test_of_a_stack_that_includes_itself_comes_to_an_end(self) -> None:
        assert "includes what is not there to be looked at: 'auth include common-auth'" in refusal(
            "@include common-auth\n", common_auth="auth include system-auth\n", system_auth="auth include common-auth\n"
        )

    @pytest.mark.parametrize(
        ("lines", "numbers"),
        [
            ([BEGIN], "1"),
            ([END], "1"),
            (["", END, BEGIN, "#| x", ""], "2, 3"),
            ([BEGIN, END], "1, 2"),
            ([BEGIN, "@include common-auth", END], "1, 3"),
            ([BEGIN, "#| x", END, END], "1, 3, 4"),
            ([BEGIN, "#| x", BEGIN, "#| y", END], "1, 3, 5"),
        ],
    )
    @pytest.mark.parametrize("action", [protected, lambda text: unprotect("sudo", text)])
    def test_of_a_damaged_block_says_where_it_is_and_how_it_should_be(
        self, action: t.Callable[[str], str], lines: list[str], numbers: str
    ) -> None:
        with pytest.raises(PamError) as caught:
            action("\n".join(lines))
        assert str(caught.value) == (
            f"the block of fleet.auth in /etc/pam.d/sudo is damaged (lines {numbers}). It begins with {BEGIN!r}, then "
            f"'#| ' and the line that it replaced, and ends with {END!r}; put it right or remove it by hand, and run "
            "again."
        )
        assert is_protected("\n".join(lines))


class TestLayouts:
    """What libpam makes of a protected service in each layout, by the model of it."""

    SERVICES: t.ClassVar = [(layout, service) for layout, files in LAYOUTS.items() for service in files.services]

    @staticmethod
    def files(layout: Layout, service: str) -> dict[str, str]:
        text = protect(service, layout.services[service], layout.files)
        called = {path: HELPERS[path] for path in pam_text.helpers([text])}
        return {
            **{f"/etc/pam.d/{name}": one for name, one in layout.files.items()},
            f"/etc/pam.d/{service}": text,
            places.SWITCH: step_of(settings()),
            **called,
        }

    def attempt(self, layout: str, service: str, **brings: t.Any) -> Pam:
        files = self.files(LAYOUTS[layout], service)
        return Pam(files, service, "alice", ("alice",), "", credentials=["alice"], **brings)

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_let_in_with_a_right_code_alone(self, layout: str, service: str, key_accepted: bool) -> None:
        first = ["password"]
        if key_accepted and service == "sshd":
            first = []
        for code in (True, False, None):
            pam = self.attempt(layout, service, password=True, code=code, key_accepted=not first)
            assert (pam.authenticate(), pam.asked) == (bool(code), [*first, "code"])
            assert pam.failures == (not code)

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    @pytest.mark.parametrize("password", [False, None])
    def test_count_nothing_of_strangers(self, layout: str, service: str, password: bool | None) -> None:
        pam = self.attempt(layout, service, password=password, code=False)
        for _attempt in range(6):
            assert not pam.authenticate()
        assert (pam.failures, pam.noted, set(pam.asked)) == (0, False, {"password"})
        pam.password, pam.code = True, True
        assert pam.authenticate()

    @pytest.mark.parametrize("service", RHEL.services)
    def test_ask_everyone_and_let_in_nobody_with_a_wrong_password_where_the_helper_is_gone(self, service: str) -> None:
        for password, code in itertools.product([True, False], repeat=2):
            pam = self.attempt("RHEL", service, password=password, code=code)
            pam.files = {path: text for path, text in pam.files.items() if path != places.FIRST_FACTOR_FAILED}
            assert (pam.authenticate(), pam.asked) == (password and code, ["password", "code"])

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    def test_pass_everyone_who_knows_the_password_where_the_switch_does(self, layout: str, service: str) -> None:
        for password in (True, False):
            pam = self.attempt(layout, service, password=password)
            pam.files = {**pam.files, places.SWITCH: PASS_THROUGH}
            assert (pam.authenticate(), pam.asked) == (password, ["password"])

    @pytest.mark.parametrize("direct", [False, True])
    def test_call_no_helper_that_they_do_not_need(self, direct: bool) -> None:
        layout, called = (
            (DIRECT, [])
            if direct
            else (RHEL, [places.FIRST_FACTOR_FAILED, "/etc/pam.d/twofactor-judge", "/etc/pam.d/twofactor-note"])
        )
        assert list(pam_text.helpers([protect("sudo", layout.services["sudo"], layout.files)])) == called
        assert list(pam_text.helpers(layout.services.values())) == []

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    def test_give_every_byte_back(self, layout: str, service: str) -> None:
        text = LAYOUTS[layout].services[service]
        once = protect(service, text, LAYOUTS[layout].files)
        assert unprotect(service, once) == text
        assert protect(service, once, LAYOUTS[layout].files) == once
        before, _begin, rest = once.partition(f"{BEGIN}")
        _block, _end, after = rest.partition(f"{END}\n")
        assert text.startswith(before)
        assert text.endswith(after)

    def test_write_the_stacks_that_were_tried_with_real_logins(self) -> None:
        assert protect("su", RHEL.services["su"], RHEL.files) == RHEL.services["su"].replace(
            "auth            substack        system-auth\n",
            f"""\
{BEGIN}
#| auth            substack        system-auth
auth substack system-auth
auth substack twofactor-judge
auth [success=die default=ignore] pam_exec.so quiet seteuid /usr/libexec/fleet-auth/first-factor-failed
auth substack twofactor
{END}
""",
        )
        assert protect("cockpit", DIRECT.services["cockpit"], {}) == (
            f"{BEGIN}\n#| auth\trequisite\t/usr/lib/security/pam_unix.so\n"
            f"auth requisite /usr/lib/security/pam_unix.so\nauth substack twofactor\n{END}\n"
            "auth optional pam_group.so\n"
        )
        jumps = "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n"
        assert protect("sudo", DIRECT.services["sudo"], {}) == DIRECT.services["sudo"].replace(
            jumps,
            f"{BEGIN}s\n#| {jumps[:-1]}\n".replace("\nauth", "\n#| auth") + f"{jumps}auth substack twofactor\n{END}\n",
        )


class Person(t.NamedTuple):
    """Somebody before a service: what they know, and where they come from."""

    name: str = "alice"
    groups: tuple[str, ...] = ("alice", "staff")
    address: str = "198.51.100.1"


ALICE = Person()


def attempt(
    wanted: Settings,
    service: str,
    person: Person = ALICE,
    *,
    switch_text: str | None = None,
    lists: t.Mapping[str, str] | None = None,
    credentials: t.Collection[str] = ("alice", "bob"),
    **brings: t.Any,
) -> Pam:
    """One authentication of a protected service, with these settings."""
    files = {
        **{f"/etc/pam.d/{name}": text for name, text in INCLUDED.items()},
        f"/etc/pam.d/{service}": protect(service, SERVICES[service], INCLUDED),
        places.SWITCH: step_of(wanted) if switch_text is None else switch_text,
        places.KEY_ACCEPTED: HELPERS[places.KEY_ACCEPTED],
        places.EXEMPT_ORIGINS: exempt_origins(wanted),
        **(lists or {}),
    }
    return Pam(files, service, person.name, person.groups, person.address, credentials=credentials, **brings)


class TestCodeStep:
    """What libpam makes of the blocks and the code step, by the model of it."""

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize(
        ("password", "code", "granted", "asked"),
        [
            (True, True, True, ["password", "code"]),
            (True, False, False, ["password", "code"]),
            (True, None, False, ["password", "code"]),
            (False, True, False, ["password"]),
            (None, True, False, ["password"]),
        ],
    )
    def test_takes_a_password_and_then_a_code(
        self, service: str, password: bool | None, code: bool | None, granted: bool, asked: list[str]
    ) -> None:
        pam = attempt(settings(), service, password=password, code=code)
        assert (pam.authenticate(), pam.asked) == (granted, asked)

    @pytest.mark.parametrize("code", [True, False, None])
    def test_takes_a_code_alone_after_a_key(self, code: bool | None) -> None:
        pam = attempt(settings(), "sshd", key_accepted=True, password=True, code=code)
        assert (pam.authenticate(), pam.asked) == (bool(code), ["code"])

    def test_asks_for_the_password_after_a_key_where_the_helper_is_gone(self) -> None:
        pam = attempt(settings(), "sshd", key_accepted=True, password=True, code=True)
        pam.files = {path: text for path, text in pam.files.items() if path != places.KEY_ACCEPTED}
        assert (pam.authenticate(), pam.asked) == (True, ["password", "code"])

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_denies_everyone_where_it_is_gone_or_the_credential_is(self, service: str, key_accepted: bool) -> None:
        key = key_accepted and service == "sshd"
        pam = attempt(settings(), service, password=True, code=True, key_accepted=key)
        pam.files = {path: text for path, text in pam.files.items() if path != places.SWITCH}
        assert not pam.authenticate()
        assert not attempt(
            settings(), service, password=True, code=True, credentials=(), key_accepted=key
        ).authenticate()

    def test_counts_wrong_codes_after_a_right_first_factor_and_closes(self) -> None:
        wanted = settings(lockout={"attempts": 2})
        pam = attempt(wanted, "sshd", password=True, code=False)
        assert not pam.authenticate()
        assert pam.failures == 1
        pam.password = False
        assert not pam.authenticate()
        assert pam.failures == 1
        pam.password, pam.key_accepted = True, True
        assert not pam.authenticate()
        assert pam.failures == 2
        pam.code, pam.asked = True, []
        assert not pam.authenticate()
        assert "code" not in pam.asked

    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_is_passed_by_everyone_in_the_pass_through(self, service: str, key_accepted: bool) -> None:
        key = key_accepted and service == "sshd"
        pam = attempt(settings(), service, switch_text=PASS_THROUGH, password=True, key_accepted=key)
        assert pam.authenticate()
        assert "code" not in pam.asked
        assert not attempt(settings(), "sudo", switch_text=PASS_THROUGH, password=False).authenticate()

    def test_is_passed_by_one_service_that_is_on_its_way(self) -> None:
        text = except_services(step_of(settings()), ["sshd", "su"])
        for service, asked in (("sshd", ["password"]), ("sudo", ["password", "code"])):
            pam = attempt(settings(), service, switch_text=text, password=True, code=True)
            assert pam.authenticate()
            assert pam.asked == asked
        assert not attempt(settings(), "sshd", switch_text=text, password=False).authenticate()

    @pytest.mark.parametrize(
        ("options", "needs_code"),
        [
            ({}, {"alice", "bob", "carol"}),
            ({"exempt_users": ["carol"]}, {"alice", "bob"}),
            ({"exempt_groups": ["staff"]}, {"carol"}),
            ({"exempt_groups": ["nobodys", "admins"], "exempt_users": ["bob"]}, {"alice"}),
            ({"scope": "enrolled"}, {"alice", "bob"}),
            ({"scope": "enrolled", "exempt_users": ["alice"]}, {"bob"}),
            ({"scope": "groups", "scope_groups": ["admins"]}, {"carol"}),
            ({"scope": "groups", "scope_groups": ["admins", "staff"]}, {"alice", "bob", "carol"}),
            ({"scope": "groups", "scope_groups": ["staff"], "exempt_groups": ["guests"]}, {"alice"}),
            ({"exempt_addresses": ["192.0.2.0/24"]}, {"alice", "bob", "carol"}),
        ],
    )
    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_asks_those_in_scope(
        self, options: dict[str, t.Any], needs_code: set[str], service: str, key_accepted: bool
    ) -> None:
        people = {"alice": ("alice", "staff"), "bob": ("bob", "staff", "guests"), "carol": ("carol", "admins")}
        asked = set()
        for name, groups in people.items():
            key = key_accepted and service == "sshd"
            pam = attempt(
                settings(**options), service, Person(name, groups), password=True, code=False, key_accepted=key
            )
            if not pam.authenticate():
                asked.add(name)
            assert ("code" in pam.asked) == (name in asked)
        assert asked == needs_code

    @pytest.mark.parametrize("options", [{}, {"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}])
    @pytest.mark.parametrize(
        ("address", "granted"), [("192.0.2.9", True), ("198.51.100.1", False), ("2001:db8::1", True)]
    )
    def test_lets_those_pass_who_come_from_an_exempt_address(
        self, options: dict[str, t.Any], address: str, granted: bool
    ) -> None:
        wanted = settings(exempt_addresses=["192.0.2.0/24", "2001:db8::/32"], **options)
        person = Person(address=address)
        assert attempt(wanted, "sshd", person, password=True).authenticate() == granted
        assert attempt(wanted, "sshd", person, key_accepted=True).authenticate() == granted
        assert not attempt(wanted, "sshd", person, password=False, code=True).authenticate()

    def test_exempts_nobody_where_the_list_of_origins_is_gone_or_empty(self) -> None:
        wanted = settings(exempt_addresses=["0.0.0.0/0"])
        assert attempt(wanted, "sshd", password=True).authenticate()
        assert not attempt(wanted, "sshd", password=True, lists={places.EXEMPT_ORIGINS: ""}).authenticate()
        gone = attempt(wanted, "sshd", password=True)
        gone.files = {path: text for path, text in gone.files.items() if path != places.EXEMPT_ORIGINS}
        assert not gone.authenticate()
        assert gone.asked == ["password", "code"]


class TestNames:
    """The accounts in scope, where the code step goes by names."""

    WANTED = settings(scope="enrolled")
    MANY = tuple(f"user{number:04}" for number in range(1000))

    def asks(self, text: str, name: str, service: str = "sudo", **brings: t.Any) -> bool:
        """Whether somebody is asked for the code, and gets in only with the right one."""
        pam = attempt(self.WANTED, service, Person(name), switch_text=text, credentials=[name], password=True, **brings)
        granted = pam.authenticate()
        pam.code, asked = True, "code" in pam.asked
        assert granted != asked
        assert pam.authenticate()
        return asked

    def test_stand_in_lines_of_which_all_but_the_last_lead_on_to_the_next_one(self) -> None:
        names = [letter * 256 for letter in "abcdefghij"]
        assert step_of(self.WANTED, names).split("\n")[1:5] == [
            f"auth [success=ignore default=3] pam_succeed_if.so quiet user notin {':'.join(names[:3])}",
            f"auth [success=ignore default=2] pam_succeed_if.so quiet user notin {':'.join(names[3:6])}",
            f"auth [success=ignore default=1] pam_succeed_if.so quiet user notin {':'.join(names[6:9])}",
            f"auth [success=5 default=ignore] pam_succeed_if.so quiet user notin {names[9]}",
        ]

    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    def test_in_whichever_line_are_asked_and_nobody_else_is(self, service: str) -> None:
        text = step_of(self.WANTED, self.MANY)
        lines = [line for line in text.split("\n") if " user notin " in line]
        assert len(lines) > 10
        for line in lines:
            listed = line.rpartition(" ")[2].split(":")
            assert self.asks(text, listed[0], service)
            assert self.asks(text, listed[-1], service)
        for outside in ("carol", "user000", "user00000", "ser0000", "USER0000", ":"):
            assert not self.asks(text, outside, service)
        key = attempt(self.WANTED, "sshd", Person(self.MANY[-1]), switch_text=text, key_accepted=True)
        assert not key.authenticate()
        assert key.asked == ["code"]

    def test_that_are_none_let_everyone_pass(self) -> None:
        text = step_of(self.WANTED, [])
        assert asks_for_code(text, oath.MODULE)
        assert not self.asks(text, "alice")

    @pytest.mark.parametrize("outcome", ["service_err", "user_unknown", "system_err", "ignore", "module_unknown"])
    @pytest.mark.parametrize("number", [0, 1, 7, -1])
    def test_that_cannot_be_compared_are_asked(
        self, monkeypatch: pytest.MonkeyPatch, outcome: str, number: int
    ) -> None:
        text = step_of(self.WANTED, self.MANY)
        lines = [line for line in text.split("\n") if " user notin " in line]
        compare = Pam._succeed_if

        def fail(pam: Pam, arguments: list[str]) -> str:
            return outcome if lines[number].endswith(" ".join(arguments)) else compare(pam, arguments)

        monkeypatch.setattr(Pam, "_succeed_if", fail)
        assert self.asks(text, "carol")
        assert self.asks(text, self.MANY[0])
        assert self.asks(text, self.MANY[-1])

    def test_in_the_other_lines_are_asked_where_one_is_lost(self) -> None:
        lines = step_of(self.WANTED, self.MANY).split("\n")
        for number, line in enumerate(lines):
            if " user notin " not in line:
                continue
            text = "\n".join([*lines[:number], *lines[number + 1 :]])
            kept = asked_users(text)
            assert kept is not None
            for name in (min(kept), max(kept)):
                pam = attempt(self.WANTED, "sudo", Person(name), switch_text=text, password=True)
                assert not pam.authenticate()

    def test_are_passed_by_what_stands_before_them(self) -> None:
        text = step_of(self.WANTED, self.MANY)
        over = text.count("\nauth ")
        recovered = f"auth [success={over} default=ignore] pam_succeed_if.so quiet user = {self.MANY[500]}\n{text}"
        assert not self.asks(recovered, self.MANY[500])
        assert self.asks(recovered, self.MANY[501])
        excepted = except_services(text, ["sudo"])
        assert not self.asks(excepted, self.MANY[500])
        assert self.asks(excepted, self.MANY[500], "su")
        exempt = step_of(settings(scope="enrolled", exempt_users=["alice"], exempt_addresses=["192.0.2.0/24"]))
        assert not self.asks(exempt, "alice")
        assert self.asks(exempt, "bob")
        assert not self.asks(exempt, "carol")

    @given(
        st.sets(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,40}\$?", fullmatch=True)),
        st.sampled_from([(), ("192.0.2.0/24",)]),
    )
    def test_are_read_back(self, names: set[str], addresses: tuple[str, ...]) -> None:
        wanted = settings(scope="enrolled", exempt_users=["ansible"], exempt_addresses=addresses)
        text = step_of(wanted, names)
        assert asked_users(text) == names
        assert asked_users(text.replace("\n", " # mine\n")) == names
        assert asked_users(except_services(text, ["sshd"])) == names
        assert asked_users(f"auth [success=done default=ignore] pam_succeed_if.so quiet user = x\n{text}") == names

    @pytest.mark.parametrize("text", [None, "", PASS_THROUGH, step_of(settings(exempt_users=["alice"]))])
    def test_are_not_what_every_code_step_goes_by(self, text: str | None) -> None:
        assert asked_users(text) is None


class TestSwitch:
    def test_says_the_length_the_window_and_the_lockout(self) -> None:
        lockout = {"attempts": 3, "unlock_seconds": 60, "count_seconds": 120}
        wanted = settings(otp_digits=8, window=2, lockout=lockout, exempt_users=["ansible", "root"])
        tally = "conf=/dev/null dir=/run/fleet-auth/faillock deny=3 unlock_time=60 fail_interval=120 even_deny_root"
        assert step_of(wanted) == (
            "# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.\n"
            "auth [success=5 default=ignore] pam_succeed_if.so quiet user in ansible:root\n"
            f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}\n"
            "auth [success=1 default=ignore] pam_oath.so usersfile=/etc/oath/${USER} window=2 digits=8\n"
            f"auth [default=die] pam_faillock.so authfail {tally}\n"
            f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}\n"
            f"auth [default=ignore] pam_faillock.so authsucc {tally}\n"
        )

    @pytest.mark.parametrize("operator", ["in", "ingroup", "notin"])
    @pytest.mark.parametrize("length", [1, 8, 200, 256])
    def test_keeps_its_lines_short_enough_for_every_release_of_libpam(self, operator: str, length: int) -> None:
        names = [f"{number:04}".rjust(length, "a") for number in range(1000)]
        options = {"in": {"exempt_users": names}, "ingroup": {"exempt_groups": names}, "notin": {"scope": "enrolled"}}
        text = step_of(settings(**options[operator]), names)
        assert max(map(len, text.split("\n"))) < 1000
        listed = [line.split(f" user {operator} ")[1].split(":") for line in text.split("\n") if " quiet user " in line]
        assert list(itertools.chain(*listed)) == names

    def test_keeps_its_lines_short_enough_with_every_group_in_scope(self) -> None:
        groups = [f"group-{number:03}" for number in range(80)]
        text = step_of(settings(scope="groups", scope_groups=groups))
        assert max(map(len, text.split("\n"))) < 1000
        assert f" user notingroup {':'.join(groups)}\n" in text

    @pytest.mark.parametrize(
        ("text", "asks"),
        [
            (None, False),
            ("", False),
            (PASS_THROUGH, False),
            ("# auth required pam_oath.so x\n", False),
            (step_of(settings()), True),
            (except_services(step_of(settings()), ["sshd", "su"]), True),
        ],
    )
    def test_is_known_by_the_module_that_asks(self, text: str | None, asks: bool) -> None:
        assert asks_for_code(text, oath.MODULE) == asks


class TestLists:
    def test_of_origins_deny_what_is_exempt_and_grant_the_rest(self) -> None:
        assert exempt_origins(settings(exempt_addresses=["192.0.2.0/24", "2001:db8::1"])) == (
            "-:ALL:192.0.2.0/24\n-:ALL:2001:db8::1/128\n+:ALL:ALL\n"
        )


@pytest.mark.parametrize(
    ("accepted", "says"),
    [
        ("publickey ssh-ed25519 AAAA", True),
        ("publickey ssh-ed25519 AAAA\npassword", True),
        ("", False),
        ("password\npublickey ssh-ed25519 AAAA", False),
        ("publickey", False),
        ("keyboard-interactive/pam", False),
        (" publickey x", False),
        (None, False),
    ],
)
def test_helper_tells_whether_sshd_accepted_a_key_first(accepted: str | None, says: bool) -> None:
    environment = {} if accepted is None else {"SSH_AUTH_INFO_0": accepted}
    done = subprocess.run(
        ["/bin/sh", "-c", HELPERS[places.KEY_ACCEPTED]], env=environment, check=False, capture_output=True
    )
    assert (done.returncode == 0, done.stdout, done.stderr) == (says, b"", b"")
