# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that people are handed exists in each language: the same texts, with the same placeholders."""

from __future__ import annotations

import json
import re
import string
import typing as t
from pathlib import Path

import pytest
import yaml

import preloaded
from ansible_collections.fleet.auth.plugins.plugin_utils import _languages
from unit import answering

_ROLE = Path(__file__).resolve().parents[2] / "roles" / "twofactor"
_ENGLISH = _languages.texts("en")


def _flat(texts: dict[str, t.Any], within: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in texts.items():
        found |= _flat(text, f"{within}{name}.") if isinstance(text, dict) else {within + name: text}
    return found


def _put_in(text: str) -> list[str]:
    """The placeholders in braces. They have no attributes and no formats."""
    return sorted(
        name + (spec or "") + (conversion or "")
        for _text, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


@pytest.mark.parametrize("language", _languages.known())
class TestEachLanguage:
    def test_has_the_same_texts_and_placeholders_as_english(self, language: str) -> None:
        found = _flat(_languages.texts(language))
        assert {name: _put_in(text) for name, text in found.items()} == {
            name: _put_in(text) for name, text in _flat(_ENGLISH).items()
        }
        assert [name for name, text in found.items() if not text.strip() or text != text.lstrip()] == []

    def test_names_itself_and_repeats_no_english(self, language: str) -> None:
        found, english = _flat(_languages.texts(language)), _flat(_ENGLISH)
        assert found.pop("language") == language
        same = {name for name, text in found.items() if text == english[name]}
        assert language == "en" or same <= {"sheet.codes"}


def test_languages_are_those_that_the_role_documents() -> None:
    specs = yaml.safe_load((_ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]
    told = [spec["options"]["twofactor_language"] for spec in specs.values() if "twofactor_language" in spec["options"]]
    assert len(told) == 5
    assert all(option["choices"] == _languages.known() for option in told)


def test_templates_use_all_texts_and_no_others() -> None:
    sources = [*(_ROLE / "templates").glob("*.j2"), *(_ROLE / "tasks").glob("*.yml")]
    source = "".join(path.read_text() for path in sources)
    source = source.replace("__twofactor_texts", "texts").replace("{% set words = texts.key_page %}", "")
    used = set(re.findall(r"\btexts\.((?:(?:sheet|index)\.)?\w+)", source))
    used |= {f"key_page.{name}" for name in re.findall(r"\bwords\.(\w+)", source)}
    assert used == set(_flat(_ENGLISH))


class TestOwnTemplate:
    """The checks of a user's own template before the first change on a host, which need only the controller."""

    @staticmethod
    def prepared(folder: Path, right: bool, **options: str) -> str:
        (folder / "elsewhere").mkdir()
        (folder / "own.j2").write_text("{{ texts.subject }}: {{ enrolment.user }} {{ place }} {{ enrolment.secret }}")
        (folder / "broken.j2").write_text("{{ enrolment.usr }}")
        options = {"twofactor_enrolment_dir": "./sheets", "role_path": str(_ROLE), **options}
        step = {"ansible.builtin.include_tasks": str(_ROLE / "tasks/steps/prepare_sheets.yml"), "vars": options}
        files = [str(_ROLE / name) for name in ("defaults/main.yml", "vars/main.yml")]
        play = [{"hosts": "web0", "gather_facts": False, "vars_files": files, "tasks": [step]}]
        (folder / "elsewhere" / "play.yml").write_text(json.dumps(play))
        done = preloaded.run("ansible-playbook", "-i", "web0,", "elsewhere/play.yml", cwd=folder)
        assert (folder / "sheets").is_dir() == (done.returncode == 0) == right, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def test_is_found_relative_to_where_ansible_was_started(self, tmp_path: Path) -> None:
        self.prepared(tmp_path, True, twofactor_sheet_template="./own.j2", twofactor_language="de")

    def test_that_is_missing_is_refused(self, tmp_path: Path) -> None:
        told = self.prepared(tmp_path, False, twofactor_sheet_template="elsewhere/own.j2")
        assert told.count(f"There is no template {tmp_path}/elsewhere/own.j2 on the machine where you start") == 1

    @pytest.mark.parametrize(
        ("option", "value", "why"),
        [
            ("language", "it", "no texts in the language it. Set twofactor_language to one of de, en, es, fr."),
            ("issuer", "a:b", "twofactor_issuer is a:b, and authenticator apps take what follows a colon for the name"),
        ],
    )
    def test_is_not_checked_if_a_variable_is_wrong(self, tmp_path: Path, option: str, value: str, why: str) -> None:
        told = self.prepared(tmp_path, False, **{"twofactor_sheet_template": "./own.j2", f"twofactor_{option}": value})
        assert told.count(why) == 1

    def test_that_is_wrong_is_refused_before_there_is_a_secret(self, tmp_path: Path) -> None:
        told = self.prepared(tmp_path, False, twofactor_sheet_template="broken.j2")
        assert told.count("No sheet can be made from the template") == 1
        assert told.count("has no attribute 'usr'") == 1

    def test_that_gives_an_empty_page_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty.j2").write_text("{# nothing #}")
        told = self.prepared(tmp_path, False, twofactor_sheet_template="empty.j2")
        assert told.count("makes an empty page. Put the contents of a sheet into it.") == 1


class TestDirectory:
    """The checks of the sheet directory before there is a secret to put on a sheet."""

    @pytest.mark.parametrize(
        ("where", "arguments", "why"),
        [
            ("file", (), "/file: File exists. See that it is a directory"),
            ("file", ("--check",), "/file: Not a directory. See that it is a directory"),
            ("file/sheets", (), "/file/sheets: Not a directory."),
            ("file/sheets", ("--check",), "/file/sheets: Not a directory."),
            ("/proc/sheets", (), "/proc/sheets: No such file or directory."),
        ],
    )
    def test_that_cannot_be_one_is_refused(
        self, tmp_path: Path, where: str, arguments: tuple[str, ...], why: str
    ) -> None:
        (tmp_path / "file").write_text("as it was")
        (tmp_path / "group_vars").mkdir()
        variables = {"twofactor_enrolment_dir": where, "twofactor_users": ["alice"]}
        (tmp_path / "group_vars" / "all.yml").write_text(json.dumps(variables))
        done = answering.run(
            tmp_path, "enable", {"web1": {"twofactor": {**answering.PLAN, "unproven": []}}}, *arguments
        )
        assert done.returncode == 2, done.stdout
        assert done.stdout.count("No sheet can be written to ") == 1, done.stdout
        assert why in done.stdout
        assert "Bring the host to the wanted state" not in done.stdout
        assert (tmp_path / "file").read_text() == "as it was"

    def test_is_only_announced_in_check_mode(self, tmp_path: Path) -> None:
        (tmp_path / "group_vars").mkdir()
        variables = {"twofactor_enrolment_dir": "./sheets", "twofactor_users": ["alice"]}
        (tmp_path / "group_vars" / "all.yml").write_text(json.dumps(variables))
        plan = {**answering.PLAN, "unproven": []}
        done = answering.run(tmp_path, "enable", {"web1": {"twofactor": plan}}, "--check")
        assert done.returncode == 0, done.stdout
        assert "ok=4    changed=2 " in done.stdout, done.stdout
        assert not (tmp_path / "sheets").exists()
