# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which exporters run on which nodes of a Kubernetes cluster, and the files with the objects that bring them there."""
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, plan, variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import kubernetes
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import PORT_EXPORTERS

SELECTORS, RUNTIME_CLASS = "accelmon_kubernetes_selectors", "accelmon_kubernetes_runtime_class"
SECRET = "accelmon_kubernetes_secret"
# Labels that the vendors' own operators give to nodes with their devices.
LABELS = {"nvidia": {"nvidia.com/gpu.present": "true"}, "amd": {"feature.node.kubernetes.io/amd-gpu": "true"}}


class Node:
    """A node: its labels, its settings, and its exporters: {role: (port, {vendor that it reads})}."""

    def __init__(self, name, of_host, reader):
        self.name, self.labels = name, of_host.raw["kubernetes_labels"]
        self.values, errors = reader.read_all(of_host)
        if errors:
            raise errors[0].of(name)
        chosen = plan.choose(self.values, None)
        self.vendors = set(chosen.present)
        self.exporters = {one["job"]: (one["port"], {*one["elected"], *one["standby"]}) for one in plan.exporters(self.values, chosen)
                          if one["job"] in PORT_EXPORTERS and not one.get("custom")}


def manifests(hosts, hostvars):
    """{name of a file: its text}, of the exporters of those hosts that are nodes of Kubernetes. Raises Problem.

    hosts: names, of one cluster; hostvars: the variable of this name
    """
    more = [SELECTORS, RUNTIME_CLASS, *(f"{role}_image" for role in PORT_EXPORTERS)]
    reader = fleet.Reader({**fleet.plan_specs(), **{name: variables.declared(name) for name in more}})
    found = {name: fleet.HostVariables(hostvars, name) for name in sorted(map(str, hosts))}
    nodes = [Node(name, of_host, reader) for name, of_host in found.items() if "kubernetes_labels" in of_host.raw]
    if not nodes:
        raise Problem("none of the hosts is a node of Kubernetes; take them from the inventory plugin accelmon.fleet.kubectl")
    files = {"common.yml": text(kubernetes.common())}
    for role in PORT_EXPORTERS:
        having = [node for node in nodes if role in node.exporters]
        if having:
            files[f"{role}.yml"] = text(daemon_set(role, nodes, having))
    return files


def text(objects):
    """YAML of several objects."""
    return "---\n".join(catalogue.dump(catalogue.plain(one)) for one in objects)


def daemon_set(role, nodes, having):
    """The objects of one exporter. having: the nodes that shall have it. Raises Problem."""
    port = same(having, f"{role}_port", lambda node: node.exporters[role][0])
    selectors, runtime, secret = (same(nodes, name, lambda node, name=name: node.values[name]) for name in (SELECTORS, RUNTIME_CLASS, SECRET))
    # The same as in a container on a host.
    name = f"{role}_image"
    image = same(having, name, lambda node: node.values[name]) or (catalogue.load("dcgm")["image"] if role == "dcgm_exporter" else "")
    if not image:
        raise Problem(f"{having[0].name} is to run it in a pod; set it to NAME@sha256:DIGEST", name, "")
    reads = set().union(*(node.exporters[role][1] for node in having))
    if "nvidia" in reads and len(reads) > 1:
        raise Problem(f"it would read {' and '.join(sorted(reads))} in one cluster, whose pods differ; use --limit for the nodes of each, with a directory "
                      "for each", "accelmon_accelerator_source", role)
    terms = [term(vendor, selectors, having) for vendor in sorted(vendors_by(role, reads, having))]
    check_terms(role, terms, nodes, {**LABELS, **selectors})
    return kubernetes.exporter(role, port, image, terms, ("" if runtime == "none" else runtime) if reads == {"nvidia"} else None, secret)


def vendors_by(role, reads, having):
    """The vendors by whose devices the nodes of an exporter are found; none, where it runs on all nodes."""
    if role != "node_exporter":
        return reads
    return set().union(*(node.vendors for node in having)) if all(node.vendors for node in having) else set()


def check_terms(role, terms, nodes, selectors):
    """Raises Problem unless labels find exactly those nodes that shall run an exporter."""
    for node in nodes:
        matches, wanted = not terms or any(one.items() <= node.labels.items() for one in terms), role in node.exporters
        if matches != wanted:
            words = ("lacks", "and is") if wanted else ("has", "and is not")
            raise Problem(f"{node.name} {words[0]} the labels of nodes that run {role}, {words[1]} to run it; label the nodes, or name other labels",
                          SELECTORS, selectors)


def term(vendor, selectors, having):
    """The labels of nodes with a vendor's devices. Raises Problem."""
    found = selectors.get(vendor) or LABELS.get(vendor)
    if not found:
        name = next(node.name for node in having if vendor in node.vendors)
        raise Problem(f"no label by which Kubernetes finds the nodes with {vendor}, such as {name}; add {vendor}: {{LABEL: VALUE}}", SELECTORS, selectors)
    return found


def same(nodes, name, value):
    """The value that all nodes have. Raises Problem."""
    first = value(nodes[0])
    other = next((node for node in nodes if value(node) != first), None)
    if other:
        raise Problem(f"{nodes[0].name} has {first}; all nodes of a cluster need the same: use --limit for each cluster, with a directory for each", name,
                      value(other), other.name)
    return first
