# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a message says and how long it gets, rendered by amtool. Nothing is stubbed. guessed: the alerts."""
import html
import json
import os
import pathlib
import re
import subprocess
import urllib.parse

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import messages

DASHBOARDS = pathlib.Path(__file__).resolve().parents[4] / "dashboards"
AMTOOL = pathlib.Path(os.environ.get("ACCELMON_PROGRAMS", "/nonexistent"), "amtool")
pytestmark = pytest.mark.skipif(not AMTOOL.exists(), reason="there is no amtool (ACCELMON_PROGRAMS)")

LABELS = {"alertname": "AcceleratorMissing", "severity": "critical", "scope": "accelerator", "cluster": "west", "rack": "r7", "node": "gpu7",
          "vendor": "nvidia"}
ANNOTATIONS = {"summary": "gpu7 has 7 of 8 nvidia accelerators", "description": "One of them no longer answers.", "action": "Drain the node.",
               "runbook_url": "https://docs.example.org/alerts#missing"}
# The tightest of the limits on a whole message: Telegram's and Discord's. Titles: Discord's.
MOST, MOST_TITLE = 4096, 256
GRAFANA = "https://metrics.example.org/grafana/"
BEGAN = 1795834800000


def alert(status="firing", annotations=None, **labels):
    return {"status": status, "labels": {name: value for name, value in {**LABELS, **labels}.items() if value is not None},
            "annotations": ANNOTATIONS if annotations is None else annotations, "startsAt": "2026-11-28T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://mon1:8880/alert", "fingerprint": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("templates")
    (made / "accelmon.tmpl").write_text(messages.templates(GRAFANA), encoding="utf-8")
    return made


@pytest.fixture
def render(folder):
    """What a template makes of alerts."""
    def rendered(name, alerts):
        common = {key: value for key, value in alerts[0]["labels"].items() if all(one["labels"].get(key) == value for one in alerts)}
        data = {"receiver": "r", "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved", "alerts": alerts,
                "groupLabels": {}, "commonLabels": common, "commonAnnotations": {}, "externalURL": "https://alerts.example.org:9093"}
        (folder / "data.json").write_text(json.dumps(data), encoding="utf-8")
        done = subprocess.run([AMTOOL, "template", "render", f"--template.glob={folder}/*.tmpl", f"--template.data={folder}/data.json",
                               f'--template.text={{{{ template "accelmon.{name}" . }}}}'], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "<no value>" not in done.stdout, done.stderr
        return done.stdout.rstrip("\n")
    return rendered


def test_one_alert_says_what_where_why_and_what_to_do(render):
    assert render("plain.subject", [alert(index="3")]) == "[critical] gpu7 has 7 of 8 nvidia accelerators"
    assert render("plain.text", [alert(index="3", job_id="4711")]).splitlines() == [
        "- gpu7 has 7 of 8 nvidia accelerators, node gpu7, device 3, rack r7, job 4711, since 2026-11-28 03:00 UTC",
        "", "One of them no longer answers.", "", "What to do: Drain the node.", "", "Runbook: https://docs.example.org/alerts#missing",
        "Source: http://mon1:8880/alert", f"Dashboard: {GRAFANA}d/accelmon-accelerator?time={BEGAN}&time.window=7200000"
        "&var-cluster=west&var-node=gpu7&var-vendor=nvidia&var-index=3",
        "Silence: https://alerts.example.org:9093/#/silences/new?filter=%7Balertname%3D%22AcceleratorMissing%22"
        "%2Ccluster%3D%22west%22%2Crack%3D%22r7%22%2Cnode%3D%22gpu7%22%7D"]


@pytest.mark.parametrize("flavour", messages.FLAVOURS)
def test_two_hundred_alerts_are_ten_and_the_number_of_the_others(render, flavour):
    alerts = [alert(node=f"gpu{number}", index="0") for number in range(200)]
    assert render(f"{flavour}.subject", alerts) == "[critical] AcceleratorMissing: 200 firing, rack r7, cluster west"
    found = render(f"{flavour}.text", alerts)
    assert found.count("- gpu7 has") == 10 and "and 190 more\n" in found and found.count("What to do") == 1 and len(found) < MOST


def test_the_end_is_told_as_such(render):
    assert render("plain.subject", [alert("resolved")]) == "[resolved] gpu7 has 7 of 8 nvidia accelerators"
    both = [alert(node="a"), alert("resolved", node="b")]
    assert render("plain.subject", both) == "[critical] AcceleratorMissing: 1 firing, 1 resolved, rack r7, cluster west"
    assert "node b" not in render("plain.text", both)
    assert "Silence" not in render("plain.text", [alert("resolved")])


HOSTILE = "<script>alert(1)</script> & <!channel> [here](http://evil.example.org)\n\u202e{{ .ExternalURL }} \"`"


@pytest.mark.parametrize("flavour", messages.FLAVOURS)
def test_nothing_that_a_node_says_acts_on_a_receiver_or_makes_a_message_too_long(render, flavour):
    said = HOSTILE
    texts = {name: (said + "ä" * 2000) for name in ANNOTATIONS}
    alerts = [alert(annotations=texts,
                    **{name: said + "x" * 2000 for name in ("node", "index", "pci_bus_id", "rack", "job_id", "cluster", "alertname", "severity")},
                    uuid=str(number)) for number in range(20)]
    subject, found = render(f"{flavour}.subject", alerts), render(f"{flavour}.text", alerts)
    assert "\n" not in subject and "\u202e" not in subject + found
    escaped = 4 if flavour == "slack" else 1  # a receiver counts what it shows
    assert len(subject) < MOST_TITLE * escaped and len(found) + len(subject) < MOST * escaped
    if flavour == "slack":
        assert "<" not in subject + found and "&lt;!channel&gt;" in found and "&amp; " in found
    if flavour in ("discord", "teams"):
        assert "](" not in subject + found
    assert found.count("- ") >= 10 and "and 10 more" in found


@pytest.mark.parametrize("flavour", messages.FLAVOURS)
def test_an_alert_of_the_sites_own_rules_may_lack_everything(render, flavour):
    bare = alert(annotations={}, **{name: None for name in LABELS if name != "alertname"})
    assert render(f"{flavour}.subject", [bare]) == "[firing] AcceleratorMissing"
    assert render(f"{flavour}.text", [bare]).startswith("- AcceleratorMissing, since 2026")


def test_long_names_without_anything_odd_are_no_problem_either(render):
    long = [alert(node="n" * 40, rack="r" * 40, cluster="c" * 40, index="9" * 20, pci_bus_id="p" * 16, job_id="8" * 20, number=str(number),
                  annotations={name: "x" * 2000 for name in ANNOTATIONS}) for number in range(20)]
    found = render("plain.text", long)
    assert len(found) + len(render("plain.subject", long)) < MOST and "Silence: https" in found
    # The longest ones with which a dashboard is linked.
    linked = [{**one, "labels": {**one["labels"], "rack": "r" * 24, "cluster": "c" * 18, "index": "9" * 12, "vendor": "nvidia"}} for one in long]
    found = render("plain.text", linked)
    assert len(found) + len(render("plain.subject", linked)) < MOST and "Silence: https" in found and "Dashboard: https" in found


def test_a_rack_with_a_blank_is_still_a_link(render):
    assert "rack%3D%22row%203%22%2Cnode" in render("plain.text", [alert(rack="row 3")])
    assert "Silence" not in render("plain.text", [alert(rack='"}')])


def link(text):
    """(path, parameters) of the link to a dashboard."""
    address = next(line for line in text.splitlines() if line.startswith("Dashboard: ")).removeprefix("Dashboard: ")
    parts = urllib.parse.urlsplit(address)
    return parts.path, dict(urllib.parse.parse_qsl(parts.query, strict_parsing=True))


@pytest.mark.parametrize("flavour", messages.FLAVOURS)
def test_a_message_links_the_dashboard_of_what_its_alerts_have_in_common(render, flavour):
    def linked(*alerts):
        found = render(f"{flavour}.text", list(alerts))
        return link(html.unescape(found) if flavour == "slack" else found)

    moment = {"time": str(BEGAN), "time.window": "7200000"}
    device = {"var-cluster": "west", "var-node": "gpu7", "var-vendor": "nvidia", "var-index": "3"}
    assert linked(alert(index="3")) == ("/grafana/d/accelmon-accelerator", {**moment, **device})
    assert linked(alert(index="3"), alert(index="4")) == ("/grafana/d/accelmon-node", {**moment, "var-cluster": "west", "var-node": "gpu7"})
    assert linked(alert(node="a"), alert("resolved", node="b")) == ("/grafana/d/accelmon-fleet", {**moment, "var-cluster": "west", "var-rack": "r7"})
    assert linked(alert(index="0000:1b:00.0", cluster="hall 2")) == (
        "/grafana/d/accelmon-accelerator", {**moment, **device, "var-index": "0000:1b:00.0", "var-cluster": "hall 2"})
    assert linked(alert(cluster=None, rack=None, node=None, vendor=None)) == ("/grafana/d/accelmon-fleet", moment)


@pytest.mark.parametrize("flavour", messages.FLAVOURS)
@pytest.mark.parametrize("node", ["a&var-cluster=b", "a](http://evil.example.org)", "n" * 200, "a\nb", "<b>", "%0a"])
def test_no_dashboard_is_linked_for_a_name_that_an_address_cannot_hold_as_it_is(render, flavour, node):
    assert "Dashboard" not in render(f"{flavour}.text", [alert(node=node)])


def test_slack_gets_its_ampersands_escaped(render):
    found = render("slack.text", [alert(index="3")])
    assert "&amp;var-node=gpu7" in found and "&var" not in found


def test_dashboards_that_messages_link_exist_and_have_these_variables():
    found = messages.templates(GRAFANA)
    for name, parameters in re.findall(r"(accelmon-\w+)\?((?:[^{]|{{(?! else| end }}\n| end }}{{ end))*)", found):
        board = json.loads((DASHBOARDS / f"{name.removeprefix('accelmon-')}.json").read_text(encoding="utf-8"))
        asked = set(re.findall(r"var-(\w+)=", parameters))
        assert board["uid"] == name and asked and asked <= {variable["name"] for variable in board["templating"]["list"]}, name


def test_without_grafana_there_is_no_link():
    assert "Dashboard" not in messages.templates() and "Dashboard" in messages.templates("http://mon1:3000")


def test_a_description_is_cut_at_four_hundred_characters(render):
    found = render("plain.text", [alert(annotations={"description": "ä" * 401}), alert(annotations={"description": "b" * 400})])
    assert "ä" * 399 + "…" in found and "ä" * 400 not in found
    assert "b" * 400 in render("plain.text", [alert(annotations={"description": "b" * 400})])
