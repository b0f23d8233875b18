"""Labels of a site that would take the place of those that series and rules have. Nothing is stubbed."""

import importlib.util
from pathlib import Path

import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import labels
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.alerts import alert_groups
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals.recording import recording_groups

SPEC = importlib.util.spec_from_file_location("accelmon_rules_expositions", Path(__file__).resolve().parents[4] / "tests" / "rules" / "expositions.py")
expositions = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(expositions)
PAGES = sorted(path.name for path in Path(expositions.FOLDER).glob("*.prom"))


@pytest.mark.parametrize("name", """scope type name sensor pci_bus_id integration alertgroup alertstate alertname GPU_I_ID gpu_partition_id cpu le quantile
    vmrange source gpu uuid index vendor model severity job_id percent celsius series device mode fstype mountpoint job instance node state domain serial
    user account partition directory""".split())
def test_a_label_that_series_or_rules_have_is_refused_by_name_with_what_to_do(name):
    with pytest.raises(Problem, match=f"the label {name} is reserved; .*[Cc]hoose another, such as site_{name.lower()}"):
        labels.labels({"room": "b", name: "x"})
    with pytest.raises(Problem, match=f"entry 1: the label {name} is reserved"):
        labels.custom_exporters([{"job": "web", "port": 80, "labels": {name: "x"}}])


@pytest.mark.parametrize("name", "room row site team owner datacenter environment zone floor project cabinet slurm_partition site_type".split())
def test_a_label_of_a_site_s_own_is_taken(name):
    assert labels.labels({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("name", PAGES)
def test_no_label_of_a_known_page_can_be_taken(name):
    """But for what a scheduler's integration or AMD's exporter may be told to write, whose names are in its configuration."""
    found = {label for row, _value in expositions.rows(expositions.page(name)) for label in row if not label.startswith("__")}
    assert found and not found - labels.reserved()


def test_every_label_that_a_rule_or_a_case_of_one_names_is_reserved():
    named = set()
    for group in recording_groups("15s") + alert_groups():
        for rule in group["rules"]:
            named |= labels.in_expression(rule["expr"])
    assert len(named) > 20 and named <= labels.reserved()
    sources = load("sources")
    for source in sources["sources"].values():
        assert set(source["labels"]) | set(source["keys"]) <= labels.reserved()
    # What a scheduler's integration tells of jobs, above all: a site may well call its nodes' partition by that name.
    for series in (sources["registry"], sources["stack"], sources["node"], *(part["series"] for part in sources["published"].values())):
        assert {label for names in series.values() for label in names} <= labels.reserved()


@pytest.mark.parametrize(("expression", "wanted"), [
    ('sum by (a, b) (x{c="1",d=~"(e)\\"{f=",g!~"h"}) / on (i) group_left (j) y', {"a", "b", "c", "d", "g", "i", "j"}),
    ("max by(a)(x) unless ignoring(b) y", {"a", "b"}),
    ('count_values by (a) ("b", x)', {"a", "b"}),
    ("absent(up)", set()),
])
def test_labels_in_an_expression(expression, wanted):
    assert labels.in_expression(expression) == wanted


@pytest.mark.parametrize("job", ["vmalert", "node_exporter", "node_exporter_bare", "all_smi_plain_bare", "custom_bare"])
def test_a_job_of_ours_is_nobody_else_s(job):
    with pytest.raises(Problem, match="the collection's own"):
        labels.custom_exporters([{"job": job, "port": 80}])
