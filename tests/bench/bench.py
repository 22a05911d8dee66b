# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what two-factor login costs, and what guessing a code costs, side by side in one run.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pyotp

import hosts
from hosts import Host
from login import ssh
from login.backends import OATH
from login.people import PASSWORD, ansible_playbook, furnish, inventory_path

FLEET = hosts.of_this_checkout("bench")
SETTINGS = {"twofactor_ssh": True, "twofactor_exempt_users": ["ansible"], "twofactor_require_proof": False}
PEOPLE = ["alice", "bob"]
ATTEMPTS, UNLOCK_SECONDS, WINDOW, DIGITS = 5, 900, 1, 6
FORKS = ("--forks", "20")
COMPARED = 20
"""Number of hosts on which everything is compared, if there are as many."""

# Each account logs in once, because a code is valid once. The time is taken on the host, so that neither Docker nor ssh
# is part of the figures.
_LOGINS = r"""
import statistics, subprocess, sys, time
names, typed = sys.argv[2].split(","), sys.argv[1].replace(",", "\n") + "\n"
took = []
for name in names:
    started = time.monotonic()
    login = ["pamtester", "sshd", name, "authenticate"]
    subprocess.run(login, input=typed, text=True, check=True, capture_output=True)
    took.append(time.monotonic() - started)
print(statistics.median(took))
"""

Figures = dict[str, float | dict[str, float]]


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="1,5,10,20,50", help="numbers of hosts to try (default: %(default)s)")
    parser.add_argument("--users", default="1,100,1000,10000", help="numbers of users to try (default: %(default)s)")
    parser.add_argument("--logins", type=int, default=200, help="number of logins to time (default: %(default)s)")
    parser.add_argument(
        "--repeat", type=int, default=3, help="how often to repeat each comparison (default: %(default)s)"
    )
    chosen = parser.parse_args()
    sizes, users = (sorted(map(int, text.split(","))) for text in (chosen.hosts, chosen.users))
    *web, _ntp = hosts.up(FLEET, {f"host{n:03}": "debian12" for n in range(sizes[-1])}, recreate=True)
    hosts.inventory(web, inventory_path(FLEET))
    furnish(web, *PEOPLE, packages=[OATH.package])
    try:
        figures = {
            **compared(web[:COMPARED], chosen.repeat),
            **growth(web, sizes),
            **many_users(web[0], users, chosen.logins),
            **guessing(web[-1]),
        }
    finally:
        hosts.down(FLEET)
    print(json.dumps(figures))


def compared(web: list[Host], repeat: int) -> Figures:
    """The speed with plain Ansible, and with mitogen if it is installed."""
    figures = speed(web, repeat)
    if mitogen := importlib.util.find_spec("ansible_mitogen"):
        say("the same with mitogen")
        strategies = [str(Path(place, "plugins", "strategy")) for place in mitogen.submodule_search_locations or ()]
        environment = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": os.pathsep.join(strategies)}
        with mock.patch.dict(os.environ, environment):
            figures |= {f"mitogen_{name}": figure for name, figure in speed(web, repeat).items()}
    return figures


def speed(web: list[Host], repeat: int) -> Figures:
    """Time to turn it on, to run again with nothing to change, and to turn it off; and of a ping by Ansible and ssh."""
    variables = {**SETTINGS, "twofactor_users": [{"name": name} for name in PEOPLE]}
    limit = limited(web)
    say(f"turning it on for the first time on {len(web)} hosts, with packages installed")
    since = [host.run("date", "+%s.%N").stdout.strip() for host in web]
    first = timed(enable, variables, *limit)
    executions = statistics.mean(executed(host, start) for host, start in zip(web, since, strict=True))
    say(f"{first:.1f} s, {executions:.1f} module executions per host; now ping and the same run again, in turns")
    cold, pings, as_root, again = [], [], [], []
    for _round in range(repeat):
        cold.append(timed(connect, web))
        pings.append(timed(ping, *limit))
        as_root.append(timed(ping, "--become", *limit))
        again.append(timed(enable, variables, *limit))
        pinged = f"ping {pings[-1]:.2f} s, with become {as_root[-1]:.2f} s"
        say(f"ssh {cold[-1]:.2f} s, {pinged}, run again {again[-1]:.2f} s")
    off = timed(playbook, "disable", {}, *limit)
    floor, rerun = statistics.median(pings), statistics.median(again)
    return {
        "hosts": len(web),
        "ssh_seconds": round(statistics.median(cold), 2),
        "ping_seconds": round(floor, 2),
        "ping_with_become_seconds": round(statistics.median(as_root), 2),
        "first_enable_seconds": round(first, 2),
        "first_enable_executions_per_host": round(executions, 2),
        "rerun_seconds": round(rerun, 2),
        "disable_seconds": round(off, 2),
        "rerun_over_ping": round(rerun / floor, 2),
    }


