# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m hostile``: replace each part of each module's answer by every strange value, and run whole playbooks."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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
    with tempfile.TemporaryDirectory() as place:
        for name in ("trial", "fleet"):
            Path(place, name).mkdir()
        with ThreadPoolExecutor(1) as beside:
            fleets = beside.submit(_playbooks, Path(place, "fleet"), options.hosts, seed)
            answers = _answers(Path(place, "trial"))
            tried, harmful = (sum(both) for both in zip(answers, fleets.result(), strict=True))
    print(f"hostile: {tried - harmful} of {tried} answers harmless")
    return 0 if tried > 0 == harmful else 1


def _answers(place: Path) -> tuple[int, int]:
    """Try each answer by itself; return the number of answers and the number of harmful ones."""
    tried, harmful, said = 0, 0, time.monotonic()
    trial = Trial(place)
    every = list(lies(str(trial.outside)))
    for lie in every:
        harm = trial.harm(lie)
        tried, harmful = tried + 1, harmful + bool(harm)
        if harm:
            print(f"{lie.module}, {lie.what}: {harm}", flush=True)
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            print(f"{tried} of {len(every)} answers", flush=True)
    return tried, harmful


def _playbooks(place: Path, hosts: int, seed: int) -> tuple[int, int]:
    """Run every playbook over `hosts` lying hosts, once for each module; return the same numbers for these answers."""
    tried, harmful = 0, 0
    fleet = Fleet(place)
    for number, (playbook, (modules, _variables)) in enumerate(PLAYBOOKS.items()):
        for module in modules:
            chosen = some_lies(str(fleet.outside), hosts, seed + number, module)
            wrong = fleet.harm(playbook, chosen)
            print(
                f"fleet.auth.{playbook}, {len(chosen)} hosts that lie as {module}: {wrong or 'harmless'}",
                flush=True,
            )
            tried, harmful = tried + len(chosen), harmful + (len(chosen) if wrong else 0)
    return tried, harmful


if __name__ == "__main__":
    sys.exit(main())
