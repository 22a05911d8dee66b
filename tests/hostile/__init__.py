# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compromised hosts: nothing that they answer may do harm on the controller."""

from ansible.plugins.loader import init_plugin_loader

# This must come before any import from the collection; otherwise Ansible does not know it as a collection.
init_plugin_loader()
