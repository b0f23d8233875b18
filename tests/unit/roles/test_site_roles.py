# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles declare on a monitoring host of a site, of the global place, and of a fleet that is neither, by ansible-playbook itself.

Stubbed: nothing. The variables of the roles are real; none of their tasks runs, and what the role access made is made up."""
import base64
import json

import pytest
import yaml
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

ROLES = ("vmagent", "prometheus", "access", "rules")
READ = {
    "vmagent": "vmagent_unit.Service.ExecStart", "vmagent_files": "vmagent_relabelling.files",
    "vmagent_restart": "vmagent_destinations | accelmon.fleet._vm_authorities",
    "vmagent_scrape": "vmagent_scrape | accelmon.fleet.scrape_config", "prometheus": "prometheus_scrape | accelmon.fleet.scrape_config",
    "access": "access_contents",
}
GLOBAL = {"accelmon_global_url": "https://global.example:8428/api/v1/write", "accelmon_global_password": "of-the-sites", "accelmon_cluster": "east"}
# What a fleet without sites had before there were any.
WITHOUT = """/usr/bin/vmagent -enableTCP6 -httpListenAddr=127.0.0.1:8429 -httpAuth.username=accelmon
 -httpAuth.password=file:///etc/accelmon/secrets/stack_password -loggerLevel=INFO -promscrape.config=/etc/accelmon/vmagent/scrape.yml
 -promscrape.configCheckInterval=10s -promscrape.fileSDCheckInterval=10s -remoteWrite.tmpDataPath=/var/lib/accelmon/vmagent
 -remoteWrite.maxDiskUsagePerURL=10GiB -remoteWrite.url=http://127.0.0.1:8428/api/v1/write -remoteWrite.basicAuth.username=accelmon
 -remoteWrite.basicAuth.passwordFile=/etc/accelmon/secrets/stack_password -maxConcurrentInserts=0 -insert.maxQueueDuration=1ms""".split()


@pytest.fixture(name="read", scope="module")
def _read(tmp_path_factory):
    """{host: {name in READ: what roles make of it}}."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
    given = {"plain": {}, "site": dict(GLOBAL, accelmon_global_ca_file=str(folder / "ca.pem")), "public": dict(GLOBAL, accelmon_global_user="tenant-7"),
             "tls": dict(GLOBAL, victoriametrics_listen="0.0.0.0", accelmon_global_ca_file=str(folder / "ca.pem")),
             "global": {"accelmon_sites": ["east"], "accelmon_global_password": "of-the-sites"},
             "own": {"accelmon_sites": ["east"], "accelmon_site_passwords": {"east": "of-east-1"}},
             "former": {"accelmon_site_passwords": {"east": "of-east-1"}}}
    made = {"passwords": {"stack": "s", "exporter": "e"}, "hashes": {"stack": "hs", "exporter": "he"}}
    secrets = {"access_secrets": {"encoded": base64.b64encode(json.dumps(made).encode()).decode()}}
    found = {}
    # Each is a fleet of its own.
    for host, values in given.items():
        found.update(rendered(folder, ROLES, READ, {host: values}, given=secrets))
    return found


def arguments(read, host, name):
    """Values of an argument about remote write of a host's vmagent."""
    return [word.partition("=")[2] for word in read[host]["vmagent"] if word.startswith(f"-remoteWrite.{name}=")]


def test_a_fleet_without_sites_has_what_it_had(read):
    assert read["plain"]["vmagent"] == WITHOUT
    assert (read["plain"]["vmagent_files"], read["plain"]["vmagent_restart"]) == ([], [])
    assert "rollups" not in read["plain"]["vmagent_scrape"] and "remote_write" not in read["plain"]["prometheus"]
    assert sorted(read["plain"]["access"]) == ["/etc/accelmon/secrets/exporter_password", "/etc/accelmon/secrets/stack_password"] + [
        f"/etc/accelmon/web/{name}.yml" for name in ("stack", "stack_tls", "stack_vmauth")]
    assert len(yaml.safe_load(read["plain"]["access"]["/etc/accelmon/web/stack_vmauth.yml"])["users"]) == 1


