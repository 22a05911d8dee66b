# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at a host and plans. Reads recent logins too if somebody may be asked for a code for the first time."""

from __future__ import annotations

import os
import typing as t

from .. import _places as places
from .._host.command import Run
from .._host.holds import holds
from .._host.look import look, look_back
from .._plan import held, planning
from .._plan.changes import Plan, Write, touched
from .._plan.situation import Situation
from .._wanted.settings import Settings


def look_and_plan(settings: Settings, run: Run, needs_logins: t.Callable[[Situation], bool]) -> tuple[Situation, Plan]:
    """What was seen of the host, and the plan.

    Recent logins are looked up if the plan changes who is asked, or if `needs_logins` says so.
    """
    situation = Situation(settings, look(settings, run))
    plan = planning.plan(situation, os.urandom)
    if settings.seen_days and (_changes_who_is_asked(plan) or needs_logins(situation)):
        situation = Situation(settings, look_back(settings, run, situation.state))
        plan = planning.plan(situation, os.urandom)
    return situation, _with_refused_holds(situation, plan)


def _with_refused_holds(situation: Situation, plan: Plan) -> Plan:
    """The plan; with refusals and no changes if something keeps files that it changes from being changed."""
    if not plan.changes:
        return plan
    refused = [*held.refusals(situation.state.hostname, holds(touched(plan.changes)))]
    return plan._replace(changes=(), to_enrol=(), refusals=(*plan.refusals, *refused)) if refused else plan


def _changes_who_is_asked(plan: Plan) -> bool:
    """Whether the plan changes who is asked for a code."""
    policy = (places.SWITCH, places.DROP_IN)
    return any(isinstance(change, Write) and change.path in policy for change in plan.changes)
