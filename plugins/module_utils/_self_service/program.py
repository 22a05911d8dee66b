# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program behind the self-service page and the command: accepts connections from the socket, and answers them.

The kernel says which account is at the other end. Each connection has a process of its own, and each account can have
only a few of them, so that nobody can keep others out.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pwd
import secrets
import signal
import socket
import struct
import subprocess
import syslog
import time
import typing as t

from .. import _places as places
from .._apply import credential_files, invitations, pending
from .._apply.actions import ApplyError
from .._apply.lock import exclusive
from .._backends import backends
from .._backends.credential import LAST_USED, Clock
from .._host import nss
from .._host.invitations import read as read_invitation
from .._texts import pam
from .._texts.code_step import CodeStep
from .._texts.invitation import Invitation
from .._wanted.settings import Settings
from . import pam_client
from .conversation import OFF, REQUEST_BYTES, Conversation, Refusal

CONNECTIONS = 4
"""How many connections an account may have at once."""
TOTAL_CONNECTIONS = 64
"""How many connections all accounts together may have at once. It takes 16 accounts to keep out the rest."""
REQUESTS = 64
"""How many requests may be made over one connection."""
IDLE_SECONDS = 300
"""How long a connection may be idle, and how long the program runs without any connection."""
LIFE_SECONDS = 900

_DRAWING_SECONDS = 10

_WAIT_SECONDS = 10.0
"""How long somebody at the page or the command waits for a run to end."""
_BUSY_HOST = "This host is too busy. Try again in some minutes."
_BUSY = "Two-factor login on this host is being changed right now. Nothing was done; try again in some minutes."


