# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way through the house up to where something changes: options, settings, a look, a plan, and what is said."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from .. import _places as places
from .._host import look
from .._host.command import runner
from .._host.state import HostState
from .._plan import planning, report
from .._plan.changes import Plan
from .._wanted.handed import unpack
from .._wanted.settings import Settings, SettingsError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def require_root(module: AnsibleModule) -> None:
    """End a module that could not see or change what it has to."""
    if os.geteuid() != 0:
        module.fail_json(msg=f"{module._name} needs root on {os.uname().nodename}: set become to true.")


def files_of(module: AnsibleModule, needed: t.Iterable[str]) -> dict[str, str]:
    """The texts of the files that a module was handed, by path; it ends here where one is missing that it needs."""
    files = unpack(module.params["files"])
    if not all(path in files for path in needed):
        module.fail_json(
            msg=f"Nothing was changed: {module._name} was not handed the files that a host gets. They come from the "
            "part of it that runs on the controller: run it as a task, by its full name."
        )
    return files


def announce(module: AnsibleModule) -> None:
    """Say what bringing the host to the wanted state would take."""
    settings = settings_of(module)
    state, plan = look_and_plan(module, settings)
    module.exit_json(changed=plan.changed or state.pending, **result(settings, state, state, plan))


def inform(module: AnsibleModule) -> None:
    """Tell the state of the host, compared with the wanted one."""
    settings = settings_of(module)
    state = look.look(settings, runner(module))
    plan = planning.plan(settings, state, look.stranger(settings))
    module.exit_json(
        changed=False,
        pending=state.pending,
        exempt=report.exempt(settings, state),
        would_be_locked_out=report.locked_out(settings, state),
        changes=report.changes(plan),
        missing_packages=list(plan.missing_packages),
        drift=list(plan.warnings),
        refusals=list(plan.refusals),
        **report.status(settings, state),
    )


def settings_of(module: AnsibleModule, further: t.Iterable[str] = ()) -> Settings:
    """The settings that a module was given; it ends here where they are none, or where it is not root.

    `further` are files that it needs beside those that are compared with the host.
    """
    require_root(module)
    try:
        settings = Settings.from_options(module.params)
    except SettingsError as error:
        module.fail_json(msg=f"Nothing was changed: {error}", refusals=list(error.problems))
        raise
    if "files" not in module.params:
        return settings
    needed = [*further]
    if settings.enabled:
        needed += [*places.FOR_LOGINS, *(places.FOR_SELF_SERVICE if settings.self_service else ())]
    return replace(settings, files=files_of(module, needed))


def look_and_plan(module: AnsibleModule, settings: Settings) -> tuple[HostState, Plan]:
    """What was seen of the host, and the plan; the module ends here where that refuses."""
    state = look.look(settings, runner(module))
    plan = planning.plan(settings, state, look.stranger(settings))
    for warning in plan.warnings:
        module.warn(warning)
    if plan.refusals:
        module.fail_json(
            msg=f"Two-factor login on {state.hostname} was not changed: {' '.join(plan.refusals)}",
            refusals=list(plan.refusals),
            **report.status(settings, state),
        )
    return state, plan


def result(
    settings: Settings, before: HostState, after: HostState, plan: Plan, confirmation: str = ""
) -> dict[str, t.Any]:
    """What the module returns; `after` is the host as it is now."""
    return {
        "diff": report.diff(plan, before),
        "changes": [*(["put back what nobody confirmed"] if before.pending else []), *report.changes(plan)],
        "refusals": [],
        "missing_packages": list(plan.missing_packages),
        "os_family": before.os_family,
        "confirmation": confirmation,
        "to_enrol": list(plan.to_enrol),
        "unproven": report.unproven(settings, after),
        **report.status(settings, after),
    }
