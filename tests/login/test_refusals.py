# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that would lock somebody out, or would not have the intended effect, are refused and leave no trace.

The refusal names who or what, and the remedy. It comes from the module's plan, which is the same in check mode, so most
tests run the module in check mode. A few make real runs, and a few run the role, which says the same.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator

import pytest

from hosts import Host
from login import ssh
from login.modules import module, turn_on
from login.modules import options as module_options
from login.people import Person, new_person, playbook, settings, unwrapped
from login.policy import DROP_INS, nothing_changes, off

pytestmark = pytest.mark.release("debian12")

WATCHED = ("/etc", "/usr/local", "/usr/libexec", "/var/lib")

SSHD_CONFIG = "/etc/ssh/sshd_config"
INCLUDE = f"Include {DROP_INS}/*.conf"


@pytest.fixture(scope="module")
def alice(host: Host) -> Person:
    return new_person(host)


@pytest.fixture
def account(host: Host) -> Iterator[Callable[..., Person]]:
    """Make an account for one test. While it exists, every run has to enrol it."""
    made: list[Person] = []

    def make(**how: t.Any) -> Person:
        made.append(new_person(host, **how))
        return made[-1]

    yield make
    for person in made:
        host.run("userdel", "--force", "--remove", person.name)
        host.run("rm", "-f", f"/etc/oath/{person.name}")


@pytest.fixture(params=["check mode", "real run"])
def check(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "check mode")


@pytest.fixture
def key_of_root(host: Host) -> Iterator[None]:
    with file_of(host, "/root/.ssh/authorized_keys", host.key.with_suffix(".pub").read_text(), 0o600):
        yield
    # Otherwise later tests on this host would name root, which has logged in.
    host.run("journalctl --quiet --rotate --vacuum-size=1; : >/var/log/wtmp")


@contextlib.contextmanager
def file_of(host: Host, path: str, text: str, mode: int = 0o644) -> Iterator[None]:
    """Give a file of the host this text for the duration of the block."""
    before = host.read(path) if host.exists(path) else None
    host.write(path, text, mode)
    try:
        yield
    finally:
        if before is None:
            host.run("rm", path)
        else:
            host.write(path, before, mode)


def refusal(alice: Person, *, check: bool = True, people: t.Sequence[Person] = (), **options: t.Any) -> str:
    """Run the module to turn two-factor login on; check that it refuses and changes nothing, and return the message."""
    with nothing_changes(alice, WATCHED):
        done = module(alice.host, "twofactor", module_options(alice, *people, **options), check=check)
        assert not done.ok, done.output
        assert not done.changed, done.output
    return done.message


def refusal_by_role(alice: Person, *arguments: str, **options: t.Any) -> str:
    """Like `refusal` but with the role, and arguments of ansible-playbook; return the output."""
    with nothing_changes(alice, WATCHED):
        run = playbook("enable", alice.host, *arguments, **settings(alice, **options))
        assert run.recap["failed"] == 1, run.output
        assert not run.changed, run.output
        assert "Error while evaluating" not in run.output, run.output
    return unwrapped(run.output)


# Who would be locked out


def test_user_without_an_account_is_refused(alice: Person) -> None:
    said = refusal(alice, users=[alice.entry, {"name": "nosuchuser"}])
    host = alice.host.name
    assert f"there is no account nosuchuser on {host}. Create it first, or take nosuchuser out of users." in said


def test_everyone_without_a_credential_is_named_and_nobody_else(
    alice: Person, account: Callable[..., Person], check: bool
) -> None:
    both, by_password, by_key = account(), account(authorized_key=None), account(password=None)
    neither = account(password=None, authorized_key=None)
    said = refusal(alice, check=check)
    names, _have, advice = said.partition(f" have no credential and would be locked out of sshd on {alice.host.name}. ")
    assert advice.startswith("Enrol them with users, exempt them with exempt_users, or leave ssh false.")
    named = set(names.rpartition("was not changed: ")[2].replace(",", "").split())
    assert {person.name for person in (both, by_password, by_key)} <= named
    assert not {alice.name, neither.name, "ansible"} & named


