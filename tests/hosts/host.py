# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: run commands on it, read and write its files, add users."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import typing as t
from collections.abc import Sequence
from pathlib import Path

from .docker import STATE, HostError, docker
from .resident import execute

Entry = tuple[int, int, int, str]
"""What a snapshot holds for a path: mode, uid, gid, and contents, see `Host.snapshot`."""

_SNAPSHOT = r"""
for path; do
    shift
    if [ -e "$path" ] || [ -L "$path" ]; then set -- "$@" "$path"; fi
done
[ $# -gt 0 ] || exit 0
find "$@" -printf 'N%y %m %U %G %i %C@ %p\0L%l\0'
"""

_EVERY_RESPECT = r"""
import hashlib, json, os, stat, sys
found, names = {}, {}
def look(path):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    text = os.readlink(path) if kind == stat.S_IFLNK else ""
    if kind == stat.S_IFREG:
        with open(path, "rb") as file:
            text = hashlib.sha256(file.read()).hexdigest()
        if status.st_nlink > 1:
            names.setdefault(status.st_ino, []).append(path)
    attributes = os.listxattr(path, follow_symlinks=False)
    found[path] = [oct(status.st_mode), status.st_uid, status.st_gid, text] + sorted(
        f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in attributes
    )
for top in sys.argv[1:]:
    for directory, directories, files in os.walk(top):
        for path in (directory, *(os.path.join(directory, name) for name in (*directories, *files))):
            if path not in found:
                look(path)
for paths in names.values():
    for path in paths:
        found[path].append(f"links: {sorted(paths)}")
print(json.dumps(found))
"""

PATIENCE = 90
"""Seconds that a test waits for what a host does at once while it has little to do."""

_digests: dict[tuple[str, ...], str] = {}
"""The SHA-256 of files by container, inode, change time and path. A file that is written gets a new change time."""

_INSTALL = r"""
[ "$(dpkg-query --show --showformat '${db:Status-Abbrev}\n' "$@" 2>/dev/null | grep -c '^ii')" = $# ] ||
    DEBIAN_FRONTEND=noninteractive exec apt-get --quiet --yes --no-install-recommends install "$@"
"""

_ADD_USER = r"""
set -e
user=$1 shell=$2
shift 2
for group; do groupadd --force "$group"; done
groups=$(IFS=,; echo "$*")
if id "$user" >/dev/null 2>&1; then
    usermod --shell "$shell" --append --groups "$groups" "$user"
else
    useradd --create-home --shell "$shell" --groups "$groups" "$user"
fi
read -r key
[ -n "$key" ] || exit 0
home=$(getent passwd "$user" | cut -d: -f6)
install -d -o "$user" -g "$user" -m 0700 "$home/.ssh"
echo "$key" >"$home/.ssh/authorized_keys"
chown "$user:" "$home/.ssh/authorized_keys"
"""

