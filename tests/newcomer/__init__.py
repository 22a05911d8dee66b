# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""README and guides, followed exactly by somebody who has only a fresh clone."""

from __future__ import annotations

from .blocks import Block, blocks
from .newcomer import Newcomer

__all__ = ["Block", "Newcomer", "blocks"]
