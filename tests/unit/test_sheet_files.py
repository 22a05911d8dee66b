# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sheets the playbooks write, and where."""

from __future__ import annotations

import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from unit import answering
from unit.test_parameters import HOST

RIGHT = {**answering.PLAN, "changed": False, "changes": [], "missing_packages": [], "to_enrol": []}
TABLET = {**answering.ENROLMENT, "device": "tablet", "recovery_codes": []}


def enable(folder: Path, *arguments: str, **wanted: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the role for a host where all is right, and nobody has used a code yet."""
    answer = {"changed": False, "enrolments": [answering.ENROLMENT, TABLET]}
    hosts = {"web1": {"twofactor": RIGHT, "twofactor_enrolment_info": answer}}
    return answering.run(folder, "enable", hosts, *arguments, twofactor_enrolment_dir="sheets", **wanted)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_sheet_of_a_device_is_written(tmp_path: Path) -> None:
    devices = [{"name": "tablet"}, {"name": "watch", "state": "absent"}]
    users = [{"name": "alice", "devices": devices}]
    both = ["alice+tablet@web1.html", "alice@web1.html"]
    for lost in (both, both[:1], both[1:]):
        for name in lost:
            (tmp_path / "sheets" / name).unlink(missing_ok=True)
        announced = enable(tmp_path, "--check", twofactor_users=users)
        assert "changed=0 " not in announced.stdout, announced.stdout
        done = enable(tmp_path, twofactor_users=users)
        assert done.returncode == 0, done.stdout
        assert names(tmp_path / "sheets") == both
    again = enable(tmp_path, twofactor_users=users)
    assert "ok=1 " in again.stdout, again.stdout


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_existing_directory_keeps_its_mode_and_is_refused_if_everybody_may_write_there(
    tmp_path: Path, arguments: list[str]
) -> None:
    folder = tmp_path / "sheets"
    folder.mkdir()
    for mode, code in ((0o1777, 2), (0o750, 0)):
        folder.chmod(mode)
        done = enable(tmp_path, *arguments, twofactor_users=["alice"])
        assert done.returncode == code, done.stdout
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        told = f"Everybody may write in {folder}. Name a directory of its own for the sheets"
        assert (told in " ".join(done.stdout.split())) == (code == 2), done.stdout


@pytest.mark.parametrize("name", ["pass", "invite"])
def test_directory_in_which_everybody_may_write_gets_no_pass_and_no_invitation(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "sheets"
    folder.mkdir()
    folder.chmod(0o777)
    done = answering.run(tmp_path, name, {"web1": HOST}, twofactor_enrolment_dir="sheets", user="alice")
    assert done.returncode == 2, done.stdout
    assert f"Everybody may write in {folder}. Name a directory of its own" in " ".join(done.stdout.split())
    assert names(folder) == []


def test_each_directory_of_the_hosts_gets_an_index(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    directory = "twofactor_enrolment_dir: 'sheets/{{ inventory_hostname }}'\n"
    (tmp_path / "group_vars" / "all.yml").write_text(directory)
    answer = {"changed": False, "enrolments": [answering.ENROLMENT]}
    hosts = {name: {"twofactor": RIGHT, "twofactor_enrolment_info": answer} for name in ("web1", "web2")}
    made = answering.run(tmp_path, "enable", hosts, twofactor_users=["alice"])
    assert made.returncode == 0, made.stdout
    done = answering.run(tmp_path, "sheets", hosts)
    assert done.returncode == 0, done.stdout
    for name in hosts:
        assert names(tmp_path / "sheets" / name) == [f"alice@{name}.html", "index.html"]
    (tmp_path / "group_vars" / "all.yml").write_text("twofactor_enrolment_dir: ''\n")
    refused = answering.run(tmp_path, "sheets", hosts)
    assert "twofactor_enrolment_dir is empty." in refused.stdout, refused.stdout
