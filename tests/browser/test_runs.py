# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of the playbooks in a terminal: how much there is to read, and that it ends with the next step."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import hosts
from browser.terminal import picture, plain, typed
from hosts import Host
from login import ssh
from login.backends import OATH
from login.people import Person, furnish, unwrapped

WIDTH = 120


@pytest.fixture(scope="module")
def machines() -> Iterator[list[Host]]:
    fleet = hosts.of_this_checkout("runs")
    *up, _ntp = hosts.up(fleet, {"web1": "debian13", "web2": "debian13"}, recreate=True)
    furnish(up, "alice", "bob", packages=[OATH.package])
    yield up
    hosts.down(fleet)


@pytest.fixture(scope="module")
def people(machines: list[Host]) -> list[Person]:
    """Alice and Bob, each with one secret on both hosts."""
    return [Person(name, machines[0], machines[0].key) for name in ("alice", "bob")]


@pytest.fixture(scope="module")
def folder(machines: list[Host], people: list[Person], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An administrator's working directory."""
    folder = tmp_path_factory.mktemp("admin")
    hosts.inventory(machines, folder / "inventory.yml")
    (folder / "group_vars").mkdir()
    wanted = {
        "twofactor_users": [person.entry for person in people],
        "twofactor_exempt_users": ["ansible"],
        "twofactor_fleet": "Example",
        "twofactor_enrolment_dir": "sheets",
    }
    (folder / "group_vars" / "all.yml").write_text(json.dumps(wanted))
    return folder


def run(folder: Path, name: str, *arguments: str, answers: tuple[str, ...] = ()) -> str:
    """Run a playbook of the collection in a terminal, and return all that the terminal shows."""
    words = ["ansible-playbook", f"fleet.auth.{name}", "-i", "inventory.yml", *arguments]
    environment = {**os.environ, "TERM": "xterm", "ANSIBLE_FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    return typed(words, shlex.join(words), *answers, cwd=folder, env=environment, timeout=300, dimensions=(50, WIDTH))


def test_enable_ends_with_what_to_do_next(browser: Browser, folder: Path) -> None:
    shown = run(folder, "enable", "--limit", "web1")
    picture(browser, "terminal-enable.png", shown)
    text = unwrapped(plain(shown))
    assert "The sheets of alice, bob for Example are in" in text
    assert "have each person prove a code" in text
    assert "ERROR" not in text


def test_rollout_shows_plan_and_result(browser: Browser, folder: Path) -> None:
    shown = run(folder, "rollout")
    picture(browser, "terminal-rollout.png", shown)
    text = plain(shown)
    assert "Changes for web2: " in text
    assert "2 hosts: 1 proven, 1 right" in text
    assert "skipping" not in text


def test_verify_says_where_a_code_was_right_or_wrong(browser: Browser, folder: Path, people: list[Person]) -> None:
    ssh.fresh_step(at_least=25)
    alice = people[0]
    wrong = run(folder, "verify", "-e", "user=alice", answers=(alice.code(steps=1000),))
    right = run(folder, "verify", "-e", "user=alice", answers=(alice.code(),))
    picture(browser, "terminal-verify.png", wrong, right)
    assert "The code of alice was not right on web1 and web2." in unwrapped(plain(wrong))
    assert "The code of alice was right on web1 and web2. It is used up, and alice is proven." in plain(right)


def test_status_is_a_table_with_the_worst_first(browser: Browser, folder: Path, machines: list[Host]) -> None:
    machines[1].run("rm", "/etc/oath/bob")
    shown = run(folder, "status")
    picture(browser, "terminal-status.png", shown)
    lines = plain(shown).splitlines()
    table = next(number for number, line in enumerate(lines) if line.startswith("host  state"))
    assert [line.split()[:2] for line in lines[table + 1 : table + 3]] == [["web2", "drift"], ["web1", "off"]]
    assert "2 hosts: 1 drift, 1 off" in plain(shown)
