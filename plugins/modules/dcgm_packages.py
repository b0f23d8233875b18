#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: dcgm_packages
short_description: Find out which packages of DCGM and its exporter to install
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection, for its own roles and playbooks. Options and results may change in any release.
  - Compares the installed packages of NVIDIA's DCGM and its exporter with the wanted ones, using C(dpkg-query) or C(rpm), before any
    is changed.
  - If a host engine is running, O(state=absent) keeps its packages.
  - A DCGM that the collection did not install is left unchanged. If its version does not match the exporter's, the module fails and names both.
  - Packages found missing are recorded in C(/var/lib/accelmon/packages), so that O(state=absent) returns only these.
attributes:
  check_mode:
    support: full
    description: Records nothing.
  diff_mode:
    support: none
    description: The module does not change the host.
options:
  state:
    description: Whether the exporter should be installed.
    type: str
    choices: [present, absent]
    default: present
  packages:
    description: Package names and versions, as upstream writes them.
    type: dict
    default: {}
  pairs:
    description: DCGM versions by matching exporter version, for the advice in the error.
    type: dict
    default: {}
  exporter:
    description: The exporter's package in O(packages). All others are DCGM.
    type: str
    default: datacenter-gpu-manager-exporter
"""

EXAMPLES = r"""
- name: Compare
  accelmon.fleet.dcgm_packages:
    packages: {datacenter-gpu-manager-4-core: 4.6.0, datacenter-gpu-manager-exporter: 4.8.3}
    pairs: {4.8.3: 4.6.0, 4.8.2: 4.5.3}
  register: dcgm
"""

RETURN = r"""
missing:
  description: Packages to install, in the order of O(packages).
  type: list
  elements: str
  returned: O(state=present)
names:
  description: The same with versions, in the syntax of apt or dnf.
  type: list
  elements: str
  returned: O(state=present)
brought:
  description: Packages that the collection installed. With O(state=absent), those that may be removed.
  type: list
  elements: str
  returned: always
installed:
  description: Version of each installed package.
  type: dict
  returned: always
"""

import json
import os
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import node
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure, failing

RECORD = paths.STATE + "/packages/dcgm_exporter.json"


def upstream(version):
    """The version without the distribution's additions: '1:4.6.0-1' -> '4.6.0'."""
    return re.sub(r"[-+~].*", "", version.split(":", 1)[-1])


class Packages(object):
    """What there is on this host."""

    def __init__(self, module):
        self.module, self.params = module, module.params
        self.deb = bool(module.get_bin_path("dpkg-query"))
        self.hostengine = node.hostengine("/")

    def version(self, name):
        """Upstream's version of an installed package, else ""."""
        if self.deb:
            code, out, _err = self.module.run_command(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", name])
            words = out.split()
            return upstream(words[1]) if not code and len(words) == 2 and words[0] == "installed" else ""
        if not self.module.get_bin_path("rpm"):
            raise Failure("dcgm_exporter_source = package: this host has neither dpkg nor rpm; set it to container")
        code, out, _err = self.module.run_command(["rpm", "--query", "--queryformat=%{VERSION}\n", name])
        return "" if code else upstream(out.split()[-1])

    def brought(self):
        """What was missing before us."""
        try:
            with open(RECORD) as stream:
                found = json.load(stream)
            return [str(name) for name in found] if isinstance(found, list) else []
        except (OSError, ValueError):
            return []

    def wanted_as(self, name):
        """A package and its version for the distribution's tool."""
        version = self.params["packages"][name]
        # What stands before and behind upstream's version is the business of the repository. apt knows patterns that do not end with an asterisk.
        return "%s=*%s-?" % (name, version) if self.deb else "%s-%s" % (name, version)

    def refuse(self, name, found):
        """A DCGM of somebody else that does not belong to the exporter."""
        exporter = self.params["packages"][self.params["exporter"]]
        fitting = sorted(one for one, dcgm in self.params["pairs"].items() if dcgm == found)
        fix = "set dcgm_exporter_version to the matching %s" % fitting[-1] if fitting else "set dcgm_exporter_source to container"
        raise Failure("dcgm_exporter_version = %s: it matches DCGM %s, but this host has DCGM %s (%s), %s; "
                      "%s, or update DCGM to %s"
                      % (exporter, self.params["packages"][name], found, name,
                         "whose host engine is running" if self.hostengine else "not installed by accelmon.fleet", fix, self.params["packages"][name]))

    def present(self):
        wanted = self.params["packages"]
        installed = dict((name, self.version(name)) for name in wanted)
        brought = self.brought()
        for name in wanted:
            if name != self.params["exporter"] and installed[name] not in ("", wanted[name]) and (name not in brought or self.hostengine):
                self.refuse(name, installed[name])
        missing = [name for name in wanted if installed[name] != wanted[name]]
        ours = sorted(set(brought) | set(name for name in missing if not installed[name]))
        if ours != sorted(brought) and not self.module.check_mode:
            atomic.make_folders(os.path.dirname(RECORD))
            atomic.write(RECORD, (json.dumps(ours) + "\n").encode("utf-8"), relabel=atomic.relabeler(self.module))
        return {"missing": missing, "names": [self.wanted_as(name) for name in missing], "brought": ours,
                "installed": dict((name, version) for name, version in installed.items() if version)}

    def absent(self):
        """What may go. The record goes with it: what is left over by a run that fails here stays."""
        brought = self.brought()
        if self.hostengine:
            brought = [name for name in brought if name == self.params["exporter"]]
        installed = dict((name, self.version(name)) for name in brought)
        if os.path.exists(RECORD) and not self.module.check_mode:
            os.remove(RECORD)
        return {"brought": [name for name in brought if installed[name]], "installed": dict((name, version) for name, version in installed.items() if version)}


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "packages": {"type": "dict", "default": {}},
            "pairs": {"type": "dict", "default": {}},
            "exporter": {"type": "str", "default": "datacenter-gpu-manager-exporter"},
        },
        supports_check_mode=True,
    )
    module.run_command = command.of_module(module)
    packages = Packages(module)
    with failing(module):
        result = packages.absent() if module.params["state"] == "absent" else packages.present()
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
