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


# ---- channels ----

MAIL = {"name": "office", "type": "email", "to": "ops@example.org", "from": "a@example.org", "smarthost": "mail.example.org:25", "username": "u",
        "password": "hunter2hunter2"}
HOOK = {"name": "tickets", "type": "webhook", "url": "https://t.example.org/hidden"}
SLACK = "https://hooks.example.org/services/hidden"


def channel(known=None, declared=(), name="oncall", now=NOW, **arguments):
    """What change_channel.yml makes of its arguments, and what it gives to fleet_secrets."""
    told = {"inventory_hostname": "localhost", "accelmon_change_channel": name, "accelmon_change_reason": arguments.pop("reason", "rota"),
            "accelmon_change_until": arguments.pop("until", ""), **{f"accelmon_change_channel_{word}": value for word, value in arguments.items()}}
    before = known or choices.empty()
    found = chosen.changed_channel(before, told, list(declared), "ada", now)
    return {**found, "secrets": chosen.channel_secrets(told, list(declared), before["channels"], found["document"]["channels"])}


def layered(document_, declared=(), secrets=None, version=None):
    return notified.layered(list(declared), document_["channels"], secrets, version)


def test_a_new_channel_is_kept_without_its_secret():
    told = channel(type="slack", secret=SLACK, to="#gpu", severities=["critical"])
    kept = told["document"]["channels"]["oncall"]
    assert kept["change"] == {"type": "slack", "channel": "#gpu", "match": {"severity": ["critical"]}} and not told["removed"]
    assert "hidden" not in json.dumps(told["document"]) and "hidden" not in json.dumps(told["lines"])
    assert told["secrets"] == {"oncall": {"api_url": SLACK}}
    found, problems = layered(told["document"], [HOOK], told["secrets"])
    assert not problems and found == [HOOK, {"name": "oncall", "type": "slack", "channel": "#gpu", "match": {"severity": ["critical"]}, "api_url": SLACK}]


def test_a_change_of_a_kept_channel_keeps_what_it_does_not_name():
    first = channel(type="slack", secret=SLACK, to="#gpu")
    second = channel(first["document"], severities=["warning", "critical"])
    assert second["document"]["channels"]["oncall"]["change"] == {"type": "slack", "channel": "#gpu", "match": {"severity": ["warning", "critical"]}}
    assert second["secrets"] == {} and second["document"]["generation"] == 2
    other = channel(second["document"], type="pagerduty", secret="k" * 32)
    assert other["document"]["channels"]["oncall"]["change"] == {"type": "pagerduty"} and other["secrets"] == {"oncall": {"routing_key": "k" * 32}}
    gone = channel(other["document"], state="absent")
    assert gone["removed"] and gone["document"]["channels"] == {} and gone["secrets"] == {"oncall": {}} and gone["lines"] == ["oncall: removed"]


def test_a_channel_of_the_inventory_can_be_changed_removed_and_put_back():
    told = channel(declared=[HOOK], name="tickets", severities=["info"])
    assert told["document"]["channels"]["tickets"]["change"] == {"match": {"severity": ["info"]}} and told["secrets"] == {}
    assert layered(told["document"], [HOOK], {})[0] == [{**HOOK, "match": {"severity": ["info"]}}]
    told = channel(told["document"], [HOOK], name="tickets", state="absent")
    assert layered(told["document"], [HOOK, MAIL], {})[0] == [MAIL] and told["removed"]
    told = channel(told["document"], [HOOK], name="tickets", state="inventory", reason="")
    assert layered(told["document"], [HOOK], {})[0] == [HOOK] and not told["removed"] and told["lines"] == ["tickets: as in the inventory"]


def test_mail_goes_through_the_server_of_the_inventory():
    told = channel(declared=[HOOK, MAIL], name="night", type="email", to="a@example.org,b@example.org")
    assert told["secrets"] == {} and told["document"]["channels"]["night"]["change"] == {"type": "email", "to": "a@example.org,b@example.org"}
    found = layered(told["document"], [HOOK, MAIL], {})[0][-1]
    assert found == {**MAIL, "name": "night", "to": "a@example.org,b@example.org"}


