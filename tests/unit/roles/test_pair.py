# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of the stack on one monitoring host and on two, by ansible-playbook itself.

Stubbed: nothing. The variables of the roles are real; none of their tasks runs, so nothing is known of addresses of the hosts."""
import pytest
import yaml
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

ROLES = ("victoriametrics", "vmagent", "vmalert")
PASSWORD = ["-httpAuth.username=accelmon", "-httpAuth.password=file:///etc/accelmon/secrets/stack_password"]
# As they were before there could be several hosts, which must be no reason to restart anything where there is one.
ALONE = {
    "victoriametrics": [
        "/usr/bin/victoria-metrics", "-httpListenAddr=127.0.0.1:8428", "-loggerLevel=INFO", "-storageDataPath=/var/lib/accelmon/victoriametrics",
        "-retentionPeriod=90d", "-search.latencyOffset=5s", "-search.maxQueryLen=1MiB", "-vmui.customDashboardsPath=/etc/accelmon/vmui"],
    "agent": ["/usr/bin/vmauth", "-httpListenAddr=127.0.0.1:8427", "-httpInternalListenAddr=127.0.0.1:8426", "-loggerLevel=INFO",
              "-auth.config=/etc/accelmon/web/stack_vmauth.yml", "-configCheckInterval=1s"] + PASSWORD,
    "vmagent": [
        "/usr/bin/vmagent", "-enableTCP6", "-httpListenAddr=127.0.0.1:8429"] + PASSWORD + [
        "-loggerLevel=INFO", "-promscrape.config=/etc/accelmon/vmagent/scrape.yml", "-promscrape.configCheckInterval=10s",
        "-promscrape.fileSDCheckInterval=10s", "-remoteWrite.tmpDataPath=/var/lib/accelmon/vmagent", "-remoteWrite.maxDiskUsagePerURL=10GiB",
        "-remoteWrite.url=http://127.0.0.1:8428/api/v1/write", "-remoteWrite.basicAuth.username=accelmon",
        "-remoteWrite.basicAuth.passwordFile=/etc/accelmon/secrets/stack_password", "-maxConcurrentInserts=0", "-insert.maxQueueDuration=1ms"],
    "vmalert": [
        "/usr/bin/vmalert", "-enableTCP6", "-httpListenAddr=127.0.0.1:8880"] + PASSWORD + [
        "-loggerLevel=INFO", "-rule=/etc/accelmon/rules/*.yml", "-rule=/etc/accelmon/rules/*.vmalert", "-configCheckInterval=10s",
        "-evaluationInterval=15s", "-rule.evalDelay=0s", "-rule.resendDelay=1m", "-remoteWrite.flushInterval=500ms", "-disableAlertgroupLabel"] + [
            f"-{kind}{option}" for kind in ("datasource", "remoteRead", "remoteWrite", "notifier") for option in (
                f".url=http://127.0.0.1:{9093 if kind == 'notifier' else 8428}", ".basicAuth.username=accelmon",
                ".basicAuth.passwordFile=/etc/accelmon/secrets/stack_password")],
}
READ = {"victoriametrics": "victoriametrics_unit.Service.ExecStart", "agent": "victoriametrics_agent_unit.Service.ExecStart",
        "vmagent": "vmagent_unit.Service.ExecStart", "vmalert": "vmalert_unit.Service.ExecStart", "scrape": "vmagent_scrape | accelmon.fleet.scrape_config",
        "listen": "victoriametrics_seen.own.address"}


@pytest.fixture(name="alone", scope="module")
def _alone(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("alone"), ROLES, READ, {"mon1": {}})["mon1"]


@pytest.fixture(name="pair", scope="module")
def _pair(tmp_path_factory):
    return rendered(tmp_path_factory.mktemp("pair"), ROLES, READ, {"mon1": {"accelmon_address": "10.0.0.1"}, "mon2": {"accelmon_address": "10.0.0.2"}})


def test_one_monitoring_host_is_as_it_always_was(alone):
    assert {name: alone[name] for name in ALONE} == ALONE
    fleet = next(job for job in yaml.safe_load(alone["scrape"])["scrape_configs"] if job["job_name"] == "accelmon_fleet")
    assert fleet["static_configs"] == [{"targets": ["127.0.0.1:9100"]}] and alone["listen"] == "127.0.0.1"


def test_each_of_two_writes_to_both_with_tls_and_keeps_one_of_two_samples(pair):
    for host, other in (("mon1", "10.0.0.2"), ("mon2", "10.0.0.1")):
        found = pair[host]
        new = [word for word in found["vmagent"] if word not in ALONE["vmagent"]]
        assert new == ["-remoteWrite.url=https://127.0.0.1:8428/api/v1/write", f"-remoteWrite.url=https://{other}:8428/api/v1/write",
                       "-remoteWrite.tlsCAFile=/etc/accelmon/tls/ca.crt", "-remoteWrite.tlsServerName=localhost", f"-remoteWrite.tlsServerName={other}",
                       f"-promscrape.cluster.name={host}"]
        assert found["vmagent"][-2:] == ALONE["vmagent"][-2:], "still closed to those who push"
        assert [word for word in found["victoriametrics"] if word not in ALONE["victoriametrics"]] == ["-dedup.minScrapeInterval=15s"]
        assert {"-tls", "-tlsCertFile=/etc/accelmon/tls/host.crt"} < set(found["agent"]) and set(ALONE["agent"]) < set(found["agent"])
        assert "-datasource.url=https://127.0.0.1:8428" in found["vmalert"] and f"-notifier.url=https://{other}:9093" in found["vmalert"]
        assert found["listen"] == ""


def test_the_registry_of_two_hosts_is_told_in_the_same_series(pair):
    fleet = next(job for job in yaml.safe_load(pair["mon1"]["scrape"])["scrape_configs"] if job["job_name"] == "accelmon_fleet")
    assert fleet["static_configs"] == [{"targets": ["127.0.0.1:9100"], "labels": {"instance": "mon1"}}]
    shared = fleet["metric_relabel_configs"][-1]
    assert (shared["target_label"], shared["replacement"]) == ("instance", "") and "accelmon_fleet_node_info" in shared["regex"].split("|")
    assert "accelmon_fleet_generation" not in shared["regex"], "verify.yml looks for that of the host"


def test_a_group_places_the_storage_and_whoever_has_none_uses_it_over_tls(tmp_path):
    hosts = {f"mon{number}": {"accelmon_address": f"10.0.0.{number}", "vmalert_listen": "0.0.0.0"} for number in (1, 2)}
    placed = rendered(tmp_path, ROLES, READ, hosts, groups={"victoriametrics": ["mon1"], "vmagent": ["mon2"], "vmalert": ["mon2"]})
    for kind, path in (("remoteWrite", "/api/v1/write"), ("datasource", ""), ("remoteRead", "")):
        program = placed["mon2"]["vmagent" if path else "vmalert"]
        assert [word for word in program if word.startswith((f"-{kind}.url", f"-{kind}.tls"))] == [
            f"-{kind}.url=https://10.0.0.1:8428{path}", f"-{kind}.tlsCAFile=/etc/accelmon/tls/ca.crt", f"-{kind}.tlsServerName=10.0.0.1"]
    jobs = [job["job_name"] for job in yaml.safe_load(placed["mon2"]["scrape"])["scrape_configs"]]
    assert jobs[jobs.index("accelmon_fleet") + 1:] == [
        "accelmon_fleet on mon1", "alertmanager", "vmagent", "vmalert", "victoriametrics on mon1", "alertmanager on mon1"]
    # Nobody looked at the host, so that it listens at all of its addresses, with TLS.
    assert placed["mon1"]["listen"] == "" and "-tls" in placed["mon1"]["agent"] and "-dedup.minScrapeInterval=15s" in placed["mon1"]["victoriametrics"]
