# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Performs one login by ssh: answers its prompts on a terminal, explains failures, and uses no code twice."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import time
import typing as t
from collections.abc import Callable, Iterator, Sequence

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import visible

CODE, PASSWORD = "code", "password"

# ssh writes a prompt in one piece, so a line that is still unfinished after this many seconds is a prompt.
_QUIET = 0.05
_LONGEST_PROMPT = 4096
"""How many bytes of an unfinished line are kept, from its end; PAM itself allows 512 for a prompt."""
_REPORTED_BYTES = 16_384
"""How many bytes of ssh's output are reported: the last ones, in which it says why it ends."""
_MOST_OUTPUT = 4 * 1024 * 1024
"""After how many bytes of ssh's output the login is given up; a host could send them as a banner."""

_DENIED = re.compile(r"Permission denied \((.*)\)")
_DROPPED = re.compile(r"kex_exchange_identification|Connection (closed|reset) by")
_NO_WAY = re.compile(r"UNKNOWN port 65535")
_EXPIRED = re.compile(r"(?i)(?<![-.\w@])\(?(current|new)\)?( \w+)? password")
"""A prompt for an old or a new password. A host may have such a name, as in `(alice@web-new) Password:`."""
_GOING_UP_OR_DOWN = re.compile(r"[Ss]ystem is (booting up|going down)")


@dataclasses.dataclass(frozen=True)
class Login:
    """The result of a login.

    status: the exit status of ssh; 255 if it failed, negative if it was killed here. stderr: its standard error.
    unanswered: the prompt for which there was no answer.
    """

    status: int
    stderr: str = ""
    unanswered: str = ""

    @property
    def ok(self) -> bool:
        """Whether the login succeeded, whatever the exit status of the remote command."""
        return 0 <= self.status < 255


class Answers:
    """The answers to ssh's prompts. Each is given once: a second prompt for it means that the first answer was refused.

    The code comes last. So a password prompt after it does not belong to the login, and neither does a prompt for the
    "current" or "new" password.
    """

    def __init__(
        self, answers: t.Mapping[str, Callable[[], str | None]], *, recognised_by: t.Mapping[str, str]
    ) -> None:
        self.asked: list[str] = []
        self._left = dict(answers)
        self._recognised_by = recognised_by

    def __call__(self, prompt: str) -> str | None:
        # The code's prompt, "One-time password", also looks like one for a password, so it is checked first.
        kind = next((kind for kind, text in self._recognised_by.items() if text in prompt), prompt)
        too_late = kind == PASSWORD and CODE in self.asked
        self.asked.append(kind)
        if too_late or _EXPIRED.search(prompt):
            return None
        return self._left.pop(kind, lambda: None)()


class Note:
    """The time from which an account of a host accepts its next code. Only that is stored: no code, no secret."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor

    @property
    def next_code_at(self) -> int:
        """Unix time in seconds; 0 if no code has been used."""
        text = os.pread(self._file, 20, 0)
        return int(text) if text.isdigit() else 0

    @next_code_at.setter
    def next_code_at(self, seconds: int) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d" % seconds, 0)


@contextlib.contextmanager
def locked_note(path: str) -> Iterator[Note]:
    """Lock the note at *path* for the block; wait until no other process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Note(descriptor)
    finally:
        os.close(descriptor)


def log_in(command: Sequence[bytes | str], answer: Callable[[str], str | None], *, patience: float) -> Login:
    """Run ssh with a terminal of its own, and answer its prompts. A prompt without an answer ends it.

    patience: seconds within which ssh must ask for something, or end.
    """
    terminal, theirs = pty.openpty()
    with (
        tempfile.TemporaryFile() as stderr,
        open(terminal, "r+b", buffering=0) as ours,
        open(theirs, "rb", buffering=0),
    ):
        process = subprocess.Popen(  # noqa: S603 - no shell, and the words are those that core gives ssh
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Not a pipe: the connection that stays in the background would keep it open.
            stderr=stderr,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            start_new_session=True,
            preexec_fn=lambda: _take_terminal(theirs),
        )
        unanswered = ""
        try:
            unanswered = _converse(process, ours, stderr.fileno(), answer, patience)
        finally:
            if process.poll() is None:
                # With its child processes: one that goes on writing would fill the disk.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        stderr.seek(max(0, os.fstat(stderr.fileno()).st_size - _REPORTED_BYTES))
        # A child process of ssh may still be writing.
        text = stderr.read(_REPORTED_BYTES).decode(errors="replace").strip()
        return Login(process.returncode, visible(text, keep="\n\t"), unanswered)