@pytest.mark.parametrize(("arguments", "line"), [
    ({"name": ""}, "accelmon_change_channel = '': no channel is named"),
    ({"type": "slak"}, "localhost: accelmon_change_channel_type = slak: not a choice; use slack"),
    ({"type": "slack"}, "accelmon_change_channel_secret = '': a channel of type slack needs its api_url; give it"),
    ({"type": "slack", "secret": "hidden"}, "accelmon_change_channel = oncall: entry 1 (oncall): api_url: not"),
    ({"type": "slack", "secret": "hid den"}, "localhost: accelmon_change_channel_secret = (not shown): it contains a space"),
    ({"type": "slack", "secret": SLACK, "severities": ["fatal"]}, "localhost: accelmon_change_channel_severities = "),
    ({"type": "webhook", "secret": SLACK, "to": "x"}, "accelmon_change_channel_to = x: a channel of type webhook has no such thing"),
    ({"type": "telegram", "secret": "t:1", "to": "me"}, "accelmon_change_channel = oncall: entry 1 (oncall): chat_id = me: not a whole number"),
    ({"type": "email", "to": "a@example.org"}, "accelmon_change_channel_type = email: no receiver of type email in alertmanager_receivers"),
    ({"type": "email", "to": "a@example.org", "secret": "hidden"}, "accelmon_change_channel_secret = (not shown): a channel of type email has no such secret"),
    ({"severities": ["info"]}, "accelmon_change_channel = oncall: entry 1 (oncall): it has no type"),
    ({"state": "absent"}, "accelmon_change_channel = oncall: there is no such channel"),
    ({"state": "absent", "type": "slack"}, "accelmon_change_channel_type = slack: it does not go together with accelmon_change_channel_state = absent"),
    ({"type": "slack", "secret": SLACK, "reason": ""}, "accelmon_change_reason = '': a change needs a reason"),
    ({"name": "watchdog", "type": "slack", "secret": SLACK}, "accelmon_change_channel = watchdog: entry 1: name = watchdog: another receiver has this name"),
])
def test_a_wrong_channel_is_one_line_without_its_secret(arguments, line):
    with pytest.raises(Problem) as caught:
        channel(**arguments)
    assert str(caught.value).startswith(line) and "hid" not in str(caught.value).replace("hidden)", ""), str(caught.value)


def test_a_channel_that_cannot_be_made_is_reported_and_left_out():
    kept = channel(type="msteams", secret=SLACK)
    for secrets, version, words in (({}, None, "webhook_url is missing"), (kept["secrets"], "0.25.0", "which Alertmanager has since 0.28")):
        found, (problem,) = layered(kept["document"], [HOOK], secrets, version)
        assert found == [HOOK] and words in problem and problem.startswith("channel oncall: ") and "hidden" not in problem
    assert layered(kept["document"], [HOOK], kept["secrets"], "0.28.0")[1] == []
    assert layered(document(**{}) | {"channels": {"old": choice(type="carrier-pigeon")}}, [HOOK], {})[0] == [HOOK]
    hostile = document() | {"channels": {"x": choice(type="{{ lookup('pipe', 'id') }}")}}
    assert chosen.of_run(answered(hostile), NOW)["channels"] == {}


