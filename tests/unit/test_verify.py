# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.action.twofactor_verify import right, wrong
from ansible_collections.fleet.auth.plugins.plugin_utils._verified import sentences
from unit import answering


@pytest.mark.parametrize(
    ("code", "malformed"), [("123456", False), ("123 456", False), ("12345", True), ("abcdef", True)]
)
def test_wrong_code_is_reported_with_possible_causes(code: str, malformed: bool) -> None:
    told = wrong("alice", "web1", code)
    assert told.startswith("The code of alice was not right on web1. ")
    assert ("It has fewer than 6 digits, or something else in it." in told) is malformed
    assert "another host's entry in the app" in told
    assert "It was not counted as a wrong code" in told
    assert code not in told


def test_right_code_proves_the_user() -> None:
    assert right("alice", "web1") == "The code of alice was right on web1. It is used up, and alice is proven."
    assert right("alice", "web1", check_mode=True) == (
        "The code of alice was right on web1. It would be used up, and alice would be proven."
    )


def answers(*hosts: str, valid: bool) -> list[tuple[str, dict[str, t.Any]]]:
    """The results of the task on these hosts for a code of alice."""
    said = right if valid else lambda user, host: wrong(user, host, "123456")
    return [(host, {"failed": False, "valid": valid, "msg": said("alice", host)}) for host in hosts]


class TestFleet:
    WEB = tuple(f"web{number}" for number in range(300))

    def test_wrong_code_is_one_sentence_with_the_first_ten_hosts(self) -> None:
        (told,) = sentences(answers(*self.WEB, valid=False))
        assert told.startswith(
            "The code of alice was not right on web0, web1, web2, web3, web4, web5, web6, web7, web8, web9 and 290 "
            "more hosts. It may be from another host's entry in the app, "
        )
        assert len(told) < 500

    def test_right_code_comes_first_and_wrong_ones_elsewhere_are_no_alarm(self) -> None:
        told = sentences([*answers("web0", "web1", valid=False), *answers("db", valid=True)])
        assert told == [
            "The code of alice was right on db. It is used up, and alice is proven.",
            "It was not right on web0 and web1: a host with a secret of its own has an entry of its own in the app.",
        ]

    def test_right_code_of_one_secret_is_one_sentence(self) -> None:
        (told,) = sentences(answers(*self.WEB, valid=True))
        assert told.endswith(" and 290 more hosts. It is used up, and alice is proven.")
        (told,) = sentences(answers("web1", valid=True))
        assert told == right("alice", "web1")

    def test_hosts_without_the_credential_share_a_sentence(self) -> None:
        nobody = [(host, {"failed": False, "msg": f"alice has no credential on {host}. Enrol."}) for host in self.WEB]
        (told,) = sentences(nobody[:3])
        assert told == "alice has no credential on web0, web1 and web2. Enrol."
        assert len(sentences([*nobody, *answers("db", valid=True)])) == 2

    def test_problem_of_the_code_itself_names_no_host(self) -> None:
        refused = {
            "failed": False,
            "msg": "Nothing was changed: No code was given.",
            "refusals": ["No code was given."],
        }
        assert sentences([(host, refused) for host in self.WEB]) == [refused["msg"]]

    def test_host_that_does_not_name_itself_is_named(self) -> None:
        odd = {"failed": False, "msg": "It said nothing."}
        assert sentences([("web1", odd)]) == ["web1: It said nothing."]
        assert sentences([("web1", odd), ("web2", odd)]) == ["web1 and web2: It said nothing."]

    def test_failed_and_unreachable_hosts_are_left_out(self) -> None:
        silent: list[t.Any] = [None, {"failed": True, "msg": "damaged"}, {"unreachable": True, "msg": "No route"}]
        assert sentences(zip(self.WEB, silent, strict=False)) == []

    def test_message_about_another_host_is_attributed_to_its_sender(self) -> None:
        lie = {"failed": False, "can_be_checked": False, "msg": f"{right('alice', 'web1')} (web2)"}
        told = sentences([*answers("web1", valid=False), ("web2", lie)])
        assert told[-1] == f"web2: {lie['msg']}"


class TestPlaybook:
    """Playbooks over hosts with given answers."""

    @staticmethod
    def verified(tmp_path: Path, said: t.Mapping[str, answering.Answer]) -> subprocess.CompletedProcess[str]:
        hosts = {host: {"twofactor_verify": one} for host, one in said.items()}
        return answering.run(tmp_path, "verify", hosts, user="alice", code="123456")

    WRONG: t.ClassVar = {"changed": False, "valid": False, "can_be_checked": True}
    RIGHT: t.ClassVar = {"changed": True, "valid": True, "can_be_checked": True}

    def test_fails_with_one_sentence_if_the_code_was_right_nowhere(self, tmp_path: Path) -> None:
        done = self.verified(tmp_path, {f"web{number}": self.WRONG for number in range(12)})
        assert done.returncode == 2, done.stdout + done.stderr
        assert "was not right on web0, web1, web2," in done.stdout
        assert done.stdout.count("was not right") == 1
        assert done.stdout.count("web9 and 2 more hosts.") == 1

    def test_says_in_check_mode_what_a_right_code_would_do(self, tmp_path: Path) -> None:
        hosts = {"web1": {"twofactor_verify": self.RIGHT}}
        done = answering.run(tmp_path, "verify", hosts, "--check", user="alice", code="123456")
        assert done.returncode == 0, done.stdout
        assert "\nThe code of alice was right on web1. It would be used up, and alice would be proven.\n" in done.stdout

    def test_succeeds_and_reports_all_hosts_if_the_code_was_right_on_one(self, tmp_path: Path) -> None:
        nobody = {"failed": True, "msg": "alice has no credential on web2. Enrol alice.", "can_be_checked": False}
        done = self.verified(tmp_path, {"web0": self.WRONG, "web1": self.RIGHT, "web2": nobody, "web3": self.WRONG})
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            "The code of alice was right on web1. It is used up, and alice is proven.\n"
            "It was not right on web0 and web3: a host with a secret of its own has an entry of its own in the app.\n"
            "alice has no credential on web2. Enrol alice.\n"
        ) in done.stdout
        assert done.stdout.count("TASK [") == 2
