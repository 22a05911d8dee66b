# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What two-factor login costs, and what it costs those who guess; measured side by side in one run.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp

import hosts
from hosts import Host
from login import ssh

FLEET = "bench"
SETTINGS = {"twofactor_ssh": True, "twofactor_exempt_users": ["ansible"], "twofactor_require_proof": False}
PASSWORD = "correct horse"
INVENTORY = Path("build/bench/inventory.yml")
ATTEMPTS, UNLOCK_SECONDS, WINDOW, DIGITS = 5, 900, 1, 6


def main() -> None:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=10, help="how many hosts (default: 10)")
    parser.add_argument("--repeat", type=int, default=3, help="how often what is compared is run (default: 3)")
    chosen = parser.parse_args()
    machines = hosts.up(FLEET, {f"host{n:02}": "debian12" for n in range(chosen.hosts)}, recreate=True)
    hosts.inventory(machines, INVENTORY)
    web = [machine for machine in machines if machine.release != "ntp"]
    try:
        figures = {**speed(web, chosen.repeat), **many_users(web[0], 1000), **guessing(web[-1])}
    finally:
        hosts.down(FLEET)
    print(json.dumps(figures))


def speed(web: list[Host], repeat: int) -> dict[str, float]:
    """A run with nothing to change against `ansible -m ping`, which does nothing on the same hosts."""
    people = [{"name": name} for name in ("alice", "bob")]
    for host in web:
        for person in people:
            host.add_user(person["name"], password=PASSWORD)
    variables = {**SETTINGS, "twofactor_users": people}
    say(f"first enabling on {len(web)} hosts, packages included")
    first = timed(lambda: enable(variables))
    say(f"{first:.1f} s; now ping and the same again, in turns")
    ping, again = [], []
    for _round in range(repeat):
        ping.append(timed(lambda: run("ansible", "all", "-m", "ping")))
        again.append(timed(lambda: enable(variables)))
        say(f"ping {ping[-1]:.2f} s, run again {again[-1]:.2f} s")
    off = timed(lambda: run("ansible-playbook", "fleet.auth.disable"))
    floor, rerun = statistics.median(ping), statistics.median(again)
    return {
        "hosts": len(web),
        "ping_seconds": round(floor, 2),
        "first_enable_seconds": round(first, 2),
        "rerun_seconds": round(rerun, 2),
        "disable_seconds": round(off, 2),
        "rerun_over_ping": round(rerun / floor, 2),
    }


def many_users(host: Host, number: int) -> dict[str, float]:
    """One execution of the module that makes a secret for each of many accounts, and one that finds them all there."""
    say(f"{number} accounts on one host")
    names = [f"user{n:05}" for n in range(number)]
    host.run("newusers", input="".join(f"{name}:{PASSWORD}:::::/bin/bash\n" for name in names), timeout=600)
    variables = {"twofactor_exempt_users": ["ansible"], "twofactor_users": [{"name": name} for name in names]}
    floor = timed(lambda: run("ansible", host.name, "-m", "ping"))
    made = timed(lambda: enable(variables, "--limit", host.name))
    again = timed(lambda: enable(variables, "--limit", host.name))
    with tempfile.TemporaryDirectory() as folder:
        enrolment = {**variables, "twofactor_enrolment_dir": folder, "users": names}
        sheets = timed(lambda: playbook("enrol", enrolment, "--limit", host.name))
    say(f"ping {floor:.2f} s, secrets made {made:.2f} s, run again {again:.2f} s, sheets {sheets:.2f} s")
    return {
        f"users_{number}_seconds": round(made - floor, 2),
        f"users_{number}_rerun_seconds": round(again - floor, 2),
        f"sheets_{number}_seconds": round(sheets - floor, 2),
    }


def guessing(host: Host) -> dict[str, float]:
    """Somebody who has the password tries codes over eight connections, until the account waits."""
    secret = pyotp.random_base32()
    host.add_user("mallory", password=PASSWORD)
    variables = {
        **SETTINGS,
        "twofactor_users": [{"name": "mallory", "secret": secret}, {"name": "alice"}, {"name": "bob"}],
        "twofactor_window": WINDOW,
        "twofactor_otp_digits": DIGITS,
        "twofactor_lockout": {"attempts": ATTEMPTS, "unlock_seconds": UNLOCK_SECONDS},
    }
    enable(variables, "--limit", host.name)
    say("guessing over 8 parallel connections")

    def guess(number: int) -> bool:
        """Whether the guess was looked at: asked for, and not turned away by the tally before."""
        wrong = ssh.code(secret, steps=1000 + number)
        login = ssh.login(host, "mallory", password=PASSWORD, code=wrong, timeout=120)
        return any("One-time password" in prompt for prompt in login.prompts)

    with ThreadPoolExecutor(8) as pool:
        looked_at = sum(pool.map(guess, range(40)))
    an_hour = looked_at * 3600 / UNLOCK_SECONDS
    chance = (2 * WINDOW + 1) / 10**DIGITS
    hours = math.log(0.5) / math.log1p(-chance) / an_hour
    say(f"{looked_at} of 40 guesses were looked at before the account waited {UNLOCK_SECONDS} s: {an_hour:.0f} an hour")
    say(f"each is right with a chance of {2 * WINDOW + 1} in {10**DIGITS:,}: an even chance takes {hours:,.0f} h")
    return {"guesses_per_hour": an_hour, "hours_to_even_chance": round(hours)}


def enable(variables: dict[str, object], *arguments: str) -> None:
    """Turn two-factor login on with these variables."""
    playbook("enable", variables, *arguments)


def playbook(name: str, variables: dict[str, object], *arguments: str) -> None:
    """Run a playbook of the collection with these variables."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(variables, file)
        file.flush()
        run("ansible-playbook", f"fleet.auth.{name}", "--extra-vars", f"@{file.name}", *arguments)


def run(program: str, *arguments: str) -> None:
    """Run a program of Ansible's, and stop where it fails."""
    environment = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_FORKS": "20"}
    words = [program, *arguments, "-i", str(INVENTORY)]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def timed(call: Callable[[], None]) -> float:
    """How many seconds a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def say(text: str) -> None:
    """Show progress."""
    print(f"bench: {text}", flush=True)


if __name__ == "__main__":
    main()
