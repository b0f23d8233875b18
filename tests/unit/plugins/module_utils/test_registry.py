# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merging records into a registry. Nothing is stubbed; records are made up, some by a seeded generator."""
import copy
import itertools
import json
import random

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import exporter, random_records, record, unanswered

CUSTOM = {"job": "ipmi", "port": 9290, "scheme": "http", "path": "/ipmi", "elected": [], "custom": True}


def merge(before, *records, **options):
    """(registry, changes) of a run over the whole inventory that has just these hosts, unless `options` say otherwise."""
    found = {one["host"]: one for one in records}
    options.setdefault("full_run", True)
    return registry.merge(before or registry.empty("c"), found, options.pop("present", set(found)), **options)


def statuses(merged):
    return {host: entry["status"] for host, entry in merged["hosts"].items()}


def test_new_host_is_added():
    merged, changes = merge(None, record("a"))
    assert merged["generation"] == 1
    assert merged["hosts"]["a"] == {
        "address": "10.0.0.97", "labels": {"rack": "r1"}, "state": "active", "expected": {}, "exporters": [exporter(elected=["nvidia"])],
        "reached": True, "status": "active", "seen": {"nvidia": {"H100": 8}}, "highest": {"nvidia": {"H100": 8}}}
    assert changes == {"added": ["a"], "updated": [], "removed": [], "retired": [], "pending": [], "accepted": {}}


def test_same_run_again_changes_nothing():
    first, _changes = merge(None, record("a"), unanswered("b"))
    second, changes = merge(first, record("a"), unanswered("b"))
    assert second == first
    assert changes["added"] == changes["updated"] == []


def test_merge_leaves_its_argument_alone():
    before, _changes = merge(None, record("a"))
    kept = copy.deepcopy(before)
    merge(before, record("a", accelerators={"amd": {"MI300X": 4}}), accept=["a"])
    assert before == kept


def test_host_that_never_answered_is_pending_and_a_target():
    merged, changes = merge(None, unanswered("a"))
    assert statuses(merged) == {"a": "pending"}
    assert changes["pending"] == ["a"]
    assert [one["host"] for one in registry.records(merged)] == ["a"]
    merged, _changes = merge(merged, record("a"))
    assert statuses(merged) == {"a": "active"}


def test_unanswered_host_keeps_what_was_found_and_takes_what_is_declared():
    first, _changes = merge(None, record("a"))
    merged, _changes = merge(first, unanswered(
        "a", address="10.9.9.9", state="maintenance", labels={"rack": "r2"}, expected={"nvidia": 4}, exporters=[exporter(), CUSTOM]))
    entry = merged["hosts"]["a"]
    assert entry["seen"] == entry["highest"] == {"nvidia": {"H100": 8}}
    assert entry["exporters"] == [exporter(elected=["nvidia"]), CUSTOM]
    assert (entry["address"], entry["status"], entry["labels"], entry["expected"]) == (
        "10.9.9.9", "maintenance", {"rack": "r2"}, {"nvidia": 4})


def test_custom_exporter_taken_out_of_the_inventory_goes_though_the_host_is_down():
    first, _changes = merge(None, record("a", exporters=[exporter(elected=["nvidia"]), CUSTOM]))
    merged, _changes = merge(first, unanswered("a"))
    assert merged["hosts"]["a"]["exporters"] == [exporter(elected=["nvidia"])]


def test_pending_host_takes_declared_exporters_again():
    first, _changes = merge(None, unanswered("a"))
    merged, _changes = merge(first, unanswered("a", exporters=[exporter(port=9200)]))
    assert merged["hosts"]["a"]["exporters"] == [exporter(port=9200)]


def test_maintenance_holds_for_a_host_never_reached_and_ends():
    first, _changes = merge(None, unanswered("a", state="maintenance"))
    assert statuses(first) == {"a": "maintenance"}
    merged, _changes = merge(first, unanswered("a"))
    assert statuses(merged) == {"a": "pending"}


