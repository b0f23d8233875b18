# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done with the declaration of a service: phases, steps and the arguments of service_unit. Nothing is stubbed."""
import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host.interpreter import PLACEHOLDER
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import declaration

IMAGE = {"runtime": "podman", "program": "/usr/bin/podman", "id": "sha256:12", "user": "990:980", "groups": [], "devices": []}


def declared(**changes):
    """The declaration of a service that nothing is special about."""
    return dict({
        "name": "node_exporter", "state": "present", "phase": "full", "source": "package", "package": {"name": "p", "unit": "p.service"}, "container": {},
        "image": {}, "agent_image": {}, "program": "/usr/bin/p",
        "listen": [{"address": "10.0.0.7", "port": 9100, "variable": "node_exporter_port"}], "needs": [],
        "files": [], "directories": [], "validate": [], "restart_on": [], "reload_on": [], "leaves": [], "groups": ["render"], "timer": "", "probe": {},
        "health": {}, "front": {}, "watch": False, "agent": "", "unit": "[Service]\n", "tls": "none", "auth": "none", "textfile_directory": "/srv/text",
    }, **changes)


@pytest.mark.parametrize("changes,looked,claimed,phase,steps", [
    ({}, True, "", "converge", []),
    ({}, True, "present", "converge", ["package", "converge"]),
    ({"state": "absent"}, True, "absent", "converge", ["package", "converge"]),
    ({"source": "none"}, True, "", "converge", []),
    # It had another source before.
    ({"state": "absent", "source": "release"}, True, "absent", "claim", ["package", "release", "converge"]),
    ({"state": "absent", "source": "container"}, False, "absent", "claim", ["facts", "package", "container", "converge"]),
    # A play of the user's own looked at nothing before.
    ({}, False, "", "claim", ["facts", "converge"]),
    ({}, False, "present", "claim", ["facts", "package", "converge"]),
    ({"source": "release"}, True, "", "claim", ["release", "converge"]),
    ({"source": "bundle"}, False, "", "claim", ["facts", "release", "converge"]),
    ({"source": "container"}, True, "", "claim", ["container", "converge"]),
    # Another version than the one that is there, whatever the claim finds.
    ({"package": {"name": "p", "names": ["p=1*"]}}, True, "", "claim", ["package", "converge"]),
    ({"package": {"name": "p", "files": [{"src": "/x.deb"}]}}, True, "", "claim", ["package", "converge"]),
    ({"package": {"name": "p", "names": [], "files": []}}, True, "", "converge", []),
])
def test_what_has_to_be_installed_decides_over_calls_and_steps(changes, looked, claimed, phase, steps):
    assert declaration.phase(declared(**changes), looked, False) == phase
    assert declaration.phase(declared(**changes), looked, True) == "run"
    assert declaration.steps(declared(**changes), looked, claimed) == steps


def test_every_step_is_a_file_of_the_role():
    folder = f"{declaration.ROOT}/roles/service/tasks"
    for source in ("package", "bundle", "release", "container"):
        for step in declaration.steps(declared(source=source), False, "absent"):
            with open(f"{folder}/{step}.yml", encoding="utf-8"):
                pass


def test_a_plain_service_is_handed_on_as_it_is():
    made = declaration.arguments(declared(), {"/x": "secret"}, "converge")
    assert made == {
        "name": "node_exporter", "phase": "converge", "image": False, "state": "present", "user": "accelmon-node-exporter",
        "listen": declared()["listen"], "managed_variable": "node_exporter_managed", "needs": [], "package": "p", "package_unit": "p.service",
        "package_version": "", "program": "/usr/bin/p", "container": False, "own_programs": False, "files": [], "secrets": {"/x": "secret"},
        "directories": [], "validate": [], "restart_on": [], "reload_on": [], "leaves": [], "groups": ["render"], "parts": {}, "part_files": [],
        "timer": "", "unit": "[Service]\n"}


def test_a_package_is_looked_for_only_where_the_program_comes_from_one():
    assert declaration.arguments(declared(source="release"), {}, "run")["package"] == ""


def test_what_stands_beside_it_is_part_of_it():
    made = declaration.arguments(declared(front={"to": "/run/x.sock"}, health={"to": "/run/x.sock"}, watch="yes", agent="[Service]\n",
                                          files=[{"path": "/a", "content": ""}], leaves=["/b"]), {}, "run")
    assert sorted(made["parts"]) == ["agent.service", "front.service", "front.socket", "watch.service", "watch.timer"]
    assert made["own_programs"] and PLACEHOLDER in made["parts"]["front.service"] and made["health"] == {"to": "/run/x.sock"}
    assert [one["path"] for one in made["files"]] == ["/a"] + made["part_files"]
    assert len(made["part_files"]) == 5 and all(path.startswith("/opt/accelmon/node_exporter_parts/") for path in made["part_files"])
    assert made["leaves"][0] == "/b" and "/srv/text/accelmon_exporter_node_exporter.prom" in made["leaves"]


def test_a_container_runs_by_the_image_that_was_brought():
    service = declared(source="container", container={"unit": {"Unit": {"Description": "x"}}, "overrides": {"Service": {"Nice": 7}}}, program="", unit="")
    assert "unit" not in declaration.arguments(service, {}, "claim"), "nothing is known of the image yet"
    made = declaration.arguments(dict(service, image=IMAGE), {}, "run")
    assert (made["program"], made["container"], made["groups"]) == ("/usr/bin/podman", True, [])
    assert "ExecStart=/usr/bin/podman run " in made["unit"] and "Nice=7" in made["unit"]
    with pytest.raises(Problem, match="no image for node_exporter"):
        declaration.arguments(service, {}, "run")
    assert declaration.arguments(dict(service, state="absent"), {}, "run")["unit"] == ""


def test_an_image_is_not_asked_for_anything():
    assert declaration.arguments(declared(phase="image"), {}, "converge")["image"] is True


@pytest.mark.parametrize("package,wanted,names", [
    ({"name": "p"}, "present", ["p"]),
    ({"name": "p"}, "", ["p"]),
    ({"name": "p", "names": ["p=1*"], "files": []}, "present", ["p=1*"]),
    ({"name": "p", "names": []}, "present", []),
    ({"name": "p", "names": ["p"], "files": [{"src": "/bundle/p_1.rpm"}, {"src": "/bundle/q_2.rpm"}]}, "present", ["/cache/p_1.rpm", "/cache/q_2.rpm"]),
    ({"name": "p", "names": ["p=1*"], "files": [{"src": "/bundle/p_1.rpm"}]}, "absent", ["p"]),
    ({"name": "p", "absent": ["p", "brought"]}, "absent", ["p", "brought"]),
])
def test_what_the_package_manager_gets(package, wanted, names):
    assert declaration.package_names(package, wanted, "/cache") == names
