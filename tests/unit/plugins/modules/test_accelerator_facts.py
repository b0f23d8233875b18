# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible calls it, on described machines.

Stubbed: the root of the file system that detection reads (trees of the detect tests). The module runs in this process
with its real argument parsing; nvidia-smi is a shell script found through PATH.
"""
import functools
import json

import pytest

from ansible.module_utils import basic
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import accelerators
from ansible_collections.accelmon.fleet.plugins.modules import accelerator_facts
from ansible_collections.accelmon.fleet.tests.unit.plugins.module_utils.detect import trees


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    detect = accelerators.detect

    def call(tree, **params):
        if tree:
            trees.build(trees.load(tree), str(tmp_path / "root"))
        monkeypatch.setattr(accelerators, "detect", functools.partial(detect, str(tmp_path / "root"), sleep=lambda seconds: None))
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": params}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit):
            accelerator_facts.main()
        return json.loads(capsys.readouterr().out)
    return call


@pytest.fixture
def nvidia_smi(monkeypatch, tmp_path):
    def make(text):
        (tmp_path / "bin").mkdir()
        path = tmp_path / "bin" / "nvidia-smi"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % (tmp_path / "bin"))
    return make


def test_facts(run):
    result = run("h100_8_nvswitch")
    assert result["changed"] is False
    facts = result["ansible_facts"]
    assert sorted(facts) == ["accelerators", "accelmon_node"]
    assert facts["accelerators"] == trees.expected(trees.load("h100_8_nvswitch"))
    assert {"architecture", "python_version", "addresses", "systemd"} <= set(facts["accelmon_node"])


def test_nothing_found(run):
    assert run(None)["ansible_facts"]["accelerators"] == {"devices": [], "summary": {}}


def test_details(run, nvidia_smi):
    nvidia_smi('echo "0, GPU-1, 00000000:00:04.0, NVIDIA L4, 550.90.07, 23034, 132, [N/A], Enabled, 95.04"')
    found = run("l4_permission_denied", gather_details=True)["ansible_facts"]["accelerators"]
    assert found["details"] == {"nvidia": {"status": "ok"}}
    assert found["devices"][0]["memory_bytes"] == 23034 * 1024 * 1024
    assert "mig_mode" not in found["devices"][0] and found["devices"][0]["ecc_mode"] == "enabled"


def test_a_hanging_tool_is_no_failure(run, nvidia_smi):
    nvidia_smi("sleep 60")
    result = run("l4_permission_denied", gather_details=True, details_timeout=1)
    assert result["ansible_facts"]["accelerators"]["details"]["nvidia"]["status"] == "hung"
    assert "failed" not in result


def test_check_mode_starts_nothing(run, nvidia_smi, tmp_path):
    nvidia_smi("touch %s" % (tmp_path / "started"))
    found = run("l4_permission_denied", gather_details=True, _ansible_check_mode=True)["ansible_facts"]["accelerators"]
    assert found["details"]["nvidia"]["status"] == "skipped"
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("params, words", [
    ({"details_timeout": 0}, "details_timeout = 0: "), ({"details_timeout": "soon"}, "details_timeout"), ({"details": True}, "details")])
def test_bad_parameters(run, params, words):
    result = run(None, **params)
    assert result["failed"] and words in result["msg"]