def test_half_an_inventory_retires_and_the_whole_brings_back():
    first, _changes = merge(None, record("a"), record("b"))
    half, changes = merge(first, record("a"))
    assert statuses(half) == {"a": "active", "b": "retired"}
    assert changes["retired"] == ["b"]
    assert [one["host"] for one in registry.records(half)] == ["a", "b"]
    whole, _changes = merge(half, record("a"), record("b"))
    assert whole["hosts"] == first["hosts"]
    assert whole["generation"] == 3


def test_returning_host_that_does_not_answer_is_active_again():
    first, _changes = merge(None, record("a"), record("b"))
    half, _changes = merge(first, record("a"))
    whole, _changes = merge(half, record("a"), unanswered("b"))
    assert statuses(whole) == {"a": "active", "b": "active"}


def test_limited_run_neither_retires_nor_prunes_nor_brings_back():
    first, _changes = merge(None, record("a"), record("b"), record("gone"))
    half, _changes = merge(first, record("a"), record("b"))
    merged, changes = merge(half, record("a"), present=set(), full_run=False, prune=True, prune_force=True)
    assert merged == half
    assert changes["retired"] == ["gone"]


def test_host_in_the_inventory_without_record_is_not_retired():
    first, _changes = merge(None, record("a"), record("b"))
    merged, _changes = merge(first, record("a"), present={"a", "b"})
    assert statuses(merged) == {"a": "active", "b": "active"}


@pytest.mark.parametrize("total,allowed", [(1, 3), (30, 3), (39, 3), (40, 4), (1000, 100)])
def test_allowed(total, allowed):
    assert registry.allowed(total) == allowed


@pytest.mark.parametrize("total,gone,passes", [(4, 3, True), (5, 4, False), (50, 5, True), (50, 6, False)])
def test_prune_guard(total, gone, passes):
    hosts = ["h%02d" % number for number in range(total)]
    first, _changes = merge(None, *[record(host) for host in hosts])
    kept = [record(host) for host in hosts[gone:]]
    if passes:
        merged, changes = merge(first, *kept, prune=True)
        assert sorted(merged["hosts"]) == hosts[gone:]
        assert changes["removed"] == hosts[:gone]
        return
    with pytest.raises(Failure) as error:
        merge(first, *kept, prune=True)
    assert str(error.value).startswith(
        "cluster c: accelmon_prune = true: %d of %d hosts would be removed from the registry, more than the %d allowed: h00, h01"
        % (gone, total, registry.allowed(total)))
    assert str(error.value).endswith("set accelmon_prune_force to true for one run")
    merged, changes = merge(first, *kept, prune=True, prune_force=True)
    assert changes["removed"] == hosts[:gone]


def test_highest_grows_by_model_and_is_expected():
    merged, _changes = merge(None, record("a", accelerators={"nvidia": {"H100": 7}}))
    merged, _changes = merge(merged, record("a", accelerators={"nvidia": {"H100": 8, "L4": 1}, "amd": {"MI300X": 2}}))
    merged, _changes = merge(merged, record("a", accelerators={"nvidia": {"H100": 5}}))
    entry = merged["hosts"]["a"]
    assert entry["seen"] == {"nvidia": {"H100": 5}}
    assert entry["highest"] == {"nvidia": {"H100": 8, "L4": 1}, "amd": {"MI300X": 2}}
    assert registry.expected(entry) == {"nvidia": 9, "amd": 2}


def test_declared_count_wins_and_leaves_other_vendors():
    merged, _changes = merge(None, record("a", accelerators={"nvidia": {"H100": 8}, "amd": {"MI300X": 2}}, expected={"nvidia": 6}))
    assert registry.expected(merged["hosts"]["a"]) == {"nvidia": 6, "amd": 2}


def test_accept_lowers_to_what_was_seen_last():
    merged, _changes = merge(None, record("a"), record("b"))
    merged, _changes = merge(merged, record("a", accelerators={"nvidia": {"H100": 7}}), record("b", accelerators={}))
    merged, changes = merge(merged, unanswered("a"), unanswered("b"), accept=["a", "b"])
    assert registry.expected(merged["hosts"]["a"]) == {"nvidia": 7}
    assert registry.expected(merged["hosts"]["b"]) == {}
    assert changes["accepted"] == {"a": {"nvidia": [8, 7]}, "b": {"nvidia": [8, 0]}}


