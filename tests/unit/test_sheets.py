# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's sheets are files of its own in the directory of the sheets, whatever it says."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.fleet.auth.plugins.action.enrolment_sheets import _file_name, _is_there, _of_all_hosts
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import put
from unit.builders import SECRET

OTHER = "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK"


def enrolment(**special: t.Any) -> dict[str, t.Any]:
    return {"user": "alice", "device": "", "secret": SECRET, **special}


def test_the_name_of_a_sheet_is_that_of_a_file() -> None:
    assert _file_name(enrolment(), "web1") == "alice@web1.html"
    assert _file_name(enrolment(device="tablet"), "lab/web1") == "alice+tablet@lab-web1.html"


@pytest.mark.parametrize(
    "special",
    [
        {"user": "../../alice"},
        {"user": "/etc/alice"},
        {"user": ".."},
        {"user": ""},
        {"user": "a\0b"},
        {"user": "alice\n"},
        {"device": "../x"},
        {"device": "x/y"},
    ],
)
def test_nothing_else_becomes_one(special: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail, match="cannot be the name of a file"):
        _file_name(enrolment(**special), "web1")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("as it was")
    (tmp_path / "alice@web1.html").symlink_to("outside")
    put(tmp_path / "alice@web1.html", "a sheet")
    assert (tmp_path / "outside").read_text() == "as it was"
    assert not (tmp_path / "alice@web1.html").is_symlink()


def test_a_sheet_of_another_day_is_the_same_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "alice@web1.html"
    assert not _is_there(sheet, "the key. Made on 2026-11-28.")
    put(sheet, "the key. Made on 2026-11-28.")
    assert _is_there(sheet, "the key. Made on 2027-01-01.")
    assert not _is_there(sheet, "another key. Made on 2026-11-28.")
    sheet.chmod(0o644)
    assert not _is_there(sheet, "the key. Made on 2026-11-28.")


class TestOfAllHosts:
    def test_are_those_whose_secret_the_variables_have(self) -> None:
        known = ["carol", {"name": "alice", "secret": SECRET.lower(), "devices": [{"name": "tablet", "secret": OTHER}]}]
        found = [
            enrolment(),
            enrolment(device="tablet", secret=OTHER),
            enrolment(device="self-service", secret=OTHER),
            enrolment(user="carol", secret=OTHER),
        ]
        assert _of_all_hosts(found, known, "web1") == found[:2]

    @pytest.mark.parametrize("special", [{"secret": OTHER}, {"device": "tablet"}])
    def test_are_none_of_a_host_that_has_other_secrets(self, special: dict[str, t.Any]) -> None:
        known = [{"name": "alice", "secret": SECRET, "devices": [{"name": "tablet", "secret": OTHER}]}]
        with pytest.raises(AnsibleActionFail, match="web1 has another secret of alice than the variables") as error:
            _of_all_hosts([enrolment(**special)], known, "web1")
        assert SECRET not in str(error.value)
        assert OTHER not in str(error.value)
