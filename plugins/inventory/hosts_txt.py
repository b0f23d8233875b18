# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory from lines "name address"."""

DOCUMENTATION = r"""
name: hosts_txt
short_description: Inventory from a plain list of names and addresses
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Reads a text file with one host per line, its name and address, as kept beside many rack plans.
  - Blank lines, and everything after a C(#) at the start of a word, are ignored. Name and address are separated by
    spaces or tabs. A line may have only the name, which is then looked up. A line of column headings is skipped.
  - Words of the form C(name=value) after them set variables of the host, those that O(variables) allows.
  - Line endings of any system, a byte order mark and IPv6 addresses, with or without brackets, are accepted. Ranges are not supported.
  - The same line twice is one host. Two lines that contradict each other, or two hosts with one address, are errors.
  - The content is never evaluated as a template.
notes:
  - The inventory source is a YAML file whose name ends in C(hosts_txt.yml) or C(hosts_txt.yaml). Ansible selects the plugin by this name.
  - A list itself whose name ends in C(hosts.txt) is a source too, with default options, where this plugin is among
    the enabled inventory plugins.
  - Ansible continues after a source that it cannot read. Set C(any_unparsed_is_failed) in the section C(inventory) of
    C(ansible.cfg) to make it stop instead.
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: The name of this plugin.
    type: str
    choices: [accelmon.fleet.hosts_txt]
  file:
    description: The list. A relative path starts at the folder of the inventory source.
    type: str
    default: hosts.txt
  order:
    description:
      - Which word comes first.
      - With V(address_first), the order of C(/etc/hosts), further names in a line are ignored, and lines with
        loopback, link-local and multicast addresses are skipped.
    type: str
    choices: [name_first, address_first]
    default: name_first
  further_names:
    description:
      - Words that distinguish the name of an additional address from the machine's own name, such as C(gpu1-bmc), C(ib0-gpu1) and C(gpu1.ipmi) beside C(gpu1).
        A number may follow each word. C(<n>) stands for a number within a word.
      - With O(order=address_first) such names are left out, with a warning, if the list has the machine under its own name, which
        may be an alias. An empty list makes them hosts.
    type: list
    elements: str
    default: [bmc, ipmi, ilo, idrac, drac, imm, xcc, irmc, cimc, rmm, lom, sp, oob, mgmt, mgt, console, dpu, bf, eth, ib, ib-, ibp<n>s, ibs,
              ipoib, opa, hsn, roce, rdma, rail, mlx5_]
  default_groups:
    description: Groups that every host of the list is in.
    type: list
    elements: str
    default: [accelerator_nodes]
  variables:
    description:
      - Variables that lines may set. Shell patterns are allowed.
      - Whoever can write the list can set these variables. C(ansible_*) would let them run programs on the control
        node.
    type: list
    elements: str
    default: [accelmon_address, accelmon_cluster, accelmon_driver_missing, accelmon_rack, accelmon_state]
  bad_lines:
    description: Whether an invalid line makes the whole source fail or is skipped with a warning.
    type: str
    choices: [fail, warn]
    default: fail
"""

EXAMPLES = r"""
# fleet.hosts_txt.yml, with hosts.txt beside it:
#
#   gpu001  10.0.0.1     accelmon_rack=r1
#   gpu002  fd00:1::2    accelmon_rack=r2   # new mainboard
plugin: accelmon.fleet.hosts_txt

---
# A copy of /etc/hosts, in which the names of nodes begin with gpu and that of the monitoring host is mon1.
plugin: accelmon.fleet.hosts_txt
file: /srv/site/hosts
order: address_first
default_groups: []
groups:
  accelerator_nodes: inventory_hostname.startswith('gpu')
  monitoring: inventory_hostname == 'mon1'
"""

from ansible.errors import AnsibleParserError  # noqa: E402
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable  # noqa: E402

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import hosts_txt, lists, sources  # noqa: E402

LIST = "hosts.txt"


class InventoryModule(BaseInventoryPlugin, Constructable):
    """See DOCUMENTATION."""

    NAME = "accelmon.fleet.hosts_txt"

    def verify_file(self, path):
        """Whether a source is for this plugin, judged by its name."""
        return super().verify_file(path) and path.endswith(("hosts_txt.yml", "hosts_txt.yaml", LIST))

    def parse(self, inventory, loader, path, cache=True):
        """Add the hosts of the list."""
        super().parse(inventory, loader, path, cache)
        if path.endswith(LIST):
            self.set_options()
            source = path
        else:
            self._read_config_data(path)
            source = lists.beside(path, self.get_option("file"))
        try:
            hosts, problems = hosts_txt.parse(lists.read_list(source), self.get_option("order"), self.get_option("variables"))
        except Problem as problem:
            raise AnsibleParserError(str(problem)) from None
        if problems:
            message = lists.summary(source, problems)
            if self.get_option("bad_lines") == "fail":
                raise AnsibleParserError(message)
            self.display.warning(message)
        further = hosts_txt.further(hosts, self.get_option("further_names")) if self.get_option("order") == "address_first" else {}
        if further:
            some = ", ".join(f"{name} of {host}" for name, host in list(further.items())[:3])
            self.display.warning(f"{source}: {len(further)} names are additional addresses of hosts in the list ({some}) and were left out; "
                                 "to treat them as hosts, set further_names to []")
        sources.fill(self, {
            name: dict(host["variables"], **({"ansible_host": host["address"]} if "address" in host else {}))
            for name, host in hosts.items() if name not in further})
