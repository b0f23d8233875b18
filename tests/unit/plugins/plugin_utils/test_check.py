# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variable check. Stubbed: `hostvars` is a dictionary."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import given
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import argument_errors, fleet_check


def check(nodes, monitoring=None, groups=None, everywhere=None):
    """Result for {host: variables} of nodes and monitoring hosts."""
    monitoring = {"mon": {}} if monitoring is None else monitoring
    hostvars = {host: dict(everywhere or {}, **variables) for part in (nodes, monitoring) for host, variables in part.items()}
    made = {"all": list(hostvars), "accelerator_nodes": list(nodes), "monitoring": list(monitoring)}
    made.update(groups or {})
    return fleet_check({name: hosts for name, hosts in made.items() if hosts is not None}, hostvars)


def errors(**variables):
    """Lines about one host with these variables."""
    found = check({"h": variables, "other": {}})
    assert found["fleet"] == []
    assert set(found["hosts"]) <= {"h"}
    return found["hosts"].get("h", "").splitlines()


def test_nothing_wrong():
    assert check({"h": {
        "accelmon_address": "10.0.0.7", "accelmon_prune": "true", "node_exporter_port": "9200", "ansible_host": "x", "site": "{{ x }}",
        "accelmon_custom_exporters": [{"job": "a", "port": 1}], "victoriametrics_retention": "30d"}}) == {"fleet": [], "hosts": {}}


@pytest.mark.parametrize("name,near", [
    ("accelmon_rak", "accelmon_rack"), ("accelmon_adress", "accelmon_address"), ("node_exporter_prot", "node_exporter_port"),
    ("accelmon_costum_exporters", "accelmon_custom_exporters"), ("vmagent_prot", "vmagent_port"),
])
def test_misspelt_variable(name, near):
    assert errors(**{name: "x"}) == [
        f"h: {name} = x: no such variable; did you mean {near}? If it belongs to another tool, add it to accelmon_foreign_variables"]


def test_unknown_variable_like_no_other():
    assert errors(accelmon_zzz=1) == [
        "h: accelmon_zzz = 1: no such variable; correct the name. If it belongs to another tool, add it to accelmon_foreign_variables"]


def test_misspelt_template_is_still_named():
    assert errors(accelmon_rak="{{ x }}")[0].startswith("h: accelmon_rak = ")


def test_variables_of_other_tools():
    assert errors(node_exporter_web_listen_address="x", accelmon_foreign_variables=["node_exporter_web_*"]) == []
    assert len(errors(node_exporter_web_listen_address="x", accelmon_foreign_variables=["other_*"])) == 1


def test_variables_of_the_playbooks_and_facts_are_no_errors():
    assert errors(accelmon_findings={"fleet": [], "hosts": {}}, accelmon_node={"addresses": []}) == []


def test_bad_values_are_all_named():
    assert errors(accelmon_state="off", node_exporter_port=70000, vmagent_port="x") == [
        "h: accelmon_state = off: not a choice; use active or maintenance",
        "h: node_exporter_port = 70000: not a port; use 1 to 65535",
        "h: vmagent_port = x: not a whole number but a string; use a number",
    ]


def test_error_of_all_hosts_is_told_once():
    found = check({"a": {}, "b": {}}, everywhere={"accelmon_state": "off"})
    assert found == {"fleet": ["all hosts: accelmon_state = off: not a choice; use active or maintenance"], "hosts": {}}


def test_error_of_the_only_host_is_the_hosts():
    found = check({"a": {"accelmon_state": "off"}}, {"a": {"accelmon_state": "off"}})
    assert (found["fleet"], list(found["hosts"])) == ([], ["a"])


@pytest.mark.parametrize("groups,text", [
    ({"accelerator_nodes": None}, "inventory: accelerator_nodes = (no such group): this group is required; add the machines to monitor"),
    ({"accelerator_nodes": []}, "inventory: accelerator_nodes = []: the group is empty; add the machines to monitor"),
    ({"monitoring": None}, "inventory: monitoring = (no such group): this group is required; add the host that stores, scrapes and alerts"),
    ({"monitoring": []}, "inventory: monitoring = []: the group is empty; add the host that stores, scrapes and alerts"),
])
def test_groups(groups, text):
    assert check({"h": {}}, groups=groups)["fleet"] == [text]


def test_hosts_outside_of_the_fleet_are_left_alone():
    assert check({"h": {}}, groups={"others": ["x"]}) == {"fleet": [], "hosts": {}}


def test_group_of_a_stack_role_belongs_to_the_fleet():
    found = fleet_check({"accelerator_nodes": ["a"], "monitoring": ["m"], "victoriametrics": ["v"]},
                        {"a": {}, "m": {}, "v": {"accelmon_state": "off"}})
    assert list(found["hosts"]) == ["v"]


