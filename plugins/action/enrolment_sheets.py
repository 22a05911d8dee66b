# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils._pages import PageAction, put

_PROGRESS_SECONDS = 2.0

display = Display()


class ActionModule(PageAction):
    """Reads secrets on the host, and writes the sheets on the controller, so that no variable ever holds a secret."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "users": {"type": "list", "elements": "str", "required": True},
                "directory": {"type": "str", "required": True},
                "place": {"type": "str", "default": variables["inventory_hostname"]},
                "template": {"type": "str", "default": "sheet.html.j2"},
            }
        )
        found = self._execute_module("fleet.auth.twofactor_enrolment_info", {"users": given["users"]}, None, variables)
        if found.get("failed"):
            return {**result, **found}
        render = self.renderer(given["template"], {**variables, "place": given["place"]})
        changed, paths = False, []
        for enrolment in self._with_progress(found["enrolments"], variables["inventory_hostname"]):
            path = Path(given["directory"], _file_name(enrolment, given["place"]))
            changed |= self._write(path, render(enrolment=enrolment))
            paths.append(str(path))
        return {**result, "changed": changed, "sheets": paths}

    def _with_progress(self, enrolments: list[dict[str, t.Any]], host: str) -> t.Iterator[dict[str, t.Any]]:
        said = time.monotonic()
        for number, enrolment in enumerate(enrolments):
            if time.monotonic() - said > _PROGRESS_SECONDS:
                display.display(f"{host}: {number} of {len(enrolments)} sheets")
                said = time.monotonic()
            yield enrolment

    def _write(self, path: Path, text: str) -> bool:
        """Put the sheet in its place at once, for its owner alone. Returns whether it is another one."""
        try:
            if path.exists() and path.read_bytes() == text.encode() and path.stat().st_mode & 0o7777 == 0o600:
                return False
            if not self._task.check_mode:
                put(path, text)
        except OSError as error:
            raise AnsibleActionFail(f"The enrolment sheet {path} cannot be written: {error.strerror}.") from None
        return True


def _file_name(enrolment: dict[str, t.Any], place: str) -> str:
    device = f"+{enrolment['device']}" if enrolment["device"] else ""
    return f"{enrolment['user']}{device}@{place.replace('/', '-')}.html"
