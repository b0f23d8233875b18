# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Grafana's files. Stubbed: Grafana itself, whose reading of an INI file and of variables is written down here from its source."""
import configparser
import http.server
import importlib.util
import json
import pathlib
import re
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.modules import fleet_verify_info
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.access import fleet_passwords
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import grafana_sources
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import containers, grafana, stack

SPEC = importlib.util.spec_from_file_location("accelmon_grafana_image", pathlib.Path(__file__).resolve().parents[4] / "tests" / "grafana_image.py")
grafana_image = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(grafana_image)
OPTIONS = {"listen": "127.0.0.1", "port": 3000, "tls": False, "root_url": "", "database_url": "", "log_level": "info", "settings": {}}


def written(**more):
    """{section: {key: value}} of grafana.ini as Grafana's library would read it, without what it does with quotes."""
    parser = configparser.RawConfigParser(comment_prefixes=("#", ";"))
    parser.read_string(grafana.ini(grafana.configuration({**OPTIONS, **more})))
    return {section: dict(parser[section]) for section in parser.sections()}


def expanded(text, environment=None):
    """A value of a provisioning file as Grafana takes it: files and variables of the environment filled in, except behind two dollars."""
    def variable(found):
        return (environment or {}).get(found.group(1) or found.group(2), "")
    parts = [re.sub(r"\$(?:\{(\w+)\}|(\w+|.))", variable, part) for part in text.split("$$")]
    return "$".join(parts)


def mon1(**more):
    return {"inventory_hostname": "mon1", "group_names": ["monitoring"], "groups": {}, **more}


def test_nobody_gets_in_unasked_and_nothing_is_sent_home():
    found = written()
    assert found["auth.anonymous"] == {"enabled": "false"} and found["public_dashboards"] == {"enabled": "false"}
    assert found["users"]["allow_sign_up"] == "false" and found["snapshots"]["external_enabled"] == "false"
    assert set(found["analytics"].values()) == {"false"} and found["news"] == {"news_feed_enabled": "false"}
    assert found["security"]["disable_gravatar"] == "true" and found["security"]["cookie_secure"] == "false"
    assert found["plugins"] == {"plugin_admin_enabled": "false", "preinstall_disabled": "true", "public_key_retrieval_disabled": "true"}
    assert found["metrics"]["basic_auth_username"] == "accelmon" and paths.STACK_PASSWORD in found["metrics"]["basic_auth_password"]


def test_the_configuration_names_secrets_by_their_files():
    found = written()["security"]
    assert found["admin_password"] == "$__file{/etc/accelmon/secrets/grafana_password}" and found["admin_user"] == "accelmon"
    assert found["secret_key"] == "$__file{/etc/accelmon/secrets/grafana_key}"


def test_it_listens_as_it_is_told():
    assert written()["server"] == {"protocol": "http", "http_addr": "127.0.0.1", "http_port": "3000"}
    found = written(tls=True, listen="::", root_url="https://mon1.example.org/grafana/")
    assert found["server"] == {"protocol": "https", "http_addr": "::", "http_port": "3000", "cert_file": paths.CERTIFICATE, "cert_key": paths.KEY,
                               "root_url": "https://mon1.example.org/grafana/", "serve_from_sub_path": "true"}
    assert found["security"]["cookie_secure"] == "true"
    assert written(root_url="https://grafana.example.org/")["server"]["serve_from_sub_path"] == "false"
    assert [grafana.sub_path(url) for url in ("", "https://a", "https://a/", "https://a/b/", "https://a/b/c")] == ["", "", "", "/b", "/b/c"]


def test_the_database_and_the_settings_of_a_site():
    assert written()["database"] == {"type": "sqlite3"}
    assert written(database_url="postgres://g:p%23@db1/grafana")["database"] == {"url": "postgres://g:p%23@db1/grafana"}
    found = written(settings={"smtp": {"enabled": True, "password": "a;b#c`"}, "users": {"default_theme": "light"}})
    assert found["smtp"] == {"enabled": "true", "password": '"""a;b#c`"""'}
    assert found["users"] == {"allow_sign_up": "false", "default_theme": "light"}


