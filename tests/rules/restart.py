# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No. 39: vmalert is restarted while alerts wait and fire: they go on where they were, and nobody gets a second message or an end.

Real: VictoriaMetrics and vmalert, with the arguments of the role as far as they bear on this. Stubbed: Alertmanager, which notes what it is sent
and how long it would keep an alert that is not sent again.
"""

import contextlib
import datetime
import http.server
import json
import os
import re
import threading
import time
import urllib.request

import live

# One that fires at once, one that soon does, and one that waits longer than the test takes.
RULES = "groups: [{name: g, interval: 1s, rules: [%s]}]" % ", ".join(
    "{alert: %s, expr: '{__name__=\"broken\"} == 1', for: %s}" % rule for rule in (("AtOnce", "0s"), ("Soon", "3s"), ("Later", "30m")))
PATIENCE = 60
ROLE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles/vmalert/vars/main.yml")
# For so long vmalert, or the storage that it asks, may be away without an end to all alerts, in seconds. Prometheus keeps them as long.
SPARE = 180


def arguments():
    """How the role tells vmalert to evaluate and to send, apart from the interval."""
    with open(ROLE, encoding="utf-8") as handle:
        return re.findall(r"'(-rule\.(?:evalDelay|resendDelay|maxResolveDuration)=\w+)'", handle.read())


class Notified(http.server.BaseHTTPRequestHandler):
    """Notes alerts, and whether they are over when they come."""

    def do_POST(self):
        """Some alerts."""
        now = datetime.datetime.now(datetime.timezone.utc)
        for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            # With seconds alone, as older Pythons read no nine digits after them.
            ends = datetime.datetime.fromisoformat(alert["endsAt"][:19] + "+00:00")
            self.server.alerts.append((alert["labels"]["alertname"], ends < now))
            self.server.spare.append((ends - now).total_seconds())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        """Nothing on the terminal."""


@contextlib.contextmanager
def alertmanager():
    """(port, [(alert, whether it is over)], [seconds after which it is over])."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notified)
    server.alerts, server.spare = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, server.alerts, server.spare
    finally:
        server.shutdown()
        server.server_close()


def states(url):
    """{alert: (state, since when)} as vmalert tells them."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=20) as answer:
            return {alert["name"]: (alert["state"], alert["activeAt"]) for alert in json.load(answer)["data"]["alerts"]}
    except OSError:
        return {}


def eventually(what, found):
    """Wait until found() is true; what: said if it never is."""
    last = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < last, what
        time.sleep(0.2)


def restarted(programs, folder):
    """The states before and after a restart, and what was sent."""
    store, port = f"http://127.0.0.1:{live.free_port()}", live.free_port()
    url = f"http://127.0.0.1:{port}"
    with open(f"{folder}/rules.yml", "w", encoding="utf-8") as handle:
        handle.write(RULES)

    def ready():
        return set(name for name, (state, _since) in states(url).items() if state == "firing") == {"AtOnce", "Soon"} and "Later" in states(url)

    with alertmanager() as (notifier, sent, spare), live.running(
            folder, "victoria-metrics", programs.path("victoria-metrics"), f"-httpListenAddr={store[len('http://'):]}", f"-storageDataPath={folder}/data",
            "-retentionPeriod=1y", "-search.latencyOffset=0s"):
        live.until(store, "1", 1)
        urllib.request.urlopen(f"{store}/api/v1/import/prometheus", b'broken{node="n1"} 1', timeout=20).close()
        found = []
        for _turn in range(2):
            with live.running(folder, "vmalert", programs.path("vmalert"), f"-rule={folder}/rules.yml", f"-httpListenAddr=127.0.0.1:{port}",
                              f"-datasource.url={store}", f"-remoteRead.url={store}", f"-remoteWrite.url={store}", "-remoteWrite.flushInterval=500ms",
                              f"-notifier.url=http://127.0.0.1:{notifier}", *arguments()):
                eventually(f"the alerts are {states(url)}", ready)
                found.append(states(url))
                # This is what is read after the restart.
                live.until(store, 'count(ALERTS_FOR_STATE{alertname=~"Soon|Later"}) == 2', 1)
        # An alert without `for` has no state to restore.
        before, after = ({name: since for name, (_state, since) in moment.items() if name != "AtOnce"} for moment in found)
        assert before == after, f"before: {before}, after: {after}"
        assert set(sent) == {("AtOnce", False), ("Soon", False)}, sent
        assert min(spare) > SPARE, spare
