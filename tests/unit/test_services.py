# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services whose files include others, and services for which only the vendor has a file."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host.state import FileState, HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit.builders import SERVICES, file, host_state, plan, settings
from unit.model import Pam
from unit.simulator import Machine

OFF = settings(enabled=False)
LOGIN = """\
auth required pam_shells.so
auth requisite pam_nologin.so
auth include base-auth
account include base-auth
"""
BASE = """\
auth required pam_faillock.so preauth
-auth [success=2 default=ignore] pam_systemd_home.so
auth [success=1 default=bad] pam_unix.so try_first_pass nullok
auth [default=die] pam_faillock.so authfail
auth optional pam_permit.so
auth required pam_env.so
auth required pam_faillock.so authsucc
account required pam_unix.so
"""


def with_files(files: t.Mapping[str, str], gone: t.Collection[str] = ()) -> HostState:
    """A host with these files added by path, and without the files in `gone`."""
    state = host_state()
    kept = {path: one for path, one in state.files.items() if path not in gone}
    return replace(state, files={**kept, **{path: file(text) for path, text in files.items()}})


def wanted(*services: str, **changes: t.Any) -> Settings:
    given = {"services": list(services), "exempt_users": ["ansible"], **changes}
    return settings("alice", "bob", "carol", "ansible", **given)


def stages(target: Settings, state: HostState) -> list[HostState]:
    made = plan(target, state)
    assert not made.refusals
    return [machine.state for machine in Machine.booted(state).stages(made.changes)]


def logs_in(
    state: HostState, service: str, *, password: bool, code: bool, locked: bool = False
) -> tuple[bool, list[str]]:
    """Whether bob gets in, and what he was asked for. As with libpam, a file in /etc comes before the vendor's."""
    files = {path: one.content for path, one in state.files.items()}
    vendors = {path.replace(places.VENDOR_PAM_D, places.PAM_D): text for path, text in files.items()}
    pam = Pam({**vendors, **files}, service, "bob", ("bob",), "", password, code, credentials=["bob"], locked=locked)
    return pam.authenticate(), pam.asked


@pytest.mark.parametrize("door", ["sshd", "login", "door"])
def test_chain_of_includes_with_any_names_is_followed(door: str) -> None:
    before = with_files(
        {
            f"{places.PAM_D}/{door}": "#%PAM-1.0\nauth include way-in\naccount include way-in\n",
            f"{places.PAM_D}/way-in": LOGIN,
            f"{places.PAM_D}/base-auth": BASE,
        }
    )
    target = wanted(*([door] if door != "sshd" else []), ssh=door == "sshd", allow_console=True)
    state = stages(target, before)[-1]
    assert "#| auth include way-in\n" in (state.text(f"{places.PAM_D}/{door}") or "")
    assert logs_in(state, door, password=True, code=True) == (True, ["password", "code"])
    assert logs_in(state, door, password=True, code=False) == (False, ["password", "code"])
    assert logs_in(state, door, password=False, code=True) == (False, ["password"])
    # Somebody who guesses the password of a locked account does not learn that a guess was right.
    for password in (True, False):
        assert logs_in(state, door, password=password, code=True, locked=True) == (False, ["password"])
    assert stages(OFF, state)[-1].texts(f"{places.PAM_D}/") == before.texts(f"{places.PAM_D}/")


def test_line_in_a_nested_include_is_refused_with_the_chain_of_includes() -> None:
    before = with_files(
        {
            f"{places.PAM_D}/door": "auth include way-in\nauth required pam_deny.so\n",
            f"{places.PAM_D}/way-in": LOGIN,
            f"{places.PAM_D}/base-auth": "auth sufficient pam_unix.so\nauth required pam_deny.so\n",
        }
    )
    made = plan(wanted("door"), before)
    assert made.refusals == (
        "on web1, /etc/pam.d/base-auth, line 1 (included by /etc/pam.d/way-in, line 3, and that by "
        "/etc/pam.d/door, line 1), can end the authentication before the code is asked for: 'auth sufficient "
        "pam_unix.so'. Change that line, or leave door out.",
    )
    assert not made.changes


