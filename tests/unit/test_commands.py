# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A printed command can be copied, so it names the inventory of the run; otherwise it would find no host."""

from __future__ import annotations

import json
import types
import typing as t
from pathlib import Path

import pytest

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils import _controller
from ansible_collections.fleet.auth.plugins.plugin_utils._commands import inventory, with_inventory
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import REPORTED_LATER, CheckedAction

_ROLE = Path(__file__).resolve().parents[2] / "roles" / "twofactor"
_GIVEN = {"ansible_inventory_sources": ["/srv/fleet/hosts.yml"]}
_PLAIN = "Ask alice: ansible-playbook fleet.auth.accept -e user=alice. Run fleet.auth.enable again."
_COPIED = (
    "Ask alice: ansible-playbook fleet.auth.accept -i /srv/fleet/hosts.yml -e user=alice. Run fleet.auth.enable again."
)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["/srv/fleet/hosts.yml"], " -i /srv/fleet/hosts.yml"),
        (["/srv/our fleet", "web1,"], " -i '/srv/our fleet' -i web1,"),
        (["/etc/ansible/hosts"], ""),
        (["/runner/inventory/hosts"], ""),
        (["/runner/inventory", "/srv/fleet/hosts.yml"], " -i /srv/fleet/hosts.yml"),
        ([], ""),
    ],
)
def test_inventory_options_are_those_of_the_command_line(sources: list[str], words: str) -> None:
    """Left out: an inventory that Ansible finds by default, and one in a container, which nobody has afterwards."""
    assert inventory({"ansible_inventory_sources": sources}) == words
    assert inventory({}) == ""


@pytest.mark.parametrize("given", [True, False])
def test_role_names_the_inventory_in_its_commands(tmp_path: Path, given: bool) -> None:
    role = {"name": "fleet.auth.twofactor"}
    steps: list[dict[str, t.Any]] = [
        {"ansible.builtin.include_role": {**role, "tasks_from": "steps/sheet_directory", "public": True}},
        {
            "ansible.builtin.debug": {"msg": "{{ __twofactor_says_sheets }}"},
            "vars": {"__twofactor_sheet_users": ["alice"]},
        },
    ]
    variables = {"twofactor_enrolment_dir": "./enrolment"}
    play = [{"hosts": "web1", "gather_facts": False, "vars": variables, "tasks": steps}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    (tmp_path / "our fleet").write_text("web1\n")
    sources = ["our fleet", "/runner/inventory/hosts", "web2,"] if given else []
    options = [word for source in sources for word in ("-i", source)]
    environment = {} if given else {"ANSIBLE_INVENTORY": "our fleet"}
    done = preloaded.run("ansible-playbook", "play.yml", *options, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    told = f" -i '{tmp_path}/our fleet' -i web2," if given else ""
    assert f"prove a code: ansible-playbook fleet.auth.verify{told} -e user=NAME." in done.stdout
    if given:
        assert inventory({"ansible_inventory_sources": [f"{tmp_path}/our fleet", "web2,"]}) == told


def test_inventory_is_added_to_commands_once() -> None:
    assert with_inventory(_PLAIN, _GIVEN) == _COPIED
    assert with_inventory(_COPIED, _GIVEN) == _COPIED
    assert with_inventory(_PLAIN, {}) == _PLAIN


def test_all_commands_of_the_role_name_the_inventory() -> None:
    for path in [_ROLE / "vars" / "main.yml", *(_ROLE / "tasks").rglob("*.yml")]:
        text = path.read_text()
        assert text.count("ansible-playbook ") == text.count("{{ __twofactor_inventory }}"), path


class TestActions:
    ANSWER: t.ClassVar = {"failed": True, "msg": _PLAIN, "refusals": [_PLAIN], "warnings": [_PLAIN]}

    def run(self, monkeypatch: pytest.MonkeyPatch, answer: dict[str, t.Any], **variables: t.Any) -> dict[str, t.Any]:
        """The result of an action whose module gave this answer, in a run with a given inventory."""
        action = CheckedAction.__new__(CheckedAction)
        action._task = types.SimpleNamespace(_role=None, no_log=True)
        monkeypatch.setattr(action, "_checked", lambda *_given: answer)
        return action.run(task_vars={**_GIVEN, **variables})

    def test_add_the_inventory_to_failures_refusals_and_warnings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done = self.run(monkeypatch, self.ANSWER)
        assert done == {"failed": True, "msg": _COPIED, "refusals": [_COPIED], "warnings": [_COPIED]}
        assert self.run(monkeypatch, {"changed": False, "valid": True}) == {"changed": False, "valid": True}

    def test_leave_the_inventory_to_the_report(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The report removes names of hosts from the messages, and an inventory may have the same name as a host."""
        assert self.run(monkeypatch, self.ANSWER, **{REPORTED_LATER: True}) == self.ANSWER

    def test_add_the_inventory_to_reports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        printed: list[str] = []
        monkeypatch.setattr(_controller.display, "display", printed.append)
        _controller.ReportAction.publish(
            _controller.ReportAction.__new__(_controller.ReportAction), _PLAIN, {}, "", _GIVEN
        )
        assert printed == [f"\n{_COPIED}\n"]
