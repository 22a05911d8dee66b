# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways into Cockpit that ask for no code, such as a Kerberos ticket: while one is open, Cockpit is not called asked."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

import hosts
from hosts import Host
from login import ssh
from login.doors import by_cockpit
from login.modules import Answer, module
from login.people import PASSWORD, Person, new_person
from login.policy import off

CONFIG = "/etc/cockpit/cockpit.conf"
OWN_PROGRAM = "/usr/local/bin/own-login"
ELSEWHERE = "/etc/systemd/system/cockpit-wsinstance-.service.d/elsewhere.conf"
"""A drop-in for all units with which Cockpit serves its pages."""
LETS_ANYBODY_IN = """#!/usr/bin/python3
import json, os

data = b"\\n" + json.dumps({"command": "authorize", "cookie": "1", "challenge": "*"}).encode()
os.write(1, b"%d\\n" % len(data) + data)
size = b""
while not size.endswith(b"\\n"):
    size += os.read(0, 1)
os.read(0, int(size))
os.execv("/usr/bin/cockpit-bridge", ["cockpit-bridge"])
"""
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


def wanted(person: Person, **values: t.Any) -> dict[str, t.Any]:
    """The options that turn it on for Cockpit only and leave sshd as it is."""
    whom = {"users": [person.entry], "exempt_users": ["ansible"], "scope": "enrolled"}
    return {"services": ["cockpit"], "guard": "off", **whom, **values}


def configured(host: Host, text: str) -> None:
    """Write this configuration of Cockpit, and make Cockpit read it."""
    host.write(CONFIG, text)
    host.run(
        "systemctl stop 'cockpit-wsinstance-*' cockpit.service; systemctl reset-failed; systemctl start cockpit.socket"
    )


def gets_in_with_a_ticket(host: Host, service: str) -> bool:
    """Whether Cockpit opens a session for the ticket in root's credential cache."""
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
    policy = wanted(person, guard="warn")
    # A key for ssh is as good as one for the web, because Cockpit accepts any key in the keytab.
    for service in ("host", "HTTP"):
        host.run(f"rm -f /etc/krb5.keytab; kadmin.local -q 'ktadd {service}/{host.name}'")
        assert gets_in_with_a_ticket(host, service)
        done = module(host, "twofactor", policy)
        assert not done.ok
        assert f"/etc/krb5.keytab: {service}/{host.name}@EXAMPLE.TEST" in done.message

    before = host.snapshot(["/etc/cockpit"])
    done = module(host, "twofactor", {**policy, "cockpit_negotiate": "none"})
    assert done.ok, done.output
    assert done["enforced"] == {"cockpit": True}
    assert not gets_in_with_a_ticket(host, "HTTP")
    assert not module(host, "twofactor", {**policy, "cockpit_negotiate": "none"}).changed
    # An administrator's line below the collection's wins until the next run.
    host.run(f"printf '[Negotiate]\naction = localhost\n' >>{CONFIG}; systemctl stop 'cockpit-wsinstance-*'")
    assert gets_in_with_a_ticket(host, "HTTP")
    info = module(host, "twofactor_info", policy)
    assert (info["enforced"], info["lets_in"]) == ({"cockpit": False}, ["cockpit"])
    done = module(host, "twofactor", {**policy, "cockpit_negotiate": "none"})
    assert done.ok, done.output
    assert not gets_in_with_a_ticket(host, "HTTP")
    off(host)
    assert gets_in_with_a_ticket(host, "HTTP")
    assert host.read(CONFIG) == b"[Negotiate]\naction = localhost\n"
    host.run("rm", CONFIG)
    assert host.snapshot(["/etc/cockpit"]).keys() == before.keys()


def test_certificates_are_refused_until_they_are_turned_off(host: Host) -> None:
    person, text = new_person(host), "[WebService]\n# Of the smart cards.\nClientCertAuthentication = yes\n"
    configured(host, text)
    assert by_cockpit(person, PASSWORD) == (True, [])
    done = module(host, "twofactor", wanted(person))
    assert f"without a code ({CONFIG} line 3: ClientCertAuthentication). Set it to no there" in done.message
    closed = text.replace("yes", "no")
    configured(host, closed)
    before = host.snapshot(["/etc/cockpit"])
    asks_for_the_code(host, person)
    # An administrator turns them on again.
    host.write(CONFIG, text)
    assert module(host, "twofactor_info", wanted(person))["lets_in"] == ["cockpit"]
    host.write(CONFIG, closed)
    off(host)
    assert host.snapshot(["/etc/cockpit"]) == before
    assert by_cockpit(person, PASSWORD) == (True, [])
    host.run("rm", CONFIG)


