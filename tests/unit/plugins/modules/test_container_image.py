"""The module container_image.

Stubbed: AnsibleModule and the container runtime (a dictionary of images that answers as podman and docker do), the folders of its state
and of the Container Device Interface. Archives are real files.
"""

import hashlib
import json

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.modules import container_image

DIGEST = "sha256:" + "a" * 64
IMAGE = "registry.example/gpu/exporter@" + DIGEST


class Host:
    """What stands for AnsibleModule and for the runtime."""

    def __init__(self, **params):
        self.check_mode = False
        self.params = dict({"name": "dcgm_exporter", "state": "present", "image": IMAGE, "src": None, "sha256": None, "remote_src": False, "user": "",
                            "groups": [], "gpus": ""}, **params)
        self.runtimes = ["podman"]
        self.images = {}  # reference or id -> id without the prefix, as podman writes it
        self.registry = {IMAGE: "1" * 64}
        self.archives = {}
        self.calls = []

    def get_bin_path(self, name):
        return "/usr/bin/" + name if name in self.runtimes else None

    def run_command(self, argv):
        self.calls.append(argv[1:])
        if argv[1:3] == ["image", "inspect"]:
            found = self.images.get(argv[-1].replace("sha256:", "", 1) if argv[-1].startswith("sha256:") else argv[-1])
            return (0, found + "\n", "") if found else (125, "", "no such image")
        if argv[1] == "pull":
            found = self.registry.get(argv[2])
            if not found:
                return 125, "", "Error: initializing source:\n connection refused"
            self.images.update({argv[2]: found, found: found})
            return 0, found + "\n", ""
        if argv[1] == "load":
            name, found = self.archives[argv[-1]]
            self.images.update({name: found, found: found})
            return 0, f"Loaded image: {name}\n", ""
        if argv[1:3] == ["image", "rm"]:
            found = argv[-1].replace("sha256:", "", 1)
            self.images = {name: one for name, one in self.images.items() if one != found}
            return 0, "", ""
        raise AssertionError(argv)

    def did(self, *verbs):
        return [call for call in self.calls if call[0] in verbs or call[:2] == ["image", "rm"] and "rm" in verbs]

    def selinux_enabled(self):
        return False


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(container_image, "STATE", str(tmp_path / "images"))
    monkeypatch.setattr(container_image.specified, "__defaults__", ((str(tmp_path / "cdi"),),))
    (tmp_path / "cdi").mkdir()
    return tmp_path


def image(host):
    return container_image.Image(host)


def archive(host, folder, name="localhost/exporter:1", made="2" * 64):
    path = folder / "image.tar"
    path.write_bytes(made.encode())
    host.archives[str(path)] = (name, made)
    host.params.update(src=str(path), sha256=hashlib.sha256(made.encode()).hexdigest(), remote_src=True)
    return path


def test_an_image_is_pulled_once_and_known_by_its_id():
    host = Host()
    first = image(host).present()
    assert (first["changed"], first["id"], first["runtime"], first["program"]) == (True, "sha256:" + "1" * 64, "podman", "/usr/bin/podman")
    second = image(host).present()
    assert not second["changed"] and second["id"] == first["id"] and len(host.did("pull")) == 1


def test_check_mode_pulls_and_remembers_nothing(tmp_path):
    host = Host()
    host.check_mode = True
    answer = image(host).present()
    assert answer["changed"] and answer["id"] == IMAGE and not host.did("pull") and not (tmp_path / "images").exists()


def test_an_image_without_a_digest_is_refused():
    for reference in ("registry.example/exporter:1.0", "registry.example/exporter:latest", "", None, "exporter@sha256:12"):
        with pytest.raises(Failure, match="it has no digest"):
            image(Host(image=reference)).present()


def test_a_tag_beside_the_digest_is_fine():
    reference = "registry.example/exporter:1.0@" + DIGEST
    host = Host(image=reference)
    host.registry[reference] = "1" * 64
    assert image(host).present()["changed"]


def test_docker_stands_in_for_podman_and_neither_is_an_error():
    host = Host()
    host.runtimes = ["docker"]
    assert image(host).present()["runtime"] == "docker"
    host.runtimes = []
    with pytest.raises(Failure, match="dcgm_exporter_source = container: this host has neither podman nor docker; install one"):
        image(host).present()


