# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many trials on several hosts at once: which trials to make, their progress and their results."""

from __future__ import annotations

import itertools
import sys
import threading
import time
import typing as t
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import hosts
from login.security_keys import security_keys

from .ground import Ground
from .kinds import KINDS, Kind
from .strace import FAULTS, Call
from .trial import Trial, Verdict

_KILL = "KILL"
_ERRORS = tuple(fault for fault in FAULTS if fault != _KILL)
# How many calls of each kind of change a sample strikes, by fault, over all releases.
_SAMPLE = {_KILL: 6, **dict.fromkeys(_ERRORS, 2)}


class Strike(t.NamedTuple):
    """A trial to make."""

    kind: Kind
    number: int
    call: Call
    fault: str


def strikes(kind: Kind, calls: Sequence[Call], faults: Iterable[str], *, rotate: bool = False) -> list[Strike]:
    """One trial for each call and fault.

    :param rotate: try only one of the errors at each call, in turn. The product handles all errors in one way.
    """
    return [
        Strike(kind, number, call, fault)
        for number, call in enumerate(calls)
        for fault in faults
        if not rotate or fault == _KILL or fault == _ERRORS[number % len(_ERRORS)]
    ]


def sample(kind: Kind, calls: Sequence[Call], fault: str, turn: int, turns: int) -> list[Strike]:
    """A few trials as a sample for one kind and one fault; the choice is always the same.

    :param turn: index of the release that the trials are for. Each release is struck at different places of a change.
    :param turns: number of releases.
    """
    size = min(_SAMPLE[fault], len(calls))
    offset = (list(FAULTS).index(fault) + 1) / (len(FAULTS) + 1)
    chosen = [int((place + offset) * len(calls) / size) for place in range(turn, size, turns)]
    return [Strike(kind, number, calls[number], fault) for number in chosen]


@dataclass
class Campaign:
    """All trials on hosts of some releases."""

    fleet: str
    releases: Sequence[str]
    hosts: int = 4
    """Number of hosts in total."""
    kinds: Sequence[Kind] = tuple(KINDS.values())

    def run(self, chosen: t.Callable[[str, Kind, Sequence[Call]], list[Strike]]) -> list[Verdict]:
        """Make the trials that `chosen` returns for each release and kind of change."""
        names = {
            f"{release[-2:]}{letter}": release
            for letter in "abcdefghijklmnop"[: max(1, self.hosts // len(self.releases))]
            for release in self.releases
        }
        machines = hosts.up(self.fleet, {f"host{name}": release for name, release in names.items()}, recreate=True)
        machines = [host for host in machines if host.release in self.releases]
        with security_keys("kay") as (key,), ThreadPoolExecutor(len(machines)) as pool:
            print("faults: finding the calls to strike at", flush=True)
            grounds = list(pool.map(lambda host: Ground(host, key), machines))
            shares = [
                share
                for release in self.releases
                for share in _shared(self.kinds, [ground for ground in grounds if ground.host.release == release])
            ]
            work: dict[str, deque[Strike]] = {release: deque() for release in self.releases}
            for share, found in zip(shares, pool.map(lambda share: share.find_strikes(chosen), shares), strict=True):
                work[share.release].extend(found)
            progress = _Progress(Counter((strike.kind.name, r) for r, strikes in work.items() for strike in strikes))
            made = pool.map(lambda share: share.make_trials(work[share.release], progress), shares)
            return [verdict for verdicts in made for verdict in verdicts]


class _Share(t.NamedTuple):
    """What one host does."""

    ground: Ground
    kinds: Sequence[Kind]
    """The kinds of change whose calls it finds."""
    backwards: bool
    """Whether it makes the trials of its release from the last kind on, and not from the first."""

    @property
    def release(self) -> str:
        """The release of the host."""
        return self.ground.host.release

    def find_strikes(self, chosen: t.Callable[[str, Kind, Sequence[Call]], list[Strike]]) -> list[Strike]:
        """Find the calls of its kinds of change; return the trials that `chosen` returns."""
        return [strike for kind in self.kinds for strike in chosen(self.release, kind, self.ground.find_calls(kind))]

    def make_trials(self, work: deque[Strike], progress: _Progress) -> list[Verdict]:
        """Make trials as long as there are any. Other hosts take theirs from the same work."""
        verdicts: list[Verdict] = []
        while True:
            try:
                strike = work.pop() if self.backwards else work.popleft()
            except IndexError:
                return verdicts
            verdict = Trial(self.ground, strike.kind, strike.call, strike.fault, strike.number).run()
            verdicts.append(verdict)
            progress.show(verdict)


def _shared(kinds: Sequence[Kind], grounds: Sequence[Ground]) -> list[_Share]:
    """The shares of the hosts of one release. A host makes only the states that it needs."""
    ends = [len(kinds) * index // len(grounds) for index in range(len(grounds) + 1)]
    return [
        _Share(ground, kinds[start:end], backwards=index % 2 == 1)
        for index, (ground, (start, end)) in enumerate(zip(grounds, itertools.pairwise(ends), strict=True))
    ]


class _Progress:
    """One line per kind of change and release, which counts the trials done. Failures are printed at once."""

    def __init__(self, totals: Counter[tuple[str, str]]) -> None:
        self._totals = totals
        self._done: Counter[tuple[str, str]] = Counter()
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._in_place = sys.stdout.isatty()

    def show(self, verdict: Verdict) -> None:
        with self._lock:
            what = (verdict.kind, verdict.release)
            self._done[what] += 1
            done, total = self._done[what], self._totals[what]
            minutes = (time.monotonic() - self._started) / 60
            line = f"{verdict.kind:15} {verdict.release:9} {done:4} of {total:4}   {minutes:5.1f} min"
            if not verdict.survived:
                print(f"{verdict}", flush=True)
            if self._in_place:
                print(line, end="\n" if done == total else "\r", flush=True)
            elif done == total or done % 50 == 0:
                print(line, flush=True)


def table(verdicts: Sequence[Verdict]) -> str:
    """Table of how many trials survived, by kind of change, release and fault, and which policy people met."""
    releases = sorted({verdict.release for verdict in verdicts})
    columns = [(release, fault) for release in releases for fault in FAULTS]
    width = max(len(f"{release} {fault}") for release, fault in columns) + 2
    heading = "".join(f"{release} {fault}".rjust(width) for release, fault in columns)
    lines = [f"{'':15}{heading}{'old / between / new':>25}"]
    for kind in KINDS:
        row = [verdict for verdict in verdicts if verdict.kind == kind]
        if not row:
            continue
        cells = []
        for column in columns:
            cell = [verdict for verdict in row if (verdict.release, verdict.fault) == column]
            cells.append(f"{sum(v.survived for v in cell)}/{len(cell)}" if cell else "-")
        sides = " / ".join(str(sum(v.side == side for v in row)) for side in ("old", "between", "new"))
        lines.append(f"{kind:15}" + "".join(cell.rjust(width) for cell in cells) + sides.rjust(25))
    return "\n".join(lines)
