# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks, before anything is changed, that nothing holds the files that a module is about to write."""

from __future__ import annotations

import os
import typing as t

from .._host.holds import holds
from .._plan import held
from .main import Failure


def refuse_held(what_failed: str, paths: t.Iterable[str]) -> None:
    """Raise a Failure that begins with `what_failed` if something keeps these files from being changed."""
    refusals = " ".join(held.refusals(os.uname().nodename, holds(paths)))
    if refusals:
        raise Failure(f"{what_failed}: {refusals}")
