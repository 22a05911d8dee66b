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
  - Gives a credential in O(backend) to each account that has a second factor in the files of a hand-made set-up of
    pam_oath or pam_google_authenticator, and no credential yet that M(fleet.auth.twofactor) would use. The secret
    stays, so the app works as before, and used codes stay used.
  - Accounts that cannot be taken over are left out and named, with the reason.
  - The old files and PAM lines stay as they are, and logins ask for the same as before. M(fleet.auth.twofactor) changes
    that afterwards.
extends_documentation_fragment:
  - fleet.auth.module.root
  - fleet.auth.settings
  - fleet.auth.module.naming
options:
  users_files:
    description:
      - The users files of pam_oath, as in C(usersfile=) of its PAM line. Files that do not exist are skipped, with a
        warning unless they are among the defaults.
      - Each is one file that several accounts may share. A path with variables is refused. If the old line has
        C(${USER}) or C(${HOME}) there, name the file of each account.
      - Nobody is taken over from a file that others can read. The accounts in it are left out even if another file has
        them as well, because codes that were used with this file might be right again. Everybody else is taken over.
      - Nobody at all is taken over if one of the files is not a regular file of root with only one name, or if others
        can write to it, because then nobody knows for certain which accounts belong in it.
    type: list
    elements: str
    default: [/etc/users.oath, /etc/security/users.oath, /etc/liboath/users.oath]
  secret_file:
    description:
      - The file of each account for pam_google_authenticator, as in C(secret=) of its PAM line, with C(~/), C(${HOME})
        and C(${USER}). One file for all accounts, and other variables, are refused.
      - An account is left out if its file is not a regular file of the account or of root, can be read or written by
        others, has further names, or is reached through a symbolic link in the home directory.
    type: str
    default: ~/.google_authenticator
attributes:
  action:
    description: Has a part that runs on the controller, where bad options are refused before a host is touched.
    support: full
  check_mode:
    description: In check mode, reports who would be taken over and who would not.
    support: full
  diff_mode:
    description: Shows which credentials are new and where they come from. Secrets are never shown.
    support: full
seealso:
  - module: fleet.auth.twofactor
"""

EXAMPLES = r"""
- name: Take over the files that google-authenticator wrote to home directories, for pam_oath
  fleet.auth.twofactor_adopt:

- name: Stay with pam_google_authenticator, and keep the scratch codes
  fleet.auth.twofactor_adopt:
    backend: google_authenticator
    secret_file: /var/lib/google-authenticator/${USER}
"""

RETURN = r"""
adopted:
  description: The accounts that were taken over. In check mode, those that would be.
  returned: success
  type: list
  elements: str
  sample: [alice]
left:
  description: The accounts that have a second factor in the old files and were left out, each with the reason.
  returned: success
  type: dict
  sample:
    bob: "/etc/users.oath: line 2 is for codes that are based on a counter (HOTP). Enrol the account anew"
void_recovery_codes:
  description:
    - The accounts of RV(adopted) whose scratch codes on paper are no longer right, because pam_oath does not support
      codes of that form.
  returned: success
  type: list
  elements: str
  sample: [alice]
differences:
  description:
    - What is different afterwards for accounts of RV(adopted) whose old files have settings that are not taken over.
      These are a clock that was off, a window of their own, codes that could be used more than once, and lines whose
      codes were never right. Accounts that keep a short key are listed as well.
  returned: success
  type: dict
  sample:
    alice: "/etc/users.oath: line 3 has a key of 10 bytes, and RFC 4226 asks for 16 at least. The app goes on with this
      key"
security_keys:
  description:
    - By account, the security keys that are in the files in which sshd looks for keys, but that O(users) does not
      declare. Logins with them need a code, as with any key. Ask the owner of the account whose keys they are.
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
                "users_files": {"type": "list", "elements": "str", "default": USERS_FILES},
                "secret_file": {"type": "str", "default": SECRET_FILE, "no_log": False},
            },
            supports_check_mode=True,
        ),
        adopt,
    )


if __name__ == "__main__":
    main()
