"""Two sites, one with each backend, and a global place: what it has of them, while they are connected, cut off, and after that.

The tests follow upon each other. Real: systemd, site.yml, both storages, vmagent, TLS. Simulated: the accelerators; a WAN that is down, by a route that
drops what the site sends to the global place.
"""

import json
import os
import pathlib
import time

import pytest

from conftest import eventually

GLOBAL = "glob1"
HOSTS = {"global": [GLOBAL], "east": ["emon1", "east1"], "west": ["wmon1", "west1"]}
SITES = {"east": "emon1", "west": "wmon1"}
# One has a password of its own, the other that which sites have in common.
PASSWORDS = {"east": "that-east-writes-with-1", "west": "that-sites-write-with-1"}
COUNTS = {("east", "nvidia"): 2, ("west", "amd"): 2}


def counts(fleet, expression):
    """{(cluster, vendor): value} at the global place."""
    return {(dict(labels).get("cluster"), dict(labels).get("vendor")): value for labels, value in fleet.query(expression, monitor=GLOBAL).items()}


def status(fleet, fleets):
    """{cluster: row} of the sites that status.yml lists."""
    run = fleet.play("playbooks/status.yml", "-e", f"accelmon_report_file={fleets['global'].with_name('status.json')}", inventory=fleets["global"])
    assert run.code == 0, run.output
    found = json.loads(fleets["global"].with_name("status.json").read_text())
    return {row["cluster"]: row for row in found[GLOBAL]["sites"]}


@pytest.fixture(scope="module", name="fleets")
def _fleets(fleet):
    """{name of a fleet: its inventory}; site.yml has converged all three."""
    folder = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    fleet.reached = (GLOBAL,)
    of_site = {"accelmon_global_url": f"https://{GLOBAL}:8428/api/v1/write", "accelmon_global_ca_file": str(folder / "global-ca.pem")}
    settings = {"global": {"accelmon_sites": ["east", "west"], "accelmon_site_passwords": {"east": PASSWORDS["east"]},
                           "accelmon_global_password": PASSWORDS["west"], "victoriametrics_listen": "0.0.0.0"},
                "east": dict(of_site, accelmon_global_password=PASSWORDS["east"]),
                "west": dict(of_site, accelmon_global_password=PASSWORDS["west"], accelmon_backend="prometheus")}
    made = {}
    for name, hosts in HOSTS.items():
        made[name] = fleet.inventory_of(folder / f"{name}.json", hosts, {"monitoring": hosts[:1], "accelerator_nodes": hosts[-1:]},
                                        settings=dict(settings[name], accelmon_cluster=name))
    fleet.site(inventory=made["global"])
    (folder / "global-ca.pem").write_text(fleet.shell(GLOBAL, "cat /etc/accelmon/tls/ca.crt"))
    for process in [fleet.start("site.yml", inventory=made[name]) for name in SITES]:
        run = fleet.ended(process)
        assert run.code == 0, run.output
    return made


def test_the_global_place_has_rollups_of_both_and_nothing_else(fleet, fleets):
    for name in ("cluster:accelerator_info:count", "sum by (cluster, vendor) (node:accelerator_info:count)",
                 "sum by (cluster, vendor) (accelmon_expected_accelerators)"):
        eventually(lambda: COUNTS.items() <= counts(fleet, name).items(), f"{name} of both sites")  # pylint: disable=cell-var-from-loop
    names = 'count by (__name__) ({cluster=~"east|west",__name__!~"(model|node|rack|cluster):accelerator_.*|accelmon_site"})'
    eventually(lambda: fleet.values(names, "__name__", monitor=GLOBAL).keys() == {"ALERTS", "accelmon_fleet_node_info", "accelmon_expected_accelerators"},
               "no series of single devices, no up")
    eventually(lambda: not fleet.query('{__name__=~"(model|node|rack|cluster):.*",job!=""} or {instance="accelmon_rollups"}', monitor=GLOBAL),
               "roll-ups have the labels that they have at the site")


def test_what_a_site_sends_is_stored_once_there(fleet, fleets):
    """What vmagent reads out of the storage does not come back to it."""
    recorded = f'count_over_time(node:accelerator_info:count[{20 * fleet.interval}s])'
    eventually(lambda: 15 <= fleet.values(recorded, monitor="emon1").get("east1", 0) <= 21, "one sample for each evaluation")


def test_a_site_can_write_and_do_nothing_else(fleet, fleets):
    url = json.loads(fleets["east"].read_text())["all"]["vars"]["accelmon_global_url"].rpartition("/api")[0]
    ask = "curl -s -o /dev/null -w %{http_code} --path-as-is --cacert /etc/accelmon/tls/global_ca.crt -u accelmon-site:"
    known = f"{ask}$(cat /etc/accelmon/secrets/global_password) {url}"
    # A body that is empty is no samples: it gets as far as the storage.
    assert fleet.shell("emon1", f"{known}/api/v1/write -X POST")[0] in "24"
    for path in ("/api/v1/query?query=up", "/api/v1/export", "/api/v1/admin/tsdb/delete_series", "/api/v1/import", "/api/v1/write/../query?query=up"):
        assert fleet.shell("emon1", f"{known}{path}") in ("400", "401", "404"), path
    assert fleet.shell("emon1", f"{ask}wrong {url}/api/v1/write -X POST") == "401"


