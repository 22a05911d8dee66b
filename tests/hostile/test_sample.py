# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sample of the answers of compromised hosts; `make hostile` tries all of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils import _asking
from ansible_collections.fleet.auth.plugins.plugin_utils._answers import SHAPES, accepted

from .answers import RIGHT, SentAnswer, lies, some_lies
from .fleet import PLAYBOOKS, SOUND, Fleet
from .trial import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.mark.parametrize("module", RIGHT)
def test_right_answers_are_accepted(module: str) -> None:
    """If right answers were refused, the code behind that check would not be tried at all."""
    assert not accepted(module, RIGHT[module]).get("failed")
    assert not accepted(module, SOUND[module]).get("failed")
    assert set(SHAPES) == set(RIGHT)


def test_thousands_of_lies_exist(tmp_path: Path) -> None:
    assert len(list(lies(str(tmp_path)))) > 2000


def test_no_answer_harms_the_controller(trial: Trial) -> None:
    chosen = some_lies(str(trial.outside), 300, beginning=1)
    assert {lie.what: harm for lie in chosen if (harm := trial.harm(lie))} == {}


def test_huge_answer_ends_quickly(trial: Trial) -> None:
    began = time.monotonic()
    assert trial.harm(SentAnswer("twofactor_verify", "100 MB", '{"valid": true, "x": "' + "a" * 100_000_000)) == ""
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("module", ["twofactor", "twofactor_info"])
def test_huge_failure_is_shortened(trial: Trial, module: str) -> None:
    huge = "ok: [good1]\n\x1b[2J" * 700_000
    failure = {"failed": True, "msg": huge, "module_stdout": huge, "module_stderr": huge}
    assert trial.harm(SentAnswer(module, "30 MB in a failure", json.dumps(failure))) == ""
    assert len(json.dumps(trial.found)) < 250_000


@pytest.mark.parametrize("script", ["yes '{'", "cat /dev/zero", "sleep 60"])
def test_endless_answer_is_stopped(trial: Trial, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(_asking, "ANSWER_SECONDS", 5)
    began = time.monotonic()
    assert trial.harm_of_script(f"exec {script}") == ""
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("playbook", "module"), [(name, module) for name in PLAYBOOKS for module in PLAYBOOKS[name][0]]
)
def test_no_host_harms_the_controller_or_reports_of_other_hosts(tmp_path: Path, playbook: str, module: str) -> None:
    fleet = Fleet(tmp_path)
    chosen = some_lies(str(fleet.outside), 6, beginning=len(playbook), module=module)
    assert fleet.harm(playbook, chosen) == [], chosen
