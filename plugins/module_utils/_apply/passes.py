# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs what ends a pass on the host: a script and a systemd timer, which stay for as long as there is a pass."""

from __future__ import annotations

import typing as t

from .. import _places as places
from . import files, units
from .actions import Actions

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""The format of a time in a label, for strftime(3); later times sort after earlier ones."""


def start_timer(static_files: t.Mapping[str, str], actions: Actions) -> None:
    """Install what ends a pass, and start its timer now and at each boot. Raises ApplyError.

    `static_files` has the texts of the files to install, by path.
    """
    for path, mode in places.FOR_PASSES.items():
        files.replace(path, static_files[path], mode)
    units.start(places.PASSES_TIMER, actions)
