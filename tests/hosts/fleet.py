# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets: hosts that are started, found again and removed together."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import time
import typing as t
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import images
from .docker import STATE, HostError, docker, engine_answers, ensure_engine, say
from .host import PATIENCE, Host

_LABEL = "fleet-auth"
_NTP = "ntp"
# Below the ports that Linux assigns automatically, so that the port of a host is still free when it restarts.
_PORTS = range(20000, 30000)

_BOOT = r"""
left=300
while state=$(systemctl is-system-running 2>/dev/null); [ "$state" != running ] && [ "$state" != degraded ]; do
    left=$((left - 1))
    if [ $left = 0 ]; then
        echo "systemd says '$state' after a minute" >&2
        { systemctl list-jobs; journalctl --boot --lines 30; } >&2
        exit 1
    fi
    sleep 0.2
done
if [ "$state" = degraded ]; then systemctl list-units --failed --plain --no-legend >&2; fi
install -o ansible -g ansible -m 0600 /dev/stdin /home/ansible/.ssh/authorized_keys
# From here on there is nothing for generators to make, and without them a daemon-reload costs half as much. Those of
# packages that a test installs stay, so that a later boot changes no file.
if mkdir /etc/systemd/system-generators 2>/dev/null; then
    for generator in /usr/lib/systemd/system-generators/*; do
        ln -s /dev/null "/etc/systemd/system-generators/${generator##*/}"
    done
fi
cat /etc/ssh/ssh_host_*_key.pub
"""

# After its first few polls chrony may report an error bound of seconds, if other hosts boot at the same time.
_SYNC = r"""
left=150
until chronyc -n -c tracking 2>/dev/null |
    awk -F, '{ known = $14 == "Normal" && $11 / 2 + $12 < 0.1 } END { exit !known }'
do
    left=$((left - 1))
    if [ $left = 0 ]; then
        { chronyc -n sources; chronyc -n tracking; systemctl status chrony; } >&2
        exit 1
    fi
    sleep 0.2
done
"""


def of_this_checkout(fleet: str) -> str:
    """A name for a fleet that tests in other checkouts, on the same engine, do not use."""
    return f"{fleet}-{zlib.crc32(bytes(STATE)):08x}"


def up(fleet: str, hosts: Mapping[str, str], *, ntp: bool = True, recreate: bool = False) -> list[Host]:
    """Make sure that *fleet* consists of these hosts, and that they have booted, answer on ssh and have synced clocks.

    Hosts that are already up are used as they are, whatever state they are in. Hosts of another release, with an older
    image, or no longer named are removed.

    :param fleet: lower-case letters, digits and hyphens; the same rule applies to the names of hosts.
    :param hosts: release by name, see `images.image`.
    :param ntp: whether to start an NTP server. With one, the hosts are in sync before this returns; without one they
        never are.
    :param recreate: start with new hosts.
    :returns: the hosts in the given order, then the NTP server if there is one.
    :raises HostError: if a host does not come up, with its output.
    """
    for name in (fleet, *hosts):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or name == _NTP:
            raise HostError(
                f"{name!r} cannot be the name of a fleet or host: use a-z, 0-9 and hyphens, and not {_NTP!r}."
            )
    if not hosts:
        raise HostError(f"No hosts were named for the fleet {fleet!r}.")
    started = time.monotonic()
    ensure_engine()
    images.build(hosts.values())
    _make_key(fleet)
    wanted = {name: images.image(release) for name, release in hosts.items()}
    releases = dict(hosts)
    if ntp:
        newest = max(hosts.values())
        wanted, releases = {_NTP: images.image(newest), **wanted}, {_NTP: _NTP, **releases}
    _remove(c for c in _containers(fleet) if recreate or wanted.get(c.host.name) != c.image)
    existing = {c.host.name: c for c in _containers(fleet)}
    if docker("network", "inspect", _network(fleet), check=False).returncode:
        docker("network", "create", "--label", f"{_LABEL}={fleet}", _network(fleet))

    def start(name: str) -> Host:
        if name not in existing:
            return _start(fleet, name, releases[name], wanted[name])
        if not existing[name].running:
            docker("start", existing[name].host.container)
        return existing[name].host

    if set(wanted) - set(existing):
        say(f"{fleet}: starting {', '.join(name for name in wanted if name not in existing)}")
    server = [start(_NTP)] if ntp else []
    machines = _side_by_side(start, hosts)
    keys = _side_by_side(_await_boot, machines)
    _write(STATE / fleet / "known_hosts", "".join(keys))
    if ntp:
        _side_by_side(_await_sync, machines)
    say(f"{fleet}: up after {time.monotonic() - started:.1f} s")
    return machines + server


