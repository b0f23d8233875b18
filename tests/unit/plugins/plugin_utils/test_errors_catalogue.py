# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of error codes, what is said of codes, and explain.yml as ansible-playbook runs it. Nothing is stubbed."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import findings
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import VENDORS

ROOT = pathlib.Path(__file__).resolve().parents[4]
UNUSED = {*range(1, 8), 9, 10, 12, 14, *range(15, 25), *range(26, 31), *range(33, 37), 42, 47, *range(49, 54), *range(55, 60), 61, 65, 73, 81, 87, 90,
          91, 108, *range(111, 119), *range(122, 126), 138}


def test_every_code_is_there_once():
    entries = load("errors")["errors"]
    assert len(errors.codes()) == sum(len(entry["codes"]) for entry in entries)
    assert {code for kind, code in errors.codes() if kind == "xid"} == {*range(1, 177), 185}
    assert {code for kind, code in errors.codes() if kind == "afid"} == set(range(1, 31))
    unused = {code for (kind, code), (title, entry) in errors.codes().items() if kind == "xid" and title.startswith("Unused")}
    assert unused == {code for (kind, code), (title, entry) in errors.codes().items() if kind == "xid" and entry["class"] == "unknown"} == UNUSED


@pytest.mark.parametrize("entry", load("errors")["errors"], ids=lambda entry: f"{entry['kind']}-{list(entry['codes'])[0]}")
def test_an_entry_is_whole(entry):
    catalogue = load("errors")
    assert set(entry) <= {"kind", "codes", "title", "class", "severity", "meaning", "causes", "actions", "sources", "vendors"}
    assert ("vendors" in entry) == (entry["kind"] == "kernel") and set(entry.get("vendors", ())) <= set(VENDORS)
    assert isinstance(entry["codes"], list) == ("title" in entry)
    assert entry["kind"] in errors.KINDS and entry["class"] in catalogue["classes"] and entry["meaning"].endswith(".")
    assert entry["causes"] and all(isinstance(cause, str) for cause in entry["causes"])
    assert entry["actions"] and set(entry["actions"]) <= set(catalogue["actions"])
    assert entry.get("severity") != catalogue["classes"][entry["class"]]["severity"]
    if entry["class"] in ("application", "notice", "unknown"):
        assert "severity" not in entry


def test_every_action_is_used():
    assert {name for entry in load("errors")["errors"] for name in entry["actions"]} == set(load("errors")["actions"])


@pytest.mark.parametrize("severity,numbers", [
    ("critical", (46, 48, 54, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143, 158, 167, 169, 171, 172, 173, 175)),
    ("warning", (8, 32, 69, 92, 94, 109, 121, *range(144, 152), 155, 156, 157, 160, 161, 163, 165, 168, 176, 185)),
    ("info", (11, 13, 25, 31, 39, 43, 45, 63, 68, 93, 96, 106, 107, 126, 137, 139, 141, 152, 153, 154, 162, 164, 174)),
])
def test_what_pages_and_what_does_not(severity, numbers):
    assert {number: errors.explain(number)["severity"] for number in numbers} == dict.fromkeys(numbers, severity)


@pytest.mark.parametrize("asked,kind,code", [
    (79, "xid", 79), ("79", "xid", 79), (" Xid 79 ", "xid", 79), ("xid:79", "xid", 79), ("XID-79", "xid", 79), ("sxid 20034", "sxid", 20034),
    (20034, "sxid", 20034), ("afid 24", "afid", 24), ("ras ue", "ras", "ue"), ("UE", "ras", "ue"), ("recovery 2", "recovery", 2),
    ("kernel mes_hang", "kernel", "mes_hang"), ("Wedged", "kernel", "wedged"),
    ("recovery action 0x4", "recovery", 4), ("hostdown", "alert", "HostDown"),
])
def test_the_forms_of_a_code(asked, kind, code):
    told = errors.explain(asked)
    assert (told["kind"], told["code"], told["known"]) == (kind, code, True) and told["actions"]


