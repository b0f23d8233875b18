"""The scrape configuration. Nothing is stubbed; what relabelling does is proven by tests/rules/run.py live."""

import collections
import importlib.util
import re
from pathlib import Path

import pytest
from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import reserved, rollups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file, timeout

SPEC = importlib.util.spec_from_file_location("accelmon_rules_expositions", Path(__file__).resolve().parents[4] / "tests" / "rules" / "expositions.py")
expositions = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(expositions)

OPTIONS = {"node_exporter": "10.0.0.5:9100", "cluster": "c1", "node": "mon1"}


RENDERED = {}


def jobs(**options):
    """Jobs by name, rendered and read once for the same options."""
    if str(options) not in RENDERED:
        RENDERED[str(options)] = {job["job_name"]: job for job in yaml_load(scrape_file({**OPTIONS, **options}))["scrape_configs"]}
    return RENDERED[str(options)]


def test_jobs_and_where_their_targets_are():
    found = jobs(stack={"vmalert": "127.0.0.1:8880", "vmagent": "[::1]:8429"}, targets_dir="/srv/targets/")
    files = ["dcgm_exporter", "amd_exporter", "all_smi", "node_exporter", "slurm_collector", "custom"]
    assert list(found) == [name for job in files for name in (job, f"{job}_bare")] + ["accelmon_fleet", "vmagent", "vmalert"]
    assert found["all_smi"]["file_sd_configs"] == [{"files": ["/srv/targets/all_smi/*.json"]}]
    assert found["node_exporter"]["file_sd_configs"] == [{"files": ["/srv/targets/node_exporter/*.json"]}]
    assert found["custom"]["file_sd_configs"] == [{"files": ["/srv/targets/custom/*.json"]}]
    assert found["accelmon_fleet"]["static_configs"] == [{"targets": ["10.0.0.5:9100"]}]
    assert found["vmagent"]["static_configs"] == [{"targets": ["[::1]:8429"], "labels": {"cluster": "c1", "node": "mon1"}}]


@pytest.mark.parametrize("members,copies", [(2, 1), (3, 2), (5, 2), (5, 4)])
def test_each_node_has_its_copies_among_the_scrapers_and_all_of_its_exporters_have_the_same(members, copies):
    kept = []
    for number in range(members):
        found = jobs(shard={"number": number, "members": members, "copies": copies}, stack={"vmagent": "127.0.0.1:8429"}, exporter_tls=True,
                     exporter_password_file=PASSWORD)
        sharded = {name for name, job in found.items() if "hashmod" in str(job)}
        assert sharded == {name for name, job in found.items() if "file_sd_configs" in job}
        (rules,) = {str(found[name]["relabel_configs"][:2]) for name in sharded}
        hashed, own = found["node_exporter"]["relabel_configs"][:2]
        assert str([hashed, own]) == rules and hashed["source_labels"] == ["cluster", "node"] and hashed["modulus"] == members
        assert hashed["target_label"].startswith("__tmp") and own["source_labels"] == [hashed["target_label"]]
        kept += [place for place in range(members) if re.fullmatch(own["regex"], str(place))]
    assert collections.Counter(kept) == dict.fromkeys(range(members), copies)


@pytest.mark.parametrize("shard", [
    {"number": 2, "members": 2, "copies": 1}, {"number": 0, "members": 2, "copies": 2}, {"number": 0, "members": 2, "copies": 0}])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(Problem, match="^shard = "):
        scrape_file({**OPTIONS, "shard": shard})


def test_what_has_no_scraper_on_its_host_is_watched_as_what_it_is_and_where():
    service = {"job": "vmalert", "target": "10.0.0.9:8880", "scheme": "https", "server_name": "10.0.0.9", "cluster": "c2", "node": "mon2"}
    page = grafana.listener("0.0.0.0", 3000, "https://x/grafana/")
    other = {**service, "job": "grafana", "target": "10.0.0.9:3000", "path": page["path"], "series": page["series"]}
    found = jobs(stack={"vmalert": "127.0.0.1:8880"}, elsewhere=[service, other], stack_password_file="/p")
    assert list(found)[-3:] == ["vmalert", "vmalert on mon2", "grafana on mon2"]
    job = found["vmalert on mon2"]
    assert job["static_configs"] == [{"targets": ["10.0.0.9:8880"], "labels": {"job": "vmalert", "cluster": "c2", "node": "mon2"}}]
    assert job["scheme"] == "https" and job["tls_config"]["server_name"] == "10.0.0.9" and job["basic_auth"]["password_file"] == "/p"
    assert found["grafana on mon2"]["metrics_path"] == "/grafana/metrics" and found["grafana on mon2"]["metric_relabel_configs"]
    with pytest.raises(Problem, match="^elsewhere.vmalert on mon2 = null: not host:port"):
        scrape_file({**OPTIONS, "elsewhere": [{**service, "target": None}]})


