# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the role service installs a distribution's packages, read from its tasks: none is run."""
import pathlib

import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import choice
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import packages

TASKS = yaml.safe_load((pathlib.Path(__file__).resolve().parents[4] / "roles/service/tasks/package.yml").read_text())


def test_an_older_version_that_is_wanted_comes_with_every_tool():
    """dnf 4.14 was seen to keep the newer one otherwise, and to say that nothing had to be done."""
    named = {module: task[module] for task in TASKS for module in ("ansible.builtin.apt", "ansible.builtin.dnf") if "name" in task.get(module, {})}
    assert set(named) == {"ansible.builtin.apt", "ansible.builtin.dnf"}
    assert {one["allow_downgrade"] for one in named.values()} == {"{{ service_claim.package != 'absent' and service_install.names is defined }}"}


def test_each_distribution_has_one_tool():
    """Where a version of a package can be asked for, it is apt or dnf; that of SLES, whose module is not in ansible-core, cannot be told to go back."""
    assert not set(packages.APT) & set(packages.DNF)
    assert set(choice.DCGM_PACKAGES) - set(packages.APT) - set(packages.DNF) == {"sles"}
    conditions = [[one for one in task["when"] if "distribution" in one] for task in TASKS if "name" in next(iter(
        value for key, value in task.items() if key.startswith("ansible.builtin.")), {})]
    assert conditions == [["ansible_facts.accelmon_node.distribution in accelmon_apt"], ["ansible_facts.accelmon_node.distribution in accelmon_dnf"],
                          ["ansible_facts.accelmon_node.distribution not in accelmon_apt + accelmon_dnf"]]
