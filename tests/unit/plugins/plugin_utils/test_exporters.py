"""What exporters have in common, and the filters for it. Nothing is stubbed."""

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.access import exporter_access
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.services import seconds

REQUIRED = {"scheme": "https", "ca_file": "/etc/accelmon/tls/ca.crt", "client_certificate": "required"}


def test_an_open_exporter_needs_nothing():
    assert exporter_access("none", path="/own") == {"arguments": [], "unit": {}, "probe": {"path": "/own"}, "needs": []}


@pytest.mark.parametrize("settings,probe", [
    (("managed",), {"status": [200], **REQUIRED}),
    (("managed", "basic", False), {"status": [401], **REQUIRED}),
    (("files", "none", "yes"), {"status": [200], **REQUIRED}),
    (("files", "none", "no"), {"status": [200], **REQUIRED, "client_certificate": "none"}),
    (("files", "basic", False), {"status": [401], **REQUIRED, "client_certificate": "none"}),
    (("none", "basic"), {"status": [401]}),
])
def test_a_closed_exporter_has_one_file_and_a_probe_that_expects_to_be_refused(settings, probe):
    made = exporter_access(*settings)
    assert made["arguments"] == ["--web.config.file=/etc/accelmon/web/exporter.yml"]
    assert made["unit"]["Service"]["SupplementaryGroups"] == "accelmon"
    assert made["probe"] == {"path": "/metrics", **probe}


def test_every_switch_changes_the_unit():
    """The listener is made when the process starts, so the generation has to follow."""
    units = [str(exporter_access(tls, auth)["unit"]) for tls in ("none", "managed", "files") for auth in ("none", "basic")]
    assert len(set(units)) == len(units)


def test_wrong_settings_are_named():
    with pytest.raises(AnsibleFilterError, match="accelmon_exporter_tls = on: not a choice; use none or managed or files"):
        exporter_access("on")
    with pytest.raises(AnsibleFilterError, match="accelmon_exporter_auth = True: not a choice"):
        exporter_access("none", True)


@pytest.mark.parametrize("text,number", [("15s", 15), ("1m30s", 90), ("500ms", 1), ("1500ms", 2), ("5s", 5), ("0s", 1)])
def test_seconds(text, number):
    assert seconds(text) == number


def test_seconds_of_something_else():
    with pytest.raises(AnsibleFilterError, match="seconds: '15': not a duration; use"):
        seconds("15")
