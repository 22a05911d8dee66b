# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m hosts``: start, list and remove test hosts from a shell."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import OLDER, RELEASES, HostError, down, inventory, running, up
from .docker import ensure_engine
from .fleet import every
from .images import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hosts", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("images", help="build the missing images")
    start = verbs.add_parser("up", help="make sure that a fleet is up")
    start.add_argument("fleet")
    releases = (*RELEASES, *OLDER)
    start.add_argument("hosts", nargs="+", metavar="NAME=RELEASE", help=f"a release is one of {', '.join(releases)}")
    start.add_argument("--no-ntp", action="store_true", help="without an NTP server, so that no host is in sync")
    start.add_argument("--recreate", action="store_true", help="replace existing hosts by new ones")
    stop = verbs.add_parser("down", help="remove a fleet")
    stop.add_argument("fleet")
    write = verbs.add_parser("inventory", help="write an Ansible inventory of a fleet")
    write.add_argument("fleet")
    write.add_argument("path", type=Path)
    verbs.add_parser("list", help="show all hosts of all fleets")
    chosen = parser.parse_args()
    if chosen.verb == "images":
        ensure_engine()
        build(releases)
    elif chosen.verb == "up":
        pairs = [pair.partition("=") for pair in chosen.hosts]
        up(
            chosen.fleet,
            {name: release for name, _equals, release in pairs},
            ntp=not chosen.no_ntp,
            recreate=chosen.recreate,
        )
    elif chosen.verb == "down":
        down(chosen.fleet)
    elif chosen.verb == "inventory":
        inventory(running(chosen.fleet), chosen.path)
    else:
        for host, is_up in every():
            print(host.fleet, host.name, host.release, f"{host.address}:{host.port}", "up" if is_up else "stopped")


if __name__ == "__main__":
    try:
        main()
    except HostError as error:
        sys.exit(str(error))
