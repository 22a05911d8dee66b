# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a fleet: what each host does and who has a problem, whatever state a host is in."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from hosts import Host
from login import ssh
from login.people import Person, enable, new_person, playbook, settings
from login.policy import off

pytestmark = pytest.mark.release("debian13")


@pytest.fixture
def person(host: Host) -> Person:
    off(host)
    return new_person(host)


def test_report_shows_what_a_host_does(
    host: Host, person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page, data = tmp_path / "reports" / "status.html", tmp_path / "reports" / "status.json"
    variables = {
        **settings(person),
        "twofactor_status_page": "reports/status.html",
        "twofactor_status_data": "./reports/status.json",
    }

    def report() -> dict[str, t.Any]:
        before = host.snapshot(["/etc"])
        run = playbook("status", host, **variables)
        assert run.ok, run.output
        assert not run.changed
        assert host.snapshot(["/etc"]) == before
        (line,) = json.loads(data.read_text())["lines"]
        assert f"{host.name}  {line['verdict']}" in run.output
        assert host.name in page.read_text()
        return dict(line)

    line = report()
    assert (line["verdict"], line["not_enforced"], line["enrolled"]) == ("drift", ["sshd"], 0)
    enable(host, person)
    line = report()
    assert (line["verdict"], line["enforced"], line["enrolled"], line["proven"]) == ("on", ["sshd"], 1, 0)
    assert "ansible" in line["exempt"]
    ssh.fresh_step()
    assert person.by_key(person.code()).ok
    for _attempt in range(5):
        assert not person.by_key(person.code(steps=1000)).ok
    line = report()
    assert (line["verdict"], line["proven"], line["locked"]) == ("on", 1, [person.name])

    host.run("twofactor-recover", "--user", person.name)
    line = report()
    assert (line["verdict"], line["recovered"], line["locked"]) == ("drift", [person.name], [])
    assert line["asks"] == f"sshd (not {person.name})"
    assert f"twofactor-recover has let {person.name} off" in str(line["notes"])
    variables["twofactor_users"] = [{"name": "nobodyhome"}]
    line = report()
    assert line["verdict"] == "refused"
    assert "there is no account nobodyhome" in str(line["notes"])


def test_unreachable_host_is_in_the_report(host: Host, tmp_path: Path) -> None:
    data = tmp_path / "status.json"
    run = playbook("status", host, ansible_port=1, twofactor_status_data=str(data))
    (line,) = json.loads(data.read_text())["lines"]
    assert line["verdict"] == "unreachable"
    assert "Connection refused" in str(line["notes"])
    assert "1 host: 1 unreachable" in run.output
