# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts of sheets and other pages for people, one file for each language."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "roles" / "twofactor" / "templates" / "languages"


def known() -> list[str]:
    """The available languages, as ISO 639-1 codes; English, the default, first."""
    return sorted((path.stem for path in FOLDER.glob("*.yml")), key=lambda name: (name != "en", name))


def texts(language: str) -> dict[str, t.Any]:
    """All texts in an available language."""
    return t.cast(dict[str, t.Any], yaml.safe_load((FOLDER / f"{language}.yml").read_text(encoding="utf-8")))
