# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A storage of the site's own: who asks it, with which password, by real programs where they are found in ACCELMON_PROGRAMS or on PATH.

Stand-in: there is no cluster of VictoriaMetrics here. A vmauth with the URL paths of one stands before a single VictoriaMetrics, and lets in one user. The
directories of the collection are below a temporary one. Stubbed: `hostvars` is a dictionary.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.request

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import view
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import draining, storages
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters import services
from ansible_collections.accelmon.fleet.tests.unit.plugins.live_programs import eventually, free_port
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = os.environ.get("ACCELMON_PROGRAMS")
PROGRAMS = {name: shutil.which(name, path=FOLDER) for name in ("victoria-metrics", "vmauth", "vmagent", "vmalert")}
needs_programs = pytest.mark.skipif(not all(PROGRAMS.values()), reason="not found in ACCELMON_PROGRAMS or on PATH: " + ", ".join(
    name for name, path in PROGRAMS.items() if not path))

CLUSTER = "https://cluster.example:8427"
GIVEN = {"victoriametrics_state": "absent", "vmagent_remote_write_url": CLUSTER + "/insert/0/prometheus/api/v1/write",
         "vmalert_storage_url": CLUSTER + "/select/0/prometheus", "vmalert_storage_user": "fleet",
         "vmalert_storage_password_file": "/etc/accelmon-site/storage", "vmagent_extra_args": [
             "-remoteWrite.basicAuth.username=fleet", "-remoteWrite.basicAuth.passwordFile=/etc/accelmon-site/storage"],
         "vmalert_extra_args": [f"-remoteWrite.url={CLUSTER}/insert/0/prometheus"]}
READ = {"vmagent": "vmagent_unit.Service.ExecStart", "vmalert": "vmalert_unit.Service.ExecStart", "scrape": "vmagent_scrape | accelmon.fleet.scrape_config"}


def monitor(**given):
    """`hostvars` of a monitoring host with a storage of the site's own, and of a Slurm controller beside it."""
    return {"mon1": {"inventory_hostname": "mon1", "ansible_host": "10.0.0.1", "group_names": ["monitoring"], **GIVEN, **given},
            "ctl": {"inventory_hostname": "ctl", "accelmon_slurm_controller": True, "accelmon_drain": "drain"}}


def test_what_reads_asks_where_vmalert_evaluates_with_its_own_password():
    access = {"user": "fleet", "password_file": "/etc/accelmon-site/storage"}
    assert storages.asked("mon1", monitor(), ["mon1"]) == {"storage": CLUSTER + "/select/0/prometheus", "storage_access": access}
    found = services.stack_urls("mon1", monitor(), ["mon1"])
    assert (found["storage"], found["storage_access"], found["rules"]) == (CLUSTER + "/select/0/prometheus", access, "http://127.0.0.1:8880")
    assert "victoriametrics" not in found["listeners"]
    # One of the fleet has none.
    alone = services.stack_urls("mon1", monitor(vmalert_storage_url="", victoriametrics_state="present"), ["mon1"])
    assert (alone["storage"], alone["storage_access"]) == ("http://127.0.0.1:8428", {})
    assert services.stack_urls("mon1", monitor(accelmon_backend="prometheus"), ["mon1"])["storage_access"] == {}


def test_grafana_reads_the_password_from_the_file_of_the_site_and_is_not_told_that_of_the_stack():
    (storage, alertmanager) = json.loads(services.grafana_sources("of-the-stack", "mon1", monitor(), ["mon1"]))["datasources"]
    assert (storage["url"], storage["uid"], storage["basicAuthUser"]) == (CLUSTER + "/select/0/prometheus", "accelmon", "fleet")
    assert storage["secureJsonData"] == {"basicAuthPassword": "$__file{/etc/accelmon-site/storage}"} and storage["isDefault"]
    assert alertmanager["secureJsonData"]["basicAuthPassword"] == "of-the-stack"
    (storage, _rest) = json.loads(services.grafana_sources("of-the-stack", "mon1", monitor(vmalert_storage_user=""), ["mon1"]))["datasources"]
    assert not storage["basicAuth"] and storage["secureJsonData"] == {}


def test_a_slurm_controller_asks_it_if_it_is_a_monitoring_host():
    found = draining.storages({"monitoring": ["mon1"]}, monitor(), "mon1")
    assert found == {"urls": [CLUSTER + "/select/0/prometheus"], "user": "fleet", "password_file": "/etc/accelmon-site/storage", "ca": "", "needs": []}
    members = storages.members_of("mon1", monitor(), ["mon1"], storages.READ)
    (problem,) = draining.deaf({"ctl": "drain"}, members)["ctl"]
    assert str(problem) == ("accelmon_drain = drain: mon1 asks a storage of the site's own, whose password is not on the controller; put the controller into "
                            "the group monitoring, or set slurm_drain_storage_urls")
    assert draining.storages({"monitoring": ["mon1"]}, monitor(), "ctl")["urls"] == []


