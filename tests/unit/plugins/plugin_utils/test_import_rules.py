# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules of a site work here, from the derived files in tests/fixtures/imports and from small ones. Nothing is stubbed."""
import pathlib
import subprocess

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import emitted, rules, scrape_jobs

GPU = pathlib.Path(__file__).resolve().parents[3] / "fixtures/imports/rules/gpu.rules.yml"


def judged(*paths, jobs=None):
    found = scrape_jobs.Findings()
    return rules.Rules([str(path) for path in paths], found, jobs), found


def faults(expression, jobs=None, **rule):
    """What is wrong with one rule."""
    found = rules.Rules([], scrape_jobs.Findings(), jobs)
    return found.faults(rules.Rule("g", rule.get("name", "A"), rule.get("record", False), expression, frozenset(), 1, (1, 2)))


def test_rules_that_do_not_work_are_remarks_with_their_reason():
    found, findings = judged(GPU, jobs={"node": "node_exporter", "ipmi": ""})
    assert found.told == [{"file": str(GPU), "rules": 6, "ready": 3, "copy": "rules/gpu.rules.yml"}]
    copy = found.files["rules/gpu.rules.yml"]
    groups = yaml.safe_load(copy)["groups"]
    assert [(group["name"], [rule.get("alert") or rule["record"] for rule in group["rules"]]) for group in groups] == [
        ("gpu", ["GpuTooHot", "site:power:watts"]), ("derived", ["HostDown"])]
    assert copy.startswith("---\n# Alerts of the site. The remark stays.\n") and 'summary: "{{ $labels.gpu }} is hot"' in copy
    assert "# Left out: the job node is called node_exporter here; write that, or leave the job out\n#       - alert: ExporterDown\n" in copy
    # What is a remark is the site's own text.
    lines = [line[2:] if line.startswith("# ") and not line.startswith("# Alerts") else line for line in copy.split("\n") if "Left out: " not in line]
    assert "\n".join(lines) == GPU.read_text()
    whys = "\n".join(f"{where}: {why}" for where, why in findings.left)
    assert f"{GPU}:15: GpuGone: the label Hostname of DCGM_FI_DEV_GPU_UTIL is dropped" in whys
    assert f"{GPU}:26: PodCrash: kube_pod_container_status_restarts_total: no exporter of the collection emits it" in whys
    notes = "\n".join(what for dummy, what in findings.notes)
    assert 'DCGM_FI_DEV_GPU_TEMP is of one vendor; accelerator_temperature_celsius{sensor="core"} is of all' in notes
    assert "HostDown: the collection has an alert of this name too" in notes and found.alerts == {"GpuTooHot": {"severity", "owner"}, "HostDown": set()}


