# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells the state of a host, compared with the wanted one."""

from __future__ import annotations

import os
import typing as t

from .._host.command import runner
from .._host.look import look
from .._plan import planning, report, survey
from .._plan.situation import Situation
from .main import Result, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def info(module: AnsibleModule) -> Result:
    """Tell the state of the host, and what a run would do or refuse."""
    settings = settings_of(module)
    situation = Situation(settings, look(settings, runner(module)))
    plan = planning.plan(situation, os.urandom)
    return {
        "changed": False,
        "pending": situation.state.pending,
        "exempt": survey.exempt(situation),
        "would_be_locked_out": survey.would_be_locked_out(situation),
        "changes": report.changes(plan),
        "missing_packages": list(plan.missing_packages),
        "drift": list(plan.warnings),
        "refusals": list(plan.refusals),
        **report.status(situation),
    }
