# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One trial: a change that is struck at one system call, the logins after it, and what comes next."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field

import hosts
from login import ssh
from login.ssh import ConnectionFailed

from . import strace
from .ground import Ground, Look
from .kinds import RECOVER, TIMER_SECONDS, Ending, Kind, State, module
from .policy import REFUSED, Answer, Policy, Question, explained
from .strace import Call

_TIMER_LATE = 10.0
# Of this many trials that leave a host byte for byte as it was, one goes on to its ending: there is nothing to end.
_UNTOUCHED = 8
# Of this many trials, one tries a used code again at the end.
_REPLAY = 8


@dataclass
class Verdict:
    """The result of a trial."""

    host: str
    release: str
    kind: str
    call: Call
    fault: str
    number: int
    struck: bool = True
    """Whether the call was made. Waiting for sshd may take fewer processes, and output through a pipe fewer writes."""
    side: str = ""
    """Which policy decided the logins after the fault: `old`, `new` or `between`."""
    ending: str = ""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def survived(self) -> bool:
        """Whether everything was as it must be."""
        return not self.problems

    def __str__(self) -> str:
        again = f"python -m faults --release {self.release} --kind '{self.kind}' --fault {self.fault}"
        return "\n".join(
            [
                f"{self.kind}, {self.release}: {self.fault} at {self.call}, then {self.ending or 'nothing'}",
                *(f"    {problem}" for problem in self.problems),
                f"    again: {again} --number {self.number}",
            ]
        )


