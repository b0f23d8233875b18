# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit of what publishes silences, by ansible-playbook itself, on one monitoring host and on two.

Stubbed: the path of the host's Python. The variables of the role are real; none of its tasks runs."""
import pytest
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

READ = {"unit": "alertmanager_silences_unit | accelmon.fleet._systemd_unit(daemon=false)",
        "timer": "alertmanager_silences_timer | accelmon.fleet._systemd_unit(daemon=false)", "published": "alertmanager_silences_published"}
PROGRAM = "/python -IS /opt/accelmon/alertmanager_silences/accelmon-alertmanager-silences"


@pytest.fixture(name="found", scope="module")
def _found(tmp_path_factory):
    """{host: {name of READ: value}}; `alone` is the only monitoring host of its inventory."""
    found = {}
    for hosts in ({"alone": {"accelmon_textfile_directory": "/srv/text", "alertmanager_port": 9193, "alertmanager_source": "container",
                             "alertmanager_image": "r/a@sha256:" + "0" * 64}},
                  {"mon1": {"accelmon_address": "10.0.0.1"}, "mon2": {"accelmon_address": "10.0.0.2"}}):
        found.update(rendered(tmp_path_factory.mktemp("rendered"), ["alertmanager"], READ, hosts, play={"service_python": "/python"}))
    return found


@pytest.mark.parametrize("host, url, folder", [
    ("alone", "http://127.0.0.1:9193", "/srv/text"), ("mon1", "https://127.0.0.1:9093", "/var/lib/accelmon/textfile"),
    ("mon2", "https://127.0.0.1:9093", "/var/lib/accelmon/textfile")])
def test_it_asks_the_alertmanager_of_its_host_wherever_that_runs(found, host, url, folder):
    found = found[host]
    lines = found["unit"].splitlines()
    output = "--output=/var/lib/accelmon/alertmanager_silences/accelmon_alertmanager_silences.prom"
    assert (f"ExecStart={PROGRAM} {output} --url={url} --node={host} --password-file=/etc/accelmon/secrets/stack_password "
            "--ca-file=/etc/accelmon/tls/ca.crt") in lines
    assert f"ExecStartPost=+{PROGRAM} {output} --publish={folder}" in lines
    assert found["published"] == f"{folder}/accelmon_alertmanager_silences.prom"
    # FleetRegistryOld takes files of this name for those of the registry.
    assert "accelmon_fleet_" not in found["published"]
    assert {"User=accelmon-alertmanager-silences", "SupplementaryGroups=accelmon", "ProtectSystem=strict", "CapabilityBoundingSet="} <= set(lines)
    assert "OnUnitActiveSec=30" in found["timer"].splitlines() and "WantedBy=timers.target" in found["timer"].splitlines()
