# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a stranger gets from the real programs of the stack, with the arguments that the roles give them.

Needs victoria-metrics, vmauth, vmagent, vmalert and prometheus in the directory ACCELMON_PROGRAMS, or on PATH; a test is skipped without
those that it starts. Alertmanager is asked in the scenarios: Debian's does not run without its package's files. Stubbed: a node, by a
web server on loopback with a page of more than a megabyte.
Networks of their own are not here: the storage listens on a port of loopback that nobody is told.
"""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import strangers
from ansible_collections.accelmon.fleet.plugins.modules import fleet_verify_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import free_port

FOLDER = os.environ.get("ACCELMON_PROGRAMS")
ROOT = pathlib.Path(__file__).resolve().parents[4]
PASSWORD = 'a %{HOME} "b\\:%'  # nothing in it may be expanded, or end a text
FORGED = b'accelmon_forged{instance="stranger"} 1\n'
PATIENCE = 300


def ask(url, password=None, data=None, method=None):
    """(status, body) of one request."""
    request = urllib.request.Request(url, data=data, method=method)
    if password is not None:
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, url, "accelmon", password)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(manager))
    else:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Stack:
    """Programs on ports of loopback."""

    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": {"accelmon": bcrypt.hashed(PASSWORD)}}))
        self.auth = ["-httpAuth.username=accelmon", f"-httpAuth.password=file://{folder / 'password'}"]

    def run(self, name, *arguments, port=None):
        """Start a program; returns its URL when something listens there."""
        found = shutil.which(name, path=FOLDER)
        if not found:
            pytest.skip(f"no {name} in ACCELMON_PROGRAMS or on PATH")
        port = port or free_port()
        listen = f"--web.listen-address=127.0.0.1:{port}" if name.startswith("prometheus") else f"-httpListenAddr=127.0.0.1:{port}"
        with open(self.folder / f"{name}.log", "ab") as log:
            self.programs.append(subprocess.Popen([found, listen, *arguments], stdout=log, stderr=log, cwd=self.folder))
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return f"http://127.0.0.1:{port}"
            assert time.monotonic() < end and self.programs[-1].poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
            time.sleep(0.1)

    def storage(self, *arguments):
        return self.run("victoria-metrics", f"-storageDataPath={self.folder / 'data'}", "-search.latencyOffset=0s", "-retentionPeriod=1d", *arguments)

    def guarded(self, storage):
        """vmauth as the role runs it; returns its URL."""
        config = stack.vmauth_config(PASSWORD).replace(f"http://{stack.STORAGE}", storage)
        (self.folder / "vmauth.yml").write_text(config)
        return self.run("vmauth", f"-httpInternalListenAddr=127.0.0.1:{free_port()}", f"-auth.config={self.folder / 'vmauth.yml'}",
                        "-configCheckInterval=1s", *self.auth)

    def open_to(self, **urls):
        return fleet_verify_info.open_stack({"password_file": str(self.folder / "password"), "stack_urls": urls, "dial_timeout": 5, "dial_budget": 60})


@pytest.fixture(name="lab")
def _lab(tmp_path):
    programs = []
    yield Stack(tmp_path, programs)
    for program in programs:
        program.kill()
    for program in programs:
        program.wait()


def stored(storage):
    """Which names the storage has beside its own, once a sample that was written last can be asked for."""
    assert ask(storage + "/api/v1/import/prometheus", data=b"accelmon_last 1\n")[0] == 204
    end = time.monotonic() + PATIENCE
    while True:
        ask(storage + "/internal/force_flush")
        names = json.loads(ask(storage + "/api/v1/label/__name__/values")[1])["data"]
        if "accelmon_last" in names:
            return set(names) - {"accelmon_last"}
        assert time.monotonic() < end
        time.sleep(0.2)


def forge(url):
    """Try to store a series by every attempt of a stranger, and with a path that is no clean one."""
    statuses = [ask(url + path, data=FORGED, method=method)[0] for path, method in strangers.attempts() if method == "POST"]
    return statuses + [ask(url + path, data=FORGED)[0] for path in (
        "//api/v1/import/prometheus/reload", "/api/v1/import/prometheus/metrics/job/x/config", "/api/v1/import/prometheus/snapshot?authKey=x",
        "/api/v1/import/prometheus/..%2fconfig", "/snapshot/../api/v1/import/prometheus")]


def closed_arguments():
    """What the role vmagent adds so that nobody pushes anything."""
    return yaml.safe_load((ROOT / "roles/vmagent/vars/main.yml").read_text())["vmagent_closed"]


def test_the_password_of_victoriametrics_alone_is_seen_to_be_open_where_it_is(lab):
    """Versions before 1.151. Later ones ask for every one of these paths, and then nothing may be said of them."""
    url = lab.storage(*lab.auth)
    lets_in = ask(url + "/api/v1/import/prometheus/config", data=b"")[0] < 300
    found = lab.open_to(victoriametrics=url)
    assert bool(found) == lets_in
    if lets_in:
        assert found[0][:2] == ("victoriametrics", url)
        assert found[0][2].startswith("answers POST /api/v1/import/prometheus/config and ") and found[0][2].endswith(" without a password")
    assert json.loads(ask(url + "/api/v1/series/count", PASSWORD)[1])["data"] == [0], "a probe stored something"


def test_vmauth_lets_nobody_into_the_storage_without_the_password(lab):
    storage = lab.storage()
    url = lab.guarded(storage)
    assert lab.open_to(victoriametrics=url) == []
    assert set(forge(url)) == {401}
    for page in ("/", "/health", "/ping", "/-/healthy", "/-/ready", "/-/reload", "/favicon.ico", "/robots.txt", "/debug/pprof/", "/metrics"):
        assert ask(url + page)[0] == 401 and ask(url + page, "wrong")[0] == 401
    assert stored(storage) == set()
    assert ask(url + "/api/v1/import/prometheus", PASSWORD, b"accelmon_let_in 1\n")[0] == 204 and stored(storage) == {"accelmon_let_in"}
    assert b"vm_app_version" in ask(url + "/metrics", PASSWORD)[1]


def test_a_password_that_changes_holds_soon(lab):
    storage = lab.storage()
    url = lab.guarded(storage)
    (lab.folder / "vmauth.yml").write_text(stack.vmauth_config("another").replace(f"http://{stack.STORAGE}", storage))
    end = time.monotonic() + 10
    while ask(url + "/metrics", "another")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert ask(url + "/metrics", PASSWORD)[0] == 401


class Node(http.server.BaseHTTPRequestHandler):
    """A page of more than a megabyte, which vmagent reads as a stream."""

    PAGE = "".join('accelmon_row{number="%d",filler="%s"} 1\n' % (number, "x" * 100) for number in range(12000)).encode()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.PAGE)

    def log_message(self, *_args):
        """Keep the test's output clean."""


