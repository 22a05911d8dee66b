# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files each module takes along to a host, and which of them a host with nothing to change has to compile."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unit.closure import PLUGINS, closure

_ROOM = "ansible_collections.fleet.auth.plugins.module_utils"

_TIME_SERVICES = {"_host/chrony", "_host/ntpsec", "_host/openntpd", "_host/timesyncd"}
"""A host compiles only its own time service and those that are tried before it."""
_LOOK = {
    *("_backends/backend", "_backends/backends", "_backends/credential", "_backends/google_authenticator"),
    *("_backends/hotp", "_backends/oath", "_backends/secretfile", "_backends/usersfile"),
    *("_host/accounts", "_host/become", "_host/clock", "_host/cockpit", "_host/command", "_host/credentials"),
    *("_host/execute", "_host/files", "_host/holds", "_host/look", "_host/nss"),
    *(
        "_host/doors",
        "_host/processes",
        "_host/session",
        "_host/sshd",
        "_host/sshd_starts",
        "_host/state",
        "_host/system",
        "_host/systemd",
    ),
    *("_host/time_service", "_host/time_sync", *_TIME_SERVICES),
    *("_plan/changes", "_plan/cockpit", "_plan/credentials", "_plan/draft", "_plan/enable", "_plan/locked_out"),
    *("_plan/held", "_plan/people"),
    "_plan/planning",
    *(
        "_plan/accounts",
        "_plan/doors",
        "_plan/guard",
        "_plan/refusals",
        "_plan/report",
        "_plan/scope",
        "_plan/self_service",
        "_plan/services",
        "_plan/situation",
    ),
    "_plan/warnings",
    *("_runs/looking", "_runs/main", "_runs/preview"),
    *("_texts/cockpit_conf", "_texts/code_step", "_texts/dispatch", "_texts/drop_in", "_texts/found", "_texts/keytab"),
    *("_texts/guard", "_texts/opened", "_texts/pam", "_texts/pam_conf", "_texts/patterns"),
    *("_texts/login_daemons", "_texts/pam_modules", "_texts/placement", "_texts/proof", "_texts/security_keys"),
    *("_texts/sshd_config", "_texts/sshd_start", "_texts/succeed_if", "_texts/tally"),
    *("_texts/sudoers", "_texts/unit_variables", "_texts/vendor_copy"),
    *("_wanted/bounds", "_wanted/handed", "_wanted/options", "_wanted/secret", "_wanted/security_key"),
    *("_wanted/naming", "_wanted/settings"),
    "_places",
}
"""Needed to look at a host, to make a plan, and to report on both."""
_READ = {
    *("_backends/backend", "_backends/backends", "_backends/credential", "_backends/google_authenticator"),
    *("_backends/hotp", "_backends/oath", "_backends/secretfile", "_backends/usersfile"),
    *("_host/command", "_host/files", "_host/state", "_host/time_service", "_runs/main", "_places"),
    *("_texts/code_step", "_texts/dispatch", "_texts/pam", "_texts/pam_conf", "_texts/pam_modules", "_texts/patterns"),
    *("_texts/placement", "_texts/proof", "_texts/sshd_config", "_texts/sshd_start", "_texts/succeed_if"),
    *("_wanted/bounds", "_wanted/handed", "_wanted/secret", "_wanted/security_key", "_wanted/settings"),
    "_wanted/naming",
}
"""Needed to read one file."""
_LATER = {"_host/logins", "_plan/disable", "_plan/wording"}
"""Compiled by a host only if two-factor login is to be off, or if something changes."""
_APPLY = {
    *("_apply/actions", "_apply/credential_files", "_apply/files", "_apply/journal", "_apply/lock", "_apply/pending"),
    *("_apply/reload", "_apply/staging", "_apply/transaction", "_apply/units", "_apply/xattrs"),
}
CLOSURES = {
    "enrolment_sheets": set[str](),
    "require": set[str](),
    "rollout_report": set[str](),
    "security_key": set[str](),
    "sheet_index": set[str](),
    "status_report": set[str](),
    "time_sync_info": {
        *("_host/clock", "_host/command", "_host/execute", "_host/time_service", "_host/time_sync", *_TIME_SERVICES),
    },
    "twofactor": {*_LOOK, *_LATER, *_APPLY, "_runs/changing", "_runs/converge"},
    "twofactor_confirm": {
        *(
            *_READ - {"_host/files"},
            *_APPLY,
            "_host/execute",
            "_host/session",
            "_host/sshd",
            "_plan/changes",
            "_runs/changing",
            "_runs/confirm",
        ),
    },
    "twofactor_enrolment_info": {*_READ, "_runs/credential", "_runs/enrolments"},
    "twofactor_info": {
        *(*_LOOK - {"_runs/preview"}, *_LATER, "_runs/info", "_host/key_denials", "_plan/survey"),
        *("_host/invitations", "_texts/invitation"),
    },
    "verify_report": set[str](),
}
"""The files of module_utils by module."""


@pytest.mark.parametrize("module", CLOSURES)
def test_module_imports_only_what_it_needs(module: str) -> None:
    assert sorted(closure(PLUGINS / "modules" / f"{module}.py")) == sorted(CLOSURES[module])


def test_look_at_a_host_imports_nothing_that_changes_it() -> None:
    code = f"import sys\nfrom {_ROOM}._runs import preview\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name[len(_ROOM) + 1 :].replace(".", "/") for name in done.stdout.split() if name.startswith(_ROOM)}
    assert {name for name in imported if "/" in name} == _LOOK - _TIME_SERVICES - {
        *("_backends/backend", "_places", "_wanted/options"),
    }
