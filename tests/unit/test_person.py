# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils._person import STATES, everybody, line, people, table

USER = {
    "enrolled": True,
    "proven": False,
    "locked": False,
    "recovered": False,
    "devices": [],
    "recovery_codes_left": 0,
    "pass_until": None,
}


def answer(*off: str, **alice: t.Any) -> dict[str, t.Any]:
    return {"users": {"alice": {**USER, **alice}}, "let_off": list(off), "would_be_locked_out": []}


def nobody(**what: t.Any) -> dict[str, t.Any]:
    return {"users": {}, "let_off": [], "would_be_locked_out": [], **what}


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (None, "unknown"),
        ({"unreachable": True, "msg": "No route"}, "unknown"),
        ({"failed": True, "msg": "needs root"}, "unknown"),
        ({"users": {"alice": {}}, "let_off": []}, "unknown"),
        (nobody(), "not enrolled"),
        (nobody(let_off=["alice"]), "let off"),
        (nobody(would_be_locked_out=[{"user": "alice"}]), "shut out"),
        (answer("alice", proven=True), "let off"),
        (answer(enrolled=False), "not enrolled"),
        (answer(enrolled=False, security_keys=["blue"], security_keys_only=True), "keys alone"),
        (answer(locked=True, proven=True), "locked"),
        (answer(proven=True), "proven"),
        (answer(), "enrolled"),
    ],
)
def test_person_has_a_state_in_one_word(said: dict[str, t.Any] | None, state: str) -> None:
    assert line("web1", said, "alice").state == state
    assert state in STATES


def test_table_begins_with_problems_and_ends_with_the_counts() -> None:
    lines = [
        line("web1", answer(proven=True, devices=["tablet"], recovery_codes_left=7, security_keys=["a", "b"]), "alice"),
        line("web2", answer(locked=True), "alice"),
        line("web3", {"failed": True, "msg": "needs root"}, "alice"),
    ]
    heading, *rows = table(lines, "alice").splitlines()
    assert heading.startswith("alice on  ")
    assert [row.split()[:2] for row in rows[:3]] == [["web3", "unknown"], ["web2", "locked"], ["web1", "proven"]]
    assert rows[2].split() == ["web1", "proven", "2", "keys,", "code", "tablet", "7"]
    assert "web3: needs root" in rows
    assert rows[-1] == "3 hosts: 1 unknown, 1 locked, 1 proven"


def test_table_of_an_unknown_person_says_so() -> None:
    asked, not_asked = line("web1", nobody(), "ailce"), line("web2", None, "ailce")
    said = "No host that could be asked has a credential of ailce. Check the name."
    assert said in table([asked, not_asked], "ailce").splitlines()
    assert said not in table([not_asked], "ailce")
    assert "credential of" not in table([asked, line("web3", answer(), "alice")], "alice")


def test_fleet_by_person_begins_with_problems() -> None:
    bob = {**USER, "proven": True}
    answers = {
        "web1": {**answer(proven=True), "would_be_locked_out": [{"user": "carol"}]},
        "web2": {**answer("dave", locked=True), "users": {"alice": {**USER, "locked": True}, "bob": bob}},
        "web3": answer(proven=True),
    }
    told = [(host, name, state) for host, said in answers.items() for name, state in everybody(said)]
    assert people(told) == [
        {
            "name": "alice",
            "state": "locked",
            "where": [{"state": "locked", "hosts": ["web2"]}, {"state": "proven", "hosts": ["web1", "web3"]}],
        },
        {"name": "carol", "state": "shut out", "where": [{"state": "shut out", "hosts": ["web1"]}]},
        {"name": "dave", "state": "let off", "where": [{"state": "let off", "hosts": ["web2"]}]},
        {"name": "bob", "state": "proven", "where": [{"state": "proven", "hosts": ["web2"]}]},
    ]
