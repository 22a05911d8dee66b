# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Managed by fleet.auth. Serves the page and the command with which people enrol themselves.
import sys

sys.path.insert(0, "/usr/libexec/fleet-auth")

from fleet_auth._self_service.program import main

main()
