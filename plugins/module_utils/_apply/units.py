# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts and stops units of systemd, now and at each boot; systemctl(1).

Reading all units takes systemd long, so nothing here does it twice. Each function raises ApplyError if systemd fails.
"""

from __future__ import annotations

from .actions import Actions, ApplyError


def start(unit: str, actions: Actions) -> None:
    """Start a unit whose files are new or have changed."""
    _systemctl(actions, "enable", "--quiet", "--no-reload", unit)
    read_all(actions)
    _systemctl(actions, "start", unit)


def stop(unit: str, actions: Actions) -> None:
    """Stop a unit. If its files are removed afterwards, systemd knows it until `read_all`."""
    _systemctl(actions, "disable", "--quiet", "--no-reload", "--now", unit)


def read_all(actions: Actions) -> None:
    """Have systemd read the files of all units."""
    _systemctl(actions, "daemon-reload")


def _systemctl(actions: Actions, verb: str, *arguments: str) -> None:
    code, _out, error = actions.run(["systemctl", verb, *arguments])
    if code != 0:
        raise ApplyError(f"'systemctl {' '.join([verb, *arguments])}' failed: {error.strip().rstrip('.')}.")
