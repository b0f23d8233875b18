# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that another place than their own role reads. Stubbed: a host's entry in `hostvars` is a dictionary."""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import setting
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.neighbours import neighbours
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import unwanted_services
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.stack import BACKENDS, listener

HOST = {"inventory_hostname": "mon1", "group_names": ["monitoring"]}


def mon1(**given):
    return dict(HOST, **given)


@pytest.mark.parametrize("name,given,value", [
    ("accelmon_scrape_interval", {}, "15s"), ("accelmon_scrape_interval", {"accelmon_scrape_interval": "5s"}, "5s"),
    ("accelmon_source", {"accelmon_source": ""}, "package"), ("accelmon_tls_client_auth", {"accelmon_tls_client_auth": "no"}, False),
    ("accelmon_rotate", {"accelmon_rotate": "stack, ca"}, ["stack", "ca"]), ("accelmon_verify_wait", {"accelmon_verify_wait": " "}, 0),
    ("node_exporter_port", {}, 9100), ("node_exporter_port", {"node_exporter_port": "9101"}, 9101), ("accelmon_alert_overrides", {}, {}),
])
def test_a_setting_is_what_the_host_has_or_else_its_default(name, given, value):
    assert setting(mon1(**given), name) == value


def test_a_wrong_setting_names_its_host():
    with pytest.raises(Problem, match="^mon1: accelmon_scrape_interval = 1ms: out of range"):
        setting(mon1(accelmon_scrape_interval="1ms"), "accelmon_scrape_interval")


def test_a_wrong_password_is_not_shown():
    with pytest.raises(Problem) as error:
        setting(mon1(accelmon_stack_password="short"), "accelmon_stack_password")
    assert "short" not in str(error.value).replace("shorter", "")


def test_a_fact_stands_for_no_setting():
    with pytest.raises(Problem):
        setting(mon1(ansible_facts={"accelmon_backend": "prometheus"}), "accelmon_backend")


def test_the_services_of_a_host_find_one_another():
    found = neighbours(mon1(vmagent_port=18429, vmalert_listen="192.0.2.1", accelmon_exporter_tls="managed"))
    # Where VictoriaMetrics is depends on other hosts.
    assert set(found) == {service for backend in BACKENDS.values() for service in backend.services} - {"victoriametrics"} | {"node_exporter"}
    assert found["vmagent"] == dict(listener("127.0.0.1", 18429), address="127.0.0.1", port=18429)
    assert found["vmalert"]["url"] == "https://192.0.2.1:8880"
    assert found["node_exporter"] == {"target": "127.0.0.1:9100", "scheme": "https", "path": "/metrics"}


@pytest.mark.parametrize("given,target,scheme", [
    ({"node_exporter_listen": "192.0.2.7", "node_exporter_port": 9101}, "192.0.2.7:9101", "http"), ({"node_exporter_listen": "::1"}, "[::1]:9100", "http"),
    # As its role does: the host's own address.
    ({"accelmon_address": "192.0.2.8", "ansible_facts": {"accelerators": {}, "accelmon_node": {"addresses": ["192.0.2.8"]}}}, "192.0.2.8:9100", "http"),
    ({"node_exporter_managed": "adopt", "accelmon_exporter_tls": "managed"}, "127.0.0.1:9100", "http"),
])
def test_the_node_exporter_of_a_host(given, target, scheme):
    found = neighbours(mon1(**given))["node_exporter"]
    assert (found["target"], found["scheme"]) == (target, scheme)


def test_grafana_is_one_of_them_only_where_it_runs():
    assert "grafana" not in neighbours(mon1())
    found = neighbours(mon1(accelmon_grafana="yes", grafana_port=3001, grafana_root_url="https://mon1.example.org/grafana/"))["grafana"]
    assert (found["target"], found["url"], found["path"]) == ("127.0.0.1:3001", "http://127.0.0.1:3001/grafana", "/grafana/metrics")


@pytest.mark.parametrize("given,services", [
    ({}, ["grafana", "backup", "prometheus"]), ({"accelmon_backend": "prometheus"}, ["grafana", "backup", "vmalert", "vmagent", "victoriametrics"]),
    ({"accelmon_grafana": "yes", "accelmon_backup_directory": "/mnt/backup"}, ["prometheus"])])
def test_of_what_a_host_does_not_run_the_storage_stops_last(given, services):
    assert unwanted_services(mon1(**given)) == services
