# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to a host: its jump hosts, the answers for each of them, and that nothing on the way can ask the user.

Logins through a jump host are in tests/login/test_connection.py.
"""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleError

from ansible_collections.fleet.auth.plugins.plugin_utils._ssh_login import log_in
from ansible_collections.fleet.auth.plugins.plugin_utils._way import (
    Credentials,
    Jump,
    by_program,
    chain,
    configuration,
    credentials_of,
    jumps,
    through,
    without_jump,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("none", []),
        ("bastion", [Jump("bastion")]),
        ("deploy@bastion:2222", [Jump("bastion", "deploy", "2222")]),
        ("me@corp.example@bastion", [Jump("bastion", "me@corp.example")]),
        ("ssh://deploy@bastion:2222/,inner", [Jump("bastion", "deploy", "2222"), Jump("inner")]),
        ("a@outer,[2001:db8::1]:22", [Jump("outer", "a"), Jump("2001:db8::1", port="22")]),
    ],
)
def test_jump_hosts_are_read_as_in_proxyjump(text: str, found: list[Jump]) -> None:
    assert jumps(text) == found


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "bastion:ssh", "[::1", "a,,b", "@"])
def test_jump_host_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(AnsibleError, match="ProxyJump"):
        jumps(text)


def test_way_begins_with_the_first_jump_host() -> None:
    configured: dict[str, dict[str, str]] = {"outer": {}, "inner": {"proxyjump": "elsewhere"}, "gate": {}}
    configured["outer"] = {"proxyjump": "gate"}
    way = chain({"proxyjump": "outer,inner"}, lambda jump: configured[jump.name])
    assert [jump.name for jump, _settings in way] == ["gate", "outer", "inner"]


def test_circular_way_is_refused() -> None:
    with pytest.raises(AnsibleError, match="leads over more than 8 jump hosts, 'bastion' among them"):
        chain({"proxyjump": "bastion"}, lambda _jump: {"proxyjump": "bastion"})


def test_jump_host_has_its_own_secrets() -> None:
    hosts = {"bastion": {"secret": "ABC", "password": "pw", "digits": "8", "interval": 60, "prompt": "Token"}}
    assert credentials_of(hosts, "bastion") == Credentials("ABC", "pw", 8, 60, "Token")
    assert credentials_of(hosts, "inner") == Credentials()
    assert "ABC" not in repr(credentials_of(hosts, "bastion"))
    assert "pw" not in repr(credentials_of(hosts, "bastion"))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["hush"], "ansible_totp_jump_hosts is not a dictionary"),
        ({"bastion": "hush"}, r"ansible_totp_jump_hosts\['bastion'\] is not a dictionary"),
        ({"bastion": {"totp_secret": "hush"}}, "has 'totp_secret', which has no meaning there. Use secret,"),
        ({"bastion": {"secret": "hush", "digits": 9}}, "digits must be a whole number from 6 to 8"),
        ({"bastion": {"secret": "hush", "interval": "1m"}}, "interval must be a whole number from 5 to 120"),
    ],
)
def test_wrong_form_is_named_without_the_value(given: t.Any, text: str) -> None:
    with pytest.raises(AnsibleError, match=text) as refused:
        credentials_of(given, "bastion")
    assert "hush" not in str(refused.value)


def test_option_j_is_removed_and_the_configuration_is_passed_on() -> None:
    words = [b"ssh", b"-C", b"-J", b"bastion", b"-F", b"my config", b"-Jother", b"web1"]
    assert without_jump(words) == [b"ssh", b"-C", b"-F", b"my config", b"web1"]
    assert configuration(words) == ["-F", "my config"]
    assert configuration([b"ssh", b"-Fmine"]) == ["-Fmine"]
    assert configuration([b"ssh", b"web1"]) == []


def run_proxy_command(option: bytes, **tokens: str) -> tuple[str, list[str]]:
    """What a ProxyCommand that has a terminal at hand prints on standard error, and what was asked on that terminal."""
    command = option.decode().removeprefix("-oProxyCommand=")
    for token, value in tokens.items():
        command = command.replace(f"%{token}", value)
    asked: list[str] = []
    done = log_in(["sh", "-c", f"(exec {command.replace('%%', '%')}); exit"], asked.append, patience=10)
    return done.stderr, asked


def test_program_has_no_terminal() -> None:
    script = 'echo "it\'s $1" >&2; (printf Password: >/dev/tty) 2>&- || echo no terminal >&2'
    said, asked = run_proxy_command(by_program(f"sh -c {shlex.quote(script)} sh %h", run_by="/bin/sh"), h="web1")
    assert said == "it's web1\nno terminal"
    assert asked == []


@pytest.mark.parametrize(
    ("command", "becomes"),
    [
        ("ssh -W %h:%p bastion", "ssh -oBatchMode=yes -W %h:%p bastion"),
        ("/usr/bin/ssh bastion", "/usr/bin/ssh -oBatchMode=yes bastion"),
        ("sshuttle x", "sshuttle x"),
        ("nc %h %p", "nc %h %p"),
    ],
)
def test_ssh_without_a_terminal_does_not_ask(command: str, becomes: str) -> None:
    assert shlex.quote(f"exec {becomes}") in by_program(command, run_by="/bin/sh").decode()


def test_way_through_a_jump_host_is_quoted(tmp_path: Path) -> None:
    """Percent signs in a path are not tokens of ssh, and spaces do not split words in the shell."""
    program = tmp_path / "100% ssh"
    program.write_text('#!/bin/sh\nfor word; do echo "$word" >&2; done\n')
    program.chmod(0o755)
    option = through([str(program), "-oControlPath=a 50%% b"], Jump("bastion", "deploy", "2222"))
    said, _asked = run_proxy_command(option, h="web1", p="22")
    assert said.splitlines() == [
        "-oControlPath=a 50%% b",
        *("-oBatchMode=yes", "-oProxyCommand=false", "-l", "deploy", "-p", "2222", "-W", "[web1]:22", "bastion"),
    ]
