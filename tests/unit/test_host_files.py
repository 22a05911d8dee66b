# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Static files for a host: the names in them, the functions that they share, and which host gets which file."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.fleet.auth.plugins.action import twofactor, twofactor_info, twofactor_pass
from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._apply import passes
from ansible_collections.fleet.auth.plugins.module_utils._apply.journal import STAGING_DIRECTORIES
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._texts import drop_in
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH
from ansible_collections.fleet.auth.plugins.module_utils._wanted.handed import pack, unpack
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from unit import scripts
from unit.builders import settings
from unit.closure import PLUGINS

RECOVER, UNDO, END_PASSES, GUARD = (
    scripts.script(name) for name in ("twofactor-recover", "undo", "end-passes", "guard")
)
FILES = [path for path in sorted(_host_files.FOLDER.rglob("*")) if path.is_file()]
SHARED = [path for path in FILES if path.parent.name == "shared"]
BACKENDS = backends.BACKENDS.items()
OURS = re.compile(r"/(?:etc|run|usr|var)/[\w./@+-]*(?:fleet|twofactor|sshd|cockpit|faillock|oath|google-auth)[\w./-]*")


def words(text: str, before: str, after: str = "") -> list[str]:
    """The words between two texts, across line ends."""
    (found,) = re.findall(f"{re.escape(before)}((?:.|\\\\\n)*?){re.escape(after)}(?:;|$|\n)", text)
    return str(found).replace("\\\n", " ").split()


