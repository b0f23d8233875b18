# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accelerators that only all-smi reads: from detection through plan, record and registry to status and verify.

The machines are those of the detection tests. Stubbed: `hostvars` is a dictionary, the storage's answers are made up.
"""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry, targets, verdict
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators
from ansible_collections.accelmon.fleet.plugins.plugin_utils import values
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice, hosts as fleet, records
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees

MACHINES = {"gaudi2_8": "intel_gaudi", "gaudi3_no_driver": "intel_gaudi", "intel_max1550_6": "intel_gpu", "tpu_v5e_4_vfio": "google_tpu",
            "tenstorrent_n300_2": "tenstorrent", "rebellions_ca25_4": "rebellions", "furiosa_rngd_2": "furiosa", "trainium_4": "aws_neuron",
            "mac_apple_silicon": "apple", "jetson_agx_orin": "nvidia", "jetson_nouveau": "nvidia"}


def hostvars(machine, **more):
    told = {"accelerators": trees.expected(trees.load(machine)), "accelmon_node": {"addresses": ["10.0.0.7"]}}
    return {"h": dict({"ansible_facts": told, "ansible_host": "10.0.0.7"}, **more)}


def entry(machine, **more):
    """The registry's entry of a machine, by way of the record as it travels."""
    made = json.loads(fleet_records(["h"], hostvars(machine, **more), ["h"]))
    clusters = registry.by_cluster(made["records"] if isinstance(made, dict) else made)
    cluster = next(iter(clusters))
    return registry.merge(registry.empty(cluster), clusters[cluster], {"h"}, full_run=True)[0]


def seen_of(whole):
    seen = verdict.empty_seen()
    cluster, host = whole["cluster"], whole["hosts"]["h"]
    seen["generations"][cluster] = {whole["generation"]}
    seen["groups"] = [{"name": "a", "rules": [{"name": "Watchdog", "type": "alerting", "health": "ok", "last_error": "", "state": "firing"}]}]
    for job, _target, instance in verdict.exporter_targets(host):
        seen["up"][(cluster, "h", job, instance)] = True
    return seen


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_from_detection_to_verify(machine):
    vendor = MACHINES[machine]
    driverless = machine in ("jetson_nouveau", "gaudi3_no_driver")
    ignore = {"accelmon_driver_missing": "ignore"} if driverless else {}
    made = records.make_plan("h", fleet.HostVariables(hostvars(machine, **ignore), "h"))
    assert ("all_smi" in made["roles"]) is not driverless
    assert "textfile_collector" not in made["roles"] and "dcgm_exporter" not in made["roles"]
    whole = entry(machine, **ignore)
    host = whole["hosts"]["h"]
    count = trees.load(machine)["expected"]["summary"][vendor]["count"]
    assert sum(host["highest"][vendor].values()) == count
    assert f'accelmon_expected_accelerators{{cluster="default",node="h",vendor="{vendor}"}} {count}' in registry.series(whole)
    charge = f'accelmon_source_elected{{cluster="default",job="all_smi",node="h",source="all_smi",vendor="{vendor}"}} 1'
    assert (charge in registry.series(whole)) is not driverless
    assert registry.load(registry.dump(whole), whole["cluster"], "x") == whole
    assert ("all_smi" in targets.scrape_targets(registry.records(whole))) is not driverless
    clusters = {whole["cluster"]: whole}
    seen = seen_of(whole)
    seen["devices"][("default", "h", vendor)] = 0 if driverless else count
    assert len(verdict.verdict(clusters, seen, {}, "mon01")["failures"]) == driverless
    seen["devices"][("default", "h", vendor)] = 0
    assert len(verdict.verdict(clusters, seen, {}, "mon01")["failures"]) == 1
    assert ("%s 0/%d%s" % (vendor, count, "" if driverless else " all_smi")) in verdict.table(verdict.status_rows(clusters, seen))


def test_a_vendor_that_no_exporter_of_the_host_reads_is_recorded_and_not_monitored():
    whole = entry("gaudi2_8", accelmon_exporters=["node_exporter"])
    assert whole["hosts"]["h"]["unmonitored"] == ["intel_gaudi"]
    assert "accelmon_expected_accelerators{" not in registry.series(whole)
    clusters = {whole["cluster"]: whole}
    result = verdict.verdict(clusters, seen_of(whole), {}, "mon01")
    assert result["failures"] == []
    assert [(one["node"], one["note"]) for one in result["notes"]] == [("h", (
        "8 intel_gaudi accelerators recorded but not monitored: no exporter on the node reads them; list one that does (all_smi reads all vendors) in "
        "accelmon_exporters and accelmon_accelerator_source, or set both to auto"))]
    rows = verdict.status_rows(clusters, seen_of(whole))
    assert rows[0]["problem"] is False
    assert "intel_gaudi 8 (not monitored)" in verdict.table(rows)
    assert "intel_gaudi 8 (not monitored)" in verdict.totals_line(verdict.totals(rows))


@pytest.mark.parametrize("machine", ["gaudi3_no_driver", "l4_no_driver"])
def test_a_missing_driver_of_any_vendor_stops_the_host(machine):
    with pytest.raises(Problem, match="^h: accelmon_driver_missing = fail: "):
        records.make_plan("h", fleet.HostVariables(hostvars(machine), "h"))


def test_a_card_in_a_tegra_is_monitored():
    variables = hostvars("igx_orin_with_card", accelmon_accelerator_source="textfile")
    assert "textfile_collector" in records.make_plan("h", fleet.HostVariables(variables, "h"))["roles"]
    assert 'accelmon_expected_accelerators{cluster="default",node="h",vendor="nvidia"} 1' in registry.series(entry("igx_orin_with_card"))


def test_devices_that_vanish_are_not_forgiven():
    whole = entry("l4_permission_denied")
    gone = json.loads(fleet_records(["h"], hostvars("empty_vm"), ["h"]))
    merged = registry.merge(whole, {one["host"]: one for one in (gone["records"] if isinstance(gone, dict) else gone)}, {"h"})[0]
    assert 'vendor="nvidia"} 1' in registry.series(merged)


def test_unmonitored_is_kept_while_the_host_is_silent():
    whole = entry("jetson_agx_orin", accelmon_exporters=["node_exporter"])
    silent = json.loads(fleet_records(["h"], {"h": {"ansible_host": "10.0.0.7"}}, []))
    merged = registry.merge(whole, {one["host"]: one for one in (silent["records"] if isinstance(silent, dict) else silent)}, {"h"})[0]
    assert merged["hosts"]["h"]["unmonitored"] == ["nvidia"]


def test_every_detected_vendor_may_be_declared():
    found = {vendor.VENDOR for vendor in accelerators.VENDORS}
    assert found == set(values.VENDORS)
    declared = {vendor: 2 for vendor in found}
    assert values.expected(declared) == declared
    whole = entry("empty_vm", accelmon_expected=declared)
    assert registry.monitored(whole["hosts"]["h"]) == declared


def test_every_vendor_is_read_by_some_source():
    sources = catalogue.load("sources")["sources"]
    assert {vendor for source in sources.values() for vendor in source["vendors"]} == set(values.VENDORS)
    for vendor in values.VENDORS:
        assert set(choice.preferred(vendor)) == {name for name, source in sources.items() if vendor in source["vendors"]}
