# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How devices and adapters of a host are connected. Stubbed: sysfs by a folder, nvidia-smi by a function that gives fixtures."""
import os

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import topology

FIXTURES = os.path.join(os.path.dirname(__file__), "../../../../fixtures/topology")


def fixture(name):
    with open(os.path.join(FIXTURES, name), encoding="utf-8", newline="\n") as stream:
        return stream.read()


def put(root, path, text):
    full = os.path.join(str(root), path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="ascii") as stream:
        stream.write(text + "\n")


def function(root, path, numa=-1, lanes=16, speed="32.0 GT/s PCIe"):
    """A PCI function below bridges: 'pci0000:00/0000:00:01.0/0000:1b:00.0'. Returns its address."""
    folder = root / "sys/devices"
    for part in path.split("/"):
        folder = folder / part
        if part.startswith("pci"):
            continue
        address = folder.name
        link = root / "sys/bus/pci/devices" / address
        if not os.path.lexists(str(link)):
            folder.mkdir(parents=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder)
            for name, text in (("max_link_width", str(lanes)), ("max_link_speed", speed), ("numa_node", str(numa))):
                put(link, name, text)
    return folder.name


def adapter(root, name, path, kind="infiniband", **more):
    address = function(root, path, **more)
    (root / "sys/class" / kind / name).mkdir(parents=True)
    (root / "sys/class" / kind / name / "device").symlink_to(root / "sys/bus/pci/devices" / address)
    return address


def nodes(root, number):
    for node in range(number):
        (root / ("sys/devices/system/node/node%d" % node)).mkdir(parents=True)


def device(address, vendor="nvidia", **more):
    return dict({"vendor": vendor, "kind": "gpu", "state": "ready", "model": "H100", "pci_address": address, "driver": vendor}, **more)


def look(root, devices, **more):
    return topology.look(str(root), devices, which=more.pop("which", lambda name: None), **more)


UP = "pci0000:00/0000:00:01.0/0000:10:00.0/"
WAYS = [  # from the first device to this place
    ("PIX", UP + "0000:11:01.0/0000:13:00.0"), ("PIX", UP + "0000:11:00.0/0000:12:00.1"),
    ("PXB", UP + "0000:11:02.0/0000:14:00.0/0000:15:00.0/0000:16:00.0"), ("PHB", "pci0000:00/0000:00:02.0/0000:20:00.0"),
    ("NODE", "pci0000:40/0000:40:01.0/0000:41:00.0"), ("SYS", "pci0000:80/0000:80:01.0/0000:81:00.0")]


@pytest.mark.parametrize("word, path", WAYS)
def test_the_way_is_the_word_of_nvidia_smi(tmp_path, word, path):
    nodes(tmp_path, 2)
    first = function(tmp_path, UP + "0000:11:00.0/0000:12:00.0", numa=0)
    adapter(tmp_path, "mlx5_0", path, numa=1 if word == "SYS" else 0)
    seen = look(tmp_path, [device(first)])
    assert seen["paths"] == [["X", word], [word, "X"]]
    assert [place["name"] for place in seen["places"]] == ["nvidia0", "mlx5_0"] and seen["numa_nodes"] == 2


def test_what_cannot_be_known_is_not_guessed(tmp_path):
    nodes(tmp_path, 2)
    one, other = function(tmp_path, "pci0000:00/0000:00:01.0"), function(tmp_path, "pci0000:40/0000:40:01.0")
    assert look(tmp_path, [device(one, "amd"), device(other, "amd")])["paths"] == [["X", "?"], ["?", "X"]]
    assert "numa_node" not in look(tmp_path, [device(one, "amd")])["places"][0]
    put(tmp_path, "sys/bus/pci/devices/0000:99:00.0/numa_node", "0")  # a folder instead of a link: no bridge is known
    assert look(tmp_path, [device(one, "amd"), device("0000:99:00.0", "amd")])["paths"][0][1] == "?"


def test_one_numa_node_needs_no_number(tmp_path):
    nodes(tmp_path, 1)
    one, other = function(tmp_path, "pci0000:00/0000:00:01.0"), function(tmp_path, "pci0000:40/0000:40:01.0")
    assert look(tmp_path, [device(one, "amd"), device(other, "amd")])["paths"][0][1] == "NODE"


def test_the_slot_is_the_narrowest_and_slowest_on_the_way(tmp_path):
    function(tmp_path, "pci0000:00/0000:00:01.0", lanes=8, speed="16.0 GT/s PCIe")
    address = function(tmp_path, "pci0000:00/0000:00:01.0/0000:10:00.0")
    put(tmp_path, "sys/bus/pci/devices/0000:00:01.0/max_link_width", "8")
    place = look(tmp_path, [device(address)])["places"][0]
    assert (place["lanes"], place["generation"]) == (8, 4)
    put(tmp_path, "sys/bus/pci/devices/0000:00:01.0/max_link_width", "255")
    put(tmp_path, "sys/bus/pci/devices/0000:00:01.0/max_link_speed", "Unknown")
    place = look(tmp_path, [device(address)])["places"][0]
    assert (place["lanes"], place["generation"]) == (16, 5)


