# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import GatedAction, refused, variable_problems
from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

_SHEETS = "__twofactor_makes_sheets"
_WHERE = ("__twofactor_sheet_dir", "__twofactor_sheet_suffix")
"""Variables that the role templates later, the second if the first is true. An error there ends the play for all."""


class ActionModule(GatedAction, _host_files.FilePassingAction):
    """Runs the module if its options are right, with the files for the host and those that roll a change back."""

    def files(self) -> dict[str, str]:
        return {**super().files(), **({} if self._task.check_mode else _host_files.texts(places.FOR_A_CHANGE))}

    def _checked(self, tmp: str | None, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        problems = [] if variable_problems(self, variables) else self._sheet_place_problems(variables)
        return refused(problems) if problems else super()._checked(tmp, variables)

    def _sheet_place_problems(self, variables: t.Mapping[str, t.Any]) -> list[str]:
        """If the role runs this, a refusal if the place of this host's enrolment sheets cannot be templated."""
        try:
            if self._templar.template(variables.get(_SHEETS)):
                self._templar.template([variables.get(name) for name in _WHERE])
        except AnsibleError as error:
            return [
                f"it is not known where the enrolment sheets of {variables['inventory_hostname']} go: "
                f"{in_one_line(str(error), 500).rstrip('.')}. Correct twofactor_enrolment_dir or twofactor_fleet where "
                "they are set."
            ]
        return []
