# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ssh and sftp with their prompts answered, and the codes for the answers."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import re
import tempfile
import time
import typing as t
from pathlib import Path

import pexpect
import pyotp

from hosts import PATIENCE, Host

_PROMPT = re.compile(r"([^\r\n]*(?:(assword)|(One-time password)[^\r\n:]*|(PIN for)[^\r\n:]*): ?)$")
_DENIED = re.compile(r"Permission denied \([\w,-]+\)|Too many authentication failures")
NOT_YET = re.compile(r"Connection refused|kex_exchange_identification")
"""What ssh says if sshd does not listen, or stops during the connection."""
RELOAD = 3.0
"""Seconds within which sshd is back after a reload."""
QUICK_KEX = "curve25519-sha256"
"""The key exchange. The default is post-quantum and takes ten times as long to compute."""


class ConnectionFailed(Exception):
    """The login was neither allowed nor denied: the connection was refused, was dropped or hung."""


@dataclasses.dataclass(frozen=True)
class Login:
    """How a login went.

    :param ok: whether the account got in, whatever the command's result.
    :param output: standard output of the command, without the newline at its end; for sftp, the fetched file.
    :param prompts: the prompts, in order.
    :param reason: why it was denied; if it was not, the standard error.
    """

    ok: bool
    output: str
    prompts: tuple[str, ...]
    reason: str
    seconds: float


def login(
    host: Host,
    user: str,
    *,
    key: Path | None = None,
    password: str | None = None,
    code: str | None = None,
    pin: str | None = None,
    provider: Path | None = None,
    methods: str | None = None,
    batch: bool = False,
    command: str = "id -un",
) -> Login:
    """Log in and run *command*.

    Each secret is given once. If ssh asks for it again, or for one that was not given, the login is denied.

    :param key: a private key; without it no key is offered.
    :param password: the answer to a prompt for a password.
    :param code: the answer to a prompt for a one-time password.
    :param pin: the answer to a prompt for the PIN of a security key.
    :param provider: the library through which ssh reaches security keys.
    :param methods: ssh's ``PreferredAuthentications``.
    :param batch: ssh's ``BatchMode``, in which it asks for nothing.
    :raises ConnectionFailed: if it was neither allowed nor denied.
    """
    options = [*_options(host, key=key, methods=methods), "-o", f"BatchMode={'yes' if batch else 'no'}"]
    options += ["-o", f"SecurityKeyProvider={provider}"] if provider else []
    secrets = {"password": password, "code": code, "pin": pin}
    return _converse(host, user, ["ssh", *options, f"{user}@{host.address}", command], secrets)


def sftp(
    host: Host,
    user: str,
    path: str,
    *,
    key: Path | None = None,
    password: str | None = None,
    code: str | None = None,
    methods: str | None = None,
) -> Login:
    """Fetch the text file *path* from the host; the other parameters are those of `login`."""
    with tempfile.TemporaryDirectory() as folder:
        fetched = Path(folder, "fetched")
        options = _options(host, key=key, methods=methods)
        words = ["sftp", *options, f"{user}@{host.address}:{path}", str(fetched)]
        done = _converse(host, user, words, {"password": password, "code": code})
        return dataclasses.replace(done, output=fetched.read_text() if fetched.exists() else "")


def gets_in(log_in: t.Callable[..., Login], *arguments: str, **how: t.Any) -> bool:
    """Whether this login gets in. When sshd's account stack denies, sshd closes the connection."""
    with contextlib.suppress(ConnectionFailed):
        return log_in(*arguments, **how).ok
    return False


def terminal(host: Host, user: str, password: str) -> pexpect.spawn[str]:
    """Log in with a password at a terminal, and return the terminal."""
    options = _options(host, key=None, methods=None)
    words = [*options, "-t", f"{user}@{host.address}"]
    child = pexpect.spawn(
        "ssh", words, timeout=PATIENCE, encoding="utf-8", codec_errors="replace", dimensions=(80, 120)
    )
    child.expect("assword: ?$")
    child.sendline(password)
    return child


class _App(pyotp.TOTP):
    """Makes codes from keys of any length, as apps do."""

    min_secret_length_bits = 8


