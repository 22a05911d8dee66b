# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils import _verified
from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ReportAction
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import variables_of_hosts

display = Display()


class ActionModule(ReportAction):
    """Reports the check of a code on all hosts of the play, and fails if it was right on none."""

    OPTIONS: t.ClassVar = {"answer": {"type": "str", "required": True}}

    def do(self, given: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        answers = list(variables_of_hosts(variables, given["answer"]))
        sentences = _verified.sentences(answers)
        if not sentences:
            raise AnsibleActionFail(
                f"No host of the play has an answer in {given['answer']}. Name the variable in which a task of "
                "fleet.auth.twofactor_verify registers what it returns."
            )
        if not _verified.was_right(answers):
            return {"failed": True, "msg": "\n".join(sentences)}
        display.display("\n".join(["", *sentences, ""]))
        return {"msg": "\n".join(sentences)}