def test_account_that_ansible_connects_with_is_named_as_such(alice: Person, check: bool) -> None:
    said = refusal_by_role(alice, *["--check"][:check], exempt_users=[])
    assert (
        "ansible, the account that Ansible connects as, has no credential and would be locked out of sshd on "
        f"{alice.host.name}. "
        "Enrol ansible with twofactor_users, exempt ansible with twofactor_exempt_users, or leave twofactor_ssh false."
        in said
    )


@pytest.mark.parametrize(
    ("has", "first_factors", "other"),
    [("password", ["publickey"], "key"), ("key", ["password"], "password")],
    ids=["password and [publickey]", "key and [password]"],
)
def test_account_that_has_no_first_factor_left_is_refused(
    alice: Person, account: Callable[..., Person], has: str, first_factors: list[str], other: str
) -> None:
    lacks = {"key": "authorized_key", "password": "password"}[other]
    person = account(**{lacks: None})
    said = refusal(alice, people=[person], ssh_first_factors=first_factors)
    needs = {"key": "publickey", "password": "password"}[has]
    assert (
        f"{person.name} logs in to sshd on {alice.host.name} with a {has} only, which ssh_first_factors "
        f"({first_factors[0]}) does not allow: {person.name} would be locked out. Add {needs} to ssh_first_factors, "
        f"give {person.name} the other factor, or exempt {person.name} with exempt_users." in said
    )
    assert f"{alice.name} logs in" not in said


def test_account_is_locked_out_of_a_service_by_its_password_alone(
    alice: Person, account: Callable[..., Person]
) -> None:
    with_password, without = account(authorized_key=None), account(password=None)
    said = refusal(alice, ssh=False, services=["su"])
    assert (
        f"{with_password.name} has no credential and would be locked out of su on {alice.host.name}. Enrol "
        f"{with_password.name} with users, exempt {with_password.name} with exempt_users, or leave su out of services."
        in said
    )
    assert without.name not in said


# Root


@pytest.mark.usefixtures("key_of_root")
def test_root_is_refused_under_prohibit_password(alice: Person, check: bool) -> None:
    said = refusal(alice, check=check)
    assert (
        f"root logs in to sshd on {alice.host.name} with a key alone, and with PermitRootLogin without-password "
        "(PermitRootLogin has this value by default) sshd refuses a key together with a code: root would be locked "
        "out. Exempt root with exempt_users, or enrol root and set PermitRootLogin yes." in said
    )
    assert ssh.login(alice.host, "root", key=alice.key, batch=True).ok


@pytest.mark.usefixtures("key_of_root")
def test_root_who_is_enrolled_is_refused_under_prohibit_password_with_its_line(alice: Person) -> None:
    with file_of(alice.host, f"{DROP_INS}/50-site.conf", "\nPermitRootLogin prohibit-password\n"):
        said = refusal(alice, users=[alice.entry, {"name": "root"}])
    assert (
        f"with PermitRootLogin without-password ({DROP_INS}/50-site.conf line 2: PermitRootLogin prohibit-password) "
        "sshd refuses a key together with a code" in said
    )


@pytest.mark.usefixtures("key_of_root", "package")
def test_root_who_is_exempt_gets_in_by_key_alone(alice: Person) -> None:
    turn_on(alice.host, alice, exempt_users=["ansible", "root"])
    try:
        login = ssh.login(alice.host, "root", key=alice.key, batch=True)
        assert (login.ok, login.output) == (True, "root"), login.reason
        assert not alice.by_key().ok
    finally:
        off(alice.host)


@pytest.mark.usefixtures("key_of_root", "package")
def test_root_who_is_enrolled_gets_in_by_key_and_code_under_permit_root_login_yes(alice: Person) -> None:
    root = Person("root", alice.host, alice.key)
    with file_of(alice.host, f"{DROP_INS}/50-site.conf", "PermitRootLogin yes\n"):
        turn_on(alice.host, alice, root)
        try:
            assert not root.by_key().ok
            login = root.by_key(root.code())
            assert (login.ok, login.output) == (True, "root"), login.reason
        finally:
            off(alice.host)


