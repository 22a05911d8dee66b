# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How libpam walks through a stack, for all possible results of its modules at once; pam.conf(5). Pure.

libpam goes from module to module with an *impression* of the login: undefined at first, positive once a module has
counted as a success, negative once one has counted as a failure. A login gets in only where the impression is positive
at the end, and the value that made it so is PAM_SUCCESS. So a stack in which no module has counted denies.
"""

from __future__ import annotations

import typing as t

from .pam_conf import INCLUDES, Unclear, rule_of, whole_lines

UNDEFINED, POSITIVE, NEGATIVE = "undefined", "positive", "negative"

OTHER = "other"
_MAX_LEVELS = 16  # PAM_SUBSTACK_MAX_LEVEL


Chain = t.Tuple[t.Tuple[str, int], ...]
"""The lines that lead to a module, from the service's own file on: pairs of a file's name and a line, from 1."""


class Handler(t.NamedTuple):
    """One module of a stack, with all includes resolved."""

    chain: Chain
    line: str
    level: int
    """How many substacks it is nested in."""
    module: str
    """The module's path; empty for the line that begins a substack."""
    actions: t.Mapping[str, str]
    """The action for each return value."""

    @property
    def stack(self) -> str:
        """The file that it is in, by its name in the directory of services."""
        return self.chain[-1][0]

    @property
    def name(self) -> str:
        """The module's name, without its directory."""
        return self.module.rpartition("/")[2]

    def action(self, outcome: str) -> str:
        """The action for one return value."""
        return self.actions.get(outcome, self.actions.get("default", "bad"))


class Impression(t.NamedTuple):
    """libpam's impression of a login, and whether the value that it would return is PAM_SUCCESS."""

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
    """The stack of a service for `auth` or `account`, with all includes resolved. An include that fails denies.

    For a service whose file has no line of this type, libpam uses the file `other`, pam.d(5). `texts` has the files of
    the directory of services, by name. Raises Unclear.
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
    one_type: bool = False,
) -> bool:
    """Add the handlers of a file, and return whether it can be read.

    Where an `include` or `substack` fails, which is for one type, libpam has a module that fails in its place. Where an
    `@include` fails, which is for all types, libpam has no such module, so the whole file fails. `one_type` says that a
    line for one type has included this file; what an `@include` that fails does there depends on libpam's release.
    """
    if service not in texts or service in dict(above) or level >= _MAX_LEVELS:
        return False
    for number, line in whole_lines(texts[service]):
        rule = rule_of(line, management)
        if rule is None:
            continue
        chain = (*above, (service, number))
        if rule.fault:
            handlers.append(_failing(chain, line, level)._replace(actions=rule.actions or {"default": "bad"}))
            continue
        if rule.control not in INCLUDES:
            handlers.append(Handler(chain, line, level, rule.module, rule.actions))
            continue
        deeper, typed = rule.control == "substack", rule.control != "@include"
        if deeper:
            handlers.append(Handler(chain, line, level, "", {}))
        if not _load(management, rule.module, texts, handlers, level + deeper, chain, one_type or typed):
            if not typed and one_type:
                raise Unclear(f"line {number} of {service} includes {rule.module}, which is not there. Put that right")
            if not typed:
                return False
            handlers.append(_failing(chain, line, level))
    return True


def _failing(chain: Chain, line: str, level: int) -> Handler:
    return Handler(chain, line, level, "pam_deny.so", {"default": "bad"})


class Place(t.NamedTuple):
    """How far a login has come in a stack."""

    position: int = 0
    """The index of the next module; at the end, the length of the stack."""
    impression: Impression = Impression()
    entries: tuple[Impression, ...] = (Impression(),)
    """The impressions with which the stack and each substack around this place were entered."""


_BEGINNING = Place()

Outcomes = t.Callable[[Handler, Impression], t.Iterable[str]]
"""The outcomes with which a module may end, if a login comes to it with this impression."""


def reached(stack: t.Sequence[Handler], outcomes: Outcomes, start: Place = _BEGINNING) -> set[Place]:
    """Every place of a stack that a login can reach from `start`, where each module may end with these outcomes."""
    seen, waiting = {start}, [start]
    while waiting:
        place = waiting.pop()
        if place.position == len(stack):
            continue
        handler = stack[place.position]
        for outcome in set(outcomes(handler, place.impression)) if handler.module else [""]:
            after = advance(stack, place, outcome)
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


def ends(stack: t.Sequence[Handler], outcomes: Outcomes) -> set[Impression]:
    """Every impression with which a login can reach the end of a stack."""
    return {place.impression for place in reached(stack, outcomes) if place.position == len(stack)}


def advance(stack: t.Sequence[Handler], place: Place, outcome: str) -> Place:
    """The place of a login after the next module has ended with this outcome; empty where a substack begins."""
    position, impression, entries = place
    level = stack[position].level
    entries = (*entries[: level + 1], *[impression] * (level + 1 - len(entries)))
    position, impression = _after(stack, position, impression, entries[level], outcome)
    # A substack is entered anew each time, so the impressions of substacks that were left are dropped.
    here = 0 if position == len(stack) else min(level, stack[position].level)
    return Place(position, impression, entries[: here + 1])


def _after(
    stack: t.Sequence[Handler], position: int, impression: Impression, entry: Impression, outcome: str
) -> tuple[int, Impression]:
    """Where a login goes on, and with which impression, after the module at this position has ended."""
    handler = stack[position]
    if not handler.module:
        return position + 1, impression
    action = handler.action(outcome)
    impression = impression.after(action, outcome, entry)
    if action == "die" or (action == "done" and impression.kind == POSITIVE):
        return after_jump(stack, position, len(stack))[0], impression
    if action.isdigit() and int(action):
        after, left = after_jump(stack, position, int(action))
        return after, Impression(NEGATIVE) if left else impression
    return position + 1, impression


def after_jump(stack: t.Sequence[Handler], position: int, number: int) -> tuple[int, int]:
    """The position after a jump over `number` modules, a substack as one; and how many modules were missing."""
    level, position = stack[position].level, position + 1
    while number and position < len(stack) and stack[position].level >= level:
        position += 1
        while position < len(stack) and stack[position].level > level:
            position += 1
        number -= 1
    return position, number
