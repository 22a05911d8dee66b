# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import pack
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from ansible_collections.fleet.auth.plugins.plugin_utils._asking import AskingAction
from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import (
    parameters_of_the_host,
    refused,
    unread_variables,
)

_PREFIX = "twofactor-recover: "
_REFUSED = 2
"""The exit status of the recovery command if it refuses its arguments."""
_UNTIL = "The next run of fleet.auth.enable or fleet.auth.rollout asks again, as the variables say."
_NEEDED = ("changed", "diff", "failed", "module_stderr", "module_stdout", "msg", "rc", "unreachable", "warnings")


class ActionModule(AskingAction):
    """Lets one account in with the recovery command of the host, or everyone by turning two-factor login off."""

    _supports_check_mode = True

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec({"user": {"type": "str"}, "everyone": {"type": "raw"}})
        # A variable of the inventory that has the name of a parameter must let nobody in, and keep nobody out.
        given.update(dict.fromkeys(parameters_of_the_host(self, variables)))
        user, everyone = given["user"], boolean(given["everyone"] or False, strict=False)
        refusals = unread_variables(self, variables) or _unclear(user, everyone=everyone)
        if refusals:
            return {**result, **refused(refusals)}
        return {**result, **(self._everyone(variables) if everyone else self._one_user(user, variables))}

    def _everyone(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        options = {"enabled": False, "files": pack(_host_files.texts(places.FOR_A_CHANGE))}
        done: dict[str, t.Any] = self._execute_module("fleet.auth.twofactor", options, None, variables)
        if done.get("failed") or done.get("unreachable"):
            return _short(done)
        verb = "would be" if self._task.check_mode else "is"
        host = variables["inventory_hostname"]
        state = f"{verb} off for everyone on {host}" if done["changed"] else f"was off already on {host}"
        return {**_short(done), "msg": f"Two-factor login {state}; secrets are kept. {_UNTIL}"}

    def _one_user(self, user: str, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Let one user in without a code, with the recovery command of the host."""
        host = variables["inventory_hostname"]
        command = {"argv": [places.RECOVERY_COMMAND, "--user", user], "removes": places.SWITCH}
        done: dict[str, t.Any] = self._execute_module("ansible.builtin.command", command, None, variables)
        if done.get("unreachable"):
            return done
        lines = [line.removeprefix(_PREFIX) for key in ("stderr", "stdout") for line in done.get(key, "").splitlines()]
        message = " ".join(lines).replace("on this host", f"on {host}")
        if done.get("failed"):
            # Ansible counts any failed command as a change, but this one may have refused before it began.
            changed = bool(done.get("changed")) and done.get("rc") != _REFUSED
            why = (message or done.get("msg", "no reason")).rstrip(".")
            return {**_short(done), "changed": changed, "msg": f"{user} was not let in on {host}: {why}."}
        if "stdout" not in done or message.startswith("skipped, since "):
            return {
                **_short(done),
                "changed": False,
                "msg": f"Two-factor login is off on {host}; {user} needs no code.",
            }
        if self._task.check_mode:
            return {**_short(done), "changed": True, "msg": f"{user} would need no code on {host}. {_UNTIL}"}
        return {**_short(done), "changed": "until the next run" in message, "msg": f"{message}. {_UNTIL}"}


def _unclear(user: str | None, *, everyone: bool) -> list[str]:
    """Why it is not clear who should be let in: a mistake must not let everyone in."""
    if user is not None and everyone:
        return ["user and everyone are both given. Give -e user=NAME for one account, or -e everyone=true."]
    if user is None and not everyone:
        return ["Nobody is named. Give -e user=NAME for one account, or -e everyone=true to turn it off for everyone."]
    if user is not None and not user.strip():
        return ["user is empty. Give -e user=NAME for one account, or -e everyone=true to turn it off for everyone."]
    return []


def _short(done: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The parts of a module's result that people need, or that Ansible shows."""
    return {key: done[key] for key in _NEEDED if key in done}