def _take_terminal(terminal: int) -> None:
    """In the process that becomes ssh: make *terminal* its controlling terminal.

    When ssh ends, the terminal hangs up. The connection that stays in the background must survive that, even if it has
    not detached from the terminal yet.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _converse(
    process: subprocess.Popen[bytes],
    terminal: t.BinaryIO,
    stderr: int,
    answer: Callable[[str], str | None],
    patience: float,
) -> str:
    """Answer prompts until ssh ends, takes too long or says too much. Return a prompt without an answer, or ''."""
    line = b""
    deadline = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < deadline and os.fstat(stderr).st_size <= _MOST_OUTPUT:
        if select.select([terminal], [], [], _QUIET)[0]:
            line = (line + os.read(terminal.fileno(), 4096)).rpartition(b"\n")[2][-_LONGEST_PROMPT:]
        elif line.strip():
            prompt = visible(line.decode(errors="replace").strip())
            reply = answer(prompt)
            if reply is None:
                return prompt
            terminal.write(reply.encode() + b"\n")
            line, deadline = b"", time.monotonic() + patience
    return ""


class Failure(t.NamedTuple):
    """Why a login failed, and what to do.

    answered: an answer was sent, and another try would send it again. final: the host refused it, and would again.
    """

    text: str
    answered: bool = True
    final: bool = True


class Names(t.NamedTuple):
    """The names of the variables or options with which the answers for a host are set."""

    secret: str
    password: str
    key: str


def explain(
    login: Login, asked: Sequence[str], *, names: Names, has_password: bool, has_secret: bool = True
) -> Failure:
    """Explain why a login failed, from what ssh asked for and what it said."""
    failure = _explain(login, asked, has_password=has_password, has_secret=has_secret)
    text = failure.text.format(secret=names.secret, password=names.password, key=names.key)
    asks = f" It asked {login.unanswered!r}." if login.unanswered else ""
    return failure._replace(text=f"{text}{asks} ssh said: {login.stderr or 'nothing'}")


def _explain(login: Login, asked: Sequence[str], *, has_password: bool, has_secret: bool) -> Failure:
    """Why a login failed, based on what was asked, what was answered and what ssh said."""
    denied = _DENIED.search(login.stderr)
    if _EXPIRED.search(login.unanswered):
        return Failure("The host says that the password has expired, and asks for a new one. Set a new one there.")
    if CODE in asked and not has_secret:
        return Failure(_NOTHING_TO_MAKE_A_CODE_OF)
    if CODE in asked:
        if _GOING_UP_OR_DOWN.search(login.stderr):
            return Failure(
                "The host accepts no logins now, because it is starting or stopping. Run it again.", final=False
            )
        if denied or login.unanswered:
            return Failure(_CODE_REFUSED)
        return Failure("The host ended the connection after the code was given. Run it again.", final=False)
    if asked == [PASSWORD] and not has_password:
        return Failure(_NO_KEY, final=False)
    if PASSWORD in asked and (denied or asked.count(PASSWORD) > 1):
        return Failure(_REFUSED_BEFORE_THE_CODE if has_secret else _REFUSED_AT_THE_FIRST_FACTOR)
    if login.unanswered:
        return Failure(_NO_ANSWER)
    if _NO_WAY.search(login.stderr):
        return Failure(_WAY_ENDED, answered=False, final=False)
    if denied:
        key_was_refused = "publickey" in denied[1] or not has_secret
        return Failure(_NO_KEY if key_was_refused else _CLOSED, final=not key_was_refused)
    if _DROPPED.search(login.stderr):
        return Failure(_DROPS_CONNECTIONS, answered=False, final=False)
    if login.status < 0:
        return Failure(
            "The host accepted the connection and then was silent. Nothing was sent. Run it again.", False, False
        )
    away = "The host cannot be reached, and nothing was sent. See that sshd runs, and that address and port are right."
    return Failure(away, answered=False, final=False)


_CODE_REFUSED = (
    "The code was refused. Either the secret, or digits and interval, are not those that the host has for this "
    "account; or the clocks of controller and host differ; or somebody else who has the secret used the code of this "
    "time step. Correct {secret} before you run it again: each wrong code is counted, and after five the account is "
    "locked for a while."
)
_CLOSED = (
    "The key was accepted, but no code was asked for: the code step is closed. Most likely the account is locked after "
    "wrong codes. Wait (15 minutes, unless set otherwise), or unlock it as root on the host: faillock --dir "
    "/run/fleet-auth/faillock --reset --user with its name. If it was not locked, the host cannot read its credential: "
    "run the playbook that enrols it."
)
_REFUSED_BEFORE_THE_CODE = (
    "The password was given, but no code was asked for: either the password is wrong, or the code step is closed, most "
    "likely because the account is locked after wrong codes. See as root on the host: faillock --dir "
    "/run/fleet-auth/faillock --user with its name; --reset unlocks it."
)
_NO_KEY = (
    "The host accepts no key that ssh has, and there is no password to give. Name the right key with {key}, or set "
    "{password}."
)
_NOTHING_TO_MAKE_A_CODE_OF = "The host asks for a code, and there is no secret to make one from. Set {secret}."
_REFUSED_AT_THE_FIRST_FACTOR = "The password was refused. Correct {password}."
_NO_ANSWER = (
    "The host asks for something to which there is no answer. Set it up so that it asks this account only for a "
    "password and a code."
)
_WAY_ENDED = (
    "The connection by a jump host or a ProxyCommand ended before the host answered, and nothing was sent to the host. "
    "A jump host that cannot reach it, or must not, says so below. A ProxyCommand has no terminal to ask on: if it is "
    "ssh to a jump host, write it as ProxyJump, and put the answers for that host into ansible_totp_jump_hosts."
)
_DROPS_CONNECTIONS = (
    "The host closed the connection before any login, and nothing was sent. Most likely it drops connections from this "
    "address for a while after failed logins (PerSourcePenalties of OpenSSH 9.8 and later; its journal says "
    "'penalty'): correct what made them fail, and wait. Or else sshd is stopped, has too many connections, or a "
    "firewall is in between."
)
