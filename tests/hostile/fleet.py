# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole playbooks over hosts of which most lie, and the harm that they must not do on the controller.

A host is a script that replaces Python and prints the answer, over Ansible's connection `local`.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
import typing as t
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from .answers import RIGHT, Answer, SentAnswer

SECONDS = 240
"""Time limit of a playbook."""
SOUND: dict[str, Answer] = {
    **RIGHT,
    "twofactor": {
        **RIGHT["twofactor"],
        "changed": False,
        "diff": [],
        "missing_packages": [],
        "changes": [],
        "to_enrol": [],
        "unproven": [],
    },
    "twofactor_info": {
        **RIGHT["twofactor_info"],
        "exempt": ["ansible"],
        "changes": [],
        "missing_packages": [],
        "refusals": [],
        "drift": [],
        "pending": False,
        "would_be_locked_out": [],
    },
}
"""Answers of a host on which there is nothing to do."""
_PYTHON = """#!/bin/sh
sent=$(cat)
for module in {modules}; do
    case $sent in *fleet.auth.plugins.modules.$module*) exec cat "{answers}/$module" ;; esac
done
exec cat "{answers}/other"
"""
PLAYBOOKS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "enable": (("twofactor", "twofactor_enrolment_info"), ()),
    "rollout": (
        ("twofactor", "twofactor_enrolment_info"),
        ("twofactor_rollout_data=out.json", "twofactor_rollout_junit=out.xml", "twofactor_rollout_leave_out=true"),
    ),
    "status": (("twofactor_info",), ("twofactor_status_data=out.json", "twofactor_status_page=out.html")),
    "enrol": (("twofactor_info", "twofactor_enrolment_info"), ("user=alice",)),
    "pass": (("twofactor_pass",), ("user=alice",)),
    "invite": (("twofactor_invitation",), ("user=alice",)),
    "verify": (("twofactor_verify",), ("user=alice", "code=123456")),
    "adopt": (("twofactor_adopt",), ()),
    "accept": (("twofactor_accept",), ("user=alice",)),
    "recover": (("twofactor",), ("everyone=true",)),
}
"""By playbook: the modules whose answers it uses, and the variables that it is run with."""
_SHEET = re.compile(
    r"work/sheets/(alice(\+[\w.:@+-]+)?@(bad\d+|good\d)\.html|(pass|invitation)-alice@(bad\d+|good\d)\.txt)"
)
_OWN = re.compile(r"(home|tmp)/.*|work/out\.(json|xml|html)")


