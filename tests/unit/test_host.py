# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be seen of a host only on systems that are not at hand: its family, and what SELinux makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host import look
from unit.builders import file

UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files of the host."""
    texts: dict[str, str] = {}
    monkeypatch.setattr(look, "read_file", lambda path: file(texts[path]) if path in texts else None)
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
    assert look._os_release(backend) == (release, family)


def test_selinux_types_are_those_of_what_is_there(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def getxattr(path: str, name: str) -> bytes:
        assert name == "security.selinux"
        if path != "/etc/oath":
            raise FileNotFoundError(path)
        return b"unconfined_u:object_r:etc_t:s0\0"

    monkeypatch.setattr(os, "getxattr", getxattr)
    files["/sys/fs/selinux/enforce"] = "1"
    assert look._selinux_types() == {"/etc/oath": "etc_t"}
    files["/sys/fs/selinux/enforce"] = "0"
    assert look._selinux_types() is None
    del files["/sys/fs/selinux/enforce"]
    assert look._selinux_types() is None


def test_a_tree_is_looked_at_as_a_whole_but_for_what_was_laid_ready(tmp_path: Path) -> None:
    (tmp_path / "tree/wing").mkdir(parents=True)
    for name in ("page.js", ".page.js.fleet-auth-3", "wing/one.py", "wing/.one.py.fleet-auth-4.old"):
        (tmp_path / "tree" / name).touch()
    top = f"{tmp_path}/tree"
    assert sorted(look._tree(top)) == [top, f"{top}/page.js", f"{top}/wing", f"{top}/wing/one.py"]
