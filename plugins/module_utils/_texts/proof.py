# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a PAM service with the code step lets in whom it let in before, and nobody without a code. Pure.

Both stacks, the one as it is and the one as it would be, are walked by `dispatch`, for every way in which their modules
may end. It is shown of a service that

- nobody who has none of the first factors gets in as it is,
- whoever gets in as it is gets in with a right code, or an exempt account, and nobody else,
- with a wrong code nobody gets in, wherever the lines around the code step lead.

So nobody gets in without the first factor then either. And it is told whether strangers are asked for codes, and
whether somebody is who is denied in any case, so that a prompt tells that a password was right.
"""

from __future__ import annotations

import functools
import typing as t

from .. import _places as places
from . import dispatch, pam_modules
from .dispatch import NEGATIVE, Handler, Impression, Place

_SWITCH = places.SWITCH.rpartition("/")[2]
_JUDGE = places.JUDGE.rpartition("/")[2]
_CODE = "the_code.so"
# The code step counts nothing as a success: it denies, or goes on. The judge changes nothing.
_MODELS = {_SWITCH: f"auth [success=ignore default=die] {_CODE}\n", _JUDGE: ""}

Origins = t.Mapping[str, t.Sequence[int]]
"""For each line of a file as it would be, which line it was, from 1; 0 of a line of ours. Other files stay."""


class Problem(t.NamedTuple):
    """Why a service cannot have the code step as it was tried."""

    text: str
    """What is wrong with the line, to follow its place."""
    handler: Handler | None = None
    """The line; None where it is none of the administrator's."""


class Proof:
    """A service as it is, and with the code step as somebody would place it. Raises Unclear, of either stack."""

    def __init__(self, service: str, before: t.Mapping[str, str], after: t.Mapping[str, str], origins: Origins) -> None:
        self._before = _loaded(service, before)
        self._after = [_as_it_was(one, origins) for one in _loaded(service, after)]
        self._codes = [n for n, handler in enumerate(self._after) if handler.name == _CODE]

    @functools.cached_property
    def problem(self) -> Problem | None:
        """What keeps the service from being as it has to be; None where it is proven."""
        if not self._codes:
            return Problem("does not lead to the code step")
        return _lets_in_anybody(self._before) or self._jumps_in() or self._gets_past_the_code() or self._differs()

    @functools.cached_property
    def asks_everybody(self) -> bool:
        """Whether nobody gets in without a code."""
        return bool(self._codes) and not self._gets_past_the_code()

    @functools.cached_property
    def asks_strangers(self) -> bool:
        """Whether somebody is asked for a code who has none of the first factors, and so can use up codes."""
        return any(self._asked(pam_modules.without_first_factor))

    @functools.cached_property
    def asks_in_vain(self) -> bool:
        """Whether somebody is asked for a code who is denied in any case, such as by an account that is locked."""
        return any(place.impression.kind == NEGATIVE for place in self._asked(pam_modules.in_order))

    def _asked(self, ways: pam_modules.Ways) -> t.Iterator[Place]:
        """The places at which the code is asked for, of a login without a key."""
        outcomes = _with_ours(ways, code=("success", "auth_err"), key=("auth_err",))
        return (place for place in dispatch.reached(self._after, outcomes) if place.position in self._codes)

    def _jumps_in(self) -> Problem | None:
        """A line of theirs that leads into the middle of ours, where it would be an accident if all went well."""
        for position, handler in enumerate(self._after):
            for action in () if _is_ours(handler) else handler.actions.values():
                target = dispatch.passed(self._after, position, int(action))[0] if action.isdigit() else 0
                if 0 < target < len(self._after) and all(map(_is_ours, self._after[target - 1 : target + 1])):
                    return Problem("jumps over a number of modules, which the code step would change", handler)
        return None

    def _gets_past_the_code(self) -> Problem | None:
        """The line by which somebody gets in with a wrong code, or with none."""
        outcomes = _with_ours(pam_modules.without_early_way, code=("auth_err",), key=("success", "auth_err"))
        way = _way_in(self._after, outcomes)
        return None if way is None else self._culprit(way)

    def _culprit(self, way: t.Sequence[tuple[Handler, Place]]) -> Problem:
        """What leads past the code step, or undoes what it says; `way` has each module, and where it led."""
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
        """The line by which somebody gets in with a right code who did not before, or the other way round."""
        outcomes = _with_ours(pam_modules.any_way, code=("success",), key=("auth_err",))
        before, after = self._before, self._after

        def steps(pair: tuple[Place, Place]) -> t.Iterator[tuple[_Taken, tuple[Place, Place]]]:
            was, now = pair
            first, second = _next(before, was), _next(after, now)
            if second and (_is_ours(second) or not second.module):
                for one in _ends_of(second, outcomes, now.impression):
                    yield _Taken(None), (was, dispatch.onward(after, now, one))
            elif first and not first.module:
                yield _Taken(None), (dispatch.onward(before, was, ""), now)
            elif first and second and first.chain == second.chain:
                ways = (*outcomes(first, was.impression), *outcomes(second, now.impression))
                for one in _told_apart(ways, first, second):
                    yield _Taken(first), (dispatch.onward(before, was, one), dispatch.onward(after, now, one))
            elif first and (second is None or _order(first) < _order(second)):
                for one in _ends_of(first, outcomes, was.impression):
                    yield _Taken(first, apart=True), (dispatch.onward(before, was, one), now)
            elif second:
                for one in _ends_of(second, outcomes, now.impression):
                    yield _Taken(second, apart=True), (was, dispatch.onward(after, now, one))

        found = _explored((Place(), Place()), steps)
        let_in = False
        for pair in found:
            was, now = pair
            if was.position == len(before) and now.position == len(after):
                let_in = let_in or was.impression.lets_in
                if was.impression.lets_in != now.impression.lets_in:
                    return _where_apart([taken for taken, _pair in _way_to(pair, found)])
        return None if let_in else Problem("lets nobody in as it is, whatever is typed")


