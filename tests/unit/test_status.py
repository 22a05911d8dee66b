# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.fleet.auth.plugins.action import status_report
from ansible_collections.fleet.auth.plugins.plugin_utils._status import VERDICTS, line, merged, summary, table

USER = {"enrolled": True, "proven": False, "locked": False, "recovered": False, "recovery_codes_left": 0}


def answer(**special: t.Any) -> dict[str, t.Any]:
    """The result of twofactor_info on a host where all is well, except for these values."""
    return {
        "enforced": {"sshd": True},
        "asks": ["sshd"],
        "let_off": [],
        "users": {"alice": {**USER, "proven": True}, "bob": {**USER, "recovery_codes_left": 7}},
        "time_sync": {"error_seconds": 0.0004, "reason": "in sync"},
        "pending": False,
        "exempt": ["ansible"],
        "would_be_locked_out": [],
        "changes": [],
        "missing_packages": [],
        "refusals": [],
        "drift": [],
        "lets_in": [],
        "denying": [],
        "invitations": {},
        "doors": [],
        **special,
    }


class TestLine:
    @pytest.mark.parametrize(
        ("said", "verdict"),
        [
            (None, "unreachable"),
            ({"unreachable": True, "msg": "No route"}, "unreachable"),
            ({"failed": True, "msg": "needs root"}, "failed"),
            (answer(pending=True, refusals=["no"]), "pending"),
            (answer(lets_in=["sshd"], refusals=["no"]), "open"),
            (answer(denying=["sshd"], drift=["gone"]), "shut"),
            (answer(refusals=["no"], changes=["write x"]), "refused"),
            (answer(changes=["write x"]), "drift"),
            (answer(missing_packages=["libpam-oath"]), "drift"),
            (answer(drift=["lost"]), "drift"),
            (answer(), "on"),
            (answer(enforced={"sshd": False}), "off"),
            (answer(enforced={}), "off"),
        ],
    )
    def test_has_the_worst_verdict_that_applies(self, said: dict[str, t.Any] | None, verdict: str) -> None:
        assert line("web1", said).verdict == verdict
        assert verdict in VERDICTS

    def test_begins_with_problems_of_services(self) -> None:
        assert line("web1", answer(lets_in=["sshd"], refusals=["no"])).notes[0] == "sshd lets people in without a code."
        assert line("web1", answer(denying=["sudo"])).notes == ("sudo denies everybody who needs a code.",)

    def test_has_all_accounts_of_a_shortened_sentence(self) -> None:
        told = {key: [{"message": "u1 and 299 more", "users": ["u2", "u1"]}] for key in ("refused", "warned")}
        one = line("web1", answer(**told))
        assert (one.refused, one.warned) == (("u1", "u2"), ("u1", "u2"))

    def test_counts_people_and_names_those_in_trouble(self) -> None:
        users = {"alice": {**USER, "locked": True}, "bob": {**USER, "recovered": True}}
        one = line("web1", answer(users=users, let_off=["bob"], would_be_locked_out=[{"user": "carol"}]))
        assert (one.enrolled, one.proven, one.locked, one.recovered) == (2, 0, ("alice",), ("bob",))
        assert one.would_be_locked_out == ("carol",)
        assert line("web1", answer()).recovery_codes_left == 7

    def test_shows_who_has_security_keys_and_a_code(self) -> None:
        users = {"alice": {**USER, "security_keys": ["a", "b"]}, "bob": USER}
        users["carol"] = {**USER, "enrolled": False, "security_keys": ["c"], "security_keys_only": True}
        one = line("web1", answer(users=users))
        assert one.with_keys == ("alice: 2 keys, code", "carol: 1 key")
        assert one.cells[5] == "2"

    def test_groups_doors_by_their_state(self) -> None:
        doors = [
            {"name": name, "kind": kind, "reaches": "files", "state": state, "seen": ""}
            for name, kind, state in (
                ("sshd", "sshd", "covered"),
                ("vsftpd", "daemon", "open"),
                ("tailscaled", "daemon", "unknown"),
                ("vpn", "local", "unknown"),
                ("su", "local", "open"),
                ("sudo", "local", "covered"),
            )
        ]
        one = line("web1", answer(doors=doors))
        assert (one.covered, one.open) == (("sshd", "sudo"), ("vsftpd (files)",))
        assert one.unknown == ("tailscaled (files)", "vpn (files)")
        assert one.open_inside == ("su (files)",)
        assert merged(["web1"], [summary([one])]) == [one]

    def test_shows_services_that_ask_and_accounts_let_off(self) -> None:
        assert line("web1", answer(let_off=["bob"], enforced={"sshd": False})).cells[2] == "sshd (not bob)"
        assert line("web1", answer(asks=[], enforced={"sshd": False})).cells[2] == "nothing"
        assert line("web1", {"failed": True, "msg": "users must be a list"}).cells[2] == ""

    def test_names_as_not_asking_only_services_that_ask_nobody(self) -> None:
        nowhere = {"sshd": False, "cockpit": False}
        assert line("web1", answer(asks=["sshd", "cockpit"], let_off=["bob"], enforced=nowhere)).not_asking == ()
        assert line("web1", answer(asks=["sshd"], let_off=["bob"], enforced=nowhere)).not_asking == ("cockpit",)
        assert line("web1", answer(asks=[], enforced=nowhere)).not_asking == ("sshd", "cockpit")

    def test_says_why(self) -> None:
        assert line("web1", {"failed": True, "msg": "needs\n root"}).notes == ("needs root",)
        assert line("web1", answer(drift=["lost"], changes=["write x", "reload sshd"])).notes == (
            "lost",
            "A run would write x, reload sshd.",
        )
        assert line("web1", answer(refusals=["no"], changes=[])).notes == ("no",)

    def test_names_open_and_void_invitations(self) -> None:
        until = "2026-03-02T08:00:00Z"
        invitations = {"dave": {"until": until, "tries": 0}, "carol": {"until": until, "tries": 5}}
        one = line("web1", answer(invitations=invitations))
        assert one.notes == (
            "the invitation of dave is void, after too many wrong tries: fleet.auth.invite -e user=dave.",
            f"carol is invited to enrol until {until}.",
        )

    def test_names_users_who_enrolled_alone(self) -> None:
        one = line("web1", answer(users={"alice": {**USER, "self_made": "2026-11-28/cockpit"}}))
        assert one.notes == (
            "alice enrolled alone on 2026-11-28 (cockpit), and nobody has accepted this yet: fleet.auth.accept "
            "-e user=alice.",
        )

    def test_names_a_security_key_that_does_not_ask_for_its_pin(self) -> None:
        one = line("web1", answer(users={"carol": {**USER, "key_denied": "2026-11-28/blue"}}))
        assert one.notes[0].startswith(
            "the security key blue of carol did not ask for its PIN, and was denied on 2026-"
        )

    def test_of_an_unknown_clock_has_no_error(self) -> None:
        assert line("web1", answer(time_sync=None)).clock_error_seconds is None


