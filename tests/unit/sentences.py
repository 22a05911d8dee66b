# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages that people read when something is refused or fails, extracted from the source so that none is missed.

These are the texts of errors, problems that finder functions yield or return, failures of tasks in the role and the
playbooks, failures of the recovery command, and answers to people who enrol by themselves.
"""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
_PLUGINS = ROOT / "plugins"
_ROLE = ROOT / "roles" / "twofactor"

_FOR_PEOPLE = {
    *("Failure", "NoCredential", "Refusal", "Ended", "AnsibleActionFail"),
    *("AnsibleError", "AnsibleLookupError", "AnsibleFilterError"),
    *("AnsibleConnectionFailure", "AnsibleAuthenticationFailure"),
}
"""Errors whose text ends a module, a task, a connection or a conversation."""
_CALLS = {"problems.append", "_fail"}
"""Other calls with a text for people: appending to a list of problems, and the end of `twofactor-enrol`."""
_FILES_WITH_PROBLEMS = (
    *("module_utils/_plan/accounts.py", "module_utils/_plan/refusals.py"),
    *("module_utils/_plan/credentials.py", "module_utils/_plan/locked_out.py"),
    *("module_utils/_plan/cockpit.py", "module_utils/_plan/doors.py", "module_utils/_wanted/bounds.py"),
    *("module_utils/_backends/backends.py", "module_utils/_texts/drop_in.py", "plugin_utils/_gate.py"),
    *("plugin_utils/_variables.py", "action/twofactor_recover.py", "action/twofactor_verify.py"),
    "module_utils/_self_service/conversation.py",
)
"""Files whose functions yield or return sentences about what is wrong."""
_NOT_PROBLEMS = {"right", "_everyone"}
"""Functions whose text says that all is well, or what was done."""
_SHORTEST = 40
"""Shorter texts are words or parts of a sentence."""


class Message(t.NamedTuple):
    """A text in the source."""

    where: str
    text: str
    """Values that are filled in are shown in braces, as in the source."""

    def __str__(self) -> str:
        return self.where

    @property
    def is_whole(self) -> bool:
        """Whether it is at least one whole sentence."""
        return self.text.rstrip().endswith(".") or self.where.startswith("twofactor-recover")


def of_python() -> list[Message]:
    """The messages of the plugins and the modules."""
    found = []
    for path in sorted(_PLUGINS.rglob("*.py")):
        for line, text in _texts_in(path):
            if len(text) > _SHORTEST and " " in text.strip():
                found.append(Message(f"{path.relative_to(_PLUGINS)}:{line}", text))
    return found


def _texts_in(path: Path) -> t.Iterator[tuple[int, str]]:
    """The texts of a file that somebody reads as an error, each with its line number."""
    finds = str(path.relative_to(_PLUGINS)) in _FILES_WITH_PROBLEMS
    tree = ast.parse(path.read_text())
    well = {id(one) for node in ast.walk(tree) if getattr(node, "name", "") in _NOT_PROBLEMS for one in ast.walk(node)}
    texts = _Texts(
        {
            ast.unparse(node.targets[0]): node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and node.targets
        }
    )
    for node in ast.walk(tree):
        if id(node) not in well:
            for value in _values(node, finds=finds):
                for one in _alternatives(value):
                    text = texts.of(one)
                    if text is not None:
                        yield node.lineno, text


def _values(node: t.Any, *, finds: bool) -> t.Iterator[ast.expr]:
    """Expressions with error texts in what a node raises, calls or builds or, in such a file, yields or returns."""
    if isinstance(node, ast.Call) and node.args:
        name = ast.unparse(node.func)
        if name.rpartition(".")[2] in _FOR_PEOPLE or name in _CALLS:
            yield node.args[0]
    elif isinstance(node, ast.Dict):
        entries = {
            key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
        }
        # A result with `changed` belongs to a task that has done its work, so its text is no error.
        yield from (entries[key] for key in ("msg", "message") if key in entries and "changed" not in entries)
    elif finds and isinstance(node, (ast.Yield, ast.Return)) and node.value is not None:
        values = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
        # A returned value may begin with a list of what is allowed. If that list is not empty, the rest is no refusal.
        if not (values and isinstance(values[0], ast.List) and values[0].elts):
            yield from values


def _alternatives(node: ast.expr) -> t.Iterator[ast.expr]:
    """The values that an expression may have: itself, or each of its branches."""
    if isinstance(node, ast.IfExp):
        yield from (*_alternatives(node.body), *_alternatives(node.orelse))
    elif isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from _alternatives(one)
    else:
        yield node


class _Texts:
    """The texts of expressions in a file.

    :param constants: expressions by the name of the constant. A remedy that several sentences share is a constant.
    """

    def __init__(self, constants: t.Mapping[str, ast.expr]) -> None:
        self._constants = constants

    def of(self, node: ast.expr) -> str | None:
        """The text of an expression, or None if it has none in the source."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr):
            return "".join(self._part(part) for part in node.values)
        if isinstance(node, ast.Name) and node.id in self._constants:
            return self.of(self._constants[node.id])
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self.of(side) for side in (node.left, node.right)]
            known = [
                part or f"{{{ast.unparse(side)}}}" for part, side in zip(parts, (node.left, node.right), strict=True)
            ]
            return "".join(known) if any(parts) else None
        if isinstance(node, ast.IfExp):
            return self.of(node.body) or self.of(node.orelse)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("named", "join")) and node.args:
            return self.of(node.args[0])
        return None

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.FormattedValue):
            text = self.of(part.value) if isinstance(part.value, ast.Name) else None
            return text or f"{{{ast.unparse(part.value)}}}"
        return str(t.cast(ast.Constant, part).value)


