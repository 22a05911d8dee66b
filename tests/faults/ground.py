# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on which trials are made: its people, the modules that run there, and the saved states to return to."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re
import subprocess
import typing as t
from collections.abc import Mapping
from pathlib import Path

import hosts
from hosts.host import Entry
from login import ssh
from login.backends import GOOGLE, OATH
from login.modules import sent_to
from login.payload import payload
from login.people import Person
from login.security_keys import Key, authorize

from . import strace
from .kinds import CHANGED_UNCONFIRMED, DIRECTORY, JOURNAL, PRISTINE, SECRETS, UNDO, Kind, State, modules
from .policy import Holder

# Everything that decides a login, and everything that a change leaves behind.
_PATHS = (
    *(backend.directory for backend in (OATH, GOOGLE)),
    *("/etc/pam.d", "/etc/profile.d", "/etc/security", "/etc/ssh", "/etc/systemd/system", "/etc/tmpfiles.d"),
    *("/usr/libexec/fleet-auth", "/usr/local/bin", "/usr/local/sbin", "/usr/share/cockpit"),
    *("/var/lib/fleet-auth", "/var/lib/fleet-auth-guard", "/var/lib/fleet-auth-invitations"),
    *("/run/fleet-auth", "/run/fleet-auth.lock"),
)
UNITS = ("fleet-auth-self-service.socket", "fleet-auth-guard.path")
"""systemd units that listen or watch. Whether they are active is compared like a file."""
_STAGED = "*/.*.fleet-auth-*"
_PENDING = (JOURNAL, UNDO, "/var/lib/fleet-auth", "*/fleet-auth-undo-at-boot.service", _STAGED)
_CREDENTIALS = tuple(f"{backend.directory}/" for backend in (OATH, GOOGLE))
# The lock holds a process id, and the tallies hold a time.
_NO_STATE = ("/run/fleet-auth.lock", "/run/fleet-auth/faillock/*", "/var/lib/fleet-auth-guard/alerts")

