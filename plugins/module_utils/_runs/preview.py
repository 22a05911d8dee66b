# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans what would bring a host to the wanted state: check mode, and the first half of a change."""

from __future__ import annotations

import typing as t

from .._host.execute import run
from .._plan import report, warnings
from .._plan.changes import Plan
from .._plan.situation import Situation
from .._wanted.settings import Settings
from . import looking
from .main import Failure, Result, sendable, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def preview(module: AnsibleModule) -> Result:
    """Return what would bring the host to the wanted state."""
    situation, plan = plan_or_fail(module, settings_of(module))
    return result(module, situation, situation, plan, changed=plan.changed or situation.state.pending)


def plan_or_fail(module: AnsibleModule, settings: Settings) -> tuple[Situation, Plan]:
    """What was seen of the host, and the plan. Passes on its warnings, and raises Failure if it refuses."""
    situation, plan = looking.look_and_plan(settings, run, lambda _situation: False)
    for warning in plan.warnings:
        module.warn(sendable(str(warning)))
    if plan.refusals:
        raise Failure(
            f"Two-factor login on {situation.state.hostname} was not changed: {' '.join(plan.refusals)}",
            refusals=list(plan.refusals),
            refused=report.all_users(plan.refusals),
            warned=report.all_users(plan.warnings),
            **report.in_short(situation),
        )
    for warning in warnings.self_made(situation):
        module.warn(sendable(warning))
    return situation, plan


def result(
    module: AnsibleModule, before: Situation, after: Situation, plan: Plan, *, changed: bool, confirmation: str = ""
) -> Result:
    """What the module returns; `after` is the host as it is now. With the diff, if it was asked for."""
    return {
        "changed": changed,
        **({"diff": report.diff(plan, before.state)} if module._diff else {}),
        "changes": [*(["put back what nobody confirmed"] if before.state.pending else []), *report.changes(plan)],
        "refusals": [],
        "refused": [],
        "warned": report.all_users(plan.warnings),
        "missing_packages": list(plan.missing_packages),
        "os_family": before.state.os_family,
        "confirmation": confirmation,
        "to_enrol": list(plan.to_enrol),
        "unproven": report.to_prove(after),
        **report.status(after),
    }
