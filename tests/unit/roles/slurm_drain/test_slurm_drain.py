# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that drains nodes, run as its unit runs it. Stubbed: scontrol, by a script, and the storage, by a server that gives canned answers.

What is decided is tested in test_drain.py.
"""
import fcntl
import http.server
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / "roles/slurm_drain/files/accelmon_slurm_drain.py"
SERIES = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\n]*",?)*)\})? (-?[0-9.e+-]+)\Z')
NODES = "".join("NodeName=n%d State=IDLE Partitions=train\n" % number for number in range(1, 41))
# scontrol as far as the program uses it: nodes lie in nodes.txt, a line each.
SCONTROL = """#!/bin/sh
cd '%s'
echo "$*" >> calls.txt
test ! -e hook || . ./hook
case "$*" in
*"show node n"*) for name; do :; done; grep "^NodeName=$name " nodes.txt;;
*"show node"*) cat nodes.txt;;
update*) sed -i "s|^\\(NodeName=${2#NodeName=} State=[A-Z]*\\) .*|\\1+DRAIN Partitions=train $4 [slurm@2026-11-28T06:02:12]|" nodes.txt;;
esac
"""


class Storage:
    """Answers each query with the rows it was given."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.asked.append((self.path, self.headers.get("Authorization"), body))
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.text(body).encode())

            def log_message(self, *_ignored):
                pass

        self.rows, self.silences, self.status, self.asked, self.raw = [], [], 200, [], None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def text(self, body):
        """The answer."""
        if self.raw is not None:
            return self.raw
        rows = self.silences if "query=which+silences" in body else self.rows
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": labels, "value": [time.time(), str(value)]} for labels, value in rows]}})


class Controller:
    """A folder with scontrol and the program's files."""

    def __init__(self, folder, storage):
        self.folder, self.storage, self.output = folder, storage, folder / "accelmon_slurm_drain.prom"
        (folder / "scontrol").write_text(SCONTROL % folder)
        (folder / "scontrol").chmod(0o755)
        self.nodes(NODES)
        (folder / "verdicts.json").write_text('{"query": "the query", "silences": "which silences", "causes": ["error", "links"]}')
        (folder / "password").write_text("s3cret\n")

    def nodes(self, text):
        """Let Slurm have these nodes."""
        (self.folder / "nodes.txt").write_text(text)

    def run(self, mode="drain", *more, urls=None):
        """(exit status, {(name, labels): value}, lines of stderr)."""
        argv = [sys.executable, "-IS", str(PROGRAM), "--output", str(self.output), "--state", str(self.folder / "state.json"), "--mode", mode,
                "--scontrol", str(self.folder / "scontrol"), "--verdicts", str(self.folder / "verdicts.json"), "--user", "u", "--password-file",
                str(self.folder / "password"), *more]
        for url in urls or [self.storage.url]:
            argv += ["--storage", url]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"})
        found = {}
        for line in self.output.read_text().splitlines() if self.output.exists() else ():
            if not line.startswith("#"):
                match = SERIES.match(line)
                assert match, line
                found[match.group(1), match.group(2) or ""] = float(match.group(3))
        return done.returncode, found, done.stderr.splitlines()

    def updates(self):
        """What Slurm was asked to change."""
        calls = self.folder / "calls.txt"
        return [line for line in (calls.read_text().splitlines() if calls.exists() else []) if line.startswith("update")]


@pytest.fixture(name="storage")
def _storage():
    made = Storage()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(name="controller")
def _controller(tmp_path, storage):
    return Controller(tmp_path, storage)


def row(node, since=None, **labels):
    """A verdict as the storage has it."""
    return dict({"node": node, "cause": "error", "index": "3", "kind": "xid", "code": "79"}, **labels), since or int(time.time()) - 60


def decided(found):
    """The labels of all decisions."""
    return {labels for name, labels in found if name == "slurm_node_drain_decision_info"}


