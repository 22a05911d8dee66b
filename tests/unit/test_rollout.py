# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.fleet.auth.plugins.plugin_utils._report import gathered
from ansible_collections.fleet.auth.plugins.plugin_utils._rollout import (
    OUTCOMES,
    UNREADY,
    WELL,
    junit,
    line,
    next_steps,
    outlook,
    sentences,
    short,
    summary,
)
from ansible_collections.fleet.auth.plugins.plugin_utils._rollout import table as rollout_table
from unit import answering

ON = {"ok": True, "enforced": {"sshd": True}, "asks": ["sshd"], "let_off": []}
FAILED = {"ok": False, "msg": "no new connection\n   gets in"}


def plan(**special: t.Any) -> dict[str, t.Any]:
    """The result of the module in check mode for a host that is off and would be turned on."""
    return {
        "enforced": {"sshd": False},
        "asks": [],
        "let_off": [],
        "changes": ["write /etc/pam.d/twofactor"],
        "missing_packages": [],
        "to_enrol": ["alice"],
        "refusals": [],
        **special,
    }


class TestBatches:
    @pytest.fixture
    def first(self) -> dict[str, t.Any]:
        """The first task of the role, which checks the batches."""
        text = (Path(__file__).parents[2] / "roles/twofactor/tasks/rollout/preflight.yml").read_text()
        first: dict[str, t.Any] = yaml.safe_load(text)[0]
        assert "twofactor_rollout_batches is" in first["fleet.auth.require"]["fail_msg"]
        return first

    @pytest.mark.parametrize("batches", [[1], ["1"], ["1%"], ["100%"], [1, "10%", 20]])
    def test_are_numbers_and_shares(self, first: dict[str, t.Any], batches: t.Any) -> None:
        assert self._holds(first, batches)

    @pytest.mark.parametrize("batches", [[], [0], ["0%"], ["200%"], [1, "many"], "all", [-1], [1.5]])
    def test_that_are_invalid_are_refused(self, first: dict[str, t.Any], batches: t.Any) -> None:
        assert not self._holds(first, batches)

    @staticmethod
    def _holds(first: dict[str, t.Any], batches: t.Any) -> t.Any:
        named = {name: trust_as_template(text) for name, text in first["vars"].items()}
        templar = Templar(DataLoader(), variables={"twofactor_rollout_batches": batches, **named})
        return templar.template(trust_as_template(first["fleet.auth.require"]["that"]))