def growth(web: list[Host], sizes: list[int]) -> Figures:
    """Time to turn it on and to run again, over growing numbers of hosts."""
    variables = {**SETTINGS, "twofactor_users": [{"name": name} for name in PEOPLE]}
    first, again = {}, {}
    for size in sizes:
        limit = limited(web[:size])
        playbook("disable", {}, *limit)
        first[str(size)] = round(timed(enable, variables, *limit), 2)
        again[str(size)] = round(timed(enable, variables, *limit), 2)
        say(f"{size} hosts: turned on {first[str(size)]} s, run again {again[str(size)]} s")
    return {"first_enable_seconds_by_hosts": first, "rerun_seconds_by_hosts": again}


def many_users(host: Host, sizes: list[int], logins: int) -> Figures:
    """Time of a run that makes a secret for each account, of one that finds them all there, and of a login there."""
    names = [f"user{n:05}" for n in range(sizes[-1])]
    people = [f"login{n:03}" for n in range(logins)]
    add_accounts(host, people, 100_000)
    floor = timed(ping, "--limit", host.name)
    figures: Figures = {}
    steps = {}
    for known, size in itertools.pairwise([0, *sizes]):
        add_accounts(host, names[known:size], 200_000 + known)
        playbook("disable", {"twofactor_purge_credentials": True}, "--limit", host.name)
        without_code = login_cost(host, people, PASSWORD)
        variables = {
            **SETTINGS,
            "twofactor_exempt_users": ["ansible", *PEOPLE, *people],
            "twofactor_users": [{"name": name} for name in names[:size]],
        }
        made = timed(enable, variables, "--limit", host.name) - floor
        again = timed(enable, variables, "--limit", host.name) - floor
        say(f"{size} users: secrets made {made:.2f} s, run again {again:.2f} s")
        figures |= {f"users_{size}_seconds": round(made, 2), f"users_{size}_rerun_seconds": round(again, 2)}
        if size == 1000:
            with tempfile.TemporaryDirectory() as folder:
                enrolment = {**variables, "twofactor_enrolment_dir": folder, "users": names[:size]}
                sheets = timed(playbook, "enrol", enrolment, "--limit", host.name) - floor
            say(f"{size} sheets {sheets:.2f} s")
            figures["sheets_1000_seconds"] = round(sheets, 2)
        with_code = login_cost(host, people, PASSWORD, enrolled(host, people, variables))
        say(f"a PAM login: {without_code:.2f} ms without a code, {with_code:.2f} ms with one")
        steps[str(size)] = round(with_code - without_code, 2)
    return {**figures, "login_code_step_ms": steps[str(sizes[0])], "login_code_step_ms_by_users": steps}


def enrolled(host: Host, people: list[str], variables: dict[str, t.Any]) -> str:
    """Enrol these people in addition to those whom a run has enrolled; return a code that is right for each of them."""
    secret = pyotp.random_base32()
    given = [{"name": name, "secret": secret} for name in people]
    enable(
        {
            **variables,
            "twofactor_exempt_users": ["ansible", *PEOPLE],
            "twofactor_users": [*variables["twofactor_users"], *given],
            "twofactor_window": 10,
        },
        "--limit",
        host.name,
    )
    alone = host.run("pamtester", "sshd", people[0], "authenticate", input=f"{PASSWORD}\n", check=False)
    if alone.returncode == 0:
        raise SystemExit(f"{people[0]} gets in without a code, so there is no code step to measure.")
    return ssh.code(secret)


def login_cost(host: Host, people: list[str], *answers: str) -> float:
    """Median time of a login by PAM over these people, in milliseconds."""
    host.write("/run/logins.py", _LOGINS)
    words = ("python3", "/run/logins.py", ",".join(answers), ",".join(people))
    return float(host.run(*words, timeout=600).stdout) * 1000