class Trial:
    """A trial on a host."""

    def __init__(self, ground: Ground, kind: Kind, call: Call, fault: str, number: int) -> None:
        """`number` is the index of the call within its kind. It decides what is done only in a sample of the trials."""
        self._ground = ground
        self._kind = kind
        self._number = number
        self._ending = _ending(kind, fault, number)
        self._used: dict[str, tuple[Question, Answer]] = {}
        self.verdict = Verdict(ground.host.name, ground.host.release, kind.name, call, fault, number)

    def run(self) -> Verdict:
        """Make the trial."""
        verdict = self.verdict
        started = time.monotonic()
        try:
            self._run()
        except (ConnectionFailed, hosts.HostError, subprocess.TimeoutExpired) as error:
            self._problem(f"{error}")
        verdict.seconds = time.monotonic() - started
        return verdict

    def _problem(self, text: str) -> None:
        self.verdict.problems.append(text)

    def _run(self) -> None:
        ground, kind, verdict = self._ground, self._kind, self.verdict
        ground.prepare(kind)
        ground.load(kind.begin)
        command = module(f"{kind.name}-timed") if self._ending.name == "the timer" else kind.command
        done = ground.run(tuple(verdict.call.struck(verdict.fault, command)))
        verdict.struck = strace.has_struck(ground.host.read(strace.LOG).decode(errors="replace"))
        may_not_come = verdict.call.path is None or verdict.call.number > 1
        if not verdict.struck and (done.returncode or not may_not_come):
            self._problem(f"the call did not come: {_output_of(done)}")
            return
        look = ground.look()
        if look.sshd_error:
            self._problem(f"sshd -t: {look.sshd_error}")
        verdict.side = self._log_in(look)
        untouched = not look.left and not look.differs(ground.looks[kind.begin.name]) and verdict.side == "old"
        if verdict.fault != "KILL":
            self._check_failure(done, look, untouched)
        if not untouched or self._number % _UNTOUCHED == 0:
            self._end(look)

    def _check_failure(self, done: subprocess.CompletedProcess[str], look: Look, untouched: bool) -> None:
        """A change that fails must say so and put the host back. A change that reports success must have succeeded."""
        if not self._kind.restores:
            if done.returncode and not done.stderr.strip() and not done.stdout.strip():
                self._problem(f"it ended with {done.returncode} and said nothing")
            return
        if done.returncode == 0:
            difference = look.differs(self._ground.looks[self._kind.after.name])
            if difference:
                self._problem(f"it said that all went well, but these are not as they should be: {difference}")
            return
        if not done.stdout.lstrip().startswith("{"):
            self._problem(f"it crashed: {_output_of(done)}")
            return
        if not untouched:
            difference = sorted({*look.differs(self._ground.looks[self._kind.begin.name]), *look.left})
            self._problem(f"it failed ({_output_of(done)}), and these are not as they were: {difference}")

    # Logins

    def _log_in(self, look: Look) -> str:
        """Log everybody in; return which policy decided the logins."""
        kind, ground = self._kind, self._ground
        self._check_exempt()
        seen = ground.seen.setdefault(kind.name, set())
        state = hash((frozenset(look.files.items()), frozenset(look.credentials.items())))
        thorough = state not in seen and self._ending.name != "the timer"
        if thorough:
            seen.add(state)
        answers: dict[Question, Answer] = {}
        steps = 0
        for question in kind.questions if thorough else kind.questions[: kind.always]:
            answer = question.ask(ground.people[question.who], steps if question.who == "alice" else 0)
            answers[question] = answer
            if answer.used:
                steps += question.who == "alice"
                self._used[question.who] = question, answer
        texts = {question: answer.text for question, answer in answers.items()}
        side = explained(texts, kind.begin.policy, kind.after.policy)
        if not side:
            told = "; ".join(f"{question}: {text}" for question, text in texts.items())
            self._problem(f"neither the old policy nor the new one decides like this: {told}")
        return side

    def _check_exempt(self) -> None:
        host = self._ground.host
        login = ssh.login(host, "ansible", key=host.key, batch=True)
        if not login.ok or login.prompts:
            self._problem(f"the exempt account does not get in by its key: {login.reason}")

    def _check_policy(self, policy: Policy) -> None:
        """Bob logs in, in the way that shows the policy best."""
        question = Question("bob", "key", policy.phone if "bob" in policy.asked else None)
        answer = question.ask(self._ground.people["bob"])
        if answer.used:
            self._used["bob"] = question, answer
        if answer.text != policy.answer(question):
            self._problem(f"after {self._ending.name}, {question}: {answer.text}, and not {policy.answer(question)}")

    # What comes next

    def _end(self, look: Look) -> None:
        ground, ending = self._ground, self._ending
        if not ending.command and not look.pending:
            ending = self._kind.endings[0]
        if ending.command[:1] == (RECOVER,) and RECOVER not in look.files:
            ending = self._kind.endings[0]
        self._ending = ending
        self.verdict.ending = ending.name
        if ending.command:
            done = ground.run(ending.command)
            if done.returncode:
                self._problem(f"{ending.name} failed: {_output_of(done)}")
                return
        elif ending.name == "the timer":
            self._await_timer()
        else:
            ground.reboot()
        self._check_end(ending, ground.look())

    def _await_timer(self) -> None:
        deadline = time.monotonic() + TIMER_SECONDS + _TIMER_LATE
        while self._ground.waits_for_timer():
            if time.monotonic() > deadline:
                self._problem(f"the timer did not put the host back within {TIMER_SECONDS + _TIMER_LATE} s")
                return
            time.sleep(0.5)

    def _check_end(self, ending: Ending, look: Look) -> None:
        name = ending.name
        if look.sshd_error:
            self._problem(f"after {name}, sshd -t: {look.sshd_error}")
        if ending.exact:
            # A used code is recorded only if there is room for the record; putting the host back matters more.
            at_the_note = str(self.verdict.call.path).endswith(".fleet-auth-undo")
            used = {*self._used, *(self._kind.noted if at_the_note else ())}
            difference = look.differs(self._ground.looks[ending.state.name], used)
            if ending.name == "a boot":
                difference = [path for path in difference if not path.startswith("/run/")]
            if difference:
                self._problem(f"after {name}, the host is not {ending.state}: {difference}")
            if left := look.left - self._ground.looks[ending.state.name].left - {*ending.leaves}:
                self._problem(f"after {name}, these are left: {sorted(left)}")
        elif look.pending:
            self._problem(f"after {name}, there is a journal")
        for who, (_question, answer) in self._used.items():
            if not look.remembers(who, str(answer.code), time.time()):
                self._problem(f"after {name}, it is forgotten that {who} has used a code")
        self._check_exempt()
        self._check_policy(ending.state.policy)
        self._check_replay(ending.state)

    def _check_replay(self, state: State) -> None:
        if self._number % _REPLAY or "alice" not in self._used or "alice" not in state.policy.asked:
            return
        question, answer = self._used["alice"]
        again = question.answer(self._ground.people["alice"], answer.code)
        if again.text != REFUSED:
            self._problem(f"after {self._ending.name}, alice is {again.text} with a used code")


def _output_of(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a module, or the end of what another command printed."""
    try:
        return str(json.loads(done.stdout)["msg"])
    except (ValueError, KeyError):
        return (done.stdout + done.stderr).strip()[-600:]


def _ending(kind: Kind, fault: str, number: int) -> Ending:
    """The usual ending for most trials, each other one for one in 13. Only killed changes need the timer or a boot.

    Calls come in patterns of five and eight, and 13 shares no factor with these.
    """
    usual, *others = [ending for ending in kind.endings if ending.command or fault == "KILL"]
    rare = number % 13
    return others[rare] if rare < len(others) else usual