def test_a_site_with_a_password_of_its_own_speaks_for_itself_alone(fleet, fleets):
    """It records a roll-up of another site, which its vmagent sends."""
    forged = 'node:accelerator_forged:count{cluster="west",node="west1"} 1'

    def arrived():
        fleet.shell("emon1", "curl -sf -u accelmon:$(cat /etc/accelmon/secrets/stack_password) --data-binary @- "
                             f"http://127.0.0.1:8428/api/v1/import/prometheus <<'END'\n{forged}\nEND")
        return fleet.values("node:accelerator_forged:count", "cluster", monitor=GLOBAL)
    assert eventually(arrived, "what it sends is stored") == {"east": 1}


@pytest.mark.parametrize("name", sorted(SITES))
def test_the_password_is_in_one_file(fleet, fleets, name):
    host, password = SITES[name], PASSWORDS[name]
    assert fleet.shell(host, f"grep -rl '{password}' /etc /var/lib/accelmon /run/systemd 2>/dev/null; true").split() == [
        "/etc/accelmon/secrets/global_password"]
    assert fleet.shell(host, "stat -c %a:%U:%G /etc/accelmon/secrets/global_password").strip() == "640:root:accelmon"
    assert password not in fleet.shell(host, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '; journalctl --no-pager -o cat")
    assert fleet.shell("east1", f"grep -rl '{password}' /etc /var/lib/accelmon; true") == ""


def test_another_run_changes_nothing(fleet, fleets):
    processes = [fleet.start("site.yml", inventory=inventory) for inventory in fleets.values()]
    for run in map(fleet.ended, processes):
        assert run.code == 0 and run.changed() == 0, run.output


def test_status_lists_the_sites(fleet, fleets):
    rows = status(fleet, fleets)
    assert [(name, row["silent"], row["nodes"], row["accelerators"]) for name, row in sorted(rows.items())] == [
        ("east", False, 2, {"nvidia": {"seen": 2, "expected": 2}}), ("west", False, 2, {"amd": {"seen": 2, "expected": 2}})]


def test_sites_that_are_cut_off_are_seen_as_that_and_catch_up(fleet, fleets):
    address = fleet.shell("emon1", f"getent ahostsv4 {GLOBAL}").split()[0]
    eventually(lambda: not any(fleet.firing("SiteSilent", GLOBAL, cluster=site) for site in SITES), "both sites are heard")
    began = time.time()
    for host in SITES.values():
        fleet.shell(host, f"ip route add blackhole {address}")
    eventually(lambda: all(fleet.firing("SiteSilent", GLOBAL, cluster=site) for site in SITES), "both sites are cut off", 600)
    alerts = fleet.fetch("http://127.0.0.1:8880/api/v1/alerts", GLOBAL)["data"]["alerts"]
    assert {(alert["labels"]["cluster"], alert["labels"]["alertname"]) for alert in alerts if alert["labels"].get("cluster") in SITES} == {
        (site, "SiteSilent") for site in SITES}, "of their nodes nothing is said"
    assert [(row["silent"], row["nodes"]) for row in status(fleet, fleets).values()] == [(True, None)] * 2
    eventually(lambda: fleet.values('up{job="node_exporter",node="east1"}', monitor="emon1") == {"east1": 1}, "the site goes on")
    # What waits is on the disk once vmagent ends, as it does when the host restarts.
    fleet.shell("emon1", "systemctl restart accelmon-vmagent")
    waiting = int(fleet.shell("emon1", "cat /var/lib/accelmon/vmagent/persistent-queue/2_*/0* | wc -c"))
    assert waiting > 10000
    for host in SITES.values():
        fleet.shell(host, f"ip route del blackhole {address}")
    back = time.time()
    eventually(lambda: not any(fleet.firing("SiteSilent", GLOBAL, cluster=site) for site in SITES), "both sites are heard again")
    for moment in (began + 60, (began + back) / 2, back - 60):
        past = f"count by (cluster, vendor) (count_over_time(node:accelerator_info:count[{6 * fleet.interval}s] @ {moment:.0f}) > 2)"
        eventually(lambda: COUNTS.keys() <= counts(fleet, past).keys(), f"roll-ups of the gap: {past}")  # pylint: disable=cell-var-from-loop


def test_a_site_that_sends_no_more_has_no_password(fleet, fleets):
    folder = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    alone = fleet.inventory_of(folder / "alone.json", HOSTS["east"], {"monitoring": HOSTS["east"][:1], "accelerator_nodes": HOSTS["east"][1:]},
                               settings={"accelmon_cluster": "east"})
    fleet.site(inventory=alone)
    assert fleet.shell("emon1", "ls /etc/accelmon/secrets /etc/accelmon/tls /etc/accelmon/vmagent").count("global") == 0
    assert "remoteWrite.urlRelabelConfig" not in fleet.shell("emon1", "systemctl cat accelmon-vmagent")
