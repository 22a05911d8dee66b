# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


class ModuleDocFragment:
    # What is the same of every module, unless it says otherwise itself.
    DOCUMENTATION = r"""
attributes:
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Target operating systems of the module.
    support: full
    platforms: posix
"""

    # The same, of modules that look at what only root may see, or change it. The annotation keeps linters off that
    # would read this as YAML.
    ROOT: t.ClassVar[str] = (
        DOCUMENTATION
        + r"""
requirements:
  - root on the host
"""
    )

    # Of modules that are handed files; they have an action for that.
    FILES = r"""
options:
  files:
    description:
      - Internal. The files that a host gets as they stand. Whatever is given here, the part of the module that runs on
        the controller replaces it.
    type: str
    default: ''
"""

    # Of modules that compare a host with the wanted state; they have an action for that.
    NAMING = r"""
options:
  option_prefix:
    description:
      - Internal. What the names of options begin with in messages. Whatever is given here, the part of the module that
        runs on the controller replaces it.
    type: str
    default: ''
"""

    # The same, of actions that report what all hosts of a play have told.
    REPORT: t.ClassVar[str] = (
        DOCUMENTATION
        + r"""
  action:
    description: Runs on the controller.
    support: full
  bypass_host_loop:
    description: Reports all hosts of the play, so it is run once.
    support: none
  check_mode:
    description: Changes nothing on any host; reports are written in check mode as well.
    support: full
"""
    )
