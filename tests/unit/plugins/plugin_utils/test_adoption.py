# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an exporter of the site must prove. Stubbed: a host's entry in `hostvars` is a dictionary."""
import pytest
from ansible_collections.accelmon.fleet.plugins.modules.adopted_exporter import argument_spec
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.adoption import adoption


def host(accelerators=0, **given):
    """A node with so many GPUs of NVIDIA, which no tool of ours has read yet."""
    summary = {"nvidia": {"count": accelerators, "models": {"H100": accelerators}, "states": {"ready": accelerators}}} if accelerators else {}
    facts = {"accelerators": {"devices": [], "summary": summary}, "accelmon_node": {"addresses": ["192.0.2.7"], "distribution": "debian"}}
    return dict({"inventory_hostname": "gpu7", "group_names": ["accelerator_nodes"], "ansible_facts": facts}, **given)


def test_a_node_exporter_must_show_our_files_and_leave_the_accelerators_to_our_collector():
    found = adoption(host(1, node_exporter_managed="adopt", accelmon_textfile_directory="/srv/text", accelmon_accelerator_source="textfile",
                          node_exporter_port="9200", node_exporter_metrics_path="/node/metrics"), "node_exporter")
    assert found == {"name": "node_exporter", "state": "present", "port": 9200, "path": "/node/metrics", "address": "127.0.0.1",
                     "directory": "/srv/text", "collector": True, "series": []}
    assert adoption(host(node_exporter_managed="adopt"), "node_exporter")["collector"] is False


@pytest.mark.parametrize("role,count,series", [
    ("dcgm_exporter", 1, "DCGM_FI_DEV_FB_TOTAL|DCGM_FI_DEV_FB_FREE"), ("dcgm_exporter", 0, "DCGM_FI_DEV_FB_USED"), ("amd_exporter", 0, "gpu_total_vram"),
    ("all_smi", 1, "all_smi_gpu_memory_used_bytes"), ("all_smi", 0, "all_smi_cpu_core_count"),
])
def test_an_exporter_of_accelerators_must_have_what_the_rules_read(role, count, series):
    found = adoption(host(count, **{f"{role}_managed": "adopt", "accelmon_exporters": [role]}), role)
    assert series in found["series"] and found["name"] == role
    assert ("all_smi_cpu_core_count" in found["series"]) == (series == "all_smi_cpu_core_count")


@pytest.mark.parametrize("given,address", [({}, "127.0.0.1"), ({"ansible_host": "192.0.2.7"}, "192.0.2.7"), ({"all_smi_listen": "192.0.2.8"}, "192.0.2.8")])
def test_it_is_asked_where_ours_would_listen(given, address):
    assert adoption(host(all_smi_managed="adopt", **given), "all_smi")["address"] == address


def test_the_module_takes_every_option():
    assert set(adoption(host(), "all_smi")) | {"timeout"} == set(argument_spec())


def test_a_wrong_value_names_the_host():
    with pytest.raises(Problem, match="^gpu7: all_smi_port = 70000: not a port"):
        adoption(host(all_smi_port=70000), "all_smi")
