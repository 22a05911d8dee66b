# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad options end a run on the controller, and the messages about them contain no secret."""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from ansible.errors import AnsibleFilterError

import preloaded
from ansible_collections.fleet.auth.plugins.filter.chosen_hosts import chosen_hosts
from ansible_collections.fleet.auth.plugins.plugin_utils import _gate
from unit import answering
from unit.builders import SECRET

ROOT = Path(__file__).resolve().parents[2]
ALICE = {"name": "alice", "secret": SECRET}


class TestProblems:
    @pytest.mark.parametrize(
        "right", [{}, {"ssh": "yes"}, {"users": []}, {"users": [ALICE]}, {"lockout": {"attempts": "3"}}]
    )
    def test_are_none_if_the_module_has_none(self, right: dict[str, t.Any]) -> None:
        assert _gate.problems(right) == []

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"window": 99}, ["window is 99; it must be between 0 and 10 steps."]),
            ({"window": 99, "scope": "groups"}, ["window is 99", "scope is groups, but scope_groups is empty"]),
            (
                {"window": "wide", "scope": "none"},
                ["window must be a whole number, and is a text.", "value of scope must be one of"],
            ),
            ({"shh": True}, ["There is no option shh. Supported parameters include: accepted_doors, allow_console,"]),
            (
                {"users": [{**ALICE, "secert": SECRET}], "shh": True},
                ["There is no option users.secert. Supported parameters include: devices,", "There is no option shh."],
            ),
            (
                {"users": [{**ALICE, "devices": [{"name": "tablet", "new": 1}]}]},
                ["There is no option users.devices.new. Supported parameters include: name, secret, state."],
            ),
            ({"users": [{"name": "alice", SECRET: None}]}, ["There is no option users.(a name that is not shown)."]),
            ({"users": [{"name": "alice", "a" * 26: None}]}, ["There is no option users.(a name that is not shown)."]),
            ({"users": [{**ALICE, "state": SECRET}]}, ["value of state must be one of: present, absent, got: ****"]),
            ({"users": [{"secret": SECRET}]}, ["an entry of users has no name."]),
            (
                {"users": [{**ALICE, "devices": [{"secret": SECRET}]}]},
                ["an entry of users.devices has no name."],
            ),
            ({"users": [{**ALICE, "proven": SECRET}]}, ["users.proven must be true or false, and is a text."]),
            (
                {"users": [{**ALICE, "security_keys": {"a": 1}}]},
                ["users.security_keys must be a list, and is"],
            ),
            ({"lockout": {"attempts": "x"}}, ["lockout.attempts must be a whole number, and is a text."]),
            ({"window": 1.5}, ["window must be a whole number, and is a number with a fraction."]),
            ({"exempt_users": ALICE}, ["exempt_users must be a list, and is a dictionary."]),
            ({"users": SECRET}, ["users must be a list, such as [alice, {name: bob}], and is a text."]),
            ({"users": ALICE}, ["users must be a list, such as [alice, {name: bob}], and is a dictionary."]),
            ({"users": [[ALICE]]}, ["users must be a list, such as [alice, {name: bob}], and entry 1 is a list."]),
            ({"users": [SECRET]}, ["users must be a list, such as [alice, {name: bob}], and entry 1 is a text."]),
            ({"users": [None]}, ["users must be a list, such as [alice, {name: bob}], and entry 1 is empty."]),
            (
                {"users": [{**ALICE, "devices": [SECRET]}]},
                ["users: devices must be a list, such as [{name: tablet}], and entry 1 is a text."],
            ),
            ({"lockout": 3}, ["lockout must be a dictionary, such as {attempts: 5}, and is a number."]),
            (
                {"lockout": datetime.date(2026, 1, 1)},
                ["lockout must be a dictionary, such as {attempts: 5}, and is a date."],
            ),
            ({"users": MappingProxyType(ALICE)}, ["users must be a list, such as [alice, {name: bob}], and is a dict"]),
            (
                {"users": [True]},
                ["users must be a list, such as [alice, {name: bob}], and entry 1 is true or false."],
            ),
            ({datetime.date(2026, 1, 1): 1}, ["An option has a date in place of a name."]),
            ({"time_sync": [1]}, ["time_sync must be a dictionary, such as {required: true}, and is a list."]),
            ({"users": [{**ALICE, "secret": f"{SECRET}1"}]}, ["users: the secret of alice is not base32"]),
            (
                {"users": [{**ALICE, 5: SECRET}]},
                ["users has a name in it that is not a text, but for example a number"],
            ),
            ({"users": [{**ALICE, datetime.date(2026, 1, 1): 1}]}, ["users has a name in it that is not a text, but"]),
            ({"lockout": {None: 5}, 7: SECRET}, ["lockout has a name in it", "An option has a number in place"]),
            ({"users": [{"name": ALICE}]}, ["users: name must be a text, and is a dictionary."]),
            ({"scope": {"x": SECRET}}, ["scope must be a text, and is a dictionary."]),
            (
                {"exempt_users": ["ansible", ALICE], "services": [[SECRET]]},
                [
                    "exempt_users must be a list of texts, and entry 2 is a dictionary.",
                    "services must be a list of texts, and entry 1 is a list.",
                ],
            ),
            ({"interval": float("inf")}, ["interval must be a whole number, and is inf. Give one."]),
            (
                {"lockout": {"attempts": float("nan")}},
                ["lockout: attempts must be a whole number, and is nan. Give one."],
            ),
            ({"window": None}, ["window must be a whole number, and is empty."]),
        ],
    )
    def test_are_a_sentence_each_without_a_secret(self, wrong: dict[str, t.Any], expected: list[str]) -> None:
        found = _gate.problems(wrong)
        assert len(found) == len(expected)
        for sentence in expected:
            (one,) = [problem for problem in found if problem.startswith(sentence)]
            assert one.endswith(".")
        assert not {SECRET, "a" * 26} & set(re.findall(r"\w+", " ".join(found)))
        assert _gate.problems_once(wrong, Path("/nowhere")) == found


