"""What somebody changes without the inventory, on two monitoring hosts: it outlives site.yml, and a host that lost it gets it back."""

import json

import pytest

CHANGE = "playbooks/change_alert.yml"
FILE = "/var/lib/accelmon/choices/choices.json"
ALERT = "StorageFilling"


def loaded(fleet, host):
    """The times that the rules of the alert wait for, as the rule file of a host has them."""
    text = fleet.shell(host, f"grep -A60 'alert: {ALERT}$' /etc/accelmon/rules/accelmon-alerts.yml")
    return next(line.split()[1] for line in text.splitlines() if line.strip().startswith("for:"))


@pytest.fixture(scope="module")
def changed(fleet):
    """What the playbook printed. Afterwards nothing is changed any more."""
    yield fleet.play(CHANGE, "-e", f"accelmon_change_alert={ALERT}", "-e", "accelmon_change_for=17m", "-e", "accelmon_change_until=1h",
                     "-e", "accelmon_change_reason=test").output
    fleet.play(CHANGE, "-e", f"accelmon_change_alert={ALERT}", "-e", "accelmon_change_state=inventory")


def test_it_is_loaded_on_every_monitoring_host_with_its_end(changed):
    # One rule until it ends, one from then on.
    assert changed.count(f"loaded: {ALERT}: for 1020 s") == changed.count(f"loaded: {ALERT}: for 3600 s") == 2, changed
    assert "vector(time()) <" in changed and "vector(time()) >=" in changed


def test_it_outlives_the_next_run(fleet, changed):
    assert changed
    fleet.site("--limit", "monitoring")
    assert [loaded(fleet, host) for host in fleet.monitors] == ["17m", "17m"]
    fleet.well()


def test_a_host_that_lost_it_gets_it_back(fleet, changed):
    assert changed
    fleet.shell(fleet.monitors[0], f"rm {FILE}")
    fleet.site("--limit", "monitoring")
    found = [json.loads(fleet.shell(host, f"cat {FILE}")) for host in fleet.monitors]
    assert found[0] == found[1] and found[0]["alerts"][ALERT]["change"] == {"for": "17m"}
    assert [loaded(fleet, host) for host in fleet.monitors] == ["17m", "17m"]