def test_accept_in_the_run_that_sees_the_loss():
    merged, _changes = merge(None, record("a"))
    merged, changes = merge(merged, record("a", accelerators={"nvidia": {"H100": 7}}), accept=["a"])
    assert changes["accepted"] == {"a": {"nvidia": [8, 7]}}
    assert merged["hosts"]["a"]["highest"] == {"nvidia": {"H100": 7}}


def test_accept_does_not_change_a_declared_count():
    merged, _changes = merge(None, record("a", expected={"nvidia": 8}, accelerators={"nvidia": {"H100": 7}}))
    merged, changes = merge(merged, record("a", expected={"nvidia": 8}, accelerators={"nvidia": {"H100": 7}}), accept=["a"])
    assert changes["accepted"] == {}
    assert registry.expected(merged["hosts"]["a"]) == {"nvidia": 8}


@pytest.mark.parametrize("seed", range(10))
def test_merging_is_idempotent_and_in_any_order(seed):
    found = random_records(seed)
    shuffled = list(found.items())
    random.Random(seed).shuffle(shuffled)
    one, _changes = registry.merge(registry.empty("c"), found, set(found))
    two, _changes = registry.merge(registry.empty("c"), dict(shuffled), set(found))
    again, _changes = registry.merge(one, found, set(found))
    assert registry.dump(one) == registry.dump(two) == registry.dump(again)


@pytest.mark.parametrize("seed", range(10))
def test_parts_of_a_fleet_merge_in_any_order_to_the_same_hosts(seed):
    parts = [dict(part) for part in itertools.zip_longest(*[iter(random_records(seed, 9).items())] * 3)]
    results = []
    for order in itertools.permutations(parts):
        merged = registry.empty("c")
        for part in order:
            merged, _changes = registry.merge(merged, part, set(part))
        results.append(merged["hosts"])
    assert all(hosts == results[0] for hosts in results)


@pytest.mark.parametrize("seed", range(20))
def test_runs_never_lower_and_never_forget(seed):
    """Whatever runs come, without accept and prune no highest count falls, no host goes, and the generation follows changes."""
    rng = random.Random(seed)
    merged = registry.empty("c")
    for number in range(12):
        found = random_records(seed * 100 + number, rng.randint(0, 10))
        before = merged
        merged, _changes = registry.merge(before, found, set(found), full_run=rng.random() < 0.5)
        assert set(before["hosts"]) <= set(merged["hosts"])
        assert set(found) <= set(merged["hosts"])
        for host, entry in before["hosts"].items():
            after = merged["hosts"][host]["highest"]
            for vendor, models in entry["highest"].items():
                for model, count in models.items():
                    assert after[vendor][model] >= count
        assert merged["generation"] == before["generation"] + (merged["hosts"] != before["hosts"])
        assert registry.load(registry.dump(merged), "c", "x") == merged


def test_text_has_one_host_per_line():
    merged, _changes = merge(None, record("a"), record("b"))
    lines = registry.dump(merged).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith('"a":{')