@pytest.mark.parametrize("given,lines", [
    ({}, []),
    ({"vmalert_storage_url": "https://ada:secret@store.example"}, ["vmalert_storage_url = https://(not shown)@store.example: every user of the host"]),
    ({"vmalert_storage_password_file": ""}, ["vmalert_storage_password_file = '': required with vmalert_storage_user"]),
    ({"accelmon_backup_directory": "/b"}, ["accelmon_backup_directory = /b: not possible with vmalert_storage_url and victoriametrics_state = absent"]),
    ({"accelmon_global_url": "https://g"}, ["accelmon_global_url = https://g: not possible with vmalert_storage_url and victoriametrics_state = absent"]),
    ({"accelmon_backup_directory": "/b", "victoriametrics_state": "present"}, []),
    ({"vmalert_storage_url": "", "accelmon_backup_directory": "/b"}, []),
])
def test_what_cannot_work_is_said_before_anything_is_changed(given, lines):
    found = storages.between_variables({**GIVEN, **given})
    assert len(found) == len(lines) and all(one.startswith(line) for one, line in zip(found, lines)), found


def test_every_playbook_that_gives_a_storage_gives_the_access_to_it():
    """Otherwise a storage of the site's own would be sent the stack's password."""
    for path in (ROOT / "playbooks").rglob("*.yml"):
        given = re.findall(r"^ +storage_url: (.*)\n +(\w+): (.*)$", path.read_text(), re.MULTILINE)
        assert len(given) == len(re.findall(r"^ +storage_url:", path.read_text(), re.MULTILINE)), path
        assert all((name, value) == ("storage_access", url.replace(".storage ", ".storage_access ")) for url, name, value in given), path


class Site:
    """The stand-in and the programs of a monitoring host that uses it, as the roles start them."""

    def __init__(self, folder, stop):
        self.folder, self.stop = folder, stop
        self.ports = {name: free_port() for name in ("storage", "vmauth", "inner", "vmagent", "vmalert")}
        cluster = f"http://127.0.0.1:{self.ports['vmauth']}"
        replaced = [("/etc/accelmon-site", str(folder / "site")), ("/etc/accelmon", str(folder / "etc")), ("/var/lib/accelmon", str(folder / "var"))]
        self.given = {**json.loads(json.dumps(GIVEN).replace(CLUSTER, cluster)), **{f"{name}_port": self.ports[name] for name in ("vmagent", "vmalert")}}
        text = json.dumps(rendered(folder, ("victoriametrics", "vmagent", "vmalert"), READ, {"mon1": self.given})["mon1"])
        for old, new in replaced:
            text = text.replace(old, new)
        self.found = json.loads(text)
        self.given["vmalert_storage_password_file"] = str(folder / "site/storage")
        for path, content in (("etc/secrets/stack_password", "of-the-stack"), ("site/storage", "of-the-site"), ("etc/vmagent/scrape.yml", self.found["scrape"]),
                              ("etc/rules/x.yml", yaml.safe_dump({"groups": [{"name": "x", "interval": "1s", "rules": [
                                  {"record": "site:up:count", "expr": "count(up)"}]}]})), ("vmauth.yml", yaml.safe_dump(self.paths()))):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)

    def paths(self):
        """What the stand-in answers for: writes and queries of one tenant, to one user."""
        storage = f"http://127.0.0.1:{self.ports['storage']}"
        return {"users": [{"username": "fleet", "password": "of-the-site", "url_map": [
            {"src_paths": [f"/{word}/0/prometheus/.*"], "url_prefix": storage, "drop_src_path_prefix_parts": 3} for word in ("insert", "select")]}]}

    def run(self, name, *arguments):
        """Start a program, which ends with the test."""
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen([PROGRAMS[name], *arguments], stdout=log, stderr=log, cwd=str(self.folder))
        self.stop.callback(process.wait)
        self.stop.callback(process.kill)

    def refused(self):
        """How many requests the stand-in has refused for their password."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['inner']}/metrics", timeout=10) as answer:
            return sum(float(line.split()[-1]) for line in answer.read().decode().splitlines() if "invalid_auth_token" in line)


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory):
    with contextlib.ExitStack() as stop:
        yield Site(tmp_path_factory.mktemp("site"), stop)


@needs_programs
@pytest.mark.parametrize("name", ["vmagent", "vmalert"])
def test_the_programs_take_the_arguments(site, name):
    done = subprocess.run([PROGRAMS[name], *site.found[name][1:], "-dryRun"], cwd=str(site.folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout


@needs_programs
def test_samples_and_recorded_series_are_found_where_everything_reads(site):
    site.run("victoria-metrics", f"-httpListenAddr=127.0.0.1:{site.ports['storage']}", f"-storageDataPath={site.folder}/data", "-search.latencyOffset=0s")
    site.run("vmauth", f"-httpListenAddr=127.0.0.1:{site.ports['vmauth']}", f"-httpInternalListenAddr=127.0.0.1:{site.ports['inner']}",
             f"-auth.config={site.folder}/vmauth.yml")
    for name in ("vmagent", "vmalert"):
        site.run(name, *site.found[name][1:])
    asked = storages.asked("mon1", {"mon1": {"inventory_hostname": "mon1", "group_names": ["monitoring"], **site.given}}, ["mon1"])
    params = {"storage_url": asked["storage"], "storage_access": asked["storage_access"], "query_timeout": 10,
              "password_file": str(site.folder / "etc/secrets/stack_password"), "ca_file": ""}
    ask = view.asking(params)[0]
    assert eventually(lambda: ask('up{job="vmagent"} == 1')) and eventually(lambda: ask("site:up:count > 0"))
    # Nobody has sent anything but the site's own password; who has no access to the site's sends the stack's, and is refused.
    assert site.refused() == 0
    with pytest.raises(Failure, match="answers HTTP 401"):
        view.asking(dict(params, storage_access={}))[0]("up")
    assert eventually(site.refused) == 1
