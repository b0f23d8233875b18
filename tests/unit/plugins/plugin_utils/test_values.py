# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of single values. Nothing is stubbed."""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils import values
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats, variables


def problem(name, value):
    """What is said about a value of a declared variable."""
    with pytest.raises(Problem) as error:
        formats.normalise(name, variables.all_variables()[name], value)
    text = str(error.value)
    assert "\n" not in text
    wrong, separator, fix = text.rpartition("; ")
    assert wrong and separator and fix
    return text


def accepted(name, value):
    return formats.normalise(name, variables.all_variables()[name], value)


@pytest.mark.parametrize("name,value,expected", [
    ("accelmon_cluster", "eu-1.prod_a", "eu-1.prod_a"),
    ("accelmon_cluster", 7, "7"),
    ("accelmon_address", "", ""),
    ("accelmon_address", "gpu7", "gpu7"),
    ("accelmon_address", "gpu_7.example.com.", "gpu_7.example.com."),
    ("accelmon_address", "10.0.0.7", "10.0.0.7"),
    ("accelmon_address", "2001:DB8:0:0::7", "2001:db8::7"),
    ("accelmon_address", "[2001:db8::7]", "2001:db8::7"),
    ("accelmon_listen", "0.0.0.0", "0.0.0.0"),
    ("accelmon_listen", "::", "::"),
    ("accelmon_rack", 12, "12"),
    ("accelmon_labels", {"room": "b", "row": 3}, {"room": "b", "row": "3"}),
    ("accelmon_expected", {"nvidia": "8", "amd": 0}, {"nvidia": 8, "amd": 0}),
    ("accelmon_expected_links", {"nvlink": "18", "infiniband": 0}, {"nvlink": 18, "infiniband": 0}),
    ("accelmon_exporters", "auto", "auto"),
    ("accelmon_exporters", [], []),
    ("accelmon_exporters", ["textfile_collector", "node_exporter"], ["textfile_collector", "node_exporter"]),
    ("accelmon_custom_exporters", [{"job": "ipmi", "port": "9290"}], [{"job": "ipmi", "port": 9290, "path": "/metrics", "scheme": "http"}]),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1, "labels": {"x": 1}}],
     [{"job": "a", "port": 1, "path": "/metrics", "scheme": "http", "labels": {"x": "1"}}]),
    ("accelmon_prune", "true", True),
    ("accelmon_prune", "True", True),
    ("accelmon_prune", "no", False),
    ("accelmon_prune", 1, True),
    ("accelmon_scrape_interval", "1m30s", "1m30s"),
    ("accelmon_scrape_interval", "500ms", "500ms"),
    ("accelmon_bundle", "/srv/bundle", "/srv/bundle"),
    ("accelmon_accept", "gpu1, gpu2", ["gpu1", "gpu2"]),
    ("accelmon_accept", ["*"], ["*"]),
    ("node_exporter_port", "9100", 9100),
    ("node_exporter_listen", "::1", "::1"),
])
def test_accepted(name, value, expected):
    assert accepted(name, value) == expected