@pytest.mark.parametrize("value,text", [
    (True, "true"), (25, "25"), ("", ""), ("a b", "a b"), ("a;b", "`a;b`"), (" a ", "` a `"), ('"a"', '`"a"`'), ("`a", '"""`a"""'), ("ü", "`ü`"),
    ("$__file{/run/x}", "$__file{/run/x}"), ("a\\", "`a\\`")])
def test_values_are_quoted_where_the_file_has_signs_of_its_own(value, text):
    assert grafana.written(value) == text


@pytest.mark.parametrize("settings,wrong", [
    ({"smtp": "on"}, "smtp: not a section"), ({"a]b": {}}, "not a section"), ({"smtp": {"a=b": 1}}, "not a key"), ({"smtp": {"user": None}}, "neither text"),
    ({"smtp": {"user": ["a"]}}, "neither text"), ({"smtp": {"user": "a\n[security]"}}, "smtp.user"), ({"smtp": {"password": '`a"'}}, "put it into a file")])
def test_settings_that_would_not_be_read_as_they_are_meant(settings, wrong):
    with pytest.raises(Problem) as error:
        grafana.check_settings(settings)
    assert wrong in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["sqlite3://x", "postgres://", "postgres://db1", "postgres://u:S3cret@db1:x/grafana", "postgres://u:S3#c ret@db1/g",
                                   "postgres://u:`id`@db1/grafana"])
def test_no_database(value):
    with pytest.raises(Problem) as error:
        grafana.check_database(value)
    assert "S3" not in str(error.value)


def test_a_database():
    for value in ("", "postgres://grafana:a%40b@db1.example.org:5432/grafana", "mysql://grafana@[2001:db8::1]/grafana"):
        grafana.check_database(value)


def test_a_database_is_that_of_the_url_or_of_the_settings():
    assert written()["database"] == {"type": "sqlite3"}
    assert written(database_url="postgres://grafana:x@db1/grafana")["database"] == {"url": "postgres://grafana:x@db1/grafana"}
    own = {"type": "postgres", "host": "db1:5432", "name": "grafana", "user": "grafana", "password": "$__file{/etc/accelmon-db}"}
    grafana.check_settings({"database": own})
    assert written(settings={"database": own})["database"] == own


@pytest.mark.parametrize("value", ["https://a/b?c", "https://u:p@a/", "https://a/b/../c", "https://a/%20"])
def test_no_root_url(value):
    with pytest.raises(Problem):
        grafana.check_root_url(value)


@pytest.mark.parametrize("password", ["plain", "a$b", "$$", "${HOME}", "a$$HOME", "$__file{/etc/passwd}"])
def test_a_password_reaches_the_data_sources_as_it_is(password):
    found = json.loads(grafana.data_sources(password, stack.listener("127.0.0.1", 8428), {}, "15s"))["datasources"]
    assert expanded(found[0]["secureJsonData"]["basicAuthPassword"], {"HOME": "/root"}) == password


@pytest.mark.parametrize("given,url", [({}, "http://127.0.0.1:8428"), ({"accelmon_backend": "prometheus"}, "http://127.0.0.1:9090")])
def test_data_sources_of_either_backend(given, url):
    found = json.loads(grafana_sources("geheim", "mon1", {"mon1": mon1(accelmon_scrape_interval="30s", **given)}, ["mon1"]))["datasources"]
    assert [(one["type"], one["uid"], one["url"], one["basicAuthUser"]) for one in found] == [
        ("prometheus", "accelmon", url, "accelmon"), ("alertmanager", "accelmon-alertmanager", "http://127.0.0.1:9093", "accelmon")]
    assert found[0]["isDefault"] and found[0]["jsonData"]["timeInterval"] == "30s"
    assert all(not one["editable"] and one["access"] == "proxy" for one in found)


def test_data_sources_beyond_loopback_know_the_authority():
    (found,) = json.loads(grafana_sources("geheim", "mon1", {"mon1": mon1(victoriametrics_listen="0.0.0.0", alertmanager_state="absent")},
                                          ["mon1"]))["datasources"]
    assert found["url"] == "https://127.0.0.1:8428" and found["jsonData"]["tlsAuthWithCACert"] and found["jsonData"]["serverName"] == "localhost"
    assert found["secureJsonData"]["tlsCACert"] == "$__file{/etc/accelmon/tls/ca.crt}"


