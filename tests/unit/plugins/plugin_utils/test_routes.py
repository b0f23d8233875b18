# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is told of which alert, and what a configuration that asks for it looks like. Nothing is stubbed: amtool judges it."""
import calendar
import os
import pathlib
import subprocess
import time

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import receivers, routes, stages

AMTOOL = pathlib.Path(os.environ.get("ACCELMON_PROGRAMS", "/nonexistent"), "amtool")
needs_amtool = pytest.mark.skipif(not AMTOOL.exists(), reason="there is no amtool (ACCELMON_PROGRAMS)")

# One of each type. guessed: the secrets; derived from documentation: the forms of the keys.
EACH = [
    {"name": "chat", "type": "slack", "api_url": "https://hooks.slack.example.org/services/T0/B0/S3cretS", "channel": "#gpu"},
    {"name": "mail", "type": "email", "to": ["a@example.org", "b@example.org"], "from": "gpu@example.org", "smarthost": "mail.example.org:587",
     "username": "gpu", "password": "S3cret E", "match": "rest"},
    {"name": "hook", "type": "webhook", "url": "https://hooks.example.org/S3cretW", "match": {"cluster": ["west", "ea.st"]}},
    {"name": "pager", "type": "pagerduty", "routing_key": "S3cretP", "match": {"severity": "critical"}},
    {"name": "teams", "type": "msteams", "webhook_url": "https://teams.example.org/S3cretT",
     "match": {"team": "training", "severity": ["critical", "warning"]}},
    {"name": "discord", "type": "discord", "webhook_url": "https://discord.example.org/S3cretD", "match": {"severity": "info"}},
    {"name": "telegram", "type": "telegram", "bot_token": "123:S3cretB", "chat_id": "-100123", "match": "rest"},
]
OPTIONS = {"receivers": EACH, "webhook_urls": ["https://all.example.org/S3cretA"], "watchdog_urls": ["https://heartbeat.example.org/S3cretH"]}
OLDEST = {"distribution": "debian", "distribution_version": "12"}
NEWER = {"distribution": "debian", "distribution_version": "13"}


def made(tmp_path, options=None, version="0.28.1"):
    """The path of a configuration, with everything beside it that it needs."""
    written = routes.written(options or OPTIONS, version)
    for one in written["templates"]:
        (tmp_path / pathlib.Path(one["path"]).name).write_text(one["content"], encoding="utf-8")
    (tmp_path / "alertmanager.yml").write_text(written["config"], encoding="utf-8")
    return tmp_path / "alertmanager.yml"


def amtool(*arguments):
    """What amtool prints; it must succeed."""
    done = subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_amtool
@pytest.mark.parametrize("version", ["0.28.1", None])
def test_alertmanager_accepts_a_receiver_of_each_type(tmp_path, version):
    assert "SUCCESS" in amtool("check-config", made(tmp_path, version=version)) and "1 templates" in amtool("check-config", made(tmp_path, version=version))


@needs_amtool
def test_alertmanager_accepts_a_site_without_receivers(tmp_path):
    assert "SUCCESS" in amtool("check-config", made(tmp_path, {}))


TABLE = [
    ({"alertname": "HostDown", "severity": "critical", "cluster": "x"}, ["webhook-1", "chat", "pager"]),
    ({"alertname": "HostDown", "severity": "critical", "cluster": "west", "team": "training"}, ["webhook-1", "chat", "hook", "pager", "teams"]),
    ({"alertname": "ExporterDown", "severity": "warning", "cluster": "x"}, ["webhook-1", "chat", "mail", "telegram"]),
    ({"alertname": "ExporterDown", "severity": "warning", "cluster": "ea.st"}, ["webhook-1", "chat", "hook"]),
    # The dot is a dot.
    ({"alertname": "ExporterDown", "severity": "warning", "cluster": "eaxst"}, ["webhook-1", "chat", "mail", "telegram"]),
    ({"alertname": "Some", "severity": "info", "cluster": "west"}, ["discord"]),
    ({"alertname": "Some", "severity": "none", "cluster": "west"}, []),
    # An alert of the site's own rules, which says nothing of itself, is not lost.
    ({"alertname": "Own"}, ["webhook-1", "chat", "mail", "telegram"]),
    ({"alertname": "Watchdog", "severity": "none"}, ["watchdog-1"]),
]


@needs_amtool
@pytest.mark.parametrize("labels,names", TABLE)
def test_the_routing_table(tmp_path, labels, names):
    chosen = routes.checked(OPTIONS)
    assert routes.notified(labels, chosen["receivers"], chosen["watchdog"]) == names
    found = amtool("config", "routes", "test", f"--config.file={made(tmp_path)}", *(f"{name}={value}" for name, value in labels.items()))
    assert sorted(set(found.strip().split(",")) - {"nobody"}) == sorted(names), "what we say and what Alertmanager does"


