"""Rule files: their language, their inputs, a site's overrides, and that every rule has cases. Nothing is stubbed.

What the rules do is proven by tests/rules/run.py with the programs that evaluate them.
"""

import re
from pathlib import Path

import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible.errors import AnsibleFilterError

from ansible_collections.accelmon.fleet.plugins.filter.alert_rules import alert_rules
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import rule_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import health
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import SEVERITIES, alert_file, alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.inputs import of_alerts
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import expected_series, group_names, recording_file

ROOT = Path(__file__).resolve().parents[4]
CASES = ROOT / "tests" / "rules" / "cases"

FUNCTIONS = {"abs", "absent", "avg", "avg_over_time", "bool", "by", "clamp_min", "count", "count_over_time", "count_values", "floor", "group",
             "group_left", "group_right", "ignoring", "label_replace", "last_over_time", "max", "min", "max_over_time", "min_over_time", "offset", "on",
             "or", "and", "quantile", "rate", "sum", "sum_over_time", "time", "timestamp", "topk", "unless", "vector", "without"}
SLOW = ("accelmon_percentiles", "accelmon_jobs", "accelmon_stragglers", "accelmon_invalid", "accelmon_health", "accelmon_errors", "accelmon_links")
# It reads what the group before it records.
SCORES = "accelmon_health_scores"
# What the catalogue knows of error codes: recorded, and read by alerts, as it comes from no device.
INFO = "accelerator_error_info"
# Lists of labels in an expression.
LISTS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")


def rules(text):
    return [rule for group in yaml_load(text)["groups"] for rule in group["rules"]]


ALERTS = rules(alert_file({}))
# How many devices a node has; racks and clusters add these up.
COUNT = "node:accelerator_info:count"
# When each device last had each error code.
EVENTS = "accelerator_error_last_timestamp_seconds"
RECORDS = rules(recording_file("15s"))
# What is recorded once a minute, that alerts may read: it would cost too much to compute twice.
SLOW_SERIES = {f"{peers}:accelerator_clock_hertz:straggler" for peers in ("node", "job")} | {"node:accelerator_invalid_readings:count"}


def words(expression):
    """Words of an expression outside of strings and of lists of labels."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\boffset \d+[smhd]\b", "offset ", bare)
    bare = re.sub(r"\{[^}]*\}", " ", bare)
    bare = re.sub(r"\[\d+[smhd](:\d+[smhd])?\]", " ", bare)
    bare = re.sub(r"(?<=\s)\d+(\.\d+)?(e-?\d+)?", " ", bare)
    bare = LISTS.sub(r" \1 ", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare))


def metrics(expression):
    return words(expression) - FUNCTIONS


def load_cases(name):
    return yaml_load((CASES / f"{name}.yml").read_text(encoding="utf-8"))


# Rows of several names, and what is done to them: a function of a window, or nothing.
SEVERAL = re.compile(r"(?:(\w+)\()?\{[^{}]*__name__=~[^{}]*\}(?:\[\w+\])?")


def test_no_rule_reads_a_window_of_several_names():
    """Prometheus drops the name then. One page with both of a device's would be an error of the rule, for the whole fleet; see tests/rules/doubled.py."""
    expressions = [rule["expr"] for rule in ALERTS + RECORDS] + [reading["present"] for reading in of_alerts("15s")["readings"].values()]
    functions = {match.group(1) for expression in expressions for match in SEVERAL.finditer(expression)}
    # Of one value of a row the name stays.
    assert functions == {None, "last_over_time"}


@pytest.mark.parametrize("text", [recording_file("15s"), alert_file({})], ids=["recording", "alerts"])
def test_only_keys_that_every_engine_knows(text):
    content = yaml_load(text)
    assert set(content) == {"groups"}
    for group in content["groups"]:
        assert set(group) <= {"name", "interval", "limit", "rules"}
        for rule in group["rules"]:
            assert set(rule) <= {"record", "alert", "expr", "for", "labels", "annotations"}
    assert len({group["name"] for group in content["groups"]}) == len(content["groups"])


