# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m faults``: strike at every call of every kind of change, or at the calls named on the command line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import hosts

from .campaign import Campaign, Strike, sample, strikes, table
from .kinds import KINDS, Kind
from .strace import FAULTS, Call


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="a few trials of each kind, always the same ones")
    parser.add_argument("--hosts", type=int, default=4, help="how many hosts to use at once (default: 4)")
    parser.add_argument("--release", choices=list(hosts.RELEASES), action="append", help="only this release")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this kind of change")
    parser.add_argument("--fault", choices=list(FAULTS), action="append", help="only this fault")
    parser.add_argument("--number", type=int, action="append", help="only at the call of this number")
    parser.add_argument("--keep", action="store_true", help="leave the hosts up")
    options = parser.parse_args()
    releases = options.release or list(hosts.RELEASES)
    kinds = [KINDS[name] for name in options.kind or KINDS]
    faults = options.fault or list(FAULTS)

    def chosen(release: str, kind: Kind, calls: Sequence[Call]) -> list[Strike]:
        if options.sample:
            turn = releases.index(release), len(releases)
            found = [strike for fault in faults for strike in sample(kind, calls, fault, *turn)]
        else:
            # The product handles all errors in one way, so it is enough to try each error at each call on one release.
            rotate = not options.number and not options.fault and release != next(iter(hosts.RELEASES))
            found = strikes(kind, calls, faults, rotate=rotate)
        return [strike for strike in found if not options.number or strike.number in options.number]

    started = time.monotonic()
    fleet = hosts.of_this_checkout("faults")
    try:
        verdicts = Campaign(fleet, releases, max(options.hosts, len(releases)), kinds).run(chosen)
    finally:
        if not options.keep:
            hosts.down(fleet)
    print(f"\n{table(verdicts)}\n")
    for verdict in verdicts:
        if not verdict.survived:
            print(verdict)
    survived = sum(verdict.survived for verdict in verdicts)
    missed = sum(not verdict.struck for verdict in verdicts)
    print(f"In {missed} of them the call that was to be struck did not come, and the change went through unharmed.")
    print(f"{(time.monotonic() - started) / 60:.1f} minutes on {options.hosts} hosts")
    print(f"faults: {survived} of {len(verdicts)} survived")
    return 0 if survived == len(verdicts) > 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except hosts.HostError as error:
        sys.exit(str(error))