def test_the_registry_of_a_host_without_a_scraper_is_read_where_series_of_several_hosts_are_the_same():
    page = {"job": "accelmon_fleet", "target": "10.0.0.9:9100", "scheme": "https", "server_name": "localhost", "path": "/m", "cluster": "c2", "node": "mon2"}
    found = jobs(elsewhere=[page], pair=True, exporter_tls=True, exporter_password_file=PASSWORD)
    own, other = found["accelmon_fleet"], found["accelmon_fleet on mon2"]
    assert other["static_configs"] == [{"targets": ["10.0.0.9:9100"], "labels": {"job": "accelmon_fleet", "instance": "mon2"}}]
    assert other["metrics_path"] == "/m" and other["scheme"] == "https" and other["tls_config"] == {**CERTIFICATE, "server_name": "localhost"}
    same = ("honor_labels", "params", "basic_auth", "metric_relabel_configs")
    assert {name: other[name] for name in same} == {name: own[name] for name in same}
    # In the clear over the network it gets no password where exporters have TLS.
    assert "basic_auth" not in jobs(elsewhere=[{**page, "scheme": "http"}], pair=True, exporter_tls=True, exporter_password_file=PASSWORD)[
        "accelmon_fleet on mon2"]
    assert "basic_auth" in jobs(elsewhere=[{**page, "scheme": "http"}], pair=True, exporter_password_file=PASSWORD)["accelmon_fleet on mon2"]
    for options in ({}, {"backend": "prometheus"}):
        assert "accelmon_fleet on mon2" not in jobs(elsewhere=[page], **options)


def test_only_prometheus_gets_a_refresh_interval():
    assert "refresh_interval" not in scrape_file(OPTIONS)
    assert scrape_file({**OPTIONS, "backend": "prometheus"}).count("refresh_interval: 15s") == 12


PASSWORD = "/etc/accelmon/secrets/exporter_password"
CERTIFICATE = {"ca_file": "/etc/accelmon/tls/ca.crt", "cert_file": "/etc/accelmon/tls/host.crt", "key_file": "/etc/accelmon/tls/host.key"}


def test_open_exporters_are_shown_nothing():
    for job in jobs(stack={"vmagent": "127.0.0.1:8429"}).values():
        assert not {"tls_config", "basic_auth", "scheme"} & set(job)
        assert "__scheme__" not in str(job)


def test_closed_exporters_are_shown_what_they_want_and_others_nothing():
    found = jobs(exporter_tls=True, exporter_password_file=PASSWORD, node_exporter_scheme="https", node_exporter_path="/m")
    jobs_of_ours = [name for job in ("dcgm_exporter", "amd_exporter", "all_smi", "node_exporter", "slurm_collector") for name in (job, f"{job}_plain")]
    assert list(found) == [name for job in jobs_of_ours + ["custom"] for name in (job, f"{job}_bare")] + ["accelmon_fleet"]
    assert found["node_exporter"]["tls_config"] == CERTIFICATE
    assert found["node_exporter"]["basic_auth"] == {"username": "accelmon", "password_file": PASSWORD}
    for name, action in (("node_exporter", "keep"), ("node_exporter_bare", "keep"), ("node_exporter_plain", "drop"), ("node_exporter_plain_bare", "drop")):
        assert found[name]["relabel_configs"][0] == {"source_labels": ["__scheme__"], "regex": "https", "action": action}
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


def test_grafana_is_asked_below_its_path_and_little_of_it_is_kept():
    found = jobs(stack_password_file="/p", stack={"grafana": grafana.listener("0.0.0.0", 3000, "https://mon1.example.org/grafana/")})["grafana"]
    assert found["metrics_path"] == "/grafana/metrics" and found["scheme"] == "https" and found["basic_auth"]["password_file"] == "/p"
    assert found["static_configs"] == [{"targets": ["127.0.0.1:3000"], "labels": {"cluster": "c1", "node": "mon1"}}]
    assert relabelled(found, {"__name__": "process_open_fds"}) and not relabelled(found, {"__name__": "accelerator_info"})
    assert "metrics_path" not in jobs(stack={"grafana": grafana.listener("127.0.0.1", 3000, "")})["grafana"]


def test_prometheus_evaluates_and_notifies_all_alertmanagers_by_their_names():
    managers = [{"target": "127.0.0.1:9093", "scheme": "https", "server_name": "localhost"}, {"target": "mon2:9093", "scheme": "https", "server_name": "mon2"}]
    made = yaml_load(scrape_file({**OPTIONS, "backend": "prometheus", "alertmanagers": managers, "rule_files": ["/r/*.yml"],
                                 "stack_password_file": "/p", "scrape_interval": "5s"}))
    assert made["rule_files"] == ["/r/*.yml"] and made["global"]["evaluation_interval"] == "5s"
    found = made["alerting"]["alertmanagers"]
    assert [(entry["static_configs"][0]["targets"], entry["tls_config"]["server_name"], entry["basic_auth"]["password_file"]) for entry in found] == [
        (["127.0.0.1:9093"], "localhost", "/p"), (["mon2:9093"], "mon2", "/p")]