STRANGE = "web9\x1b]52;c;x\x07\nweb2  on\u202e"
SHOWN = r"web9\x1b]52;c;x\x07 web2 on\u202e"


class TestLyingHost:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"users": {"alice": {**USER, "recovery_codes_left": "x"}}},
            {"users": {"alice": {**USER, "recovery_codes_left": 10**5000}}},
            {"users": {"alice": {}}},
            {"users": "alice"},
            {"users": None},
            {"enforced": 3},
            {"time_sync": "now"},
            {"time_sync": {"error_seconds": float("nan"), "reason": "x"}},
            {"would_be_locked_out": [{}]},
            {"refusals": None},
            {"missing_packages": 1, "changes": {}},
        ],
    )
    def test_is_failed_and_the_others_are_reported(self, wrong: dict[str, t.Any]) -> None:
        lines = [line("web1", answer(**wrong)), line("web2", answer())]
        assert [one.verdict for one in lines] == ["failed", "on"]
        assert table(lines)
        json.dumps(summary(lines), allow_nan=False)

    def test_strange_text_is_escaped(self) -> None:
        users = {STRANGE: {**USER, "locked": True, "recovered": True}}
        lines = [
            line(
                "web1", answer(users=users, asks=[STRANGE], enforced={STRANGE: True}, drift=[STRANGE], exempt=[STRANGE])
            ),
            line("web3", {"failed": True, "msg": f"{STRANGE}!"}),
        ]
        shown = table(lines)
        assert shown.count(SHOWN) == 4
        assert shown.replace("\n", "").isprintable()
        assert sum(row.startswith("web2") for row in shown.splitlines()) == 0

    def test_long_names_do_not_widen_other_lines(self) -> None:
        locked = {f"{'x' * 500}{number}": {**USER, "locked": True} for number in range(20)}
        heading, *rows = table([line("web1", answer(users=locked)), line("web2", answer())]).splitlines()
        assert max(len(heading), len(rows[1])) < 250
        assert all(name in rows[0] for name in locked)

    def test_thousands_of_names_are_reported_quickly(self) -> None:
        """A report of all hosts waits for each one; 10,000 names once took 18 seconds."""
        users = {f"u{number}": {**USER, "enrolled": False} for number in range(10_000)}
        apart = [{"user": f"v{number}"} for number in range(10_000)]
        began = time.monotonic()
        one = line("web1", answer(users=users, would_be_locked_out=apart, let_off=[f"w{n}" for n in range(10_000)]))
        assert len(one.people) == 30_000
        assert time.monotonic() - began < 3


