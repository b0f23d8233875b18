#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: packages_lacking_info
short_description: Find out which of a bundle's packages a host needs
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - A bundle has what any of the fleet's hosts lacked. This host needs of it what it has not installed, or in an older version.
attributes:
  check_mode:
    support: full
    description: Reads only; does the same as without check mode.
  diff_mode:
    support: none
    description: Changes nothing.
options:
  packages:
    description: Versions of packages by name, as dpkg writes them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Find out which of them the host lacks
  accelmon.fleet.packages_lacking_info:
    packages: {libnuma1: 2.0.16-1}
  register: found
"""

RETURN = r"""
lacking:
  description: Names of the packages that are not installed, or older.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import command


def lacks(run_command, name, version):
    """Whether a package is not installed, or older than that."""
    code, out, _err = run_command(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\n", name])
    installed = [line.split()[1] for line in out.splitlines() if line.startswith("installed ")] if code == 0 else []
    return not installed or run_command(["dpkg", "--compare-versions", installed[0], "lt", version])[0] == 0


def main():
    module = AnsibleModule(argument_spec={"packages": {"type": "dict", "required": True}}, supports_check_mode=True)
    module.run_command = command.of_module(module)
    wanted = sorted(module.params["packages"].items())
    module.exit_json(changed=False, lacking=[name for name, version in wanted if lacks(module.run_command, name, str(version))])


if __name__ == "__main__":
    main()
