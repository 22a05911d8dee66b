# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from ansible_collections.fleet.auth.plugins.plugin_utils._gate import CheckedAction


class ActionModule(CheckedAction, _host_files.FilePassingAction):
    """Runs the module if the names of variables are right, with the files that end a pass on the host."""

    def files(self) -> dict[str, str]:
        return _host_files.texts(places.FOR_PASSES)