def test_a_site_writes_to_its_own_storage_first_and_to_the_global_place(read):
    """The first address and its place are what they were: the queue on disk is named after both."""
    assert arguments(read, "site", "url") == ["http://127.0.0.1:8428/api/v1/write", "https://global.example:8428/api/v1/write"]
    assert arguments(read, "site", "basicAuth.username") == ["accelmon", "accelmon-site"]
    assert arguments(read, "site", "basicAuth.passwordFile") == [f"/etc/accelmon/secrets/{name}_password" for name in ("stack", "global")]
    assert arguments(read, "site", "tlsCAFile") == ["/etc/accelmon/tls/ca.crt", "/etc/accelmon/tls/global_ca.crt"]
    assert arguments(read, "site", "tlsServerName") == ["", "global.example"]
    assert arguments(read, "site", "urlRelabelConfig") == [f"/etc/accelmon/vmagent/{kind}.yml" for kind in ("own", "global")]
    assert [one["path"] for one in read["site"]["vmagent_files"]] == arguments(read, "site", "urlRelabelConfig")
    assert [word for word in WITHOUT if word not in read["site"]["vmagent"]] == []
    assert read["site"]["vmagent_restart"] == ["/etc/accelmon/tls/global_ca.crt"]
    assert read["tls"]["vmagent_restart"] == ["/etc/accelmon/tls/ca.crt", "/etc/accelmon/tls/global_ca.crt"]
    assert arguments(read, "tls", "tlsServerName") == ["localhost", "global.example"]


def test_without_a_file_of_an_authority_it_trusts_those_of_the_host(read):
    assert arguments(read, "public", "tlsCAFile") == ["/etc/accelmon/tls/ca.crt", ""]
    assert arguments(read, "public", "basicAuth.username") == ["accelmon", "tenant-7"]
    assert read["public"]["vmagent_restart"] == []
    assert "tls_config" not in yaml.safe_load(read["public"]["prometheus"])["remote_write"][0]


def test_prometheus_writes_to_the_global_place_by_its_own_section(read):
    pattern = "(?:model|node|rack|cluster):accelerator_.*|ALERTS|accelmon_fleet_node_info|accelmon_expected_accelerators"
    assert yaml.safe_load(read["site"]["prometheus"])["remote_write"] == [{
        "url": "https://global.example:8428/api/v1/write", "metadata_config": {"send": False}, "tls_config": {"ca_file": "/etc/accelmon/tls/global_ca.crt"},
        "basic_auth": {"username": "accelmon-site", "password_file": "/etc/accelmon/secrets/global_password"},
        "write_relabel_configs": [{"source_labels": ["__name__"], "regex": pattern, "action": "keep"}]}]


def test_the_password_is_in_its_file_alone(read):
    assert [path for path, text in read["site"]["access"].items() if "of-the-sites" in text] == ["/etc/accelmon/secrets/global_password"]
    assert read["site"]["access"]["/etc/accelmon/tls/global_ca.crt"].startswith("-----BEGIN CERTIFICATE-----\nMA==")
    assert not [name for host in ("site", "public") for name in READ if name != "access" and "of-the-sites" in json.dumps(read[host][name])]
    assert "/etc/accelmon/tls/global_ca.crt" not in read["public"]["access"]


def test_the_global_place_lets_sites_write_and_do_nothing_else(read):
    users = yaml.safe_load(read["global"]["access"]["/etc/accelmon/web/stack_vmauth.yml"])["users"]
    assert users[1:] == [{"username": "accelmon-site", "password": "of-the-sites",
                          "url_map": [{"src_paths": ["/api/v1/write"], "url_prefix": "http://127.0.0.1:8428"}]}]
    assert read["global"]["vmagent"] == WITHOUT
    users = yaml.safe_load(read["own"]["access"]["/etc/accelmon/web/stack_vmauth.yml"])["users"]
    assert users[1:] == [{"username": "accelmon-site", "password": "of-east-1",
                          "url_map": [{"src_paths": ["/api/v1/write"], "url_prefix": "http://127.0.0.1:8428?extra_label=cluster=east"}]}]
    assert [path for path, text in read["own"]["access"].items() if "of-east-1" in text] == ["/etc/accelmon/web/stack_vmauth.yml"]
    assert not [name for name in READ if name != "access" and "of-east-1" in json.dumps(read["own"][name])]
    assert "of-east-1" not in json.dumps(read["former"]), "without accelmon_sites nobody may write"
