# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that compare a host with the wanted state, for Ansible to check; see `settings`."""

from __future__ import annotations

import typing as t

from .settings import BACKENDS, FIRST_FACTORS, RENEW, SCOPES


def argument_spec() -> dict[str, t.Any]:
    """The argument_spec of these modules."""
    with_a_secret = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "secret": {"type": "str", "no_log": True},
    }
    return {
        "enabled": {"type": "bool", "default": True},
        "ssh": {"type": "bool", "default": False},
        "services": {"type": "list", "elements": "str", "default": ["cockpit"]},
        "allow_console": {"type": "bool", "default": False},
        "users": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                **with_a_secret,
                "renew": {"type": "str"},
                "proven": {"type": "bool", "default": False},
                "devices": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": with_a_secret,
                },
                "recovery_codes": {"type": "str"},
            },
        },
        "otp_digits": {"type": "int", "default": 6},
        "interval": {"type": "int", "default": 30},
        "window": {"type": "int", "default": 1},
        "backend": {"type": "str", "choices": list(BACKENDS), "default": "oath"},
        "ssh_first_factors": {
            "type": "list",
            "elements": "str",
            "choices": list(FIRST_FACTORS),
            "default": list(FIRST_FACTORS),
        },
        "scope": {"type": "str", "choices": list(SCOPES), "default": "everyone"},
        "scope_groups": {"type": "list", "elements": "str", "default": []},
        "exempt_users": {"type": "list", "elements": "str", "default": []},
        "exempt_groups": {"type": "list", "elements": "str", "default": []},
        "exempt_addresses": {"type": "list", "elements": "str", "default": []},
        "lockout": {
            "type": "dict",
            "options": {
                "attempts": {"type": "int", "default": 5},
                "unlock_seconds": {"type": "int", "default": 900},
                "count_seconds": {"type": "int", "default": 900},
            },
        },
        "time_sync": {
            "type": "dict",
            "options": {
                "required": {"type": "bool", "default": True},
                "max_error_seconds": {"type": "float", "default": 1.0},
            },
        },
        "require_proof": {"type": "bool", "default": True},
        "renew": {"type": "str", "choices": list(RENEW), "default": "never"},
        "purge_credentials": {"type": "bool", "default": False},
        "rollback_after": {"type": "int", "default": 0},
        "self_service": {"type": "bool", "default": False},
    }
