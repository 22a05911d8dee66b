# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults on a host, each for the duration of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hosts import PATIENCE, Host


@contextlib.contextmanager
def broken_disk(host: Host) -> Iterator[None]:
    """There is no room for the recovery command, which shows only when it is written."""
    host.run("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "none", "/usr/local/sbin")
    try:
        yield
    finally:
        host.run("umount", "/usr/local/sbin")


@contextlib.contextmanager
def full_disk(host: Host, directory: str) -> Iterator[None]:
    """A directory is on a file system of its own, with the same contents and no free space."""
    made = not host.exists(directory)
    host.run(f"mkdir -p {directory} && cp -a {directory} /root/kept")
    host.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", directory)
    try:
        host.run(f"cp -a /root/kept/. {directory} && ! dd if=/dev/zero of={directory}/room bs=1k status=none")
        yield
    finally:
        host.run(f"umount {directory} && rm -r /root/kept")
        if made:
            host.run("rmdir", directory)


@contextlib.contextmanager
def unreachable(host: Host) -> Iterator[None]:
    """Nobody gets in by ssh, and existing connections are closed, including Ansible's."""
    host.run("systemctl stop ssh.socket ssh.service; pkill -f '^sshd'; true")
    try:
        yield
    finally:
        host.run("systemctl", "start", "ssh.service")


@contextlib.contextmanager
def unsynced_clock(host: Host) -> Iterator[None]:
    """No time service keeps the clock in sync."""
    host.run("systemctl", "stop", "chrony")
    try:
        yield
    finally:
        host.run("systemctl", "start", "chrony")


@contextlib.contextmanager
def lock_held(host: Host) -> Iterator[None]:
    """Another run holds the lock and does not end."""
    lock = "/run/fleet-auth.lock"
    hold = f"exec 9>>{lock} && flock 9 && echo $$ >{lock} && exec sleep 600"
    process = host.run("sh", "-c", 'sh -c "$1" >/dev/null 2>&1 & echo $!', "sh", hold).stdout.strip()
    try:
        host.run(f"until grep -qsx {process} {lock}; do sleep 0.1; done", timeout=PATIENCE)
        yield
    finally:
        host.run("kill", process)
