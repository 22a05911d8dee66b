#!/usr/bin/python
# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twofactor_adopt
short_description: Take second factors over from a hand-made set-up
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Gives a credential in O(backend) to each account that has one in the files of a hand-made set-up of pam_oath or
    pam_google_authenticator, and none that M(fleet.auth.twofactor) would go by. The secret stays, so that the app goes
    on as it is, and used codes stay used.
  - Whoever cannot be taken over is left out and named, with the reason.
  - The old files and the lines of PAM stay as they are, and nobody is asked for anything else than before. That is what
    M(fleet.auth.twofactor) does afterwards.
extends_documentation_fragment:
  - fleet.auth.module.root
  - fleet.auth.settings
  - fleet.auth.module.naming
options:
  users_files:
    description:
      - The users files of pam_oath, as the line of PAM names them in C(usersfile=). One that does not exist is passed
        over.
      - Nobody is taken over from one that others can read. Whoever stands in it is left out, though another file has
        them as well, for codes that were used by this one might be right again. Everybody else is taken over.
      - Nobody at all is taken over where one is no regular file of root's with one name, or others can write to it, for
        then nobody knows for certain who stands in it.
    type: list
    elements: path
    default: [/etc/users.oath, /etc/security/users.oath, /etc/liboath/users.oath]
  secret_file:
    description:
      - The file of each account for pam_google_authenticator, as the line of PAM names it in C(secret=), with C(~/),
        C(${HOME}) and C(${USER}).
      - An account is left out where the file is not a regular one of its own or root's, can be read or written by
        others, has further names, or lies behind a symbolic link in the home.
    type: str
    default: ~/.google_authenticator
attributes:
  action:
    description: Has a part that runs on the controller, where bad options are refused before a host is touched.
    support: full
  check_mode:
    description: Can run in check mode and tell who would be taken over, and who not.
    support: full
  diff_mode:
    description: Tells which credentials are new and where they come from. Secrets are never shown.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Take over what google-authenticator wrote into the homes, for pam_oath
  fleet.auth.twofactor_adopt:

- name: Keep to pam_google_authenticator, and with it to the scratch codes
  fleet.auth.twofactor_adopt:
    backend: google_authenticator
    secret_file: /var/lib/google-authenticator/${USER}
"""

RETURN = r"""
adopted:
  description: The accounts that were taken over; in check mode, that would be.
  returned: success
  type: list
  elements: str
  sample: [alice]
left:
  description: The accounts that have a second factor in the old files and were left out, each with the reason.
  returned: success
  type: dict
  sample:
    bob: "/etc/users.oath: line 2 is for codes that go by a counter (HOTP). Enrol the account anew"
void_recovery_codes:
  description:
    - Those of RV(adopted) who have scratch codes on paper that are not right any more, because pam_oath has none of
      their form.
  returned: success
  type: list
  elements: str
  sample: [alice]
differences:
  description:
    - What is different afterwards for those of RV(adopted) whose old files say what is not taken over. That is a clock
      that was off, a window of their own, codes that were right again and again, lines that were never right. And who
      goes on with a short key.
  returned: success
  type: dict
  sample:
    alice: "/etc/users.oath: line 3 has a key of 10 bytes, and RFC 4226 asks for 16 at least. It stays, with the app"
security_keys:
  description:
    - By account, the security keys in the files in which sshd looks for keys and that O(users) does not declare. They
      need a code as any key does. Whose they are, the account's owner has to say.
  returned: success
  type: dict
  sample:
    carol: [sk-ssh-ed25519@openssh.com AAAA]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.auth.plugins.module_utils._runs.adopt import SECRET_FILE, USERS_FILES, adopt
from ansible_collections.fleet.auth.plugins.module_utils._runs.main import run
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import PREFIX
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec


def main() -> None:
    run(
        AnsibleModule(
            argument_spec={
                **argument_spec(),
                **PREFIX,
                "users_files": {"type": "list", "elements": "path", "default": USERS_FILES},
                "secret_file": {"type": "str", "default": SECRET_FILE, "no_log": False},
            },
            supports_check_mode=True,
        ),
        adopt,
    )


if __name__ == "__main__":
    main()
