# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ControllerAction


class ActionModule(ControllerAction):
    """Fails with a message if a condition is false."""

    OPTIONS: t.ClassVar = {
        "that": {"type": "bool", "required": True},
        "fail_msg": {"type": "str", "required": True},
    }

    def do(self, given: dict[str, t.Any], _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if not given["that"]:
            raise AnsibleActionFail(given["fail_msg"])
        return {}