def test_adapters_count_once_and_without_virtual_functions(tmp_path):
    adapter(tmp_path, "mlx5_0", "pci0000:00/0000:00:01.0/0000:10:00.0")
    adapter(tmp_path, "ens1", "pci0000:00/0000:00:01.0/0000:10:00.0", "net")
    adapter(tmp_path, "eno1", "pci0000:00/0000:00:02.0", "net")
    virtual = adapter(tmp_path, "mlx5_9", "pci0000:00/0000:00:01.0/0000:10:00.2")
    (tmp_path / "sys/bus/pci/devices" / virtual / "physfn").symlink_to(tmp_path)
    (tmp_path / "sys/class/net/lo").mkdir()
    assert [place["name"] for place in look(tmp_path, [])["places"]] == ["eno1", "mlx5_0"]


def test_devices_that_are_not_the_hosts_own_are_left_out(tmp_path):
    one = function(tmp_path, "pci0000:00/0000:00:01.0")
    assert look(tmp_path, [device(one, state="passthrough"), device(one, kind="virtual_function"), {"vendor": "apple", "kind": "gpu", "state": "ready"}]) \
        == {"places": [], "paths": [], "links": [], "numa_nodes": 0, "tools": {}}


@pytest.mark.parametrize("name, number, word", [("single.txt", 1, None), ("hgx_4.txt", 4, "NV6"), ("old_names.txt", 2, "SYS"), ("spaces.txt", 2, "NV8")])
def test_the_matrix_of_the_tool_in_all_its_forms(name, number, word):
    found = topology.matrix(fixture(name))
    assert len(found) == number ** 2 and found[0, 0] == "X" and found.get((0, 1)) == word


@pytest.mark.parametrize("text", [
    fixture("cut.txt"), fixture("error.txt"), "", "\0", "GPU0 GPU1\nGPU0 X NV4\n", "GPU0 GPU1\nGPU0 X NV400\nGPU1 NV4 X\n",
    "GPU0 GPU1\nGPU0 X\nGPU1 NV4 X\n", "GPU0 GPU0\nGPU0 X X\n", "GPU0 " * 5000])
def test_what_is_not_whole_is_no_matrix(text):
    assert topology.matrix(text) == {}


def nvidia_smi(topo, rows):
    """A tool that answers both questions. Its first call gives the numbers of the devices."""
    def run(argv, timeout):
        assert timeout == 20
        return (0, topo, "") if argv[1] == "topo" else (0, "".join("%d, GPU-0, %s, H100, 1, 1, 0, N/A, N/A, 1\n" % row for row in rows), "")
    return dict(run=run, which=lambda name: "/usr/bin/" + name)


def test_nvlinks_go_by_the_address_and_not_by_the_order(tmp_path):
    addresses = [function(tmp_path, "pci0000:00/0000:00:0%d.0" % number) for number in range(1, 4)]
    text = "GPU0 GPU1 GPU2 CPU Affinity\nGPU0 X NV4 SYS 0\nGPU1 NV4 X PHB 0\nGPU2 SYS PHB X 0\n"
    rows = [(0, "00000000:00:03.0"), (1, "00000000:00:01.0"), (2, "00000000:00:02.0")]
    seen = look(tmp_path, [device(address) for address in addresses], **nvidia_smi(text, rows))
    assert seen["links"] == [["", "", "NV4"], ["", "", ""], ["NV4", "", ""]] and seen["tools"] == {"nvidia": "ok"}
    assert seen["paths"][0][1] == "PHB", "the way is that of sysfs on every host"


@pytest.mark.parametrize("status, tool", [
    ("missing", {}), ("hung", {"run": lambda argv, timeout: (None, "", ""), "which": lambda name: name}),
    ("failed", nvidia_smi(fixture("error.txt"), [])), ("failed", nvidia_smi(fixture("single.txt"), [])), ("skipped", {"timeout": 0})])
def test_without_an_answer_links_are_unknown_and_all_else_is_known(tmp_path, status, tool):
    one, other = function(tmp_path, "pci0000:00/0000:00:01.0"), function(tmp_path, "pci0000:00/0000:00:02.0")
    seen = look(tmp_path, [device(one), device(other)], **tool)
    assert seen["tools"] == {"nvidia": status} and seen["links"] == [["", "?"], ["?", ""]] and seen["paths"][0][1] == "PHB"


def test_no_sleeping_device_is_woken(tmp_path):
    address = function(tmp_path, "pci0000:00/0000:00:01.0")
    put(tmp_path, "sys/bus/pci/devices/%s/power/runtime_status" % address, "suspended")
    assert look(tmp_path, [device(address)], which=pytest.fail)["tools"] == {"nvidia": "skipped"}


def test_xgmi_is_what_the_kernel_lists(tmp_path):
    addresses = [function(tmp_path, "pci0000:00/0000:00:01.0/0000:%02x:00.0" % bus) for bus in (5, 6, 7)]
    for node, place in enumerate([None, 5, 6, 7]):
        folder = "sys/class/kfd/kfd/topology/nodes/%d" % node
        put(tmp_path, folder + "/gpu_id", "0" if place is None else str(node))
        put(tmp_path, folder + "/properties", "simd_count 0" if place is None else "domain 0\nlocation_id %d" % (place << 8))
    for node, peer, kind in ((1, 0, 2), (1, 2, 11), (2, 1, 11), (1, 3, 2), (3, 9, 11)):
        put(tmp_path, "sys/class/kfd/kfd/topology/nodes/%d/io_links/%d/properties" % (node, peer), "type %d\nnode_from %d\nnode_to %d" % (kind, node, peer))
    seen = look(tmp_path, [device(address, "amd", driver="amdgpu") for address in addresses])
    assert seen["links"] == [["", "XGMI", ""], ["XGMI", "", ""], ["", "", ""]] and seen["tools"] == {}
