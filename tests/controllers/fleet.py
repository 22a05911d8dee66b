# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables for the fleet of twelve hosts."""

from __future__ import annotations

from login.people import POLICY

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DP"
VARIABLES = {f"twofactor_{name}": value for name, value in POLICY.items()}
VARIABLES["twofactor_users"] = [{"name": "alice", "secret": SECRET}, {"name": "bob"}]