def test_of_a_pair_the_services_of_the_host_are_asked_and_the_other_storage_can_be_chosen():
    hostvars = {name: dict(mon1(), inventory_hostname=name, ansible_host=address) for name, address in (("mon1", "10.0.0.1"), ("mon2", "10.0.0.2"))}
    found = json.loads(grafana_sources("geheim", "mon2", hostvars, ["mon1", "mon2"]))["datasources"]
    assert [(one["url"], one["uid"], one.get("isDefault")) for one in found] == [
        ("https://10.0.0.2:8428", "accelmon", True), ("https://10.0.0.1:8428", "accelmon-mon1", None), ("https://10.0.0.2:9093", "accelmon-alertmanager", None)]
    assert found[1]["name"] == "Accelerators on mon1" and found[1]["jsonData"]["serverName"] == "10.0.0.1"
    assert len(grafana.other_uid("monitoring-1.a-long-name-of-a-domain.example.org")) == 40 and "." not in grafana.other_uid("m.example.org")


def test_dashboards_are_those_of_the_collection(tmp_path):
    (tmp_path / "fleet.json").write_text('{"uid": "x"}')
    (tmp_path / "generate.py").write_text("")
    assert grafana.dashboards(str(tmp_path)) == {"fleet.json": '{"uid": "x"}'}
    found = grafana.files(OPTIONS)
    names = {one["path"] for one in found["files"]}
    assert {f"{paths.GRAFANA_DASHBOARDS}/{name}" for name in grafana.dashboards()} < names
    assert set(found["secrets"]) == {paths.GRAFANA_INI} < names
    assert json.loads(grafana.provider())["providers"][0]["options"] == {"path": paths.GRAFANA_DASHBOARDS}


def test_the_container_has_the_files_and_the_data_of_the_host_and_no_more():
    """What an image of upstream sets in its environment is set again: it would win over grafana.ini."""
    found = {"runtime": "podman", "program": "/usr/bin/podman", "id": "sha256:1", "user": "990:980", "groups": ["970"], "devices": []}
    line = containers.command("grafana", grafana_image.container(), found)
    assert [word for word in line if word.startswith(("--volume", "--user", "--group-add", "--entrypoint"))] == [
        "--user=990:980", "--group-add=970", "--volume=/etc/accelmon:/etc/accelmon:ro",
        "--volume=/var/lib/accelmon/grafana:/var/lib/accelmon/grafana", "--entrypoint=/usr/share/grafana/bin/grafana"]
    assert line[line.index("sha256:1"):] == ["sha256:1", "server", "--homepath=/usr/share/grafana", "--config=/etc/accelmon/grafana/grafana.ini"]
    assert {word.partition("=")[2] for word in line if word.startswith("--env=")} == {
        f"GF_PATHS_{key.upper()}={value}" for key, value in grafana.configuration(OPTIONS)["paths"].items()}


def test_grafana_has_passwords_of_its_own_only_where_it_runs():
    hostvars = {"mon1": mon1(accelmon_stack_password="geheimes"), "mon2": dict(mon1(), inventory_hostname="mon2", accelmon_grafana=True)}
    assert fleet_passwords({"monitoring": ["mon1"]}, hostvars) == {"stack": "geheimes", "exporter": ""}
    assert fleet_passwords({"monitoring": ["mon1", "mon2"]}, hostvars) == {"stack": "geheimes", "exporter": "", "grafana": "", "grafana_key": ""}


@pytest.mark.parametrize("opened,seen", [((), []), (("/grafana/api/search",), ["answers GET /api/search without a password"]),
                                         (("/grafana/metrics",), ["answers HTTP 200 without a password"])])
def test_verify_tries_to_get_in(opened, seen, tmp_path):
    """Below a path, as the root URL says. For pages that are not asked for here Grafana shows its page to sign in, which lets nobody in."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.path.startswith(("/grafana/api/", "/grafana/metrics"))
            self.send_response(200 if self.path in opened else 401 if asked else 302)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    (tmp_path / "password").write_text("geheim\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = fleet_verify_info.open_stack({"password_file": str(tmp_path / "password"), "dial_timeout": 30, "dial_budget": 120,
                                              "stack_urls": {"grafana": f"http://127.0.0.1:{server.server_port}/grafana"}})
        server.shutdown()
    assert [(name, what) for name, _url, what in found] == [("grafana", what) for what in seen]