@pytest.mark.parametrize("one,two", [
    ({"accelmon_address": "10.0.0.1"}, {"ansible_host": "10.0.0.1"}),
    ({"accelmon_address": "2001:db8::1"}, {"ansible_host": "2001:DB8:0::1"}),
    ({"accelmon_address": "b"}, {}),
    ({"accelmon_address": "GPU.example.com"}, {"ansible_host": "gpu.example.com"}),
    ({"accelmon_address": "x", "accelmon_custom_exporters": [{"job": "j", "port": 9200}]}, {"accelmon_address": "x", "node_exporter_port": 9200}),
])
def test_two_hosts_at_one_address_and_port(one, two):
    found = check({"a": one, "b": two})
    assert found["fleet"] == []
    assert sorted(found["hosts"]) == ["a", "b"]
    assert " there is also a target of b; give each host its own accelmon_address, or change the port of one exporter" in found["hosts"]["a"]
    assert " there is also a target of a; " in found["hosts"]["b"]


@pytest.mark.parametrize("one,two", [
    ({"accelmon_address": "10.0.0.1"}, {"accelmon_address": "10.0.0.1", "node_exporter_port": 9101}),
    ({"ansible_host": "127.0.0.1"}, {"ansible_host": "127.0.0.1"}),
    ({"accelmon_address": "x"}, {"accelmon_address": "x", "node_exporter_state": "absent"}),
    ({"accelmon_address": "x"}, {"accelmon_address": "x", "accelmon_exporters": []}),
])
def test_no_clash(one, two):
    assert check({"a": one, "b": two}) == {"fleet": [], "hosts": {}}


def test_host_in_both_groups_does_not_clash_with_itself():
    assert check({"a": {}}, {"a": {}}) == {"fleet": [], "hosts": {}}


def test_many_clashing_hosts_are_named_shortly():
    text = check({f"h{number}": {"accelmon_address": "x"} for number in range(9)})["hosts"]["h0"]
    assert "of h1, h2, h3 and 5 more; " in text


def test_custom_exporter_on_our_own_port():
    assert errors(accelmon_custom_exporters=[{"job": "j", "port": 9100}]) == [
        'h: accelmon_custom_exporters = ["j:9100"]: node_exporter_port has the same port; change one of them']
    assert errors(accelmon_custom_exporters=[{"job": "j", "port": 9100}], node_exporter_state="absent") == []


def test_two_paths_of_one_custom_port():
    assert errors(accelmon_custom_exporters=[{"job": "j", "port": 1}, {"job": "j", "port": 1, "path": "/other"}]) == []


@pytest.mark.parametrize("name", ["accelmon_source", "node_exporter_source"])
def test_bundle_needs_its_directory(name, tmp_path):
    assert errors(**{name: "bundle"}) == [f"h: {name} = bundle: accelmon_bundle is empty; set it to the directory of the bundle"]
    assert errors(**{name: "bundle", "accelmon_bundle": str(tmp_path)}) == [
        f"h: accelmon_bundle = {tmp_path}: no lock.json there on the control node; correct the path, or create the bundle again"]
    (tmp_path / "lock.json").write_text('{"version": 1, "artifacts": []}')
    assert errors(**{name: "bundle", "accelmon_bundle": str(tmp_path)}) == []


@pytest.mark.parametrize("name,value", [
    # A name that is nearly that of a secret.
    ("accelmon_stack_pass", "S3cret"), ("alertmanager_webhook_url", "https://hooks.example.org/S3cret"), ("alertmanager_reciever", [{"api_url": "S3cret"}]),
    ("accelmon_pwd", "S3cret"), ("grafana_setting", {"smtp": {"password": "S3cret"}}), ("accelmon_job_userkey", "S3cret"),
])
def test_secrets_under_a_wrong_name_are_not_shown(name, value):
    (found,) = errors(**{name: value})
    assert "no such variable" in found and "S3cret" not in found


@pytest.mark.parametrize("name", ["accelmon_stack_password", "accelmon_release_token", "alertmanager_webhook_urls", "grafana_database_url"])
def test_a_secret_that_looks_like_a_template_is_not_shown(name):
    """Core 2.18 quotes the whole template."""
    class Quoting(dict):
        def raw_get(self, host):
            return super().__getitem__(host)

        def __getitem__(self, host):
            raise ValueError("template error while templating string: unexpected 'end of template'. String: S3cret{{. unexpected 'end of template'")
    hostvars = Quoting({"h": {name: "S3cret{{"}, "i": {"accelmon_rack": "r{{"}, "mon": {}})
    found = fleet_check({"accelerator_nodes": ["h", "i"], "monitoring": ["mon"]}, hostvars)["hosts"]
    assert found == {
        "h": f"h: {name} = (not shown): cannot be evaluated; correct the template, or remove the braces",
        "i": "i: accelmon_rack = (a template): cannot be evaluated (template error while templating string: unexpected 'end of template'); "
             "correct the template"}


def test_secret_values_are_not_shown():
    assert "hunter2" not in "".join(errors(accelmon_pasword="hunter2"))


