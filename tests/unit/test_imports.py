# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host that is already right has to compile each time that it is looked at."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

_ROOM = "ansible_collections.fleet.auth.plugins.module_utils"
_MODULES = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
_LOOK = f"""
import sys
compiled = []
sys.addaudithook(lambda event, about: event == "compile" and about[1] and compiled.append(about[1]))
from {_ROOM}._once import compile_once
compile_once()
from {_ROOM} import _options, _survey
"""


def _names(code: str, *path: str) -> list[str]:
    """The last part of each name that the code prints, run where these are looked at first."""
    program = f"import sys\nsys.path[:0] = {path!r}\n{_LOOK}{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return [name.removesuffix(".py").replace("/", ".").rpartition(".")[2] for name in done.stdout.split()]


def test_a_look_at_a_host_reads_nothing_that_changes_it() -> None:
    imported = {*_names("print(*sys.modules)")}
    assert {"_host", "_plan"} <= imported
    assert imported.isdisjoint(
        {
            "_apply",
            "_converge",
            "_credential_files",
            "_files",
            "_journal",
            "_service_page",
            "_service_program",
            "_qrcode_generator",
        }
    )


def test_a_module_that_comes_in_a_zip_is_compiled_once(tmp_path: Path) -> None:
    place = _ROOM.split(".")
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as payload:
        for depth in range(len(place)):
            payload.writestr("/".join([*place[: depth + 1], "__init__.py"]), "")
        for path in _MODULES.glob("*.py"):
            payload.write(path, "/".join([*place, path.name]))
    zipped = str(tmp_path / "payload.zip")
    code = f"print(*(str(name) for name in compiled if str(name).startswith({zipped!r})))"
    compiled = [name for name in _names(code, zipped) if name not in ("__init__", "_once")]
    assert "_host" in compiled
    assert sorted(compiled) == sorted(set(compiled))
