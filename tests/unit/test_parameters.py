# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a playbook is given with `-e`, and what comes of slips in it."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from unit import answering

PASS = {"changed": True, "until": "2030-01-01T00:00:00Z", "code": "123456"}
INFO = {
    **answering.STATUS,
    **{name: [] for name in ("refusals", "refused", "warned", "missing_packages", "exempt", "changes", "lets_in")},
    **{name: [] for name in ("denying", "drift", "doors", "would_be_locked_out")},
    "changed": False,
    "invitations": {},
    "pending": False,
}
HOST = {
    "twofactor_pass": PASS,
    "twofactor_invitation": {"changed": True, "until": PASS["until"], "code": "ABCD-EFGH"},
    "twofactor_info": INFO,
    "twofactor_enrolment_info": {"changed": False, "enrolments": [answering.ENROLMENT]},
}


def run(folder: Path, playbook: str, wanted: dict[str, t.Any], **given: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a playbook over one host, with the variables of the inventory and those that were given with `-e`."""
    (folder / "group_vars").mkdir()
    (folder / "group_vars" / "all.yml").write_text(json.dumps({"twofactor_enrolment_dir": "sheets", **wanted}))
    return answering.run(folder, playbook, {"web1": HOST}, **given)


class TestGoesBeforeTheVariableOfTheRole:
    @pytest.mark.parametrize(
        ("playbook", "wanted", "given", "written"),
        [
            ("pass", {"twofactor_pass_user": "bob"}, {}, "pass-bob@web1.txt"),
            ("pass", {"twofactor_pass_user": "bob"}, {"user": "alice"}, "pass-alice@web1.txt"),
            ("invite", {"twofactor_invite_user": "bob"}, {"user": "alice"}, "invitation-alice@web1.txt"),
            ("enrol", {"twofactor_enrol": ["alice"]}, {}, "alice@web1.html"),
            ("enrol", {"twofactor_enrol": ["bob"]}, {"user": "alice"}, "alice@web1.html"),
            ("enrol", {"twofactor_enrol": ["bob"]}, {"users": " alice"}, "alice@web1.html"),
        ],
    )
    def test_of_people(
        self, tmp_path: Path, playbook: str, wanted: dict[str, t.Any], given: dict[str, t.Any], written: str
    ) -> None:
        done = run(tmp_path, playbook, wanted, **given)
        assert done.returncode == 0, done.stdout
        assert [path.name for path in (tmp_path / "sheets").iterdir()] == [written]

    def test_in_a_report(self, tmp_path: Path) -> None:
        done = run(tmp_path, "status", {"twofactor_status_user": "bob"}, user="alice")
        assert done.returncode == 0, done.stdout
        assert "1 host: 1 enrolled" in done.stdout, done.stdout
