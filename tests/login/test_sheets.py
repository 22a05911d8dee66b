# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which runs write which sheets.

The controller decides that from the module's results, which are the same on each release.
"""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from hosts import Host
from login import sheets, ssh
from login.people import Person, Run, new_person, playbook, settings, unwrapped

pytestmark = pytest.mark.parametrize("host", ["debian13"], indirect=True)

JUST_THE_PLAN = 1
"""How many tasks run if nothing has to be done: one, the module."""


@dataclasses.dataclass(frozen=True)
class Office:
    """A host, the directory of the sheets, and the people in the variables, all with secrets made on the host."""

    host: Host
    folder: Path
    people: tuple[Person, ...]

    def sheet(self, person: Person) -> Path:
        return self.folder / f"{person.name}@{self.host.name}.html"

    def run(self, *arguments: str, name: str = "enable", **variables: t.Any) -> Run:
        users = [{"name": person.name} for person in self.people]
        usual = {"twofactor_enrolment_dir": str(self.folder), **settings(users=users, scope="enrolled")}
        return playbook(name, self.host, *arguments, **{**usual, **variables})


@pytest.fixture(scope="module")
def office(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """One person who has used a code and one who has not; both have sheets."""
    folder = tmp_path_factory.mktemp("office") / "sheets"
    proven, unproven = new_person(host), new_person(host)
    office = Office(host, folder, (proven, unproven))
    run = office.run()
    assert run.ok, run.output
    ssh.fresh_step()
    assert proven.by_key(sheets.totp(office.sheet(proven)).now()).ok
    return office


def test_existing_sheets_stay_as_they_are_and_only_the_plan_runs(office: Office) -> None:
    before = {person: office.sheet(person).stat() for person in office.people}
    run = office.run()
    assert run.ok
    assert not run.changed
    assert run.recap["ok"] == JUST_THE_PLAN
    assert {person: office.sheet(person).stat() for person in office.people} == before


def test_sheet_that_was_handed_out_and_deleted_does_not_come_back(office: Office) -> None:
    office.sheet(office.people[0]).unlink()
    run = office.run()
    assert run.ok
    assert not run.changed
    assert run.recap["ok"] == JUST_THE_PLAN
    assert not office.sheet(office.people[0]).exists()


def test_sheet_that_nobody_has_used_comes_back_and_check_mode_says_so(office: Office) -> None:
    sheet = office.sheet(office.people[1])
    before = sheet.read_text()
    sheet.unlink()
    announced = office.run("--check")
    assert announced.ok, announced.output
    assert announced.changed
    assert not sheet.exists()
    assert office.run().changed
    assert sheet.read_text() == before
    assert sheet.stat().st_mode & 0o7777 == 0o600
    assert not office.run().changed


def test_sheet_of_a_given_secret_is_written_once(office: Office) -> None:
    person = new_person(office.host)
    users = [person.entry]
    assert office.run(twofactor_users=users).ok
    assert sheets.totp(office.sheet(person)).secret == person.secret
    office.sheet(person).unlink()
    run = office.run(twofactor_users=users)
    assert run.ok
    assert not run.changed
    assert not office.sheet(person).exists()


def test_fleet_with_one_secret_per_person_has_one_sheet_for_all_hosts(office: Office) -> None:
    person = new_person(office.host)
    fleet: dict[str, t.Any] = {"twofactor_users": [person.entry], "twofactor_fleet": "Example fleet"}
    run = office.run(**fleet)
    assert run.ok, run.output
    sheet = office.folder / f"{person.name}@Example fleet.html"
    entry = sheets.totp(sheet)
    assert (entry.name, entry.issuer) == (f"{person.name}@Example fleet", "Example fleet")
    assert not office.sheet(person).exists()
    assert not office.run(**fleet).changed

    # As on another host, where the person is new: the existing sheet is kept.
    before = sheet.stat()
    assert office.run(**{**fleet, "twofactor_users": [{"name": person.name, "state": "absent"}]}).ok
    assert office.run(**fleet).ok
    assert sheet.stat() == before

    run = office.run(twofactor_fleet="Example fleet", twofactor_users=[{"name": new_person(office.host).name}])
    assert not run.ok
    assert "With twofactor_fleet people have one secret on all hosts" in unwrapped(run.output)


def test_people_who_are_not_listed_or_absent_get_no_sheet(office: Office) -> None:
    unproven, leaving = office.people[1], new_person(office.host)
    assert office.run(twofactor_users=[{"name": leaving.name}], twofactor_enrolment_dir="").ok
    office.sheet(unproven).unlink()
    absent = [{"name": leaving.name, "state": "absent"}]
    run = office.run(twofactor_users=absent)
    assert run.ok, run.output
    assert not office.sheet(leaving).exists()
    assert not office.sheet(unproven).exists()
    assert office.run().changed
    assert office.sheet(unproven).exists()


def test_sheet_of_an_earlier_secret_does_not_pass_for_the_new_one(office: Office) -> None:
    person = new_person(office.host)
    users = [{"name": person.name}]
    office.sheet(person).write_text("a sheet of long ago")
    assert not office.run(twofactor_users=users, twofactor_issuer=sheets.LATE_FAILURE).ok
    assert not office.sheet(person).exists()
    assert office.run(twofactor_users=users).ok
    assert sheets.totp(office.sheet(person)).secret


def test_directory_and_template_are_relative_to_where_ansible_was_started(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = new_person(office.host)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.j2").write_text("{{ texts.subject }}, {{ enrolment.user | e }} {{ place }}")
    own = {"twofactor_sheet_template": "./own.j2", "twofactor_language": "de"}
    for _run in range(2):
        run = office.run(twofactor_users=[{"name": person.name}], twofactor_enrolment_dir="./sheets", **own)
        assert run.ok, run.output
        text = unwrapped(run.output)
        if run.changed:
            assert f"The sheets of {person.name} for {office.host.name} are in {tmp_path}/sheets. Hand them" in text
    assert not run.changed
    assert "The sheets of" not in text
    (sheet,) = Path("sheets").iterdir()
    assert sheet.name == office.sheet(person).name
    assert sheet.read_text() == f"Zwei-Faktor-Anmeldung, {person.name} {office.host.name}"


class TestMakingThemAgain:
    def test_makes_the_sheet_of_somebody_who_has_used_codes(self, office: Office, tmp_path: Path) -> None:
        proven, unproven = office.people
        again = dataclasses.replace(office, folder=tmp_path / "again")
        run = again.run(name="enrol", user=proven.name)
        assert run.ok, run.output
        assert [path.name for path in again.folder.iterdir()] == [again.sheet(proven).name]
        assert sheets.totp(again.sheet(proven)).byte_secret() == ssh.credential(office.host, proven.name)
        assert not again.run(name="enrol", user=proven.name).changed
        run = again.run(name="enrol", users=f"{proven.name},{unproven.name}")
        assert run.ok, run.output
        assert again.sheet(unproven).read_text() == office.sheet(unproven).read_text()

    def test_names_people_without_a_credential(self, office: Office, tmp_path: Path) -> None:
        again = dataclasses.replace(office, folder=tmp_path / "again")
        run = again.run(name="enrol", users=[office.people[0].name, "ansible", "nobody"])
        assert not run.ok
        assert f"No sheet was made on {office.host.name}" in unwrapped(run.output)
        assert "there is no readable credential there for ansible, nobody." in unwrapped(run.output)
        assert not again.folder.exists()

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({}, "-e user=NAME"),
            ({"user": "ansible", "twofactor_enrolment_dir": ""}, "twofactor_enrolment_dir is empty"),
        ],
    )
    def test_says_what_is_missing(self, office: Office, wrong: dict[str, t.Any], message: str) -> None:
        run = office.run(name="enrol", **wrong)
        assert not run.ok
        assert message in unwrapped(run.output)
