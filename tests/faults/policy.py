# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a policy answers people who log in, and whether given answers are those of the old policy or of the new one."""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from login.people import Person
from login.security_keys import Key

REFUSED = "refused"
IN = "in"
IN_BY_CODE = "in after a code"
IN_BY_PASSWORD = "in after a password"
IN_BY_BOTH = "in after a password and a code"

_PROMPTS = {(): IN, ("code",): IN_BY_CODE, ("password",): IN_BY_PASSWORD, ("password", "code"): IN_BY_BOTH}


class Phone(t.NamedTuple):
    """How somebody's phone makes codes."""

    interval: int = 30
    digits: int = 6


@dataclass(frozen=True)
class Holder(Person):
    """Somebody who also has a security key."""

    security_key: Key = field(kw_only=True)


class Answer(t.NamedTuple):
    """The outcome of a login, and the code that was available for it."""

    text: str
    code: str | None

    @property
    def used(self) -> bool:
        """Whether the code is used up."""
        return self.text in (IN_BY_CODE, IN_BY_BOTH)


@dataclass(frozen=True)
class Question:
    """One way to log in, or to try to."""

    who: str
    by: t.Literal["key", "password", "security key"]
    code: Phone | None = None

    def __str__(self) -> str:
        code = "no code" if self.code is None else f"a code of {self.code.digits} digits for {self.code.interval} s"
        return f"{self.who} with a {self.by} and {code}"

    def ask(self, person: Person, steps: int = 0) -> Answer:
        """Log in. A login with a key and no code is one of automation, which answers no prompts (`BatchMode`).

        :param steps: which of the codes that are right now to use: 0 for the current one, 1 for the next.
        """
        code = self.code and person.code(interval=self.code.interval, digits=self.code.digits, steps=steps)
        return self.answer(person, code or None)

    def answer(self, person: Person, code: str | None) -> Answer:
        """Log in with this code."""
        if self.by == "security key":
            login = t.cast(Holder, person).security_key.log_in(person)
        else:
            login = person.by_password(code) if self.by == "password" else person.by_key(code, batch=code is None)
        if not login.ok:
            return Answer(REFUSED, code)
        asked = [prompt for prompt in login.prompts if "PIN" not in prompt]
        prompts = tuple("code" if "One-time" in prompt else "password" for prompt in asked)
        return Answer(_PROMPTS[prompts], code)


@dataclass(frozen=True)
class Policy:
    """Who is asked for a code, and which first factors and codes are accepted.

    An account is asked because of two settings, which are written one after the other: sshd sends it to PAM (`sent`),
    and PAM asks (`asked`).
    """

    sent: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    factors: frozenset[str] = frozenset({"key", "password"})
    phone: Phone = field(default_factory=Phone)
    alone: frozenset[str] = frozenset()
    """People who get in with a security key alone. Where nobody is asked for a code, it is a key like any other."""

    @classmethod
    def of(
        cls, *who: str, factors: str = "key password", phone: Phone | None = None, alone: Collection[str] = ()
    ) -> Policy:
        """The policy under which these people need a code."""
        return cls(frozenset(who), frozenset(who), frozenset(factors.split()), phone or Phone(), frozenset(alone))

    def answer(self, question: Question) -> str:
        """The outcome of this login."""
        by_password = question.by == "password"
        if question.by == "security key":
            return IN
        if question.who in self.alone:
            return REFUSED
        if question.who not in self.sent:
            return IN_BY_PASSWORD if by_password else IN
        if question.by not in self.factors or (question.code is None and not by_password):
            return REFUSED
        if question.who not in self.asked:
            return IN_BY_PASSWORD if by_password else IN
        if question.code != self.phone:
            return REFUSED
        return IN_BY_BOTH if by_password else IN_BY_CODE


OFF = Policy()


def explained(answers: Mapping[Question, str], old: Policy, new: Policy) -> str:
    """Which policy decided these logins: `old`, `new`, `between`, or an empty text for none of them.

    Settings in different files change one after the other, and accounts change one by one. So between two writes each
    setting is the old or the new one for each account. Still, PAM asks nobody whom sshd does not send, and everybody
    gets in with what was right before or with what is right afterwards.
    """
    for policy, name in ((old, "old"), (new, "new")):
        if _decides(policy, answers):
            return name
    for who in {question.who for question in answers}:
        theirs = {question: answer for question, answer in answers.items() if question.who == who}
        if _decides(old, theirs) or _decides(new, theirs):
            continue
        mixed = any(_decides(policy, theirs) for policy in _between(old, new))
        if not mixed or set(theirs.values()) == {REFUSED}:
            return ""
    return "between"


def _decides(policy: Policy, answers: Mapping[Question, str]) -> bool:
    return all(policy.answer(question) == answer for question, answer in answers.items())


def _between(old: Policy, new: Policy) -> Iterator[Policy]:
    # First factors and codes matter only where somebody is sent to PAM.
    with_codes = [policy for policy in (old, new) if policy.sent]
    choices = itertools.product(
        # Anyone who enters or leaves the scope is sent for as long as PAM may ask.
        (old.sent, new.sent, old.sent | new.sent),
        (old.asked, new.asked, old.asked | new.asked),
        {policy.factors for policy in with_codes},
        {policy.phone for policy in with_codes},
    )
    for sent, asked, factors, phone in choices:
        if asked <= sent:
            yield Policy(sent, asked, factors, phone)
