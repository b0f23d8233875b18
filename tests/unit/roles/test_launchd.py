# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job of launchd that the role all_smi writes on macOS, as far as it can be checked without a Mac: its keys and their types, as launchd.plist(5) has
them. The variables are real and evaluated by Ansible; nothing else of the role runs.
"""
import pathlib
import plistlib

import pytest
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

ROOT = pathlib.Path(__file__).resolve().parents[3]
TYPES = {"Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "UserName": str, "RunAtLoad": bool, "KeepAlive": bool,
         "ThrottleInterval": int, "StandardErrorPath": str}


@pytest.fixture(name="job", scope="module")
def written_job(tmp_path_factory):
    """The property list of a host whose variables are text, as a survey sends them."""
    given = {"all_smi_port": "9402", "all_smi_processes": "true", "all_smi_interval": "7", "all_smi_extra_args": ["--a=<&>"]}
    found = rendered(tmp_path_factory.mktemp("launchd"), ["all_smi"], {"job": "all_smi_launchd | accelmon.fleet._launchd_job"}, {"mac": {}}, given=given)
    return plistlib.loads(found["mac"]["job"].encode())


def test_every_key_is_one_of_launchd_s_and_of_its_type(job):
    assert {key: type(value) for key, value in job.items()} == TYPES
    assert all(isinstance(word, str) for word in [*job["ProgramArguments"], *job["EnvironmentVariables"], *job["EnvironmentVariables"].values()])


def test_it_runs_the_program_of_homebrew_with_what_was_asked_for(job):
    assert job["ProgramArguments"] == ["/opt/homebrew/bin/all-smi", "api", "--port=9402", "--interval=7", "--processes=true", "--a=<&>"]
    assert job["StandardErrorPath"].startswith("/")


def test_the_tasks_name_the_job_as_it_names_itself(job):
    text = (ROOT / "roles/all_smi/tasks/macos.yml").read_text()
    assert text.count(f"system/{job['Label']}]") == 2 and f"/Library/LaunchDaemons/{job['Label']}.plist" in text
