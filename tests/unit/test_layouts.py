# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stacks by pam-auth-update, authselect and pam-config, with any features, can be protected, by a model of libpam."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath
from ansible_collections.fleet.auth.plugins.module_utils._texts import pam, placement
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam_conf import ServiceFiles
from unit.builders import host_files, settings
from unit.model import Pam, _Module

SERVICES = {
    "include": "auth include {stack}\naccount include {stack}\n",
    "include, and more": "auth requisite pam_nologin.so\nauth include {stack}\nauth include postlogin\n",
    "substack": "auth substack {stack}\nauth include postlogin\n",
    "su": "auth sufficient pam_rootok.so\nauth substack {stack}\nauth include postlogin\n",
    "@include": "auth optional pam_faildelay.so delay=3000000\n@include {stack}\nauth optional pam_group.so\n",
}
POSTLOGIN = "auth optional pam_umask.so silent\n"


def authselect(profile: str, features: t.Collection[str]) -> str:
    """The auth stack of system-auth in a profile with these features; authselect-profiles(5)."""
    faillock = "faillock" in features
    cards = profile == "sssd" and "smartcard" in features
    regular = "[default=1 ignore=ignore success=ok]"
    lines = ["required pam_env.so", "required pam_faildelay.so delay=2000000"]
    if cards and "required" in features:
        lines += ["[success=1 default=ignore] pam_succeed_if.so service notin login:gdm quiet use_uid"]
        lines += ["[success=done ignore=ignore default=die] pam_sss.so require_cert_auth ignore_authinfo_unavail"]
    lines += ["required pam_faillock.so preauth silent"] * faillock
    lines += ["sufficient pam_fprintd.so"] * ("fingerprint" in features)
    lines += ["sufficient pam_u2f.so cue"] * ("u2f" in features)
    lines += ["required pam_u2f.so cue nouserok"] * ("u2f-2fa" in features)
    if profile in ("sssd", "winbind"):
        lines += [f"{regular} pam_usertype.so isregular"]
        lines += [f"[default={2 if cards else 1} ignore=ignore success=ok] pam_localuser.so"]
    if cards:
        lines += ["[success=done authinfo_unavail=ignore user_unknown=ignore ignore=ignore default=die] pam_sss.so try"]
    lines += ["sufficient pam_unix.so nullok"]
    if profile == "nis":
        lines += ["requisite pam_succeed_if.so uid >= 1000 quiet_success"]
    if profile in ("sssd", "winbind"):
        module = {"sssd": "pam_sss.so forward_pass", "winbind": "pam_winbind.so use_first_pass"}[profile]
        lines += [f"{regular} pam_usertype.so isregular", f"sufficient {module}"]
    lines += ["required pam_faillock.so authfail"] * faillock
    lines += ["optional pam_gnome_keyring.so only_if=login auto_start"] * ("keyring" in features)
    return _file([*lines, "required pam_deny.so"])


def pam_auth_update(primary: t.Sequence[str], before: t.Sequence[str] = (), after: t.Sequence[str] = ()) -> str:
    """common-auth with these primary modules and control flags, in which `end` is a jump to the end of the block."""
    first, *others = primary
    primary = [first.replace(" use_first_pass", ""), *others]
    left = range(len(primary), 0, -1)
    lines = [line.replace("end", str(number)) for line, number in zip(primary, left, strict=True)]
    return _file([*before, *lines, "requisite pam_deny.so", "required pam_permit.so", *after])


def pam_config(modules: t.Sequence[str], before: t.Sequence[str] = (), after: t.Sequence[str] = ()) -> str:
    """common-auth-pc with these modules; each of them is sufficient, except the last one, which is required."""
    *others, last = modules
    lines = ["required pam_env.so", *before, *(f"sufficient {one}" for one in others), f"required {last}", *after]
    return _file(lines)


def _file(lines: t.Iterable[str]) -> str:
    return "".join(f"auth\t{line}\n" for line in lines)


def _authselect() -> Iterator[tuple[str, str]]:
    sets = itertools.product(["", "faillock"], ["", "fingerprint"], ["", "u2f", "u2f-2fa"], ["", "keyring"])
    for profile, features in itertools.product(["local", "sssd", "winbind", "nis"], sets):
        yield f"authselect {' '.join(filter(None, [profile, *features]))}", authselect(profile, features)
    for more in (["smartcard"], ["smartcard", "required"], ["smartcard", "faillock"]):
        yield f"authselect sssd {' '.join(more)}", authselect("sssd", more)


UNIX = "[success=end default=ignore] pam_unix.so nullok try_first_pass"
OTHERS = {
    "sss": "[success=end default=ignore] pam_sss.so use_first_pass",
    "ldap": "[success=end authinfo_unavail=ignore default=ignore] pam_ldap.so minimum_uid=1000 use_first_pass",
    "krb5": "[success=end default=ignore] pam_krb5.so minimum_uid=1000",
    "winbind": "[success=end default=ignore] pam_winbind.so krb5_auth try_first_pass",
    "fprintd": "[success=end default=ignore] pam_fprintd.so max-tries=1 timeout=10",
    "authd": "[success=end ignore=ignore default=die authinfo_unavail=ignore] pam_authd.so",
    "himmelblau": "[success=end default=ignore] pam_himmelblau.so ignore_unknown_user",
    "u2f": "[success=end default=ignore] pam_u2f.so cue",
}
ADDITIONAL = ["optional pam_cap.so", "optional pam_gnome_keyring.so", "required pam_ecryptfs.so unwrap"]
LOCKING = ["requisite pam_faillock.so preauth silent", "required pam_faillock.so preauth silent"]


