# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way through the house: options, settings, a look, a plan, and the plan applied or not."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _apply, _backends, _changes, _host, _plan, _report
from ansible_collections.fleet.auth.plugins.module_utils._command import runner
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings, SettingsError
from ansible_collections.fleet.auth.plugins.module_utils._state import HostState

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def require_root(module: AnsibleModule) -> None:
    """End a module that could not see or change what it has to."""
    if os.geteuid() != 0:
        module.fail_json(msg=f"{module._name} needs root on {os.uname().nodename}: set become to true.")


def converge(module: AnsibleModule) -> None:
    """Bring the host to the wanted state, or in check mode say what that would take."""
    settings = settings_of(module)
    if module.check_mode:
        state, plan = _look_and_plan(module, settings)
        module.exit_json(changed=plan.changed or state.pending, **_result(settings, state, state, plan))
    try:
        with _apply.exclusive():
            _carry_out(module, settings, actions_of(module))
    except (_apply.ApplyError, OSError) as error:
        module.fail_json(msg=f"Two-factor login on {os.uname().nodename}: {error}")


def actions_of(module: AnsibleModule) -> _apply.Actions:
    """What applying needs of the host, by way of the module."""
    run = runner(module)
    return _apply.Actions(run, lambda user, address: _host.effective(run, user, address))


def inform(module: AnsibleModule) -> None:
    """Tell the state of the host, compared with the wanted one."""
    settings = settings_of(module)
    state = _host.look(settings, runner(module))
    plan = _plan.plan(settings, state, _host.stranger(settings))
    module.exit_json(
        changed=False,
        pending=state.pending,
        exempt=_report.exempt(settings, state),
        would_be_locked_out=_report.locked_out(settings, state),
        changes=_report.changes(plan),
        missing_packages=list(plan.missing_packages),
        drift=list(plan.warnings),
        refusals=list(plan.refusals),
        **_report.status(settings, state),
    )


def settings_of(module: AnsibleModule) -> Settings:
    """The settings that a module was given; it ends here where they are none, or where it is not root."""
    require_root(module)
    try:
        return Settings.from_options(module.params)
    except SettingsError as error:
        module.fail_json(msg=f"Nothing was changed: {error}", refusals=list(error.problems))
        raise


def _carry_out(module: AnsibleModule, settings: Settings, actions: _apply.Actions) -> None:
    pending = _apply.is_pending()
    if not pending:
        _apply.clean_up(actions)
    else:
        restored = _apply.undo(actions)
        if _apply.is_pending():
            raise _apply.ApplyError(f"an earlier change died half-way. {restored}")
        module.warn(f"an earlier change had died half-way, or nobody had confirmed it. {restored}")
    state, plan = _look_and_plan(module, settings)
    if plan.missing_packages:
        module.fail_json(
            msg=f"{_backends.BACKENDS[settings.backend].MODULE} is missing on {state.hostname}. Nothing was changed. "
            f"Install {', '.join(plan.missing_packages)} first; the role fleet.auth.twofactor does.",
            missing_packages=list(plan.missing_packages),
        )
    if not plan.changes:
        module.exit_json(changed=pending, **_result(settings, state, state, plan))
    with _apply.applied(plan, actions, settings.rollback_after) as token:
        after = _host.look(settings, actions.run)
        rest = _plan.plan(settings, after, _host.stranger(settings))
        if rest.changes or rest.refusals:
            found = ", ".join([*_report.changes(rest), *rest.refusals])
            raise _apply.ApplyError(
                f"after the change the host is not in the wanted state, because something else changes it too: {found}."
            )
    if not settings.rollback_after:
        _apply.confirm(token, actions)
    confirmation = token if settings.rollback_after else ""
    module.exit_json(changed=True, **_result(settings, state, after, plan, confirmation))


def _look_and_plan(module: AnsibleModule, settings: Settings) -> tuple[HostState, _changes.Plan]:
    state = _host.look(settings, runner(module))
    plan = _plan.plan(settings, state, _host.stranger(settings))
    for warning in plan.warnings:
        module.warn(warning)
    if plan.refusals:
        module.fail_json(
            msg=f"Two-factor login on {state.hostname} was not changed: {' '.join(plan.refusals)}",
            refusals=list(plan.refusals),
            **_report.status(settings, state),
        )
    return state, plan


def _result(
    settings: Settings, before: HostState, after: HostState, plan: _changes.Plan, confirmation: str = ""
) -> dict[str, t.Any]:
    return {
        "diff": _report.diff(plan, before),
        "changes": [*(["put back what nobody confirmed"] if before.pending else []), *_report.changes(plan)],
        "refusals": [],
        "missing_packages": list(plan.missing_packages),
        "os_family": before.os_family,
        "confirmation": confirmation,
        "to_enrol": list(plan.to_enrol),
        "unproven": _report.unproven(settings, after),
        **_report.status(settings, after),
    }
