# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as data. Stubbed: the storage's answers are made up (report_samples)."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import report
from ansible_collections.accelmon.fleet.tests.unit.plugins.report_samples import NOW, VIEWS, alert, answers, device, devices, document, node


def test_a_device_has_a_value_of_every_view_and_what_is_not_known_is_none():
    told = answers([device(index=1), device(index=0, pci_bus_id="0000:1b:00.0")], power=lambda _one, place: [float("nan"), 250.12345][place])
    told["values"]["faults"] = [({**device(index=0), "component": "memory"}, 0.0), ({**device(index=0), "component": "link"}, 1.0)]
    first, second = document(told, [node(seen=2, expected=2)])["devices"]
    assert (first["index"], first["power"], first["faults"], first["pci_bus_id"]) == ("0", 250.1234, ["link", "memory"], "0000:1b:00.0")
    assert second["power"] is None and second["memory_temperature"] is None and "faults" not in second
    assert set(VIEWS["devices"]) < set(second)


def test_values_of_devices_that_are_not_there_are_left_out_and_twins_count_once():
    told = answers([device(index=0, driver_version="1"), device(index=0, driver_version="2")])
    told["values"]["power"].append((device(index=7), 9000.0))
    found = document(told, [node(seen=1, expected=1)])
    assert len(found["devices"]) == 1 and found["totals"]["power_watts"] == 300.0


@pytest.mark.parametrize("rows, firing, problems, state, reasons", [
    ([node()], [], [], "good", []),
    ([node()], [alert("Watchdog", "none")], [], "good", []),
    ([node()], [alert("Note", "info", node="gpu1")], [], "good", []),
    ([node()], [alert("Note", "site", node="gpu1")], [], "warning", ["1 warning fires"]),
    ([node(seen=6)], [alert(node="gpu1"), alert(node="gpu1")], [], "critical", ["2 critical alerts fire", "2 of 8 accelerators are missing"]),
    ([node(seen=0, expected=1)], [], [], "critical", ["1 of 1 accelerator is missing"]),
    ([node(seen=0, state="maintenance")], [], [], "good", []),
    ([node(seen=0, state="down"), node("gpu2")], [], [], "critical", ["8 of 16 accelerators are missing", "1 node down: gpu1"]),
    ([node(f"gpu{number}", state="pending", seen=0, expected=0) for number in range(5)], [], [], "warning",
     ["5 nodes never answered: gpu0, gpu1, gpu2 and 2 more"]),
    ([node(exporters={"node_exporter": "up", "all_smi": "down"})], [], [], "warning", ["1 node with an exporter down: gpu1"]),
    ([node(seen=None)], [], ["cannot reach the storage"], "unknown", ["cannot reach the storage"]),
    ([], [], [], "unknown", ["no node is registered; run site.yml"]),
    ([], [], ["the registry is empty"], "unknown", ["the registry is empty"]),
])
def test_is_everything_all_right(rows, firing, problems, state, reasons):
    found = document(rows=rows, firing=firing, problems=problems)
    assert found["answer"] == {"state": state, "reasons": reasons}


def test_figures():
    told = answers(devices(1), utilization=lambda _one, place: None if place == 0 else place / 20)
    found = document(told, [node(seen=8, expected=9), node("gpu2", seen=None)])
    totals = found["totals"]
    assert (totals["present"], totals["missing"], totals["expected"]) == (None, None, 17)
    assert totals["busy"] == 6 and totals["power_watts"] == 2400.0
    # The first point of the day is missing: its quarter of an hour is not in the energy.
    assert totals["energy_joules"] == 3600 * 95 * 900
    assert found["trends"]["times"][0] == NOW // 900 * 900 - 95 * 900 and len(found["trends"]["times"]) == 96
    (line,) = found["trends"]["lines"]
    assert line["temperature"] == [None] * 96 and line["power"][:2] == [None, 3600.0]


def test_what_nobody_knows_is_none_and_never_0():
    totals = document(rows=[node(seen=None)], evaluated=False)["totals"]
    assert [totals[name] for name in ("present", "missing", "busy", "power_watts", "energy_joules", "critical_alerts", "warnings")] == [None] * 7


def test_alerts_are_counted_by_how_bad_they_are():
    """A site's own severity counts as a warning, as in the reasons."""
    firing = [alert(node="gpu1"), alert(node="gpu2"), alert("Hot", "warning", node="gpu1"), alert("Mine", "page", node="gpu1"), alert("Note", "info")]
    found = document(rows=[node()], firing=firing)
    assert (found["totals"]["critical_alerts"], found["totals"]["warnings"]) == (2, 2)
    assert found["answer"]["reasons"] == ["2 critical alerts fire", "2 warnings fire"]
    # The last that is known while rules are not evaluated: how many more there are is not.
    assert document(rows=[node()], firing=firing, evaluated=False)["totals"]["critical_alerts"] is None


