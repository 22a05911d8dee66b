# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turning it off restores any starting state in every respect: modes, owners, attributes, links, directories.

Starting states are random, generated from the number in the test's name. STATES in the environment is the number of
states to try.
"""

from __future__ import annotations

import json
import os
import random
import typing as t
from collections.abc import Iterator

import pytest

from hosts import Host
from login.modules import module, options, turn_on
from login.people import Person
from login.policy import roll_back_now, somebody

pytestmark = pytest.mark.usefixtures("package")
_STATES = range(int(os.environ.get("STATES", "4")))
_CONCERNED = ("/etc", "/usr/local", "/usr/libexec", "/var/lib/fleet-auth")
_SERVICES = ("sshd", "su", "sudo")

_SAVE = "mkdir /root/usual && cp -a /etc/pam.d /etc/ssh/sshd_config.d /etc/tmpfiles.d /root/usual"
_RESTORE = r"""
import os, shutil, subprocess
for name, path in (("pam.d", "/etc"), ("sshd_config.d", "/etc/ssh"), ("tmpfiles.d", "/etc")):
    shutil.rmtree(f"{path}/{name}", ignore_errors=True)
    subprocess.run(["cp", "-a", f"/root/usual/{name}", path], check=True)
for path in ("/etc/oath", "/etc/google-authenticator", "/etc/other-names"):
    shutil.rmtree(path, ignore_errors=True)
"""
_MAKE = r"""
import json, os, shutil, struct, sys
state = json.load(sys.stdin)
acl = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 2, 4, 1, 4, 4, 2**32 - 1, 16, 4, 2**32 - 1, 32, 4, 2**32 - 1)
os.mkdir("/etc/other-names")
for name, service in state["services"].items():
    path = f"/etc/pam.d/{name}"
    with open(path, "rb") as file:
        text = file.read()
    with open(path, "wb") as file:
        file.write(service["before"].encode() + text + service["after"].encode())
    os.chown(path, *service["owner"])
    os.chmod(path, service["mode"])
    if service["note"]:
        os.setxattr(path, "user.note", service["note"].encode())
    if service["acl"]:
        os.setxattr(path, "system.posix_acl_access", acl)
    if service["linked"]:
        os.link(path, f"/etc/other-names/{name}")
    if service["link_to_it"]:
        os.symlink(path, f"/etc/pam.d/link-to-{name}")
if state["default_acl"]:
    os.setxattr("/etc/pam.d", "system.posix_acl_default", acl)
for path in state["missing"]:
    shutil.rmtree(path)
for path, (mode, owner, names) in state["stores"].items():
    os.mkdir(path)
    for name in names:
        with open(f"{path}/{name}", "w") as file:
            file.write("somebody has this here\\n")
    os.chown(path, *owner)
    os.chmod(path, mode)
"""
"""The access list, acl(5), lets the account with uid 1 read a file."""


def _state(number: int) -> dict[str, t.Any]:
    """A starting state, as data for `_MAKE`."""
    chance = random.Random(number)
    owners = [[0, 0], [0, 0], [1, 4], [0, 42]]
    services = {
        name: {
            "before": chance.choice(["", "# above\n", "auth optional pam_faildelay.so delay=100\n", " \t\n"]),
            "after": chance.choice(["", "# no newline at the end", "\n\n\t\n", "session optional pam_env.so\n"]),
            "owner": chance.choice(owners),
            "mode": chance.choice([0o644, 0o640, 0o600, 0o664, 0o755]),
            "note": chance.choice(["", "", "mine"]),
            "acl": chance.random() < 0.4,
            "linked": chance.random() < 0.2,
            "link_to_it": chance.random() < 0.2,
        }
        for name in _SERVICES
    }
    stores = {
        path: [
            chance.choice([0o700, 0o750, 0o755, 0o711]),
            chance.choice(owners),
            chance.sample([".hidden", ".keep"], chance.randrange(3)),
        ]
        for path in ("/etc/oath", "/etc/google-authenticator")
        if chance.random() < 0.5
    }
    return {
        "services": services,
        "stores": stores,
        "default_acl": chance.random() < 0.3,
        "missing": [path for path in ("/etc/ssh/sshd_config.d", "/etc/tmpfiles.d") if chance.random() < 0.4],
    }


@pytest.fixture(scope="module")
def person(host: Host, package: None) -> Iterator[Person]:
    del package
    with somebody(host) as person:
        host.run(_SAVE)
        yield person
        host.run("python3", "-c", _RESTORE)
        host.run("rm", "-r", "/root/usual")


@pytest.mark.parametrize("number", _STATES)
def test_turning_off_restores_everything(host: Host, person: Person, number: int) -> None:
    """Undone by the host, or turned off with or without the credentials; a hard link is refused by name."""
    state = _state(number)
    host.run("python3", "-c", _RESTORE)
    host.run("python3", "-c", _MAKE, input=json.dumps(state))
    before = host.in_every_respect(*_CONCERNED)
    linked = [name for name in _SERVICES if state["services"][name]["linked"]]
    if linked:
        refused = module(host, "twofactor", options(person, services=["su", "sudo"]))
        assert all(f"/etc/pam.d/{name} on {host.name} has a second hard link" in refused.message for name in linked)
        assert host.in_every_respect(*_CONCERNED) == before
    wanted = {"ssh": "sshd" not in linked, "services": [name for name in ("su", "sudo") if name not in linked]}
    on: dict[str, t.Any] = {}
    for undone in (True, False):
        turn_on(host, person, **wanted, rollback_after=600 if undone else 0)
        on = host.in_every_respect(*_CONCERNED)
        assert on != before
        if undone:
            roll_back_now(host)
            assert host.in_every_respect(*_CONCERNED) == before
    purged = {"enabled": False, "purge_credentials": True}
    assert module(host, "twofactor", {**purged, "rollback_after": 600}).ok
    roll_back_now(host)
    assert host.in_every_respect(*_CONCERNED) == on
    done = module(host, "twofactor", purged)
    assert done.ok, done.output
    assert host.in_every_respect(*_CONCERNED) == before
