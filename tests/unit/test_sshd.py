# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fnmatch
import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._places import DROP_IN
from ansible_collections.fleet.auth.plugins.module_utils._places import SSHD_CONFIG as CONFIG
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import (
    Effective,
    Line,
    account_class,
    admits,
    both,
    conflicts,
    distinguishing,
    drop_in,
    expected,
    matches,
    parse_config,
    parse_effective,
    read_order,
    reads_elsewhere,
    setting_line,
    shows_no_prompts,
    tells_addresses,
)
from unit.builders import OLD_SSHD_CONFIG, SSHD_CONFIG, settings
from unit.model import sshd_settings

D = "/etc/ssh/sshd_config.d"
INCLUDE = f"Include {D}/*.conf\n"
HEADER = "# Two-factor login. Managed by fleet.auth: changes made here are lost.\n"
SET = """\
    AuthenticationMethods publickey,keyboard-interactive:pam keyboard-interactive:pam
    KbdInteractiveAuthentication yes
    PasswordAuthentication no
"""
WITH_PAM = Effective(usepam=("yes",))

ACCOUNTS: dict[str, tuple[str, ...]] = {
    "root": ("root",),
    "ansible": ("ansible",),
    "alice": ("alice", "staff"),
    "bob": ("bob", "staff", "guests"),
    "carol": ("carol", "admins"),
}


def lines(text: str, path: str = CONFIG) -> list[tuple[str, ...]]:
    return [(line.keyword, *line.arguments) for line in parse_config(path, text)]


