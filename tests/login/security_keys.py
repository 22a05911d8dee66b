# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security keys (FIDO2) without a device, from the software authenticator with which OpenSSH tests itself.

Their signatures are like those of a device, so ssh and sshd need no changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import os
import subprocess
import tempfile
import typing as t
from collections.abc import Iterator
from pathlib import Path

from hosts.docker import STATE
from login import ssh
from login.people import Person

_INSTALLED = Path("/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so")
_PACKAGE = "openssh-tests"


@functools.cache
def authenticator() -> Path:
    """The library that ssh uses instead of a device: the installed one, or the one from Debian's package."""
    if _INSTALLED.exists():
        return _INSTALLED
    folder = STATE.parent / _PACKAGE
    library = folder / _INSTALLED.relative_to("/")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            with tempfile.TemporaryDirectory() as downloads:
                subprocess.run(["apt-get", "-q", "download", _PACKAGE], cwd=downloads, check=True)
                (package,) = Path(downloads).glob("*.deb")
                subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return library


@dataclasses.dataclass(frozen=True)
class Key:
    """A security key that somebody has."""

    path: Path

    @property
    def line(self) -> str:
        """The public key, as in its `.pub` file."""
        return self.path.with_suffix(".pub").read_text().strip()

    def log_in(self, person: Person, code: str | None = None, **how: t.Any) -> ssh.Login:
        """Log in with this key, and with the code if there is one."""
        return ssh.login(
            person.host, person.name, key=self.path, code=code, provider=authenticator(), **{"pin": "1234", **how}
        )


@contextlib.contextmanager
def security_keys(*names: str, kind: str = "ed25519-sk", verified: bool = True) -> Iterator[list[Key]]:
    """New keys with these names; if *verified*, each use requires the PIN."""
    options = ["-O", "verify-required"] if verified else []
    with tempfile.TemporaryDirectory() as folder:
        keys = [Key(Path(folder, name)) for name in names]
        for key in keys:
            words = ["ssh-keygen", "-q", "-t", kind, "-w", str(authenticator()), "-N", "", "-C", key.path.name]
            subprocess.run(
                [*words, *options, "-f", str(key.path)],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        yield keys


@contextlib.contextmanager
def pin_pad() -> Iterator[dict[str, str]]:
    """An environment in which ssh and its agent get the PIN from a program instead of a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "pin")
        program.write_text("#!/bin/sh\necho 1234\n")
        program.chmod(0o700)
        yield {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}


def through_agent(person: Person, key: Key) -> str:
    """Log in with the key in a forwarded agent, log in from there to the same host, and return as whom."""
    host = person.host
    again = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null localhost id -un"
    options = ["-A", "-p", str(host.port), "-i", str(key.path), "-o", "IdentityAgent=SSH_AUTH_SOCK", *host.ssh_options]
    words = ["ssh", *options, "-o", "BatchMode=yes", f"{person.name}@{host.address}", again]
    script = 'ssh-add -q -S "$1" "$2" && shift 2 && exec "$@"'
    with pin_pad() as environment:
        done = subprocess.run(
            ["ssh-agent", "-P", "/*", "sh", "-c", script, "sh", str(authenticator()), str(key.path), *words],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def authorize(person: Person, *keys: Key) -> None:
    """Write the person's own key and these keys to authorized_keys."""
    path = f"/home/{person.name}/.ssh/authorized_keys"
    lines = [person.key.with_suffix(".pub").read_text().strip(), *(key.line for key in keys)]
    person.host.run("sh", "-c", f"cat >{path}", input="\n".join(lines) + "\n")
