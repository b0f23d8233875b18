# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that publishes silences, run as its unit runs it. Stubbed: Alertmanager, by a server that gives answers in the shape of its API. The real
one is in test_alertmanager_live.py.
"""
import base64
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import drain
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / "roles/alertmanager/files/accelmon_alertmanager_silences.py"
SEEN, LAST = "accelmon_fleet_silence_seen_timestamp_seconds", "accelmon_fleet_silences_last_success_timestamp_seconds"
SERIES = re.compile(r'(\w+)\{node="((?:[^"\\\n]|\\.)*)"(?:,matchers="((?:[^"\\\n]|\\.)*)")?\} ([0-9.]+)\Z')


def matcher(name="node", value="gpu7", **more):
    return dict({"isEqual": True, "isRegex": False, "name": name, "value": value}, **more)


def silence(*matchers, state="active", number=1):
    """A silence as the API of Alertmanager 0.25 has it."""
    return {"id": f"0f4bd3cd-53f8-4d45-a9a4-{number:012}", "status": {"state": state}, "updatedAt": "2026-11-30T02:00:00.123Z", "comment": "S3cret plan",
            "createdBy": "ada", "endsAt": "2026-11-30T06:00:00.000Z", "startsAt": "2026-11-30T02:00:00.123Z", "matchers": list(matchers or [matcher()])}


class Host:
    """A folder of the program beside a web server. `answer`: what that says, text or to be made JSON."""

    def __init__(self, folder):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, self.headers.get("Authorization")))
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write((outer.answer if isinstance(outer.answer, str) else json.dumps(outer.answer)).encode())

            def log_message(self, *_ignored):
                pass

        self.folder, self.asked, self.status, self.answer = folder, [], 200, []
        self.output = folder / "accelmon_alertmanager_silences.prom"
        (folder / "password").write_text("pass\n")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def run(self, *more, program=PROGRAM):
        """(exit status, lines of stderr)."""
        done = subprocess.run([sys.executable, "-IS", str(program), f"--output={self.output}", f"--url=http://127.0.0.1:{self.server.server_port}",
                               "--node=mon1", f"--password-file={self.folder}/password", f"--ca-file={self.folder}/none", *more],
                              check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"}, timeout=60)
        assert not done.stdout
        return done.returncode, done.stderr.splitlines()

    def rows(self):
        """[(labels, value)] of the file, as a storage would have them."""
        found = []
        for line in self.output.read_text().splitlines():
            if not line.startswith("#"):
                name, node, matchers, value = SERIES.match(line).groups()
                assert (name == SEEN) == (matchers is not None)
                labels = {"node": node} if matchers is None else {"node": node, "matchers": json.loads(f'"{matchers}"')}
                found.append((labels, float(value)))
        return found


@pytest.fixture(name="host")
def _host(tmp_path):
    made = Host(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_active_silences_are_published_without_who_and_why(host):
    host.answer = [silence(), silence(matcher(value="gpu8"), state="expired", number=2), silence(matcher(value="gpu9"), state="pending", number=3),
                   silence(matcher("cluster", "west"), matcher("alertname", "Host.*", isRegex=True, isEqual=False), number=4), silence(number=5)]
    before = time.time()
    assert host.run() == (0, [])
    rows = host.rows()
    assert [labels for labels, _value in rows] == [
        {"node": "mon1", "matchers": '[{"isEqual":true,"isRegex":false,"name":"cluster","value":"west"},'
                                     '{"isEqual":false,"isRegex":true,"name":"alertname","value":"Host.*"}]'},
        {"node": "mon1", "matchers": '[{"isEqual":true,"isRegex":false,"name":"node","value":"gpu7"}]'}, {"node": "mon1"}]
    (moment,) = {value for _labels, value in rows}
    assert before - 1 < moment < time.time() + 1
    assert host.asked == [("/api/v2/silences", "Basic " + base64.b64encode(b"accelmon:pass").decode())]
    assert "S3cret" not in host.output.read_text() and "ada" not in host.output.read_text()
    assert drain.known_silences(rows, time.time()) == [host.answer[3]["matchers"], host.answer[0]["matchers"]]
    assert host.output.stat().st_mode & 0o777 == 0o644


def test_no_silences_are_an_answer(host):
    assert host.run() == (0, []) and [labels for labels, _value in host.rows()] == [{"node": "mon1"}]
    assert drain.known_silences(host.rows(), time.time()) == []


def test_an_old_answer_without_is_equal_is_understood(host):
    host.answer = [silence({"name": "node", "value": "gpu7", "isRegex": False})]
    assert host.run() == (0, []) and drain.known_silences(host.rows(), time.time()) == [[matcher()]]


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", 'x"} 1\nup{node="gpu7"} 0', "ü\u2028", "", "\x00\x7f", "{{ x }} %s %%"])
def test_whatever_a_silence_says_is_one_series(host, value):
    host.answer = [silence(matcher(value=value))]
    assert host.run() == (0, []) and len(host.rows()) == 2 and host.output.read_text().isascii()
    assert drain.known_silences(host.rows(), time.time()) == [[matcher(value=value)]]


@pytest.mark.parametrize("length, kept", [(900, True), (1000, False)])
def test_a_long_silence_could_be_about_anything(host, length, kept):
    host.answer = [silence(matcher(value="x" * length))]
    assert host.run() == (0, [])
    assert drain.known_silences(host.rows(), time.time()) == [[matcher(value="x" * length)] if kept else []]


def many(count):
    return [silence(matcher(value=f"gpu{number}"), number=number) for number in range(count)]


@pytest.mark.parametrize("answer, status, words", [
    ("", 200, "does not answer as expected"), ("<html>", 200, "does not answer as expected"), ({}, 200, "does not answer as expected"),
    ('"abc"', 200, "does not answer as expected"), ("null", 200, "does not answer as expected"), ([5], 200, "does not answer as expected"),
    ([{}], 200, "does not answer as expected"), ([dict(silence(), status="active")], 200, "does not answer as expected"),
    ([dict(silence(), matchers=[{"name": "node"}])], 200, "does not answer as expected"), ([dict(silence(), matchers=["node"])], 200, "does not answer as"),
    ([dict(silence(), matchers=5)], 200, "does not answer as expected"), ("[" * 2000, 200, ""),
    ([], 401, "answers HTTP 401; check its service"), ([], 500, "answers HTTP 500"),
    (many(501), 200, "501 silences are active, more than 500; end some, or use fewer matchers for more alerts")])
def test_without_a_good_answer_what_was_last_known_stays(host, answer, status, words):
    host.answer = [silence()]
    host.run()
    before = host.output.read_text()
    host.answer, host.status = answer, status
    code, said = host.run()
    assert code == 1 and len(said) == 1 and words in said[0] and host.output.read_text() == before
    host.answer, host.status = many(500), 200
    assert host.run() == (0, []) and len(host.rows()) == 501


def test_alertmanager_is_away(host):
    host.server.shutdown()
    host.server.server_close()
    code, said = host.run()
    assert code == 1 and len(said) == 1 and "/api/v2/silences does not answer (" in said[0] and not host.output.exists()


def test_the_file_cannot_be_written(host):
    host.output.mkdir()
    code, said = host.run()
    assert code == 1 and len(said) == 1 and "Is a directory" in said[0]
    code, said = host.run(f"--ca-file={host.folder}/none", "--url=https://127.0.0.1:9")
    assert code == 1 and len(said) == 1 and "No such file" in said[0], "it is not asked without its authority"


def test_root_brings_the_file_in(host):
    (host.folder / "textfile").mkdir()
    host.answer = [silence()]
    assert host.run() == (0, []) and len(host.asked) == 1
    assert host.run(f"--publish={host.folder}/textfile") == (0, []) and len(host.asked) == 1
    assert (host.folder / "textfile/accelmon_alertmanager_silences.prom").read_text() == host.output.read_text()


def test_it_runs_from_its_own_folder_alone(host):
    """As the role installs it: with copies of what it shares beside it."""
    role = (ROOT / "roles/alertmanager/tasks/main.yml").read_text()
    (host.folder / "own").mkdir()
    shutil.copy(PROGRAM, host.folder / "own/program")
    for name in ("asking.py", "textfile.py"):
        assert f"/plugins/module_utils/{name}" in role
        shutil.copy(ROOT / "plugins/module_utils" / name, host.folder / "own")
    assert host.run(program=host.folder / "own/program") == (0, [])
    assert sorted(path.name for path in (host.folder / "own").iterdir()) == ["asking.py", "program", "textfile.py"]


def test_its_series_are_in_the_catalogue(host):
    """Else they are dropped where they are scraped."""
    host.answer = [silence()]
    host.run()
    written = re.findall(r"^# TYPE (\w+) gauge$", host.output.read_text(), re.MULTILINE)
    assert written == [SEEN, LAST]
    assert [load("sources")["registry"][name] for name in written] == [["node", "matchers"], ["node"]]
