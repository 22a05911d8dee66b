# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  enabled:
    description:
      - Whether two-factor login is on.
      - Turning it off keeps everybody's credential, so that turning it on again keeps their apps working.
    type: bool
    default: true
  ssh:
    description:
      - Whether sshd asks for the code as well, after a password and after a key alike.
      - Leave it V(false) until everybody has a credential and has seen that a code is right.
    type: bool
    default: false
  sshd_configs:
    description:
      - The configurations of further sshds, by their absolute paths, that O(ssh) covers as well, such as
        V(/etc/ssh/sshd_internal). Each has to read C(/etc/ssh/sshd_config.d/*.conf) before any C(Match), or
        C(/etc/ssh/sshd_config.d/00-twofactor.conf) alone, and to ask the PAM service C(sshd).
      - A further sshd that listens and is not named here is told of as a way in without a code.
    type: list
    elements: str
    default: []
  accepted_doors:
    description:
      - Ways in without a code that nobody needs to be told of, by the names that C(doors) of
        M(fleet.auth.twofactor_info) has for them, such as V(vsftpd).
    type: list
    elements: str
    default: []
  services:
    description:
      - PAM services, by the names of their files in C(/etc/pam.d), that ask for the code right after their primary
        authentication.
      - V(cockpit) is passed over where it is not installed. Any other service that does not exist is refused, and so
        is V(sshd), for which there is O(ssh). V(login) needs O(allow_console).
      - The files that it includes are followed, in C(/etc/pam.d) and C(/usr/lib/pam.d). Where the code step could be
        got past, or would keep out whom the service lets in, the service is refused, by file and line. One that
        includes another one of them is left as it is.
    type: list
    elements: str
    default: [cockpit]
  allow_console:
    description:
      - Whether O(services) may name V(login), the physical console. Whoever has lost their phone gets in there no more,
        and a root shell is needed for C(twofactor-recover). Keep an account in O(exempt_users) whose password opens the
        console.
    type: bool
    default: false
  cockpit_negotiate:
    description:
      - With V(none), Cockpit takes no tickets of Kerberos any more, for which it asks nobody for a code. Where it
        would take them, O(services) with V(cockpit) are refused otherwise.
      - It is written at the end of C(/etc/cockpit/cockpit.conf), and Cockpit is started again, which ends the sessions
        that people have there. Turning two-factor login off takes it back.
    type: str
    choices: [keep, none]
    default: keep
  users:
    description:
      - The accounts that have a credential. Accounts that are not listed keep what they have.
      - A name alone, V(alice), stands for a dictionary that has C(name) and nothing else.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of an account of the host.
        type: str
        required: true
      state:
        description: V(absent) removes the credential.
        type: str
        choices: [present, absent]
        default: present
      secret:
        description:
          - The secret in base32 (RFC 4648), 16 to 32 bytes. Spaces, lower case and missing padding are accepted.
          - Left out, the host makes one of 20 bytes when the account has none, and keeps it from then on.
        type: str
      renew:
        description:
          - A name for a renewal, such as V(2026-11-24) or V(phone-lost). Where it is not that of the last renewal, the
            host makes a new secret, and the old one counts no more. A run with the same name renews nothing.
          - Up to 64 letters, digits and C(_.:@+-). It has no effect on a secret that is given.
        type: str
      proven:
        description:
          - Whether somebody vouches that the user's app shows right codes, where O(require_proof) would ask for it.
            Useful where the secret comes from a store and was proven on another host.
        type: bool
        default: false
      devices:
        description:
          - Further devices of the user, each with a secret of its own. Devices that are not listed stay.
          - The V(google_authenticator) backend has one secret a user, and refuses them.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What the device is called. Up to 64 letters, digits and C(_.:@+-).
            type: str
            required: true
          state:
            description: V(absent) removes the device, and leaves the others.
            type: str
            choices: [present, absent]
            default: present
          secret:
            description: As O(users[].secret), for the device.
            type: str
      recovery_codes:
        description:
          - A name for a set of ten recovery codes, to be kept on paper. Where it is not that of the last set, the host
            makes a new one, and the old one counts no more. A run with the same name makes none, and gives
            no used code back.
          - Each is right once, in place of a code of the app. With the V(oath) backend they are right in their
            order, are as long as O(otp_digits) says, and need a O(window) of V(1) at least; with a larger one, some may
            be skipped. With V(google_authenticator) they have eight digits and are right in any order.
          - An empty text removes the set.
        type: str
      security_keys:
        description:
          - Security keys (FIDO2) of the user, each as a C(.pub) file has it, of the type C(sk-ssh-ed25519@openssh.com)
            or C(sk-ecdsa-sha2-nistp256@openssh.com). With O(ssh), sshd lets the user in with one of them without a
            code. It asks the key for touch and PIN each time (C(verify-required)). Any other way in asks for the code.
          - A key has to be in the C(authorized_keys) of the account as well, as any key. What is there and not named
            here is an ordinary key, whatever its type, since the account itself may have put it there.
          - A key that is left out needs a code again from the next run on, and so do all keys of a user who is left
            out. Needs OpenSSH 8.4 or later.
        type: list
        elements: str
        default: []
      security_keys_only:
        description:
          - With O(ssh), whether sshd lets the user in with the O(users[].security_keys) and with nothing else, in batch
            mode as well (git, rsync, Ansible). It reads the list of declared keys in place of C(authorized_keys).
          - No secret is made for the user then. With O(users[].secret) there is a credential all the same, for services
            such as sudo and Cockpit; one that is there already stays.
        type: bool
        default: false
  otp_digits:
    description: The length of a code, V(6) to V(8). The V(google_authenticator) backend can do V(6).
    type: int
    default: 6
  interval:
    description:
      - For how many seconds a code is shown. The V(oath) backend can do V(30) and V(60), and V(google_authenticator)
        V(5) to V(60).
    type: int
    default: 30
  window:
    description:
      - How many codes before and after the current one are right as well, V(0) to V(10). V(1) is the advice of
        RFC 6238, section 5.2.
    type: int
    default: 1
  backend:
    description:
      - The PAM module that asks for the code. V(oath) is pam_oath of the OATH Toolkit, 2.6.7 or later.
        V(google_authenticator) is pam_google_authenticator, for other intervals, and for where pam_oath is older.
      - Where it changes, everybody's secret goes along, and used codes stay used. Recovery codes are made anew, which
        is refused unless O(renew) is V(changed); passes end. What the other one cannot hold is refused and named.
    type: str
    choices: [oath, google_authenticator]
    default: oath
  ssh_first_factors:
    description:
      - What sshd accepts before the code. A login needs one of them, and the code.
    type: list
    elements: str
    choices: [publickey, password]
    default: [publickey, password]
  scope:
    description:
      - Who needs a code. Accounts out of scope log in as before, by the same methods.
      - V(everyone) refuses accounts without a credential, V(enrolled) leaves them alone, for a gradual rollout.
      - V(groups) asks the members of O(scope_groups).
      - The accounts of V(enrolled) are written into the configuration, so an account whose credential file is lost
        later is denied and not let off.
    type: str
    choices: [everyone, enrolled, groups]
    default: everyone
  scope_groups:
    description: The groups whose members need a code. Needed with O(scope=groups), refused with any other scope.
    type: list
    elements: str
    default: []
  security_keys_only_groups:
    description:
      - Groups whose members sshd lets in with their declared security keys and with nothing else, as with
        O(users[].security_keys_only). They have a credential as anybody in O(users).
    type: list
    elements: str
    default: []
  exempt_users:
    description: Accounts that never need a code, on no service. The account that Ansible uses belongs here.
    type: list
    elements: str
    default: []
  exempt_groups:
    description: Groups whose members never need a code.
    type: list
    elements: str
    default: []
  exempt_addresses:
    description: Addresses and networks, such as V(192.0.2.0/24), from which nobody needs a code.
    type: list
    elements: str
    default: []
  lockout:
    description:
      - When wrong codes close the code step for an account. Only codes that follow a right password or key count, so
        strangers lock nobody out.
    type: dict
    suboptions:
      attempts:
        description: How many wrong codes, V(1) to V(100).
        type: int
        default: 5
      unlock_seconds:
        description: For how many seconds the code step stays closed, V(1) to V(604800).
        type: int
        default: 900
      count_seconds:
        description: Within how many seconds the wrong codes count together, V(1) to V(604800).
        type: int
        default: 900
  time_sync:
    description: What is asked of the clock before two-factor login is turned on, since codes depend on the time.
    type: dict
    suboptions:
      required:
        description: Whether turning on is refused where the clock is not in sync.
        type: bool
        default: true
      max_error_seconds:
        description: The bound on the error of the clock, in seconds, more than 0 and at most 30.
        type: float
        default: 1.0
  require_proof:
    description:
      - Whether sshd begins to ask an account for codes only once one of its codes was right, at a login to another
        service or by M(fleet.auth.twofactor_verify). Otherwise the run is refused, and names the accounts.
    type: bool
    default: true
  seen_days:
    description:
      - Before anybody is asked for a code who was not asked so far, it is looked up who has logged in within so many
        days, V(0) to V(365), by the journal and by C(last). Whoever would be locked out is named, with the method and
        the day, also where the host does not list the account or does not know its password or key. V(0) looks nothing
        up.
    type: int
    default: 30
  renew:
    description:
      - What happens to people's apps when O(otp_digits) or O(interval) changes. With V(never) such a change is refused
        and names those who would have to set up their apps anew. With V(changed) it is made. Secrets stay, so it is
        enough to read the new enrolment sheet.
    type: str
    choices: [never, changed]
    default: never
  purge_credentials:
    description: With O(enabled=false), whether the credentials are removed as well. Everybody has to enrol anew then.
    type: bool
    default: false
  rollback_after:
    description:
      - After how many seconds the host puts itself back unless M(fleet.auth.twofactor_confirm) comes in time, V(15) to
        V(3600). The timer is systemd's, and survives the module, the connection and the controller.
      - V(0) means no timer. The role's default is 120, and the role confirms over a new connection.
    type: int
    default: 0
  self_service:
    description:
      - Whether people enrol themselves, set up a new phone or a spare device, and get new recovery codes, by the
        command C(twofactor-enrol) at a terminal, and on a page in Cockpit where that is installed. Refused where
        systemd is missing. Needs the package C(qrencode).
      - Who has a credential has to give a code first, which is used up or counted as at a login. Who has none may enrol
        only as long as no service asks that account for a code.
      - Only for accounts that people log in with, which are root and those from C(UID_MIN) of C(/etc/login.defs) on
        with a shell that C(/etc/shells) names.
      - Whoever is given a secret by O(users) gets no new one there, since the next run would put the given one back.
      - What somebody makes there alone counts as proven only once it is accepted, see M(fleet.auth.twofactor_accept),
        or if the administrator had invited that person, see M(fleet.auth.twofactor_invitation).
    type: bool
    default: false
  offer_enrolment:
    description:
      - With O(self_service), whether a login by ssh with a terminal tells those of C(twofactor-enrol) who may enrol and
        have no credential yet.
    type: bool
    default: true
  guard:
    description:
      - Whether the host itself looks, within seconds of a change and at boot, whether what two-factor login rests on is
        still as a run has left it, as after a package upgrade that takes the maintainer's C(/etc/pam.d/sshd), or
        another drop-in of sshd. Done by systemd and a shell script; nothing runs while nothing changes.
      - V(warn) writes what is wrong to the system log as C(alert), and notes it for C(status) and for the next run.
      - V(repair) also puts the block of fleet.auth back into the file of a PAM service that has lost it, where the
        lines that it replaced are there once, and nothing else is different before them.
      - V(off) and hosts without systemd have no guard.
    type: str
    choices: [warn, repair, "off"]
    default: warn
requirements:
  - pam_oath 2.6.7 or later, or pam_google_authenticator
  - pam_faillock
"""
