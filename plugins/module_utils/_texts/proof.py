# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that a PAM service with the code step lets in the same people as now, and nobody without a code. Pure.

`dispatch` walks through two stacks, the present one and the one with the code step, for every way in which their
modules may end. What is proven of a service:

- In the present stack, nobody gets in who has none of the first factors.
- A login that the present stack lets in gets in with a right code or as an exempt account, and no other login does.
- With a wrong code nobody gets in, wherever the lines around the code step lead.

So with the code step, too, nobody gets in without the first factor. The proof also says whether strangers are asked for
codes, and whether anybody is asked who is denied in any case; then a prompt would reveal that a password was right.
"""

from __future__ import annotations

import functools
import typing as t

from .. import _places as places
from . import dispatch, pam_modules
from .dispatch import NEGATIVE, Handler, Impression, Place
from .pam_conf import service_name

_SWITCH = service_name(places.SWITCH)
_JUDGE = service_name(places.JUDGE)
_CODE = "the_code.so"
# The code step denies or goes on; it never counts as a success. The judge changes nothing.
_MODELS = {_SWITCH: f"auth [success=ignore default=die] {_CODE}\n", _JUDGE: ""}

Origins = t.Mapping[str, t.Sequence[int]]
"""For each line of a changed file its number in the present file, from 1; 0 for a line of ours. Other files stay."""


class Problem(t.NamedTuple):
    """Why a service cannot have the code step in the place that was tried."""

    text: str
    """What is wrong with the line. In a message, the line's place comes before it."""
    handler: Handler | None = None
    """The line; None where it is not one of the administrator's."""


class Proof:
    """The proof for a service as it is `before`, and with the code step `after`. Raises Unclear for either stack."""

    def __init__(self, service: str, before: t.Mapping[str, str], after: t.Mapping[str, str], origins: Origins) -> None:
        self._before = _loaded(service, before)
        self._after = [_with_original_numbers(one, origins) for one in _loaded(service, after)]
        self._codes = [n for n, handler in enumerate(self._after) if handler.name == _CODE]

    @functools.cached_property
    def problem(self) -> Problem | None:
        """Why the proof fails; None where it succeeds."""
        if not self._codes:
            return Problem("does not lead to the code step")
        return _lets_in_anybody(self._before) or self._jumps_in() or self._gets_past_the_code() or self._differs()

    @functools.cached_property
    def asks_everybody(self) -> bool:
        """Whether nobody gets in without a code."""
        return bool(self._codes) and not self._gets_past_the_code()

    @functools.cached_property
    def asks_strangers(self) -> bool:
        """Whether anybody who has none of the first factors is asked for a code, and so can use up codes."""
        return any(self._asked(pam_modules.without_first_factor))

    @functools.cached_property
    def asks_in_vain(self) -> bool:
        """Whether anybody is asked for a code who is denied in any case, such as with a locked account."""
        return any(place.impression.kind == NEGATIVE for place in self._asked(pam_modules.on_healthy_host))

    def _asked(self, ways: pam_modules.HandlerOutcomes) -> t.Iterator[Place]:
        """The places where a login without a key is asked for the code."""
        outcomes = _outcomes_with_ours(ways, code=("success", "auth_err"), key=("auth_err",))
        return (place for place in dispatch.reached(self._after, outcomes) if place.position in self._codes)

    def _jumps_in(self) -> Problem | None:
        """A line of the administrator's that jumps into the middle of our lines, and would work only by accident."""
        for position, handler in enumerate(self._after):
            for action in () if _is_ours(handler) else handler.actions.values():
                target = dispatch.after_jump(self._after, position, int(action))[0] if action.isdigit() else 0
                if 0 < target < len(self._after) and all(map(_is_ours, self._after[target - 1 : target + 1])):
                    return Problem("jumps over a number of modules, which the code step would change", handler)
        return None

    def _gets_past_the_code(self) -> Problem | None:
        """The line that lets somebody in with a wrong code, or without one."""
        outcomes = _outcomes_with_ours(
            pam_modules.without_early_success, code=("auth_err",), key=("success", "auth_err")
        )
        way = _way_in(self._after, outcomes)
        return None if way is None else self._culprit(way)

    def _culprit(self, way: t.Sequence[tuple[Handler, Place]]) -> Problem:
        """The line that leads past the code step, or undoes its decision; `way` has each module, and where it led."""
        was_asked = False
        for handler, place in way:
            was_asked = was_asked or handler.name == _CODE
            if not was_asked and place.position > self._codes[-1]:
                ends = place.position == len(self._after) and "done" in handler.actions.values()
                how = "can end the authentication before the code is asked for" if ends else "jumps over the code step"
                return Problem(how, handler)
        resets = [handler for handler, _place in way if "reset" in handler.actions.values() and not _is_ours(handler)]
        return Problem("can undo a wrong code", resets[-1] if resets else None)

    def _differs(self) -> Problem | None:
        """The line because of which a right code lets somebody in who does not get in now, or the other way round."""
        outcomes = _outcomes_with_ours(pam_modules.any_outcome, code=("success",), key=("auth_err",))
        before, after = self._before, self._after

        def steps(pair: tuple[Place, Place]) -> t.Iterator[tuple[_ModuleRun, tuple[Place, Place]]]:
            was, now = pair
            first, second = _next(before, was), _next(after, now)
            if second and (_is_ours(second) or not second.module):
                for one in _outcomes_of(second, outcomes, now.impression):
                    yield _ModuleRun(None), (was, dispatch.advance(after, now, one))
            elif first and not first.module:
                yield _ModuleRun(None), (dispatch.advance(before, was, ""), now)
            elif first and second and first.chain == second.chain:
                ways = (*outcomes(first, was.impression), *outcomes(second, now.impression))
                for one in _distinct_outcomes(ways, first, second):
                    yield _ModuleRun(first), (dispatch.advance(before, was, one), dispatch.advance(after, now, one))
            elif first and (second is None or _order(first) < _order(second)):
                for one in _outcomes_of(first, outcomes, was.impression):
                    yield _ModuleRun(first, only_here=True), (dispatch.advance(before, was, one), now)
            elif second:
                for one in _outcomes_of(second, outcomes, now.impression):
                    yield _ModuleRun(second, only_here=True), (was, dispatch.advance(after, now, one))

        found = _explored((Place(), Place()), steps)
        let_in = False
        for pair in found:
            was, now = pair
            if was.position == len(before) and now.position == len(after):
                let_in = let_in or was.impression.lets_in
                if was.impression.lets_in != now.impression.lets_in:
                    return _first_difference([run for run, _pair in _way_to(pair, found)])
        return None if let_in else Problem("lets nobody in as it is, whatever is typed")