@pytest.mark.parametrize("line", ["auth include way-in", "auth substack /etc/pam.d/way-in", "@include way-in"])
def test_vendor_file_that_libpam_does_not_include_is_refused(line: str) -> None:
    door, vendors = f"{places.PAM_D}/door", f"{places.VENDOR_PAM_D}/way-in"
    files = {door: line + "\n", vendors: SERVICES["sudo"]}
    (refusal,) = plan(wanted("door"), with_files(files)).refusals
    assert refusal == (
        "on web1, /etc/pam.d/door, line 1, includes way-in, which is in /usr/lib/pam.d alone, where Debian's libpam "
        "looks for services, but not for included files: it denies everybody. Give the full path, "
        "/usr/lib/pam.d/way-in, or leave door out."
    )
    by_path = with_files({**files, door: f"auth include {vendors}\n"})
    assert plan(wanted("door"), replace(by_path, services_included=(vendors,))).refusals == ()


class TestCovered:
    CONTINUED = "auth \\\n  include sudo\n"
    SUDO_I = "#%PAM-1.0\nauth include sudo\naccount include sudo\nsession optional pam_keyinit.so force revoke\n"

    def host(self, line: str = "auth include sudo") -> HostState:
        return with_files({f"{places.PAM_D}/sudo-i": self.SUDO_I.replace("auth include sudo", line)})

    @pytest.mark.parametrize("line", ["auth include sudo", "auth substack sudo", "@include sudo"])
    @pytest.mark.parametrize("services", [["sudo", "sudo-i"], ["sudo-i", "sudo"]])
    def test_service_that_includes_another_one_is_unchanged(self, services: list[str], line: str) -> None:
        before = self.host(line)
        seen = stages(wanted(*services), before)
        for state in seen:
            assert state.text(f"{places.PAM_D}/sudo-i") == before.text(f"{places.PAM_D}/sudo-i")
        state = seen[-1]
        assert report.enforced(Situation(wanted(*services), state)) == {"sudo": True, "sudo-i": True}
        assert plan(wanted(*services), state).changes == ()
        for service in services:
            assert logs_in(state, service, password=True, code=True) == (True, ["password", "code"])
            assert logs_in(state, service, password=True, code=False) == (False, ["password", "code"])
            assert not logs_in(state, service, password=False, code=True)[0]
        assert stages(OFF, state)[-1].texts(f"{places.PAM_D}/") == before.texts(f"{places.PAM_D}/")

    def test_service_that_includes_another_one_with_a_continued_line_asks_once(self) -> None:
        before = with_files(
            {f"{places.PAM_D}/sudo-i": "auth include system-auth\n", f"{places.PAM_D}/system-auth": self.CONTINUED}
        )
        state = stages(wanted("sudo", "sudo-i"), before)[-1]
        assert state.protected_services == ("sudo",)
        assert logs_in(state, "sudo", password=True, code=True) == (True, ["password", "code"])

    @pytest.mark.parametrize(
        ("files", "is_reported"),
        [
            ({"sudo-i": file(SERVICES["sudo"])}, True),
            ({"sudo-i": file("auth include sudo\n")}, False),
            ({"sudo-i": file("auth include mid\n"), "mid": file("@include sudo\n")}, False),
            ({"sudo-i": file(SERVICES["sudo"], link=f"{places.PAM_D}/sudo")}, False),
            ({"sudo-i": file(SERVICES["sudo"], link=f"{places.PAM_D}/su")}, True),
        ],
    )
    def test_sudo_without_sudo_i_is_warned_about_if_that_has_its_own_file(
        self, files: dict[str, FileState], is_reported: bool
    ) -> None:
        state = host_state(files={f"{places.PAM_D}/{name}": one for name, one in files.items()})
        made = plan(wanted("sudo"), state)
        assert not made.refusals
        assert any("but sudo -i does not" in one for one in made.warnings) == is_reported

    def test_service_alone_gets_a_block_of_its_own(self) -> None:
        state = stages(wanted("sudo-i"), self.host())[-1]
        assert state.protected_services == ("sudo-i",)
        assert logs_in(state, "sudo-i", password=True, code=False) == (False, ["password", "code"])
        assert logs_in(state, "sudo", password=True, code=False) == (True, ["password"])

    def test_code_is_always_needed_while_one_replaces_the_other(self) -> None:
        alone, both = wanted("sudo-i"), wanted("sudo", "sudo-i")
        state = stages(alone, self.host())[-1]
        for target in (both, wanted("sudo-i"), both, wanted("sudo")):
            seen = stages(target, state)
            for one in seen:
                assert not logs_in(one, "sudo-i", password=True, code=False)[0]
            state = seen[-1]
            assert logs_in(state, "sudo-i", password=True, code=True) == (True, ["password", "code"])
            assert plan(target, state).changes == ()

    def test_refused_service_is_named_once(self) -> None:
        state = with_files(
            {f"{places.PAM_D}/sudo-i": self.SUDO_I, f"{places.PAM_D}/sudo": "auth sufficient pam_unix.so\n"}
        )
        (told,) = plan(wanted("sudo", "sudo-i"), state).refusals
        assert told.startswith("on web1, /etc/pam.d/sudo, line 1, can end the authentication")

    def test_sshd_that_includes_a_protected_service_is_refused(self) -> None:
        state = with_files(
            {f"{places.PAM_D}/sshd": "auth include sudo\n", f"{places.PAM_D}/sudo": "@include common-auth\n"}
        )
        made = plan(wanted("sudo", ssh=True), state)
        assert made.refusals == (
            "on web1, /etc/pam.d/sshd includes sudo, which would ask for codes, but logins with keys need a block in "
            "/etc/pam.d/sshd itself. Include the file there that asks for the password, such as common-auth, in place "
            "of sudo.",
        )

    def test_line_that_bypasses_the_include_is_refused(self) -> None:
        made = plan(wanted("su", "sudo", "sudo-i"), self.host("auth sufficient pam_krb5.so\nauth include sudo"))
        assert made.refusals == (
            "on web1, /etc/pam.d/sudo-i includes sudo, which would ask for codes, but /etc/pam.d/sudo-i, line 2, can "
            "end the authentication before the code is asked for: 'auth sufficient pam_krb5.so'. Change that line, or "
            "leave sudo-i out.",
        )

    @pytest.mark.parametrize("where", ["sudo", "sudo-i"])
    @pytest.mark.parametrize(
        ("line", "asks"),
        [("auth required pam_duo.so", "asks"), ("auth required pam_securid.so", "can deny, and may ask")],
    )
    def test_other_factor_of_one_of_them_is_named_once(self, where: str, line: str, asks: str) -> None:
        door = {"sudo": "auth include way-in\n", "sudo-i": "auth include sudo\n"}
        door[where] += f"{line}\n"
        files = {**door, "way-in": "auth requisite pam_unix.so\n"}
        state = with_files({f"{places.PAM_D}/{name}": text for name, text in files.items()})
        made = plan(wanted("sudo", "sudo-i"), state)
        assert not made.refusals
        assert [one for one in made.warnings if "another factor" in one] == [
            f"{places.PAM_D}/{where}, line 2, on web1 {asks} for another factor beside the code of {where}, {line!r}: "
            "a login that gets that far asks for both."
        ]

    def test_service_that_bypasses_the_included_one_is_not_called_enforced(self) -> None:
        state = stages(wanted("sudo", "sudo-i"), self.host())[-1]
        passing = f"auth sufficient pam_krb5.so\n{self.SUDO_I}"
        state = replace(state, files={**state.files, f"{places.PAM_D}/sudo-i": file(passing)})
        assert report.enforced(Situation(wanted("sudo", "sudo-i"), state)) == {"sudo": True, "sudo-i": False}