# Obstacles in sshd's configuration


def no_include(config: str) -> str:
    return config.replace(INCLUDE, f"#{INCLUDE}")


def include_in_match(config: str) -> str:
    return no_include(f"Match User nobody\nInclude {DROP_INS}/*-twofactor.conf\nMatch all\n{config}")


def include_after_match(config: str) -> str:
    return f"{no_include(config)}\nMatch User nobody\n    X11Forwarding no\nInclude {DROP_INS}/*-twofactor.conf\n"


def no_pam(config: str) -> str:
    return "UsePAM no\n" + config


def methods_at_the_end(config: str) -> str:
    return f"{config}Match Address 192.0.2.0/24\n    AuthenticationMethods publickey\n"


_NOT_READ = (
    f"{SSHD_CONFIG} does not read {DROP_INS} for everyone: put the line '{INCLUDE}' at its top, before any Match."
)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (no_include, _NOT_READ),
        (include_in_match, _NOT_READ),
        (include_after_match, _NOT_READ),
        (no_pam, f"{SSHD_CONFIG} line 1: UsePAM no keeps PAM, and with it the code, out of sshd; set UsePAM yes."),
        (
            methods_at_the_end,
            f"{SSHD_CONFIG} line {{last}}: AuthenticationMethods publickey sets what fleet.auth has to set; remove it",
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_configuration_of_sshd_that_the_drop_in_cannot_override_is_refused(
    alice: Person, edit: Callable[[str], str], expected: str
) -> None:
    config = edit(alice.host.read(SSHD_CONFIG).decode())
    with file_of(alice.host, SSHD_CONFIG, config):
        said = refusal(alice)
    assert f"on {alice.host.name}, {expected.format(last=len(config.splitlines()))}" in said


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "50-site.conf",
            "# site\nAuthenticationMethods publickey\n",
            "on {host}, {path} line 2: AuthenticationMethods publickey sets what fleet.auth has to set; remove it "
            "(ssh_first_factors says what comes first).",
        ),
        (
            "00-site.conf",
            "Match User *\n    PasswordAuthentication yes\n",
            "on {host}, {path} line 2: PasswordAuthentication yes (under 'Match User *') is read before "
            f"{DROP_INS}/00-twofactor.conf, and wins; move it to a file that sorts after that one.",
        ),
        (
            "50-site.conf",
            "PubkeyAuthentication no\n",
            "sshd on {host} accepts no keys ({path} line 1: PubkeyAuthentication no). Set PubkeyAuthentication yes, or "
            "ssh_first_factors to [password].",
        ),
        (
            "50-site.conf",
            "PasswordAuthentication no\n",
            "sshd on {host} accepts no passwords today ({path} line 1: PasswordAuthentication no), but would accept "
            "a password with a code afterwards. Set ssh_first_factors to [publickey].",
        ),
        ("50-site.conf", "Nonsense yes\n", "sshd on {host} does not report its settings: {path}: line 1: Bad "),
    ],
    ids=["AuthenticationMethods", "earlier Match", "no keys", "no passwords", "does not parse"],
)
def test_drop_in_of_somebody_else_that_conflicts_is_refused(alice: Person, name: str, text: str, expected: str) -> None:
    path = f"{DROP_INS}/{name}"
    with file_of(alice.host, path, text):
        said = refusal(alice)
    assert expected.format(host=alice.host.name, path=path) in said


def test_every_conflict_is_named_in_a_real_run(alice: Person) -> None:
    text = "UsePAM no\nAuthenticationMethods publickey\nPasswordAuthentication no\n"
    with file_of(alice.host, f"{DROP_INS}/50-site.conf", text):
        said = refusal_by_role(alice, "--diff")
    for number, line in enumerate(text.splitlines(), start=1):
        assert f"{DROP_INS}/50-site.conf line {number}: {line}" in said


