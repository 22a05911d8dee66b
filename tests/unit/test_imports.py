# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host that is already right has to compile, each time that it is looked at."""

from __future__ import annotations

import subprocess
import sys

_IMPORTED = """
import sys
import ansible_collections.fleet.auth.plugins.modules.twofactor
print(*(name.rpartition(".")[2] for name in sys.modules if ".auth.plugins.module_utils." in name))
"""


def test_a_look_at_a_host_reads_nothing_that_changes_it() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {"_host", "_plan"} <= imported
    assert imported.isdisjoint(
        {"_apply", "_converge", "_files", "_journal", "_service_page", "_service_program", "_qrcode_generator"}
    )
