# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of hand-made set-ups, generated at random: they must be read as the PAM modules themselves read them."""

from __future__ import annotations

import dataclasses
import json
import random
import typing as t
from pathlib import Path

from ansible_collections.fleet.auth.plugins.module_utils._backends import hotp, oath, secretfile
from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import CredentialError
from ansible_collections.fleet.auth.plugins.module_utils._plan.adoption import OldFile, adoption
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._self_service import pam_client
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import encode_secret
from hosts import Host
from login.backends import GOOGLE, OATH
from unit.builders import account, host_state, settings

FOLDER = "/run/old-files"
SERVICES = {
    "old-google": f"auth required pam_google_authenticator.so secret={FOLDER}/file user=root noskewadj\n",
    "old-oath": f"auth required pam_oath.so usersfile={FOLDER}/file window=1 digits=6\n",
}
KEYS = tuple(bytes([letter]) * length for letter, length in ((97, 20), (98, 10), (99, 32)))
_NUMBER = 150
"""How many files of each kind are tried. The first secret files cover each kind of line once."""
_RUN = f"""
import json, os, sys, time
sys.path.insert(0, "{FOLDER}")
from hotp import hotp
from pam_client import ask

def code(key, moment):
    if key is None:
        return moment
    counter, interval = moment
    if interval:
        # Not so close to the end of a step that the module would see the next one.
        while time.time() % interval > interval - 1:
            time.sleep(0.1)
        counter += int(time.time()) // interval
    return hotp(bytes.fromhex(key), counter, 6)

def right(service, text, codes):
    for one in codes:
        with open("{FOLDER}/file", "wb") as file:
            file.write(text.encode("latin-1"))
        yield ask(service, "root", code(*one)).right

os.umask(0o077)
print(json.dumps([list(right(*case)) for case in json.load(sys.stdin)]))
"""


class Code(t.NamedTuple):
    """A code to try: a literal one, or that of a key and a step after now (a counter value if the interval is 0)."""

    key: str | None
    moment: tuple[int, int] | str


@dataclasses.dataclass
class Case:
    """A file, and which codes should be right according to what was read from it."""

    service: str
    text: str
    expected: dict[Code, bool]


def of_key(key: bytes, interval: int = 30, ahead: int = 0) -> Code:
    return Code(key.hex(), (ahead, interval))


def of_event(key: bytes, counter: int) -> Code:
    return Code(key.hex(), (counter, 0))


# Lines of a secret file. The usual ones come first, then lines that are right, partly right, or wrong.
_SECRET = encode_secret(KEYS[0])
_KEY_LINES = (
    *[_SECRET] * 12,
    *(encode_secret(KEYS[1]), _SECRET.lower(), f"{_SECRET[:8]} -\t{_SECRET[8:]}\r", f" {_SECRET}", f"{_SECRET}A"),
    *(
        _SECRET.replace("B", "8"),
        f"{_SECRET}9",
        f"{_SECRET}=",
        "",
        "A",
        "AA",
        f'" {_SECRET}',
        f"# {_SECRET}",
        f"{_SECRET}\xe9",
    ),
)
_OPTIONS = (
    *('" STEP_SIZE 30', '" STEP_SIZE 60', '" STEP_SIZE 61', '" STEP_SIZE', '" STEP_SIZE +030 x', '" STEP_SIZE 30x'),
    *('" STEP_SIZE\t30\r', '" STEP_SIZE -1', '" STEP_SIZE 4294967326', '"  STEP_SIZE 0', '" STEP_SIZES 0'),
    *('" WINDOW_SIZE 1', '" WINDOW_SIZE 17', '" WINDOW_SIZE 0', '" WINDOW_SIZE 101', '" WINDOW_SIZE three'),
    *('" RATE_LIMIT 3 30', '" RATE_LIMIT 3 30 ', '" RATE_LIMIT 3', '" RATE_LIMIT 3 30 1700000000', '" RATE_LIMIT 0 30'),
    *(
        '" RATE_LIMIT 101 30',
        '" RATE_LIMIT 3 3601',
        '" RATE_LIMIT\t3\t30\r',
        '" RATE_LIMIT 3 30 x',
        '" RATE_LIMIT 3 30 -1',
    ),
    *(
        '" DISALLOW_REUSE',
        '" DISALLOW_REUSE 5 6',
        '" DISALLOW_REUSE\t5 x',
        '" DISALLOW_REUSE soon',
        '" DISALLOW_REUSE -1 +2 ',
    ),
    *('" DISALLOW_REUSE 99999999999999999999', '" DISALLOW_REUSE\r 5', '" DISALLOW_REUSE  7,8', '" DISALLOW_REUSED x'),
    *('" HOTP_COUNTER 1', '" HOTP_COUNTER 7 x', '" HOTP_COUNTER soon', '" HOTP_COUNTER', '" HOTP_COUNTER -1'),
    *('" TIME_SKEW 0', '" TIME_SKEW 20', '" TIME_SKEW -3', '" TIME_SKEW soon', '" TIME_SKEW +2x'),
    *('" MINE', "", "\r", "# a note", "12345678", "1234567", " 87654321", "012345678", "23456789\r", "34567890 ", "\0"),
    *('" FLEET_AUTH_PASS x', '"12345678', "+56789012", "-1", "4307312974", 'x\r" STEP_SIZE 61', "\xe9"),
)
_TOTP = (*['" TOTP_AUTH'] * 16, '" TOTP_AUTHENTIC', 'x" TOTP_AUTH', '"  TOTP_AUTH', '" TOTP', "")
_SCRATCH_CODES = ("12345678", "87654321", "23456789", "34567890", "56789012", "12345679")


