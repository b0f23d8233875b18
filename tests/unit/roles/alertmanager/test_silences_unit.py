# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit of what publishes silences, by ansible-playbook itself, on one monitoring host and on two.

Stubbed: the path of the host's Python. The variables of the role are real; none of its tasks runs."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROLES = ("accelmon", "alertmanager")
READ = {"unit": "alertmanager_silences_unit | accelmon.fleet._systemd_unit(daemon=false)",
        "timer": "alertmanager_silences_timer | accelmon.fleet._systemd_unit(daemon=false)", "published": "alertmanager_silences_published"}
PROGRAM = "/python -IS /opt/accelmon/alertmanager_silences/accelmon-alertmanager-silences"


@pytest.fixture(name="rendered", scope="module")
def _rendered(tmp_path_factory):
    """{host: {name of READ: value}}; `alone` is the only monitoring host of its inventory."""
    found = {}
    for hosts in ({"alone": {"accelmon_textfile_directory": "/srv/text", "alertmanager_port": 9193, "alertmanager_source": "container",
                             "alertmanager_image": "r/a@sha256:" + "0" * 64}},
                  {"mon1": {"accelmon_address": "10.0.0.1"}, "mon2": {"accelmon_address": "10.0.0.2"}}):
        folder = tmp_path_factory.mktemp("rendered")
        content = "{{ {" + ", ".join(f"'{name}': {expression}" for name, expression in READ.items()) + "} | to_json }}"
        play = {"hosts": "monitoring", "gather_facts": False, "vars": {"service_python": "/python"},
                "vars_files": [str(ROOT / "roles" / role / "vars/main.yml") for role in ROLES],
                "tasks": [{"ansible.builtin.copy": {"dest": str(folder) + "/{{ inventory_hostname }}.json", "mode": "0600", "content": content}}]}
        defaults = {}
        for role in ROLES:
            defaults.update(yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text()))
        (folder / "play.yml").write_text(json.dumps([play]))
        (folder / "inventory.json").write_text(json.dumps({"all": {
            "vars": dict(defaults, ansible_connection="local", ansible_python_interpreter=sys.executable), "children": {"monitoring": {"hosts": hosts}}}}))
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "play.yml"], cwd=str(folder), check=False, timeout=600,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1"))
        assert done.returncode == 0, done.stdout
        found.update({host: json.loads((folder / f"{host}.json").read_text()) for host in hosts})
    return found


@pytest.mark.parametrize("host, url, folder", [
    ("alone", "http://127.0.0.1:9193", "/srv/text"), ("mon1", "https://127.0.0.1:9093", "/var/lib/accelmon/textfile"),
    ("mon2", "https://127.0.0.1:9093", "/var/lib/accelmon/textfile")])
def test_it_asks_the_alertmanager_of_its_host_wherever_that_runs(rendered, host, url, folder):
    found = rendered[host]
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
