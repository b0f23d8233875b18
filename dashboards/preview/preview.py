# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw the committed dashboards, the report and vmui's pages, look for what nobody could read, and keep the pictures.

    dashboards/preview/preview.py --pictures DIR --modules DIR [--programs DIR] [--vmui] [BOARD...]

A made-up fleet (fleet.py) is loaded into VictoriaMetrics, vmalert replays the recording rules and alerts of the collection over it, and Chromium
draws each board with Grafana's own libraries. --modules: node_modules of package-lock.json. Boards: names of files, or report; all without any.
--vmui: also the pages of vmui, with a VictoriaMetrics that make lab-cache has built.
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
import tarfile
import tempfile
import threading
import time
import unittest.mock
import urllib.parse
import urllib.request

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, ".collections"), os.path.join(ROOT, "tests", "rules"), os.path.join(ROOT, "lab"), HERE]

# pylint: disable=wrong-import-position
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import choices, query, registry
from ansible_collections.accelmon.fleet.plugins.modules import fleet_report_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import report, vmui
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups
import cache
import fleet
import live
from run import Programs

INTERVAL = "1m"
PATIENCE = 300
BROWSERS = ("chromium-headless-shell", "chromium")
# {name of a view: (width, theme)}
BOARD_VIEWS = {"dark": (1600, "dark"), "light": (1600, "light"), "narrow": (420, "dark")}
REPORT_VIEWS = {"light": (1100, "light"), "phone": (390, "dark")}
VMUI_WIDTH = 1400
REPORT = "report"
# A name that a node or a device could have, and what of it has to be seen.
HOSTILE_START = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
HOSTILE = HOSTILE_START + "x" * 200
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


@contextlib.contextmanager
def with_vmui(folder, url):
    """The address of a VictoriaMetrics of upstream's sources, which has vmui, our pages in it and the samples of the storage at url."""
    archive = cache.place(*[wanted for wanted in cache.WANTED if wanted[0] == "victoriametrics"][0])[0]
    with tarfile.open(archive) as packed:
        packed.extract("victoria-metrics-prod", folder, filter="data")
    os.makedirs(os.path.join(folder, "vmui"))
    for name, page in vmui.pages().items():
        with open(os.path.join(folder, "vmui", name), "w", encoding="utf-8") as handle:
            json.dump(page, handle)
    with urllib.request.urlopen(f"{url}/api/v1/export/native?" + urllib.parse.urlencode({"match[]": '{__name__!=""}'}), timeout=PATIENCE) as stored:
        samples = stored.read()
    own = f"http://127.0.0.1:{live.free_port()}"
    with live.running(folder, "vmui-log", os.path.join(folder, "victoria-metrics-prod"), f"-httpListenAddr={own[len('http://'):]}",
                      f"-storageDataPath={folder}/vmui-data", "-retentionPeriod=1y", f"-vmui.customDashboardsPath={folder}/vmui"):
        live.until(own, "1", 1)
        post(f"{own}/api/v1/import/native", samples)
        post(f"{own}/internal/force_flush")
        yield own


def texts(labels, rules):
    """The annotations of a firing alert with its labels filled in; without those that need its value, which a replay does not keep."""
    rule = next(rule for rule in rules if rule.get("alert") == labels["alertname"])
    found = {name: re.sub(r"\{\{ *\$labels\.(\w+) *\}\}", lambda label: labels.get(label.group(1), ""), text) for name, text in rule["annotations"].items()}
    return {name: text for name, text in found.items() if "{{" not in text}


def evaluator(url, now):
    """A stub of the rule evaluator: the storage's alerts, with such texts as can be had."""
    rules = [rule for group in alert_groups(interval=INTERVAL) for rule in group["rules"]]
    alerts = [{"labels": {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}, "state": "firing",
               "annotations": texts(labels, rules)} for labels, _value in query.instant_query(url, 'ALERTS{alertstate="firing"}', PATIENCE, now)]
    return live.serving({"/api/v1/alerts": json.dumps({"status": "success", "data": {"alerts": alerts}})})


def reported(folder, url, rules_url, now):
    """The report's data, as if it were now: to fill the storage may have taken longer than readings count as fresh."""
    for made in fleet.registries():
        with open(os.path.join(folder, f"{made['cluster']}.json"), "w", encoding="utf-8") as handle:
            handle.write(registry.dump(made))
    nothing, chosen = os.path.join(folder, "none"), os.path.join(folder, "choices")
    os.makedirs(chosen)
    with open(os.path.join(chosen, choices.NAME), "w", encoding="utf-8") as handle:
        handle.write(choices.dump(fleet.chosen(now)))
    with unittest.mock.patch.object(time, "time", return_value=now):
        return fleet_report_info.collected({
            "clusters": [], "hosts": None, "state_dir": folder, "storage_url": url, "rules_url": rules_url, "query_timeout": 30,
            "password_file": nothing, "ca_file": nothing, "interval": INTERVAL, "fresh_intervals": 3, "recording_delay": 30, "views": load("views"),
            "choices_dir": chosen, "monitoring_host": "mon01"}, now)


