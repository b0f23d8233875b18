# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site and a global place: real vmagent, vmauth with TLS, and VictoriaMetrics twice, with our configuration, relabelling and arguments.

Needs the programs in the directory ACCELMON_PROGRAMS, or on PATH, and openssl; without them every test here is skipped. Scrapes every second.
Stubbed: vmalert, whose series are written into the site's storage here; the registry's page, which a small web server gives; the units, so that the site's
storage has no password.
"""
import base64
import contextlib
import http.server
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import rollups, scrape
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port

PROGRAMS = ("victoria-metrics", "vmagent", "vmauth")
FOLDER = os.environ.get("ACCELMON_PROGRAMS")
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=FOLDER)] + ["openssl"] * (not shutil.which("openssl"))
pytestmark = pytest.mark.skipif(bool(MISSING), reason="not found in ACCELMON_PROGRAMS or on PATH: " + ", ".join(MISSING))

COUNT = "node:accelerator_info:count"
RECORDED = """%(name)s{cluster="east",node="n1",vendor="nvidia"} %(value)d
node:accelerator_forged:count{cluster="west",node="n2"} 1
node:accelerator_nobody:count{node="n3"} 1
ALERTS{cluster="east",node="n1",alertname="HostDown",job="node_exporter",instance="n1:9100",alertstate="firing"} 1
accelerator_info{cluster="east",node="n1",index="0"} 1
user:accelerator_job_info:count{cluster="east",user="ana"} 1
"""


class Registry(http.server.BaseHTTPRequestHandler):
    """What the monitoring host's node_exporter has of the registry."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'accelmon_fleet_node_info{cluster="east",node="n1",state="active"} 1\n')

    def log_message(self, *_args):
        """Keep the test's output clean."""


class Lab:
    """The programs of a site and of a global place. own, stored: URLs of their storages; place: URL of the vmauth in front of the latter."""

    def __init__(self, folder, stop):
        self.folder, self.stop = folder, stop
        self.ports = {name: free_port() for name in ("own", "stored", "place", "inner", "vmagent")}
        self.own, self.stored = (f"http://127.0.0.1:{self.ports[name]}" for name in ("own", "stored"))
        self.place = f"https://localhost:{self.ports['place']}"
        for name in ("own", "stored"):
            self.start("victoria-metrics", f"-httpListenAddr=127.0.0.1:{self.ports[name]}", f"-storageDataPath={folder / name}", "-search.latencyOffset=0s")
        config = stack.vmauth_config("of-the-stack", site_password="of-the-sites", site_passwords={"east": ["of-east-2", "of-east-1"], "west": ["of-west"]})
        (folder / "auth").write_text(config.replace(stack.STORAGE, f"127.0.0.1:{self.ports['stored']}"))
        self.auth = self.open()

    def start(self, program, *arguments):
        """Start a program, which ends with the test; its process."""
        with open(self.folder / f"{program}.log", "ab") as log:
            process = subprocess.Popen([shutil.which(program, path=FOLDER), *arguments], stdout=log, stderr=subprocess.STDOUT)
        self.stop.callback(process.wait)
        self.stop.callback(process.kill)
        return process

    def open(self):
        """Let the global place answer."""
        return self.start("vmauth", f"-httpListenAddr=127.0.0.1:{self.ports['place']}", f"-httpInternalListenAddr=127.0.0.1:{self.ports['inner']}", "-tls",
                          f"-tlsCertFile={self.folder / 'crt'}", f"-tlsKeyFile={self.folder / 'key'}", f"-auth.config={self.folder / 'auth'}")

    def site(self, registry):
        """Start the vmagent of the site."""
        place = dict(stack.abroad(f"{self.place}/api/v1/write", stack.SITE, str(self.folder / "crt")), password_file=str(self.folder / "password"))
        services = [dict(place, url=self.own, server_name="", path="/api/v1/write", gets="own"), place]
        made = rollups.relabelling(services, str(self.folder))
        options = {"node_exporter": registry, "cluster": "east", "node": "mon", "scrape_interval": "1s", "targets_dir": str(self.folder / "targets"),
                   "stack": {"victoriametrics": f"127.0.0.1:{self.ports['own']}"}, "global_place": [place]}
        for path, content in [(one["path"], one["content"]) for one in made["files"]] + [(str(self.folder / "scrape.yml"), scrape.scrape_file(options))]:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
        self.start("vmagent", f"-httpListenAddr=127.0.0.1:{self.ports['vmagent']}", "-maxConcurrentInserts=0",
                   f"-promscrape.config={self.folder / 'scrape.yml'}", f"-remoteWrite.tmpDataPath={self.folder / 'queue'}",
                   "-remoteWrite.retryMaxTime=1s", "-remoteWrite.flushInterval=100ms",
                   *stack.vm_client("remoteWrite", services, "/api/v1/write"), *made["arguments"])

    def record(self, value):
        """Record at the site as vmalert does."""
        with urllib.request.urlopen(f"{self.own}/api/v1/import/prometheus", (RECORDED % {"name": COUNT, "value": value}).encode(), timeout=10):
            pass

    def latest(self, cluster):
        """When the last sample of a cluster at the global place is from."""
        return max(max(one["timestamps"]) for one in self.series(self.stored, '{cluster="%s"}' % cluster).values())

    def series(self, url, selector='{__name__!~"up|scrape_.*"}', label="__name__"):
        """{name, or another label: {"metric", "values", "timestamps"}} of a storage."""
        with urllib.request.urlopen(f"{url}/api/v1/export", f"match[]={selector}".encode(), timeout=10) as answer:
            found = [json.loads(line) for line in answer.read().decode().splitlines()]
        return {one["metric"].pop(label, ""): one for one in found}

    def asked(self, password, path):
        """The status with which the global place answers."""
        login = base64.b64encode(f"{stack.SITE}:{password}".encode()).decode()
        request = urllib.request.Request(self.place + path, headers={"Authorization": f"Basic {login}"})
        try:
            with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=str(self.folder / "crt"))) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module", name="lab")
