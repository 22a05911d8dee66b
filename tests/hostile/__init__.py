# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts in strange hands, and what must not come of what they answer."""

from ansible.plugins.loader import init_plugin_loader

# Before anything of the collection is imported, for only then does Ansible know it as one.
init_plugin_loader()
