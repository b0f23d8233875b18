"""Of two monitoring hosts, each has everything, and each is enough: no sample is lost and every alert is told once, whichever role stops.

Simulated: the accelerators; the receiver of notifications, a program on the node.
"""

import json
import pathlib
import time
import urllib.parse

import pytest

from conftest import AUTHORITY, eventually

PORT = 18099
LOG = "/tmp/accelmon-notifications"
ROLES = ("victoriametrics", "vmagent", "vmalert", "alertmanager")
# What has to be there without a gap: whether targets answer, and a value that changes with each scrape.
WATCHED = '{__name__=~"up|node_time_seconds",job="node_exporter"}'


def listened(fleet, monitor):
    """The addresses on which a monitoring host's storage is asked."""
    return [line.split()[3] for line in fleet.shell(monitor, "ss -Hltn").splitlines() if line.split()[3].endswith(":8428")]


def status(fleet, monitor, url, options=""):
    """The HTTP status with which a page answers a monitoring host."""
    return fleet.shell(monitor, f"curl -s -o /dev/null --max-time 10 -w '%{{http_code}}' --cacert {AUTHORITY} {options} '{url}'; true")


@pytest.fixture(scope="module", autouse=True)
def receiver(fleet):
    """The receiver, on the node."""
    program = (pathlib.Path(__file__).absolute().parents[2] / "shared/tests/webhook_receiver.py").read_text(encoding="utf-8")
    fleet.shell("nvidia1", f"cat > /root/receiver.py <<'END'\n{program}\nEND\nrm -f {LOG}; "
                           f"systemd-run --unit ha-receiver --collect python3 /root/receiver.py {PORT} {LOG}")
    yield
    fleet.shell("nvidia1", f"systemctl stop ha-receiver; rm -f {LOG} /root/receiver.py", check=False)


def told(fleet, alert, status):
    """Times at which an alert was told with a status."""
    notes = map(json.loads, fleet.shell("nvidia1", f"cat {LOG} 2>/dev/null || true").splitlines())
    return [note["at"] for note in notes if any((one["labels"]["alertname"], one["status"]) == (alert, status) for one in note["alerts"])]


def raise_alert(fleet, role, value):
    """Begin or end the alert of a test, by a series of the node's own."""
    fleet.shell("nvidia1", f"echo 'ha_test{{role=\"{role}\"}} {value}' > /var/lib/accelmon/textfile/ha_{role}.prom")


def gaps(fleet, monitor, begin, end):
    """{(series, node): longest time between two samples, in intervals} in a storage, with the first and the last moment as samples."""
    arguments = urllib.parse.urlencode({"match[]": WATCHED, "start": begin, "end": end, "reduce_mem_usage": 1})
    found = {}
    for line in fleet.get(fleet.storage(f"/api/v1/export?{arguments}", monitor=monitor), monitor=monitor).splitlines():
        series = json.loads(line)
        known = found.setdefault((series["metric"]["__name__"], series["metric"]["node"]), {begin, end})
        known.update(moment / 1000 for moment, value in zip(series["timestamps"], series["values"]) if value is not None)
    return {key: max(later - one for one, later in zip(sorted(moments), sorted(moments)[1:])) / fleet.interval for key, moments in found.items()}


def whole(fleet, begin, end):
    """Whether both storages have every watched series without a gap; two in a row of different scrapers are almost two intervals apart."""
    for monitor in fleet.monitors:
        seen = gaps(fleet, monitor, begin, end)
        assert {node for dummy, node in seen} == set(fleet.hosts), f"{monitor}: {seen}"
        assert max(seen.values()) < 2.2, f"{monitor}: {seen}"
    return True


@pytest.mark.parametrize("monitor", ("mon1", "mon2"))
def test_each_storage_has_everything_once(fleet, monitor):
    def has(expression, wanted, label="node"):
        eventually(lambda: fleet.values(expression, label, monitor=monitor) == wanted, expression)
    for job in ROLES:
        has(f'up{{job="{job}"}}', {"mon1": 1, "mon2": 1})
    has("count(accelerator_info)", {None: 8})
    # Both tell the same registry, in the same series.
    has('count(accelmon_fleet_node_info{node="nvidia1"})', {None: 1})
    has('up{job="accelmon_fleet"}', {"mon1": 1, "mon2": 1}, "instance")
    # Twelve in a minute and not twenty-four.
    eventually(lambda: 11 <= fleet.values('count_over_time(up{job="node_exporter"}[1m])', monitor=monitor)["nvidia1"] <= 13, "a minute's samples")


def test_the_pair_is_verified(fleet):
    fleet.well()


