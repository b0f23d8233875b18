# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw the committed dashboards and the report, look for what nobody could read, and keep the pictures.

    dashboards/preview/preview.py --pictures DIR --modules DIR [--programs DIR] [BOARD...]

A made-up fleet (fleet.py) is loaded into VictoriaMetrics, vmalert replays the recording rules and alerts of the collection over it, and Chromium
draws each board with Grafana's own libraries. --modules: node_modules of package-lock.json. Boards: names of files, or report; all without any.
"""

import argparse
import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, ".collections"), os.path.join(ROOT, "tests", "rules"), HERE]

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.modules import fleet_report_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import report
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
import fleet
import live
from run import Programs

INTERVAL = "1m"
PATIENCE = 300
BROWSERS = ("chromium-headless-shell", "chromium")
# {name of a view: (width, theme)}
BOARD_VIEWS = {"dark": (1600, "dark"), "light": (1600, "light"), "narrow": (420, "dark")}
REPORT_VIEWS = {"light": (1100, "light"), "phone": (390, "dark")}
# {board: panels that are rightly empty, because the fleet has nothing to show there}
EMPTY = {"node": ["NVLink and XGMI errors", "NVLink traffic", "NVLink bit errors", "Processes"],
         "accelerator": ["NVLink traffic", "NVLink bit errors"], "monitoring": ["Targets that are down"],
         "errors": ["Uncorrected memory errors", "Readings that are not credible"]}
# Of a board about one node or device, which one.
CHOSEN = {"node": {"cluster": "east", "node": "gpu01"}, "accelerator": {"cluster": "east", "node": "gpu02", "vendor": "nvidia", "index": "2"}}


def post(url, body=b""):
    """Send something to the storage."""
    with urllib.request.urlopen(url, data=body, timeout=PATIENCE):
        pass


@contextlib.contextmanager
def storage(programs, folder):
    """The address of a VictoriaMetrics."""
    url = f"http://127.0.0.1:{live.free_port()}"
    with live.running(folder, "victoria-metrics", programs.path("victoria-metrics"), f"-httpListenAddr={url[len('http://'):]}",
                      f"-storageDataPath={folder}/data", "-retentionPeriod=1y", "-search.disableCache", "-search.latencyOffset=0s",
                      # A replay does not write where a series ends, as evaluating now does.
                      "-search.maxStalenessInterval=90s"):
        live.until(url, "1", 1)
        yield url


def replay(programs, folder, url, now):
    """Evaluate the collection's rules over the past, group by group, because each reads what the one before has written.

    Without annotations: a replay refuses those that look something up.
    """
    begin, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (now - fleet.HOURS * 3600, now))
    for group in recording_groups(INTERVAL) + alert_groups(interval=INTERVAL):
        rules = [{key: value for key, value in rule.items() if key != "annotations"} for rule in group["rules"]]
        path = os.path.join(folder, f"{group['name']}.yml")
        with open(path, "w", encoding="utf-8") as handle:
            yaml.safe_dump({"groups": [{"name": group["name"], "interval": INTERVAL, "rules": rules}]}, handle)
        programs.run("vmalert", f"-rule={path}", f"-datasource.url={url}", f"-remoteWrite.url={url}", f"-replay.timeFrom={begin}", f"-replay.timeTo={end}",
                     "-replay.disableProgressBar", "-replay.rulesDelay=0s", "-replay.maxDatapointsPerQuery=2000", "-disableAlertgroupLabel",
                     "-httpListenAddr=127.0.0.1:0", timeout=PATIENCE)
        post(f"{url}/internal/force_flush")


def load_fleet(programs, folder, url, now):
    """Fill the storage."""
    post(f"{url}/api/v1/import", "\n".join(json.dumps(line) for line in fleet.imported(now)).encode())
    post(f"{url}/internal/force_flush")
    replay(programs, folder, url, now)


def texts(labels, rules):
    """The annotations of a firing alert with its labels filled in; without those that need its value, which a replay does not keep."""
    rule = next(rule for rule in rules if rule.get("alert") == labels["alertname"])
    found = {name: re.sub(r"\{\{ *\$labels\.(\w+) *\}\}", lambda label: labels.get(label.group(1), ""), text) for name, text in rule["annotations"].items()}
    return {name: text for name, text in found.items() if "{{" not in text}


def evaluator(url):
    """A stub of the rule evaluator: the storage's alerts, with such texts as can be had."""
    rules = [rule for group in alert_groups(interval=INTERVAL) for rule in group["rules"]]
    alerts = [{"labels": {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}, "state": "firing",
               "annotations": texts(labels, rules)} for labels in live.query(url, 'ALERTS{alertstate="firing"}')]
    return live.serving({"/api/v1/alerts": json.dumps({"status": "success", "data": {"alerts": alerts}})})


