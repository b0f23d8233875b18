# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links between devices, and the way to the host. Stubbed: nvidia-smi, by a script that prints a fixture; sysfs, by a folder."""

import json
import os

import collector_support as support
import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import links as detection

UUID = "GPU-00000000-0000-4000-8000-%012d"


def read(program, name):
    return [(device.index, device.uuid, device.active, device.inactive) for device in program.links.nvlink(support.fixture("nvlink/" + name)[1])]


@pytest.mark.parametrize("name, found", [
    ("a100_8.txt", [(number, UUID % number, 12, 0) for number in range(8)]),
    ("h200.txt", [(0, UUID % 0, 18, 0)]),
    ("v100_one_down.txt", [(3, "", 5, 1)]),
    ("a100_pcie.txt", [(0, UUID % 0, 0, None)]),
    ("dead_sxm.txt", [(0, UUID % 0, 18, 0), (1, UUID % 1, 18, 0), (2, UUID % 2, 0, None), (3, UUID % 3, 18, 0)]),
    ("rtx.txt", []), ("a10.txt", []),
    ("no_uuid.txt", [(0, "", 18, 0)])])
def test_what_the_tool_says_of_links(program, name, found):
    assert read(program, name) == found


@pytest.mark.parametrize("text", [
    "GPU 0: X\nGPU is lost\n",
    "Link 0: 25 GB/s\n", "NVML: all links are inActive\n", "GPU 0: X\n\t Link 64: 25 GB/s\n", "\0" * 100, "GPU 12345: X\n Link 0: 25 GB/s\n"])
def test_what_is_no_answer_about_links_gives_none(program, text):
    assert program.links.nvlink(text) == []


@pytest.mark.parametrize("name, found", [
    ("errors_h200.txt", [(0, UUID % 0, {"crc": 17, "recovery": 1, "replay": 7})]),
    ("errors_no_uuid.txt", [(0, "", {"crc": 0, "recovery": 0, "replay": 0})]),
    ("errors_split.txt", [(0, UUID % 0, {"crc": 7, "recovery": 0, "replay": 0})]),
    ("rtx.txt", []), ("h200.txt", [])])
def test_what_the_tool_says_of_errors(program, name, found):
    assert program.links.nvlink_errors(support.fixture("nvlink/" + name)[1]) == found


@pytest.mark.parametrize("line", [
    "Link 0: CRC Errors: N/A", "Link 0: CRC Errors: -1", "Link 64: CRC Errors: 1", "Link 0: CRC Errors: " + "9" * 16, "Link 0: Errors: 1"])
def test_what_is_no_count_of_errors_is_none(program, line):
    assert program.links.nvlink_errors("GPU 0: X\n\t %s\n" % line) == []
    assert program.links.nvlink_errors("Link 0: CRC Errors: 1\nGPU 0: X\n") == []


def nvidia(node, name, csv="h100_8.csv", number=8):
    """A host with NVIDIA's driver and devices; nvidia-smi answers all questions, that about errors of links from the file `nvlink-e`, if there is one."""
    for device in range(number):
        support.amd_device(node.root, "0000:%02x:00.0" % (0x1b + device), "mi300x", vendor="0x10de", device="0x2330", **{
            "class": "0x030200", "driver": "nvidia"})
    replayed = support.replayed_nvidia_smi(node.folder, csv)
    os.rename(replayed, replayed + ".csv")
    (node.folder / "nvlink").write_text(support.fixture("nvlink/" + name)[1])
    support.script(replayed, """\
        import os, sys
        if sys.argv[1] != "nvlink":
            os.execv(%r, sys.argv)
        with open(%r, "a") as stream:
            stream.write(" ".join(sys.argv[1:]) + "\\n")
        path = %r
        if sys.argv[2] == "-e":
            path += "-e"
            if not os.path.exists(path):
                sys.exit(9)
        sys.stdout.write(open(path).read())
        """ % (replayed + ".csv", str(node.folder / "calls"), str(node.folder / "nvlink")))


def counts(metrics, **labels):
    return {(dict(key)["gpu"], dict(key)["state"]): value for (name, key), value in metrics.series.items()
            if name == "node_gpu_links" and labels.items() <= dict(key).items()}


def later(node, seconds):
    """Let time pass for the links that were read."""
    state = json.loads(node.state.read_text())
    state["links"]["at"] -= seconds
    node.state.write_text(json.dumps(state))