def test_a_channel_that_ends_leaves_the_inventorys_and_then_its_secret_goes():
    first = channel(declared=[HOOK], name="tickets", type="slack", secret=SLACK, until="90m")
    assert first["document"]["channels"]["tickets"]["until"] == -(-(NOW + 5400) // 60) * 60
    both = channel(first["document"], [HOOK, MAIL], state="absent", name="office", until="3h")
    kept = both["document"]["channels"]
    found, problems = notified.staged([HOOK, MAIL], kept, first["secrets"])
    assert problems == [] and [[one["name"] + ":" + one["type"] for one in stage["receivers"]] for stage in found] == [
        ["tickets:slack"], ["tickets:webhook"], ["tickets:webhook", "office:email"]]
    assert [stage["from"] for stage in found] == [0, kept["tickets"]["until"], kept["office"]["until"]]
    ended = chosen.of_run(answered(both["document"]), kept["tickets"]["until"])
    assert list(ended["channels"]) == ["office"]
    other = channel(both["document"], [HOOK, MAIL], state="inventory", name="office", now=kept["tickets"]["until"])
    assert other["document"]["channels"] == {} and other["secrets"] == {"tickets": {}, "office": {}}
    # What has ended is no ground to build on.
    with pytest.raises(Problem, match="a channel of type slack needs its api_url"):
        channel(first["document"], name="tickets", type="slack", now=NOW + 9000)


def test_without_choices_the_role_has_the_inventorys_receivers_and_nothing_else():
    declared = [HOOK, MAIL]
    for run, kept in (({"localhost": {}}, {}), ({"localhost": {"accelmon_choices": chosen.of_run([], NOW)}}, {}),
                      ({"localhost": {}}, {"document": choices.empty()})):
        assert signals.chosen_receivers(declared, run, kept, "", ["package", "", {}]) == {"receivers": declared, "later": [], "problems": []}


def test_who_reads_no_secrets_knows_the_channels_as_well():
    told = channel(type="slack", secret=SLACK, severities=["critical"])
    run = {"localhost": {"inventory_hostname": "localhost", "accelmon_choices": chosen.of_run(answered(told["document"]), NOW)},
           "mon1": {"inventory_hostname": "mon1", "alertmanager_receivers": [HOOK]}}
    assert signals.receivers(run["mon1"], run) == [{"name": "tickets", "integration": "webhook"}, {"name": "oncall", "integration": "slack"}]
    reached = notified.recipients({"alertname": "HostDown"}, run, ["mon1"])["mon1"]["receivers"]
    assert [one["name"] for one in reached] == ["tickets", "oncall"]


def test_the_role_gets_the_secrets_from_the_store(tmp_path):
    def secrets(**channels):
        done = subprocess.run([sys.executable, str(ROOT / "plugins/modules/fleet_secrets.py")], text=True, capture_output=True, check=True,
                              input=json.dumps({"ANSIBLE_MODULE_ARGS": {"passwords": {}, "state_dir": str(tmp_path / "secrets"), "channels": channels,
                                                                        "registry_dir": str(tmp_path), "witness": str(tmp_path / "none")}}))
        return json.loads(done.stdout)

    kept = channel(type="slack", secret=SLACK)
    told = secrets(**kept["secrets"])
    assert told["changed"] and "secrets of the channel oncall" in told["made"] and not secrets(**kept["secrets"])["changed"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700 and (tmp_path / "secrets/secrets.json").stat().st_mode & 0o777 == 0o600
    run = {"localhost": {"inventory_hostname": "localhost", "accelmon_choices": chosen.of_run(answered(kept["document"]), NOW)}}
    found = signals.chosen_receivers([HOOK], run, {}, secrets()["encoded"], ["package", "", {}])
    assert found["receivers"][1]["api_url"] == SLACK and found["problems"] == []
    alone = signals.chosen_receivers([HOOK], {"localhost": {}}, {"document": kept["document"]}, secrets()["encoded"], ["package", "", {}])
    assert alone == found
    assert secrets(oncall={})["changed"] and "slack" not in json.dumps(signals.chosen_receivers([HOOK], run, {}, secrets()["encoded"], ["package", "", {}])[
        "receivers"])


def test_the_survey_of_a_channel_types_its_secret_as_one():
    spec = {one["variable"]: one for one in awx.job_template("change channel", {"inventory": "i", "credentials": [], "image": ""})["survey_spec"]["spec"]}
    assert len(spec) <= 8 and spec["accelmon_change_channel_secret"]["type"] == "password" and "default" not in spec["accelmon_change_channel_secret"]
    assert spec["accelmon_change_channel_severities"]["type"] == "multiselect"
    types = set(chosen.load("notifications")["types"])
    assert set(spec["accelmon_change_channel_type"]["choices"].split("\n")) == types
