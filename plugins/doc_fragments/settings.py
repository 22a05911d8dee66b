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
      - Whether sshd asks for the code, both after a password and after a key.
      - Leave it V(false) until everybody has a credential and has proven a code of it.
    type: bool
    default: false
  sshd_configs:
    description:
      - The absolute paths of the configuration files of further sshds that O(ssh) covers as well, such as
        V(/etc/ssh/sshd_internal). Each file must include C(/etc/ssh/sshd_config.d/*.conf), or
        C(/etc/ssh/sshd_config.d/00-twofactor.conf) alone, before any C(Match) block, and use the PAM service C(sshd).
      - A further sshd that has a configuration file of its own and is not named here is reported as a way in without a
        code.
    type: list
    elements: str
    default: []
  accepted_doors:
    description:
      - Ways in without a code that need no warning, by the names that M(fleet.auth.twofactor_info) returns in
        C(doors), such as V(vsftpd).
    type: list
    elements: str
    default: []
  services:
    description:
      - The PAM services that ask for the code right after their primary authentication, by the names of their files in
        C(/etc/pam.d).
      - V(cockpit) is skipped where it is not installed. Any other service that does not exist is refused. So is
        V(sshd), which has the option O(ssh). V(login) needs O(allow_console).
      - The files that a service includes are read as well, from C(/etc/pam.d) and C(/usr/lib/pam.d). If the code step
        could be bypassed, or would keep out accounts that the service lets in, the service is refused, and the refusal
        names the file and the line. A service that includes another service of this list is left as it is.
    type: list
    elements: str
    default: [cockpit]
  allow_console:
    description:
      - Whether O(services) may name V(login), the physical console. Anyone who has lost their phone can then no longer
        log in there, and C(twofactor-recover) needs a root shell. Keep an account in O(exempt_users) that can log in at
        the console with its password.
    type: bool
    default: false
  cockpit_negotiate:
    description:
      - With V(none), Cockpit no longer accepts Kerberos tickets, which let people in without a code. With V(keep), a
        host whose Cockpit would accept tickets is refused if O(services) has V(cockpit).
      - V(none) is written at the end of C(/etc/cockpit/cockpit.conf), and Cockpit is restarted, which ends people's
        sessions there. Turning two-factor login off removes it.
    type: str
    choices: [keep, none]
    default: keep
  users:
    description:
      - The accounts that have a credential. Accounts that are not listed keep what they have.
      - A plain name, V(alice), is short for a dictionary that has only C(name).
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
          - If it is left out and the account has no secret, the host makes one of 20 bytes and keeps it from then on.
        type: str
      renew:
        description:
          - A name for a renewal, such as V(2026-11-24) or V(phone-lost). If it differs from the name of the last
            renewal, the host makes a new secret, and the old one is no longer valid. A run with the same name renews
            nothing.
          - Up to 64 letters, digits and C(_.:@+-). It has no effect on a secret that is given.
        type: str
      proven:
        description:
          - Whether you vouch that the user's app shows right codes, in place of the proof that O(require_proof) asks
            for. Useful if the secret comes from a store and was proven on another host.
        type: bool
        default: false
      devices:
        description:
          - Further devices of the user, each with a secret of its own. Devices that are not listed stay.
          - The V(google_authenticator) backend has only one secret per user, and refuses further devices.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What the device is called. Up to 64 letters, digits and C(_.:@+-).
            type: str
            required: true
          state:
            description: V(absent) removes this device only.
            type: str
            choices: [present, absent]
            default: present
          secret:
            description: Like O(users[].secret), for the device.
            type: str
      recovery_codes:
        description:
          - A name for a set of ten recovery codes, to be kept on paper. If it differs from the name of the last set,
            the host makes a new set, and the old one is no longer valid. A run with the same name makes no new set, and
            used codes stay used.
          - Each code is right once, in place of a code of the app. With the V(oath) backend, the codes must be used in
            their order, have the length O(otp_digits), and need a O(window) of at least V(1); with a larger one, some
            may be skipped. With V(google_authenticator), they have eight digits and can be used in any order.
          - An empty string removes the set.
        type: str
      security_keys:
        description:
          - Security keys (FIDO2) of the user, each as in a C(.pub) file, of the type C(sk-ssh-ed25519@openssh.com) or
            C(sk-ecdsa-sha2-nistp256@openssh.com). With O(ssh), sshd lets the user in with one of them without a code,
            and requires touch and PIN of the key each time (C(verify-required)). Any other way in asks for the code.
          - Like any key, a security key must be in the C(authorized_keys) of the account as well. A key that is there
            but not named here is an ordinary key, whatever its type, because the account itself may have put it there.
          - If a key is removed from here, logins with it need a code again from the next run on. The same applies to
            all keys of a user who is no longer listed. Needs OpenSSH 8.4 or later.
        type: list
        elements: str
        default: []
      security_keys_only:
        description:
          - With O(ssh), whether sshd lets the user in with the O(users[].security_keys) and with nothing else, in batch
            mode as well (git, rsync, Ansible). sshd then reads the list of declared keys in place of
            C(authorized_keys).
          - No secret is made for such a user. If O(users[].secret) is given, the user still gets a credential, for
            services such as sudo and Cockpit. An existing credential stays.
        type: bool
        default: false
  otp_digits:
    description: The length of a code, V(6) to V(8). The V(google_authenticator) backend supports only V(6).
    type: int
    default: 6
  interval:
    description:
      - For how many seconds a code is shown. The V(oath) backend supports V(30) and V(60), and V(google_authenticator)
        supports V(5) to V(60).
    type: int
    default: 30
  window:
    description:
      - How many codes before and after the current one are right as well, V(0) to V(10). RFC 6238, section 5.2,
        recommends V(1).
    type: int
    default: 1
  backend:
    description:
      - The PAM module that asks for the code. V(oath) is pam_oath of the OATH Toolkit, 2.6.7 or later.
        V(google_authenticator) is pam_google_authenticator, for other intervals, and for hosts with an older pam_oath.
      - When the backend changes, everybody keeps their secret, and used codes stay used. Recovery codes are made anew,
        which is refused unless O(renew) is V(changed). Passes end. Anything that the new backend cannot hold is refused
        and named.
    type: str
    choices: [oath, google_authenticator]
    default: oath
  ssh_first_factors:
    description:
      - What sshd accepts before the code. A login needs one of these, and the code.
    type: list
    elements: str
    choices: [publickey, password]
    default: [publickey, password]
  scope:
    description:
      - Who needs a code. Accounts out of scope log in as before, by the same methods.
      - With V(everyone), accounts without a credential are denied. V(enrolled) leaves them alone, for a gradual
        rollout.
      - V(groups) asks the members of O(scope_groups).
      - With V(enrolled), the names of the accounts are written into the configuration. An account whose credential file
        is lost later is therefore denied, and does not get in without a code.
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
        O(users[].security_keys_only). They have a credential like everybody in O(users).
    type: list
    elements: str
    default: []
  exempt_users:
    description: Accounts that never need a code, on any service. The account that Ansible uses belongs here.
    type: list
    elements: str
    default: []
  exempt_groups:
    description: Groups whose members never need a code.
    type: list
    elements: str
    default: []
  exempt_addresses:
    description: Addresses and networks, such as V(192.0.2.0/24), from which no login needs a code.
    type: list
    elements: str
    default: []
  lockout:
    description:
      - When wrong codes close the code step for an account. Only codes after a right password or key are counted, so
        strangers cannot lock anybody out.
    type: dict
    suboptions:
      attempts:
        description: How many wrong codes close it, V(1) to V(100).
        type: int
        default: 5
      unlock_seconds:
        description: For how many seconds it stays closed, V(1) to V(604800).
        type: int
        default: 900
      count_seconds:
        description: Within how many seconds wrong codes are counted together, V(1) to V(604800).
        type: int
        default: 900
  time_sync:
    description: Requirements on the clock before two-factor login is turned on, because codes depend on the time.
    type: dict
    suboptions:
      required:
        description: Whether turning two-factor login on is refused if the clock is not in sync.
        type: bool
        default: true
      max_error_seconds:
        description: The largest allowed error of the clock in seconds, more than 0 and at most 30.
        type: float
        default: 1.0
  require_proof:
    description:
      - Whether sshd begins to ask an account for codes only after one of its codes was right, at a login to another
        service or with M(fleet.auth.twofactor_verify). A run that would ask sooner is refused, and names the accounts.
    type: bool
    default: true
  seen_days:
    description:
      - How many days back a run looks up recent logins, V(0) to V(365), in the journal and with C(last), before it asks
        accounts for a code that were not asked so far. Anyone who would be locked out is named, with the method and the
        day, even if the host does not list the account or does not know its password or key. V(0) looks nothing up.
    type: int
    default: 30
  renew:
    description:
      - What happens to people's apps when O(otp_digits) or O(interval) changes. With V(never), such a change is
        refused, and the refusal names those who would have to set up their apps again. With V(changed), the change is
        made. Secrets stay, so people only have to scan the new enrolment sheet.
    type: str
    choices: [never, changed]
    default: never
  purge_credentials:
    description: With O(enabled=false), whether the credentials are removed as well. Everybody must then enrol again.
    type: bool
    default: false
  rollback_after:
    description:
      - After how many seconds the host undoes the change unless M(fleet.auth.twofactor_confirm) confirms it in time,
        V(15) to V(3600). The timer belongs to systemd, so it does not depend on the module, the connection or the
        controller.
      - V(0) means no timer. The role's default is 120, and the role confirms over a new connection.
    type: int
    default: 0
  self_service:
    description:
      - Whether people can enrol themselves, set up a new phone or a spare device, and get new recovery codes, with the
        command C(twofactor-enrol) at a terminal, and on a page in Cockpit if that is installed. Refused on hosts
        without systemd. Needs the package C(qrencode).
      - Anyone who has a credential must give a code first, which is used up or counted as at a login. Anyone who has
        none can enrol only as long as no service asks that account for a code, or with an invitation.
      - Only for accounts that people log in with. These are root and the accounts with a user id of at least C(UID_MIN)
        (C(/etc/login.defs)), if C(/etc/shells) lists their shell.
      - Users whose secret is given in O(users) cannot make a new one there, because the next run would put the given
        one back.
      - A credential that somebody makes alone is proven only once it is accepted (see M(fleet.auth.twofactor_accept)),
        or if the administrator had invited that person (see M(fleet.auth.twofactor_invitation)).
    type: bool
    default: false
  offer_enrolment:
    description:
      - With O(self_service), whether an ssh login with a terminal points to C(twofactor-enrol) if the user has no
        credential yet and may enrol.
    type: bool
    default: true
  guard:
    description:
      - Whether the host itself checks, within seconds of a change and at boot, that everything two-factor login depends
        on is still as the last run left it. For example, a package upgrade may replace C(/etc/pam.d/sshd) with the
        maintainer's, or another drop-in of sshd may appear. systemd starts a shell script for this check; nothing runs
        while nothing changes.
      - V(warn) writes what is wrong to the system log as C(alert), and notes it for C(status) and for the next run.
      - V(repair) also puts the block of fleet.auth back into the file of a PAM service that has lost it, if the lines
        that the block replaced are there exactly once and nothing before them has changed.
      - With V(off), and on hosts without systemd, there is no guard.
    type: str
    choices: [warn, repair, "off"]
    default: warn
requirements:
  - pam_oath 2.6.7 or later, or pam_google_authenticator
  - pam_faillock
"""