@pytest.mark.parametrize("name,value", [("accelmon_exporter_tls", "managed"), ("accelmon_exporter_tls", "files"), ("accelmon_exporter_auth", "basic")])
def test_exporters_that_the_monitoring_host_could_not_scrape(name, value):
    files = {f"accelmon_tls_{part}_file": f"/etc/pki/{part}" for part in ("key", "certificate", "ca")} if value == "files" else {}
    found = check({"h": {name: value, **files}, "other": {}})
    assert found == {"fleet": [], "hosts": {
        "h": f"h: {name} = {value}: mon cannot scrape it with {name} = none; set it for the monitoring hosts too"}}
    assert check({"h": {name: value, **files}, "other": {}}, {"mon": {name: value, **files}}) == {"fleet": [], "hosts": {}}
    two = check({"h": {name: value, **files}}, {"mon": {name: value, **files}, "mon2": {}})
    assert list(two["hosts"]) == ["h", "mon"] and ": mon2 cannot scrape it" in two["hosts"]["mon"]


@pytest.mark.parametrize("variables", [
    {"accelmon_address": "localhost"}, {"accelmon_address": "127.0.0.1"}, {"accelmon_address": "127.3.2.1"}, {"accelmon_address": "::1"},
    {"accelmon_address": "[::1]"}, {"accelmon_address": "::ffff:127.0.0.1"}, {"accelmon_address": "0:0:0:0:0:0:0:1"}, {"accelmon_address": "LocalHost."},
    {"accelmon_address": "localhost.localdomain"}, {"accelmon_address": "ip6-localhost"}, {"accelmon_address": "gpu.localhost"},
    {"accelmon_address": "::127.0.0.1"}, {"accelmon_address": "64:ff9b::7f00:1"}, {"accelmon_address": "2002:7f00:1::"},
    {"accelmon_address": "64:ff9b::"}, {"accelmon_address": "[127.0.0.1]"},
])
def test_an_address_where_the_scraper_would_reach_itself(variables):
    (error,) = errors(**variables)
    assert error.startswith("h: accelmon_address = ") and "on mon this address means mon itself; set accelmon_address to one at which mon reaches" in error


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain", "127.0.0.1", "::1"])
@pytest.mark.parametrize("variables", [
    {}, {"ansible_host": "127.0.0.1"}, {"ansible_host": "::1"}, {"ansible_host": "0.0.0.0"}, {"ansible_host": "[127.0.0.1]"},
    {"ansible_host": "64:ff9b::"}, {"ansible_connection": "local"}])
def test_a_node_whose_name_means_the_scraper(name, variables):
    found = check({name: variables, "other": {}})
    assert list(found["hosts"]) == [name]
    assert found["hosts"][name].startswith(f"{name}: inventory_hostname = ") and "on mon this address means mon itself" in found["hosts"][name]


@pytest.mark.parametrize("other", ["mon", "MON.", "gpu2"])
@pytest.mark.parametrize("name", ["accelmon_address", "ansible_host"])
def test_a_host_at_the_name_of_another(name, other):
    """Its own address does not show that it is the same machine."""
    found = check({"gpu1": {name: other}, "gpu2": {"ansible_host": "10.0.0.2"}}, {"mon": {"ansible_host": "10.0.0.9"}})
    place = other.lower().rstrip(".")
    assert found["hosts"] == {one: f"{one}: accelmon_address = {place}: port 9100 there is also a target of {two}; give each host its own "
                                   "accelmon_address, or change the port of one exporter" for one, two in (("gpu1", place), (place, "gpu1"))}
    ports = {"gpu1": {name: other, "node_exporter_port": 19100}, "gpu2": {"ansible_host": "10.0.0.2"}}
    assert check(ports, {"mon": {"ansible_host": "10.0.0.9"}})["hosts"] == {}


def test_a_scraper_may_be_its_own_target_if_nobody_else_scrapes_it():
    assert check({"localhost": {}, "other": {}}, {"localhost": {}}) == {"fleet": [], "hosts": {}}
    assert check({"mon": {}}, {"mon": {"accelmon_address": "127.0.0.1"}}) == {"fleet": [], "hosts": {}}
    found = check({"other": {}}, {"mon": {"accelmon_address": "127.0.0.1"}, "mon2": {}})
    assert list(found["hosts"]) == ["mon"] and "on mon2 this address means mon2 itself" in found["hosts"]["mon"]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "localhost.localdomain", "::"])
def test_a_forwarded_port_is_no_address_to_scrape(address):
    assert errors(ansible_host=address) == []


@pytest.mark.parametrize("address", ["fe80::1", "127.1", "0x7f000001", "224.0.0.1", "255.255.255.255", "a..b", "ff02::1"])
def test_an_ansible_host_that_is_no_address_of_a_host(address):
    (error,) = errors(ansible_host=address)
    assert error.startswith(f"h: ansible_host = {address}: ") and error.endswith("or set accelmon_address")


@pytest.mark.parametrize("name", ["all", "ungrouped", "accelerator_nodes", "gpu 1", "gpu1,gpu2", "gpu*", "a/b", "a:b", "gpu\n1", "x" * 254, "$(id)", "~gpu"])
def test_names_that_are_none_of_a_host(name):
    found = check({name: {"accelmon_address": "10.0.0.1"}, "other": {}})
    assert found["fleet"] == [] and list(found["hosts"]) == [name]
    assert "inventory_hostname = " in found["hosts"][name]


def test_two_exporters_of_ours_at_one_port():
    assert errors(accelmon_exporters=["node_exporter", "all_smi"], all_smi_port=9100) == [
        "h: all_smi_port = 9100: node_exporter_port has the same port; change one of them"]