def test_a_global_place_records_each_site_and_others_none():
    made = yaml_load(recording_file("15s", "victoriametrics", ["east", "west"]))["groups"]
    assert made[:-1] == yaml_load(recording_file("15s", "victoriametrics"))["groups"]
    assert (made[-1]["name"], made[-1]["rules"]) == ("accelmon_sites", [
        {"record": "accelmon_site", "expr": "vector(1)", "labels": {"cluster": cluster}} for cluster in ("east", "west")])
    assert "accelmon_sites" in group_names("15s", "victoriametrics", ["east"]) and "accelmon_sites" not in group_names("15s", "victoriametrics")


def test_only_functions_that_both_languages_share_and_only_series_that_somebody_writes():
    sources = load("sources")
    known = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
             "scrape_series_limit_samples_dropped"} | set(sources["registry"]) | set(sources["stack"]) | set(sources["node"])
    known |= {name for part in sources["published"].values() for name in part["series"]}
    known |= {name for part in sources["delegated"].values() for name in (*part["about"], *part["own"])}
    for source in sources["sources"].values():
        known |= set(source["metrics"])
    known.add(load("series")["sent"]["site"])
    known |= {item["name"] for item in load("series")["devices"]} | {COUNT, INFO, EVENTS, health.STATE, health.KNOWN} | SLOW_SERIES
    for rule in RECORDS + ALERTS:
        unknown = metrics(rule["expr"]) - known
        assert not unknown, (rule.get("record") or rule["alert"], unknown)


def test_no_counter_is_taken_for_an_event():
    """increase() over a counter that is born above 0 differs between the engines."""
    for rule in RECORDS + ALERTS:
        assert not re.search(r"\b(increase|irate|delta|changes)\b", rule["expr"])


def test_devices_are_counted_from_what_their_source_tells():
    """Not by accelerator_info, of which another series begins when another source is put in charge."""
    expressions = {rule["record"]: rule["expr"] for rule in RECORDS}
    assert "accelerator_info" not in expressions[COUNT] and "accelmon_source_elected" in expressions[COUNT]
    assert metrics(expressions["rack:accelerator_info:count"]) == metrics(expressions["cluster:accelerator_info:count"]) == {COUNT}


def test_one_layer_only():
    """Series of devices come from raw ones, all others from series of devices, and no rule reads these others, but for the count of devices, their
    errors and what scores are made of.

    Alerts read raw series, so that they do not hang on the layer, but for what is slow.
    """
    recorded = {rule["record"] for rule in RECORDS}
    devices = {item["name"] for item in load("series")["devices"]} | {COUNT, EVENTS}
    for group in yaml_load(recording_file("15s"))["groups"]:
        for rule in group["rules"]:
            allowed = set() if group["name"].startswith("accelmon_devices") else {health.STATE, health.KNOWN} if group["name"] == SCORES else devices
            assert not metrics(rule["expr"]) & (recorded - allowed), rule
    for rule in ALERTS:
        assert not metrics(rule["expr"]) & (recorded - {INFO} - SLOW_SERIES)


def test_device_series_carry_identity_only():
    for rule in RECORDS:
        if rule["record"] in {item["name"] for item in load("series")["devices"]}:
            outer = [by.split(", ") for by in re.findall(r"(?:max|sum|group) by \(([^)]*)\)", rule["expr"])]
            assert outer
            for by in outer:
                assert not {"instance", "job", "gpu"} & set(by)
                assert "source" not in by or rule["record"] == "accelerator_energy_joules_total"


def test_every_rule_reads_only_the_source_in_charge():
    """Each source's part names the source, and leaves out what another one is in charge of; invalid readings, errors and links count of all."""
    sources = load("sources")["sources"]
    for group in yaml_load(recording_file("15s"))["groups"]:
        for rule in group["rules"]:
            for name, source in sources.items():
                names = "|".join(map(re.escape, source["metrics"]))
                selectors = [part for part in re.findall(r"[\w:]*(?:\{[^}]*\})?", rule["expr"]) if re.search(rf"\b(?:{names})(?![a-z_])", part)]
                assert all(f'source="{name}"' in part for part in selectors), rule
                of_all = group["name"] in ("accelmon_invalid", "accelmon_errors", "accelmon_links") or rule.get("labels") == {"component": "errors"}
                if selectors and not of_all:
                    left_out = 'unless on (cluster, node, vendor) (%s == 0)' % (
                        f'last_over_time(accelmon_source_elected{{source="{name}"}}[45s])' if group["name"] == "accelmon_health"
                        else f'accelmon_source_elected{{source="{name}"}}')
                    # The state of health has several readings.
                    assert rule["expr"].count(left_out) == 1 or group["name"] == "accelmon_health" and left_out in rule["expr"], rule


