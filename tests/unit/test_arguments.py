# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run is asked for is checked before anything is done. Nothing is stubbed; no host is reached."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import alerting, notified
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.variables import fleet_variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
INVENTORY = "[accelerator_nodes]\ngpu1 ansible_host=192.0.2.1\n[monitoring]\nmon1 ansible_host=192.0.2.9\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
def test_every_playbook_begins_with_a_check(name):
    first = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())[0]
    assert first.get("ansible.builtin.import_playbook") == "parts/check.yml" or first["tasks"][0]["name"] == "Check what was asked for"


@pytest.mark.parametrize("playbook,argument,words", [
    ("verify", "accelmon_verify_wiat=60", "accelmon_verify_wiat = 60: no such variable; did you mean accelmon_verify_wait?"),
    ("status", "accelmon_output=yaml", "accelmon_output = yaml: not a choice; use text or json"),
    ("lock", "accelmon_output=json", "accelmon_lock_file = '': there is no file to write"),
    ("image", "accelmon_scrape_interval=1ms", "accelmon_scrape_interval = 1ms: out of range"),
    ("change_alert", "accelmon_change_for=soon", "accelmon_change_for = soon: not a duration"),
])
def test_a_wrong_argument_ends_the_run(tmp_path, playbook, argument, words):
    assert words in failed(tmp_path, playbook, argument, INVENTORY)


def failed(folder, playbook, arguments, inventory):
    """What a playbook prints with these arguments and this inventory, with which it fails."""
    (folder / "hosts.ini").write_text(inventory)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "hosts.ini"), str(ROOT / "playbooks" / f"{playbook}.yml"), "-e", arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False, cwd=str(folder),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1"))
    assert done.returncode, done.stdout
    return done.stdout


@pytest.mark.parametrize("playbook,arguments,settings,line", [
    ("bundle", "accelmon_bundle={tmp}/b", "", "accelmon_source = package: no host takes a program from a bundle; set it to bundle"),
    ("bundle", "accelmon_bundle={tmp}/b accelmon_source=bundle", "accelmon_backend=foo", "mon1: accelmon_backend = foo: not a choice; use "),
    ("bundle_verify", "accelmon_bundle={tmp}/b accelmon_bundle_public_key={tmp}/k", "", "accelmon_bundle = {tmp}/b: no lock.json there on the control node"),
    ("silence", "accelmon_silence=node=gpu9 accelmon_silence_comment=x", "", 'accelmon_silence = {"node": "gpu9"}: gpu9 is not in the inventory; did you'),
    ("routes", "accelmon_alert=HostDown", "alertmanager_receivers=1", "mon1: alertmanager_receivers = (not shown): "),
    ("rehearse_drain", "", "", "inventory: no host has accelmon_slurm_controller = true; set it for the Slurm controller"),
    ("kubernetes", "accelmon_kubernetes_directory={tmp}/k", "", "none of the hosts is a node of Kubernetes; take them from the inventory plugin"),
    ("status", "", "accelmon_scrape_interval=12q", "mon1: accelmon_scrape_interval = 12q: not a duration; use"),
    ("replay", "", "vmalert_storage_url=https://ada:secret@store.example:8428", "mon1: vmalert_storage_url = https://(not shown)@store.example:8428: its vmal"),
    ("update", "accelmon_auto_update=patch accelmon_lock_file={tmp}/hosts.ini", "", "accelmon_lock_file = {tmp}/hosts.ini: the lock file cannot be "),
])
def test_an_error_is_one_line_without_the_frame_of_a_template(tmp_path, playbook, arguments, settings, line):
    printed = failed(tmp_path, playbook, arguments.format(tmp=tmp_path), INVENTORY.rstrip() + f" {settings}\n")
    message = re.search(r'^fatal: .* => .*"msg": ("(?:[^"\\]|\\.)*")', printed, re.MULTILINE)
    assert message and json.loads(message.group(1)).startswith(line.replace("{tmp}", str(tmp_path))), printed


# Filters that raise errors, in playbooks that begin without the check of all variables. `_setting` reads arguments of the run, which are checked, and
# what is named in accelmon_settings_read; `_stack_urls` reads over what is wrong; `_findings`, `_releases_wanted` get what is checked.
CHECKED = {"_setting", "_awx_objects", "_stack_urls", "_findings", "_releases_wanted", "_source_comparisons"}
# What reads settings of monitoring hosts itself.
READ = {"_rule_groups": {"accelmon_scrape_interval", "accelmon_backend", "accelmon_sites", *alerting.OPTIONS.values()},
        "_alert_inputs": {"accelmon_scrape_interval", "accelmon_alert_overrides", "accelmon_alert_presets"},
        "_rehearsed_rules": {"accelmon_scrape_interval", "accelmon_scrape_limits", *alerting.OPTIONS.values()},
        "_receivers": set(notified.SETTINGS),
        "_has_part": {"accelmon_backend", "victoriametrics_state", "prometheus_state"},
        "_not_replayed": {"accelmon_backend", "vmalert_state", "vmalert_storage_url", "accelmon_source", "vmalert_source"}}


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml") if "parts/check.yml" not in path.read_text()))
def test_no_playbook_fails_in_a_template(name):
    text = (ROOT / "playbooks" / f"{name}.yml").read_text()
    raising = {f"_{found}" for path in (ROOT / "plugins/plugin_utils/internal_filters").glob("*.py")
               for found in re.findall(r"^@as_filter\ndef (\w+)", path.read_text(), re.MULTILINE)}
    used = set(re.findall(r"accelmon\.fleet\.(_\w+)", text)) & raising - CHECKED
    assert used <= set(READ)
    needed = set(re.findall(r"hostvars\[(?!'localhost')\w+\] \| accelmon\.fleet\._setting\('(\w+)'\)", text)).union(*(READ[one] for one in used))
    named = [task.get("vars", {}).get("accelmon_settings_read", []) for play in yaml.safe_load(text) for task in play.get("tasks", [])]
    assert needed <= {one for names in named for one in names}


def test_arguments_stand_apart_in_the_docs():
    settings, _heading, arguments = (ROOT / "docs" / "variables.md").read_text().partition("## Arguments of one run")
    for name, spec in fleet_variables().items():
        assert bool(re.search(rf"^\| `{name}` ", arguments if spec.get("run") else settings, re.MULTILINE)), name
