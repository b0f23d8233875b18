# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""verdict: every kind of failure, note and table row, from made-up registries and answers. Nothing is stubbed."""
import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import verdict


def node(address="10.0.0.7", nvidia=8, status="active", elected=("nvidia",), jobs=("node_exporter",), **more):
    """A registry host with exporters on 9100, 9101, ...; the first one reports the elected vendors."""
    exporters = [{"job": job, "port": 9100 + number, "scheme": "http", "path": "/metrics", "elected": []}
                 for number, job in enumerate(jobs)]
    if exporters:
        exporters[0]["elected"] = list(elected)
    host = {
        "host": "gpu7", "address": address, "status": status, "exporters": exporters, "expected": {},
        "highest": {"nvidia": {"H100": nvidia}} if nvidia else {},
    }
    host.update(more)
    return host


def fleet(hosts, cluster="west", generation=3):
    return {cluster: {"version": 1, "cluster": cluster, "generation": generation, "hosts": hosts}}


def healthy(clusters):
    """Answers in which nothing is wrong with these clusters."""
    seen = verdict.empty_seen()
    seen["groups"] = [{"name": "accelmon_alerts", "rules": [
        {"name": "Watchdog", "type": "alerting", "health": "ok", "last_error": "", "state": "firing"},
        {"name": "HostDown", "type": "alerting", "health": "ok", "last_error": "", "state": "inactive"}]}]
    for cluster, data in clusters.items():
        seen["generations"][cluster] = {data["generation"]}
        for name, host in data["hosts"].items():
            for job, _target, instance in verdict.exporter_targets(host):
                seen["up"][(cluster, name, job, instance)] = True
            for vendor, count in verdict.expected_devices(host).items():
                seen["devices"][(cluster, name, vendor)] = count
                seen["collector_age"][(cluster, name, vendor)] = 5
    return seen


def judge(clusters, seen, dials=None, **options):
    return verdict.verdict(clusters, seen, dials or {}, "mon01", **options)


def lines(result):
    return [item["line"] for item in result["failures"]]


def one(result):
    """The one failure, which is also checked for being well formed."""
    assert len(result["failures"]) == 1, lines(result)
    item = result["failures"][0]
    assert item["line"].startswith(item["node"]) and item["line"].endswith("%s; %s" % (item["reason"], item["fix"]))
    assert "\n" not in item["line"]
    return item


def note(result):
    assert len(result["notes"]) == 1, result["notes"]
    return result["notes"][0]["note"]


def test_a_healthy_fleet_has_no_failure():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8", jobs=("node_exporter", "dcgm_exporter")), "cpu1": node("10.0.0.1", 0)})
    result = judge(clusters, healthy(clusters), inventory_hosts=["gpu7", "gpu8", "cpu1"], rule_groups=["accelmon_alerts"])
    assert result["failures"] == [] and result["notes"] == [] and result["to_dial"] == []
    assert result["counts"] == {
        "nodes": 3, "fine": 3, "maintenance": 0, "retired": 0, "pending": 0, "targets": 4, "targets_up": 4,
        "accelerators_expected": 16, "accelerators_fresh": 16}
    assert verdict.report(result) == "all is well: 3 of 3 nodes fine, 4 of 4 targets up, 16 of 16 accelerators fresh"


def test_a_recorded_series_that_a_source_tells_and_nobody_records():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["unrecorded"] = {("west", "gpu7", "nvidia"): ["accelerator_ecc_errors_total"], ("west", "gpu9", "nvidia"): ["x"]}
    failure = one(judge(clusters, seen))
    assert failure["check"] == "series" and failure["line"] == (
        "gpu7: accelerator_ecc_errors_total of nvidia is not recorded, although textfile reports it; "
        "check for a label of gpu7 that these series also have (accelmon_labels); if there is none, run site.yml")
    assert judge(clusters, seen)["counts"]["fine"] == 1
    # Of devices that are gone their series are gone as well: that is one cause.
    seen["devices"][("west", "gpu7", "nvidia")] = 7
    assert one(judge(clusters, seen))["check"] == "devices"


def test_owner_files_of_jobs_that_say_nothing_or_may_say_something_wrong():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["job_files"] = {("west", "gpu7"): {"damaged": (1, ["4711"]), "unverified": (2, []), "refused": (2, ["12", "train-1"])}}
    result = judge(clusters, seen)
    assert lines(result) == [
        "gpu7: 1 owner file is damaged (4711); write it as docs/jobs.md describes",
        "gpu7: 2 owner files are refused (12, train-1); in /run/accelmon/jobs on gpu7, let only root own and write files",
        "gpu7: 2 owner files may be of jobs that have ended; check that squeue answers on gpu7, and journalctl -u accelmon-slurm-hooks there"]
    assert result["counts"]["fine"] == 1 and {item["check"] for item in result["failures"]} == {"jobs"}
    seen["job_files"] = {("west", "gpu7"): {"unresolved": (1, ["4711"])}}
    assert one(judge(clusters, seen))["line"] == (
        "gpu7: 1 owner file names a device that the node does not have (4711); "
        "compare its devices with those of gpu7; if Slurm's hooks wrote it, check journalctl -u accelmon-slurm-hooks there")


