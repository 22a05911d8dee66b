# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each module takes along to a host, and what a host that is already right has to compile."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unit.closure import PLUGINS, closure

_ROOM = "ansible_collections.fleet.auth.plugins.module_utils"

_LOOK = {
    *("_backends/backends", "_backends/codes", "_backends/google_authenticator", "_backends/oath"),
    *("_host/clock", "_host/command", "_host/look", "_host/state", "_host/time_sync"),
    *("_plan/changes", "_plan/credentials", "_plan/lockouts", "_plan/planning", "_plan/refusals", "_plan/report"),
    *("_runs/survey",),
    *("_texts/dispatch", "_texts/pam", "_texts/pam_conf", "_texts/self_service", "_texts/sshd_config", "_texts/tally"),
    *("_wanted/handed", "_wanted/options", "_wanted/settings"),
    *("_places",),
}
"""What a look at a host needs, a plan, and a report of both."""
_APPLY = {"_apply/credential_files", "_apply/files", "_apply/journal", "_apply/transaction"}
CLOSURES = {
    "enrolment_sheets": set[str](),
    "rollout_report": set[str](),
    "status_report": set[str](),
    "time_sync_info": {"_host/clock", "_host/command", "_host/time_sync"},
    "twofactor": {*_LOOK, *_APPLY, "_runs/converge"},
    "twofactor_info": _LOOK,
}
"""The files of module_utils by module."""


@pytest.mark.parametrize("module", CLOSURES)
def test_a_module_takes_along_what_it_needs_and_nothing_else(module: str) -> None:
    assert sorted(closure(PLUGINS / "modules" / f"{module}.py")) == sorted(CLOSURES[module])


def test_a_look_at_a_host_reads_nothing_that_changes_it() -> None:
    code = f"import sys\nfrom {_ROOM}._runs import survey\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name[len(_ROOM) + 1 :].replace(".", "/") for name in done.stdout.split() if name.startswith(_ROOM)}
    assert {name for name in imported if "/" in name or name == "_places"} == _LOOK - {"_wanted/options"}