def code(secret: str | bytes, *, digits: int = 6, interval: int = 30, steps: int = 0, at: float | None = None) -> str:
    """The code that a phone shows (RFC 6238).

    :param secret: in base32, as in a provisioning URI, or the bytes of the key, as returned by `credential`.
    :param interval: seconds per step.
    :param steps: how many steps later (negative: earlier) than at the time *at*.
    :param at: seconds since 1970; if omitted, now.
    """
    text = base64.b32encode(secret).decode() if isinstance(secret, bytes) else secret
    when = time.time() if at is None else at
    return _App(text, digits=digits, interval=interval).at(int(when), counter_offset=steps)


def fresh_step(interval: int = 30, at_least: float = 8) -> float:
    """Wait until at least *at_least* seconds of the current step remain, so that a test does not cross its end.

    :returns: the time, in seconds since 1970.
    """
    remaining = interval - time.time() % interval
    if remaining < at_least:
        time.sleep(remaining + 0.05)
    return time.time()


def credential(host: Host, user: str) -> bytes:
    """The key of the first token in the user's credential file on the host.

    :raises LookupError: if there is none.
    """
    path = f"/etc/oath/{user}"
    for line in host.read(path).decode().splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[0].startswith("HOTP") and fields[1] == user:
            return bytes.fromhex(fields[3])
    raise LookupError(f"{path} on {host.name} has no token of {user}.")


def _options(host: Host, *, key: Path | None, methods: str | None) -> list[str]:
    if key and not key.is_file():
        raise FileNotFoundError(f"There is no key {key}; ssh would go on without one.")
    settings = {
        "Port": str(host.port),
        "ConnectTimeout": "10",
        "ControlMaster": "no",
        "ControlPath": "none",
        "KexAlgorithms": QUICK_KEX,
        "NumberOfPasswordPrompts": "1",
        "IdentityFile": f'"{key}"' if key else "none",
    }
    if methods:
        settings["PreferredAuthentications"] = methods
    return [*host.ssh_options, *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]


def _converse(host: Host, user: str, words: list[str], secrets: t.Mapping[str, str | None]) -> Login:
    started = time.monotonic()
    while True:
        output, error, status, prompts, reason = _once(words, dict(secrets))
        if reason or (status == 255 and _DENIED.search(error)):
            return Login(False, "", prompts, reason or error, time.monotonic() - started)
        if status is not None and status != 255:
            return Login(True, output, prompts, error, time.monotonic() - started)
        if prompts or not NOT_YET.search(error) or time.monotonic() - started > RELOAD:
            raise ConnectionFailed(
                f"{words[0]} as {user} to {host.name} ({host.address}:{host.port}) was neither allowed nor denied. "
                f"It said: {error or 'nothing'}. Prompts: {list(prompts)}."
            )
        time.sleep(0.2)


def _once(words: list[str], secrets: dict[str, str | None]) -> tuple[str, str, int | None, tuple[str, ...], str]:
    """Run the command once and answer its prompts, which are on the terminal; output and errors go to files."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        shell = ["-c", 'out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err"', "sh", str(out), str(err), *words]
        child = pexpect.spawn("/bin/sh", shell, timeout=PATIENCE, encoding="utf-8", codec_errors="replace")
        child.delaybeforesend = None
        prompts: list[str] = []
        reason = ""
        try:
            while not reason and child.expect([_PROMPT, pexpect.EOF]) == 0:
                asked = t.cast("re.Match[str]", child.match)
                prompts.append(asked[1].strip())
                kind = "password" if asked[2] else "code" if asked[3] else "pin"
                answer = secrets.pop(kind, None)
                if answer is None:
                    reason = f"asked for a {kind} that there is not, or that was given already: {prompts[-1]}"
                else:
                    child.sendline(answer)
            if not reason:
                child.wait()
        except pexpect.TIMEOUT:
            raise ConnectionFailed(
                f"{words[0]} hung for {PATIENCE} s. It said: {_text(err) or 'nothing'}. "
                f"On the terminal: {child.before!r}. Prompts: {prompts}."
            ) from None
        finally:
            end(child)
        return _text(out), _text(err), child.exitstatus, tuple(prompts), reason


def end(child: pexpect.spawn[str]) -> None:
    """End a command and close its terminal. On a busy machine, it may end later than pexpect waits for that."""
    try:
        child.close(force=True)
    except pexpect.ExceptionPexpect:
        child.wait()  # It was killed.
        child.close(force=True)


def _text(path: Path) -> str:
    return path.read_text(errors="replace").strip() if path.exists() else ""