def test_all_sources_are_in_one_rule():
    """A rule for each source would end a series that another one goes on with, at the moment when the election changes."""
    for group in yaml_load(recording_file("15s"))["groups"]:
        known = [(rule["record"], tuple(sorted(rule.get("labels", {}).items()))) for rule in group["rules"]]
        assert len(known) == len(set(known))


def test_every_level_has_its_roll_ups_and_racks_only_named_ones():
    for rule in RECORDS:
        level = rule["record"].split(":")[0]
        if level == "rack":
            assert 'rack!=""' in rule["expr"]
        elif level in ("node", "cluster"):
            assert "rack!=" not in rule["expr"]
    assert {rule["record"].split(":")[0] for rule in RECORDS if ":" in rule["record"]} == {"node", "rack", "cluster", "model", "job", "user"}


def test_every_recorded_series_has_a_case():
    expected = [f"{name}{labels}" for name, samples in load_cases("recording")["expect"].items() for labels in samples]
    expected += [selector for name in ("sources", "stragglers", "jobs", "health") for case in load_cases(name)
                 for selector, samples in case["expect"].items() if samples]
    for rule in RECORDS:
        fixed = [f'{key}="{value}"' for key, value in rule.get("labels", {}).items()]
        # Of the constants one has a case.
        if rule["record"] not in ("node:accelerator_invalid_readings:count", INFO):
            assert any(re.split(r"\{", text)[0] == rule["record"] and all(part in text for part in fixed) for text in expected), rule
    assert {re.split(r"\{", text)[0] for text in expected} == {rule["record"] for rule in RECORDS}


def test_every_page_is_evaluated():
    pages = {path.name for path in (ROOT / "tests" / "fixtures" / "expositions").glob("*.prom")}
    assert set(load_cases("pages")["pages"]) == pages


def test_every_alert_has_a_case_that_fires_and_one_that_does_not():
    for rule in ALERTS:
        cases = load_cases(rule["alert"])
        moments = [moment for case in cases for moment in case["expect"]]
        assert any(moment.get("fires") for moment in moments), rule["alert"]
        # What must not happen to Watchdog is silence.
        assert rule["alert"] == "Watchdog" or any(not case["expect"][-1].get("fires") for case in cases), rule["alert"]
    others = {"health", "jobs", "labels", "layers", "messages", "pages", "quiet", "recording", "sources", "stragglers"}
    assert {path.stem for path in CASES.glob("*.yml")} == {rule["alert"] for rule in ALERTS} | others


def test_every_case_file_says_where_its_data_come_from():
    for path in CASES.glob("*.yml"):
        assert re.match(r"# (recorded|derived from documentation|guessed)\b", path.read_text(encoding="utf-8")), path.name


def test_alerts_say_what_who_and_what_to_do_with_labels_that_they_have():
    for rule in ALERTS:
        assert set(rule["annotations"]) == {"summary", "description", "action"}
        assert set(rule["labels"]) == {"severity", "scope"} and rule["labels"]["severity"] in SEVERITIES
        labels = set()
        for case in load_cases(rule["alert"]):
            for moment in case["expect"]:
                for alert in moment.get("fires", []):
                    labels |= set(alert["labels"])
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert used <= labels, (rule["alert"], used - labels)


def test_every_description_that_looks_something_up_has_a_case():
    looking = {rule["annotations"]["description"] for rule in ALERTS if "{{- range query" in rule["annotations"]["description"]}
    shown = {case["alert"] for case in load_cases("messages")}
    assert looking == {rule["annotations"]["description"] for rule in ALERTS if rule["alert"] in shown}


