# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball of a release, installed where nothing of the checkout can be found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files

_ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(sys.executable).parent
_KINDS = {"connection": "connection", "filter": "filter", "lookup": "lookup", "module": "modules"}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    _run("ansible-galaxy", "collection", "build", str(_ROOT), "--output-path", str(folder))
    (made,) = folder.glob("fleet-auth-*.tar.gz")
    return made


@pytest.fixture(scope="module")
def collections(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("collections")
    _run(
        "ansible-galaxy", "collection", "install", "--offline", "--force", "--collections-path", str(path), str(tarball)
    )
    return path


def test_contains_only_what_users_need(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {name.partition("/")[0] for name in names} == {
        *("CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
        *("changelogs", "docs", "meta", "playbooks", "plugins", "roles"),
    }
    assert [
        name for name in names if "__pycache__" in name or "/fragments" in name or name.startswith("docs/conf")
    ] == []


def test_contains_the_files_that_are_copied_to_a_host(collections: Path) -> None:
    files = collections / "ansible_collections/fleet/auth/roles/twofactor/files"
    names = [path.relative_to(_host_files.FOLDER) for path in _host_files.FOLDER.rglob("*") if path.is_file()]
    assert set(map(str, names)) > set(_host_files.NAMES.values())
    for name in names:
        assert (files / name).read_text() == (_host_files.FOLDER / name).read_text()


@pytest.mark.parametrize("kind", _KINDS)
def test_documents_each_plugin(collections: Path, kind: str) -> None:
    names = [f"fleet.auth.{path.stem}" for path in (_ROOT / "plugins" / _KINDS[kind]).glob("[!_]*.py")]
    told = json.loads(_run("ansible-doc", "--json", "--type", kind, *names, collections=collections))
    assert sorted(told) == sorted(names)
    for name in names:
        assert told[name]["doc"]["filename"].startswith(str(collections))


def test_documents_the_role(collections: Path) -> None:
    name = "fleet.auth.twofactor"
    told = json.loads(_run("ansible-doc", "--json", "--type", "role", name, collections=collections))
    assert told[name]["path"].startswith(str(collections))


def _run(program: str, *arguments: str, collections: Path | None = None) -> str:
    environment = {**os.environ, **({"ANSIBLE_COLLECTIONS_PATH": str(collections)} if collections else {})}
    done = subprocess.run(
        [str(_BIN / program), *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
