# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest ansible-core that pip finds, even if the Python of the other tests is too old for it."""

from __future__ import annotations

import dataclasses
import io
import json
import shlex
import subprocess
import sys
import tarfile
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts import Host
from hosts.docker import docker
from login import ssh
from login.people import POLICY
from login.policy import off, somebody

pytestmark = [
    pytest.mark.usefixtures("package"),
    pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module"),
]

_ROOT = Path(__file__).resolve().parents[2]
_SHIPPED = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
_FAILS = """
- hosts: all
  gather_facts: false
  tasks:
    - fleet.auth.require:
        that: false
        fail_msg: This is refused.
    - ansible.builtin.debug:
        msg: It went on.
"""


@dataclasses.dataclass(frozen=True)
class Controller:
    """A host with this collection and the newest ansible-core, which reaches itself by ssh, and a host that is off."""

    host: Host

    def play(self, playbook: str, *words: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        command = ["python3", "-m", "ansible", "playbook", playbook, "-i", "/root/inventory", *words]
        command += ["-e", json.dumps(variables)]
        there = {"PYTHONPATH": "/opt/core", "ANSIBLE_COLLECTIONS_PATH": "/opt/collections", "LC_ALL": "C.UTF-8"}
        return self.host.run("env", *(f"{name}={value}" for name, value in there.items()), *command, check=False)


@pytest.fixture(scope="module")
def controller(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    core = tmp_path_factory.mktemp("newest") / "core"
    version = host.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    abi = f"cp{version.replace('.', '')}"
    # pip compares what a release requires with the Python that runs it, and not with the one that is named.
    words = ["--quiet", "--ignore-requires-python", "--target", str(core)]
    words += ["--only-binary=:all:", "--python-version", version]
    words += ["--implementation", "cp", *(f"--abi={name}" for name in (abi, "abi3", "none"))]
    packages = ["ansible-core", "pyotp", "segno"]
    subprocess.run([sys.executable, "-m", "pip", "install", *words, *packages], check=True)
    (found,) = core.glob("ansible_core-*.dist-info")
    assert not found.name.startswith(("ansible_core-2.19.", "ansible_core-2.20.")), found.name
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(core, "opt/core")
        for name in _SHIPPED:
            tar.add(_ROOT / name, f"opt/collections/ansible_collections/fleet/auth/{name}", filter=_without_caches)
    docker("cp", "-", f"{host.container}:/", input=archive.getvalue())
    host.write("/root/key", host.key.read_bytes(), 0o600)
    ssh_options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    lines = [
        f"{host.name} ansible_host=127.0.0.1 ansible_user=ansible ansible_ssh_private_key_file=/root/key "
        f"ansible_ssh_common_args={shlex.quote(ssh_options)} ansible_become=true",
        "gone ansible_host=127.0.0.1 ansible_port=1",
    ]
    host.write("/root/inventory", "\n".join(lines) + "\n")
    host.write("/root/fails.yml", _FAILS)
    yield Controller(host)
    host.run("rm -rf /opt/core /opt/collections /root/key /root/inventory /root/fails.yml /root/.ansible")
    off(host)


def _without_caches(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in file.name else file


def test_turns_on_and_off_and_reports(controller: Controller) -> None:
    host, only = controller.host, ("--limit", controller.host.name)
    with somebody(host) as person:
        variables = {f"twofactor_{name}": value for name, value in POLICY.items()}
        variables["twofactor_users"] = [person.entry]
        done = controller.play("fleet.auth.enable", *only, **variables)
        assert done.returncode == 0, done.stdout
        assert not person.by_key(batch=True).ok
        ssh.fresh_step()
        assert person.by_key(person.code()).ok
        again = controller.play("fleet.auth.enable", *only, **variables)
        assert "changed=0 " in again.stdout, again.stdout
        status = controller.play("fleet.auth.status", *only, **variables)
        assert f"{host.name}  on " in status.stdout, status.stdout
        done = controller.play("fleet.auth.disable", *only)
        assert done.returncode == 0, done.stdout
        assert person.by_key(batch=True).ok


def test_what_fails_is_not_taken_for_a_success(controller: Controller) -> None:
    refused = controller.play("/root/fails.yml", "--limit", controller.host.name)
    assert refused.returncode == 2, refused.stdout
    assert "This is refused." in refused.stdout
    assert "It went on." not in refused.stdout
    variables = {f"twofactor_{name}": value for name, value in POLICY.items()}
    rollout = controller.play("fleet.auth.rollout", "--limit", "gone", **variables)
    assert rollout.returncode != 0, rollout.stdout
