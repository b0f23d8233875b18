# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that mean harm, against real scrapers and storages on loopback: what they forge is not stored, and who floods is named.

Stubbed: the exporters, as in live.py. guessed: all pages are made up for the test.
"""

import itertools
import re
import time

from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import limits, reserved
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
import live

JOBS = ("node_exporter", "dcgm_exporter", "amd_exporter", "all_smi", "custom")
# Of one job they are so small that a page of few bytes is too large.
LIMITS = {"all_smi": 300}
SERIES = itertools.count()
# Every way to send a client elsewhere that there is, and some that there is not.
WAYS = (300, 301, 302, 303, 304, 305, 307, 308, 399)


def names(job):
    """Every name that a page of this job must not bring in."""
    sources = load("sources")
    own = ["accelmon_collector_success", "accelmon_collector_last_success_timestamp_seconds"]
    more = [name for part in sources["published"].values() if job not in part["jobs"] for name in part["series"]]
    others = [name for spec in sources["delegated"].values() for name in (*spec["about"], *spec["own"])] if job != "custom" else []
    return sorted([
        *others, *reserved.recorded(), *sources["registry"], *sources["stack"], *more, *(own if job != "node_exporter" else []),
        "accelerator_info", "accelmon_fleet_anything", "accelmon_expected_anything", "accelmon_anything", "node:accelerator_anything:count",
        "ALERTS", "ALERTS_FOR_STATE", "scrape_samples_scraped", "scrape_anything",
        *(["vm_rows", "vmagent_x", "prometheus_x", "alertmanager_x"] if job != "custom" else [])])


def forged(job):
    """A page with each reserved name, labels that it must not choose, and two series that are allowed."""
    lines = [f'{name}{{cluster="c9",node="victim",rack="r1",job="x",instance="y",alertstate="firing"}} 100000' for name in names(job)]
    lines += ['up{z="1"} 5', 'allowed{cluster="c9",node="victim",rack="r1",job="x",instance="y",source="dcgm"} 1',
              'allowed_too{__accelmon_through="1",__accelmon_name="x",__accelmon_device="1",gpu="0",UUID="a"} 1',
              'accelmon_fleet_generation{__accelmon_through="1"} 9']
    if job == "node_exporter":
        lines += [f"{name} 1" for part in load("sources")["published"].values() for name in part["series"] if job in part["jobs"]]
        lines += ['accelmon_collector_success{vendor="nvidia"} 1', 'DCGM_FI_DEV_GPU_TEMP{UUID="a",source="dcgm"} 50']
    if job == "custom":
        lines += ["accelerator_job_info 1", "vllm:num_requests_running 3", "prometheus_tsdb_head_series 5"]
    return "\n".join(lines) + "\n"


def twice():
    """A page on which names and labels of series are there twice. Prometheus refuses it whole."""
    lines = [f'twice{{__name__="{name}",__accelmon_name="x",n="{number}"}} 1' for number, name in enumerate(names("node_exporter"))]
    lines += [f'thrice{{__name__="z",{filler}__name__="node:accelerator_info:count",n="t{number}"}} 1'
              for number, filler in enumerate(",".join(f'l{n}="1"' for n in range(count)) + "," for count in (1, 5, 20))]
    lines += ['both{rack="r1",rack="r2",source="a",source="dcgm",node="victim",node="victim",cluster="c9",cluster="c9"} 1']
    return "\n".join(lines) + "\n"


def flood(count, page=""):
    """A page with this many series."""
    return "".join(f'flood{page}{{number="{number}"}} 1\n' for number in range(count))


PAGES = {
    **{f"/{job}": forged(job) for job in JOBS},
    "/slurm": """slurm_node_state_info{node="gpu7",cluster="c9",rack="r1",state="idle"} 1
