"""Runs and services that are killed, and files that are wrong. Simulated: the accelerators."""

import json
import os
import time

import pytest
from conftest import eventually

# How long the storage is away. Ten minutes were run by hand.
OUTAGE_SECONDS = int(os.environ.get("ACCELMON_OUTAGE_SECONDS", "60"))


def process(fleet, host, unit):
    return fleet.shell(host, f"systemctl show --value --property MainPID {unit}").strip()


def test_a_program_that_was_swapped_without_a_restart_is_restarted(fleet):
    before = process(fleet, "plain1", "accelmon-node-exporter")
    fleet.shell("plain1", "cp -p /usr/bin/prometheus-node-exporter /root/new && touch /root/new && mv /root/new /usr/bin/prometheus-node-exporter")
    assert fleet.site("--limit", "plain1").changed() == 1
    assert process(fleet, "plain1", "accelmon-node-exporter") != before
    assert fleet.site("--limit", "plain1").changed() == 0


def test_a_run_killed_between_swap_and_restart_is_completed_by_the_next(fleet):
    arguments = ("--limit", "plain1", "-e", json.dumps({"node_exporter_extra_args": ["--collector.disable-defaults", "--collector.uname"]}))
    before = process(fleet, "plain1", "accelmon-node-exporter")
    fleet.killed("plain1", "site.yml", *arguments)
    assert process(fleet, "plain1", "accelmon-node-exporter") == before, "the service must still run as it was"
    assert "--collector.uname" in fleet.shell("plain1", "cat /etc/systemd/system/accelmon-node-exporter.service")

    fleet.site(*arguments)
    assert process(fleet, "plain1", "accelmon-node-exporter") != before
    assert "--collector.uname" in fleet.shell("plain1", f"tr '\\0' ' ' < /proc/{process(fleet, 'plain1', 'accelmon-node-exporter')}/cmdline")
    fleet.site("--limit", "plain1")


def test_a_service_that_does_not_come_up_gets_its_unit_back(fleet):
    unit = fleet.shell("plain1", "cat /etc/systemd/system/accelmon-node-exporter.service")
    run = fleet.play("site.yml", "--limit", "plain1", "-e", json.dumps({"node_exporter_extra_args": ["--no-such-flag"]}))
    assert run.code != 0 and "no-such-flag" in run.output and "put back" in run.output, run.output
    assert fleet.shell("plain1", "cat /etc/systemd/system/accelmon-node-exporter.service") == unit
    eventually(lambda: "node_uname_info" in fleet.shell("plain1", "curl -sf http://127.0.0.1:9100/metrics"), "it answers again")
    assert fleet.site("--limit", "plain1").changed() == 0


@pytest.mark.costly
def test_no_sample_is_lost_while_the_storage_is_away(fleet):
    begin = time.time()
    fleet.shell("mon1", "systemctl stop accelmon-victoriametrics")
    try:
        time.sleep(OUTAGE_SECONDS)
    finally:
        fleet.shell("mon1", "systemctl start accelmon-victoriametrics")
    stopped = time.time()

    def stored():
        """The storage has samples from after the outage, and those from before it have arrived."""
        text = fleet.get(fleet.storage("/api/v1/export"), "--data", 'match[]=up{node="plain1",job="node_exporter"}', "--data", f"start={begin - 30:.0f}")
        times = sorted(moment / 1000 for line in text.splitlines() for moment in json.loads(line)["timestamps"])
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        # A scrape may be late on a busy machine; what was lost would be a gap as long as the outage.
        return times and times[-1] > stopped and max(gaps) < 3 * fleet.interval and gaps
    gaps = eventually(stored)
    assert len(gaps) >= (OUTAGE_SECONDS + 20) / fleet.interval


def test_a_bad_rule_file_is_refused_and_the_rules_in_use_stay(fleet, tmp_path):
    bad = tmp_path / "bad.yml"
    bad.write_text("groups: [{name: mine, rules: [{alert: Broken, expr: 'sum(('}]}]\n")
    before = fleet.shell("mon1", "cat /etc/accelmon/rules/*")
    run = fleet.play("site.yml", "--limit", "mon1", "-e", json.dumps({"accelmon_rule_files": [str(bad)]}))
    assert run.code != 0 and "sum((" in run.output, run.output
    assert fleet.shell("mon1", "cat /etc/accelmon/rules/*") == before
    fleet.well()


@pytest.mark.costly
def test_a_sites_own_rule_file_is_loaded_and_goes_when_it_is_not_named_any_more(fleet, tmp_path):
    own = tmp_path / "own.yml"
    own.write_text("groups: [{name: mine, rules: [{record: 'site:up:sum', expr: 'sum(up)'}]}]\n")
    fleet.site("--limit", "mon1", "-e", json.dumps({"accelmon_rule_files": [str(own)]}))
    eventually(lambda: fleet.query("site:up:sum"), "the site's own rule is evaluated")
    fleet.site("--limit", "mon1")
    assert "own.yml" not in fleet.shell("mon1", "ls /etc/accelmon/rules")


def test_a_bad_scrape_file_is_refused_and_the_one_in_use_stays(fleet, tmp_path):
    path = "/etc/accelmon/vmagent/scrape.yml"
    before = fleet.shell("mon1", f"cat {path}")
    play = tmp_path / "bad_scrape.yml"
    play.write_text(json.dumps([{"hosts": "mon1", "gather_facts": False, "become": True, "tasks": [{"accelmon.fleet.config_set": {
        "name": "vmagent",
        "files": [{"path": path, "content": "scrape_configs: [{job_name: x, no_such_key: 1}]\n"}],
        "validate": [{"argv": ["/usr/bin/vmagent", "-dryRun", "-promscrape.config.strictParse", "-promscrape.config={stage}" + path]}]}}]}]))
    run = fleet.play(play)
    assert run.code != 0 and "no_such_key" in run.output, run.output
    assert fleet.shell("mon1", f"cat {path}") == before