@pytest.mark.parametrize("text,words", [
    ("", "not JSON"), ("{", "not JSON"), ("[]", "not a fleet registry"), ('{"hosts": []}', "not a fleet registry"),
    ('{"version": 2, "cluster": "c", "generation": 1, "hosts": {}}', "version 2"),
    ('{"version": 1, "cluster": "d", "generation": 1, "hosts": {}}', "belongs to cluster 'd'"),
])
def test_load_refuses(text, words):
    with pytest.raises(Failure) as error:
        registry.load(text, "c", "/r/c.json")
    assert str(error.value).startswith("registry /r/c.json: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_records_by_cluster():
    found = registry.by_cluster([record("a"), record("b", cluster="d")])
    assert {cluster: sorted(hosts) for cluster, hosts in found.items()} == {"c": ["a"], "d": ["b"]}
    with pytest.raises(Failure, match="^b: more than one record"):
        registry.by_cluster([record("b"), record("b", cluster="d")])


def test_series():
    merged, _changes = merge(None, record("a"), record("b", state="maintenance", expected={"amd": 2}, accelerators={}), record("c"), unanswered("d"))
    merged, _changes = merge(merged, record("a"), record("b", state="maintenance", expected={"amd": 2}, accelerators={}), unanswered("d"))
    samples = [line for line in registry.series(merged).splitlines() if not line.startswith("#")]
    assert samples == [
        'accelmon_fleet_generation{cluster="c"} 2',
        'accelmon_fleet_node_info{cluster="c",node="a",rack="r1",state="active"} 1',
        'accelmon_fleet_node_info{cluster="c",node="b",rack="r1",state="maintenance"} 1',
        'accelmon_fleet_node_info{cluster="c",node="c",rack="r1",state="retired"} 1',
        'accelmon_fleet_node_info{cluster="c",node="d",rack="r1",state="pending"} 1',
        'accelmon_expected_accelerators{cluster="c",node="a",vendor="nvidia"} 8',
        'accelmon_expected_accelerators{cluster="c",node="b",vendor="amd"} 2',
        'accelmon_expected_accelerators{cluster="c",node="c",vendor="nvidia"} 8',
        'accelmon_source_elected{cluster="c",job="node_exporter",node="a",source="textfile",vendor="nvidia"} 1',
        'accelmon_source_elected{cluster="c",job="node_exporter",node="b",source="textfile",vendor="nvidia"} 1',
        'accelmon_source_elected{cluster="c",job="node_exporter",node="c",source="textfile",vendor="nvidia"} 1',
    ]


def elected_lines(merged):
    return [line for line in registry.series(merged).splitlines() if line.startswith("accelmon_source_elected")]


def test_who_stands_by_is_told_too():
    two = [exporter(standby=["amd", "nvidia"], source="textfile"),
           exporter(job="dcgm_exporter", port=9400, elected=["nvidia"], source="dcgm"),
           exporter(job="amd_exporter", port=5000, elected=["amd"], source="amd_exporter"), CUSTOM]
    assert elected_lines(merge(None, record("a", exporters=two))[0]) == [
        'accelmon_source_elected{cluster="c",job="amd_exporter",node="a",source="amd_exporter",vendor="amd"} 1',
        'accelmon_source_elected{cluster="c",job="node_exporter",node="a",source="textfile",vendor="amd"} 0',
        'accelmon_source_elected{cluster="c",job="dcgm_exporter",node="a",source="dcgm",vendor="nvidia"} 1',
        'accelmon_source_elected{cluster="c",job="node_exporter",node="a",source="textfile",vendor="nvidia"} 0',
    ]


def test_a_registry_from_before_there_were_sources_still_works():
    former = {"job": "node_exporter", "port": 9100, "scheme": "http", "path": "/metrics"}
    merged, _changes = merge(
        None, record("a", exporters=[dict(former, elected=["nvidia"])]),
        record("b", exporters=[dict(former, elected=[])], accelerators={"intel_gaudi": {"Gaudi 2": 8}, "amd": {"MI300X": 1}}))
    read = registry.load(registry.dump(merged), "c", "x")
    assert elected_lines(read) == ['accelmon_source_elected{cluster="c",job="node_exporter",node="a",source="textfile",vendor="nvidia"} 1']
    assert registry.monitored(read["hosts"]["a"]) == {"nvidia": 8}
    assert registry.monitored(read["hosts"]["b"]) == {"amd": 1}
    assert registry.unmonitored(read["hosts"]["b"]) == {"intel_gaudi": 8}
    again, _changes = merge(read, unanswered("a"), record("b", exporters=[exporter(job="all_smi", elected=["intel_gaudi"], source="all_smi")],
                                                          accelerators={"intel_gaudi": {"Gaudi 2": 8}}))
    assert registry.monitored(again["hosts"]["b"]) == {"amd": 1, "intel_gaudi": 8}
    assert again["hosts"]["a"]["exporters"] == [dict(former, elected=["nvidia"])]


def test_devices_of_any_vendor_that_are_all_gone_are_missed():
    before, _changes = merge(None, record("a", accelerators={"furiosa": {"RNGD": 2}},
                                          exporters=[exporter(job="all_smi", elected=["furiosa"], source="all_smi")]))
    merged, _changes = merge(before, record("a", accelerators={}, exporters=[exporter()]))
    assert registry.monitored(merged["hosts"]["a"]) == {"furiosa": 2}


def test_devices_that_nobody_reads_are_not_missed():
    merged, _changes = merge(None, record("a", exporters=[exporter()], unmonitored=["nvidia"]))
    assert registry.monitored(merged["hosts"]["a"]) == {}
    assert registry.unmonitored(merged["hosts"]["a"]) == {"nvidia": 8}


def test_hosts_that_go_without_a_better_source_are_one_line():
    why = {"nvidia": ["dcgm", "no repository has it", "dcgm_exporter_repository: nvidia"]}
    merged, _changes = merge(None, *[record("g%d" % number, better=why) for number in range(5)], record("z"), record("a", better=why, exporters=[
        exporter(job="all_smi", source="all_smi", elected=["nvidia"])]))
    assert registry.better_sources({"c": merged}) == [
        "a: nvidia is read by all_smi instead of dcgm: no repository has it; to change that, set dcgm_exporter_repository: nvidia",
        "g0, g1, g2 and 2 more: nvidia is read by textfile instead of dcgm: no repository has it; to change that, set dcgm_exporter_repository: nvidia"]
    # A host that did not answer keeps what was found on it; one that has the better source now says nothing.
    again, _changes = merge(merged, unanswered("g0"), record("g1"))
    assert "better" in again["hosts"]["g0"] and "better" not in again["hosts"]["g1"]


def test_a_vendor_that_another_source_has_come_to_read_is_one_line():
    def read_by(host, source):
        return record(host, exporters=[exporter(), exporter(job="dcgm_exporter", source=source, elected=["nvidia"])])
    before, _changes = merge(None, *[read_by("g%d" % number, "textfile") for number in range(5)], read_by("same", "dcgm"),
                             record("none", exporters=[]))
    after, _changes = merge(before, *[read_by("g%d" % number, "dcgm") for number in range(5)], read_by("same", "dcgm"), read_by("none", "dcgm"),
                            read_by("new", "dcgm"))
    assert registry.handed_over(before, after, after["hosts"]) == ["g0, g1, g2 and 2 more: nvidia is now read by dcgm instead of textfile"]
    assert registry.handed_over(after, before, ["g4", "gone"]) == ["g4: nvidia is now read by textfile instead of dcgm"]
    assert registry.handed_over(after, after, after["hosts"]) == []


def test_what_is_shown_and_not_counted_is_told_and_kept_while_the_host_is_silent():
    shown = [["amd", "GPU-0000:0d:00.0"]]
    merged, _changes = merge(None, record("a", uncounted=shown), record("b"))
    again, _changes = merge(merged, unanswered("a"), record("b"))
    told = [line for line in registry.series(again).splitlines() if line.startswith("accelmon_fleet_uncounted_device")]
    assert told == ['accelmon_fleet_uncounted_device{cluster="c",node="a",uuid="GPU-0000:0d:00.0",vendor="amd"} 1']
    assert registry.load(registry.dump(again), "c", "p") == again
    gone, _changes = merge(again, record("a"), record("b"))
    assert "accelmon_fleet_uncounted_device{" not in registry.series(gone)


def test_series_escape_names():
    merged, _changes = merge(None, record('a"b\\c', accelerators={}))
    assert 'node="a\\"b\\\\c"' in registry.series(merged)


def test_registry_is_json():
    merged, _changes = merge(None, record("a"))
    assert json.loads(registry.dump(merged)) == merged


# ---- a machine is where it is scraped ----


def fleet_run(before, *records, **options):
    """{cluster: registry} after a run of the module's steps, without files."""
    found = registry.by_cluster(records)
    inventory = set(options.pop("inventory", [one["host"] for one in records]))
    options.setdefault("full_run", True)
    before = dict({cluster: registry.empty(cluster) for cluster in found}, **before)
    replaced, former = registry.successions(before, found, inventory)
    home = {one["host"]: one["cluster"] for one in records}
    after = {}
    for cluster, data in before.items():
        present = {host for host in inventory if home.get(host, cluster) == cluster}
        if cluster not in found and cluster not in replaced:
            after[cluster] = data
            continue
        after[cluster] = registry.merge(data, found.get(cluster, {}), present, replaced=replaced.get(cluster), former={
            host: entry for (one, host), entry in former.items() if one == cluster}, **options)[0]
        assert registry.load(registry.dump(after[cluster]), cluster, "") == after[cluster]
    return after


def at(host, place, count, cluster="c", **changes):
    """The record of a host at a place with so many devices."""
    return record(host, address=place, cluster=cluster, accelerators={"nvidia": {"H100": count}} if count else {}, **changes)


def expectations(fleet):
    """{cluster/host: expected devices} of all that is expected anywhere."""
    found = {}
    for cluster, data in fleet.items():
        for line in registry.series(data).splitlines():
            if line.startswith("accelmon_expected_accelerators{"):
                found["%s/%s" % (cluster, line.split('node="')[1].split('"')[0])] = int(line.rsplit(" ", 1)[1])
    return found


def scraped(fleet):
    """[address] of all targets."""
    return sorted(one["address"] for data in fleet.values() for one in registry.records(data))


@pytest.mark.parametrize("full_run", [True, False])
def test_another_name_takes_over_what_was_counted(full_run):
    before = fleet_run({}, at("old", "p", 8), at("b", "q", 4))
    records = [at("new", "p", 7), at("b", "q", 4)] if full_run else [at("new", "p", 7)]
    after = fleet_run(before, *records, inventory=["new", "b"], full_run=full_run)
    assert expectations(after) == {"c/new": 8, "c/b": 4} and scraped(after) == ["p", "q"]
    assert after["c"]["hosts"]["old"]["status"] == "replaced"
    assert after["c"]["hosts"]["old"]["replaced_by"] == {"cluster": "c", "host": "new"}
    assert fleet_run(after, *records, inventory=["new", "b"], full_run=full_run) == after


def test_another_name_that_does_not_answer_goes_on_with_targets_and_elections():
    before = fleet_run({}, at("old", "p", 8, exporters=[exporter(elected=["nvidia"]), exporter(job="dcgm_exporter", port=9400)]))
    after = fleet_run(before, unanswered("new", address="p"))
    assert expectations(after) == {"c/new": 8} and len(after["c"]["hosts"]["new"]["exporters"]) == 2
    assert after["c"]["hosts"]["new"]["status"] == "active"


def test_a_name_and_back():
    before = fleet_run({}, at("a", "p", 8))
    after = fleet_run(fleet_run(before, at("b", "p", 9)), at("a", "p", 9))
    assert expectations(after) == {"c/a": 9} and after["c"]["hosts"]["b"]["status"] == "replaced"
    assert "replaced_by" not in after["c"]["hosts"]["a"]


def test_one_retired_at_the_place_of_another_is_no_target_either():
    # As registries are that were written before names were compared by place.
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 8))
    before["c"]["hosts"]["old"] = dict(before["c"]["hosts"]["a"], status="retired", highest={"nvidia": {"H100": 16}})
    after = fleet_run(before, at("a", "p", 8), at("b", "q", 8))
    assert expectations(after) == {"c/a": 8, "c/b": 8} and after["c"]["hosts"]["old"]["status"] == "replaced"


