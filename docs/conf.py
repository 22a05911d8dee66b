# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sphinx configuration of the documentation site. `make docs` builds it, and fetches nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

project = "fleet.auth"
copyright = "2026 the fleet.auth contributors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
pygments_style = "ansible"
pygments_dark_style = "monokai"
highlight_language = "text"

# Targets that the pages of plugins refer to and that are documented on Ansible's own site.
_ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
_ELSEWHERE = {
    r"ansible_collections\.(?!fleet\.)(\w+)\.(\w+)\.(\w+)": r"collections/\1/\2/\3.html",
    r"action_plugins": "plugins/action.html",
    r"ansible_configuration_settings": "reference_appendices/config.html",
    r"common_return_values": "reference_appendices/common_return_values.html",
    r"(ANSIBLE_\w+)": r"reference_appendices/config.html#envvar-\1",
}


def _link_elsewhere(
    _app: Sphinx, _environment: object, node: pending_xref, text: nodes.Element
) -> nodes.reference | None:
    for target, page in _ELSEWHERE.items():
        found = re.match(target, node["reftarget"])
        if found:
            return nodes.reference("", "", text, refuri=f"{_ANSIBLE}/{found.expand(page)}")
    return None


# The site is built from a copy of this folder, in build/.
_REPOSITORY = yaml.safe_load((Path(__file__).resolve().parents[2] / "galaxy.yml").read_text())["repository"]


def _within_the_site(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Make links to GitHub point to the pages of the site. Guides need them because Galaxy shows each page alone."""
    source[0] = re.sub(rf"{re.escape(_REPOSITORY)}/(?:blob|raw)/main/docs/", "", source[0])


def _without_contents(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Remove the table of contents from generated pages: the theme shows one beside the text."""
    source[0] = re.sub(r"^\.\. contents::.*\n(?: +\S.*\n)*", "", source[0], flags=re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Register the functions above with Sphinx."""
    app.connect("source-read", _within_the_site)
    app.connect("source-read", _without_contents)
    app.connect("missing-reference", _link_elsewhere)
