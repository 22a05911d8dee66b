# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out in one execution: what an earlier run left is put right first, and the outcome looked at."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _apply, _backends, _changes, _host, _plan, _report
from ansible_collections.fleet.auth.plugins.module_utils._command import runner
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings
from ansible_collections.fleet.auth.plugins.module_utils._survey import look_and_plan, result, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def converge(module: AnsibleModule) -> None:
    """Bring the host to the wanted state."""
    settings = settings_of(module)
    try:
        with _apply.exclusive():
            _carry_out(module, settings, actions_of(module))
    except (_changes.ApplyError, OSError) as error:
        module.fail_json(msg=f"Two-factor login on {os.uname().nodename}: {error}")


def actions_of(module: AnsibleModule) -> _apply.Actions:
    """What applying needs of the host, by way of the module."""
    run = runner(module)
    return _apply.Actions(run, lambda user, address: _host.effective(run, user, address))


def _carry_out(module: AnsibleModule, settings: Settings, actions: _apply.Actions) -> None:
    pending = _apply.is_pending()
    if not pending:
        _apply.clean_up(actions)
    else:
        restored = _apply.undo(actions)
        if _apply.is_pending():
            raise _changes.ApplyError(f"an earlier change died half-way. {restored}")
        module.warn(f"an earlier change had died half-way, or nobody had confirmed it. {restored}")
    state, plan = look_and_plan(module, settings)
    if plan.missing_packages:
        module.fail_json(
            msg=f"{_backends.BACKENDS[settings.backend].MODULE} is missing on {state.hostname}. Nothing was changed. "
            f"Install {', '.join(plan.missing_packages)} first; the role fleet.auth.twofactor does.",
            missing_packages=list(plan.missing_packages),
        )
    if not plan.changes:
        module.exit_json(changed=pending, **result(settings, state, state, plan))
    with _apply.applied(plan, actions, settings.rollback_after) as token:
        after = _host.look(settings, actions.run)
        rest = _plan.plan(settings, after, _host.stranger(settings))
        if rest.changes or rest.refusals:
            found = ", ".join([*_report.changes(rest), *rest.refusals])
            raise _changes.ApplyError(
                f"after the change the host is not in the wanted state, because something else changes it too: {found}."
            )
    if not settings.rollback_after:
        _apply.confirm(token, actions)
    confirmation = token if settings.rollback_after else ""
    module.exit_json(changed=True, **result(settings, state, after, plan, confirmation))