_REPORTS_PASSWORDS = """#!/bin/bash
set -o pipefail
if [[ -e {drop_in} && $* == *{asked}* ]]; then
    {real} "$@" | sed 's/^passwordauthentication no$/passwordauthentication yes/'
else
    exec -a "$0" {real} "$@"
fi
"""


@contextlib.contextmanager
def sshd_that_reports_passwords(host: Host, asked: str) -> Iterator[None]:
    """An sshd that, with our drop-in and asked with these options, reports that it accepts passwords by itself."""
    sshd, real = "/usr/sbin/sshd", "/usr/sbin/sshd.real"
    host.run("mv", sshd, real)
    text = _REPORTS_PASSWORDS.format(drop_in=f"{DROP_INS}/00-twofactor.conf", asked=asked, real=real)
    host.write(sshd, text, 0o755)
    try:
        yield
    finally:
        host.run("mv", real, sshd)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("asked", ["-T", "-T*user={name},"])
def test_settings_that_do_not_take_effect_are_put_back(
    alice: Person, account: Callable[..., Person], asked: str
) -> None:
    """What sshd reports with the drop-in in place decides, whatever its files seemed to say."""
    host, second = alice.host, account()
    # sshd is asked separately about accounts that the configuration treats differently.
    apart = f"Match User {second.name}\n    X11Forwarding no\n"
    with file_of(host, f"{DROP_INS}/50-site.conf", apart):
        before = host.snapshot(WATCHED)
        with sshd_that_reports_passwords(host, asked.format(name=second.name)):
            # With seen_days, root would be named: it has logged in to this host in other tests.
            refused = module(host, "twofactor", module_options(alice, second, seen_days=0))
        try:
            assert not refused.ok, refused.output
            assert host.snapshot(WATCHED) == before
        finally:
            if refused.ok:
                off(host)
    who = second.name if "user" in asked else "root"
    assert (
        f"Two-factor login on {host.name}: sshd would not do what was meant for {who}: passwordauthentication is 'yes' "
        "instead of 'no', because another part of its configuration wins. Everything was put back as it was."
        in refused.message
    )
    for person in (alice, second):
        assert person.by_password(methods="password").ok
        assert person.by_key(batch=True).ok


# Obstacles in PAM


def test_each_service_file_without_a_definite_place_for_the_code_step_is_refused(alice: Person) -> None:
    files = {
        "none": "auth required pam_env.so\n",
        "ends": "auth sufficient pam_unix.so\n",
        "two": "@include common-auth\nauth include common-auth\n",
        "early": "auth sufficient pam_wheel.so trust\n@include common-auth\n",
        "jump": (
            "auth [success=3 default=ignore] pam_krb5.so\nauth include unix-auth\nauth optional pam_x.so\n"
            "auth required pam_permit.so\n"
        ),
        "chain": "auth include chain-auth\n",
    }
    others = {
        "unix-auth": "auth requisite pam_unix.so\nauth optional pam_cap.so\n",
        "chain-auth": "@include absent-auth\n",
    }
    with contextlib.ExitStack() as there:
        for name, text in {**files, **others}.items():
            there.enter_context(file_of(alice.host, f"/etc/pam.d/{name}", text))
        alice.host.run("ln", "-s", "sudo", "/etc/pam.d/linked")
        there.callback(alice.host.run, "rm", "/etc/pam.d/linked")
        said = refusal(alice, services=[*files, "linked", "gone"])
    host = alice.host.name
    form = (
        "must have exactly one place where it asks for the password: an auth line that includes common-auth, "
        "password-auth, system-auth or another file with pam_unix.so, pam_sss.so or the like, or such a module itself; "
        "found"
    )
    for sentence in (
        f"on {host}, /etc/pam.d/none {form} none. Bring the file to that form, or leave none out.",
        f"on {host}, /etc/pam.d/ends, line 1, can end the authentication before the code is asked for: "
        "'auth sufficient pam_unix.so'. Change that line, or leave ends out.",
        f"on {host}, /etc/pam.d/two {form} line 1: @include common-auth; line 2: auth include common-auth. Bring the "
        "file to that form, or leave two out.",
        f"on {host}, /etc/pam.d/early, line 1, is before the primary authentication and lets people in who have "
        "neither a password nor anything else to prove who they are: 'auth sufficient pam_wheel.so trust'. Change that "
        "line, or leave early out.",
        f"on {host}, /etc/pam.d/jump, line 1, is before the primary authentication and jumps over the code step:",
        f"on {host}, /etc/pam.d/chain-auth, line 1 (included by /etc/pam.d/chain, line 1), includes absent-auth, which "
        "is not there. Put that right, or leave chain out.",
        f"/etc/pam.d/linked on {host} is a symbolic link to /etc/pam.d/sudo, which something else manages. Make it a "
        "file of its own, or leave linked out of the services that ask for codes.",
        f"there is no /etc/pam.d/gone on {host}, nor one in /usr/lib/pam.d. Take gone out of the services that ask "
        "for codes.",
    ):
        assert sentence in said