def write_report(folder, url, rules_url, now):
    """Path of the report's page."""
    for made in fleet.registries():
        with open(os.path.join(folder, f"{made['cluster']}.json"), "w", encoding="utf-8") as handle:
            handle.write(registry.dump(made))
    nothing = os.path.join(folder, "none")
    document = fleet_report_info.collected({
        "clusters": [], "hosts": None, "state_dir": folder, "storage_url": url, "rules_url": rules_url, "query_timeout": 30,
        "password_file": nothing, "ca_file": nothing, "interval": INTERVAL, "fresh_intervals": 3, "recording_delay": 30, "views": load("views"),
        "monitoring_host": "mon01"}, now)
    path = os.path.join(folder, "report.html")
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(report.page(document))
    return path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the built page, the boards below /boards/, and Grafana's icons and font where its code looks for them."""

    def __init__(self, *arguments, folders, **more):
        self.folders = folders
        super().__init__(*arguments, **more)

    def translate_path(self, path):
        """The file of an address."""
        for prefix, folder in self.folders.items():
            if path.startswith(prefix):
                return folder if os.path.isfile(folder) else os.path.join(folder, os.path.normpath("/" + path[len(prefix):].split("?")[0])[1:] or "index.html")
        return os.devnull

    def log_message(self, *_arguments):
        """Nothing on the terminal."""


@contextlib.contextmanager
def serving(site, modules):
    """The address of the page."""
    # One font of variable weight stands for the files of each weight that Grafana has.
    folders = {"/boards/": os.path.dirname(HERE), "/public/build/img/": os.path.join(modules, "@grafana/ui/dist/public/img"),
               "/public/fonts/inter/": os.path.join(modules, "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"), "/": site}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, folders=folders))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def built(work, modules):
    """Folder of the page. Sources are copied beside a link to what was installed, so nothing is written into the checkout."""
    shutil.copytree(HERE, work, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    os.symlink(modules, os.path.join(work, "node_modules"))
    site = os.path.join(work, "site")
    subprocess.run([os.path.join(modules, ".bin", "esbuild"), "app/main.jsx", "--bundle", f"--outfile={site}/main.js", "--format=esm", "--minify",
                    "--loader:.ttf=file", '--define:process.env.NODE_ENV="production"', "--log-level=warning"], cwd=work, check=True)
    shutil.copy(os.path.join(work, "app", "index.html"), site)
    return site


def pages(names, site, url, now, page):
    """What check.mjs opens."""
    for name in names:
        if name == "report":
            yield from ({"name": f"report-{view}", "url": f"file://{page}", "width": width, "theme": theme} for view, (width, theme) in REPORT_VIEWS.items())
            continue
        for view, (width, theme) in BOARD_VIEWS.items():
            asked = {"board": f"/boards/{name}.json", "storage": url, "now": now, "theme": theme, "width": width,
                     **{f"var-{key}": value for key, value in CHOSEN.get(name, {}).items()}}
            yield {"name": f"{name}-{view}", "url": f"{site}/?{urllib.parse.urlencode(asked)}", "width": width, "theme": theme, "empty": EMPTY.get(name, [])}


def boards():
    """Names of the committed dashboards."""
    return sorted(os.path.splitext(name)[0] for name in os.listdir(os.path.dirname(HERE)) if name.endswith(".json"))


def main(arguments=None):
    """Draw and check; 0 when everything can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="BOARD", help="all, and the report, without any")
    parser.add_argument("--programs", metavar="DIR", help="where victoria-metrics and vmalert are; PATH without it")
    parser.add_argument("--modules", metavar="DIR", required=True, help="node_modules, as package-lock.json has them")
    parser.add_argument("--pictures", metavar="DIR", required=True, help="where pictures go")
    options = parser.parse_args(arguments)
    names = [*boards(), "report"]
    for name in options.names:
        if name not in names:
            parser.error(f"no board {name}; there are {', '.join(names)}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        parser.error(f"needs one of {', '.join(BROWSERS)} on PATH")
    programs, now = Programs(options.programs), int(time.time()) // 60 * 60
    os.makedirs(options.pictures, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="accelmon-preview-") as folder:
        site = built(os.path.join(folder, "work"), os.path.abspath(options.modules))
        with storage(programs, folder) as url, serving(site, options.modules) as address:
            load_fleet(programs, folder, url, now)
            with evaluator(url) as port:
                page = write_report(folder, url, f"http://127.0.0.1:{port}", now)
            wanted = list(pages(options.names or names, address, url, now, page))
            path = os.path.join(folder, "pages.json")
            with open(path, "w", encoding="utf-8") as handle:
                json.dump({"browser": browser, "pictures": os.path.abspath(options.pictures), "pages": wanted}, handle)
            return subprocess.run(["node", os.path.join(folder, "work", "check.mjs"), path], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
