# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m hostile``: every part of every module's answer replaced by everything strange, and whole playbooks."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from .answers import lies, some_lies
from .fleet import PLAYBOOKS, Fleet
from .trial import Trial

_SAY_SECONDS = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("--hosts", type=int, default=40, help="how many hosts lie in each playbook (default: 40)")
    parser.add_argument("--seed", type=int, help="choose the lies of an earlier run's playbooks again")
    options = parser.parse_args()
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    print(f"the seed is {seed}", flush=True)
    tried, harmful = 0, 0
    with tempfile.TemporaryDirectory() as place:
        for name in ("trial", "fleet"):
            Path(place, name).mkdir()
        trial, said = Trial(Path(place, "trial")), time.monotonic()
        every = list(lies(str(trial.outside)))
        for told in every:
            harm = trial.harm(told)
            tried, harmful = tried + 1, harmful + bool(harm)
            if harm:
                print(f"{told.module}, {told.what}: {harm}", flush=True)
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                print(f"{tried} of {len(every)} answers", flush=True)
        fleet = Fleet(Path(place, "fleet"))
        for number, (playbook, (modules, _variables)) in enumerate(PLAYBOOKS.items()):
            for module in modules:
                chosen = some_lies(str(fleet.outside), options.hosts, seed + number, module)
                wrong = fleet.harm(playbook, chosen)
                print(
                    f"fleet.auth.{playbook}, {len(chosen)} hosts that lie as {module}: {wrong or 'harmless'}",
                    flush=True,
                )
                tried, harmful = tried + len(chosen), harmful + (len(chosen) if wrong else 0)
    print(f"hostile: {tried - harmful} of {tried} answers harmless")
    return 0 if tried > 0 == harmful else 1


if __name__ == "__main__":
    sys.exit(main())