def test_custom_program_is_refused_until_it_is_removed(host: Host) -> None:
    person = new_person(host)
    host.write(OWN_PROGRAM, LETS_ANYBODY_IN, 0o755)
    configured(host, f"[basic]\nCommand = {OWN_PROGRAM}\n")
    assert by_cockpit(person, "wrong") == (True, [])
    done = module(host, "twofactor", wanted(person))
    assert f"{OWN_PROGRAM!r}, and asks for no code there ({CONFIG} line 2: command in [basic])" in done.message
    # Cockpit still runs with what it has read, and so lets anybody in, until a run restarts it.
    host.write(CONFIG, "")
    assert by_cockpit(person, "wrong") == (True, [])
    assert "restart Cockpit" in asks_for_the_code(host, person)["changes"]
    assert module(host, "twofactor", wanted(person)).changed is False
    off(host)
    host.run("rm", CONFIG, OWN_PROGRAM)


def test_configuration_elsewhere_is_refused_until_cockpit_reads_its_own(host: Host) -> None:
    person = new_person(host)
    host.write(OWN_PROGRAM, LETS_ANYBODY_IN, 0o755)
    host.write("/srv/cockpit/cockpit.conf", f"[basic]\nCommand = {OWN_PROGRAM}\n")
    host.write(ELSEWHERE, "[Service]\nEnvironment=XDG_CONFIG_DIRS=/srv\n")
    host.run("systemctl", "daemon-reload")
    configured(host, "")
    assert by_cockpit(person, "wrong") == (True, [])
    done = module(host, "twofactor", wanted(person))
    assert f"may let people in without a code (XDG_CONFIG_DIRS=/srv in {ELSEWHERE})" in done.message
    host.run("rm", "-r", "/srv/cockpit", ELSEWHERE, OWN_PROGRAM)
    host.run("systemctl", "daemon-reload")
    configured(host, "")
    asks_for_the_code(host, person)
    off(host)
    host.run("rm", CONFIG)


def test_exempt_addresses_are_refused_where_a_request_can_claim_one(host: Host) -> None:
    person, claims = new_person(host), {"X-Forwarded-For": "10.9.1.2"}
    policy = wanted(person, exempt_addresses=["10.9.0.0/16"])
    done = module(host, "twofactor", policy)
    assert done.ok, done.output
    assert not by_cockpit(person, PASSWORD, headers=claims)[0]
    configured(host, "[WebService]\nForwardedForHeader = X-Forwarded-For\n")
    assert by_cockpit(person, PASSWORD, headers=claims) == (True, [])
    info = module(host, "twofactor_info", policy)
    assert (info["enforced"], info["lets_in"]) == ({"cockpit": False}, ["cockpit"])
    assert f"({CONFIG} line 2: ForwardedForHeader = X-Forwarded-For)" in module(host, "twofactor", policy).message
    off(host)
    host.run("rm", CONFIG)


@pytest.mark.parametrize("release", hosts.WITH_COCKPIT)
def test_login_to_the_host_itself_by_ssh_is_named_until_sshd_asks_or_it_is_closed(
    cockpits: dict[str, Host], release: str
) -> None:
    host = cockpits[release]
    host.install("libpam-oath")
    host.run("systemctl", "start", "cockpit.socket")
    person = new_person(host)
    try:
        done = module(host, "twofactor", wanted(person))
        assert done.ok, done.output
        assert (by_cockpit(person, PASSWORD)[0], by_cockpit(person, PASSWORD, to="127.0.0.1")) == (False, (True, []))
        assert named(done)
        assert states(host, wanted(person))["cockpit-ssh"] == "open"
        assert not named(module(host, "twofactor", wanted(person, accepted_doors=["cockpit-ssh"])))
        configured(host, "[Ssh-Login]\nCommand = /bin/false\n")
        done = module(host, "twofactor", wanted(person))
        assert (done.changed, named(done)) == (False, False)
        assert not by_cockpit(person, PASSWORD, to="127.0.0.1")[0]
        host.run("rm", CONFIG)
        configured(host, "")
        # Or sshd asks as well, and no address is exempt.
        policy = wanted(person, ssh=True, require_proof=False)
        done = module(host, "twofactor", policy)
        assert done.ok, done.output
        assert not named(done)
        entered, asked = by_cockpit(person, PASSWORD, to="127.0.0.1")
        assert not entered
        assert "One-time password" in asked[-1]
        done = module(host, "twofactor", {**policy, "exempt_addresses": ["127.0.0.0/8"]})
        assert by_cockpit(person, PASSWORD, to="127.0.0.1")[0]
        assert named(done)
    finally:
        off(host)
        host.run("rm", "-f", CONFIG)


def asks_for_the_code(host: Host, person: Person) -> Answer:
    """Turn two-factor login on, and check that Cockpit lets the person in only with a code; return what the run did."""
    done = module(host, "twofactor", wanted(person))
    assert done.ok, done.output
    assert done["enforced"] == {"cockpit": True}
    ssh.fresh_step()
    assert not by_cockpit(person, PASSWORD)[0]
    assert by_cockpit(person, PASSWORD, person.code())[0]
    return done


def named(done: Answer) -> bool:
    """Whether a run warns that people can log in to other machines from Cockpit's page."""
    assert done.ok, done.output
    return any(one.startswith("cockpit-ssh on ") for one in done.values.get("warnings", ()))


def states(host: Host, options: dict[str, t.Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in module(host, "twofactor_info", options)["doors"]}