def test_vmagent_reads_rollups_out_of_the_storage_where_a_site_sends_them():
    """And nothing that the catalogue does not list: no job, no user, no single device."""
    place = {"url": "https://g/write", "user": "u", "password_file": "/p", "ca_file": ""}
    options = {"stack": {"victoriametrics": {"target": "[::1]:8428", "scheme": "https", "server_name": "localhost"}}, "stack_password_file": "/s"}
    assert rollups.JOB not in jobs(**options) and set(yaml_load(scrape_file({**OPTIONS, "global_place": [place], **options}))) == {"global", "scrape_configs"}
    job = jobs(global_place=[place], **options)[rollups.JOB]
    assert job["static_configs"][0]["targets"] == ["[::1]:8428"] and job["basic_auth"]["password_file"] == "/s" and job["scheme"] == "https"
    pattern = re.fullmatch('{__name__=~"(.*)"}', job["params"]["match[]"][0]).group(1)
    for name in ("node:accelerator_info:count", "rack:accelerator_power_watts:sum", "cluster:accelerator_utilization_ratio:p95", "ALERTS"):
        assert re.fullmatch(pattern, name) and re.fullmatch(rollups.sent(), name)
    for name in ("ALERTS_FOR_STATE", "job:accelerator_power_watts:sum", "user:accelerator_job_info:count", "accelerator_info", "up", "node_load1"):
        assert not re.fullmatch(rollups.sent(), name)
    assert re.fullmatch(rollups.sent(), "accelmon_fleet_node_info") and not re.fullmatch(pattern, "accelmon_fleet_node_info")


@pytest.mark.parametrize("job", sorted({"custom", *(source["job"] for source in load("sources")["sources"].values())}))
def test_no_exporter_writes_what_is_sent_as_a_rollup(job):
    """Else it would not be stored at its own site, and be believed at the global place."""
    for name in ["ALERTS", *(f"{level}:accelerator_made_up:sum" for level in load("series")["sent"]["levels"])]:
        assert relabelled(jobs()[job], {"__name__": name}) is None


def test_vmagent_gets_scrape_sections_alone():
    assert set(yaml_load(scrape_file(OPTIONS))) == {"global", "scrape_configs"}
    for options in ({"rule_files": ["/r"]}, {"alertmanagers": [{"target": "a:1"}]}):
        with pytest.raises(Problem, match="vmagent knows none"):
            scrape_file({**OPTIONS, **options})


def test_the_same_text_whatever_the_order_of_options():
    stack = {"vmalert": "127.0.0.1:8880", "vmagent": "127.0.0.1:8429"}
    one = scrape_file({**OPTIONS, "stack": stack})
    assert one == scrape_file(dict(reversed({**OPTIONS, "stack": dict(reversed(stack.items()))}.items())))


def relabelled(job, labels):
    """Labels after a job's metric_relabel_configs; None for a dropped series."""
    return expositions.relabelled(job["metric_relabel_configs"], labels)


SOURCES = load("sources")["sources"]


def test_a_source_says_who_it_is_and_never_whether_it_is_in_charge():
    for name in ("node_gpu_power_draw_watts", "accelmon_collector_success"):
        assert relabelled(jobs()["node_exporter"], {"__name__": name, "gpu": "0", "vendor": "amd"})["source"] == "textfile"
    assert "source" not in relabelled(jobs()["node_exporter"], {"__name__": "node_gpu_power_draw_watts", "vendor": "amd"})
    assert "elected" not in scrape_file(OPTIONS).replace("accelmon_source_elected", "")


@pytest.mark.parametrize("backend", ["vmagent", "prometheus"])
def test_a_name_is_matched_alone_so_that_no_scraper_remembers_each_series(backend):
    for spec in SOURCES.values():
        for rule in jobs(backend=backend)[spec["job"]]["metric_relabel_configs"]:
            others = set(rule.get("source_labels", ())) - {"__name__", "__accelmon_through"}
            assert "__name__" not in rule.get("source_labels", ()) or not others, rule


@pytest.mark.parametrize("job", sorted({spec["job"] for spec in SOURCES.values()}))
def test_no_page_says_itself_what_is_about_a_device(job):
    claimed = {"__name__": "node_load1", "__accelmon_device": "1", "gpu": "0", "UUID": "u", "gpu_uuid": "u", "pci_bus_id": "0000:1b:00.0"}
    plain_row = {label: text for label, text in claimed.items() if label != "__accelmon_device"}
    assert relabelled(jobs()[job], claimed) == relabelled(jobs()[job], plain_row)
    assert not {"index", "uuid", "vendor", "source"} & set(relabelled(jobs()[job], claimed))
    for source in SOURCES.values():
        assert "__accelmon_device" not in relabelled(jobs()[source["job"]], {**claimed, "__name__": source["presence"][0]})


@pytest.mark.parametrize("source, ours, theirs", [(source, ours, theirs) for source, spec in SOURCES.items()
                                                  for ours, theirs in spec.get("renamed", {}).items()])
