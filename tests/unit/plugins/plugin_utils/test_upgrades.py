# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions that are refused, lines that data cannot come back over, and who says so. Stubbed: hosts; their variables and facts are made here."""
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import check, upgrades
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import releases
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import facts

GROUPS = {"accelerator_nodes": ["mon1"], "monitoring": ["mon1", "mon2"]}


def monitors(programs=None, **given):
    """hostvars of two monitoring hosts with these variables; the first one told of these {role: (version, source)}."""
    told = {role: {"version": version, "source": source} for role, (version, source) in (programs or {}).items()}
    return {name: {"inventory_hostname": name, "group_names": ["monitoring"],
                   "ansible_facts": facts(node={"architecture": "amd64", "programs": told if name == "mon1" else {}}), **given} for name in ("mon1", "mon2")}


@pytest.mark.parametrize("role,before,after,line", [
    ("victoriametrics", "1.112.0", "1.151.0", "1.133.0"),
    ("victoriametrics", "1.151.0", "1.112.0", "1.133.0"),
    ("victoriametrics", "1.132.9", "1.133.0", "1.133.0"),
    ("victoriametrics", "1.133.0", "1.151.0", ""),
    ("victoriametrics", "1.9.0", "1.112.0", ""),  # as numbers, not as text
    ("victoriametrics", "1.151.0", "", "1.133.0"),  # nobody knows what a package brings
    ("prometheus", "2.53.3", "3.4.1", "2.55.0"),
    ("prometheus", "2.55.0", "3.4.1", ""),
    ("alertmanager", "0.25.0", "0.28.1", ""),
    ("unheard_of", "1.0", "2.0", ""),
])
def test_lines_between_versions(role, before, after, line):
    assert releases.line_between(role, before, after)[0] == line


def test_no_version_of_the_catalogue_is_refused_and_each_refusal_says_why():
    for name, entry in releases.catalogue().items():
        assert entry["version"] not in entry.get("refused", {}), name
        assert all(releases.numbers(version) and why for version, why in {**entry.get("refused", {}), **entry.get("lines", {})}.items())


def test_the_first_play_refuses_a_version_once(tmp_path):
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"version": 1, "releases": {"victoriametrics": {"version": "1.140.0", "sha256": {"amd64": "a" * 64}}}}))
    found = check.fleet_check(GROUPS, monitors(accelmon_source="release", accelmon_lock_file=str(lock)))
    assert found["fleet"] == [f"accelmon_lock_file = {lock}: victoriametrics 1.140.0 is not installed: it evaluates a - (b + c) wrongly; "
                              "choose another version"]


@pytest.mark.parametrize("source", ["release", "container"])
def test_a_pinned_version_is_refused_by_host(source):
    hostvars = monitors(accelmon_source=source)
    hostvars["mon2"].update(vmagent_version="1.147.0")
    assert upgrades.refusals(["mon1", "mon2"], hostvars) == [
        "mon2: vmagent_version = 1.147.0: vmagent 1.147.0 is not installed: its vmagent burns processor and memory where it relabels for one storage alone; "
        "choose another version"]


@pytest.mark.parametrize("given", [{}, {"accelmon_source": "release"}, {"accelmon_backend": "prometheus", "victoriametrics_version": "1.140.0"},
                                   {"accelmon_source": "release", "accelmon_lock_file": "/nowhere"},
                                   {"accelmon_source": "package", "victoriametrics_version": "1.140.0"}])
def test_nothing_is_refused(given):
    assert upgrades.refusals(["mon1", "mon2"], monitors(**given)) == []


def test_no_refused_version_is_locked():
    with pytest.raises(Problem, match="accelmon_lock_versions = victoriametrics: 1.140.0 is not installed: .*; choose another version"):
        releases.wanted({"victoriametrics": "1.140.0"}, ["amd64"])