def test_links_have_the_identity_of_their_device_and_are_asked_for_now_and_then(node):
    nvidia(node, "a100_8.txt")
    metrics = node.collect("--vendors", "nvidia")
    assert counts(metrics, kind="nvlink", vendor="nvidia", model="NVIDIA H100 80GB HBM3") == {
        **{(str(gpu), "active"): 12 for gpu in range(8)}, **{(str(gpu), "inactive"): 0 for gpu in range(8)}}
    assert counts(metrics, uuid=UUID % 5) == {("5", "active"): 12, ("5", "inactive"): 0}
    (node.folder / "nvlink").write_text(support.fixture("nvlink/dead_sxm.txt")[1])
    assert counts(node.collect("--vendors", "nvidia")) == counts(metrics)
    assert node.calls().count("nvlink -s") == 1
    later(node, 121)
    assert counts(node.collect("--vendors", "nvidia"), state="active") == {("0", "active"): 18, ("1", "active"): 18, ("2", "active"): 0, ("3", "active"): 18}
    assert ("2", "inactive") not in counts(node.collect("--vendors", "nvidia")), "the tool does not tell how many the device has"


def test_links_are_read_where_another_exporter_reads_the_devices(node):
    nvidia(node, "h200.txt", number=1)
    metrics = node.collect("--vendors", "none")
    assert metrics.devices() == [] and node.calls() == ["nvlink -s"]
    assert counts(metrics, uuid=UUID % 0, vendor="nvidia", model="NVIDIA H200") == {("0", "active"): 18, ("0", "inactive"): 0}


def errors(metrics, **labels):
    return {dict(key)["type"]: value for (name, key), value in metrics.series.items()
            if name == "node_gpu_link_errors_total" and dict({"kind": "nvlink", "vendor": "nvidia"}, **labels).items() <= dict(key).items()}


def test_errors_of_links_are_read_with_them(node):
    nvidia(node, "a100_8.txt")
    (node.folder / "nvlink-e").write_text(support.fixture("nvlink/errors_h200.txt")[1])
    metrics = node.collect("--vendors", "nvidia")
    assert errors(metrics, gpu="0", uuid=UUID % 0, model="NVIDIA H100 80GB HBM3") == {"crc": 17, "recovery": 1, "replay": 7}
    assert errors(metrics, gpu="1") == {}, "the tool tells none of it"
    (node.folder / "nvlink-e").write_text(support.fixture("nvlink/errors_h200.txt")[1].replace("CRC Errors: 5", "CRC Errors: 6"))
    assert errors(node.collect("--vendors", "nvidia"), gpu="0")["crc"] == 17 and node.calls().count("nvlink -e") == 1
    later(node, 121)
    assert errors(node.collect("--vendors", "nvidia"), gpu="0")["crc"] == 18


def test_errors_of_a_header_without_the_uuid_go_by_the_number_and_those_of_another_device_to_nobody(node):
    nvidia(node, "no_uuid.txt")
    (node.folder / "nvlink-e").write_text(support.fixture("nvlink/errors_no_uuid.txt")[1])
    assert errors(node.collect("--vendors", "nvidia"), uuid=UUID % 0) == {"crc": 0, "recovery": 0, "replay": 0}
    later(node, 121)
    (node.folder / "nvlink-e").write_text(support.fixture("nvlink/errors_h200.txt")[1].replace(UUID % 0, UUID % 7))
    assert errors(node.collect("--vendors", "nvidia")) == {}


def test_links_are_known_where_the_tool_does_not_tell_their_errors(node):
    nvidia(node, "a100_8.txt")
    metrics = node.collect("--vendors", "nvidia")
    assert node.calls().count("nvlink -e") == 1 and errors(metrics) == {} and len(counts(metrics, kind="nvlink")) == 16


def test_errors_are_not_asked_for_where_there_are_no_links_or_another_exporter_counts_them(node):
    nvidia(node, "rtx.txt")
    node.collect("--vendors", "nvidia")
    (node.folder / "nvlink").write_text(support.fixture("nvlink/h200.txt")[1])
    later(node, 121)
    node.collect("--vendors", "none")
    assert node.calls().count("nvlink -s") == 2 and "nvlink -e" not in node.calls()


def test_a_header_without_the_uuid_goes_by_the_number_of_the_device(node):
    nvidia(node, "no_uuid.txt")
    assert counts(node.collect("--vendors", "nvidia"), uuid=UUID % 0) == {("0", "active"): 18, ("0", "inactive"): 0}
    later(node, 121)
    assert counts(node.collect("--vendors", "none")) == {}, "nobody knows whose they are"


