# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of sudo, as far as they make it ask another PAM service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host import become
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import sudoers
from unit.builders import SERVICES, host_state, plan, settings
from unit.simulator import Machine


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Defaults pam_service=sudo-corp", [(1, "pam_service", "sudo-corp")]),
        ('\n\tDefaults:%ops env_reset, \\\n\tpam_service = "ops"\n', [(2, "pam_service", "ops")]),
        ("Defaults@web1 !lecture,pam_login_service=x,pam_askpass_service=y", None),
        ("Defaults pam_service=sudo, pam_login_service=sudo-i, pam_askpass_service=sudo\n", []),
        ("Defaults pam_login_service=sudo\n", [(1, "pam_login_service", "sudo")]),
        ("# Defaults pam_service=x\nDefaults env_reset # pam_service=x\nalice ALL=(ALL) pam_service=x\n", []),
        # The # before the number of an account or group starts no comment, and neither does one in quotes.
        ("Defaults:#1001 pam_service=x # pam_login_service=y", [(1, "pam_service", "x")]),
        ("Defaults:alice,%#27 !lecture\nDefaults>#0 pam_service=x", [(2, "pam_service", "x")]),
        ('Defaults passprompt="# \\"of %u", pam_service=x', [(1, "pam_service", "x")]),
        ("Defaults !pam_session, pam_ruser\nDefaultsX pam_service=x\n", []),
    ],
)
def test_show_where_another_pam_service_is_set(text: str, found: list[tuple[int, str, str]] | None) -> None:
    told = [(one.number, one.setting, one.service) for one in sudoers.other_services({"/etc/sudoers": text})]
    assert told == ([(1, "pam_login_service", "x"), (1, "pam_askpass_service", "y")] if found is None else found)


def test_includes_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SUDOERS", f"{tmp_path}/sudoers")
    (tmp_path / "rules d").mkdir()
    rules = {
        "sudoers": f'@includedir {tmp_path}/rules\\ d\n#include further\n@include "gone"\n'
        '@include "by \\"quotes"\n@include rules.%h\n# include no\n#includes\n',
        "rules d/10-a": "@include ../sudoers\n",
        "rules d/b.rpmsave": "x",
        "rules d/c~": "x",
        "further": "#1000 ALL=(ALL) ALL\n",
        'by "quotes': "x",
        f"rules.{os.uname().nodename.partition('.')[0]}": "x",
        "no": "x",
    }
    for name, text in rules.items():
        (tmp_path / name).write_text(text)
    found = become.sudo_rules()
    assert {Path(path).resolve() for path in found} == {
        tmp_path / name for name in rules if not name.startswith(("rules d/b", "rules d/c", "no"))
    }


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ("", "/etc/sudoers"),
        ("Plugin sudoers_policy sudoers.so\n# Plugin sudoers_policy sudoers.so sudoers_file=/no\n", "/etc/sudoers"),
        ("\tPlugin sudoers_policy sudoers.so sudoers_mode=0440 \\\n sudoers_file=/etc/corp\n", "/etc/corp"),
    ],
)
def test_are_found_where_sudo_conf_says(config: str, path: str) -> None:
    assert sudoers.main_file(config) == path


def test_other_pam_service_is_refused_unless_it_also_asks() -> None:
    rules = {"/etc/sudoers.d/corp": "Defaults:%ops pam_service=sudo-corp\n"}
    state = host_state(files={f"{places.PAM_D}/sudo-corp": SERVICES["sudo"]}, sudo_rules=rules)
    wanted = settings("alice", "bob", "carol", services=["sudo"], exempt_users=["ansible"])
    assert plan(wanted, state).refusals == (
        "sudo on web1 uses the PAM service sudo-corp in place of sudo, at least for some users (/etc/sudoers.d/corp "
        "line 1: pam_service), and sudo-corp asks for no code. Remove this setting, or add sudo-corp to services.",
    )
    both = settings("alice", "bob", "carol", services=["sudo", "sudo-corp"], exempt_users=["ansible"])
    made = plan(both, state)
    assert made.refusals == ()
    on = Machine.booted(state).stages(made.changes)[-1].state
    assert report.enforced(Situation(both, on)) == {"sudo": True, "sudo-corp": True}
    # The other service has since been removed from the settings.
    assert report.enforced(Situation(wanted, on)) == {"sudo": False, "sudo-corp": True}
    login = host_state(sudo_rules={"/etc/sudoers": "Defaults pam_login_service=su\n"})
    assert plan(wanted, login).refusals == ()
