"""The scrape configuration. Nothing is stubbed; what relabelling does is proven by tests/rules/run.py live."""

import re

import pytest
import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import load, milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.scrape import ScrapeError, scrape_file, timeout

OPTIONS = {"node_exporter": "10.0.0.5:9100", "cluster": "c1", "node": "mon1"}


def jobs(**options):
    return {job["job_name"]: job for job in yaml.safe_load(scrape_file({**OPTIONS, **options}))["scrape_configs"]}


def test_jobs_and_where_their_targets_are():
    found = jobs(stack={"vmalert": "127.0.0.1:8880", "vmagent": "[::1]:8429"}, targets_dir="/srv/targets/")
    assert list(found) == ["node_exporter", "custom", "accelmon_fleet", "vmagent", "vmalert"]
    assert found["node_exporter"]["file_sd_configs"] == [{"files": ["/srv/targets/node_exporter/*.json"]}]
    assert found["custom"]["file_sd_configs"] == [{"files": ["/srv/targets/custom/*.json"]}]
    assert found["accelmon_fleet"]["static_configs"] == [{"targets": ["10.0.0.5:9100"]}]
    assert found["vmagent"]["static_configs"] == [{"targets": ["[::1]:8429"], "labels": {"cluster": "c1", "node": "mon1"}}]


def test_only_prometheus_gets_a_refresh_interval():
    assert "refresh_interval" not in scrape_file(OPTIONS)
    assert scrape_file({**OPTIONS, "backend": "prometheus"}).count("refresh_interval: 15s") == 2


PASSWORD = "/etc/accelmon/secrets/exporter_password"
CERTIFICATE = {"ca_file": "/etc/accelmon/tls/ca.crt", "cert_file": "/etc/accelmon/tls/host.crt", "key_file": "/etc/accelmon/tls/host.key"}


def test_open_exporters_are_shown_nothing():
    for job in jobs(stack={"vmagent": "127.0.0.1:8429"}).values():
        assert not {"tls_config", "basic_auth", "scheme", "relabel_configs"} & set(job)


def test_closed_exporters_are_shown_what_they_want_and_others_nothing():
    found = jobs(exporter_tls=True, exporter_password_file=PASSWORD, node_exporter_scheme="https", node_exporter_path="/m")
    assert list(found) == ["node_exporter", "node_exporter_plain", "custom", "accelmon_fleet"]
    assert found["node_exporter"]["tls_config"] == CERTIFICATE
    assert found["node_exporter"]["basic_auth"] == {"username": "accelmon", "password_file": PASSWORD}
    assert found["node_exporter"]["relabel_configs"] == [{"source_labels": ["__scheme__"], "regex": "https", "action": "keep"}]
    assert found["node_exporter_plain"]["relabel_configs"][1] == {"target_label": "job", "replacement": "node_exporter"}
    assert found["node_exporter_plain"]["metric_relabel_configs"] == found["node_exporter"]["metric_relabel_configs"]
    for job in ("node_exporter_plain", "custom"):
        assert not {"tls_config", "basic_auth"} & set(found[job])
    assert found["accelmon_fleet"]["tls_config"] == {**CERTIFICATE, "server_name": "localhost"}
    assert found["accelmon_fleet"]["metrics_path"] == "/m" and found["accelmon_fleet"]["scheme"] == "https"


def test_one_job_is_enough_for_tls_or_a_password_alone():
    assert jobs(exporter_tls=True)["node_exporter"]["tls_config"] == CERTIFICATE
    assert jobs(exporter_password_file=PASSWORD)["node_exporter"]["basic_auth"]["password_file"] == PASSWORD
    assert "node_exporter_plain" not in {**jobs(exporter_tls=True), **jobs(exporter_password_file=PASSWORD)}


