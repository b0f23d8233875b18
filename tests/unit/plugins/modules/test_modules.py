# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the names of modules promise. Nothing is stubbed; the modules' documentation is read, nothing is run."""
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
MODULES = {path.stem: path.read_text() for path in sorted((ROOT / "plugins" / "modules").glob("*.py"))}
NEVER_RENAMED = {"alert_rule_info", "fleet_drain_rehearsal_info", "fleet_job_info", "fleet_rehearsal_info", "fleet_report_info", "node_hardware_info",
                 "node_topology_info", "fleet_upgrade_info", "packages_lacking_info"}
# Those that users may call, and whose options stay.
PUBLIC = {"accelerator_facts", "bundle_entry", "fleet_compare_info", "fleet_drain_rehearsal_info", "fleet_registry", "fleet_rehearsal_info",
          "fleet_status_info", "fleet_verify_info", "release_lock"}


def documentation(name):
    return yaml.safe_load(re.search(r'DOCUMENTATION = r?("""|\'\'\')\n(.*?)\1', MODULES[name], re.DOTALL).group(2))


@pytest.mark.parametrize("name", MODULES)
def test_an_internal_module_says_that_it_is(name):
    assert documentation(name)["description"][0].startswith("Internal to the collection") == (name not in PUBLIC)


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith("_info")])
def test_an_info_module_returns_no_facts_and_changes_nothing(name):
    assert "ansible_facts" not in MODULES[name] and not re.search(r"changed[\"']?\s*[:=]\s*True", MODULES[name])
    assert "supports_check_mode=True" in MODULES[name]


def test_a_renamed_module_is_found_under_its_old_name():
    routes = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["plugin_routing"]["modules"]
    assert {old: route["redirect"] for old, route in routes.items()} == {
        name[:-len("_info")]: f"accelmon.fleet.{name}" for name in MODULES if name.endswith("_info") and name not in NEVER_RENAMED}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_since_when_it_is_there_and_which_python_it_needs(name):
    told = documentation(name)
    assert told["version_added"] and told["requirements"] == ["Python 3.6 or newer"]
