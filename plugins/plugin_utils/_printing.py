# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a PDF of pages, with WeasyPrint. The library is needed only for that."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import typing as t

from ansible.errors import AnsibleActionFail


def need_weasyprint() -> t.Any:
    """The library. Raises AnsibleActionFail if it cannot be used; the message says how to install it."""
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    try:
        # If Pango is missing, it prints advice for its own developers.
        with contextlib.redirect_stdout(io.StringIO()):
            import weasyprint
            from weasyprint.urls import URLFetcher  # noqa: F401 - older ones have none
    except (ImportError, OSError):
        raise AnsibleActionFail(
            "No PDF was made: it needs WeasyPrint from 68 on, and Pango, on the machine where you start Ansible. "
            f"Install them: {sys.executable} -m pip install 'weasyprint>=68', and on Debian apt install "
            "libpangoft2-1.0-0, on Fedora and RHEL dnf install pango. Or leave pdf out, and print from a browser."
        ) from None
    return weasyprint


def printed(pages: t.Iterable[str]) -> bytes:
    """A PDF of HTML pages. Each begins on a new sheet of paper.

    Nothing is read from the network or from files, whatever a page refers to, and no temporary file is written.
    """
    weasyprint = need_weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    fonts = weasyprint.text.fonts.FontConfiguration()
    made = [weasyprint.HTML(string=page, url_fetcher=fetcher).render(font_config=fonts) for page in pages]
    return t.cast(bytes, made[0].copy([paper for one in made for paper in one.pages]).write_pdf())
