# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What running a command on the host takes and returns."""

from __future__ import annotations

import typing as t

Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]
"""Runs a command, given as its list of arguments; returns its return code, standard output and standard error."""

NOT_FOUND = 127
"""The return code for a command that does not exist, as in a shell."""
