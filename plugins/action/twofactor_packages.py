# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._answers import FAMILIES, reduced
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import told_once

_EPEL = (
    "Two-factor login on {host} was not changed: {packages} could not be installed. On RHEL and what is built like it, "
    "it comes from EPEL, which has to be turned on first: https://docs.fedoraproject.org/en-US/epel/ What the package "
    "manager said: {said}"
)


class ActionModule(AskingAction):
    """Installs packages by Ansible's own modules, and takes no more of an answer than what has come of it."""

    _supports_check_mode = True

    @told_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "family": {"type": "str", "choices": sorted(FAMILIES), "required": True},
                "refresh": {"type": "bool", "default": False},
            }
        )
        options = {"name": given["name"], "state": "present"}
        if given["family"] == "debian":
            options["update_cache"] = given["refresh"]
            done = self._execute_module("ansible.builtin.apt", options, None, variables)
        else:
            done = reduced(self._by_ansibles_choice(options, variables))
        told: dict[str, t.Any] = {name: done[name] for name in ("changed", "failed", "msg") if name in done}
        if told.get("failed") and given["family"] == "rhel":
            told["msg"] = _EPEL.format(
                host=variables["inventory_hostname"], packages=", ".join(given["name"]), said=told.get("msg", "nothing")
            )
        return {**result, **told}

    def _by_ansibles_choice(self, options: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Have Ansible find out which package manager a host has, and install by that."""
        task = self._task.copy()
        task.args = options
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.package",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        done: dict[str, t.Any] = action.run(task_vars=variables)
        return done
