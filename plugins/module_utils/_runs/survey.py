# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way through the house up to where something changes: options, settings, a look, a plan, and what is said."""

from __future__ import annotations

import os
import typing as t

from .._host import look
from .._host.command import runner
from .._plan import planning, report
from .._plan.changes import Plan
from .._plan.situation import Situation
from .._wanted.settings import Settings, SettingsError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def require_root(module: AnsibleModule) -> None:
    """End a module that could not see or change what it has to."""
    if os.geteuid() != 0:
        module.fail_json(msg=f"{module._name} needs root on {os.uname().nodename}: set become to true.")


def announce(module: AnsibleModule) -> None:
    """Say what bringing the host to the wanted state would take."""
    settings = settings_of(module)
    situation, plan = look_and_plan(module, settings)
    changed = plan.changed or situation.state.pending
    module.exit_json(changed=changed, **result(situation, situation, plan))


def inform(module: AnsibleModule) -> None:
    """Tell the state of the host, compared with the wanted one."""
    settings = settings_of(module)
    situation = Situation(settings, look.look(settings, runner(module)))
    plan = planning.plan(situation, os.urandom)
    module.exit_json(
        changed=False,
        pending=situation.state.pending,
        exempt=report.exempt(situation),
        would_be_locked_out=report.would_be_locked_out(situation),
        changes=report.changes(plan),
        missing_packages=list(plan.missing_packages),
        drift=list(plan.warnings),
        refusals=list(plan.refusals),
        **report.status(situation),
    )


def settings_of(module: AnsibleModule) -> Settings:
    """The settings that a module was given; it ends here where they are none, or where it is not root."""
    require_root(module)
    try:
        return Settings.from_options(module.params)
    except SettingsError as error:
        module.fail_json(msg=f"Nothing was changed: {error}", refusals=list(error.problems))
        raise


def look_and_plan(module: AnsibleModule, settings: Settings) -> tuple[Situation, Plan]:
    """What was seen of the host, and the plan; the module ends here where that refuses."""
    situation = Situation(settings, look.look(settings, runner(module)))
    plan = planning.plan(situation, os.urandom)
    for warning in plan.warnings:
        module.warn(warning)
    if plan.refusals:
        module.fail_json(
            msg=f"Two-factor login on {situation.state.hostname} was not changed: {' '.join(plan.refusals)}",
            refusals=list(plan.refusals),
            **report.status(situation),
        )
    return situation, plan


def result(before: Situation, after: Situation, plan: Plan, confirmation: str = "") -> dict[str, t.Any]:
    """What the module returns; `after` is the host as it is now."""
    return {
        "diff": report.diff(plan, before.state),
        "changes": [*(["put back what nobody confirmed"] if before.state.pending else []), *report.changes(plan)],
        "refusals": [],
        "missing_packages": list(plan.missing_packages),
        "os_family": before.state.os_family,
        "confirmation": confirmation,
        "to_enrol": list(plan.to_enrol),
        "unproven": report.unproven(after),
        **report.status(after),
    }