class TestLine:
    @pytest.mark.parametrize(
        ("said", "result", "outcome"),
        [
            (None, None, "unreachable"),
            ({"unreachable": True, "msg": "No route"}, None, "unreachable"),
            ({"msg": "refused", "refusals": ["users must"]}, None, "refused"),
            ({"msg": "needs root"}, None, "failed"),
            (plan(), None, "waiting"),
            (plan(changes=[], missing_packages=["libpam-oath"]), None, "waiting"),
            (plan(changes=[]), None, "right"),
            (plan(), ON, "proven"),
            (plan(), FAILED, "failed"),
        ],
    )
    def test_has_one_outcome(
        self, said: dict[str, t.Any] | None, result: dict[str, t.Any] | None, outcome: str
    ) -> None:
        assert line("web1", said, result).outcome == outcome
        assert outcome in OUTCOMES

    @pytest.mark.parametrize(
        "wrong", [{"to_enrol": 1}, {"changes": 3}, {"enforced": []}, {"refusals": 4, "changes": None}]
    )
    def test_of_a_lying_host_is_failed(self, wrong: dict[str, t.Any]) -> None:
        assert line("web1", plan(**wrong), None).outcome == "failed"

    def test_shows_the_changes_first_and_then_the_services_that_ask(self) -> None:
        said = plan(missing_packages=["libpam-oath"])
        before = line("web1", said, None)
        assert before.changes == ("install libpam-oath", "write /etc/pam.d/twofactor")
        assert (before.enforced, before.to_enrol) == ((), ("alice",))
        assert line("web1", said, ON).enforced == ("sshd",)

    def test_does_not_say_what_asks_if_that_is_unknown(self) -> None:
        assert line("web1", {"msg": "no", "refusals": ["users must be a list"]}, None).cells[2] == ""
        assert line("web1", plan(), None).cells[2] == "nothing"

    def test_names_accounts_that_the_change_asks_again(self) -> None:
        said = plan(let_off=["alice"], asks=["sshd"])
        assert line("web1", said, None).cells[2] == "sshd (not alice)"
        assert line("web1", said, None).notes == (
            "twofactor-recover has let alice off, and after a change they are asked for a code again.",
        )
        assert line("web1", said, ON).notes == (
            "twofactor-recover had let alice off, and after the change they are asked for a code again.",
        )

    def test_shares_a_sentence_with_lines_that_say_the_same(self) -> None:
        refused = [
            line(name, {"msg": "all of it", "refusals": [f"there is no account zoe on {name}."]}, None)
            for name in ("web1", "web2", "web3")
        ]
        assert sentences(refused[:1]) == ["web1 was refused and not touched: there is no account zoe on web1."]
        assert sentences(refused) == [
            "web1, web2 and web3 were refused and not touched: there is no account zoe on the host."
        ]
        waiting = [line(f"web{n}", plan(), None) for n in range(300)]
        assert sentences([*waiting, line("db", plan(), ON)]) == [
            "web0, web1, web2, web3, web4 and 295 more hosts need a change that has not begun."
        ]
        failed = [line(name, plan(), FAILED) for name in ("web1", "web2")]
        assert sentences(failed)[0].startswith("web1 and web2 failed, and follow their old policy, or will as soon as")
        assert sentences([line("web1", {"msg": "No route", "unreachable": True}, None)]) == [
            "web1 could not be reached, and was not touched: No route"
        ]
        assert short(refused[0]) == "web1 was refused and not touched. The report of this run says why."

    def test_of_an_unreachable_host_avoids_ansibles_term(self) -> None:
        assert line("web1", {"lost": True, "msg": "No route"}, None).outcome == "unreachable"

    def test_has_all_accounts_of_a_refusal(self) -> None:
        refused = [{"message": "u1 and 299 more", "users": ["u2", "u1"]}]
        one = line("web1", {"msg": "no", "refusals": ["u1 and 299 more"], "refused": refused}, None)
        assert (one.notes, one.refused) == (("u1 and 299 more",), ("u1", "u2"))

    def test_says_why(self) -> None:
        assert line("web1", {"msg": "No\nroute", "unreachable": True}, None).notes == ("No route",)
        assert line("web1", {"msg": "all of it", "refusals": ["one", "two"]}, None).notes == ("one", "two")
        assert line("web1", plan(), FAILED).notes == ("no new connection gets in",)


def test_outcomes_are_bad_good_or_pending() -> None:
    assert OUTCOMES.keys() - UNREADY - WELL == {"waiting"}


LINES = [
    line("web1", plan(), ON),
    line("web2", plan(), FAILED),
    line("web3", plan(), None),
    line("web4", {"unreachable": True, "msg": "No <route>\x1b[0m"}, None),
]


class TestOutlook:
    def test_says_what_will_change_on_which_hosts_and_for_whom(self) -> None:
        same = [line(name, plan(missing_packages=["libpam-oath"]), None) for name in ("web1", "web2")]
        right = line("db", plan(changes=[]), None)
        assert outlook([*same, right], leave_out=False) == (
            "Changes for web1 and web2: install libpam-oath, write /etc/pam.d/twofactor. New secrets: alice.\n"
            "db is as wanted."
        )

    def test_says_what_blocks_the_rollout_and_what_to_do(self) -> None:
        lines = [line("web1", plan(), None), line("web2", None, None)]
        assert outlook(lines, leave_out=False).splitlines()[-1] == (
            "web2 is not ready; the report at the end says why. Nothing is changed on any host. Correct that, or go on "
            "without it: set twofactor_rollout_leave_out to true."
        )
        assert outlook(lines, leave_out=True).endswith("says why. The rollout goes on without it.")