class Fleet:
    """Two hosts that answer correctly, and one lying host per lie."""

    def __init__(self, root: Path) -> None:
        self.outside = root / "outside"
        self._root = root
        for name in ("outside", "evil", "home", "tmp", "work/sheets"):
            (root / name).mkdir(parents=True)
        (root / "work" / "sheets").chmod(0o700)
        (root / "evil" / "pwn.yml").write_text("- ansible.builtin.command: touch pwned\n  delegate_to: localhost\n")

    def harm(self, playbook: str, lies: Sequence[SentAnswer]) -> list[str]:
        """The harm that these lies do; each lie is told by a host of its own."""
        _modules, variables = PLAYBOOKS[playbook]
        self._settle("good1", {})
        for number, lie in enumerate(lies):
            self._settle(f"bad{number}", {lie.module: lie.text})
        self._settle("good2", {})
        names = ["good1", *(f"bad{number}" for number in range(len(lies))), "good2"]
        (self._root / "inventory.json").write_text(
            json.dumps({"all": {"hosts": {name: self._host(name) for name in names}}})
        )
        before, began = self._files(), time.monotonic()
        done = subprocess.run(
            ["ansible-playbook", "--diff", f"--inventory={self._root}/inventory.json", "--forks=8"]
            + [f"--extra-vars={variable}" for variable in variables]
            + [f"fleet.auth.{playbook}"],
            cwd=self._root / "work",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        after = self._files()
        changed = after.keys() ^ before.keys() | {name for name, seen in after.items() if before.get(name) != seen}
        wrong = [
            f"it has written {name}"
            for name in sorted(changed)
            if not _SHEET.fullmatch(name) and not _OWN.fullmatch(name)
        ]
        wrong += self._problems(playbook, done.stdout.decode(errors="surrogateescape"))
        wrong += self._reports()
        if done.returncode not in (0, 2):
            wrong.append(f"it ended with {done.returncode} after {time.monotonic() - began:.0f} seconds")
        return wrong

    def _settle(self, name: str, lies: t.Mapping[str, str]) -> None:
        answers = self._root / "hosts" / name
        answers.mkdir(parents=True, exist_ok=True)
        for module, answer in SOUND.items():
            text = lies.get(module, json.dumps(_of_a_host_to_change(module, answer) if lies else answer))
            (answers / module).write_bytes(text.encode(errors="surrogatepass"))
        outside = str(self.outside)
        facts = {"twofactor_enrolment_dir": outside, "twofactor_status_page": f"{outside}/page.html"}
        (answers / "other").write_text(json.dumps({"changed": True, "ansible_facts": facts, "msg": "\x1b[2J"}))
        python = answers / "python"
        python.write_text(_PYTHON.format(answers=answers, modules=" ".join(sorted(SOUND, reverse=True))))
        python.chmod(0o755)

    def _host(self, name: str) -> Answer:
        return {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": str(self._root / "hosts" / name / "python"),
            "twofactor_enrolment_dir": str(self._root / "work" / "sheets"),
            "twofactor_users": [{"name": "alice"}],
        }

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": f"{self._root}/home",
            "TMPDIR": f"{self._root}/tmp",
            "ANSIBLE_LOCAL_TEMP": f"{self._root}/tmp/ansible",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "LC_ALL": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        return {**{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}, **own}

    def _problems(self, playbook: str, output: str) -> list[str]:
        """What is wrong with the output."""
        wrong = [f"it shows {line!r}" for line in output.split("\n") if not line.replace("\t", "").isprintable()]
        if "Traceback (most recent call last)" in output or "Unexpected Exception" in output:
            wrong.append(f"it ends in an exception: {output[-2000:]}")
        for host in ("good1", "good2"):
            recap = re.findall(rf"^{host} +: ok=\d+ .*$", output, re.MULTILINE)
            if len(recap) != 1 or "failed=0" not in recap[0] or "unreachable=0" not in recap[0]:
                wrong.append(f"{host} ended otherwise than it should: {recap}, {output[-3000:]}")
            told = re.findall(rf"^{host}  +(on|right)\b", output, re.MULTILINE)
            if playbook in ("status", "rollout") and not told:
                wrong.append(f"the line of {host} is wrong: {output[-3000:]}")
        return wrong

    def _reports(self) -> list[str]:
        """What is wrong with the reports."""
        wrong, work = [], self._root / "work"
        if (work / "out.json").exists():
            lines = json.loads((work / "out.json").read_text(), parse_constant=_refuse)["lines"]
            if [line["host"] for line in lines][:: len(lines) - 1] != ["good1", "good2"]:
                wrong.append("out.json has other hosts")
        if (work / "out.xml").exists():
            ElementTree.fromstring((work / "out.xml").read_text())  # noqa: S314 - our own
        for page in [*work.glob("*.html"), *(work / "sheets").glob("*.html")]:
            text = page.read_text()
            if re.search(r"<(form|base|iframe|img)|<script>alert|javascript:", text) or "{{" in text:
                wrong.append(f"{page.name} has something in it that is not ours")
            if "form-action 'none'" not in text or "base-uri 'none'" not in text:
                wrong.append(f"{page.name} lets forms be sent")
        for path in [*work.glob("out.*"), *(work / "sheets").iterdir()]:
            path.unlink()
        return wrong

    def _files(self) -> dict[str, tuple[int, int, int]]:
        """Mode, size and time of all files except those of the hosts."""
        found = {}
        for directory, directories, names in os.walk(self._root):
            if Path(directory) == self._root:
                directories.remove("hosts")
            for name in (*names, *directories):
                path = Path(directory, name)
                seen = path.lstat()
                directory_only = stat.S_ISDIR(seen.st_mode)
                found[str(path.relative_to(self._root))] = (
                    (seen.st_mode, 0, 0) if directory_only else (seen.st_mode, seen.st_size, seen.st_mtime_ns)
                )
        return found


def _of_a_host_to_change(module: str, answer: Answer) -> Answer:
    """The other answers of a lying host. They say that there is something to do, so that the lie is reached."""
    return RIGHT[module] if module == "twofactor" else answer


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is not JSON")