def test_damaged_block_is_refused_by_enabling_and_disabling(alice: Person) -> None:
    host, path = alice.host, "/etc/pam.d/sshd"
    marker = "# BEGIN fleet.auth twofactor: in place of the next line\n"
    damaged = host.read(path).decode().replace("@include common-auth\n", f"{marker}@include common-auth\n", 1)
    number = damaged.splitlines().index(marker.strip()) + 1
    with file_of(host, path, damaged):
        said = refusal_by_role(alice, "--check")
        disabled = playbook("disable", host)
        assert host.read(path).decode() == damaged
    assert disabled.recap["failed"] == 1
    for text in (said, unwrapped(disabled.output)):
        assert f"on {host.name}, the block of fleet.auth in {path} is damaged (lines {number})." in text
        assert "put it right or remove it by hand, and run again." in text


# Credentials and options


def test_each_damaged_credential_is_refused(alice: Person, account: Callable[..., Person]) -> None:
    key = "3132333435363738393031323334353637383930"
    damages = {
        "holds no token": "",
        "line 1 has a type that pam_oath does not know": f"TOTP {{name}} - {key}\n",
        "line 2 belongs to another user": f"HOTP/T30 {{name}} - {key}\nHOTP/T30 {alice.name} - {key}\n",
        "line 1 is cut short": "HOTP/T30 {name} -\n",
        "line 1 has no hexadecimal key of 1 to 32 bytes": f"HOTP/T30 {{name}} - {key}zz\n",
        "line 1 has a time of the last code that is not like 2026-01-31T12:00:00L": (
            f"HOTP/T30 {{name}} - {key} 0 123456 yesterday\n"
        ),
    }
    people = [account() for _damage in damages]
    for person, text in zip(people, damages.values(), strict=True):
        alice.host.write(f"/etc/oath/{person.name}", text.format(name=person.name), 0o600)
    said = refusal(alice, users=[entry for person in [alice, *people[::2]] for entry in [{"name": person.name}]])
    wrong = sorted((person.name, damage) for person, damage in zip(people, damages, strict=True))
    *first, last = (name for name, _damage in wrong)
    each = "; ".join(f"{name}: {damage}" for name, damage in wrong)
    assert (
        f"the credentials of {', '.join(first)} and {last} on {alice.host.name}, in /etc/oath, are damaged ({each}): "
        "every code is denied. Restore the files, or remove them and enrol them anew." in said
    )
    assert key not in said