class TestProblemsOnce:
    @pytest.fixture
    def checked_options(self, monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
        """The options that were really checked."""
        checked_options: list[t.Any] = []

        def problems(options: dict[str, t.Any]) -> list[str]:
            checked_options.append(options)
            return [f"window is {options['window']}."] if options["window"] else []

        monkeypatch.setattr(_gate, "problems", problems)
        return checked_options

    @pytest.mark.parametrize("window", [0, 99])
    def test_are_looked_for_once_for_all_hosts_of_a_run(
        self, window: int, checked_options: list[t.Any], tmp_path: Path
    ) -> None:
        told = [_gate.problems_once({"window": window}, tmp_path) for _host in range(20)]
        assert told == [[f"window is {window}."] if window else []] * 20
        assert len(checked_options) == 1

    def test_are_looked_for_again_with_other_options(self, checked_options: list[t.Any], tmp_path: Path) -> None:
        for window in (99, 0, 98, 99):
            assert _gate.problems_once({"window": window}, tmp_path) == ([f"window is {window}."] if window else [])
        assert [options["window"] for options in checked_options] == [99, 0, 98]

    def test_are_found_if_nothing_can_be_written(self, checked_options: list[t.Any], tmp_path: Path) -> None:
        assert _gate.problems_once({"window": 99}, tmp_path / "gone") == ["window is 99."]
        assert checked_options

    def test_are_cached_for_the_owner_without_a_secret(self, tmp_path: Path) -> None:
        assert _gate.problems_once({"users": [{**ALICE, "secret": f"{SECRET}1"}]}, tmp_path)
        (file,) = tmp_path.iterdir()
        assert SECRET not in file.read_text() + file.name
        assert file.stat().st_mode & 0o7777 == 0o600


class TestPlaybook:
    """A user's own playbook, for three hosts that cannot be reached."""

    def run(self, tmp_path: Path, module: str, defaults: dict[str, t.Any], *arguments: str, **options: t.Any) -> str:
        """The output of a module."""
        task = {f"fleet.auth.{module}": options, "module_defaults": {"group/fleet.auth.settings": defaults}}
        return self.play(tmp_path, task, *arguments)

    @classmethod
    def play(cls, tmp_path: Path, task: dict[str, t.Any], *arguments: str) -> str:
        """The output of a task."""
        play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        return cls.playbook(tmp_path, "play.yml", *arguments)

    @staticmethod
    def playbook(tmp_path: Path, name: str, *arguments: str) -> str:
        """The output of a playbook."""
        (tmp_path / "hosts").write_text("".join(f"web{n} ansible_host=127.0.0.1 ansible_port=1\n" for n in range(3)))
        done = preloaded.run("ansible-playbook", "-i", "hosts", name, *arguments, cwd=tmp_path)
        return done.stdout + done.stderr

    @pytest.mark.parametrize(
        ("module", "arguments"),
        [
            ("twofactor", ["-vvvv"]),
            ("twofactor", ["--check", "--diff", "-vvvv"]),
            ("twofactor_info", []),
            ("twofactor_adopt", []),
        ],
    )
    def test_with_bad_options_touches_no_host(self, tmp_path: Path, module: str, arguments: list[str]) -> None:
        printed = self.run(tmp_path, module, {"window": 99}, *arguments, users=[ALICE], otp_digits=5)
        assert printed.count("unreachable=0    failed=1 ") == 3
        assert "otp_digits is 5; it must be between 6 and 8. window is 99; it must be" in " ".join(printed.split())
        assert "ESTABLISH" not in printed
        assert SECRET not in printed

    @pytest.mark.parametrize("users", [[[ALICE]], [{**ALICE, "secert": SECRET}]])
    def test_with_a_mistake_next_to_a_secret_does_not_show_the_secret(self, tmp_path: Path, users: list[t.Any]) -> None:
        printed = self.run(tmp_path, "twofactor", {"users": users}, "-vvvv")
        assert printed.count("unreachable=0    failed=1 ") == 3
        assert "Nothing was changed: " in printed
        assert SECRET not in printed

    def test_of_the_role_with_a_mistake_next_to_a_secret_does_not_show_the_secret(self, tmp_path: Path) -> None:
        """Ansible's own check of a role's variables comes before any task of the role."""
        role = {"name": "fleet.auth.twofactor"}
        task = {"ansible.builtin.import_role": role, "vars": {"twofactor_users": [[ALICE]]}}
        printed = self.play(tmp_path, task, "-vvvv")
        assert printed.count("unreachable=0    failed=1 ") == 3
        assert "users must be a list, such as [alice, {name: bob}], and entry 1 is a list." in printed
        assert SECRET not in printed

    @pytest.mark.parametrize(
        ("module", "more"),
        [("twofactor", {}), ("twofactor_info", {}), ("twofactor_adopt", {"users_files": ["/srv/x"]})],
    )
    def test_with_right_options_contacts_the_hosts(self, tmp_path: Path, module: str, more: dict[str, t.Any]) -> None:
        printed = self.run(tmp_path, module, {"window": 3}, "-vvvv", users=[ALICE], **more)
        assert printed.count("unreachable=1    failed=0 ") == 3
        assert SECRET not in printed

    def test_with_names_alone_contacts_the_hosts(self, tmp_path: Path) -> None:
        task = {"ansible.builtin.import_role": {"name": "fleet.auth.twofactor"}, "vars": {"twofactor_users": ["alice"]}}
        assert self.play(tmp_path, task).count("unreachable=1    failed=0 ") == 3

    def test_with_a_mistyped_variable_names_the_host_and_the_right_name(self, tmp_path: Path) -> None:
        (tmp_path / "host_vars").mkdir()
        (tmp_path / "host_vars" / "web1.yml").write_text("twofactor_exempt_user: [ansible]\n")
        task = {"ansible.builtin.import_role": {"name": "fleet.auth.twofactor"}}
        printed = self.play(tmp_path, task)
        assert printed.count("unreachable=1    failed=0 ") == 2
        assert printed.count("unreachable=0    failed=1 ") == 1
        told = (
            "Nothing was changed: web1 has a variable twofactor_exempt_user, and there is no such option; did you mean"
        )
        assert told in " ".join(printed.split())
        own = self.play(tmp_path, task, "-e", "twofactor_own_variables=twofactor_exempt_user")
        assert own.count("unreachable=1    failed=0 ") == 3

    def test_with_the_strategy_free_makes_no_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
        printed = self.play(tmp_path, {"fleet.auth.status_report": {"answer": "told"}, "run_once": True})
        assert "With the strategy free no report of all hosts can be made: a host goes on before" in printed, printed
        assert "3 hosts: " not in printed

    def test_with_a_custom_variable_and_a_module_alone_contacts_the_hosts(self, tmp_path: Path) -> None:
        task = {"fleet.auth.twofactor_info": {}, "vars": {"twofactor_people": 3}}
        assert self.play(tmp_path, task).count("unreachable=1    failed=0 ") == 3


class TestPlaybookOfTheCollection:
    """For the same hosts: everything that is refused is refused before any of them is contacted."""

    @pytest.mark.parametrize(
        ("name", "arguments", "expected"),
        [
            ("recover", ["usr=alice"], "-e usr is not a parameter of fleet.auth.recover; did you mean user."),
            ("recover", ["usr=alice", "everyone=true"], "-e usr is not a parameter"),
            ("recover", [], "Nobody is named. Give -e user=NAME for one account, or -e everyone=true"),
            ("recover", ["user="], "user is empty."),
            ("recover", ["everyone=false"], "Nobody is named."),
            ("recover", ["user=alice", "everyone=true"], "user and everyone are both given."),
            (
                "enable",
                ["renew=changed"],
                "not a parameter of fleet.auth.enable; the variable of the role is twofactor_renew",
            ),
            ("enable", ["twofactor_user=alice"], "did you mean twofactor_users"),
            ("disable", ["host=web1"], "-e host is not a parameter of fleet.auth.disable"),
            (
                "enrol",
                ["twofactor_enrolment_dir=x", "user=alice", "nmae=x"],
                "-e nmae is not a parameter of fleet.auth.enrol",
            ),
            ("pass", ["twofactor_enrolment_dir=x", "user=alice", "hour=2"], "did you mean hours"),
            ("verify", ["user=alice", "code=123456", "codes=1"], "did you mean code."),
            (
                "verify",
                ["user=alice", "code="],
                "No code was given. Type it at the prompt, or, where there is no terminal",
            ),
            ("verify", ["user=alice"], "No code was given."),
            ("verify", [], "No user and no code was given."),
            ("adopt", ["users_files=x"], "the variable of the role is twofactor_users_files"),
        ],
    )
    def test_refuses_a_mistake(self, tmp_path: Path, name: str, arguments: list[str], expected: str) -> None:
        extra = [word for argument in arguments for word in ("-e", argument)]
        printed = TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}", *extra)
        assert printed.count("unreachable=0    failed=1 ") in (1, 3), printed
        assert expected in " ".join(printed.split())
        assert "unreachable=1" not in printed

    def test_of_a_report_refuses_a_mistake_for_each_host(self, tmp_path: Path) -> None:
        for name in ("status", "rollout"):
            printed = TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}", "-e", "shh=true")
            assert f"-e shh is not a parameter of fleet.auth.{name}; did you mean" in " ".join(printed.split()), printed
            assert "unreachable=1" not in printed

    def test_accepts_other_hosts(self, tmp_path: Path) -> None:
        printed = TestPlaybook.playbook(
            tmp_path, "fleet.auth.recover", "-e", "user=alice", "-e", "twofactor_hosts=web1"
        )
        assert printed.count("unreachable=1") == 1
        assert "web2" not in printed

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            (
                "wbe1",
                "no host or group wbe1; did you mean web1. Nothing was done. Correct twofactor_hosts, or give the",
            ),
            ("db:mail", "no host or group db, mail. Nothing was done."),
            ("db*:&web1", "no host or group db*. Nothing was done."),
            ("~db.", "no host or group ~db.. Nothing was done."),
            ("web1,wbe2", "no host or group wbe2; did you mean web2. Nothing was done."),
            ("all:!wbe2", "no host or group wbe2; did you mean web2. Nothing was done."),
            ("web1:db:!mail", "no host or group db, mail. Nothing was done."),
        ],
    )
    @pytest.mark.parametrize("name", ["recover", "rollout", "disable"])
    def test_fails_for_hosts_that_the_inventory_does_not_know(
        self, tmp_path: Path, name: str, chosen: str, expected: str
    ) -> None:
        done = answering.run(tmp_path, name, {"web1": {}, "web2": {}}, twofactor_hosts=chosen, everyone=True)
        assert done.returncode == 4, done.stdout
        assert expected in " ".join(done.stdout.split())

    @pytest.mark.parametrize("chosen", ["", " ", ",", [], ["", ":"]])
    def test_fails_if_no_host_is_named(self, chosen: t.Any) -> None:
        """Ansible takes a lone comma for all hosts, and would turn two-factor login off on each of them."""
        with pytest.raises(AnsibleFilterError, match=r"twofactor_hosts names no host\. Nothing was done\. Name hosts"):
            chosen_hosts(chosen, {"all": ["web1"]})

    def test_fails_without_any_host(self, tmp_path: Path) -> None:
        done = answering.run(tmp_path, "recover", {}, everyone=True)
        assert done.returncode == 4, done.stdout
        assert "The inventory has no hosts, and all was asked for. Nothing was done." in " ".join(done.stdout.split())

    @pytest.mark.parametrize(
        ("chosen", "arguments"),
        [
            ("spare", ()),
            ("spare[0]", ()),
            ("web2", ("--limit", "web1")),
            ("all:!web1:!web2", ()),
            ("!web*", ()),
            (["db*", "spare"], ()),
            ("db", ("--syntax-check",)),
        ],
    )
    def test_has_nothing_to_do_if_hosts_are_left_out_on_purpose(
        self, tmp_path: Path, chosen: t.Any, arguments: tuple[str, ...]
    ) -> None:
        (tmp_path / "empty").write_text("[spare]\n")
        given = {"twofactor_hosts": chosen, "user": "zoe"}
        done = answering.run(tmp_path, "recover", {"web1": {}, "web2": {}}, "-i", "empty", *arguments, **given)
        assert done.returncode == 0, done.stdout
        assert "no hosts matched" in done.stdout or "--syntax-check" in arguments

    @pytest.mark.parametrize("chosen", ["web0,web1", '{"twofactor_hosts": ["web0", "web1"]}'])
    def test_of_the_rollout_begins_with_no_host_if_one_is_not_ready(self, tmp_path: Path, chosen: str) -> None:
        extra = chosen if chosen.startswith("{") else f"twofactor_hosts={chosen}"
        printed = TestPlaybook.playbook(tmp_path, "fleet.auth.rollout", "-e", extra)
        begun = printed.partition("PLAY [Roll out]")[2].partition("PLAY [")[0]
        assert begun.split() == ["*" * len(begun.split()[0]), "skipping:", "no", "hosts", "matched"], printed
        assert "web2" not in printed

    @pytest.mark.parametrize(
        ("chosen", "begun"),
        [
            ({}, ["web0", "web2"]),
            ({"twofactor_hosts": "web1,web2"}, ["web2"]),
            ({"twofactor_hosts": ["web2", "web0"]}, ["web2", "web0"]),
            ({"twofactor_hosts": "web*:!web0"}, ["web2"]),
        ],
    )
    def test_of_the_rollout_begins_with_the_chosen_hosts_that_change(
        self, tmp_path: Path, chosen: dict[str, t.Any], begun: list[str]
    ) -> None:
        (rollout,) = (
            play for play in yaml.safe_load((ROOT / "playbooks/rollout.yml").read_text()) if play["name"] == "Roll out"
        )
        grouped = {"ansible.builtin.add_host": {"name": "{{ item }}", "groups": "twofactor_rollout"}}
        first = {"hosts": "web0", "gather_facts": False, "tasks": [{**grouped, "loop": ["web0", "web2"]}]}
        told = {"ansible.builtin.debug": {"msg": "{{ ansible_play_hosts_all }}"}, "run_once": True}
        second = {"hosts": rollout["hosts"], "gather_facts": False, "tasks": [told]}
        (tmp_path / "play.yml").write_text(json.dumps([first, second]))
        printed = TestPlaybook.playbook(tmp_path, "play.yml", "-e", json.dumps(chosen))
        assert re.findall(r'"(web\d)"', printed) == begun, printed

    @pytest.mark.parametrize(
        ("name", "variable", "value", "arguments"),
        [
            ("recover", "twofactor_hosts", "web0", ["everyone=true"]),
            ("enable", "twofactor_hosts", "web0", []),
            ("status", "twofactor_hosts", "web0", []),
            ("rollout", "twofactor_rollout_batches", ["100%"], []),
        ],
    )
    def test_refuses_parameters_in_the_inventory_that_a_play_cannot_read_there(
        self, tmp_path: Path, name: str, variable: str, value: t.Any, arguments: list[str]
    ) -> None:
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars/all.yml").write_text(json.dumps({variable: value}))
        extra = [word for argument in arguments for word in ("-e", argument)]
        printed = TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}", *extra)
        said = " ".join(printed.split())
        assert f"web0 has a variable {variable}, and no playbook reads it there: " in said, printed
        assert "unreachable=1" not in printed
        again = TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}", *extra, "-e", json.dumps({variable: value}))
        assert "no playbook reads it there" not in " ".join(again.split())

    def test_uses_the_hosts_of_a_playbook_that_imports_it(self, tmp_path: Path) -> None:
        play = {"import_playbook": "fleet.auth.disable", "vars": {"twofactor_hosts": "web1"}}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        printed = TestPlaybook.playbook(tmp_path, "play.yml")
        assert printed.count("unreachable=1    failed=0 ") == 1, printed

    @pytest.mark.parametrize(
        ("name", "variables", "expected"),
        [
            (
                "pass",
                {"twofactor_pass_user": "alice", "twofactor_pass_hours": "{{ 4 // 0 }}"},
                "by zero",
            ),
            (
                "invite",
                {"twofactor_invite_user": "alice", "twofactor_invite_hours": "{{ 4 // 0 }}"},
                "by zero",
            ),
            ("enrol", {"twofactor_enrol": ["alice"]}, "UNREACHABLE"),
            ("enrol", {"twofactor_enrol": "alice"}, "UNREACHABLE"),
        ],
    )
    def test_reads_its_parameters_in_the_inventory(
        self, tmp_path: Path, name: str, variables: dict[str, t.Any], expected: str
    ) -> None:
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars/all.yml").write_text(json.dumps({"twofactor_enrolment_dir": "./sheets", **variables}))
        assert expected in " ".join(TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}").split())

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("sheets", []), ("verify", ["user=alice", "code=123456"]), ("accept", ["user=alice"]), ("enable", [])],
    )
    def test_refuses_a_mistyped_and_an_empty_variable(self, tmp_path: Path, name: str, arguments: list[str]) -> None:
        (tmp_path / "group_vars").mkdir()
        wrong = {"twofactor_lanuage": "de", "twofactor_help": None, "twofactor_enrolment_dir": "./sheets"}
        (tmp_path / "group_vars/all.yml").write_text(json.dumps(wrong))
        extra = [word for argument in arguments for word in ("-e", argument)]
        printed = TestPlaybook.playbook(tmp_path, f"fleet.auth.{name}", *extra)
        said = " ".join(printed.split())
        assert "web0 has a variable twofactor_lanuage, and there is no such option; did you mean" in said, printed
        assert "twofactor_help of web0 is empty. Give it a value, or remove the line." in said
        assert "unreachable=1" not in printed

    def test_refuses_what_the_role_cannot_use_on_the_host_that_has_it(self, tmp_path: Path) -> None:
        (tmp_path / "host_vars").mkdir()
        wrong = {"twofactor_issuer": "{{ [5] }}", "twofactor_enrolment_dir": 5, "twofactor_own_variables": True}
        (tmp_path / "host_vars/web1.yml").write_text(json.dumps(wrong))
        printed = TestPlaybook.playbook(tmp_path, "fleet.auth.enable")
        assert "twofactor_issuer of web1 must be a text, and is a list. Correct it where it is set." in printed
        assert "twofactor_enrolment_dir of web1 must be a text, and is a number. Put it in quotes, if" in printed
        assert "twofactor_own_variables of web1 must be a list, and is true or false. Correct it where" in printed
        assert printed.count("unreachable=1    failed=0 ") == 2, printed

    def test_of_recovery_runs_in_spite_of_such_mistakes(self, tmp_path: Path) -> None:
        (tmp_path / "group_vars").mkdir()
        slips = {"twofactor_lanuage": "de", "twofactor_help": None, "twofactor_own_variables": 5}
        (tmp_path / "group_vars/all.yml").write_text(json.dumps(slips))
        printed = TestPlaybook.playbook(tmp_path, "fleet.auth.recover", "-e", "user=alice")
        assert printed.count("unreachable=1    failed=0 ") == 3, printed