def _loaded(service: str, texts: t.Mapping[str, str]) -> list[Handler]:
    """The stack of a service. pam_rootok asks who runs the program, so by some of them it lets in whoever comes."""
    stack = dispatch.load(service, {**texts, **_MODELS})
    return [*map(_permitting, stack)] if service in pam_modules.RUN_BY_ROOT else stack


def _permitting(handler: Handler) -> Handler:
    return handler._replace(module="pam_permit.so") if handler.name == "pam_rootok.so" else handler


def further_factors(stack: t.Sequence[Handler]) -> t.Iterator[Handler]:
    """The modules that ask, or may ask, for another factor beside the first one. `stack` is without the code step.

    One that is known for that counts wherever a login has to do with both. Any other one counts if it can deny as well:
    what only logs denies nobody, and whoever fails at an alternative to the password still has the password.
    """
    firsts = [n for n, handler in enumerate(stack) if pam_modules.is_first_factor(handler.name)]
    unknown = [n for n, handler in enumerate(stack) if pam_modules.is_unknown(handler)]
    for position, handler in enumerate(stack):
        is_known = pam_modules.is_second_factor(handler)
        if (is_known or position in unknown) and _is_beside(stack, position, firsts or unknown, denies=not is_known):
            yield handler


def _is_beside(stack: t.Sequence[Handler], position: int, firsts: t.Collection[int], *, denies: bool) -> bool:
    """Whether somebody gets in for whom one of these first factors was right, and the module at this position as well.

    And, if it shall be one that `denies`, nobody would have got in if that module had failed instead.
    """

    def steps(walk: tuple[Place, bool, bool]) -> t.Iterator[tuple[None, tuple[Place, bool, bool]]]:
        place, first, further = walk
        here, handler = place.position == position, _next(stack, place)
        if handler is None or (here and denies and not _can_deny(stack, place)):
            return
        for one in ["success"] if here else _ends_of(handler, _any_ends, place.impression):
            is_first = not here and place.position in firsts and one == "success"
            yield None, (dispatch.onward(stack, place, one), first or is_first, further or here)

    ends = (walk for walk in _explored((Place(), False, False), steps) if walk[0].position == len(stack))
    return any(place.impression.lets_in and first and further for place, first, further in ends)