def test_alerts_of_one_kind_are_one_entry_with_the_first_places():
    firing = [alert(node=f"gpu{number}", cluster="west", since=f"2026-11-21T02:38:{59 - number}Z") for number in range(25)]
    firing += [alert("Hot", "warning", node="gpu1", index="3", cluster="west"), alert("Other", node="gpu1", cluster="elsewhere"),
               alert(since="", action="Else")]
    found = document(rows=[node()], firing=firing)["alerts"]
    assert [(one["name"], one["severity"], one["count"], one["more"]) for one in found] == [
        ("HostDown", "critical", 1, 0), ("HostDown", "critical", 25, 15), ("Hot", "warning", 1, 0)]
    assert found[1]["places"][:2] == [{"cluster": "west", "node": "gpu0"}, {"cluster": "west", "node": "gpu1"}] and found[1]["since"] == "2026-11-21T02:38:35Z"
    assert found[2]["places"] == [{"cluster": "west", "node": "gpu1", "index": "3"}] and found[0]["places"] == [] and found[0]["since"] == ""
    assert [one["count"] for one in document(rows=[node()], firing=firing, hosts=["gpu3"])["alerts"]] == [1, 1]


def test_errors_of_one_code_are_one_entry():
    told = answers([device(index=0), device(index=1)])
    codes = [{**device(index=index), "kind": "xid", "code": code} for index, code in ((0, "79"), (1, "79"), (1, "31"))]
    told["values"]["errors"] = list(zip(codes, (2.0, 1.0, 40.0)))
    old = {**device(index=1), "kind": "xid", "code": "94"}
    told["values"]["errors"].append((old, 9.0))
    told["values"]["last"] = [(codes[1], NOW - 60.0), (old, NOW - 86401.0)]
    found = document(told, [node()])["errors"]
    assert [(one["kind"], one["code"], one["times"], one["count"], one["last"]) for one in found] == [
        ("xid", "79", 3.0, 2, NOW - 60), ("xid", "31", 40.0, 1, None)]


def test_faults_are_by_component_the_fatal_ones_first():
    told = answers(devices(1))
    told["values"]["faults"] = [({**device(index=index), "component": "link"}, 1.0) for index in range(3)]
    told["values"]["faults"].append(({"cluster": "west", "node": "gpu1", "vendor": "nvidia", "component": "presence"}, 0.0))
    found = document(told, [node()])["faults"]
    assert [(one["component"], one["grade"], one["count"]) for one in found] == [("presence", "fatal", 1), ("link", "degraded", 3)]


def test_a_host_that_came_to_another_rack_counts_once():
    """For two minutes what is recorded of its devices is there with both racks."""
    both = [device(index=0, rack=rack) for rack in ("r1", "r2")]
    told = answers(both)
    told["values"]["faults"] = [({**one, "component": "memory"}, float(value)) for value, one in enumerate(both)]
    told["values"]["errors"] = [({**one, "kind": "xid", "code": "79", "pci_bus_id": "0000:1b:00.0"}, 2.0 + value) for value, one in enumerate(both)]
    found = document(told, [node(seen=1, expected=1)])
    assert [one["faults"] for one in found["devices"]] == [["memory"]]
    assert [(one["component"], one["grade"], one["count"]) for one in found["faults"]] == [("memory", "fatal", 1)]
    assert [(one["code"], one["times"], one["count"]) for one in found["errors"]] == [("79", 3.0, 1)]


def test_the_storage_is_asked_for_clusters_and_nodes_and_an_error_ends_it():
    asked, told = [], report.no_answers(VIEWS, NOW)

    def ask(expression):
        asked.append(expression)
        if "memory_used" in expression:
            raise Failure("timed out")
        return [(device(), 1.0)]

    assert report.observe(told, VIEWS, "devices", ask, None, ["west"], ["gpu1"]) == ["timed out"]
    assert asked[:2] == ["devices", 'accelerator_health_score{cluster=~"west",node=~"gpu1"}']
    assert set(told["values"]) == {"health", "known"} and told["trends"] == {}
    assert document(told, [node()], problems=["timed out"])["devices"][0]["utilization"] is None


def test_the_document_is_data_and_bounded():
    found = document(answers(devices(1250)), [node(f"gpu{number}") for number in range(1, 1251)], [alert(node=f"gpu{number}") for number in range(1250)])
    text = json.dumps(found, allow_nan=False)
    assert len(found["devices"]) == 10000 and len(text) < 4_000_000
