# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody chose instead of the inventory: how it is kept, which of it holds, and how it becomes rules. Nothing is stubbed; modules run as
programs, as on a host.

That rules with a choice do what they should is shown by tests/rules/cases/layers.yml.
"""
import json
import pathlib
import subprocess
import sys
import threading

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.filter.alert_rules import alert_rules
from ansible_collections.accelmon.fleet.plugins.module_utils import backup, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices, rehearsal, view
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, awx, chosen, notified
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters import signals
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.removal import DATA
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import report
from ansible_collections.accelmon.fleet.tests.unit.plugins.report_samples import document as report_document

ROOT = pathlib.Path(__file__).resolve().parents[4]
NOW = 1795834800
NOTHING = {"accelmon_alert_overrides": {}, "accelmon_alert_presets": ["node", "stack"]}


def choice(more=None, **change):
    return {"change": change or {"for": "10m"}, "by": "ada", "at": NOW - 60, "reason": "new switch", **(more or {})}


def document(generation=1, **alerts):
    return {**choices.empty(), "generation": generation, "alerts": alerts}


def answered(*documents):
    return [{"item": f"mon{number}", "document": one} for number, one in enumerate(documents, 1)]


def asked(known=None, declared=None, **arguments):
    """What change_alert.yml makes of its arguments."""
    told = {"inventory_hostname": "localhost", **{f"accelmon_change_{name}": value for name, value in arguments.items()}}
    return chosen.changed_alert(known or choices.empty(), told, {**NOTHING, **(declared or {})}, "ada", NOW)


def wrong(**arguments):
    with pytest.raises(Problem) as caught:
        asked(**arguments)
    return str(caught.value)


def rules(**options):
    return [rule for group in yaml.safe_load(str(alert_rules({}, **options)))["groups"] for rule in group["rules"] if rule["alert"] == "HostDown"]


# ---- as hosts keep them ----

def run(folder, *arguments, **parameters):
    """What the module answers, run as on a host."""
    done = subprocess.run([sys.executable, str(ROOT / "plugins/modules/fleet_choices.py"), *arguments], text=True, capture_output=True, check=False,
                          input=json.dumps({"ANSIBLE_MODULE_ARGS": {"state_dir": str(folder), "_ansible_diff": True, **parameters}}))
    return json.loads(done.stdout)


def test_a_host_keeps_what_it_is_given_and_shows_the_difference(tmp_path):
    folder = tmp_path / "choices"
    assert run(folder)["document"] == choices.empty() and not folder.exists()
    first = document(HostDown=choice())
    told = run(folder, document=first, _ansible_check_mode=True)
    assert told["changed"] and not folder.exists()
    told = run(folder, document=first)
    assert told["changed"] and "new switch" in told["diff"]["after"] and "new switch" not in told["diff"]["before"]
    assert (folder / "choices.json").stat().st_mode & 0o777 == 0o640 and folder.stat().st_mode & 0o777 == 0o750
    assert run(folder)["document"] == first and not run(folder, document=first)["changed"]


def test_a_host_takes_only_what_is_newer(tmp_path):
    run(tmp_path, document=document(4, HostDown=choice()))
    for older in (document(3), document(4)):
        told = run(tmp_path, document=older)
        assert told["failed"] and told["msg"] == "choices: another run changed them meanwhile (generation 4); run the playbook again"
    assert run(tmp_path)["document"]["alerts"] and run(tmp_path, document=document(9))["changed"]


def test_of_two_runs_at_once_one_wins(tmp_path):
    told = []
    threads = [threading.Thread(target=lambda word=word: told.append(run(tmp_path, document=document(1, HostDown=choice({"reason": word})))))
               for word in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(one.get("failed")) for one in told) == [False, True]


@pytest.mark.parametrize(("text", "words"), [
    ("{", "not JSON"), ("[]", "no choices of a fleet"), ('{"version": 2, "generation": 1}', "version 2, but this collection reads version 1"),
    ('{"generation": 1, "alerts": []}', "alerts is not a dictionary"), ('{"generation": 1, "alerts": {"A": {"change": {}}}}', 'alert "A" is not a choice'),
    ('{"generation": true}', "no choices of a fleet"), ("[" * 100000, "not JSON"),
    (json.dumps({"generation": 1, "alerts": {"A": choice({"by": "a\nb"})}}), "is not a choice"),
])
def test_a_damaged_file_is_said_and_not_overwritten(tmp_path, text, words):
    (tmp_path / "choices.json").write_text(text)
    with pytest.raises(Failure, match=words):
        choices.read(str(tmp_path))
    assert words in run(tmp_path)["msg"] and words in run(tmp_path, document=document(5))["msg"]
    assert (tmp_path / "choices.json").read_text() == text
    found, problems = view.read_choices(str(tmp_path), NOW)
    assert not found and words in problems[0]


def test_what_is_kept_goes_into_backups_and_stays_at_an_uninstallation():
    name = paths.CHOICES[len(paths.STATE) + 1:]
    assert name in backup.KEPT and name in DATA


def test_what_holds_is_listed_in_a_line(tmp_path):
    kept = document(HostDown=choice({"until": NOW + 60}, **{"for": "10m", "enabled": True}), ExporterDown=choice({"until": NOW}))
    run(tmp_path, document=kept)
    (one,), problems = view.read_choices(str(tmp_path), NOW)
    assert not problems and one["line"] == "HostDown: enabled=true, for=10m until 2026-11-28T03:01:00Z (ada: new switch)"
    page = report.page(report_document(choices=[dict(one, reason="<b>why</b>")]))
    assert "Settings changed outside the inventory" in page and "&lt;b&gt;why" in page and "<b>why" not in page
    assert "outside the inventory" not in report.page(report_document())


# ---- which hold in a run ----

def test_the_newest_of_several_hosts_counts_and_who_does_not_answer_is_said():
    older, newer = document(2, HostDown=choice()), document(3, ExporterDown=choice())
    found = chosen.of_run(answered(older, newer, older), NOW)
    assert found["document"] == newer and list(found["alerts"]) == ["ExporterDown"] and found["known"] and not found["problems"]
    assert found["behind"] == ["mon1", "mon3"] and found["silent"] == []
    silent = {"item": "mon9", "unanswered": {"what": "ssh", "value": "no answer", "fix": "check it"}}
    found = chosen.of_run([silent, *answered(newer)], NOW)
    assert found["known"] and found["problems"] == ["mon9: ssh: no answer; check it"] and (found["behind"], found["silent"]) == ([], ["mon9"])
    assert not chosen.of_run([silent], NOW)["known"] and chosen.of_run([silent], NOW)["alerts"] == {}


def test_what_ended_does_not_hold_any_more():
    kept = document(HostDown=choice({"until": NOW + 1}), ExporterDown=choice({"until": NOW}), ScrapeSlow=choice())
    assert sorted(chosen.of_run(answered(kept), NOW)["alerts"]) == ["HostDown", "ScrapeSlow"]


@pytest.mark.parametrize(("name", "change", "words"), [
    ("AlertOfYesterday", {"for": "1m"}, "no such alert"), ("HostDown", {"threshold": 3}, "HostDown has no threshold"),
    ("HostDown", {"severity": "fatal"}, "no such severity"), ("HostDown", {"for": "{{ lookup('pipe', 'id') }}"}, "unevaluated template"),
    ("{{ x }}", {"for": "1m"}, "unevaluated template"), ("HostDown", {"pager": 1}, "no such setting"),
])
def test_what_the_catalogue_does_not_accept_is_reported_and_ignored(name, change, words):
    found = chosen.of_run(answered(document(**{name: choice(**change)}, ExporterDown=choice())), NOW)
    assert list(found["alerts"]) == ["ExporterDown"] and found["known"]
    (line,) = found["problems"]
    assert words in line and "ignored" in line and "accelmon_change_state=inventory" in line


def test_the_choice_of_an_alert_that_is_gone_can_be_taken_back():
    kept = document(4, AlertOfYesterday=choice(), HostDown=choice())
    told = asked(kept, alert="AlertOfYesterday", state="inventory")
    assert list(told["document"]["alerts"]) == ["HostDown"] and told["document"]["generation"] == 5
    assert told["lines"] == ["AlertOfYesterday: as in the inventory"]


# ---- layers ----

def hostvars(own=None, **alerts):
    found = chosen.of_run(answered(document(**alerts)), NOW)
    return {"localhost": {"inventory_hostname": "localhost", "accelmon_choices": found},
            "mon1": {"inventory_hostname": "mon1", "accelmon_alert_overrides": {"HostDown": {"for": "5m", "severity": "info"}}},
            "n1": {"inventory_hostname": "n1", **(own or {})}}


def test_a_choice_is_above_the_inventory_and_below_what_hosts_have_of_their_own():
    told = hostvars({"accelmon_alert_host_overrides": {"HostDown": {"severity": "critical"}}}, HostDown=choice(**{"for": "9m"}))
    found = [rule for rule in alerting.rehearsed(told, "mon1", ["n1"]) if rule["alert"] == "HostDown"]
    assert sorted((rule["for"], rule["severity"]) for rule in found) == [(540, "critical"), (540, "info")]
    assert alerting.fleet_wide(told, {"HostDown": {"for": "5m", "severity": "info"}}) == {"HostDown": {"for": "9m", "severity": "info"}}


def test_every_reader_of_settings_sees_a_choice():
    off = hostvars(AcceleratorMissing=choice(enabled=False), HostDown=choice(severity="warning"))
    on = hostvars()
    name = sorted(alerting.inputs(on, "mon1")["alerts"])[0]
    assert name not in alerting.inputs(hostvars(**{name: choice(enabled=False)}), "mon1")["alerts"]
    assert "AcceleratorMissing" not in [rule["alert"] for rule in alerting.rehearsed(off, "mon1", [])]
    assert notified.completed({"alertname": "HostDown"}, off, "mon1")["severity"] == "warning"
    assert notified.completed({"alertname": "HostDown"}, on, "mon1")["severity"] == "info"
    assert signals.alert_choices(off, {}) == alerting.choices(off)
    slow = hostvars(**{one["alert"]: choice(enabled=False) for one in chosen.load("alerts")["alerts"]})
    assert "accelmon_slow" in alerting.group_names(on, "mon1", []) and "accelmon_slow" not in alerting.group_names(slow, "mon1", [])


def test_the_role_alone_reads_what_its_own_host_has():
    kept = {"document": document(HostDown=choice(**{"for": "7m"})), "changed": False}
    assert signals.alert_choices({"localhost": {}}, kept)["HostDown"]["change"] == {"for": "7m"}
    assert signals.alert_choices({"localhost": {}}, {"skipped": True}) == {} and alerting.choices({}) == {}


def test_a_choice_that_ends_makes_rules_for_both_times():
    (rule,) = rules(choices={"HostDown": choice(severity="warning")})
    assert rule["labels"]["severity"] == "warning" and "time()" not in rule["expr"]
    before, after = rules(choices={"HostDown": choice({"until": NOW}, severity="warning")})
    assert before["labels"]["severity"] == "warning" and before["expr"].endswith(f"and on () vector(time()) < {NOW}")
    assert after["labels"]["severity"] == "critical" and after["expr"].endswith(f"and on () vector(time()) >= {NOW}")
    (back,) = rules(choices={"HostDown": choice({"until": NOW}, enabled=False)})
    assert back["expr"].endswith(f">= {NOW}")
    assert rules(choices={"HostDown": choice(enabled=False)}) == [] and len(rules()) == 1


# ---- a change ----

def test_a_change_says_what_it_does_and_replaces_the_one_before():
    told = asked(alert="HostDown", severity="warning", until="2h", reason="night")
    made = told["document"]
    assert made["generation"] == 1 and made["alerts"]["HostDown"] == {
        "change": {"severity": "warning"}, "by": "ada", "at": NOW, "until": NOW + 7200, "reason": "night"}
    assert told["lines"] == ["HostDown: severity: critical -> warning", "kept: HostDown: severity=warning until 2026-11-28T05:00:00Z (ada: night)"]
    told = asked(made, alert="HostDown", **{"for": "7m"}, reason="day")
    assert told["document"]["alerts"]["HostDown"]["change"] == {"for": "7m"} and "until" not in told["document"]["alerts"]["HostDown"]
    assert told["lines"][:2] == ["HostDown: for: 2m -> 7m", "HostDown: severity: warning -> critical"]
    assert asked(told["document"], alert="HostDown", **{"for": "7m"}, reason="day")["document"] is told["document"]
    gone = asked(told["document"], alert="HostDown", state="inventory")
    assert gone["document"]["alerts"] == {} and gone["document"]["generation"] == 3 and gone["lines"][-1] == "HostDown: as in the inventory"
    assert asked(gone["document"], alert="HostDown", state="inventory")["lines"] == ["HostDown: as in the inventory, as before"]


def test_an_alert_of_no_preset_is_switched_on_and_one_that_ended_is_forgotten():
    told = asked(document(HostDown=choice({"until": NOW})), {"accelmon_alert_presets": []}, alert="ExporterDown", state="present", reason="x")
    assert told["lines"][0] == "ExporterDown: enabled: False -> True" and list(told["document"]["alerts"]) == ["ExporterDown"]


def test_empty_answers_of_a_survey_are_none():
    empty = {name: "" for name in ("state", "threshold", "for", "severity", "until")}
    assert asked(alert="HostDown", reason="x", **{**empty, "for": "3m"})["document"]["alerts"]["HostDown"]["change"] == {"for": "3m"}
    assert "nothing is to be changed" in wrong(alert="HostDown", reason="x", **empty)


@pytest.mark.parametrize(("arguments", "line"), [
    ({"alert": "HostDwn", "for": "1m"}, "accelmon_change_alert = HostDwn: no such alert; did you mean HostDown?"),
    ({"alert": "HostDwn", "state": "inventory"}, "accelmon_change_alert = HostDwn: no such alert; did you mean HostDown?"),
    ({"alert": "", "for": "1m"}, "accelmon_change_alert = '': no alert is named; give its name"),
    ({"alert": "HostDown", "threshold": "3"}, 'accelmon_change_threshold = 3: HostDown has no threshold'),
    ({"alert": "NodeFilesystemFull", "threshold": "many"}, "accelmon_change_threshold = many: not a threshold of this alert; give a number"),
    ({"alert": "AcceleratorCollectorStale", "threshold": "3"}, "accelmon_change_threshold = 3: not a duration"),
    ({"alert": "HostDown", "for": "soon"}, "localhost: accelmon_change_for = soon: not a duration"),
    ({"alert": "HostDown", "severity": "fatal"}, "localhost: accelmon_change_severity = fatal: not a choice; use critical"),
    ({"alert": "HostDown", "state": "inventory", "for": "1m"}, "accelmon_change_for = 1m: accelmon_change_state = inventory takes the whole choice back"),
    ({"alert": "HostDown", "for": "1m", "reason": ""}, "accelmon_change_reason = '': a change needs a reason; give one"),
    ({"alert": "HostDown", "for": "1m", "reason": "a\nb"}, "localhost: accelmon_change_reason = a b: it has a line break"),
    ({"alert": "HostDown", "for": "1m", "until": "5y"}, "localhost: accelmon_change_until = 5y: out of range"),
    ({"alert": "{{ x }}", "for": "1m"}, "localhost: accelmon_change_alert = { { x }}: it contains an unevaluated template"),
])
def test_a_wrong_argument_is_one_line_with_its_name(arguments, line):
    assert wrong(**{"reason": "x", **arguments}).startswith(line)


def test_who_changes_it_is_the_user_of_awx_or_of_the_shell():
    told = {"localhost": {"inventory_hostname": "localhost", "accelmon_change_alert": "HostDown", "accelmon_change_for": "1m",
                          "accelmon_change_reason": "x"}, "mon1": {"inventory_hostname": "mon1"}}

    def by(**more):
        found = signals.changed_alert(choices.empty(), {**told, "localhost": {**told["localhost"], **more}}, {"monitoring": ["mon1"]}, "root")
        return found["problem"] or found["found"]["document"]["alerts"]["HostDown"]["by"]

    assert (by(), by(awx_user_name="eve"), by(awx_user_name="eve", accelmon_change_by="bob")) == ("root", "eve", "bob")
    assert "line break" in by(awx_user_name="a\nb")


def test_rules_of_both_times_are_the_same_whichever_group_comes_first():
    rules_ = [{"alert": "A", "expr": expression, "for": 60.0, "severity": "info"} for expression in ("x < 1", "x >= 1")]
    for loaded, change in ((rules_[::-1], "same"), (rules_[:1] * 2, "changed"), (rules_[:1], "changed")):
        ((_alert, found, _now, _then),) = rehearsal.pairs(rules_, loaded, ["A"], str)
        assert found == change


def test_what_is_loaded_is_shown():
    assert signals.rule_lines([{"alert": "A", "expr": "x\n> 1", "for": 120.0, "severity": "info"}], "A") == ["loaded: A: for 120 s, severity info", "x", "> 1"]
    assert signals.rule_lines([], "A") == ["A is not loaded: it is switched off"]


@pytest.mark.parametrize(("variables", "program"), [
    ({}, "/usr/bin/vmalert"), ({"accelmon_source": "bundle"}, "/opt/accelmon/vmalert/current/bin/vmalert"),
    ({"accelmon_source": "bundle", "vmalert_source": "package"}, "/usr/bin/vmalert"),
    ({"accelmon_backend": "prometheus", "prometheus_source": "release"}, "/opt/accelmon/prometheus/current/bin/promtool"),
    ({"accelmon_backend": "prometheus"}, "/usr/bin/promtool"),
    ({"accelmon_backend": "prometheus", "prometheus_source": "container"}, "/opt/accelmon/prometheus_parts/promtool"),
])
def test_the_checker_of_rules_comes_from_where_the_evaluator_does(variables, program):
    assert signals.rules_checker({"inventory_hostname": "mon1", **variables}) == program


def test_the_survey_offers_the_catalogues_alerts():
    spec = {one["variable"]: one for one in awx.job_template("change alert", {"inventory": "i", "credentials": [], "image": ""})["survey_spec"]["spec"]}
    assert len(spec) <= 8 and spec["accelmon_change_alert"]["type"] == "multiplechoice" and spec["accelmon_change_alert"]["required"]
    assert spec["accelmon_change_alert"]["choices"].split("\n") == [one["alert"] for one in chosen.load("alerts")["alerts"]]
    assert spec["accelmon_change_state"]["choices"] == "present\nabsent\ninventory"