def running(fleet: str) -> list[Host]:
    """The running hosts of *fleet*, sorted by name, the NTP server last.

    :raises HostError: if there are none.
    """
    up_now = [c.host for c in _containers(fleet) if c.running]
    if not up_now:
        raise HostError(f"The fleet {fleet!r} is not up. Start it with up().")
    return sorted(up_now, key=lambda host: (host.release == _NTP, host.name))


def boot_anew(host: Host) -> None:
    """Boot one host of a fleet as after a power failure and wait until it is up. The other hosts are left alone.

    :raises HostError: if it does not come up, with its output.
    """
    docker("kill", host.container)
    docker("start", host.container)
    _await_boot(host)
    _await_sync(host)


def every() -> list[tuple[Host, bool]]:
    """All hosts of all fleets, and whether each is running."""
    return sorted(((c.host, c.running) for c in _containers()), key=lambda pair: (pair[0].fleet, pair[0].name))


def down(fleet: str) -> None:
    """Remove the hosts, the network and the key of *fleet*; if there is no such fleet, do nothing."""
    if not engine_answers():
        if not (STATE / fleet).exists():
            return
        ensure_engine()
    _remove(_containers(fleet))
    if docker("network", "inspect", _network(fleet), check=False).returncode == 0:
        docker("network", "rm", _network(fleet))
    shutil.rmtree(STATE / fleet, ignore_errors=True)


