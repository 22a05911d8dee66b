# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingNormalAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once


class ActionModule(AskingNormalAction):
    """Runs the module. If no new connection gets in after the change, it says what happens next."""

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        try:
            done: dict[str, t.Any] = super().run(tmp, variables)
        except AnsibleConnectionFailure as error:
            when = _when(self._templar.template(variables.get("twofactor_rollback_after")))
            # A host that rolls back must not be reported as merely unreachable.
            raise AnsibleActionFail(
                f"After the change of two-factor login, no new connection to {variables['inventory_hostname']} gets "
                f"in. Nobody has to do anything: the host rolls itself back {when}. What ssh said: "
                f"{error.message}"
            ) from None
        return done


def _when(seconds: object) -> str:
    """When the host rolls back. Only the role knows how many seconds the module has set for the timer."""
    return f"{seconds} seconds after the change" if seconds else "when the time of rollback_after is over"