@pytest.mark.parametrize("variables,line", [
    ({"vmalert_port": 8429}, "vmalert_port = 8429: vmagent_port has the same port"),
    ({"alertmanager_port": "8428"}, "alertmanager_port = 8428: victoriametrics_port has the same port"),
    ({"node_exporter_port": 8880}, "vmalert_port = 8880: node_exporter_port has the same port"),
    ({"accelmon_backend": "prometheus", "prometheus_port": 9093}, "alertmanager_port = 9093: prometheus_port has the same port"),
    ({"accelmon_custom_exporters": [{"job": "j", "port": 9093}]},
     'accelmon_custom_exporters = ["j:9093"]: alertmanager_port has the same port'),
    ({"accelmon_exporters": ["amd_exporter"], "amd_exporter_inner_port": 8429},
     "vmagent_port = 8429: amd_exporter_inner_port has the same port"),
])
def test_two_services_of_a_monitoring_host_at_one_port(variables, line):
    assert check({"h": {}}, {"mon": variables})["hosts"] == {"mon": f"mon: {line}; change one of them"}
    # Only monitoring hosts run the stack, unless an exporter has the port of another on any host.
    assert check({"h": variables, "other": {}})["hosts"] == {}


@pytest.mark.parametrize("variables", [
    {"accelmon_backend": "prometheus", "prometheus_port": 8428}, {"vmalert_port": 8429, "vmagent_state": "absent"},
    {"vmalert_port": 8429, "vmagent_listen": "10.0.0.1", "vmalert_listen": "10.0.0.2"}, {"alertmanager_gossip_port": 8429},
])
def test_services_of_a_monitoring_host_that_do_not_meet(variables):
    assert check({"h": {}}, {"mon": variables})["hosts"] == {}


RECEIVER = {"name": "team", "type": "webhook", "url": "https://hooks.example.org/S3cret", "match": {"team": "training", "severity": "critical"}}


def test_a_receiver_that_asks_for_a_label_that_no_alert_has_is_refused(tmp_path):
    wrong = check({"h": {}}, {"mon": {"alertmanager_receivers": [RECEIVER]}})["hosts"]
    assert wrong == {"mon": "mon: alertmanager_receivers = (not shown): team asks for the label team, which no alert has; "
                            "add it to accelmon_label_names, or remove it from match"}
    (tmp_path / "own.yml").write_text("groups: []")
    for more in ({"accelmon_label_names": ["team"]}, {"accelmon_rule_files": [str(tmp_path / "own.yml")]}):
        assert check({"h": {"accelmon_labels": {"team": "training"}}}, {"mon": {"alertmanager_receivers": [RECEIVER], **more}})["hosts"] == {}


@pytest.mark.parametrize("match,words", [
    ({"alertname": "HostDwon"}, "team asks for alertname=HostDwon, which no alert has; did you mean HostDown?"),
    ({"alertname": ["HostDown", "AcceleratorMising"], "scope": "nodes"}, "alertname=AcceleratorMising, which no alert has; did you mean AcceleratorMissing?"),
    ({"scope": "nodes"}, "team asks for scope=nodes, which no alert has; did you mean node?")])
def test_a_receiver_that_asks_for_an_alert_that_there_is_not_is_refused(match, words, tmp_path):
    """It would be told of nothing, and nobody would see that."""
    receiver = {**RECEIVER, "match": match}
    assert words in check({"h": {}}, {"mon": {"alertmanager_receivers": [receiver]}})["hosts"]["mon"]
    (tmp_path / "own.yml").write_text("groups: []")
    assert check({"h": {}}, {"mon": {"alertmanager_receivers": [receiver], "accelmon_rule_files": [str(tmp_path / "own.yml")]}})["hosts"] == {}


def test_two_alertmanagers_have_a_port_between_them():
    found = check({"h": {}}, {"mon": {"alertmanager_gossip_port": 8429}, "mon2": {}})["hosts"]
    assert found == {"mon": "mon: alertmanager_gossip_port = 8429: vmagent_port has the same port; change one of them"}


@pytest.mark.parametrize("value,words", [
    (["gpu1", "gpu3"], "gpu3 is not in the inventory; did you mean gpu1?"), ("[xyz]", "xyz is not in the inventory; use one of its hosts or groups"),
])
def test_canaries_that_the_inventory_does_not_have(value, words):
    found = check({"gpu1": {}}, everywhere={"accelmon_update_canaries": value})
    assert [line.partition(": ")[2].partition(": ")[2] for line in found["fleet"]] == [words]


def test_canaries_are_hosts_and_groups():
    assert check({"gpu1": {}}, everywhere={"accelmon_update_canaries": ["gpu1", "monitoring"]}) == {"fleet": [], "hosts": {}}


def test_the_fix_for_a_word_that_yaml_reads_as_true_or_false():
    assert errors(accelmon_exporter_tls=True)[0] == "h: accelmon_exporter_tls = true: not a choice; use none or managed or files"
    assert errors(accelmon_scrape_interval=True)[0].startswith("h: accelmon_scrape_interval = true: not a duration; use a number with a unit")
    assert errors(accelmon_labels={"zone": False})[0].endswith("(YAML also reads yes, no, on and off as booleans); put it in quotes")


