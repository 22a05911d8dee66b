# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import tempfile
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils import _status

display = Display()


class ActionModule(ActionBase):
    """Reports what the hosts of the play have told."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        _validation, given = self.validate_argument_spec(
            {
                "answer": {"type": "str", "required": True},
                "page": {"type": "str", "default": ""},
                "data": {"type": "str", "default": ""},
                "template": {"type": "str", "default": "status.html.j2"},
            }
        )
        hostvars = variables["hostvars"]
        lines = [
            _status.line(host, hostvars[host].get(given["answer"])) for host in variables["ansible_play_hosts_all"]
        ]
        summary = _status.summary(lines)
        display.display(f"\n{_status.table(lines)}\n")
        if given["page"]:
            path = self._find_needle("templates", given["template"])
            template = trust_as_template(self._loader.get_text_file_contents(path))
            known = {**variables, "report": {**summary, "verdicts": _status.VERDICTS}}
            templar = self._templar.copy_with_new_env(available_variables=known)
            _write(Path(given["page"]), templar.template(template, overrides={"trim_blocks": True}))
        if given["data"]:
            _write(Path(given["data"]), json.dumps(summary, indent=2) + "\n")
        counts = {verdict: summary[verdict] for verdict in _status.VERDICTS}
        return {**result, "changed": False, "hosts": summary["hosts"], "counts": counts}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
            file.write(text)
        os.rename(file.name, path)
    except OSError as error:
        raise AnsibleActionFail(f"The report {path} cannot be written: {error.strerror}.") from None
