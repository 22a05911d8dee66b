# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries a plan out in one execution: what an earlier run left is put right first, and the outcome looked at."""

from __future__ import annotations

import os
import typing as t

from .. import _places as places
from .._apply import transaction
from .._host import look
from .._host.command import runner
from .._plan import changes, planning, report
from .._wanted.settings import Settings
from .survey import look_and_plan, result, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def converge(module: AnsibleModule) -> None:
    """Bring the host to the wanted state."""
    settings = settings_of(module, places.FOR_A_CHANGE)
    try:
        with transaction.exclusive():
            _carry_out(module, settings, actions_of(module))
    except (changes.ApplyError, OSError) as error:
        module.fail_json(msg=f"Two-factor login on {os.uname().nodename}: {error}")


def actions_of(module: AnsibleModule) -> transaction.Actions:
    """What applying needs of the host, by way of the module."""
    run = runner(module)
    return transaction.Actions(run, lambda user, address: look.effective(run, user, address))


def _carry_out(module: AnsibleModule, settings: Settings, actions: transaction.Actions) -> None:
    pending = transaction.is_pending()
    if not pending:
        transaction.clean_up(actions)
    else:
        restored = transaction.undo(actions)
        if transaction.is_pending():
            raise changes.ApplyError(f"an earlier change died half-way. {restored}")
        module.warn(f"an earlier change had died half-way, or nobody had confirmed it. {restored}")
    state, plan = look_and_plan(module, settings)
    if plan.missing_packages:
        module.fail_json(
            msg=f"Packages are missing on {state.hostname}. Nothing was changed. Install "
            f"{', '.join(plan.missing_packages)} first; the role fleet.auth.twofactor does.",
            missing_packages=list(plan.missing_packages),
        )
    if not plan.changes:
        module.exit_json(changed=pending, **result(settings, state, state, plan))
    with transaction.applied(plan, actions, settings.rollback_after, settings.files) as token:
        after = look.look(settings, actions.run)
        rest = planning.plan(settings, after, look.stranger(settings))
        if rest.changes or rest.refusals:
            found = ", ".join([*report.changes(rest), *rest.refusals])
            raise changes.ApplyError(
                f"after the change the host is not in the wanted state, because something else changes it too: {found}."
            )
    if not settings.rollback_after:
        transaction.confirm(token, actions)
    confirmation = token if settings.rollback_after else ""
    module.exit_json(changed=True, **result(settings, state, after, plan, confirmation))
