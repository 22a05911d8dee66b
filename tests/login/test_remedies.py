# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a refusal says to do is done, as it is said, and the next run goes through.

In check mode, which plans as a run does. What takes a login to show is where that is tested.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator

import pytest

from hosts import Host
from login.modules import module, options
from login.people import Person, new_person
from login.policy import somebody

pytestmark = pytest.mark.usefixtures("package")
DROP_INS = "/etc/ssh/sshd_config.d"
CONFIG = "/etc/ssh/sshd_config"
OATH = "install -d -m 0700 /etc/oath"

Options = dict[str, t.Any]
Remedy = Callable[[Host, Person, str], Options]
"""Does what a message says for somebody, and returns the options that the next run has instead."""


def by(**instead: t.Any) -> Remedy:
    """Other options, where NAME stands for whom the refusal is about."""

    def remedy(_host: Host, other: Person, _said: str) -> Options:
        return {
            option: [other.name if one == "NAME" else one for one in value] if isinstance(value, list) else value
            for option, value in instead.items()
        }

    return remedy


def on_the_host(script: str) -> Remedy:
    """A shell script, where $1 is whom the refusal is about, and $2 what it says."""

    def remedy(host: Host, other: Person, said: str) -> Options:
        host.run("sh", "-euc", script, "sh", other.name, said)
        return {}

    return remedy


def enrolled(_host: Host, other: Person, _said: str) -> Options:
    """Enrol whom the refusal is about as well."""
    return {"more": [other.entry]}


def as_the_message_has_it(pattern: str) -> Remedy:
    """Run a command on the host that the message shows."""

    def remedy(host: Host, _other: Person, said: str) -> Options:
        found = re.search(pattern, said)
        assert found, said
        host.run(found[1])
        return {}

    return remedy


class Case(t.NamedTuple):
    """How a host comes to be refused, what is said then, and all that it says to do.

    In `script`, $1 is whom the refusal is about.
    """

    script: str
    said: str
    remedies: tuple[Remedy, ...]
    options: Options = {}  # noqa: RUF012
    account: Options | None = None
    """The other account, if there is one."""