def test_links_that_cannot_be_read_are_not_known_any_more(node):
    nvidia(node, "a100_8.txt")
    node.collect("--vendors", "nvidia")
    later(node, 121)
    support.script(node.folder / "nvidia-smi", "import sys; sys.exit(9)")
    assert counts(node.collect("--vendors", "none")) == {}


def test_a_boot_makes_them_read_again(node):
    nvidia(node, "a100_8.txt")
    node.collect("--vendors", "nvidia")
    support.put(node.root, "proc/sys/kernel/random/boot_id", "boot-2\n")
    node.collect("--vendors", "nvidia")
    assert node.calls().count("nvlink -s") == 2


def test_a_lost_device_makes_them_read_again_as_the_others_get_other_numbers(node):
    nvidia(node, "a100_8.txt")
    node.collect("--vendors", "nvidia")
    nvidia_smi = node.folder / "nvidia-smi.csv"
    nvidia_smi.write_text(nvidia_smi.read_text().replace("GPU-00000000-0000-4000-8000-000000000001", "[GPU is lost]"))
    metrics = node.collect("--vendors", "nvidia")
    assert node.calls().count("nvlink -s") == 2 and not counts(metrics, uuid=UUID % 1)


def test_a_sleeping_device_is_not_woken_for_its_links(node):
    nvidia(node, "a100_8.txt")
    support.put(node.root, "sys/bus/pci/devices/0000:1b:00.0/power/runtime_status", "suspended\n")
    node.collect("--vendors", "none")
    assert node.calls() == []


def test_a_state_file_that_is_not_ours_is_no_reading(node):
    nvidia(node, "a100_8.txt")
    node.collect("--vendors", "none")
    state = json.loads(node.state.read_text())
    state["links"]["devices"][0]["active"] = -5
    state["links"]["devices"][1]["kind"] = "evil"
    state["links"]["devices"][2]["labels"]["uuid"] = "x\ny" * 100
    state["links"]["devices"][3]["errors"] = {"crc": -1, "evil": 7}
    node.state.write_text(json.dumps(state))
    metrics = node.collect("--vendors", "none")
    assert len(counts(metrics, state="active")) == 6 and errors(metrics) == {}
    state["links"]["devices"] = 7
    node.state.write_text(json.dumps(state))
    assert len(counts(node.collect("--vendors", "none"), state="active")) == 8


def test_links_of_a_state_file_without_errors_are_read_again(node):
    """A collector before them wrote it."""
    nvidia(node, "a100_8.txt")
    node.collect("--vendors", "nvidia")
    state = json.loads(node.state.read_text())
    for device in state["links"]["devices"]:
        del device["errors"]
    node.state.write_text(json.dumps(state))
    assert len(counts(node.collect("--vendors", "nvidia"), state="active")) == 8 and node.calls().count("nvlink -s") == 2


def kfd(node, links=None, **partitions):
    """A compute topology: a processor, and a node of each device, linked to all others by XGMI. links: {node: its peers}, where they differ"""
    addresses = sorted(name for name in os.listdir(str(node.root / "sys/bus/pci/devices")))
    numbers = range(1, len(addresses) + 1)
    top = "sys/class/kfd/kfd/topology/nodes/%s/"
    support.put(node.root, top % 0 + "properties", "cpu_cores_count 96\nsimd_count 0\nlocation_id 0\ndomain 0\n")
    for number, address in zip(numbers, addresses):
        place = int(address[5:7], 16) << 8
        support.put(node.root, top % number + "properties", "cpu_cores_count 0\nsimd_count 1216\nlocation_id %d\ndomain 0\n" % place)
        support.put(node.root, top % number + "io_links/0/properties", "type 2\nnode_from %d\nnode_to 0\nweight 20\n" % number)
        for peer in (links or {}).get(number, [other for other in numbers if other != number]):
            support.put(node.root, top % number + "io_links/%d/properties" % peer, "type 11\nnode_from %d\nnode_to %d\nweight 15\n" % (number, peer))


def test_xgmi_links_are_counted_by_their_peers(node):
    for bus in ("05", "26", "46", "65"):
        support.amd_device(node.root, "0000:%s:00.0" % bus, "mi300x", unique_id="7eff74a0a1b2c3" + bus)
    kfd(node, links={2: [1, 3]})
    expected = {("0", "active"): 3, ("1", "active"): 2, ("2", "active"): 3, ("3", "active"): 3}
    assert counts(node.collect("--vendors", "amd"), kind="xgmi", vendor="amd", model="AMD Instinct MI300X") == expected
    later(node, 121)
    metrics = node.collect("--vendors", "none")
    assert counts(metrics, kind="xgmi", vendor="amd", model="AMD Instinct MI300X") == expected
    assert counts(metrics, uuid="7eff74a0a1b2c326") == {("1", "active"): 2}


