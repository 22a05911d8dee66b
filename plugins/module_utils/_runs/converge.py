# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings a host to the wanted state in one execution.

First it undoes what an earlier run left unfinished. After it has carried out the plan, it looks at the host again.
"""

from __future__ import annotations

import os
import typing as t

from .. import _places as places
from .._apply import pending, transaction
from .._apply.actions import ApplyError
from .._host.look import look
from .._plan import planning, report
from .._plan.situation import Situation
from .._wanted.settings import Settings
from .changing import ACTIONS, changing_after_others
from .main import Failure, Result, settings_of
from .preview import plan_or_fail, result

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def converge(module: AnsibleModule) -> Result:
    """Bring the host to the wanted state."""
    settings = settings_of(module, places.FOR_A_CHANGE)
    with changing_after_others(module, f"Two-factor login on {os.uname().nodename}"):
        return _carry_out(module, settings)


def _carry_out(module: AnsibleModule, settings: Settings) -> Result:
    """Undo an unfinished change, plan, apply, and check that the host is as wanted."""
    interrupted = pending.is_pending()
    if interrupted:
        restored = transaction.undo(ACTIONS)
        if pending.is_pending():
            raise ApplyError(f"an earlier change was interrupted. {restored}")
        module.warn(f"an earlier change had been interrupted, or nobody had confirmed it. {restored}")
    else:
        transaction.clean_up(ACTIONS)
    before, plan = plan_or_fail(module, settings)
    if plan.missing_packages:
        raise Failure(
            f"Packages are missing on {before.state.hostname}. Nothing was changed. Install "
            f"{', '.join(plan.missing_packages)} first; the role fleet.auth.twofactor does.",
            missing_packages=list(plan.missing_packages),
        )
    if not plan.changes:
        return result(module, before, before, plan, changed=interrupted)
    with transaction.applied(plan, ACTIONS, settings.rollback_after, settings.files) as token:
        after = Situation(settings, look(settings, ACTIONS.run))
        remaining = planning.plan(after, os.urandom)
        if remaining.changes or remaining.refusals:
            differences = ", ".join([*report.changes(remaining), *remaining.refusals])
            raise ApplyError(
                f"after the change the host is not in the wanted state, because something else changes it too: "
                f"{differences}."
            )
    if not settings.rollback_after:
        transaction.confirm(ACTIONS)
    confirmation = token if settings.rollback_after else ""
    return result(module, before, after, plan, changed=True, confirmation=confirmation)