CASES = {
    "no account": Case(
        "",
        "Create it first, or take gone out of users.",
        (on_the_host("useradd gone"), by(users=None)),
        {"users": [{"name": "gone"}]},
    ),
    "no credential": Case(
        "",
        "Enrol {name} with users, exempt {name} with exempt_users, or leave ssh false.",
        (enrolled, by(exempt_users=["ansible", "NAME"]), by(ssh=False)),
        account={},
    ),
    "no credential for a service": Case(
        "",
        "or leave su out of services.",
        (enrolled, by(services=[])),
        {"services": ["su"], "ssh": False},
        {"authorized_key": None},
    ),
    "a password alone": Case(
        "",
        "Add password to ssh_first_factors, give {name} the other factor, or exempt {name} with exempt_users.",
        (
            by(ssh_first_factors=["publickey", "password"]),
            by(exempt_users=["ansible", "NAME"]),
            on_the_host('install -D -o "$1" -m 0600 ~ansible/.ssh/authorized_keys "/home/$1/.ssh/authorized_keys"'),
        ),
        {"ssh_first_factors": ["publickey"], "both": True},
        {"authorized_key": None},
    ),
    "no Include": Case(
        f"sed -i 's/^Include/#Include/' {CONFIG}",
        "put the line 'Include /etc/ssh/sshd_config.d/*.conf' at its top, before any Match.",
        (on_the_host(f"sed -i '1i Include {DROP_INS}/*.conf' {CONFIG}"),),
    ),
    "UsePAM": Case(
        f"sed -i '1i UsePAM no' {CONFIG}",
        f"{CONFIG} line 1: UsePAM no keeps PAM, and with it the code, out of sshd; set UsePAM yes.",
        (on_the_host(f"sed -i '1s/.*/UsePAM yes/' {CONFIG}"),),
    ),
    "AuthenticationMethods": Case(
        f"printf '#\\nAuthenticationMethods publickey\\n' >{DROP_INS}/50-site.conf",
        f"{DROP_INS}/50-site.conf line 2: AuthenticationMethods publickey decides what fleet.auth has to; remove it",
        (on_the_host(f"sed -i 2d {DROP_INS}/50-site.conf"),),
    ),
    "a drop-in that wins": Case(
        f"printf 'Match User *\\n PasswordAuthentication yes\\n' >{DROP_INS}/00-site.conf",
        "wins; let that file sort after it.",
        (on_the_host(f"mv {DROP_INS}/00-site.conf {DROP_INS}/50-site.conf"),),
    ),
    "no keys": Case(
        f"echo PubkeyAuthentication no >{DROP_INS}/50-site.conf",
        "Set PubkeyAuthentication yes, or ssh_first_factors to [password].",
        (
            on_the_host(f"echo PubkeyAuthentication yes >{DROP_INS}/50-site.conf"),
            by(ssh_first_factors=["password"]),
        ),
    ),
    "no passwords": Case(
        f"echo PasswordAuthentication no >{DROP_INS}/50-site.conf",
        "Set ssh_first_factors to [publickey].",
        (by(ssh_first_factors=["publickey"]),),
    ),
    "names of addresses": Case(
        f"echo UseDNS yes >{DROP_INS}/50-site.conf",
        "Set UseDNS no, or leave exempt_addresses out.",
        (on_the_host(f"echo UseDNS no >{DROP_INS}/50-site.conf"), by(exempt_addresses=[])),
        {"exempt_addresses": ["192.0.2.1"]},
    ),
    "no service": Case(
        "",
        "nor one in /usr/lib/pam.d. Take gone out.",
        (by(services=[]),),
        {"services": ["gone"]},
    ),
    "a service that is a link": Case(
        "ln -s sudo /etc/pam.d/found",
        "/etc/pam.d/sudo, which something else manages. Make it a file of its own, or leave found out.",
        (on_the_host("cp --remove-destination /etc/pam.d/sudo /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "a line that gets past the code": Case(
        "printf 'auth sufficient pam_wheel.so trust\\n@include common-auth\\n' >/etc/pam.d/found",
        "Change that line, or leave found out.",
        (on_the_host("sed -i 's/sufficient/required/' /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "a line that libpam cannot read": Case(
        "printf '\\357\\273\\277#%%PAM-1.0\\r\\n@include common-auth\\n' >/etc/pam.d/found",
        "so that libpam takes it for a failure. Put that right, or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "carriage returns": Case(
        "printf '@include common-auth\\r\\naccount required pam_unix.so\\r\\n' >/etc/pam.d/found",
        "/etc/pam.d/found, line 1, names 'common-auth\\r', with a carriage return at its end, and libpam knows nothing "
        "of that name. Save the file with the line ends of Unix (sed -i 's/\\r$//' /etc/pam.d/found), or leave found "
        "out.",
        (as_the_message_has_it("[(](sed .*?)[)]"), by(services=[])),
        {"services": ["found"]},
    ),
    "a password for which nothing asks": Case(
        """printf 'auth %s\n' >/etc/pam.d/found 'optional pam_exec.so /bin/true' \
            '[success=1 default=ignore] pam_unix.so use_first_pass' 'requisite pam_deny.so' 'required pam_permit.so'
        """,
        "Take use_first_pass out of it, so that it asks for the password itself, or leave found out.",
        (on_the_host("sed -i 's/ use_first_pass//' /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "an include by another path": Case(
        "echo auth include /etc/../etc/pam.d/common-auth >/etc/pam.d/found",
        "includes /etc/../etc/pam.d/common-auth, which is not there, or is a file of /etc/pam.d by another path. Name "
        "a file that is there, and one of /etc/pam.d by its name alone, or leave found out.",
        (on_the_host("sed -i s,/etc.*pam.d/,, /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "a line that goes on in a remark": Case(
        "printf 'auth required \\\\\\n# why\\npam_env.so\\n@include common-auth\\n' >/etc/pam.d/found",
        "/etc/pam.d/found: line 1 goes on in a line that is empty or a remark. Write it in one line, or leave",
        (on_the_host("sed -i -e '1s/.*/auth required pam_env.so/' -e 2,3d /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "an include that is not there": Case(
        "printf 'auth include gone\\n@include common-auth\\n' >/etc/pam.d/found",
        "/etc/pam.d/found, line 1, includes gone, which is not there. Put that right, or leave found out.",
        (on_the_host("echo auth required pam_env.so >/etc/pam.d/gone"), by(services=[])),
        {"services": ["found"]},
    ),
    "a hard link": Case(
        "ln /etc/pam.d/sshd /etc/ssh/another-name",
        "Find it with 'find /etc -xdev -samefile /etc/pam.d/sshd', and remove it, or make it a copy.",
        (
            on_the_host("find /etc -xdev -samefile /etc/pam.d/sshd | grep -v '^/etc/pam.d/sshd$' | xargs rm"),
            on_the_host("cp /etc/ssh/another-name /etc/pam.d/copy; mv /etc/pam.d/copy /etc/pam.d/sshd"),
        ),
    ),
    "an attribute": Case(
        "chattr +i /etc/pam.d/sshd",
        "/etc/pam.d/sshd on {host} is immutable (chattr +i), and has to be changed. Run there: chattr -i",
        (as_the_message_has_it("Run there: (.*)[.]$"),),
    ),
    "another PAM service": Case(
        f"echo PAMServiceName other >{DROP_INS}/50-site.conf",
        "has sshd ask another PAM service than sshd, which asks for no code; remove it, or set it to sshd.",
        (
            on_the_host(f"sed -i 1d {DROP_INS}/50-site.conf"),
            on_the_host(f"echo PAMServiceName sshd >{DROP_INS}/50-site.conf"),
        ),
    ),
    "no line for auth": Case(
        "echo account required pam_unix.so >/etc/pam.d/found",
        "Add 'auth include' with the file that asks for the password, or leave found out.",
        (on_the_host("echo auth include common-auth >>/etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "two places": Case(
        "printf '@include common-auth\n@include common-auth\n' >/etc/pam.d/found",
        "/etc/pam.d/found must have exactly one place where it asks for the password",
        (on_the_host("sed -i 2d /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "a long line": Case(
        "printf 'auth required pam_env.so %01100d\n@include common-auth\n' 0 >/etc/pam.d/found",
        "/etc/pam.d/found: line 1 has more than 1000 characters, or a NUL. Write a shorter one, or leave found out.",
        (on_the_host("sed -i '1s/ 0*$//' /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "an include of itself": Case(
        "printf 'auth include found\n@include common-auth\n' >/etc/pam.d/found",
        "includes found, in which it is included itself. Put that right, or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "a line before the code of another service": Case(
        "printf 'auth sufficient pam_wheel.so trust\nauth include sudo\n' >/etc/pam.d/found",
        "/etc/pam.d/found includes sudo, which would ask for codes, and /etc/pam.d/found, line 1, lets people in",
        (on_the_host("sed -i 's/sufficient/required/' /etc/pam.d/found"), by(services=["sudo"])),
        {"services": ["sudo", "found"], "ssh": False},
    ),
    "a code of its own": Case(
        "printf 'auth required pam_oath.so usersfile=/etc/users.oath\n@include common-auth\n' >/etc/pam.d/found",
        "or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), by(services=[])),
        {"services": ["found"]},
    ),
    "half a block": Case(
        "printf '# BEGIN fleet.auth twofactor: in place of the next line\n@include common-auth\n' >/etc/pam.d/found",
        "put it right or remove it by hand, and run again.",
        (on_the_host("sed -i 1d /etc/pam.d/found"),),
        {"services": ["found"]},
    ),
    "a client that answers each prompt": Case(
        "echo @include common-auth >/etc/pam.d/dovecot",
        "Take dovecot out of services.",
        (by(services=[]),),
        {"services": ["dovecot"]},
    ),
    "no group of security keys": Case(
        "",
        "security_keys_only_groups: there is no group gone on {host}. Create it first, or leave it out.",
        (on_the_host("groupadd gone"), by(security_keys_only_groups=[])),
        {"security_keys_only_groups": ["gone"]},
    ),
    "a credential that pam_oath cannot read": Case(
        f"{OATH}; echo nonsense >/etc/oath/$1; chmod 600 /etc/oath/$1",
        "every code is denied. Restore the file, or remove it and enrol {name} anew.",
        (
            on_the_host('printf "HOTP/T30/6\t$1\t-\t%040d\n" 1 >/etc/oath/$1'),
            on_the_host("rm /etc/oath/$1"),
        ),
    ),
    "no time-based token": Case(
        f"{OATH}; printf 'HOTP/E/6\t%s\t-\t%040d\t0\n' $1 1 >/etc/oath/$1; chmod 600 /etc/oath/$1",
        "holds no time-based token. Add one, or remove the file and enrol {name} anew.",
        (
            on_the_host('printf "HOTP/T30/6\t$1\t-\t%040d\n" 2 >>/etc/oath/$1'),
            on_the_host("rm /etc/oath/$1"),
        ),
    ),
    "a file that only grows": Case(
        "chattr +a /etc/pam.d/sshd",
        "/etc/pam.d/sshd on {host} is append-only (chattr +a), and has to be changed. Run there: chattr -a",
        (as_the_message_has_it("Run there: (.*)[.]$"),),
    ),
    "no group": Case(
        "",
        "there is no group gone on {host}",
        (on_the_host("groupadd gone"), by(scope="everyone", scope_groups=[])),
        {"scope": "groups", "scope_groups": ["gone"]},
    ),
}
SAVE = "mkdir /root/before && cp -a /etc/pam.d /etc/ssh /root/before"
RESTORE = """
chattr -f -ia /etc/pam.d/sshd
rm -rf /etc/oath
for name in pam.d ssh; do rm -rf /etc/$name; cp -a /root/before/$name /etc; done
userdel gone; groupdel gone; true
"""


@pytest.fixture(scope="module")
def alice(host: Host) -> Iterator[Person]:
    host.install("e2fsprogs")
    with somebody(host) as person:
        host.run(SAVE)
        yield person
        host.run("rm", "-r", "/root/before")


@pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module")
@pytest.mark.parametrize("name", CASES)
def test_what_a_refusal_says_to_do_is_what_it_takes(host: Host, alice: Person, name: str) -> None:
    case = CASES[name]
    other = alice if case.account is None else new_person(host, **case.account)
    given = dict(case.options)
    more = [other] if given.pop("both", False) else []
    users = [alice.entry, *(one.entry for one in more), *given.pop("users", [])]
    wanted = options(users=users, seen_days=0, **given)
    try:
        host.run("sh", "-euc", case.script, "sh", other.name)
        refused = module(host, "twofactor", wanted, check=True)
        assert not refused.ok, refused.output
        assert case.said.format(name=other.name, host=host.name) in refused.message
        for remedy in case.remedies:
            instead = remedy(host, other, refused.message)
            if "users" in instead:
                instead["users"] = [alice.entry]
            together = {**wanted, "users": [*users, *instead.pop("more", [])], **instead}
            done = module(host, "twofactor", together, check=True)
            assert done.ok, done.output
            host.run(RESTORE)
            host.run("sh", "-euc", case.script, "sh", other.name)
    finally:
        host.run(RESTORE)
        if other is not alice:
            host.run("userdel", "--force", "--remove", other.name)