@pytest.mark.parametrize("name,value,words", [
    ("accelmon_cluster", "a/b", "not usable as a file name"),
    ("accelmon_cluster", "..", "not usable as a file name"),
    ("accelmon_cluster", "a\n", "not usable as a file name"),
    ("accelmon_cluster", True, "not a string but a boolean"),
    ("accelmon_cluster", None, "no value"),
    ("accelmon_address", "10.0.0.7:9100", "it contains a port or a scheme"),
    ("accelmon_address", "http://gpu7", "it contains a port or a scheme"),
    ("accelmon_address", "fe80::1%eth0", "it has a zone"),
    ("accelmon_address", "2001:db8::7::1", "neither a host name nor an IP address"),
    ("accelmon_address", "10.0.0.256", "neither a host name nor an IP address"),
    ("accelmon_address", "10.0.0.1/24", "neither a host name nor an IP address"),
    ("accelmon_address", "gpu 7", "neither a host name nor an IP address"),
    ("accelmon_state", "maintainance", "not a choice; use active or maintenance"),
    ("accelmon_rack", "a\nb", "a line break (U+000A)"),
    ("accelmon_labels", ["a"], "not a dictionary but a list"),
    ("accelmon_labels", {"a-b": "c"}, "a-b is not a label name"),
    ("accelmon_labels", {"room": {"a": 1}}, "room: not a string but a dictionary"),
    ("accelmon_labels", {"room": True}, "room: not a string but a boolean"),
    ("accelmon_labels", {"rack": "r1"}, "the label rack is reserved; set accelmon_rack instead"),
    ("accelmon_labels", {"job": "x"}, "the label job is reserved"),
    ("accelmon_labels", {"accelmon_elected": "x"}, "reserved prefix"),
    ("accelmon_labels", {"__address__": "x"}, "reserved prefix"),
    ("accelmon_expected", {"nvdia": 8}, "nvdia is not a vendor"),
    ("accelmon_expected_links", {"nvlnk": 18}, "nvlnk is not a kind of links; use infiniband, nvlink, xgmi"),
    ("accelmon_expected", {"nvidia": -1}, "nvidia: negative"),
    ("accelmon_expected", {"nvidia": True}, "nvidia: not a whole number but a boolean"),
    ("accelmon_expected", {"nvidia": "eight"}, "nvidia: not a whole number but a string"),
    ("accelmon_expected", 8, "not a dictionary but a number"),
    ("accelmon_exporters", "node_exporter", "neither auto nor a list"),
    ("accelmon_exporters", ["nod_exporter"], "nod_exporter is not an exporter role"),
    ("accelmon_exporters", ["textfile_collector"], "list node_exporter too"),
    ("accelmon_exporters", ["node_exporter", "node_exporter"], "twice"),
    ("accelmon_custom_exporters", {"job": "a"}, "not a list but a dictionary"),
    ("accelmon_custom_exporters", ["a"], "entry 1: not a dictionary but a string"),
    ("accelmon_custom_exporters", [{"job": "a"}], "entry 1: port is missing"),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1}, {"job": "b", "port": 99999}], "entry 2: port 99999: not a port"),
    ("accelmon_custom_exporters", [{"job": "a.b", "port": 1}], "job a.b is not usable as a name"),
    ("accelmon_custom_exporters", [{"job": "node_exporter", "port": 1}], "the collection's own"),
    ("accelmon_custom_exporters", [{"job": "accelmon_fleet", "port": 1}], "the collection's own"),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1, "path": "x"}], "path x does not begin with /"),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1, "scheme": "ftp"}], "scheme ftp is not known"),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1, "pathh": "/x"}], "pathh is not known"),
    ("accelmon_custom_exporters", [{"job": "a", "port": 1}, {"job": "b", "port": 1}], "occur twice"),
    ("accelmon_prune", "maybe", "not a boolean"),
    ("accelmon_scrape_interval", "15", "not a duration"),
    ("accelmon_scrape_interval", 15, "not a duration"),
    ("accelmon_scrape_interval", "0s", "out of range; use 500ms to 2m"),
    ("accelmon_scrape_interval", "15 s", "not a duration"),
    ("accelmon_bundle", "bundle", "not an absolute path"),
    ("accelmon_rule_files", [1], "an entry is not a string but a number"),
    ("accelmon_rule_files", "a.yml", "not a list but a string"),
    ("node_exporter_port", 0, "not a port"),
    ("node_exporter_port", 65536, "not a port"),
    ("node_exporter_port", True, "not a whole number but a boolean"),
    ("node_exporter_port", "http", "not a whole number but a string"),
    ("node_exporter_port", 9100.5, "not a whole number but a decimal number"),
    ("node_exporter_managed", "no", "not a choice"),
])
def test_refused(name, value, words):
    assert words in problem(name, value)


@pytest.mark.parametrize("name", sorted(variables.all_variables()))
def test_every_default_is_valid_and_every_spec_is_understood(name):
    spec = variables.all_variables()[name]
    assert spec["type"] in values.TYPES
    assert spec.get("format") is None or spec["format"] in formats.FORMATS
    assert spec["description"]
    if spec.get("default") is not None and "{{" not in str(spec["default"]):
        assert formats.normalise(name, spec, spec["default"]) == spec["default"]


def test_defaults_that_the_fleet_filters_read_are_literals():
    for name, spec in variables.fleet_variables().items():
        assert "{{" not in str(spec["default"]), name


def test_roles_and_their_variables_are_found():
    assert "node_exporter" in variables.roles()
    assert "service" not in variables.roles()
    assert variables.role_variables("node_exporter")["node_exporter_port"]["default"] == 9100
