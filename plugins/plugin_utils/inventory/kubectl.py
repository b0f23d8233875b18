# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes as an inventory has them, from what `kubectl get nodes -o json` prints: pure functions."""
import json
import re

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import lists
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.lists import host_address, host_name, shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory.scontrol import MOST_DEVICES
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import VENDORS

# What device plugins call whole devices of a vendor. Parts of them have other names, of the same beginning.
RESOURCES = {"nvidia.com/gpu": "nvidia", "amd.com/gpu": "amd", "habana.ai/gaudi": "intel_gaudi", "gpu.intel.com/i915": "intel_gpu",
             "gpu.intel.com/xe": "intel_gpu", "google.com/tpu": "google_tpu", "aws.amazon.com/neuron": "aws_neuron"}
PARTS = re.compile(r"nvidia\.com/(mig-|gpu\.shared)|amd\.com/[a-z]+_nps")
# Keys and values as Kubernetes accepts them.
KEY = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
# NVIDIA's device plugin multiplies its devices where several pods share one, and its label says by how many.
REPLICAS = "nvidia.com/gpu.replicas"
FIX = "save the output of kubectl get nodes -o json"
# What to do about two nodes with one address.
CLASH = "save the output again, or take one of them out"


def vendors(more):
    """{resource: vendor}, those of the site over ours. Raises Problem."""
    for name, vendor in more.items():
        if not KEY.fullmatch(str(name)):
            raise Problem(f"resources: {shown(str(name))}: not the name of a resource; use one such as example.com/device")
        if vendor not in VENDORS:
            raise Problem(f"resources: {name}: {shown(str(vendor))} is not a vendor; use {', '.join(VENDORS)}")
    return {**RESOURCES, **more}


def chosen_labels(labels):
    """{name of ours: label of nodes} as the option has it. Raises Problem; names are judged where they are used."""
    for name, label in labels.items():
        if not isinstance(label, str) or not KEY.fullmatch(label):
            raise Problem(f"labels: {shown(str(name))}: {shown(str(label))} is not a label of Kubernetes; use one such as topology.kubernetes.io/zone")
    return labels


def parse(text, known):
    """({name: {"address"?, "labels", "unschedulable", "devices": {vendor: number, or 0 where it is not clear}}}, [problem]) of the output.

    known: {resource: vendor}. Raises Problem if this is no such output.
    """
    try:
        document = json.loads(text)
        items = document["items"] if document["kind"] in ("List", "NodeList") else [document]
        if not isinstance(items, list):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Problem(f"not a list of nodes; {FIX}") from None
    return lists.nodes_of(items, lambda item: node(item, known))


def part(whole, key, kind, what):
    """A part of a node, empty where it has none. Raises Problem for one of another kind."""
    value = whole.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise Problem(f"{what}{key} is damaged; {FIX}")
    return value


def node(item, known):
    """(name, node) of one item, (name, None) for one that does not run Linux. Raises Problem."""
    if not isinstance(item, dict) or item.get("kind") != "Node":
        raise Problem(f"not a node; {FIX}")
    metadata = part(item, "metadata", dict, "")
    name = host_name(part(metadata, "name", str, "metadata."))
    spec, status = part(item, "spec", dict, f"{name}: "), part(item, "status", dict, f"{name}: ")
    labels = part(metadata, "labels", dict, f"{name}: ")
    if part(part(status, "nodeInfo", dict, f"{name}: "), "operatingSystem", str, f"{name}: ") not in ("", "linux"):
        return name, None
    for key, value in labels.items():
        if not KEY.fullmatch(key) or not isinstance(value, str) or not VALUE.fullmatch(value):
            raise Problem(f"{name}: the label {shown(key)} = {shown(str(value))} is none that Kubernetes accepts; {FIX}")
    found = {"labels": labels, "unschedulable": spec.get("unschedulable") is True, "devices": devices(name, status, labels, known)}
    place = address(name, part(status, "addresses", list, f"{name}: "))
    return name, {**found, **({"address": place} if place != name else {})}


def address(name, listed):
    """Where a node is: its first InternalIP, which pods in the host's network know as theirs, else its Hostname, else its name. Raises Problem."""
    places = {}
    for entry in listed:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("type", "address")):
            raise Problem(f"{name}: addresses is damaged; {FIX}")
        places.setdefault(entry["type"], entry["address"])
    place = places.get("InternalIP") or places.get("Hostname") or name
    try:
        return host_address(place)
    except Problem as problem:
        raise Problem(f"{name}: {problem}") from None


def devices(name, status, labels, known):
    """{vendor: number of devices, 0 where there are some and their number is not clear}.

    The capacity counts, not what is allocatable: a device that its plugin found broken is one that the node has. Raises Problem.
    """
    found, unclear = {}, set()
    for resource, quantity in part(status, "capacity", dict, f"{name}: ").items():
        vendor = known.get(resource)
        if vendor:
            if not isinstance(quantity, str) or not re.fullmatch(r"\d{1,6}", quantity):
                raise Problem(f"{name}: capacity: {resource} = {shown(str(quantity))} is not a number of devices; {FIX}")
            found[vendor] = found.get(vendor, 0) + int(quantity)
        elif PARTS.match(resource):
            vendor = known[next(whole for whole in RESOURCES if whole.startswith(resource.partition("/")[0]))]
            found.setdefault(vendor, 0)
            unclear.add(vendor)
    shared = labels.get(REPLICAS, "1") not in ("", "0", "1")
    return {vendor: 0 if vendor in unclear or count > MOST_DEVICES or (vendor == "nvidia" and shared) else count for vendor, count in sorted(found.items())}


def variables(found, labels):
    """{variable: value} of a node. labels: {name of ours: label of nodes}"""
    ours = {name: found["labels"][label] for name, label in labels.items() if found["labels"].get(label)}
    return {
        **({"ansible_host": found["address"]} if "address" in found else {}),
        **({"accelmon_labels": ours} if ours else {}),
        "accelmon_scrape_only": True,
        "accelmon_scrape_only_devices": found["devices"],
        "kubernetes_labels": found["labels"],
        "kubernetes_unschedulable": found["unschedulable"],
    }