def of_yaml() -> list[Message]:
    """The failure messages of tasks of the role and of the playbooks."""
    found = []
    for path in sorted([*_ROLE.rglob("tasks/**/*.yml"), *(ROOT / "playbooks").glob("*.yml")]):
        for task in tasks(yaml.safe_load(path.read_text())):
            required = task.get("fleet.auth.require")
            if required:
                texts = [required["fail_msg"], *task.get("vars", {}).values()]
                where = f"{path.relative_to(ROOT)}, {task['name']}"
                found += [Message(where, _filled(text)) for text in texts if isinstance(text, str)]
    variables = yaml.safe_load((_ROLE / "vars" / "main.yml").read_text())
    for name in ("__twofactor_no_language", "__twofactor_no_directory"):
        found.append(Message(f"vars/main.yml, {name}", _filled(variables[name])))
    return [one for one in found if re.sub(r"\{[^{}]*\}", "", one.text).strip()]


def tasks(entries: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    """The tasks of a play, a block or a file."""
    for entry in entries:
        yield entry
        for part in ("tasks", "block", "rescue", "always"):
            yield from tasks(entry.get(part, ()))


def _filled(text: str) -> str:
    """The text that a template makes; values that are filled in are shown in braces."""
    return " ".join(
        re.sub(r"\{\{(.*?)\}\}", lambda found: "{" + re.sub(r"[{}]", "", found[1]) + "}", text, flags=re.S).split()
    )


def of_recovery_command() -> list[Message]:
    """The failure messages of the recovery command; values that are filled in are shown in braces."""
    text = (_ROLE / "files" / "twofactor-recover").read_text()
    return [
        Message(
            f"twofactor-recover:{number}",
            re.sub(r"\$\([^()]*\)|\$\{[^}]*\}|\$\w+", lambda put: "{" + put[0].strip("${}()") + "}", said),
        )
        for number, line in enumerate(text.splitlines(), 1)
        for said in re.findall(r'\bfail "((?:\$\([^()]*\)|[^"])*)"', line)
    ]
