# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading one host's variables, and its address.

Stubbed: `hostvars` is an object with the two ways in that Ansible's has, over dictionaries; templates are evaluated by a
table. The test with real Ansible is in tests/unit/plugins/filter/test_fleet_playbook.py.
"""
import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils import addresses
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import formats, hosts as fleet, variables
from jinja2 import Undefined


class HostVars(dict):
    """Variables by host; `evaluated` is what templates give. Counts how often each way in is used."""

    def __init__(self, raw, evaluated=None):
        super().__init__(raw)
        self.evaluated = evaluated or {}
        self.evaluations = 0

    def raw_get(self, host):
        return dict.__getitem__(self, host)

    def __getitem__(self, host):
        self.evaluations += 1
        return dict(dict.__getitem__(self, host), **self.evaluated)


class Failing(HostVars):
    """Its templates fail as a user's filter might."""

    def __getitem__(self, name):
        raise RuntimeError("no\nway")


def host(variables, **evaluated):
    return fleet.HostVariables(HostVars({"h": variables}, evaluated), "h")


def reader():
    return fleet.Reader(fleet.plan_specs())


def test_plan_variables_are_declared():
    assert set(fleet.plan_specs()) == set(fleet.PLAN_VARIABLES)


def test_defaults():
    values, errors = reader().read_all(host({}))
    assert errors == []
    assert values["accelmon_cluster"] == "default"
    assert values["node_exporter_port"] == 9100
    assert values["accelmon_exporters"] == "auto"


def test_literals_are_not_evaluated():
    hostvars = HostVars({"h": {"accelmon_labels": {"a": "b"}, "accelmon_rack": "r1", "accelmon_expected": {"nvidia": 8}}})
    values, _errors = reader().read_all(fleet.HostVariables(hostvars, "h"))
    assert values["accelmon_labels"] == {"a": "b"}
    assert hostvars.evaluations == 0


@pytest.mark.parametrize("written", ["{{ x }}", "{% if x %}a{% endif %}", "a{# x #}", "#jinja2: trim_blocks: False", {"a": ["{{ x }}"]}, object()])
def test_anything_else_is_evaluated(written):
    hostvars = HostVars({"h": {"accelmon_rack": written}}, {"accelmon_rack": "r7"})
    values, errors = reader().read_all(fleet.HostVariables(hostvars, "h"))
    assert (values["accelmon_rack"], errors) == ("r7", [])
    assert hostvars.evaluations == 1


def test_evaluated_value_is_not_taken_for_another_host():
    """Two hosts share the written template, not what it means."""
    shared = "{{ x }}"
    one = reader()
    first, _errors = one.read_all(host({"accelmon_rack": shared}, accelmon_rack="r1"))
    second, _errors = one.read_all(host({"accelmon_rack": shared}, accelmon_rack="r2"))
    assert (first["accelmon_rack"], second["accelmon_rack"]) == ("r1", "r2")


def test_bad_value_has_its_default_and_an_error():
    values, errors = reader().read_all(host({"node_exporter_port": 99999, "accelmon_state": "off"}))
    assert values["node_exporter_port"] == 9100
    assert [str(error) for error in errors] == [
        "accelmon_state = off: not a choice; use active or maintenance", "node_exporter_port = 99999: not a port; use 1 to 65535"]


@pytest.mark.parametrize("value", [Undefined(name="x"), {"a": Undefined(name="x")}, ["y", Undefined(name="x")]])
def test_undefined_is_named(value):
    _values, errors = reader().read_all(host({"accelmon_labels": "{{ x }}"}, accelmon_labels=value))
    assert str(errors[0]).startswith("accelmon_labels = (a template): cannot be evaluated (")


def test_failing_template_is_one_line():
    _values, errors = reader().read_all(fleet.HostVariables(Failing({"h": {"accelmon_rack": "{{ x }}"}}), "h"))
    assert str(errors[0]) == "accelmon_rack = (a template): cannot be evaluated (no); correct the template"