# ---- targets ----


@pytest.mark.parametrize("answer, scraped, reason, fix", [
    (("unresolved", ""), False, "name 10.0.0.7 does not resolve on mon01", "accelmon_address of gpu7"),
    (("refused", ""), True, "connection refused on 10.0.0.7:9100 (node_exporter not running there)", "site.yml --limit gpu7"),
    (("timeout", ""), True, "no answer from 10.0.0.7:9100 within 2 s (host down or blocked by a firewall)", "this port"),
    (("no_route", ""), True, "no route from mon01 to 10.0.0.7", "network of mon01"),
    (("silent", ""), True, "10.0.0.7:9100 accepts the connection but does not answer within 2 s (node_exporter hangs)", "restart"),
    (("http", "500"), True, "10.0.0.7:9100 answers HTTP 500 (node_exporter)", "log"),
    (("tls", "WRONG_VERSION_NUMBER"), True, "TLS to 10.0.0.7:9100 failed: WRONG_VERSION_NUMBER (node_exporter)", "certificate"),
    (("not_http", "BadStatusLine"), True, "10.0.0.7:9100 does not speak HTTP: BadStatusLine (node_exporter)", "requires TLS"),
    (("ok", "200"), True, "10.0.0.7:9100 answers, but its scrape fails (node_exporter)", "/targets"),
    (("ok", "200"), False, "10.0.0.7:9100 answers, but is not scraped yet (node_exporter)", "wait two scrape intervals"),
    (("error", "Permission denied"), True, "cannot dial 10.0.0.7:9100: Permission denied (node_exporter)", "mon01"),
    (("skipped", ""), True, "node_exporter not up on 10.0.0.7:9100 (no time left to dial it)", "verify.yml --limit gpu7"),
])
def test_a_target_that_is_not_up_gives_one_line_with_what_dialling_found(answer, scraped, reason, fix):
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = False
    if not scraped:
        del seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")]
    # Its devices are gone as well; a host that is down is still one line.
    seen["devices"].pop(("west", "gpu7", "nvidia"))
    target = ("10.0.0.7", 9100, "http", "/metrics")
    assert judge(clusters, seen)["to_dial"] == [target]
    result = judge(clusters, seen, {target: answer})
    item = one(result)
    assert (item["node"], item["check"], item["cluster"], item["reason"]) == ("gpu7", "target", "west", reason)
    assert fix in item["fix"]
    assert result["counts"]["fine"] == 1 and result["counts"]["targets_up"] == 1


def test_an_undialled_target_says_that_it_is_not_up():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = False
    assert one(judge(clusters, seen))["reason"] == "node_exporter not up on 10.0.0.7:9100"