def test_names_that_change_places():
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 4))
    after = fleet_run(before, at("a", "q", 4), at("b", "p", 8))
    assert expectations(after) == {"c/a": 4, "c/b": 8} and scraped(after) == ["p", "q"]
    # The same, with one name at a time.
    after = fleet_run(before, at("a", "q", 4), inventory=["a", "b"], full_run=False)
    assert scraped(after) == ["q"] and expectations(after) == {"c/a": 4}
    after = fleet_run(after, at("b", "p", 8), inventory=["a", "b"], full_run=False)
    assert scraped(after) == ["p", "q"] and expectations(after)["c/a"] == 4 and expectations(after)["c/b"] == 8


def test_addresses_that_change_machines():
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 4))
    after = fleet_run(before, at("a", "q", 8), at("b", "p", 4))
    assert expectations(after) == {"c/a": 8, "c/b": 4}
    # Nothing is forgiven while nobody knows which machine it is.
    after = fleet_run(before, at("a", "q", 7), at("b", "p", 3))
    assert expectations(after) == {"c/a": 8, "c/b": 8}


def test_an_address_that_another_host_got():
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 4))
    after = fleet_run(before, at("b", "p", 4))
    assert expectations(after) == {"c/b": 4} and scraped(after) == ["p"]
    assert after["c"]["hosts"]["a"]["status"] == "replaced"
    after = fleet_run(before, at("a", "r", 8), at("new", "p", 2), at("b", "q", 4))
    assert expectations(after) == {"c/a": 8, "c/new": 2, "c/b": 4}


