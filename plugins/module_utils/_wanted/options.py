# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that compare a host with the wanted state, for Ansible to check; see `settings`."""

from __future__ import annotations

import typing as t

from .bounds import FIRST_FACTORS, GUARD, NEGOTIATE, RENEW, SCOPES
from .settings import Lockout, Settings, TimeSync


def argument_spec() -> dict[str, t.Any]:
    """The argument_spec of these modules."""
    lockout, time_sync = Lockout(), TimeSync()
    with_a_secret = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "secret": {"type": "str", "no_log": True},
    }
    return {
        "enabled": {"type": "bool", "default": Settings.enabled},
        "ssh": {"type": "bool", "default": Settings.ssh},
        "sshd_configs": {"type": "list", "elements": "str", "default": []},
        "accepted_doors": {"type": "list", "elements": "str", "default": []},
        "services": {"type": "list", "elements": "str", "default": ["cockpit"]},
        "allow_console": {"type": "bool", "default": Settings.allow_console},
        "cockpit_negotiate": {"type": "str", "choices": list(NEGOTIATE), "default": Settings.cockpit_negotiate},
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
                # Public halves of keys. Because of the name, Ansible would take them for secrets.
                "security_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
                "security_keys_only": {"type": "bool", "default": False, "no_log": False},
            },
        },
        "otp_digits": {"type": "int", "default": Settings.otp_digits},
        "interval": {"type": "int", "default": Settings.interval},
        "window": {"type": "int", "default": Settings.window},
        "backend": {"type": "str", "choices": ["oath", "google_authenticator"], "default": Settings.backend},
        "ssh_first_factors": {
            "type": "list",
            "elements": "str",
            "choices": list(FIRST_FACTORS),
            "default": list(FIRST_FACTORS),
        },
        "scope": {"type": "str", "choices": list(SCOPES), "default": Settings.scope},
        "scope_groups": {"type": "list", "elements": "str", "default": []},
        "security_keys_only_groups": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "exempt_users": {"type": "list", "elements": "str", "default": []},
        "exempt_groups": {"type": "list", "elements": "str", "default": []},
        "exempt_addresses": {"type": "list", "elements": "str", "default": []},
        "lockout": {
            "type": "dict",
            "options": {
                "attempts": {"type": "int", "default": lockout.attempts},
                "unlock_seconds": {"type": "int", "default": lockout.unlock_seconds},
                "count_seconds": {"type": "int", "default": lockout.count_seconds},
            },
        },
        "time_sync": {
            "type": "dict",
            "options": {
                "required": {"type": "bool", "default": time_sync.required},
                "max_error_seconds": {"type": "float", "default": time_sync.max_error_seconds},
            },
        },
        "require_proof": {"type": "bool", "default": Settings.require_proof},
        "seen_days": {"type": "int", "default": Settings.seen_days},
        "renew": {"type": "str", "choices": list(RENEW), "default": Settings.renew},
        "purge_credentials": {"type": "bool", "default": Settings.purge_credentials},
        "rollback_after": {"type": "int", "default": Settings.rollback_after},
        "self_service": {"type": "bool", "default": Settings.self_service},
        "offer_enrolment": {"type": "bool", "default": Settings.offer_enrolment},
        "guard": {"type": "str", "choices": list(GUARD), "default": Settings.guard},
    }
