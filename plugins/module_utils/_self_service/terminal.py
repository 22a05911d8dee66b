# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command for people at a terminal: the other end of a conversation. It has only the rights of its user.

Secrets are shown only on the terminal, and are on no command line.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
import typing as t

from .. import _places as places

_Answer = t.Dict[str, t.Any]

_TITLES = {
    "enrol": "Set up two-factor login",
    "renew": "Set up a new phone",
    "device": "Add a spare device",
    "recovery-codes": "New recovery codes",
}
_USAGE = "Usage: twofactor-enrol [renew | device | recovery-codes]"
_OFFER_SECONDS = 5.0
"""How long a login waits for the offer. The helper starts with it, which takes a busy host a while."""
_ANSWER_SECONDS = 60.0
_WIDTH = 79
_FORGET = "\033[H\033[2J\033[3J"
"""Clears the screen and the scrollback; console_codes(4)."""


class Ended(Exception):
    """There is nothing more to do. The text says why, or is empty."""


class Helper:
    """A connection to the helper."""

    def __init__(self, seconds: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(seconds)
        self._socket.connect(places.SELF_SERVICE_SOCKET)
        self._lines = self._socket.makefile("rb")

    def ask(self, **request: str) -> _Answer:
        """Return the helper's answer. Raises OSError or ValueError if there is none."""
        self._socket.sendall(json.dumps(request).encode("ascii") + b"\n")
        answer = json.loads(self._lines.readline())
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        return answer


def main(words: t.Sequence[str]) -> int:
    """Run the command, and return the exit status."""
    if list(words) == ["--offer"]:
        _offer()
        return 0
    what = words[0] if words else "enrol"
    if len(words) > 1 or what not in _TITLES:
        _say(_USAGE)
        return 0 if list(words) in (["-h"], ["--help"]) else 2
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _fail("This shows your secret key, so it works only at a terminal. Run it at one.")
    try:
        _converse(Helper(_ANSWER_SECONDS), what)
    except Ended as end:
        return _fail(str(end))
    except (FileNotFoundError, ConnectionRefusedError):
        return _fail("People can no longer set up two-factor login themselves on this host. Ask your administrator.")
    except (OSError, ValueError):
        return _fail("The connection to the service that does this was lost. Run twofactor-enrol again.")
    except (EOFError, KeyboardInterrupt):
        return _fail("\nEnded. Nothing more was changed.")
    return 0


def _offer() -> None:
    """If the user has no second factor yet and may set one up, say how. Print nothing else, whatever happens."""
    try:
        status = Helper(_OFFER_SECONDS).ask(do="status")
        if status.get("may") == ["enrol"]:
            how = ", with your invitation" if status["invited"] else ""
            _say(f"You have no second factor here yet. Set one up{how}: twofactor-enrol")
    except (OSError, ValueError, KeyError, KeyboardInterrupt):
        pass


def _converse(helper: Helper, what: str) -> None:
    """Carry out one action. Raises Ended if it cannot go on."""
    status = helper.ask(do="status")
    if not status["ok"]:
        raise Ended(status["message"])
    _say(status["message"])
    if what not in status["may"]:
        others = [word for word in status["may"] if word != "enrol"]
        can = f"What you can do here: twofactor-enrol {' | '.join(others)}" if what == "enrol" and others else ""
        raise Ended(can)
    _say(f"\n{_TITLES[what]}\n")
    begun = _begin(helper, what, invited=status["invited"])
    codes = begun.get("recovery_codes")
    if codes is None:
        codes = _prove(helper, begun)
        _say("\nIt is set up.")
    _show_recovery_codes(codes)
    if what == "enrol":
        _say(helper.ask(do="status")["message"])


def _begin(helper: Helper, what: str, *, invited: bool) -> _Answer:
    """Begin an action, with a code or the invitation where one is needed. Return the helper's answer."""
    while True:
        code = invitation = ""
        if what != "enrol":
            code = _typed("A code that your app shows now, or a recovery code: ")
        elif invited:
            invitation = input("Your invitation: ").strip()
        begun = helper.ask(do="begin", what=what, place="terminal", code=code, invitation=invitation)
        if begun["ok"]:
            return begun
        _say(begun["message"])
        if not (code or invitation) or what not in helper.ask(do="status").get("may", ()):
            raise Ended("")


def _prove(helper: Helper, begun: _Answer) -> list[str]:
    """Show the new key, and ask for codes until one is right. Return the recovery codes."""
    if _draw_qr_code(begun["uri"]):
        _say("Scan this with your app, or type the key in:")
    else:
        _say("Type this key into your app:")
    _say(f"\n    {' '.join(textwrap.wrap(begun['secret'], 4))}\n")
    _say("Then type the code that the app shows. The new key is valid once a code of it was right.")
    while True:
        proven = helper.ask(do="prove", code=_typed("The code that your app shows for it: "))
        if proven["ok"]:
            return list(proven["recovery_codes"])
        _say(proven["message"])


def _draw_qr_code(uri: str) -> bool:
    """Draw a QR code in black on white, independent of the terminal's colours. Return whether that was done."""
    sys.stdout.flush()
    words = [places.QRENCODE, "--type=ANSIUTF8", "--level=L", "--margin=2", "--output=-"]
    try:
        subprocess.run(words, input=uri.encode("ascii"), stderr=subprocess.DEVNULL, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _show_recovery_codes(codes: t.Sequence[str]) -> None:
    if not codes:
        return
    _say("Recovery codes. Keep them on paper. Each is good once, in this order, and they are not shown again:\n")
    for number, code in enumerate(codes, 1):
        _say(f"    {number:2}. {code}")
    input("\nPress Enter once you have kept them; the screen is cleared then. ")
    sys.stdout.write(_FORGET)
    sys.stdout.flush()


def _typed(prompt: str) -> str:
    """Ask for a code, which may have blanks in it, until something is typed that can be one."""
    while True:
        code = "".join(input(prompt).split())
        if code.isascii() and code.isdigit() and len(code) <= 8:
            return code
        _say("A code has only digits.")


def _say(text: str) -> None:
    lines = (
        textwrap.fill(line, _WIDTH, break_on_hyphens=False) if line[:1] != " " else line for line in text.split("\n")
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    if text:
        _say(text)
    return 1