def test_hosts_that_share_an_address_with_other_ports_are_others():
    before = fleet_run({}, at("a", "p", 8), at("b", "p", 4, exporters=[exporter(port=9101, elected=["nvidia"])]))
    after = fleet_run(before, at("b", "p", 4, exporters=[exporter(port=9101, elected=["nvidia"])]), inventory=["a", "b"], full_run=False)
    assert after == before


def test_a_target_is_not_taken_by_one_that_did_not_answer():
    before = fleet_run({}, at("a", "p", 8))
    after = fleet_run(before, unanswered("b", address="p"), inventory=["a", "b"], full_run=False)
    assert after["c"]["hosts"]["a"] == before["c"]["hosts"]["a"]


@pytest.mark.parametrize("place", ["p", "elsewhere"])
def test_a_host_that_goes_to_another_cluster_leaves_nothing_behind(place):
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 4))
    after = fleet_run(before, at("a", place, 8, cluster="d"), at("b", "q", 4))
    assert expectations(after) == {"d/a": 8, "c/b": 4} and after["c"]["hosts"]["a"]["replaced_by"] == {"cluster": "d", "host": "a"}


def test_a_cluster_that_gets_another_name():
    before = fleet_run({}, at("a", "p", 8), at("b", "q", 4), at("x", "z", 2, cluster="other"))
    after = fleet_run(before, at("a", "p", 7, cluster="d"), at("b", "q", 4, cluster="d"))
    assert expectations(after) == {"d/a": 8, "d/b": 4, "other/x": 2}
    assert {entry["status"] for entry in after["c"]["hosts"].values()} == {"replaced"} and registry.records(after["c"]) == []


