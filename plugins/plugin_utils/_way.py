# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that ssh takes to a host: straight, by a program, or by jump hosts, each with its own answers.

Whatever brings a connection to a host must not ask on the terminal on which the host asks: nobody could tell there
whose prompt is answered. So a jump host is logged in to before, on a terminal of its own, and what then leads on
through it can ask for nothing; a program gets no terminal at all.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible.errors import AnsibleError

NO_WAY = b"-oProxyCommand=false"
"""For an ssh that may use the connection that is there, and make none."""
MOST_JUMPS = 8
"""How many jump hosts one after the other are believed; ssh's configuration may lead in a circle."""

_JUMP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+(?:@[^@]+)*)@)?(?:\[(?P<numeric>[^]]+)\]|(?P<name>[^]:/@\[-][^]:/@\[]*))(?::(?P<port>\d+))?/?"
)
_BY_SSH = re.compile(r"^\s*(exec\s+)?([^\s'\"]*/)?ssh(?=\s)")
_FIELDS = ("secret", "password", "digits", "interval", "prompt")
_WITHOUT_A_TERMINAL = (
    "import os, signal, sys; os.setsid(); signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "os.execl(sys.argv[1], sys.argv[1], '-c', sys.argv[2])"
)


@dataclasses.dataclass(frozen=True)
class Keys:
    """What one account of one host is answered with.

    secret: in base32; None or empty: there is no code to give. interval: seconds a code lasts. prompt, password_prompt:
    a part of what asks for the code, for the password.
    """

    secret: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)
    digits: int = 6
    interval: int = 30
    prompt: str = "One-time password"
    password_prompt: str = "assword"  # noqa: S105 - what a prompt has


@dataclasses.dataclass(frozen=True)
class Jump:
    """A jump host as ssh's option ProxyJump names it.

    user, port: what stands there; empty where ssh's configuration decides.
    """

    name: str
    user: str = ""
    port: str = ""

    @property
    def words(self) -> list[str]:
        """What ssh is told of it, before the host's name."""
        return [*(["-l", self.user] if self.user else []), *(["-p", self.port] if self.port else [])]


def jumps(text: str) -> list[Jump]:
    """The jump hosts of a ProxyJump, as `ssh -G` prints it: first the one that is reached first.

    :raises AnsibleError: if one of them cannot be read.
    """
    found = []
    for word in text.split(",") if text not in ("", "none") else []:
        match = _JUMP.fullmatch(word.strip())
        if not match:
            raise AnsibleError(
                f"fleet.auth.ssh_totp cannot read the jump host {word!r} of ssh's option ProxyJump. Write it as "
                "user@name:port, of which user and port may be left out."
            )
        found.append(Jump(match["numeric"] or match["name"], match["user"] or "", match["port"] or ""))
    return found


def chain(
    settings: Mapping[str, str], settings_of: Callable[[Jump], Mapping[str, str]]
) -> list[tuple[Jump, Mapping[str, str]]]:
    """The jump hosts on the way to a host, first the one that is reached first, each with what ssh makes of it.

    settings: those of the host. settings_of: gives those of a jump host, as far as ssh's configuration says.

    :raises AnsibleError: if there is no end of them.
    """
    found: list[tuple[Jump, Mapping[str, str]]] = []
    while named := jumps(settings.get("proxyjump", "")):
        # Only the first one is reached as the configuration says; the others by the one before them.
        found = [*((jump, settings_of(jump)) for jump in named), *found]
        if len(found) > MOST_JUMPS:
            raise AnsibleError(
                f"ssh's configuration leads over more than {MOST_JUMPS} jump hosts, {found[0][0].name!r} among them. "
                "See that no ProxyJump leads back to itself; 'Host * !bastion' leaves the bastion out."
            )
        settings = found[0][1]
    return found


def keys_of(jump_hosts: t.Any, name: str) -> Keys:
    """The answers for the jump host *name*; none where it is not among them.

    jump_hosts: the option `totp_jump_hosts` as it was given.

    :raises AnsibleError: if its form is wrong; no value shows.
    """
    form = "'{bastion: {secret: …, password: …}}', by the names that ProxyJump has for them"
    if not isinstance(jump_hosts, Mapping):
        raise AnsibleError(f"ansible_totp_jump_hosts is no dictionary. Write it as {form}.")
    entry = jump_hosts.get(name, {})
    where = f"ansible_totp_jump_hosts['{name}']"
    if not isinstance(entry, Mapping):
        raise AnsibleError(f"{where} is no dictionary. Write ansible_totp_jump_hosts as {form}.")
    unknown = sorted(str(field) for field in entry if field not in _FIELDS)
    if unknown:
        raise AnsibleError(f"{where} has {unknown[0]!r}, which means nothing there. Use {', '.join(_FIELDS)}.")
    numbers = {"digits": Keys.digits, "interval": Keys.interval}
    for field, least, most in (("digits", 6, 8), ("interval", 5, 120)):
        if field in entry:
            text = str(entry[field])
            if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
                raise AnsibleError(f"{where}: {field} must be a whole number from {least} to {most}.")
            numbers[field] = int(text)
    texts = {field: str(entry[field]) for field in ("secret", "password", "prompt") if entry.get(field)}
    return Keys(
        secret=texts.get("secret"),
        password=texts.get("password"),
        digits=numbers["digits"],
        interval=numbers["interval"],
        prompt=texts.get("prompt", Keys.prompt),
    )


def through(ssh: Sequence[str], jump: Jump) -> bytes:
    """The option of ssh that leads on through the connection to a jump host, of which *ssh* is told where it is."""
    words = [*ssh, "-oBatchMode=yes", NO_WAY.decode(), *jump.words]
    fixed = shlex.join(word.replace("%", "%%") for word in words)
    return by_program(f"{fixed} -W '[%h]:%p' {shlex.quote(jump.name)}", run_by="/bin/sh")


def by_program(command: str, *, run_by: str) -> bytes:
    """The option of ssh that reaches a host by the ProxyCommand *command*.

    It cannot ask on ssh's terminal, and does not end when that hangs up after the login. Where it is ssh, it is told
    not to ask at all: without a terminal it would answer with nothing, which a host counts as wrong codes.

    run_by: the path of the shell that runs it.
    """
    command = _BY_SSH.sub(r"\g<0> -oBatchMode=yes", command)
    words = [sys.executable, "-I", "-c", _WITHOUT_A_TERMINAL, run_by]
    quoted = [shlex.quote(word.replace("%", "%%")) for word in words]
    return " ".join(["-oProxyCommand=" + quoted[0], *quoted[1:], shlex.quote(f"exec {command}")]).encode()


def without_jump(words: Sequence[bytes]) -> list[bytes]:
    """A command of ssh or sftp without its option -J, which ssh does not take beside a ProxyCommand."""
    kept: list[bytes] = []
    dropped = False
    for word in words:
        if dropped:
            dropped = False
        elif word == b"-J":
            dropped = True
        elif not word.startswith(b"-J"):
            kept.append(word)
    return kept


def configuration(words: Sequence[bytes]) -> list[str]:
    """The option -F of a command of ssh: the one option that it hands on to jump hosts."""
    for place, word in enumerate(words):
        if word == b"-F":
            return [part.decode() for part in words[place : place + 2]]
        if word.startswith(b"-F"):
            return [word.decode()]
    return []
