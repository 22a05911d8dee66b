# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a fleet as a page: readable with a thousand hosts, sortable and searchable."""

from __future__ import annotations

import json
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils._status import line
from ansible_collections.fleet.auth.plugins.plugin_utils._status import page as report_of

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "roles" / "twofactor" / "templates" / "status.html.j2"
PICTURES = ROOT / "build" / "browser"
HOSTS = 1000
VSFTPD = {"name": "vsftpd", "kind": "daemon", "reaches": "<i>files</i>", "seen": ""}


def answer(number: int) -> dict[str, t.Any] | None:
    """A possible answer of a host of the fleet."""
    if number % 97 == 5:
        return {"unreachable": True, "msg": "ssh: connect to host <b>: Connection timed out"}
    user: dict[str, t.Any] = {"enrolled": True, "locked": False, "recovered": False, "recovery_codes_left": 10}
    users = {f"user{n}": {**user, "proven": n % 3 > 0, "locked": number % 50 == n} for n in range(number % 40 + 2)}
    if number % 30 == 0:
        users["user1"]["security_keys"] = ["blue", "<b>spare</b>"]
    drifted, let_off = number % 41 == 7, number % 131 == 3
    asks = ["cockpit"] if drifted else ["sshd", "cockpit"]
    return {
        "asks": asks,
        "let_off": ["user1"] if let_off else [],
        # A service that asks everyone but one person is not called enforced.
        "enforced": {service: service in asks and not let_off for service in ("sshd", "cockpit")},
        "users": users,
        "time_sync": {"error_seconds": number / 1e5, "reason": "in sync"},
        "pending": False,
        "exempt": ["ansible"],
        "would_be_locked_out": [{"user": "zoe"}] if number % 120 == 11 else [],
        "changes": ["write /etc/pam.d/sshd"] if drifted or let_off else [],
        "missing_packages": [],
        "refusals": ["carol & <dave> would be locked out."] if number % 120 == 11 else [],
        "lets_in": [],
        "denying": [],
        "invitations": {},
        "doors": [
            {"name": "sshd", "kind": "sshd", "reaches": "a shell", "state": "covered", "seen": ""},
            *([{**VSFTPD, "state": "open"}] if number % 200 == 9 else []),
        ],
        "drift": ["sshd was not asking for codes: /etc/pam.d/sshd had lost the block."] if drifted else [],
    }


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, rendered by Ansible's own templating."""
    folder = tmp_path_factory.mktemp("status")
    lines = [line(f"web{number:04}.example.com", answer(number)) for number in range(HOSTS)]
    (folder / "report.json").write_text(json.dumps({"report": report_of(lines)}))
    words = ["ansible", "localhost", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    words += ["-e", f"@{folder / 'report.json'}", "-m", "ansible.builtin.template"]
    done = preloaded.run(*words, "-a", f"src={TEMPLATE} dest={folder / 'status.html'} mode=0600")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "status.html"


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(page_file.as_uri())
    yield opened
    assert complaints == []
    assert requests == [page_file.as_uri()]
    opened.close()


def hosts(page: Page) -> list[str]:
    """The hosts that are shown, in order."""
    return page.locator("#hosts tbody:not([hidden]) tr:first-child td:first-child").all_inner_texts()


def test_has_every_host_and_runs_nothing_from_their_answers(page: Page) -> None:
    assert len(hosts(page)) == HOSTS
    assert page.locator("table b, table dave, table i").count() == 0
    assert page.locator("h1 + p").inner_text().startswith(f"{HOSTS} hosts, ")


def test_sorts_by_any_column_both_ways(page: Page) -> None:
    page.get_by_role("button", name="Clock").click()
    assert hosts(page)[-1] == "web0999.example.com"
    page.get_by_role("button", name="Clock").click()
    assert hosts(page)[0] == "web0999.example.com"
    page.get_by_role("button", name="State").first.click()
    assert page.locator("tbody").first.get_attribute("data-verdict") == "unreachable"
    page.get_by_role("button", name="Host", exact=True).click()
    assert hosts(page) == sorted(hosts(page))


def test_lists_people_with_the_worst_first(page: Page) -> None:
    people = page.locator("#people + .scroll tbody:not([hidden]) td:first-child")
    assert people.count() == 42
    assert page.get_by_role("link", name="42 people").is_visible()
    rows = page.locator("#people + .scroll tbody:not([hidden])")
    # Of 1000 hosts, every fiftieth has one locked account, except hosts that could not be asked.
    assert rows.first.inner_text().split("\t")[1].strip() == "locked"
    assert "and " in rows.first.inner_text()
    page.get_by_role("searchbox").fill("zoe")
    assert rows.count() == 1
    assert "shut out: web0011.example.com" in rows.first.inner_text()
    page.get_by_role("searchbox").fill("no such thing")
    assert page.get_by_text("Nobody matches.").is_visible()


def test_search_and_filter_show_only_matching_hosts(page: Page) -> None:
    search = page.get_by_role("searchbox")
    search.fill("web0007")
    assert hosts(page) == ["web0007.example.com"]
    search.fill("open: vsftpd")
    assert hosts(page) == [f"web{number:04}.example.com" for number in range(9, HOSTS, 200)]
    ways_in = page.locator("tbody:not([hidden]) .notes").first
    assert "Ways in: with a code: sshd; open: vsftpd (<i>files</i>)" in ways_in.inner_text()
    search.fill("LOST THE BLOCK")
    assert len(hosts(page)) == sum(number % 41 == 7 and number % 97 != 5 for number in range(HOSTS))
    search.fill("no such thing")
    assert page.get_by_text("No host matches.").is_visible()
    search.fill("")
    page.get_by_role("button", name="unreachable").click()
    assert len(hosts(page)) == sum(number % 97 == 5 for number in range(HOSTS))
    page.get_by_role("button", name="unreachable").click()
    assert len(hosts(page)) == HOSTS


def test_shows_what_asks_and_which_account_was_let_off(page: Page) -> None:
    page.get_by_role("searchbox").fill("web0003")
    asks = page.locator("#hosts tbody:not([hidden]) td:nth-child(3)")
    assert asks.inner_text() == "sshd, cockpit (not user1)"
    assert asks.locator(".not").count() == 0
    page.get_by_role("searchbox").fill("web0007")
    assert asks.inner_text() == "cockpit, not sshd"
    assert asks.locator(".not").inner_text() == "not sshd"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("screen", 1280), ("phone", 360)])
def test_looks_good(
    browser: Browser, page_file: Path, colours: t.Literal["light", "dark"], device: str, width: int
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    where = page.locator(".people .where").first
    assert where.evaluate("cell => cell.getBoundingClientRect().right <= innerWidth"), "where somebody is, is cut off"
    page.screenshot(path=PICTURES / f"status-{device}-{colours}.png")
    page.close()


def test_prints_the_names_of_people_and_cuts_nothing_off(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 1040, "height": 720})
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    row = page.locator("tbody[data-verdict=on] tr:first-child").nth(0)
    assert row.locator("td").nth(5).inner_text() == "user1: 2 keys, code"
    assert row.locator("td").nth(6).inner_text() == "ansible"
    assert row.locator("[title]").count() <= 2, "a name that stands in a tooltip is not on paper"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a column is cut off"
    person = page.locator(".people .names").first
    assert person.evaluate("cell => cell.getBoundingClientRect().width") > 60, "a name has a letter a line"
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "status-print.png")
    page.close()
