# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes into an execution environment. The image is not built here, because its base comes from a registry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[2]
_BUILDER = Path(sys.executable).with_name("ansible-builder")


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """A collections path with this collection alone."""
    path = tmp_path / "collections"
    (path / "ansible_collections" / "fleet").mkdir(parents=True)
    os.symlink(_ROOT, path / "ansible_collections" / "fleet" / "auth")
    return path


def test_names_what_the_plugins_import(collections: Path) -> None:
    listed = yaml.safe_load(_builder("introspect", str(collections)))
    assert listed["python"] == ["pyotp>=2.9  # from collection fleet.auth", "segno>=1.6  # from collection fleet.auth"]
    assert listed["system"] == [
        "openssh-client [platform:dpkg]  # from collection fleet.auth",
        "openssh-clients [platform:rpm]  # from collection fleet.auth",
    ]


def test_is_made_from_the_example(tmp_path: Path) -> None:
    context = tmp_path / "context"
    example = _ROOT / "docs" / "execution-environment.yml"
    _builder("create", "--file", str(example), "--context", str(context), "--output-filename", "Containerfile")
    galaxy = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert galaxy["collections"] == [{"name": "fleet.auth"}]
    recipe = (context / "Containerfile").read_text()
    assert "ansible-galaxy collection install" in recipe
    assert "ansible-core>=2.19" in recipe
    assert "ansible-runner>=2.4" in recipe
    # The recipe installs what introspect reports in the test above.
    assert "introspect.py introspect" in recipe


def _builder(*arguments: str) -> str:
    return subprocess.run([str(_BUILDER), *arguments], capture_output=True, text=True, check=True).stdout
