# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which role each host gets from playbooks/parts/exporters.yml, as Ansible lists it. Stubbed: the plan's groups; nothing is run."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPORTERS = ("node_exporter", "textfile_collector", "all_smi", "dcgm_exporter", "amd_exporter")
PLAY = re.compile(r"play #\d+ \((.*?)\): (.*?)\tTAGS: .*?\n(.*?)(?=\n\n|\Z)", re.DOTALL)

# A task is listed with the role that it is in. Here it is with those that import that role before it, too.
LIST = """
import sys
from ansible.cli.playbook import main
from ansible.playbook.task import Task
own = Task.get_name
Task.get_name = lambda task, *args, **more: "".join(f"{role.get_name()} : " for role in task.get_dep_chain() or ()) + own(task, *args, **more)
sys.exit(main(["ansible-playbook", *sys.argv[1:]]))
"""


def listed(folder, playbook, groups):
    """[(name of the play, its hosts, roles whose tasks it has)] of the plays that have hosts."""
    (folder / "hosts.ini").write_text("".join(f"[accelmon_on_{group}]\n{host}\n" for group, host in groups.items()))
    done = subprocess.run(
        [sys.executable, "-c", LIST, "-i", "hosts.ini", "--list-tasks", "--list-hosts", str(ROOT / playbook)], cwd=str(folder),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=600, check=False,
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1"))
    assert done.returncode == 0, done.stdout
    return [(name, re.findall(r"^      (\w+)$", body, re.MULTILINE), set(re.findall(r"accelmon\.fleet\.(\w+) : ", body)))
            for pattern, name, body in PLAY.findall(done.stdout) if pattern != "all:!all"]


@pytest.mark.parametrize("playbook", ["playbooks/parts/exporters.yml", "playbooks/image.yml"])
def test_each_exporter_is_installed_by_its_role(tmp_path, playbook):
    found = listed(tmp_path, playbook, {role: f"host_{role}" for role in EXPORTERS})
    assert [play for play in found if play[2]] == [(f"Install {role}", [f"host_{role}"], {role, "service"}) for role in EXPORTERS]


def test_what_the_site_runs_is_checked_and_what_nobody_needs_goes(tmp_path):
    adopted = ("node_exporter", "all_smi", "dcgm_exporter", "amd_exporter")
    groups = dict({f"{role}_adopted": f"site_{role}" for role in adopted}, **{f"{role}_retired": f"old_{role}" for role in EXPORTERS[1:]})
    assert listed(tmp_path, "playbooks/parts/exporters.yml", groups) == [
        (f"Adopt the site's {role}", [f"site_{role}"], {"service"}) for role in adopted] + [
        (f"Retire {role}", [f"old_{role}"], {role, "service"}) for role in EXPORTERS[1:]]


COUNTED = ("Count errors in the kernel log", ["gpu"], {"textfile_collector", "service"})


@pytest.mark.parametrize("playbook", ["playbooks/parts/exporters.yml", "playbooks/image.yml"])
def test_the_kernel_log_is_read_by_a_collector_without_devices(tmp_path, playbook):
    assert [play for play in listed(tmp_path, playbook, {"kernel_log": "gpu"}) if play[2]] == [COUNTED]


def test_the_kernel_log_is_read_after_the_collector_was_retired_where_it_read_devices(tmp_path):
    assert listed(tmp_path, "playbooks/parts/exporters.yml", {"kernel_log": "gpu", "textfile_collector_retired": "gpu"}) == [
        ("Retire textfile_collector", ["gpu"], {"textfile_collector", "service"}), COUNTED]


def test_a_slurm_controller_gets_its_collector_and_loses_it(tmp_path):
    assert listed(tmp_path, "playbooks/parts/exporters.yml", {"slurm_collector": "new", "slurm_collector_retired": "old"}) == [
        ("Install slurm_collector", ["new"], {"slurm_collector", "service"}), ("Retire slurm_collector", ["old"], {"slurm_collector", "service"})]


def test_a_slurm_controller_gets_what_drains_nodes_and_loses_it(tmp_path):
    assert listed(tmp_path, "playbooks/parts/exporters.yml", {"slurm_drain": "new", "slurm_drain_retired": "old"}) == [
        ("Install slurm_drain", ["new"], {"slurm_drain", "service"}), ("Retire slurm_drain", ["old"], {"slurm_drain", "service"})]


@pytest.mark.parametrize("playbook", ["playbooks/parts/exporters.yml", "playbooks/image.yml"])
def test_nodes_of_slurm_get_hooks(tmp_path, playbook):
    assert [play for play in listed(tmp_path, playbook, {"slurm_hooks": "gpu"}) if play[2]] == [
        ("Install slurm_hooks", ["gpu"], {"slurm_hooks", "service"})]


def test_links_are_recorded_after_everything_else(tmp_path):
    """Who reads them is there by then, and what was taken away is gone."""
    found = listed(tmp_path, "playbooks/parts/exporters.yml", {"links": "gpu", "kernel_log": "gpu", "election": "gpu"})
    assert [name for name, dummy, dummy in found] == ["Put the new source in charge", "Count errors in the kernel log", "Record what is left", "Record links"]


def test_macos_has_its_own_way(tmp_path):
    assert listed(tmp_path, "playbooks/parts/exporters.yml", {"all_smi_macos": "mac"}) == [("Install all_smi on macOS", ["mac"], {"all_smi"})]
