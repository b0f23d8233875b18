# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The skeleton of docs/molecule.md, as a site uses it: from the installed collection alone, with Molecule and the containers of its lab. And the quick
start of README.md on these hosts.

Every file of the skeleton is used as it is. The accelerators are simulated; nothing is stubbed.
"""
import json
import os
import re
import shlex
import shutil
import sys

import pytest

import run
from test_new_user import commands


@pytest.fixture
def example(site, tmp_path):
    """The folder of the skeleton, its hosts removed afterwards; and how to call Molecule there."""
    if not shutil.which("podman"):
        pytest.skip("needs podman and its parts; tests/setup.sh --lab installs them")
    folder = tmp_path / "site"
    shutil.copytree(site.installed / "docs" / "molecule", folder)

    def molecule(*argv, **more):
        # The lab's images and key are where the other tests have them.
        return site.run("molecule", *argv, folder=folder, offline=False, XDG_CACHE_HOME=os.path.dirname(run.CACHE), **more)

    yield folder, molecule
    molecule("destroy")


@pytest.mark.costly
def test_the_variables_of_a_site_are_tested_on_simulated_hosts(example):
    folder, molecule = example
    given = folder / "inventory" / "group_vars" / "room1.yml"
    right = given.read_text()
    given.write_text(right.replace("accelmon_rack", "accelmon_rak"))
    said = molecule("converge", fails=True)
    assert "gpu001: accelmon_rak = room1: no such variable; did you mean accelmon_rack?" in said, said
    given.write_text(right)
    said = molecule("test")
    for step in ("converge", "idempotence", "verify"):
        assert re.search(rf"{step}\] (\S*m)?Executed: Successful", said), said
    assert "12 of 12 accelerators fresh" in said, said


@pytest.mark.costly
def test_the_quick_start_of_the_readme_ends_well(example, site):
    """Its commands, word for word; its inventory with fewer nodes, the way to them, and the only source that reads simulated devices."""
    folder, molecule = example
    molecule("create")
    told = site.run(sys.executable, str(site.installed / "lab" / "lab.py"), "inventory", "--name", "site-default", folder=folder, offline=False,
                    XDG_CACHE_HOME=os.path.dirname(run.CACHE))
    lab = json.loads(told)["all"]
    lines = []
    for group in ("accelerator_nodes", "monitoring"):
        lines.append(f"[{group}]")
        for name in lab["children"][group]["hosts"]:
            lines.append(" ".join([name, *(f"{variable}={shlex.quote(str(value))}" for variable, value in lab["hosts"][name].items())]))
    (folder / "inventory.ini").write_text("\n".join([*lines, "[all:vars]", "accelmon_accelerator_source=textfile", ""]))
    calls = [argv for argv in commands(site.installed / "README.md") if argv[:3] == ["ansible-playbook", "-i", "inventory.ini"]]
    assert [argv[3] for argv in calls] == [f"accelmon.fleet.{name}" for name in ("preflight", "site", "verify", "status")]
    said = {argv[3]: site.run(*argv, folder=folder, offline=False) for argv in calls}
    assert "3 of 3 hosts ready" in said["accelmon.fleet.preflight"], said["accelmon.fleet.preflight"]
    assert "12 of 12 accelerators fresh" in said["accelmon.fleet.verify"], said["accelmon.fleet.verify"]