def test_long_values_are_cut_and_secret_ones_hidden():
    assert len(str(Problem("wrong; fix", "accelmon_rack", "x" * 500))) < 120
    assert str(Problem("wrong; fix", "accelmon_monkey", "hunter2")) == "accelmon_monkey = hunter2: wrong; fix"
    for name in ("accelmon_password", "accelmon_pasword", "accelmon_api_token", "grafana_secret", "accelmon_key_file", "accelmon_tls_key"):
        assert str(Problem("wrong; fix", name, "hunter2")) == f"{name} = (not shown): wrong; fix"


def test_error_holds_no_template():
    assert "{{" not in str(Problem("wrong; fix", "a", "{{ x }}"))


@pytest.mark.parametrize("variables,expected", [
    ({}, "h"),
    ({"ansible_host": "10.0.0.7"}, "10.0.0.7"),
    ({"ansible_host": "[2001:db8::7]"}, "2001:db8::7"),
    ({"ansible_host": "127.0.0.1"}, "h"),
    ({"ansible_host": "127.8.9.1"}, "h"),
    ({"ansible_host": "::1"}, "h"),
    ({"ansible_host": "localhost"}, "h"),
    ({"ansible_host": ""}, "h"),
    ({"ansible_host": "127.example.com"}, "127.example.com"),
])
def test_address(variables, expected):
    assert fleet.host_address("h", host(variables), "") == expected
    assert fleet.host_address("h", host(variables), "10.9.9.9") == "10.9.9.9"


@pytest.mark.parametrize("address,own,expected", [
    ("10.0.0.7", ["10.0.0.7"], True), ("10.0.0.7", ["10.0.0.8"], False), ("10.0.0.7", [], False),
    ("2001:db8::7", ["2001:0db8:0:0::7"], True), ("2001:DB8::7", ["10.0.0.7", "2001:db8::7"], True),
    ("gpu7", ["gpu7"], False), ("gpu7", [], False),
])
def test_is_own(address, own, expected):
    assert addresses.is_own(address, own) is expected


def test_facts():
    assert fleet.facts_of(host({})) is None
    assert fleet.facts_of(host({"ansible_facts": {"accelmon_node": {}}})) is None
    assert fleet.facts_of(host({"ansible_facts": {"accelerators": {}}})) == {
        "summary": {}, "devices": [], "uncounted": [], "addresses": [], "access": False, "distribution": None, "exporters": [], "node": {}}


@pytest.mark.parametrize("name,variables,text", [
    ("h", {"ansible_host": "10.0.0.7:22"}, "ansible_host = 10.0.0.7:22: it contains a port or a scheme; "),
    ("h", {"ansible_host": "{{ x }}"}, "ansible_host = (a template): cannot be evaluated (no); "),
    ("gpu 7", {}, "inventory_hostname = gpu 7: neither a host name nor an IP address; "),
])
def test_bad_address(name, variables, text):
    with pytest.raises(Problem) as error:
        fleet.host_address(name, fleet.HostVariables({name: {}} if name != "h" else Failing({"h": variables}), name), "")
    assert str(error.value).startswith(text)
    assert str(error.value).endswith(", or set accelmon_address")


class Encrypted:
    """As core 2.18 has an encrypted value: no text, but one that gives it when asked."""
    __ENCRYPTED__ = True

    def __init__(self, text):
        self.text = text

    def __str__(self):
        if self.text is None:
            raise ValueError("Attempting to decrypt but no vault secrets found")
        return self.text


