# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports the state of a host, compared with the wanted one."""

from __future__ import annotations

import typing as t

from .._host import invitations
from .._host.command import Run
from .._host.execute import run
from .._plan import doors, report, survey
from .._plan.situation import Situation
from . import looking
from .main import Result, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def info(module: AnsibleModule) -> Result:
    """Return the state of the host, and what a run would do or refuse."""
    settings = settings_of(module)
    situation, plan = looking.look_and_plan(settings, run, _needs_recent_logins)
    status = report.status(situation)
    for user, denied in _keys_denied(situation, run):
        status["users"][user]["key_denied"] = denied
    return {
        "changed": False,
        "pending": situation.state.pending,
        "exempt": survey.exempt(situation),
        "would_be_locked_out": survey.would_be_locked_out(situation),
        "changes": report.changes(plan),
        "missing_packages": list(plan.missing_packages),
        "lets_in": report.lets_in(situation),
        "denying": report.denying(situation),
        "drift": list(plan.warnings),
        "refusals": list(plan.refusals),
        "refused": report.all_users(plan.refusals),
        "warned": report.all_users(plan.warnings),
        "invitations": {
            user: {"until": invitations.end_of(one), "tries": one.tries}
            for user, one in invitations.open_invitations(situation.state.now).items()
        },
        "doors": [door._asdict() for door in doors.doors(situation, status["asks"])],
        **status,
    }


def _keys_denied(situation: Situation, run: Run) -> t.Iterator[tuple[str, str]]:
    """Yield the users whose security key was denied since it did not ask for its PIN, with `DAY/LABEL`."""
    settings, state = situation
    if not situation.keys_in_force or not settings.seen_days:
        return
    # Imported only if somebody has such keys, which saves compiling it on other hosts.
    from .._host import key_denials

    for denial in key_denials.denials(run, settings.seen_days, state.now):
        label = report.key_denied(situation, denial.name, denial.key)
        if label is not None:
            yield denial.name, f"{denial.day}/{label}"


def _needs_recent_logins(situation: Situation) -> bool:
    """Whether to look up recent logins for `would_be_locked_out`, since sshd does not ask yet."""
    return situation.settings.enabled and not situation.state.asks_at("sshd")