@needs_amtool
def test_without_a_receiver_for_the_rest_nothing_else_changes(tmp_path):
    options = {"receivers": [one for one in EACH if one.get("match") != "rest"]}
    found = amtool("config", "routes", "test", f"--config.file={made(tmp_path, options)}", "alertname=A", "severity=warning")
    assert set(found.strip().split(",")) == {"chat", "nobody"}


@needs_amtool
def test_a_test_reaches_the_receiver_that_it_names_and_nobody_else(tmp_path):
    for name in ("pager", "mail", "watchdog-1"):
        assert amtool("config", "routes", "test", f"--config.file={made(tmp_path)}", f"accelmon_test={name}", "severity=critical").strip() == name


def test_devices_of_a_rack_are_one_notification():
    assert yaml.safe_load(routes.written(OPTIONS)["config"])["route"]["group_by"] == ["cluster", "rack", "alertname", "kind", "code"]


def test_secrets_are_in_files_of_their_own_where_the_release_reads_them():
    written = routes.written(OPTIONS, "0.28.1")
    assert "S3cret" not in written["config"] and "S3cret" not in str(written["templates"])
    assert written["secrets"]["/etc/accelmon/alertmanager/secret-pager-routing_key"] == "S3cretP"
    assert len(written["secrets"]) == len(EACH) + 2
    assert "smtp" not in written["config"] and "auth_password_file" in written["config"]


def test_a_release_that_cannot_has_them_in_the_file_for_the_service_alone():
    old = {"receivers": [one for one in EACH if one["type"] != "msteams"]}
    made_of = routes.files(old, "package", "", OLDEST)
    assert {path.rpartition("/")[2] for path in made_of["secrets"]} == {
        "alertmanager.yml", "secret-chat-api_url", "secret-mail-password", "secret-pager-routing_key"}
    assert all(one["secret"] and one["group"] == "accelmon" and "content" not in one for one in made_of["files"] if one["path"] in made_of["secrets"])
    assert "S3cret" not in str(made_of["files"])
    # Not known before it is installed.
    assert list(routes.files(old, "release", "", NEWER)["secrets"]) == [routes.CONFIG]
    assert len(routes.files(old, "release", "0.28.1", OLDEST)["secrets"]) == len(old["receivers"]) + 1


def test_a_type_that_the_release_lacks_stops_before_anything_is_written():
    with pytest.raises(Problem) as caught:
        routes.files(OPTIONS, "package", "", OLDEST)
    assert str(caught.value) == ("alertmanager_receivers = (not shown): teams is of type msteams, which Alertmanager has since 0.28, and this host's "
                                 "release is 0.25.0; install a newer one (alertmanager_source: release), or use a webhook")
    assert routes.files(OPTIONS, "package", "", NEWER)


def receiver(**changed):
    return {**EACH[3], **changed}


@pytest.mark.parametrize("entry,words", [
    (receiver(type="pagerdutty"), "entry 1 (pager): type = pagerdutty: no such type; did you mean pagerduty?"),
    (receiver(type=None), "entry 1 (pager): it has no type; give one of slack, email,"),
    (receiver(routing_key=""), "entry 1 (pager): routing_key is missing; a receiver of type pagerduty needs it"),
    (receiver(routing_key="S3 cret"), "entry 1 (pager): routing_key: it has a blank"),
    (receiver(routing_kye="S3cret"), "routing_kye: a receiver of type pagerduty has no such key; did you mean routing_key?"),
    (receiver(name="a b"), "entry 1: name = a b: not a name"), (receiver(name="nobody"), "name = nobody"), (receiver(name=7), "name = 7"),
    (receiver(match={"serverity": "critical"}), "match: no alert has the label serverity; did you mean severity?"),
    (receiver(match={"severity": "page"}), "match: severity: page is not a severity"), (receiver(match={"team": []}), "match: team: an empty list"),
    (receiver(match="all"), "match: not a dictionary of labels but a string"), (receiver(match={"a-b": "c"}), "a-b is not a label name"),
    (receiver(match={"team": "a\nb"}), "match: it has a line break"), (receiver(match={"team": True}), "match: not a string but a boolean"),
    (receiver(send_resolved="maybe"), "send_resolved = maybe: not a boolean"), (receiver(settings=["a"]), "settings: not a dictionary"),
    ({**EACH[0], "api_url": "hooks.example.org/S3cret"}, "api_url: not a URL"),
    ({**EACH[1], "to": ["a"]}, "to = ['a']: a is not a mail address"), ({**EACH[1], "smarthost": "mail"}, "smarthost = mail: not the address of a mail server"),
    ({**EACH[1], "password": ""}, "username and password go together"), ({**EACH[6], "chat_id": "@gpu"}, "chat_id = @gpu: not a whole number"),
    ("pager", "entry 1: not a dictionary but a string"),
])
def test_what_is_wrong_with_a_receiver_is_one_line_without_its_secret(entry, words):
    with pytest.raises(Problem) as caught:
        receivers.checked([entry])
    found = str(caught.value)
    assert words in found and "; " in found and "S3" not in found and "\n" not in found, found


