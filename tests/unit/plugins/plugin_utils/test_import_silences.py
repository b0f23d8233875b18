# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Silences of another Alertmanager as calls of silence.yml. Stubbed: an Alertmanager, by a server on this machine that answers one path."""
import base64
import http.server
import json
import pathlib
import re
import shlex
import subprocess
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats
from ansible_collections.accelmon.fleet.plugins.plugin_utils.imports import history, scrape_jobs, silences

FILE = pathlib.Path(__file__).resolve().parents[3] / "fixtures/imports/silences.json"
TARGETS = {"gpu1.example.org": {"10.0.1.1:9100"}}


def silence(*matchers, **more):
    return {"matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in matchers], "startsAt": "2026-11-01T00:00:00.000Z",
            "endsAt": "2099-01-01T00:00:00.000Z", "createdBy": "ada", "comment": "c", "status": {"state": "active"}, **more}


def of(*found, **known):
    findings = scrape_jobs.Findings()
    return silences.Silences(list(found), "s.json", findings, **known), findings


def calls(text):
    """[(words of the shell)] of the calls in a script."""
    return [shlex.split(line) for line in text.splitlines() if line.startswith("ansible-playbook ")]


def test_a_file_of_silences():
    findings = scrape_jobs.Findings()
    found = silences.Silences(silences.read(str(FILE), ""), str(FILE), findings, TARGETS, {"GpuTooHot": {"severity", "owner"}})
    assert (found.total, found.expired, len(found.calls)) == (5, 1, 2)
    assert found.calls[0] == {"labels": {"alertname": "HostDown", "node": "gpu1.example.org"}, "comment": "it's the fan (( x ))",
                              "by": "ada", "ends": "2099-01-01T00:00:00Z"}
    whys = [why for dummy, why in findings.left]
    assert whys[0].startswith('silence 3: rack=~"r1|r2": silence.yml silences labels with one value each, not rack=~')
    assert whys[1].startswith('silence 4: namespace="kube-system": alerts have no label namespace here; use alertname, ')


def test_the_script_says_what_silence_yml_takes_and_runs_nothing_else(tmp_path):
    found, dummy = of(silence(("alertname", "HostDown"), ("rack", "a'; touch x; '")), silence(("node", "$(touch x)`id`\\"), comment="a\n{{ b }}"))
    script = found.text()
    for words in calls(script):
        asked = json.loads(words[words.index("-e") + 1])
        assert asked["accelmon_silence"] in [call["labels"] for call in found.calls]
        for name, value in asked.items():
            formats.read(name, value)
    (tmp_path / "ansible-playbook").write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
    (tmp_path / "ansible-playbook").chmod(0o755)
    (tmp_path / "silences.sh").write_text(script)
    done = subprocess.run(["sh", "silences.sh", "-i", "mine"], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True,
                          check=True)
    said = done.stdout.splitlines()
    assert said[:4] == ["-i", "mine", "accelmon.fleet.silence", "-e"] and re.match(r"accelmon_silence_for=\d+m$", said[6]) and len(said) == 14
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ansible-playbook", "silences.sh"]


@pytest.mark.parametrize("one,why", [
    (silence(("alertname", "NoSuch")), "there is no alert NoSuch here"), (silence(("pod", "x")), "alerts have no label pod here"),
    (silence(("node", "gpu9")), "gpu9 is no host of the proposed inventory"), (silence(("instance", "a:1")), "no target has the instance a:1 here"),
    (silence(("node", "{{ x }}")), "the value of node is a template"),
    (silence(("node", "gpu1.example.org"), startsAt="2098-01-01T00:00:00.000Z"), "it begins later"),
    (silence(("node", "a\nb")), "a line break"), (silence(), "not what Alertmanager writes"),
    ({}, "not what Alertmanager writes"), ("x", "not what Alertmanager"),
    (silence(("node", 7)), "not what Alertmanager writes"), (silence(("a-b", "c")), "a-b is not a label name"),
    (silence(("node", "x"), comment=7), "not what Alertmanager writes"),
])
def test_what_cannot_be_said_is_left_out_with_the_reason(one, why):
    found, findings = of(one, targets=TARGETS)
    assert not found.calls and len(findings.left) == 1 and why in list(findings.left)[0][1]
    assert "\n" not in list(findings.left)[0][1] and "{{" not in list(findings.left)[0][1]


@pytest.mark.parametrize("text,why", [("{}", "not a list of silences"), ("[", "s.json:1: not JSON"), ("[" * 100000, "nested too deeply")])
def test_a_file_of_something_else(tmp_path, text, why):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(Problem, match=why):
        silences.read(str(tmp_path / "s.json"), "")


class Alertmanager(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(200 if self.path == "/am/api/v2/silences" else 404)
        self.end_headers()
        self.wfile.write(FILE.read_bytes())

    def log_message(self, *dummy):
        pass


@pytest.mark.parametrize("login,header", [("", None), ("ada:s3cret\n", "Basic " + base64.b64encode(b"ada:s3cret").decode()), ("t0ken", "Bearer t0ken")])
def test_an_alertmanager_is_asked_with_what_the_file_holds(tmp_path, login, header):
    (tmp_path / "login").write_text(login)
    with http.server.HTTPServer(("127.0.0.1", 0), Alertmanager) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = silences.read(f"http://127.0.0.1:{server.server_port}/am/", str(tmp_path / "login") if login else "")
        with pytest.raises(Problem, match="answers HTTP 404.*; save the output of amtool silence query"):
            silences.read(f"http://127.0.0.1:{server.server_port}/", "")
        server.shutdown()
    assert len(found) == 5 and server.asked[0] == ("/am/api/v2/silences", header)


@pytest.mark.parametrize("login", ["", "a b", "a\nb", "ä"])
def test_a_file_without_credentials_is_refused_without_showing_it(tmp_path, login):
    (tmp_path / "login").write_text(login)
    with pytest.raises(Problem, match="accelmon_import_login_file = /.*: it does not hold user:password or a token in one line"):
        silences.read("http://127.0.0.1:9/", str(tmp_path / "login"))
    with pytest.raises(Problem, match="not a readable file on the control node"):
        silences.read("http://127.0.0.1:9/", str(tmp_path / "none"))


def test_the_password_of_the_history_is_no_argument(tmp_path):
    script = history.script("/srv/it's a snapshot", "west")
    (tmp_path / "vmctl").write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\necho "$VM_USERNAME:$VM_PASSWORD"\n')
    (tmp_path / "vmctl").chmod(0o755)
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "history.sh").write_text(script.replace("/etc/accelmon/secrets/stack_password", "password"))
    done = subprocess.run(["sh", "history.sh", "-s"], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["prometheus", "--prom-snapshot=/srv/it's a snapshot", "--vm-addr=http://127.0.0.1:8428",
                                        "--vm-extra-label=cluster=west", "-s", "accelmon:s3cret"]
