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
def test_package_manager_is_taken_only_from_the_facts_of_a_host(manager: str) -> None:
    facts = {"ansible_pkg_mgr": manager, "twofactor_enrolment_dir": "/srv"}
    found = {"changed": False, "failed": False, "manager": manager}
    assert reduced({"changed": False, "ansible_facts": facts}) == found
    assert reduced(found) == found


@pytest.mark.parametrize("strange", ["command", "../dnf", "dnf\n", "fleet.auth.pass", ["dnf"], {"dnf": 1}, 5, None])
def test_unknown_package_manager_is_refused(strange: t.Any) -> None:
    assert reduced({"changed": False, "ansible_facts": {"ansible_pkg_mgr": strange}}) == reduced({"changed": False})
    assert "manager" not in reduced({"ansible_facts": strange, "manager": "command"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"changed": False, "ansible_facts": {"ansible_pkg_mgr": "dnf"}}, ""),
        ({"changed": False, "ansible_facts": {"ansible_pkg_mgr": "command"}}, "The host has none of dnf, dnf5."),
        ({"failed": True, "ansible_facts": 5, "msg": "ok: [web2]\u202e\n\x9b2J"}, r"ok: [web2]\\u202e \\x9b2J"),
    ],
)
def test_package_manager_of_a_host_is_shown_with_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: answering.Answer, expected: str
) -> None:
    (tmp_path / "answer").write_text(f"{json.dumps(answer)}\nok: [web2] \u202e\x9b2J", encoding="utf-8")
    other = f"cat '{tmp_path}/answer'"
    monkeypatch.setattr(answering, "_PYTHON", answering._PYTHON.replace("echo '{{\"changed\": true}}'", other))
    done = answering.run(tmp_path, "enable", {"web1": {"twofactor": PLAN}}, twofactor_users=["alice"])
    assert (done.returncode == 0) is (not expected), done.stdout
    assert expected in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
