# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A person at a shell, who types what a page says, has a phone, and answers prompts."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
import shutil
import sys
import time
import typing as t
from pathlib import Path

import pexpect
import pyotp

from hosts import Host
from login import sheets
from login.people import PASSWORD

from .blocks import Block, blocks

VAULT_PASSWORD = "battery staple"
_PROMPTS: list[t.Any] = [
    r"Code that the app shows[^:]*: ",
    r"\((\w+)@([\w.-]+)\) One-time password[^:]*: ",
    r"Vault password[^:]*: ",
    r"assword: ",
    pexpect.EOF,
]
_ROOT_PROMPT = re.compile(r"root@(\w+):~# (.*)")


@dataclasses.dataclass
class Newcomer:
    """A person who follows pages.

    :param home: where everything of this person is, including the collection once it is installed.
    :param folder: where the commands of a page are typed.
    :param machines: the hosts, by the names under which ssh and Ansible reach them.
    """

    home: Path
    folder: Path
    machines: dict[str, Host] = dataclasses.field(default_factory=dict)
    _steps: dict[str, int] = dataclasses.field(default_factory=dict)

    def read(self, page: Path, until: str | None = None) -> None:
        """Do what a page says, from its top to the heading *until* or to its end."""
        for block in blocks(page, until):
            if block.runs:
                self._follow(block)

    def _follow(self, block: Block) -> None:
        """Do what a block says; raise an AssertionError if the result is not as the page says."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "sh":
            self._type(block)
        elif block.language == "console":
            self._at_the_console(block)

    def make_known(self, *machines: Host) -> None:
        """Let ssh find these hosts by their names, as a name service would, and know their keys."""
        self.machines = {host.name: host for host in machines}
        entries = "".join(
            f"Host {host.name}\n    HostName {host.address}\n    Port {host.port}\n    IdentityFile {host.key}\n"
            f"    UserKnownHostsFile {host.key.with_name('known_hosts')}\n    StrictHostKeyChecking yes\n"
            for host in machines
        )
        self.home.joinpath("ssh_config").write_text(entries)

    def _type(self, block: Block) -> None:
        script, kept = self.home / "script", self.home / "kept"
        script.write_text(f"set -eu\ncd {self.folder}\n[ ! -e {kept} ] || . {kept}\n{block.text}\nexport -p >{kept}\n")
        shell = pexpect.spawn(
            "bash", [str(script)], env=self._environment(), timeout=900, encoding="utf-8", codec_errors="replace"
        )
        said, users = "", iter(re.findall(r"user=(\w+)", block.text))
        while True:
            asked = shell.expect(_PROMPTS)
            said += str(shell.before) + (shell.after if isinstance(shell.after, str) else "")
            if asked == len(_PROMPTS) - 1:
                break
            if asked == 0:
                shell.sendline(self._code(next(users), "*"))
            elif asked == 1:
                asked_for = t.cast("re.Match[str]", shell.match)
                shell.sendline(self._code(asked_for[1], asked_for[2]))
            else:
                shell.sendline(VAULT_PASSWORD if asked == 2 else PASSWORD)
        shell.wait()
        assert shell.exitstatus == 0, f"{block}\nended with {shell.exitstatus}, and said:\n{said}"

    def _at_the_console(self, block: Block) -> None:
        """Run each command and compare its output with the page, where ``…`` stands for what differs or is left out."""
        commands: list[tuple[Host, str, list[str]]] = []
        for line in block.text.splitlines():
            typed = _ROOT_PROMPT.fullmatch(line)
            if typed:
                commands.append((self.machines[typed[1]], typed[2], []))
            else:
                commands[-1][2].append(line)
        for host, command, shown in commands:
            done = host.run("bash", "-c", command, check=False)
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{block}\n{command!r} ended with {done.returncode}, and said:\n{said}"
            pattern = "\n".join(shown).replace("[", "[[]").replace("…", "*")
            assert fnmatch.fnmatchcase(said.strip(), pattern), f"{block}\n{command!r} said:\n{said}"

    def _code(self, user: str, host: str) -> str:
        """An unused code from the user's newest sheet: the one that the phone shows now, or the next one."""
        found = [*self.folder.glob(f"enrolment/{user}@{host}.html")] or [*self.folder.glob(f"enrolment/{user}@*.html")]
        assert found, f"{user} has no enrolment sheet in {self.folder}"
        totp = sheets.totp(max(found, key=os.path.getmtime))
        now = int(time.time()) // 30
        step = max(self._steps.get(totp.secret, 0) + 1, now)
        if step > now + 1:
            time.sleep((step - 1) * 30 - time.time() + 1)
        self._steps[totp.secret] = step
        return pyotp.TOTP(totp.secret).at(step * 30)

    def _environment(self) -> dict[str, str]:
        """The environment after a login: nothing of the checkout that runs the tests, and the newcomer's ssh_config."""
        programs = self.home / "programs"
        if not programs.exists():
            programs.mkdir(parents=True)
            os.symlink(getattr(sys, "_base_executable", sys.executable), programs / "python3")
            ssh = f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.home}/ssh_config "$@"\n'
            programs.joinpath("ssh").write_text(ssh)
            programs.joinpath("ssh").chmod(0o755)
        kept = ("LANG", "LC_ALL", "TERM", "http_proxy", "https_proxy", "no_proxy")
        outside = [folder for folder in os.environ["PATH"].split(":") if Path(folder) != Path(sys.executable).parent]
        return {
            **{name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")},
            "HOME": str(self.home),
            "PATH": ":".join([str(programs), *outside]),
            "ANSIBLE_NOCOLOR": "1",
            "PAGER": "cat",  # there is nobody to turn pages
        }
