# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of modules that write a set of files."""
from __future__ import annotations


class ModuleDocFragment:
    """See `ARGUMENTS` in `plugins/module_utils/host/config_set.py`."""

    DOCUMENTATION = r"""
options:
  files:
    description: The files of the set. Files of an earlier run that are not here any more are removed.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing directories above it are made, C(root)'s and with mode V(0755).
        type: str
        required: true
      content:
        description: The text of the file. A list or mapping is written as JSON.
        type: raw
      secret:
        description: The content is in O(secrets) under the same path, and is shown nowhere.
        type: bool
        default: false
      mode:
        description: Four octal digits in quotes. V(0644) by default, V(0640) for a secret, which must not be readable for everybody.
        type: str
      owner:
        description: User by name or number.
        type: str
        default: root
      group:
        description: Group by name or number.
        type: str
        default: root
  directories:
    description:
      - Directories of the set. Their content is nobody's business here.
      - One that is missing is made, by default C(root)'s and with mode V(0755). One that exists keeps its mode and owner
        unless any of them is given; then it gets all three.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Missing directories above it are made, C(root)'s and with mode V(0755).
        type: str
        required: true
      mode:
        description: Four octal digits in quotes.
        type: str
      owner:
        description: User by name or number.
        type: str
      group:
        description: Group by name or number.
        type: str
  secrets:
    description: Contents of the secret files, by path.
    type: dict
    default: {}
  validate:
    description: Commands that must end with status 0 before anything is replaced. They run as the user of the module.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description:
          - Program and arguments. C({stage}) stands for a directory in which all files of the set lie under their absolute paths.
        type: list
        elements: str
        required: true
      timeout:
        description: Seconds in which it must end.
        type: int
        default: 60
"""