@pytest.mark.parametrize("backend", ["vmagent", "prometheus"])
def test_a_series_with_two_names_is_stored_under_one(backend, source, ours, theirs):
    job = jobs(backend=backend)[SOURCES[source]["job"]]
    row = {"gpu": "0", "UUID": "GPU-1", "modelName": "H100", "pci_bus_id": "00000000:1B:00.0"}
    stored = relabelled(job, {"__name__": theirs, **row})
    assert stored["__name__"] == ours and stored == relabelled(job, {"__name__": ours, **row})
    assert theirs not in SOURCES[source]["metrics"]


def one_target(job, labels):
    """Labels of a target after a job's relabelling; None where the job leaves it out."""
    return expositions.relabelled(job["relabel_configs"], {"job": job["job_name"], **labels})


@pytest.mark.parametrize("options", [{}, {"exporter_tls": True}, {"exporter_tls": True, "exporter_password_file": "/p"}])
@pytest.mark.parametrize("backend", ["vmagent", "prometheus"])
@pytest.mark.parametrize("target", [{"__scheme__": scheme, **rack} for scheme in ("http", "https") for rack in ({}, {"rack": "r1"})])
def test_every_target_is_scraped_once_and_under_the_name_of_its_exporter(options, backend, target):
    for job in ("dcgm_exporter", "amd_exporter", "all_smi", "node_exporter", "custom"):
        own = {"job": "web"} if job == "custom" else {}
        found = [one_target(made, {**target, **own}) for made in jobs(backend=backend, **options).values()
                 if made.get("file_sd_configs", [{}])[0].get("files") == [f"/var/lib/accelmon/targets/{job}/*.json"]]
        assert [made for made in found if made] == [{"job": job, **target, **own}]


@pytest.mark.parametrize("backend", ["vmagent", "prometheus"])
def test_no_job_follows_a_redirect_or_takes_a_time_from_a_page(backend):
    for job in jobs(backend=backend, stack={"prometheus": "127.0.0.1:9090"}).values():
        assert job["follow_redirects"] is False and job["honor_timestamps"] is False
        assert job.get("honor_labels", False) == (job["job_name"] == "accelmon_fleet")


@pytest.mark.parametrize("backend", ["vmagent", "prometheus"])
def test_no_expression_says_what_it_leaves_out(backend):
    """vmagent compiles all of them every ten seconds, and Go takes 10 to 50 ms of CPU for each class such as [^;] or \\W: it was a third of a core."""
    assert re.search(r"regex: .*(?:\[\^|\\[WDSP])", "regex: ;.*[^;].*")
    assert not re.findall(r"regex: .*(?:\[\^|\\[WDSP]).*", scrape_file({**OPTIONS, "backend": backend}))


def test_every_job_of_nodes_has_limits_in_the_words_of_its_scraper():
    for backend, keys in (("vmagent", {"sample_limit", "series_limit", "max_scrape_size"}),
                          ("prometheus", {"sample_limit", "body_size_limit", "label_limit", "label_name_length_limit", "label_value_length_limit"})):
        for job in jobs(backend=backend).values():
            if "file_sd_configs" in job:
                assert keys <= set(job) and 5000 < job["sample_limit"] < 120000
    assert jobs(limits={"custom": 7})["custom_bare"]["sample_limit"] == 7
    for wrong, part in (({"custm": 7}, "custm: no such job; did you mean custom?"), ({"custom": 0}, "custom: 0 series; give 1 to"),
                        ({"custom": "some"}, "custom: not a whole number"), ([], "limits = []: not a mapping")):
        with pytest.raises(Problem) as caught:
            scrape_file({**OPTIONS, "limits": wrong})
        assert part in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_a_job_and_its_name_on_its_series(name):
    source = SOURCES[name]
    for key in source["keys"]:
        result = relabelled(jobs()[source["job"]], {"__name__": source["presence"][0], key: "x"})
        assert result["source"] == name
        assert result.get("vendor") == source.get("vendor", "unknown" if "vendor_by" in source else None)
    assert "source" not in relabelled(jobs()[source["job"]], {"__name__": source["presence"][0]})


NOTHING = ["NA", "N/A", "[N/A]", "n/a", "[Not Supported]", "Not Available", "none", "None", "NULL", "nan", "Unknown", "[Unknown Error]",
           "[GPU requires reset]", "ERR!", "-", "-1",
           "0xffff", "0xffffffff", "65535", "2147483632", "4294967295", "18446744073709551615", "9223372036854775794",
           "-2147483648", "-9223372036854775808", "-2", "18446744073709551614", "1.8446744073709552e+19", "4.294967295E+09", "+Inf", "-nan", "Infinity",
           "Unavailable", "Error: timeout", "no data", "Failed", "%!s(<nil>)", "NotAvailable", "NOTSET", "Unsupported", "unset", "undef", "missing",
           "(empty)", "N/A (device asleep)", "n/a [sleeping]", "n.d.", "Failed to read", "temporarily unavailable", "'None'", "-1.00",
           "1.8446744073709552e19", "0xDEADBEEF", "EINVAL", "-ENODEV", "\u2014", "\u00a0", "N/A\u00a0", "\u200b"]
