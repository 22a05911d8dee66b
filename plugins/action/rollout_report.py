# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils import _rollout
from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ReportAction
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import variables_of_hosts, write_report


class ActionModule(ReportAction):
    """Reports how far the rollout is on the hosts of the play."""

    OPTIONS: t.ClassVar = {
        "plan": {"type": "str", "required": True},
        "result": {"type": "str", "required": True},
        "data": {"type": "str", "default": ""},
        "junit": {"type": "str", "default": ""},
        "outlook": {"type": "bool", "default": False},
        "leave_out": {"type": "bool", "default": False},
        "sheets": {"type": "str", "default": ""},
        "ssh": {"type": "bool", "default": False},
    }

    def do(self, given: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        found = [*variables_of_hosts(variables, given["plan"], given["result"])]
        lines = [_rollout.line(*one) for one in found]
        if given["outlook"]:
            text = _rollout.outlook(lines, leave_out=given["leave_out"])
        else:
            then = _rollout.next_steps(lines, given["sheets"], ssh=given["ssh"])
            text = "\n\n".join(part for part in (_rollout.table(lines), then) if part)
        self.publish(text, _rollout.summary(lines), given["data"], variables)
        if given["junit"]:
            write_report(given["junit"], _rollout.junit(lines))
        # A line has the name as it can be shown; here it is as the inventory has it.
        by_name = dict(zip((name for name, *_values in found), lines, strict=True))
        return {
            "outcomes": {name: one.outcome for name, one in by_name.items()},
            "unready": [name for name, one in by_name.items() if one.outcome in _rollout.UNREADY],
            "unwell": {name: _rollout.short(one) for name, one in by_name.items() if one.outcome not in _rollout.WELL},
        }
