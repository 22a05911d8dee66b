# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._texts import drop_in
from ansible_collections.fleet.auth.plugins.module_utils._texts.patterns import matches
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import (
    Effective,
    Files,
    Line,
    accepts,
    account_class,
    account_patterns,
    admits,
    distinguishes_origins,
    further_origins,
    origins,
    parse_config,
    parse_effective,
    read_order,
    reads_elsewhere,
    setting_line,
)
from unit.builders import settings

CONFIG = places.SSHD_CONFIG
DROP_IN = places.DROP_IN

D = "/etc/ssh/sshd_config.d"
INCLUDE = f"Include {D}/*.conf\n"
WITH_PAM = Effective(usepam=("yes",))


def lines(text: str, path: str = CONFIG) -> list[tuple[str, ...]]:
    return [(line.keyword, *line.arguments) for line in parse_config(path, text)]


def read(files: dict[str, str]) -> tuple[list[str], list[str]] | None:
    order = read_order(Files(files))
    return order and ([str(line) for line in order.before], [str(line) for line in order.after])


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
    def test_splits_a_line_as_sshd_does(self, line: str, words: tuple[str, ...]) -> None:
        assert lines(line) == [words]

    @pytest.mark.parametrize(
        "text", ["", "\n\n", "# UsePAM no", "   # UsePAM no", "#UsePAM no\x0bUsePAM no\x0cUsePAM no"]
    )
    def test_ignores_comments(self, text: str) -> None:
        assert lines(text) == []

    def test_keeps_the_position_and_the_match_of_a_line(self) -> None:
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
    def test_accepts_any_text(self, text: str) -> None:
        assert all(line.keyword is not None for line in parse_config(CONFIG, text))

    def test_of_the_output_of_sshd_collects_lists(self) -> None:
        found = parse_effective(
            "usepam yes\nallowusers alice\nallowusers bob@192.0.2.*\nallowgroups linux admins\nallowgroups staff\n"
            "authenticationmethods a,b c\nbanner two words\n"
        )
        assert found == {
            "usepam": ("yes",),
            "allowusers": ("alice", "bob@192.0.2.*"),
            "allowgroups": ("linux admins", "staff"),
            "authenticationmethods": ("a,b", "c"),
            "banner": ("two words",),
        }
        assert (found.first("allowusers"), found.first("gone")) == ("alice", "")
        assert (found.on("usepam"), found.on("banner"), found.on("gone")) == (True, False, False)

    def test_of_the_output_of_sshd_accepts_keywords_as_spelled_in_the_man_page(self) -> None:
        found = parse_effective("UsePAM yes\nAllowUsers alice\nAllowUsers Bob\nAuthenticationMethods a,b c\n")
        assert found == {
            "usepam": ("yes",),
            "allowusers": ("alice", "Bob"),
            "authenticationmethods": ("a,b", "c"),
        }


