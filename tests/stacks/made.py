# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random stacks of modules whose results are given."""

from __future__ import annotations

import typing as t

from hypothesis import strategies as st

Texts = dict[str, str]
"""Text of the service files by name; the service itself is `this-door`."""

# Return values of modules, with the names of pam.conf(5) and pam_debug(8).
OUTCOMES = (
    *("success", "success", "auth_err", "auth_err", "ignore", "ignore"),
    *("new_authtok_reqd", "user_unknown", "perm_denied", "maxtries", "cred_insufficient", "authinfo_unavail"),
)
_ACTIONS = ("ok", "done", "bad", "die", "ignore", "reset", "1", "2", "3", "4", "40")
_NAMES = ("this-inner", "this-outer", "this-deep")

_outcomes = st.sampled_from(OUTCOMES)


def _bracketed(parts: list[tuple[str, str]], default: str | None, blanks: str) -> str:
    pairs = [f"{outcome}{blanks}={blanks}{action}" for outcome, action in parts]
    return f"[{' '.join([*pairs, *([f'default={default}'] if default else [])])}]"


_pairs = st.lists(st.tuples(st.sampled_from(sorted(set(OUTCOMES))), st.sampled_from(_ACTIONS)), max_size=3)
_controls = st.one_of(
    st.sampled_from(["required", "requisite", "sufficient", "optional", "REQUIRED", "Sufficient"]),
    st.sampled_from(["required", "requisite", "sufficient", "optional"]),
    st.builds(
        _bracketed, _pairs, st.one_of(st.none(), st.sampled_from(_ACTIONS)), st.sampled_from(["", "", " ", "\\\n"])
    ),
)
_modules = st.one_of(
    _outcomes.map(lambda outcome: f"pam_debug.so auth={outcome}"),
    _outcomes.map(lambda outcome: f"pam_debug.so auth={outcome}"),
    st.sampled_from(
        ["pam_permit.so", "pam_deny.so", "pam_exec.so quiet /bin/true", "pam_exec.so quiet /bin/false", "pam_gone.so"]
    ),
    st.sampled_from(["pam_permit.so [a \\] b]", "pam_deny.so [x", "pam_permit.so \\x", "pam_permit", "PAM_PERMIT.SO"]),
)
_types = st.sampled_from(["auth", "auth", "auth", "auth", "-auth", "AUTH", "\tauth"])
_blanks = st.sampled_from([" ", "\t", "   ", " \\\n  ", "\\\n\t"])
_ends = st.sampled_from(["", "", "", " # a remark", "#x", "\\\n more"])


def _line(kind: str, control: str, module: str, blanks: str, end: str) -> str:
    return f"{kind}{blanks}{control}{blanks}{module}{end}"


# Lines that libpam cannot read, or reads differently from what a person would expect.
ODD = (
    *("\r", "\ufeffauth required pam_permit.so", "athu required pam_permit.so", "sshd auth required pam_permit.so"),
    *("auth required pam_permit.so\r", "auth required\x0bpam_permit.so", "auth\xa0required pam_permit.so", "auth"),
    *("auth required", "auth sufficient", "--auth required pam_permit.so", "-AUTH required pam_gone.so"),
    *("auth mandatory pam_permit.so", "auth required#x pam_permit.so", "auth required pam_permit.so#x", "-athu"),
    *("auth [success=ok pam_permit.so", "auth [success=ok,default=bad] pam_permit.so", "auth [] pam_permit.so"),
    *("auth [success=0 default=ignore] pam_permit.so", "auth [success=-1 default=ignore] pam_permit.so"),
    *("auth [success=01 default=ignore] pam_permit.so", "auth [success=1x default=ignore] pam_permit.so"),
    *("auth [Success=Ok default=ignore] pam_permit.so", "auth [successes=ok default=ignore] pam_permit.so"),
    *("auth [success=well default=ignore] pam_permit.so", "auth [success=okdefault=bad] pam_permit.so"),
    *("auth [success=bad success=ok default=bad] pam_permit.so", "auth [success=ok#x default=bad] pam_permit.so"),
    *("auth [[success=ok default=bad] pam_permit.so", "auth [success=ok \\] default=bad] pam_permit.so"),
    *("auth [success=ok default=bad]pam_permit.so", "auth[success=ok default=bad] pam_permit.so"),
    *("[auth] [sufficient] pam_permit.so", "auth success=ok pam_permit.so", "auth [substack] this-inner"),
    *("auth required [pam_permit.so]", "auth required pam_debug.so [auth=auth_err]"),
    *("account mandatory pam_permit.so", "@INCLUDE this-inner", "-@Include this-inner", "@include this-inner # so"),
    *("@include this-inner this-outer", "@include /etc/pam.d/this-inner", "auth SubStack /etc/pam.d/this-inner"),
)

_steps = st.one_of(
    *[st.builds(_line, _types, _controls, _modules, _blanks, _ends)] * 9,
    st.sampled_from([line for line in ODD if "this-" not in line]),
)
_others = st.sampled_from(
    ["", "# auth required pam_deny.so", "account required pam_deny.so", "@include common-account"]
)


def _includes(names: t.Sequence[str], copied: t.Sequence[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(
            "{}{}{}{}{}".format,
            st.sampled_from(["auth", "auth", "-auth"]),
            _blanks,
            st.sampled_from(["include", "substack", "substack", "SUBSTACK"]),
            _blanks,
            st.sampled_from(names),
        ),
        st.sampled_from(copied).map("@include {}".format),
    )


def _files(names: t.Sequence[str]) -> st.SearchStrategy[str]:
    lines = st.one_of(_steps, _steps, _steps, _includes([*names, "this-gone"], names) if names else _steps, _others)
    return st.builds("{}{}".format, st.lists(lines, max_size=5).map("\n".join), st.sampled_from(["\n", "\n", ""]))


@st.composite
def stacks(draw: st.DrawFn) -> Texts:
    """A service and up to three files that it includes. The files include one another, but not themselves."""
    # Every host has this file.
    texts: Texts = {"common-account": "account required pam_permit.so\n"}
    for name in _NAMES:
        texts[name] = draw(_files(list(texts)[1:]))
    lines = st.one_of(_steps, _steps, _includes([*_NAMES, "this-gone"], [*_NAMES, "this-gone"]), _others)
    texts["this-door"] = "".join(f"{line}\n" for line in draw(st.lists(lines, min_size=1, max_size=6)))
    return texts
