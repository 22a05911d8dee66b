# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks over simulated hosts: each host is a script that replaces Python and prints given answers."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import preloaded

Answer = t.Mapping[str, t.Any]

USER = {
    "enrolled": True,
    "proven": False,
    "in_scope": True,
    "recovered": False,
    "locked": False,
    "devices": ["tablet"],
    "recovery_codes_left": 9,
    "pass_until": None,
    "self_made": None,
    "security_keys": ["yubikey-5"],
    "security_keys_only": False,
    "key_denied": None,
}
STATUS = {
    "enforced": {"sshd": True},
    "asks": ["sshd"],
    "let_off": [],
    "guard": {"mode": "warn", "alerts": []},
    "users": {"alice": USER},
    "time_sync": None,
}
PLAN = {
    **STATUS,
    "changed": True,
    "refusals": [],
    "refused": [],
    "warned": [],
    "missing_packages": ["libpam-oath"],
    "changes": ["write /etc/pam.d/twofactor"],
    "os_family": "debian",
    "confirmation": "",
    "to_enrol": ["alice"],
    "unproven": ["alice"],
}
ENROLMENT = {
    "user": "alice",
    "device": "",
    "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "interval": 30,
    "digits": 6,
    "recovery_codes": [{"number": 1, "code": "123456"}],
}
"""Right values in the answers of modules, as far as a test needs them."""

CHECK = "twofactor in check mode"
"""Name of the answer of the module twofactor when it is only asked for its plan."""
_PYTHON = """#!/bin/sh
sent=$(cat)
case $sent in {cases}
    *) echo '{{"changed": true}}' ;;
esac
"""


def run(
    folder: Path, playbook: str, hosts: t.Mapping[str, t.Mapping[str, Answer]], *arguments: str, **variables: t.Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on the hosts in `hosts` only.

    :param hosts: answers by host, and by module or `CHECK`. Any other module reports that it has changed something.
    """
    lines = []
    for host, answers in hosts.items():
        python = folder / f"python of {host}"
        python.write_text(_PYTHON.format(cases="".join(_case(*one) for one in sorted(answers.items(), reverse=True))))
        python.chmod(0o700)
        lines.append(f"{host} ansible_python_interpreter={json.dumps(str(python))}")
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    extra = {"ansible_become": False, "ansible_pipelining": True, **variables}
    words = ["ansible-playbook", "-i", "hosts", "-c", "local", *arguments, "-e", json.dumps(extra)]
    done = preloaded.run(*words, f"fleet.auth.{playbook}", cwd=folder)
    done.stdout += done.stderr
    return done


def _case(module: str, answer: Answer) -> str:
    name, _space, check = module.partition(" ")
    mode = "*_ansible_check_mode*:?true" if check else ""
    text = json.dumps(answer).replace("'", "'\\''")
    return f"\n    *ansible_collections.fleet.auth.plugins.modules.{name}{mode}*) echo '{text}' ;;"