class TestReadOrder:
    def test_has_the_files_where_they_are_included(self) -> None:
        assert read(
            {
                CONFIG: f"A 1\n{INCLUDE}B 2\n",
                f"{D}/50-b.conf": "D 4\n",
                f"{D}/00-a.conf": "C 3\n",
                DROP_IN: "Z 26\n",
            }
        ) == (
            [
                f"{CONFIG} line 1: A 1",
                f"{CONFIG} line 2: {INCLUDE.strip()}",
                f"{D}/00-a.conf line 1: C 3",
            ],
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
            f"Include {D}/[^0]*.conf",
            f'"Include"\t{D}/*.conf',
            f"Include {D}/[[:digit:]]*.conf",
            f"Include {D}/[]0]0-*",
            "Include /etc/ssh/sshd\\_config.d/00-twofactor.con\\f",
            "Include /etc/ssh//./sshd_config.d/*.conf",
            "Include '/etc/ssh'\"/sshd_config.d\"/*.conf",
            f'Include "no \\" such" {D}/*.conf',
            f"=Include {D}/*.conf",
            f"\t = Include\t{D}/*.conf \f\r",
        ],
    )
    def test_finds_our_file_however_it_is_included(self, include: str) -> None:
        assert read_order(Files({CONFIG: include})) is not None

    @pytest.mark.parametrize(
        "text",
        [
            "",
            f"#{INCLUDE}",
            "Include /etc/ssh/*.conf",
            f"Include {D}/50-*.conf",
            f"Include {D}",
            f"Include {D}/*/*.conf",
            f"Include {D}/\\*.conf",
            f"Include {D}/[0",
            f"Include {D}/[^1-9]*.conf",
            f"Include {D}/{{00,50}}-*.conf",
            f"Include {D}/*.conf\u00a0",
            f"Include {D}/*.conf\v",
            f"Include\f{D}/*.conf",
            f"Include {D}/*.conf#",
            f"== Include {D}/*.conf",
            f'"Include" ={D}/*.conf',
            f"Include {D}/[9-0]*.conf",
            f"Match User alice\n{INCLUDE}",
            f"Match all\n{INCLUDE}",
        ],
    )
    def test_is_none_if_our_file_is_not_read_for_everyone(self, text: str) -> None:
        assert read_order(Files({CONFIG: text, DROP_IN: ""})) is None
        assert list(drop_in.conflicts(Files({CONFIG: text, DROP_IN: ""}), WITH_PAM, settings())) == [
            f"{CONFIG} does not read {D} for everyone: put the line 'Include {D}/*.conf' at its top, before any Match."
        ]

    @pytest.mark.parametrize(
        ("include", "is_read"),
        [("*", False), ("*.conf", False), ("?*", False), ("[.]*", False), (".*", True), ("\\.*", True), (".a*", True)],
    )
    def test_has_a_hidden_file_only_if_the_pattern_begins_with_a_dot(self, include: str, is_read: bool) -> None:
        files = {CONFIG: f"Include {D}/{include} {DROP_IN}\n", f"{D}/.a.conf": "A 1\n"}
        before, _after = read(files) or ([], [])
        assert (f"{D}/.a.conf line 1: A 1" in before) == is_read

    def test_sorts_by_patterns_before_names(self) -> None:
        files = {
            CONFIG: f"Include {D}/50-*.conf {D}/*.conf\n",
            f"{D}/50-b.conf": "B 1\n",
            f"{D}/10-a.conf": "A 1\n",
        }
        before, after = read(files) or ([], [])
        assert [line.rpartition(": ")[2] for line in before[1:]] == ["B 1"]
        assert [line.rpartition(": ")[2] for line in after] == ["A 1", "B 1"]

    def test_finds_where_a_keyword_is_set_first(self) -> None:
        files = {CONFIG: f"{INCLUDE}PermitRootLogin yes\n", f"{D}/50-a.conf": "#\npermitrootlogin no\n"}
        assert setting_line(Files(files), "PermitRootLogin") == f"{D}/50-a.conf line 2: permitrootlogin no"
        assert setting_line(Files(files), "UsePAM") == "UsePAM has this value by default"
        assert setting_line(Files({CONFIG: "UsePAM no"}), "UsePAM") == "UsePAM has this value by default"


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

    def test_accept_one_of_the_groups_and_none_that_is_excluded(self) -> None:
        assert matches(["staff", "guests"], "staff")
        assert not matches(["staff", "guests"], "staff,!guests")
        assert not matches([], "*")

    def test_are_quick_with_a_list_of_ten_thousand(self) -> None:
        people = [f"user{number}" for number in range(10_000)]
        pattern_list = ",".join(people)
        assert all(matches([name], pattern_list) for name in people)


class TestAccountClass:
    def test_distinguishes_what_the_match_lines_distinguish(self) -> None:
        files = {
            CONFIG: 'match user alice,bob address 192.0.2.0/24\nMatch Group "staff"\nMatch all\n',
            f"{D}/1.conf": "Match Address 192.0.2.0/24 User=carol\nMatch invalid-user\nMatch LocalPort 22 Group=*,!x\n",
            f"{D}/2.conf": "Match User = dave\n# Match User eve\nMatch User 'alice,bob'\n",
        }
        assert account_patterns(files) == (
            *[("group", "*,!x"), ("group", "staff")],
            *[("user", "alice,bob"), ("user", "carol"), ("user", "dave")],
        )

    def test_is_the_same_for_accounts_that_the_lists_do_not_distinguish(self) -> None:
        told_apart = (("user", "alice,bob"), ("group", "staff,!guests"))
        assert account_class(told_apart, "alice", ["staff"]) == (True, True)
        assert account_class(told_apart, "bob", ["staff", "guests"]) == (True, False)
        assert account_class(told_apart, "staff", ["x"]) == (False, False)


