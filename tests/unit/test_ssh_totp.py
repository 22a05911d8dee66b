# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection ssh_totp relies on private methods of ansible-core's ssh; these tests fail if a core changes them."""

from __future__ import annotations

import ast
import hashlib
import inspect
import typing as t

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.connection import ssh
from ansible.release import __version__

from ansible_collections.fleet.auth.plugins.connection import ssh_totp
from unit.builders import SECRET

PARAMETERS = {
    "_build_command": ["self", "binary", "subsystem", "*other_args"],
    "_bare_run": ["self", "cmd", "in_data", "sudoable", "checkrc"],
}

# The first half of the SHA-256 of each source with which tests/login/test_connection.py passed: 2.19, 2.20, 2.21.
TESTED = {
    "_build_command": ["5ff7aab97be7fbc3c18e0adb666a51c2", "3ddb3c290bea3cb040c468fbbfea21e0"],
    "_bare_run": [
        "aeab15b73790bc24ffa1b7173cbd70d7",
        "3a20137eba4b35788ebef4dc8429011b",
        "0749af880b2291774edb157389c92d68",
    ],
}

SOURCE = inspect.getsource(ssh)


def methods_of(source: str) -> dict[str, ast.FunctionDef]:
    """The methods of the class Connection, with any decorators."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Connection"]
    return {node.name: node for node in classes[0].body if isinstance(node, ast.FunctionDef)}


def starts_a_process(method: ast.FunctionDef) -> bool:
    called = [ast.unparse(node.func) for node in ast.walk(method) if isinstance(node, ast.Call)]
    return any(name.startswith("subprocess.") for name in called)


@pytest.mark.parametrize("source", [SOURCE, inspect.getsource(ssh_totp)], ids=["core", "ours"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_overridden_methods_have_the_same_parameters(source: str, name: str) -> None:
    arguments = methods_of(source)[name].args
    found = [argument.arg for argument in arguments.args] + ([f"*{arguments.vararg.arg}"] if arguments.vararg else [])
    assert found == PARAMETERS[name], (
        f"Connection.{name} of ansible-core {__version__} takes other parameters than the one that overrides it. "
        "Change plugins/connection/ssh_totp.py, and run tests/login/test_connection.py with this core."
    )


def test_every_process_that_could_log_in_is_started_by_an_overridden_method() -> None:
    """Besides `_bare_run`, only `reset` starts processes: it uses the existing connection."""
    start = {name for name, method in methods_of(SOURCE).items() if starts_a_process(method)}
    assert start == {"_bare_run", "reset"}, (
        f"The ssh connection of ansible-core {__version__} starts processes in {sorted(start)}. Override in "
        "plugins/connection/ssh_totp.py each of them that can log in."
    )


@pytest.mark.parametrize("name", TESTED)
def test_connection_was_tested_with_this_core(name: str) -> None:
    code = ast.get_source_segment(SOURCE, methods_of(SOURCE)[name]) or ""
    digest = hashlib.sha256(code.encode()).hexdigest()[:32]
    assert digest in TESTED[name], (
        f"The source of Connection.{name} in ansible-core {__version__} is new to fleet.auth.ssh_totp. Read what "
        f"changed, run tests/login/test_connection.py with this core, and where that passes add {digest!r} to TESTED."
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ansible_totp_secret": [SECRET]}, "ansible_totp_secret must be a text, and is something else."),
        (
            {"ansible_totp_jump_hosts": [{"secret": SECRET}]},
            "ansible_totp_jump_hosts must be a dictionary of jump",
        ),
        ({"ansible_totp_digits": SECRET}, "ansible_totp_digits must be a whole number, and is something else."),
    ],
)
def test_secret_of_a_wrong_type_is_not_shown(variables: dict[str, t.Any], expected: str) -> None:
    """Ansible itself repeats the value."""
    definitions = yaml.safe_load(ssh_totp.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("connection", "fleet.auth.ssh_totp", definitions)
    connection = ssh_totp.Connection.__new__(ssh_totp.Connection)
    connection._load_name = connection.ansible_name = "fleet.auth.ssh_totp"
    with pytest.raises(AnsibleError) as error:
        connection.set_options(var_options=variables)
    assert expected in str(error.value)
    assert SECRET not in f"{error.value!r} {error.value.__cause__!r}"