BAD_OPTIONS: list[tuple[dict[str, t.Any], dict[str, str], list[str]]] = [
    (
        {
            "otp_digits": 5,
            "window": 11,
            "interval": 45,
            "lockout": {"attempts": 0, "unlock_seconds": 0},
            "time_sync": {"max_error_seconds": 0},
            "services": ["sshd", "login", "common-auth"],
            "scope_groups": ["staff"],
        },
        {"one": "0NLYSOME1SBASE32ISIT", "two": "JBSWY3DPEHPK3PXPJBSWY3DP"},
        [
            "otp_digits is 5; it must be between 6 and 8.",
            "window is 11; it must be between 0 and 10 steps.",
            "interval is 45 seconds and twofactor_otp_digits is 5, which the oath backend (pam_oath.so) cannot do. "
            "oath can do 6 to 8 digits for 30 or 60 seconds, google_authenticator can do 6 digits for 5 to 60 seconds. "
            "Set twofactor_backend to google_authenticator.",
            "lockout.attempts is 0; it must be between 1 and 100.",
            "lockout.unlock_seconds is 0; it must be between 1 and 604800 seconds.",
            "time_sync.max_error_seconds is 0.0; it must be more than 0 and at most 30 seconds.",
            "services names sshd; set twofactor_ssh to true instead, which covers keys as well.",
            "services names login, the console, which is the way back in when a phone is lost. Leave it out, "
            "or set twofactor_allow_console to true.",
            "services: 'common-auth' is not the name of a PAM service",
            "scope_groups is given, but twofactor_scope is everyone; set twofactor_scope to groups, or leave "
            "twofactor_scope_groups out.",
            "users: the secret of one is not base32 (letters A to Z and digits 2 to 7).",
            "users: the secret of two holds 15 bytes; it must hold 16 to 32 (RFC 4226 asks for 128 bits at least).",
        ],
    ),
    (
        {
            "otp_digits": 9,
            "window": -1,
            "interval": 0,
            "lockout": {"attempts": 101, "count_seconds": 604801},
            "time_sync": {"max_error_seconds": 30.5},
            "ssh_first_factors": [],
            "scope": "groups",
            "exempt_addresses": ["192.0.2.7/24"],
            "exempt_users": ["ansible", "a b"],
        },
        {
            "one": "KRUGS4ZANF2CA5DPN4QGY33OM4QGM33SEBUXIIDUN4QGEZJAMEQHGZLDOJSXI",
            "one.new": "JBSWY3DPEHPK3PXPJBSWY3DPE1",
        },
        [
            "otp_digits is 9; it must be between 6 and 8.",
            "window is -1; it must be between 0 and 10 steps.",
            "interval is 0 seconds and twofactor_otp_digits is 9, which no backend can do.",
            "lockout.attempts is 101; it must be between 1 and 100.",
            "lockout.count_seconds is 604801; it must be between 1 and 604800 seconds.",
            "time_sync.max_error_seconds is 30.5; it must be more than 0 and at most 30 seconds.",
            "ssh_first_factors is empty; name publickey, password or both.",
            "scope is groups, but twofactor_scope_groups is empty; name the groups whose members need a code.",
            "exempt_addresses: 192.0.2.7/24 has host bits set; give an address (192.0.2.7) or a network",
            "exempt_users: 'a b' is a name that PAM, sshd or a file cannot hold;",
            "users: the secret of one holds 38 bytes; it must hold 16 to 32",
            "users: the secret of one.new is not base32",
            "users: the name one.new collides with the lock files of pam_oath (*.lock, *.new).",
        ],
    ),
]


@pytest.mark.parametrize(("options", "secrets", "expected"), BAD_OPTIONS, ids=["one", "other"])
def test_every_bad_option_is_refused_with_its_bounds_and_no_secret_is_shown(
    alice: Person, options: dict[str, t.Any], secrets: dict[str, str], expected: list[str]
) -> None:
    users = [{"name": name, "secret": secret} for name, secret in secrets.items()]
    said = refusal_by_role(alice, "--check", "--diff", "-vvvv", **{"users": users, **options})
    assert "Nothing was changed: " in said
    for sentence in expected:
        assert f"twofactor_{sentence}" in said
    for secret in secrets.values():
        assert secret not in said.replace(" ", "")


def test_group_that_does_not_exist_is_refused(alice: Person) -> None:
    said = refusal(alice, scope="groups", scope_groups=["nosuchgroup"])
    assert f"scope_groups: there is no group nosuchgroup on {alice.host.name}, so nobody would need a code." in said
