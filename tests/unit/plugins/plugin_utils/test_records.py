# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan and the record of one host, from its variables and facts. Which source is chosen is in test_choice.py; here it is the textfile one.

Stubbed: `hostvars` is a dictionary; facts have the shape that accelerator_facts documents, and are made up.
"""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.filter.fleet_records import fleet_records
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hosts as fleet, listening, records
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, facts
from ansible.errors import AnsibleFilterError


def plan(told=None, **variables):
    variables.setdefault("accelmon_accelerator_source", "textfile")
    if told is not None:
        variables["ansible_facts"] = told
    made = records.make_plan("h", fleet.HostVariables({"h": variables}, "h"))
    # When links are recorded is in test_choice.py.
    return dict(made, roles=[role for role in made["roles"] if role != "links"])


def listen(told=None, **variables):
    return listening.usual({"inventory_hostname": "h", "ansible_facts": told or {}, **variables})


def refused(told=None, **variables):
    with pytest.raises(Problem) as error:
        plan(told, **variables)
    assert "\n" not in str(error.value)
    return str(error.value)


def record(told=None, answered=True, **variables):
    variables.setdefault("accelmon_accelerator_source", "textfile")
    if told is not None:
        variables["ansible_facts"] = told
    return records.make_record("h", fleet.HostVariables({"h": variables}, "h"), fleet.Reader(fleet.plan_specs()), answered)


def elected(made):
    return [one["elected"] for one in made["exporters"] if one["job"] == "node_exporter"]


@pytest.mark.parametrize("devices,vendors", [
    ([], []),
    ([device(), device()], ["nvidia"]),
    ([device("amd")], ["amd"]),
    ([device(), device("amd")], ["amd", "nvidia"]),
    ([device(state="no_device_nodes")], ["nvidia"]),
])
def test_roles_follow_the_devices(devices, vendors):
    made = plan(facts(*devices))
    assert made["roles"] == ["node_exporter"] + ["textfile_collector"] * bool(vendors)
    assert elected(made) == [vendors]


def test_driver_without_devices_needs_no_collector():
    made = plan(facts(summary={"nvidia": {"count": 0, "models": {}, "states": {}, "driver_only": True}}))
    assert made["roles"] == ["node_exporter"]


def test_host_without_facts_has_what_the_inventory_gives_it():
    assert plan()["roles"] == ["node_exporter"]
    made = plan(accelmon_expected={"nvidia": 8, "amd": 0})
    assert made["roles"] == ["node_exporter", "textfile_collector"]
    assert elected(made) == [["nvidia"]]


def test_declared_exporters_win():
    assert plan(facts(device()), accelmon_exporters=["node_exporter"])["roles"] == ["node_exporter"]
    assert elected(plan(facts(device()), accelmon_exporters=["node_exporter"])) == [[]]
    assert plan(facts(), accelmon_exporters=["textfile_collector", "node_exporter"])["roles"] == ["node_exporter", "textfile_collector"]
    assert plan(facts(device()), accelmon_exporters=[]) == {"roles": [], "exporters": []}


def test_external_node_exporter_is_scraped_and_not_run():
    made = plan(facts(device()), node_exporter_managed="external", node_exporter_port=9200)
    assert made["roles"] == ["textfile_collector"]
    assert made["exporters"] == [{"job": "node_exporter", "port": 9200, "scheme": "http", "path": "/metrics", "elected": ["nvidia"], "standby": [],
                                  "source": "textfile"}]


def test_adopted_node_exporter_is_proven_and_scraped_as_it_is():
    made = plan(facts(device()), node_exporter_managed="adopt", node_exporter_metrics_path="/own", accelmon_exporter_tls="managed")
    assert made["roles"] == ["access", "node_exporter_adopted", "textfile_collector"]
    assert made["exporters"] == [{"job": "node_exporter", "port": 9100, "scheme": "http", "path": "/own", "elected": ["nvidia"], "standby": [],
                                  "source": "textfile"}]


CONTROLLER = {"accelmon_slurm_controller": True}


def test_a_slurm_controller_has_a_collector_and_a_target_for_it():
    made = plan(facts(), **CONTROLLER, node_exporter_port=9200, accelmon_exporter_tls="managed")
    assert made["roles"] == ["access", "node_exporter", "slurm_collector"]
    assert made["exporters"][1:] == [{"job": "slurm_collector", "port": 9200, "scheme": "https", "path": "/metrics", "requires": ["certificate"],
                                      "elected": [], "standby": []}]
    assert plan(facts(device()), **CONTROLLER)["roles"] == ["node_exporter", "textfile_collector", "slurm_collector"]
    assert [one["job"] for one in plan(**CONTROLLER, node_exporter_managed="external")["exporters"]] == ["node_exporter", "slurm_collector"]


def test_a_collector_that_is_not_wanted_is_no_target_and_goes():
    made = plan(facts(), **CONTROLLER, slurm_collector_state="absent")
    assert made["roles"] == ["node_exporter", "slurm_collector"] and [one["job"] for one in made["exporters"]] == ["node_exporter"]
    before = facts(node={"exporters": ["node_exporter", "slurm_collector"]})
    assert plan(before)["roles"] == ["node_exporter", "slurm_collector_retired"]
    assert plan(before, **CONTROLLER)["roles"] == ["node_exporter", "slurm_collector"]


def test_a_slurm_controller_that_drains_nodes_has_what_it_asks_with():
    for mode in ("observe", "drain"):
        assert plan(facts(), **CONTROLLER, accelmon_drain=mode)["roles"] == ["access", "node_exporter", "slurm_collector", "slurm_drain"]
    assert plan(facts(), accelmon_drain="drain")["roles"] == ["node_exporter"], "no controller"
    own = plan(facts(), **CONTROLLER, accelmon_drain="drain", slurm_drain_storage_urls=["http://prometheus:9090"])
    assert own["roles"] == ["node_exporter", "slurm_collector", "slurm_drain"]
    before = facts(node={"exporters": ["node_exporter", "slurm_collector", "slurm_drain"]})
    assert plan(before, **CONTROLLER)["roles"] == ["node_exporter", "slurm_collector", "slurm_drain_retired"]
    assert plan(before)["roles"] == ["node_exporter", "slurm_collector_retired", "slurm_drain_retired"]


def test_an_image_proves_nothing():
    made = plan(facts(device()), node_exporter_managed="adopt", accelmon_phase="image")
    assert made["roles"] == ["textfile_collector"]


@pytest.mark.parametrize("variables,node,needed,scheme", [
    ({}, {}, False, "http"),
    ({"group_names": ["accelerator_nodes", "monitoring"]}, {}, True, "http"),
    ({"accelmon_exporter_tls": "managed"}, {}, True, "https"),
    ({"accelmon_exporter_tls": "files"}, {}, True, "https"),
    ({"accelmon_exporter_auth": "basic"}, {}, True, "http"),
    ({}, {"access": True}, True, "http"),
    ({}, {"access": False}, False, "http"),
])
def test_access_where_something_is_closed_or_was(variables, node, needed, scheme):
    made = plan(facts(node=node), **variables)
    monitoring = "group_names" in variables
    assert made["roles"] == ["access"] * needed + ["victoriametrics"] * monitoring + ["node_exporter"]
    assert [exporter["scheme"] for exporter in made["exporters"]] == [scheme]


@pytest.mark.parametrize("variables,required", [
    ({}, None),
    ({"accelmon_exporter_tls": "managed", "accelmon_tls_client_auth": False}, ["certificate"]),
    ({"accelmon_exporter_tls": "files"}, ["certificate"]),
    ({"accelmon_exporter_tls": "files", "accelmon_tls_client_auth": False}, None),
    ({"accelmon_exporter_auth": "basic"}, ["password"]),
    ({"accelmon_exporter_tls": "managed", "accelmon_exporter_auth": "basic"}, ["certificate", "password"]),
    ({"accelmon_exporter_tls": "managed", "accelmon_exporter_auth": "basic", "node_exporter_managed": "adopt"}, None),
    ({"accelmon_exporter_tls": "managed", "accelmon_exporter_auth": "basic", "node_exporter_managed": "external"}, None),
])
def test_the_record_says_what_an_exporter_requires(variables, required):
    assert [exporter.get("requires") for exporter in plan(**variables)["exporters"]] == [required]


def test_a_monitoring_host_with_a_place_for_backups_has_them():
    assert plan(group_names=["monitoring"], accelmon_backup_directory="/mnt")["roles"] == ["access", "victoriametrics", "backup", "node_exporter"]
    assert "backup" not in plan(accelmon_backup_directory="/mnt")["roles"]


def test_a_monitoring_host_has_one_backend():
    assert plan(group_names=["monitoring"], accelmon_backend="prometheus")["roles"] == ["access", "prometheus", "node_exporter"]
    assert plan(accelmon_backend="prometheus")["roles"] == ["node_exporter"]


def test_access_of_a_host_without_facts_follows_the_inventory():
    assert plan(accelmon_exporter_tls="managed")["roles"] == ["access", "node_exporter"]
    assert record(answered=False, accelmon_exporter_tls="managed")["exporters"][0]["scheme"] == "https"


def test_page_of_node_exporter():
    assert plan(facts(), node_exporter_metrics_path="/own/page")["exporters"][0]["path"] == "/own/page"
    assert refused(node_exporter_metrics_path="metrics") == (
        "h: node_exporter_metrics_path = metrics: not a URL path; start it with / and use no space, .., ? or #")


def test_absent_node_exporter_is_removed_and_not_scraped():
    made = plan(facts(device()), node_exporter_state="absent", accelmon_accelerator_source="auto", accelmon_exporters=["node_exporter"])
    assert "node_exporter" in made["roles"]
    assert made["exporters"] == []


def test_maintenance_keeps_the_target():
    assert plan(facts(), accelmon_state="maintenance")["exporters"] == plan(facts())["exporters"]


def test_custom_exporters_come_last():
    made = plan(facts(), accelmon_custom_exporters=[{"job": "ipmi", "port": 9290, "scheme": "https", "path": "/i", "labels": {"a": "b"}}])
    assert made["exporters"][1:] == [
        {"job": "ipmi", "port": 9290, "scheme": "https", "path": "/i", "labels": {"a": "b"}, "elected": [], "custom": True}]


@pytest.mark.parametrize("variables,own,expected", [
    ({"accelmon_address": "10.0.0.7"}, ["10.0.0.7"], "10.0.0.7"),
    ({"ansible_host": "10.0.0.7"}, ["10.0.0.7", "10.1.0.7"], "10.0.0.7"),
    ({"ansible_host": "10.0.0.7"}, ["192.168.0.1"], ""),
    ({"ansible_host": "10.0.0.7", "accelmon_listen": "192.168.0.1"}, ["192.168.0.1"], "192.168.0.1"),
    ({"ansible_host": "2001:DB8::7"}, ["2001:db8::7"], "2001:db8::7"),
    ({}, ["10.0.0.7"], ""),
    ({"accelmon_address": "10.0.0.7", "accelmon_phase": "image"}, ["10.0.0.7"], ""),
])
def test_listen(variables, own, expected):
    assert listen(facts(addresses=own), **variables) == expected


def test_listen_of_a_host_without_facts():
    assert listen(ansible_host="10.0.0.7", accelmon_listen="0.0.0.0") == "0.0.0.0"


def test_where_a_role_listens_is_what_it_declares_else_what_the_host_does():
    host = {"inventory_hostname": "h", "accelmon_listen": "10.0.0.8"}
    assert listening.of_role(host, "all_smi") == "10.0.0.8"
    assert listening.of_role({**host, "all_smi_listen": "10.0.0.9"}, "all_smi") == "10.0.0.9"


def test_a_bad_address_to_listen_on_is_refused_with_its_host():
    with pytest.raises(Problem, match="^h: accelmon_listen = nonsense!: "):
        listen(accelmon_listen="nonsense!")


@pytest.mark.parametrize("state,fix", [
    ("driver_missing", "install the vendor's driver"),
    ("driver_unbound", "check the kernel log for why the driver did not bind the device"),
    ("wrong_driver", "replace the driver bound to the device with the vendor's"),
])
def test_missing_driver_is_an_error(state, fix):
    assert refused(facts(device(), device(state=state))) == (
        f"h: accelmon_driver_missing = fail: 1 nvidia accelerator has no working driver (H100 SXM 10de:2330 0000:1b:00.0 {state}); "
        f"{fix}, or set accelmon_driver_missing to ignore to monitor the host without them")


def test_missing_drivers_of_two_vendors_are_counted():
    text = refused(facts(*[device(state="driver_missing")] * 8, device("amd", state="driver_missing")))
    assert "1 amd accelerator and 8 nvidia accelerators have no working driver (" in text
    assert " and 6 more)" in text


def test_missing_driver_ignored_leaves_host_metrics_and_the_count():
    told = facts(device(state="driver_missing"), device(state="driver_missing"))
    made = plan(told, accelmon_driver_missing="ignore")
    assert made["roles"] == ["node_exporter"]
    assert elected(made) == [[]]
    kept = record(told, accelmon_driver_missing="ignore")
    assert kept["accelerators"] == {"nvidia": {"H100 SXM": 2}}


def test_missing_driver_ignored_keeps_the_collector_for_devices_that_have_one():
    assert plan(facts(device(), device(state="driver_unbound")), accelmon_driver_missing="ignore")["roles"] == [
        "node_exporter", "textfile_collector"]


def test_virtual_functions_and_passed_through_devices_are_not_missing_a_driver():
    """They are among the devices and not in the summary."""
    told = facts(device())
    told["accelerators"]["devices"] += [device(kind="virtual_function", state="driver_missing"), device(state="passthrough")]
    assert plan(told)["roles"] == ["node_exporter", "textfile_collector"]


def test_bad_value_is_an_error_of_the_plan():
    assert refused(node_exporter_port=0) == "h: node_exporter_port = 0: not a port; use 1 to 65535"


def test_record():
    made = record(
        facts(device(), device("amd")), ansible_host="10.0.0.7", accelmon_cluster="c", accelmon_rack="r1", accelmon_labels={"room": "b"},
        accelmon_expected={"nvidia": 8})
    assert made == {
        "host": "h", "address": "10.0.0.7", "cluster": "c", "labels": {"rack": "r1", "room": "b"}, "state": "active", "answered": True,
        "accelerators": {"nvidia": {"H100 SXM": 1}, "amd": {"MI300X": 1}}, "expected": {"nvidia": 8},
        "exporters": [{"job": "node_exporter", "port": 9100, "scheme": "http", "path": "/metrics", "elected": ["amd", "nvidia"],
                       "standby": [], "source": "textfile"}]}


def test_old_facts_of_a_host_that_did_not_answer_do_not_count():
    made = record(facts(device()), answered=False)
    assert (made["answered"], made["accelerators"], elected(made)) == (False, {}, [[]])


def test_host_that_ran_without_telling_facts_did_not_answer():
    assert record()["answered"] is False


def test_bad_values_of_a_host_that_did_not_answer_leave_it_a_target():
    made = record(answered=False, node_exporter_port=0, accelmon_labels="x")
    assert (made["exporters"][0]["port"], made["labels"]) == (9100, {})


def test_bad_values_of_a_host_that_answered_are_errors():
    with pytest.raises(Problem, match="^h: node_exporter_port = 0: "):
        record(facts(), node_exporter_port=0)


def test_host_of_an_unusable_cluster_is_left_out():
    assert record(answered=False, accelmon_cluster="a/b") is None


def test_filter_gives_one_sorted_json_text():
    hostvars = {"b": {"ansible_facts": facts(device())}, "a": {}, "bad": {"accelmon_cluster": "a/b"}}
    text = fleet_records(["b", "a", "bad", "b"], hostvars, answered=["b"])
    assert not text.startswith("{")
    made = json.loads(text)
    assert made["version"] == 1
    assert [(one["host"], one["answered"]) for one in made["records"]] == [("a", False), ("b", True)]
    assert fleet_records(["a", "b"], hostvars, answered=["b"]) == text


def test_filter_names_a_host_that_is_not_in_the_inventory():
    with pytest.raises(AnsibleFilterError, match="nohost: fleet_records: not in the inventory"):
        fleet_records(["nohost"], {})


def test_filter_names_host_and_variable():
    with pytest.raises(AnsibleFilterError, match="a: accelmon_state = off: not a choice; use active or maintenance"):
        fleet_records(["a"], {"a": {"accelmon_state": "off", "ansible_facts": facts()}}, answered=["a"])


@pytest.mark.parametrize("distribution,variables,words", [
    ("debian", {}, None), ("ubuntu", {}, None), (None, {}, None),
    ("rocky", {}, "h: accelmon_source = package: rocky has no such packages; set it to release or bundle"),
    ("sles", {"accelmon_source": "release"}, None), ("sles", {"node_exporter_source": "bundle"}, None),
    ("rhel", {"accelmon_source": "release", "node_exporter_source": "package"},
     "h: node_exporter_source = package: rhel has no such packages; set it to release or bundle"),
    ("rhel", {"node_exporter_managed": "external"}, None), ("rhel", {"node_exporter_state": "absent"}, None),
])
def test_packages_are_not_taken_where_there_are_none(distribution, variables, words):
    told = facts(node={"distribution": distribution} if distribution else {})
    if words:
        assert refused(told, **variables) == words
    else:
        plan(told, **variables)


def test_graphics_inside_a_processor_are_recorded_by_the_name_that_all_smi_gives_them():
    told = facts(device("amd"))
    told["accelerators"]["uncounted"] = [{"vendor": "intel_gpu", "pci_address": "0000:00:02.0"}, {"vendor": "amd", "pci_address": "0000:0d:00.0"}]
    made = record(told)
    assert made["uncounted"] == [["amd", "GPU-0000:0d:00.0"], ["intel_gpu", "Intel-GPU-0000:00:02.0"]]
    assert made["accelerators"] == {"amd": {"MI300X": 1}}
    assert "uncounted" not in record(facts(device("amd"))) and "uncounted" not in record(told, answered=False)


def test_links_that_a_host_has_and_should_have_are_recorded():
    told = facts(device())
    assert "links" not in record(told)
    told["accelmon_node"]["links"] = {"nvlink": 17}
    assert record(told)["links"] == {"seen": {"nvlink": 17}, "expected": {}}
    assert record(told, accelmon_expected_links={"nvlink": "18"})["links"] == {"seen": {"nvlink": 17}, "expected": {"nvlink": 18}}
    assert record(answered=False, accelmon_expected_links={"nvlink": 18})["links"] == {"seen": {}, "expected": {"nvlink": 18}}
