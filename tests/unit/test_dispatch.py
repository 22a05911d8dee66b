# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._texts.dispatch import Handler, Impression, ends, load
from ansible_collections.fleet.auth.plugins.module_utils._texts.opened import opening_file
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam import protect
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam_conf import ServiceFiles
from ansible_collections.fleet.auth.plugins.module_utils._texts.placement import PamError
from unit.builders import INCLUDED, SERVICES, settings
from unit.layouts import LAYOUTS

OUTCOMES = ("success", "auth_err", "ignore")


def lets_in(texts: t.Mapping[str, str], outcome_of: t.Mapping[str, str]) -> bool:
    """Whether the service `door` lets somebody in if its modules return these outcomes, by module name."""

    def outcomes(handler: Handler, _impression: Impression) -> list[str]:
        return [{"pam_deny.so": "auth_err", **outcome_of}[handler.name]]

    (end,) = ends(load("door", texts), outcomes)
    return end.lets_in


def can_let_in(texts: t.Mapping[str, str], *fixed: tuple[str, str]) -> bool:
    """Whether there is any way in if these modules have these outcomes."""
    known = dict(fixed)

    def outcomes(handler: Handler, _impression: Impression) -> list[str]:
        return [known[handler.name]] if handler.name in known else ["auth_err", "ignore"]

    return any(one.lets_in for one in ends(load("door", texts), outcomes))


@pytest.mark.parametrize(
    ("stack", "right", "let_in"),
    [
        ("", (), False),
        ("auth sufficient a", (), False),
        ("auth sufficient a", ("a",), True),
        ("auth sufficient a\nauth required b", ("a",), True),
        ("auth required a\nauth sufficient b", ("b",), False),
        ("auth requisite a\nauth required b", ("b",), False),
        ("auth optional a\nauth optional b", ("b",), True),
        ("auth [success=1 default=ignore] a\nauth requisite b\nauth required c", ("a", "c"), True),
        ("auth [success=1 default=ignore] a\nauth requisite b\nauth required c", ("c",), False),
        ("auth [success=3 default=ignore] a\nauth required b", ("a", "b"), False),
        ("auth [success=1 default=ignore] a\nauth required b", ("a",), False),
        ("auth [success=ok default=bad] a\nauth [default=reset] b\nauth sufficient c", ("a", "c"), True),
        ("auth [default=bad] a\nauth [default=reset] b\nauth required c", ("c",), True),
        ("auth [success=ok ignore=ok default=bad] a", (), False),
    ],
)
def test_login_depends_on_the_outcomes_of_the_modules(stack: str, right: tuple[str, ...], let_in: bool) -> None:
    outcomes = {name: "success" if name in right else "auth_err" for name in "abc"}
    assert lets_in({"door": stack}, outcomes) == let_in


@pytest.mark.parametrize("service", ["", "# auth required right.so\n", "account required right.so\n"])
def test_service_without_auth_lines_uses_the_file_other(service: str) -> None:
    right = {"right.so": "success", "wrong.so": "auth_err"}
    assert lets_in({"door": service, "other": "auth required right.so\n"}, right)
    assert not lets_in({"door": service, "other": "auth required wrong.so\n"}, right)
    assert not lets_in({"door": service, "other": service}, right)
    assert not lets_in({"door": service}, right)


def test_ignored_module_has_no_opinion() -> None:
    texts = {"door": "auth required a\nauth required b\n"}
    assert lets_in(texts, {"a": "ignore", "b": "success"})
    assert not lets_in(texts, {"a": "ignore", "b": "ignore"})


def test_end_of_a_substack_does_not_end_the_service() -> None:
    texts = {"door": "auth substack inner\nauth required b", "inner": "auth sufficient a\nauth requisite c"}
    assert lets_in(texts, {"a": "success", "b": "success", "c": "auth_err"})
    assert not lets_in(texts, {"a": "success", "b": "auth_err", "c": "auth_err"})
    assert not lets_in(texts, {"a": "auth_err", "b": "success", "c": "auth_err"})
    texts["door"] = "auth include inner\nauth required b"
    assert lets_in(texts, {"a": "success", "b": "auth_err", "c": "auth_err"})


def test_reset_restores_the_result_from_before_the_substack() -> None:
    texts = {"door": "auth required a\nauth substack inner", "inner": "auth required b\nauth [default=reset] c"}
    for first, second in itertools.product(["success", "auth_err"], repeat=2):
        assert lets_in(texts, {"a": first, "b": second, "c": "success"}) == (first == "success")


@pytest.mark.parametrize("line", ["auth include gone", "auth substack gone", "@include gone", "auth include door"])
def test_missing_include_denies(line: str) -> None:
    assert not lets_in({"door": f"auth required a\n{line}\n"}, {"a": "success", "pam_deny.so": "auth_err"})


