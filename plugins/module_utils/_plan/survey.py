# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to know before two-factor login is turned on for sshd: who is exempt, and who would be locked out. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from . import credentials, locked_out, warnings
from .situation import Situation


def exempt(situation: Situation) -> list[str]:
    """The accounts that can log in to sshd and never need a code."""
    accounts = situation.state.accounts.values()
    return sorted(
        one.name
        for one in accounts
        if locked_out.logs_in(one) and not (situation.in_scope_now(one) or situation.keys_only(one))
    )


def would_be_locked_out(situation: Situation) -> list[dict[str, t.Any]]:
    """Who would be locked out if sshd and the services asked now; or who is, if everybody with a code is denied."""
    denial = warnings.why_nobody_gets_in(situation.state)
    if denial:
        return _denied(situation, denial)
    with_ssh = Situation(replace(situation.settings, ssh=True), situation.state)
    accounts = locked_out.locked_out(with_ssh, with_ssh.services, with_ssh.enrolled)
    named = situation.settings.named
    return [{"user": one.user, "services": list(one.services), "message": named(one.message)} for one in accounts]


def _denied(situation: Situation, denial: credentials.Denial) -> list[dict[str, t.Any]]:
    """Everybody who can log in, needs a code, and is denied even with a right one."""
    state = situation.state
    services = list(state.protected_services)
    return [
        {
            "user": account.name,
            "services": services,
            "message": f"{account.name} is denied at {' and '.join(services)} on {state.hostname}: {denial.why}. "
            f"{denial.remedy}.",
        }
        for account in state.accounts.values()
        if situation.in_scope_now(account) and (account.has_password or locked_out.logs_in(account))
    ]
