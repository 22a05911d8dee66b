# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display

_PROGRESS_SECONDS = 2.0

display = Display()


class ActionModule(ActionBase):
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
        template = trust_as_template(
            self._loader.get_text_file_contents(self._find_needle("templates", given["template"]))
        )
        changed, paths = False, []
        for enrolment in self._with_progress(found["enrolments"], variables["inventory_hostname"]):
            known = {**variables, "place": given["place"], "enrolment": enrolment}
            templar = self._templar.copy_with_new_env(available_variables=known)
            text = templar.template(template, overrides={"trim_blocks": True})
            path = Path(given["directory"], _file_name(enrolment, given["place"]))
            changed |= self._write(path, text)
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
        content = text.encode()
        try:
            if path.exists() and path.read_bytes() == content and path.stat().st_mode & 0o7777 == 0o600:
                return False
            if not boolean(self._task.check_mode):
                with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                    try:
                        file.write(content)
                        file.flush()
                        os.rename(file.name, path)
                    except OSError:
                        os.unlink(file.name)
                        raise
        except OSError as error:
            raise AnsibleActionFail(f"The enrolment sheet {path} cannot be written: {error.strerror}.") from None
        return True


def _file_name(enrolment: dict[str, t.Any], place: str) -> str:
    device = f"+{enrolment['device']}" if enrolment["device"] else ""
    return f"{enrolment['user']}{device}@{place.replace('/', '-')}.html"