def read(files: dict[str, str]) -> tuple[list[str], list[str]] | None:
    order = read_order(files)
    return order and ([str(line) for line in order.before], [str(line) for line in order.after])


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
        assert drop_in(settings(**options), ["bob", "alice"]) == f"{HEADER}{scope}\n{SET}"

    @pytest.mark.parametrize("options", [{}, {"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}])
    def test_is_for_peers_with_no_address_too_where_addresses_are_exempt(self, options: dict[str, t.Any]) -> None:
        scope = drop_in(settings(**options), ["alice"]).split("\n")[1]
        text = drop_in(settings(exempt_addresses=["192.0.2.0/24", "2001:db8::1"], **options), ["alice"])
        assert text == (f"{HEADER}{scope} Address *,!192.0.2.0/24,!2001:db8::1/128\n{SET}{scope} Host UNKNOWN\n{SET}")

    @pytest.mark.parametrize("options", [{}, {"exempt_users": ["alice"]}])
    def test_is_for_nobody_where_nobody_is_enrolled(self, options: dict[str, t.Any]) -> None:
        enrolled = options.get("exempt_users", [])
        assert drop_in(settings(scope="enrolled", **options), enrolled) == HEADER

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
        assert f"    AuthenticationMethods {methods}\n" in drop_in(wanted, [])
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
    def test_gives_each_account_in_scope_what_is_expected_and_leaves_the_others_alone(
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
        files = {CONFIG: config, DROP_IN: drop_in(wanted, ["alice", "bob"], is_old)}
        for (name, groups), address in itertools.product(ACCOUNTS.items(), ["198.51.100.1", "192.0.2.9", "UNKNOWN"]):
            scopes = {"everyone": True, "enrolled": name in ("alice", "bob"), "groups": "staff" in groups}
            in_scope = (
                scopes[scope]
                and name not in exempt_users
                and not set(groups) & set(exempt_groups)
                and not (exempt_addresses and address == "192.0.2.9")
            )
            found = sshd_settings(files, name, groups, address)
            alone = Effective(sshd_settings({CONFIG: config}, name, groups, address))
            others = {**alone, "challengeresponseauthentication": ("yes",)} if is_old else alone
            assert found == ({**alone, **expected(wanted, alone)} if in_scope else others), (name, address)

    def test_turns_on_the_prompts_of_an_old_sshd_for_everyone_and_off_again_for_those_out_of_scope(self) -> None:
        assert drop_in(settings(), [], shows_no_prompts=True) == (
            f"{HEADER}ChallengeResponseAuthentication yes\nMatch User *\n{SET}"
            "Match all\n    KbdInteractiveAuthentication no\n"
        )

    @pytest.mark.parametrize(("old_hides", "new_hides"), [(True, True), (False, True), (True, False)])
    def test_of_two_settings_keeps_what_is_for_everyone_first_and_last(self, old_hides: bool, new_hides: bool) -> None:
        old = drop_in(settings(exempt_users=["alice"]), [], old_hides)
        text = both(drop_in(settings(exempt_users=["bob"]), [], new_hides), old)
        first, *rest, last = [line for line in text.split("\n") if not line.startswith((" ", "#"))][:-1]
        assert first == "ChallengeResponseAuthentication yes"
        assert rest == ["Match User *,!bob", "Match User *,!alice"]
        assert last == "Match all"
        assert text.endswith("    KbdInteractiveAuthentication no\n")

    def test_of_two_settings_covers_both_scopes_and_gives_those_in_both_the_new_one(self) -> None:
        new = settings(scope="enrolled", ssh_first_factors=["publickey"])
        old = settings(scope="groups", scope_groups=["admins", "guests"])
        files = {CONFIG: SSHD_CONFIG, DROP_IN: both(drop_in(new, ["alice", "bob"]), drop_in(old, []))}
        for name, wanted in {"alice": new, "bob": new, "carol": old}.items():
            found = sshd_settings(files, name, ACCOUNTS[name], "198.51.100.1")
            assert found["authenticationmethods"] == expected(wanted)["authenticationmethods"]
        assert sshd_settings(files, "root", ["root"], "198.51.100.1")["authenticationmethods"] == ("any",)

    def test_begins_each_scope_with_the_users_for_the_recovery_command(self) -> None:
        text = drop_in(settings(exempt_groups=["x"], exempt_addresses=["192.0.2.7"], exempt_users=["root"]), [])
        assert [line.split()[:3] for line in text.split("\n") if "Match" in line] == [["Match", "User", "*,!root"]] * 2


class TestParse:
    """Each of these was read by sshd 9.2 and 10.0 in the same way."""

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("UsePAM yes", ("UsePAM", "yes")),
            ("\t UsePAM\t yes  ", ("UsePAM", "yes")),
            ("UsePAM=yes", ("UsePAM", "yes")),
            ("UsePAM = yes", ("UsePAM", "yes")),
            ('"UsePAM" "yes"', ("UsePAM", "yes")),
            ("UsePAM 'yes'", ("UsePAM", "yes")),
            ("UsePAM yes\r", ("UsePAM", "yes")),
            ("UsePAM yes # not no", ("UsePAM", "yes")),
            ("UsePAM yes # don't", ("UsePAM", "yes")),
            ("Match User a#b", ("Match", "User", "a#b")),
            ('Match User "alice,bob" Group staff', ("Match", "User", "alice,bob", "Group", "staff")),
            ("Banner \"a 'quoted' file\"", ("Banner", "a 'quoted' file")),
            (r"AllowUsers CORP\alice", ("AllowUsers", r"CORP\alice")),
            (r"Banner a\ b\"c", ("Banner", 'a b"c')),
            ('Banner ""', ("Banner", "")),
        ],
    )
    def test_takes_a_line_apart_as_sshd_does(self, line: str, words: tuple[str, ...]) -> None:
        assert lines(line) == [words]

    @pytest.mark.parametrize(
        "text", ["", "\n\n", "# UsePAM no", "   # UsePAM no", "#UsePAM no\x0bUsePAM no\x0cUsePAM no"]
    )
    def test_leaves_comments_out(self, text: str) -> None:
        assert lines(text) == []

    def test_tells_where_a_line_stands_and_under_which_match(self) -> None:
        text = "A 1\n\nMatch User alice  # x\n  B 2\nMATCH all\nC 3\n"
        assert parse_config(CONFIG, text) == (
            Line(CONFIG, 1, "A", ("1",), ""),
            Line(CONFIG, 3, "Match", ("User", "alice"), "Match User alice  # x"),
            Line(CONFIG, 4, "B", ("2",), "Match User alice  # x"),
            Line(CONFIG, 5, "MATCH", ("all",), "MATCH all"),
            Line(CONFIG, 6, "C", ("3",), "MATCH all"),
        )
        assert str(parse_config(CONFIG, text)[2]) == f"{CONFIG} line 4: B 2"

    @given(st.text())
    def test_takes_anything(self, text: str) -> None:
        assert all(line.keyword is not None for line in parse_config(CONFIG, text))

    def test_of_what_sshd_tells_collects_lists(self) -> None:
        found = parse_effective(
            "usepam yes\nallowusers alice\nallowusers bob@192.0.2.*\nauthenticationmethods a,b c\nbanner two words\n"
        )
        assert found == {
            "usepam": ("yes",),
            "allowusers": ("alice", "bob@192.0.2.*"),
            "authenticationmethods": ("a,b", "c"),
            "banner": ("two words",),
        }
        assert (found.first("allowusers"), found.first("gone")) == ("alice", "")
        assert (found.on("usepam"), found.on("banner"), found.on("gone")) == (True, False, False)


class TestReadOrder:
    def test_has_the_files_where_they_are_included(self) -> None:
        assert read(
            {CONFIG: f"A 1\n{INCLUDE}B 2\n", f"{D}/50-b.conf": "D 4\n", f"{D}/00-a.conf": "C 3\n", DROP_IN: "Z 26\n"}
        ) == (
            [f"{CONFIG} line 1: A 1", f"{CONFIG} line 2: {INCLUDE.strip()}", f"{D}/00-a.conf line 1: C 3"],
            [f"{D}/50-b.conf line 1: D 4", f"{CONFIG} line 3: B 2"],
        )

    @pytest.mark.parametrize(
        "include",
        [
            INCLUDE,
            f"include = {D}/*.conf",
            "INCLUDE=sshd_config.d/*.conf",
            f'Include "{D}/*"',
            f"Include /etc/ssh/none.d/* {D}/00-*.conf # trailing",
            f"Include {DROP_IN}",
            "Include /etc/ssh/*/*-twofactor.conf",
            f"Include {D}/[!1-9]*.conf",
        ],
    )
    def test_finds_our_file_however_it_is_included(self, include: str) -> None:
        assert read_order({CONFIG: include}) is not None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            f"#{INCLUDE}",
            "Include /etc/ssh/*.conf",
            f"Include {D}/50-*.conf",
            f"Include {D}",
            f"Include {D}/*/*.conf",
            f"Match User alice\n{INCLUDE}",
            f"Match all\n{INCLUDE}",
        ],
    )
    def test_is_none_where_our_file_is_not_read_for_everyone(self, text: str) -> None:
        assert read_order({CONFIG: text, DROP_IN: ""}) is None
        assert list(conflicts({CONFIG: text, DROP_IN: ""}, WITH_PAM)) == [
            f"{CONFIG} does not read {D} for everyone: put the line 'Include {D}/*.conf' at its top, before any Match."
        ]

    def test_goes_by_the_patterns_before_the_names(self) -> None:
        files = {CONFIG: f"Include {D}/50-*.conf {D}/*.conf\n", f"{D}/50-b.conf": "B 1\n", f"{D}/10-a.conf": "A 1\n"}
        before, after = read(files) or ([], [])
        assert [line.rpartition(": ")[2] for line in before[1:]] == ["B 1"]
        assert [line.rpartition(": ")[2] for line in after] == ["A 1", "B 1"]

    def test_tells_where_a_keyword_is_set_first(self) -> None:
        files = {CONFIG: f"{INCLUDE}PermitRootLogin yes\n", f"{D}/50-a.conf": "#\npermitrootlogin no\n"}
        assert setting_line(files, "PermitRootLogin") == f"{D}/50-a.conf line 2: permitrootlogin no"
        assert setting_line(files, "UsePAM") == "UsePAM has this value by default"
        assert setting_line({CONFIG: "UsePAM no"}, "UsePAM") == "UsePAM has this value by default"