def _can_deny(stack: t.Sequence[Handler], place: Place) -> bool:
    """Whether nobody gets in any more once the module at this place has failed, in one of the ways in which it may."""

    def lets_in(outcome: str) -> bool:
        found = dispatch.reached(stack, _any_ends, dispatch.onward(stack, place, outcome))
        return any(one.position == len(stack) and one.impression.lets_in for one in found)

    failing = set(pam_modules.any_way(stack[place.position])) - {"success", "ignore"}
    return not all(map(lets_in, failing))


def _any_ends(handler: Handler, _impression: Impression) -> tuple[str, ...]:
    return pam_modules.without_early_way(handler)


class _Taken(t.NamedTuple):
    """A module that was run in a stack, or in both; None of what only one of them has."""

    handler: Handler | None
    apart: bool = False
    """Whether the other stack passes it over."""


def _lets_in_anybody(stack: t.Sequence[Handler]) -> Problem | None:
    """The line by which people get in who have no first factor, with no code step anywhere."""
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
        for outcome in _ends_of(handler, outcomes, place.impression) if handler else ():
            yield t.cast(Handler, handler), dispatch.onward(stack, place, outcome)

    found = _explored(Place(), steps)
    in_at = (place for place in found if place.position == len(stack) and place.impression.lets_in)
    return next((_way_to(place, found) for place in in_at), None)


def _where_apart(way: t.Sequence[_Taken]) -> Problem:
    """The line after which the two stacks go different ways."""
    handler: Handler | None = None
    for taken in way:
        if taken.apart:
            break
        handler = taken.handler or handler
    else:
        resets = [one.handler for one in way if one.handler and "reset" in one.handler.actions.values()]
        return Problem("can undo what was decided before it", resets[-1] if resets else None)
    if handler and any(map(str.isdigit, handler.actions.values())):
        return Problem("jumps over a number of modules, which the code step would change", handler)
    return Problem("ends the stack, which it would not do in the same way with the code step", handler)


def _as_it_was(handler: Handler, origins: Origins) -> Handler:
    """The same module, by the lines that lead to it now; one of ours has a line 0 among them."""
    chain = tuple((file, origins[file][number - 1] if file in origins else number) for file, number in handler.chain)
    return handler._replace(chain=chain)


def _is_ours(handler: Handler) -> bool:
    return not all(number for _file, number in handler.chain)


def _order(handler: Handler) -> tuple[int, ...]:
    """Where a module is in a stack, so that those of two stacks can be compared."""
    return tuple(number for _file, number in handler.chain)


def _next(stack: t.Sequence[Handler], place: Place) -> Handler | None:
    return stack[place.position] if place.position < len(stack) else None


def _with_ours(ways: pam_modules.Ways, code: tuple[str, ...], key: tuple[str, ...]) -> dispatch.Outcomes:
    """How modules may end: others in these ways, ours as they do where the code and the key are like this."""

    def outcomes(handler: Handler, impression: Impression) -> tuple[str, ...]:
        if handler.name == _CODE:
            return code
        if handler.line.rstrip().endswith(places.KEY_ACCEPTED):
            return key
        if handler.line.rstrip().endswith(places.KEY_DECLARED):
            # Whoever has a declared key has both factors. So nobody has; where none was accepted, it must not matter.
            return ("auth_err",) if "success" in key else ("success", "auth_err")
        if handler.line.rstrip().endswith(places.FIRST_FACTOR_FAILED):
            # It follows the judge, which notes that something before it has failed, and whom it asks, pam_exec(8).
            return ("success",) if impression.kind == NEGATIVE else ("auth_err",)
        return ways(handler)

    return outcomes


def _ends_of(handler: Handler, outcomes: dispatch.Outcomes, impression: Impression) -> list[str]:
    return _told_apart(outcomes(handler, impression), handler) if handler.module else [""]


def _told_apart(outcomes: t.Iterable[str], *handlers: Handler) -> list[str]:
    """One outcome of each kind that these lines treat alike."""
    kinds = {(one == "success", *(handler.action(one) for handler in handlers)): one for one in outcomes}
    return list(kinds.values())


_S = t.TypeVar("_S")
_T = t.TypeVar("_T")


def _explored(start: _S, steps: t.Callable[[_S], t.Iterable[tuple[_T, _S]]]) -> dict[_S, tuple[_T, _S] | None]:
    """All that can be reached from here, each with the step that led to it first, and from where."""
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