def test_a_node_is_drained_once_and_everything_says_so(controller, storage):
    storage.rows = [row("n7")]
    status, found, said = controller.run()
    assert status == 0 and len(said) == 1 and re.match(r"n7: drained for error: accelmon: error gpu=3 xid-79 20\d\d-", said[0])
    reason = said[0].partition(": accelmon")[2]
    assert controller.updates() == ["update NodeName=n7 State=DRAIN Reason=accelmon" + reason]
    assert "n7 State=IDLE+DRAIN Partitions=train Reason=accelmon:" in (controller.folder / "nodes.txt").read_text()
    assert decided(found) == {'node="n7",action="drain",cause="error",why=""'}
    assert found["slurm_drain_decisions_total", 'action="drain",cause="error"'] == 1 and found["slurm_drain_acting", ""] == 1
    assert {value for (name, dummy), value in found.items() if name == "slurm_drain_blocked"} == {0}
    assert found["slurm_drain_success", 'query="nodes"'] == found["slurm_drain_success", 'query="verdicts"'] == 1
    assert found["slurm_drain_success", 'query="silences"'] == 1
    assert storage.asked == [("/api/v1/query", "Basic dTpzM2NyZXQ=", "query=%s&latency_offset=1s" % query) for query in ("the+query", "which+silences")]
    status, found, said = controller.run()
    assert (status, said, len(controller.updates())) == (0, [], 1)
    assert decided(found) == {'node="n7",action="kept",cause="error",why=""'}
    assert found["slurm_drain_decisions_total", 'action="kept",cause="error"'] == 0


def test_a_person_resumes_it_and_has_the_last_word(controller, storage):
    storage.rows = [row("n7")]
    controller.run()
    controller.run()
    controller.nodes(NODES)
    for number in range(2):
        found, said = controller.run()[1:]
        assert said == ["n7: left alone (resumed) for error"][number:] and len(controller.updates()) == 1
        assert decided(found) == {'node="n7",action="left",cause="error",why="resumed"'}


def test_observing_changes_nothing(controller, storage):
    storage.rows = [row("n7")]
    found, said = controller.run("observe")[1:]
    assert said[0].startswith("n7: would be drained for error: accelmon: error gpu=3") and found["slurm_drain_acting", ""] == 0
    assert controller.run("observe")[2] == [] and controller.updates() == []
    assert controller.run("drain")[2][0].startswith("n7: drained for error")


def test_limits_are_said(controller, storage):
    storage.rows = [row("n%d" % number) for number in range(1, 5)]
    found, said = controller.run()[1:]
    assert sorted(said) == ["n%d: not drained, the limit mass is reached for error" % number for number in range(1, 5)]
    assert found["slurm_drain_blocked", 'limit="mass"'] == 4 and not controller.updates()


def test_a_node_that_somebody_drains_in_between_is_left(controller, storage):
    storage.rows = [row("n7")]
    (controller.folder / "hook").write_text('case "$*" in *"show node n7") sed -i "s|^NodeName=n7 State=IDLE|&+DRAIN|" nodes.txt;; esac\n')
    assert controller.run()[2] == ["n7: left alone (theirs) for error"] and controller.updates() == []


@pytest.mark.parametrize("hook, why", [
    ('case "$*" in update*) echo "slurm_update error: Invalid user id" >&2; exit 1;; esac', "denied"),
    ('case "$*" in update*) sleep 60;; esac', "timeout"),
    ('case "$*" in *"show node n7") exit 1;; esac', "failed"),
])
def test_slurm_refuses(controller, storage, hook, why):
    storage.rows = [row("n7")]
    (controller.folder / "hook").write_text(hook + "\n")
    found, said = controller.run("drain", "--timeout", "2")[1:]
    assert said[-1] == "n7: could not be drained (%s) for error" % why
    assert decided(found) == {'node="n7",action="failed",cause="error",why="%s"' % why}
    (controller.folder / "hook").unlink()
    assert controller.run()[2][0].startswith("n7: drained for error"), "it is tried again"


def test_a_run_that_is_killed_does_not_drain_again_what_somebody_resumed(controller, storage):
    storage.rows = [row("n7")]
    (controller.folder / "hook").write_text('case "$*" in update*) kill -9 $PPID; exit 1;; esac\n')
    assert controller.run()[0] == -9
    (controller.folder / "hook").unlink()
    assert controller.run()[2] == ["n7: left alone (resumed) for error"]


