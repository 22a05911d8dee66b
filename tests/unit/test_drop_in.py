# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._texts import drop_in
from ansible_collections.fleet.auth.plugins.module_utils._texts.drop_in import (
    combined,
    expected,
    render,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import (
    Effective,
    Files,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_start import (
    Start,
    parse_words,
)
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import named
from unit.builders import OLD_SSHD_CONFIG, SSHD_CONFIG, security_key, settings
from unit.model import sshd_settings

CONFIG = places.SSHD_CONFIG
DROP_IN = places.DROP_IN

D = "/etc/ssh/sshd_config.d"
INCLUDE = f"Include {D}/*.conf\n"
HEADER = "# Two-factor login. Managed by fleet.auth: changes made here are lost.\n"
IN_SOME_GROUP = "# Whoever is in no group is matched by none below.\nDenyGroups :\n"
SET = """\
    AuthenticationMethods publickey,keyboard-interactive:pam keyboard-interactive:pam
    KbdInteractiveAuthentication yes
    PasswordAuthentication no
"""
WITH_PAM = Effective(usepam=("yes",))


def conflicts(texts: dict[str, str], sshd: Effective, start: Start | None = None, **policy: t.Any) -> list[str]:
    start = start or Start()
    return [
        named(one, "") for one in drop_in.conflicts(Files(texts, start.config, start.lines), sshd, settings(**policy))
    ]


def shows_no_prompts(texts: dict[str, str], sshd: Effective) -> bool:
    return drop_in.shows_no_prompts(Files(texts), sshd)


ACCOUNTS: dict[str, tuple[str, ...]] = {
    "root": ("root",),
    "ansible": ("ansible",),
    "alice": ("alice", "staff"),
    "bob": ("bob", "staff", "guests"),
    "carol": ("carol", "admins"),
}


class TestDropIn:
    @pytest.mark.parametrize(
        ("options", "scope"),
        [
            ({}, "Match User *"),
            ({"exempt_users": ["root", "ansible"]}, "Match User *,!root,!ansible"),
            ({"exempt_groups": ["guests", "x"]}, "Match User * Group *,!guests,!x"),
            ({"exempt_users": ["root"], "exempt_groups": ["guests"]}, "Match User *,!root Group *,!guests"),
            ({"scope": "enrolled"}, "Match User alice,bob"),
            ({"scope": "enrolled", "exempt_users": ["bob", "root"]}, "Match User alice,!bob,!root"),
            ({"scope": "enrolled", "exempt_groups": ["guests"]}, "Match User alice,bob Group *,!guests"),
            ({"scope": "groups", "scope_groups": ["staff", "admins"]}, "Match User * Group staff,admins"),
            (
                {"scope": "groups", "scope_groups": ["staff"], "exempt_users": ["bob"], "exempt_groups": ["guests"]},
                "Match User *,!bob Group staff,!guests",
            ),
        ],
    )
    def test_is_for_the_accounts_in_scope(self, options: dict[str, t.Any], scope: str) -> None:
        assert render(settings(**options), ["bob", "alice"]).replace(IN_SOME_GROUP, "") == f"{HEADER}{scope}\n{SET}"

    @pytest.mark.parametrize("scope", ["everyone", "enrolled", "groups"])
    @pytest.mark.parametrize("exempt_groups", [[], ["guests"]])
    def test_denies_accounts_without_groups_if_a_group_decides(self, scope: str, exempt_groups: list[str]) -> None:
        """sshd (`ga_init` in OpenSSH) never matches an account without groups, not even with `Group *`."""
        options = {"scope_groups": ["staff"]} if scope == "groups" else {}
        new = render(settings(scope=scope, exempt_groups=exempt_groups, **options), ["alice"])
        assert (IN_SOME_GROUP in new) == (scope == "everyone" and exempt_groups != [])
        for old in (render(settings(), []), render(settings(exempt_groups=["x"]), [])):
            text = combined(new, old)
            assert text.count(IN_SOME_GROUP) == (IN_SOME_GROUP in new + old)
            assert text.startswith(IN_SOME_GROUP) or IN_SOME_GROUP not in text, "in a block it would hide other ones"

    @pytest.mark.parametrize("options", [{}, {"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}])
    def test_applies_to_peers_without_an_address_if_addresses_are_exempt(self, options: dict[str, t.Any]) -> None:
        scope = render(settings(**options), ["alice"]).split("\n")[1]
        text = render(settings(exempt_addresses=["192.0.2.0/24", "2001:db8::1"], **options), ["alice"])
        assert text == (f"{HEADER}{scope} Address *,!192.0.2.0/24,!2001:db8::1/128\n{SET}{scope} Host UNKNOWN\n{SET}")

    @pytest.mark.parametrize("options", [{}, {"exempt_users": ["alice"]}])
    def test_is_for_nobody_if_nobody_is_enrolled(self, options: dict[str, t.Any]) -> None:
        enrolled = options.get("exempt_users", [])
        assert render(settings(scope="enrolled", **options), enrolled) == HEADER

    @pytest.mark.parametrize(
        ("factors", "methods"),
        [
            (["publickey"], "publickey,keyboard-interactive:pam"),
            (["password"], "keyboard-interactive:pam"),
            (["password", "publickey"], "publickey,keyboard-interactive:pam keyboard-interactive:pam"),
        ],
    )
    def test_asks_for_one_of_the_first_factors_and_the_code(self, factors: list[str], methods: str) -> None:
        wanted = settings(ssh_first_factors=factors)
        assert f"    AuthenticationMethods {methods}\n" in render(wanted, [])
        assert expected(wanted) == {
            "usepam": ("yes",),
            "kbdinteractiveauthentication": ("yes",),
            "passwordauthentication": ("no",),
            "authenticationmethods": tuple(methods.split()),
        }

    @pytest.mark.parametrize("scope", ["everyone", "enrolled", "groups"])
    @pytest.mark.parametrize("exempt_users", [[], ["ansible", "bob"]])
    @pytest.mark.parametrize("exempt_groups", [[], ["guests"]])
    @pytest.mark.parametrize("exempt_addresses", [[], ["192.0.2.0/24", "2001:db8::/32"]])
    @pytest.mark.parametrize("factors", [["publickey"], ["publickey", "password"]])
    @pytest.mark.parametrize("config", [SSHD_CONFIG, OLD_SSHD_CONFIG])
    def test_gives_accounts_in_scope_the_expected_settings_and_leaves_others_alone(
        self,
        scope: str,
        exempt_users: list[str],
        exempt_groups: list[str],
        exempt_addresses: list[str],
        factors: list[str],
        config: str,
    ) -> None:
        wanted = settings(
            scope=scope,
            scope_groups=["staff"] if scope == "groups" else [],
            exempt_users=exempt_users,
            exempt_groups=exempt_groups,
            exempt_addresses=exempt_addresses,
            ssh_first_factors=factors,
        )
        is_old = config == OLD_SSHD_CONFIG
        files = {CONFIG: config, DROP_IN: render(wanted, ["alice", "bob"], is_old)}
        for (name, groups), address in itertools.product(ACCOUNTS.items(), ["198.51.100.1", "192.0.2.9", "UNKNOWN"]):
            scopes = {"everyone": True, "enrolled": name in ("alice", "bob"), "groups": "staff" in groups}
            in_scope = (
                scopes[scope]
                and name not in exempt_users
                and not set(groups) & set(exempt_groups)
                and not (exempt_addresses and address == "192.0.2.9")
            )
            found = sshd_settings(files, name, groups, address)
            found.pop("denygroups", None)
            alone = Effective(sshd_settings({CONFIG: config}, name, groups, address))
            others = {**alone, "challengeresponseauthentication": ("yes",)} if is_old else alone
            assert found == ({**alone, **expected(wanted, alone)} if in_scope else others), (name, address)

    def test_turns_the_prompts_of_an_old_sshd_on_only_for_accounts_in_scope(self) -> None:
        assert render(settings(), [], shows_no_prompts=True) == (
            f"{HEADER}ChallengeResponseAuthentication yes\nMatch User *\n{SET}"
            "Match all\n    KbdInteractiveAuthentication no\n"
        )

    @pytest.mark.parametrize(("old_hides", "new_hides"), [(True, True), (False, True), (True, False)])
    def test_of_two_settings_has_lines_for_everyone_first_and_last(self, old_hides: bool, new_hides: bool) -> None:
        old = render(settings(exempt_users=["alice"]), [], old_hides)
        text = combined(render(settings(exempt_users=["bob"]), [], new_hides), old)
        first, *rest, last = [line for line in text.split("\n") if not line.startswith((" ", "#"))][:-1]
        assert first == "ChallengeResponseAuthentication yes"
        assert rest == ["Match User *,!bob", "Match User *,!alice"]
        assert last == "Match all"
        assert text.endswith("    KbdInteractiveAuthentication no\n")

    def test_of_two_settings_covers_both_scopes_and_prefers_the_new_one(self) -> None:
        new = settings(scope="enrolled", ssh_first_factors=["publickey"])
        old = settings(scope="groups", scope_groups=["admins", "guests"])
        files = {CONFIG: SSHD_CONFIG, DROP_IN: combined(render(new, ["alice", "bob"]), render(old, []))}
        for name, wanted in {"alice": new, "bob": new, "carol": old}.items():
            found = sshd_settings(files, name, ACCOUNTS[name], "198.51.100.1")
            assert found["authenticationmethods"] == expected(wanted)["authenticationmethods"]
        assert sshd_settings(files, "root", ["root"], "198.51.100.1")["authenticationmethods"] == ("any",)

    def test_begins_each_scope_with_the_users_for_the_recovery_command(self) -> None:
        text = render(settings(exempt_groups=["x"], exempt_addresses=["192.0.2.7"], exempt_users=["root"]), [])
        assert [line.split()[:3] for line in text.split("\n") if "Match" in line] == [["Match", "User", "*,!root"]] * 2

    def test_expects_the_pam_service_of_sshd_if_it_can_be_set(self) -> None:
        assert expected(settings(), Effective(pamservicename=("other",)))["pamservicename"] == ("sshd",)
        assert "pamservicename" not in expected(settings(), Effective())


class TestConflicts:
    def test_are_none_on_a_freshly_installed_host(self) -> None:
        assert (
            list(conflicts({CONFIG: SSHD_CONFIG, f"{D}/50-cloud.conf": "PasswordAuthentication no\n"}, WITH_PAM)) == []
        )

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (
                "UsePAM no",
                f"{CONFIG} line 2: UsePAM no keeps PAM, and with it the code, out of sshd; set UsePAM yes.",
            ),
            (
                "UsePAM=No",
                f"{CONFIG} line 2: UsePAM No keeps PAM, and with it the code, out of sshd; set UsePAM yes.",
            ),
            ("", f"{CONFIG} without UsePAM keeps PAM, and with it the code, out of sshd; set UsePAM yes."),
        ],
    )
    def test_with_pam_name_the_line_or_say_that_there_is_none(self, line: str, expected: str) -> None:
        assert list(conflicts({CONFIG: f"{INCLUDE}{line}\n"}, Effective(usepam=("no",)))) == [expected]
        assert list(conflicts({CONFIG: f"{INCLUDE}{line}\n"}, WITH_PAM)) == []

    @pytest.mark.parametrize("match", ["", "Match User bob\n"])
    @pytest.mark.parametrize("path", [f"{D}/00-a.conf", f"{D}/99-z.conf", CONFIG])
    def test_with_another_pam_service_name_the_line_in_any_file(self, path: str, match: str) -> None:
        files = {CONFIG: INCLUDE, path: f"{INCLUDE if path == CONFIG else ''}{match}PAMServiceName sshd-corp\n"}
        number = files[path].count("\n")
        under = f" (under '{match.strip()}')" if match else ""
        assert list(conflicts(files, WITH_PAM)) == [
            f"{path} line {number}: PAMServiceName sshd-corp{under} makes sshd use another PAM service than sshd, "
            "which asks for no code; remove it, or set it to sshd."
        ]
        assert list(conflicts({**files, path: files[path].replace("-corp", "")}, WITH_PAM)) == []

    def test_with_another_pam_service_name_the_line_in_a_nested_include(self) -> None:
        files = {
            CONFIG: INCLUDE,
            f"{D}/50-a.conf": "Match User bob\n  Include site.d/*.conf\n",
            "/etc/ssh/site.d/a.conf": 'Include /etc/ssh/site.d/*.conf "/etc/ssh/site b"\n',
            "/etc/ssh/site b": "PAMServiceName sshd-corp\n",
        }
        (told,) = conflicts(files, WITH_PAM)
        assert told.startswith("/etc/ssh/site b line 1: PAMServiceName sshd-corp (under 'Match User bob') makes sshd")

    @pytest.mark.parametrize("match", ["", "Match User bob\n"])
    @pytest.mark.parametrize("path", [f"{D}/00-a.conf", f"{D}/99-z.conf", CONFIG])
    def test_with_authentication_methods_name_the_line_in_any_file(self, path: str, match: str) -> None:
        files = {
            CONFIG: INCLUDE,
            path: f"{INCLUDE if path == CONFIG else ''}{match}AuthenticationMethods publickey\n",
        }
        number = files[path].count("\n")
        assert list(conflicts(files, WITH_PAM)) == [
            f"{path} line {number}: AuthenticationMethods publickey sets what fleet.auth has to set; remove it "
            "(ssh_first_factors says what comes first)."
        ]

    @pytest.mark.parametrize("line", ["AuthenticationMethods any", "Match all\nPasswordAuthentication yes", "X yes"])
    def test_are_none_with_settings_that_our_file_overrides(self, line: str) -> None:
        assert list(conflicts({CONFIG: INCLUDE, f"{D}/50-a.conf": line}, WITH_PAM)) == []
        assert list(conflicts({CONFIG: INCLUDE + line}, WITH_PAM)) == []

    @pytest.mark.parametrize(
        "setting",
        [
            *["AuthenticationMethods any", "passwordauthentication yes", "KbdInteractiveAuthentication no"],
            *["ChallengeResponseAuthentication no", "SkeyAuthentication no"],
        ],
    )
    def test_with_an_earlier_match_name_the_line_and_the_match(self, setting: str) -> None:
        files = {CONFIG: INCLUDE, f"{D}/00-a.conf": f"Match Group staff\n  {setting}\n"}
        assert list(conflicts(files, WITH_PAM)) == [
            f"{D}/00-a.conf line 2: {setting} (under 'Match Group staff') is read before {DROP_IN}, and wins; move "
            "it to a file that sorts after that one."
        ]
        assert list(conflicts({**files, f"{D}/00-a.conf": setting}, WITH_PAM)) == []
        first = {CONFIG: f"Include {D}/50-*.conf {D}/*.conf\n", f"{D}/50-a.conf": files[f"{D}/00-a.conf"]}
        assert len(list(conflicts(first, WITH_PAM))) == 1

    @pytest.mark.parametrize(
        ("setting", "with_any_key"),
        [
            ("PubkeyAuthOptions none", True),
            ("AuthorizedKeysFile /etc/ssh/keys/%u", False),
            ("AuthorizedKeysCommand /usr/bin/keys %u", False),
            ("PubkeyAcceptedAlgorithms ssh-ed25519", False),
        ],
    )
    def test_with_an_earlier_match_about_keys_are_reported_if_keys_are_declared(
        self, setting: str, with_any_key: bool
    ) -> None:
        files = {CONFIG: INCLUDE, f"{D}/00-a.conf": f"Match Address 10.0.0.0/8\n  {setting}\n"}
        keys = [{"name": "alice", "security_keys": [security_key(1)]}]
        keys_alone = [{**keys[0], "security_keys_only": True}]
        assert conflicts(files, WITH_PAM, ssh=True) == []
        assert len(conflicts(files, WITH_PAM, ssh=True, users=keys)) == with_any_key
        for policy in ({"users": keys_alone}, {"security_keys_only_groups": ["staff"]}):
            assert conflicts(files, WITH_PAM, ssh=True, **policy) == [
                f"{D}/00-a.conf line 2: {setting} (under 'Match Address 10.0.0.0/8') is read before {DROP_IN}, and "
                "wins; move it to a file that sorts after that one."
            ]

    @pytest.mark.parametrize("keyword", ["ChallengeResponseAuthentication", "SkeyAuthentication"])
    def test_of_an_old_sshd_with_a_line_that_hides_its_prompts(self, keyword: str) -> None:
        before, after = (
            {CONFIG: f"{keyword} no\n{INCLUDE}"},
            {CONFIG: f"{INCLUDE}{keyword} no\n"},
        )
        old = Effective(WITH_PAM, challengeresponseauthentication=("no",))
        assert list(conflicts(before, old)) == [
            f"{CONFIG} line 1: {keyword} no is read before {DROP_IN}, and keeps sshd from showing the prompt for "
            "the code; remove it."
        ]
        assert list(conflicts(before, WITH_PAM)) == list(conflicts(after, old)) == []
        assert shows_no_prompts(after, old)
        assert not shows_no_prompts(after, WITH_PAM)
        assert not shows_no_prompts({CONFIG: f"{INCLUDE}{keyword} yes\n"}, old)

    @pytest.mark.parametrize(
        ("path", "include"),
        [
            (CONFIG, "/etc/ssh/site.conf"),
            (CONFIG, "site.d/*.conf"),
            (CONFIG, f"{D}/*/*.conf"),
            (CONFIG, f"{D}/../site.conf"),
            (f"{D}/00-a.conf", "/etc/ssh/site.conf"),
            (f"{D}/00-a.conf", f"{D}/50-b.conf"),
        ],
    )
    def test_with_unexamined_files_that_are_read_earlier_name_the_include(self, path: str, include: str) -> None:
        files = {CONFIG: INCLUDE}
        files[path] = f"Include {include}\n" + files.get(path, "")
        assert list(conflicts(files, WITH_PAM)) == [
            f"{path} line 1: Include {include} is read before {DROP_IN}, and what it includes would win; put it after "
            f"the line 'Include {D}/*.conf' of {CONFIG}."
        ]

    def test_are_none_with_files_that_are_included_later(self) -> None:
        files = {
            CONFIG: f"{INCLUDE}Include /etc/ssh/site.conf\n",
            f"{D}/50-a.conf": "Include /etc/ssh/site.conf\n",
        }
        assert list(conflicts(files, WITH_PAM)) == []

    def test_with_an_option_of_the_command_line_name_the_option_and_not_the_file(self) -> None:
        start = parse_words(["-D", "-o", "UsePAM=no"], "/etc/default/ssh")
        assert conflicts({CONFIG: f"{INCLUDE}UsePAM yes\n"}, Effective(usepam=("no",)), start) == [
            "'-o UsePAM=no' in /etc/default/ssh keeps PAM, and with it the code, out of sshd; set UsePAM yes."
        ]
        start = parse_words(["-oPAMServiceName=other"], "ssh.service")
        (told,) = conflicts({CONFIG: INCLUDE}, Effective(usepam=("yes",), pamservicename=("other",)), start)
        assert told.startswith("'-o PAMServiceName=other' in ssh.service makes sshd use another PAM service")

    def test_with_another_configuration_name_that_file(self) -> None:
        start = parse_words(["-f", "/etc/ssh/other"])
        texts = {CONFIG: INCLUDE, "/etc/ssh/other": "UsePAM yes\n"}
        assert conflicts(texts, WITH_PAM, start) == [
            f"/etc/ssh/other does not read {D} for everyone: put the line 'Include {D}/*.conf' at its top, before any "
            "Match."
        ]
        assert conflicts({"/etc/ssh/other": f"{INCLUDE}UsePAM yes\n"}, WITH_PAM, start) == []

    def test_are_all_reported_in_the_order_of_the_lines(self) -> None:
        files = {
            CONFIG: f"UsePAM no\n{INCLUDE}AuthenticationMethods password\n",
            f"{D}/00-a.conf": "Include x\n",
        }
        told = list(conflicts(files, Effective()))
        assert [sentence.split(" line ")[0] for sentence in told] == [
            CONFIG,
            f"{D}/00-a.conf",
            CONFIG,
        ]