def test_alerts_about_nodes_are_muted_in_maintenance():
    for rule in ALERTS:
        if rule["labels"]["scope"] in ("node", "exporter", "accelerator"):
            assert 'unless on (cluster, node) last_over_time(accelmon_fleet_node_info{state="maintenance"}[45s])' in rule["expr"]


def test_a_scrape_that_fails_neither_ends_an_alert_nor_begins_it():
    """Whatever is scraped of nodes and of the registry is read over a window.

    Scrapers write `up` and what they scraped of each target even when a scrape fails. A clock is read beside the time of its own sample.
    """
    always = {"up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_limit_samples_dropped", INFO}
    for rule in ALERTS:
        if rule["labels"]["scope"] in ("monitoring", "fleet"):
            continue
        text = LISTS.sub("", rule["expr"])
        now = {name for name in re.findall(r"(?<![\w\"=|~])([a-zA-Z_:][\w:]*)(?![\w:])(?:\{[^}]*\})?(?![\[{])", text)
               if name in metrics(text)}
        # Devices that are missing are seen at the last scrape, and where it failed as of those before.
        also = {"NodeClockSkew": {"node_time_seconds"}, "AcceleratorMissing": {"gpu_total_vram", "node_gpu_info"}}.get(rule["alert"], set())
        assert now <= always | also, (rule["alert"], now - always)


def test_alerts_that_can_wait_are_evaluated_once_a_minute():
    def evaluated(alert, **change):
        return [(group["name"], group.get("interval")) for group in yaml_load(alert_file({alert: change} if change else {}))["groups"]
                if alert in [rule["alert"] for rule in group["rules"]]]

    assert evaluated("AcceleratorMemoryHot") == evaluated("AcceleratorMissing", severity="warning") == [("accelmon_slow", "60s")]
    assert evaluated("AcceleratorMissing") == evaluated("AcceleratorMemoryHot", **{"for": "4m"}) == [("accelmon_accelerator", None)]
    assert evaluated("AcceleratorMemoryHot", severity="critical") == [("accelmon_accelerator", None)]
    assert {group.get("interval") for group in yaml_load(alert_file({}, interval="2m"))["groups"]} == {None, "2m"}


def test_what_must_be_recorded_follows_from_the_catalogue():
    found = expected_series()
    assert {item["name"] for item in found} == {item["name"] for item in load("series")["devices"]}
    told = {item["recorded"]: item["told"] for item in found}
    ecc = told['accelerator_ecc_errors_total{scope="volatile",type="uncorrected"}']
    # What the rule reads, and the same rows where a label of the target has taken the name of one of theirs.
    assert 'type="uncorrected"' in ecc and 'exported_type="uncorrected"' in ecc and "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL" in ecc
    assert "exported_" not in told["accelerator_power_watts{}"]


def test_files_are_the_same_each_time():
    assert alert_file({}) == alert_file(None) == alert_file({})
    assert recording_file("15s") == recording_file("15s")
    intervals = {group["name"]: group["interval"] for group in yaml_load(recording_file("30s"))["groups"]}
    assert {interval for name, interval in intervals.items() if name not in (*SLOW, SCORES)} == {"30s"}
    assert {intervals[name] for name in (*SLOW, SCORES)} == {"60s"}
    assert {group["interval"] for group in yaml_load(recording_file("2m"))["groups"]} == {"2m"}


def test_roll_ups_are_evaluated_when_devices_can_be_read_and_prometheus_is_told_nothing():
    groups = yaml_load(recording_file("15s", "victoriametrics"))["groups"]
    moments = {group["name"]: group.pop("eval_offset") for group in groups}
    assert groups == yaml_load(recording_file("15s"))["groups"]
    assert [moments[name] for name in ("accelmon_devices_1", "accelmon_devices_2")] == ["0ms", "0ms"]
    # Devices are asked of with a delay of 5 s; roll-ups with the same, and so as they were 2.5 s after these.
    assert {moments[name] for name in ("accelmon_nodes", "accelmon_racks", "accelmon_clusters")} == {"7500ms"}
    # What is slow has different intervals of its minute: its work is spread.
    assert {moments[name] for name in SLOW} == {"9000ms", "24000ms", "39000ms", "54000ms"}
    # Scores as they were a quarter of a second after what they are made of.
    assert (moments["accelmon_health"], moments[SCORES]) == ("54000ms", "59250ms")
    # Where all is evaluated at once, in the same interval.
    assert {group["eval_offset"] for group in yaml_load(recording_file("2m", "victoriametrics"))["groups"] if group["name"] in SLOW} == {"72000ms"}


