# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every refusal and failure says what is wrong, for whom or where, and what to do, with names that exist.

The messages are extracted from the source so that none is missed; see `sentences`.
"""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import named
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.plugin_utils import _gate, _variables
from unit.sentences import ROOT, Message, of_python, of_recovery_command, of_yaml


def _parameters_of(play: dict[str, t.Any]) -> list[str]:
    return list(play["vars"]["__twofactor_playbook"].get("takes", ()))


_OPTIONS = {*argument_spec(), "users_files", "secret_file"}
_MODULES = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
_TAKES: dict[str, set[str]] = {
    path.stem: {name for play in yaml.safe_load(path.read_text()) for name in _parameters_of(play)}
    for path in (ROOT / "playbooks").glob("*.yml")
}
"""Parameters of each playbook in addition to the variables of the role."""
_VERBS = (
    "accept|add|ask|bring|change|choose|copy|correct|create|declare|delete|enable|enrol|encrypt|exempt|find|free|give|"
    "hand|install|keep|leave|let|list|log in|make|mend|mount|move|name|put|remove|renew|reset|restore|rotate|run|say|"
    "see|set|shorten|start|stop|take|tell|try|turn|type|update|use|vouch|wait|write"
)
_REMEDY = re.compile(
    rf"(^|[.:;,}}] |\b(or|and|then) )({_VERBS})\b"
    r"|must be|did you mean|Supported parameters"
    r"|\{[^}]*(remed|instead|advice|refusals|unfit|error|reason|problem|held)",
    re.IGNORECASE,
)
"""Beginnings of a remedy, and placeholders for one."""
_OF_THIS_HOST_OR_READER = (
    *("twofactor-recover", "module_utils/_self_service"),
    *("connection/ssh_totp.py", "plugin_utils/_ssh_login.py"),
)
"""Files whose messages need not name the host: the reader is at it, has just typed something, or Ansible names it."""
_PUT_IN = re.compile(r"\{[^{}]*\}|O\(\w+\)")

MESSAGES = [*of_python(), *of_yaml(), *of_recovery_command()]
WHOLE = [one for one in MESSAGES if one.is_whole]


def test_messages_are_found() -> None:
    """If the source were written in another way, the other tests would find no messages to check."""
    for found, least in ((of_python(), 190), (of_yaml(), 11), (of_recovery_command(), 8)):
        assert len(found) > least
    assert len(WHOLE) > 200


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_names_only_existing_options_playbooks_and_modules(message: Message) -> None:
    assert set(re.findall(r"\bO\((\w+)\)", message.text)) <= _OPTIONS
    for name in re.findall(r"fleet\.auth\.(\w+)", message.text):
        assert name in _TAKES.keys() | _MODULES | {"ssh_totp", "totp_secret"}


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_names_only_existing_variables_and_parameters(message: Message) -> None:
    prose = _PUT_IN.sub("", message.text)
    assert set(re.findall(r"(?<![\w.])twofactor_\w+", prose)) <= _variables.known()
    for playbook, words in re.findall(r"(?:fleet\.auth\.(\w+))?((?: -e \S+)+)", f" {prose}"):
        takes = _TAKES[playbook] if playbook else set().union(*_TAKES.values())
        assert set(re.findall(r"-e (\w+)", words)) <= takes | _variables.known()


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_marks_each_option_so_that_the_role_can_rename_it(message: Message) -> None:
    """`ssh_first_factors` would mean nothing to somebody who sets twofactor_ssh_first_factors."""
    if not message.where.startswith("module_utils/_"):
        return
    prose = _PUT_IN.sub("", message.text)
    plain = {name for name in _OPTIONS if "_" in name and re.search(rf"(?<![\w.]){name}(?!\w)", prose)}
    assert not plain


@pytest.mark.parametrize("message", WHOLE, ids=str)
def test_says_who_or_where_and_what_to_do(message: Message) -> None:
    if not message.where.startswith(_OF_THIS_HOST_OR_READER):
        assert re.search(r"\{|O\(\w+\)|-e \w+=|The host|twofactor_", message.text), "neither a name nor an option"
    assert _REMEDY.search(message.text), f"nothing to do: {message.text}"


class TestNames:
    """The names of an option in the role and in a module."""

    def test_are_those_that_the_user_sets(self) -> None:
        told = "Set O(renew) to changed, or renew: NAME in O(users)."
        assert named(told, "") == "Set renew to changed, or renew: NAME in users."
        assert named(told, "twofactor_") == "Set twofactor_renew to changed, or renew: NAME in twofactor_users."

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"scope": "groups"}, "twofactor_scope is groups, but twofactor_scope_groups is empty"),
            ({"scope": "some"}, "value of twofactor_scope must be one of"),
            ({"window": "wide"}, "twofactor_window must be a whole number, and is a text."),
            ({"users": [{"nam": "alice"}]}, "an entry of twofactor_users has no name."),
            ({"users": [{"name": "alice", "proven": "so"}]}, "twofactor_users.proven must be true or false, and is a"),
            ({"users": "alice"}, "twofactor_users must be a list, such as [alice, {name: bob}], and is a text."),
            ({"lockout": {"attempts": 0}}, "twofactor_lockout.attempts is 0; it must be between 1 and 100."),
        ],
    )
    def test_of_the_role_are_in_problems_with_its_variables(self, wrong: dict[str, t.Any], expected: str) -> None:
        assert _gate.problems({**wrong, "option_prefix": "twofactor_"})[0].startswith(expected)
        assert "twofactor_" not in _gate.problems(wrong)[0]
