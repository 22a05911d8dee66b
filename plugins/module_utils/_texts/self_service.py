# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings that the helper of the self-service page has to know."""

from __future__ import annotations

import json

from .._wanted.settings import Settings


def config(settings: Settings) -> str:
    """The helper's file: the kind of codes, which the code step does not show in full, and who is given a secret."""
    codes = {"otp_digits": settings.otp_digits, "interval": settings.interval, "window": settings.window}
    given = [user.name for user in settings.users if user.present and user.secret is not None]
    return json.dumps({"codes": codes, "given": sorted(given)}) + "\n"
