# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters host_names, certificate_requests, secret_files and stack_urls. Stubbed: hostvars, by a dictionary of plain values."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.access import certificate_requests, host_names, secret_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import stack_urls


def host(name, groups=(), **values):
    return dict(values, inventory_hostname=name, group_names=list(groups))


@pytest.mark.parametrize("values, names", [
    ({}, ["gpu7"]),
    ({"ansible_host": "10.0.0.7"}, ["10.0.0.7", "gpu7"]),
    ({"ansible_host": "127.0.0.1", "accelmon_address": "[fd00::7]"}, ["fd00::7", "gpu7"]),
    ({"accelmon_tls_names": ["gpu7.example.org"]}, ["gpu7", "gpu7.example.org"]),
])
def test_names_of_a_node(values, names):
    assert host_names(host("gpu7", **values)) == {"address": names[0] if names[0] != "gpu7" else "gpu7", "names": names, "client": False}


def test_a_monitoring_host_calls_itself_localhost_and_is_a_client():
    found = host_names(host("mon1", ["monitoring"]))
    assert found["client"] and found["names"] == ["127.0.0.1", "::1", "localhost", "mon1"]


def test_an_inventory_name_that_is_none_of_a_host_is_left_out():
    assert host_names(host("gpu 7", ansible_host="10.0.0.7"))["names"] == ["10.0.0.7"]


@pytest.mark.parametrize("values, message", [
    ({"accelmon_tls_names": ["a b"]}, r'^gpu7: accelmon_tls_names = \["a b"\]: a b: neither'),
    ({"accelmon_tls_names": "a"}, "^gpu7: accelmon_tls_names = a: not a list"),
    ({"accelmon_address": "gpu7:9100"}, "^gpu7: accelmon_address = gpu7:9100: "),
])
def test_bad_names_are_told_in_one_line(values, message):
    with pytest.raises(AnsibleFilterError, match=message):
        host_names(host("gpu7", **values))


def test_only_hosts_that_ask_get_a_certificate_under_the_inventory_s_names():
    hostvars = {
        "gpu7": host("gpu7", ansible_host="10.0.0.7", request={"csr": "CSR", "names": ["mon1"], "client": True}),
        "gpu8": host("gpu8", request={"csr": ""}), "gpu9": host("gpu9", request={"failed": True}), "gpu10": host("gpu10")}
    assert certificate_requests(list(hostvars), hostvars, "request") == [
        {"host": "gpu7", "csr": "CSR", "names": ["10.0.0.7", "gpu7"], "client": False}]


def test_urls_of_either_backend():
    hostvars = {"mon1": host("mon1", ["monitoring"])}
    assert stack_urls("mon1", hostvars, ["mon1"]) == {
        "storage": "http://127.0.0.1:8428", "storage_access": {}, "rules": "http://127.0.0.1:8880", "alertmanagers": ["http://127.0.0.1:9093"],
        "listeners": {"victoriametrics": "http://127.0.0.1:8428", "vmagent": "http://127.0.0.1:8429", "vmalert": "http://127.0.0.1:8880",
                      "alertmanager": "http://127.0.0.1:9093"}}
    hostvars = {"mon1": host("mon1", ["monitoring"], accelmon_backend="prometheus", prometheus_port="9999", prometheus_listen="0.0.0.0")}
    found = stack_urls("mon1", hostvars, ["mon1"])
    assert found["storage"] == found["rules"] == found["listeners"]["prometheus"] == "https://127.0.0.1:9999"
    assert set(found["listeners"]) == {"prometheus", "alertmanager"}


def test_grafana_is_a_listener_where_it_runs():
    hostvars = {"mon1": host("mon1", ["monitoring"], accelmon_grafana=True, grafana_listen="0.0.0.0", grafana_root_url="https://mon1.example.org/grafana/")}
    assert stack_urls("mon1", hostvars, ["mon1"])["listeners"]["grafana"] == "https://127.0.0.1:3000/grafana"


def test_a_pair_of_alertmanagers_is_asked_at_both_places():
    hostvars = {name: host(name, ["monitoring"], ansible_host=address) for name, address in (("mon1", "10.0.0.1"), ("mon2", "10.0.0.2"))}
    found = stack_urls("mon2", hostvars, ["mon1", "mon2"])
    assert found["alertmanagers"][0] == "https://10.0.0.1:9093" and found["storage"] == found["listeners"]["victoriametrics"] == "https://10.0.0.2:8428"


def test_a_playbook_that_did_not_look_at_a_host_finds_its_alertmanager_where_the_run_that_did_put_it():
    """One of a pair listens on the address by which the other reaches it alone, if that is an address and not a name."""
    hostvars = {name: host(name, ["monitoring"], ansible_host=address) for name, address in (("mon1", "mon1.example.org"), ("mon2", "10.0.0.2"))}
    assert stack_urls("mon2", hostvars, ["mon1", "mon2"])["listeners"]["alertmanager"] == "https://10.0.0.2:9093"
    assert stack_urls("mon1", hostvars, ["mon1", "mon2"])["listeners"]["alertmanager"] == "https://127.0.0.1:9093"


def test_files_with_secrets_are_for_the_services_alone_and_without_their_content():
    assert secret_files({"/etc/a": "S3cret", "/etc/b": "S3cret"}) == [
        {"path": "/etc/a", "secret": True, "group": "accelmon"}, {"path": "/etc/b", "secret": True, "group": "accelmon"}]
