# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters as a playbook uses them, and whether each matches its documentation."""

from __future__ import annotations

import base64
import inspect
import json
import subprocess
import types
import typing as t
from pathlib import Path

import pytest
import yaml

import preloaded
from ansible_collections.fleet.auth.plugins.filter import (
    chosen_hosts,
    otpauth_uri,
    qr_png,
    qr_svg,
    qr_terminal,
    totp_code,
)
from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import qr_as_png

# The key of the test vectors in RFC 6238, appendix B.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
FILTERS = pytest.mark.parametrize("plugin", [chosen_hosts, otpauth_uri, qr_png, qr_svg, qr_terminal, totp_code])


def ansible_debug(expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Have Ansible evaluate an expression."""
    return ansible("debug", f"msg={{{{ {expression} }}}}", **environment)


def ansible(module: str, arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a task in a process of its own, where Ansible finds the filters by itself."""
    words = ["ansible", "localhost", "-vvv", "-m", f"ansible.builtin.{module}", "-a", arguments]
    return preloaded.run(*words, **environment)


def name_of(plugin: types.ModuleType) -> str:
    return plugin.__name__.rsplit(".", 1)[-1]


def test_ansible_finds_each_filter_by_its_name() -> None:
    run = ansible_debug(
        """[
          secret | fleet.auth.otpauth_uri(account='alice@web1', issuer='Example', digits=8, interval=60),
          secret | fleet.auth.totp_code(digits=8, at=59),
          secret | fleet.auth.totp_code(at=1111111109),
          secret | fleet.auth.totp_code(interval=60, at=60),
          'hi' | fleet.auth.qr_terminal,
          'hi' | fleet.auth.qr_svg,
          'hi' | fleet.auth.qr_svg(title='alice'),
          'hi' | fleet.auth.qr_png,
        ]""".replace("secret", "lookup('env', 'SECRET')"),
        SECRET=SECRET,
    )
    result = run.stdout.partition("localhost | SUCCESS => ")[2]
    uri, code, leading_zero, next_step, terminal, svg, titled, png = json.loads(result)["msg"]
    assert uri == f"otpauth://totp/Example:alice%40web1?secret={SECRET}&issuer=Example&digits=8&period=60"
    assert (code, leading_zero, next_step) == ("94287082", "081804", "287082")
    assert terminal.split("\n")[2].startswith("\x1b[0;38;5;16;48;5;231m    █▀▀▀▀▀█ ")
    assert "<title>QR code</title>" in svg
    assert "<title>alice</title>" in titled
    assert base64.b64decode(png).startswith(b"\x89PNG")


def test_copy_writes_a_picture_to_a_file_byte_for_byte(tmp_path: Path) -> None:
    arguments = {"content": "{{ 'hi' | fleet.auth.qr_png | b64decode }}", "dest": f"{tmp_path}/hi.png", "mode": "0600"}
    run = ansible("copy", json.dumps(arguments))
    assert "CHANGED" in run.stdout, run.stdout + run.stderr
    assert (tmp_path / "hi.png").read_bytes() == base64.b64decode(qr_as_png("hi"))


def test_a_refusal_reaches_the_playbook_without_the_secret() -> None:
    run = ansible_debug("lookup('env', 'SECRET') | fleet.auth.totp_code", SECRET=f"{SECRET}0")
    assert run.returncode != 0
    output = run.stdout + run.stderr
    assert "The secret is not base32 (letters A to Z and digits 2 to 7). Give the whole base32 text" in output
    assert SECRET not in output


def documentation_of(plugin: types.ModuleType) -> dict[str, t.Any]:
    """The documentation as Ansible reads it, with the parts that several filters share."""
    words = ["ansible-doc", "--json", "--type", "filter", f"fleet.auth.{name_of(plugin)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout)[f"fleet.auth.{name_of(plugin)}"]["doc"])


@FILTERS
def test_documentation_names_the_options_and_their_defaults(plugin: types.ModuleType) -> None:
    documented = documentation_of(plugin)["options"]
    filters = plugin.FilterModule().filters()
    assert list(filters) == [name_of(plugin)]
    given, *options = inspect.signature(filters[name_of(plugin)]).parameters.values()
    assert documented.pop("_input")["required"] is (given.default is given.empty)
    assert {option.name: option.default for option in options if option.default is not option.empty} == {
        name: option.get("default") for name, option in documented.items() if not option.get("required")
    }
    assert {option.name for option in options if option.default is option.empty} == {
        name for name, option in documented.items() if option.get("required")
    }


@FILTERS
def test_documentation_names_the_filter(plugin: types.ModuleType) -> None:
    assert yaml.safe_load(plugin.DOCUMENTATION)["name"] == name_of(plugin)
