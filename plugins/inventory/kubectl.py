# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory from `kubectl get nodes -o json`."""

DOCUMENTATION = r"""
name: kubectl
short_description: Inventory from the nodes of a Kubernetes cluster
version_added: 0.1.0
author: accelmon.fleet contributors (@accelmon)
description:
  - Reads the output of C(kubectl get nodes -o json) from a file. Contacts no cluster and needs no credentials.
  - A node's inventory name is its name in Kubernetes. Its C(ansible_host) is its first C(InternalIP), else its C(Hostname), where that is another.
  - Every host has C(accelmon_scrape_only), because Ansible does not log in to nodes of Kubernetes; its exporters run in pods, see
    docs/kubernetes.md. Set it to false with O(compose) for nodes that Ansible does log in to.
  - Every host has C(accelmon_scrape_only_devices), the number of its accelerators by vendor, from the node's capacity. Shared devices, slices
    (MIG) and more than 16 of a kind give no clear number, and count as C(0), some.
  - Every host has the variables C(kubernetes_labels), a dictionary, and C(kubernetes_unschedulable), for O(groups), O(keyed_groups) and O(compose).
  - The content is never evaluated as a template. Annotations, conditions and images are not read.
notes:
  - The inventory source is a YAML file whose name ends in C(kubectl.yml) or C(kubectl.yaml). Ansible selects the plugin by this name.
  - Ansible continues after a source that it cannot read. Set C(any_unparsed_is_failed) in the section C(inventory) of
    C(ansible.cfg) to make it stop instead.
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: The name of this plugin.
    type: str
    choices: [accelmon.fleet.kubectl]
    required: true
  file:
    description: The saved output. A relative path starts at the folder of the inventory source.
    type: str
    required: true
  labels:
    description:
      - Labels of nodes that become labels of their series, as C(accelmon_labels), by the name that they get there.
      - A node that has no such label gets none.
    type: dict
    default: {}
  resources:
    description:
      - Vendors of extended resources by their name, in addition to those that the plugin knows, which are C(nvidia.com/gpu), C(amd.com/gpu),
        C(habana.ai/gaudi), C(gpu.intel.com/i915), C(gpu.intel.com/xe), C(google.com/tpu) and C(aws.amazon.com/neuron).
      - A vendor is one of C(nvidia), C(amd), C(intel_gaudi), C(intel_gpu), C(google_tpu), C(tenstorrent), C(rebellions),
        C(furiosa), C(aws_neuron), C(apple).
    type: dict
    default: {}
  accelerators_only:
    description:
      - Leave out nodes that have none of these resources.
      - V(false) takes every node; those without accelerators are then monitored for host metrics only.
    type: bool
    default: true
  default_groups:
    description: Groups that every host is in.
    type: list
    elements: str
    default: [accelerator_nodes]
"""

EXAMPLES = r"""
# inventory/prod.kubectl.yml: kubectl get nodes -o json > nodes.json, outside of that folder, where Ansible would take it for an inventory too
plugin: accelmon.fleet.kubectl
file: ../nodes.json

---
# Two clusters in one inventory: a file for each, with a group for its variables, such as accelmon_cluster.
plugin: accelmon.fleet.kubectl
file: ../nodes-east.json
default_groups: [accelerator_nodes, k8s_east]
labels:
  zone: topology.kubernetes.io/zone
resources:
  tenstorrent.com/n150: tenstorrent
compose:
  accelmon_rack: kubernetes_labels['example.com/rack'] | default('')
  # Cordoned nodes are muted.
  accelmon_state: "'maintenance' if kubernetes_unschedulable else 'active'"
keyed_groups:
  - key: kubernetes_labels['node.kubernetes.io/instance-type']
    prefix: type
"""

from ansible.errors import AnsibleParserError  # noqa: E402
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable  # noqa: E402

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem  # noqa: E402
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import kubectl, lists, sources  # noqa: E402


class InventoryModule(BaseInventoryPlugin, Constructable):
    """See DOCUMENTATION."""

    NAME = "accelmon.fleet.kubectl"

    def verify_file(self, path):
        """Whether a source is for this plugin, judged by its name."""
        return super().verify_file(path) and path.endswith(("kubectl.yml", "kubectl.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Add the nodes."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        source = lists.beside(path, self.get_option("file"))
        known = self.checked(path, kubectl.vendors, self.get_option("resources"))
        labels = self.checked(path, kubectl.chosen_labels, self.get_option("labels"))
        text = self.checked("", lists.read_list, source)
        listed, everything = self.checked(source, kubectl.parse, text, known), not self.get_option("accelerators_only")
        sources.fill_nodes(self, source, listed, lambda node: everything or node["devices"], kubectl.CLASH, lambda node: kubectl.variables(node, labels))

    @staticmethod
    def checked(where, function, *arguments):
        """What a function returns. where: the file that a problem is in; "" if the problem names it"""
        try:
            return function(*arguments)
        except Problem as problem:
            raise AnsibleParserError(f"{where}: {problem}" if where else str(problem)) from None
