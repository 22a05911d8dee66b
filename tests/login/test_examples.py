# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks in docs/examples.md, exactly as written there, enrol the people that the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts import Host
from login.people import Run, new_person, playbook
from newcomer import blocks

pytestmark = pytest.mark.parametrize("host", ["debian13"], indirect=True)

_EXAMPLES = {
    block.file: block.text for block in blocks(Path(__file__).resolve().parents[2] / "docs/examples.md") if block.file
}


def follow(host: Host, folder: Path, name: str) -> Run:
    """Write an example to a folder, and run it from there; what it does not set has the role's defaults."""
    (folder / name).write_text(_EXAMPLES[name])
    return playbook(str(folder / name), host, twofactor_enrolment_dir=str(folder / "sheets"))


def test_members_of_a_unix_group_are_enrolled_and_stay_enrolled_when_they_leave(host: Host, tmp_path: Path) -> None:
    members, stranger = [new_person(host), new_person(host)], new_person(host)
    for member in members:
        host.run("usermod", "--append", "--groups", "staff", member.name)
    run = follow(host, tmp_path, "staff.yml")
    assert run.ok, run.output
    assert [host.exists(person.credential) for person in (*members, stranger)] == [True, True, False]
    sheets = sorted(path.name for path in (tmp_path / "sheets").glob("*.html"))
    assert sheets == sorted(f"{member.name}@{host.name}.html" for member in members)

    host.run("gpasswd", "--delete", members[0].name, "staff")
    run = follow(host, tmp_path, "staff.yml")
    assert run.ok, run.output
    assert host.exists(members[0].credential)


def test_people_of_a_csv_file_are_enrolled(host: Host, tmp_path: Path) -> None:
    named, stranger = [new_person(host), new_person(host)], new_person(host)
    rows = ["account,name,telephone", *(f"{person.name},{person.name.title()},1234" for person in named)]
    (tmp_path / "people.csv").write_text("\n".join(rows) + "\n")
    run = follow(host, tmp_path, "people.yml")
    assert run.ok, run.output
    assert [host.exists(person.credential) for person in (*named, stranger)] == [True, True, False]
