# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What GitHub runs, as far as it can be checked elsewhere: workflows are well formed and call existing targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))
_MAKEFILE = (_ROOT / "Makefile").read_text()
_TARGETS = set(re.findall(r"^([a-z-]+):", _MAKEFILE, re.MULTILINE))


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


def test_every_part_of_test_is_run() -> None:
    run = " ".join(path.read_text() for path in _WORKFLOWS)
    called = [target for target in _TARGETS if re.search(rf"\b{target}\b", run)]
    called += [needed for target in called for needed in _line(target)]
    assert set(_listed("one_core")) <= set(called)
    folders = {folder for target in called for folder in re.findall(r"tests/[a-z]+", _recipe(target))}
    assert folders >= _in_turn()


def test_every_test_directory_is_part_of_test() -> None:
    folders = {f"tests/{path.parent.name}" for path in (_ROOT / "tests").glob("*/test_*.py")}
    of_one_core = re.findall(r"pytest (tests/[a-z]+)", " ".join(map(_recipe, _listed("one_core"))))
    assert folders == {*of_one_core, *_in_turn()}


def _in_turn() -> set[str]:
    """The folders of tests that run one after the other."""
    return {folder for variable in ("few_workers", "many_workers") for folder in _listed(variable)}


def _listed(variable: str) -> list[str]:
    """The words of a variable in the Makefile."""
    (words,) = re.findall(rf"^{variable} := (.+)", _MAKEFILE, re.MULTILINE)
    return str(words).split()


def _line(target: str) -> list[str]:
    """The prerequisites of a target."""
    (words,) = re.findall(rf"^{target}:([a-z ]*)", _MAKEFILE, re.MULTILINE)
    return str(words).split()


def _recipe(target: str) -> str:
    """The commands of a target."""
    return _MAKEFILE.partition(f"\n{target}:")[2].partition("\n\n")[0]


def test_hooks_run_what_lint_runs() -> None:
    lint = _recipe("lint")
    (repository,) = yaml.safe_load((_ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert program == "make" or program in lint
