# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host.execute import run


def test_missing_command_returns_127() -> None:
    assert run(["no-such-command-here"]) == (127, "", "no-such-command-here: command not found")


def test_command_that_cannot_be_started_does_not_end_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert run(["broken"]) == (126, "", f"{broken} cannot be started: No such file or directory")


def test_arguments_reach_the_command_as_they_are_in_the_c_locale() -> None:
    command = ["sh", "-c", 'printf "%s|" "$LC_ALL" "$@"; exit 3', "sh", "$HOME ~ *"]
    assert run(command) == (3, "C|$HOME ~ *|", "")


def test_command_has_no_standard_input() -> None:
    assert run(["cat"]) == (0, "", "")


def test_output_is_what_the_command_printed_byte_for_byte() -> None:
    assert run(["sh", "-c", r"printf '\377\r\n'; printf '\303\244' >&2"]) == (0, "\udcff\r\n", "\xe4")
