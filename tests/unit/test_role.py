# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options are described in several files that cannot be merged into one. These tests compare them.

`_options.argument_spec()` defines the options, and the documentation fragment of the modules describes them. The role
has the same options with its prefix.
"""

from __future__ import annotations

import itertools
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleet.auth.plugins.doc_fragments.settings import ModuleDocFragment
from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from unit.sentences import tasks

_ROOT = Path(__file__).resolve().parents[2]
_ROLE = _ROOT / "roles" / "twofactor"
_SPEC = argument_spec()
_DOCUMENTED = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]

_OF_THE_ROLE: dict[str, dict[str, t.Any]] = {
    # The role confirms the changes of the module, so it sets a timer unless somebody wants none.
    "rollback_after": {"default": 120},
    # Ansible's check of the role would print an entry that is no dictionary, including the secret in it.
    "users": {"elements": "raw"},
    # Empty in defaults/main.yml, because a variable of the role is always defined.
    "lockout": {"default": {}},
    "time_sync": {"default": {}},
}
_TOLD_BY_THE_ROLE = {"rollback_after"}
"""Options that the role describes in its own words."""


def _entry_points() -> dict[str, dict[str, t.Any]]:
    return t.cast(
        dict[str, dict[str, t.Any]],
        yaml.safe_load((_ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"],
    )


def _file(name: str) -> dict[str, t.Any]:
    return t.cast(dict[str, t.Any], yaml.safe_load((_ROLE / name).read_text()))


def _without_words(options: dict[str, dict[str, t.Any]], suboptions: str) -> dict[str, t.Any]:
    """What Ansible checks in options. `no_log` is left out, because the documentation does not have it."""
    left_out = ("description", "no_log", suboptions)
    return {
        name: {key: value for key, value in option.items() if key not in left_out}
        | ({"options": _without_words(option[suboptions], suboptions)} if suboptions in option else {})
        for name, option in options.items()
    }


def _words(options: dict[str, dict[str, t.Any]], suboptions: str, prefix: str = "") -> dict[str, str]:
    """The description of each option, as one text."""
    said: dict[str, str] = {}
    for name, option in options.items():
        told = option["description"]
        said[prefix + name] = told if isinstance(told, str) else "\n".join(told)
        said |= _words(option.get(suboptions, {}), suboptions, f"{prefix}{name}.")
    return said


def _hidden(options: dict[str, dict[str, t.Any]], prefix: str = "") -> set[str]:
    found = {prefix + name for name, option in options.items() if option.get("no_log")}
    return found.union(*(_hidden(one.get("options", {}), f"{prefix}{name}.") for name, one in options.items()))


def _prefixed(text: str) -> str:
    """The text as in the role: there, O(users[].secret) is O(twofactor_users[].secret)."""
    return re.sub(r"\bO\(", "O(twofactor_", text)


class TestOptions:
    def test_match_their_documentation(self) -> None:
        assert _without_words(_DOCUMENTED, "suboptions") == _without_words(_SPEC, "options")

    def test_of_the_role_are_those_of_the_module(self) -> None:
        expected = {
            f"twofactor_{name}": option | _OF_THE_ROLE.get(name, {})
            for name, option in _without_words(_SPEC, "options").items()
        }
        main = _entry_points()["main"]["options"]
        found = _without_words({name: main[name] for name in expected if name in main}, "options")
        assert found == expected

    def test_of_the_role_are_described_in_the_words_of_the_module(self) -> None:
        expected = {f"twofactor_{name}": _prefixed(text) for name, text in _words(_DOCUMENTED, "suboptions").items()}
        found = _words(_entry_points()["main"]["options"], "options")
        for own in _TOLD_BY_THE_ROLE:
            assert found[f"twofactor_{own}"] != expected.pop(f"twofactor_{own}")
        assert {name: found.get(name) for name in expected} == expected

    def test_that_ansible_does_not_log_are_the_same(self) -> None:
        assert _hidden(_entry_points()["main"]["options"]) == {f"twofactor_{name}" for name in _hidden(_SPEC)}
        assert _hidden(_SPEC) == {"users.secret", "users.devices.secret"}

    def test_are_passed_to_the_module(self) -> None:
        handed_on = _file("vars/main.yml")["__twofactor_settings"]
        assert handed_on == {name: f"{{{{ twofactor_{name} }}}}" for name in _SPEC}


class TestEntryPoints:
    def test_are_the_task_files(self) -> None:
        assert next(iter(_entry_points())) == "main"
        assert sorted(_entry_points()) == sorted(path.stem for path in (_ROLE / "tasks").glob("*.yml"))

    def test_are_the_names_of_playbooks(self) -> None:
        """The plays of a rollout do nothing alone. Their shared tasks are no entry point and not on the role's page."""
        assert _entry_points().keys() - {"main"} <= {path.stem for path in (_ROOT / "playbooks").glob("*.yml")}

    def test_have_the_documented_defaults(self) -> None:
        told: dict[str, t.Any] = {}
        for entry_point in _entry_points().values():
            for name, option in entry_point["options"].items():
                if "default" in option:
                    assert told.setdefault(name, option["default"]) == option["default"]
        defaults = {
            name: value
            for name, value in _file("defaults/main.yml").items()
            if not name.startswith("twofactor_rollout_")
        }
        # Its default is the name of the host, which no specification can express.
        assert defaults.pop("twofactor_issuer")
        assert defaults == told

    def test_have_the_prefix_of_the_role(self) -> None:
        names = {name for entry_point in _entry_points().values() for name in entry_point["options"]}
        assert [name for name in names if not name.startswith("twofactor_")] == []

    @pytest.mark.parametrize(
        ("option", "entry_point", "module"),
        [
            ("users_files", "adopt", "twofactor_adopt"),
            ("secret_file", "adopt", "twofactor_adopt"),
            ("language", "main", "enrolment_sheets"),
            ("language", "sheets", "sheet_index"),
            ("sheets_pdf", "sheets", "sheet_index"),
            ("pass_hours", "pass", "twofactor_pass"),
            ("invite_hours", "invite", "twofactor_invitation"),
            ("status_page", "status", "status_report"),
            ("status_data", "status", "status_report"),
            ("status_slices", "status", "status_report"),
            ("status_user", "status", "status_report"),
        ],
    )
    def test_accept_what_the_module_accepts(self, option: str, entry_point: str, module: str) -> None:
        text = (_ROOT / "plugins" / "modules" / f"{module}.py").read_text()
        documented = yaml.safe_load(text.split('r"""')[1].split('"""')[0])["options"]
        taken = documented[option] if option in documented else documented[option.partition("_")[2]]
        found = _entry_points()[entry_point]["options"][f"twofactor_{option}"]
        assert _without_words({option: found}, "options") == _without_words({option: taken}, "suboptions")