# Where a service may get its first factor from: any modules, with any control flags.
_controls = st.sampled_from(
    [
        *("required", "requisite", "sufficient", "optional", "[success=done default=ignore]", "[default=die]"),
        *("[success=1 default=ignore]", "[success=2 default=ignore]", "[success=ok ignore=ok default=bad]"),
        *("[success=ok default=1]", "[default=bad]", "[success=die default=ignore]"),
    ]
)
_modules = st.sampled_from(["pam_unix.so", "pam_sss.so", "pam_env.so", "pam_permit.so", "pam_deny.so"])
_stacks = st.lists(st.tuples(_controls, _modules), min_size=1, max_size=5).map(
    lambda lines: "".join(f"auth {control} {module}\n" for control, module in lines)
)


@given(
    _stacks,
    st.sampled_from(["auth include {}\n", "auth substack {}\n", "@include {}\n", ""]),
    st.sampled_from(["password-auth", "way-in"]),
    st.sampled_from(["", "auth required a"]),
)
def test_protected_service_lets_in_the_same_people_and_nobody_with_a_wrong_code(
    stack: str, line: str, name: str, before: str
) -> None:
    texts = {name: stack, "door": f"{before}\n{line.format(name) or stack}"}
    try:
        text = protect("door", texts["door"], ServiceFiles(texts), backends.MODULES).text
    except PamError:
        return
    wanted = settings(exempt_users=["alice"])
    helpers = {
        "twofactor": CodeStep.wanted(wanted, ["bob"], oath.pam_line(wanted)).render(),
        "twofactor-judge": "auth substack twofactor-note\nauth [default=reset] pam_permit.so\n",
        "twofactor-note": "auth [success=done default=ignore] pam_permit.so\nauth [default=ignore] pam_exec.so\n",
    }
    constant = {"pam_permit.so": "success", "pam_deny.so": "auth_err", "pam_env.so": "ignore"}
    free = sorted({"pam_unix.so", "pam_sss.so", "a"})
    for found in itertools.product(OUTCOMES, repeat=len(free)):
        fixed = {**constant, **dict(zip(free, found, strict=True))}
        protected = {**texts, **helpers, "door": text}
        in_before = can_let_in(texts, *fixed.items())
        # The note of a failed first factor may or may not exist. So for an account that is exempt or has the right
        # code, this is all that is certain.
        right = {"pam_succeed_if.so": "success", "pam_oath.so": "success", "pam_faillock.so": "success"}
        assert can_let_in(protected, *fixed.items(), *right.items()) == in_before
        wrong = {"pam_succeed_if.so": "auth_err", "pam_oath.so": "auth_err", "pam_faillock.so": "success"}
        assert not can_let_in(protected, *fixed.items(), *wrong.items())


def test_block_of_release_1_0_is_recognized_if_it_opened_a_door() -> None:
    door = (
        "# BEGIN fleet.auth twofactor: in place of the next line\n#| auth include password-auth\n"
        "auth substack twofactor-password-auth\n"
        "auth [success=die default=ignore] pam_exec.so quiet seteuid /usr/libexec/fleet-auth/first-factor-failed\n"
        "auth substack twofactor\n# END fleet.auth twofactor\n"
    )
    gate = (
        "auth substack password-auth\nauth [success=done default=ignore] pam_permit.so\n"
        "auth [default=ignore] pam_exec.so quiet seteuid /usr/libexec/fleet-auth/first-factor-failed note\n"
        "auth requisite pam_deny.so\n"
    )
    step = "auth requisite pam_faillock.so preauth\nauth [success=1 default=ignore] pam_oath.so\nauth requisite x\n"
    texts = {"door": door, "twofactor-password-auth": gate, "twofactor": step}
    for stack, opened in (
        ("auth sufficient pam_unix.so\n", True),
        ("auth required pam_env.so\nauth [success=done default=ignore] pam_unix.so\n", True),
        ("auth sufficient pam_unix.so\nauth sufficient pam_localuser.so\n", True),
        ("auth sufficient pam_unix.so\nauth required pam_deny.so\n", False),
        (LAYOUTS["RHEL"].included["password-auth"], False),
    ):
        found = opening_file("door", {**texts, "password-auth": stack})
        assert found == ("/etc/pam.d/password-auth" if opened else None), stack


@pytest.mark.parametrize("layout", LAYOUTS)
def test_block_of_this_release_opens_no_door(layout: str) -> None:
    wanted = settings()
    files = {
        **LAYOUTS[layout].files,
        **INCLUDED,
        "twofactor": CodeStep.wanted(wanted, [], oath.pam_line(wanted)).render(),
    }
    for service, text in (LAYOUTS[layout].services or SERVICES).items():
        protected = protect(service, text, ServiceFiles(files), backends.MODULES).text
        assert opening_file(service, {**files, service: protected}) is None
