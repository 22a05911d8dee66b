# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How ssh reaches a host: directly, by a ProxyCommand, or through jump hosts, each with its own answers.

Nothing else may ask on the terminal on which the host asks, because it would be unclear whose prompt is answered. So
ssh logs in to a jump host first, on a terminal of its own. The ssh that then goes on through the jump host can ask for
nothing, and a ProxyCommand gets no terminal at all.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible.errors import AnsibleError

from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import OTP_DIGITS
from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import INTERVAL

NO_WAY = b"-oProxyCommand=false"
"""For an ssh that may use an existing connection, but must not make one."""
MOST_JUMPS = 8
"""How many jump hosts in a row are accepted, because ssh's configuration may contain a loop."""

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
class Credentials:
    """The answers for one account of one host.

    secret: in base32; without one, no code can be given. interval: how many seconds a code lasts. prompt,
    password_prompt: a part of the prompt for the code, or for the password.
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

    user, port: as given there; empty if ssh's configuration decides.
    """

    name: str
    user: str = ""
    port: str = ""

    @property
    def words(self) -> list[str]:
        """The options of ssh for it, to put before the host's name."""
        return [*(["-l", self.user] if self.user else []), *(["-p", self.port] if self.port else [])]


def jumps(text: str) -> list[Jump]:
    """The jump hosts of a ProxyJump, as `ssh -G` prints it, in the order in which they are reached.

    :raises AnsibleError: if one of them cannot be read.
    """
    jump_hosts = []
    for word in text.split(",") if text not in ("", "none") else []:
        match = _JUMP.fullmatch(word.strip())
        if not match:
            raise AnsibleError(
                f"fleet.auth.ssh_totp cannot read the jump host {word!r} of ssh's option ProxyJump. Write it as "
                "user@name:port, of which user and port may be left out."
            )
        jump_hosts.append(Jump(match["numeric"] or match["name"], match["user"] or "", match["port"] or ""))
    return jump_hosts


def chain(
    settings: Mapping[str, str], settings_of: Callable[[Jump], Mapping[str, str]]
) -> list[tuple[Jump, Mapping[str, str]]]:
    """The jump hosts on the way to a host, in the order in which they are reached, each with its settings of ssh.

    settings: those of the host. settings_of: returns those of a jump host, from ssh's configuration.

    :raises AnsibleError: if there are too many of them, as in a loop.
    """
    hops: list[tuple[Jump, Mapping[str, str]]] = []
    while named := jumps(settings.get("proxyjump", "")):
        # Only the first one is reached as the configuration says; each other one through the one before it.
        hops = [*((jump, settings_of(jump)) for jump in named), *hops]
        if len(hops) > MOST_JUMPS:
            raise AnsibleError(
                f"ssh's configuration leads over more than {MOST_JUMPS} jump hosts, {hops[0][0].name!r} among them. "
                "See that no ProxyJump leads back to itself; 'Host * !bastion' leaves the bastion out."
            )
        settings = hops[0][1]
    return hops


def credentials_of(jump_hosts: t.Any, name: str) -> Credentials:
    """The answers for the jump host *name*; the defaults without any answer if it is not listed.

    jump_hosts: the option `totp_jump_hosts` as it was given.

    :raises AnsibleError: if its form is wrong. The message contains no value.
    """
    form = "'{bastion: {secret: …, password: …}}', with the names that ProxyJump has for them"
    if not isinstance(jump_hosts, Mapping):
        raise AnsibleError(f"ansible_totp_jump_hosts is not a dictionary. Write it as {form}.")
    entry = jump_hosts.get(name, {})
    where = f"ansible_totp_jump_hosts['{name}']"
    if not isinstance(entry, Mapping):
        raise AnsibleError(f"{where} is not a dictionary. Write ansible_totp_jump_hosts as {form}.")
    unknown = sorted(str(field) for field in entry if field not in _FIELDS)
    if unknown:
        raise AnsibleError(f"{where} has {unknown[0]!r}, which has no meaning there. Use {', '.join(_FIELDS)}.")
    numbers = {"digits": Credentials.digits, "interval": Credentials.interval}
    for field, (least, most) in (("digits", OTP_DIGITS), ("interval", INTERVAL)):
        if field in entry:
            text = str(entry[field])
            if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
                raise AnsibleError(f"{where}: {field} must be a whole number from {least} to {most}.")
            numbers[field] = int(text)
    texts = {field: str(entry[field]) for field in ("secret", "password", "prompt") if entry.get(field)}
    return Credentials(
        secret=texts.get("secret"),
        password=texts.get("password"),
        digits=numbers["digits"],
        interval=numbers["interval"],
        prompt=texts.get("prompt", Credentials.prompt),
    )


def through(ssh: Sequence[str], jump: Jump) -> bytes:
    """The option of ssh that reaches the next host through the connection to a jump host.

    ssh: the command, with the options that name that connection's socket.
    """
    words = [*ssh, "-oBatchMode=yes", NO_WAY.decode(), *jump.words]
    fixed = shlex.join(word.replace("%", "%%") for word in words)
    return by_program(f"{fixed} -W '[%h]:%p' {shlex.quote(jump.name)}", run_by="/bin/sh")


def by_program(command: str, *, run_by: str) -> bytes:
    """The option of ssh that reaches a host by the ProxyCommand *command*.

    The command cannot ask on ssh's terminal, and does not end when that terminal hangs up after the login. If the
    command is ssh, it gets an option not to ask at all: without a terminal it would give empty answers, which a host
    counts as wrong codes.

    run_by: the path of the shell that runs it.
    """
    command = _BY_SSH.sub(r"\g<0> -oBatchMode=yes", command)
    words = [sys.executable, "-I", "-c", _WITHOUT_A_TERMINAL, run_by]
    quoted = [shlex.quote(word.replace("%", "%%")) for word in words]
    return " ".join(["-oProxyCommand=" + quoted[0], *quoted[1:], shlex.quote(f"exec {command}")]).encode()


def without_jump(words: Sequence[bytes]) -> list[bytes]:
    """A command of ssh or sftp without its option -J, which ssh does not accept together with a ProxyCommand."""
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
    """The option -F of a command of ssh: the only option that ssh passes on to jump hosts."""
    for place, word in enumerate(words):
        if word == b"-F":
            return [part.decode() for part in words[place : place + 2]]
        if word.startswith(b"-F"):
            return [word.decode()]
    return []