class TestVendor:
    OWN, VENDORS = f"{places.PAM_D}/sudo", f"{places.VENDOR_PAM_D}/sudo"

    def host(self) -> HostState:
        return with_files({self.VENDORS: SERVICES["sudo"]}, gone=[self.OWN])

    @pytest.mark.parametrize("leaves", [OFF, wanted()])
    def test_vendor_service_gets_a_copy_that_is_removed_again(self, leaves: Settings) -> None:
        before = self.host()
        seen = stages(wanted("sudo"), before)
        state = seen[-1]
        copy = state.text(self.OWN) or ""
        assert copy.startswith("# Copy of /usr/lib/pam.d/sudo (")
        assert state.files[self.OWN].mode == 0o644
        assert state.text(self.VENDORS) == SERVICES["sudo"]
        assert logs_in(state, "sudo", password=True, code=True) == (True, ["password", "code"])
        assert logs_in(state, "sudo", password=True, code=False) == (False, ["password", "code"])
        assert report.enforced(Situation(wanted("sudo"), state)) == {"sudo": True}
        assert plan(wanted("sudo"), state).changes == ()
        back = stages(leaves, state)[-1]
        assert self.OWN not in back.files

    def test_copy_follows_the_vendor(self) -> None:
        state = stages(wanted("sudo"), self.host())[-1]
        newer = SERVICES["sudo"].replace("#%PAM-1.0", "#%PAM-1.0\n# newer")
        state = replace(state, files={**state.files, self.VENDORS: file(newer)})
        state = stages(wanted("sudo"), state)[-1]
        assert "# newer\n" in (state.text(self.OWN) or "")
        assert self.OWN not in stages(OFF, state)[-1].files

    def test_copy_older_than_the_vendor_file_is_removed_too(self) -> None:
        state = stages(wanted("sudo"), self.host())[-1]
        state = replace(state, files={**state.files, self.VENDORS: file(SERVICES["su"])})
        assert self.OWN not in stages(OFF, state)[-1].files

    def test_edits_in_a_copy_are_kept(self) -> None:
        state = stages(wanted("sudo"), self.host())[-1]
        edited = (state.text(self.OWN) or "") + "session optional pam_x.so\n"
        state = replace(state, files={**state.files, self.OWN: file(edited)})
        assert plan(wanted("sudo"), state).changes == ()
        back = stages(OFF, state)[-1]
        assert back.text(self.OWN) == SERVICES["sudo"] + "session optional pam_x.so\n"

    def test_refusal_names_the_vendor_file(self) -> None:
        line = "auth sufficient pam_unix.so"
        made = plan(wanted("sudo"), with_files({self.VENDORS: f"#%PAM-1.0\n{line}\n"}, gone=[self.OWN]))
        assert made.refusals == (
            "on web1, /usr/lib/pam.d/sudo, line 2, can end the authentication before the code is asked for: "
            f"{line!r}. Change that line, or leave sudo out.",
        )

    def test_file_of_an_administrator_wins(self) -> None:
        own = "auth required pam_unix.so\n"
        state = stages(wanted("sudo"), with_files({self.OWN: own, self.VENDORS: SERVICES["sudo"]}))[-1]
        assert "auth requisite pam_unix.so\n" in (state.text(self.OWN) or "")
        assert "Copy of" not in (state.text(self.OWN) or "")
        assert stages(OFF, state)[-1].text(self.OWN) == own