@pytest.mark.parametrize("programs,given,crossed", [
    ({"victoriametrics": ("1.112.0", "package")}, {"accelmon_source": "release"},
     {"victoriametrics": ("1.112.0", releases.catalogue()["victoriametrics"]["version"])}),
    ({"victoriametrics": ("1.151.0", "release")}, {}, {"victoriametrics": ("1.151.0", "")}),
    ({"victoriametrics": ("1.112.0", "package")}, {}, {}),
    ({"victoriametrics": ("1.151.0", "release")}, {"accelmon_source": "release"}, {}),
    ({"prometheus": ("2.53.3", "package")}, {"accelmon_source": "release"}, {}),  # not its backend: it goes, and its data stay as they are
    ({"prometheus": ("2.53.3", "package")}, {"accelmon_source": "release", "accelmon_backend": "prometheus"},
     {"prometheus": ("2.53.3", releases.catalogue()["prometheus"]["version"])}),
    ({}, {"accelmon_source": "release"}, {}),  # a new host
])
def test_what_would_cross_a_line(programs, given, crossed):
    found = upgrades.crossings(["mon1", "mon2"], monitors(programs, **given))
    assert {role: (one["from"], one["to"]) for role, one in found.get("mon1", {}).items()} == crossed and "mon2" not in found


def test_the_message_says_what_to_run():
    hostvars = monitors({"victoriametrics": ("1.112.0", "package")}, accelmon_source="release", victoriametrics_version="1.140.1")
    (line,) = upgrades.refused_crossings(["mon1"], hostvars)
    assert line == ("mon1: victoriametrics_version = 1.140.1: victoriametrics 1.112.0 is installed, and 1.140.1 would cross 1.133.0: earlier versions do "
                    "not find series and samples that it has stored; run upgrade.yml, which takes a backup first")


def fleet(**given):
    """hostvars of a monitoring host with a node_exporter, and of two nodes, all with older programs; all-smi's static build on one."""
    told = {role: {"version": version, "source": "release", "sha256": "b" * 64}
            for role, version in (("victoriametrics", "1.150.0"), ("vmagent", "1.150.0"), ("vmalert", "1.150.0"), ("node_exporter", "1.9.0"))}
    return {name: {"inventory_hostname": name, "group_names": ["accelmon_on_node_exporter"] + ["monitoring"] * (name == "mon1"),
                   "ansible_facts": facts(node={"architecture": "amd64", "programs": told}), "accelmon_source": "release", **given}
            for name in ("mon1", "n2", "n1")}


def test_the_storage_comes_first_then_who_writes():
    made = upgrades.plan(["mon1", "n2", "n1"], fleet(), {})
    assert [(step["release"], step["roles"], step["storage"]) for step in made["stack"]["mon1"]] == [
        ("victoriametrics", ["victoriametrics"], True), ("vmutils", ["vmagent", "vmalert"], False)]
    assert list(made["stack"]) == ["mon1"] and sorted(made["exporters"]) == ["mon1", "n1", "n2"] and made["canaries"] == ["mon1"]
    assert made["problems"] == [] and made["lines"][0] == "mon1: victoriametrics: 1.150.0 -> 1.151.0"
    assert made["lines"][2:] == [f"{host}: node_exporter {when}: 1.9.0 -> 1.9.1" for host, when in (("mon1", "first"), ("n2", "then"), ("n1", "then"))]


def test_only_what_was_asked_for_changes():
    made = upgrades.plan(["mon1", "n1"], fleet(), {}, only=["node_exporter"])
    assert made["stack"] == {} and sorted(made["exporters"]) == ["mon1", "n1"]


def test_a_pinned_host_is_left_alone():
    hostvars = fleet()
    hostvars["n1"].update(node_exporter_version="1.9.0", node_exporter_sha256={"amd64": "b" * 64})
    hostvars["n2"].update(node_exporter_source="bundle")  # no bundle: nobody knows its version, and the role will say so
    assert list(upgrades.plan(["mon1", "n2", "n1"], hostvars, {})["exporters"]) == ["mon1"]


def test_images_are_left_to_site_yml_and_what_takes_the_place_of_one_is_a_step():
    hostvars = fleet()
    hostvars["n1"]["ansible_facts"]["accelmon_node"]["programs"] = {"node_exporter": {"source": "container"}}
    assert upgrades.plan(["n1"], dict(hostvars, n1=dict(hostvars["n1"], accelmon_source="container", node_exporter_version="1.9.1")), {})["lines"] == []
    made = upgrades.plan(["n1"], hostvars, {})
    assert made["lines"] == ["n1: node_exporter first: container -> 1.9.1"] and made["former"]["n1"]["node_exporter_source"] == "container"


@pytest.mark.parametrize("chosen,first", [([], ["n1"]), (["n2"], ["n2"]), (["racks"], ["n2", "n3"]), (["racks", "n1"], ["n1", "n2", "n3"]), (["n9"], ["n1"])])
def test_canaries(chosen, first):
    assert upgrades.canaries(["n3", "n2", "n1"], chosen, {"racks": ["n2", "n3", "n7"]}) == first