def test_services_of_the_stack_want_the_password_and_perhaps_tls():
    found = jobs(stack_password_file="/p", stack={"prometheus": {"target": "10.0.0.5:9090", "scheme": "https", "server_name": "localhost"},
                                                  "alertmanager": {"target": "127.0.0.1:9093", "scheme": "http", "server_name": ""}})
    assert found["prometheus"]["scheme"] == "https" and found["prometheus"]["tls_config"]["server_name"] == "localhost"
    assert "tls_config" not in found["alertmanager"]
    assert all(found[job]["basic_auth"] == {"username": "accelmon", "password_file": "/p"} for job in ("prometheus", "alertmanager"))


def test_prometheus_evaluates_and_notifies_all_alertmanagers_by_their_names():
    managers = [{"target": "127.0.0.1:9093", "scheme": "https", "server_name": "localhost"}, {"target": "mon2:9093", "scheme": "https", "server_name": "mon2"}]
    made = yaml.safe_load(scrape_file({**OPTIONS, "backend": "prometheus", "alertmanagers": managers, "rule_files": ["/r/*.yml"],
                                       "stack_password_file": "/p", "scrape_interval": "5s"}))
    assert made["rule_files"] == ["/r/*.yml"] and made["global"]["evaluation_interval"] == "5s"
    found = made["alerting"]["alertmanagers"]
    assert [(entry["static_configs"][0]["targets"], entry["tls_config"]["server_name"], entry["basic_auth"]["password_file"]) for entry in found] == [
        (["127.0.0.1:9093"], "localhost", "/p"), (["mon2:9093"], "mon2", "/p")]


def test_vmagent_gets_scrape_sections_alone():
    assert set(yaml.safe_load(scrape_file(OPTIONS))) == {"global", "scrape_configs"}
    for options in ({"rule_files": ["/r"]}, {"alertmanagers": [{"target": "a:1"}]}):
        with pytest.raises(ScrapeError, match="vmagent knows none"):
            scrape_file({**OPTIONS, **options})


def test_the_same_text_whatever_the_order_of_options():
    stack = {"vmalert": "127.0.0.1:8880", "vmagent": "127.0.0.1:8429"}
    one = scrape_file({**OPTIONS, "stack": stack})
    assert one == scrape_file(dict(reversed({**OPTIONS, "stack": dict(reversed(stack.items()))}.items())))


def relabelled(job, labels):
    """Labels after a job's metric_relabel_configs: the actions that we use, in Python; None for a dropped series."""
    labels = dict(labels)
    for rule in job["metric_relabel_configs"]:
        action = rule.get("action", "replace")
        if action == "labeldrop":
            labels = {name: value for name, value in labels.items() if not re.fullmatch(rule["regex"], name)}
            continue
        match = re.fullmatch(rule["regex"], ";".join(labels.get(name, "") for name in rule["source_labels"]))
        if action == "drop" and match or action == "keep" and not match:
            return None
        if action == "replace" and match:
            labels[rule["target_label"]] = re.sub(r"\$(\d)", lambda group, match=match: match.group(int(group.group(1))), rule["replacement"])
    return labels


@pytest.mark.parametrize("name", ["node_gpu_power_draw_watts", "accelmon_collector_success"])
@pytest.mark.parametrize(("vendor", "elected", "expected"), [
    ("nvidia", "nvidia", True), ("nvidia", "amd,nvidia", True), ("amd", "amd,nvidia", True),
    ("nvidia", "amd", False), ("nvidia", "", False), ("amd", "amdgpu", False), ("amd", "xamd,nvidia", False), ("", "nvidia", False)])
def test_source_is_only_where_the_source_is_in_charge(name, vendor, elected, expected):
    result = relabelled(jobs()["node_exporter"], {"__name__": name, "vendor": vendor, "accelmon_elected": elected})
    assert (result.get("source") == "textfile") is expected
    assert "accelmon_elected" not in result


