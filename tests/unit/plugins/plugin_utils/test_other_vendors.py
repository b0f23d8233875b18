# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accelerators that no exporter of ours reads yet: from detection through plan, record and registry to status and verify.

The machines are those of the detection tests. Stubbed: `hostvars` is a dictionary, the storage's answers are made up.
"""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.module_utils import registry, targets, verdict
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators
from ansible_collections.accelmon.fleet.plugins.plugin_utils import catalogue, fleet, plan, records, values
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
    ignore = {"accelmon_driver_missing": "ignore"} if machine == "jetson_nouveau" else {}
    made = records.make_plan("h", fleet.HostVariables(hostvars(machine, **ignore), "h"))
    assert "textfile_collector" not in made["roles"] and "node_exporter" in made["roles"]
    whole = entry(machine, **ignore)
    host = whole["hosts"]["h"]
    count = trees.load(machine)["expected"]["summary"][vendor]["count"]
    assert sum(host["highest"][vendor].values()) == count
    assert "accelmon_expected_accelerators{" not in registry.series(whole)
    assert registry.load(registry.dump(whole), whole["cluster"], "x") == whole
    assert targets.scrape_targets(registry.records(whole))
    clusters = {whole["cluster"]: whole}
    result = verdict.verdict(clusters, seen_of(whole), {}, "mon01")
    assert result["failures"] == []
    assert [one["note"] for one in result["notes"]] == ["%d %s accelerator%s of cluster %s recorded, not watched: no exporter reads them yet" % (
        count, vendor, "" if count == 1 else "s", whole["cluster"])]
    rows = verdict.status_rows(clusters, seen_of(whole))
    assert rows[0]["problem"] is False
    assert "%s %d (not watched)" % (vendor, count) in verdict.table(rows)
    assert "%s %d (not watched)" % (vendor, count) in verdict.totals_line(verdict.totals(rows))


def test_a_missing_driver_of_such_a_vendor_does_not_stop_the_host():
    assert records.make_plan("h", fleet.HostVariables(hostvars("gaudi3_no_driver"), "h"))["roles"]
    with pytest.raises(records.FleetError):
        records.make_plan("h", fleet.HostVariables(hostvars("l4_no_driver"), "h"))


def test_a_card_in_a_tegra_is_watched():
    made = records.make_plan("h", fleet.HostVariables(hostvars("igx_orin_with_card"), "h"))
    assert "textfile_collector" in made["roles"]
    assert 'accelmon_expected_accelerators{cluster="default",node="h",vendor="nvidia"} 1' in registry.series(entry("igx_orin_with_card"))


def test_devices_that_vanish_are_not_forgiven():
    whole = entry("l4_permission_denied")
    gone = json.loads(fleet_records(["h"], hostvars("empty_vm"), ["h"]))
    merged = registry.merge(whole, {one["host"]: one for one in (gone["records"] if isinstance(gone, dict) else gone)}, {"h"})[0]
    assert 'vendor="nvidia"} 1' in registry.series(merged)


def test_unwatched_is_kept_while_the_host_is_silent():
    whole = entry("jetson_agx_orin")
    silent = json.loads(fleet_records(["h"], {"h": {"ansible_host": "10.0.0.7"}}, []))
    merged = registry.merge(whole, {one["host"]: one for one in (silent["records"] if isinstance(silent, dict) else silent)}, {"h"})[0]
    assert merged["hosts"]["h"]["unwatched"] == ["nvidia"]


def test_every_detected_vendor_may_be_declared():
    found = {vendor.VENDOR for vendor in accelerators.VENDORS}
    assert found == set(values.VENDORS)
    declared = {vendor: 2 for vendor in found}
    assert values.expected(declared) == declared
    whole = entry("empty_vm", accelmon_expected=declared)
    assert set(registry.watched(whole["hosts"]["h"])) == set(registry.SOURCED)


def test_the_vendors_that_exporters_read_are_the_same_everywhere():
    sources = catalogue.load("sources")["sources"].values()
    assert set(registry.SOURCED) == set(plan.TEXTFILE_VENDORS) == {vendor for source in sources for vendor in source["vendors"]}