def test_what_was_there_before_comes_back():
    made = upgrades.plan(["mon1"], fleet(), {})
    storage, writers = made["stack"]["mon1"]
    assert upgrades.former(made, "mon1", writers) == {
        f"{role}_{word}": value for role in ("vmagent", "vmalert")
        for word, value in (("source", "release"), ("version", "1.150.0"), ("url", ""), ("sha256", {"amd64": "b" * 64}))}
    assert upgrades.former(made, "mon1", storage)["vmagent_version"] == "1.150.0", "vmauth comes with vmagent's archive"


def test_an_upgrade_over_a_line_needs_a_backup():
    hostvars = fleet()
    hostvars["mon1"]["ansible_facts"]["accelmon_node"]["programs"]["victoriametrics"] = {"version": "1.112.0", "source": "package"}
    (line,) = upgrades.plan(["mon1"], hostvars, {})["problems"]
    assert line.startswith("mon1: accelmon_backup_directory = '': victoriametrics 1.112.0 -> 1.151.0 crosses 1.133.0: earlier versions")
    hostvars["mon1"].update(accelmon_backup_directory="/backups")
    made = upgrades.plan(["mon1"], hostvars, {})
    assert made["problems"] == [] and "after a backup: it crosses 1.133.0" in made["lines"][0]


def uncompared(**given):
    """hostvars of a monitoring host whose storage a killed run has replaced and not compared."""
    now = {"version": "1.151.0", "source": "release", "sha256": "c" * 64, "before": {"version": "1.112.0", "source": "package", "at": 1000}}
    return {"mon1": {"inventory_hostname": "mon1", "group_names": ["monitoring"], "accelmon_source": "release", "accelmon_backup_directory": "/backups",
                     "ansible_facts": facts(node={"architecture": "amd64", "programs": {"victoriametrics": now}}), **given}}


def test_what_a_killed_run_has_not_compared_is_a_step_from_what_was_there_before():
    made = upgrades.plan(["mon1"], uncompared(), {}, now=2000)
    (step,) = made["stack"]["mon1"]
    assert (step["from"], step["to"], step["since"], step["line"], step["note"]) == (
        "1.112.0", "1.151.0", 1000, "1.133.0", "/var/lib/accelmon/upgrade_victoriametrics.json")
    assert step["programs"] == {"victoriametrics": {"version": "1.112.0", "source": "package"}} and made["problems"] == []
    assert made["former"]["mon1"]["victoriametrics_source"] == "package"
    assert made["lines"] == ["mon1: victoriametrics: 1.112.0 -> 1.151.0, which a run that was killed has not compared with 1970-01-01T00:16Z"]
    assert upgrades.crossings(["mon1"], uncompared()) == {}, "site.yml installs what is there"


def test_where_the_former_version_is_wanted_again_the_step_begins_with_what_runs():
    (step,) = upgrades.plan(["mon1"], uncompared(accelmon_source="package"), {}, now=2000)["stack"]["mon1"]
    assert (step["from"], step["to"], step["since"]) == ("1.151.0", "", 0)
    assert step["programs"]["victoriametrics"] == {"version": "1.151.0", "source": "release", "sha256": "c" * 64}


def test_a_fleet_is_not_compared_with_what_it_was_long_ago():
    (line,) = upgrades.plan(["mon1"], uncompared(), {}, now=2000 + 24 * 3600)["problems"]
    assert line.startswith("mon1: /var/lib/accelmon/upgrade_victoriametrics.json: a run that was killed has not compared victoriametrics 1.112.0 -> 1.151.0 "
                           "with 1970-01-01T00:16Z, which is too long ago") and "remove that file" in line


def test_a_note_says_what_the_next_run_needs():
    (step,) = upgrades.plan(["mon1"], uncompared(), {}, now=2000)["stack"]["mon1"]
    note = upgrades.note(step, {"series": 9}, "/backups/1")
    assert json.loads(note)["programs"] == step["programs"] and json.loads(note)["at"] > 2000
    assert [upgrades.noted(notes, "seen", "now") for notes in ([], [note], [upgrades.note(step, {}), note])] == ["now", {"series": 9}, {"series": 9}]