def test_every_vendor_of_a_source_can_be_elected():
    for name, source in load("sources")["sources"].items():
        for vendor in source["vendors"]:
            series = {"__name__": source["presence"], "vendor": vendor, "accelmon_elected": vendor}
            assert relabelled(jobs()[source["job"]], series)["source"] == name


def test_identity_is_copied_and_the_old_label_stays():
    result = relabelled(jobs()["node_exporter"], {"__name__": "node_gpu_info", "gpu": "3", "pci_address": "0000:1b:00.0"})
    assert result == {"__name__": "node_gpu_info", "gpu": "3", "index": "3", "pci_address": "0000:1b:00.0", "pci_bus_id": "0000:1b:00.0"}
    assert "index" not in relabelled(jobs()["node_exporter"], {"__name__": "node_load1", "gpu": "3"})


@pytest.mark.parametrize("job", ["node_exporter", "custom"])
@pytest.mark.parametrize("name", load("sources")["registry"])
def test_only_the_monitoring_host_speaks_for_the_registry(job, name):
    found = jobs()
    assert relabelled(found[job], {"__name__": name}) is None
    assert relabelled(found["accelmon_fleet"], {"__name__": name}) == {"__name__": name}
    assert relabelled(found["accelmon_fleet"], {"__name__": "node_load1"}) is None


@pytest.mark.parametrize("interval", ["100ms", "1s", "5s", "9s", "10s", "11s", "15s", "1m", "1h"])
def test_a_scrape_always_ends_before_the_next(interval):
    settings = yaml.safe_load(scrape_file({**OPTIONS, "scrape_interval": interval}))["global"]
    assert 0 < milliseconds(settings["scrape_timeout"]) < milliseconds(interval)
    assert milliseconds(settings["scrape_timeout"]) <= 10_000


def test_a_timeout_of_ones_own():
    assert timeout("30s", "20s") == "20s"
    for wanted in ("30s", "31s", "0s"):
        with pytest.raises(ScrapeError):
            timeout("30s", wanted)


@pytest.mark.parametrize(("options", "parts"), [
    ({"scrape_intervall": "15s"}, ["scrape_intervall = '15s'", "did you mean scrape_interval?"]),
    ({"scrape_interval": 15}, ["scrape_interval = 15", "not a duration"]),
    ({"scrape_interval": "0s"}, ["scrape_interval = '0s'", "not a duration"]),
    ({"scrape_timeout": "x"}, ["scrape_timeout = 'x'", "not a duration"]),
    ({"backend": "vmagnet"}, ["backend = 'vmagnet'", "did you mean vmagent?"]),
    ({"node_exporter": None}, ["node_exporter = None", "not host:port"]),
    ({"node_exporter": "::1:9100"}, ["node_exporter = '::1:9100'", "[::1]:9100"]),
    ({"node_exporter": "mon1"}, ["node_exporter = 'mon1'", "not host:port"]),
    ({"node_exporter": "mon1:0"}, ["node_exporter = 'mon1:0'", "not host:port"]),
    ({"node_exporter": "http://mon1:9100"}, ["not host:port"]),
    ({"stack": {"vmalert": "mon1:99999"}}, ["stack.vmalert = 'mon1:99999'", "not host:port"]),
    ({"stack": {"custom": "mon1:1"}}, ["stack.custom", "node_exporter, custom, accelmon_fleet"]),
    ({"stack": ["vmalert"]}, ["stack = ['vmalert']", "not a mapping"]),
    ({"cluster": ""}, ["cluster = ''", "not a name"]),
    ({"node": None}, ["node = None", "not a name"]),
    ({"targets_dir": "targets"}, ["targets_dir = 'targets'", "absolute"]),
])
def test_a_wrong_option_is_named_with_its_mend(options, parts):
    with pytest.raises(ScrapeError) as caught:
        scrape_file({**OPTIONS, **options})
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_are_no_mapping():
    with pytest.raises(ScrapeError, match="not a mapping"):
        scrape_file("15s")