# Tests log in thousands of times, and checking a password with Debian's default hash takes as long as the rest of a
# login.
_SET_PASSWORD = r"""
perl -ne '
    chomp;
    my ($user, $password) = split /:/, $_, 2;
    print "$user:", crypt($password, q($6$rounds=1000$tests$)), "\n";
' | chpasswd --encrypted
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """A running host, or the fleet's NTP server.

    :param release: such as ``debian12`` or ``debian12-cockpit``; ``ntp`` for the NTP server, which has no systemd, no
        sshd and port 0.
    :param port: of sshd, on 127.0.0.1 only.
    """

    fleet: str
    name: str
    release: str
    container: str
    address: str
    port: int

    @property
    def key(self) -> Path:
        """The private key of the fleet, which is authorised for the account ``ansible``."""
        return STATE / self.fleet / "id_ed25519"

    @property
    def network(self) -> Path:
        """The host's network namespace, valid until its next boot."""
        return Path("/proc", self._running("{{.State.Pid}}"), "ns/net")

    @property
    def inner_address(self) -> str:
        """The host's address in the fleet's network, valid until its next boot."""
        return self._running("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def _running(self, fact: str) -> str:
        return docker("inspect", "--format", fact, self.container).stdout.decode().strip()

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """Options that make ssh use this fleet's host keys, and none of the user's own configuration and keys."""
        known_hosts = STATE / self.fleet / "known_hosts"
        settings = (
            f'UserKnownHostsFile="{known_hosts}"',
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        )
        return ("-F", "none", *(word for setting in settings for word in ("-o", setting)))

    def run(
        self,
        *command: str,
        input: str | bytes | None = None,
        check: bool = True,
        user: str = "root",
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, as root unless *user* says otherwise, bypassing ssh and PAM.

        :param command: a program and its arguments, or one string for ``sh``.
        :param input: goes to standard input, the place for secrets; without it standard input is empty.
        :param timeout: seconds.
        :raises HostError: on a status other than 0 if *check*, and on a timeout. The text never contains *input*.
        """
        words = ("sh", "-c", *command) if len(command) == 1 else command
        done = self._exec(*words, input=input, check=check, user=user, timeout=timeout)
        output, errors = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(command, done.returncode, output, errors)

    def install(self, *packages: str) -> None:
        """Install the missing ones of these Debian packages from the host's package cache."""
        self._exec("sh", "-c", _INSTALL, "sh", *packages)

    def read(self, path: str) -> bytes:
        """The contents of a file."""
        return self._exec("cat", "--", path).stdout

    def write(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """Write a file owned by root, replacing an existing one, and make missing directories above it."""
        self._exec("install", "-D", "-m", f"{mode:04o}", "/dev/stdin", path, input=data)

    def exists(self, path: str) -> bool:
        """Whether there is something at *path*, a dangling link included."""
        return bool(self._exec("sh", "-c", 'if [ -e "$1" ] || [ -L "$1" ]; then echo yes; fi', "sh", path).stdout)

    def add_user(
        self,
        name: str,
        password: str | None = None,
        authorized_key: str | Path | None = None,
        groups: Sequence[str] = (),
        shell: str = "/bin/bash",
    ) -> None:
        """Make sure that the account exists; groups that do not exist are made.

        :param password: without it an existing account keeps its password, and a new one cannot log in by password.
        :param authorized_key: a line, or the path of a public key.
        """
        line = authorized_key.read_text() if isinstance(authorized_key, Path) else authorized_key or ""
        self._exec("sh", "-c", _ADD_USER, "sh", name, shell, *groups, input=line.strip() + "\n")
        if password is not None:
            self.set_password(name, password)

    def set_password(self, name: str, password: str) -> None:
        """Set the password of an account."""
        self._exec("sh", "-c", _SET_PASSWORD, input=f"{name}:{password}\n")

    def snapshot(self, paths: Sequence[str] = ("/etc",)) -> dict[str, Entry]:
        """Everything at and below *paths*, to compare before and after; a path that does not exist is left out.

        Contents are a file's SHA-256 (hex), ``-> TARGET`` for a link, or find's letter for any other type (``d`` for a
        directory).
        """
        found: dict[str, tuple[int, int, int]] = {}
        contents: dict[str, str] = {}
        files: dict[str, tuple[str, ...]] = {}
        path = kind = ""
        listed = self._exec("sh", "-c", _SNAPSHOT, "sh", *paths).stdout.decode(errors="surrogateescape")
        for record in listed.split("\0")[:-1]:
            if record.startswith("N"):
                kind, mode, uid, gid, inode, changed, path = record[1:].split(" ", 6)
                found[path] = int(mode, 8), int(uid), int(gid)
                if kind == "f":
                    files[path] = self.container, inode, changed, path
            else:
                contents[path] = f"-> {record[1:]}" if kind == "l" else kind
        unknown = [path for path, file in files.items() if file not in _digests]
        names = "\0".join(unknown).encode(errors="surrogateescape")
        digests = self._exec("xargs", "-0r", "sha256sum", "--zero", "--", input=names).stdout
        for record in digests.decode(errors="surrogateescape").split("\0")[:-1]:
            digest, path = record.split("  ", 1)
            _digests[files[path]] = digest
        contents.update((path, _digests[file]) for path, file in files.items())
        return {path: (*owner, contents[path]) for path, owner in found.items()}

    def in_every_respect(self, *paths: str) -> dict[str, list[t.Any]]:
        """Everything at and below *paths*: type and mode, owner, contents, extended attributes, ACLs, hard links."""
        done = self._exec("python3", "-c", _EVERY_RESPECT, *paths)
        return dict(json.loads(done.stdout))

    def _exec(
        self,
        *words: str,
        input: str | bytes | None = None,
        check: bool = True,
        user: str = "root",
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[bytes]:
        data = input.encode() if isinstance(input, str) else input
        if user != "root":
            interactive = [] if data is None else ["--interactive"]
            command = ["exec", *interactive, "--user", user, self.container, *words]
            return docker(*command, input=data, check=check, timeout=timeout)
        done = execute(self.container, words, data, timeout)
        if check and done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise HostError(f"{' '.join(words)}\non {self.container} ended with {done.returncode}:\n{said}")
        return done
