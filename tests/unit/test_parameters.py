# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parameters given with `-e`, and the answers to mistakes in them."""

from __future__ import annotations

import json
import subprocess
import types
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.action.twofactor_recover import ActionModule as Recover
from unit import answering

PASS = {"changed": True, "until": "2030-01-01T00:00:00Z", "code": "123456"}
INFO = {
    **answering.STATUS,
    **{name: [] for name in ("refusals", "refused", "warned", "missing_packages", "exempt", "changes", "lets_in")},
    **{name: [] for name in ("denying", "drift", "doors", "would_be_locked_out")},
    "changed": False,
    "invitations": {},
    "pending": False,
}
HOST = {
    "twofactor_pass": PASS,
    "twofactor_invitation": {"changed": True, "until": PASS["until"], "code": "ABCD-EFGH"},
    "twofactor_info": INFO,
    "twofactor_enrolment_info": {"changed": False, "enrolments": [answering.ENROLMENT]},
}


def run(folder: Path, playbook: str, wanted: dict[str, t.Any], **given: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook over one host, with inventory variables and with those given with `-e`."""
    (folder / "group_vars").mkdir()
    (folder / "group_vars" / "all.yml").write_text(json.dumps({"twofactor_enrolment_dir": "sheets", **wanted}))
    return answering.run(folder, playbook, {"web1": HOST}, **given)


class TestOverridesTheVariableOfTheRole:
    @pytest.mark.parametrize(
        ("playbook", "wanted", "given", "written"),
        [
            ("pass", {"twofactor_pass_user": "bob"}, {}, "pass-bob@web1.txt"),
            ("pass", {"twofactor_pass_user": "bob"}, {"user": "alice"}, "pass-alice@web1.txt"),
            ("invite", {"twofactor_invite_user": "bob"}, {"user": "alice"}, "invitation-alice@web1.txt"),
            ("enrol", {"twofactor_enrol": ["alice"]}, {}, "alice@web1.html"),
            ("enrol", {"twofactor_enrol": ["bob"]}, {"user": "alice"}, "alice@web1.html"),
            ("enrol", {"twofactor_enrol": ["bob"]}, {"users": " alice"}, "alice@web1.html"),
        ],
    )
    def test_of_people(
        self, tmp_path: Path, playbook: str, wanted: dict[str, t.Any], given: dict[str, t.Any], written: str
    ) -> None:
        done = run(tmp_path, playbook, wanted, **given)
        assert done.returncode == 0, done.stdout
        assert [path.name for path in (tmp_path / "sheets").iterdir()] == [written]

    def test_in_a_report(self, tmp_path: Path) -> None:
        done = run(tmp_path, "status", {"twofactor_status_user": "bob"}, user="alice")
        assert done.returncode == 0, done.stdout
        assert "1 host: 1 enrolled" in done.stdout, done.stdout


class TestMistake:
    @pytest.mark.parametrize(("playbook", "value"), [("enable", "false"), ("enable", False), ("disable", "Yes")])
    def test_of_doing_the_opposite_is_refused(self, tmp_path: Path, playbook: str, value: t.Any) -> None:
        """The variables of the run win over those of the playbook."""
        done = run(tmp_path, playbook, {}, twofactor_enabled=value)
        assert done.returncode == 2, done.stdout
        assert f"-e twofactor_enabled={str(value).lower()} contradicts fleet.auth.{playbook}" in done.stdout

    @pytest.mark.parametrize(
        ("playbook", "given", "expected"),
        [
            ("enrol", {"users": ""}, "Name the accounts that get a sheet: "),
            ("enrol", {"users": " , "}, "Name the accounts that get a sheet: "),
            ("enrol", {"user": ""}, "Name the accounts that get a sheet: "),
            ("enrol", {"users": "alice,"}, ""),
        ],
    )
    def test_in_account_names(self, tmp_path: Path, playbook: str, given: dict[str, t.Any], expected: str) -> None:
        done = run(tmp_path, playbook, {}, **given)
        assert (done.returncode == 0, expected in done.stdout) == (not expected, True), done.stdout

    @pytest.mark.parametrize(
        ("playbook", "wanted"), [("pass", "The code for alice would be in"), ("invite", "for alice would be in")]
    )
    def test_is_found_in_check_mode_which_creates_nothing(self, tmp_path: Path, playbook: str, wanted: str) -> None:
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars" / "all.yml").write_text(json.dumps({"twofactor_enrolment_dir": "sheets"}))
        done = answering.run(tmp_path, playbook, {"web1": HOST}, "--check", user="alice")
        assert done.returncode == 0, done.stdout
        assert wanted in " ".join(done.stdout.split()), done.stdout
        assert "is right once" not in done.stdout
        assert "is good once" not in done.stdout
        assert not (tmp_path / "sheets").exists()

    @pytest.mark.parametrize(
        ("playbook", "given", "expected"),
        [
            ("pass", {"user": "zoe", "hours": "many"}, "hours must be a whole number, and is a text"),
            ("sheets", {"pdf": "perhaps"}, "pdf must be true or false, and is a text."),
        ],
    )
    def test_in_a_value_says_what_it_must_be(
        self, tmp_path: Path, playbook: str, given: dict[str, t.Any], expected: str
    ) -> None:
        said = "argument 'hours' is of type str and we were unable to convert to int: \"'many'\" cannot be converted"
        host = {"twofactor_pass": {"failed": True, "msg": said}}
        done = answering.run(tmp_path, playbook, {"web1": host}, twofactor_enrolment_dir="sheets", **given)
        assert done.returncode == 2
        assert expected in done.stdout, done.stdout
        assert "unable to convert" not in done.stdout

    @pytest.mark.parametrize(
        ("playbook", "given", "expected"),
        [
            ("pass", {"user": ["alice", "bob"]}, "Name the account, with -e user=NAME for the playbook"),
            ("invite", {"user": " "}, "Name the account, with -e user=NAME for the playbook"),
            ("accept", {"user": None}, "Name the account whose credential is accepted: -e user=NAME."),
            ("enrol", {"user": "alice", "users": "bob"}, "user and users are both given. Give -e user=NAME for one"),
            ("enrol", {"twofactor_enrol": 5}, "twofactor_enrol of web1 must be a list, and is a number. Correct it"),
            ("keys", {"user": 5}, "Name the account, and the file that its owner has handed in: -e user=NAME"),
            (
                "status",
                {"twofactor_status_slices": 5},
                "twofactor_status_slices of web1 must be a list, and is a number.",
            ),
            (
                "rollout",
                {"twofactor_rollout_batches": 5},
                "twofactor_rollout_batches is 5; it must be a list in which each entry is a number",
            ),
        ],
    )
    def test_in_a_type_is_reported_before_a_host_is_contacted(
        self, tmp_path: Path, playbook: str, given: dict[str, t.Any], expected: str
    ) -> None:
        done = answering.run(tmp_path, playbook, {"web1": {}}, **{"twofactor_enrolment_dir": "sheets", **given})
        assert done.returncode == 2
        assert expected in " ".join(done.stdout.split()), done.stdout

    @pytest.mark.parametrize("playbook", ["pass", "invite"])
    def test_in_the_path_of_the_sheet_is_reported_before_a_code_is_made(self, tmp_path: Path, playbook: str) -> None:
        (tmp_path / "file").write_text("as it was")
        done = answering.run(tmp_path, playbook, {"web1": HOST}, twofactor_enrolment_dir="file", user="alice")
        assert done.returncode == 2
        assert done.stdout.count(f"twofactor_enrolment_dir is {tmp_path}/file, which is a file.") == 1, done.stdout
        assert "changed=0 " in done.stdout

    @pytest.mark.parametrize("playbook", ["pass", "accept", "verify"])
    def test_in_a_name_is_reported_with_the_variable_of_the_role(self, tmp_path: Path, playbook: str) -> None:
        nobody = "zoe has no credential on web1. Enrol zoe with the option users of fleet.auth.twofactor."
        failed = {"failed": True, "msg": nobody}
        host = {f"twofactor_{name}": failed for name in ("pass", "accept")}
        host["twofactor_verify"] = {**failed, "can_be_checked": False}
        given = {"user": "zoe", "code": "123456"} if playbook == "verify" else {"user": "zoe"}
        done = answering.run(tmp_path, playbook, {"web1": host}, twofactor_enrolment_dir="sheets", **given)
        assert done.returncode == 2
        assert done.stdout.count("zoe has no credential on web1. Enrol zoe with twofactor_users.") == 1, done.stdout
        assert "fleet.auth.twofactor." not in done.stdout

    @pytest.mark.parametrize(
        ("playbook", "wanted", "given", "told"),
        [
            ("recover", {"user": "alice"}, {}, "Nobody is named."),
            ("recover", {"everyone": True}, {}, "Nobody is named."),
            ("pass", {"user": "alice"}, {}, "web1 has a variable user in the inventory, and this playbook would take"),
            (
                "accept",
                {"user": "alice"},
                {},
                "web1 has a variable user in the inventory, and this playbook would take",
            ),
            ("pass", {"hours": 3}, {"user": "alice"}, "web1 has a variable hours in the inventory"),
        ],
    )
    def test_that_the_inventory_has_is_not_taken(
        self, tmp_path: Path, playbook: str, wanted: dict[str, t.Any], given: dict[str, t.Any], told: str
    ) -> None:
        done = run(tmp_path, playbook, wanted, **given)
        assert done.returncode == 2, done.stdout
        assert told in " ".join(done.stdout.split()), done.stdout

    def test_that_the_inventory_has_keeps_nobody_out(self, tmp_path: Path) -> None:
        done = run(tmp_path, "recover", {"user": "bob", "everyone": True}, user="alice")
        assert "user and everyone are both given" not in done.stdout
        assert "alice" in done.stdout, done.stdout

    def test_of_recovery_is_reported_once(self, tmp_path: Path) -> None:
        done = answering.run(tmp_path, "recover", {"web1": HOST})
        assert done.returncode == 2
        assert done.stdout.count("Nobody is named. Give -e user=NAME") == 1, done.stdout

    @pytest.mark.parametrize(
        ("said", "msg"),
        [
            (
                {
                    "rc": 2,
                    "changed": True,
                    "stderr": "twofactor-recover: there is no account zoe on this host; see more",
                },
                "zoe was not let in on web1: there is no account zoe on web1; see more.",
            ),
            ({"rc": 127, "msg": "It is not there."}, "zoe was not let in on web1: It is not there."),
        ],
    )
    def test_in_the_account_to_recover_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, said: dict[str, t.Any], msg: str
    ) -> None:
        action = Recover.__new__(Recover)
        action._task = types.SimpleNamespace(check_mode=False)
        monkeypatch.setattr(action, "_execute_module", lambda *_given: {"failed": True, **said})
        done = action._one_user("zoe", {"inventory_hostname": "web1"})
        assert done == {"failed": True, "changed": False, "rc": said["rc"], "msg": msg}


class TestRecoveryOfEveryone:
    """It turns two-factor login off with the module twofactor, and returns only the parts of its answer that matter."""

    @staticmethod
    def recovered(monkeypatch: pytest.MonkeyPatch, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        action = Recover.__new__(Recover)
        action._task = types.SimpleNamespace(check_mode=False)
        monkeypatch.setattr(action, "_execute_module", lambda *_given: answer)
        return action._everyone({"inventory_hostname": "web1"})

    def test_returns_a_sentence_and_what_ansible_shows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = {"changed": True, "warnings": ["web1: this took long."], "diff": [{"before": "a", "after": "b"}]}
        done = self.recovered(monkeypatch, {**answering.PLAN, **shown})
        assert done.pop("msg").startswith("Two-factor login is off for everyone on web1; secrets are kept. The next ")
        assert done == shown

    def test_that_failed_returns_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        why = {"failed": True, "changed": False, "msg": "chattr holds /etc/pam.d/sshd.", "module_stderr": "a traceback"}
        assert self.recovered(monkeypatch, {**why, "refusals": [], "enforced": {"sshd": True}}) == why


@pytest.mark.parametrize("variable", ["twofactor_enrolment_dir", "twofactor_fleet"])
def test_mistake_in_the_sheet_directory_of_a_host_stops_only_that_host(tmp_path: Path, variable: str) -> None:
    """Once, such a mistake ended the run for all hosts, after changes that nobody confirmed any more."""
    right = {**answering.PLAN, "changed": False, "changes": [], "missing_packages": [], "to_enrol": [], "unproven": []}
    (tmp_path / "host_vars").mkdir()
    slip = {"twofactor_enrolment_dir": "sheets", variable: "{{ nowhere }}"}
    (tmp_path / "host_vars" / "web2.yml").write_text(json.dumps(slip))
    hosts = {name: {"twofactor": right} for name in ("web1", "web2", "web3")}
    done = answering.run(tmp_path, "enable", hosts)
    assert done.stdout.count("failed=0 ") == 2, done.stdout
    assert (
        "it is not known where the enrolment sheets of web2 go: 'nowhere' is undefined. Correct twofactor_"
        in done.stdout
    )
    done = answering.run(tmp_path, "disable", {"web2": {"twofactor": {**right, "changes": ["remove x"]}}})
    assert done.returncode == 0, done.stdout


def test_host_without_python_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("")
    done = answering.run(tmp_path, "enable", {"web1": {}}, ansible_python_interpreter="/nowhere/python3")
    told = "web1 has no Python at /nowhere/python3. Install python3 on web1, or set ansible_python_interpreter"
    assert told in " ".join(done.stdout.split()), done.stdout
    assert "module_stdout" not in done.stdout


def test_warning_of_a_host_is_shown_with_its_name(tmp_path: Path) -> None:
    """Ansible does not say which host a warning comes from, and a compromised host may warn about others."""
    warnings = {
        "sudo on web1 asks for the code.": "sudo on web1 asks for the code.",
        "sudo on web2 asks for the code.": "web1: sudo on web2 asks for the code.",
        "web2 lets nobody in any more, says web1.": "web1: web2 lets nobody in any more, says web1.",
        "All is well.": "web1: All is well.",
    }
    hosts = {"web1": {"twofactor_pass": {**PASS, "warnings": list(warnings)}}, "web2.example.com": HOST}
    done = answering.run(tmp_path, "pass", hosts, "--check", twofactor_enrolment_dir="sheets", user="alice")
    assert done.returncode == 0, done.stdout
    for shown in warnings.values():
        assert f"[WARNING]: {shown}" in done.stdout


def test_report_comes_after_all_hosts_with_any_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the strategy free, Ansible makes the report once per host, before most hosts have answered."""
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    done = answering.run(tmp_path, "status", {f"web{number}": HOST for number in range(3)})
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("3 hosts: ")] == ["3 hosts: 3 on"], done.stdout
