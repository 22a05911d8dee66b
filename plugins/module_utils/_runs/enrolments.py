# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads people's secrets for their enrolment. This is the only way in which secrets leave a host."""

from __future__ import annotations

import os
import typing as t

from .._backends import backends
from .._backends.credential import App
from .._texts.code_step import CodeStep
from .._wanted.secret import encode_secret
from . import credential
from .main import Failure, Result

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def enrolments(module: AnsibleModule) -> Result:
    """Return the secrets of the users whom the parameter names."""
    step = credential.code_step()
    digits = backends.code_length(step)
    return {
        "changed": False,
        "enrolments": [one for user in module.params["users"] for one in _entries(user, step, digits)],
    }


def _entries(user: str, step: CodeStep, digits: int | None) -> t.Iterator[dict[str, t.Any]]:
    """Yield an entry for each device of a user, the first device first. Raises Failure."""
    stored = credential.find(user, step)
    phone = stored.content.phone
    if phone is None:
        raise Failure(
            f"{user} has no time-based token on {os.uname().nodename}. Enrol {user} anew, with renew: NAME in the "
            "option users of fleet.auth.twofactor."
        )
    codes = stored.backend.recovery_codes(stored.text, user, digits) if digits else ()
    yield _entry(user, phone, digits, codes)
    yield from (_entry(user, app, digits) for app in stored.content.apps if app.name)


def _entry(user: str, app: App, digits: int | None, codes: t.Iterable[tuple[int, str]] = ()) -> dict[str, t.Any]:
    """What is returned of one device."""
    return {
        "user": user,
        "device": app.name,
        "secret": encode_secret(app.key),
        "interval": app.interval,
        "digits": digits,
        "recovery_codes": [{"number": number, "code": code} for number, code in codes],
    }
