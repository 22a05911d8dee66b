# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How libpam walks through a stack, for every way in which its modules may end at once; pam.conf(5). Pure.

libpam goes from module to module with an *impression* of the login: undefined at first, positive once a module has
counted as a success, negative once one has counted as a failure. A login gets in only where the impression is positive
at the end, and the value that made it so is PAM_SUCCESS. So a stack in which no module has counted denies.
"""

from __future__ import annotations

import typing as t

from .pam_conf import INCLUDES, Unclear, step_of, whole_lines

UNDEFINED, POSITIVE, NEGATIVE = "undefined", "positive", "negative"

OTHER = "other"
_MOST_LEVELS = 16  # PAM_SUBSTACK_MAX_LEVEL


Chain = t.Tuple[t.Tuple[str, int], ...]
"""The lines that lead to a module, from the service's own file on: each file by its name, and the line from 1."""


class Handler(t.NamedTuple):
    """One module of a stack, once everything that it includes is in its place."""

    chain: Chain
    line: str
    level: int
    """In how many substacks it is."""
    module: str
    """The module's path; empty for the line that a substack begins with."""
    actions: t.Mapping[str, str]
    """What to do about each return value."""

    @property
    def stack(self) -> str:
        """The file that it stands in, by its name in the directory of services."""
        return self.chain[-1][0]

    @property
    def name(self) -> str:
        """The module's name, whichever path it is called by."""
        return self.module.rpartition("/")[2]

    def action(self, outcome: str) -> str:
        """What to do about one return value."""
        return self.actions.get(outcome, self.actions.get("default", "bad"))


class Impression(t.NamedTuple):
    """What libpam thinks of a login, and whether the value that it would return is PAM_SUCCESS."""

    kind: str = UNDEFINED
    success: bool = False

    @property
    def lets_in(self) -> bool:
        """Whether the login gets in, if this is the end of the stack."""
        return self.kind == POSITIVE and self.success

    def after(self, action: str, outcome: str, entry: Impression) -> Impression:
        """The impression after a module; `entry` is the one with which its substack was entered."""
        if action in ("ok", "done"):
            undecided = self.kind == UNDEFINED or self.lets_in
            return Impression(POSITIVE, outcome == "success") if undecided else self
        if action in ("bad", "die"):
            return Impression(NEGATIVE)
        return entry if action == "reset" else self


def load(service: str, texts: t.Mapping[str, str], management: str = "auth") -> list[Handler]:
    """The stack of a service for `auth`, or `account`, everything included. What cannot be included denies.

    A service whose file has no line for that is asked by the file `other`, pam.d(5). `texts` has the files of the
    directory of services, by name. Raises Unclear.
    """
    handlers: list[Handler] = []
    if not _load(management, service, texts, handlers, 0, ()):
        return [_failing(((service, 0),), "", 0)]
    return handlers or (load(OTHER, texts, management) if service != OTHER else [])


def _load(
    management: str,
    service: str,
    texts: t.Mapping[str, str],
    handlers: list[Handler],
    level: int,
    above: Chain,
    for_one: bool = False,
) -> bool:
    """Add the handlers of a file, and tell whether it can be read.

    A module that fails stands for what a line of one type cannot include. For an `@include`, which is for all types,
    libpam has no such module, so the whole file fails. `for_one` says that a line of one type has taken this file in;
    what an `@include` that fails does there depends on the release.
    """
    if service not in texts or service in dict(above) or level >= _MOST_LEVELS:
        return False
    for number, line in whole_lines(texts[service]):
        step = step_of(line, management)
        if step is None:
            continue
        chain = (*above, (service, number))
        if step.fault:
            handlers.append(_failing(chain, line, level)._replace(actions=step.actions or {"default": "bad"}))
            continue
        if step.control not in INCLUDES:
            handlers.append(Handler(chain, line, level, step.module, step.actions))
            continue
        deeper, typed = step.control == "substack", step.control != "@include"
        if deeper:
            handlers.append(Handler(chain, line, level, "", {}))
        if not _load(management, step.module, texts, handlers, level + deeper, chain, for_one or typed):
            if not typed and for_one:
                raise Unclear(f"line {number} of {service} includes {step.module}, which is not there. Put that right")
            if not typed:
                return False
            handlers.append(_failing(chain, line, level))
    return True


def _failing(chain: Chain, line: str, level: int) -> Handler:
    return Handler(chain, line, level, "pam_deny.so", {"default": "bad"})


class Place(t.NamedTuple):
    """How far a login has come."""

    position: int = 0
    """The module that is next, by its index in the stack; its length at the end."""
    impression: Impression = Impression()
    entries: tuple[Impression, ...] = (Impression(),)
    """The impressions with which the stack and each substack around this place were entered."""


_BEGINNING = Place()

Outcomes = t.Callable[[Handler, Impression], t.Iterable[str]]
"""How a module may end that a login comes to with this impression."""


def reached(stack: t.Sequence[Handler], outcomes: Outcomes, start: Place = _BEGINNING) -> set[Place]:
    """Every place of a stack to which a login can come from `start`, where each module may end in any of these."""
    seen, waiting = {start}, [start]
    while waiting:
        place = waiting.pop()
        if place.position == len(stack):
            continue
        handler = stack[place.position]
        for outcome in set(outcomes(handler, place.impression)) if handler.module else [""]:
            after = onward(stack, place, outcome)
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


def ends(stack: t.Sequence[Handler], outcomes: Outcomes) -> set[Impression]:
    """Every impression with which a login can come to the end of a stack."""
    return {place.impression for place in reached(stack, outcomes) if place.position == len(stack)}


def onward(stack: t.Sequence[Handler], place: Place, outcome: str) -> Place:
    """Where a login is once the module that is next has ended like this. Where a substack begins, nothing ends."""
    position, impression, entries = place
    level = stack[position].level
    entries = (*entries[: level + 1], *[impression] * (level + 1 - len(entries)))
    position, impression = _after(stack, position, impression, entries[level], outcome)
    # A substack is entered anew each time, so what was remembered of one that was left is forgotten.
    here = 0 if position == len(stack) else min(level, stack[position].level)
    return Place(position, impression, entries[: here + 1])


def _after(
    stack: t.Sequence[Handler], position: int, impression: Impression, entry: Impression, outcome: str
) -> tuple[int, Impression]:
    """Where a login goes on, and with which impression, after the module at this position has ended like this."""
    handler = stack[position]
    if not handler.module:
        return position + 1, impression
    action = handler.action(outcome)
    impression = impression.after(action, outcome, entry)
    if action == "die" or (action == "done" and impression.kind == POSITIVE):
        return passed(stack, position, len(stack))[0], impression
    if action.isdigit() and int(action):
        after, left = passed(stack, position, int(action))
        return after, Impression(NEGATIVE) if left else impression
    return position + 1, impression


def passed(stack: t.Sequence[Handler], position: int, number: int) -> tuple[int, int]:
    """The position after so many modules of one level, substacks as one; and how many were missing for that."""
    level, position = stack[position].level, position + 1
    while number and position < len(stack) and stack[position].level >= level:
        position += 1
        while position < len(stack) and stack[position].level > level:
            position += 1
        number -= 1
    return position, number
