# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m stacks``: compare thousands of stacks with the libpam of each release."""

from __future__ import annotations

import argparse
import secrets
import sys

import hosts

from .campaign import as_text, differing, random_stacks


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stacks", description=__doc__)
    parser.add_argument("--number", type=int, default=1500, help="how many stacks on each release (default: 1500)")
    parser.add_argument("--seed", type=int, help="make the stacks of an earlier run again")
    options = parser.parse_args()
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    print(f"the seed is {seed}", flush=True)
    fleet = hosts.of_this_checkout("stacks")
    compared, wrong = 0, 0
    try:
        machines = hosts.up(fleet, {release: release for release in hosts.RELEASES}, ntp=False, recreate=True)
        for number, host in enumerate(machines):
            stacks = random_stacks(options.number, seed + number)

            def tell(done: int, release: str = host.release, whole: int = len(stacks)) -> None:
                print(f"{release}: {done} of {whole} stacks", flush=True)

            found = differing(host, stacks, tell)
            for texts in found[:5]:
                print(f"\n{host.release} ends otherwise:\n{as_text(texts)}")
            compared, wrong = compared + len(stacks), wrong + len(found)
    finally:
        hosts.down(fleet)
    print(f"stacks: {compared - wrong} of {compared} agree with libpam")
    return 0 if compared > 0 == wrong else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except hosts.HostError as error:
        sys.exit(str(error))
