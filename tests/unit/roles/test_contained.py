# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles run in containers, by ansible-playbook itself, and the units around them.

Stubbed: what the module container_image returns. The variables of the roles are real; none of their tasks runs, so nothing is known of the host's
addresses. No container is run: molecule/release does that."""
import pathlib
import shlex
import subprocess

import pytest
import yaml
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import IMAGES
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.hosts import BUNDLED
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import declaration
from ansible_collections.accelmon.fleet.tests.unit.roles.role_variables import rendered

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLES = tuple(role for role in IMAGES if role not in BUNDLED)
PODMAN = {"runtime": "podman", "program": "/usr/bin/podman", "id": "sha256:12", "user": "990:980", "groups": ["970"], "devices": []}
DOCKER = dict(PODMAN, runtime="docker", program="/usr/bin/docker")
CONFINED = {"--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--user=990:980", "--network=host", "--pull=never", "--rm"}
# What each sees of the host.
ETC, TARGETS = "/etc/accelmon:/etc/accelmon:ro", "/var/lib/accelmon/targets:/var/lib/accelmon/targets:ro"
SEES = {
    "node_exporter": ["/var/lib/accelmon/textfile:/var/lib/accelmon/textfile:ro", "/:/host:ro,rslave"],
    "victoriametrics": [ETC, "/var/lib/accelmon/victoriametrics:/var/lib/accelmon/victoriametrics"],
    "victoriametrics_agent": [ETC],
    "vmagent": [ETC, TARGETS, "/var/lib/accelmon/vmagent:/var/lib/accelmon/vmagent"],
    "vmalert": [ETC],
    "prometheus": [ETC, TARGETS, "/var/lib/accelmon/prometheus:/var/lib/accelmon/prometheus"],
    "alertmanager": [ETC, "/var/lib/accelmon/alertmanager:/var/lib/accelmon/alertmanager"],
}
FIRST = {"node_exporter": "--web.listen-address=", "victoriametrics": "-httpListenAddr=127.0.0.1:8428",
         "victoriametrics_agent": "-httpListenAddr=127.0.0.1:8427", "vmagent": "-enableTCP6", "vmalert": "-enableTCP6",
         "prometheus": "--config.file=", "alertmanager": "--config.file="}


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """{role: its container}, and `checkers`: what the roles check files with."""
    folder = tmp_path_factory.mktemp("contained")
    images = {name: f"registry.example/{name}@sha256:{'0' * 64}" for names in IMAGES.values() for name in names}
    read = {role: f"{role}_container" for role in ROLES}
    read.update(checkers="[prometheus_checker, alertmanager_checker, vmagent_program, vmalert_program, victoriametrics_auth]")
    return rendered(folder, ROLES, read, {"mon": {}}, given={"accelmon_source": "container", **images})["mon"]


def containers(declared):
    """{name: container}, the agent's too."""
    found = {role: declared[role] for role in ROLES}
    return dict(found, victoriametrics_agent=found["victoriametrics"]["agent"])


def sections(declared, name, found=None):
    container = containers(declared)[name]
    return declaration.container_unit(container["unit"], name, container, found or PODMAN)


def service(declared, role, found=None, **changes):
    """Arguments of service_unit for a role."""
    found = found or PODMAN
    return declaration.arguments(dict({
        "name": role, "state": "present", "phase": "full", "source": "container", "package": {}, "container": declared[role], "image": found,
        "agent_image": dict(found, id="sha256:34"), "program": "", "listen": [], "needs": [], "files": [], "directories": [], "validate": [],
        "restart_on": [], "reload_on": [], "leaves": [], "groups": [], "timer": "", "probe": {}, "health": {}, "front": {}, "watch": False,
        "agent": "[Service]\n" if "agent" in declared[role] else "", "unit": "", "tls": "none", "auth": "none", "textfile_directory": "/srv/text",
    }, **changes), {}, "run")


@pytest.mark.parametrize("name", SEES)
def test_the_program_of_the_image_gets_the_arguments_of_the_host_s_and_sees_no_more(declared, name):
    assert set(SEES) == set(containers(declared))
    line = sections(declared, name)["Service"]["ExecStart"]
    assert CONFINED <= set(line) and "--group-add=970" in line
    assert [word.partition("=")[2] for word in line if word.startswith("--volume=")] == SEES[name]
    assert {word for word in line if word.startswith(("--cap-add", "--pid", "--privileged", "--device"))} == (
        {"--pid=host"} if name == "node_exporter" else set())
    assert line[line.index("sha256:12") + 1].startswith(FIRST[name]), "the image's own program comes first"
    image = "victoriametrics_auth" if name == "victoriametrics_agent" else name
    assert containers(declared)[name]["image"] == f"registry.example/{image}_image@sha256:{'0' * 64}"


@pytest.mark.parametrize("name,seconds", [("victoriametrics", 60), ("prometheus", 120), ("vmagent", 60), ("alertmanager", 10)])
def test_a_container_gets_the_time_to_end_that_its_program_needs(declared, name, seconds):
    made = sections(declared, name)["Service"]
    assert f"--time={seconds}" in made["ExecStop"] and made["TimeoutStopSec"] == seconds + 20


