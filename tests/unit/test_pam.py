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
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._texts import pam as pam_text
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam import is_protected, unprotect
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam_conf import ServiceFiles
from ansible_collections.fleet.auth.plugins.module_utils._texts.placement import PamError
from unit.builders import COMMON_AUTH, INCLUDED, SERVICES, host_files, settings, step_of
from unit.layouts import DIRECT, LAYOUTS, RHEL, Layout
from unit.model import Pam

HELPERS = host_files(self_service=False)

BEGIN = "# BEGIN fleet.auth twofactor: in place of the next line"
END = "# END fleet.auth twofactor"


def protect(service: str, text: str, included: t.Mapping[str, str]) -> str:
    return pam_text.protect(service, text, ServiceFiles(included), backends.MODULES).text


STACKS = {**INCLUDED, **RHEL.included}


def protected(text: str, service: str = "sudo", **included: str) -> str:
    more = {name.replace("_", "-"): stack for name, stack in included.items()}
    return protect(service, text, {**INCLUDED, **more})


def refusal(text: str, **included: str) -> str:
    with pytest.raises(PamError) as caught:
        protected(text, **included)
    return str(caught.value)


# Lines as found in service files, with bytes that are not UTF-8 as surrogates.
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
            "-auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] pam_cockpit_cert.so",
            "-auth [success=done default=ignore] /lib/x86_64-linux-gnu/security/pam_cockpit_cert.so",
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
    def test_is_undone_or_refused_for_any_content(self, raw: bytes, service: str) -> None:
        self.check_any(raw, service)

    @given(st.data(), services)
    def test_is_undone_or_refused_for_any_lines(self, data: st.DataObject, service: str) -> None:
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
    def test_is_undone_around_later_edits_of_an_administrator(
        self, parts: Parts, before_now: list[str], after_now: list[str]
    ) -> None:
        service, before, primary, after = parts
        block = protect(service, "\n".join([*before, primary, *after]), STACKS).split("\n")
        block = block[len(before) : -len(after) or None]
        edited = "\n".join([*before_now, *block, *after_now])
        assert unprotect(service, edited) == "\n".join([*before_now, primary, *after_now])
        assert unprotect(service, protect(service, edited, STACKS)) == "\n".join([*before_now, primary, *after_now])

    @given(service_files, st.lists(lines_after, max_size=6))
    def test_updates_the_block_of_another_release(self, parts: Parts, inner: list[str]) -> None:
        service, before, primary, after = parts
        other = "\n".join([*before, BEGIN + " (1.0)", f"#| {primary}", *inner, END, *after])
        assert protect(service, other, STACKS) == protect(service, "\n".join([*before, primary, *after]), STACKS)

    def test_writes_the_stack_that_was_tested_with_real_logins(self) -> None:
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

    def test_includes_a_substack_so_that_a_wrong_password_ends_the_stack(self) -> None:
        text = protect("cockpit", SERVICES["cockpit"], INCLUDED)
        assert "\nauth include common-auth\nauth substack twofactor\n" in text
        assert "\n#| auth       substack     common-auth\n" in text


