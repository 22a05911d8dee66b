# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of what commands and files of a host say, those of systems that are not at hand too."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host import accounts, sshd, sshd_starts, system
from unit.builders import file

UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files of the host."""
    texts: dict[str, str] = {}
    monkeypatch.setattr(system, "read_file", lambda path: file(texts[path]) if path in texts else None)
    return texts


@pytest.mark.parametrize(
    ("text", "release", "family"),
    [
        ('VERSION_ID="11"\nID=debian\n', ("debian", "11"), "debian"),
        (UBUNTU, ("ubuntu", "24.04"), "debian"),
        (UBUNTU.replace("24.04", "22.04"), ("ubuntu", "22.04"), "debian"),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.6"\n', ("rhel", "9.6"), "rhel"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n', ("rocky", "10.0"), "rhel"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', ("almalinux", "9.6"), "rhel"),
        ("ID=fedora\nVERSION_ID=43\n", ("fedora", "43"), "rhel"),
        ('ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n', ("amzn", "2023"), "rhel"),
        ('ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="10"\n', ("centos", "10"), "rhel"),
    ],
)
@pytest.mark.parametrize("backend", ["oath", "google_authenticator"])
def test_family_of_a_release(
    files: dict[str, str], text: str, release: tuple[str, str], family: str, backend: str
) -> None:
    files["/etc/os-release"] = text
    assert system.os_release(backend) == (release, family)


def test_selinux_types_are_those_of_what_is_there(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def getxattr(path: str, name: str) -> bytes:
        assert name == "security.selinux"
        if path != "/etc/oath":
            raise FileNotFoundError(path)
        return b"unconfined_u:object_r:etc_t:s0\0"

    monkeypatch.setattr(os, "getxattr", getxattr)
    files["/sys/fs/selinux/enforce"] = "1"
    assert system.selinux_types() == {"/etc/oath": "etc_t"}
    files["/sys/fs/selinux/enforce"] = "0"
    assert system.selinux_types() is None
    del files["/sys/fs/selinux/enforce"]
    assert system.selinux_types() is None


SHADOW = """\
root:*:19700:0:99999:7:::
alice:$y$j9T$salt$hash:19700:0:99999:7:::
bob:!$y$j9T$salt$hash:19700:0:99999:7:::
carol::19700:0:99999:7:::
torn
"""


def test_password_that_is_locked_or_empty_is_none() -> None:
    assert accounts.parse_shadow(SHADOW) == {"alice"}
    assert accounts.parse_shadow("") == frozenset()


@pytest.mark.parametrize(
    ("rules", "asks"),
    [
        (["(ALL : ALL) ALL"], True),
        (["(ALL : ALL) NOPASSWD: ALL"], False),
        (["(ALL : ALL) NOPASSWD: ALL", "(ALL : ALL) ALL"], True),
        (["(ALL : ALL) ALL", "(ALL : ALL) NOPASSWD: ALL"], False),
        (["(root) /usr/bin/apt"], False),
        ([], False),
    ],
)
def test_last_rule_of_sudo_for_every_command_says_whether_it_asks(rules: list[str], asks: bool) -> None:
    defaults = "Matching Defaults entries for alice on web1:\n    env_reset\n\n"
    out = "User alice may run the following commands on web1:\n" + "".join(f"    {rule}\n" for rule in rules)
    assert accounts.parse_sudo(defaults + out) == asks
    assert not accounts.parse_sudo(defaults.replace("env_reset", "env_reset, !authenticate") + out)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("# Default settings\nSSHD_OPTS=\n", []),
        ("SSHD_OPTS=-4 # only IPv4\n", ["-4"]),
        ("SSHD_OPTS='-4 -o UsePAM=no'\n", ["-4", "-o", "UsePAM=no"]),
        ("SSHD_OPTS=-4\nSSHD_OPTS=-6\n", ["-6"]),
        ("OPTIONS=-4\n", None),
    ],
)
def test_service_starts_sshd_with_the_last_options_that_it_is_given(text: str, options: list[str] | None) -> None:
    assert sshd_starts.parse_options(text, "SSHD_OPTS") == options


def test_process_is_read_whatever_its_name_is() -> None:
    environ = b"HOME=/root\0SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22\0"
    status = "123 (odd) 9 (name) S 77 " + " ".join(map(str, range(5, 22))) + " 4200 " + " ".join("0" * 30)
    found = sshd.parse_process(1000, environ, status, 100)
    assert found == (1000, 77, 42.0, "192.0.2.9")
    assert sshd.parse_process(0, b"", status, 100).ssh_client == ""