class TestNames:
    """Names written into a file are those that the rest of the collection uses."""

    def test_of_all_files_are_known(self) -> None:
        assert sorted(_host_files.NAMES.values()) == [
            str(path.relative_to(_host_files.FOLDER)) for path in FILES if path not in SHARED
        ]
        handed = {
            *places.FOR_LOGINS,
            *places.FOR_GUARD,
            *places.FOR_A_CHANGE,
            *places.FOR_PASSES,
            *places.FOR_SELF_SERVICE,
        }
        others = set(_host_files.NAMES) - handed
        assert all(path.startswith(f"{places.PAGE_DIRECTORY}/") for path in others)
        assert handed <= set(_host_files.NAMES)

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    def test_of_paths_are_those_of_places_and_backends(self, path: Path) -> None:
        known = {
            *(value for value in vars(places).values() if isinstance(value, str)),
            *places.SELF_SERVICE_LISTENING,
            *backends.DIRECTORIES,
            f"{places.SSHD_DIRECTORY}",
            f"{places.STATE_DIRECTORY}/undo",
            f"{places.RUN_DIRECTORY}/failed.",
            "/usr/share/cockpit",
            places.SSHD_PID_FILE.rpartition(".")[0],
        }
        named = {name.rstrip("/") for name in OURS.findall(path.read_text())}
        assert named <= known, named - known

    def test_of_shared_files_come_with_our_mark(self) -> None:
        handed = [(_host_files.FOLDER / _host_files.NAMES[path]).read_text() for path in places.FOR_LOGINS]
        for text in (*handed, PASS_THROUGH, drop_in.render(settings("alice", ssh=True), ["alice"], False)):
            assert places.MARK in text

    @pytest.mark.parametrize("text", [RECOVER, UNDO], ids=["twofactor-recover", "undo"])
    def test_of_staged_files(self, text: str) -> None:
        assert sorted(words(text, "for directory in ", "; do")) == sorted(STAGING_DIRECTORIES)
        assert f'rm -rf "$directory"/{places.STAGED}"$ending"' in text
        assert f"systemctl stop {places.UNDO_TIMER}.timer" in text
        assert words(text, "    rm -f /etc/systemd", " || return")[0] in places.BOOT_UNIT
        assert words(text, "    rm -f /etc/systemd", " || return")[1] == places.BOOT_LINK

    @pytest.mark.parametrize("path", [*_host_files.NAMES, *_host_files.self_service(), places.SELF_SERVICE_CONFIG])
    def test_of_staging_directories_are_all_known(self, path: str) -> None:
        directory = path.rpartition("/")[0]
        assert any(fnmatch.fnmatchcase(directory, pattern) for pattern in STAGING_DIRECTORIES)

    @pytest.mark.parametrize("text", [RECOVER, UNDO, END_PASSES], ids=["twofactor-recover", "undo", "end-passes"])
    def test_of_locks(self, text: str) -> None:
        assert sorted(words(text, "for lock in ", "; do")) == sorted(backends.LOCKS)
        assert f"grep -qsx {places.CREDENTIAL_LOCK_TEXT} " in text
        assert set(re.findall(r"/run/\S*[.]lock", text)) == {places.LOCK}

    @pytest.mark.parametrize("text", [RECOVER, UNDO], ids=["twofactor-recover", "undo"])
    def test_in_variables(self, text: str) -> None:
        wanted = {"drop_in": places.DROP_IN, "journal": places.JOURNAL, "undo": places.UNDO}
        assert {name: scripts.assigned(text, name) for name in wanted} == wanted
        assert scripts.assigned(text, "tally") == places.TALLY_DIRECTORY
        assert f"for unit in {' '.join(places.SSHD_UNITS)}; do" in text

    def test_in_variables_of_the_guard(self) -> None:
        wanted = {
            "conf": places.GUARD_CONFIG,
            "alerts": places.GUARD_ALERTS,
            "journal": places.JOURNAL,
            "switch": places.SWITCH,
        }
        assert {name: scripts.assigned(GUARD, name) for name in wanted} == wanted
        assert scripts.assigned(UNDO, "alerts") == places.GUARD_ALERTS
        assert set(re.findall(r"/run/\S*[.]lock", GUARD)) == {places.LOCK}

    def test_of_the_recovery_command(self) -> None:
        assert scripts.assigned(RECOVER, "switch") == places.SWITCH
        assert f"pass_through='{PASS_THROUGH.rstrip()}'\n" in RECOVER
        (modules,) = re.findall(r"\^auth \.\* \((.*)\) ", RECOVER)
        assert modules == "|".join(backend.MODULE for _name, backend in BACKENDS)
        removed = words(RECOVER, "    rm -rf /etc/systemd", "\n}")
        files = {*places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG}
        gone = {*files, *places.SELF_SERVICE_DIRECTORIES, places.INVITATIONS}
        assert {f"/etc/systemd{removed[0]}", *removed[1:]} == gone
        assert f"stop_listening {places.SELF_SERVICE_UNIT}\n" in RECOVER
        removed = words(scripts.functions(RECOVER)["remove_guard"], "    rm -f /etc/systemd", "\n}")
        assert scripts.assigned(RECOVER, "guard") == places.GUARD_CONFIG
        assert {f"/etc/systemd{removed[0]}", *removed[1:]} == {*places.FOR_GUARD, '"$guard"'}
        assert f"stop_listening {places.GUARD_UNIT}\n" in RECOVER

    def test_of_backends_in_the_undoing_of_a_move(self) -> None:
        for case in ("$1", "$5"):
            (cases,) = re.findall(rf"    case {re.escape(case)} in\n((?:    +\w+\) .*\n)+) +esac", UNDO)
            assert re.findall(r"(\w+)\)", cases) == list(backends.BACKENDS)

    def test_of_backends_in_the_end_of_passes(self) -> None:
        found = re.findall(
            r"in (\S+)/\*; do\n    case \$path in\n    (.*)\) ;;\n    .* end_pass (\w+) \S+ \S+path(.*)\" '", END_PASSES
        )
        assert found == [
            (backend.DIRECTORY, " | ".join(backend.LEFT_BEHIND), name, backend.LOCK) for name, backend in BACKENDS
        ]
        (cases,) = re.findall(r"case \$1 in\n((?:.*\n)*?)    esac", scripts.functions(END_PASSES)["without_ended"])
        assert re.findall(r"^    (\w+)\)$", cases, re.MULTILINE) == list(backends.BACKENDS)
        assert f"date -u +{passes.TIME_FORMAT})" in END_PASSES
        removed = words(END_PASSES, "    rm -f /etc/systemd", "\nfi")
        assert {f"/etc/systemd{removed[0]}", *removed[1:]} == {
            *places.FOR_PASSES,
            places.PASSES_STAMP,
        }

    def test_in_units(self) -> None:
        def unit(path: str) -> configparser.ConfigParser:
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(_host_files.texts([path])[path])
            return parser

        boot = unit(places.BOOT_UNIT)
        assert boot["Unit"]["ConditionPathExists"] == places.JOURNAL
        assert boot["Service"]["ExecStart"] == f"/bin/sh {places.UNDO}"
        assert unit(places.PASSES_SERVICE_UNIT)["Service"]["ExecStart"] == f"/bin/sh {places.PASSES_SCRIPT}"
        assert unit(places.SELF_SERVICE_SOCKET_UNIT)["Socket"]["ListenStream"] == places.SELF_SERVICE_SOCKET
        assert unit(places.GUARD_SERVICE_UNIT)["Unit"]["PartOf"] == places.GUARD_UNIT
        assert unit(places.GUARD_SERVICE_UNIT)["Service"]["ExecStart"] == f"/bin/sh {places.GUARD_PROGRAM}"
        watched = _host_files.texts([places.GUARD_PATH_UNIT])[places.GUARD_PATH_UNIT]
        assert tuple(re.findall(r"^PathChanged=(.*)$", watched, re.MULTILINE)) == places.GUARD_WATCHED
        assert f"\nWants={places.GUARD_SERVICE_UNIT.rpartition('/')[2]}\n" in watched
        helper = unit(places.SELF_SERVICE_SERVICE_UNIT)
        assert helper["Unit"]["PartOf"] == places.SELF_SERVICE_UNIT
        assert helper["Service"]["ExecStart"] == f"/usr/bin/python3 -IB {places.SELF_SERVICE_PROGRAM}"

    def test_of_the_socket_in_the_page(self) -> None:
        page = f"{places.PAGE_DIRECTORY}/page.js"
        assert f'unix: "{places.SELF_SERVICE_SOCKET}"' in _host_files.texts([page])[page]

    def test_of_the_program_that_a_block_calls(self) -> None:
        note = _host_files.texts([places.NOTE])[places.NOTE]
        assert f"pam_exec.so quiet seteuid {places.FIRST_FACTOR_FAILED} note\n" in note


