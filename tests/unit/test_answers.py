# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller accepts from a host only what its module can answer, built anew."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._plan import doors
from ansible_collections.fleet.auth.plugins.plugin_utils import _asking
from ansible_collections.fleet.auth.plugins.plugin_utils._answers import DOOR_STATES, DOORS, SHAPES, accepted, reduced
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingAction, AskingNormalAction
from ansible_collections.fleet.auth.plugins.plugin_utils._kinds import (
    LONG,
    Bool,
    InvalidAnswer,
    Kind,
    Listed,
    Mapped,
    Nullable,
    Number,
    Record,
    Text,
    Words,
)
from unit.answering import ENROLMENT, PLAN, STATUS, USER
from unit.closure import PLUGINS

ESCAPE = "\x1b]0;web2 is on\x07"


def _documented(module: str) -> dict[str, t.Any]:
    found = importlib.import_module(f"ansible_collections.fleet.auth.plugins.modules.{module}")
    return t.cast(dict[str, t.Any], yaml.safe_load(found.RETURN) or {})


def _of_the_host(module: str) -> dict[str, t.Any]:
    """The documented return values without `msg`: unless a host fails, only the action of a module gives one."""
    return {name: told for name, told in _documented(module).items() if name != "msg"}


def _inner(kind: Kind) -> Kind:
    """The kind of the elements of a list or dictionary, or of an optional value."""
    while isinstance(kind, Listed | Mapped | Nullable):
        kind = kind.kind if isinstance(kind, Nullable) else kind.each
    return kind


def _type(kind: Kind) -> str:
    """The name of its type in the documentation."""
    if isinstance(kind, Nullable):
        return _type(kind.kind)
    if isinstance(kind, Number):
        return "int" if kind.whole else "float"
    return {Bool: "bool", Text: "str", Words: "str", Listed: "list", Mapped: "dict", Record: "dict"}[type(kind)]


def _compare(told: dict[str, t.Any], kinds: t.Mapping[str, Kind]) -> None:
    assert set(told) == set(kinds)
    for name, kind in kinds.items():
        assert told[name]["type"] == _type(kind), name
        if isinstance(kind, Listed):
            assert told[name]["elements"] == _type(kind.each), name
        inner = _inner(kind)
        if "contains" in told[name]:
            assert isinstance(inner, Record), name
            _compare(told[name]["contains"], inner.fields)


class TestShapes:
    def test_exist_for_each_module_on_a_host_and_its_action_uses_them(self) -> None:
        asking = set()
        for path in (PLUGINS / "modules").glob("*.py"):
            if "AnsibleModule(" not in path.read_text():
                continue
            action = importlib.import_module(f"ansible_collections.fleet.auth.plugins.action.{path.stem}")
            assert issubclass(action.ActionModule, AskingAction), path.stem
            asking.add(path.stem)
        assert asking == set(SHAPES)

    @pytest.mark.parametrize("module", SHAPES)
    def test_match_the_documentation(self, module: str) -> None:
        """A new return value must be in RETURN and in SHAPES, or no controller accepts it."""
        shape, told = SHAPES[module], _of_the_host(module)
        _compare(told, {**shape.success, **shape.always, **shape.sometimes})
        for name, one in told.items():
            assert one["returned"].startswith("always" if name in shape.always else "success"), name
            assert ("," in one["returned"]) == (name in shape.sometimes or one["returned"].startswith("always,")), name

    def test_leave_out_the_message_of_an_action_which_is_documented(self) -> None:
        assert "msg" in _documented("twofactor_verify")

    @pytest.mark.parametrize("module", SHAPES)
    def test_accept_the_samples_in_the_documentation(self, module: str) -> None:
        answer = {name: told["sample"] for name, told in _of_the_host(module).items()}
        if module in ("twofactor", "twofactor_info"):
            answer["users"] = {"alice": USER}
        assert {**accepted(module, answer), "changed": True} == {**answer, "changed": True}


