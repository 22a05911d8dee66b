# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that the blocks of release 1.0 opened: they let people in with any password. `dispatch` explains why."""

from __future__ import annotations

import typing as t

from .. import _places as places
from . import dispatch
from .pam import replaced, unprotect
from .pam_conf import Unclear, include_targets, service_name
from .pam_modules import without_first_factor
from .placement import PamError


def opening_file(service: str, texts: t.Mapping[str, str]) -> str | None:
    """The file that, because of our block, lets people in with any password; None if the block does not cause this.

    The blocks of release 1.0 did, where the file of the first factor decides nothing after a wrong password. `texts`
    has the files of /etc/pam.d by name.
    """
    try:
        before = unprotect(service, texts[service])
        dispatch.load(service, texts)
    except (PamError, Unclear):
        return None
    stack = next(iter(include_targets("\n".join(replaced(service, texts[service])))), "")

    def lets_in(text: str, conditions_hold: bool) -> bool:
        def outcomes(handler: dispatch.Handler, _impression: dispatch.Impression) -> t.Iterable[str]:
            if handler.line.rstrip().endswith((places.KEY_ACCEPTED, places.KEY_DECLARED, places.FIRST_FACTOR_FAILED)):
                return ["auth_err"]
            if handler.stack == service_name(places.SWITCH):
                return ["success", "auth_err"]
            return without_first_factor(handler, conditions_hold)

        return any(one.lets_in for one in dispatch.ends(dispatch.load(service, {**texts, service: text}), outcomes))

    for conditions_hold in (False, True):
        if lets_in(texts[service], conditions_hold) and not lets_in(before, conditions_hold):
            return f"{places.PAM_D}/{stack or service}"
    return None
