# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory from `scontrol show node`."""

DOCUMENTATION = r"""
name: scontrol
short_description: Inventory from the nodes that Slurm knows
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Reads the output of C(scontrol show node), in blocks or with C(--oneliner), from a file or, with O(live), from the program itself.
  - A node's inventory name is its C(NodeName). Its C(ansible_host) is its C(NodeAddr), else its C(NodeHostName), where that is
    another. An address in 0.0.0.0/8, which cloud plugins give to a node without an address, is ignored.
  - Every host has the variables C(slurm_states), C(slurm_partitions), C(slurm_features) and C(slurm_gres), all lists, for
    O(groups), O(keyed_groups) and O(compose).
  - The output is never evaluated as a template. Free text (C(Reason), C(Comment), C(Extra)) is not read.
notes:
  - The inventory source is a YAML file whose name ends in C(scontrol.yml) or C(scontrol.yaml). Ansible selects the plugin by this name.
  - Ansible continues after a source that it cannot read. Set C(any_unparsed_is_failed) in the section C(inventory) of
    C(ansible.cfg) to make it stop instead.
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: The name of this plugin.
    type: str
    choices: [accelmon.fleet.scontrol]
    required: true
  file:
    description: The saved output. A relative path starts at the folder of the inventory source. Required unless O(live) is set.
    type: str
  live:
    description: Run O(program) on the control node instead of reading a file.
    type: bool
    default: false
  program:
    description: Name or path of the program to run. It is run without a shell, with the arguments C(--oneliner show node).
    type: str
    default: scontrol
  timeout:
    description: Seconds after which O(program) is killed and the source fails.
    type: int
    default: 20
  accelerators_only:
    description:
      - Leave out nodes that have no accelerators among their generic resources, which are C(gpu) and those listed in O(vendors).
      - V(false) takes every node; those without accelerators are then monitored for host metrics only.
    type: bool
    default: true
  partitions:
    description: Take only nodes of these partitions. Empty means all.
    type: list
    elements: str
    default: []
  default_groups:
    description: Groups that every host is in.
    type: list
    elements: str
    default: [accelerator_nodes]
  expected:
    description:
      - Set C(accelmon_expected) to the number of accelerators by vendor, where Slurm's output is clear about both.
      - The vendor follows from the type of the generic resource, for example C(gpu:h100:8). Where C(Gres) has no type, that of C(CfgTRES)
        counts if the numbers agree. With a resource without a type, slices of devices (MIG) or more than 16 devices it is not clear, and nothing is set.
    type: bool
    default: true
  vendors:
    description:
      - Vendors of generic resources by their name, or name and type, for those whose vendor the plugin cannot determine.
      - A vendor is one of C(nvidia), C(amd), C(intel_gaudi), C(intel_gpu), C(google_tpu), C(tenstorrent), C(rebellions),
        C(furiosa), C(aws_neuron), C(apple).
    type: dict
    default: {}
  maintenance_states:
    description:
      - Slurm states in which C(accelmon_state) is set to C(maintenance). The node stays a target; its alerts are muted.
      - DOWN and DRAIN are not among them, so that a node that failed, or was drained because of its hardware, is not muted.
        V(DRAIN) also covers DRAINED and DRAINING.
    type: list
    elements: str
    default: [MAINT, POWERED_DOWN, POWERING_DOWN, POWER_DOWN]
  skip_states:
    description: Slurm states in which a node is left out.
    type: list
    elements: str
    default: [FUTURE]
"""

EXAMPLES = r"""
# site.scontrol.yml, with nodes.txt beside it: scontrol show node > nodes.txt
plugin: accelmon.fleet.scontrol
file: nodes.txt

---
# On a machine with Slurm's client. A drained node is muted too. Racks are features such as rack-12.
plugin: accelmon.fleet.scontrol
live: true
timeout: 10
maintenance_states: [MAINT, POWERED_DOWN, POWERING_DOWN, DRAIN]
# "gpu:8" says nothing of the vendor.
vendors:
  gpu: nvidia
compose:
  accelmon_rack: slurm_features | select('match', 'rack-') | first | default('')
keyed_groups:
  - key: slurm_partitions
    prefix: partition
"""

from ansible.errors import AnsibleParserError  # noqa: E402
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable  # noqa: E402

from ansible_collections.accelmon.fleet.plugins.module_utils import slurm  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import lists, scontrol, sources  # noqa: E402


class InventoryModule(BaseInventoryPlugin, Constructable):
    """See DOCUMENTATION."""

    NAME = "accelmon.fleet.scontrol"

    def verify_file(self, path):
        """Whether a source is for this plugin, judged by its name."""
        return super().verify_file(path) and path.endswith(("scontrol.yml", "scontrol.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Add the nodes."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            source, listed = self.nodes(path)
        except Problem as problem:
            raise AnsibleParserError(str(problem)) from None
        sources.fill_nodes(self, source, listed, self.wanted, scontrol.CLASH, self.variables)

    def nodes(self, path):
        """(where from, ({name: node}, [problem])). Raises Problem."""
        scontrol.check_vendors(self.get_option("vendors"))
        if bool(self.get_option("live")) == bool(self.get_option("file")):
            raise Problem(f"{path}: set either file, to read saved output, or live, to run scontrol")
        if self.get_option("live"):
            source = self.get_option("program")
            text = scontrol.run(source, self.get_option("timeout"))
        else:
            source = lists.beside(path, self.get_option("file"))
            text = lists.read_list(source)
        try:
            return source, scontrol.parse(text)
        except Problem as problem:
            raise Problem(f"{source}: {problem}") from None

    def wanted(self, node):
        """Whether a node is taken."""
        partitions = self.get_option("partitions")
        if set(node["states"]) & slurm.one_word(self.get_option("skip_states")):
            return False
        if partitions and not set(node["partitions"]) & set(partitions):
            return False
        return not self.get_option("accelerators_only") or scontrol.has_accelerators(node, self.get_option("vendors"))

    def variables(self, node):
        """{variable: value} of a node."""
        found = {
            "slurm_states": node["states"],
            "slurm_partitions": node["partitions"],
            "slurm_features": node["features"],
            "slurm_gres": [f"{name}:{kind}:{count}" if kind else f"{name}:{count}" for name, kind, count in node["gres"]],
        }
        if "address" in node:
            found["ansible_host"] = node["address"]
        expected = scontrol.expected(node, self.get_option("vendors")) if self.get_option("expected") else {}
        if expected:
            found["accelmon_expected"] = expected
        if set(node["states"]) & slurm.one_word(self.get_option("maintenance_states")):
            found["accelmon_state"] = "maintenance"
        return found