def _lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key"), "-out", str(folder / "crt")], check=True,
                   stderr=subprocess.DEVNULL)
    (folder / "password").write_text("of-the-sites\n")
    with contextlib.ExitStack() as stop:
        registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
        stop.callback(registry.shutdown)
        threading.Thread(target=registry.serve_forever, args=(0.05,), daemon=True).start()
        lab = Lab(folder, stop)
        eventually(lambda: not lab.series(lab.own) and not lab.series(lab.stored))
        lab.site(f"127.0.0.1:{registry.server_address[1]}")
        yield lab


def test_roll_ups_and_alerts_arrive_and_nothing_else(lab):
    wanted = {COUNT, "ALERTS", "accelmon_fleet_node_info", "node:accelerator_forged:count", "node:accelerator_nobody:count"}

    def arrived():
        lab.record(8)
        time.sleep(1)
        return wanted <= lab.series(lab.stored).keys()
    eventually(arrived)
    found = lab.series(lab.stored)
    assert found.keys() == wanted
    assert found[COUNT]["metric"] == {"cluster": "east", "node": "n1", "vendor": "nvidia"}
    assert (found["ALERTS"]["metric"]["job"], found["ALERTS"]["metric"]["instance"]) == ("node_exporter", "n1:9100"), "as the site has it"
    own = lab.series(lab.own)
    assert {"accelerator_info", "user:accelerator_job_info:count", "accelmon_fleet_node_info", COUNT} <= own.keys()
    assert len(own[COUNT]["values"]) == len(own["accelerator_info"]["values"]), "what is read out of the storage does not come back"


def test_what_was_recorded_while_the_site_was_cut_off_arrives_later_with_its_times(lab):
    lab.auth.kill()
    lab.auth.wait()
    began = time.time()

    def read_out():
        """Several times, which takes a busy machine longer than as many seconds."""
        lab.record(7)
        time.sleep(0.4)
        return len([moment for moment in lab.series(lab.own, '{__name__="up"}', "job")[rollups.JOB]["timestamps"] if moment > began * 1000]) > 4
    eventually(read_out)
    ended = time.time()
    assert 7 not in lab.series(lab.stored)[COUNT]["values"]
    lab.auth = lab.open()

    def caught_up():
        lab.record(6)
        time.sleep(1)
        values = lab.series(lab.stored)[COUNT]["values"]
        return 6 in values and values.count(7) > 1
    eventually(caught_up)
    found = lab.series(lab.stored)[COUNT]
    times = {moment for moment, value in zip(found["timestamps"], found["values"]) if value == 7}
    assert len(times) > 1, "of different times, not one of them twice"
    assert min(times) >= began * 1000 - 1 and max(times) <= ended * 1000 + 1


def test_a_site_speaks_for_itself_alone_once_it_has_a_password_of_its_own(lab):
    """It says that it were another: of two passwords it has one after the other, without a restart."""
    def clusters(name):
        lab.record(5)
        time.sleep(1)
        # The latest, since that in common lets it write as anybody.
        found = lab.series(lab.stored, '{__name__="node:accelerator_%s:count"}' % name, "cluster")
        return max(found, key=lambda cluster: max(found[cluster]["timestamps"]))
    eventually(lambda: clusters("forged") == "west")
    for password in ("of-east-1", "of-east-2"):
        (lab.folder / "password").write_text(password + "\n")
        eventually(lambda: clusters("forged") == clusters("nobody") == "east")
    later = lab.latest("west")
    time.sleep(3)
    assert clusters("forged") == "east" and lab.latest("west") == later


@pytest.mark.parametrize("password", ["of-the-sites", "of-east-1", "of-east-2"])
def test_a_site_can_only_write(lab, password):
    eventually(lambda: lab.asked(password, "/api/v1/write") in (204, 400))
    # What a site asks for itself does not win.
    eventually(lambda: lab.asked(password, "/api/v1/write?extra_label=cluster=west") in (204, 400))
    for path in ("/api/v1/query?query=up", "/api/v1/export", "/api/v1/admin/tsdb/delete_series", "/api/v1/import", "/metrics"):
        assert lab.asked(password, path) in (400, 401, 404), path
    assert lab.asked("wrong", "/api/v1/write") == 401