NOBODY = ["0", "0x0", "00000000", "000000000000", "00000000-0000-0000-0000-000000000000", "GPU-00000000-0000-0000-0000-000000000000",
          "ffffffff-ffff-ffff-ffff-ffffffffffff", "To be filled by O.E.M.", "Default string", "0123456789", "0000:00:00.0", "00000000:00:00.0",
          "FFFF:FF:1F.7", "System Serial Number", "No Asset Tag", "1234567890", "XXXXXXXX", "OEM", "00:00:00:00:00:00"]
# Which are as much like one of these as a label may be.
SOMETHING = ["TPU-0", "4512e1234567890", "0012e345", "12e4567", "1", "65536", "Nano", "Notebook", "Empty Shell", "Northstar", "Error-free", "Voidstar",
             "0000:1b:00.0", "GPU-0000000a-0000-0000-0000-000000000000", "1234568", "Serial 5", "xxx-1", "O1E2M3", "un-1", "Eio2", "n-a-1"]


@pytest.mark.parametrize("text", SOMETHING)
def test_a_label_that_is_only_like_one_of_these_stays(text):
    dcgm = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_GPU_TEMP", "gpu": "0", "UUID": text, "modelName": text})
    assert dcgm["uuid"] == dcgm["UUID"] == text and dcgm.get("model") == (None if text.isdecimal() else text)  # no number is a model
    amd = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": text, "serial_number": text})
    assert amd["uuid"] == amd["serial"] == amd["index"] == text


@pytest.mark.parametrize("text", NOTHING + NOBODY)
def test_a_label_that_says_nothing_is_no_identity(text):
    dcgm = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_GPU_TEMP", "gpu": "0", "UUID": text, "pci_bus_id": "00000000:1B:00.0"})
    assert dcgm["uuid"] == "0000:1b:00.0" and dcgm["index"] == "0" and dcgm["source"] == "dcgm" and "UUID" not in dcgm
    dcgm = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_GPU_TEMP", "gpu": "0", "UUID": text, "pci_bus_id": text})
    assert dcgm["index"] == "0" and not {"uuid", "pci_bus_id"} & set(dcgm)
    amd = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "serial_number": text, "gpu_uuid": "u"})
    assert amd["uuid"] == "u" and "serial" not in amd
    smi = relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": "AMD X", "gpu_uuid": text, "gpu_index": "0"})
    assert smi["vendor"] == "amd" and smi["index"] == "0" and "uuid" not in smi
    assert "serial" not in relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "serial_number": text})


@pytest.mark.parametrize("text", NOTHING)
def test_a_label_that_says_nothing_is_no_number_and_no_model(text):
    dcgm = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_FB_USED", "gpu": text, "UUID": "GPU-a", "GPU_I_ID": text, "modelName": text})
    assert dcgm == {"__name__": "DCGM_FI_DEV_FB_USED", "UUID": "GPU-a", "uuid": "GPU-a", "source": "dcgm", "vendor": "nvidia"}
    amd = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "gpu_partition_id": text, "card_series": text, "card_model": "M"})
    assert amd["model"] == "M" and "gpu_partition_id" not in amd
    smi = relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": text, "gpu_uuid": "GPU-0000:c1:00.0", "gpu_index": "0"})
    assert smi["vendor"] == "amd" and "model" not in smi and smi["pci_bus_id"] == "0000:c1:00.0"


@pytest.mark.parametrize("text", ["AMD Radeon Graphics", "amd radeon(TM) graphics", "AMD Instinct Accelerator", "0x0b0c", "Graphics Device",
                                  "NVIDIA Graphics Device", "Advanced Micro Devices, Inc. [AMD/ATI]"])
def test_what_names_a_kind_of_devices_is_no_model(text):
    amd = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "card_series": text, "card_model": "M"})
    assert amd["model"] == "M"
    assert "model" not in relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "card_series": text, "card_model": text})
    assert "model" not in relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_FB_USED", "gpu": "0", "modelName": text})
    smi = relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": "AMD Radeon Graphics", "gpu_uuid": "u", "gpu_index": "0"})
    assert smi["vendor"] == "amd" and "model" not in smi


@pytest.mark.parametrize("text", ["AMD Instinct MI300X OAM", "Radeon RX 7900 XTX", "Intel(R) Arc(TM) B580 Graphics", "NVIDIA H100 80GB HBM3"])
def test_what_names_a_model_is_one(text):
    assert relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": "1", "card_series": text, "card_model": "M"})["model"] == text
    assert relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": text, "gpu_uuid": "u", "gpu_index": "0"})["model"] == text


@pytest.mark.parametrize("text", NOTHING)
def test_devices_whose_number_says_nothing_are_told_apart_by_another_identity(text):
    """Even where they share the one that comes first."""
    dcgm = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_FB_USED", "gpu": text, "UUID": "GPU-a", "pci_bus_id": "00000000:1B:00.0"})
    assert (dcgm["index"], dcgm["uuid"]) == ("0000:1b:00.0", "GPU-a")
    amd = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_total_vram", "gpu_id": text, "serial_number": "s", "gpu_uuid": "u"})
    assert (amd["index"], amd["uuid"]) == ("u", "s")
    assert relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": "AMD X", "gpu_uuid": "u", "gpu_index": text})["index"] == "u"


