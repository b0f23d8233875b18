"""Every difference from the common sandbox has a reason. Stubbed: nothing; the roles' own declarations are read."""

import pathlib

import pytest
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import SANDBOX

ROOT = pathlib.Path(__file__).resolve().parents[4]


def declared():
    """{role: its [Service] section} of all roles that declare a unit."""
    found = {}
    for path in sorted(ROOT.glob("roles/*/vars/main.yml")):
        values = yaml_load(path.read_text()) or {}
        for name in (path.parts[-3], path.parts[-3] + "_agent", path.parts[-3] + "_test", path.parts[-3] + "_silences"):
            if values.get(f"{name}_unit"):
                found[name] = values[f"{name}_unit"]["Service"]
    return found


def test_there_is_something_to_check():
    assert {"node_exporter", "textfile_collector", "vmagent"} <= declared().keys()


@pytest.mark.parametrize("role", declared())
def test_what_differs_from_the_sandbox_has_a_reason(role):
    differs = {name for name, value in declared()[role].items() if name in SANDBOX and value != SANDBOX[name]}
    assert differs == set(load("hardening")["services"][role]["exceptions"])


@pytest.mark.parametrize("role", sorted(declared().keys() - {"all_smi"}))
def test_devices_are_named(role):
    """All but those of all-smi: it reads vendors whose numbers nobody knows beforehand."""
    section = declared()[role]
    assert not section.get("DeviceAllow") or section["PrivateDevices"] is False
    assert section.get("DevicePolicy", "closed") == "closed"


def test_reasons_are_reasons():
    hardening = load("hardening")
    for why in [*hardening["left"].values(), *(why for service in hardening["services"].values() for why in service["exceptions"].values())]:
        assert len(why) > 20 and why.endswith(".")
