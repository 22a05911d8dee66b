# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.fleet.auth.plugins.plugin_utils._failures import show_failure_once
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import CheckedAction, refused


class ActionModule(CheckedAction):
    """Runs the module if there is a code to check, and says whether the code was right."""

    @show_failure_once
    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        refusals = _missing(self._task.args)
        if refusals:
            return refused(refusals)
        done: dict[str, t.Any] = super().run(tmp, task_vars)
        if "valid" not in done:
            return done
        user, host = self._task.args["user"], (task_vars or {})["inventory_hostname"]
        if done["valid"]:
            return {**done, "msg": right(user, host, check_mode=self._task.check_mode)}
        return {**done, "msg": wrong(user, host, str(self._task.args["code"]))}


def right(user: str, host: str, *, check_mode: bool = False) -> str:
    """The message for a right code."""
    verb = "would be" if check_mode else "is"
    return f"The code of {user} was right on {host}. It {verb} used up, and {user} {verb} proven."


def wrong(user: str, host: str, code: str) -> str:
    """The message for a wrong code, with the likely reasons."""
    digits = "".join(code.split())
    has_form = digits.isdecimal() and len(digits) >= _SHORTEST
    form = "" if has_form else f" It has fewer than {_SHORTEST} digits, or something else in it."
    return (
        f"The code of {user} was not right on {host}.{form} It may be from another host's entry in the app, or was "
        "used already, or the phone's clock is wrong. It was not counted as a wrong code; take the next one."
    )


def _missing(arguments: t.Mapping[str, t.Any]) -> list[str]:
    """A refusal if an option has no value, for example because the run had no terminal to ask on."""
    given = {name: str(arguments.get(name) or "").strip() for name in ("user", "code")}
    missing = [name for name, value in given.items() if value in ("", "None")]
    if not missing:
        return []
    return [
        f"No {' and no '.join(missing)} was given. Type it at the prompt, or, where there is no terminal as in AWX, "
        "give user and code as variables, from a survey whose code is of the type password."
    ]


_SHORTEST = 6
