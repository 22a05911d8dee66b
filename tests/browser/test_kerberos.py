# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A ticket of Kerberos opens Cockpit past PAM, so Cockpit is not said to ask for codes as long as it takes one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hosts import Host
from login.modules import module
from login.people import new_person
from login.policy import off

CONFIG = "/etc/cockpit/cockpit.conf"
_REALM = r"""
set -e
cat >/etc/krb5.conf <<END
[libdefaults]
 default_realm = EXAMPLE.TEST
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
[realms]
 EXAMPLE.TEST = {
  kdc = 127.0.0.1
  admin_server = 127.0.0.1
 }
END
mkdir -p /etc/krb5kdc
printf '[realms]\n EXAMPLE.TEST = {\n  key_stash_file = /etc/krb5kdc/stash\n }\n' >/etc/krb5kdc/kdc.conf
kdb5_util create -s -r EXAMPLE.TEST -P master
for service in HTTP host; do kadmin.local -q "addprinc -randkey $service/$(hostname)"; done
kadmin.local -q "addprinc -pw ticket $1"
systemctl restart krb5-kdc
echo ticket | kinit "$1"
"""


@pytest.fixture
def host(cockpits: dict[str, Host]) -> Iterator[Host]:
    machine = cockpits["debian13-cockpit"]
    machine.install("libpam-oath", "krb5-kdc", "krb5-admin-server", "krb5-user", "curl")
    machine.run("systemctl", "start", "cockpit.socket")
    yield machine
    off(machine)
    machine.run("systemctl stop krb5-kdc; rm -rf /etc/krb5.conf /etc/krb5.keytab /etc/krb5kdc /var/lib/krb5kdc/*")


def gets_in_with_a_ticket(host: Host, service: str) -> bool:
    """Whether Cockpit opens a session for whoever has the ticket of root's cache."""
    page = f"https://{host.name}:9090/cockpit/login"
    words = (
        "curl",
        "-ks",
        "--service-name",
        service,
        "--negotiate",
        "-u",
        ":",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
    )
    return host.run(*words, page, check=False).stdout == "200"


def test_ticket_opens_cockpit_only_where_no_code_is_asked_for(host: Host) -> None:
    person = new_person(host)
    host.run("sh", "-c", _REALM, "sh", person.name)
    wanted = {"services": ["cockpit"], "users": [person.entry], "exempt_users": ["ansible"], "scope": "enrolled"}
    # A key for ssh is as good as one for the web: Cockpit takes any.
    for service in ("host", "HTTP"):
        host.run(f"rm -f /etc/krb5.keytab; kadmin.local -q 'ktadd {service}/{host.name}'")
        assert gets_in_with_a_ticket(host, service)
        done = module(host, "twofactor", wanted)
        assert not done.ok
        assert f"/etc/krb5.keytab: {service}/{host.name}@EXAMPLE.TEST" in done.message

    before = host.snapshot(["/etc/cockpit"])
    done = module(host, "twofactor", {**wanted, "cockpit_negotiate": "none"})
    assert done.ok, done.output
    assert done["enforced"] == {"cockpit": True}
    assert not gets_in_with_a_ticket(host, "HTTP")
    assert not module(host, "twofactor", {**wanted, "cockpit_negotiate": "none"}).changed
    # An administrator's line below ours wins, until the next run.
    host.run(f"printf '[Negotiate]\naction = localhost\n' >>{CONFIG}; systemctl stop 'cockpit-wsinstance-*'")
    assert gets_in_with_a_ticket(host, "HTTP")
    told = module(host, "twofactor_info", wanted)
    assert (told["enforced"], told["lets_in"]) == ({"cockpit": False}, ["cockpit"])
    done = module(host, "twofactor", {**wanted, "cockpit_negotiate": "none"})
    assert done.ok, done.output
    assert not gets_in_with_a_ticket(host, "HTTP")
    off(host)
    assert gets_in_with_a_ticket(host, "HTTP")
    assert host.read(CONFIG) == b"[Negotiate]\naction = localhost\n"
    host.run("rm", CONFIG)
    assert host.snapshot(["/etc/cockpit"]).keys() == before.keys()
