# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mistyped name of a variable is reported, with the name that was meant."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleet.auth.plugins.lookup.totp_secret import DOCUMENTATION
from ansible_collections.fleet.auth.plugins.plugin_utils import _variables as variables

_ROOT = Path(__file__).resolve().parents[2]
RECOVER = variables.Playbook("fleet.auth.recover", ("user", "everyone"))


def _plays(path: Path) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", yaml.safe_load(path.read_text()))


class TestKnown:
    def test_are_the_options_of_the_role_the_lookup_and_the_playbooks(self) -> None:
        specs = yaml.safe_load((_ROOT / "roles/twofactor/meta/argument_specs.yml").read_text())["argument_specs"]
        told = {name for entry_point in specs.values() for name in entry_point["options"]}
        lookup = yaml.safe_load(DOCUMENTATION)["options"]
        told |= {entry["name"] for option in lookup.values() for entry in option.get("vars", ())}
        told |= {"twofactor_hosts"}
        told |= {f"twofactor_rollout_{name}" for name in ("batches", "leave_out", "data", "junit")}
        assert variables.known() == told

    @pytest.mark.parametrize("path", sorted((_ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
    def test_playbooks_have_their_own_names(self, path: Path) -> None:
        for play in _plays(path):
            assert play["vars"]["__twofactor_playbook"]["name"] == f"fleet.auth.{path.stem}"


class TestPlaybooks:
    """The page about the playbooks lists each of them with its parameters."""

    ROWS: t.ClassVar = dict(
        re.findall(r"^\| `(\w+)` \|[^|]+\|(.*)\|$", (_ROOT / "docs/playbooks.md").read_text(), re.M)
    )
    OPTIONS: t.ClassVar = yaml.safe_load((_ROOT / "roles/twofactor/meta/argument_specs.yml").read_text())

    def test_are_all_listed(self) -> None:
        assert set(self.ROWS) == {path.stem for path in (_ROOT / "playbooks").glob("*.yml")}

    @pytest.mark.parametrize("name", sorted(ROWS))
    def test_have_their_parameters_and_no_others(self, name: str) -> None:
        told = set(re.findall(r"`([a-z_]+)`", self.ROWS[name])) - {"true"}
        (playbook, *_more) = (play["vars"]["__twofactor_playbook"] for play in _plays(_ROOT / f"playbooks/{name}.yml"))
        assert {one for one in told if not one.startswith("twofactor_")} == set(playbook.get("takes", ()))
        assert {one for one in told if one.startswith("twofactor_")} <= variables.known()
        entry_points = self.OPTIONS["argument_specs"]
        own = {
            option for entry_point, spec in entry_points.items() if entry_point == name for option in spec["options"]
        } - set(entry_points["main"]["options"])
        own |= {option for option in variables.known() if option.startswith(f"twofactor_{name}_")}
        assert own <= told

    @pytest.mark.parametrize("name", sorted(ROWS))
    def test_leave_bad_values_to_our_own_messages(self, name: str) -> None:
        """Ansible's own check of a role would come first, and print thousands of characters of its description."""
        tasks = [task for play in _plays(_ROOT / f"playbooks/{name}.yml") for task in play["tasks"]]
        roles = [
            value for task in tasks for key, value in task.items() if key.endswith(("include_role", "import_role"))
        ]
        assert [role for role in roles if role.get("rolespec_validate") is not False] == []


class TestMistyped:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("twofactor_user", "twofactor_users"),
            ("twofactor_shh", "twofactor_ssh"),
            ("twofactor_exempt_user", "twofactor_exempt_users"),
            ("twofactor_enrollment_dir", "twofactor_enrolment_dir"),
        ],
    )
    def test_name_the_host_and_the_nearest_variable(self, name: str, meant: str) -> None:
        (told,) = variables.mistyped([name, "ansible_host", "twofactor_ssh"], [], "web1")
        assert told.startswith(f"web1 has a variable {name}, and there is no such option; did you mean {meant}. ")

    def test_may_be_near_no_known_variable(self) -> None:
        (told,) = variables.mistyped(["twofactor_zebra_crossing_paint"], [], "web1")
        assert "there is no such option. Correct" in told

    def test_are_none_if_all_are_known_or_custom(self) -> None:
        own = ["twofactor_people"]
        names = [*variables.known(), *own, "__twofactor_plan", "my_twofactor_x", "inventory_hostname"]
        assert variables.mistyped(names, own, "web1") == []
        assert variables.mistyped(names, "twofactor_people", "web1") == []


class TestUnknown:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("usr", "did you mean user"),
            ("renew", "the variable of the role is twofactor_renew"),
            ("twofactor_shh", "did you mean twofactor_ssh"),
            ("zebra", "It takes user and everyone and the variables of the role."),
        ],
    )
    def test_name_the_playbook_and_the_nearest_parameter(self, name: str, expected: str) -> None:
        (sentence,) = variables.unknown([name, "user", "twofactor_ssh"], [], RECOVER)
        assert sentence.startswith(f"-e {name} is not a parameter of fleet.auth.recover")
        assert expected in sentence

    def test_exclude_variables_that_controllers_add(self) -> None:
        assert variables.unknown(["ansible_user", "awx_job_id", "tower_job_id", "semaphore_vars"], [], RECOVER) == []
        assert variables.unknown(["env"], ["env"], RECOVER) == []


class TestMisshapen:
    def test_exclude_a_single_value_for_a_list_and_an_unset_variable(self) -> None:
        right = {"twofactor_issuer": "", "twofactor_enrol": "alice", "twofactor_own_variables": ["x", 5]}
        assert variables.unusable({**right, "twofactor_status_slices": None}, "web1") == []

    def test_are_judged_by_the_documented_types(self) -> None:
        specs = yaml.safe_load((_ROOT / "roles/twofactor/meta/argument_specs.yml").read_text())["argument_specs"]
        told = {name: option["type"] for one in specs.values() for name, option in one["options"].items()}
        words = {"str": "a text", "list": "a list"}
        assert {name: words[told[f"twofactor_{name}"]] for name in variables.FORMS} == variables.FORMS

    @pytest.mark.parametrize("own", [5, True, 0.5, {"twofactor_people": 1}])
    def test_custom_names_of_a_wrong_type_are_ignored(self, own: t.Any) -> None:
        assert len(variables.mistyped(["twofactor_people"], own, "web1")) == 1
        assert len(variables.unknown(["env"], own, RECOVER)) == 1