class TestLinesForAccount:
    """Account lines before sshd's block, which has account lines of its own if the scope uses names or groups."""

    SCOPES: t.ClassVar = [{"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}]

    @staticmethod
    def refusals(before: str, **changes: t.Any) -> tuple[str, ...]:
        site = "account sufficient pam_localuser.so\naccount required pam_unix.so\n"
        files = {f"{places.PAM_D}/sshd": f"{before}\n@include common-auth\n", f"{places.PAM_D}/site": site}
        return plan(wanted(ssh=True, **changes), with_files(files)).refusals

    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize(
        ("before", "where", "problem"),
        [
            ("account sufficient pam_localuser.so", "sshd, line 1", "can end the account stack"),
            ("account [default=done] pam_access.so", "sshd, line 1", "can end the account stack"),
            ("account include site", "site, line 1 (included by /etc/pam.d/sshd, line 1)", "can end the account stack"),
            ("@include site", "site, line 1 (included by /etc/pam.d/sshd, line 1)", "can end the account stack"),
            (
                "account [success=1 default=ignore] pam_succeed_if.so user = bob",
                "sshd, line 1",
                "jumps over a number of modules",
            ),
        ],
    )
    def test_that_may_skip_the_block_are_refused(
        self, scope: dict[str, t.Any], before: str, where: str, problem: str
    ) -> None:
        (told,) = self.refusals(before, **scope)
        assert told.startswith(f"on web1, /etc/pam.d/{where}, is before the primary authentication and {problem}, ")
        assert told.endswith("'. Move line 1 of /etc/pam.d/sshd after line 2, or leave sshd out.")
        assert self.refusals(before) == ()

    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize(
        "before",
        [
            "account required pam_nologin.so\naccount optional pam_access.so",
            "account substack site",
            "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\n"
            "account required pam_permit.so",
            "account [success=1 default=ignore] pam_unix.so\naccount requisite pam_deny.so",
        ],
    )
    def test_that_always_reach_the_block_are_accepted(self, scope: dict[str, t.Any], before: str) -> None:
        assert self.refusals(before, **scope) == ()


class TestOtherFactors:
    HANDED_ON = "auth required pam_google_authenticator.so forward_pass"
    TAKEN = "auth required pam_unix.so use_first_pass"

    @pytest.mark.parametrize(
        "line",
        [
            "auth required pam_duo.so",
            "auth sufficient /lib/security/pam_u2f.so cue",
            "auth requisite pam_exec.so /usr/local/bin/ask-for-a-token",
            "auth required pam_python.so /lib/security/privacyidea_pam.py",
        ],
    )
    @pytest.mark.parametrize("door", ["sshd", "sudo"])
    @pytest.mark.parametrize("place", ["before", "inside", "after"])
    def test_are_named_for_passwords_and_for_keys(self, line: str, door: str, place: str) -> None:
        path, include = f"{places.PAM_D}/{door}", "auth include way-in"
        if place != "after":
            line = line.replace("sufficient", "required")
        door_lines = {"before": [line, include], "inside": [include], "after": [include, line]}[place]
        way_in = "auth requisite pam_unix.so\n" + (f"{line}\n" if place == "inside" else "")
        files = {path: "".join(f"{one}\n" for one in door_lines), f"{places.PAM_D}/way-in": way_in}
        made = plan(wanted(*([door] if door != "sshd" else []), ssh=door == "sshd"), with_files(files))
        assert not made.refusals
        (told,) = [one for one in made.warnings if "another factor" in one]
        number = {"before": 1, "inside": 2, "after": 2}[place]
        where = f"{places.PAM_D}/way-in, line 2 (included by {path}, line 1)"
        assert told.startswith(where if place == "inside" else f"{path}, line {number}, on web1 ")
        assert ("sshd skips every auth line" in told) == (door == "sshd" and place != "before")
        assert ("with a password or with a key asks for both" in told) == (door == "sshd" and place == "before")

    @pytest.mark.parametrize(
        ("lines", "number"),
        [
            (
                [
                    "substack way-in",
                    "[success=1 default=ignore] pam_exec.so expose_authtok /otp",
                    "requisite pam_deny.so",
                ],
                2,
            ),
            (["substack way-in", "sufficient pam_exec.so /otp", "required pam_deny.so"], 2),
            (["include way-in", "required pam_securid.so"], 2),
            (["include way-in", "required pam_python.so /x/linotp.py"], 2),
            (["required pam_securid.so", "include way-in"], 1),
            (["include way-in", "[success=1 default=ignore] pam_succeed_if.so user = x", "required pam_securid.so"], 3),
            (["include way-in", "[success=ok default=ignore] pam_x.so", "required pam_securid.so"], 3),
            (["substack instead", "required pam_securid.so"], 2),
        ],
    )
    def test_are_all_modules_that_can_deny_besides_the_password(self, lines: list[str], number: int) -> None:
        assert self.factor_warnings(lines) == [
            f"{places.PAM_D}/sudo, line {number}, on web1 can deny, and may ask for another factor beside the code of "
            f"sudo, {'auth ' + lines[number - 1]!r}: a login that gets that far asks for both."
        ]

    @pytest.mark.parametrize(
        "lines",
        [
            ["include way-in", "optional pam_exec.so /usr/local/bin/log"],
            ["include way-in", "[success=ok default=ignore] pam_exec.so /usr/local/bin/log"],
            ["include way-in", "sufficient pam_exec.so /usr/local/bin/log"],
            ["optional pam_exec.so /usr/local/bin/log", "include way-in"],
            [
                "[success=2 default=ignore] pam_unix.so",
                "optional pam_exec.so /usr/local/bin/log",
                "requisite pam_deny.so",
                "required pam_permit.so",
            ],
            [
                "[success=1 default=ignore] pam_unix.so",
                "[default=die] pam_exec.so /usr/local/bin/log",
                "required pam_permit.so",
            ],
            ["include way-in", "required pam_ecryptfs.so unwrap", "required pam_warn.so", "required pam_cap.so"],
        ],
    )
    def test_exclude_modules_that_only_log_or_prepare(self, lines: list[str]) -> None:
        assert not self.factor_warnings(lines)

    @pytest.mark.parametrize(
        "module", ["pam_u2f.so cue", "pam_fprintd.so", "pam_exec.so expose_authtok /auth", "pam_x.so"]
    )
    def test_exclude_alternatives_to_the_password(self, module: str) -> None:
        primary = [
            f"[success=2 default=ignore] {module}",
            "[success=1 default=ignore] pam_unix.so",
            "requisite pam_deny.so",
            "required pam_permit.so",
        ]
        assert not self.factor_warnings(primary)
        assert not self.factor_warnings([primary[1].replace("1", "2"), primary[0].replace("2", "1"), *primary[2:]])
        assert not self.factor_warnings(
            ["substack way-in"], [f"sufficient {module}", "sufficient pam_unix.so", "required pam_deny.so"]
        )
        behind = ["[default=1 success=ok] pam_localuser.so", "sufficient pam_unix.so", f"sufficient {module}"]
        assert not self.factor_warnings(["substack way-in"], [*behind, "required pam_deny.so"])

    @staticmethod
    def factor_warnings(lines: list[str], way_in: t.Sequence[str] = ("requisite pam_unix.so",)) -> list[str]:
        instead = ["[success=2 default=ignore] pam_himmelblau.so", "[success=1] pam_unix.so", "requisite pam_deny.so"]
        files = {"sudo": lines, "way-in": way_in, "instead": [*instead, "required pam_permit.so"]}
        texts = {f"{places.PAM_D}/{name}": "".join(f"auth {one}\n" for one in of) for name, of in files.items()}
        made = plan(wanted("sudo"), with_files(texts))
        assert not made.refusals
        return [one for one in made.warnings if "another factor" in one]

    def test_line_that_reuses_a_password_is_refused_with_and_without_the_line_that_asks(self) -> None:
        path = f"{places.PAM_D}/sudo"
        both = plan(wanted("sudo"), with_files({path: f"{self.HANDED_ON}\n{self.TAKEN}\n"})).refusals
        alone = plan(wanted("sudo"), with_files({path: f"{self.TAKEN}\n"})).refusals
        advice = (
            "uses the password that an earlier line asks for, but no earlier line is known to ask for a password (a "
            f"code is not one): {self.TAKEN!r}. Remove use_first_pass from it, so that it asks for the password "
            "itself, or leave sudo out."
        )
        assert both == (
            f"on web1, {path}, line 1, asks for a code of its own, so that sudo would ask for two: {self.HANDED_ON!r}. "
            "Remove it in the same run, before the role (docs/adopt.md has the play), or leave sudo out. And "
            f"{path}, line 2, {advice}",
        )
        assert alone == (f"on web1, {path}, line 1, {advice}",)

    @pytest.mark.parametrize(
        ("lines", "number"),
        [
            (["sufficient pam_sss.so use_first_pass", "sufficient pam_unix.so try_first_pass"], 1),
            (["sufficient pam_krb5.so force_first_pass", "sufficient pam_unix.so"], 1),
            (["sufficient pam_ldap.so use_first_pass", "sufficient pam_unix.so"], 1),
            (["sufficient pam_unix.so use_first_pass", "sufficient pam_winbind.so"], 1),
            (["optional pam_exec.so /bin/log", "sufficient pam_unix.so use_first_pass"], 2),
            (["required pam_warn.so", "sufficient pam_unix.so use_first_pass"], 2),
            (["sufficient pam_fprintd.so", "sufficient pam_unix.so use_first_pass"], 2),
            (["sufficient pam_unix.so use_first_pass", "sufficient pam_vendors.so use_first_pass"], 1),
            (["sufficient pam_vendors.so use_first_pass", "sufficient pam_unix.so"], 1),
        ],
    )
    def test_line_that_reuses_a_password_that_nothing_asks_for_is_refused(self, lines: list[str], number: int) -> None:
        stack = "".join(f"auth {line}\n" for line in [*lines, "required pam_deny.so"])
        files = {f"{places.PAM_D}/door": "auth include way-in\n", f"{places.PAM_D}/way-in": stack}
        (told,) = plan(wanted("door"), with_files(files)).refusals
        assert told.startswith(f"on web1, {places.PAM_D}/way-in, line {number}, uses the password that an earlier line")
        assert f"'auth {lines[number - 1]}'. Remove {lines[number - 1].split()[-1]} from it, so that it asks" in told

    @pytest.mark.parametrize(
        "lines",
        [
            ["[success=2 default=ignore] pam_unix.so", "[success=1 default=ignore] pam_sss.so use_first_pass"],
            ["required pam_radius_auth.so", "[success=1 default=ignore] pam_unix.so use_first_pass"],
            ["required pam_yubico.so id=1", "[success=1 default=ignore] pam_unix.so use_first_pass"],
            [
                "[success=2 default=ignore] pam_exec.so expose_authtok /bin/ask",
                "[success=1 default=ignore] pam_unix.so use_first_pass",
            ],
            ["optional pam_gnome_keyring.so use_first_pass", "[success=1 default=ignore] pam_unix.so"],
            [
                "[success=2 default=ignore] pam_sss.so forward_pass",
                "[success=1 default=ignore] pam_unix.so use_first_pass",
            ],
            [
                "[success=2 default=ignore] pam_unix.so try_first_pass",
                "[success=1 default=ignore] pam_krb5.so use_first_pass",
            ],
        ],
    )
    def test_line_that_reuses_the_password_of_a_remaining_line_is_accepted(self, lines: list[str]) -> None:
        stack = "".join(f"auth {line}\n" for line in [*lines, "requisite pam_deny.so", "required pam_permit.so"])
        assert not plan(wanted("sudo"), with_files({f"{places.PAM_D}/sudo": stack})).refusals
