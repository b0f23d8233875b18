"""Artifacts of a bundle. Nothing is stubbed."""

import json
import os

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import release_artifact


def bundle_artifact(path, name, architecture, version=None):
    """The filter as the roles call it for a bundle."""
    return release_artifact({"version": version}, name, "bundle", architecture, path)


def artifact(name="tool", version="1.0", architecture="amd64", file="tool.tgz", sha256="A" * 64, system="linux"):
    return {"name": name, "version": version, "os": system, "architecture": architecture, "file": file, "sha256": sha256}


@pytest.fixture
def bundle(tmp_path):
    def make(*artifacts, text=None):
        folder = tmp_path / "bundle"
        folder.mkdir()
        (folder / "tool.tgz").write_bytes(b"x")
        (folder / "lock.json").write_text(text if text is not None else json.dumps({"version": 1, "artifacts": list(artifacts)}))
        return str(folder)
    return make


def test_the_only_artifact_that_fits_is_found(bundle):
    path = bundle(artifact(), artifact(architecture="arm64", version="2.0"), artifact(name="other"), artifact(system="darwin"))
    assert bundle_artifact(path, "tool", "amd64") == {"version": "1.0", "src": os.path.join(path, "tool.tgz"), "sha256": "a" * 64}


def test_the_version_decides_between_several(bundle):
    path = bundle(artifact(), artifact(version="2.0"))
    assert bundle_artifact(path, "tool", "amd64", "2.0")["version"] == "2.0"
    with pytest.raises(AnsibleFilterError, match=r"more than one tool linux/amd64 \(tool 1.0 linux/amd64, tool 2.0 linux/amd64\); set the version"):
        bundle_artifact(path, "tool", "amd64")


def test_the_home_directory(bundle, monkeypatch):
    path = bundle(artifact())
    monkeypatch.setenv("HOME", os.path.dirname(path))
    assert bundle_artifact("~/bundle", "tool", "amd64")["src"] == os.path.join(path, "tool.tgz")


@pytest.mark.parametrize("wanted, message", [
    (("tool", "riscv64"), "it has no tool linux/riscv64, only tool 1.0 linux/amd64; add it"),
    (("tool", "amd64", "9.9"), "it has no tool 9.9 linux/amd64, only tool 1.0 linux/amd64"),
    (("unknown", "amd64"), "it has no unknown linux/amd64, only other 1.0 linux/amd64, tool 1.0 linux/amd64"),
])
def test_what_is_missing_is_told_with_what_is_there(bundle, wanted, message):
    path = bundle(artifact(), artifact(name="other"))
    with pytest.raises(AnsibleFilterError) as caught:
        bundle_artifact(path, *wanted)
    assert f"bundle = {path}: {message}" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("broken, message", [
    (artifact(file="missing.tgz"), "is missing; copy the bundle again"),
    (artifact(file="../secret"), "is outside the bundle"),
    (artifact(file="/etc/passwd"), "is outside the bundle"),
    (artifact(file="link"), "is outside the bundle"),
    (artifact(sha256="abc"), "its lock.json cannot be used: .*has 'abc' where a SHA-256 belongs; create the bundle again"),
    ({"name": "tool"}, "lacks one of name, version"),
    ("tool", "lacks one of"),
])
def test_artifacts_that_cannot_be_used(bundle, broken, message):
    path = bundle(broken)
    os.symlink("/etc/passwd", os.path.join(path, "link"))
    with pytest.raises(AnsibleFilterError, match=message):
        bundle_artifact(path, "tool", "amd64")


@pytest.mark.parametrize("text, message", [
    ("{", "its lock.json cannot be used: not JSON"), ("[]", "not a version 1 lock file"), ('{"version": 2, "artifacts": []}', "not a version 1 lock file"),
    ('{"version": 1, "artifacts": []}', "it has no tool linux/amd64, only nothing"),
])
def test_locks_that_cannot_be_used(bundle, text, message):
    with pytest.raises(AnsibleFilterError, match=message):
        bundle_artifact(bundle(text=text), "tool", "amd64")


@pytest.mark.parametrize("path, message", [
    ("/nowhere", "bundle = /nowhere: no lock.json there on the control node"), ("bundle", "a relative path"),
    ("", "no bundle; set accelmon_bundle"),
    (None, "no bundle; set accelmon_bundle"),
])
def test_bundles_that_are_none(path, message):
    with pytest.raises(AnsibleFilterError, match=message):
        bundle_artifact(path, "tool", "amd64")
