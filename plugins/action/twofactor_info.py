# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.fleet.auth.plugins.plugin_utils._gate import GatedAction
from ansible_collections.fleet.auth.plugins.plugin_utils._host_files import FilePassingAction


class ActionModule(GatedAction, FilePassingAction):
    """Runs the module if its options are right, with the files that a host should have."""