class TestAccepted:
    def test_has_everything_that_fits(self) -> None:
        assert accepted("twofactor", PLAN, ["alice"]) == PLAN
        found = accepted("twofactor_enrolment_info", {"enrolments": [ENROLMENT]}, ["alice"])
        assert found == {"changed": False, "enrolments": [ENROLMENT]}

    def test_has_no_key_that_ansible_would_act_on(self) -> None:
        for key in ("add_host", "add_group", "ansible_facts", "ansible_stats", "unreachable", "skipped", "results"):
            with pytest.raises(InvalidAnswer, match=f"'{key}' is unknown"):
                accepted("twofactor_verify", {"valid": True, key: {"host_name": "web2"}})

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"os_family": "../../x/pwn"}, "os_family is not a known family of systems"),
            ({"os_family": "debian\n"}, "os_family is not a known family of systems"),
            ({"os_family": None}, "os_family is not a text"),
            ({"to_enrol": ["../alice"]}, "an entry of to_enrol is not the name of an account that can be a file name"),
            ({"to_enrol": "alice"}, "to_enrol is not a list"),
            ({"unproven": ["bob"]}, "unproven contains an account that was not asked for"),
            ({"users": {ESCAPE: USER}}, "a name in users is not a name that can be printed"),
            ({"users": {"\u202ealice": USER}}, "a name in users is not a name that can be printed"),
            ({"users": {"alice": {**USER, "locked": "no"}}}, "locked of an entry of users is neither true nor false"),
            ({"users": {"alice": {**USER, "recovery_codes_left": "x"}}}, "recovery_codes_left of an entry of users is"),
            (
                {"users": {"alice": {**USER, "recovery_codes_left": True}}},
                "recovery_codes_left of an entry of users is",
            ),
            ({"users": {"alice": {**USER, "recovery_codes_left": 10**400}}}, "is not between 0 and 1e+06"),
            ({"users": {"alice": {**USER, "more": 1}}}, "'more' of an entry of users is unknown"),
            ({"users": {"alice": {"enrolled": True}}}, "proven of an entry of users is missing"),
            ({"time_sync": {}}, "in_sync of time_sync is missing"),
            ({"changes": ["x" * (LONG + 1)]}, "an entry of changes has more than 100000 characters"),
            ({"diff": "all"}, "diff is not a list"),
            ({"diff": [{"prepared": "x"}]}, "diff has an unknown part"),
            ({"changed": "yes"}, "changed is neither true nor false"),
            ({"warnings": {"a": 1}}, "warnings is not a list"),
            ({ESCAPE: 1}, r"'\\x1b]0;web2 is on\\x07' is unknown"),
        ],
    )
    def test_rejects_values_of_a_wrong_form(self, wrong: dict[str, t.Any], expected: str) -> None:
        with pytest.raises(InvalidAnswer) as found:
            accepted("twofactor", {**PLAN, **wrong}, ["alice"])
        assert expected in str(found.value)
        assert str(found.value).isprintable()

    @pytest.mark.parametrize(("part", "word"), [("state", "ajar"), ("state", ""), ("state", "OPEN"), ("kind", "gate")])
    def test_has_no_door_of_an_unknown_kind_or_state(self, part: str, word: str) -> None:
        answer = {name: told["sample"] for name, told in _documented("twofactor_info").items()}
        answer |= {"users": {}, "doors": [{**answer["doors"][0], part: word}]}
        with pytest.raises(InvalidAnswer, match=f"{part} of an entry of doors is not one of "):
            accepted("twofactor_info", answer)

    def test_has_the_kinds_and_states_of_doors_that_a_host_uses(self) -> None:
        assert (doors.COVERED, doors.OPEN, doors.UNKNOWN) == DOOR_STATES
        source = inspect.getsource(doors)
        assert set(re.findall(r'\bDoor\([^,]+, "(\w+)",', source)) == set(DOORS)

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -1, True, "0.1"])
    def test_rejects_numbers_that_are_not_finite_and_positive(self, number: t.Any) -> None:
        told = {"in_sync": True, "service": None, "source": None, "error_seconds": number, "reason": "x"}
        with pytest.raises(InvalidAnswer, match="error_seconds of time_sync is"):
            accepted("time_sync_info", {"time_sync": told})

    @pytest.mark.parametrize("missing", sorted(PLAN.keys() - {"changed"}))
    def test_must_have_every_key(self, missing: str) -> None:
        with pytest.raises(InvalidAnswer, match=f"{missing} is missing"):
            accepted("twofactor", {name: value for name, value in PLAN.items() if name != missing})

    @pytest.mark.parametrize(
        "wrong",
        [
            {"user": "bob"},
            {"user": "../../alice"},
            {"device": "../x"},
            {"device": "a/b"},
            {"secret": "<b>"},
            {"recovery_codes": [{"number": "<form>", "code": "123456"}]},
            {"recovery_codes": [{"number": 1, "code": "<form>"}]},
            {"digits": 9},
        ],
    )
    def test_has_only_the_requested_enrolments(self, wrong: dict[str, t.Any]) -> None:
        with pytest.raises(InvalidAnswer):
            accepted("twofactor_enrolment_info", {"enrolments": [{**ENROLMENT, **wrong}]}, ["alice"])

    def test_escapes_what_a_terminal_would_act_on(self) -> None:
        found = accepted("twofactor", {**PLAN, "changes": [f"x\nweb2 {ESCAPE}"], "warnings": [f"\n{ESCAPE}"]})
        assert found["changes"] == [r"x web2 \x1b]0;web2 is on\x07"]
        assert found["warnings"] == [r"\x1b]0;web2 is on\x07"]
        header = {"before_header": f"a\n{ESCAPE}", "before": f"a\n{ESCAPE}\n", "after": ""}
        assert accepted("twofactor", {**PLAN, "diff": [header]})["diff"] == [
            {"before_header": r"a\n\x1b]0;web2 is on\x07", "before": "a\n\\x1b]0;web2 is on\\x07\n", "after": ""}
        ]

    def test_has_no_diff_that_takes_ansible_minutes(self) -> None:
        """Ansible compares the lines in the process that handles all hosts; 60,000 lines take it minutes."""
        odd = {name: "".join(f"{number}\n{name}{number}\n" for number in range(30_000)) for name in ("before", "after")}
        named = {"before_header": "/etc/x", "after_header": "/etc/x"}
        small = {**named, "before": "a\n" * 500, "after": "b\n" * 500}
        found = accepted("twofactor", {**PLAN, "diff": [small, {**named, **odd}]})["diff"]
        told = "60001 lines, too many to compare\n"
        assert found == [small, {**named, "before": told, "after": told}]
        lines = accepted("twofactor", {**PLAN, "diff": [small] * 1000})["diff"]
        assert 30 < sum(one == small for one in lines) < 50

    def test_has_the_message_of_a_failure_and_the_keys_that_are_always_returned(self) -> None:
        said = {"failed": True, "msg": f"no\n {ESCAPE}", "exception": "x", "rc": 1, "changed": False}
        assert accepted("twofactor", {**PLAN, **said, "refusals": ["no"]}) == {
            **{name: STATUS[name] for name in ("enforced", "asks", "let_off", "guard", "time_sync")},
            "changed": False,
            "failed": True,
            "msg": r"no \x1b]0;web2 is on\x07",
            "refusals": ["no"],
            "refused": [],
            "warned": [],
            "missing_packages": ["libpam-oath"],
        }
        assert accepted("twofactor_verify", {"failed": True, "msg": {"a": 1}})["msg"] == "It failed, and said nothing."
        with pytest.raises(InvalidAnswer, match="refusals is not a list"):
            accepted("twofactor", {"failed": True, "msg": "no", "refusals": 3})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(SHAPES)), st.dictionaries(st.sampled_from(sorted({*PLAN, "failed", "msg"})), JSON))