@pytest.mark.parametrize(("label", "text"), [
    ("gpu", "0"), ("gpu", "15"), ("GPU_I_ID", "0"), ("GPU_I_ID", "13"), ("modelName", "NVIDIA N1X"), ("modelName", "NVIDIA Graphics Device"),
    ("UUID", "GPU-00000000-0000-0000-0000-000000000001"), ("UUID", "GPU-1"), ("pci_bus_id", "0000:00:05.0"), ("DCGM_FI_DRIVER_VERSION", "570")])
def test_a_label_that_says_something_stays(label, text):
    assert relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_FB_USED", label: text})[label] == text


@pytest.mark.parametrize(("uuid", "vendor"), [
    ("GPU-61b43df6-a91b-66e5-a3d9-0025cc393bbe", "nvidia"), ("GPU-0000:c1:00.0", "amd"), ("Intel-GPU-0000:03:00.0", "intel_gpu"), ("u", "unknown")])
@pytest.mark.parametrize("model", ["", "Unknown GPU", "GRID-like X"])
def test_a_model_that_says_nothing_leaves_the_vendor_to_the_uuid(model, uuid, vendor):
    assert relabelled(jobs()["all_smi"], {"__name__": "all_smi_gpu_info", "gpu": model, "gpu_uuid": uuid})["vendor"] == vendor


def test_identity_of_dcgm():
    page = {"__name__": "DCGM_FI_DEV_GPU_TEMP", "gpu": "3", "UUID": "GPU-a", "modelName": "NVIDIA H100", "pci_bus_id": "00000000:1B:00.0",
            "Hostname": "x", "DCGM_FI_DRIVER_VERSION": "570"}
    assert relabelled(jobs()["dcgm_exporter"], page) == {
        "__name__": "DCGM_FI_DEV_GPU_TEMP", "gpu": "3", "index": "3", "UUID": "GPU-a", "uuid": "GPU-a", "modelName": "NVIDIA H100", "model": "NVIDIA H100",
        "pci_bus_id": "0000:1b:00.0", "DCGM_FI_DRIVER_VERSION": "570", "driver_version": "570", "source": "dcgm", "vendor": "nvidia"}
    switch = relabelled(jobs()["dcgm_exporter"], {"__name__": "DCGM_FI_DEV_NVSWITCH_POWER_VDD", "nvswitch": "nvswitch0"})
    assert not {"source", "vendor", "uuid", "index"} & set(switch)


def test_identity_of_amd_is_the_whole_device_s():
    page = {"__name__": "gpu_used_vram", "gpu_id": "1", "gpu_uuid": "u", "serial_number": "69", "card_model": "102-G", "card_series": "MI300X"}
    made = relabelled(jobs()["amd_exporter"], page)
    assert {name: made[name] for name in ("index", "uuid", "model", "serial", "vendor", "source")} == {
        "index": "1", "uuid": "69", "model": "MI300X", "serial": "69", "vendor": "amd", "source": "amd_exporter"}
    made = relabelled(jobs()["amd_exporter"], {"__name__": "gpu_used_vram", "gpu_id": "1", "gpu_uuid": "u", "card_model": "102-G"})
    assert made["uuid"] == "u" and made["model"] == "102-G"


@pytest.mark.parametrize(("model", "vendor"), [
    ("NVIDIA H100 80GB HBM3", "nvidia"), ("AMD Instinct MI300X", "amd"), ("Intel Gaudi 3 OAM", "intel_gaudi"), ("Intel Arc B580", "intel_gpu"),
    ("RBLN-CA25", "rebellions"), ("Unheard of", "unknown")])
def test_identity_of_all_smi_has_the_vendor_of_the_model(model, vendor):
    page = {"__name__": "all_smi_gpu_utilization", "gpu": model, "gpu_uuid": "u", "gpu_index": "1", "exported_instance": "h"}
    made = relabelled(jobs()["all_smi"], page)
    assert {name: made[name] for name in ("index", "uuid", "model", "vendor", "source")} == {
        "index": "1", "uuid": "u", "model": model, "vendor": vendor, "source": "all_smi"}
    assert "exported_instance" not in made


def test_what_all_smi_says_of_the_node_is_left_to_node_exporter():
    job = jobs()["all_smi"]
    assert relabelled(job, {"__name__": "all_smi_cpu_utilization"}) is None
    assert relabelled(job, {"__name__": "all_smi_chassis_power_watts"})
    info = {"__name__": "all_smi_gpu_info", "gpu": "AMD X", "gpu_uuid": "u", "driver_version": "6", "fan_speed": "20 RPM", "memory_clock": "900"}
    assert {"fan_speed", "memory_clock"} & set(relabelled(job, info)) == set() and relabelled(job, info)["driver_version"] == "6"
    assert "command" not in relabelled(job, {"__name__": "all_smi_process_memory_used_bytes", "command": "secret", "pid": "1"})