@needs_amtool
def test_a_sites_own_templates_are_judged_before_they_replace_anything(tmp_path):
    (tmp_path / "own.tmpl").write_text('{{ define "accelmon.slack.subject" }}mine{{ end }}')
    found = routes.files({"template_files": [str(tmp_path / "own.tmpl")]}, "package", "", NEWER)
    assert found["reload"][1:] == ["/etc/accelmon/alertmanager/accelmon.tmpl", "/etc/accelmon/alertmanager/site-own.tmpl"]
    fine = made(tmp_path, {"template_files": [str(tmp_path / "own.tmpl")]})
    assert "2 templates" in amtool("check-config", fine)
    assert amtool("template", "render", f"--template.glob={tmp_path}/accelmon.tmpl", f"--template.glob={tmp_path}/site-own.tmpl",
                  '--template.text={{ template "accelmon.slack.subject" . }}').strip() == "mine"
    (tmp_path / "own.tmpl").write_text('{{ define "accelmon.slack.subject" }}{{ if }}')
    wrong = made(tmp_path, {"template_files": [str(tmp_path / "own.tmpl")]})
    done = subprocess.run([AMTOOL, "check-config", wrong], capture_output=True, text=True, check=False)
    assert done.returncode and "site-own.tmpl" in done.stderr + done.stdout
    with pytest.raises(Problem, match="alertmanager_template_files = no.tmpl: the path is relative"):
        routes.checked({"template_files": ["no.tmpl"]})
    with pytest.raises(Problem, match="it cannot be read on the control node"):
        routes.checked({"template_files": ["/no/such.tmpl"]})


def test_two_receivers_of_one_name_are_refused():
    with pytest.raises(Problem, match=r"entry 2: name = pager: another receiver has this name"):
        receivers.checked([receiver(), receiver()])
    with pytest.raises(Problem, match="name = webhook-1"):
        routes.checked({"webhook_urls": ["https://a/"], "receivers": [receiver(name="webhook-1")]})


@needs_amtool
def test_what_is_in_settings_is_for_alertmanager_to_judge(tmp_path):
    amtool("check-config", made(tmp_path, {"receivers": [receiver(settings={"http_config": {"proxy_url": "http://proxy.example.org:3128"}})]}))
    wrong = made(tmp_path, {"receivers": [receiver(settings={"no_such_option": 1})]})
    done = subprocess.run([AMTOOL, "check-config", wrong], capture_output=True, text=True, check=False)
    assert done.returncode and "no_such_option" in done.stderr + done.stdout


@pytest.mark.parametrize("rule", load("notifications")["inhibit"])
def test_no_alert_is_muted_for_a_label_that_both_lack(rule):
    """Alertmanager takes a label that both lack for equal."""
    for label in rule["equal"]:
        for side in ("source", "target"):
            assert any(text.startswith((f"{label}=", f'{label}!=""')) for text in rule[side]), (label, side)


def test_alerts_that_mute_others_exist():
    names = {alert["alert"] for alert in load("alerts")["alerts"]}
    named = {text.split('"')[1] for rule in load("notifications")["inhibit"] for text in rule["source"] + rule["target"] if text.startswith('alertname="')}
    assert named <= names and named


def configuration(**options):
    """The configuration as data."""
    return yaml.safe_load(routes.written(options)["config"])


def test_without_receivers_nothing_is_delivered():
    assert configuration()["receivers"] == [{"name": "nobody"}]


def test_watchdog_goes_to_its_own_receiver_alone():
    found = configuration(webhook_urls=["https://a/x"], watchdog_urls=["https://b/y", "https://c/z"], repeat_interval="8h")
    assert found["route"]["repeat_interval"] == "8h"
    watchdog = next(route for route in found["route"]["routes"] if route.get("matchers") == ['alertname="Watchdog"'])
    assert not watchdog.get("continue") and watchdog["receiver"] == "watchdog-1,watchdog-2"
    urls = {one["name"]: [hook["url"] for hook in one["webhook_configs"]] for one in found["receivers"] if one["name"] != "nobody"}
    assert urls == {"webhook-1": ["https://a/x"], "watchdog-1": ["https://b/y"], "watchdog-2": ["https://c/z"],
                    "watchdog-1,watchdog-2": ["https://b/y", "https://c/z"]}


