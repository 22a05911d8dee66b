# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A failure is shown once, and everything that reads failures gets it: people, rescues, conditions, reports."""

from __future__ import annotations

import json
import re
import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleAction, AnsibleActionFail

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils import _failures
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import SEE_MSG, show_failure_once
from unit import answering

_ROOT = Path(__file__).resolve().parents[2]

_SENTENCES = "otp_digits is 3; it must be between 6 and 8. window is 99; it must be between 0 and 10 steps."
_TOLD = f'"msg": "Nothing was changed: {_SENTENCES}'
_WRONG = {"fleet.auth.twofactor": {"otp_digits": 3, "window": 99}}
_NO_KEY = "The file nowhere.pub (key) cannot be read: No such file or directory."


def run(folder: Path, *tasks: dict[str, t.Any], **environment: str) -> str:
    """The output of a play of these tasks for two hosts to which it never connects."""
    play = {"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([play]))
    done = preloaded.run("ansible-playbook", "-i", "web1,web2,", "play.yml", cwd=folder, **environment)
    return done.stdout + done.stderr


def test_failure_is_printed_once_and_a_rescue_has_the_full_message(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        {
            "block": [_WRONG],
            "rescue": [{"ansible.builtin.debug": {"msg": "rescued: {{ ansible_failed_result.msg }}"}}],
        },
        {"fleet.auth.security_key": {"user": "alice", "key": "nowhere.pub"}, "ignore_errors": True, "run_once": True},
        _WRONG,
    )
    assert f"[ERROR]: Task failed: {SEE_MSG}" in told
    assert told.count(_TOLD) == 4
    assert told.count(f"rescued: Nothing was changed: {_SENTENCES}") == 2
    assert told.count(_NO_KEY) == 1
    assert "...ignoring" in told


def test_failed_checks_of_playbooks_are_printed_once(tmp_path: Path) -> None:
    told = answering.run(tmp_path, "accept", {"web1": {}, "web2": {}}).stdout
    assert told.count("Name the account whose credential is accepted: -e user=NAME.") == 1, told
    assert "assertion" not in told
    assert "evaluated_to" not in told


def test_mistyped_name_is_reported_before_the_missing_parameter(tmp_path: Path) -> None:
    told = answering.run(tmp_path, "accept", {"web1": {}}, usr="alice").stdout
    assert told.count("-e usr is not a parameter of fleet.auth.accept; did you mean user.") == 1, told


def test_collection_does_not_use_assert_or_fail_which_print_twice() -> None:
    for folder in ("playbooks", "roles"):
        for path in (_ROOT / folder).rglob("*.yml"):
            assert not re.search(r"ansible\.builtin\.(assert|fail):", path.read_text()), path


def test_conditions_of_a_task_see_the_failure(tmp_path: Path) -> None:
    expected = {"register": "done", "failed_when": "done.msg is not search('window is 99')"}
    again = {"register": "done", "until": "done.msg is search('window is 99')", "retries": 1, "delay": 0}
    told = run(tmp_path, {**_WRONG, **expected}, {**_WRONG, **again, "ignore_errors": True})
    assert told.count("ok: [web") == 2
    assert told.count('"attempts": 1') == 2


@pytest.mark.parametrize("hidden", [True, False], ids=["no_log", "junit"])
def test_error_has_the_full_message_if_only_the_error_is_shown(tmp_path: Path, *, hidden: bool) -> None:
    environment = {} if hidden else {"ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit", "JUNIT_OUTPUT_DIR": "junit"}
    told = run(tmp_path, {**_WRONG, "no_log": hidden}, **environment)
    assert f"[ERROR]: Task failed: Action failed: Nothing was changed: {_SENTENCES}" in told
    if not hidden:
        (report,) = (tmp_path / "junit").iterdir()
        assert report.read_text().count(_SENTENCES) == 2


class TestFailedResult:
    def run(self, done: t.Any, **of_the_task: t.Any) -> dict[str, t.Any]:
        """The result of an action that does this in a task with these keywords."""
        nothing = {"no_log": False, "failed_when": [], "until": [], "retries": None}

        @show_failure_once
        def doing(_action: t.Any, _tmp: None, _variables: None) -> dict[str, t.Any]:
            if isinstance(done, Exception):
                raise done
            return t.cast(dict[str, t.Any], done)

        return doing(types.SimpleNamespace(_task=types.SimpleNamespace(**{**nothing, **of_the_task})))

    def test_becomes_the_result_of_the_task_and_warnings_are_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        warned: list[str] = []
        monkeypatch.setattr(_failures.display, "warning", warned.append)
        with pytest.raises(AnsibleAction, match=f"^{SEE_MSG}$") as failure:
            self.run({"failed": True, "msg": "No.", "refusals": ["No."], "warnings": ["Mind the gap."]})
        assert failure.value.result == {"failed": True, "msg": "No.", "refusals": ["No."]}
        assert warned == ["Mind the gap."]

    def test_has_the_message_of_the_exception(self) -> None:
        with pytest.raises(AnsibleAction, match=f"^{SEE_MSG}$") as failure:
            self.run(AnsibleActionFail("No."))
        assert failure.value.result == {"changed": False, "failed": True, "msg": "No."}

    def test_is_unchanged_if_ansible_evaluates_it(self) -> None:
        failed = {"failed": True, "msg": "No.", "warnings": ["Mind the gap."]}
        assert self.run(failed, failed_when=["false"]) == failed
        assert self.run({"changed": True}) == {"changed": True}
        assert self.run({"unreachable": True, "msg": "No."}) == {"unreachable": True, "msg": "No."}
        with pytest.raises(AnsibleActionFail, match=r"^No\.$"):
            self.run(AnsibleActionFail("No."), no_log=True)