def test_identity_is_copied_and_the_old_label_stays():
    result = relabelled(jobs()["node_exporter"], {"__name__": "node_gpu_info", "gpu": "3", "pci_address": "0000:1b:00.0"})
    assert result == {"__name__": "node_gpu_info", "gpu": "3", "index": "3", "pci_address": "0000:1b:00.0", "pci_bus_id": "0000:1b:00.0",
                      "source": "textfile"}
    assert "index" not in relabelled(jobs()["node_exporter"], {"__name__": "node_load1", "gpu": "3"})


JOBS = ["node_exporter", "dcgm_exporter", "amd_exporter", "all_smi", "custom"]


@pytest.mark.parametrize("name", load("sources")["registry"])
def test_only_the_monitoring_host_speaks_for_the_registry(name):
    found = jobs()
    assert relabelled(found["accelmon_fleet"], {"__name__": name}) == {"__name__": name}
    assert relabelled(found["accelmon_fleet"], {"__name__": "node_load1"}) is None


@pytest.mark.parametrize("job", [name for job in JOBS for name in (job, f"{job}_bare")])
def test_what_others_write_is_dropped_name_by_name(job):
    made = jobs()[job]
    names = [*reserved.recorded(), *load("sources")["registry"], *load("sources")["stack"], "up", "scrape_duration_seconds", "scrape_x", "ALERTS",
             "ALERTS_FOR_STATE", "accelmon_x", "accelerator_x", "node:accelerator_x:max"]
    assert len(names) > 50
    for name in names:
        for labels in ({}, {"gpu": "0", "UUID": "u", "gpu_id": "0", "gpu_uuid": "u", "vendor": "nvidia", "source": "textfile", "__accelmon_through": "1"}):
            assert relabelled(made, {"__name__": name, **labels}) is None, name


@pytest.mark.parametrize("job", JOBS)
def test_what_a_node_publishes_of_itself_is_let_through_where_the_catalogue_says_so(job):
    made = jobs()[job]
    for part in load("sources")["published"].values():
        for name in part["series"]:
            assert relabelled(made, {"__name__": name}) == ({"__name__": name} if job in part["jobs"] else None)
    assert bool(relabelled(made, {"__name__": "accelmon_collector_success"})) == (job == "node_exporter")
    for name in ("node_load1", "vllm:num_requests_running", "job:http_requests:rate5m", "vmware_vm_power", "uptime"):
        assert relabelled(made, {"__name__": name, "__accelmon_through": "1"}) == {"__name__": name}


DELEGATED = load("sources")["delegated"]["slurm_collector"]
OF_A_NODE = {"node": "ctl", "exported_node": "gpu7.x", "rack": "r1", "cluster": "c1", "exported_cluster": "c9", "state": "idle"}


@pytest.mark.parametrize("job", ["slurm_collector", "slurm_collector_bare"])
def test_a_slurm_controller_speaks_for_nodes_in_the_series_of_the_catalogue_alone(job):
    made = jobs()[job]
    assert made["params"] == {"collect[]": ["textfile"]} and made["file_sd_configs"] == [{"files": ["/var/lib/accelmon/targets/slurm_collector/*.json"]}]
    for name in DELEGATED["about"]:
        found = relabelled(made, {"__name__": name, **OF_A_NODE})
        assert {key: value for key, value in found.items() if value} == {
            "__name__": name, "node": "gpu7.x", "cluster": "c1", "exported_cluster": "c9", "state": "idle",
            **({"exported_rack": "r1"} if job.endswith("_bare") else {})}
        for forged in ("", "a b", 'x"', "-x", "n1;n2"):
            assert relabelled(made, {"__name__": name, **OF_A_NODE, "exported_node": forged, "__accelmon_through": "n2"}) is None, forged
    for name in DELEGATED["own"]:
        assert relabelled(made, {"__name__": name, "node": "ctl", "rack": "r1"})["node"] == "ctl"
    for name in ("node_load1", "slurm_node_anything", "up", "node_gpu_info", "accelmon_collector_success", "accelerator_job_info"):
        assert relabelled(made, {"__name__": name, **OF_A_NODE}) is None, name


@pytest.mark.parametrize("job", JOBS)
def test_nobody_else_writes_what_a_slurm_controller_says(job):
    """A custom exporter may have such names, under a job that no alert reads."""
    for name in (*DELEGATED["about"], *DELEGATED["own"]):
        found = relabelled(jobs()[job], {"__name__": name, "node": "n1", "exported_node": "gpu7"})
        assert found == ({"__name__": name, "node": "n1", "exported_node": "gpu7"} if job == "custom" else None)


def test_every_series_of_the_slurm_collector_is_in_the_catalogue():
    roles = Path(__file__).resolve().parents[4] / "roles"
    text = "".join((roles / f"{role}/files/accelmon_{role}.py").read_text(encoding="utf-8") for role in ("slurm_collector", "slurm_drain"))
    assert set(re.findall(r'^    \("(slurm_\w+)", \("(?:gauge|counter)"', text, re.MULTILINE)) == {*DELEGATED["about"], *DELEGATED["own"]}


