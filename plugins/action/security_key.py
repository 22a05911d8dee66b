# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name
from ansible_collections.fleet.auth.plugins.module_utils._wanted.security_key import SecurityKey, decode_key
from ansible_collections.fleet.auth.plugins.plugin_utils import _attestation
from ansible_collections.fleet.auth.plugins.plugin_utils._controller import ControllerAction
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import on_controller

_LONGEST = 1_000_000

display = Display()


class ActionModule(ControllerAction):
    """Checks a security key that somebody has handed in, and prints the variables that declare it."""

    OPTIONS: t.ClassVar = {
        "user": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
        "attestation": {"type": "str"},
        "challenge": {"type": "str"},
        "authorities": {"type": "str"},
    }
    RULES: t.ClassVar = {"required_together": [["attestation", "challenge", "authorities"]]}

    def do(self, given: dict[str, t.Any], _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        user, key = given["user"], _key(given["key"])
        if not is_account_name(user):
            raise AnsibleActionFail("user is not the name of an account.")
        attested = _attested(key, given) if given["attestation"] else None
        line = f"{key.words} {key.name}".rstrip()
        output = [
            "twofactor_users:",
            f"  - name: {user}",
            "    security_keys:",
            f"      - {line}",
            "",
            f"{key.fingerprint} is a security key. {_origin(user, attested)}",
        ]
        display.display("\n" + "\n".join(output) + "\n")
        return {
            "line": line,
            "fingerprint": key.fingerprint,
            "attested_by": attested.by if attested else None,
            "model": attested.model if attested else None,
        }


def _origin(user: str, attested: _attestation.Attested | None) -> str:
    """A sentence about the origin of a key: what is shown, and what the administrator must check."""
    if attested is None:
        return (
            f"Nothing was handed in that shows that a device made it. Make sure of that, and that {user} has it: "
            "compare the fingerprint with ssh-keygen -l, which the owner runs."
        )
    with_pin = "asked for a PIN" if attested.verified else "asked for NO PIN"
    return (
        f"A device of the model {attested.model} made it, which {attested.by} vouches for, and {with_pin} then. Make "
        f"sure that {user} has it."
    )


def _key(path: str) -> SecurityKey:
    """The key in a `.pub` file. Raises AnsibleActionFail."""
    lines = [line for line in _read(path, "key").decode("utf-8", "replace").splitlines() if line.strip()]
    if len(lines) != 1:
        raise AnsibleActionFail(f"The key {path} has {len(lines)} lines. Give the .pub file that ssh-keygen wrote.")
    try:
        return decode_key(lines[0])
    except ValueError as error:
        raise AnsibleActionFail(f"The key {path} {error}.") from None


def _attested(key: SecurityKey, given: t.Mapping[str, t.Any]) -> _attestation.Attested:
    """What the attestation shows. Raises AnsibleActionFail."""
    attestation, challenge, authorities = (
        _read(given[name], name) for name in ("attestation", "challenge", "authorities")
    )
    now = datetime.datetime.now(datetime.UTC)
    try:
        return _attestation.check(key, attestation, challenge, authorities, now)
    except _attestation.AttestationError as error:
        raise AnsibleActionFail(f"The attestation {given['attestation']} {error}.") from None


def _read(path: str, what: str) -> bytes:
    """The content of a file on the controller. Raises AnsibleActionFail."""
    try:
        with on_controller(path).open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise AnsibleActionFail(f"The file {path} ({what}) cannot be read: {error.strerror}.") from None