@pytest.mark.parametrize("text", [RECOVER, UNDO, END_PASSES], ids=["twofactor-recover", "undo", "end-passes"])
def test_scripts_have_what_they_share_in_themselves(text: str) -> None:
    assert "shared/" not in text
    assert "shellcheck" not in text
    assert text.count("\nset -u\n") == text.count("\ntake_turns() {\n") == 1
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_no_python_file_contains_a_file_of_another_kind() -> None:
    foreign = re.compile(r"^(#!/bin/sh|<!doctype|<html|var )", re.MULTILINE | re.IGNORECASE)
    assert [path for path in PLUGINS.rglob("*.py") if foreign.search(path.read_text())] == []


@pytest.mark.parametrize("path", [one for one in FILES if one.read_text().startswith("#!")], ids=lambda path: path.name)
def test_every_script_has_valid_sh_syntax(path: Path) -> None:
    assert path.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["/bin/sh", "-n", str(path)], check=False).returncode == 0


class Action:
    """An action of a module, reduced to how it hands files over."""

    def __init__(self, module: t.Any, *, check_mode: bool = False, **options: t.Any) -> None:
        self._action = object.__new__(module.ActionModule)
        self._action._task = type("Task", (), {"args": options, "check_mode": check_mode, "_role": None})()

    @property
    def files(self) -> set[str]:
        return set(self._action.files())


ON = {*places.FOR_LOGINS, *places.FOR_GUARD}
CHANGE = set(places.FOR_A_CHANGE)


class TestPackedFiles:
    @pytest.mark.parametrize("enabled", [True, "yes", "on"])
    def test_are_those_for_a_host_and_in_check_mode_none_for_a_rollback(self, enabled: t.Any) -> None:
        assert Action(twofactor, enabled=enabled).files == ON | CHANGE
        assert Action(twofactor, enabled=enabled, check_mode=True).files == ON
        assert Action(twofactor_info, enabled=enabled).files == ON

    @pytest.mark.parametrize("disabled", [False, "no", "false"])
    def test_are_only_those_for_a_rollback_if_disabled(self, disabled: t.Any) -> None:
        options = {"enabled": disabled, "self_service": True}
        assert Action(twofactor, **options).files == CHANGE
        assert Action(twofactor, **options, check_mode=True).files == set()

    @pytest.mark.parametrize(("value", "wanted"), [(True, True), ("yes", True), (False, False), ("nonsense", False)])
    def test_include_the_self_service_page_only_if_it_is_wanted(self, value: t.Any, wanted: bool) -> None:
        files = Action(twofactor_info, self_service=value).files
        assert (files > ON) == wanted
        assert (f"{places.SELF_SERVICE_LIBRARY}/_self_service/program.py" in files) == wanted
        assert (f"{places.PAGE_DIRECTORY}/page.js" in files) == wanted

    @pytest.mark.parametrize("files", [{}, {"/a b": "Ä'\"\n\x00"}, _host_files.self_service()])
    def test_are_unpacked_unchanged(self, files: dict[str, str]) -> None:
        assert unpack(pack(files)) == files
        assert len(pack(files)) < max(100, len(json.dumps(files)) / 2.5)

    @pytest.mark.parametrize("option", ["", "nonsense", "eJw=", pack({})[:-8], "é"])
    def test_are_none_if_the_option_is_invalid(self, option: str) -> None:
        assert unpack(option) == {}

    def test_are_those_that_end_a_pass(self) -> None:
        assert Action(twofactor_pass).files == set(places.FOR_PASSES)

    def test_replace_files_given_by_the_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        handed: list[dict[str, t.Any]] = []
        monkeypatch.setattr(
            _host_files.AskingNormalAction, "run", lambda self, _tmp, _vars: handed.append(self._task.args) or {}
        )
        action = Action(twofactor_info, files="nonsense")
        given = action._action._task.args
        action._action.run()
        assert set(unpack(handed[0]["files"])) == ON
        assert given == {"files": "nonsense"}

    @pytest.mark.parametrize("name", ["twofactor", "twofactor_info", "twofactor_pass"])
    def test_are_documented_as_internal(self, name: str) -> None:
        module = (PLUGINS / "modules" / f"{name}.py").read_text()
        assert (
            "fleet.auth.module.files"
            in yaml.safe_load(module.split('r"""')[1].partition('"""')[0])["extends_documentation_fragment"]
        )


def test_page_allows_only_its_own_files() -> None:
    path = f"{places.PAGE_DIRECTORY}/manifest.json"
    policy = json.loads(_host_files.texts([path])[path])["content-security-policy"]
    assert policy == "default-src 'self'; object-src 'none'; base-uri 'none'"