def test_storages_are_asked_over_the_network_with_tls_and_the_password_alone(fleet):
    for monitor, other in (("mon1", "mon2"), ("mon2", "mon1")):
        assert listened(fleet, monitor) and not [place for place in listened(fleet, monitor) if place.startswith("127.")]
        for path in ("api/v1/query?query=up", "api/v1/write", "metrics", "internal/resetRollupResultCache", "x/opentsdb/api/put"):
            assert status(fleet, monitor, f"https://{other}:8428/{path}") == "401", path
            assert status(fleet, monitor, f"https://{other}:8428/{path}", "-u accelmon:wrong") == "401", path
        assert status(fleet, monitor, f"http://{other}:8428/") in ("000", "400")
        arguments = fleet.shell(monitor, "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID accelmon-vmagent)/cmdline").splitlines()
        assert len([one for one in arguments if one.startswith("-remoteWrite.url=https://")]) == 2
        secret = fleet.shell(monitor, "cat /etc/accelmon/secrets/stack_password").strip()
        assert secret not in fleet.shell(monitor, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; cat /etc/systemd/system/accelmon-*; journalctl -u 'accelmon-*'")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_stops_on_one_host_loses_no_sample_and_no_alert(fleet, role):
    alert, begin = f"Without{role.capitalize()}", time.time()
    fleet.shell("mon1", f"systemctl stop accelmon-{role}")
    try:
        time.sleep(2 * fleet.interval)
        raise_alert(fleet, role, 1)
        eventually(lambda: told(fleet, alert, "firing"), f"{alert} is told")
    finally:
        fleet.shell("mon1", f"systemctl start accelmon-{role}")
    end = time.time()
    eventually(lambda: whole(fleet, begin, end), "what was scraped meanwhile is in both")
    # The second of a pair waits 15 seconds for the first before it tells what it was not heard to tell.
    time.sleep(20)
    raise_alert(fleet, role, 0)
    eventually(lambda: told(fleet, alert, "resolved"), f"the end of {alert} is told")
    assert len(told(fleet, alert, "firing")) == 1, told(fleet, alert, "firing")
    assert len(told(fleet, alert, "resolved")) == 1, told(fleet, alert, "resolved")
    eventually(lambda: whole(fleet, begin, time.time() - 4 * fleet.interval), "and what was scraped since then")


def test_a_lost_host_loses_no_sample_and_no_alert(fleet):
    begin = time.time()
    fleet.lab("stop", "mon1")
    try:
        raise_alert(fleet, "host", 1)
        eventually(lambda: told(fleet, "WithoutHost", "firing"), "the alert is told")
        eventually(lambda: fleet.values('up{job="node_exporter"} == 0', monitor="mon2") == {"mon1": 0}, "mon1 is down and the others are not")
        run = fleet.play("playbooks/status.yml")
        assert run.code == 0 and '"mon1: ssh: ' in run.output and "nvidia 8/8" in run.output, run.output
        run = fleet.verify()
        assert run.code == 2 and '"mon1: ssh: ' in run.output and "8 of 8 accelerators fresh" in run.output, run.output
        for playbook, options in (("report", ()), ("explain", ("--limit", "nvidia1")), ("silence", ("-e", "accelmon_silence_action=list"))):
            run = fleet.play(f"playbooks/{playbook}.yml", *options)
            assert run.code == 0 and '"mon1: ssh: ' in run.output, run.output
    finally:
        fleet.lab("start", "mon1")
    end = time.time()

    def caught_up():
        """Both storages have the node's samples of that time; mon1 itself could not be scraped, which is a sample too."""
        for monitor in fleet.monitors:
            seen = {key: gap for key, gap in gaps(fleet, monitor, begin, end).items() if key != ("node_time_seconds", "mon1")}
            assert len(seen) == 5 and max(seen.values()) < 2.2, f"{monitor}: {seen}"
        return True
    eventually(caught_up)
    raise_alert(fleet, "host", 0)
    eventually(lambda: told(fleet, "WithoutHost", "resolved"), "its end is told")
    assert len(told(fleet, "WithoutHost", "firing")) == 1
    fleet.well()


def test_what_was_not_recorded_is_recorded_afterwards(fleet):
    def missing():
        """Intervals within the outage for which mon1 has no count of a cluster, which is the last that is computed."""
        arguments = urllib.parse.urlencode({"query": f"count_over_time(cluster:accelerator_info:count[{fleet.interval}s])", "start": begin, "end": end,
                                            "step": fleet.interval, "nocache": 1})
        found = fleet.fetch(fleet.storage(f"/api/v1/query_range?{arguments}"))["data"]["result"]
        return (end - begin) // fleet.interval - sum(len(series["values"]) for series in found)
    fleet.shell("mon1", "systemctl stop accelmon-vmalert")
    begin = int(time.time()) + 2 * fleet.interval
    eventually(lambda: time.time() > begin + 10 * fleet.interval, "an outage")
    end = int(time.time()) - fleet.interval
    fleet.shell("mon1", "systemctl start accelmon-vmalert")
    eventually(lambda: fleet.values(f"max(timestamp(accelerator_info)) > {end} + 90") and missing() > 3, "it is recorded again, and long enough ago")
    run = fleet.play("playbooks/replay.yml", "-e", "accelmon_replay_hours=1", "--limit", "mon1")
    assert run.code == 0 and run.recap["mon1"]["changed"] == 1, run.output
    eventually(lambda: missing() <= 1, "counts of the cluster")
    run = fleet.play("playbooks/replay.yml", "-e", "accelmon_replay_hours=1", "--limit", "mon1")
    assert run.code == 0 and run.changed() == 0 and "nothing is missing" in run.output, run.output


def scraped(fleet, monitor):
    """Nodes that the vmagent of a monitoring host scrapes."""
    targets = fleet.fetch("http://127.0.0.1:8429/api/v1/targets?state=active", monitor=monitor)["data"]["activeTargets"]
    return [target["labels"]["node"] for target in targets if target["labels"]["job"] == "node_exporter"]


def test_groups_place_roles_and_take_them_back(fleet, tmp_path):
    """The storage is on mon1 alone and the Alertmanager on mon2 alone; each vmagent has a part of the nodes, and then all of them."""
    groups = {"monitoring": fleet.monitors, "accelerator_nodes": ["nvidia1"], "victoriametrics": ["mon1"], "alertmanager": ["mon2"]}
    inventory = fleet.inventory_of(tmp_path / "inventory.json", groups=groups, settings={"vmagent_replication_factor": 1})
    fleet.site(inventory=inventory)
    for host, gone in (("mon1", "alertmanager"), ("mon2", "victoriametrics")):
        assert "not-found" in fleet.shell(host, f"systemctl show -P LoadState accelmon-{gone}")
        assert fleet.shell(host, f"ls /var/lib/accelmon/{gone}").strip(), "data stay"
    eventually(lambda: fleet.values('up{job="vmagent"}') == {"mon1": 1, "mon2": 1}, "both write to the one storage")
    eventually(lambda: fleet.values('up{job="alertmanager"}') == {"mon2": 1}, "one Alertmanager is watched")
    eventually(lambda: sorted(scraped(fleet, "mon1") + scraped(fleet, "mon2")) == sorted(fleet.hosts), "each node is scraped by one of them")
    fleet.well(inventory=inventory)
    assert fleet.site(inventory=inventory).changed() == 0
    # Whose evaluator goes has the other's, with an Alertmanager on another host and a storage on yet another.
    both = fleet.inventory_of(tmp_path / "both.json", groups=groups, settings={"vmagent_replication_factor": 2})
    fleet.site(inventory=both)
    eventually(lambda: sorted(scraped(fleet, "mon1")) == sorted(scraped(fleet, "mon2")) == sorted(fleet.hosts), "both scrape all")
    begin = time.time()
    fleet.shell("mon1", "systemctl stop accelmon-vmagent accelmon-vmalert")
    try:
        raise_alert(fleet, "host", 1)
        eventually(lambda: [moment for moment in told(fleet, "WithoutHost", "firing") if moment > begin], "the alert is told")
    finally:
        fleet.shell("mon1", "systemctl start accelmon-vmagent accelmon-vmalert")
    end = time.time()
    eventually(lambda: max(gaps(fleet, "mon1", begin, end).values()) < 2.2, "no sample of that time is missing")
    raise_alert(fleet, "host", 0)
    eventually(lambda: [moment for moment in told(fleet, "WithoutHost", "resolved") if moment > begin], "its end is told")
    fleet.site()
    eventually(lambda: fleet.values('up{job="victoriametrics"}', monitor="mon2") == {"mon1": 1, "mon2": 1}, "each has everything again")
    fleet.well()


# The last test: the second host is no more.
def test_the_second_host_goes_and_the_first_one_is_whole(fleet, tmp_path):
    begin = time.time()
    run = fleet.play("playbooks/uninstall.yml", "--limit", "mon2", "-e", "accelmon_uninstall=all")
    assert run.code == 0, run.output
    inventory = fleet.inventory_of(tmp_path / "inventory.json", hosts=["mon1", "nvidia1"], settings={"accelmon_rule_files": []})
    fleet.site("-e", "accelmon_prune=true", inventory=inventory)
    assert {place.rpartition(":")[0] for place in listened(fleet, "mon1")} == {"127.0.0.1"}
    assert not fleet.shell("mon1", "ss -Hltn | grep ':909[34] ' | grep -v 127.0.0.1; true").strip()
    said = fleet.shell("mon1", "cat /etc/systemd/system/accelmon-v*.service")
    assert "mon2" not in said and "dedup" not in said and "promscrape.cluster" not in said
    fleet.well(inventory=inventory)
    sought = urllib.parse.urlencode({"query": '{__name__=~"alertmanager_cluster_failed_peers|ALERTS",alertname=~"Alertmanager.*|"}'})
    eventually(lambda: not fleet.fetch(f"http://127.0.0.1:8428/api/v1/query?{sought}")["data"]["result"], "its Alertmanager does not look for the other")
    arguments = urllib.parse.urlencode({"match[]": 'up{job="node_exporter",node="nvidia1"}', "start": begin, "end": time.time()})
    lines = fleet.get(f"http://127.0.0.1:8428/api/v1/export?{arguments}").splitlines()
    moments = sorted(moment / 1000 for line in lines for moment in json.loads(line)["timestamps"])
    assert moments[0] - begin < 3 * fleet.interval, "what it had before is there"
    assert fleet.site(inventory=inventory).changed() == 0
