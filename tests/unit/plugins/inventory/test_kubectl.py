# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a Kubernetes cluster, parsed and through Ansible's own inventory. The list of nodes is written from documentation."""
import copy
import json
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.inventory import kubectl, lists
from ansible_collections.accelmon.fleet.tests.unit.plugins.inventory.through_ansible import REPOSITORY, evaluated, inventory

TEXT = (REPOSITORY / "tests" / "fixtures" / "inventory" / "kubectl_nodes.json").read_text()
NODES = json.loads(TEXT)["items"]


def parsed(*items):
    return kubectl.parse(json.dumps({"kind": "List", "items": items}), kubectl.RESOURCES)


def changed(**changes):
    """The first node with other parts: {"a__b": value} is {"a": {"b": value}}."""
    item = copy.deepcopy(NODES[0])
    for path, value in changes.items():
        place, keys = item, path.split("__")
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
    return item


def of_capacity(labels=None, **capacity):
    name = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "mig": "nvidia.com/mig-1g.10gb", "cpx": "amd.com/cpx_nps4", "shared": "nvidia.com/gpu.shared"}
    found, problems = parsed(changed(status__capacity={name[key]: value for key, value in capacity.items()}, metadata__labels=labels or {}))
    assert problems == []
    return found["gpu-1"]["devices"]


def test_a_node():
    found, problems = kubectl.parse(TEXT, kubectl.RESOURCES)
    assert problems == [] and set(found) == {"gpu-1", "gpu-2", "mig-1", "shared-1", "amd-1", "gaudi-1", "cpu-1"}
    assert found["gpu-1"] == {"address": "10.3.0.1", "labels": NODES[0]["metadata"]["labels"], "unschedulable": False, "devices": {"nvidia": 8}}
    assert found["gpu-2"]["unschedulable"] is True and found["cpu-1"]["devices"] == {}


def test_one_node_alone():
    """`kubectl get node gpu-1 -o json` prints no list."""
    assert set(kubectl.parse(json.dumps(NODES[0]), kubectl.RESOURCES)[0]) == {"gpu-1"}


@pytest.mark.parametrize("capacity, labels, devices", [
    ({"nvidia": "8"}, {}, {"nvidia": 8}), ({"nvidia": "0", "mig": "56"}, {}, {"nvidia": 0}), ({"mig": "7"}, {}, {"nvidia": 0}),
    ({"nvidia": "4", "mig": "28"}, {}, {"nvidia": 0}), ({"shared": "32"}, {}, {"nvidia": 0}), ({"nvidia": "16"}, {kubectl.REPLICAS: "4"}, {"nvidia": 0}),
    ({"nvidia": "8"}, {kubectl.REPLICAS: "1"}, {"nvidia": 8}), ({"nvidia": "0"}, {}, {"nvidia": 0}), ({"amd": "64"}, {}, {"amd": 0}),
    ({"cpx": "64"}, {}, {"amd": 0}), ({"amd": "8", "nvidia": "2"}, {}, {"amd": 8, "nvidia": 2}), ({}, {}, {}),
])
def test_a_number_only_where_it_is_clear(capacity, labels, devices):
    assert of_capacity(labels, **capacity) == devices


def test_a_site_names_its_own_resources():
    known = kubectl.vendors({"tenstorrent.com/n150": "tenstorrent"})
    item = changed(status__capacity={"tenstorrent.com/n150": "4", "nvidia.com/gpu": "1"})
    assert kubectl.parse(json.dumps(item), known)[0]["gpu-1"]["devices"] == {"nvidia": 1, "tenstorrent": 4}


