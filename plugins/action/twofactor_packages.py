# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._answers import FAMILIES, MANAGERS
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once

_EPEL = (
    "Two-factor login on {host} was not changed: {packages} could not be installed. On RHEL and similar systems, this "
    "needs EPEL, which must be enabled first: https://docs.fedoraproject.org/en-US/epel/ The package manager said: "
    "{message}"
)


class ActionModule(AskingAction):
    """Installs packages with Ansible's own modules. Of their answers it uses only the outcome and the message."""

    _supports_check_mode = True

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "family": {"type": "str", "choices": sorted(FAMILIES), "required": True},
            }
        )
        options = {"name": given["name"], "state": "present"}
        if given["family"] == "debian":
            done = self._execute_module("ansible.builtin.apt", options, None, variables)
            if done["failed"]:
                # The host's package lists may name files that the archive no longer has.
                done = self._execute_module("ansible.builtin.apt", {**options, "update_cache": True}, None, variables)
        else:
            done = self._by_its_manager(options, variables)
        outcome: dict[str, t.Any] = {name: done[name] for name in ("changed", "failed", "msg") if name in done}
        if outcome.get("failed") and given["family"] == "rhel":
            outcome["msg"] = _EPEL.format(
                host=variables["inventory_hostname"],
                packages=", ".join(given["name"]),
                message=outcome.get("msg", "nothing"),
            )
        return {**result, **outcome}

    def _by_its_manager(self, options: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Find out which package manager a host has, unless that is known, and install with it.

        Ansible's own action `package` would run whichever module the host names, and show its answer unescaped.
        """
        known = (variables.get("ansible_facts") or {}).get("pkg_mgr")
        manager = self._templar.template(variables.get("ansible_package_use")) or known
        if manager not in MANAGERS:
            asked = {"filter": ["ansible_pkg_mgr"], "gather_subset": ["!all"]}
            done: dict[str, t.Any] = self._execute_module("ansible.builtin.setup", asked, None, variables)
            if done["failed"]:
                return done
            manager = done.get("manager")
        if manager not in MANAGERS:
            return {"changed": False, "failed": True, "msg": f"The host has none of {', '.join(MANAGERS)}."}
        installed: dict[str, t.Any] = self._execute_module(f"ansible.builtin.{manager}", options, None, variables)
        return installed