class TestConflicts:
    def test_are_none_on_a_host_as_it_is_installed(self) -> None:
        assert (
            list(conflicts({CONFIG: SSHD_CONFIG, f"{D}/50-cloud.conf": "PasswordAuthentication no\n"}, WITH_PAM)) == []
        )

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("UsePAM no", f"{CONFIG} line 2: UsePAM no keeps PAM, and with it the code, out of sshd; set UsePAM yes."),
            ("UsePAM=No", f"{CONFIG} line 2: UsePAM No keeps PAM, and with it the code, out of sshd; set UsePAM yes."),
            ("", f"{CONFIG} without UsePAM keeps PAM, and with it the code, out of sshd; set UsePAM yes."),
        ],
    )
    def test_with_pam_tell_the_line_or_that_there_is_none(self, line: str, told: str) -> None:
        assert list(conflicts({CONFIG: f"{INCLUDE}{line}\n"}, Effective(usepam=("no",)))) == [told]
        assert list(conflicts({CONFIG: f"{INCLUDE}{line}\n"}, WITH_PAM)) == []

    @pytest.mark.parametrize("match", ["", "Match User bob\n"])
    @pytest.mark.parametrize("path", [f"{D}/00-a.conf", f"{D}/99-z.conf", CONFIG])
    def test_with_authentication_methods_tell_the_line_wherever_it_is(self, path: str, match: str) -> None:
        files = {CONFIG: INCLUDE, path: f"{INCLUDE if path == CONFIG else ''}{match}AuthenticationMethods publickey\n"}
        number = files[path].count("\n")
        assert list(conflicts(files, WITH_PAM)) == [
            f"{path} line {number}: AuthenticationMethods publickey decides what fleet.auth has to; remove it "
            "(ssh_first_factors says what comes first)."
        ]

    @pytest.mark.parametrize("line", ["AuthenticationMethods any", "Match all\nPasswordAuthentication yes", "X yes"])
    def test_are_none_with_what_our_file_wins_over(self, line: str) -> None:
        assert list(conflicts({CONFIG: INCLUDE, f"{D}/50-a.conf": line}, WITH_PAM)) == []
        assert list(conflicts({CONFIG: INCLUDE + line}, WITH_PAM)) == []

    @pytest.mark.parametrize(
        "setting",
        [
            *["AuthenticationMethods any", "passwordauthentication yes", "KbdInteractiveAuthentication no"],
            *["ChallengeResponseAuthentication no", "SkeyAuthentication no"],
        ],
    )
    def test_with_an_earlier_match_tell_the_line_and_the_match(self, setting: str) -> None:
        files = {CONFIG: INCLUDE, f"{D}/00-a.conf": f"Match Group staff\n  {setting}\n"}
        assert list(conflicts(files, WITH_PAM)) == [
            f"{D}/00-a.conf line 2: {setting} (under 'Match Group staff') is read before {DROP_IN}, and wins; let that "
            "file sort after it."
        ]
        assert list(conflicts({**files, f"{D}/00-a.conf": setting}, WITH_PAM)) == []
        first = {CONFIG: f"Include {D}/50-*.conf {D}/*.conf\n", f"{D}/50-a.conf": files[f"{D}/00-a.conf"]}
        assert len(list(conflicts(first, WITH_PAM))) == 1

    @pytest.mark.parametrize("keyword", ["ChallengeResponseAuthentication", "SkeyAuthentication"])
    def test_of_an_old_sshd_with_a_line_that_hides_its_prompts(self, keyword: str) -> None:
        before, after = {CONFIG: f"{keyword} no\n{INCLUDE}"}, {CONFIG: f"{INCLUDE}{keyword} no\n"}
        old = Effective(WITH_PAM, challengeresponseauthentication=("no",))
        assert list(conflicts(before, old)) == [
            f"{CONFIG} line 1: {keyword} no is read before {DROP_IN}, and keeps the prompt for the code out of sshd; "
            "remove it."
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
    def test_with_files_that_are_read_earlier_and_not_looked_at_tell_what_includes_them(
        self, path: str, include: str
    ) -> None:
        files = {CONFIG: INCLUDE}
        files[path] = f"Include {include}\n" + files.get(path, "")
        assert list(conflicts(files, WITH_PAM)) == [
            f"{path} line 1: Include {include} is read before {DROP_IN}, and what it includes would win; put it after "
            f"the line 'Include {D}/*.conf' of {CONFIG}."
        ]

    def test_are_none_with_files_that_are_included_later(self) -> None:
        files = {CONFIG: f"{INCLUDE}Include /etc/ssh/site.conf\n", f"{D}/50-a.conf": "Include /etc/ssh/site.conf\n"}
        assert list(conflicts(files, WITH_PAM)) == []

    def test_are_all_told_in_the_order_of_the_lines(self) -> None:
        files = {CONFIG: f"UsePAM no\n{INCLUDE}AuthenticationMethods password\n", f"{D}/00-a.conf": "Include x\n"}
        told = list(conflicts(files, Effective()))
        assert [sentence.split(" line ")[0] for sentence in told] == [CONFIG, f"{D}/00-a.conf", CONFIG]


names = st.text("ab.-", min_size=1, max_size=4)
patterns = st.lists(
    st.builds("".join, st.tuples(st.sampled_from(["", "", "!"]), st.text("ab.-*?", min_size=1, max_size=4))), max_size=4
)


class TestMatches:
    """PATTERNS of ssh_config(5)."""

    @pytest.mark.parametrize(
        ("pattern_list", "found"),
        [
            ("alice", True),
            ("*", True),
            ("a*e", True),
            ("al?ce", True),
            ("alic?", True),
            ("alice?", False),
            ("?alice", False),
            ("ALICE", False),
            ("alic", False),
            ("bob,alice", True),
            ("bob,*", True),
            ("*,!alice", False),
            ("!alice,*", False),
            ("!bob", False),
            ("*,!bob", True),
            ("!a*,alice", False),
            ("a.ice", False),
            ("[a]lice", False),
            ("", False),
        ],
    )
    def test_follow_the_rules_of_openssh(self, pattern_list: str, found: bool) -> None:
        assert matches(["alice"], pattern_list) == found

    @given(st.lists(names, max_size=3), patterns)
    def test_need_one_match_and_no_exclusion(self, people: list[str], pattern_list: list[str]) -> None:
        wanted = [pattern for pattern in pattern_list if not pattern.startswith("!")]
        excluded = [pattern[1:] for pattern in pattern_list if pattern.startswith("!")]

        def any_of(globs: list[str]) -> bool:
            return any(fnmatch.fnmatchcase(name, glob) for name in people for glob in globs)

        assert matches(people, ",".join(pattern_list)) == (any_of(wanted) and not any_of(excluded))

    def test_take_one_of_the_groups_and_none_that_is_excluded(self) -> None:
        assert matches(["staff", "guests"], "staff")
        assert not matches(["staff", "guests"], "staff,!guests")
        assert not matches([], "*")

    def test_are_quick_with_a_list_of_ten_thousand(self) -> None:
        people = [f"user{number}" for number in range(10_000)]
        pattern_list = ",".join(people)
        assert all(matches([name], pattern_list) for name in people)


class TestAccountClass:
    def test_tells_apart_what_the_match_lines_tell_apart(self) -> None:
        files = {
            CONFIG: 'match user alice,bob address 192.0.2.0/24\nMatch Group "staff"\nMatch all\n',
            f"{D}/1.conf": "Match Address 192.0.2.0/24 User=carol\nMatch invalid-user\nMatch LocalPort 22 Group=*,!x\n",
            f"{D}/2.conf": "Match User = dave\n# Match User eve\nMatch User 'alice,bob'\n",
        }
        assert distinguishing(files) == (
            *[("group", "*,!x"), ("group", "staff")],
            *[("user", "alice,bob"), ("user", "carol"), ("user", "dave")],
        )

    def test_is_the_same_for_accounts_that_the_lists_do_not_tell_apart(self) -> None:
        told_apart = (("user", "alice,bob"), ("group", "staff,!guests"))
        assert account_class(told_apart, "alice", ["staff"]) == (True, True)
        assert account_class(told_apart, "bob", ["staff", "guests"]) == (True, False)
        assert account_class(told_apart, "staff", ["x"]) == (False, False)


class TestTheConfiguration:
    @pytest.mark.parametrize(
        "match", ["Address 192.0.2.0/24", "User alice host=*.example.com", "LocalPort 2222", "all address=*,!192.0.2.1"]
    )
    def test_tells_addresses_where_a_match_does(self, match: str) -> None:
        assert tells_addresses({CONFIG: "", f"{D}/1.conf": f"match {match}\n"})

    def test_tells_no_addresses_where_accounts_alone_are_told_apart(self) -> None:
        config = f"Include {D}/*.conf\nMatch User alice Group=*,!staff\nMatch all\nMatch invalid-user\n"
        assert not tells_addresses({CONFIG: config, f"{D}/1.conf": "# Match Address *\n"})

    @pytest.mark.parametrize("path", ["/etc/ssh/more.conf", "more.d/*.conf", f"{D}/*.conf /srv/*"])
    def test_reads_elsewhere_what_is_not_a_drop_in(self, path: str) -> None:
        assert reads_elsewhere({CONFIG: f"Include {path}\n"})

    def test_reads_elsewhere_what_a_drop_in_includes(self) -> None:
        assert reads_elsewhere({CONFIG: INCLUDE, f"{D}/1.conf": f"Match all\n  include {D}/x.conf\n"})

    def test_reads_nothing_elsewhere_by_default(self) -> None:
        assert not reads_elsewhere({CONFIG: INCLUDE + "include sshd_config.d/*.conf\n", f"{D}/1.conf": "UsePAM yes\n"})


class TestAdmits:
    @pytest.mark.parametrize(
        ("lists", "admitted"),
        [
            ({}, True),
            ({"allowusers": ["alice"]}, True),
            ({"allowusers": ["bob", "al*"]}, True),
            ({"allowusers": ["alice@192.0.2.1"]}, True),
            ({"allowusers": ["bob"]}, False),
            ({"allowusers": ["bob@*"]}, False),
            ({"allowusers": ["bob,alice"]}, False),
            ({"allowusers": ["!alice", "*"]}, True),
            ({"denyusers": ["alice"]}, False),
            ({"denyusers": ["a*"]}, False),
            ({"denyusers": ["alice@192.0.2.1"]}, True),
            ({"denyusers": ["bob"]}, True),
            ({"denyusers": ["alice"], "allowusers": ["alice"]}, False),
            ({"allowgroups": ["staff"]}, True),
            ({"allowgroups": ["admins"]}, False),
            ({"denygroups": ["staff", "x"]}, False),
            ({"denygroups": ["admins"]}, True),
            ({"allowusers": ["alice"], "allowgroups": ["admins"]}, False),
            ({"allowusers": ["alice"], "denygroups": ["st*"]}, False),
        ],
    )
    def test_follows_the_lists_of_sshd(self, lists: dict[str, list[str]], admitted: bool) -> None:
        effective = Effective({keyword: tuple(values) for keyword, values in lists.items()})
        assert admits(effective, "alice", ["alice", "staff"]) == admitted