class TestConfiguration:
    @pytest.mark.parametrize(
        "match", ["Address 192.0.2.0/24", "User alice host=*.example.com", "LocalPort 2222", "all address=*,!192.0.2.1"]
    )
    def test_distinguishes_addresses_if_a_match_does(self, match: str) -> None:
        assert distinguishes_origins({CONFIG: "", f"{D}/1.conf": f"match {match}\n"})

    def test_does_not_distinguish_addresses_if_only_accounts_differ(self) -> None:
        config = f"Include {D}/*.conf\nMatch User alice Group=*,!staff\nMatch all\nMatch invalid-user\n"
        assert not distinguishes_origins({CONFIG: config, f"{D}/1.conf": "# Match Address *\n"})

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


class TestOrigins:
    """sshd is asked about each address and port by which a configuration distinguishes people."""

    @pytest.mark.parametrize(
        ("match", "found"),
        [
            ("Address 172.17.0.0/16", [("172.17.0.1", "", "")]),
            ("address=192.0.2.7,2001:db8::/32", [("192.0.2.7", "", ""), ("2001:db8::1", "", "")]),
            ("Address *,!10.0.0.0/8 User alice", [("10.0.0.1", "", "")]),
            ("Address 192.0.2.*", [("192.0.2.1", "", "")]),
            ("Address 10.*", [("10.1.1.1", "", "")]),
            ("Address 172.1?.*", [("172.11.1.1", "", "")]),
            ("Address 2001:db8:*", [("2001:db8::1", "", "")]),
            ("Address 10.0.0.0/8,!10.0.0.0/24", [("10.255.255.254", "", ""), ("10.0.0.1", "", "")]),
            ("Address 10.*,!10.1.*", [("10.254.254.254", "", ""), ("10.1.1.1", "", "")]),
            ("LocalPort 2222,2223", [("", "", "2222"), ("", "", "2223")]),
            ("LocalAddress 192.0.2.9 LocalPort 22 Address 10.0.0.0/8", [("10.0.0.1", "192.0.2.9", "22")]),
            ("User alice", []),
            ("all", []),
            ("Address nonsense", []),
            ("Address 192.168.1.*/24,!10.0.0.0/8", [("10.0.0.1", "", "")]),
        ],
    )
    def test_are_those_of_its_matches(self, match: str, found: list[tuple[str, str, str]]) -> None:
        assert list(origins({CONFIG: f"{INCLUDE}Match {match}\n  X11Forwarding no\n"})) == found
        assert origins({DROP_IN: f"Match {match}\n"}) == ()

    def test_are_not_exempt_if_an_equivalent_address_exists(self) -> None:
        texts = {CONFIG: "Match Address 10.0.0.0/8,192.0.2.1\n"}
        assert [one.address for one in origins(texts, lambda address: address == "10.0.0.1")] == [
            "10.255.255.254",
            "192.0.2.1",
        ]
        assert [one.address for one in origins(texts, lambda _address: True)] == ["10.0.0.1", "192.0.2.1"]

    def test_are_limited_in_number(self) -> None:
        many = "".join(f"Match Address 192.0.2.{number}\n" for number in range(100))
        assert len(origins({CONFIG: many})) == 16
        assert further_origins({CONFIG: many}) == 84
        assert further_origins({CONFIG: "Match Address 192.0.2.1\n"}) == 0


@pytest.mark.parametrize(
    ("methods", "key", "password"),
    [
        ([], True, True),
        (["any"], True, True),
        (["publickey,keyboard-interactive:pam"], True, False),
        (["publickey,keyboard-interactive:pam", "keyboard-interactive:pam"], True, True),
        (["password"], False, True),
    ],
)
def test_login_begins_with_one_of_the_methods(methods: list[str], key: bool, password: bool) -> None:
    effective = Effective(authenticationmethods=tuple(methods)) if methods else Effective()
    assert accepts(effective, "publickey") == key
    assert accepts(effective, "password", "keyboard-interactive") == password


def test_host_in_allow_users_begins_after_the_last_at() -> None:
    effective = Effective(allowusers=("joe@corp.example@*", "ann@corp.example@192.0.2.7"))
    assert admits(effective, "joe@corp.example", [])
    assert admits(effective, "ann@corp.example", [])
    assert not admits(effective, "joe", [])