@pytest.mark.parametrize("name,value,words", [
    ("accelmon_verify_wiat", "60", "no such variable; did you mean accelmon_verify_wait?"), ("accelmon_output", "yaml", "not a choice; use text or json"),
    ("accelmon_verify_wait", "soon", "not a whole number"), ("accelmon_verify_wait", "-1", "out of range; use 0 to 86400"),
    ("accelmon_only_problems", "perhaps", "not a boolean; use true or false"), ("accelmon_report_file", "report.json", "not an absolute path"),
    ("accelmon_tolerance", "nan", "not a number"), ("accelmon_compare_sources", ["dcmg"], "dcmg is not a known source; use some of"),
    ("accelmon_lock_versions", {"node_exporter": "../x"}, "node_exporter: not a version"),
])
def test_arguments_of_a_run(name, value, words):
    (error,) = argument_errors({"localhost": {name: value}}, ["accelmon_lock_versions"])
    assert error.startswith(f"{name} = ") and words in error


def test_settings_and_other_tools_are_no_arguments():
    told = {"accelmon_rack": ["a setting, which other playbooks check"], "accelmon_verify_wait": "", "accelmon_output": "json",
            "accelmon_compare_sources": "[dcgm]", "accelmon_other_tool": 1, "accelmon_foreign_variables": ["accelmon_other_*"],
            "accelmon_findings": {}, "ansible_host": "x"}
    assert argument_errors({"localhost": told}) == []


def test_an_image_needs_no_monitoring_host():
    assert fleet_check({"accelerator_nodes": ["a"]}, {"a": {}}, [], ["accelerator_nodes"]) == {"fleet": [], "hosts": {}}


@pytest.mark.parametrize("name,text,value", [
    ("accelmon_expected", '{"nvidia": 8}', {"nvidia": 8}), ("accelmon_expected", "nvidia: 8\namd: 2\n", {"nvidia": 8, "amd": 2}), ("accelmon_expected", "", {}),
    ("accelmon_labels", "{row: 012}", {"row": "012"}), ("accelmon_labels", '{"firmware": 1.10}', {"firmware": "1.10"}),
    ("accelmon_exporters", '["node_exporter"]', ["node_exporter"]), ("accelmon_exporters", "", "auto"), ("accelmon_exporters", "auto", "auto"),
    ("accelmon_accelerator_source", "{nvidia: dcgm}", {"nvidia": "dcgm"}), ("accelmon_accelerator_source", "dcgm", "dcgm"),
    ("accelmon_custom_exporters", "- {job: a, port: 1}", [{"job": "a", "port": 1, "path": "/metrics", "scheme": "http"}]),
    ("accelmon_state", "", "active"), ("accelmon_update_settle", "", 60), ("accelmon_tls_client_auth", "", True), ("accelmon_verify_wait", " ", 0),
    ("accelmon_lock_architectures", "", ["amd64", "arm64"]), ("accelmon_lock_releases", "[node_exporter]", ["node_exporter"]),
    ("accelmon_accept", "", []), ("accelmon_accept", "gpu1, gpu2", ["gpu1", "gpu2"]), ("accelmon_accept", '["gpu1"]', ["gpu1"]),
    ("accelmon_rotate", "[stack]", ["stack"]), ("accelmon_serial", "", []), ("accelmon_serial", "[1, 10%]", [1, "10%"]), ("accelmon_prune", "", False),
])
def test_what_a_survey_sends(name, text, value):
    assert given(text, name) == value
    assert errors(**{name: text}) == []


@pytest.mark.parametrize("name,text", [
    ("accelmon_expected", "nvidia"), ("accelmon_expected", "[1]"), ("accelmon_lock_releases", "node_exporter"), ("accelmon_labels", "{a: {b: c}}"),
    ("accelmon_exporters", "[nod_exporter]"), ("accelmon_alert_overrides", "{HostDwon: {}}"), ("accelmon_expected", "{nvidia: [}"),
    ("accelmon_labels", "!!python/object/apply:os.system [id]"),
])
def test_a_survey_is_checked_as_the_inventory(name, text):
    assert len(errors(**{name: text})) == 1


def test_files_of_a_site_are_all_named():
    given_files = {"accelmon_tls_key_file": "/etc/pki/key", "accelmon_tls_ca_file": ""}
    found = check({"h": {"accelmon_exporter_tls": "files", **given_files}}, {"h": {"accelmon_exporter_tls": "files", **given_files}})["hosts"]["h"].splitlines()
    assert [line.partition(":  ")[0].split(" = ")[0] for line in found] == ["h: accelmon_tls_certificate_file", "h: accelmon_tls_ca_file"]