@pytest.mark.parametrize("text, status", [
    (None, 401), ("", 200), ("<html>", 200), ("[]", 200), ('{"status": "error"}', 200),
    ('{"status": "success", "data": {"resultType": "matrix", "result": []}}', 200),
    ('{"status": "success", "isPartial": true, "data": {"resultType": "vector", "result": []}}', 200),
    ('{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": []}]}}', 200),
])
def test_a_blind_store_decides_nothing(controller, storage, text, status):
    storage.rows = [row("n7")]
    controller.run()
    before = controller.run()[1]
    controller.nodes(NODES)
    storage.raw, storage.status = text, status
    code, found, said = controller.run()
    assert code == 0 and len(controller.updates()) == 1 and said[-1] == "no verdicts: unreachable; nothing is decided"
    assert decided(found) == set() and found["slurm_drain_success", 'query="verdicts"'] == 0 and found["slurm_drain_success", 'query="nodes"'] == 1
    assert found["slurm_drain_success", 'query="silences"'] == 0
    last = "slurm_drain_last_success_timestamp_seconds", ""
    assert found[last] == before[last] > 0
    storage.raw, storage.status = None, 200
    assert controller.run()[2] == ["n7: left alone (resumed) for error"], "what was done is not forgotten"


def test_an_empty_store_decides_nothing(controller):
    status, found, said = controller.run()
    assert (status, said, decided(found)) == (0, [], set()) and found["slurm_drain_success", 'query="verdicts"'] == 1


def test_two_stores_have_to_agree_and_one_may_be_away(controller, storage):
    storage.rows = [row("n7"), row("n8")]
    other = Storage()
    other.rows = [row("n8")]
    assert decided(controller.run("observe", urls=[storage.url, other.url])[1]) == {'node="n8",action="observe",cause="error",why=""'}
    other.server.shutdown()
    other.server.server_close()
    found, said = controller.run("observe", urls=[storage.url, other.url])[1:]
    assert len(decided(found)) == 2 and any(other.url in line for line in said)


def silence(node, host="mon1", ago=10):
    """What a monitoring host tells of a silence."""
    text = json.dumps([{"name": "node", "value": node, "isRegex": False, "isEqual": True}])
    return [({"node": host, "matchers": text}, time.time() - ago)]


def look(host="mon1", ago=10):
    """What it tells of its last look at them."""
    return [({"node": host}, time.time() - ago)]


def test_a_silence_keeps_a_node_until_it_ends(controller, storage):
    storage.rows, storage.silences = [row("n7"), row("n8")], silence("n7") + look()
    found, said = controller.run()[1:]
    assert said[0] == "n7: left alone (silenced) for error" and said[1].startswith("n8: drained for error")
    assert 'node="n7",action="left",cause="error",why="silenced"' in decided(found)
    storage.silences = silence("n7", ago=200) + look()
    assert controller.run()[2][0].startswith("n7: drained for error")


def test_a_silence_has_the_inventorys_name_of_the_node(controller, storage):
    (controller.folder / "names.json").write_text('{"n7": "n7.example.org"}')
    storage.rows, storage.silences = [row("n7.example.org")], silence("n7.example.org") + look()
    assert controller.run("drain", "--names", str(controller.folder / "names.json"))[2] == ["n7: left alone (silenced) for error"]


def test_the_silence_of_one_storage_is_enough(controller, storage):
    storage.rows = [row("n7")]
    other = Storage()
    other.rows, other.silences = storage.rows, silence("n7", "mon2") + look("mon2")
    storage.silences = look("mon1")
    try:
        assert controller.run(urls=[storage.url, other.url])[2] == ["n7: left alone (silenced) for error"]
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_nothing_is_decided_while_nobody_knows_the_silences(controller, storage):
    storage.rows, storage.silences = [row("n7")], silence("n8", ago=700) + look(ago=700)
    status, found, said = controller.run()
    assert status == 0 and said == ["no silences: no monitoring host has reached its Alertmanager for 10 minutes; nothing is decided"]
    assert {query: found["slurm_drain_success", 'query="%s"' % query] for query in ("verdicts", "silences", "nodes")} == {
        "verdicts": 1, "silences": 0, "nodes": 1}
    assert decided(found) == set() and found["slurm_drain_last_success_timestamp_seconds", ""] == 0 and not controller.updates()
    storage.silences = []
    assert controller.run()[2][0].startswith("n7: drained for error"), "nobody has ever told of silences"


