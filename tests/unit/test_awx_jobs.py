# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX makes them of the templates: ansible-runner, the collection as project, answers as text, and the variables that AWX adds.

Run to their end are those that contact no host; of all others the syntax is checked. The scenario
`access` runs site.yml, verify.yml and status.yml so on hosts. No AWX is run.
"""
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import load

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = load("awx")["templates"]
OF_AWX = {"awx_job_id": 7, "awx_job_launch_type": "manual", "awx_job_template_id": 9, "awx_job_template_name": "accelmon: explain", "awx_user_id": 1,
          "awx_user_name": "ada", "awx_user_email": "", "awx_project_revision": "0a1b2c", "awx_inventory_id": 3, "awx_inventory_name": "accelmon",
          "tower_job_id": 7, "tower_user_name": "ada"}
INVENTORY = "[accelerator_nodes]\ngpu1 ansible_host=192.0.2.1\n[monitoring]\nmon1 ansible_host=192.0.2.9\n"


@pytest.fixture(name="private")
def private_data_dir(tmp_path):
    """The folder that AWX gives to a job, with a clone of the collection as the project, and a home in which nobody can write, not even root."""
    project = tmp_path / "project"
    for name in ("playbooks", "plugins", "roles", "meta", ".collections"):
        shutil.copytree(ROOT / name, project / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ansible.cfg", "galaxy.yml"):
        shutil.copy(ROOT / name, project / name)
    for name in ("inventory", "env"):
        (tmp_path / name).mkdir()
    (tmp_path / "home").touch()
    (tmp_path / "inventory/hosts").write_text(INVENTORY)
    return tmp_path


def environment(private):
    """The environment of a job: nothing of the caller's but the programs."""
    return {"PATH": f"{pathlib.Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(private / "home"), "LANG": "C.UTF-8"}


def job(private, template, *arguments, **answers):
    """(exit status, what it has printed) of a job."""
    pytest.importorskip("ansible_runner")
    (private / "env/extravars").write_text(json.dumps({**OF_AWX, **answers}))
    done = subprocess.run([sys.executable, "-m", "ansible_runner", "run", str(private), "--playbook", f"playbooks/{TEMPLATES[template]['playbook']}.yml",
                           *arguments], cwd="/", env=environment(private), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600, check=False)
    return done.returncode, done.stdout


def test_a_job_explains_a_code(private):
    code, said = job(private, "explain", accelmon_explain="79")
    assert code == 0 and "GPU has fallen off the bus" in said, said


def test_a_job_shows_who_is_notified(private):
    code, said = job(private, "routes", accelmon_alert="HostDown,node=gpu1")
    assert code == 0 and "node=gpu1" in said, said


@pytest.mark.parametrize("template,answers,arguments,words", [
    ("verify", {"accelmon_verify_wait": "soon"}, [], "accelmon_verify_wait = soon: "),
    ("silence", {"accelmon_silence": "node=gpu1", "accelmon_silence_for": "", "accelmon_silence_comment": ""}, [], "a silence needs a reason; give one"),
    ("accept devices", {}, [], "--limit is missing"),
    ("prune", {}, ["--limit", "gpu1"], "--limit = gpu1: only a full run knows"),
    ("uninstall", {"accelmon_uninstall": "", "accelmon_uninstall_data": ""}, [], "--limit"),
])
def test_a_job_that_was_asked_wrongly_says_so(private, template, answers, arguments, words):
    code, said = job(private, template, *arguments, **answers)
    assert code == 2 and words in said, said


def test_the_syntax_of_every_template_with_the_variables_of_a_job(private):
    (private / "env/extravars").write_text(json.dumps({**OF_AWX, **{variable: "" for one in TEMPLATES.values() for variable in one.get("questions") or {}}}))
    done = subprocess.run([sys.executable, "-m", "ansible", "playbook", "--syntax-check", "-i", "../inventory", "-e", "@../env/extravars",
                           *(f"playbooks/{one['playbook']}.yml" for one in TEMPLATES.values())],
                          cwd=private / "project", env=environment(private), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
                          check=False)
    assert done.returncode == 0 and done.stdout.count("playbook: ") == len(TEMPLATES), done.stdout