class TestVariables:
    """A fact or a registered result of a play overrides a variable of a task that has the same name.

    Likewise, `item` of a loop in the role hides that of a loop which includes the role.
    """

    @staticmethod
    def _set_by(task: dict[str, t.Any]) -> t.Iterator[str]:
        """The variables that a play, a block or a task sets."""
        yield from task.get("vars", ())
        yield from task.get("ansible.builtin.set_fact", ())
        if "register" in task:
            yield task["register"]
        if "loop" in task:
            yield task.get("loop_control", {}).get("loop_var", "item")

    @pytest.mark.parametrize(
        "path",
        sorted([*(_ROLE / "tasks").rglob("*.yml"), *(_ROOT / "playbooks").glob("*.yml")]),
        ids=lambda path: str(path.relative_to(_ROOT)),
    )
    def test_of_tasks_have_the_prefix_of_the_role(self, path: Path) -> None:
        found = {name for task in tasks(yaml.safe_load(path.read_text())) for name in self._set_by(task)}
        ours = ("__twofactor_", "twofactor_", "ansible_become")
        assert sorted(name for name in found if not name.startswith(ours)) == []


class TestTasksOnTheController:
    def test_run_as_the_account_that_started_ansible(self) -> None:
        """`ansible_become` for `all`, as in the guides, holds for localhost too, and takes precedence over `become`."""
        of_files = (tasks(yaml.safe_load(path.read_text())) for path in (_ROLE / "tasks").rglob("*.yml"))
        delegated = [task for task in itertools.chain(*of_files) if task.get("delegate_to") == "localhost"]
        assert delegated
        assert [task["name"] for task in delegated if task["vars"].get("ansible_become") is not False] == []


class TestAccountNames:
    """The role and a playbook check names of accounts themselves, by a pattern that has to be the modules' own."""

    PATTERNS: t.ClassVar = {
        "vars/main.yml": _file("vars/main.yml")["__twofactor_account"],
        "accept.yml": re.findall(
            r"is match\('(.+?)'\)",
            yaml.safe_load((_ROOT / "playbooks" / "accept.yml").read_text())[0]["tasks"][0]["fleet.auth.require"][
                "that"
            ],
        )[0],
    }

    @pytest.mark.parametrize("where", PATTERNS)
    @pytest.mark.parametrize(
        "name",
        [
            "alice",
            "svc$",
            "a.b@corp.example",
            "_x-1",
            "",
            "-x",
            "$",
            "a$b",
            "a:b",
            "a+b",
            "a b",
            "alice\n",
            "jos\u00e9",
            "a/b",
            "a" * 256,
            "a" * 257,
        ],
    )
    def test_are_the_same_everywhere(self, where: str, name: str) -> None:
        assert bool(re.match(self.PATTERNS[where], name)) == is_account_name(name)