class ThisHost:
    """The host that the program runs on."""

    def __init__(self) -> None:
        with open(places.SELF_SERVICE_CONFIG, encoding="ascii") as file:
            config = json.load(file)
        self.name = os.uname().nodename
        self._codes: dict[str, t.Any] = config["codes"]
        self._given = frozenset(config["given"])

    def code_step(self) -> CodeStep:
        return CodeStep.parse(_read(places.SWITCH))

    def settings(self) -> Settings | None:
        backend = backends.asking(self.code_step())
        return Settings(backend=backend, **self._codes) if backend else None

    def asks(self) -> bool:
        paths = (f"{places.PAM_D}/{name}" for name in os.listdir(places.PAM_D))
        return any(pam.is_protected(_read(path) or "") for path in filter(os.path.isfile, paths))

    def groups(self, user: str) -> t.Collection[str]:
        return nss.groups_of_each([pwd.getpwnam(user)])[user]

    def has_given_secret(self, user: str) -> bool:
        return user in self._given

    def credential(self, user: str) -> str | None:
        return _read(self._path(user)[0])

    def invitation(self, user: str) -> Invitation | None:
        return read_invitation(user, time.time())

    def try_invitation(self, user: str, typed: str) -> bool:
        with _host_lock():
            return invitations.try_code(user, typed, time.time())

    def check(self, user: str, code: str) -> pam_client.Answer:
        with _signals_blocked():
            return pam_client.ask(os.path.basename(places.CODE_SERVICE), user, code)

    def revise(self, user: str, new: t.Callable[[str | None], str]) -> None:
        path, lock = self._path(user)
        with _host_lock():
            if pending.is_pending():
                raise Refusal(_BUSY)
            if os.path.exists(path):
                credential_files.rewrite(path, lock, new)
            else:
                text = new(None)
                with invitations.used_up(user):
                    credential_files.add(path, text)

    def _path(self, user: str) -> tuple[str, str]:
        """The paths of an account's credential, and of the lock that keeps logins from writing to it."""
        backend = backends.asking(self.code_step())
        if backend is None:
            raise Refusal(OFF)
        path = backends.credential_path(backend, user)
        return path, path + backends.BACKENDS[backend].LOCK

    def make_key(self, length: int) -> bytes:
        return secrets.token_bytes(length)

    def picture(self, text: str) -> str:
        # Not on the command line, which anybody can read.
        words = [places.QRENCODE, "--type=SVG", "--svg-path", "--level=M", "--output=-"]
        try:
            done = subprocess.run(  # noqa: S603 - no word of it comes from anybody
                words, input=text.encode(), capture_output=True, check=True, timeout=_DRAWING_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.log(f"{places.QRENCODE} draws no QR code: {type(error).__name__}")
            return ""
        return done.stdout.decode("ascii", "replace")

    def clock(self) -> Clock:
        now = time.time()
        return Clock(now, time.strftime(LAST_USED, time.localtime(now)))

    def log(self, text: str) -> None:
        syslog.syslog(syslog.LOG_NOTICE, text)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _signals_blocked() -> t.Iterator[None]:
    """Delay signals that end this process: if pam_oath is stopped half-way, its lock stays and denies every code."""
    ending = {signal.SIGTERM, signal.SIGALRM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)


@contextlib.contextmanager
def _host_lock() -> t.Iterator[None]:
    """Hold the lock of this host. Raises Refusal if a run does not end in time."""
    try:
        with _signals_blocked(), exclusive(_WAIT_SECONDS):
            yield
    except ApplyError:
        raise Refusal(_BUSY) from None


def _peer(connection: socket.socket) -> int:
    """The user id at the other end of a socket, as the kernel reports it; unix(7), SO_PEERCRED."""
    credentials = struct.Struct("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return t.cast(int, credentials.unpack(found)[1])


def _send(connection: socket.socket, answer: t.Mapping[str, t.Any]) -> None:
    connection.sendall(json.dumps(answer).encode("ascii") + b"\n")


def _talk(connection: socket.socket, user: str) -> None:
    connection.settimeout(IDLE_SECONDS)
    answer = Conversation(ThisHost(), user).answer
    lines = connection.makefile("rb")
    for _number in range(REQUESTS):
        line = lines.readline(REQUEST_BYTES + 1)
        if line:
            _send(connection, answer(line))
        if not line or len(line) > REQUEST_BYTES:
            return


def _account(uid: int) -> str | None:
    """The account with this number, if people log in with it."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return None
    allowed = nss.is_for_people(account, _read(places.SHELLS) or "", _read(places.ACCOUNT_DEFAULTS) or "")
    return account.pw_name if allowed else None


def _start(connection: socket.socket, user: str) -> int:
    """Talk in a process of its own, and return its id."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(LIFE_SECONDS)
            _talk(connection, user)
        except OSError:
            pass  # The other end is gone.
        except Exception as error:
            syslog.syslog(syslog.LOG_ERR, f"{user}: {type(error).__name__}")
        finally:
            os._exit(0)
    return pid


def serve(listener: socket.socket) -> None:
    """Accept connections until there has been none for a while."""
    listener.settimeout(IDLE_SECONDS)
    talking: dict[int, int] = {}
    # Kept open: if a connection is closed at once, a client that is still writing does not read the answer.
    refused: collections.deque[socket.socket] = collections.deque(maxlen=CONNECTIONS)
    while True:
        try:
            connection = listener.accept()[0]
        except socket.timeout:
            connection = None
        for pid in [pid for pid in talking if os.waitpid(pid, os.WNOHANG)[0]]:
            del talking[pid]
        if connection is not None:
            refusal = _accept(connection, talking)
            if refusal:
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    _send(connection, {"ok": False, "message": refusal})
                    connection.shutdown(socket.SHUT_WR)
                refused.append(connection)
        elif not talking:
            return


def _accept(connection: socket.socket, talking: dict[int, int]) -> str:
    """Talk over a connection in a process of its own, or return why not. `talking` has the user ids, by process.

    The further user ids that somebody has in a user namespace have no account, and get no process.
    """
    uid = _peer(connection)
    user = _account(uid)
    if user is None:
        syslog.syslog(syslog.LOG_NOTICE, f"user id {uid}: refused, nobody logs in with that account")
        return "Nobody logs in with this account, so it needs no code."
    if list(talking.values()).count(uid) >= CONNECTIONS:
        return "You have this open too many times. Close it in other windows, and start again."
    if len(talking) >= TOTAL_CONNECTIONS:
        return _BUSY_HOST
    try:
        talking[_start(connection, user)] = uid
    except OSError:
        return _BUSY_HOST
    connection.close()
    return ""


def main() -> None:
    """Serve the socket that is standard input."""
    syslog.openlog("fleet-auth-self-service", syslog.LOG_PID, syslog.LOG_AUTH)
    with socket.socket(fileno=0) as listener:
        serve(listener)