def test_overrides():
    changed = {rule["alert"]: rule for rule in rules(alert_file({
        "HostDown": {"for": "30s", "severity": "warning"},
        "ExporterDown": {"enabled": "no"},
        "Watchdog": {"enabled": True},
        "AcceleratorCollectorStale": {"threshold": "1m30s"}}))}
    assert changed["HostDown"]["for"] == "30s" and changed["HostDown"]["labels"]["severity"] == "warning"
    assert "ExporterDown" not in changed and "Watchdog" in changed
    assert "> 90\n" in changed["AcceleratorCollectorStale"]["expr"]
    untouched = {rule["alert"]: rule for rule in ALERTS}
    assert changed["AcceleratorMissing"] == untouched["AcceleratorMissing"]
    assert "> 300\n" in untouched["AcceleratorCollectorStale"]["expr"]


def test_a_threshold_of_any_length_is_written_in_full():
    stale = {rule["alert"]: rule for rule in rules(alert_file({"AcceleratorCollectorStale": {"threshold": "30d"}}))}
    assert "> 2592000\n" in stale["AcceleratorCollectorStale"]["expr"]


def test_a_site_may_turn_everything_off():
    assert yaml_load(alert_file({rule["alert"]: {"enabled": False} for rule in ALERTS})) == {"groups": []}


@pytest.mark.parametrize(("overrides", "parts"), [
    ({"HostDwn": {"for": "1m"}}, ["accelmon_alert_overrides.HostDwn = {\"for\": \"1m\"}:", "did you mean HostDown?"]),
    ({"HostDown": {"fro": "1m"}}, ["accelmon_alert_overrides.HostDown.fro = 1m:", "did you mean for?"]),
    ({"HostDown": {"for": 30}}, ["accelmon_alert_overrides.HostDown.for = 30", "not a duration"]),
    ({"HostDown": {"for": "soon"}}, ["HostDown.for = soon:", "30s or 5m"]),
    ({"HostDown": {"severity": "critcal"}}, ["HostDown.severity = critcal:", "did you mean critical?"]),
    ({"HostDown": {"severity": ["critical"]}}, ["HostDown.severity = [\"critical\"]:", "no such severity"]),
    ({"HostDown": {"enabled": "maybe"}}, ["HostDown.enabled = maybe:", "not a boolean"]),
    ({"HostDown": {"threshold": "5m"}}, ["HostDown.threshold = 5m:", "HostDown has no threshold"]),
    ({"AcceleratorCollectorStale": {"threshold": 300}}, ["AcceleratorCollectorStale.threshold = 300", "not a duration"]),
    ({"HostDown": "30s"}, ["accelmon_alert_overrides.HostDown = 30s:", "not a mapping"]),
    ({"HostDown": None}, ["accelmon_alert_overrides.HostDown = null:", "not a mapping"]),
    (["HostDown"], ["accelmon_alert_overrides = [\"HostDown\"]:", "not a mapping"]),
])
def test_a_wrong_override_is_named_with_its_fix(overrides, parts):
    with pytest.raises(Problem) as caught:
        alert_file(overrides)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("interval", ["", "0s", "15", "often", None])
def test_a_wrong_interval(interval):
    with pytest.raises(Problem):
        recording_file(interval)