def test_promtool_accepts_the_copy(tmp_path, promtool):
    (tmp_path / "r.yml").write_text(judged(GPU, jobs={"node": "node_exporter"})[0].files["rules/gpu.rules.yml"])
    done = subprocess.run([promtool, "check", "rules", str(tmp_path / "r.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "3 rules found" in done.stdout, done.stdout + done.stderr


def test_a_file_that_works_is_copied_as_it_is(tmp_path):
    (tmp_path / "a.yml").write_text("groups:\n- name: a\n  rules:\n  - {alert: A, expr: up == 0}   # one\n")
    found, findings = judged(tmp_path / "a.yml")
    assert found.files == {"rules/a.yml": (tmp_path / "a.yml").read_text()} and not findings.left


def test_no_name_ends_a_remark(tmp_path):
    (tmp_path / "a.yml").write_text("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: up\n  - alert: B\n"
                                    "    expr: 'count by (\"Hostname\") (DCGM_FI_DEV_GPU_UTIL{a=\"\\n- alert: C\"}) + {\"x\\n  - alert: C\"}'\n")
    found, dummy = judged(tmp_path / "a.yml")
    assert [rule["alert"] for rule in yaml.safe_load(found.files["rules/a.yml"])["groups"][0]["rules"]] == ["A"]
    assert found.files["rules/a.yml"].count("# Left out: ") == 2


def test_files_of_one_name_do_not_replace_each_other(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a b.yml").write_text(f"groups: [{{name: a, rules: [{{alert: {folder.upper()}, expr: up}}]}}]")
    assert list(judged(tmp_path / "x/a b.yml", tmp_path / "y/a b.yml")[0].files) == ["rules/a_b.yml", "rules/a_b_2.yml"]


@pytest.mark.parametrize("text", [
    "groups: [{name: a, rules: [{alert: A, expr: up}, {alert: B, expr: kube_x}]}]",
    "groups:\n- name: a\n  rules:\n  - alert: B\n    expr: &x kube_x\n  - alert: A\n    expr: up\n    annotations: {e: *x}\n",
    "groups:\n- name: a\n  rules:\n  -\n    alert: B\n    expr: kube_x\n  - alert: A\n    expr: up\n",
])
def test_rules_that_share_lines_or_anchors_are_not_torn_apart(tmp_path, text):
    (tmp_path / "a.yml").write_text(text)
    found, findings = judged(tmp_path / "a.yml")
    assert not found.files and not found.alerts and list(findings.left)[-1][1].endswith("they share lines or anchors; split the file")


@pytest.mark.parametrize("text,why", [
    ("groups: [", "a.yml:1: not YAML ("), ("a: 1", "a.yml: no rule file, which begins with groups"), ("groups: x", "it is no rule file"),
    ("groups:\n- name: a\n  rules:\n  - expr: up\n", "group a, rule 1: it needs expr, and either record or alert"), ("\x00", "a binary file"),
])
def test_a_broken_file_is_one_line_and_the_others_are_read(tmp_path, text, why):
    (tmp_path / "a.yml").write_text(text)
    (tmp_path / "b.yml").write_text("groups: [{name: b, rules: [{alert: B, expr: up}]}]")
    found, findings = judged(tmp_path / "a.yml", tmp_path / "b.yml")
    assert list(found.files) == ["rules/b.yml"] and len(findings.left) == 1 and why in list(findings.left)[0][1] and "\n" not in list(findings.left)[0][1]


def test_series_that_nobody_emits():
    for expression in ("up == 0", "node_load1 > 5", "accelerator_utilization_ratio", "ALERTS", "go_goroutines",
                       "DCGM_FI_PROF_SM_ACTIVE", "gpu_gfx_activity", "all_smi_gpu_utilization", "node_gpu_info",
                       "slurm_node_state_info", "vm_free_disk_space_bytes", "scrape_duration_seconds"):
        assert faults(expression) == [], expression
    for expression in ("nvidia_smi_temperature_gpu", "node_gpu_invented", "accelerator_invented", "probe_success", 'sum({__name__=~"kube_a|kube_b"})'):
        assert "no exporter of the collection emits it" in faults(expression)[0], expression
    assert len(faults('sum({__name__=~"kube_a|kube_b"})')) == 2
    assert faults("DCGM_FI_DEV_GPU_TEMP_CELSIUS > 80") == ["DCGM_FI_DEV_GPU_TEMP_CELSIUS: it is stored as DCGM_FI_DEV_GPU_TEMP; use that name"]
    assert "add it to dcgm_exporter_extra_counters" in faults("DCGM_FI_DEV_BAR1_USED")[0]


def test_jobs_that_are_not_here():
    assert faults('up{job="node_exporter"}') == faults('up{job=~"node|dcgm_exporter"}') == faults('up{job!="x"}') == faults('up{job=~".*"}') == []
    assert "no job is called node here" in faults('up{job="node"}')[0]
    assert faults('up{job="node"}', {"node": "node_exporter"}) == ["the job node is called node_exporter here; write that, or leave the job out"]
    assert faults('up{job="ipmi"}', {"ipmi": ""}) == []


def test_names_that_are_the_collections_own():
    assert "records a series of this name" in faults("up", name="accelerator_utilization_ratio", record=True)[0]
    assert "records a series of this name" in faults("up", name="up", record=True)[0]
    assert faults("up", name="a b", record=True) == ["not a name of a series; correct it"] and faults("up", name="job:up", record=True) == []
    assert "correct the expression" in faults("up{")[0]


def test_what_says_the_same_of_every_vendor():
    assert emitted.neutral("DCGM_FI_DEV_GPU_UTIL") == "accelerator_utilization_ratio (divided by 100)"
    assert emitted.neutral("DCGM_FI_DEV_FB_USED") == "accelerator_memory_used_bytes (multiplied by 1048576)"
    assert emitted.neutral("DCGM_FI_DEV_GPU_TEMP") == emitted.neutral("gpu_edge_temperature") == 'accelerator_temperature_celsius{sensor="core"}'
    assert emitted.neutral("up") == ""


def test_every_series_that_our_rules_read_counts_as_emitted():
    sources = load("sources")["sources"].values()
    assert not [name for source in sources for name in source["metrics"] if emitted.missing(name)]


def test_files_that_are_missing(tmp_path):
    findings = scrape_jobs.Findings()
    (tmp_path / "a.yml").write_text("")
    assert rules.files([str(tmp_path / "*.yml"), str(tmp_path / "a.yml"), str(tmp_path / "b.yml")], findings) == [str(tmp_path / "a.yml")]
    assert list(findings.left) == [("", f"{tmp_path}/b.yml: no such file; correct the path")]