slurm_node_state_info{node="a b",state="idle"} 1
slurm_jobs{node="gpu7",partition="p",state="running"} 3
node_load1{node="gpu7"} 1
accelmon_certificate_expiry_timestamp_seconds{node="gpu7"} 1
""",
    "/twice": twice(),
    **{f"/elsewhere{status}": f"{status} to /secret" for status in WAYS},
    "/secret": "secret 1\n",
    "/time": lambda: f"timed 1 {int(time.time() + 7200) * 1000}\n",
    "/flood": flood(120000),
    "/huge": flood(200, "x" * 20000),
    "/churn": lambda: "".join(f'churn{{number="{next(SERIES)}"}} 1\n' for _number in range(100)),
    "/wide": "wide{%s} 1\n" % ",".join(f'l{number}="1"' for number in range(200)),
    "/long": 'long{x="%s"} 1\n' % ("y" * 100000),
    "/good": "good 1\n",
    "/metrics": 'accelmon_fleet_generation{cluster="c1"} 3\naccelmon_fleet_generation{__name__="up",cluster="c1",node="victim"} 1\n',
}
ONE_NAME = re.compile(r".*__name__.*\n")


def targets(folder, port):
    """Files as the registry writes them: each page once of a target with a rack, and once of one without."""
    def entries(page, **labels):
        return [{"targets": [f"127.0.0.1:{port}"], "labels": {"cluster": "c1", "node": page + end, "__metrics_path__": "/" + page, **rack, **labels}}
                for end, rack in (("", {}), ("_racked", {"rack": "r7"}))]

    files = {f"{job}/c1.json": entries(job, **({"job": "web"} if job == "custom" else {})) for job in JOBS}
    for page in ("twice", "time", "flood", "wide", "long", "good", *(f"elsewhere{status}" for status in WAYS)):
        files["node_exporter/c1.json"] += entries(page)
    files["all_smi/c1.json"] += entries("churn") + entries("huge")
    files["slurm_collector/c1.json"] = entries("slurm")
    live.write_targets(folder, files)


def nothing(api, expression):
    """No series of an expression is there."""
    found = live.query(api, expression)
    assert not found, f"{expression}: {found[:3]}"


def nodes(programs, folder, engine):
    """What becomes of their pages."""
    pages = dict(PAGES)
    if engine == "prometheus":
        # A name twice makes a page of this host's own invalid there; of a node's, it is the node's loss.
        pages["/metrics"] = ONE_NAME.sub("", pages["/metrics"])
    with live.serving(pages) as port, live.serving(live.STACK) as stack:
        targets(folder, port)
        with live.ENGINES[engine](programs, folder, port, stack, limits=LIMITS, scrape_interval="3s") as api:
            stored(api, engine)


def stored(api, engine):
    """What is in the storage, and what is not."""
    live.until(api, "good", 2)
    live.until(api, "accelmon_fleet_generation", 1)
    live.until(api, "allowed", 2 * len(JOBS))
    live.until(api, "up", 2 * (len(JOBS) + len(WAYS) + 9) + 2)
    for job in JOBS:
        shown = "web" if job == "custom" else job
        for name in names(job):
            if name in load("sources")["registry"]:
                continue
            own = ["node", "rack"] if name.startswith("scrape_") else []
            nothing(api, f'{name}{{job="{shown}",{"alertstate!=" if own else "node!="}""}}')
        for node, rack in ((job, {}), (f"{job}_racked", {"rack": "r7"})):
            theirs = {"exported_cluster": "c9", "exported_node": "victim", "exported_rack": "r1", "exported_job": "x",
                      "exported_instance": "y", "exported_source": "dcgm"}
            if job == "all_smi":
                del theirs["exported_instance"]  # the catalogue forgets it
            found = [{name: value for name, value in series.items() if name != "instance"} for series in live.query(api, f'allowed{{node="{node}"}}')]
            assert found == [{"__name__": "allowed", "cluster": "c1", "node": node, "job": shown, **rack, **theirs}], found
    # A Slurm controller speaks for others, in series of Slurm alone.
    live.until(api, 'slurm_node_state_info{node="gpu7",cluster="c1",rack="",state="idle",job="slurm_collector"}', 1)
    live.until(api, 'slurm_jobs{node=~"slurm|slurm_racked"}', 2)
    nothing(api, '{node="gpu7",__name__!="slurm_node_state_info"}')
    nothing(api, 'node_load1 or {node="a b"}')
    nothing(api, '{node="victim"}')
    nothing(api, '{cluster="c9"}')
    nothing(api, '{rack!="",rack!="r7"}')
    nothing(api, 'up{z!=""}')
    nothing(api, '{__accelmon_through!=""} or {__accelmon_device!=""}')
    nothing(api, '{source="dcgm"}')
    live.same(api, "accelmon_fleet_generation", [{"cluster": "c1", "job": "accelmon_fleet", "instance": live.query(api, "good")[0]["instance"]}])
    for name in ("accelmon_certificate_expiry_timestamp_seconds", "accelmon_exporter_restarts_total", "accelmon_collector_success",
                 "accelerator_job_info", 'vllm:num_requests_running', "prometheus_tsdb_head_series", "timed"):
        assert live.query(api, name), name
    if engine == "vmagent":
        found = live.until(api, '{node="twice",__name__!~"up|scrape_.*"}', 1)
        assert found[0]["__name__"] == "both", found
    # Nothing of whoever leads elsewhere or has too much, but that it is there.
    nothing(api, "secret")
    nothing(api, '{__name__=~"flood.*|wide|long"}')
    live.until(api, 'up{node=~"elsewhere.*|huge.*"} == 0', 2 * len(WAYS) + 2)
    assert "/secret" not in live.Handler.seen
    live.until(api, 'up{node=~"flood.*"}', 2)
    live.until(api, 'group by (node) (scrape_samples_scraped{node=~"flood.*"} == 120000)', 2)
    # Of churn no more than the limit allows; who is too much is named.
    nodes_of(api, limits.growing(LIMITS), "churn")
    nodes_of(api, limits.refused(LIMITS), "flood", *(["wide", "long", "twice"] if engine == "prometheus" else []))
    if engine == "vmagent":
        found = len(live.query(api, 'last_over_time(churn{node="churn"}[10m])'))
        # vmagent remembers what it let through in a Bloom filter, which takes a new series for a known one in fewer than 1 of 100 cases.
        offered = next(SERIES)
        allowed = LIMITS["all_smi"] + offered // 100
        assert 0 < found <= allowed < offered, f"churn: {found} series of {offered}, and {allowed} are allowed"


def nodes_of(api, expression, *pages):
    """The series of an expression are of the nodes with these pages."""
    wanted = {page + end for page in pages for end in ("", "_racked")}
    found = {series["node"] for series in live.until(api, expression, len(wanted))}
    assert found == wanted, f"{expression}: {found}"