def test_vmagent_takes_nothing_that_is_pushed_and_scrapes_all_the_same(lab):
    storage = lab.storage()
    node = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=node.serve_forever, args=(0.05,), daemon=True).start()
    (lab.folder / "scrape.yml").write_text(yaml.safe_dump({"scrape_configs": [
        {"job_name": "node", "scrape_interval": "1s", "static_configs": [{"targets": ["127.0.0.1:%d" % node.server_address[1]]}]}]}))
    url = lab.run("vmagent", f"-promscrape.config={lab.folder / 'scrape.yml'}", f"-remoteWrite.url={storage}/api/v1/write",
                  f"-remoteWrite.tmpDataPath={lab.folder / 'buffer'}", "-remoteWrite.flushInterval=200ms", *lab.auth, *closed_arguments())
    assert lab.open_to(vmagent=url) == []
    assert min(forge(url)) >= 400
    assert ask(url + "/api/v1/import/prometheus", PASSWORD, FORGED)[0] == 503
    end = time.monotonic() + PATIENCE
    while "accelmon_row" not in stored(storage):
        assert time.monotonic() < end, (lab.folder / "vmagent.log").read_text()[-2000:]
        time.sleep(0.5)
    node.shutdown()
    node.server_close()
    assert "accelmon_forged" not in stored(storage)


def test_vmalert_and_prometheus_let_nobody_in(lab):
    (lab.folder / "rules.yml").write_text("groups: []\n")
    (lab.folder / "prometheus.yml").write_text("{}\n")
    web = f"--web.config.file={lab.folder / 'web.yml'}"
    urls = {
        "vmalert": lab.run("vmalert", f"-rule={lab.folder / 'rules.yml'}", "-datasource.url=http://127.0.0.1:1", "-notifier.blackhole", *lab.auth),
        "prometheus": lab.run("prometheus", f"--config.file={lab.folder / 'prometheus.yml'}", f"--storage.tsdb.path={lab.folder / 'tsdb'}", web),
    }
    assert lab.open_to(**urls) == []
    assert all(min(forge(url)) >= 400 for url in urls.values())
    assert set(forge(urls["prometheus"])) == {401}


def test_a_controller_that_drains_nodes_may_ask_queries_and_nothing_else(lab):
    storage = lab.storage()
    config = stack.vmauth_config(PASSWORD, "drain-password").replace(f"http://{stack.STORAGE}", storage)
    (lab.folder / "vmauth.yml").write_text(config)
    url = lab.run("vmauth", f"-httpInternalListenAddr=127.0.0.1:{free_port()}", f"-auth.config={lab.folder / 'vmauth.yml'}")

    def asked(path, data=None, user=stack.DRAINER, password="drain-password"):
        known = base64.b64encode(f"{user}:{password}".encode()).decode()
        try:
            request = urllib.request.Request(url + path, data=data, headers={"Authorization": f"Basic {known}"})
            return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE).status
        except urllib.error.HTTPError as error:
            return error.code

    assert asked("/api/v1/query", b"query=up") == asked("/api/v1/query?query=up") == 200
    assert asked("/api/v1/query", b"query=up", stack.USER) == asked("/api/v1/query", b"query=up", password=PASSWORD) == 401
    for path in ("/api/v1/query/x", "/api/v1/query_range", "/api/v1/import/prometheus", "/api/v1/query/../import/prometheus", "//api/v1/import/prometheus",
                 "/api/v1/query/%2e%2e/import/prometheus", "/api/v1/admin/tsdb/delete_series", "/metrics", "/", "/snapshot/create", "/internal/force_flush"):
        assert asked(path, FORGED) >= 400, path
    assert stored(storage) == set()