def test_a_controller_that_drains_nodes_must_reach_the_storages():
    def found(store, **more):
        controller = {"accelmon_slurm_controller": True, "accelmon_drain": "drain", **more}
        return check({"ctl": controller, "gpu": {"accelmon_drain": "drain"}}, {"mon": store})

    other = "or put the controller into the group monitoring, or set slurm_drain_storage_urls"
    assert found({}) == {"fleet": [], "hosts": {"ctl": (
        "ctl: accelmon_drain = drain: the storage of mon listens on 127.0.0.1 alone; set victoriametrics_listen there to an address that the controller "
        f"reaches, {other}")}}
    assert found({"accelmon_backend": "prometheus"})["hosts"] == {"ctl": (
        "ctl: accelmon_drain = drain: the storage of mon is Prometheus, which has no user that may only ask; put the controller into the group monitoring, "
        "or set slurm_drain_storage_urls")}
    for store, more in (({"victoriametrics_listen": "0.0.0.0"}, {}), ({}, {"slurm_drain_storage_urls": ["http://x:1"]}), ({}, {"accelmon_drain": "none"}),
                        ({}, {"slurm_drain_state": "absent"})):
        assert found(store, **more) == {"fleet": [], "hosts": {}}
    # Several storages listen where others reach them.
    controller = {"accelmon_slurm_controller": True, "accelmon_drain": "drain"}
    assert check({"ctl": controller}, {"mon": {}, "mon2": {}}) == {"fleet": [], "hosts": {}}
    assert "mon2" in check({"ctl": controller}, {"mon": {}, "mon2": {"victoriametrics_listen": "127.0.0.1"}})["hosts"]["ctl"]
    own = {"accelmon_slurm_controller": True, "accelmon_drain": "observe"}
    assert check({"gpu": {}}, {"mon": own}) == {"fleet": [], "hosts": {}}


def test_copies_of_backups_in_a_bucket(tmp_path):
    (tmp_path / "good.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    whole = {"accelmon_backup_directory": "/mnt/backup", "accelmon_backup_recipient": str(tmp_path / "good.pem"), "accelmon_backup_secret": "s" * 32,
             "accelmon_backup_s3_url": "s3://backups/fleet", "accelmon_backup_s3_access_key": "a", "accelmon_backup_s3_secret_key": "s"}

    def found(**changed):
        return errors(**{**whole, **changed})

    assert found() == found(accelmon_backup_s3_url="", accelmon_backup_s3_access_key="") == []
    assert found(accelmon_backup_s3_secret_key="") == [
        "h: accelmon_backup_s3_secret_key = '': required with accelmon_backup_s3_url; set it to what the service has given you"]
    assert found(accelmon_backup_directory="") == [
        "h: accelmon_backup_s3_url = s3://backups/fleet: only a backup in accelmon_backup_directory is copied there; set that as well, or empty this"]
    assert found(accelmon_backup_s3_secret_key="two words") == [
        "h: accelmon_backup_s3_secret_key = (not shown): it contains a space, a line break or a non-ASCII character; give only the token"]
    for url in ("backups/fleet", "s3:/x", "s3://", "s3:///x", "s3://x//y", "s3://x/a b", "s3://x/{y}"):
        assert found(accelmon_backup_s3_url=url) == [
            f"h: accelmon_backup_s3_url = {url}: not a place in a bucket; write s3://BUCKET or s3://BUCKET/PREFIX, with letters, digits and . _ - @ + = : "
            "alone"]
    assert found(accelmon_backup_s3_url="s3://x/../y") == [
        "h: accelmon_backup_s3_url = s3://x/../y: it contains . or ..; write the place itself"]
    assert found(accelmon_backup_s3_endpoint="https://s3.example:9000") == []
    said = found(accelmon_backup_s3_endpoint="https://a:b@s3.example")
    assert len(said) == 1 and "it contains credentials; put them into accelmon_backup_s3_access_key and accelmon_backup_s3_secret_key" in said[0]
    for place in ("/mnt/backup/mon1/20261129T030000Z", "s3://backups/fleet/mon1/20261129T030000Z/", ""):
        assert formats.path_or_bucket(place) == place
    for place in ("s3:x", "mnt/backup", "https://x/y"):
        with pytest.raises(formats.Problem, match="not a"):
            formats.path_or_bucket(place)


