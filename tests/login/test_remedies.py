# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The remedies that a refusal names are carried out as written, and the next run succeeds.

The runs are in check mode, which makes the same plan. Remedies whose effect only a login shows are tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyotp
import pytest

from hosts import Host
from login.people import Person
from login.policy import DROP_INS, somebody
from login.remedies import Case, both, carry_out, command_in_the_message, enrolled, on_the_host, using
from unit.builders import security_key

pytestmark = pytest.mark.usefixtures("package")
CONFIG = "/etc/ssh/sshd_config"
OATH = "install -d -m 0700 /etc/oath"
COCKPIT = "mkdir /etc/cockpit; echo @include common-auth >/etc/pam.d/cockpit"
KEYTAB = (
    r"printf '\005\002\0\0\0\036\0\002\0\001R\0\004HTTP\0\004web1\0\0\0\001\0\0\0\0\001\0\022\0\0'"
    " >/etc/cockpit/krb5.keytab"
)
"""A keytab with one entry, for HTTP/web1@R."""
NO_SYSTEMD = "mv /run/systemd/system /run/systemd/away"
"""sd_booted(3) looks for this directory to tell whether systemd runs."""
OTHER_SECRET = pyotp.random_base32()
SECURITY_KEY = security_key(1)

CASES = {
    "no account": Case(
        "",
        "Create it first, or take gone out of users.",
        (on_the_host("useradd gone"), using(users=None)),
        {"users": [{"name": "gone"}]},
    ),
    "no credential": Case(
        "",
        "Enrol {name} with users, exempt {name} with exempt_users, or leave ssh false.",
        (enrolled, using(exempt_users=["ansible", "NAME"]), using(ssh=False)),
        account={},
    ),
    "no credential for a service": Case(
        "",
        "or leave su out of services.",
        (enrolled, using(services=[])),
        {"services": ["su"], "ssh": False},
        {"authorized_key": None},
    ),
    "a password alone": Case(
        "",
        "Add password to ssh_first_factors, give {name} the other factor, or exempt {name} with exempt_users.",
        (
            using(ssh_first_factors=["publickey", "password"]),
            using(exempt_users=["ansible", "NAME"]),
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
        f"{DROP_INS}/50-site.conf line 2: AuthenticationMethods publickey sets what fleet.auth has to set; remove it",
        (on_the_host(f"sed -i 2d {DROP_INS}/50-site.conf"),),
    ),
    "a drop-in that wins": Case(
        f"printf 'Match User *\\n PasswordAuthentication yes\\n' >{DROP_INS}/00-site.conf",
        "wins; move it to a file that sorts after that one.",
        (on_the_host(f"mv {DROP_INS}/00-site.conf {DROP_INS}/50-site.conf"),),
    ),
    "no keys": Case(
        f"echo PubkeyAuthentication no >{DROP_INS}/50-site.conf",
        "Set PubkeyAuthentication yes, or ssh_first_factors to [password].",
        (
            on_the_host(f"echo PubkeyAuthentication yes >{DROP_INS}/50-site.conf"),
            using(ssh_first_factors=["password"]),
        ),
    ),
    "no passwords": Case(
        f"echo PasswordAuthentication no >{DROP_INS}/50-site.conf",
        "Set ssh_first_factors to [publickey].",
        (using(ssh_first_factors=["publickey"]),),
    ),
    "names of addresses": Case(
        f"echo UseDNS yes >{DROP_INS}/50-site.conf",
        "Set UseDNS no, or leave exempt_addresses out.",
        (on_the_host(f"echo UseDNS no >{DROP_INS}/50-site.conf"), using(exempt_addresses=[])),
        {"exempt_addresses": ["192.0.2.1"]},
    ),
    "no service": Case(
        "",
        "nor one in /usr/lib/pam.d. Take gone out of the services that ask for codes.",
        (using(services=[]),),
        {"services": ["gone"]},
    ),
    "a service that is a link": Case(
        "ln -s sudo /etc/pam.d/found",
        "/etc/pam.d/sudo, which something else manages. Make it a file of its own, or leave found out of the services "
        "that ask for codes.",
        (on_the_host("cp --remove-destination /etc/pam.d/sudo /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a service that is a directory": Case(
        "mkdir /etc/pam.d/found",
        "/etc/pam.d/found on {host} is a directory, not a file. Put the file itself there, or leave found out of the "
        "services that ask for codes.",
        (on_the_host("rmdir /etc/pam.d/found; echo @include common-auth >/etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a directory of the name of the drop-in, and a link to itself, which is in nobody's way": Case(
        f"mkdir {DROP_INS}/00-twofactor.conf; ln -s loop /etc/pam.d/loop",
        f"{DROP_INS}/00-twofactor.conf on {{host}} is a directory, and fleet.auth needs a file of that name. Move it",
        (on_the_host(f"mv {DROP_INS}/00-twofactor.conf /etc/ssh/away"),),
    ),
    "no systemd for the timer": Case(
        NO_SYSTEMD,
        "Set rollback_after to 0 to go on without a timer.",
        (using(rollback_after=0),),
        {"rollback_after": 60},
    ),
    "no systemd for the page": Case(
        NO_SYSTEMD,
        "Leave self_service false.",
        (using(self_service=False),),
        {"self_service": True},
    ),
    "a code step of somebody else": Case(
        "echo 'auth required pam_oath.so usersfile=/etc/users.oath' >/etc/pam.d/twofactor",
        "/etc/pam.d/twofactor on {host} is not a file of fleet.auth, which needs this path. Move it to another path",
        (on_the_host("mv /etc/pam.d/twofactor /etc/pam.d/by-hand"),),
    ),
    "a file of the name of the credentials' directory": Case(
        "echo notes >/etc/oath",
        "/etc/oath on {host} is a file, and fleet.auth needs a directory of that name. Move it away, and run again.",
        (on_the_host("mv /etc/oath /etc/ssh/away"),),
    ),
    "a line that gets past the code": Case(
        "printf 'auth sufficient pam_wheel.so trust\\n@include common-auth\\n' >/etc/pam.d/found",
        "Change that line, or leave found out.",
        (on_the_host("sed -i 's/sufficient/required/' /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a line that libpam cannot read": Case(
        "printf '\\357\\273\\277#%%PAM-1.0\\r\\n@include common-auth\\n' >/etc/pam.d/found",
        "so libpam treats it as a failure. Put that right, or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "carriage returns": Case(
        "printf '@include common-auth\\r\\naccount required pam_unix.so\\r\\n' >/etc/pam.d/found",
        "/etc/pam.d/found, line 1, names 'common-auth\\r', with a carriage return at its end, and libpam does not know "
        "that name. Save the file with the line ends of Unix (sed -i 's/\\r$//' /etc/pam.d/found), or leave found "
        "out.",
        (command_in_the_message("[(](sed .*?)[)]"), using(services=[])),
        {"services": ["found"]},
    ),
    "a password for which nothing asks": Case(
        """printf 'auth %s\n' >/etc/pam.d/found 'optional pam_exec.so /bin/true' \
            '[success=1 default=ignore] pam_unix.so use_first_pass' 'requisite pam_deny.so' 'required pam_permit.so'
        """,
        "Remove use_first_pass from it, so that it asks for the password itself, or leave found out.",
        (on_the_host("sed -i 's/ use_first_pass//' /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "an include by another path": Case(
        "echo auth include /etc/../etc/pam.d/common-auth >/etc/pam.d/found",
        "includes /etc/../etc/pam.d/common-auth, which is not there, or is a file of /etc/pam.d under another path. "
        "Name a file that is there, and a file of /etc/pam.d by its name alone, or leave found out.",
        (on_the_host("sed -i s,/etc.*pam.d/,, /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a line that goes on in a remark": Case(
        "printf 'auth required \\\\\\n# why\\npam_env.so\\n@include common-auth\\n' >/etc/pam.d/found",
        "/etc/pam.d/found: line 1 is continued on an empty line or a comment. Write it on one line, or leave",
        (
            on_the_host("sed -i -e '1s/.*/auth required pam_env.so/' -e 2,3d /etc/pam.d/found"),
            using(services=[]),
        ),
        {"services": ["found"]},
    ),
    "an include that is not there": Case(
        "printf 'auth include gone\\n@include common-auth\\n' >/etc/pam.d/found",
        "/etc/pam.d/found, line 1, includes gone, which is not there. Put that right, or leave found out.",
        (on_the_host("echo auth required pam_env.so >/etc/pam.d/gone"), using(services=[])),
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
        (command_in_the_message("Run there: (.*)[.]$"),),
    ),
    "another PAM service": Case(
        f"echo PAMServiceName other >{DROP_INS}/50-site.conf",
        "makes sshd use another PAM service than sshd, which asks for no code; remove it, or set it to sshd.",
        (
            on_the_host(f"sed -i 1d {DROP_INS}/50-site.conf"),
            on_the_host(f"echo PAMServiceName sshd >{DROP_INS}/50-site.conf"),
        ),
    ),
    "no line for auth": Case(
        "echo account required pam_unix.so >/etc/pam.d/found",
        "Add 'auth include' with the file that asks for the password, or leave found out.",
        (on_the_host("echo auth include common-auth >>/etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "two places": Case(
        "printf '@include common-auth\n@include common-auth\n' >/etc/pam.d/found",
        "/etc/pam.d/found must have exactly one place where it asks for the password",
        (on_the_host("sed -i 2d /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a long line": Case(
        "printf 'auth required pam_env.so %01100d\n@include common-auth\n' 0 >/etc/pam.d/found",
        "/etc/pam.d/found: line 1 has more than 1000 characters, or a NUL. Write a shorter one, or leave found out.",
        (on_the_host("sed -i '1s/ 0*$//' /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "an include of itself": Case(
        "printf 'auth include found\n@include common-auth\n' >/etc/pam.d/found",
        "includes found, which in turn includes this file. Put that right, or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), using(services=[])),
        {"services": ["found"]},
    ),
    "a line before the code of another service": Case(
        "printf 'auth sufficient pam_wheel.so trust\nauth include sudo\n' >/etc/pam.d/found",
        "/etc/pam.d/found includes sudo, which would ask for codes, but /etc/pam.d/found, line 1, lets people in",
        (on_the_host("sed -i 's/sufficient/required/' /etc/pam.d/found"), using(services=["sudo"])),
        {"services": ["sudo", "found"], "ssh": False},
    ),
    "a code of its own": Case(
        "printf 'auth required pam_oath.so usersfile=/etc/users.oath\n@include common-auth\n' >/etc/pam.d/found",
        "or leave found out.",
        (on_the_host("sed -i 1d /etc/pam.d/found"), using(services=[])),
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
        (using(services=[]),),
        {"services": ["dovecot"]},
    ),
    "no group of security keys": Case(
        "",
        "security_keys_only_groups: there is no group gone on {host}. Create it first, or leave it out.",
        (on_the_host("groupadd gone"), using(security_keys_only_groups=[])),
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
        (command_in_the_message("Run there: (.*)[.]$"),),
    ),
    "no group": Case(
        "",
        "there is no group gone on {host}",
        (on_the_host("groupadd gone"), using(scope="everyone", scope_groups=[])),
        {"scope": "groups", "scope_groups": ["gone"]},
    ),
    "AllowUsers that sshd has not read": Case(
        f"echo AllowUsers nobody >{DROP_INS}/50-site.conf",
        "which sshd has not read yet: a reload would lock ansible out. Let ansible in there first.",
        (on_the_host(f"echo AllowUsers nobody ansible >{DROP_INS}/50-site.conf"),),
    ),
    "an Include that is read before": Case(
        f"echo PasswordAuthentication yes >/etc/ssh/site.conf; echo Include /etc/ssh/site.conf >{DROP_INS}/00-a.conf",
        f"and what it includes would win; put it after the line 'Include {DROP_INS}/*.conf' of {CONFIG}.",
        (on_the_host(f"rm {DROP_INS}/00-a.conf; sed -i '/^Include/a Include /etc/ssh/site.conf' {CONFIG}"),),
    ),
    "root by a key": Case(
        "install -D -m 0600 ~ansible/.ssh/authorized_keys /root/.ssh/authorized_keys",
        "Exempt root with exempt_users, or enrol root and set PermitRootLogin yes.",
        (
            using(exempt_users=["ansible", "root"]),
            both(using(more=[{"name": "root"}]), on_the_host(f"echo PermitRootLogin yes >{DROP_INS}/50-site.conf")),
        ),
    ),
    "a second name": Case(
        "groupadd gone; usermod -aG gone $1; useradd -o -u $(id -u $1) -g nogroup gone; echo gone:secret | chpasswd",
        "a member of a group of scope_groups and enrol it as well, exempt it with exempt_users, or remove it.",
        (
            both(on_the_host("usermod -aG gone gone"), using(more=[{"name": "gone"}])),
            using(exempt_users=["ansible", "gone"]),
            on_the_host("userdel --force gone"),
        ),
        {"scope": "groups", "scope_groups": ["gone"]},
    ),
    "a group without a name": Case(
        'sed -i "/^$1:/d" /etc/group /etc/gshadow; groupadd --system gone',
        "Put {name} into a group, or use exempt_users in place of exempt_groups.",
        (on_the_host('usermod -aG users "$1"'), using(exempt_groups=[])),
        {"exempt_groups": ["gone"], "both": True},
        {},
    ),
    "a credential of a name that nobody can have": Case(
        f"{OATH}; printf 'HOTP/T30/6\\ta#b\\t-\\t%040d\\n' 1 >'/etc/oath/a#b'; chmod 600 /etc/oath/*",
        "'/etc/oath/a#b' on {host} is the credential of an account whose name PAM or sshd cannot hold. Remove the "
        "file, or set scope to everyone or groups.",
        (
            on_the_host("rm '/etc/oath/a#b'"),
            using(scope="everyone"),
            both(on_the_host("groupadd gone"), using(scope="groups", scope_groups=["gone"])),
        ),
        {"scope": "enrolled"},
    ),
    "one secret of two devices": Case(
        "",
        "Give each device a secret of its own, or none.",
        (
            using(entry={"secret": "SECRET", "devices": [{"name": "tablet", "secret": OTHER_SECRET}]}),
            using(entry={"secret": "SECRET", "devices": [{"name": "tablet"}]}),
        ),
        entry={"secret": "SECRET", "devices": [{"name": "tablet", "secret": "SECRET"}]},
    ),
    "keys alone in an exempt group": Case(
        "groupadd gone; usermod -aG gone $1",
        "but is a member of gone, which exempt_groups exempts from that. Leave out one of the two.",
        (
            using(entry={"secret": "SECRET", "security_keys": [SECURITY_KEY]}),
            using(exempt_groups=[]),
            on_the_host("gpasswd --delete $1 gone"),
        ),
        {"exempt_groups": ["gone"]},
        entry={"secret": "SECRET", "security_keys_only": True, "security_keys": [SECURITY_KEY]},
    ),
    "keys alone, and none declared": Case(
        "groupadd gone; usermod -aG gone $1",
        "Declare a key with security_keys in users, or take {name} out of security_keys_only_groups.",
        (
            using(entry={"security_keys": [SECURITY_KEY]}),
            both(on_the_host("gpasswd --delete $1 gone"), enrolled),
        ),
        {"security_keys_only_groups": ["gone"]},
        {},
    ),
    "keys alone, and a service that takes none": Case(
        "",
        "Give {name} a code as well, with secret in users, or leave su out of services.",
        (
            using(entry={"secret": "SECRET", "security_keys_only": True, "security_keys": [SECURITY_KEY]}),
            using(services=[]),
        ),
        {"services": ["su"]},
        {},
        {"security_keys_only": True, "security_keys": [SECURITY_KEY]},
    ),
    "a certificate at Cockpit": Case(
        f"{COCKPIT}; printf '[WebService]\\nClientCertAuthentication = yes\\n' >/etc/cockpit/cockpit.conf",
        "(/etc/cockpit/cockpit.conf line 2: ClientCertAuthentication). Set it to no there, or leave cockpit out of",
        (on_the_host("sed -i s/yes/no/ /etc/cockpit/cockpit.conf"), using(services=[])),
        {"services": ["cockpit"]},
    ),
    "a ticket at Cockpit": Case(
        f"{COCKPIT}; {KEYTAB}",
        "set cockpit_negotiate to none, which writes action = none into the section [Negotiate] of "
        "/etc/cockpit/cockpit.conf; or leave cockpit out of services.",
        (using(cockpit_negotiate="none"), using(services=[])),
        {"services": ["cockpit"]},
    ),
    "a configuration of Cockpit that is a link": Case(
        f"{COCKPIT}; {KEYTAB}; touch /etc/ssh/found.conf; ln -s /etc/ssh/found.conf /etc/cockpit/cockpit.conf",
        "Write action = none into its section [Negotiate] there, and leave cockpit_negotiate out.",
        (
            both(
                on_the_host("printf '[Negotiate]\\naction = none\\n' >/etc/ssh/found.conf"),
                using(cockpit_negotiate="keep"),
            ),
        ),
        {"services": ["cockpit"], "cockpit_negotiate": "none"},
    ),
    "a configuration of Cockpit that it cannot read": Case(
        f"{COCKPIT}; {KEYTAB}; printf '[Negotiate]\\naction none\\n' >/etc/cockpit/cockpit.conf",
        "Correct line 2 of /etc/cockpit/cockpit.conf, because of which Cockpit ignores the whole file, and set",
        (
            both(
                on_the_host("sed -i 's/action none/action = none/' /etc/cockpit/cockpit.conf"),
                using(cockpit_negotiate="none"),
            ),
        ),
        {"services": ["cockpit"]},
    ),
    "another PAM service of sudo": Case(
        "cp /etc/pam.d/sudo /etc/pam.d/sudo-corp; echo 'Defaults:%adm pam_service=sudo-corp' >/etc/sudoers.d/corp",
        "Remove this setting, or add sudo-corp to services.",
        (on_the_host("rm /etc/sudoers.d/corp"), using(services=["sudo", "sudo-corp"])),
        {"services": ["sudo"]},
    ),
    "a group by another name": Case(
        "groupadd --gid 7100 own; groupadd --non-unique --gid 7100 alias",
        "Name own in its place, or give alias a number of its own.",
        (using(exempt_groups=["own"]), on_the_host("groupmod --gid 7101 alias")),
        {"exempt_groups": ["alias"]},
    ),
    "a vendor's file by its name": Case(
        "cd /etc/pam.d; mkdir -p /usr/lib/pam.d; cp common-auth /usr/lib/pam.d/site; echo auth include site >door",
        "Give the full path, /usr/lib/pam.d/site, or leave door out.",
        (on_the_host("sed -i 's|site|/usr/lib/pam.d/site|' /etc/pam.d/door"), using(services=[])),
        {"services": ["door"]},
    ),
    "a program of ones own in Cockpit": Case(
        f"{COCKPIT}; printf '[basic]\ncommand = /x\n' >/etc/cockpit/cockpit.conf",
        "(/etc/cockpit/cockpit.conf line 2: command in [basic]). Remove that line, or leave cockpit out of services.",
        (on_the_host("sed -i 2d /etc/cockpit/cockpit.conf"), using(services=[])),
        {"services": ["cockpit"]},
    ),
    "a header that claims an address": Case(
        f"{COCKPIT}; printf '[WebService]\nForwardedForHeader = X-Real\n' >/etc/cockpit/cockpit.conf",
        "Remove that line, leave exempt_addresses out, or leave cockpit out of services.",
        (
            on_the_host("sed -i 2d /etc/cockpit/cockpit.conf"),
            using(exempt_addresses=[]),
            using(services=[]),
        ),
        {"services": ["cockpit"], "exempt_addresses": ["10.9.0.0/16"]},
    ),
    "no prompts": Case(
        f"echo ChallengeResponseAuthentication no >{DROP_INS}/00-a.conf",
        "00-a.conf line 1: ChallengeResponseAuthentication no is read before /etc/ssh/sshd_config.d/00-twofactor.conf, "
        "and keeps sshd from showing the prompt for the code; remove it.",
        (on_the_host(f"sed -i 1d {DROP_INS}/00-a.conf"),),
        host="debian11-google",
    ),
}


@pytest.fixture(scope="module")
def alice(host: Host) -> Iterator[Person]:
    host.install("e2fsprogs")
    with somebody(host) as person:
        yield person


@pytest.mark.parametrize(
    ("host", "case"), [(case.host, name) for name, case in CASES.items()], indirect=["host"], scope="module"
)
def test_remedies_that_a_refusal_names_resolve_it(host: Host, alice: Person, case: str) -> None:
    carry_out(host, alice, CASES[case])
