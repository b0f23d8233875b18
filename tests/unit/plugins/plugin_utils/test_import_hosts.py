# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An inventory from scrape jobs, from the derived configuration in tests/fixtures/imports and from small ones. Nothing is stubbed."""
import json
import pathlib
import time

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import hosts, scrape_jobs

FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "fixtures/imports"


def proposed(path):
    found, patterns = scrape_jobs.read(str(path))
    return found, hosts.Proposal(found), patterns


def of_jobs(folder, jobs, files=None):
    """What is proposed for these jobs: (Findings, {host: its variables}, {group: its variables})."""
    for name, content in (files or {}).items():
        (folder / name).write_text(content)
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": jobs}))
    found, proposal, dummy = proposed(folder / "prometheus.yml")
    document = yaml.safe_load(proposal.text("prometheus.yml"))["all"]
    groups = document["children"]["accelerator_nodes"]["children"]
    return found, document["hosts"], {name: (list(group["hosts"]), group.get("vars", {})) for name, group in groups.items()}


def static(job, *targets, labels=None, **more):
    return {"job_name": job, "static_configs": [{"targets": list(targets), "labels": labels or {}}], **more}


def test_a_site_of_several_jobs():
    found, proposal, patterns = proposed(FIXTURES / "prometheus.yml")
    document = yaml.safe_load(proposal.text("prometheus.yml"))["all"]
    assert patterns == ["/etc/prometheus/rules/*.rules.yml"]
    assert list(document["hosts"]) == ["gpu1.example.org", "gpu2", "10.0.1.3", "10.0.1.4", "fd00--5", "gpu9", "tpu1"]
    # Three jobs name this host, by its address and by its name.
    assert document["hosts"]["gpu1.example.org"] == {
        "ansible_host": "10.0.1.1", "accelmon_rack": "r1", "accelmon_cluster": "west", "accelmon_labels": {"team": "red", "site_device": "dev3"},
        "accelmon_custom_exporters": [{"job": "ipmi", "port": 9290, "path": "/ipmi", "scheme": "https"}], "dcgm_exporter_managed": "external"}
    assert document["hosts"]["gpu2"] == {"ansible_host": "10.0.1.2", "accelmon_labels": {"team": "blue"}, "node_exporter_port": 9200}
    assert document["hosts"]["gpu9"]["accelmon_rack"] == "012" and document["hosts"]["fd00--5"]["ansible_host"] == "fd00::5"
    groups = document["children"]["accelerator_nodes"]["children"]
    assert groups["job_node"]["vars"] == {"node_exporter_managed": "external"} and len(groups["job_node"]["hosts"]) == 5
    assert groups["job_all_smi"]["vars"] == {"all_smi_managed": "external", "all_smi_port": 9090}
    left = "\n".join(why for dummy, why in found.left)
    for words in ("10.0.1.6:0: not host:port", "job blackbox: it has one exporter probe others", "job federate: it reads another Prometheus",
                  "job cloud: ec2_sd_configs", "localhost:9090: Prometheus; the collection scrapes its own", "label note: it contains an unevaluated template",
                  "job secured: 10.0.1.1:9999: it asks for credentials"):
        assert words in left, words
    assert all(where.startswith(str(FIXTURES)) and where.rpartition(":")[2].isdigit() for where, dummy in found.left)
    assert any("its relabelling changes labels (replace instance)" in what for dummy, what in found.notes)


def test_a_port_says_more_than_a_name_and_amds_is_not_enough(tmp_path):
    dummy, members, dummy = of_jobs(tmp_path, [static("node", "a:9400"), static("dcgm", "b:9555"), static("mirror", "c:5000"), static("rocm", "d:5000")])
    assert members["a"] == {} and members["c"] == {"accelmon_custom_exporters": [{"job": "mirror", "port": 5000}]}
    dummy, dummy, groups = of_jobs(tmp_path, [static("node", "a:9400"), static("dcgm", "b:9555"), static("rocm", "d:5000")])
    assert groups == {"job_node": (["a"], {"dcgm_exporter_managed": "external"}), "job_rocm": (["d"], {"amd_exporter_managed": "external"}),
                      "job_dcgm": (["b"], {"dcgm_exporter_managed": "external", "dcgm_exporter_port": 9555})}


def test_a_label_of_many_machines_names_none_of_them(tmp_path):
    found, members, dummy = of_jobs(tmp_path, [static("node", "10.0.0.1:9100", "10.0.0.2:9100", labels={"host": "rack1"})])
    assert members == {name: {"accelmon_labels": {"site_host": "rack1"}} for name in ("10.0.0.1", "10.0.0.2")}
    assert list(found.notes) == [("", "the label host is used by the collection's series; it is proposed as site_host")]


def test_a_label_that_cannot_be_one_is_left_out_and_the_host_is_not(tmp_path):
    found, members, dummy = of_jobs(tmp_path, [static("node", "gpu1:9100", labels={"\x1b[0m": "b", "team": "{{ x }}"})])
    assert members == {"gpu1": {}}
    assert [why.partition("; ")[0] for dummy, why in found.left] == [
        "label ?[0m: ?[0m is not a label name", "label team: it contains an unevaluated template"]


