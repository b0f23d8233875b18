# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plain clone is usable from any folder, whatever the environment says and whoever may write to it. Nothing is stubbed."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="clone")
def a_clone(tmp_path):
    """A copy with what playbooks need; links stay links."""
    for name in ("playbooks", "plugins", "roles", "meta", "inventories", ".collections"):
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ansible.cfg", "galaxy.yml", "site.yml"):
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    os.symlink(os.readlink(ROOT / "collections"), tmp_path / "clone" / "collections")
    return tmp_path / "clone"


def run(command, *arguments, cwd, **environment):
    """What a command of Ansible writes and ends with, as a user who has no collection of ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")}
    env.update(ANSIBLE_HOME=str(cwd / "home"), ANSIBLE_NOCOLOR="1", **environment)
    return subprocess.run([sys.executable, "-m", "ansible", command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=600, check=False, cwd=str(cwd), env=env)


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/verify.yml"])
def test_from_another_folder(clone, tmp_path, playbook):
    done = run("playbook", "--syntax-check", "-i", clone / "inventories" / "example", clone / playbook, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_where_others_may_write(clone):
    clone.chmod(0o777)
    done = run("playbook", "--syntax-check", "-i", "inventories/example", "playbooks/site.yml", cwd=clone)
    assert "world writable" in done.stderr and done.returncode == 0, done.stderr


def test_inventory_plugins_with_an_environment_that_names_other_folders(clone):
    """As a sync of AWX does, whose ANSIBLE_COLLECTIONS_PATH wins over ansible.cfg."""
    done = run("inventory", "-i", "inventories/lists/slurm.scontrol.yml", "--list", cwd=clone, ANSIBLE_COLLECTIONS_PATH="/runner/requirements_collections")
    assert done.returncode == 0 and json.loads(done.stdout)["_meta"]["hostvars"], done.stderr
