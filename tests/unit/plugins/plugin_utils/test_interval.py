"""The scrape interval stands in one place, and everything follows it.

Stubbed: Ansible's templating, by plain Jinja with our filter. Expressions are read from the files of roles and playbooks.
"""

import pathlib
import re

import jinja2
import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import seconds
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import view
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.scrape import scrape_file
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import fleet_variables

ROOT = pathlib.Path(__file__).resolve().parents[4]
INTERVALS = ("5s", "15s", "60s")
PERIODS = 4  # a collector's reading is fresh for so many of its periods


def evaluated(path, *names, **variables):
    """Values of a role's defaults, each evaluated with those before it."""
    environment = jinja2.Environment()
    environment.filters["accelmon.fleet._seconds"] = seconds
    declared = yaml_load((ROOT / path).read_text())
    for name in names:
        variables[f"_{name}"] = environment.from_string(str(declared[name])).render(**variables)
    return [int(variables[f"_{name}"]) for name in names]


@pytest.mark.parametrize("interval", INTERVALS)
def test_scraping_and_rules_follow(interval):
    for backend in ("vmagent", "prometheus"):
        scrape = yaml_load(scrape_file({"node_exporter": "n:9100", "cluster": "c", "node": "m", "scrape_interval": interval, "backend": backend}))
        assert scrape["global"]["scrape_interval"] == interval
        assert scrape["global"].get("evaluation_interval", interval) == interval
        assert milliseconds(scrape["global"]["scrape_timeout"]) <= milliseconds(interval)
        assert not any("scrape_interval" in job for job in scrape["scrape_configs"])
    intervals = {group["name"]: group["interval"] for group in yaml_load(recording_file(interval))["groups"]}
    slow = {name: intervals.pop(f"accelmon_{name}") for name in ("percentiles", "jobs", "stragglers", "links", "invalid", "errors", "health", "health_scores")}
    assert set(slow.values()) == {"60s"}
    assert set(intervals.values()) == {interval} and len(intervals) == 5


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_collector_follows(interval):
    period, limit = evaluated("roles/textfile_collector/defaults/main.yml", "textfile_collector_interval", "textfile_collector_timeout",
                              _accelmon_scrape_interval=interval)
    assert period == milliseconds(interval) // 1000
    assert 0 < limit < period


@pytest.mark.parametrize("interval", INTERVALS)
def test_what_counts_as_fresh_follows(interval):
    scraped, recorded = view.windows({"interval": interval, "fresh_intervals": 3, "recording_delay": 30})
    assert scraped == 3 * milliseconds(interval) / 1000 and recorded == scraped + 30


@pytest.mark.parametrize("interval", INTERVALS)
def test_no_alert_mistakes_the_interval_for_staleness(interval):
    for alert in load("alerts")["alerts"]:
        if "Stale" in alert["alert"]:
            assert milliseconds(alert["threshold"]["default"]) > PERIODS * milliseconds(interval)


def test_a_window_of_a_rule_s_own_is_long_whatever_the_interval():
    folder = ROOT / "plugins" / "plugin_utils" / "catalogue"
    for path in [folder / "series.yml", folder / "sources.yml", folder / "readings.yml", *folder.glob("alerts/*.yml")]:
        for window in re.findall(r"\[(\d+[smhdw])(?::\d*[smhd]?)?\]", path.read_text()):
            assert milliseconds(window) >= 300_000, (path.name, window)


def test_the_default_is_the_same_wherever_it_has_to_be_repeated():
    default = fleet_variables()["accelmon_scrape_interval"]["default"]
    for path in sorted(ROOT.glob("roles/*/defaults/main.yml")):
        assert (yaml_load(path.read_text()) or {}).get("accelmon_scrape_interval", default) == default, path
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        options = yaml_load(path.read_text())["argument_specs"]["main"]["options"]
        assert options.get("accelmon_scrape_interval", {}).get("default", default) == default, path


def test_vmalert_and_the_playbooks_read_the_one_variable():
    assert "'-evaluationInterval=' ~ _accelmon_scrape_interval" in (ROOT / "roles/vmalert/vars/main.yml").read_text()
    for name in ("verify", "status"):
        assert re.search(r"interval: .*accelmon_scrape_interval", (ROOT / f"playbooks/{name}.yml").read_text()), name


def test_both_engines_keep_alerts_as_long_that_are_not_sent_again():
    # 1m is the default of Prometheus, whatever the interval; vmalert's is nothing.
    assert "'-rule.resendDelay=1m'" in (ROOT / "roles/vmalert/vars/main.yml").read_text()
    assert "rules.alert.resend-delay" not in (ROOT / "roles/prometheus/vars/main.yml").read_text()
