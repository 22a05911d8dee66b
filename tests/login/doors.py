# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways into a host: each is given a password and a code."""

from __future__ import annotations

import json
import typing as t

import pexpect

from hosts import PATIENCE
from login import ssh
from login.people import Person
from login.policy import TALLY
from login.sudo import sudo

Door = t.Callable[[Person, str, str], bool]
"""Whether a password and a code, either of which may be empty, let the person in."""


def by_sshd(person: Person, password: str, code: str) -> bool:
    return person.by_password(code, password=password).ok


def by_sudo(person: Person, password: str, code: str) -> bool:
    return sudo(person, password, code).stdout == "root\n"


def by_su(person: Person, password: str, code: str) -> bool:
    """From another account, which gives the person's password and code."""
    words, lines = ("su", person.name, "-c", "id -un"), f"{password}\n{code}\n"
    return person.host.run(*words, input=lines, user="nobody", check=False).stdout == f"{person.name}\n"


def by_login(person: Person, password: str, code: str) -> bool:
    """At a console."""
    words = ["exec", "--interactive", "--tty", person.host.container, "login"]
    console = pexpect.spawn("docker", words, timeout=PATIENCE, encoding="utf-8", codec_errors="replace")
    try:
        console.expect("login: ")
        console.sendline(person.name)
        console.expect("Password: ")
        console.sendline(password)
        while console.expect(["One-time password.*: $", "Login incorrect", r"\$ $"]) == 0:
            console.sendline(code)
        return console.match_index == 2
    finally:
        ssh.end(console)


def by_pam(person: Person, service: str, *answers: str) -> tuple[bool, str]:
    """Whether a PAM service lets the person in with these answers, and the prompts it showed."""
    typed = "".join(f"{answer}\n" for answer in answers)
    words = ("pamtester", service, person.name, "authenticate", "setcred")
    done = person.host.run(*words, input=typed, check=False)
    return done.returncode == 0, f"{done.stdout}{done.stderr}"


def by_cockpit(
    person: Person, *answers: str, to: str = "", headers: t.Mapping[str, str] | None = None
) -> tuple[bool, list[str]]:
    """Whether Cockpit's page lets the person in with these answers, and the prompts it showed after the password.

    :param to: the machine to log in to through the page, by ssh. If omitted, it is the page's own host, without ssh.
    :param headers: further headers of the browser's requests.
    """
    path = f"cockpit+={to}" if to else "cockpit"
    done = person.host.run(
        "python3", "-c", _BROWSER, path, person.name, json.dumps(headers or {}), input="\n".join(answers)
    )
    status, *asked = done.stdout.splitlines()
    return status == "200", asked


def counted_wrong_codes(person: Person) -> int:
    """How many wrong codes of the person are in the tally."""
    words = ("faillock", "--dir", TALLY, "--user", person.name)
    return len(person.host.run(*words).stdout.splitlines()[2:])


_BROWSER = """
import base64, json, ssl, sys, urllib.error, urllib.request
path, user, further = sys.argv[1:]
answers, asked = sys.stdin.read().split("\\n"), []
def tell(kind, *words):
    header = " ".join((kind, *words[:-1], base64.b64encode(words[-1].encode()).decode()))
    headers = {"Authorization": header, **json.loads(further)}
    page = urllib.request.Request(f"https://127.0.0.1:9090/{path}/login", headers=headers)
    try:
        return urllib.request.urlopen(page, context=ssl._create_unverified_context(), timeout=60).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate", "")
status, how = tell("Basic", f"{user}:{answers.pop(0)}")
while how.lower().startswith("x-conversation"):
    _kind, number, prompt = how.split()
    asked.append(base64.b64decode(prompt).decode())
    if not answers:
        break
    status, how = tell("X-Conversation", number, answers.pop(0))
print(status, *asked, sep="\\n")
"""
"""The requests that a browser sends to Cockpit's page."""

DOORS: dict[str, Door] = {"sshd": by_sshd, "sudo": by_sudo, "su": by_su, "login": by_login}
