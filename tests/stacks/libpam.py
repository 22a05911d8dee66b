# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How stacks end in the libpam of a host."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

from hosts import Host

from .made import Texts

# Each stack has its own file names, because libpam has only one directory of services.
_RUN = """
cd / && tar -x
for service in $(cat /tmp/stacks.order); do
    if pamtester "$service" root authenticate </dev/null >/dev/null 2>&1; then echo in; else echo out; fi
done
rm -f /etc/pam.d/stack*-* /tmp/stacks.order
"""


def lets_in(host: Host, stacks: Sequence[Texts]) -> list[bool]:
    """Whether each of these stacks lets root in, according to pamtester."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:

        def add(path: str, text: str) -> None:
            data = text.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))

        for number, texts in enumerate(stacks):
            for name, text in texts.items():
                # The names of a stack begin with "this-"; nothing else does.
                add(f"etc/pam.d/{name}".replace("this-", f"stack{number}-"), text.replace("this-", f"stack{number}-"))
        add("tmp/stacks.order", "".join(f"stack{number}-door\n" for number in range(len(stacks))))
    done = host.run("sh", "-c", _RUN, input=packed.getvalue(), timeout=600)
    return [word == "in" for word in done.stdout.split()]