def test_a_pull_that_fails_says_why_in_one_line():
    host = Host()
    host.registry = {}
    with pytest.raises(Failure) as error:
        image(host).present()
    assert "connection refused" in str(error.value) and "\n" not in str(error.value)


def test_an_archive_is_asked_for_only_if_the_image_is_not_here(tmp_path):
    host = Host()
    archive(host, tmp_path)
    host.params["remote_src"] = False
    assert image(host).present()["needs_source"] and not host.did("load", "pull")
    host.params["remote_src"] = True
    assert image(host).present()["id"] == "sha256:" + "2" * 64
    host.params["remote_src"] = False
    again = image(host).present()
    assert not again["changed"] and "needs_source" not in again and not host.did("pull")


def test_an_archive_with_another_checksum_is_not_loaded(tmp_path):
    host = Host()
    archive(host, tmp_path).write_bytes(b"tampered")
    with pytest.raises(Failure, match="its SHA-256 is not"):
        image(host).present()
    assert not host.did("load")


def test_another_archive_replaces_the_image_and_the_one_before_stays(tmp_path):
    host = Host()
    for made in "234":
        archive(host, tmp_path, made=made * 64)
        image(host).present()
    assert set(host.images.values()) == {"3" * 64, "4" * 64}
    record = json.loads((tmp_path / "images" / "dcgm_exporter.json").read_text())
    assert (record["id"], record["previous"]) == ("sha256:" + "4" * 64, "sha256:" + "3" * 64)


def test_an_image_that_somebody_removed_is_brought_again():
    host = Host()
    image(host).present()
    host.images.clear()
    assert image(host).present()["changed"]


def test_what_load_says():
    assert container_image.loaded("Getting image source signatures\nLoaded image: localhost/x:1\n") == "localhost/x:1"
    assert container_image.loaded("Loaded image(s): localhost/x:1\n") == "localhost/x:1"
    assert container_image.loaded("Loaded image ID: sha256:12\n") == "sha256:12"
    assert container_image.loaded("Loaded image: a\nLoaded image: b\n") is None
    assert container_image.loaded("") is None


def test_gpus_come_by_their_specification_or_by_dockers_flag(tmp_path):
    host = Host(gpus="nvidia.com/gpu")
    with pytest.raises(Failure, match="nvidia-ctk cdi generate"):
        image(host).present()
    (tmp_path / "cdi" / "other.yaml").write_text("cdiVersion: 0.5.0\nkind: amd.com/gpu\n")
    assert not container_image.specified("nvidia.com/gpu")
    (tmp_path / "cdi" / "nvidia.yaml").write_text("---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: []\n")
    assert image(host).present()["devices"] == ["--device", "nvidia.com/gpu=all"]
    host.runtimes = ["docker"]
    assert image(host).present()["devices"] == ["--gpus", "all"]


def test_a_specification_may_be_json(tmp_path):
    (tmp_path / "cdi" / "amd.json").write_text('{"cdiVersion": "0.5.0", "kind": "amd.com/gpu", "devices": []}')
    assert container_image.specified("amd.com/gpu") and not container_image.specified("amd")


def test_numbers_of_user_and_groups():
    assert image(Host(user="root", groups=["root", "no-such-group"])).numbers() == ("0:0", ["0"])
    assert image(Host(user="no-such-user")).numbers() == ("", [])


def test_absent_removes_what_was_brought_unless_it_is_used_elsewhere(tmp_path):
    host = Host()
    image(host).present()
    other = Host(name="amd_exporter")
    other.images = host.images
    image(other).present()
    host.params["state"] = "absent"
    assert image(host).absent()["changed"] and not host.did("rm")
    other.params["state"] = "absent"
    assert image(other).absent()["changed"] and other.did("rm")
    assert not image(other).absent()["changed"]


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "dcgm_exporter.json").write_text("[")
    host = Host()
    assert image(host).present()["changed"]
    assert atomic.sha256_file(str(tmp_path / "images" / "dcgm_exporter.json"))