def _loaded(service: str, texts: t.Mapping[str, str]) -> list[Handler]:
    """The stack of a service. pam_rootok checks who runs the program, so where root does, it lets anybody in."""
    stack = dispatch.load(service, {**texts, **_MODELS})
    return [*map(_permitting, stack)] if service in pam_modules.RUN_BY_ROOT else stack


def _permitting(handler: Handler) -> Handler:
    return handler._replace(module="pam_permit.so") if handler.name == "pam_rootok.so" else handler


def further_factors(stack: t.Sequence[Handler]) -> t.Iterator[Handler]:
    """The modules that ask, or may ask, for another factor besides the first one. `stack` is without the code step.

    A module that is known to ask for one is returned if a login can get in with both. An unknown module is returned
    only if it can deny as well: a module that only logs denies nobody, and anyone who fails at an alternative to the
    password still has the password.
    """
    firsts = [n for n, handler in enumerate(stack) if pam_modules.is_first_factor(handler.name)]
    unknown = [n for n, handler in enumerate(stack) if pam_modules.is_unknown(handler)]
    for position, handler in enumerate(stack):
        is_known = pam_modules.is_second_factor(handler)
        if (is_known or position in unknown) and _is_further(stack, position, firsts or unknown, denies=not is_known):
            yield handler


def _is_further(stack: t.Sequence[Handler], position: int, firsts: t.Collection[int], *, denies: bool) -> bool:
    """Whether a login gets in for which both one of these first factors and the module at this position succeeded.

    With `denies`, that module must also be able to fail in such a way that the login would not get in.
    """

    def steps(walk: tuple[Place, bool, bool]) -> t.Iterator[tuple[None, tuple[Place, bool, bool]]]:
        place, first, further = walk
        here, handler = place.position == position, _next(stack, place)
        if handler is None or (here and denies and not _can_deny(stack, place)):
            return
        for one in ["success"] if here else _outcomes_of(handler, _any_outcome, place.impression):
            is_first = not here and place.position in firsts and one == "success"
            yield None, (dispatch.advance(stack, place, one), first or is_first, further or here)

    ends = (walk for walk in _explored((Place(), False, False), steps) if walk[0].position == len(stack))
    return any(place.impression.lets_in and first and further for place, first, further in ends)


def _can_deny(stack: t.Sequence[Handler], place: Place) -> bool:
    """Whether the module at this place can fail in such a way that nobody gets in any more."""

    def lets_in(outcome: str) -> bool:
        found = dispatch.reached(stack, _any_outcome, dispatch.advance(stack, place, outcome))
        return any(one.position == len(stack) and one.impression.lets_in for one in found)

    failing = set(pam_modules.any_outcome(stack[place.position])) - {"success", "ignore"}
    return not all(map(lets_in, failing))


def _any_outcome(handler: Handler, _impression: Impression) -> tuple[str, ...]:
    return pam_modules.without_early_success(handler)


class _ModuleRun(t.NamedTuple):
    """A module that was run in one stack or in both; None for our lines, and for lines that begin a substack."""

    handler: Handler | None
    only_here: bool = False
    """Whether the other stack skips it."""


