# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of the inventory for what a Slurm controller calls its nodes. Nothing is stubbed."""
import json

import pytest

from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import slurm_names

HOSTVARS = {host: {"inventory_hostname": host, "accelmon_cluster": cluster} for host, cluster in (
    ("ctl", "a"), ("gpu1.a.example.org", "a"), ("gpu1.b.example.org", "b"), ("gpu2.a.example.org", "a"), ("gpu3", "a"), ("gpu3.x", "a"),
    ("gpu4.x", "a"), ("gpu4.y", "a"), ("10.0.0.1", "a"), ("fd00::1", "a"), ("web.example.org", "a"))}


@pytest.mark.parametrize("hosts, found", [
    (["gpu1", "gpu2"], {}), (["gpu2.a.example.org"], {"gpu2": "gpu2.a.example.org"}),
    (["gpu1.a.example.org", "gpu1.b.example.org"], {"gpu1": "gpu1.a.example.org"}), (["gpu3", "gpu3.x"], {}), (["gpu4.x", "gpu4.y"], {}),
    (["10.0.0.1", "fd00::1"], {}), (["gpu1.b.example.org"], {"gpu1": "gpu1.b.example.org"}),
])
def test_slurm_knows_a_host_by_the_first_part_of_its_name(hosts, found):
    groups = {"accelerator_nodes": hosts, "monitoring": ["ctl"], "others": ["web.example.org"]}
    assert json.loads(slurm_names(groups, HOSTVARS, "ctl")) == found
