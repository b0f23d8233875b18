"""What a host tells of itself before an installation.

Stubbed: the host's file system, a temporary folder with files in the kernel's and the distributions' shapes (guessed where a test
breaks them on purpose). Ports are this machine's own, with a real socket.
"""

import os
import socket

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import preflight

MOUNTS = """/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /opt tmpfs rw,nosuid,noexec 0 0
/dev/sdb /var/lib/my\\040data xfs ro,relatime 0 0
/dev/sdc /optional ext4 rw 0 0
"""


def put(root, path, text=""):
    """Write a file below the root."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


@pytest.mark.parametrize("path,point", [
    ("/opt/accelmon", "/opt"), ("/opt", "/opt"), ("/optional/x", "/optional"), ("/etc/accelmon", "/"), ("/var/lib/my data/x", "/var/lib/my data")])
def test_the_mount_that_a_path_is_on(path, point):
    assert preflight.mount_of(path, preflight.mounts(MOUNTS))[0] == point


def test_the_last_of_several_mounts_on_one_place_counts():
    table = preflight.mounts("a /opt ext4 rw 0 0\nb /opt tmpfs ro 0 0\n")
    assert preflight.mount_of("/opt/x", table) == ("/opt", ["ro"], "tmpfs")


@pytest.mark.parametrize("text", ["", "\n", "one\n", "a b\n", "\\400 x"])
def test_broken_mount_tables(text):
    assert preflight.mount_of("/opt", preflight.mounts(text)) is None


def test_a_folder_that_is_not_there_has_the_room_of_the_one_above(tmp_path):
    free, inodes = preflight.space("/opt/accelmon/deep", str(tmp_path))
    assert 0 < free <= os.statvfs(str(tmp_path)).f_blocks * os.statvfs(str(tmp_path)).f_frsize
    assert inodes is None or inodes > 0
    assert preflight.space("/opt", str(tmp_path / "no" / "such")) is None


@pytest.mark.parametrize("path,version", [
    ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252), ("usr/lib/systemd/libsystemd-shared-239.so", 239),
    ("usr/lib64/systemd/libsystemd-core-257.13-1.so", 257), ("lib/systemd/libsystemd-shared-249.so", 249),
    ("usr/lib/systemd/libsystemd-shared-.so", None), ("usr/lib/systemd/other-300.so", None)])
def test_systemd_tells_its_version_by_its_library(tmp_path, path, version):
    put(tmp_path, path)
    assert preflight.systemd_version(str(tmp_path)) == version


@pytest.mark.parametrize("path,text,running", [
    ("proc/77/comm", "fapolicyd\n", True), ("proc/77/comm", "other\n", False), ("proc/77/comm", "", False), ("proc/self/comm", "fapolicyd\n", False),
    ("run/fapolicyd/fapolicyd.fifo", "", True)])
def test_fapolicyd(tmp_path, path, text, running):
    put(tmp_path, path, text)
    assert preflight.fapolicyd(str(tmp_path)) is running


def test_programs_count_when_they_can_be_run(tmp_path):
    put(tmp_path, "usr/bin/openssl").chmod(0o755)
    put(tmp_path, "usr/bin/perl").chmod(0o644)
    assert preflight.look([], [], ["openssl", "perl", "none"], str(tmp_path))["missing"] == ["perl", "none"]


def test_a_port_and_who_has_it():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        found = preflight.taken([{"address": "", "port": port, "variable": "x_port", "unit": "accelmon-x.service"}])
        assert [entry["port"] for entry in found] == [port] and "pid %d" % os.getpid() in found[0]["owner"]
        assert preflight.taken([{"address": "127.0.0.2", "port": port, "variable": "x_port", "unit": "u"}]) == []
        if "unit" in found[0]:
            assert preflight.taken([{"address": "", "port": port, "variable": "x_port", "unit": found[0]["unit"]}]) == []


@pytest.mark.parametrize("owner,ours", [
    ({"unit": "accelmon-x.service"}, True), ({"unit": "docker-1a.scope", "container": "accelmon-x"}, True),
    ({"unit": "docker-1a.scope", "container": "x"}, False), ({}, False),
])
def test_a_container_of_ours_is_ours(owner, ours):
    assert preflight.is_ours("accelmon-x.service", owner) is ours


def test_a_host_that_tells_nothing(tmp_path):
    found = preflight.look([], ["/opt/accelmon"], [], str(tmp_path))
    for key in ("free_bytes", "free_inodes"):
        found["paths"]["/opt/accelmon"].pop(key, None)
    assert found == {"ports": [], "paths": {"/opt/accelmon": {}}, "fapolicyd": False, "systemd_running": False, "slurmd": False,
                     "slurm_hooks": False, "missing": []}


def test_everything_of_a_host(tmp_path):
    put(tmp_path, "proc/self/mounts", MOUNTS)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    put(tmp_path, "usr/lib/systemd/libsystemd-shared-252.so")
    put(tmp_path, "sys/fs/cgroup/system.slice/slurmd.service/cgroup.procs", "7\n")
    put(tmp_path, preflight.HOOKS)
    found = preflight.look([], ["/opt/accelmon"], [], str(tmp_path))
    assert found["systemd_running"] and found["systemd_version"] == 252 and found["slurmd"] and found["slurm_hooks"]
    assert found["paths"]["/opt/accelmon"]["mount"] == "/opt" and found["paths"]["/opt/accelmon"]["options"] == ["nosuid", "noexec"]


@pytest.mark.parametrize("listen,owner,ours", [
    ("9401", {"pid": 1, "program": "systemd"}, True), ("10.0.0.7:9401", {"pid": 1, "program": "systemd"}, True),
    ("[fd00::1]:9401", {"pid": 1, "program": "x"}, True),
    ("9402", {"pid": 1, "program": "systemd"}, False), (None, {"pid": 1, "program": "systemd"}, False), ("9401", {"pid": 7, "program": "x"}, False),
    (None, {"pid": 7, "program": "x", "unit": "accelmon-all-smi-front.service"}, True), (None, {"pid": 7, "program": "x", "unit": "other.service"}, False),
])
def test_a_port_that_systemd_opened_for_us_is_not_taken(tmp_path, listen, owner, ours):
    if listen:
        (tmp_path / "accelmon-all-smi-front.socket").write_text(f"[Socket]\nListenStream={listen}\nFreeBind=yes\n")
    assert preflight.stands_before("accelmon-all-smi.service", 9401, owner, str(tmp_path)) is ours
