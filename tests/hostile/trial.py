# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give an action the answers of a host one after the other, and pass each result on to everything that uses it.

The actions are the real ones, with Ansible's own connection `local`. A script that prints the answer replaces Python.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from pathlib import Path
from xml.etree import ElementTree

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugins
from ansible.template import Templar

from ansible_collections.fleet.auth.plugins.plugin_utils import _rollout, _status

from .answers import ARGUMENTS, RIGHT, Answer, SentAnswer

_SHEETS = {"users": ["alice"], "place": "bad1", "template": "sheet.html.j2"}
_SHEET = re.compile(r"sheets/alice(\+[A-Za-z0-9][A-Za-z0-9_.:@+-]*)?@bad1\.html")
"""Sheets of the account that the action was asked for. People name devices on the host itself, so any name is fine."""
_ROLE = Path(__file__).resolve().parents[2] / "roles" / "twofactor"


class Trial:
    """A controller in a directory of its own, next to one that nothing may be written to."""

    def __init__(self, root: Path) -> None:
        self.outside = root / "outside"
        self._root = root
        self._answer = root / "answer"
        self._sheets = root / "sheets"
        self._python = python = root / "python"
        for directory in (self.outside, self._sheets, root / "evil"):
            directory.mkdir()
        (root / "evil" / "pwn.yml").write_text("- command: touch pwned\n")
        self._answer_by(f"exec cat {self._answer}")
        self._variables = {
            "inventory_hostname": "bad1",
            "ansible_python_interpreter": str(python),
            "ansible_pipelining": True,
            "twofactor_issuer": "",
            "twofactor_help": "",
            "twofactor_otp_digits": 6,
        }
        self._seen = self._files()
        self.found: Answer = {}
        """The result of the last action."""

    def harm(self, answer: SentAnswer) -> str:
        """The harm that an answer does; empty if it does none."""
        self._answer.write_bytes(answer.text.encode(errors="surrogatepass"))
        try:
            self.found = self._run_action(answer.module, ARGUMENTS[answer.module])
            wrong = self._problem(answer.module, self.found)
        except AnsibleError as error:
            wrong = "" if error.message.replace("\n", "").isprintable() else "its message is not printable"
        except Exception as error:
            wrong = f"it ends in {type(error).__name__}: {error}"[:300]
        after = self._files()
        changed = after.keys() ^ self._seen.keys() | {
            name for name, seen in after.items() if self._seen.get(name) != seen
        }
        self._seen = after
        strangers = [name for name in changed if not _SHEET.fullmatch(name)]
        return wrong or (f"it has written {', '.join(strangers)}" if strangers else "")

    def harm_of_script(self, script: str) -> str:
        """The harm that the output of a shell script does as an answer."""
        self._answer_by(script)
        self._seen = self._files()
        return self.harm(SentAnswer("twofactor_verify", script, ""))

    def _answer_by(self, script: str) -> None:
        self._python.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
        self._python.chmod(0o755)

    def _run_action(self, module: str, arguments: Answer) -> Answer:
        """Run the action of a module and return its result."""
        variables, loader = self._variables, DataLoader()
        loader.set_basedir(str(_ROLE))
        name = f"fleet.auth.{module}"
        task = Task.load({"action": name, "args": arguments}, loader=loader)
        connection = plugins.connection_loader.get("local", PlayContext(), os.devnull)
        connection.set_options(var_options=variables)
        connection._shell = plugins.shell_loader.get("sh")
        connection._shell.set_options(var_options=variables)
        action = plugins.action_loader.get(
            name,
            task=task,
            connection=connection,
            play_context=PlayContext(),
            loader=loader,
            templar=Templar(loader, variables=variables),
            shared_loader_obj=plugins,
        )
        return t.cast(Answer, action.run(task_vars=variables))

    def _problem(self, module: str, found: Answer) -> str:
        """What is wrong with the result of the action, or with the reports and sheets made from it."""
        if not _printable(found):
            return "something in it is not printable"
        json.dumps(found, allow_nan=False)
        if found.keys() & {
            "ansible_facts",
            "add_host",
            "add_group",
            "ansible_stats",
            "unreachable",
            "skipped",
            "results",
        }:
            return "Ansible would act on what is in it"
        if module == "twofactor_info":
            lines = [
                _status.line("good1", RIGHT[module]),
                _status.line("bad1", found),
                _status.line("good2", RIGHT[module]),
            ]
            return _problem_of_report(_status.table(lines), _status.summary(lines))
        if module == "twofactor":
            plans = [RIGHT[module], found, RIGHT[module]]
            planned = [
                _rollout.line(host, plan, None) for host, plan in zip(("good1", "bad1", "good2"), plans, strict=True)
            ]
            ElementTree.fromstring(_rollout.junit(planned))  # noqa: S314 - our own
            return _problem_of_report(_rollout.table(planned), _rollout.summary(planned))
        if module == "twofactor_enrolment_info":
            sheets = self._run_action("enrolment_sheets", {**_SHEETS, "directory": str(self._sheets)})
            return "" if _printable({**sheets, "sheets": []}) else "something of the sheets is not printable"
        return ""

    def _files(self) -> dict[str, tuple[int, int, int]]:
        """Mode, size and time of all files except the one that the trial itself writes."""
        found = {}
        for directory, _directories, names in os.walk(self._root):
            for name in names:
                path = Path(directory, name)
                seen = path.lstat()
                found[str(path.relative_to(self._root))] = (seen.st_mode, seen.st_size, seen.st_mtime_ns)
        return {name: seen for name, seen in found.items() if name != "answer"}


def _problem_of_report(table: str, summary: Answer) -> str:
    """What is wrong with a report on two hosts that answer correctly and a third one. The worst host comes first."""
    json.dumps(summary, allow_nan=False)
    rows = table.splitlines()
    if not all(row.isprintable() for row in rows):
        return "the table is not printable"
    cells = {host: told for host, *told in map(str.split, rows[1:4])}
    if cells.keys() != {"good1", "bad1", "good2"} or cells["good1"] != cells["good2"]:
        return "the lines of other hosts are wrong"
    if any(row.startswith("good") and ": " not in row for row in rows[4:]):
        return "a line looks like one of another host"
    return ""


def _printable(value: t.Any) -> bool:
    if isinstance(value, dict):
        return all(_printable(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(map(_printable, value))
    return not isinstance(value, str) or value.replace("\n", "").replace("\t", "").isprintable()