def test_another_inventory_with_the_same_names_is_left_alone():
    before = fleet_run({}, at("a", "p", 8))
    after = fleet_run(before, at("a", "elsewhere", 4, cluster="d"))
    assert expectations(after) == {"c/a": 8, "d/a": 4}


# ---- what is damaged ----


def test_damage_is_told_with_host_member_and_fix():
    good, _changes = merge(None, record("a"), unanswered("b"))
    for name in ("address", "exporters", "seen", "highest", "status", "labels", "state", "expected", "reached"):
        for value in (None, 7.5, [7], "x\ny", {"a": None}, {"a": {"b": -1}}, [{}], [{"job": "x", "port": "y"}]):
            bad = copy.deepcopy(good)
            bad["hosts"]["a"][name] = value
            with pytest.raises(Failure) as error:
                registry.load(json.dumps(bad), "c", "/r/c.json")
            assert str(error.value).startswith('registry /r/c.json: host "a": %s is not ' % name) and "; restore the file from a backup" in str(error.value)
        del bad["hosts"]["a"][name]
        with pytest.raises(Failure, match="%s is missing" % name):
            registry.load(json.dumps(bad), "c", "/r/c.json")


@pytest.mark.parametrize("name,value", [
    ("address", ""), ("address", "http://10.0.0.7/"), ("address", "10.0.0.7 x"), ("labels", {"a b": "c"}), ("labels", {"": "c"}), ("labels", {"1": "c"}),
    ("exporters", [{"job": "../../x", "port": 1}]), ("exporters", [{"job": "", "port": 1}]), ("exporters", [{"job": "x", "port": 1, "labels": {"a-b": "c"}}]),
    ("exporters", [{"job": "x", "port": 1, "scheme": "gopher"}]), ("exporters", [{"job": "x", "port": 1, "path": "metrics"}])])
