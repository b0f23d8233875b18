# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Alertmanager with our configuration: what arrives where, and what does not.

Needs prometheus-alertmanager and its share folder from Debian's package in ACCELMON_PROGRAMS, and mount namespaces: the program reads its own
templates at a fixed place. Stubbed: the receivers, by a web server and a mail server that keep what they get. guessed: the alerts.
"""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import drain
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import alertmanager, choices
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import chosen
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters import signals
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import routes
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually

PROGRAMS = pathlib.Path(os.environ.get("ACCELMON_PROGRAMS", "/nonexistent"))
SHARE = PROGRAMS.parent / "share"
SINKS = pathlib.Path(__file__).parents[4] / "molecule/shared/tests/sinks.py"
SILENCES = pathlib.Path(__file__).parents[4] / "roles/alertmanager/files/accelmon_alertmanager_silences.py"


def namespaces():
    """Whether this machine lets us mount something for one program alone."""
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "-rm", "mount", "--bind", SHARE, "/usr/share"], check=False, stderr=subprocess.DEVNULL).returncode == 0


pytestmark = pytest.mark.skipif(not (SHARE / "prometheus" / "alertmanager").exists() or not namespaces(),
                                reason="no prometheus-alertmanager with its share folder (ACCELMON_PROGRAMS), or no mount namespaces")


def loaded(path):
    """A program of the tests, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sinks:
    """Receivers that keep what they get: {path: [body]}, and mails. What is below /bad/ is refused."""

    def __init__(self):
        self.got, self.mails = {}, []
        self.servers = loaded(SINKS).started(self.keep, ("127.0.0.1", 0), ("127.0.0.1", 0))
        self.web, self.mail = (f"127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def keep(self, path, body):
        (self.mails if path == "mail" else self.got.setdefault(path, [])).append(body)


def each_type(sinks):
    """Options with a receiver of each type."""
    web = f"http://{sinks.web}"
    return {"group_wait": "2s", "watchdog_urls": [f"{web}/heartbeat"], "receivers": [
        {"name": "slack", "type": "slack", "api_url": f"{web}/slack"}, {"name": "discord", "type": "discord", "webhook_url": f"{web}/discord"},
        {"name": "telegram", "type": "telegram", "bot_token": "12:S3cret", "chat_id": -5, "settings": {"api_url": web}},
        {"name": "teams", "type": "msteams", "webhook_url": f"{web}/teams"}, {"name": "hook", "type": "webhook", "url": f"{web}/hook"},
        {"name": "pager", "type": "pagerduty", "routing_key": "S3cret", "settings": {"url": f"{web}/pager"}},
        {"name": "mail", "type": "email", "to": "ops@example.org", "from": "gpu@example.org", "smarthost": sinks.mail, "require_tls": False},
        {"name": "bad", "type": "slack", "api_url": f"{web}/bad/S3cret", "match": {"team": "nobody"}},
        {"name": "away", "type": "webhook", "url": "http://127.0.0.1:1/S3cret", "match": {"team": "nobody"}}]}


class Running:
    """An Alertmanager with these options."""

    def __init__(self, folder, options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.log_file = f"http://127.0.0.1:{self.port}", folder / "log"
        written = routes.written(options, None)
        for path, text in [("alertmanager.yml", written["config"])] + [(os.path.basename(one["path"]), one["content"]) for one in written["templates"]]:
            (folder / path).write_text(text, encoding="utf-8")
        with self.log_file.open("w") as log:
            # exec, so that the process is Alertmanager itself.
            self.process = subprocess.Popen(
                ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', SHARE, PROGRAMS / "prometheus-alertmanager",
                 f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        try:
            eventually(self.ready)
        except AssertionError:
            self.process.kill()
            raise AssertionError(self.log_file.read_text()) from None

    def ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5)
        except OSError:
            return None

    def post(self, *alerts):
        api = alertmanager.Api([self.url], 5, Access())
        api.ask("/api/v2/alerts", list(alerts))
        return api

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def sinks():
    made = Sinks()
    yield made
    for server in made.servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def running(sinks, tmp_path_factory):
    made = Running(tmp_path_factory.mktemp("alertmanager"), each_type(sinks))
    yield made
    made.stop()


def alert(name, severity="critical", **labels):
    return {"labels": {"alertname": name, "severity": severity, "cluster": "west", **labels},
            "annotations": {"summary": f"{labels.get('node')} <b> & broken", "description": "d" * 2000, "action": "Drain it.\n@everyone <!here>"}}


def test_two_hundred_devices_of_a_rack_are_one_message_that_every_receiver_takes(running, sinks):
    running.post(*(alert("Lost", rack="r7", node=f"gpu{number // 8}", index=str(number % 8), scope="device") for number in range(200)))
    telegram = "/bot12:S3cret/sendMessage"
    eventually(lambda: len({"/slack", "/discord", telegram, "/teams", "/hook", "/pager"} & set(sinks.got)) == 6 and sinks.mails)
    time.sleep(3)  # a second message would come now
    told = {path: [json.loads(body) for body in bodies] for path, bodies in sinks.got.items()}
    assert {path: len(bodies) for path, bodies in told.items()} == dict.fromkeys(["/slack", "/discord", telegram, "/teams", "/hook", "/pager"], 1)
    assert len(sinks.mails) == 1
    assert len(told["/hook"][0]["alerts"]) == 200 and told["/hook"][0]["truncatedAlerts"] == 0
    (attachment,) = told["/slack"][0]["attachments"]
    (embed,) = told["/discord"][0]["embeds"]
    text = told[telegram][0]["text"]
    event = told["/pager"][0]["payload"]
    for body in (attachment["text"], embed["description"], text, event["custom_details"]["firing"], json.dumps(told["/teams"])):
        assert body.count("broken, node gpu") == 10 and "and 190 more" in body and "What to do: Drain it." in body and len(body) < 4096
    assert attachment["title"] == embed["title"] == event["summary"] == "[critical] Lost: 200 firing, rack r7, cluster west"
    assert "<b>" not in attachment["text"] and "&lt;!here&gt;" in attachment["text"] and "parse_mode" not in told[telegram][0]
    assert event["severity"] == "critical" and event["group"] == "r7" and len(sinks.got["/teams"][0]) < 28 * 1024
    assert "Subject: [critical] Lost: 200 firing, rack r7, cluster west" in sinks.mails[0] and "and 190 more" in sinks.mails[0]


MUTED = [
    # What is muted, by what.
    (alert("ExporterDown", "warning", node="n1", scope="exporter", job="j"), alert("HostDown", node="n1", scope="node"), True),
    (alert("ExporterDown", "warning", node="n2", scope="exporter", job="j"), alert("HostDown", node="n1", scope="node"), False),
    (alert("RackHot", "warning", rack="r1", scope="rack"), alert("HostDown", node="n1", rack="r1", scope="node"), False),
    (alert("FleetOdd", "warning", scope="fleet"), alert("HostDown", scope="node"), False),
    (alert("Hot", "warning", node="n3", vendor="amd", index="1"), alert("Hot", node="n3", vendor="amd", index="1"), True),
    (alert("Hot", "warning", node="n3", vendor="amd", index="2"), alert("Hot", node="n3", vendor="amd", index="1"), False),
    (alert("Hot", "warning", node="n3", vendor="amd", index="3"), alert("Cold", node="n3", vendor="amd", index="3"), False),
    (alert("Error", "warning", node="n3", pci_bus_id="0000:01:00.0"), alert("Error", node="n3", pci_bus_id="0000:01:00.0"), True),
    (alert("Error", "warning", node="n4", pci_bus_id="0000:01:00.0"), alert("Error", node="n4", pci_bus_id="0000:02:00.0"), False),
    (alert("NodeFull", "warning", node="n3", mountpoint="/a"), alert("NodeFull", node="n3", mountpoint="/b"), False),
    (alert("AcceleratorErrorWarning", "warning", node="n7", rack="r7"), alert("AcceleratorErrorStorm", rack="r7", scope="rack"), True),
    (alert("AcceleratorErrorFatal", node="n7", rack="r7"), alert("AcceleratorErrorStorm", rack="r7", scope="rack"), False),
    (alert("AcceleratorErrorWarning", "warning", node="n8", rack="r8"), alert("AcceleratorErrorStorm", rack="r7", scope="rack"), False),
    (alert("HostDown", node="n5", scope="node", rack="r5"), alert("FleetLost", scope="fleet"), True),
    ({**alert("HostDown", node="n6", scope="node"), "labels": {**alert("HostDown", node="n6")["labels"], "cluster": "east"}},
     alert("FleetLost", scope="fleet"), False),
]


def test_what_mutes_what(running):
    api = running.post(*(one for muted, by, _wanted in MUTED for one in (muted, by)))
    eventually(lambda: "unprocessed" not in {one["status"]["state"] for one in json.loads(api.ask("/api/v2/alerts"))})
    states = {json.dumps(one["labels"], sort_keys=True): one["status"]["state"] for one in json.loads(api.ask("/api/v2/alerts"))}
    for muted, by, wanted in MUTED:
        assert (states[json.dumps(muted["labels"], sort_keys=True)] == "suppressed") == wanted, (muted["labels"], by["labels"])


@pytest.mark.parametrize("name,integration,error", [
    ("slack", "slack", None), ("mail", "email", None), ("hook", "webhook", None), ("watchdog-1", "webhook", None),
    ("bad", "slack", "unexpected status code 404"), ("away", "webhook", "connection refused")])
def test_a_test_tells_what_became_of_it(running, name, integration, error):
    before = len(running.log_file.read_text())  # what was logged of other tests is not of this one
    found = alertmanager.deliver(alertmanager.Api([running.url], 5, Access()), name, integration, "mon1",
                                 lambda _since: running.log_file.read_text()[before:], 30)
    assert found["delivered"] == (error is None), found
    assert (error or "") in found["error"] and "S3cret" not in found["error"], found


def test_a_silence_is_there_once_and_then_no_more(running):
    api = alertmanager.Api([running.url], 5, Access())
    assert [alertmanager.create(api, {"node": "gpu7"}, "new fan", "ada", length)[0] for length in (3600, 3600, 7200)] == [True, False, True]
    assert len(api.silences()) == 1 and re.match(r"20\d\d-", alertmanager.shown(api.silences()[0])["ends"])
    assert [alertmanager.expire(api, {"node": "gpu7"})[0] for _time in range(2)] == [True, False] and not api.silences()


def published(running, folder):
    """The silences that are known where the program's file has come to."""
    output = folder / "accelmon_alertmanager_silences.prom"
    subprocess.run([sys.executable, "-IS", SILENCES, f"--output={output}", f"--url={running.url}", "--node=mon1"], check=True, timeout=60)
    rows = re.findall(r'\{node="(.*?)"(?:,matchers="(.*)")?\} (.*)', output.read_text())
    return drain.known_silences([({"node": node, **({"matchers": json.loads(f'"{told}"')} if told else {})}, float(at)) for node, told, at in rows],
                                time.time())


@pytest.mark.parametrize("matchers", [
    [("node", "gpu7.x", False, True)], [("node", "gpu7", False, True)], [("node", "gpu7", False, False), ("alertname", "Lost", False, True)],
    [("node", "gpu[78][.]x", True, True)], [("node", "gpu7", True, True)], [("node", "gpu7|gpu7[.]x", True, True)], [("node", "(?i)GPU7.*", True, True)],
    [("node", "gpu7.*", True, False), ("cluster", "west", False, True)], [("node", "gpu8.*", True, False), ("cluster", "we.t", True, True)],
    [("node", "gpu7.x", False, True), ("severity", "info", False, True)], [("integration", "slack", False, True)], [("integration", "s.?", True, True)],
    [("integration", "slack", False, False), ("node", "gpu7.x", False, True)], [("node", "\\\\d+", True, False), ("alertname", "Lost", False, True)],
    [("alertname", "Lost", False, True), ("code", 'a"b\n\\ü', False, True)]], ids=str)
def test_a_silence_is_published_and_about_the_alerts_that_alertmanager_says(running, tmp_path, matchers):
    labels = {"node": "gpu7.x", "code": 'a"b\n\\ü'}
    api = running.post(alert("Lost", **labels))
    before = published(running, tmp_path)
    wanted = [dict(zip(("name", "value", "isRegex", "isEqual"), one)) for one in matchers]
    made = json.loads(api.ask("/api/v2/silences", {
        "matchers": wanted, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2199-01-01T00:00:00Z", "createdBy": "ada", "comment": "fan"}))["silenceID"]
    known = published(running, tmp_path)
    (added,) = [one for one in known if one not in before]
    assert sorted(added, key=str) == sorted(wanted, key=str)
    found = [one for one in json.loads(api.ask("/api/v2/alerts")) if one["labels"].get("code") == labels["code"]]
    assert len(found) == 1 and drain.is_about(added, found[0]["labels"]) == (made in found[0]["status"]["silencedBy"])
    api.ask("/api/v2/silence/" + made, method="DELETE")
    assert published(running, tmp_path) == before


# ---- receivers that somebody chose ----

MODULE = pathlib.Path(__file__).parents[4] / "plugins/modules/fleet_secrets.py"


def changed(folder, declared, document, now, **arguments):
    """The choices after change_channel.yml, whose secret is kept in a folder."""
    told = {"inventory_hostname": "localhost", "accelmon_change_reason": "test", **{f"accelmon_change_{word}": value for word, value in arguments.items()}}
    found = chosen.changed_channel(document, told, declared, "ada", now)["document"]
    stored(folder, chosen.channel_secrets(told, declared, document["channels"], found["channels"]))
    return found


def stored(folder, channels):
    """What fleet_secrets tells of its store in a folder, after it has kept these secrets."""
    arguments = {"passwords": {}, "channels": channels, "state_dir": str(folder / "secrets"), "registry_dir": str(folder), "witness": str(folder / "none")}
    done = subprocess.run([sys.executable, MODULE], text=True, capture_output=True, check=True, input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    return json.loads(done.stdout)["encoded"]


def test_chosen_receivers_deliver_until_they_end_and_then_those_of_the_inventory_do(sinks, tmp_path):
    web = f"http://{sinks.web}/chosen"
    declared = [{"name": name, "type": "webhook", "url": f"{web}/{name}"} for name in ("same", "moved", "paused")]
    began = time.time() - 40  # so that the shortest choice ends at a full minute, twenty seconds from now at least
    document = changed(tmp_path, declared, choices.empty(), began, channel="moved", channel_type="webhook", channel_secret=f"{web}/aside", until="1m")
    document = changed(tmp_path, declared, document, began, channel="added", channel_type="webhook", channel_secret=f"{web}/added", until="1m")
    document = changed(tmp_path, declared, document, began, channel="paused", channel_state="absent", until="1m")
    found = signals.chosen_receivers(declared, {"localhost": {}}, {"document": document}, stored(tmp_path, {}), ["package", "", {}])
    assert found["problems"] == [] and "chosen" not in json.dumps(document)

    running = Running(tmp_path, {"group_wait": "0s", "group_interval": "2s", "receivers": found["receivers"], "later": found["later"]})
    try:
        def told(name):
            return sorted(path.rpartition("/")[2] for path, bodies in sinks.got.items() if "/chosen/" in path for body in bodies if name in body)

        api = running.post(alert("Lost", node="n1"))
        eventually(lambda: len(told("Lost")) == 3)
        delivered = alertmanager.deliver(api, "moved", "webhook", "mon1", lambda _since: running.log_file.read_text(), 10)
        assert delivered["delivered"] and told("NotificationTest") == ["aside"], delivered
        assert told("Lost") == ["added", "aside", "same"]
        (end,) = {one["until"] for one in document["channels"].values()}
        assert time.time() < end, "this machine is too slow to see anything"
        time.sleep(end - time.time())
        # Who returns is told what still is so, and who was told is not told again.
        eventually(lambda: {"moved", "paused"} <= set(told("Lost")))
        time.sleep(3)  # a second message would come now
        assert told("Lost") == ["added", "aside", "moved", "paused", "same"]
        running.post(alert("Hot", node="n1"))
        eventually(lambda: len(told("Hot")) >= 3)
        assert told("Hot") == ["moved", "paused", "same"]
    finally:
        running.stop()
