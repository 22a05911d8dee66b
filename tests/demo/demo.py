# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two-factor login on two real hosts, shown by logging in. `demo.py` starts it, `demo.py down` removes it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyotp

import hosts
from ansible_collections.fleet.auth.plugins.plugin_utils._otpauth import qr_for_terminal
from hosts import Host
from login import sheets, ssh
from login.people import PASSWORD, furnish

FLEET = "demo"
BUILD = Path("build/demo")
INVENTORY = BUILD / "inventory.yml"
ENROLMENT = BUILD / "enrolment"
PEOPLE = ("alice", "bob")
SETTINGS = {
    "twofactor_exempt_users": ["ansible"],
    "twofactor_users": [{"name": name} for name in PEOPLE],
    "twofactor_issuer": "fleet.auth demo",
    "twofactor_enrolment_dir": str(ENROLMENT.resolve()),
}

BOLD, GREEN, RED, PLAIN = ("\033[1m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "", "")


@dataclasses.dataclass
class Phone:
    """A person's phone after reading the QR code: it holds the key and gives no code twice."""

    totp: pyotp.TOTP
    last_step: int = 0

    @classmethod
    def of(cls, name: str, host: Host) -> Phone:
        """Read the provisioning URI from the person's enrolment sheet."""
        return cls(sheets.totp(sheet(name, host)))

    def next_code(self) -> str:
        """The current code, or the next one if the current one was used already."""
        ssh.fresh_step(at_least=10)
        if self.last_step == self._step():
            print("   (waiting for the next code)", flush=True)
            time.sleep(30 - time.time() % 30 + 0.05)
        self.last_step = self._step()
        return self.totp.now()

    def code_before(self) -> str:
        """The code before the current one. It is still valid, and using it leaves the current one for later."""
        ssh.fresh_step(at_least=20)
        return self.totp.at(time.time() - 30)

    @staticmethod
    def _step() -> int:
        return int(time.time()) // 30


def sheet(name: str, host: Host) -> Path:
    """Path of a person's enrolment sheet."""
    return ENROLMENT / f"{name}@{host.name}.html"


def headline(text: str) -> None:
    """Announce the next part."""
    print(f"\n{BOLD}== {text} =={PLAIN}", flush=True)


def show(host: Host, name: str, how: str, login: ssh.Login, *, gets_in: bool) -> None:
    """Show the outcome of one login; end the demonstration if it is not the promised one."""
    outcome = "gets in" if login.ok else "is denied"
    right = login.ok == gets_in
    mark = f"{GREEN}as promised{PLAIN}" if right else f"{RED}NOT AS PROMISED{PLAIN}: {login.reason}"
    command = f"ssh -p {host.port} {name}@{host.address}"
    print(f"   {host.release}  {command:<30}  {how:<32}  {outcome:<9}  {mark}", flush=True)
    if not right:
        sys.exit(1)


def playbook(name: str, *arguments: str) -> None:
    """Run a playbook over ssh, as a user would."""
    command = ["ansible-playbook", f"fleet.auth.{name}", "-i", str(INVENTORY), *arguments]
    print(f"   $ {' '.join(command)}", flush=True)
    if subprocess.run(command, env={**os.environ, "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0"}, check=False).returncode:
        sys.exit(f"{name} failed; see above.")


def up() -> list[Host]:
    """New hosts with people on them."""
    shutil.rmtree(BUILD, ignore_errors=True)
    machines = hosts.up(FLEET, {"web12": "debian12", "web13": "debian13"}, recreate=True)
    hosts.inventory(machines, INVENTORY)
    (BUILD / "group_vars").mkdir()
    configure()
    web = [machine for machine in machines if machine.release != "ntp"]
    furnish(web, *PEOPLE)
    return web


def configure(**more: object) -> None:
    """Write the variables of the hosts."""
    (BUILD / "group_vars" / "all.yml").write_text(json.dumps({**SETTINGS, **more}, indent=2) + "\n")


def prove(host: Host, name: str, phone: Phone) -> None:
    """Run the playbook `verify` with the person's code."""
    answers = BUILD / "answers.json"
    answers.touch(mode=0o600)
    answers.write_text(json.dumps({"user": name, "code": phone.code_before()}))
    playbook("verify", "--limit", host.name, "-e", f"@{answers}")
    answers.unlink()


def main() -> None:
    headline("An NTP server and two hosts, with the accounts alice and bob")
    web = up()

    headline("Before: a password or a key is enough")
    for host in web:
        show(host, "alice", "password", ssh.login(host, "alice", password=PASSWORD), gets_in=True)
        show(host, "bob", "key", ssh.login(host, "bob", key=host.key), gets_in=True)

    headline("Turn two-factor login on: everybody gets a secret, and sshd asks nobody for a code yet")
    playbook("enable")
    phones = {(host, name): Phone.of(name, host) for host in web for name in PEOPLE}

    headline(f"Alice's enrolment sheet for {web[0].name}: its QR code is for a phone to scan")
    print(qr_for_terminal(sheets.uri(sheet("alice", web[0]))))
    print(f"   The sheet is a page to print or to open in a browser: {sheet('alice', web[0])}")

    headline("Everybody proves one code; after that, sshd asks for codes")
    for (host, name), phone in phones.items():
        prove(host, name, phone)
    configure(twofactor_ssh=True)
    playbook("enable")

    headline("Now a code is needed, after a password and after a key")
    for host in web:
        code = phones[host, "alice"].next_code()
        show(host, "alice", "password + code", ssh.login(host, "alice", password=PASSWORD, code=code), gets_in=True)
        again = ssh.login(host, "alice", password=PASSWORD, code=code)
        show(host, "alice", "password + the same code again", again, gets_in=False)
        show(host, "bob", "key alone", ssh.login(host, "bob", key=host.key), gets_in=False)
        code = phones[host, "bob"].next_code()
        show(host, "bob", "key + code", ssh.login(host, "bob", key=host.key, code=code), gets_in=True)

    headline("Run again: nothing changes")
    playbook("enable")

    headline("The phone is lost: recovery at the console of one host, and with the playbook on all hosts")
    print(f"   {web[0].name}# twofactor-recover")
    print("   " + web[0].run("twofactor-recover").stdout, end="")
    show(web[0], "alice", "password alone", ssh.login(web[0], "alice", password=PASSWORD), gets_in=True)
    playbook("recover", "-e", "everyone=true")
    for host in web:
        show(host, "alice", "password alone", ssh.login(host, "alice", password=PASSWORD), gets_in=True)

    headline("Turned on again: the entries in everybody's app still work")
    playbook("enable")
    for host in web:
        show(host, "alice", "password alone", ssh.login(host, "alice", password=PASSWORD), gets_in=False)
        code = phones[host, "alice"].next_code()
        show(host, "alice", "password + code", ssh.login(host, "alice", password=PASSWORD, code=code), gets_in=True)

    headline("The hosts stay up; try it yourself")
    for host in web:
        options = f"-o UserKnownHostsFile={host.key.parent / 'known_hosts'}"
        print(f"   {host.release}: ssh -p {host.port} {options} alice@{host.address}")
    print(f"   The password of alice and bob is '{PASSWORD}', and the ssh key of both is {web[0].key}")
    print(f"   Codes: scan a QR code in {ENROLMENT}/ with an app, or run")
    print(f"     {sys.executable} -c 'import pyotp; print(pyotp.TOTP(\"KEY FROM THE SHEET\").now())'")
    print(f"   Playbooks: ansible-playbook fleet.auth.disable -i {INVENTORY} (in {Path(sys.executable).parent})")
    print("   A host at the console: docker exec -it fleet-auth-demo-web12 bash")
    print("   Remove all of it: make demo-down")


if __name__ == "__main__":
    if sys.argv[1:] == ["down"]:
        hosts.down(FLEET)
        shutil.rmtree(BUILD, ignore_errors=True)
    else:
        main()
