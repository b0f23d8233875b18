# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks that ask the monitoring hosts, by ansible-playbook, while one of two is dead: they go on with the other, and name the dead one.

Stubbed: the living one is this machine, its Alertmanager a program that keeps silences; nothing is installed, and its storage does not answer. The dead
one has a port of ssh on which nothing listens; ssh itself is the real one.
"""
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = {path.stem: path for path in (ROOT / "playbooks").glob("*.yml")}
DEAD = {"ansible_host": "127.0.0.1", "ansible_port": 1, "accelmon_address": "10.0.0.2"}
LIVING = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable, "accelmon_address": "10.0.0.1"}
LINE = "{}: ssh: nothing listens on its SSH port; start sshd there, or set ansible_port or ansible_host"
JOB = {"accelmon_job": "4711"}
# Playbook to (arguments, what it prints of the living host). All of them end with 0 but those whose living host has a failure to tell.
ASKING = {
    "status": ({}, "mon1: cannot read the registry"),
    "report": ({}, "cannot read the registry"),
    "job_report": (JOB, "mon1: accelmon_job = 4711: "),
    "explain": ({}, "mon1: cannot read the registry"),
    "rehearse_alerts": ({}, "mon1: "),
    "rehearse_drain": ({}, "mon1: "),
    "compare_sources": ({}, "mon1: "),
    "test_notification": ({}, "there are no receivers"),
    "silence": ({"accelmon_silence": "node=gpu1", "accelmon_silence_comment": "new fan"}, "silent until "),
}
FAILING = {"job_report", "test_notification"}


class Alertmanager(http.server.BaseHTTPRequestHandler):
    """The API for silences."""

    def do_GET(self):
        """All of them."""
        self.tell(self.server.silences)

    def do_POST(self):
        """One more."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.silences.append(dict(told, id="1", status={"state": "active"}))
        self.tell({"silenceID": "1"})

    def tell(self, answer):
        """Answer this as JSON."""
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):
        """Say nothing."""


@pytest.fixture(name="alertmanager")
def _alertmanager():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Alertmanager) as server:
        server.silences = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(folder, playbook, arguments, monitoring, alertmanager=None):
    """(exit status, output) of a playbook with these monitoring hosts."""
    # To itself each host is on loopback, without TLS.
    settings = {"victoriametrics_listen": "127.0.0.1", "victoriametrics_port": 9, "vmalert_port": 9, "alertmanager_listen": "127.0.0.1",
                "alertmanager_port": alertmanager.server_port if alertmanager else 9}
    (folder / "inventory.json").write_text(json.dumps({"all": {"children": {
        "accelerator_nodes": {"hosts": {"gpu1": dict(LIVING, accelmon_address="10.0.0.3", accelmon_slurm_controller=True)}},
        "monitoring": {"hosts": monitoring, "vars": settings}}}}))
    limit = ["--limit", "gpu1"] if playbook == "explain" else []
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", str(PLAYBOOKS[playbook]), "-e", json.dumps(arguments), *limit], cwd=str(folder),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False,
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1",
                 ANSIBLE_HOST_KEY_CHECKING="false"))
    return done.returncode, done.stdout


def test_every_playbook_that_asks_all_monitoring_hosts_is_tried_here():
    asking = {name for name, path in PLAYBOOKS.items() for play in yaml.safe_load(path.read_text()) for task in play.get("tasks", [])
              if re.search(r"groups\['monitoring'\]|accelmon_receiving", str(task.get("loop", ""))) and task.get("register") == "accelmon_answers"}
    assert asking == set(ASKING) | {"verify"}, "verify.yml has its own tests"


@pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh")
@pytest.mark.parametrize("playbook", sorted(ASKING))
def test_it_goes_on_with_the_other_and_names_the_dead_one(tmp_path, alertmanager, playbook):
    arguments, words = ASKING[playbook]
    code, printed = run(tmp_path, playbook, arguments, {"mon2": DEAD, "mon1": LIVING}, alertmanager)
    assert code == (2 if playbook in FAILING else 0) and "UNREACHABLE" not in printed and "Traceback" not in printed, printed
    assert LINE.format("mon2") in printed and words in printed, printed
    assert bool(alertmanager.silences) == (playbook == "silence")


@pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh")
@pytest.mark.parametrize("playbook", ["report", "silence", "rehearse_drain"])
def test_without_any_answer_it_fails_with_a_line_for_each(tmp_path, playbook):
    code, printed = run(tmp_path, playbook, ASKING[playbook][0], {"mon1": dict(DEAD, accelmon_address="10.0.0.1"), "mon2": DEAD})
    message = re.search(r'^fatal: .* => .*"msg": ("(?:[^"\\]|\\.)*")', printed, re.MULTILINE)
    assert code == 2 and json.loads(message.group(1)) == "\n".join(map(LINE.format, ("mon1", "mon2"))), printed


def test_what_a_module_says_itself_is_told_in_its_own_words(tmp_path):
    """Its Alertmanager does not listen; that is no trouble of ssh."""
    code, printed = run(tmp_path, "silence", {"accelmon_silence_action": "list"}, {"mon1": LIVING})
    assert code == 2 and "mon1: answer: cannot reach the alertmanager at http://127.0.0.1:9" in printed and "SSH" not in printed, printed
