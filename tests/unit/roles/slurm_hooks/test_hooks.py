# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hooks, run by sh as slurmd runs them: without PATH, with the variables seen in a prolog of Slurm 22.05 and 24.11. Nothing is stubbed."""
import os
import pathlib
import subprocess

import jinja2
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
TEMPLATES = ROOT / "roles/slurm_hooks/templates"
JOB = {"SLURM_JOB_ID": "4711", "SLURM_JOB_UID": "1001", "SLURM_JOB_USER": "ada", "SLURM_JOB_PARTITION": "gpu", "SLURM_JOB_GPUS": "0,3",
       "CUDA_VISIBLE_DEVICES": "0,3", "SLURM_SCRIPT_CONTEXT": "prolog_slurmd"}


class Hooks:
    """Both hooks of a node whose owner files are below folder."""

    def __init__(self, folder, names_users=True):
        self.jobs, self.folder = folder / "jobs", folder
        for name in ("prolog", "epilog"):
            # As Ansible's template lookup does.
            text = jinja2.Environment(keep_trailing_newline=True, trim_blocks=True).from_string((TEMPLATES / f"{name}.sh.j2").read_text()).render(
                slurm_hooks_jobs=str(self.jobs), slurm_hooks_names_users=names_users)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def run(self, name, **changes):
        environment = {key: value for key, value in dict(JOB, **changes).items() if value is not None}
        done = subprocess.run([str(self.folder / name)], env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        assert (done.returncode, done.stdout) == (0, b"")
        return self.names("[!.]*")

    def names(self, pattern):
        return sorted(path.name for path in self.jobs.glob(pattern)) if self.jobs.is_dir() else []

    def text(self, job="4711"):
        return (self.jobs / job).read_text().splitlines()


@pytest.fixture(name="hooks")
def _hooks(tmp_path):
    return Hooks(tmp_path)


def test_a_job_is_noted_and_forgotten(hooks):
    assert hooks.run("prolog", SLURM_JOB_ACCOUNT="physics") == ["4711"]
    assert hooks.text() == ["scheduler=slurm", "slurm_gpus=0,3", "visible=0,3", "user=ada", "account=physics", "partition=gpu"]
    assert (hooks.jobs / "4711").stat().st_mode & 0o777 == 0o644 and not hooks.jobs.stat().st_mode & 0o022
    assert hooks.run("prolog", SLURM_JOB_ID="4712") == ["4711", "4712"]
    # After slurmd and slurmstepd have died, Slurm does not say which devices the job had.
    assert hooks.run("epilog", SLURM_JOB_GPUS=None, CUDA_VISIBLE_DEVICES=None) == ["4712"]


def test_a_requeued_job_is_noted_again(hooks):
    hooks.run("prolog")
    hooks.run("epilog")
    assert hooks.run("prolog", SLURM_JOB_GPUS="1") == ["4711"] and "slurm_gpus=1" in hooks.text()
    assert hooks.names(".*") == [], "what the first run had is not for the second one"


def test_an_epilog_keeps_what_it_takes_away(hooks):
    """It may be the second one of a run, and late: then the file is that of the next run, under the same id."""
    hooks.run("prolog", SLURM_JOB_GPUS="1")
    assert hooks.run("epilog") == [] and hooks.names(".*") == [".4711.ended"] and "slurm_gpus=1" in hooks.text(".4711.ended")
    hooks.run("epilog")
    assert hooks.names(".*") == [".4711.ended"]


def test_an_epilog_leaves_what_the_next_prolog_is_writing(hooks):
    hooks.jobs.mkdir()
    (hooks.jobs / ".4711").write_text("half")
    hooks.run("epilog")
    assert hooks.names(".*") == [".4711"]


def test_a_job_without_accelerators_is_not_noted(hooks):
    assert hooks.run("prolog", SLURM_JOB_GPUS=None, CUDA_VISIBLE_DEVICES=None) == []
    assert hooks.run("prolog", SLURM_JOB_GPUS="", CUDA_VISIBLE_DEVICES="NoDevFiles") == []


@pytest.mark.parametrize("job", ["", None, "x", "../x", "1/2", "1;id", "1 2"])
def test_what_is_no_id_of_a_job_does_nothing(hooks, job):
    hooks.run("prolog")
    assert hooks.run("prolog", SLURM_JOB_ID=job) == ["4711"]
    assert hooks.run("epilog", SLURM_JOB_ID=job) == ["4711"]


def test_values_are_never_run_as_commands(hooks):
    value = "$(touch %s/done)`touch %s/done`; touch %s/done" % ((hooks.folder,) * 3)
    hooks.run("prolog", SLURM_JOB_USER=value, SLURM_JOB_ACCOUNT=value, SLURM_JOB_PARTITION="%s %n \\n")
    assert not (hooks.folder / "done").exists() and "user=" + value in hooks.text()


def test_an_account_cannot_say_more_than_an_account(hooks):
    """Without accounting, Slurm takes any text for it from whoever submits a job."""
    hooks.run("prolog", SLURM_JOB_ACCOUNT="physics\nuser=bob\ndevices=GPU-00000000-0000-4000-8000-000000000000")
    assert hooks.text() == ["scheduler=slurm", "slurm_gpus=0,3", "visible=0,3", "user=ada", "account=", "partition=gpu"]


def test_users_can_be_left_out(tmp_path):
    hooks = Hooks(tmp_path, names_users=False)
    hooks.run("prolog")
    assert "ada" not in (hooks.jobs / "4711").read_text() and "account=" in hooks.text()


@pytest.mark.parametrize("obstacle", ["file", "full", "directory"])
def test_a_hook_that_cannot_write_ends_well_and_leaves_nothing(hooks, obstacle):
    """Slurm drains a node whose prolog or epilog fails."""
    if obstacle == "file":
        hooks.jobs.write_text("")
    else:
        hooks.jobs.mkdir()
        (hooks.jobs / ".4711").symlink_to("/dev/full") if obstacle == "full" else (hooks.jobs / ".4711").mkdir()
    found = hooks.run("prolog")
    assert "4711" not in found and (obstacle != "full" or found == [])
    hooks.run("epilog")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory(hooks):
    hooks.jobs.mkdir(mode=0o555)
    assert hooks.run("prolog") == [] == hooks.run("epilog")