def test_one_host_by_address_and_by_name_is_one_host(tmp_path):
    dummy, members, groups = of_jobs(tmp_path, [
        static("dcgm", "GPU1:9400"), static("node", "10.0.0.1:9100", labels={"node": "gpu1"}), static("node2", "10.0.0.1:9100"),
        static("x", "[fd00::1]:9290"), static("y", "[fd00:0::1]:9291")])
    assert list(members) == ["GPU1", "fd00--1"] and members["GPU1"]["ansible_host"] == "10.0.0.1"
    assert [one["job"] for one in members["fd00--1"]["accelmon_custom_exporters"]] == ["x", "y"]
    assert [members for members, dummy in groups.values()] == [["GPU1"], ["GPU1"], ["GPU1"], ["fd00--1"], ["fd00--1"]]


def test_contradictions_are_named_and_the_first_is_kept(tmp_path):
    found, members, dummy = of_jobs(tmp_path, [
        static("node", "gpu1:9100", labels={"team": "red"}), static("node_b", "gpu1:9101"), static("dcgm", "gpu1:9400", labels={"team": "blue"}),
        static("a", "gpu1:9290"), static("b", "gpu1:9290")])
    assert members["gpu1"]["accelmon_labels"] == {"team": "red"} and [one["job"] for one in members["gpu1"]["accelmon_custom_exporters"]] == ["node_b", "a"]
    assert [why for dummy, why in found.left] == [
        "gpu1: label team: blue, but red in another job; keep one", "job b: gpu1:9290: job a scrapes the same page; keep one of them"]


def test_exporters_that_ask_for_more_are_not_scraped_as_they_are(tmp_path):
    found, members, groups = of_jobs(tmp_path, [static("node", "gpu1:9100", basic_auth={"username": "a"}), static("dcgm", "gpu1:9400", scheme="https")])
    assert members == {"gpu1": {}} and groups["job_node"] == (["gpu1"], {})
    assert len(found.notes) == 2 and "install its own node_exporter; stop yours before" in list(found.notes)[0][1]


@pytest.mark.parametrize("job,why", [
    (static("p", "a:1", relabel_configs=[{"target_label": "__address__", "replacement": "b:1"}]), "its relabelling writes __address__"),
    (static("p", "a:1", params={"module": ["x"]}), "it asks with params"),
    ({"job_name": "p", "kubernetes_sd_configs": [{"role": "node"}]}, "kubernetes_sd_configs: its hosts are not in a file"),
    ({"job_name": "p", "file_sd_configs": [{"files": ["/no/such/*.yml"]}]}, "/no/such/*.yml: no such file; copy it beside the configuration"),
    ({"job_name": "p", "file_sd_configs": [{"files": ["broken.yml"]}]}, "broken.yml:2: not YAML ("),
    ({"job_name": "p", "file_sd_configs": [{"files": ["wrong.json"]}]}, "wrong.json: not a list of targets"),
    ({"job_name": "p", "static_configs": "x"}, "static_configs is not a list of mappings"),
    ({"job_name": "p", "static_configs": [{"targets": [{"a": "b"}]}]}, "targets is not a list of texts"),
    (static("p", "a:1", labels={"x": ["y"]}), "the label x is not a text"),
    (static("p", "a:1", labels={"__param_target": "y"}), "the label __param_target changes what is asked for"),
    ({"static_configs": []}, "a job without job_name"),
    (static("p", "-a:1"), "neither a host name nor an IP address"), (static("p", "a b:1"), "a b:1: not host:port"),
    (static("p", "a:99999"), "a:99999: not host:port"),
    (static("p", "127.0.0.1:9100"), "it means the Prometheus host itself"), (static("p", "monitoring:9100"), "the name of a group"),
    (static("{{ x }}", "a:1"), "is not usable as a name"), (static("alertmanager", "a:1"), "a service of a monitoring host"),
    (static("p", "a_{{x}}:1"), "a_{ {x}}: neither a host name nor"),
])
def test_what_cannot_be_taken_over_is_named_with_the_reason(tmp_path, job, why):
    files = {"broken.yml": "- targets: [a\nb: [", "wrong.json": '{"a": 1}'}
    found, members, dummy = of_jobs(tmp_path, [job, static("node", "good:9100")], files)
    assert list(members) == ["good"] and len(found.left) == 1
    line = ": ".join(*found.left)
    assert why in line and "\n" not in line and "{{" not in line and str(tmp_path) in line


@pytest.mark.parametrize("text,why", [("", "it has no scrape_configs"), ("a: 1", "it has no scrape_configs"), ("- a", "the file is not a mapping"),
                                      ("scrape_configs: [a]", "scrape_configs is not a list of mappings"), ("scrape_configs: [", "not YAML")])
def test_a_configuration_that_is_none_ends_the_import(tmp_path, text, why):
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(Problem, match=why):
        proposed(tmp_path / "p.yml")


def test_ten_thousand_targets_take_seconds(tmp_path):
    targets = [{"targets": [f"10.{n >> 8}.{n & 255}.1:9100"], "labels": {"node": f"gpu{n}", "rack": f"r{n % 50}"}} for n in range(10000)]
    began = time.time()
    found, members, dummy = of_jobs(tmp_path, [{"job_name": "node", "file_sd_configs": [{"files": ["all.json"]}]}], {"all.json": json.dumps(targets)})
    assert len(members) == 10000 and not found.left and time.time() - began < 60
