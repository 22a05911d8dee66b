# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages are installed with the package manager that the host names, if it is a known one."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils._answers import reduced
from unit import answering

PLAN = {**answering.PLAN, "os_family": "rhel", "to_enrol": [], "unproven": []}


@pytest.mark.parametrize("manager", ["dnf", "dnf5"])
def test_manager_of_a_host_is_taken_of_its_facts_and_nothing_else(manager: str) -> None:
    facts = {"ansible_pkg_mgr": manager, "twofactor_enrolment_dir": "/srv"}
    found = {"changed": False, "failed": False, "manager": manager}
    assert reduced({"changed": False, "ansible_facts": facts}) == found
    assert reduced(found) == found


@pytest.mark.parametrize("strange", ["command", "../dnf", "dnf\n", "fleet.auth.pass", ["dnf"], {"dnf": 1}, 5, None])
def test_nothing_else_is_one(strange: t.Any) -> None:
    assert reduced({"changed": False, "ansible_facts": {"ansible_pkg_mgr": strange}}) == reduced({"changed": False})
    assert "manager" not in reduced({"ansible_facts": strange, "manager": "command"})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"changed": False, "ansible_facts": {"ansible_pkg_mgr": "dnf"}}, ""),
        ({"changed": False, "ansible_facts": {"ansible_pkg_mgr": "command"}}, "The host has none of dnf, dnf5."),
        ({"failed": True, "ansible_facts": 5, "msg": "ok: [web2]\u202e\n\x9b2J"}, r"ok: [web2]\\u202e \\x9b2J"),
    ],
)
def test_what_a_host_says_of_its_manager_is_shown_as_any_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: answering.Answer, told: str
) -> None:
    (tmp_path / "answer").write_text(f"{json.dumps(answer)}\nok: [web2] \u202e\x9b2J", encoding="utf-8")
    other = f"cat '{tmp_path}/answer'"
    monkeypatch.setattr(answering, "_PYTHON", answering._PYTHON.replace("echo '{{\"changed\": true}}'", other))
    done = answering.run(tmp_path, "enable", {"web1": {"twofactor": PLAN}}, twofactor_users=["alice"])
    assert (done.returncode == 0) is (not told), done.stdout
    assert told in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