def test_what_our_code_publishes_is_in_the_catalogue():
    """Else it is dropped where it is scraped."""
    root = Path(__file__).resolve().parents[4]
    files = [path for folder in ("plugins", "roles") for path in (root / folder).rglob("*") if path.suffix in (".py", ".yml", ".j2")]
    texts = [path.read_text(encoding="utf-8") for path in files] + [registry.series(registry.empty("c"))]
    written = {name for text in texts for name in re.findall(r"# TYPE (accelmon_\w+) ", text)}
    published = {name for part in load("sources")["published"].values() for name in part["series"]}
    assert len(written) > 5
    assert not {name for name in written - set(load("sources")["registry"]) - published if not name.startswith("accelmon_collector_")}


def test_what_is_ours_begins_as_ours_and_programs_of_the_stack_are_known():
    for name in reserved.recorded():
        assert name.rpartition(":")[0] or name.startswith(reserved.OURS)
    for name in load("sources")["stack"]:
        assert name.startswith(tuple(f"{program}_" for program in reserved.PROGRAMS))


def test_a_page_of_a_target_without_a_rack_brings_none_and_none_says_which_source_it_is():
    page = {"__name__": "x", "rack": "r1", "source": "dcgm"}
    for job in JOBS:
        assert relabelled(jobs()[f"{job}_bare"], page) == {"__name__": "x", "exported_rack": "r1", "exported_source": "dcgm"}
        # There it is the target's own: what the page had has been renamed by then.
        assert relabelled(jobs()[job], page) == {"__name__": "x", "rack": "r1", "exported_source": "dcgm"}


@pytest.mark.parametrize("name", sorted(path.name for path in Path(expositions.FOLDER).glob("*.prom")))
def test_limits_leave_room_for_every_page_that_is_known(name):
    """A part of an accelerator, whole ones among them, has fewer series than the catalogue says, and so has the rest of a page."""
    job = {"dcgm": "dcgm_exporter", "amd_": "amd_exporter"}.get(name[:4], "all_smi")
    source = next(source for source in SOURCES.values() if source["job"] == job)
    rows = [labels for labels, _value in expositions.rows(expositions.page(name))]
    tells = source["keys"] + ["GPU_I_ID", "gpu_partition_id"]
    parts = collections.Counter(tuple(row.get(label) for label in tells) for row in rows)
    rest = parts.pop((None,) * len(tells), 0)
    page = load("sources")["pages"][job]
    assert max(parts.values(), default=0) <= page["parts"] and rest <= page["base"]
    assert len(expositions.page(name)) <= load("sources")["line"] * len(rows)


@pytest.mark.parametrize("interval", ["100ms", "1s", "5s", "9s", "10s", "11s", "15s", "1m", "1h"])
def test_a_scrape_always_ends_before_the_next(interval):
    settings = yaml_load(scrape_file({**OPTIONS, "scrape_interval": interval}))["global"]
    assert 0 < milliseconds(settings["scrape_timeout"]) < milliseconds(interval)
    assert milliseconds(settings["scrape_timeout"]) <= 10_000


def test_a_timeout_of_ones_own():
    assert timeout("30s", "20s") == "20s"
    for wanted in ("30s", "31s", "0s"):
        with pytest.raises(Problem):
            timeout("30s", wanted)


@pytest.mark.parametrize(("options", "parts"), [
    ({"scrape_intervall": "15s"}, ["scrape_intervall = 15s:", "did you mean scrape_interval?"]),
    ({"scrape_interval": 15}, ["scrape_interval = 15", "not a duration"]),
    ({"scrape_interval": "0s"}, ["scrape_interval = 0s:", "not a duration"]),
    ({"scrape_timeout": "x"}, ["scrape_timeout = x:", "not a duration"]),
    ({"backend": "vmagnet"}, ["backend = vmagnet:", "did you mean vmagent?"]),
    ({"node_exporter": None}, ["node_exporter = null:", "not host:port"]),
    ({"node_exporter": "::1:9100"}, ["node_exporter = ::1:9100:", "[::1]:9100"]),
    ({"node_exporter": "mon1"}, ["node_exporter = mon1:", "not host:port"]),
    ({"node_exporter": "mon1:0"}, ["node_exporter = mon1:0:", "not host:port"]),
    ({"node_exporter": "http://mon1:9100"}, ["not host:port"]),
    ({"stack": {"vmalert": "mon1:99999"}}, ["stack.vmalert = mon1:99999:", "not host:port"]),
    ({"stack": {"custom": "mon1:1"}}, ["stack.custom", "dcgm_exporter, amd_exporter, all_smi, node_exporter, slurm_collector, custom, accelmon_fleet"]),
    ({"stack": ["vmalert"]}, ["stack = [\"vmalert\"]:", "not a mapping"]),
    ({"cluster": ""}, ["cluster = ''", "not a name"]),
    ({"node": None}, ["node = null:", "not a name"]),
    ({"targets_dir": "targets"}, ["targets_dir = targets:", "absolute"]),
])
def test_a_wrong_option_is_named_with_its_fix(options, parts):
    with pytest.raises(Problem) as caught:
        scrape_file({**OPTIONS, **options})
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_are_no_mapping():
    with pytest.raises(Problem, match="not a mapping"):
        scrape_file("15s")