def secret_files(chance: random.Random) -> t.Iterator[str]:
    """First one file for each kind of line, then files with several random lines."""
    for line in dict.fromkeys(_KEY_LINES):
        yield f'{line}\n" TOTP_AUTH\n'
    for line in _OPTIONS:
        yield f'{_SECRET}\n{line}\n" TOTP_AUTH\n'
    for line in dict.fromkeys(_TOTP):
        yield f"{_SECRET}\n{line}"
    while True:
        lines = [chance.choice(_KEY_LINES), *chance.choices(_OPTIONS, k=chance.randint(1, 5)), chance.choice(_TOTP)]
        yield "\n".join(lines) + chance.choice(["\n", ""])


def of_secret_file(text: str) -> Case:
    """Read a secret file."""
    case = Case("old-google", text, {})
    try:
        says = secretfile.parse(text)
    except secretfile.CounterError:
        counter = 7 if "COUNTER 7" in text.partition("COUNTER 1")[0] else 1
        keys = [one for one in KEYS if encode_secret(one)[:8] in text]
        case.expected = {of_event(one, counter): True for one in keys[:1] if _SECRET in text.partition("\n")[0]}
    except CredentialError:
        case.expected = {of_key(KEYS[0]): False}
    else:
        case.expected = {of_key(says.key, says.interval, says.skew): True}
        case.expected[of_key(says.key, says.interval, says.skew + says.window)] = False
        tried = [code for code in _SCRATCH_CODES if code[:-1] in text]
        case.expected |= {Code(None, code): code in says.scratch_codes for code in tried}
    return case


_KINDS = (
    *["HOTP/T30"] * 40,
    *("HOTP/T30/6", "HOTP/T30/9", "HOTP/T45", "TOTP", "hotp/T30", "#HOTP/T30", "# HOTP/T30", "\xe9", "HOTP/T30/"),
)
_USERS = (*["root"] * 30, "alice", "Root", "-")
_HEX = (
    *[one.hex() for one in KEYS] * 8,
    *("00", KEYS[2].hex() + "00", KEYS[0].hex()[:-1], KEYS[0].hex().upper(), KEYS[0].hex()[:-1] + "g", _SECRET, ""),
)
_HISTORIES = (
    *[""] * 20,
    *(" 0", " 7", " +7", " -1", " x", " 1e", " 99999999999999999999999", " 0x1", " 0 123456", " 0 none", " 0 \xe9\xe9"),
    *(" 0 123456 2026-01-31T12:00:00L", " 0 123456 2026-1-1T1:2:3L", " 0 123456 2026-02-31T00:00:60L more"),
    *(" 0 123456 2026-01-31", " 0 123456 2026-13-01T00:00:00L", " 0 123456 x", " \0 x", "\0", "\r", " # a note"),
)
_BETWEEN = (*[" "] * 16, "\t", "  ", " \t ", "\v", "\xa0")
_BEFORE = (*[""] * 24, " ", "\t", "\v", "\0")


def users_lines(chance: random.Random) -> t.Iterator[str]:
    """Random lines."""
    while True:
        words = [chance.choice(_KINDS), chance.choice(_USERS), "-", chance.choice(_HEX)]
        between = chance.choice(_BETWEEN)
        line = chance.choice(_BEFORE) + between.join(words) + chance.choice(_HISTORIES)
        yield chance.choice([*[line] * 8, "", "  # a note", "# root - a note", "HOTP/T30 root -", "HOTP/T30", "\0"])


def of_users_file(text: str) -> Case:
    """What is taken over from a users file: exactly the keys whose codes pam_oath accepts."""
    situation = Situation(settings(), dataclasses.replace(host_state(account("root")), now=1e9, backend="oath"))
    found = adoption(situation, [OldFile("/etc/users.oath", text)], {}, ["root"], bytes)
    credential = found.credentials.get("root")
    taken = {app.key for app in oath.read(credential, "root").apps} if credential else set()
    return Case("old-oath", text, {of_key(key): key in taken for key in KEYS})


def accepted_by_the_modules(host: Host, cases: t.Sequence[Case]) -> list[list[bool]]:
    """Which codes of each case the PAM modules on a host accept."""
    host.run("mkdir", "--mode=0700", FOLDER)
    try:
        for name, text in SERVICES.items():
            host.write(f"/etc/pam.d/{name}", text)
        for source in (hotp, pam_client):
            path = Path(t.cast(str, source.__file__))
            host.write(f"{FOLDER}/{path.name}", path.read_bytes())
        sent = json.dumps([(case.service, case.text, [*case.expected]) for case in cases])
        done = host.run("python3", "-c", _RUN, input=sent.encode(), timeout=300)
        return t.cast(list[list[bool]], json.loads(done.stdout))
    finally:
        host.run("rm", "--recursive", FOLDER, *(f"/etc/pam.d/{name}" for name in SERVICES))


def test_old_files_are_read_as_the_pam_modules_read_them(host: Host) -> None:
    host.install(GOOGLE.package, OATH.package)
    chance = random.Random(host.release)
    texts, lines = secret_files(chance), users_lines(chance)
    cases = [of_secret_file(next(texts)) for _number in range(_NUMBER)]
    cases += [
        of_users_file("\n".join(next(lines) for _line in range(chance.randint(1, 3)))) for _number in range(_NUMBER)
    ]
    answers = accepted_by_the_modules(host, cases)
    different = [
        (case.text, code, expected)
        for case, answer in zip(cases, answers, strict=True)
        for (code, expected), right in zip(case.expected.items(), answer, strict=True)
        if right != expected
    ]
    assert different == []
    for service in SERVICES:
        assert {right for case in cases if case.service == service for right in case.expected.values()} == {True, False}