def test_what_would_spoil_a_file_of_targets_is_damage(name, value):
    good, _changes = merge(None, record("a"), unanswered("b"))
    good["hosts"]["a"][name] = value
    with pytest.raises(Failure, match='host "a": %s is not ' % name):
        registry.load(json.dumps(good), "c", "/r/c.json")


@pytest.mark.parametrize("host", ["", "a/b", "a b"])
def test_a_damaged_host_name_is_told(host):
    good, _changes = merge(None, record("a"), unanswered("b"))
    good["hosts"][host] = good["hosts"].pop("a")
    with pytest.raises(Failure, match="not a host name; restore the file"):
        registry.load(json.dumps(good), "c", "/r/c.json")


def with_links(name="a", declared=None, **seen):
    return record(name, links={"seen": seen, "expected": declared or {}})


def links_of(merged):
    return registry.expected_links(merged["hosts"]["a"])


def test_expected_links_are_the_highest_ever_told_and_no_run_lowers_them():
    merged, _changes = merge(None, with_links(nvlink=17, infiniband=8))
    assert links_of(merged) == {"nvlink": 17, "infiniband": 8}
    merged, _changes = merge(merged, with_links(nvlink=18))
    merged, _changes = merge(merged, with_links(nvlink=0))
    merged, _changes = merge(merged, unanswered("a"))
    assert links_of(merged) == {"nvlink": 18, "infiniband": 8}
    assert 'accelmon_expected_links{cluster="c",kind="nvlink",node="a"} 18\n' in registry.series(merged)
    assert not registry.damage(merged["hosts"]["a"]) and registry.load(registry.dump(merged), "c", "x") == merged


def test_a_host_without_links_is_the_same_when_they_are_counted():
    merged, _changes = merge(None, with_links())
    assert "links" not in merged["hosts"]["a"]
    merged, changes = merge(merged, with_links(xgmi=0, infiniband=0))
    assert "links" not in merged["hosts"]["a"] and not any(changes.values()), changes


def test_people_lower_expected_links():
    merged, _changes = merge(None, with_links(nvlink=18, infiniband=8))
    merged, changes = merge(merged, with_links(nvlink=12), accept=["a"])
    assert links_of(merged) == {"nvlink": 12, "infiniband": 8} and changes["accepted"] == {"a": {"nvlink": [18, 12]}}
    merged, _changes = merge(merged, with_links(declared={"nvlink": 0}, nvlink=18))
    assert links_of(merged) == {"nvlink": 0, "infiniband": 8} and 'kind="nvlink"' not in registry.series(merged)
    merged, _changes = merge(merged, with_links(nvlink=18))
    assert links_of(merged) == {"nvlink": 18, "infiniband": 8}


def test_links_that_cannot_be_read_are_not_accepted_as_none():
    merged, _changes = merge(None, with_links(nvlink=18))
    merged, changes = merge(merged, record("a"), accept=["a"])
    assert links_of(merged) == {"nvlink": 18} and changes["accepted"] == {}


@pytest.mark.parametrize("links", [5, {}, {"seen": {}, "highest": {}}, {"seen": {}, "highest": {}, "expected": {"nvlink": -1}},
                                   {"seen": {}, "highest": {}, "expected": {}, "more": {}}])
def test_damaged_links_of_a_host(links):
    merged, _changes = merge(None, record("a"))
    assert registry.damage(dict(merged["hosts"]["a"], links=links)) == "links is not expected, seen and highest counts by kind"