@pytest.mark.parametrize("name,encrypted,value", [
    ("accelmon_rack", Encrypted("r7"), "r7"), ("accelmon_labels", {"team": Encrypted("vision")}, {"team": "vision"}),
    ("accelmon_stack_password", Encrypted("of-the-vault"), "of-the-vault"),
    ("alertmanager_webhook_urls", [Encrypted("https://a.example/")], ["https://a.example/"]),
])
def test_what_is_decrypted_late_is_the_text_that_it_holds(name, encrypted, value):
    assert fleet.setting({"inventory_hostname": "h", name: encrypted}, name) == value
    assert formats.read(name, encrypted) == value
    with pytest.raises(Problem, match="the vault password is missing or wrong"):
        fleet.setting({"inventory_hostname": "h", name: Encrypted(None)}, name)


def test_a_marker_of_what_cannot_be_decrypted_asks_for_the_vault_password():
    """Core 2.19 gives one instead of the value."""
    marker = Undefined("A vault exception marker was tripped.")
    with pytest.raises(Problem, match="the vault password is missing or wrong"):
        fleet.setting({"inventory_hostname": "h", "accelmon_rack": marker}, "accelmon_rack")


@pytest.mark.parametrize("words", ["Attempting to decrypt but no vault secrets found", "Decryption failed (no vault secrets were found that could decrypt)"])
def test_a_value_that_cannot_be_decrypted_asks_for_the_vault_password(words):
    class Sealed(HostVars):
        """Vaulted values are no text before they are decrypted."""

        def __getitem__(self, host):
            raise ValueError(words)
    found = fleet.HostVariables(Sealed({"h": {"accelmon_rack": object()}}), "h")
    with pytest.raises(Problem) as error:
        fleet.fetch(found, "accelmon_rack")
    assert str(error.value) == "it is encrypted and the vault password is missing or wrong; run with --ask-vault-pass or --vault-password-file"


@pytest.mark.parametrize("words", ["'vault_slack_url' is undefined", "The lookup plugin 'community.hashi_vault.hashi_vault' failed: permission denied"])
def test_what_has_vault_in_its_name_alone_is_not_called_encrypted(words):
    class Failed(HostVars):
        """As `hostvars` raises for a template that fails."""

        def __getitem__(self, host):
            raise ValueError(words)
    for found in (fleet.HostVariables(Failed({"h": {"accelmon_rack": "{{ a }}"}}), "h"), host({"accelmon_rack": "{{ a }}"}, accelmon_rack=Undefined(words))):
        with pytest.raises(Problem) as error:
            found.evaluated("accelmon_rack")
        assert str(error.value).startswith(f"cannot be evaluated ({words}); ")


@pytest.mark.parametrize("name,raw", [
    ("alertmanager_receivers", [{"name": "ops", "type": "slack", "api_url": "{{ vault_slack_url }}"}]),
    ("alertmanager_watchdog_urls", ["https://heartbeat.example.org/{{ vault_slack_url }}"]), ("accelmon_stack_password", "{{ vault_slack_url }}")])
def test_a_secret_that_nobody_defined_is_named(name, raw):
    class Failed(HostVars):
        def __getitem__(self, host):
            raise ValueError("'vault_slack_url' is undefined. String: S3cret")
    for found in (fleet.HostVariables(Failed({"h": {name: raw}}), "h"), host({name: raw}, **{name: Undefined("'vault_slack_url' is undefined")})):
        with pytest.raises(Problem) as error:
            fleet.Reader({name: variables.declared(name)}).read(found, name)
        assert str(error.value) == (
            f"{name} = (not shown): cannot be evaluated ('vault_slack_url' is undefined); define what the template uses, or correct it")


def test_a_password_that_looks_like_a_template_is_not_taken_for_a_name():
    found = host({"accelmon_stack_password": "a{{S3cret}}b"}, accelmon_stack_password=Undefined("'S3cret' is undefined"))
    with pytest.raises(Problem, match="cannot be evaluated; correct") as error:
        fleet.Reader({"accelmon_stack_password": variables.declared("accelmon_stack_password")}).read(found, "accelmon_stack_password")
    assert "S3cret" not in str(error.value)
