# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Relative paths on the controller start in the directory where Ansible was started, whatever uses them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import on_controller

ROLE = "fleet.auth.twofactor"


def test_paths_are_relative_to_the_working_or_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/alice")
    assert on_controller("./enrolment/../reports") == tmp_path / "reports"
    assert on_controller("~/reports") == Path("/home/alice/reports")
    assert on_controller("/srv/x") == Path("/srv/x")


def test_playbook_of_the_collection_writes_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices" / "1.json").write_text(json.dumps({"hosts": 1, "lines": []}))
    options = {
        "twofactor_status_slices": ["./slices/1.json"],
        "twofactor_status_page": "out/status.html",
        "twofactor_status_data": "./out/status.json",
    }
    words = ["ansible-playbook", "-i", "web0,", "fleet.auth.status", "-e", json.dumps(options)]
    done = preloaded.run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["status.html", "status.json"]


def test_sheet_directory_of_the_role_is_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    steps: list[dict[str, t.Any]] = [
        {"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "steps/sheet_directory", "public": True}},
        {"ansible.builtin.debug": {"msg": "pass={{ __twofactor_pass_file }}"}},
    ]
    options = {"twofactor_enrolment_dir": "./enrolment", "twofactor_pass_user": "alice"}
    play = [{"hosts": "web0", "gather_facts": False, "vars": options, "tasks": steps}]
    (tmp_path / "elsewhere" / "play.yml").write_text(json.dumps(play))
    done = preloaded.run("ansible-playbook", "-i", "web0,", "elsewhere/play.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "enrolment").stat().st_mode & 0o777 == 0o700
    assert f"pass={tmp_path}/enrolment/pass-alice@web0.txt" in done.stdout
    assert not (tmp_path / "elsewhere" / "enrolment").exists()