@pytest.mark.parametrize("name", SEES)
def test_the_unit_keeps_what_is_not_the_container_s(declared, name):
    made = sections(declared, name)
    assert not {"User", "SupplementaryGroups", "StateDirectory", "StateDirectoryMode"} & made["Service"].keys()
    assert [key for key in ("ProtectSystem", "SystemCallFilter", "PrivateDevices") if made["Service"].get(key) is not None] == []
    assert made["Service"].get("ExecReload") == ("/bin/kill -HUP $MAINPID" if name in ("prometheus", "alertmanager") else None)
    limited = name in ("victoriametrics", "victoriametrics_agent", "vmagent", "prometheus")
    assert (made["Service"].get("LimitNOFILE"), "--ulimit=nofile=65536:65536" in made["Service"]["ExecStart"]) == (65536 if limited else None, limited)


def test_the_storage_keeps_its_own_network_and_what_asks_for_the_password_before_it(declared):
    made = service(declared, "victoriametrics", validate=[])
    unit, agent = made["unit"], made["parts"]["agent.service"]
    assert "PrivateNetwork=yes" in unit and "JoinsNamespaceOf=accelmon-victoriametrics-agent.service" in unit and "PrivateNetwork=yes" in agent
    assert "sha256:12" in unit and "sha256:34" in agent and "--name=accelmon-victoriametrics-agent" in agent
    # The check that it has a network of its own comes before it, as on the host.
    assert "ExecStartPre=+/bin/sh -c" in unit and "/opt/accelmon/victoriametrics_parts/vmauth" in unit
    with pytest.raises(Problem, match="victoriametrics_source = container: docker's daemon starts programs outside"):
        service(declared, "victoriametrics", DOCKER)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "victoriametrics"])
def test_docker_runs_the_others(declared, role):
    made = service(declared, role, DOCKER)
    assert "ExecStart=/usr/bin/docker run " in made["unit"] and "ExecStartPre=-/usr/bin/docker rm " in made["unit"]


def test_the_data_belong_to_the_service_s_user_on_the_host(declared):
    assert service(declared, "prometheus")["directories"] == [
        {"path": "/var/lib/accelmon/prometheus", "owner": "accelmon-prometheus", "group": "accelmon-prometheus", "mode": "0750"}]
    assert service(declared, "node_exporter")["directories"] == []


@pytest.mark.parametrize("role,program,entry", [
    ("prometheus", "promtool", "--entrypoint=promtool"), ("alertmanager", "amtool", "--entrypoint=amtool"), ("vmagent", "vmagent", None)])
def test_files_are_checked_by_the_image_that_will_read_them(declared, role, program, entry):
    path = f"/opt/accelmon/{role}_parts/{program}"
    assert path in declared["checkers"]
    made = service(declared, role, validate=[{"argv": [path, "{stage}/etc/x"]}])
    assert made["validate"] == [{"argv": ["{stage}" + path, "{stage}/etc/x"]}], "the new one, before it is in its place"
    launcher = next(one for one in made["files"] if one["path"] == path)
    words = shlex.split(launcher["content"].splitlines()[-1])
    assert launcher["mode"] == "0755" and launcher["content"].startswith("#!/bin/sh\n")
    assert words[:3] == ["exec", "/usr/bin/podman", "run"] and "sha256:12" in words and {"--network=none", "--read-only", "--cap-drop=all"} <= set(words)
    assert [word for word in words if word.startswith("--entrypoint")] == [entry] * bool(entry)


def test_the_launcher_shows_the_image_the_files_to_check_and_nothing_else(declared, tmp_path):
    """Podman is a script here that prints its arguments."""
    fake = tmp_path / "podman"
    fake.write_text("#!/bin/sh\nfor word in \"$@\"; do echo \"$word\"; done\n")
    fake.chmod(0o755)
    made = service(declared, "vmagent", dict(PODMAN, program=str(fake)))["files"][0]
    stage = tmp_path / "a stage"
    stage.mkdir()

    def called(folder):
        done = subprocess.run(["/bin/sh", "-c", made["content"], "x", "-dryRun", "a b"], cwd=str(folder), check=True, stdout=subprocess.PIPE,
                              universal_newlines=True)
        return done.stdout.splitlines()

    words = called(stage)
    assert [word for word in words if word.startswith("--volume")] == [f"--volume={ETC}", f"--volume={stage}:{stage}:ro"]
    assert words[-3:] == ["sha256:12", "-dryRun", "a b"]
    assert [word for word in called("/") if word.startswith("--volume")] == [f"--volume={ETC}"]


def test_check_mode_checks_with_what_is_there(declared):
    """The image is not brought, so nothing can run it."""
    path = "/opt/accelmon/vmagent_parts/vmagent"
    made = service(declared, "vmagent", dict(PODMAN, id="registry.example/vmagent@sha256:" + "0" * 64), validate=[{"argv": [path, "-dryRun"]}])
    assert made["validate"] == [{"argv": [path, "-dryRun"]}]


def test_another_image_is_another_unit_and_another_launcher(declared):
    before, after = (service(declared, "victoriametrics", agent_image=dict(PODMAN, id=name)) for name in ("sha256:34", "sha256:56"))
    assert before["parts"]["agent.service"] != after["parts"]["agent.service"]
    assert [one["content"] for one in before["files"]] != [one["content"] for one in after["files"]]


def test_every_image_has_a_variable_of_its_role():
    for role, names in IMAGES.items():
        options = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        assert all(options[name]["default"] == "" for name in names) and "container" in options[f"{role}_source"]["choices"]