def test_what_a_kernel_log_starts_with():
    """An Xid is critical on every device of NVIDIA; a switch is no device, and AFIDs are not in the log."""
    found = errors.fatal()
    assert set(found) == {"nvidia", "amd", "intel_gaudi", "intel_gpu"} and found["amd"] == [
        "kernel init_failed", "kernel mes_hang", "kernel reset_failed", "kernel wedged", "ras bad_page_failed", "ras ue"]
    assert {"xid 62", "xid 79", "kernel init_failed"} <= set(found["nvidia"]) and not {"xid 13", "xid 94", "xid 154"} & set(found["nvidia"])
    assert not [name for names in found.values() for name in names if name.startswith(("sxid", "afid"))]


def test_an_alert_has_a_scope_where_a_code_has_a_class():
    told = errors.explain("HostDown")
    assert told["scope"] == "node" and "class" not in told and "severity critical, scope node" in errors.box(told)[2]
    assert "scope" not in errors.explain(79)


@pytest.mark.parametrize("asked", [0, 177, 184, 999, "sxid 1", "afid 18446744073709551615"])
def test_an_unknown_code_has_a_useful_answer(asked):
    told = errors.explain(asked)
    assert (told["known"], told["severity"]) == (False, "warning") and "current catalogue" in " ".join(told["actions"])
    assert set(told) == set(errors.explain(79))


def test_recovery_actions_go_by_their_number():
    severities = [errors.explain(f"recovery {number}")["severity"] for number in range(9)]
    assert severities == ["info", "warning", "critical", "warning"] + ["critical"] * 5
    assert errors.explain("recovery 8")["title"] == "Unknown action 8"
    assert "recovery action" in errors.explain(79)["actions"][0]


@pytest.mark.parametrize("asked", ["HostDwon", "", "xid", "xid ue", "ras 5", "kernel ue", "ras wedged", "kernel 5", "-1", "7.9", "None", "79; 80",
                                   None, [79], "9" * 21])
def test_what_is_no_code_is_refused(asked):
    with pytest.raises(Problem, match="neither an error code nor an alert; give a code"):
        errors.explain(asked)
    if asked == "HostDwon":
        with pytest.raises(Problem, match="did you mean HostDown"):
            errors.explain(asked)


def test_the_page_has_an_anchor_for_each_code():
    headings = re.findall(r"(?m)^## (\w+ \w+)$", (ROOT / "docs" / "errors.md").read_text())
    anchors = [heading.lower().replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors)
    assert set(anchors) == {f"{kind}-{code}" for kind, code in errors.codes()}


FINDING = {
    "row": {"node": "gpu7", "cluster": "west", "state": "active"},
    "alerts": [{"alert": "AcceleratorErrorFatal", "severity": "critical", "since": "2026-11-28T03:04:05.678Z", "summary": "xid 79 on gpu7",
                "action": "Reboot it."}],
    "errors": [{"kind": "xid", "code": "79", "count": 2, "last": 1795835045, "pci_bus_id": "0000:1b:00.0", "index": "3", "uuid": "GPU-3"},
               {"kind": "xid", "code": "other", "count": 1, "last": None, "pci_bus_id": "0000:1c:00.0"},
               {"kind": "new\x1b[2J", "code": "9\n9", "count": 1, "last": None}],
}


def test_what_is_wrong_with_a_node_has_since_when_and_what_to_do():
    lines = errors.finding_lines(FINDING)
    assert lines[:2] == ["gpu7 (cluster west): active", ""]
    assert lines[2:4] == ["* critical: xid 79 on gpu7 (AcceleratorErrorFatal, since 2026-11-28 03:04 UTC)", "  What to do: Reboot it."]
    text = " ".join(" ".join(lines).split())
    assert ("Xid 79: GPU has fallen off the bus. critical, class hardware; device 0000:1b:00.0, index 3, uuid GPU-3; counted 2, last 2026-11-28 03:04 UTC "
            "What to do: Drain the node and reboot it.") in text
    assert "Xid other: Unknown Xid. warning, class unknown; device 0000:1c:00.0; counted 1, seen by an exporter alone" in text
    assert all(line.isprintable() and len(line) <= errors.WIDTH for line in lines)