@pytest.mark.parametrize(("options", "part"), [
    ({"webhook_urls": ["hooks.example.org/T0ken"]}, "alertmanager_webhook_urls, entry 1"),
    ({"webhook_urls": "https://hooks.example.org/T0ken"}, "not a list"),
    ({"watchdog_urls": ["https://a", 3]}, "alertmanager_watchdog_urls, entry 2"),
    ({"group_interval": "0s"}, "alertmanager_group_interval = 0s:"), ({"group_wait": "soon"}, "alertmanager_group_wait = soon:"),
    ({"group_wiat": "1s"}, "did you mean group_wait?"), ({"receivers": [EACH[3], {}]}, "alertmanager_receivers = (not shown): entry 2: name")])
def test_what_is_wrong_is_named_and_no_address_is_shown(options, part):
    with pytest.raises(Problem) as caught:
        routes.written(options)
    assert part in str(caught.value) and "T0ken" not in str(caught.value) and "\n" not in str(caught.value)


def test_an_address_from_a_block_of_text_ends_with_its_line():
    # derived: a webhook written as a block scalar, which ends with a line break
    found = configuration(webhook_urls=["https://hooks.example.org/services/T000/B000/token\n"], watchdog_urls=[" https://heartbeat.example.org/x\r\n"])
    urls = {one["name"]: one["webhook_configs"][0]["url"] for one in found["receivers"] if one["name"] != "nobody"}
    assert urls == {"webhook-1": "https://hooks.example.org/services/T000/B000/token", "watchdog-1": "https://heartbeat.example.org/x"}


# ---- stages ----

END = calendar.timegm((2026, 12, 6, 19, 39, 0))
# The chat moves, the pager is paused, and who gets the rest changes.
LATER = {**OPTIONS, "receivers": [{**EACH[0], "channel": "#night"}, *(one for one in EACH[1:] if one["name"] not in ("pager", "mail"))],
         "later": [{"from": END, "receivers": EACH}]}


def test_without_anything_later_there_are_no_times_in_a_configuration():
    config, checked = yaml.safe_load(routes.written(OPTIONS)["config"]), routes.checked(OPTIONS)
    assert config["route"]["routes"] == routes.routes(checked["receivers"], checked["watchdog"]) and "time_interval" not in str(config)
    assert set(config) == {"templates", "route", "inhibit_rules", "receivers"} and routes.written({**OPTIONS, "later": []}) == routes.written(OPTIONS)


@needs_amtool
@pytest.mark.parametrize(("labels", "reached"), TABLE)
def test_each_stage_has_its_own_receivers(tmp_path, labels, reached):
    path = made(tmp_path, LATER)
    assert "SUCCESS" in amtool("check-config", path)
    found = amtool("config", "routes", "test", f"--config.file={path}", *(f"{name}={value}" for name, value in labels.items()))
    names = [name for one in found.split() for name in one.split(",") if name != "nobody"]
    now = routes.notified(labels, routes.checked(LATER)["receivers"], routes.checked(LATER)["watchdog"])
    # amtool has both: it does not know the time. The chat of the inventory is another one than the chat of today.
    assert sorted(names) == sorted(now + [name.replace("chat", f"chat@{END}") for name in reached])


def test_a_secret_of_a_later_stage_has_its_own_file():
    other = {**EACH[0], "api_url": "https://hooks.slack.example.org/later"}
    secrets = routes.written({**LATER, "later": [{"from": END, "receivers": [other]}]}, "0.28.1")["secrets"]
    assert secrets[f"{receivers.DIRECTORY}/secret-chat@{END}-api_url"] == other["api_url"]
    assert secrets[f"{receivers.DIRECTORY}/secret-chat-api_url"] == EACH[0]["api_url"]


def within(intervals, moment):
    """Whether a moment is in one of these intervals of Alertmanager."""
    at = time.gmtime(moment)
    fields = (("years", at.tm_year), ("months", at.tm_mon), ("days_of_month", at.tm_mday))
    return any(all(int(text.split(":")[0]) <= value <= int(text.split(":")[-1]) for key, value in fields for text in one.get(key, [])
                   ) and all(span["start_time"] <= time.strftime("%H:%M", at) < span["end_time"] for span in one.get("times", []))
               for one in intervals["time_intervals"])


@pytest.mark.parametrize("end", [END, *(calendar.timegm((*day, 0)) for day in (
    (2027, 1, 1, 0, 0), (2028, 2, 29, 0, 1), (2028, 3, 1, 0, 0), (2027, 1, 31, 23, 59), (2026, 12, 31, 0, 0)))])
def test_the_time_before_a_moment_ends_there_and_not_before(end):
    times = stages.before(end)
    for seconds in (1, 60, 3600, 86400, 40 * 86400, 400 * 86400):
        assert within(times, end - seconds) and not within(times, end + seconds), seconds
    assert not within(times, end)