def hostile(value):
    """A report in which a node and the devices of a model have a name that means harm."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if value in ("gpu03", fleet.MODELS["L40S"][0]) else value


def write_report(folder, name, document):
    """Path of a report's page."""
    path = os.path.join(folder, f"{name}.html")
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


def pages(names, site, url, now, reports):
    """What check.mjs opens. reports: {name: (path of its page, what more check.mjs has to know of it)}."""
    for name in names:
        if name == REPORT:
            yield from ({"name": f"{which}-{view}", "url": f"file://{page}", "width": width, "theme": theme, **more}
                        for which, (page, more) in reports.items() for view, (width, theme) in REPORT_VIEWS.items())
            continue
        for view, (width, theme) in BOARD_VIEWS.items():
            asked = {"board": f"/boards/{name}.json", "storage": url, "now": now, "theme": theme, "width": width,
                     **{f"var-{key}": value for key, value in CHOSEN.get(name, {}).items()}}
            yield {"name": f"{name}-{view}", "url": f"{site}/?{urllib.parse.urlencode(asked)}", "width": width, "theme": theme, "empty": EMPTY.get(name, [])}


def vmui_pages(address, now):
    """What check.mjs opens of vmui: the page behind each tab, and which plots it has to have."""
    end = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    url = f"{address}/vmui/#/dashboards?{urllib.parse.urlencode({'g0.range_input': '6h', 'g0.end_input': end, 'g0.relative_time': 'none'})}"
    for name, page in vmui.pages().items():
        yield {"name": f"vmui-{name.partition('.')[0]}", "url": url, "width": VMUI_WIDTH, "theme": "light", "tab": page["title"],
               "plots": [panel["title"] for row in page["rows"] for panel in row["panels"]]}


def boards():
    """Names of the committed dashboards."""
    return sorted(os.path.splitext(name)[0] for name in os.listdir(os.path.dirname(HERE)) if name.endswith(".json"))


def draw(options, programs, browser, folder):
    """Draw and check; the status of check.mjs."""
    now = int(time.time()) // 60 * 60
    site = built(os.path.join(folder, "work"), os.path.abspath(options.modules))
    with contextlib.ExitStack() as running:
        url = running.enter_context(storage(programs, folder))
        load_fleet(programs, folder, url, now)
        with evaluator(url, now) as port:
            document = reported(folder, url, f"http://127.0.0.1:{port}", now)
        if document["totals"]["missing"] != 1 or not document["alerts"]:
            sys.exit("the report does not show the device that is missing, and an alert about it: " + json.dumps(document["totals"]))
        reports = {REPORT: (write_report(folder, REPORT, document), {"texts": ["gpu03"]}),
                   "report-hostile": (write_report(folder, "report-hostile", hostile(document)), {"texts": [HOSTILE_START], "wide": True})}
        wanted = list(pages(options.names or [*boards(), REPORT], running.enter_context(serving(site, options.modules)), url, now, reports))
        if options.vmui:
            wanted += vmui_pages(running.enter_context(with_vmui(folder, url)), now)
        path = os.path.join(folder, "pages.json")
        with open(path, "w", encoding="utf-8") as handle:
            json.dump({"browser": browser, "pictures": os.path.abspath(options.pictures), "pages": wanted}, handle)
        return subprocess.run(["node", os.path.join(folder, "work", "check.mjs"), path], check=False).returncode


def main(arguments=None):
    """Draw and check; 0 when everything can be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="BOARD", help="all, and the report, without any")
    parser.add_argument("--programs", metavar="DIR", help="where victoria-metrics and vmalert are; PATH without it")
    parser.add_argument("--modules", metavar="DIR", required=True, help="node_modules, as package-lock.json has them")
    parser.add_argument("--pictures", metavar="DIR", required=True, help="where pictures go")
    parser.add_argument("--vmui", action="store_true", help="also the pages of vmui, with the VictoriaMetrics that make lab-cache has built")
    options = parser.parse_args(arguments)
    names = [*boards(), REPORT]
    for name in options.names:
        if name not in names:
            parser.error(f"no board {name}; there are {', '.join(names)}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        parser.error(f"needs one of {', '.join(BROWSERS)} on PATH")
    os.makedirs(options.pictures, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="accelmon-preview-") as folder:
        return draw(options, Programs(options.programs), browser, folder)


if __name__ == "__main__":
    sys.exit(main())