class TestNextSteps:
    PROVEN = tuple(line(f"web{n}", plan(to_enrol=["alice", "bob"]), ON) for n in (1, 2))

    def test_say_where_the_sheets_are_and_how_to_prove_and_enable(self) -> None:
        assert next_steps(self.PROVEN, "/srv/sheets", ssh=False) == (
            "New sheets are in /srv/sheets: alice, bob on web1 and web2. Hand them out, and have each person prove a "
            "code: ansible-playbook fleet.auth.verify -e user=NAME. Once everybody has done that, set twofactor_ssh to "
            "true, and run this again. Until then sshd asks nobody."
        )
        assert next_steps(self.PROVEN, "/srv/sheets", ssh=True).endswith("-e user=NAME. sshd asks for codes.")

    def test_say_how_to_make_sheets_if_there_are_none(self) -> None:
        assert next_steps(self.PROVEN, "", ssh=False).endswith(
            "fleet.auth.enrol -e users=alice,bob -e twofactor_enrolment_dir=DIRECTORY"
        )

    def test_are_none_if_nobody_has_a_new_secret(self) -> None:
        assert next_steps([line("web1", plan(to_enrol=[]), ON), line("web2", plan(), None)], "x", ssh=True) == ""


def test_table_has_one_line_per_host_the_reasons_and_the_counts() -> None:
    heading, *rows = rollout_table(LINES).splitlines()
    assert heading.split()[:3] == ["host", "outcome", "asks"]
    assert rows[0].split()[:2] == ["web2", "failed"]
    assert rows[3].split() == ["web1", "proven", "sshd", "1", "alice"]
    told = (
        "web2 failed, and follows its old policy, or will as soon as it has rolled itself back: "
        "no new connection gets in"
    )
    assert told in rows
    assert rows[-1] == "4 hosts: 1 failed, 1 unreachable, 1 waiting, 1 proven"


@pytest.mark.parametrize(("lines", "complete"), [([], True), (LINES[:1], True), (LINES, False), (LINES[2:3], False)])
def test_data_says_whether_all_is_well(lines: list[t.Any], complete: bool) -> None:
    data = json.loads(json.dumps(summary(lines)))
    assert data["complete"] is complete
    assert data["hosts"] == len(data["lines"]) == len(lines)


def test_junit_has_one_case_per_host() -> None:
    suite = ElementTree.fromstring(junit(LINES))  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "1",
        "1",
        "1",
    )
    assert [[what.tag for what in case] for case in suite] == [[], ["failure"], ["skipped"], ["error"]]
    assert [case.get("name") for case in suite] == ["web1", "web2", "web3", "web4"]
    assert suite[3][0].text == r"No <route>\x1b[0m"


def test_people_are_named_also_if_their_hosts_have_the_same_names() -> None:
    told = (
        "{0} has no credential and would be locked out of sshd on {0}. Enrol {0} with users, exempt {0} with "
        "exempt_users, or leave ssh false."
    )
    assert gathered((name, told.format(name)) for name in ("alice", "bob")) == [
        ([name], told.format(name)) for name in ("alice", "bob")
    ]
    plain = "the clock of {0} is not in sync, and sudo on {0} asks, and su on {0}, where keys do not help."
    same = plain.format("the host")
    assert gathered((name, plain.format(name)) for name in ("web1", "web2")) == [(["web1", "web2"], same)]


