# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sheets of a host are its own files in the directory of the sheets, whatever the host answers."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import types
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

import preloaded
from ansible_collections.fleet.auth.plugins.action import enrolment_sheets, sheet_index
from ansible_collections.fleet.auth.plugins.action.enrolment_sheets import _file_name, _is_there, _shared_enrolments
from ansible_collections.fleet.auth.plugins.plugin_utils import _printing, _sheets
from ansible_collections.fleet.auth.plugins.plugin_utils._pages import put, write_report
from unit.builders import SECRET

OTHER = "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK"


def enrolment(**special: t.Any) -> dict[str, t.Any]:
    rest = {"interval": 30, "digits": 6, "recovery_codes": []}
    return {"user": "alice", "device": "", "secret": SECRET, **rest, **special}


def test_sheet_has_a_valid_file_name() -> None:
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
def test_invalid_values_give_no_file_name(special: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleActionFail, match="cannot be the name of a file"):
        _file_name(enrolment(**special), "web1")


def test_link_in_place_of_a_sheet_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("as it was")
    (tmp_path / "alice@web1.html").symlink_to("outside")
    put(tmp_path / "alice@web1.html", "a sheet")
    assert (tmp_path / "outside").read_text() == "as it was"
    assert not (tmp_path / "alice@web1.html").is_symlink()


def test_sheet_that_differs_only_in_its_date_is_the_same(tmp_path: Path) -> None:
    sheet = tmp_path / "alice@web1.html"
    assert not _is_there(sheet, "the key. Made on 2026-11-28.")
    put(sheet, "the key. Made on 2026-11-28.")
    assert _is_there(sheet, "the key. Made on 2027-01-01.")
    assert not _is_there(sheet, "another key. Made on 2026-11-28.")
    sheet.chmod(0o644)
    assert not _is_there(sheet, "the key. Made on 2026-11-28.")


