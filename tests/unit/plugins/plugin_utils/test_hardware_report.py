# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hardware.yml makes of what hosts tell, and what a host may tell. Nothing is stubbed."""
import copy
import os

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import hardware

ROW = {"check": "detection", "what": "number of devices", "device": "nvidia", "result": "pass", "tool": "8", "found": "8", "note": ""}
GOOD = {"devices": 8, "rows": [ROW], "fixtures": {"machines/nvidia_h100_8.json": "{\n}\n"}, "seconds": 12.5}
NONE = {"devices": 0, "rows": [], "fixtures": {}, "seconds": 0}


def test_a_host_that_is_read_right():
    made = hardware.report({"gpu1": GOOD, "login": NONE}, {})
    assert made["failures"] == [] and made["document"]["notes"] == ["login: no accelerators"]
    assert made["document"]["hosts"] == {"gpu1": dict(GOOD, verdict="accepted")}
    assert made["lines"][0] == "gpu1: accepted" and made["lines"][-1] == "note: login: no accelerators"


def test_what_fails_the_run():
    bad = dict(GOOD, rows=[ROW, dict(ROW, result="fail", found="7")])
    down = {"what": "ssh", "value": "no answer", "fix": "check the host"}
    made = hardware.report({"gpu1": bad, "gpu2": dict(GOOD, rows=[dict(ROW, result="not applicable")])}, {"down": down})
    assert made["failures"] == ["down: ssh = no answer; check the host", "gpu1: 1 of 2 checks failed",
                                "gpu2: nothing could be compared; install the vendor's tool"]
    assert any(line.startswith("FAIL") and line.rstrip().endswith("7") for line in made["lines"])
    assert hardware.report({"login": NONE}, {})["failures"] == ["no accelerators on login; run this on hosts that have some"]


def test_a_check_run_compares_nothing():
    made = hardware.report({"gpu1": dict(GOOD, rows=[], fixtures={})}, {}, True)
    assert made["failures"] == [] and made["lines"] == ["gpu1: not compared in check mode", ""]
    assert made["document"]["hosts"]["gpu1"]["verdict"] == "not compared in check mode"


@pytest.mark.parametrize("place, value", [
    (("fixtures",), {"../../etc/passwd": "x"}), (("fixtures",), {"machines/a.json": "{{ lookup('pipe', 'id') }}"}), (("rows", 0, "result"), "fine"),
    (("devices",), "8"), (("seconds",), "long"), (("rows",), None)])
def test_a_host_that_lies_is_a_failure(place, value):
    told = copy.deepcopy(GOOD)
    inner = told
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    made = hardware.report({"evil": told, "gpu1": GOOD}, {})
    assert len(made["failures"]) == 1 and made["failures"][0].startswith("evil: facts: hardware.") and list(made["document"]["hosts"]) == ["gpu1"]


def test_nothing_of_a_row_acts_in_a_template():
    made = hardware.report({"gpu1": dict(GOOD, rows=[dict(ROW, note="{{ 1 }}\x1b[2J")])}, {})
    assert "{{" not in "".join(made["lines"]) and "\x1b" not in "".join(made["lines"])


def test_the_program_has_the_files_that_the_role_installs():
    role = hardware.COLLECTOR.parent / "vars" / "main.yml"
    installed = {os.path.basename(one["path"]) for one in yaml.safe_load(role.read_text())["textfile_collector_files"]}
    program = "accelmon_textfile_collector.py"
    assert set(hardware.program()) - {program} == {name for name in installed if name.endswith((".py", ".json"))}
    assert "def main(" in hardware.program()[program]