def _lets_in_anybody(stack: t.Sequence[Handler]) -> Problem | None:
    """The line that lets people in without any first factor, in a stack without the code step."""
    way = _way_in(stack, lambda handler, _impression: pam_modules.without_first_factor(handler))
    if way is None:
        return None
    before = [Impression(), *(place.impression for _handler, place in way)]
    decided = [handler for was, (handler, place) in zip(before, way) if place.impression.lets_in and not was.lets_in]
    return Problem("lets people in who have neither a password nor anything else to prove who they are", decided[-1])


def _way_in(stack: t.Sequence[Handler], outcomes: dispatch.Outcomes) -> list[tuple[Handler, Place]] | None:
    """A way in, if there is any: each module, and where it led."""

    def steps(place: Place) -> t.Iterator[tuple[Handler, Place]]:
        handler = _next(stack, place)
        for outcome in _outcomes_of(handler, outcomes, place.impression) if handler else ():
            yield t.cast(Handler, handler), dispatch.advance(stack, place, outcome)

    found = _explored(Place(), steps)
    in_at = (place for place in found if place.position == len(stack) and place.impression.lets_in)
    return next((_way_to(place, found) for place in in_at), None)


def _first_difference(way: t.Sequence[_ModuleRun]) -> Problem:
    """The line after which the two stacks differ."""
    handler: Handler | None = None
    for run in way:
        if run.only_here:
            break
        handler = run.handler or handler
    else:
        resets = [one.handler for one in way if one.handler and "reset" in one.handler.actions.values()]
        return Problem("can undo what was decided before it", resets[-1] if resets else None)
    if handler and any(map(str.isdigit, handler.actions.values())):
        return Problem("jumps over a number of modules, which the code step would change", handler)
    return Problem("ends the stack, which would have another effect with the code step", handler)


def _with_original_numbers(handler: Handler, origins: Origins) -> Handler:
    """The same module, with the numbers that its lines have in the present files; ours have a line 0 among them."""
    chain = tuple((file, origins[file][number - 1] if file in origins else number) for file, number in handler.chain)
    return handler._replace(chain=chain)


def _is_ours(handler: Handler) -> bool:
    return not all(number for _file, number in handler.chain)


def _order(handler: Handler) -> tuple[int, ...]:
    """The position of a module in its stack, which can be compared with positions in the other stack."""
    return tuple(number for _file, number in handler.chain)


def _next(stack: t.Sequence[Handler], place: Place) -> Handler | None:
    return stack[place.position] if place.position < len(stack) else None


def _outcomes_with_ours(
    ways: pam_modules.HandlerOutcomes, code: tuple[str, ...], key: tuple[str, ...]
) -> dispatch.Outcomes:
    """How modules may end: ours as `code` and `key` say, all others in these `ways`."""

    def outcomes(handler: Handler, impression: Impression) -> tuple[str, ...]:
        if handler.name == _CODE:
            return code
        if handler.line.rstrip().endswith(places.KEY_ACCEPTED):
            return key
        if handler.line.rstrip().endswith(places.KEY_DECLARED):
            # A declared key is both factors, so here nobody has one. Where no key was accepted, it must not matter.
            return ("auth_err",) if "success" in key else ("success", "auth_err")
        if handler.line.rstrip().endswith(places.FIRST_FACTOR_FAILED):
            # It succeeds if the judge, the substack before it, has noted that a module has failed; pam_exec(8).
            return ("success",) if impression.kind == NEGATIVE else ("auth_err",)
        return ways(handler)

    return outcomes


def _outcomes_of(handler: Handler, outcomes: dispatch.Outcomes, impression: Impression) -> list[str]:
    return _distinct_outcomes(outcomes(handler, impression), handler) if handler.module else [""]


def _distinct_outcomes(outcomes: t.Iterable[str], *handlers: Handler) -> list[str]:
    """One outcome of each kind that these lines distinguish."""
    kinds = {(one == "success", *(handler.action(one) for handler in handlers)): one for one in outcomes}
    return list(kinds.values())


_S = t.TypeVar("_S")
_T = t.TypeVar("_T")


def _explored(start: _S, steps: t.Callable[[_S], t.Iterable[tuple[_T, _S]]]) -> dict[_S, tuple[_T, _S] | None]:
    """Everything that can be reached from `start`, each with the step that led to it first, and from where."""
    found: dict[_S, tuple[_T, _S] | None] = {start: None}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for step, there in steps(here):
            if there not in found:
                found[there] = step, here
                waiting.append(there)
    return found


def _way_to(end: _S, found: t.Mapping[_S, tuple[_T, _S] | None]) -> list[tuple[_T, _S]]:
    """The steps that lead to this end, each with where it led."""
    way: list[tuple[_T, _S]] = []
    here, came = end, found[end]
    while came is not None:
        way.append((came[0], here))
        here = came[1]
        came = found[here]
    return way[::-1]
