"""Units around containers, and images in bundles. Stubbed: nothing; what the module container_image returns is made up."""

import hashlib
import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import image_archive
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.declaration import container_unit
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.units import unit_text

PODMAN = {"runtime": "podman", "program": "/usr/bin/podman", "id": "sha256:12", "user": "990:980", "groups": ["44"],
          "devices": ["--device", "nvidia.com/gpu=all"]}
DOCKER = dict(PODMAN, runtime="docker", program="/usr/bin/docker", devices=["--gpus", "all"])
CONTAINER = {"arguments": ["-a", ":9400"], "volumes": ["/etc/accelmon/x:/etc/accelmon/x:ro"], "capabilities": ["SYS_ADMIN"], "devices": ["/dev/kfd"],
             "environment": {"A": "b c"}, "options": ["--memory=1g"]}


def text(found, **more):
    return unit_text(container_unit({"Unit": {"Description": "x"}, "Service": {"Nice": 5}}, "dcgm_exporter", dict(CONTAINER, **more), found))


def line(found, key):
    return next(one for one in text(found).splitlines() if one.startswith(key + "="))


def test_podman_runs_the_image_by_its_id_and_never_pulls():
    words = line(PODMAN, "ExecStart").split()
    assert words[:5] == ["ExecStart=/usr/bin/podman", "run", "--rm", "--name=accelmon-dcgm-exporter", "--pull=never"]
    assert words[-3:] == ["sha256:12", "-a", ":9400"] and words[-4] == "--memory=1g"
    assert {"--replace", "--cgroups=split", "--network=host", "--read-only", "--cap-drop=all", "--cap-add=SYS_ADMIN", "--user=990:980", "--group-add=44",
            "--device=/dev/kfd", "--device", "nvidia.com/gpu=all", "--volume=/etc/accelmon/x:/etc/accelmon/x:ro",
            "--security-opt=no-new-privileges"} <= set(words)
    assert '"--env=A=b c"' in text(PODMAN) and "\nDelegate=yes\n" in text(PODMAN) and "docker" not in text(PODMAN)


def test_docker_has_no_replace_so_that_a_leftover_is_removed_before():
    words = line(DOCKER, "ExecStart").split()
    assert "--replace" not in words and "--cgroups=split" not in words and {"--pull=never", "--gpus", "all", "--tmpfs=/tmp"} <= set(words)
    assert line(DOCKER, "ExecStartPre") == "ExecStartPre=-/usr/bin/docker rm --force accelmon-dcgm-exporter"
    assert "\nRequires=docker.service\n" in text(DOCKER) and "Delegate" not in text(DOCKER)


def test_what_would_keep_the_runtime_from_working_is_left_out_and_the_declaration_stays():
    assert "ProtectSystem" not in text(PODMAN) and "SystemCallFilter" not in text(PODMAN) and "\nNice=5\n" in text(PODMAN)
    assert "Restart=always" in text(PODMAN) and "\nUser=" not in text(PODMAN)


def test_a_program_that_needs_roots_rights_runs_as_the_containers_root():
    assert "--user=990:980" not in text(PODMAN, root=True)


def test_without_an_image_there_is_no_unit():
    with pytest.raises(Problem, match="no image for dcgm_exporter; run"):
        container_unit({}, "dcgm_exporter", CONTAINER, {"skipped": True})


def bundle(folder, *names):
    (folder / "image.tar").write_bytes(b"image")
    artifacts = [{"name": name, "version": "4.8.3", "os": "linux", "architecture": "amd64", "file": "image.tar",
                  "sha256": hashlib.sha256(b"image").hexdigest()} for name in names]
    (folder / "lock.json").write_text(json.dumps({"version": 1, "artifacts": artifacts}))
    return str(folder)


def test_an_image_of_the_bundle(tmp_path):
    found = image_archive(bundle(tmp_path, "dcgm_exporter_image"), "dcgm_exporter", "amd64")
    assert found == {"src": str(tmp_path / "image.tar"), "sha256": hashlib.sha256(b"image").hexdigest()}


def test_no_bundle_or_none_in_it_means_pulling(tmp_path):
    assert image_archive("", "dcgm_exporter", "amd64") == {}
    assert image_archive(bundle(tmp_path, "node_exporter"), "dcgm_exporter", "amd64") == {}


def test_an_image_for_another_architecture_is_an_error(tmp_path):
    with pytest.raises(AnsibleFilterError, match="it has no dcgm_exporter_image linux/arm64"):
        image_archive(bundle(tmp_path, "dcgm_exporter_image"), "dcgm_exporter", "arm64")


@pytest.mark.parametrize("part", [
    {"environment": {"A": "b\nExecStartPre=/bin/evil"}}, {"environment": {"A\nB": "c"}}, {"arguments": ["-a", "x\r"]}, {"options": ["--label=a\nb"]},
    {"volumes": ["/a:/a\0"]}, {"devices": ["/dev/x\n"]}, {"capabilities": ["SYS\nADMIN"]}, {"arguments": [{"a": 1}]}, {"options": [None]}])
def test_no_text_of_a_container_becomes_a_line_of_its_unit(part):
    for found in (PODMAN, DOCKER):
        with pytest.raises(Problem):
            text(found, **part)


def test_what_a_node_says_of_its_runtime_stays_one_word():
    odd = dict(DOCKER, program="/usr/bin/docker; %n $X")
    assert line(odd, "ExecStopPost") == 'ExecStopPost="-/usr/bin/docker; %%n $$X" rm --force accelmon-dcgm-exporter'
    with pytest.raises(Problem):
        text(dict(DOCKER, program="/usr/bin/docker\nUser=root"))
