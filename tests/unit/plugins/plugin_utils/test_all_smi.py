"""Which build of all-smi a host gets. Nothing is stubbed."""

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import all_smi_build
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import all_smi, releases

NEW, OLD, MUSL = {"name": "glibc", "version": "2.36"}, {"name": "glibc", "version": "2.28"}, {"name": "musl", "version": "1.2.4"}


def facts(libc, *vendors, distribution="debian"):
    return {"accelmon_node": {"architecture": "amd64", "distribution": distribution, **({"libc": libc} if libc else {})},
            "accelerators": {"summary": {vendor: {"count": 8} for vendor in vendors}}}


def build(libc, *vendors, version="0.28.1", source="release", distribution="debian", **more):
    return all_smi_build({"version": version, "url": "", "sha256": {"amd64": "d" * 64}}, source, facts(libc, *vendors, distribution=distribution), **more)


@pytest.mark.parametrize("libc,vendors,variant", [
    (NEW, ("nvidia",), ""), (NEW, ("amd",), ""), ({"name": "glibc", "version": "2.35"}, ("amd",), ""), (OLD, ("nvidia",), "musl"), (MUSL, (), "musl"),
    ({}, ("amd",), ""), ({"name": "glibc"}, (), ""), ({"name": "glibc", "version": "2.9"}, (), "musl"),
])
def test_the_build_follows_the_c_library(libc, vendors, variant):
    assert build(libc, *vendors)["artifact"]["variant"] == variant


@pytest.mark.parametrize("libc,shown", [(OLD, "glibc 2.28"), (MUSL, "musl 1.2.4")])
def test_amd_never_gets_the_static_build(libc, shown):
    with pytest.raises(AnsibleFilterError, match=f"AMD devices need the build for glibc 2.35, but this host has {shown}; set") as caught:
        build(libc, "amd")
    assert "\n" not in str(caught.value)


def test_amd_beside_others_is_left_to_another_source():
    made = build(OLD, "amd", "intel_gaudi", version="0.23.0")
    assert (made["artifact"]["variant"], made["floor"], made["programs"]) == ("musl", "0.21.0", {"all-smi": "all-smi"})


def test_a_vendor_without_devices_asks_for_nothing():
    known = facts(OLD)
    known["accelerators"]["summary"] = {"amd": {"count": 0, "driver_only": True}}
    assert all_smi_build({"version": "0.21.0", "sha256": {"amd64": "d" * 64}}, "release", known)["artifact"]["variant"] == "musl"


@pytest.mark.parametrize("version,libc,vendors,distribution,names", [
    ("0.25.0", NEW, ("nvidia",), "debian", ["libdrm2", "libdrm-amdgpu1"]), ("0.25.0", NEW, ("nvidia",), "rocky", ["libdrm"]),
    ("0.26.2", NEW, ("nvidia",), "debian", []),
    ("0.28.1", NEW, ("amd",), "ubuntu", ["libdrm2", "libdrm-amdgpu1"]), ("0.25.0", OLD, ("nvidia",), "rocky", []),
])
def test_libraries(version, libc, vendors, distribution, names):
    assert build(libc, *vendors, version=version, distribution=distribution)["libraries"] == names


@pytest.mark.parametrize("version,vendors,names", [
    ("0.28.1", ("amd", "nvidia"), ["all-smi", "liball_smi_amd.so"]), ("0.28.1", ("nvidia",), ["all-smi"]), ("0.25.0", ("amd",), ["all-smi"]),
])
def test_amd_comes_in_a_library_beside_the_program(version, vendors, names):
    assert sorted(build(NEW, *vendors, version=version)["programs"]) == names


@pytest.mark.parametrize("version,vendors,words", [
    ("0.23.0", ("amd",), "a host with amd devices needs 0.23.1 or later"), ("0.26.3", ("aws_neuron", "amd"), "aws_neuron devices needs 0.27.0"),
    ("0.20.1", ("nvidia",), "below 0.21.0 it listens on all addresses of the host without authentication"),
])
def test_a_version_that_cannot_serve_the_vendors_is_refused(version, vendors, words):
    with pytest.raises(AnsibleFilterError, match=words):
        build(NEW, *vendors, version=version)


def test_what_listens_everywhere_has_to_be_accepted_and_cannot_be_closed():
    assert build(NEW, "nvidia", version="0.20.1", accept_open="yes")["open"] is True and build(NEW)["open"] is False
    with pytest.raises(AnsibleFilterError, match="its access cannot be restricted"):
        build(NEW, version="0.20.1", accept_open=True, tls="managed")
    with pytest.raises(AnsibleFilterError, match="leaks file descriptors"):
        build(NEW, version="0.17.0", accept_open=True)
    with pytest.raises(AnsibleFilterError, match="amd devices needs 0.23.1"):
        build(NEW, "amd", version="0.20.1", accept_open=True)


def test_a_package_tells_its_version_only_when_it_is_installed():
    made = build(OLD, "amd", "nvidia", version="", source="package")
    assert (made["version"], made["libraries"], made["open"], made["floor"]) == ("", [], False, "0.23.1")


def test_its_page_has_one_path():
    with pytest.raises(AnsibleFilterError, match="all_smi_metrics_path = /x"):
        build(NEW, path="/x")


def test_a_bundle_holds_both_builds(tmp_path):
    entry = {"version": "0.28.1", "os": "linux", "architecture": "amd64", "sha256": "a" * 64}
    (tmp_path / "lock.json").write_text(json.dumps({"version": 1, "artifacts": [
        dict(entry, name="all_smi", file="a.tar.gz"), dict(entry, name="all_smi_musl", version="0.27.0", file="b.tar.gz")]}))
    for name in "ab":
        (tmp_path / f"{name}.tar.gz").write_text("x")
    assert build(NEW, version="", source="bundle", bundle=str(tmp_path))["version"] == "0.28.1"
    assert build(OLD, version="", source="bundle", bundle=str(tmp_path))["version"] == "0.27.0"


def test_the_catalogue_has_the_build_for_glibc_and_says_how_to_lock_the_other():
    empty = {"version": "", "url": "", "sha256": {}}
    found = releases.release_artifact(dict(empty, variant=""), "all_smi", "arm64")
    assert found["url"] == f"https://github.com/lablup/all-smi/releases/download/v{found['version']}/all-smi-linux-aarch64.tar.gz"
    with pytest.raises(Problem, match='accelmon.fleet.lock .*"all_smi_musl": "'):
        releases.release_artifact(dict(empty, variant="musl"), "all_smi", "amd64")
    sums = {one["name"]: one["sums"] for one in releases.wanted({}, ["amd64"])}
    assert sums["all_smi_musl"]["amd64"][1] == "all-smi-linux-x86_64-musl.tar.gz"
    assert sums["all_smi_musl"]["amd64"][0].endswith("/all-smi-linux-x86_64-musl.tar.gz.sha256")


@pytest.mark.parametrize("vendors,oldest", [((), ("0.21.0", None)), (("amd",), ("0.23.1", "amd")), (("amd", "aws_neuron", "nvidia"), ("0.27.0", "aws_neuron"))])
def test_floors(vendors, oldest):
    assert all_smi.floor(vendors) == oldest