def test_any_answer_is_accepted_or_unfit(module: str, answer: dict[str, t.Any]) -> None:
    try:
        found = accepted(module, answer)
    except InvalidAnswer as error:
        found = {"msg": str(error)}
    assert _printable(found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def _printable(value: t.Any) -> bool:
    if isinstance(value, dict):
        return all(_printable(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(_printable, value))
    return not isinstance(value, str) or value.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("given", "users"),
    [
        (["alice", {"name": "bob"}], ["alice", "bob"]),
        ("alice, bob", ["alice", "bob"]),
        ("alice", ["alice"]),
        (5, ["5"]),
        (None, None),
    ],
)
def test_requested_accounts_may_be_given_as_a_text(given: t.Any, users: list[str] | None) -> None:
    """One name may be given without a list. If it were not recognized, a host could answer with any account."""
    assert _asking._users({"users": given}) == users


def test_long_answers_of_ansibles_own_modules_are_cut() -> None:
    found = reduced({"rc": 1, "stdout": "a" * 1_000_000, "msg": "\x1b" * 1_000_000})
    assert len(found["stdout"]) == LONG
    assert len(found["msg"]) <= LONG + 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_answer_is_read_through_a_terminal(end: str) -> None:
    """Without pipelining, Ansible becomes root through a terminal."""
    action = AskingNormalAction.__new__(AskingNormalAction)
    action._module = "twofactor_verify"
    told = {"stdout": f"{end}{end}{json.dumps({'changed': False, 'valid': True})}{end}", "stderr": "", "rc": 0}
    found = action._parse_returned_data(told, "legacy")
    assert found["valid"] is True


class TestRole:
    """A file of tasks is included by its literal name, or as a step with one of the names that the role defines."""

    ROLE: t.ClassVar = Path(PLUGINS).parent / "roles" / "twofactor"

    def test_includes_no_tasks_named_by_a_host(self) -> None:
        for path in self.ROLE.parent.rglob("tasks/**/*.yml"):
            for task in yaml.safe_load(path.read_text()):
                for verb in ("include_tasks", "import_tasks", "include_vars", "include_role"):
                    name = str(task.get(f"ansible.builtin.{verb}", ""))
                    step = task.get("loop_control", {}).get("loop_var")
                    if name == f"{{{{ {step} }}}}.yml":
                        assert task["loop"] in ("{{ __twofactor_steps }}", "{{ __twofactor_steps_after_change }}")
                    else:
                        assert "{{" not in name, path

    def steps(self, variables: t.Mapping[str, t.Any] | None = None, **said: t.Any) -> list[str]:
        """The steps for a host with this answer, as Ansible evaluates them."""
        names = {**yaml.safe_load((self.ROLE / "defaults/main.yml").read_text())}
        names |= yaml.safe_load((self.ROLE / "vars/main.yml").read_text())
        trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in names.items()}
        answer = {**PLAN, **said}
        host = {"ansible_check_mode": False, "inventory_hostname": "web1", "twofactor_enrolment_dir": "/sheets"}
        found = {
            **trusted,
            **host,
            "__twofactor_plan": answer,
            "__twofactor_done": answer,
            "twofactor_enabled": True,
            **(variables or {}),
        }
        templar = Templar(DataLoader(), variables=found)
        parts = ("__twofactor_steps", "__twofactor_steps_after_change")
        return [str(step) for part in parts for step in templar.template(trusted[part])]

    @pytest.mark.parametrize("fleet", ["", "Example"])
    def test_removes_no_sheet_of_all_hosts_because_one_host_says_so(self, tmp_path: Path, fleet: str) -> None:
        (tmp_path / f"bob@{fleet or 'web1'}.html").touch()
        found = self.steps(
            to_enrol=["bob"], variables={"twofactor_fleet": fleet, "twofactor_enrolment_dir": str(tmp_path)}
        )
        assert ("remove_sheets" in found) is (not fleet)

    def test_has_a_file_for_each_step(self) -> None:
        steps = self.steps(confirmation="a" * 16)
        assert steps == ["prepare_sheets", "install", "change", "confirm", "write_sheets", "say_next"]
        assert all((self.ROLE / "tasks" / "steps" / f"{step}.yml").is_file() for step in steps)

    @pytest.mark.parametrize("strange", ["../../evil", "{{ 1 }}", "values", ""])
    def test_has_no_step_that_a_host_made_up(self, strange: str) -> None:
        own = {
            *self.steps(os_family=strange, missing_packages=[strange], to_enrol=[strange], confirmation=strange),
        }
        assert own <= {path.stem for path in (self.ROLE / "tasks" / "steps").glob("*.yml")}