def test_verify_asks_for_every_group_that_is_written():
    def asked(**variables):
        return rule_groups("m1", {"m1": {"inventory_hostname": "m1", **variables}}, {"monitoring": ["m1"]})
    for backend in ("victoriametrics", "prometheus"):
        written = yaml_load(recording_file("15s", backend))["groups"] + yaml_load(str(alert_rules({})))["groups"]
        assert asked(accelmon_backend=backend) == [group["name"] for group in written]
    assert {"accelmon_percentiles", "accelmon_stragglers", "accelmon_invalid", "accelmon_node", "accelmon_monitoring"} < set(asked())
    nothing = {alert["alert"]: {"enabled": "no"} for alert in load("alerts")["alerts"]}
    assert asked(accelmon_alert_overrides=nothing) == [group["name"] for group in yaml_load(recording_file("15s"))["groups"]]
    task = (Path(__file__).resolve().parents[4] / "playbooks" / "verify.yml").read_text()
    assert "accelmon.fleet._rule_groups(" in task and "accelmon_devices_1" not in task


@pytest.mark.parametrize("given,written", [(None, "> 90\n"), (95, "> 95\n"), ("0.5", "> 0.5\n"), (0, "> 0\n"),
                                           ("1e-12", "> 1e-12\n"), (0.0000000025, "> 2.5e-09\n"), (0.00001, "> 0.00001\n")])
def test_a_threshold_may_be_a_number(given, written):
    alerts = {"parts": {}, "alerts": [{
        "alert": "Hot", "severity": "warning", "scope": "device", "for": "5m", "expr": "temperature > %threshold%\n",
        "threshold": {"type": "number", "default": 90, "at_most": 100}, "summary": "s", "description": "d", "action": "a"}]}
    text = alert_file({"Hot": {"threshold": given}} if given is not None else {}, alerts)
    assert yaml_load(text)["groups"][0]["rules"][0]["expr"] + ("" if text.endswith("\n") else "\n") == f"temperature {written}"
    for wrong in ("5m", True, "nan", -1, 101, [1], "inf", None):
        with pytest.raises(Problem, match="accelmon_alert_overrides.Hot.threshold = .*: not a threshold of this alert; give a number from 0 to 100"):
            alert_file({"Hot": {"threshold": wrong}}, alerts)


@pytest.mark.parametrize("text,on", [("true", True), ("True", True), ("yes", True), ("1", True), ("off", False), ("no", False), (False, False)])
def test_a_survey_switches_an_alert_by_text(text, on):
    groups = yaml_load(alert_file({"HostDown": {"enabled": text}}))["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    assert ("HostDown" in names) is on


@pytest.mark.parametrize("interval", ["15s", "75s", "80s", "2m"])
def test_every_window_of_an_alert_outlasts_two_scrapes_that_fail(interval):
    texts = [rule["expr"] for group in alert_groups(interval=interval) for rule in group["rules"]]
    windows = {window for text in texts for window in re.findall(r"\[([0-9]+[smhd])[\]:]", text)}
    assert windows and all(milliseconds(window) >= 3 * milliseconds(interval) for window in windows), windows
    rates = {window for text in texts for window in re.findall(r"\brate\([^\[]*\[(\w+)\]", text)}
    assert rates and all(milliseconds(window) >= 4 * milliseconds(interval) for window in rates), rates
    assert ("5m" in rates) == (interval in ("15s", "75s"))


def test_alerts_know_the_interval_and_the_limits_of_the_site():
    text = str(alert_rules({}, "30s", {"custom": "70000"}))
    assert "up[90s]" in text and "> 70000)" in text and "[1h]) > 140000)" in text
    assert "up[45s]" in alert_file() and "up[15s]" in alert_file(interval="1s")
    with pytest.raises(AnsibleFilterError, match="accelmon_scrape_limits = .*: web: no such job; known are"):
        alert_rules({}, "15s", {"web": 1})


def test_a_survey_changes_alerts_by_text():
    with pytest.raises(AnsibleFilterError, match="accelmon_alert_overrides = .*HostDwon.*did you mean HostDown"):
        alert_rules('{"HostDwon": {"for": "30s"}}')
    assert alert_rules("HostDown: {for: 30s}\n") == alert_rules({"HostDown": {"for": "30s"}}) != alert_rules("")
    assert alert_rules("") == alert_rules({})
