# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What GitHub runs, as far as it can be seen without GitHub: that it is well formed, and calls targets that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))
_TARGETS = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", _WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_targets_that_exist(path: Path) -> None:
    called = set()
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        matrix = job["strategy"]["matrix"]
        for step in job["steps"]:
            words = step.get("run", "").replace("${{ matrix.target }}", " ".join(matrix.get("target", ())))
            if words.startswith("make "):
                called |= set(re.sub(r"[A-Z]+=.*", "", words).split()[1:])
    assert called
    assert called <= _TARGETS, called - _TARGETS


def test_every_target_that_is_part_of_test_is_run() -> None:
    (parts,) = re.findall(r"^test: ([a-z ]+) ##", (_ROOT / "Makefile").read_text(), re.MULTILINE)
    run = " ".join(path.read_text() for path in _WORKFLOWS)
    assert [part for part in parts.split() if not re.search(rf"\b{part}\b", run)] == []


def test_hooks_run_what_lint_runs() -> None:
    lint = (_ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    (repository,) = yaml.safe_load((_ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert program == "make" or program in lint