_SAVE = r"""
set -e
rm -rf "$1"
mkdir -p "$1"
shift
for path; do
    shift
    if [ -e "$path" ]; then set -- "$@" "$path"; fi
done
for path in /etc/.*.fleet-auth-* /var/lib/.*.fleet-auth-*; do
    if [ -e "$path" ]; then set -- "$@" "$path"; fi
done
cp --archive --parents "$@" "$0"
"""
_LOAD = r"""
set -e
state=$1
shift
systemctl stop fleet-auth-undo.timer fleet-auth-undo.service fleet-auth-self-service.socket \
    fleet-auth-guard.path fleet-auth-guard.service 2>/dev/null || true
systemctl reset-failed
for path; do
    if [ -d "$path" ]; then find "$path" -mindepth 1 -delete; rmdir "$path"; else rm -f "$path"; fi
done
rm -rf /tmp/ansible_fleet* /srv/faults/strace \
    /run/.*.fleet-auth-* /usr/libexec/.*.fleet-auth-* /etc/.*.fleet-auth-* /var/lib/.*.fleet-auth-*
cp --archive "$state/." /
rm -f /run/fleet-auth/self-service.sock
systemctl daemon-reload
systemctl start sockets.target paths.target
kill -HUP "$(cat /run/sshd.pid)"
"""
_LOOK = rf"""
sshd -t 2>&1
echo "sshd -t ended with $?"
systemctl is-active {" ".join(UNITS)}
# Staged where not all is looked at.
ls -d /run/.*.fleet-auth-* /usr/libexec/.*.fleet-auth-* /etc/.*.fleet-auth-* /var/lib/.*.fleet-auth-* 2>/dev/null
for path in {" ".join(f"{directory}*" for directory in _CREDENTIALS)}; do
    if [ -f "$path" ]; then echo "== $path"; cat "$path"; fi
done
"""
_WAITS = rf"""
[ -e {JOURNAL} ] || systemctl is-active fleet-auth-undo.timer fleet-auth-undo.service | grep -Eq '^(de)?activ'
"""


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen on a host."""

    files: Mapping[str, Entry]
    """Permanent files that decide logins, without what logins write into them."""
    left: frozenset[str]
    """Files prepared for a change that has not ended, or kept from it."""
    credentials: Mapping[str, str]
    """Content by path."""
    sshd_error: str

    @property
    def pending(self) -> bool:
        """Whether a journal exists."""
        return JOURNAL in self.left

    def differs(self, other: Look, used: t.Collection[str] = ()) -> list[str]:
        """The paths that differ, except for what logins with codes wrote for the people in `used`."""
        paths = {path for path in {*self.files, *other.files} if self.files.get(path) != other.files.get(path)}
        for path in {*self.credentials, *other.credentials}:
            mine, theirs = self.credentials.get(path), other.credentials.get(path)
            directory, _slash, name = path.rpartition("/")
            if name in used and mine and (theirs is None or _without_history(mine) == _without_history(theirs)):
                # A credential that somebody has logged in with is kept.
                paths -= {path, directory}
            elif mine != theirs:
                paths.add(path)
        return sorted(paths)

    def remembers(self, who: str, code: str, at: float) -> bool:
        """Whether every credential of `who` records that `code` was used at about the time `at`."""
        theirs = [text for path, text in self.credentials.items() if path.endswith(f"/{who}")]
        return bool(theirs) and all(_remembers(text, code, at) for text in theirs)


def _without_history(credential: str) -> list[str]:
    if credential.startswith("HOTP"):
        return credential.split()[1:4]
    return re.sub(r"(DISALLOW_REUSE).*", r"\1", credential).split("\n")


def _remembers(credential: str, code: str, at: float) -> bool:
    if credential.startswith("HOTP"):
        return code in credential.split()
    secret, *options = credential.split("\n")
    interval = next(int(line.split()[2]) for line in options if line.startswith('" STEP_SIZE '))
    steps = next(line.split()[2:] for line in options if line.startswith('" DISALLOW_REUSE'))
    now = int(at) // interval
    return any(
        str(step) in steps
        for step in range(now - 3, now + 4)
        if ssh.code(secret, interval=interval, at=step * interval) == code
    )


class Ground:
    """A host with its states saved on it."""

    def __init__(self, host: hosts.Host, security_key: Key, collections: Path | None = None) -> None:
        """Prepare a new host.

        :param security_key: kay's security key.
        :param collections: another directory of collections to take the modules from, to test a product that is broken
            on purpose.
        """
        self.host = host
        self.people = {name: Person(name, host, host.key, secret=secret) for name, secret in SECRETS.items()}
        self.people["kay"] = Holder("kay", host, host.key, security_key=security_key)
        self.looks: dict[str, Look] = {}
        self.seen: dict[str, set[int]] = {}
        """By kind of change, hashes of the states in which people have logged in."""
        host.run("mkdir", "-p", DIRECTORY)
        host.install(OATH.package, GOOGLE.package, "qrencode")
        # All that the product looks at for Cockpit.
        host.write("/etc/pam.d/cockpit", "@include common-auth\n")
        host.run("mkdir", "-p", "/usr/share/cockpit")
        for person in self.people.values():
            host.add_user(person.name, password=person.password, authorized_key=host.key.with_suffix(".pub"))
        authorize(self.people["kay"], security_key)
        packed = functools.partial(
            payload,
            collections=str(collections) if collections else None,
            sent=functools.partial(sent_to, host),
        )
        for name, options in modules(security_key.line).items():
            host.write(f"{DIRECTORY}/{name}", packed("twofactor", options), 0o600)
        self._packed = packed
        self._make(PRISTINE)

    def prepare(self, kind: Kind) -> None:
        """Make each state that trials of this kind begin or end in, unless the host has it."""
        for state in kind.states:
            self._make(state)

    def load(self, state: State) -> None:
        """Bring the host to a saved state."""
        self.host.run("sh", "-c", _LOAD, "sh", _saved(state), *_PATHS)

    def look(self) -> Look:
        """Collect the state of the host."""
        shown = self.host.run("sh", "-c", _LOOK).stdout
        sshd, *credentials = re.split(r"^== (\S+)\n", shown, flags=re.MULTILINE)
        error, _ended, rest = sshd.rpartition("sshd -t ended with ")
        status, *words = rest.split() or ["", *UNITS]
        found: dict[str, Entry] = {unit: (0, 0, 0, state) for unit, state in zip(UNITS, words, strict=False)}
        staged = words[len(UNITS) :]
        left = set(staged)
        for path, entry in self.host.snapshot(_PATHS).items():
            if any(fnmatch.fnmatch(path, pattern) for pattern in _PENDING):
                left.add(path)
            elif path.startswith(_CREDENTIALS):
                found[path] = (*entry[:3], "")
            elif not any(fnmatch.fnmatch(path, pattern) for pattern in _NO_STATE):
                found[path] = entry
        return Look(
            files=found,
            left=frozenset(left),
            credentials=dict(zip(credentials[::2], credentials[1::2], strict=True)),
            sshd_error="" if status == "0" else error or shown,
        )

    def waits_for_timer(self) -> bool:
        """Whether the host still has to roll itself back, or is doing so now."""
        return self.host.run(_WAITS, check=False).returncode == 0

    def run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """Run a command; a failure is no error here."""
        return self.host.run(*command, check=False)

    def reboot(self) -> None:
        """Boot the host again, as after a loss of power."""
        self.host.run("sync")
        hosts.boot_anew(self.host)

    def find_calls(self, kind: Kind) -> list[strace.Call]:
        """The system calls of a change that can be struck. To find them, the change is run once without a fault."""
        self.prepare(kind)
        self.load(kind.begin)
        done = self.run(tuple(strace.watched(kind.command)))
        difference = self.look().differs(self.looks[kind.after.name])
        if done.returncode or difference:
            raise hosts.HostError(f"{kind} does not work unharmed: {difference}\n{done.stdout[-2000:]}\n{done.stderr}")
        return strace.calls(self.host.read(strace.LOG).decode(errors="replace"))

    def _make(self, state: State) -> None:
        if state.name in self.looks:
            return
        if state.begin:
            self._make(state.begin)
            self.load(state.begin)
            done = self.run(state.command)
            if done.returncode:
                raise hosts.HostError(f"{self.host.name} cannot be made {state}:\n{done.stdout[-2000:]}\n{done.stderr}")
        self.host.run("sh", "-c", _SAVE, _saved(state), _saved(state), *_PATHS)
        self.looks[state.name] = self.look()
        if state is CHANGED_UNCONFIRMED:
            token = re.search(r"^token\t(\w+)$", self.host.read(JOURNAL).decode(), re.MULTILINE)
            confirm = self._packed("twofactor_confirm", {"confirmation": token[1] if token else ""})
            self.host.write(f"{DIRECTORY}/confirm", confirm, 0o600)


def _saved(state: State) -> str:
    return f"{DIRECTORY}/states/{state.name}"