def test_targets_of_a_host_with_one_cause_share_a_line_and_other_causes_get_their_own():
    jobs = ("node_exporter", "all_smi", "lustre")
    clusters = fleet({"gpu7": node(jobs=jobs), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    for number, job in enumerate(jobs):
        seen["up"][("west", "gpu7", job, "10.0.0.7:%d" % (9100 + number))] = False
    targets = [("10.0.0.7", 9100 + number, "http", "/metrics") for number in range(3)]
    same = judge(clusters, seen, dict.fromkeys(targets, ("refused", "")))
    assert one(same)["reason"] == "connection refused on 10.0.0.7 ports 9100, 9101 and 9102 (all_smi, lustre and node_exporter not running there)"
    assert "start them" in one(same)["fix"]
    silent = judge(clusters, seen, dict.fromkeys(targets, ("timeout", "")))
    assert "these ports" in one(silent)["fix"]
    mixed = judge(clusters, seen, {targets[0]: ("refused", ""), targets[1]: ("http", "500"), targets[2]: ("http", "503")})
    assert [item["reason"].split(" (")[0] for item in mixed["failures"]] == [
        "10.0.0.7:9101 answers HTTP 500", "10.0.0.7:9102 answers HTTP 503", "connection refused on 10.0.0.7:9100"]


def test_a_target_scraped_under_its_old_address_only_is_not_up():
    clusters = fleet({"gpu7": node("10.9.9.9"), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = seen["up"].pop(("west", "gpu7", "node_exporter", "10.9.9.9:9100"))
    result = judge(clusters, seen, {("10.9.9.9", 9100, "http", "/metrics"): ("ok", "200")})
    assert "is not scraped yet" in one(result)["reason"]


def test_ipv6_targets_are_bracketed():
    clusters = fleet({"gpu7": node("fd00::7"), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    assert ("west", "gpu7", "node_exporter", "[fd00::7]:9100") in seen["up"]
    seen["up"][("west", "gpu7", "node_exporter", "[fd00::7]:9100")] = False
    assert "[fd00::7]:9100" in one(judge(clusters, seen))["reason"]


def test_a_cluster_without_any_scrape_is_one_failure_and_nothing_is_dialled():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"].clear()
    seen["devices"].clear()
    result = judge(clusters, seen)
    assert (one(result)["check"], one(result)["node"]) == ("scraper", "mon01") and result["to_dial"] == []
    assert result["counts"]["fine"] == 0


def test_a_watchdog_that_ended_with_the_scraper_is_no_second_cause():
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["up"] = {}
    seen["groups"][0]["rules"][0]["state"] = "inactive"
    seen["alertmanagers"] = [("http://127.0.0.1:9093", None, False)]
    assert one(judge(clusters, seen))["check"] == "scraper"


def test_a_fleet_without_exporters_needs_no_scraper():
    clusters = fleet({"gpu7": node(nvidia=0, jobs=())})
    assert judge(clusters, healthy(clusters))["failures"] == []


# ---- devices and collectors ----


def test_missing_devices_are_named_by_node_vendor_and_identity():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["devices"][("west", "gpu7", "nvidia")] = 7
    assert one(judge(clusters, seen))["reason"] == "7 of 8 nvidia accelerators fresh"
    seen["lost"] = {("west", "gpu7", "nvidia"): ["index 3 (GPU-3)"]}
    item = one(judge(clusters, seen))
    assert item["reason"] == "7 of 8 nvidia accelerators fresh; gone: index 3 (GPU-3)"
    assert item["check"] == "devices" and "accept_devices.yml --limit gpu7" in item["fix"]
    seen["lost"][("west", "gpu7", "nvidia")] = ["index %d" % number for number in range(10)]
    assert one(judge(clusters, seen))["reason"].endswith("index 6, index 7 and 2 more")


def test_a_declared_count_wins_over_the_highest_seen_and_zero_expects_nothing():
    assert verdict.expected_devices(node(expected={"nvidia": 4, "amd": 2})) == {"nvidia": 4, "amd": 2}
    assert verdict.expected_devices(node(highest={"nvidia": {"H100": 6, "A2": 2}})) == {"nvidia": 8}
    clusters = fleet({"gpu7": node(expected={"nvidia": 0}), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    del seen["devices"][("west", "gpu7", "nvidia")], seen["collector_age"][("west", "gpu7", "nvidia")]
    assert judge(clusters, seen)["failures"] == []


def test_expected_devices_that_no_exporter_reports_are_a_failure():
    clusters = fleet({"gpu7": node(elected=()), "gpu8": node("10.0.0.8")})
    assert one(judge(clusters, healthy(clusters)))["reason"] == "8 nvidia accelerators expected, but none of the node's exporters reports them"


@pytest.mark.parametrize("age, reason", [
    (61, "the textfile collector last succeeded for nvidia 61 s ago (limit 60 s)"),
    (None, "the textfile collector never succeeded for nvidia"),
])
def test_a_stale_collector_is_the_cause_and_hides_its_devices(age, reason):
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["devices"][("west", "gpu7", "nvidia")] = 0
    seen["collector_age"][("west", "gpu7", "nvidia")] = age
    item = one(judge(clusters, seen))
    assert (item["check"], item["reason"]) == ("collector", reason)


def test_a_collector_at_its_limit_is_fresh():
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["collector_age"][("west", "gpu7", "nvidia")] = 45
    assert judge(clusters, seen)["failures"] == []


def test_devices_of_another_exporter_need_no_collector():
    clusters = fleet({"gpu7": node(jobs=("dcgm_exporter",)), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["collector_age"].clear()
    seen["collector_age"][("west", "gpu8", "nvidia")] = 1
    assert judge(clusters, seen)["failures"] == []
    seen["devices"][("west", "gpu7", "nvidia")] = 0
    assert one(judge(clusters, seen))["check"] == "devices"


def test_devices_are_judged_while_an_exporter_that_does_not_report_them_is_down():
    clusters = fleet({"gpu7": node(jobs=("node_exporter", "lustre")), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "lustre", "10.0.0.7:9101")] = False
    seen["devices"][("west", "gpu7", "nvidia")] = 7
    assert [item["check"] for item in judge(clusters, seen)["failures"]] == ["target", "devices"]


def test_a_silent_recording_layer_is_one_failure_not_one_for_each_node():
    clusters = fleet({"gpu%d" % number: node("10.0.0.%d" % number) for number in range(1, 6)})
    seen = healthy(clusters)
    seen["devices"].clear()
    seen["collector_age"][("west", "gpu5", "nvidia")] = 400
    result = judge(clusters, seen)
    assert [item["check"] for item in result["failures"]] == ["recording", "collector"]
    assert result["failures"][0]["reason"] == "the recording layer has no accelerators for cluster west, although nodes have some (4)"
    assert result["counts"]["fine"] == 0


def test_more_devices_than_expected_are_a_note():
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["devices"][("west", "gpu7", "nvidia")] = 9
    result = judge(clusters, seen)
    assert result["failures"] == []
    assert note(result) == "9 nvidia accelerators seen, 8 expected; site.yml --limit gpu7 records them"
    assert result["counts"]["accelerators_fresh"] == 8


# ---- states ----


def test_a_pending_host_fails_with_the_reason_it_is_not_up():
    clusters = fleet({"gpu7": node(status="pending", nvidia=0), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    up = one(judge(clusters, seen))
    assert (up["check"], up["reason"]) == ("pending", "never reached by any run")
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = False
    target = ("10.0.0.7", 9100, "http", "/metrics")
    result = judge(clusters, seen, {target: ("refused", "")})
    assert result["to_dial"] == [target] and result["counts"]["pending"] == 1
    assert one(result)["reason"].startswith("never reached by any run; connection refused on 10.0.0.7:9100")
    assert "site.yml --limit gpu7" in one(result)["fix"]


@pytest.mark.parametrize("status, words", [
    ("maintenance", "in maintenance, its alerts are muted; now node_exporter not up on 10.0.0.7:9100"),
    ("retired", "retired: no longer in the inventory but still scraped; prune.yml removes it"),
])
def test_maintenance_and_retired_hosts_are_notes_and_are_not_dialled(status, words):
    clusters = fleet({"gpu7": node(status=status), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = False
    result = judge(clusters, seen)
    assert result["failures"] == [] and result["to_dial"] == []
    assert note(result) == words
    assert result["counts"][status] == 1 and result["counts"]["fine"] == 1
    assert verdict.report(result).splitlines()[1] == "note: gpu7: " + words


def test_a_healthy_host_in_maintenance_is_still_noted():
    clusters = fleet({"gpu7": node(status="maintenance")})
    assert note(judge(clusters, healthy(clusters))) == "in maintenance, its alerts are muted"


def test_only_the_chosen_nodes_are_judged_but_the_monitoring_host_always_is():
    clusters = fleet({"gpu7": node(), "gpu8": node("10.0.0.8")})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "node_exporter", "10.0.0.7:9100")] = False
    seen["generations"]["west"] = {2}
    assert [item["node"] for item in judge(clusters, seen)["failures"]] == ["mon01", "gpu7"]
    limited = judge(clusters, seen, only=["gpu8"])
    assert [item["node"] for item in limited["failures"]] == ["mon01"] and limited["counts"]["nodes"] == 1


def test_an_inventory_host_that_is_not_registered_is_a_failure():
    clusters = fleet({"gpu7": node()})
    item = one(judge(clusters, healthy(clusters), only=["gpu9"], inventory_hosts=["gpu9", "gpu7"]))
    assert (item["node"], item["check"]) == ("gpu9", "registered") and "site.yml --limit gpu9" in item["fix"]


# ---- the monitoring host ----


def test_an_unreadable_registry_is_one_failure_and_names_no_hosts_as_missing():
    seen = healthy({})
    item = one(judge({}, seen, registry_problems=[("", "the registry /r is empty", "run site.yml")], inventory_hosts=["gpu7"]))
    assert item["line"] == "mon01: the registry /r is empty; run site.yml"


def test_an_unreachable_storage_is_one_failure_and_judges_no_node():
    clusters = fleet({"gpu7": node(), "gpu8": node(status="pending"), "gpu9": node(status="retired")})
    seen = verdict.empty_seen()
    seen["groups"] = healthy({})["groups"]
    seen["storage_error"] = "cannot reach the storage at http://127.0.0.1:8428/api/v1/query: refused"
    result = judge(clusters, seen)
    assert [item["check"] for item in result["failures"]] == ["storage", "pending"]
    assert result["failures"][0]["line"].startswith("mon01: cannot reach the storage at http://127.0.0.1:8428/api/v1/query: refused; ")
    assert result["to_dial"] == [] and result["counts"]["fine"] == 0 and len(result["notes"]) == 1


@pytest.mark.parametrize("known, reason", [
    ({2}, "the storage has generation 2 of cluster west, the registry 3"),
    (set(), "the storage lacks the expected devices of cluster west (registry generation 3)"),
])
def test_an_old_or_absent_generation_is_a_failure(known, reason):
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["generations"]["west"] = known
    assert (one(judge(clusters, seen))["check"], one(judge(clusters, seen))["reason"]) == ("generation", reason)


def test_one_of_several_published_generations_is_enough():
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["generations"]["west"] = {2, 3}
    assert judge(clusters, seen)["failures"] == []


def test_a_registry_that_nobody_scrapes_may_have_another_generation_than_those_of_other_hosts():
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen.update(generations={"west": {2}}, scraped=False)
    assert judge(clusters, seen)["failures"] == []
    seen["generations"] = {}
    assert one(judge(clusters, seen))["check"] == "generation"


def rules_of(*rules):
    seen = healthy({})
    seen["groups"] = [{"name": "g", "rules": [dict({"name": "R", "type": "alerting", "health": "ok", "last_error": "", "state": ""}, **rule)
                                              for rule in rules]}]
    return seen


@pytest.mark.parametrize("seen, options, reason", [
    (dict(healthy({}), rules_error="cannot reach the rule evaluator at U: refused"), {}, "cannot reach the rule evaluator at U: refused"),
    (dict(healthy({}), groups=[]), {}, "no rules are loaded"),
    (healthy({}), {"rule_groups": ["accelmon_nodes"]}, "rule group accelmon_nodes is not loaded"),
    (rules_of({"health": "err", "last_error": "bad"}, {}, {"health": "bad"}), {}, "2 of 3 rules in group g fail, first R: bad"),
    (rules_of({"health": "err"}), {}, "1 of 1 rules in group g fail, first R: err"),
    (rules_of({"health": ""}), {}, "1 of 1 rules in group g fail, first R: no health given"),
    (rules_of({"health": "unknown"}, {}), {}, "1 of 2 rules in group g have not been evaluated yet, first R"),
    (rules_of({}), {}, "the alert Watchdog is not loaded"),
    (rules_of({"name": "Watchdog", "state": "inactive"}), {}, "the alert Watchdog, which must always fire, does not"),
])
def test_what_can_be_wrong_with_the_rules(seen, options, reason):
    item = one(judge({}, seen, **options))
    assert (item["node"], item["reason"]) == ("mon01", reason)


def test_without_a_watchdog_none_is_wanted():
    assert judge({}, rules_of({}), watchdog="")["failures"] == []


# ---- order and text ----


def test_lines_are_in_a_fixed_order_and_each_once():
    hosts = {name: node("10.0.0." + name[3:]) for name in ("gpu10", "gpu2", "gpu1")}
    clusters = dict(fleet(hosts, "west"), **fleet({"gpu2": node("10.1.0.2"), "gpu3": node("10.1.0.3")}, "east"))
    seen = healthy(clusters)
    for key in list(seen["up"]):
        seen["up"][key] = key[1] == "gpu3"
    seen["rules_error"] = "cannot reach the rule evaluator at U: refused"
    result = judge(clusters, seen, registry_problems=[("north", "x", "y"), ("north", "x", "y")])
    assert [line.split(": ")[0] for line in lines(result)] == ["mon01", "mon01", "gpu2 (east)", "gpu1 (west)", "gpu2 (west)", "gpu10 (west)"]
    assert [item["check"] for item in result["failures"]][:2] == ["registry", "rules"]
    text = verdict.report(result).splitlines()
    assert text[0].startswith("6 failures: 1 of 5 nodes fine, 1 of 5 targets up")
    assert text[1:] == lines(result)


def test_natural_order():
    assert sorted(["gpu10", "gpu2", "a", "gpu2-1", "2b", "10b", "gpu02"], key=verdict.natural) == ["2b", "10b", "a", "gpu02", "gpu2", "gpu2-1", "gpu10"]


# ---- the status table ----


def status_fleet():
    clusters = fleet({
        "gpu1": node("10.0.0.1"),
        "gpu2": node("10.0.0.2", status="maintenance"),
        "gpu3": node("10.0.0.3", jobs=("node_exporter", "all_smi")),
        "gpu4": node("10.0.0.4"),
        "gpu5": node("10.0.0.5", status="retired"),
        "gpu6": node("10.0.0.6", 0, status="pending"),
        "gpu7": node("10.0.0.7"),
        "cpu1": node("10.0.0.9", 0, jobs=()),
    })
    seen = healthy(clusters)
    seen["up"][("west", "gpu3", "all_smi", "10.0.0.3:9101")] = False
    seen["up"][("west", "gpu4", "node_exporter", "10.0.0.4:9100")] = False
    seen["devices"][("west", "gpu7", "nvidia")] = 7
    seen["devices"][("west", "gpu1", "amd")] = 1
    seen["firing"] = [{"labels": labels} for labels in (
        {"alertname": "HostDown", "cluster": "west", "node": "gpu4"}, {"alertname": "Watchdog"},
        {"alertname": "HostDown", "cluster": "east", "node": "gpu1"}, {"alertname": "SiteRule", "node": "gpu4"},
        {"alertname": "AcceleratorFleetUnknown", "cluster": "west"})]
    return clusters, seen


def test_rows_say_state_accelerators_exporters_and_alerts():
    clusters, seen = status_fleet()
    rows = dict((row["node"], row) for row in verdict.status_rows(clusters, seen))
    assert list(rows) == ["cpu1", "gpu1", "gpu2", "gpu3", "gpu4", "gpu5", "gpu6", "gpu7"]
    assert rows["gpu4"] == {
        "cluster": "west", "node": "gpu4", "address": "10.0.0.4", "state": "down",
        "accelerators": {"nvidia": {"seen": 8, "expected": 8, "source": "textfile"}}, "exporters": {"node_exporter": "down"},
        "alerts": ["HostDown", "SiteRule"], "problem": True}
    assert rows["gpu3"]["state"] == "active" and rows["gpu3"]["exporters"] == {"node_exporter": "up", "all_smi": "down"}
    assert rows["gpu1"]["accelerators"] == {
        "amd": {"seen": 1, "expected": 0}, "nvidia": {"seen": 8, "expected": 8, "source": "textfile"}}
    assert rows["cpu1"]["state"] == "active" and rows["gpu1"]["alerts"] == []
    assert [name for name, row in rows.items() if row["problem"]] == ["gpu3", "gpu4", "gpu5", "gpu6", "gpu7"]
    assert verdict.fleet_alerts(clusters, seen) == ["AcceleratorFleetUnknown"]


def test_alerts_about_a_monitoring_host_without_accelerators_are_not_lost():
    clusters, seen = status_fleet()
    seen["firing"] = [{"labels": {"alertname": "GrafanaDown", "cluster": "west", "node": node}} for node in ("mon1", "gpu1")]
    assert verdict.fleet_alerts(clusters, seen) == ["GrafanaDown (mon1)"]
    assert [row["node"] for row in verdict.status_rows(clusters, seen) if row["alerts"]] == ["gpu1"]


def test_status_says_for_each_kind_of_trouble_what_to_do():
    clusters, seen = status_fleet()
    clusters["west"]["hosts"]["old"] = dict(node("10.0.0.8"), status="replaced", replaced_by={"cluster": "west", "host": "gpu1"})
    clusters["west"]["hosts"].update(("blind%d" % number, node(nvidia=0, highest={"furiosa": {"RNGD": 2}}, unmonitored=["furiosa"])) for number in range(5))
    seen["up"].update(((("west", "blind%d" % number, "node_exporter", "10.0.0.7:9100"), True) for number in range(5)))
    assert verdict.advice(verdict.status_rows(clusters, seen)) == [
        "gpu4: down; run verify.yml to learn why",
        "gpu6: never reached; make it reachable for Ansible, then run site.yml for it",
        "gpu3: an exporter is down; run verify.yml to learn why",
        "gpu7: fewer accelerators than expected; run verify.yml to see which are gone; repair them, or accept it with accept_devices.yml",
        "blind0, blind1, blind2 and 2 more: accelerators that no exporter reads; name an exporter that reads them in accelmon_exporters, or set it to auto",
        "gpu2: in maintenance; set accelmon_state to active when it is back",
        "gpu5: retired; put it back into the inventory, or run prune.yml",
        "old: replaced; run prune.yml to forget it",
    ]
    assert not verdict.advice([row for row in verdict.status_rows(clusters, seen) if row["node"] in ("gpu1", "cpu1")])


def test_a_row_says_which_source_is_in_charge_and_which_stands_by():
    clusters = fleet({"gpu7": node(exporters=[
        {"job": "node_exporter", "port": 9100, "elected": [], "standby": ["nvidia"], "source": "textfile"},
        {"job": "dcgm_exporter", "port": 9400, "elected": ["nvidia"], "standby": [], "source": "dcgm"}])})
    rows = verdict.status_rows(clusters, healthy(clusters))
    assert rows[0]["accelerators"] == {"nvidia": {"seen": 8, "expected": 8, "source": "dcgm", "standby": ["textfile"]}}
    assert "nvidia 8/8 dcgm (standby textfile)" in verdict.table(rows)
    assert "accelerators nvidia 8/8;" in verdict.totals_line(verdict.totals(rows))


def test_a_collector_that_stands_by_may_be_stale():
    clusters = fleet({"gpu7": node(exporters=[
        {"job": "node_exporter", "port": 9100, "elected": [], "standby": ["nvidia"], "source": "textfile"},
        {"job": "all_smi", "port": 9401, "elected": ["nvidia"], "standby": [], "source": "all_smi"}])})
    seen = healthy(clusters)
    seen["collector_age"].clear()
    assert judge(clusters, seen)["failures"] == []


def test_worst_rows_come_first():
    rows = verdict.worst_first(verdict.status_rows(*status_fleet()))
    assert [row["node"] for row in rows] == ["gpu4", "gpu6", "gpu3", "gpu7", "gpu5", "gpu2", "cpu1", "gpu1"]


def test_two_targets_of_one_job_show_the_worse_one():
    host = node(jobs=("custom", "custom"))
    clusters = fleet({"gpu7": host})
    for broken in ("10.0.0.7:9100", "10.0.0.7:9101"):
        seen = healthy(clusters)
        seen["up"][("west", "gpu7", "custom", broken)] = False
        assert verdict.status_rows(clusters, seen)[0]["exporters"] == {"custom": "down"}


def test_without_storage_the_rows_hold_what_the_registry_knows():
    clusters, _seen = status_fleet()
    seen = dict(verdict.empty_seen(), storage_error="cannot reach the storage")
    rows = verdict.status_rows(clusters, seen, only=["gpu1", "gpu2"])
    assert [(row["state"], row["exporters"], row["accelerators"], row["problem"]) for row in rows] == [
        ("active", {"node_exporter": "unknown"}, {"nvidia": {"seen": None, "expected": 8, "source": "textfile"}}, False),
        ("maintenance", {"node_exporter": "unknown"}, {"nvidia": {"seen": None, "expected": 8, "source": "textfile"}}, False)]
    assert verdict.totals(rows)["accelerators"] == {"nvidia": {"seen": None, "expected": 16}}
    assert "nvidia ?/8" in verdict.table(rows)


def test_what_nobody_records_is_not_taken_for_missing():
    """Where no rules are evaluated no device is recorded. A fleet that lost its only device looks the same, but its rules are evaluated."""
    clusters = dict(fleet({"gpu1": node()}, "west"), **fleet({"gpu1": node()}, "east"))
    seen = healthy(clusters)
    del seen["devices"]["west", "gpu1", "nvidia"]
    for firing, west in (([], None), ([{"labels": {"alertname": "HostDown"}}], None), ([{"labels": {"alertname": "Watchdog"}}], 0)):
        rows = verdict.status_rows(clusters, dict(seen, firing=firing))
        assert [(row["cluster"], row["accelerators"]["nvidia"]["seen"]) for row in rows] == [("east", 8), ("west", west)]


def test_totals_and_table():
    clusters, seen = status_fleet()
    rows = verdict.status_rows(clusters, seen)
    summary = verdict.totals(rows)
    assert summary == {
        "nodes": 8, "states": {"active": 4, "down": 1, "maintenance": 1, "pending": 1, "retired": 1},
        "accelerators": {"nvidia": {"seen": 47, "expected": 48}, "amd": {"seen": 1, "expected": 0}}, "alerts": 2}
    assert verdict.totals_line(summary) == (
        "8 nodes: 4 active, 1 down, 1 maintenance, 1 pending, 1 retired; accelerators amd 1/0, nvidia 47/48; 2 alerts")
    assert verdict.totals_line(verdict.totals([])) == "0 nodes; 0 alerts"
    assert verdict.table(rows[3:5]).splitlines() == [
        "NODE  ADDRESS   ACCELERATORS         EXPORTERS                       STATE   ALERTS",
        "gpu3  10.0.0.3  nvidia 8/8 textfile  all_smi down, node_exporter up  active  -",
        "gpu4  10.0.0.4  nvidia 8/8 textfile  node_exporter down              down    HostDown, SiteRule"]
    assert verdict.table([]).splitlines() == ["NODE  ADDRESS  ACCELERATORS  EXPORTERS  STATE  ALERTS"]


def test_several_clusters_get_a_column():
    clusters = dict(fleet({"gpu7": node()}, "west"), **fleet({"gpu7": node()}, "east"))
    text = verdict.table(verdict.status_rows(clusters, healthy(clusters))).splitlines()
    assert [line.split()[0] for line in text] == ["CLUSTER", "east", "west"]


def test_a_replaced_host_is_told_and_not_counted():
    clusters = {"c": {"generation": 1, "cluster": "c", "version": 1, "hosts": {}}}
    entry = {"address": "10.0.0.1", "labels": {}, "state": "active", "expected": {}, "reached": True, "seen": {}, "highest": {"nvidia": {"H100": 8}},
             "exporters": [{"job": "node_exporter", "port": 9100, "elected": ["nvidia"], "standby": [], "source": "textfile"}], "status": "active"}
    clusters["c"]["hosts"] = {"new": entry, "old": dict(entry, status="replaced", replaced_by={"cluster": "c", "host": "new"}),
                              "moved": dict(entry, status="replaced", replaced_by={"cluster": "d", "host": "moved"})}
    seen = verdict.empty_seen()
    seen["generations"] = {"c": {1}}
    seen["up"] = {("c", "new", "node_exporter", "10.0.0.1:9100"): True}
    seen["devices"] = {("c", "new", "nvidia"): 8}
    result = verdict.verdict(clusters, seen, {}, "mon01", inventory_hosts=["new", "moved"])
    assert result["counts"]["nodes"] == 1 and result["counts"]["accelerators_expected"] == 8
    assert [(one["node"], one["note"]) for one in result["notes"]] == [
        ("moved", "replaced by moved of cluster d; prune.yml removes it from the registry"), ("old", "replaced by new; prune.yml removes it from the registry")]
    assert [one["node"] for one in result["failures"] if one["check"] == "registered"] == ["moved"]
    rows = verdict.status_rows(clusters, seen)
    assert "old" in verdict.table(rows) and "replaced by new" in verdict.table(rows) and "replaced by moved of cluster d" in verdict.table(rows)
    assert verdict.totals(rows)["accelerators"] == {"nvidia": {"seen": 8, "expected": 8}}


@pytest.mark.parametrize("problem, fix", [
    ("cannot reach the storage at http://127.0.0.1:8428: refused", "start it on mon01; site.yml does"),
    ("cannot reach the storage at http://127.0.0.1:8428: timed out", "check whether mon01 is overloaded"),
    ("cannot reach the storage at https://127.0.0.1:8428: TLS failed (WRONG_VERSION_NUMBER)", "one side uses TLS and the other does not"),
    ("the storage at http://127.0.0.1:8428 does not speak HTTP: BadStatusLine", "one side uses TLS and the other does not"),
    ("the storage at http://127.0.0.1:8428 answers HTTP 401", "it expects a different password than mon01 uses"),
    ("the storage at http://127.0.0.1:8428 answers HTTP 404", "another service listens on that port of mon01"),
    ("the storage at http://127.0.0.1:8428 does not respond like the Prometheus API", "another service listens on that port of mon01"),
    ("cannot reach the storage at http://mon01:8428: name does not resolve", "check the name and the network of mon01"),
    ("the storage at http://127.0.0.1:8428 answers HTTP 503", "check its log on mon01"),
])
def test_only_what_does_not_run_is_to_be_started(problem, fix):
    clusters = fleet({"gpu7": node()})
    seen = dict(healthy(clusters), storage_error=problem, rules_error=problem, alertmanagers=[("http://a", problem, False)])
    failures = judge(clusters, seen)["failures"]
    # What the last two say alike is one line.
    assert [item["check"] for item in failures] == ["storage", "alertmanager"]
    for item in failures:
        assert item["fix"].startswith(fix)


@pytest.mark.parametrize("answer, fix", [
    (("refused", ""), "start it on gpu7; site.yml --limit gpu7 does"),
    (("http", "401"), "it requires a password or certificate that mon01 does not send"),
    (("http", "404"), "correct its path (node_exporter_metrics_path) or its port"),
    (("http", "500"), "check the port and path of node_exporter"),
    (("tls", "WRONG_VERSION_NUMBER"), "it does not use TLS, or its certificate is not from the CA that mon01 trusts"),
])
def test_an_exporter_that_answers_is_not_to_be_started(answer, fix):
    clusters = fleet({"gpu7": node()})
    seen = healthy(clusters)
    seen["up"].clear()
    seen["up"][("west", "other", "x", "y")] = True
    target = ("10.0.0.7", 9100, "http", "/metrics")
    assert one(judge(clusters, seen, {target: answer}))["fix"].startswith(fix)


def test_a_hand_over_that_failed_is_not_to_be_tried_again_without_looking_why():
    host = node(jobs=("node_exporter", "dcgm_exporter"))
    host["exporters"][0].update(source="textfile", standby=[])
    host["exporters"][1].update(source="dcgm", standby=["nvidia"])
    clusters = fleet({"gpu7": host})
    seen = healthy(clusters)
    seen["up"][("west", "gpu7", "dcgm_exporter", "10.0.0.7:9101")] = False
    item = one(judge(clusters, seen, {("10.0.0.7", 9101, "http", "/metrics"): ("refused", "")}))
    assert item["fix"] == ("it did not take over from textfile, which still reads the devices: check journalctl -u accelmon-dcgm-exporter on gpu7, "
                           "or remove it from the choice")


def test_devices_that_nobody_watches_are_told_by_node():
    hosts = {"gpu%d" % number: node(nvidia=0, highest={"furiosa": {"RNGD": 2}}, unmonitored=["furiosa"]) for number in range(12)}
    notes = judge(fleet(hosts), healthy(fleet(hosts)))["notes"]
    assert [item["node"] for item in notes] == ["gpu0, gpu1, gpu2 and 9 more"]
    assert notes[0]["note"].startswith("24 furiosa accelerators recorded but not monitored")