def test_a_node_with_nothing_wrong_and_one_of_which_nothing_is_known():
    assert errors.finding_lines(dict(FINDING, alerts=[], errors=[]))[2:] == ["No alert fires.", "No device had an error within a day."]
    assert errors.finding_lines(dict(FINDING, alerts=None, errors=None))[2:] == ["Alerts and errors are not known."]


def test_the_answers_of_all_monitoring_hosts_are_one():
    answers = [{"item": "mon1", "findings": [FINDING], "problems": []}, {"item": "mon2", "findings": [], "problems": ["the storage is away"]}]
    assert findings(answers, "text")[0] == "gpu7 (cluster west): active" and findings(answers, "text")[-1] == "mon2: the storage is away"
    told = findings(answers, "json")
    assert told["findings"][0]["monitoring_host"] == "mon1" and told["findings"][0]["errors"][0]["explained"] == errors.explain(79)
    assert told["problems"] == ["mon2: the storage is away"]


def test_the_lookup_explains_each_term_and_names_one_that_it_cannot(tmp_path):
    """Through Ansible, which lets a lookup set its options."""
    terms = [79, "sxid 20034", "HostDown", 999]
    book = [{"hosts": "localhost", "gather_facts": False, "tasks": [
        {"ansible.builtin.copy": {"dest": str(tmp_path / "told.json"), "content": "{{ query('accelmon.fleet.xid', *terms) | to_json }}"},
         "vars": {"terms": terms}, "connection": "local"},
        {"ansible.builtin.debug": {"msg": "{{ lookup('accelmon.fleet.xid', 79, 'HostDwon') }}"}}]}]
    (tmp_path / "book.yml").write_text(yaml.safe_dump(book))
    done = play(tmp_path, book=tmp_path / "book.yml")
    assert json.loads((tmp_path / "told.json").read_text()) == [errors.explain(term) for term in terms]
    assert done.returncode and "accelmon.fleet.xid: HostDwon: neither an error code nor an alert; " in done.stdout, done.stdout


def play(folder, *arguments, book=ROOT / "playbooks" / "explain.yml"):
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", str(book), *arguments], cwd=str(folder), timeout=600, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1"))


def test_the_playbook_explains_without_an_inventory(tmp_path):
    done = play(tmp_path, "-e", "xid=79")
    assert done.returncode == 0 and "| Xid 79: GPU has fallen off the bus " in done.stdout, done.stdout
    done = play(tmp_path, "-e", "accelmon_explain='sxid 20034' accelmon_output=json")
    told = json.loads(re.search(r'(?s)"msg": (\{.*?\n    \})', done.stdout).group(1))
    assert done.returncode == 0 and told == errors.explain("sxid 20034")


def test_the_playbook_asks_the_monitoring_hosts_about_a_node(tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {children: {accelerator_nodes: {hosts: {gpu7: {ansible_connection: local}}}}}")
    done = play(tmp_path, "-i", str(inventory), "--limit", "gpu7")
    assert done.returncode and "inventory: group monitoring is empty or missing" in done.stdout, done.stdout
    done = play(tmp_path, "-i", str(inventory), "--limit", "gpu7", "-e", "accelmon_explain=79")
    assert done.returncode == 0 and "| Xid 79: GPU has fallen off the bus " in done.stdout, done.stdout


@pytest.mark.parametrize("arguments,words", [
    ([], "accelmon_explain = '': there is nothing to explain; give a code or an alert's name, for example -e accelmon_explain=79"),
    (["-e", "accelmon_explain=HostDwon"], "did you mean HostDown?"),
    (["-e", "accelmon_explian=79"], "did you mean accelmon_explain?"),
    (["-e", "xid=HostDwon"], "did you mean HostDown?"), (["-e", "xid=-1"], "accelmon_explain = -1: neither an error code nor an alert; "),
    (["-e", "xid=' '"], "accelmon_explain = '': there is nothing"), (["-e", '{"xid": [79, 80]}'], "accelmon_explain = [79, 80]: neither"),
])
def test_the_playbook_says_what_it_cannot_explain(tmp_path, arguments, words):
    done = play(tmp_path, *arguments)
    assert done.returncode and words in done.stdout, done.stdout
    # The line of the error, and not the frame of an error in a template.
    assert "<<< caused by >>>" not in done.stdout and "The filter plugin" not in done.stdout