class TestReport:
    LINES = (line("web1", answer()), line("web2", None), line("web3", answer(refusals=["web3: there is no account x"])))

    def test_is_data(self) -> None:
        data = json.loads(json.dumps(summary(self.LINES)))
        assert (data["hosts"], data["on"], data["unreachable"], data["refused"], data["drift"]) == (3, 1, 1, 1, 0)
        assert [one["host"] for one in data["lines"]] == ["web1", "web2", "web3"]

    def test_is_a_table(self) -> None:
        assert table(self.LINES) == (
            "host  state        asks  enrolled  proven  exempt  locked  shut out  clock\n"
            "web2  unreachable\n"
            "web3  refused      sshd  2         1       1       -       0         0.000 s\n"
            "web1  on           sshd  2         1       1       -       0         0.000 s\n"
            "\n"
            "web3: web3: there is no account x\n"
            "\n"
            "3 hosts: 1 unreachable, 1 refused, 1 on"
        )

    def test_has_a_column_for_security_keys_if_anybody_has_one(self) -> None:
        users = {"alice": {**USER, "security_keys": ["a"]}}
        heading, row, *_rest = table([line("web1", answer(users=users))]).splitlines()
        assert heading.split()[3:7] == ["enrolled", "proven", "keys", "exempt"]
        assert row.split()[3:6] == ["1", "0", "1"]

    def test_prints_once_what_many_hosts_say(self) -> None:
        clock = [line(f"web{n}", answer(refusals=[f"the clock of web{n} is not in sync"])) for n in range(300)]
        *_rows, note, empty, counts = table([*clock, line("db", answer(refusals=["no room"])), *clock[:0]]).splitlines()
        assert (note, empty, counts) == ("db: no room", "", "301 hosts: 301 refused")
        assert "web0, web1, web2, web3, web4 and 295 more hosts: the clock of the host is not in sync" in _rows
        assert "web1: the clock of web1 is not in sync" in table(clock[1:2])
        assert table(clock[1:2]).endswith("1 host: 1 refused")

    def test_without_hosts_says_so(self) -> None:
        assert table(()).endswith("No hosts.")


class TestMerged:
    FIRST = line("web1", answer())
    SECOND = line("web2", answer(drift=["lost"]))

    def reports(self, *lines: t.Any) -> list[t.Any]:
        """A separate report of each line, as read from a file."""
        return [json.loads(json.dumps(summary([one]))) for one in lines]

    def test_is_what_one_run_would_have_reported(self) -> None:
        assert merged(["web1", "web2"], self.reports(self.SECOND, self.FIRST)) == [self.FIRST, self.SECOND]

    def test_names_a_host_that_is_in_no_slice(self) -> None:
        (_web1, web2) = merged(["web1", "web2"], self.reports(self.FIRST))
        assert (web2.host, web2.verdict, web2.notes) == ("web2", "unreachable", ("It is in none of the slices.",))

    def test_uses_the_last_report_of_a_host(self) -> None:
        assert merged(["web1"], self.reports(line("web1", None), self.FIRST)) == [self.FIRST]

    @pytest.mark.parametrize("other", [[], {}, {"lines": None}, {"lines": [{"host": "web1", "outcome": "proven"}]}])
    def test_of_data_that_is_no_report_is_refused(self, other: t.Any) -> None:
        with pytest.raises(ValueError, match="is not a report"):
            merged(["web1"], [other])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"verdict": "great"},
            {"verdict": None},
            {"host": ["web1"]},
            {"host": None},
            {"notes": "lost"},
            {"notes": [["lost"]]},
            {"exempt": 3},
            {"enrolled": "<b>"},
            {"enrolled": True},
            {"clock_error_seconds": "x"},
            {"clock_error_seconds": float("nan")},
            {"people": ["alice"]},
            {"people": ["great: alice"]},
        ],
    )
    def test_of_a_damaged_report_is_refused(self, wrong: dict[str, t.Any]) -> None:
        (report,) = self.reports(self.FIRST)
        report["lines"] = [{**report["lines"][0], **wrong}]
        with pytest.raises(ValueError, match="is not a report"):
            merged(["web1"], [report])

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
    def test_of_a_file_that_is_not_json_is_refused_with_its_name(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "1.json").write_bytes(content)
        with pytest.raises(AnsibleActionFail, match=r"/1\.json of a slice is not JSON\. Name files that runs of"):
            status_report._merged(["web1"], [str(tmp_path / "1.json")])