def test_slurmctld_is_away(controller, storage):
    storage.rows = [row("n7")]
    (controller.folder / "hook").write_text('echo "Unable to contact slurm controller (connect failure)" >&2; exit 1\n')
    found, said = controller.run()[1:]
    assert said[-1] == "no nodes: unreachable; nothing is decided" and found["slurm_drain_success", 'query="nodes"'] == 0
    assert decided(found) == set()


@pytest.mark.parametrize("text", ["", "[]", '{"past": [{}]}', '{"past": [], "said": {}, "counts": [], "success": "x"}'])
def test_nothing_is_drained_if_nobody_knows_what_was_done(controller, storage, text):
    storage.rows = [row("n7")]
    (controller.folder / "state.json").write_text(text)
    status, found, said = controller.run()
    assert status == 1 and not found and not controller.updates() and "state.json: damaged" in said[0]


def test_one_run_at_a_time(controller, storage):
    storage.rows = [row("n7")]
    with open(controller.folder / "state.json.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert controller.run()[0] == 1 and not (controller.folder / "calls.txt").exists()


def test_names_and_strangers(controller, storage):
    """Slurm's names are short; a cause that nobody declared, and rows that are none, drain nothing."""
    (controller.folder / "names.json").write_text('{"n7": "n7.example.org"}')
    storage.rows = [row("n7.example.org"), row("n8", cause="other"), row(""), ({}, 5), row("n9 State=DOWN"), row("n10", since=-1)]
    found = controller.run("drain", "--names", str(controller.folder / "names.json"))[1]
    assert decided(found) == {'node="n7.example.org",action="drain",cause="error",why=""', 'node="n9 State=DOWN",action="left",cause="error",why="unknown"'}
    assert [line.split()[1] for line in controller.updates()] == ["NodeName=n7"]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_storage_over_tls_has_to_be_the_right_one(controller, storage, tmp_path, trusted):
    for name in ("own", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / (name + ".key")), "-out", str(tmp_path / (name + ".crt"))],
                       check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.crt", tmp_path / "own.key")
    storage.server.socket = context.wrap_socket(storage.server.socket, server_side=True)
    storage.rows = [row("n7")]
    found = controller.run("drain", "--ca", str(tmp_path / ("own.crt" if trusted else "other.crt")), urls=[storage.url.replace("http:", "https:")])[1]
    assert len(controller.updates()) == trusted == found["slurm_drain_success", 'query="verdicts"']
    assert bool(storage.asked) == trusted, "the password is shown to nobody else"


def test_the_password_is_nowhere(controller, storage):
    storage.rows, storage.status = [row("n7")], 403
    said = controller.run()[2]
    everything = "".join(path.read_text() for path in controller.folder.iterdir() if path.name != "password") + "".join(said)
    assert "s3cret" not in everything and "dTpzM2" not in everything
    assert (controller.folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_it_runs_from_its_own_folder_alone(tmp_path):
    """As the role installs it: with copies of what it shares beside it."""
    role = (ROOT / "roles/slurm_drain/tasks/main.yml").read_text()
    (tmp_path / "own").mkdir()
    shutil.copy(PROGRAM, tmp_path / "own" / "accelmon-slurm-drain")
    for name in ("command.py", "drain.py", "slurm.py", "slurmctl.py", "textfile.py"):
        assert "/plugins/module_utils/%s" % name in role
        shutil.copy(ROOT / "plugins/module_utils" / name, tmp_path / "own" / name)
    done = subprocess.run([sys.executable, "-IS", str(tmp_path / "own" / "accelmon-slurm-drain"), "--help"], check=False, cwd="/",
                          capture_output=True, text=True)
    assert done.returncode == 0 and "--publish" in done.stdout