def test_backups(tmp_path):
    for name, kinds in (("good.pem", ["CERTIFICATE"]), ("both.pem", ["CERTIFICATE", "PRIVATE KEY"]), ("sealed.key", ["ENCRYPTED PRIVATE KEY"]),
                        ("good.key", ["EC PARAMETERS", "EC PRIVATE KEY"])):
        (tmp_path / name).write_text("".join(f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n" for kind in kinds))
    good = str(tmp_path / "good.pem")
    secret = "32-characters-that-nobody-guesses"
    assert errors(accelmon_backup_directory="/mnt/backup", accelmon_backup_recipient=good, accelmon_backup_secret=secret) == []
    assert errors(accelmon_backup_recipient=good) == errors(accelmon_backup_secret="short") == []
    without = ("h: accelmon_backup_secret: required with accelmon_backup_directory; set it to a random text of at least 32 characters, for example from "
               "openssl rand -hex 32")
    assert errors(accelmon_backup_directory="/mnt/backup") == [
        "h: accelmon_backup_recipient = '': required with accelmon_backup_directory; set it to the file of a certificate on the control node", without]
    assert errors(accelmon_backup_directory="/mnt/backup", accelmon_backup_recipient=good, accelmon_backup_secret="short") == [without]
    # What is set and wrong is not said to be missing.
    assert errors(accelmon_backup_directory="/mnt/backup", accelmon_backup_recipient="/no/such", accelmon_backup_secret="two words") == [
        "h: accelmon_backup_recipient = /no/such: not a readable file on the control node (No such file or directory); give the file of a certificate "
        "without its key", "h: accelmon_backup_secret = (not shown): it contains a space, a line break or a non-ASCII character; give only the token"]
    for place in ("/home", "/home/backup", "/root/x", "/tmp/x", "~/backup"):
        assert errors(accelmon_backup_directory=place, accelmon_backup_recipient=good, accelmon_backup_secret=secret) == [
            f"h: accelmon_backup_directory = {place}: hidden from services; use a directory elsewhere, for example below /srv or /mnt"]
    # A private key would be copied to the monitoring hosts.
    fix = "give the file of a certificate without its key"
    assert errors(accelmon_backup_recipient=str(tmp_path / "both.pem")) == [
        f"h: accelmon_backup_recipient = {tmp_path}/both.pem: not a certificate alone, in PEM; {fix}"]
    assert errors(accelmon_backup_recipient="/no/such") == [
        f"h: accelmon_backup_recipient = /no/such: not a readable file on the control node (No such file or directory); {fix}"]
    assert formats.private_key(str(tmp_path / "good.key")) and formats.private_key("") == ""
    for name in ("sealed.key", "both.pem", "good.pem"):
        with pytest.raises(Problem, match="not a private key alone, in PEM; give the file of the private key, without a passphrase"):
            formats.private_key(str(tmp_path / name))


def test_a_site_that_sends_its_rollups():
    url, site = "https://global.example:8428/api/v1/write", {"accelmon_cluster": "east", "accelmon_global_password": "of-the-sites"}
    assert errors(accelmon_global_url=url, **site) == errors(accelmon_global_url="http://127.0.0.1:9/write", **site) == []
    assert errors(accelmon_global_password="of-the-sites") == errors(accelmon_global_user="x") == []
    assert errors(accelmon_global_url=url) == [
        "h: accelmon_global_password: required with accelmon_global_url; set it to the password that the global place has for this site",
        "h: accelmon_cluster = default: required with accelmon_global_url; set it to a name that no other site has"]
    assert errors(accelmon_global_url=url, vmagent_remote_write_url="http://x/", **site) == [
        "h: vmagent_remote_write_url: not possible with accelmon_global_url, whose roll-ups come from the storage of the host; remove one of them"]
    for wrong, words in (("http://global.example/write", "the password would be sent in the clear; start it with https://"),
                         ("https://a:b@c/write", "it contains credentials; put them into accelmon_global_user and accelmon_global_password"),
                         ("https://c/write?a=b,c", "it contains a comma; percent-encode it as %2C"),
                         ("c/write", "not a URL; start it with https:// or http://")):
        shown = wrong.replace("a:b", "(not shown)")
        assert errors(accelmon_global_url=wrong, **site) == [f"h: accelmon_global_url = {shown}: {words}"]


def test_a_global_place_for_sites():
    assert errors(accelmon_sites=["east", "west"], accelmon_global_password="of-the-sites") == []
    assert errors(accelmon_sites=["east", "west"]) == [
        "h: accelmon_site_passwords: there is none for east, west of accelmon_sites; give each site its own"]
    assert errors(accelmon_sites=["east"], accelmon_global_password="of-the-sites", accelmon_backend="prometheus") == [
        "h: accelmon_backend = prometheus: not possible with accelmon_sites, as it would let a site that writes read and delete as well; set it to "
        "victoriametrics"]
    for wrong, words in ((["a b"], "not usable as a file name; use letters, digits, dots, dashes and underscores, starting with a letter or digit"),
                         (["east", "east"], "east is there twice; remove one")):
        assert errors(accelmon_sites=wrong, accelmon_global_password="of-the-sites") == [f"h: accelmon_sites = {json.dumps(wrong)}: {words}"]


def test_passwords_of_sites():
    assert formats.site_passwords({"east": "of-east-1", "west": ["of-west-2", "of-west-2"]}) == {"east": ["of-east-1"], "west": ["of-west-2"]}
    assert errors(accelmon_sites=["east", "west"], accelmon_site_passwords={"east": "of-east-1", "west": ["of-west-2", "of-west-1"]}) == []
    assert errors(accelmon_sites=["east", "west"], accelmon_site_passwords={"east": "of-east-1"}, accelmon_global_password="of-the-sites") == []
    for settings, line in (
            ({"accelmon_site_passwords": {"east": "of-east-1"}}, "accelmon_site_passwords: there is none for west of accelmon_sites; give each site its own"),
            ({"accelmon_site_passwords": {"east": "of-east-1", "wset": "of-west-1"}, "accelmon_global_password": "of-the-sites"},
             "accelmon_site_passwords: wset is not in accelmon_sites; add it there, or remove its password"),
            ({"accelmon_site_passwords": {"east": "of-the-sites"}, "accelmon_global_password": "of-the-sites"},
             "accelmon_global_password: a site of accelmon_site_passwords has the same, so it could write as any; give the site another one")):
        assert errors(accelmon_sites=["east", "west"], **settings) == [f"h: {line}"]
    for wrong, words in (({"east": "of-all-1", "west": ["of-west-1", "of-all-1"]},
                          "west: east has the same password, so each could write as the other; give each its own"),
                         ({"east": "s h o r t"}, "east: not a valid password for every service; use 8-72 printable ASCII characters without spaces"),
                         ({"east": ""}, "east: there is no password; give one, for example from openssl rand -hex 24"),
                         ({"east": []}, "east: there is no password; give one, for example from openssl rand -hex 24"),
                         ({"a b": "of-east-1"}, "a b: not usable as a file name; use letters, digits, dots, dashes and underscores, starting with a letter "
                                                "or digit")):
        assert errors(accelmon_sites=["east", "west"], accelmon_global_password="of-the-sites", accelmon_site_passwords=wrong) == [
            f"h: accelmon_site_passwords = (not shown): {words}"]


def test_a_slurm_controller():
    assert errors(accelmon_slurm_controller=True) == errors(accelmon_slurm_controller=True, slurm_collector_timeout=15) == []
    fix = "h: accelmon_slurm_controller = true: node_exporter publishes what its collector reads; keep node_exporter on this host"
    assert errors(accelmon_slurm_controller=True, node_exporter_state="absent") == [fix]
    assert errors(accelmon_slurm_controller=True, accelmon_exporters=[]) == [fix]
    assert errors(node_exporter_state="absent") == errors(accelmon_slurm_controller=False, accelmon_exporters=[]) == []
    assert errors(slurm_collector_timeout=16) == [
        "h: slurm_collector_timeout = 16: two timeouts (16 s each) do not fit into the interval (30 s); use at most 15"]
    assert errors(slurm_collector_timeout=20, slurm_collector_interval=40) == []
    assert len(errors(slurm_collector_interval=29)) == len(errors(slurm_collector_user="a b")) == 1


def test_a_collector_that_would_not_end_before_its_next_run():
    assert errors(textfile_collector_interval=5, textfile_collector_timeout=5) == [
        "h: textfile_collector_timeout = 5: not less than the interval of 5 s; use at most 4"]
    assert len(errors(textfile_collector_timeout=20)) == 1 and errors(textfile_collector_timeout=20, accelmon_scrape_interval="1m") == []


@pytest.mark.parametrize("key", ["", "fifteen-letters"])
def test_a_hash_of_users_needs_a_key_that_nobody_guesses(key):
    given = {"accelmon_job_user": "hash", "accelmon_job_user_key": key}
    [line] = errors(**given)
    assert line.startswith("h: accelmon_job_user_key: required with accelmon_job_user = hash") and "fifteen" not in line
    assert errors(**{**given, "accelmon_job_user": "name"}) == [] == errors(**{**given, "accelmon_job_user_key": "sixteen-letters!"})


IMAGE = "registry.example/x@sha256:" + "0" * 64


def test_a_program_in_a_container_needs_an_image():
    assert errors(grafana_source="container") == ["h: grafana_image = '': required with grafana_source = container; set it to NAME@sha256:DIGEST"]
    assert errors(grafana_source="container", grafana_image=IMAGE) == []
    (line,) = errors(grafana_source="container", grafana_image="grafana/grafana:12")
    assert "it has no digest" in line


def test_all_programs_in_containers_need_the_images_of_those_that_run_there():
    needed = {"victoriametrics": ["node_exporter_image", "victoriametrics_image", "victoriametrics_auth_image", "vmagent_image", "vmalert_image",
                                  "alertmanager_image"],
              "prometheus": ["node_exporter_image", "prometheus_image", "alertmanager_image"]}
    for backend, images in needed.items():
        found = check({"gpu": {}}, everywhere={"accelmon_source": "container", "accelmon_backend": backend, "accelmon_grafana": True})
        lines = [line.partition(": ")[2] for line in found["fleet"] + found["hosts"]["mon"].splitlines()]
        assert lines == [f"{name} = '': required with accelmon_source = container; set it to NAME@sha256:DIGEST" for name in images]
        assert found["fleet"] == [f"all hosts: {lines[0]}"] and list(found["hosts"]) == ["mon"], "what all lack is said once"
        given_images = dict.fromkeys(images, IMAGE)
        assert check({"gpu": {}}, everywhere=dict(given_images, accelmon_source="container", accelmon_backend=backend))["hosts"] == {}
    for other in ({"node_exporter_source": "package"}, {"node_exporter_managed": "external"}, {"node_exporter_state": "absent"},
                  {"accelmon_exporters": ["all_smi"]}):
        assert errors(accelmon_source="container", **other) == [], other


def test_no_storage_in_a_container_is_started_for_a_test():
    told = {"accelmon_backup_test": "monthly", "victoriametrics_source": "container", "victoriametrics_image": IMAGE, "victoriametrics_auth_image": IMAGE}
    assert check({}, {"mon": told})["hosts"]["mon"] == (
        "mon: accelmon_backup_test = monthly: a storage in a container cannot be started for the test; set it to none")
    assert check({}, {"mon": dict(told, accelmon_backup_test="none")})["hosts"] == {}