class TestPlaybook:
    """Playbooks over hosts with given answers."""

    OFF: t.ClassVar = {**answering.PLAN, "enforced": {"sshd": False}, "asks": [], "unproven": []}
    DONE: t.ClassVar = {**answering.PLAN, "missing_packages": [], "unproven": [], "confirmation": "a" * 16}

    def host(self, **plan: t.Any) -> dict[str, answering.Answer]:
        """The answers of a host that would be changed."""
        return {
            answering.CHECK: {**self.OFF, **plan},
            "twofactor": self.DONE,
            "twofactor_confirm": {"changed": True},
            "twofactor_enrolment_info": {"changed": False, "enrolments": [answering.ENROLMENT]},
        }

    @pytest.mark.parametrize("sheets", ["", "sheets"], ids=["no sheets", "sheets"])
    def test_shows_no_skipped_tasks(self, tmp_path: Path, sheets: str) -> None:
        hosts = {
            "web1": self.host(),
            "web2": self.host(missing_packages=[], to_enrol=[]),
            "web3": {answering.CHECK: {**self.DONE, "changed": False, "changes": [], "to_enrol": []}},
        }
        variables = {"twofactor_users": ["alice"], "twofactor_enrolment_dir": sheets}
        done = answering.run(tmp_path, "rollout", hosts, **variables)
        assert done.returncode == 0, done.stdout
        assert "3 hosts: 2 proven, 1 right" in done.stdout
        assert (tmp_path / "sheets" / "alice@web1.html").exists() == bool(sheets)
        assert "skipping" not in done.stdout

    def test_changes_no_host_that_only_the_inventory_has_chosen(self, tmp_path: Path) -> None:
        (tmp_path / "group").write_text("[twofactor_rollout]\nweb1\nweb2\n")
        broken = {answering.CHECK: {"failed": True, "msg": "No space left on device"}}
        hosts = {"web1": self.host(), "web2": broken}
        done = answering.run(tmp_path, "rollout", hosts, "-i", "group", twofactor_users=["alice"])
        assert done.returncode == 2, done.stdout
        assert "Nothing is changed on any host" in done.stdout
        assert re.search(r"changed=[1-9]", done.stdout) is None, done.stdout

    def test_is_refused_for_a_host_whose_name_ends_like_a_port(self, tmp_path: Path) -> None:
        """Ansible would add a host of another name, and change that one."""
        script = tmp_path / "script"
        script.write_text('#!/bin/sh\necho \'{"odd": {"hosts": ["db:5432", "::1"]}, "_meta": {"hostvars": {}}}\'\n')
        script.chmod(0o700)
        done = answering.run(tmp_path, "rollout", {"web1": self.host()}, "-i", "script", twofactor_users=["alice"])
        assert done.returncode == 2, done.stdout
        told = "Ansible takes the end of these names for a port: db:5432. Give the hosts other names"
        assert told in " ".join(done.stdout.split()), done.stdout

    def test_says_that_a_host_whose_check_failed_was_not_touched(self, tmp_path: Path) -> None:
        broken = {answering.CHECK: {"failed": True, "msg": "No space left on device"}}
        done = answering.run(tmp_path, "rollout", {"web1": broken, "web2": self.host()}, twofactor_users=["alice"])
        assert done.returncode == 2, done.stdout
        told = "web1 could not report what it needs, and was not touched"
        assert f"{told}: No space left on device" in done.stdout
        assert f"{told}. The report of this run says why." in done.stdout
        assert "old policy" not in done.stdout

    def test_shows_no_skipped_tasks_in_check_mode(self, tmp_path: Path) -> None:
        hosts = {"web1": self.host(), "web2": self.host(missing_packages=[], to_enrol=[])}
        done = answering.run(tmp_path, "rollout", hosts, "--check", twofactor_users=["alice"])
        assert done.returncode == 0, done.stdout
        assert "2 hosts: 2 waiting" in done.stdout
        assert "skipping" not in done.stdout

    def test_host_whose_sheets_cannot_be_made_follows_its_new_policy(self, tmp_path: Path) -> None:
        failed = {"failed": True, "msg": "No space left on device"}
        hosts = {"web1": {**self.host(), "twofactor_enrolment_info": failed}, "web2": self.host()}
        variables = {"twofactor_users": ["alice"], "twofactor_enrolment_dir": "sheets"}
        done = answering.run(tmp_path, "rollout", hosts, **variables)
        assert done.returncode == 2, done.stdout
        assert "2 hosts: 1 failed, 1 waiting" in done.stdout, done.stdout
        told = "web1 was changed and follows its new policy, but something failed afterwards"
        assert told in " ".join(done.stdout.split())
        assert "old policy" not in done.stdout
        assert "New sheets are in" not in done.stdout

    def test_begins_no_host_after_one_that_failed(self, tmp_path: Path) -> None:
        failed = {"failed": True, "msg": "No space left on device"}
        hosts = {"web1": {**self.host(), "twofactor": failed}, "web2": self.host(), "web3": self.host()}
        done = answering.run(tmp_path, "rollout", hosts, twofactor_users=["alice"])
        assert done.returncode == 2, done.stdout
        assert "3 hosts: 1 failed, 2 waiting" in done.stdout, done.stdout
        assert done.stdout.count("skipping: [") == 2