def _pam_auth_update() -> Iterator[tuple[str, str]]:
    yield "pam-auth-update unix", pam_auth_update([UNIX])
    for name, line in OTHERS.items():
        yield f"pam-auth-update {name} unix", pam_auth_update([line, UNIX], after=ADDITIONAL[:2])
        yield f"pam-auth-update unix {name}", pam_auth_update([UNIX, line], after=ADDITIONAL[2:])
        for locking in LOCKING:
            lines = [line, UNIX, "[default=die] pam_faillock.so authfail"]
            yield f"pam-auth-update {name} {locking[:9]} faillock", pam_auth_update(lines, [locking], ADDITIONAL)
    several = [OTHERS["fprintd"], OTHERS["krb5"], UNIX, OTHERS["sss"], OTHERS["ldap"]]
    yield "pam-auth-update several", pam_auth_update(several, after=ADDITIONAL)


def _pam_config() -> Iterator[tuple[str, str]]:
    unix = "pam_unix.so try_first_pass"
    yield "pam-config unix", pam_config([unix])
    yield (
        "pam-config unix and more",
        pam_config([unix], ["optional pam_gnome_keyring.so"], ["optional pam_ecryptfs.so"]),
    )
    for name, module in {
        "sss": "pam_sss.so use_first_pass ignore_unknown_user ignore_authinfo_unavail",
        "ldap": "pam_ldap.so use_first_pass",
        "krb5": "pam_krb5.so use_first_pass",
        "winbind": "pam_winbind.so use_first_pass",
    }.items():
        yield f"pam-config unix {name}", pam_config([unix, module])
        yield f"pam-config fprintd unix {name}", pam_config(["pam_fprintd.so", unix, module])


STACKS = dict([*_authselect(), *_pam_auth_update(), *_pam_config()])
FORMS = {
    "authselect": ("include", "substack", "su", "include, and more"),
    "pam-auth-update": ("@include", "substack", "include"),
    "pam-config": ("include", "substack", "su"),
}
CASES = [(name, forms[n % len(forms)]) for n, name in enumerate(STACKS) for forms in [FORMS[name.split()[0]]]]


@dataclasses.dataclass
class Walk(Pam):
    """An authentication in which some modules have given outcomes."""

    told: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def _run(self, module: _Module) -> str:
        return self.told.get(module.name) or super()._run(module)


def outcomes(files: t.Mapping[str, str]) -> Iterator[dict[str, str]]:
    """All combinations of outcomes of those modules in these files that the model does not decide."""
    words = [word for text in files.values() for word in text.split()]
    open_ones = sorted({word for word in words if word.startswith("pam_")} - KNOWN)
    found = [("success", "auth_err") if one in CONDITIONS else ("success", "auth_err", "ignore") for one in open_ones]
    for ends in itertools.product(*found):
        yield dict(zip(open_ones, ends, strict=True))


KNOWN = {f"pam_{name}.so" for name in ("deny", "env", "exec", "faildelay", "faillock", "nologin", "permit", "rootok")}
CONDITIONS = {"pam_localuser.so", "pam_succeed_if.so", "pam_usertype.so", "pam_umask.so", "pam_group.so", "pam_cap.so"}
FIRST_FACTORS = ("unix", "sss", "ldap", "krb5", "winbind", "fprintd", "authd", "himmelblau", "u2f")


@pytest.mark.parametrize(("name", "form"), CASES)
def test_right_code_lets_in_exactly_those_who_got_in_before(name: str, form: str) -> None:
    stack = "common-auth" if name.startswith("pam-") else "system-auth"
    found = {stack: STACKS[name], "postlogin": POSTLOGIN, "door": SERVICES[form].format(stack=stack)}
    protected = pam.protect("door", found["door"], ServiceFiles(found), backends.MODULES).text
    before = {f"{places.PAM_D}/{one}": text for one, text in found.items()}
    wanted = settings()
    step = CodeStep.wanted(wanted, [], oath.pam_line(wanted)).render()
    after = {**before, **host_files(self_service=False), f"{places.PAM_D}/door": protected, places.SWITCH: step}
    for told, locked in itertools.product(outcomes(found), [False, True]):

        def walk(files: t.Mapping[str, str], code: bool, told: dict[str, str] = told, locked: bool = locked) -> Walk:
            return Walk(
                files=files,
                service="door",
                user="bob",
                groups=("bob",),
                address="",
                code=code,
                credentials=["bob"],
                locked=locked,
                told=told,
            )

        as_it_was, right, wrong = walk(before, code=True), walk(after, code=True), walk(after, code=False)
        let_in = as_it_was.authenticate()
        assert right.authenticate() == let_in, told
        assert not wrong.authenticate(), told
        assert ("code" in right.asked) or not let_in
        first_factors = [told[one] for one in told if one[4:-3] in FIRST_FACTORS]
        if set(first_factors) == {"auth_err"} or (locked and "faillock" in name):
            assert "code" not in wrong.asked, told


LOGGING = "auth optional pam_exec.so seteuid /usr/local/bin/log-login\n"


@pytest.mark.parametrize(("name", "form"), CASES)
def test_other_factors_are_only_those_asked_in_addition_to_the_password(name: str, form: str) -> None:
    stack = "common-auth" if name.startswith("pam-") else "system-auth"
    door = f"{LOGGING}{SERVICES[form].format(stack=stack)}{LOGGING}"
    files = ServiceFiles({stack: LOGGING + STACKS[name] + LOGGING, "postlogin": POSTLOGIN, "door": door})
    block = pam.protect("door", door, files, backends.MODULES).block
    named = [one.line.split("pam_")[1] for one in placement.other_factors(block, files)]
    assert named == (["u2f.so cue nouserok"] if "u2f-2fa" in name else [])
