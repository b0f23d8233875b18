# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between hosts with the same devices, and what a host may say. Nothing is stubbed."""
import copy

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import topology as detection
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import facts, topology

H100 = "NVIDIA H100 SXM5 80GB"


def host(nics=4, model=H100):
    """A host with four devices, each with an adapter beside it, on two NUMA nodes."""
    places = [{"name": f"nvidia{number}", "kind": "device", "vendor": "nvidia", "model": model, "pci_address": f"0000:{number + 1}0:00.0",
               "numa_node": number // 2, "lanes": 16, "generation": 5} for number in range(4)]
    places += [{"name": f"mlx5_{number}", "kind": "nic", "pci_address": f"0000:{number + 1}1:00.0", "numa_node": number // 2, "lanes": 16, "generation": 5}
               for number in range(nics)]

    def way(row, column):
        if row == column:
            return "X"
        return "PIX" if row % 4 == column % 4 else "NODE" if row % 4 // 2 == column % 4 // 2 else "SYS"

    number = range(4 + nics)
    return {"places": places, "numa_nodes": 2, "tools": {"nvidia": "ok"}, "paths": [[way(row, column) for column in number] for row in number],
            "links": [["NV6" if row != column and max(row, column) < 4 else "" for column in number] for row in number]}


def fleet(number=5, **odd):
    """{host: what it told} of hosts that are alike, and others."""
    return {**{f"gpu{place}": host() for place in range(number)}, **odd}


def put(seen, reading, row, column, value):
    """The same value in both directions."""
    seen[reading][row][column] = seen[reading][column][row] = value


def found(told, unanswered=None):
    """The lines of differences."""
    document = topology.report(told, unanswered or {})["document"]
    return [one["line"] for seen in document["hosts"].values() for one in seen["differences"]]


def test_equal_hosts_share_a_table_and_nothing_differs():
    told = topology.report(fleet(2), {})
    assert told["lines"][0] == f"gpu0, gpu1: 4 x {H100}"
    assert told["lines"][1].split() == ["nvidia0", "nvidia1", "nvidia2", "nvidia3", "mlx5_0", "mlx5_1", "mlx5_2", "mlx5_3", "NUMA", "slot"]
    assert told["lines"][2].split() == ["nvidia0", "X", "NV6", "NV6", "NV6", "PIX", "NODE", "SYS", "SYS", "0", "gen5", "x16"]
    assert told["lines"][-1] == "no differences" and told["document"]["notes"] == []


def test_an_adapter_on_another_numa_node_is_one_line_without_its_paths():
    odd = host()
    odd["places"][6]["numa_node"] = 0
    for column, word in enumerate(("NODE", "NODE", "SYS", "SYS", "NODE", "NODE")):
        put(odd, "paths", 6, column, word)
    put(odd, "paths", 6, 7, "SYS")
    assert found(fleet(odd=odd)) == [
        "odd: mlx5_2 (0000:31:00.0): NUMA node = 0, usually 1; data to and from the other node crosses the link between processors; "
        "check which slot it is in"]


def test_a_device_in_a_narrower_and_slower_slot():
    odd = host()
    odd["places"][1].update(lanes=8, generation=4)
    assert found(fleet(odd=odd)) == [
        "odd: nvidia1 (0000:20:00.0): lanes = 8, usually 16; it is in a narrower slot, or a riser or port on the way is narrower",
        "odd: nvidia1 (0000:20:00.0): PCIe generation = 4, usually 5; a slot, riser or BIOS setting on the way limits the speed"]


def test_a_place_that_is_far_from_several_is_one_line():
    odd = host()
    put(odd, "paths", 0, 4, "SYS")
    put(odd, "paths", 1, 5, "SYS")
    put(odd, "links", 2, 0, "")
    put(odd, "links", 2, 1, "")
    lines = found(fleet(odd=odd))
    assert sorted(lines) == sorted([
        "odd: nvidia0 (0000:10:00.0) to mlx5_0: path = SYS, usually PIX; a longer way; check which slots they are in, and ACS and IOMMU settings",
        "odd: nvidia1 (0000:20:00.0) to mlx5_1: path = SYS, usually PIX; a longer way; check which slots they are in, and ACS and IOMMU settings",
        "odd: nvidia2 (0000:30:00.0) to nvidia0, nvidia1: links = none, usually NV6; a link is down, or a bridge is missing or another one"])
    put(odd, "paths", 0, 1, "PIX")
    assert any("path = PIX, usually NODE; a shorter way than elsewhere" in line for line in found(fleet(odd=odd)))


def test_a_missing_adapter_does_not_shift_the_others():
    lines = found(fleet(odd=host(nics=3)))
    assert lines == ["odd: network adapters = 3, usually 4; an adapter is missing"]


def test_other_numa_settings_are_one_line_for_the_host():
    odd = host()
    odd["numa_nodes"] = 8
    assert found(fleet(odd=odd)) == ["odd: NUMA nodes = 8, usually 2; BIOS settings differ (such as NPS, SNC or node interleaving)"]


def test_names_of_adapters_do_not_matter():
    odd = host()
    for number, place in enumerate(odd["places"][4:]):
        place["name"] = f"ens{number}np0"
    assert found(fleet(odd=odd)) == []


def test_only_hosts_with_the_same_devices_are_compared():
    other = host(model="NVIDIA H200")
    other["numa_nodes"] = 4
    few = host()
    few["places"][0]["kind"] = "nic"
    assert found(fleet(other=other, few=few)) == []


def test_without_a_majority_nothing_is_marked_and_it_is_said():
    odd = host()
    odd["places"][1]["lanes"] = 8
    told = topology.report({"gpu0": host(), "odd": odd}, {})
    assert found({"gpu0": host(), "odd": odd}) == []
    assert told["document"]["notes"] == ["gpu0, odd: no value has a majority in 1 readings, which are not compared"]
    assert found({"gpu0": host(), "gpu1": host(), "odd": odd}), "two of three are one"


def test_what_is_unknown_does_not_differ():
    odd = host()
    odd["tools"]["nvidia"] = "hung"
    odd["links"] = [["?" if link else "" for link in row] for row in odd["links"]]
    odd["paths"][0][1] = odd["paths"][1][0] = "?"
    del odd["places"][2]["lanes"]
    told = topology.report(fleet(odd=odd), {})
    assert found(fleet(odd=odd)) == []
    assert told["document"]["notes"] == ["odd: no links of nvidia: its tool is hung",
                                         "odd: some paths are unknown, as sysfs does not show its PCI bridges or NUMA nodes"]


def test_a_host_that_did_not_answer_is_a_note():
    told = topology.report(fleet(1), {"down": {"what": "ssh", "value": "no answer", "fix": "check the host"}})
    assert "note: down: ssh = no answer; check the host" in told["lines"]
    assert topology.report({}, {})["lines"] == []


def broken(**changes):
    told = copy.deepcopy(host())
    told.update(changes)
    return told


@pytest.mark.parametrize("told, problem", [
    (None, "not a dictionary"), ([], "not a dictionary"), ({}, "places is missing"), (broken(places=[{}]), "name is missing"),
    (broken(paths=[["X"] * 8] * 7), "not a square"), (broken(links=[[""] * 9] * 8), "not a square"), (broken(paths=[["X"] * 129]), "more than 128"),
    (broken(paths=[["{{ 1 }}"] * 8] * 8), "not a word for a way"), (broken(links=[["NV\n1"] * 8] * 8), "not a link"), (broken(numa_nodes=-1), "not a whole"),
    (broken(tools={"nvidia": "\x1b[2J"}), "not a single word"), (broken(tools={"x": "ok"}), "not a vendor"),
    (broken(places=[dict(host()["places"][0], name="a b")]), "not a single word"), (broken(places=[dict(host()["places"][0], kind="x")]), "neither device"),
    (broken(places=[dict(host()["places"][0], pci_address="0000:10:00.0\n")]), "not a PCI address"),
    (broken(places=[host()["places"][0]] * 8), "the same name"), (broken(places=[dict(host()["places"][0], model="{% x")]), "invalid in a name")])
def test_what_is_not_as_documented_is_refused_for_its_host_alone(told, problem):
    with pytest.raises(facts.Untrusted, match=problem):
        topology.read(told)
    document = topology.report({"gpu0": host(), "evil": told}, {})["document"]
    assert list(document["hosts"]) == ["gpu0"] and [note.startswith("evil: facts: topology") for note in document["notes"]] == [True]


def test_what_the_module_gives_is_what_is_read(tmp_path):
    """Nothing is found in an empty folder."""
    seen = detection.look(str(tmp_path), [{"vendor": "amd", "kind": "gpu", "state": "ready", "model": "MI300X", "pci_address": "0000:10:00.0"}])
    assert topology.read(seen) == seen
