# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module's body, and ends the module with the result that it returns or the failure that it raises."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._wanted.handed import unpack
from .._wanted.settings import Settings, SettingsError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Result = t.Dict[str, t.Any]
"""What a module returns; it includes `changed`."""


class Failure(Exception):
    """A module cannot do what it was asked to. The text is for people; `result` is returned along with it."""

    def __init__(self, message: str, **result: t.Any) -> None:
        super().__init__(message)
        self.result = result


def run(module: AnsibleModule, body: t.Callable[[AnsibleModule], Result]) -> None:
    """Run a module's body as root, and end the module.

    An error of the host, such as a broken disk, becomes a sentence. Any other error than Failure keeps its traceback.
    """
    try:
        if os.geteuid() != 0:
            raise Failure(f"{module._name} needs root on {os.uname().nodename}: set become to true.")
        result = body(module)
    except Failure as failure:
        module.fail_json(**sendable({"msg": str(failure), **failure.result}))
        raise
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        told = f"{module._name} cannot look at {os.uname().nodename}: {what}. Correct that there, and run again."
        module.fail_json(**sendable({"msg": told}))
        raise
    module.exit_json(**sendable(result))


def sendable(value: t.Any) -> t.Any:
    """The value with each byte that is not UTF-8 escaped: Ansible accepts no answer that has one."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {sendable(key): sendable(one) for key, one in value.items()}
    return [*map(sendable, value)] if isinstance(value, (list, tuple)) else value


def hours_of(module: AnsibleModule, allowed: tuple[int, int]) -> int:
    """The parameter `hours`. Raises Failure if it is not from the first to the second of `allowed`."""
    hours: int = module.params["hours"]
    low, high = allowed
    if not low <= hours <= high:
        raise Failure(f"hours is {hours}; it must be from {low} to {high}. Nothing was changed.")
    return hours


def settings_of(module: AnsibleModule, further: t.Iterable[str] = ()) -> Settings:
    """The settings that a module was given. Raises Failure if they contradict each other or are out of bounds.

    `further` are files that the module needs beside those that are compared with the host.
    """
    try:
        settings = Settings.from_options(module.params, backends.unsupported)
    except SettingsError as error:
        raise Failure(f"Nothing was changed: {error}", refusals=list(error.problems)) from error
    if "files" not in module.params:
        return settings
    needed = [*further]
    if settings.enabled:
        needed += [*places.FOR_LOGINS, *places.FOR_GUARD, *(places.FOR_SELF_SERVICE if settings.self_service else ())]
    return replace(settings, files=files_of(module, needed))


def files_of(module: AnsibleModule, needed: t.Iterable[str]) -> dict[str, str]:
    """The texts of the files that the controller gave to a module, by path. Raises Failure if one is missing."""
    files = unpack(module.params["files"])
    if not all(path in files for path in needed):
        raise Failure(
            f"Nothing was changed: {module._name} did not get the files that it installs on a host. The part of it "
            "that runs on the controller sends them: run it as a task, by its full name."
        )
    return files
