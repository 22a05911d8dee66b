# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions that work on the controller alone."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils._commands import with_inventory
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import refused, unread_variables, variable_problems
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import PageAction, write_report
from ansible_collections.fleet.auth.plugins.plugin_utils._types import in_words

display = Display()


class ControllerAction(ActionBase):
    """An action that works on the controller alone and changes no host, with or without check mode."""

    _supports_check_mode = True
    _requires_connection = False

    OPTIONS: t.ClassVar[t.Mapping[str, t.Any]]
    """Its options, in the form of a module's argument_spec."""
    RULES: t.ClassVar[t.Mapping[str, t.Any]] = {}
    """The rules between them, such as required_together, as for modules."""

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        problems = [*unread_variables(self, variables), *variable_problems(self, variables)]
        if problems:
            return {**result, **refused(problems)}
        try:
            _validation, given = self.validate_argument_spec(self.OPTIONS, **self.RULES)
        except AnsibleActionFail as error:
            raise AnsibleActionFail(f"{in_words(error.message).rstrip('.')}.") from None
        return {**result, "changed": False, **self.do(given, variables)}

    def do(self, given: dict[str, t.Any], variables: dict[str, t.Any], /) -> dict[str, t.Any]:
        """Do the work, with checked options, and return what the task returns in addition to `changed`."""
        raise NotImplementedError


_ONE_BY_ONE = ("free", "host_pinned")
"""The strategies in which a host does not wait for the others. Mitogen's names for them end in the same words."""


class ReportAction(ControllerAction, PageAction):
    """An action that reports the answers of all hosts of a play."""

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        play = self._task.get_play()
        if str(play.strategy).endswith(_ONE_BY_ONE) and len((task_vars or {}).get("ansible_play_hosts_all", ())) > 1:
            raise AnsibleActionFail(
                f"With the strategy {play.strategy} no report of all hosts can be made: a host goes on before the "
                "others have answered. Set strategy: linear in the play."
            )
        done: dict[str, t.Any] = super().run(tmp, task_vars)
        return done

    def publish(self, table: str, summary: t.Mapping[str, t.Any], data: str, variables: t.Mapping[str, t.Any]) -> None:
        """Print the table, and write the summary as JSON to the file `data`, if one is named."""
        display.display(f"\n{with_inventory(table, variables)}\n")
        if data:
            write_report(data, json.dumps(summary, indent=2) + "\n")