class TestRefusal:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "account required pam_unix.so\n# @include common-auth\n",
            # The first line continues in the second.
            "session optional pam_x.so \\ \n@include common-auth\n",
        ],
    )
    def test_of_a_file_without_auth_lines_names_the_file_other(self, text: str) -> None:
        assert refusal(text) == (
            "/etc/pam.d/sudo has no auth line, so libpam uses /etc/pam.d/other. Add 'auth include' with the "
            "file that asks for the password, or leave sudo out."
        )

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            (
                "auth required pam_unix.so\n@include common-auth\n",
                "line 1: auth required pam_unix.so; line 2: @include common-auth",
            ),
            ("@include common-account\n", "none"),
            (
                "@include common-auth\n\nauth include other-auth\n",
                "line 1: @include common-auth; line 3: auth include other-auth",
            ),
        ],
    )
    def test_of_a_file_without_one_clear_place_shows_what_was_found(self, text: str, found: str) -> None:
        assert refusal(text, other_auth="auth include more\n", more="auth required pam_unix.so\n") == (
            "/etc/pam.d/sudo must have exactly one place where it asks for the password: an auth line that includes "
            "common-auth, password-auth, system-auth or another file with pam_unix.so, pam_sss.so or the like, or such "
            f"a module itself; found {found}. Bring the file to that form, or leave sudo out."
        )

    @pytest.mark.parametrize(
        ("lines", "first", "last", "judged"),
        [
            (["[success=1 default=ignore] pam_unix.so", "requisite pam_deny.so"], 1, 2, False),
            (["[success=1 default=ignore] pam_unix.so", "required pam_deny.so"], 1, 2, True),
            (
                ["[success=2 default=ignore] pam_unix.so", "requisite pam_deny.so", "required pam_permit.so"],
                1,
                3,
                False,
            ),
            (["[success=1 default=ignore] pam_x.so", "requisite pam_unix.so", "optional pam_y.so"], 2, 2, False),
            (
                ["[success=2 default=ignore] pam_fprintd.so", "[success=1] pam_unix.so", "requisite pam_deny.so"],
                2,
                3,
                False,
            ),
            (["requisite pam_faillock.so preauth", "[success=ok default=die] pam_unix.so"], 2, 2, False),
            (["required pam_faillock.so preauth", "[success=ok default=die] pam_unix.so"], 2, 2, True),
            (["[success=2 default=ignore] pam_unix.so", "include postlogin", "requisite pam_deny.so"], 1, 3, False),
        ],
    )
    def test_spares_lines_with_a_proof(self, lines: list[str], first: int, last: int, judged: bool) -> None:
        auth = [f"auth {line}" for line in [*lines, "required pam_permit.so"]]
        text = protected("\n".join(auth), postlogin=RHEL.included["postlogin"])
        assert [line[3:] for line in text.split("\n") if line.startswith("#| ")] == auth[first - 1 : last]
        assert ("twofactor-judge" in text) == judged

    @pytest.mark.parametrize("module", ["pam_sss.so", "pam_tcb.so", "pam_unix2.so", "/lib/security/pam_krb5.so"])
    def test_spares_another_module_that_asks_for_the_password(self, module: str) -> None:
        end = ["auth requisite pam_deny.so", "auth required pam_permit.so"]
        one = ["auth required pam_env.so", f"auth [success=1 default=ignore] {module}", *end]
        two = ["auth [success=2 default=ignore] pam_ldap.so", *one[1:]]
        for lines, block in ((one, one[1:3]), (two, two[1:3])):
            text = protected("\n".join(lines))
            assert [line[3:] for line in text.split("\n") if line.startswith("#| ")] == block
        other = f"auth sufficient {module}\nauth required pam_deny.so\n"
        assert "\nauth substack other\nauth substack twofactor-judge\n" in protected("auth include other", other=other)

    @pytest.mark.parametrize(
        "lines",
        [
            ["requisite pam_nologin.so", "required pam_env.so", "required pam_group.so"],
            ["required pam_access.so"],
            ["optional pam_gnome_keyring.so"],
        ],
    )
    @pytest.mark.parametrize("last", ["pam_sss.so use_first_pass", "pam_ldap.so use_first_pass", "pam_unix.so"])
    def test_spares_a_stack_whose_last_module_denies_without_a_password(self, lines: list[str], last: str) -> None:
        stack = "".join(f"auth {line}\n" for line in [*lines, "sufficient pam_unix.so", f"required {last}"])
        assert "\nauth substack site\nauth substack twofactor-judge\n" in protected("auth include site", site=stack)

    @pytest.mark.parametrize(
        ("lines", "number", "problem"),
        [
            (["sufficient pam_unix.so"], 1, "can end the authentication before the code is asked for"),
            (
                ["sufficient pam_sss.so", "required pam_deny.so"],
                1,
                "can end the authentication before the code is asked",
            ),
            (["requisite pam_unix.so", "[default=reset] pam_y.so"], 0, "whatever is typed"),
            (
                ["[success=1 default=1] pam_unix.so", "requisite pam_deny.so", "required pam_permit.so"],
                3,
                "lets people in",
            ),
            (
                ["[success=1 default=ignore] pam_unix.so", "required pam_permit.so"],
                2,
                "lets people in who have neither",
            ),
            (
                ["required pam_faillock.so preauth", "sufficient pam_unix.so", "required pam_krb5.so"],
                1,
                "lets people in",
            ),
            *[
                (
                    ["required pam_access.so", "sufficient pam_unix.so", f"required {module} ignore_{what}"],
                    1,
                    "lets people in",
                )
                for module, what in (("pam_sss.so", "unknown_user"), ("pam_ldap.so", "authinfo_unavail"))
            ],
            *[
                ([f"optional {module}", "sufficient pam_unix.so"], 1, "lets people in who have neither")
                for module in ("pam_gnome_keyring.so", "pam_mount.so", "pam_kwallet5.so", "pam_nologin.so successok")
            ],
            (["required pam_permit.so", "optional pam_unix.so"], 1, "lets people in who have neither a password nor"),
        ],
    )
    def test_of_lines_without_a_proof_shows_the_line(self, lines: list[str], number: int, problem: str) -> None:
        told = refusal("".join(f"auth {line}\n" for line in lines))
        assert problem in told
        if number:
            assert told.startswith(f"/etc/pam.d/sudo, line {number}, ")
            assert f"{'auth ' + lines[number - 1]!r}. Change that line, or leave sudo out." in told

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("auth required \\\npam_unix.so\n", ", line 1, or the one before it, is continued on the next line. Write"),
            ("auth required pam_unix.so \\\n", ": line 1 is continued on an empty line or a comment. Write it on"),
            ("@include common-auth \\\n", ": line 1 is continued on an empty line or a comment. Write it on one"),
        ],
    )
    def test_of_a_continued_line_says_so(self, text: str, problem: str) -> None:
        assert refusal(text).startswith(f"/etc/pam.d/sudo{problem}")

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("\r", "begins with '\\r', which is not a PAM type, so libpam treats it as a failure. Save the file"),
            ("\ufeffauth required pam_env.so", "begins with '\\ufeffauth', which is not a PAM type"),
            (
                "auth [success=0 default=ignore] pam_x.so",
                "has a control flag that cannot be read, '[success=0 default=ignore]'",
            ),
            ("auth [Success=ok default=bad] pam_x.so", "has a control flag that cannot be read"),
            ("auth [success=ok pam_x.so", "has a control flag that cannot be read, '[success=ok pam_x.so'"),
            ("auth required", "has no module"),
            ("auth", "has no control flag and no module"),
            (
                "auth include /opt/more",
                "includes /opt/more, which is not there, or is a file of /etc/pam.d under another",
            ),
            ("auth include site/more", "includes site/more, which is an incomplete path. Give the full one, or"),
            ("auth include ../more", "includes ../more, which is an incomplete path. Give the full one, or"),
            ("@Include more", "(included by /etc/pam.d/sudo, line 2), lets people in who have neither"),
        ],
    )
    def test_of_a_line_that_libpam_cannot_read_or_reads_differently_shows_it(self, line: str, problem: str) -> None:
        told = refusal(f"# top\n{line}\n@include common-auth\n", more="auth sufficient pam_wheel.so trust\n")
        assert "/etc/pam.d/sudo, line 2" in told
        assert problem in told
        assert told.endswith(", or leave sudo out.")

    @pytest.mark.parametrize("line", ["@include common-auth", "auth include common-auth", "auth required pam_env.so"])
    def test_of_a_file_with_carriage_returns_says_how_to_save_it(self, line: str) -> None:
        assert refusal(f"#%PAM-1.0\r\n{line}\r\naccount required pam_unix.so\r\n") == (
            f"/etc/pam.d/sudo, line 2, names '{line.rpartition(' ')[2]}\\r', with a carriage return at its end, and "
            "libpam does not know that name. Save the file with the line ends of Unix (sed -i 's/\\r$//' "
            "/etc/pam.d/sudo), or leave sudo out."
        )

    def test_of_a_line_that_only_some_releases_of_libpam_read_says_so(self) -> None:
        assert refusal(f"# {'x' * 1000}\n@include common-auth\n") == (
            "/etc/pam.d/sudo: line 1 has more than 1000 characters, or a NUL. Write a shorter one, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "line", ["@INCLUDE common-auth # all", "-@include common-auth", "auth Include /etc/pam.d/common-auth"]
    )
    def test_spares_lines_that_libpam_reads(self, line: str) -> None:
        assert unprotect("sudo", protected(line)) == line

    def test_of_a_jump_over_the_primary_authentication_shows_it(self) -> None:
        text = "auth [success=2 default=ignore] pam_krb5.so\n" + LAYOUTS["no includes"].services["sudo"]
        assert unprotect("sudo", protected(text)) == text
        text = "auth [success=4 default=ignore] pam_krb5.so\n@include common-auth\nauth optional pam_x.so\n"
        text += "auth required pam_permit.so\n"
        assert "line 1, is before the primary authentication and jumps over the code step" in refusal(text)

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
    def test_of_a_line_that_also_asks_for_a_code_shows_it(
        self, module: str, text: str, included: dict[str, str], where: str
    ) -> None:
        line = f"auth required {module} nullok"
        found = refusal(text.format(line=line), **{name: one.format(line=line) for name, one in included.items()})
        assert found == (
            f"/etc/pam.d/{where}, asks for a code of its own, so that sudo would ask for two: {line!r}. Remove it in "
            "the same run, before the role (docs/adopt.md has the play), or leave sudo out."
        )

    @pytest.mark.parametrize("before", ["", "auth optional pam_group.so\n"])
    def test_of_a_continued_line_that_asks_for_a_code_shows_it(self, before: str) -> None:
        line = "auth required \\\n  pam_google_authenticator.so nullok\n"
        number = 1 + before.count("\n")
        told = refusal(f"{before}{line}@include common-auth\n")
        assert told.startswith(
            f"/etc/pam.d/sudo, line {number}, asks for a code of its own, so that sudo would ask for"
        )

    @pytest.mark.parametrize("line", ["auth include site", "@include site", "auth substack site"])
    def test_spares_continued_lines_in_included_files(self, line: str) -> None:
        site = COMMON_AUTH.replace("pam_unix", "\\\n\tpam_unix")
        assert unprotect("sudo", protected(f"{line}\n", site=site)) == f"{line}\n"
        assert unprotect("sudo", protected(f"{line}\n", site="auth \\\n include site2\n", site2=COMMON_AUTH))

    @pytest.mark.parametrize("remark", ["# was use_first_pass", "# pam_oath.so", "#force_first_pass"])
    def test_ignores_comments_at_the_end_of_a_line(self, remark: str) -> None:
        line = f"auth required pam_unix.so nullok {remark}\n"
        assert unprotect("sudo", protected(line)) == line

    def test_spares_the_code_step_itself_and_lines_that_ask_nobody(self) -> None:
        files = {"twofactor": step_of(settings()), "sudo": protected("@include common-auth\n")}
        for text in (
            "@include common-auth\n#auth required pam_oath.so\n",
            "account required pam_oath.so\n@include common-auth\n",
        ):
            assert is_protected(protected(text, **files))
        assert protected(files["sudo"], **files) == files["sudo"]

    @pytest.mark.parametrize("line", ["auth substack gone", "@include gone", "auth include gone"])
    def test_of_a_missing_stack_says_so(self, line: str) -> None:
        assert refusal(f"{line}\n@include common-auth\n") == (
            "/etc/pam.d/sudo, line 1, includes gone, which is not there. Put that right, or leave sudo out."
        )
        assert refusal("@include common-auth\n", common_auth=f"\n{line}\n") == (
            "/etc/pam.d/common-auth, line 2 (included by /etc/pam.d/sudo, line 1), includes gone, which is not there. "
            "Put that right, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "stack",
        [
            "auth required pam_unix.so\n",
            "auth requisite pam_nologin.so\nauth required pam_unix.so\n",
            "auth [success=1 default=ignore] pam_localuser.so\nauth requisite pam_deny.so\nauth required pam_unix.so\n",
            "auth required pam_faillock.so preauth\n" + COMMON_AUTH,
            "auth optional pam_unix.so\n",
        ],
    )
    def test_spares_a_stack_that_continues_after_a_denial_and_then_asks_nobody(self, stack: str) -> None:
        judge = "auth substack twofactor-judge\n"
        assert f"\n@include common-auth\n{judge}" in protected("@include common-auth\n", common_auth=stack)
        assert f"\nauth include common-auth\n{judge}" in protected("auth include common-auth\n", common_auth=stack)
        assert f"\nauth substack common-auth\n{judge}" in protected("auth substack common-auth\n", common_auth=stack)

    @pytest.mark.parametrize("line", ["@include common-auth", "auth include common-auth", "auth substack common-auth"])
    def test_spares_a_stack_that_ends_at_a_right_password_if_it_can_be_a_substack(self, line: str) -> None:
        stack = "auth requisite pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth required pam_deny.so\n"
        judged = "\nauth substack common-auth\nauth substack twofactor-judge\n"
        assert judged in protected(f"{line}\n", common_auth=stack)
        stack += "account required pam_unix.so\n"
        if line == "@include common-auth":
            assert "common-auth, line 2 (included by /etc/pam.d/sudo, line 1), can end the authentication" in refusal(
                f"{line}\n", common_auth=stack
            )
        else:
            assert judged in protected(f"{line}\n", common_auth=stack)

    @pytest.mark.parametrize("line", ["auth required pam_deny.so", "auth [default=bad] pam_x.so"])
    def test_of_a_stack_that_ends_before_the_following_lines_shows_where(self, line: str) -> None:
        assert refusal(f"auth include password-auth\n{line}\n", password_auth=RHEL.included["password-auth"]) == (
            "/etc/pam.d/password-auth, line 4 (included by /etc/pam.d/sudo, line 1), can end the authentication before "
            f"the code is asked for: {RHEL.included['password-auth'].splitlines()[3]!r}. Change that line, or leave "
            "sudo out."
        )

    @pytest.mark.parametrize("line", ["-auth optional pam_group.so", "auth include postlogin"])
    def test_spares_a_stack_that_ends_if_the_following_lines_make_no_difference(self, line: str) -> None:
        text = protected(
            f"auth include password-auth\n{line}\n",
            **{name.replace("-", "_"): one for name, one in RHEL.included.items()},
        )
        assert "\nauth substack password-auth\nauth substack twofactor-judge\n" in text

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            *[
                (line, "can end the authentication before the code is asked for")
                for line in (
                    "auth sufficient pam_krb5.so",
                    "-AUTH\tSufficient pam_krb5.so",
                    "auth [sufficient] pam_krb5.so",
                    "[auth] sufficient pam_krb5.so",
                    "auth [success=done default=ignore] pam_krb5.so",
                    "auth [success=done default=ignore]pam_krb5.so",
                    "auth [ success = done ] pam_krb5.so",
                    "auth sufficient pam_rootok.so.1",
                    "auth sufficient /lib/security/pam_krb5.so",
                )
            ],
            *[
                (line, "lets people in who have neither a password nor anything else to prove who they are")
                for line in ("auth sufficient pam_wheel.so trust", "auth [default=done] pam_succeed_if.so uid > 1")
            ],
            ("auth [success=4 default=ignore] pam_krb5.so", "jumps over the code step"),
        ],
    )
    def test_of_a_line_before_the_primary_authentication_shows_it(self, line: str, problem: str) -> None:
        text = f"#%PAM-1.0\n{line}\n\n@include common-auth\nauth optional pam_x.so\nauth required pam_permit.so\n"
        assert refusal(text) == (
            f"/etc/pam.d/sudo, line 2, is before the primary authentication and {problem}: {line!r}. Change that "
            "line, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "line",
        [
            "auth [success=1 default=ignore] pam_wheel.so",
            "auth required pam_env.so\n@include pre-auth",
            "auth include pre-auth",
            "auth [substack] pre-auth",
            "auth \\\nrequisite pam_nologin.so",
            "auth [success=1 default=ignore] pam_succeed_if.so user ingroup keys\nauth required pam_duo.so",
        ],
    )
    def test_spares_a_line_before_the_primary_authentication_that_bypasses_nothing(self, line: str) -> None:
        text = f"{line}\n@include common-auth\n"
        assert unprotect("sudo", protected(text, pre_auth="auth requisite pam_nologin.so\n")) == text

    @pytest.mark.parametrize("line", ["sufficient pam_rootok.so", "sufficient /lib/security/pam_rootok.so"])
    @pytest.mark.parametrize("common", [False, True])
    def test_of_pam_rootok_in_a_service_that_runs_as_root_shows_the_line(self, line: str, common: bool) -> None:
        line = f"auth {line}\n"
        text = f"{'' if common else line}@include common-auth\n"
        files = {**INCLUDED, "common-auth": f"{line if common else ''}{COMMON_AUTH}"}
        for service in ("su", "sudo", "chsh"):
            assert unprotect(service, protect(service, text, files)) == text
        for service in ("sshd", "login", "lightdm"):
            with pytest.raises(PamError, match="lets people in who have neither a password nor anything"):
                protect(service, text, files)

    def test_of_a_line_that_undoes_a_wrong_code_shows_it(self) -> None:
        line = "auth [success=ok default=reset] pam_x.so"
        assert refusal(f"@include common-auth\n{line}\nauth required pam_permit.so\n") == (
            "/etc/pam.d/sudo, line 2, is after the primary authentication and can undo a wrong code: "
            f"{line!r}. Change that line, or leave sudo out."
        )

    @pytest.mark.parametrize("nested", [False, True])
    def test_of_an_included_line_that_bypasses_the_step_shows_the_chain_of_includes(self, nested: bool) -> None:
        line = "auth [success=2 default=ignore] pam_unix.so"
        stack = f"auth required pam_env.so\n{line}\nauth requisite pam_deny.so\n"
        included = {"common_auth": "# site\n@include site\n", "site": stack} if nested else {"common_auth": stack}
        by = "/etc/pam.d/common-auth, line 2, and that by /etc/pam.d/sudo" if nested else "/etc/pam.d/sudo"
        assert refusal("@include common-auth\nauth required pam_permit.so\n", **included) == (
            f"/etc/pam.d/{'site' if nested else 'common-auth'}, line 2 (included by {by}, line 1), jumps over the code "
            f"step: {line!r}. Change that line, or leave sudo out."
        )

    @pytest.mark.parametrize(
        "stack",
        [
            COMMON_AUTH,
            "auth [success=2 default=ignore] pam_unix.so\n" + COMMON_AUTH.replace("pam_unix", "pam_sss"),
            "auth requisite pam_faillock.so preauth\nauth requisite pam_unix.so\nauth optional pam_cap.so\n",
            "auth required pam_unix.so\n" + COMMON_AUTH,
            "account sufficient pam_x.so\nsession [default=done] pam_y.so\n# auth sufficient pam_z.so\n" + COMMON_AUTH,
            "auth [success=2 default=ignore] pam_fprintd.so\n" + COMMON_AUTH,
            "auth [success=4 default=ignore] pam_himmelblau.so\nauth [success=3 default=ignore] pam_authd.so\n"
            "auth [success=2 default=ignore] pam_u2f.so cue\n" + COMMON_AUTH,
            COMMON_AUTH.replace("pam_unix.so", "/lib/x86_64-linux-gnu/security/pam_unix.so"),
            "auth requisite pam_faillock.so preauth\nauth [success=2 default=ignore] pam_unix.so nullok\n"
            "auth [default=die] pam_faillock.so authfail\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
        ],
    )
    def test_spares_a_stack_that_reaches_its_end(self, stack: str) -> None:
        assert is_protected(protected("@include common-auth\n", common_auth=stack))

    def test_of_a_stack_that_includes_itself_terminates(self) -> None:
        assert "includes common-auth, which in turn includes this file. Put that right, or leave sudo out." in refusal(
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
    """How libpam evaluates a protected service in each layout, according to the model of it."""

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
    def test_let_in_only_with_a_right_code(self, layout: str, service: str, key_accepted: bool) -> None:
        first = ["password"]
        if key_accepted and service == "sshd":
            first = []
        for code in (True, False, None):
            pam = self.attempt(layout, service, password=True, code=code, key_accepted=not first)
            assert (pam.authenticate(), pam.asked) == (bool(code), [*first, "code"])
            assert pam.failures == (not code)

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    @pytest.mark.parametrize("password", [False, None])
    def test_count_no_wrong_codes_of_strangers(self, layout: str, service: str, password: bool | None) -> None:
        pam = self.attempt(layout, service, password=password, code=False)
        for _attempt in range(6):
            assert not pam.authenticate()
        assert (pam.failures, pam.noted, set(pam.asked)) == (0, False, {"password"})
        pam.password, pam.code = True, True
        assert pam.authenticate()

    @pytest.mark.parametrize("service", RHEL.services)
    def test_ask_everyone_and_deny_wrong_passwords_if_the_helper_is_missing(self, service: str) -> None:
        for password, code in itertools.product([True, False], repeat=2):
            pam = self.attempt("RHEL", service, password=password, code=code)
            pam.files = {path: text for path, text in pam.files.items() if path != places.FIRST_FACTOR_FAILED}
            assert (pam.authenticate(), pam.asked) == (password and code, ["password", "code"])

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    def test_let_in_everyone_with_a_password_while_the_switch_passes_everyone(self, layout: str, service: str) -> None:
        for password in (True, False):
            pam = self.attempt(layout, service, password=password)
            pam.files = {**pam.files, places.SWITCH: PASS_THROUGH}
            assert (pam.authenticate(), pam.asked) == (password, ["password"])

    @pytest.mark.parametrize("direct", [False, True])
    def test_call_only_the_helpers_that_they_need(self, direct: bool) -> None:
        layout, called = (
            (DIRECT, [places.LIMITS_SUFFICE])
            if direct
            else (
                RHEL,
                [
                    *(places.LIMITS_SUFFICE, places.FIRST_FACTOR_FAILED),
                    *("/etc/pam.d/twofactor-judge", "/etc/pam.d/twofactor-note"),
                ],
            )
        )
        assert list(pam_text.helpers([protect("sudo", layout.services["sudo"], layout.files)])) == called
        assert list(pam_text.helpers(layout.services.values())) == []

    @pytest.mark.parametrize(("layout", "service"), SERVICES)
    def test_are_restored_byte_for_byte(self, layout: str, service: str) -> None:
        text = LAYOUTS[layout].services[service]
        once = protect(service, text, LAYOUTS[layout].files)
        assert unprotect(service, once) == text
        assert protect(service, once, LAYOUTS[layout].files) == once
        before, _begin, rest = once.partition(f"{BEGIN}")
        _block, _end, after = rest.partition(f"{END}\n")
        assert text.startswith(before)
        assert text.endswith(after)

    def test_write_the_stacks_that_were_tested_with_real_logins(self) -> None:
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
def test_helper_says_whether_sshd_accepted_a_key_first(accepted: str | None, says: bool) -> None:
    environment = {} if accepted is None else {"SSH_AUTH_INFO_0": accepted}
    done = subprocess.run(
        ["/bin/sh", "-c", HELPERS[places.KEY_ACCEPTED]], env=environment, check=False, capture_output=True
    )
    assert (done.returncode == 0, done.stdout, done.stderr) == (says, b"", b"")
