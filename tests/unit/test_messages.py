# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every refusal and failure says what is wrong, of whom or where, and what to do, by names that there are.

They are read out of the source, so that none is forgotten: what an error is raised with, and what the rooms that find
problems yield or return.
"""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import named
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.plugin_utils import _gate

_ROOT = Path(__file__).resolve().parents[2]
_PLUGINS = _ROOT / "plugins"

_FOR_PEOPLE = {"Failure", "NoCredential", "AnsibleActionFail"}
"""Errors that end a module or a task with their text."""
_FINDERS = (
    *("module_utils/_plan/refusals.py", "module_utils/_plan/credentials.py", "module_utils/_plan/locked_out.py"),
    *("module_utils/_plan/cockpit.py", "module_utils/_plan/doors.py", "module_utils/_wanted/bounds.py"),
    *("module_utils/_backends/backends.py", "module_utils/_texts/drop_in.py", "plugin_utils/_gate.py"),
    *("plugin_utils/_variables.py", "action/twofactor_recover.py", "action/twofactor_verify.py"),
)
"""Files whose functions yield or return sentences about what is wrong, or add them to `problems`."""

_WELL = {"right"}
"""Functions that say that all is well."""

_OPTIONS = {*argument_spec(), "users_files", "secret_file"}
_PLAYBOOKS = {path.stem for path in (_ROOT / "playbooks").glob("*.yml")}
_MODULES = {path.stem for path in (_PLUGINS / "modules").glob("*.py")}
_REMEDY = re.compile(
    r"\b(Add|Ask|Choose|Copy|Create|Enable|Enrol|Exempt|Find|Give|Hand|Install|Leave|Log in|Make|Mend|Move|Name|Put|"
    r"Remove|Reset|Restore|Run|Say|See|Set|Start|Stop|Take|Turn|Type|Use|Write|"
    r"give|install|keep|leave|let|name|put|remove|run|set|take|use|must be|did you mean|Supported parameters)\b"
    r"|\{[^}]*(remed|instead|advice|refusals|unfit|error|Error|reason|problem|_RIGHT)"
)
"""What begins with what to do, or where that is put in."""
_PUT_IN = re.compile(r"\{[^{}]*\}|O\(\w+\)")


class Message(t.NamedTuple):
    """A text in the source."""

    where: str
    text: str
    """What is put in stands in braces, as it is in the source."""

    def __str__(self) -> str:
        return self.where


def _text(node: ast.expr) -> str | None:
    """What an expression says, or None where it says nothing that is in the source."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, (ast.Constant, ast.FormattedValue))
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(node.left), _text(node.right)]
        known = [part or f"{{{ast.unparse(side)}}}" for part, side in zip(parts, (node.left, node.right), strict=True)]
        return "".join(known) if any(parts) else None
    if isinstance(node, ast.IfExp):
        return _text(node.body) or _text(node.orelse)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("named", "join")) and node.args:
        return _text(node.args[0])
    return None


def _said(path: Path) -> t.Iterator[tuple[int, ast.expr]]:
    """The expressions of a file that somebody reads as an error, with their lines."""
    finds = str(path.relative_to(_PLUGINS)) in _FINDERS
    tree = ast.parse(path.read_text())
    well = {id(one) for node in ast.walk(tree) if getattr(node, "name", "") in _WELL for one in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in well:
            continue
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if (name in _FOR_PEOPLE or ast.unparse(node.func) == "problems.append") and node.args:
                yield node.lineno, node.args[0]
        elif finds and isinstance(node, (ast.Yield, ast.Return)) and node.value is not None:
            values = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
            yield from ((node.lineno, value) for value in values)


def _messages() -> list[Message]:
    found = []
    for path in sorted(_PLUGINS.rglob("*.py")):
        for line, node in _said(path):
            text = _text(node)
            # What is shorter is a part of a sentence, or a word.
            if text is not None and len(text) > _SHORTEST and " " in text.strip():
                found.append(Message(f"{path.relative_to(_PLUGINS)}:{line}", text))
    return found


_SHORTEST = 40
MESSAGES = _messages()
WHOLE = [one for one in MESSAGES if re.search(r"\.(\{said\})?$", one.text.rstrip())]


def test_are_found() -> None:
    """Were the source written in another way, the others would find nothing to look at."""
    assert len(MESSAGES) > 100
    assert len(WHOLE) > 85


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_names_options_playbooks_and_modules_that_there_are(message: Message) -> None:
    assert set(re.findall(r"\bO\((\w+)\)", message.text)) <= _OPTIONS
    for name in re.findall(r"fleet\.auth\.(\w+)", message.text):
        assert name in _PLAYBOOKS | _MODULES


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_has_each_option_so_that_the_role_can_call_it_by_its_own_name(message: Message) -> None:
    """`ssh_first_factors` would mean nothing to whoever sets twofactor_ssh_first_factors."""
    if not message.where.startswith("module_utils/_"):
        return
    prose = _PUT_IN.sub("", message.text)
    plain = {name for name in _OPTIONS if "_" in name and re.search(rf"(?<![\w.]){name}(?!\w)", prose)}
    assert not plain


@pytest.mark.parametrize("message", WHOLE, ids=str)
def test_says_of_whom_or_where_and_what_to_do(message: Message) -> None:
    assert re.search(r"\{|O\(\w+\)|-e \w+=|The host", message.text), "neither a name nor an option"
    assert _REMEDY.search(message.text), f"nothing to do: {message.text}"


class TestNames:
    """What the role and what a module call an option."""

    def test_are_those_that_somebody_sets(self) -> None:
        told = "Set O(renew) to changed, or renew: NAME in O(users)."
        assert named(told, "") == "Set renew to changed, or renew: NAME in users."
        assert named(told, "twofactor_") == "Set twofactor_renew to changed, or renew: NAME in twofactor_users."

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"scope": "groups"}, "twofactor_scope is groups, but twofactor_scope_groups is empty"),
            ({"scope": "some"}, "value of twofactor_scope must be one of"),
            ({"window": "wide"}, "argument 'twofactor_window' is of type str"),
            ({"users": "alice"}, "twofactor_users must be a list, such as [alice, {name: bob}], and is a text."),
            ({"lockout": {"attempts": 0}}, "twofactor_lockout.attempts is 0; it must be between 1 and 100."),
        ],
    )
    def test_of_the_role_are_in_what_is_wrong_with_its_variables(self, wrong: dict[str, t.Any], told: str) -> None:
        assert _gate.problems({**wrong, "option_prefix": "twofactor_"})[0].startswith(told)
        assert "twofactor_" not in _gate.problems(wrong)[0]