@pytest.mark.parametrize("addresses, address", [
    ([{"type": "ExternalIP", "address": "192.0.2.1"}, {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"}], "10.0.0.1"),
    ([{"type": "Hostname", "address": "gpu-1.example.org"}], "gpu-1.example.org"), ([{"type": "Hostname", "address": "gpu-1"}], None), ([], None)])
def test_where_a_node_is(addresses, address):
    assert parsed(changed(status__addresses=addresses))[0]["gpu-1"].get("address") == address


@pytest.mark.parametrize("text, words", [
    ("", "not a list of nodes; save the output of kubectl get nodes -o json"), ("NAME STATUS\n", "not a list"), ("[]", "not a list"),
    ('{"kind": "List", "items": {}}', "not a list"), ('{"kind": "List"}', "not a list"), ("[" * 100000, "not a list"), ("3", "not a list"),
])
def test_what_is_no_list_of_nodes_is_refused(text, words):
    with pytest.raises(Problem, match=words):
        kubectl.parse(text, kubectl.RESOURCES)


@pytest.mark.parametrize("item, words", [
    (changed(kind="Pod"), "not a node; save"), (3, "not a node"), (changed(metadata={}), "not a host name"), (changed(metadata=[]), "metadata is damaged"),
    (changed(metadata__name="-x"), "not a host name"), (changed(metadata__name="{{ evil }}"), "not a host name"), (changed(metadata__name="all"), "built-in"),
    (changed(metadata__labels={"a": "{{ evil }}"}), "gpu-1: the label a"), (changed(metadata__labels={"a b": ""}), "gpu-1: the label a b"),
    (changed(metadata__labels=[1]), "gpu-1: labels is damaged"), (changed(metadata__labels={"a": 1}), "gpu-1: the label a"),
    (changed(status__capacity={"nvidia.com/gpu": 8}), "gpu-1: capacity: nvidia.com/gpu = 8 is not a number of devices"),
    (changed(status__capacity={"nvidia.com/gpu": "-1"}), "gpu-1: capacity"), (changed(status__addresses=[{"type": "InternalIP"}]), "gpu-1: addresses"),
    (changed(status__addresses=[{"type": "InternalIP", "address": "-oProxyCommand=x"}]), "gpu-1: -oProxyCommand"),
    (changed(status=3), "gpu-1: status is damaged"),
])
def test_a_bad_node_is_named(item, words):
    found, problems = parsed(NODES[1], item)
    assert set(found) == {"gpu-2"} and len(problems) == 1 and problems[0].startswith("node 2: ") and words in problems[0], problems
    assert "{{" not in problems[0] and problems[0].isprintable()


def test_nodes_that_contradict_each_other():
    assert parsed(NODES[0], NODES[0])[1] == ["node 2: gpu-1: listed twice; save the output again"]
    found = parsed(NODES[0], changed(metadata__name="other"))[0]
    assert lists.clashes(found, kubectl.CLASH) == ["other: same address as gpu-1; save the output again, or take one of them out"]


@pytest.mark.parametrize("check, value, words", [
    (kubectl.vendors, {"a.com/b": "nvidja"}, "nvidja is not a vendor"), (kubectl.vendors, {"a b": "nvidia"}, "not the name of a resource"),
    (kubectl.chosen_labels, {"zone": "a b"}, "not a label of Kubernetes"), (kubectl.chosen_labels, {"zone": None}, "not a label")])
def test_options_are_checked(check, value, words):
    with pytest.raises(Problem, match=words):
        check(value)


def test_ten_thousand_nodes_take_seconds():
    begin = time.process_time()
    found = parsed(*(changed(metadata__name=f"gpu-{number}") for number in range(10000)))[0]
    assert len(found) == 10000 and time.process_time() - begin < 20


def source(folder, options, text=TEXT):
    (folder / "nodes.json").write_text(text)
    path = folder / "prod.kubectl.yml"
    path.write_text("plugin: accelmon.fleet.kubectl\n" + options)
    return path


def test_through_ansible(tmp_path):
    found = inventory(source(tmp_path, "file: nodes.json\ndefault_groups: [accelerator_nodes, k8s_east]\nlabels: {zone: topology.kubernetes.io/zone}\n"
                             "compose: {accelmon_state: \"'maintenance' if kubernetes_unschedulable else 'active'\"}\n"
                             "keyed_groups: [{key: \"kubernetes_labels['topology.kubernetes.io/zone']\", prefix: zone}]\n"))
    hosts = found["_meta"]["hostvars"]
    assert set(hosts) == {"gpu-1", "gpu-2", "mig-1", "shared-1", "amd-1", "gaudi-1"}
    assert hosts["gpu-1"] == {"ansible_host": "10.3.0.1", "accelmon_labels": {"zone": "a"}, "accelmon_scrape_only": True,
                              "accelmon_scrape_only_devices": {"nvidia": 8}, "accelmon_state": "active",
                              "kubernetes_labels": NODES[0]["metadata"]["labels"], "kubernetes_unschedulable": False}
    assert hosts["gpu-2"]["accelmon_state"] == "maintenance" and "accelmon_labels" not in hosts["amd-1"]
    assert found["k8s_east"]["hosts"] == found["accelerator_nodes"]["hosts"] and found["zone_b"]["hosts"] == ["gpu-2"]
    every = inventory(source(tmp_path, "file: nodes.json\naccelerators_only: false\n"))["_meta"]["hostvars"]
    assert every["cpu-1"]["accelmon_scrape_only_devices"] == {}


def test_values_are_never_evaluated(tmp_path):
    """A label cannot hold a template; the labels that a site chooses cannot bring one in either."""
    path = source(tmp_path, "file: nodes.json\nlabels: {'{{ 1 + 1 }}': kubernetes.io/arch}\n")
    assert evaluated(path, "gpu-1", ("accelmon_labels",)) == {"accelmon_labels": {"{{ 1 + 1 }}": "amd64"}}


@pytest.mark.parametrize("options, text, words", [
    ("file: none.json\n", TEXT, "No such file"), ("file: nodes.json\n", "NAME STATUS", "nodes.json: not a list of nodes"),
    ("file: nodes.json\nresources: {a: x}\n", TEXT, "x is not a vendor"), ("", TEXT, "file"),
    ("file: nodes.json\n", TEXT.replace('"10.3.0.2"', '"10.3.0.1"'), "gpu-2: same address as gpu-1"),
    ("file: nodes.json\n", TEXT.replace('"name": "gpu-2"', '"name": "gpu 2"'), "node 2: gpu 2: not a host name")])
def test_a_source_that_cannot_be_read_says_why(tmp_path, options, text, words):
    assert words in inventory(source(tmp_path, options, text), code=None)
