# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Grafana's image on this machine, with the files and the container of the role grafana, and a real VictoriaMetrics.

    GRAFANA_IMAGE=docker.io/grafana/grafana@sha256:DIGEST tests/setup.sh python tests/grafana_image.py [--programs DIR]

Needs podman, and the image or a registry that has it. It shows that Grafana reads the configuration, that everybody has to sign in, that it provisions
the dashboards and the data source, that it can send every query of every dashboard, and that a dashboard of a user survives a restart, below a path.
Not shown: the browser's side, TLS, the Alertmanager data source, and the unit around the container.
"""
import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml
from jinja2.meta import find_undeclared_variables
from jinja2.nativetypes import NativeEnvironment

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, ".collections"), os.path.join(ROOT, "tests", "rules"), os.path.join(ROOT, "lab")]

# pylint: disable=wrong-import-position
import dashboards as asked
import engine
import live
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import given
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import containers, grafana, stack

PASSWORDS = {paths.GRAFANA_PASSWORD: "the-first-password", paths.GRAFANA_KEY: "0123456789abcdef", paths.STACK_PASSWORD: "that-of-the-stack"}
NOBODY = 65534
PATIENCE = 180


def filled(value, variables):
    """A value of a role's variables with its templates filled in, which use one filter."""
    if isinstance(value, dict):
        return {key: filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, variables) for item in value]
    if not isinstance(value, str) or not value:
        return value
    templates = NativeEnvironment()
    templates.filters["accelmon.fleet._given"] = given
    return templates.from_string(value).render({name: filled(variables[name], variables) for name in find_undeclared_variables(templates.parse(value))})


def container():
    """The container that the role declares."""
    variables = {}
    for path in ("accelmon/vars", "grafana/defaults", "grafana/vars"):
        with open(os.path.join(ROOT, "roles", path, "main.yml"), encoding="utf-8") as stream:
            variables.update(yaml.safe_load(stream))
    variables.update(grafana_source="container", accelmon_source="")
    return filled(variables["grafana_container"], variables)


def write_files(folder, port, storage_port):
    """Grafana's files and its empty data, below a folder that stands for the host's root."""
    options = {"listen": "127.0.0.1", "port": port, "tls": False, "root_url": f"http://127.0.0.1:{port}/grafana/", "database_url": "", "log_level": "info",
               "settings": {}}
    made = grafana.files(options)
    texts = {one["path"]: one["content"] for one in made["files"] if "content" in one}
    texts.update(made["secrets"], **PASSWORDS)
    texts[paths.GRAFANA_SOURCES] = grafana.data_sources(PASSWORDS[paths.STACK_PASSWORD], stack.listener("127.0.0.1", storage_port), {}, "15s")
    for path, text in texts.items():
        os.makedirs(os.path.dirname(folder + path), exist_ok=True)
        with open(folder + path, "w", encoding="utf-8") as stream:
            stream.write(text)
    os.makedirs(folder + grafana.DATA)
    if os.getuid() == 0:
        os.chown(folder + grafana.DATA, NOBODY, NOBODY)


def command(folder, image, name):
    """The command line of the role's unit, with its files below a folder."""
    declared = container()
    root = os.getuid() == 0
    declared.update(volumes=[folder + volume for volume in declared["volumes"]], options=declared["options"] + ["--userns=keep-id"] * (not root))
    user = f"{NOBODY}:{NOBODY}" if root else f"{os.getuid()}:{os.getgid()}"
    line = containers.command("grafana", declared, {"runtime": "podman", "program": "podman", "id": image, "user": user, "groups": [], "devices": []})
    # There is no unit around it whose group it could be in.
    return [f"--name={name}" if word.startswith("--name=") else word for word in line if word != "--cgroups=split"]


class Grafana:
    """What answers at an address."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, user="accelmon", password=PASSWORDS[paths.GRAFANA_PASSWORD], document=None):
        """(status, text) of a page."""
        request = urllib.request.Request(self.url + path, data=None if document is None else json.dumps(document).encode())
        request.add_header("Content-Type", "application/json")
        if password:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def json(self, path, **options):
        """A page, decoded."""
        status, text = self.ask(path, **options)
        assert status == 200, f"{path}: HTTP {status}: {text[:500]}"
        return json.loads(text)

    def wait(self, process):
        """Wait until it answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert process.poll() is None, "the container has ended"
            try:
                if self.ask("/api/health", password="")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise AssertionError(f"no answer within {PATIENCE} s")