def guessing(host: Host) -> Figures:
    """Try codes over eight connections with a right password, until the account is closed."""
    secret = pyotp.random_base32()
    host.add_user("mallory", password=PASSWORD)
    variables = {
        **SETTINGS,
        "twofactor_scope": "enrolled",
        "twofactor_users": [{"name": "mallory", "secret": secret}],
        "twofactor_window": WINDOW,
        "twofactor_otp_digits": DIGITS,
        "twofactor_lockout": {"attempts": ATTEMPTS, "unlock_seconds": UNLOCK_SECONDS},
    }
    enable(variables, "--limit", host.name)
    say("guessing over 8 parallel connections")

    def guess(number: int) -> bool:
        """Whether the guess was checked: a code was asked for, and the tally had not closed the account before."""
        wrong = ssh.code(secret, steps=1000 + number)
        login = ssh.login(host, "mallory", password=PASSWORD, code=wrong, timeout=120)
        return any("One-time password" in prompt for prompt in login.prompts)

    with ThreadPoolExecutor(8) as pool:
        looked_at = sum(pool.map(guess, range(40)))
    an_hour = looked_at * 3600 / UNLOCK_SECONDS
    chance = (2 * WINDOW + 1) / 10**DIGITS
    hours = math.log(0.5) / math.log1p(-chance) / an_hour
    say(f"{looked_at} of 40 guesses checked before the account closed for {UNLOCK_SECONDS} s: {an_hour:.0f} an hour")
    say(f"each is right with a chance of {2 * WINDOW + 1} in {10**DIGITS:,}: a chance of 50% takes {hours:,.0f} h")
    return {"guesses_per_hour": an_hour, "hours_to_even_chance": round(hours)}


def add_accounts(host: Host, names: list[str], first: int) -> None:
    """Make accounts with alice's password and ids from `first` on. newusers would hash the password again for each."""
    hashed = host.run("sh", "-c", "getent shadow alice | cut -d: -f2").stdout.strip()
    for path, line in (
        ("passwd", "{0}:x:{1}:100::/nonexistent:/bin/sh"),
        ("shadow", f"{{0}}:{hashed}:19000:0:99999:7:::"),
    ):
        lines = "".join(line.format(name, number) + "\n" for number, name in enumerate(names, first))
        host.run("sh", "-c", f"cat >>/etc/{path}", input=lines)


def executed(host: Host, since: str) -> int:
    """Number of modules that were run on the host, each of which writes to the system's log."""
    return host.run("journalctl", "--since", f"@{since}", "--output", "cat").stdout.count("Invoked with ")


def connect(web: list[Host]) -> None:
    """Start Python on all hosts over new ssh connections, without Ansible."""

    def one(host: Host) -> None:
        words = ["ssh", *host.ssh_options, "-i", str(host.key), "-p", str(host.port), f"ansible@{host.address}"]
        subprocess.run([*words, "python3 -c pass"], stdin=subprocess.DEVNULL, check=True)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(one, web))


def limited(web: list[Host]) -> tuple[str, str]:
    """Arguments that limit Ansible to these hosts."""
    return "--limit", ",".join(host.name for host in web)


def enable(variables: dict[str, t.Any], *arguments: str) -> None:
    """Turn two-factor login on with these variables."""
    playbook("enable", variables, *arguments)


def playbook(name: str, variables: dict[str, t.Any], *arguments: str) -> None:
    """Run a playbook of the collection with these variables; stop if it fails."""
    succeeds(ansible_playbook(name, FLEET, *FORKS, *arguments, anew=True, **variables))


def ping(*arguments: str) -> None:
    """Have Ansible run its smallest module on each host; stop if it fails."""
    words = ["ansible", "all", "-m", "ping", "-i", str(inventory_path(FLEET)), *FORKS, *arguments]
    environment = {**os.environ, "ANSIBLE_PIPELINING": "1"}
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    succeeds(done)


def succeeds(done: subprocess.CompletedProcess[str]) -> None:
    """Stop with the output of an Ansible program if it has failed."""
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args)} failed:\n{done.stdout}{done.stderr}")


def timed(call: Callable[..., None], *arguments: object) -> float:
    """Duration of a call in seconds."""
    started = time.monotonic()
    call(*arguments)
    return time.monotonic() - started


def say(text: str) -> None:
    """Show progress."""
    print(f"bench: {text}", flush=True)


if __name__ == "__main__":
    main()
