# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Enrolment as a person does it: a phone reads the sheet, and its code gets in."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser

import hosts
from browser import decoded
from hosts import Host
from login import ssh
from login.people import Person, enable


def scan(browser: Browser, sheet: Path) -> pyotp.TOTP:
    """The entry that an app makes when the phone scans the sheet on a screen."""
    page = browser.new_page()
    page.goto(sheet.as_uri())
    (uri,) = decoded(page.screenshot(full_page=True))
    page.close()
    entry = pyotp.parse_uri(uri)
    assert isinstance(entry, pyotp.TOTP)
    return entry


class Kind(t.NamedTuple):
    """A kind of code, and an issuer with characters that a URI must escape."""

    digits: int
    interval: int
    issuer: str


KINDS = (
    Kind(6, 30, "Example"),
    Kind(7, 30, "Müller & Söhne"),
    Kind(8, 30, "ops@example.com"),
    Kind(6, 60, "100% <Example>"),
    Kind(7, 60, "Example, Inc. + Co."),
    Kind(8, 60, "日本 / Ελλάδα"),
)
NAMES = ("phone", "Pho.ne-", "phone@department")
# Sheets are made on the controller, and test_settings covers the hosts, so each kind is tried on one release.
pytestmark = pytest.mark.parametrize(
    ("host", "kind"),
    list(zip(itertools.cycle(hosts.RELEASES), KINDS)),
    ids=lambda value: f"{value.digits} digits, {value.interval} s" if isinstance(value, Kind) else value,
    indirect=True,
    scope="module",
)


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture(scope="module")
def people_with_sheets(
    host: Host, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Person, Path]]:
    """People with codes of this kind, all enrolled in one run, and their sheets."""
    folder = tmp_path_factory.mktemp("sheets")
    found = {}
    for name in NAMES:
        person = Person(f"{name}{kind.digits}{kind.interval}", host, host.key)
        host.run("useradd", "--badname", "--create-home", person.name)
        host.add_user(person.name, person.password, host.key.with_suffix(".pub"))
        found[name] = person, folder / f"{person.name}@{host.name}.html"
    users = [{"name": person.name} for person, _sheet in found.values()]
    options = {"otp_digits": kind.digits, "interval": kind.interval, "issuer": kind.issuer}
    enable(host, users=users, enrolment_dir=str(folder), **options)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_code_of_a_phone_that_has_scanned_the_sheet_gets_in(
    people_with_sheets: dict[str, tuple[Person, Path]], kind: Kind, name: str, browser: Browser
) -> None:
    person, sheet = people_with_sheets[name]
    entry = scan(browser, sheet)
    assert (entry.name, entry.issuer) == (f"{person.name}@{person.host.name}", kind.issuer)
    assert (entry.digits, entry.interval) == (kind.digits, kind.interval)
    ssh.fresh_step(kind.interval)
    login = person.by_key(entry.now()) if name == "phone" else person.by_password(entry.now())
    assert login.ok, login.reason
    assert login.output == person.name
