# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ends a pass on the host itself: a script and a systemd timer, there for as long as there is a pass."""

from __future__ import annotations

HOURS = (1, 24)
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""How a label names a time, for strftime(3): later ones sort after earlier ones."""