def test_links_to_the_processor_and_between_parts_do_not_count(node):
    support.amd_device(node.root, "0000:05:00.0", "mi300x")
    support.amd_device(node.root, "0000:26:00.0", "mi300x", unique_id="7eff74a0a1b2c399")
    kfd(node, links={1: [0, 2], 2: [1]})
    # A second part of the second device.
    top = "sys/class/kfd/kfd/topology/nodes/3/"
    support.put(node.root, top + "properties", "simd_count 304\nlocation_id %d\ndomain 0\n" % (0x26 << 8 | 1))
    assert counts(node.collect("--vendors", "amd")) == {("0", "active"): 1}


@pytest.mark.parametrize("cell, value", [
    # Guessed: the names of NVML's values, as above.
    ("Limited Capacity", 1), ("Healthy", 0), ("Unhealthy", 0), ("N/A", None), ("[N/A]", None), ("", None)])
def test_the_capacity_of_the_fabric(node, program, cell, value):
    problems, reading = program.Problems(), next(reading for reading in program.NVIDIA_READINGS if reading.field == "fabric_limited")
    assert problems.value("fabric_limited", reading.read, cell) == value and not problems.invalid


@pytest.mark.parametrize("cells, value", [
    ("Completed, Success, N/A", 3), ("Completed, Insufficient Resources, N/A", 4), ("In Progress, N/A, N/A", 2), ("Not Started, N/A, ", 1),
    ("N/A, N/A, N/A", None), ("[N/A], [N/A], [N/A]", None),
    # Guessed: the names of NVML's values; no capture with one is known.
    ("Completed, Success, Healthy", 3), ("Completed, Success, Limited Capacity", 3), ("Completed, Success, Unhealthy", 4), ("Completed, Success, ", 3)])
def test_the_state_of_the_fabric(node, program, cells, value):
    problems = program.Problems()
    assert problems.value("fabric_state", program.nvidia_fabric, *cells.split(", ")) == value and not problems.invalid


def test_a_divided_device_has_no_links(node):
    nvidia(node, "a100_8.txt", csv="h100_mig.csv")
    metrics = node.collect("--vendors", "nvidia")
    divided = [dict(labels)["gpu"] for labels, value in metrics.find("node_gpu_mig_mode").items() if value]
    assert divided and not [gpu for gpu, _state in counts(metrics) if gpu in divided]


def behind(node, address, *ports):
    """Put a device behind PCI ports, the nearest to the host first: [(lanes now, lanes that there can be)]."""
    folder = "sys/devices/pci0000:00"
    for number, (now, most) in enumerate(ports):
        folder += "/0000:0%d:00.0" % number
        support.put(node.root, folder + "/current_link_width", "%s\n" % now)
        support.put(node.root, folder + "/max_link_width", "%s\n" % most)
    device = node.root / "sys/bus/pci/devices" / address
    (node.root / folder).mkdir(parents=True, exist_ok=True)
    device.rename(node.root / folder / address)
    device.symlink_to(os.path.relpath(str(node.root / folder / address), str(device.parent)))


@pytest.mark.parametrize("ports, now, most", [
    ([], 16, 16), ([(16, 16)], 16, 16),
    # A card with a switch of its own, in a slot whose link came up with half of its lanes; and in one that has no more.
    ([(8, 16), (8, 16), (16, 16)], 8, 16), ([(8, 8), (8, 16), (16, 16)], 8, 8),
    ([(0, 255), ("x", ""), (16, 16)], 16, 16)])
@pytest.mark.parametrize("vendor", ["nvidia", "amd"])
def test_the_narrowest_link_on_the_way_to_the_host_counts(node, vendor, ports, now, most):  # no. 41
    if vendor == "nvidia":
        nvidia(node, "a100_8.txt", number=1)
    else:
        support.amd_device(node.root, "0000:1b:00.0", "mi300x")
    behind(node, "0000:1b:00.0", *ports)
    metrics = node.collect("--vendors", vendor)
    assert metrics.one("node_gpu_pcie_link_width", gpu="0") == now and metrics.one("node_gpu_pcie_link_width_max", gpu="0") == most


def test_detection_finds_what_the_collector_writes(node):
    nvidia(node, "dead_sxm.txt")
    node.collect("--vendors", "nvidia")
    support.put(node.folder, detection.UNIT, "[Service]\nExecStart=/opt/c --output=/textfile/accelmon_accelerators.prom\n")
    assert detection.find(str(node.folder)) == {"nvlink": 18}