def test_full_disk_is_reported_with_how_to_get_the_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(_path: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(enrolment_sheets, "put", put)
    action = enrolment_sheets.ActionModule.__new__(enrolment_sheets.ActionModule)
    action._task = types.SimpleNamespace(check_mode=False)
    with pytest.raises(AnsibleActionFail, match=r"web1.html cannot be written: No space left on device\. Correct"):
        action._write(tmp_path / "alice@web1.html", "a sheet", "alice")


@pytest.mark.parametrize(("where", "why"), [("", "Is a directory"), ("file/status.html", "File exists")])
def test_report_that_cannot_be_written_says_what_to_name(tmp_path: Path, where: str, why: str) -> None:
    (tmp_path / "file").write_text("as it was")
    with pytest.raises(AnsibleActionFail, match=rf"cannot be written: {why}\. Name a file in a directory"):
        write_report(str(tmp_path / where), "a report")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_report_does_not_replace_a_device(tmp_path: Path) -> None:
    """For example /dev/null, which somebody may name to get no report at all."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AnsibleActionFail, match=r"pipe cannot be written: it is a device or a pipe\. Name a file"):
        write_report(str(tmp_path / "pipe"), "a report")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("path", ["~nobody-of-this-name/status.html", "a\0b", "circle/status.html"])
def test_impossible_path_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(AnsibleActionFail, match="cannot be a path on the machine where you start Ansible"):
        write_report(path, "a report")


class TestSheetsOfAllHosts:
    def test_are_made_for_secrets_in_the_variables(self) -> None:
        known = ["carol", {"name": "alice", "secret": SECRET.lower(), "devices": [{"name": "tablet", "secret": OTHER}]}]
        found = [
            enrolment(),
            enrolment(device="tablet", secret=OTHER),
            enrolment(device="self-service", secret=OTHER),
            enrolment(user="carol", secret=OTHER),
        ]
        assert _shared_enrolments(found, known, "web1", self.WANTED) == found[:2]
        assert _shared_enrolments(found, known, "web1", {"interval": None}) == found[:2]

    def test_are_made_for_names_that_yaml_takes_for_numbers(self) -> None:
        known = [{"name": 1001, "secret": SECRET, "devices": [{"name": 2, "secret": OTHER}]}]
        found = [enrolment(user="1001"), enrolment(user="1001", device="2", secret=OTHER)]
        assert _shared_enrolments(found, known, "web1", self.WANTED) == found

    WANTED: t.ClassVar = {"interval": 30, "digits": "6"}
    KNOWN: t.ClassVar = [{"name": "alice", "secret": SECRET}]

    @pytest.mark.parametrize(
        ("special", "expected"),
        [
            ({"interval": 60}, "on web1 the interval of the codes of alice is 60, but twofactor_interval is 30."),
            ({"digits": 8}, "on web1 the digits of the codes of alice is 8, but twofactor_otp_digits is 6."),
        ],
    )
    def test_are_refused_for_a_host_with_another_kind_of_codes(self, special: dict[str, t.Any], expected: str) -> None:
        """Otherwise one compromised host could make the sheet for all of them useless."""
        with pytest.raises(AnsibleActionFail, match=expected):
            _shared_enrolments([enrolment(**special)], self.KNOWN, "web1", self.WANTED)
        assert _shared_enrolments([enrolment(digits=None)], self.KNOWN, "web1", self.WANTED)

    def test_contain_no_recovery_codes_of_one_host(self, capsys: pytest.CaptureFixture[str]) -> None:
        codes = [{"number": 1, "code": "123456"}]
        assert _shared_enrolments([enrolment(recovery_codes=codes)], self.KNOWN, "web1", self.WANTED) == [enrolment()]
        assert "each host has its own: alice on web1." in " ".join(capsys.readouterr().err.split())

    @pytest.mark.parametrize("special", [{"secret": OTHER}, {"device": "tablet"}])
    def test_are_refused_for_a_host_with_other_secrets(self, special: dict[str, t.Any]) -> None:
        known = [{"name": "alice", "secret": SECRET, "devices": [{"name": "tablet", "secret": OTHER}]}]
        with pytest.raises(AnsibleActionFail, match="web1 has another secret of alice than the variables") as error:
            _shared_enrolments([enrolment(**special)], known, "web1", self.WANTED)
        assert SECRET not in str(error.value)
        assert OTHER not in str(error.value)


class TestIndex:
    PAGES = ("bob@web1.html", "alice@lab-web2.html", "alice+spare@x@web1.html", "alice~keys@web1.html")
    STRANGE = ("dave@web1.html", "zoe@gone.html", "../x@web1.html", "@web1.html", "a b@web1.html")

    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "sheets"
        folder.mkdir()
        for name in (*self.PAGES, *self.STRANGE):
            (folder / name).write_text(f"a secret of {name}")
        (folder / "eve@web1.html").symlink_to(tmp_path / "x@web1.html")
        (folder / "pass-alice@web1.txt").write_text("755224")
        return folder

    def test_lists_only_the_sheets_of_the_hosts(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        found, strange = _sheets.find(folder, {"web1": {"dave"}, "lab/web2": ()})
        assert [(one.user, one.place, one.device, one.keys) for one in found] == [
            ("alice", "lab/web2", "", False),
            ("alice", "web1", "", True),
            ("alice", "web1", "spare@x", False),
            ("bob", "web1", "", False),
        ]
        assert strange == ["@web1.html", "a b@web1.html", "dave@web1.html", "eve@web1.html", "zoe@gone.html"]
        assert [one.link for one in found][2] == "./alice%2Bspare%40x%40web1.html"

    @staticmethod
    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        users = [
            "alice",
            {"name": "dave", "state": "absent"},
            {"name": "bob", "secret": "{{ lookup('pipe', 'false') }}"},
        ]
        hosts = {"web1": {"twofactor_users": users}, "lab/web2": {}, "web3": {"twofactor_fleet": "Example"}}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        words = ["ansible-playbook", "-i", "hosts.json", "fleet.auth.sheets", *arguments]
        return preloaded.run(*words, cwd=folder, ANSIBLE_INVENTORY_ENABLED="ansible.builtin.yaml")

    def test_is_made_by_the_playbook_without_contacting_a_host(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        before = {path.name for path in folder.iterdir()}
        (folder / "index.html").symlink_to(tmp_path / "outside")
        done = self.run(tmp_path, "-e", "twofactor_enrolment_dir=./sheets", "-e", "twofactor_language=es")
        assert done.returncode == 0, done.stdout + done.stderr
        index = folder / "index.html"
        assert {path.name for path in folder.iterdir()} - before == {"index.html"}
        assert index.stat().st_mode & 0o7777 == 0o600
        assert not (tmp_path / "outside").exists()
        assert "Hojas: 4" in index.read_text()
        assert "a secret" not in index.read_text() + done.stdout
        told = " ".join(done.stdout.split())
        assert f"Sheets: 4. Written: {index}." in told
        assert "dave@web1.html, eve@web1.html, zoe@gone.html." in told

    def test_is_announced_in_check_mode_and_written_only_if_it_changes(self, tmp_path: Path) -> None:
        folder, arguments = self.folder(tmp_path), ("-e", "twofactor_enrolment_dir=./sheets")
        index = folder / "index.html"

        def told(*more: str) -> str:
            done = self.run(tmp_path, *arguments, *more)
            assert done.returncode == 0, done.stdout + done.stderr
            return " ".join(done.stdout.split())

        announced = told("--check")
        assert f"Sheets: 4. Would be written: {index}. Left out," in announced
        assert " changed=1 " in announced
        assert not index.exists()
        assert " changed=1 " in told()
        before = index.stat()
        for again in (told(), told("--check")):
            assert f"Sheets: 4. Up to date: {index}." in again
            assert " changed=0 " in again
        assert index.stat().st_ino == before.st_ino
        index.chmod(0o644)
        assert f"Sheets: 4. Written: {index}. Delete" in told()
        assert index.stat().st_mode & 0o7777 == 0o600
        (folder / self.PAGES[0]).unlink()
        assert f"Sheets: 3. Would be written: {index}." in told("--check")

    def test_with_a_pdf_is_a_change_each_time(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.folder(tmp_path)
        monkeypatch.setattr(_printing, "need_weasyprint", lambda: None)
        monkeypatch.setattr(_printing, "printed", lambda pages: f"{len(list(pages))} pages".encode())
        action = sheet_index.ActionModule.__new__(sheet_index.ActionModule)
        action._task = types.SimpleNamespace(check_mode=False)
        monkeypatch.setattr(action, "renderer", lambda _template, _variables: lambda **_more: "an index")
        monkeypatch.setattr(sheet_index, "_places", lambda _variables: {"web1": ()})
        given = {"directory": str(folder), "pdf": True, "language": "en", "template": "index.html.j2"}
        pdf = folder / "sheets.pdf"
        for _time in range(2):
            done = action.do(given, {})
            assert done["changed"]
            assert done["files"] == [str(folder / "index.html"), str(pdf)]
            assert pdf.read_bytes() == b"4 pages"
            pdf.unlink()
        action._task.check_mode = True
        assert action.do(given, {})["changed"]
        assert not pdf.exists()
        assert not action.do({**given, "pdf": False}, {})["changed"]

    def test_without_sheets_is_refused(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "-e", "twofactor_enrolment_dir=./sheets")
        assert done.returncode != 0
        assert f"{tmp_path}/sheets has no sheets of the hosts of this run." in " ".join(
            (done.stdout + done.stderr).split()
        )

    def test_of_a_pdf_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "weasyprint", None)
        with pytest.raises(AnsibleActionFail, match="-m pip install 'weasyprint>=68', and on Debian apt install"):
            _printing.need_weasyprint()