def inventory(hosts: Iterable[Host], path: Path) -> None:
    """Write an Ansible inventory of *hosts*, in the group ``fleet``, to *path*. The NTP server is left out.

    The address, key and host keys in it are real, and host key checking stays on.
    """
    lines = ["all:", "  children:", "    fleet:", "      hosts:"]
    for host in hosts:
        if host.release == _NTP:
            continue
        lines.append(f"        {host.name}:")
        settings = {
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_user": "ansible",
            "ansible_become": True,
            "ansible_ssh_private_key_file": str(host.key),
            "ansible_ssh_common_args": shlex.join(host.ssh_options),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        lines += [f"          {name}: {json.dumps(value)}" for name, value in settings.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, "\n".join(lines) + "\n")


class _Container(t.NamedTuple):
    host: Host
    image: str
    running: bool


def _containers(fleet: str | None = None) -> list[_Container]:
    label = _LABEL if fleet is None else f"{_LABEL}={fleet}"
    ids = docker("ps", "--all", "--quiet", "--filter", f"label={label}").stdout.decode().split()
    if not ids:
        return []
    found = []
    for facts in json.loads(docker("inspect", *ids).stdout):
        labels = facts["Config"]["Labels"]
        published = facts["HostConfig"]["PortBindings"] or {}
        ports = {inside: int(outside[0]["HostPort"]) for inside, outside in published.items()}
        host = Host(
            fleet=labels[_LABEL],
            name=labels[f"{_LABEL}.name"],
            release=labels[f"{_LABEL}.release"],
            container=facts["Name"].lstrip("/"),
            address="127.0.0.1",
            port=ports.get("22/tcp", 0),
        )
        found.append(_Container(host, facts["Config"]["Image"], facts["State"]["Running"]))
    return found


def _remove(containers: Iterable[_Container]) -> None:
    names = [c.host.container for c in containers]
    if names:
        docker("rm", "--force", "--volumes", *names)


def _start(fleet: str, name: str, release: str, image: str) -> Host:
    container = f"{_LABEL}-{fleet}-{name}"
    labels = {_LABEL: fleet, f"{_LABEL}.name": name, f"{_LABEL}.release": release}
    command = ["run", "--detach", "--name", container, "--hostname", name]
    command += ["--network", _network(fleet), "--network-alias", name]
    command += [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    if release == _NTP:
        docker(*command, image, "chronyd", "-x", "-d", "local stratum 3", "allow all")
        return Host(fleet, name, release, container, "127.0.0.1", 0)
    for _attempt in range(10):
        port = _free_port()
        published = ["--publish", f"127.0.0.1:{port}:22"]
        done = docker(*command, *published, *_systemd(), image, check=False)
        if done.returncode == 0:
            return Host(fleet, name, release, container, "127.0.0.1", port)
        docker("rm", "--force", container, check=False)
        if b"already" not in done.stderr:  # taken meanwhile: "port is already allocated", "address already in use"
            break
    raise HostError(f"{container} does not start:\n{done.stderr.decode(errors='replace')}")


def _systemd() -> list[str]:
    """The docker options that systemd needs to boot in a container, and root to inspect any process there.

    They give the container no further rights over this machine.
    """
    if docker("info", "--format", "{{.CgroupVersion}}").stdout.strip() == b"2":
        cgroups = ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup"]
    else:
        cgroups = ["--volume", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd"]
    added = ("SYS_ADMIN", "SYS_PTRACE", "LINUX_IMMUTABLE")
    rights = [word for one in added for word in ("--cap-add", one)] + ["--security-opt", "seccomp=unconfined"]
    return [*rights, *cgroups, "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec,mode=1777"]


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _await_boot(host: Host) -> str:
    """Wait until the host has booted, install Ansible's key, and return its lines for ``known_hosts``."""
    booted = host.run("sh", "-c", _BOOT, input=host.key.with_suffix(".pub").read_text(), check=False)
    if booted.returncode:
        raise HostError(f"{host.container} does not boot:\n{booted.stderr}")
    if booted.stderr:
        say(f"{host.fleet}: {host.name} is up, but units have failed:\n{booted.stderr.rstrip()}")
    deadline = time.monotonic() + PATIENCE
    while not _sshd_answers(host):
        if time.monotonic() > deadline:
            status = host.run("systemctl status ssh; journalctl --boot --unit ssh --lines 20", check=False).stdout
            raise HostError(f"sshd of {host.container} does not answer on {host.address}:{host.port}:\n{status}")
        time.sleep(0.1)
    keys = [" ".join(line.split()[:2]) for line in booted.stdout.splitlines()]
    return "".join(f"[{host.address}]:{host.port} {key}\n" for key in keys)


def _sshd_answers(host: Host) -> bool:
    try:
        with socket.create_connection((host.address, host.port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _await_sync(host: Host) -> None:
    done = host.run("sh", "-c", _SYNC, check=False)
    if done.returncode:
        raise HostError(
            f"{host.container} is not in sync with the fleet's NTP server after 30 s:\n{done.stderr}"
            "If a test stopped chrony or the server, start with new hosts (recreate)."
        )


def _make_key(fleet: str) -> None:
    folder = STATE / fleet
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not (folder / "id_ed25519").exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"ansible@{fleet}", "-f", "id_ed25519"]
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=True)


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def _network(fleet: str) -> str:
    return f"{_LABEL}-{fleet}"


_T = t.TypeVar("_T")
_R = t.TypeVar("_R")


def _side_by_side(call: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    things: Sequence[_T] = list(items)
    with ThreadPoolExecutor(max_workers=len(things)) as pool:
        return list(pool.map(call, things))
