# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: security_key
short_description: Check the public half of a security key, and print its entry for the variables
version_added: 1.1.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Checks that a file that somebody has handed in is the public half of a security key (FIDO2) in OpenSSH's format, and
    prints the entry for O(fleet.auth.twofactor#module:users). No host is touched.
  - Anybody can make something in software that looks like a security key. With O(attestation), the module also checks
    that the key was made by a device whose maker one of O(authorities) vouches for.
  - The playbook C(fleet.auth.keys) calls it.
extends_documentation_fragment:
  - fleet.auth.module
options:
  user:
    description: The account whose key it is.
    type: str
    required: true
  key:
    description: The C(.pub) file that C(ssh-keygen -t ed25519-sk -O verify-required) wrote.
    type: str
    required: true
  attestation:
    description:
      - The file that C(ssh-keygen -O write-attestation=FILE) wrote at the same time.
      - Needs O(challenge) and O(authorities) as well, as each of the three needs the others.
    type: str
  challenge:
    description:
      - The file that was given to C(ssh-keygen -O challenge=FILE) at the same time. It should be random, and made by
        the administrator who asks for the key.
    type: str
  authorities:
    description: A PEM file with the certificates of those who vouch for makers of devices.
    type: str
attributes:
  action:
    description: Runs on the controller.
    support: full
  check_mode:
    description: Changes nothing, in check mode or not.
    support: full
requirements:
  - cryptography 42 or later on the controller, for O(attestation)
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Check what Carol has handed in
  fleet.auth.security_key:
    user: carol
    key: handed-in/carol.pub
    attestation: handed-in/carol.attestation
    challenge: challenges/carol
    authorities: yubico-fido-ca.pem
  delegate_to: localhost
"""

RETURN = r"""
line:
  description: The key, as an entry for C(security_keys).
  returned: success
  type: str
  sample: sk-ssh-ed25519@openssh.com AAAA yubikey-5
fingerprint:
  description: The fingerprint of the key, as C(ssh-keygen -l) prints it.
  returned: success
  type: str
  sample: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
attested_by:
  description: The name of the authority that vouches for the maker of the device. V(null) without an attestation.
  returned: success
  type: str
  sample: CN=Yubico FIDO Root CA Serial 450203556
model:
  description: The AAGUID of the device, which all devices of a model share. V(null) without an attestation.
  returned: success
  type: str
  sample: 2fc0579f811347eab116bb5a8db9202a
"""