def test_what_a_killed_run_has_put_there_may_stay():
    steps = [{"roles": ["node_exporter"], "since": 0}, {"roles": ["all_smi"], "since": 1000}]
    assert upgrades.replaced(steps, ["node_exporter 1.9.0-abc 7 active", "all_smi 0.5.0-abc 8 active"]) == ["1.9.0-abc"]


WELL = {"stack": {"mon1": []}, "exporters": {"n1": [], "n2": []}, "canaries": ["n1"]}


@pytest.mark.parametrize("became,stages", [
    ({}, ["stack"]),
    ({"mon1": {"accelmon_upgrade_stack": "failed"}}, []),
    ({"mon1": {"accelmon_upgrade_stack": "upgraded"}}, ["stack", "canaries"]),
    ({"mon1": {"accelmon_upgrade_stack": "upgraded"}, "n1": {"accelmon_upgrade_result": "upgraded"}}, ["stack", "canaries", "others"]),
    ({"mon1": {"accelmon_upgrade_stack": "upgraded"}, "n1": {"accelmon_upgrade_result": "failed"}}, ["stack"]),
    ({"mon1": {"accelmon_upgrade_stack": "upgraded"}, "n1": {"accelmon_upgrade_result": "upgraded"}, "n2": {"accelmon_upgrade_result": "failed"}}, ["stack"]),
])
def test_what_goes_on(became, stages):
    hostvars = {host: became.get(host, {}) for host in ("mon1", "n1", "n2")}
    assert [stage for stage in ("stack", "canaries", "others") if upgrades.goes_on(WELL, hostvars, stage)] == stages


def test_failures_name_who_did_not_take_it():
    hostvars = {"mon1": {"accelmon_upgrade_stack": "upgraded"}, "n1": {"accelmon_upgrade_result": "upgraded"},
                "n2": {"accelmon_upgrade_result": "failed", "accelmon_upgrade_reason": "n2: broken"}}
    assert upgrades.failures(WELL, hostvars) == {"n2": "n2: broken"}
    assert upgrades.failures(WELL, dict(hostvars, n1={})) == {"n1": "not reached", "n2": "n2: broken"}


def test_a_storage_that_went_back_says_where_its_newer_data_are():
    step = {"release": "grafana", "from": "12.0.0", "to": "13.2.0", "back": False}
    assert upgrades.verdict(step, "worse").endswith("13.2.0 stays, since 12.0.0 may not read its database; see docs/upgrade.md")
    assert upgrades.verdict(dict(step, back=True), "worse", ["/data.before"]) == (
        "grafana 12.0.0 -> 13.2.0: worse; 12.0.0 runs again with the data of the backup, and the later ones are in /data.before")


def test_exporters_of_the_lock_file_are_watched_and_the_stack_is_not(tmp_path):
    locked = {name: {"version": "1", "sha256": {"amd64": "0" * 64}} for name in ("node_exporter", "all_smi", "all_smi_musl", "vmutils")}
    (tmp_path / "lock.json").write_text(json.dumps({"version": 1, "releases": locked}))
    assert upgrades.watched(str(tmp_path / "lock.json")) == {"node_exporter": "1", "all_smi": "1", "all_smi_musl": "1"}


def test_progress_says_what_is_done_and_what_is_left():
    steps = [{"release": name, "roles": [name], "from": "1", "to": "2", "line": "", "why": "", "since": 0}
             for name in ("victoriametrics", "vmutils", "grafana")]
    made = {"stack": {"mon1": steps, "mon2": steps[:1]}, "exporters": {f"gpu{number}": steps[:1] for number in range(1, 6)}}
    assert upgrades.stack_progress(made, "mon1", steps[1]) == "step 2 of 4: vmutils: 1 -> 2 on mon1; 2 left, then exporters on 5 hosts"
    assert upgrades.stack_progress(dict(made, exporters={}), "mon2", steps[0]) == "step 4 of 4: victoriametrics: 1 -> 2 on mon2; 0 left"
    hostvars = {host: {"accelmon_upgrade_result": "upgraded"} if host == "gpu1" else {} for host in made["exporters"]}
    assert upgrades.exporters_progress(made, hostvars, ["gpu2", "gpu3"]) == "exporters: 1 of 5 hosts done, now gpu2 and 1 more, 2 left after that"
    assert upgrades.exporters_progress(made, hostvars, ["gpu2"]) == "exporters: 1 of 5 hosts done, now gpu2, 3 left after that"