def check_access(grafana_):
    """Everybody has to sign in, and its own series have the stack's password."""
    for path in ("/api/search", "/api/org", "/api/datasources", "/metrics"):
        assert grafana_.ask(path, password="")[0] == 401, f"{path} is open"
        assert grafana_.ask(path, user="admin", password="admin")[0] == 401, f"{path} is open to admin:admin"
    status, page = grafana_.ask("/metrics", password=PASSWORDS[paths.STACK_PASSWORD])
    assert status == 200 and "grafana_build_info" in page, f"/metrics: HTTP {status}"


def check_provisioned(grafana_):
    """The dashboards are there, read-only, and the data source answers."""
    wanted = {board["uid"] for board in asked.boards().values()}
    end = time.monotonic() + PATIENCE
    while not wanted <= (found := {one["uid"] for one in grafana_.json("/api/search?type=dash-db")}):
        assert time.monotonic() < end, f"not provisioned: {wanted - found}"
        time.sleep(0.5)
    for uid in sorted(wanted):
        assert grafana_.json(f"/api/dashboards/uid/{uid}")["meta"]["provisioned"], f"{uid} is not provisioned"
    assert grafana_.json(f"/api/datasources/uid/{grafana.STORAGE_UID}/health")["status"] == "OK"


def check_queries(grafana_):
    """How many queries of panels it could send."""
    count, end = 0, int(time.time()) * 1000
    for name, board in asked.boards().items():
        for panel in asked.panels(board):
            queries = [{"refId": target["refId"], "datasource": {"uid": grafana.STORAGE_UID}, "expr": asked.filled(target["expr"], {}),
                        "instant": target["instant"], "range": not target["instant"], "intervalMs": 15000, "maxDataPoints": 500}
                       for target in panel.get("targets", [])]
            if not queries:
                continue
            results = grafana_.json("/api/ds/query", document={"queries": queries, "from": str(end - 1_800_000), "to": str(end)})["results"]
            wrong = {reference: result["error"] for reference, result in results.items() if result.get("error")}
            assert not wrong and len(results) == len(queries), f"{name}: {panel['title']}: {wrong or results}"
            count += len(queries)
    return count


def main():
    """Runs it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", metavar="DIR", help="where victoria-metrics is; PATH without it")
    options = parser.parse_args()
    image, storage = os.environ.get("GRAFANA_IMAGE"), shutil.which("victoria-metrics", path=options.programs)
    if not image or not storage or not shutil.which("podman"):
        sys.exit("NOT RUN: set GRAFANA_IMAGE to the image, and have podman and victoria-metrics")
    os.environ.update(engine.environment())
    port, storage_port, name = live.free_port(), live.free_port(), f"accelmon-test-grafana-{os.getpid()}"
    one = Grafana(f"http://127.0.0.1:{port}/grafana")
    if subprocess.run(["podman", "image", "exists", image], check=False).returncode:
        subprocess.run(["podman", "pull", image], check=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        write_files(folder, port, storage_port)
        line = command(folder, image, name)
        try:
            with live.running(folder, "victoria-metrics", storage, f"-httpListenAddr=127.0.0.1:{storage_port}", f"-storageDataPath={folder}/storage"):
                live.until(f"http://127.0.0.1:{storage_port}", "1", 1)
                with live.running(folder, "grafana", *line) as process:
                    one.wait(process)
                    check_access(one)
                    check_provisioned(one)
                    count = check_queries(one)
                    one.json("/api/dashboards/db", document={"dashboard": {"title": "made by a user"}})
                    subprocess.run(["podman", "stop", "--time=10", name], check=True, stdout=subprocess.DEVNULL)
                with live.running(folder, "grafana", *line) as process:
                    one.wait(process)
                    assert "made by a user" in {board["title"] for board in one.json("/api/search?type=dash-db")}
        finally:
            subprocess.run(["podman", "rm", "--force", "--ignore", "--time=0", name], check=False, stdout=subprocess.DEVNULL)
    print(f"ok: {image}: access, {len(asked.boards())} dashboards, data source, {count} queries, a user's dashboard")


if __name__ == "__main__":
    main()
