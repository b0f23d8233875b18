# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself. fib_trie and if_inet6 have the layout of Linux 6; their addresses are invented."""
import json
import os
import pathlib
import pytest

from ansible_collections.accelmon.fleet.plugins.module_utils.detect import node, pci

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.5
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /32 link BROADCAST
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 169.254.7.8
        /32 host LOCAL
     |-- 9.1.2.3
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 5
        |-- 10.0.0.5
           /32 host LOCAL
"""
IF_INET6 = """00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000005 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
fd000000000000000000000000000002 02 40 00 80     eth0
nonsense
"""


@pytest.fixture
def host(tmp_path):
    def put(path, text):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
    put.root = str(tmp_path)
    return put


def test_a_whole_host(host):
    host("proc/net/fib_trie", FIB_TRIE)
    host("proc/net/if_inet6", IF_INET6)
    host("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\nHOME_URL="x"\n')
    host("run/systemd/system/x", "")
    host("etc/accelmon/web/exporter.yml", "")
    found = node.describe(host.root)
    assert found.pop("architecture") and found.pop("python_version").count(".") == 2
    assert found == {"distribution": "debian", "distribution_version": "12", "systemd": True, "access": True,
                     "addresses": ["9.1.2.3", "10.0.0.5", "2001:db8::5", "fd00::2"], "container_runtimes": [], "exporters": [],
                     "hostengine": False}


def test_a_bare_host(host):
    found = node.describe(host.root)
    assert sorted(found) == ["access", "addresses", "architecture", "container_runtimes", "exporters", "hostengine", "python_version", "systemd"]
    assert found["addresses"] == [] and found["systemd"] is False and found["access"] is False


@pytest.mark.parametrize("path, data, wanted", [
    ("lib/x86_64-linux-gnu/libc.so.6", b"\x7fELF" + b"\0" * 3000 + b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n",
     {"name": "glibc", "version": "2.36"}),
    ("usr/lib64/libc.so.6", b"\x7fELF\0GNU C Library (GNU libc) stable release version 2.34.\n", {"name": "glibc", "version": "2.34"}),
    ("lib64/libc.so.6", b"\x7fELF\0nothing of a version", {"name": "glibc"}),
    ("lib/ld-musl-x86_64.so.1", b"\x7fELF", {"name": "musl"}),
    ("lib/other", b"", None)])
def test_libc(host, monkeypatch, path, data, wanted):
    """Made up: the announcement is what libc.so.6 prints when it is run."""
    monkeypatch.setattr(node.platform, "machine", lambda: "x86_64")
    host(path, data)
    assert node.describe(host.root).get("libc") == wanted


def test_version_of_musl_and_of_an_older_glibc(host, tmp_path):
    host("lib/ld-musl-x86_64.so.1", b"\x7fELF")
    host("lib/apk/db/installed", "P:busybox\nV:1.36.1-r2\n\nP:musl\nV:1.2.4-r2\nA:x86_64\n")
    assert node.libc(host.root) == {"name": "musl", "version": "1.2.4"}
    host("lib64/libc-2.28.so", b"\x7fELF")
    (tmp_path / "lib64/libc.so.6").symlink_to("libc-2.28.so")
    assert node.libc(host.root) == {"name": "glibc", "version": "2.28"}


def test_container_runtimes(host, tmp_path):
    host("usr/bin/docker", "")
    assert node.container_runtimes(host.root) == []
    (tmp_path / "usr/bin/docker").chmod(0o755)
    host("usr/bin/podman", "")
    (tmp_path / "usr/bin/podman").chmod(0o755)
    assert node.container_runtimes(host.root) == ["podman", "docker"]


def test_our_exporters_on_the_host(host):
    for name in ("accelmon-all-smi.service", "accelmon-textfile-collector.service", "accelmon-textfile-collector.timer",
                 "accelmon-all-smi.socket", "accelmon-vmagent.service", "dcgm-exporter.service"):
        host(f"etc/systemd/system/{name}", "")
    assert node.exporters(host.root) == ["all_smi", "textfile_collector"]


def test_a_collector_that_reads_no_devices_is_told_from_one_that_does(host):
    """With the words that its role gives it."""
    host("etc/systemd/system/accelmon-textfile-collector.service", "[Service]\nExecStart=python3 -IS collector --amd-smi= --vendors=none --x=y\n")
    assert node.exporters(host.root) == ["kernel_log"]
    role = (pathlib.Path(__file__).resolve().parents[5] / "roles/textfile_collector/vars/main.yml").read_text(encoding="utf-8")
    assert "'--vendors=' ~ _textfile_collector_vendors" in role


def test_hostengine(host):
    assert node.hostengine(host.root) is False
    host("sys/fs/cgroup/system.slice/nvidia-dcgm.service/cgroup.procs", "7\n")
    assert node.hostengine(host.root) is True


def test_hostengine_by_the_link_of_an_active_unit(host):
    host("run/systemd/units/other", "")
    assert node.hostengine(host.root) is False
    os.symlink("ce96d15aabd84e9fa7e9de620f45de2a", os.path.join(host.root, "run/systemd/units/invocation:nvidia-dcgm.service"))
    assert node.hostengine(host.root) is True


def test_a_mac(host, monkeypatch):
    class Names:
        sysname, machine = "Darwin", "arm64"

    monkeypatch.setattr(node.os, "uname", Names)
    monkeypatch.setattr(node.platform, "mac_ver", lambda: ("14.5", ("", "", ""), "arm64"))
    found = node.describe(host.root)
    assert (found["distribution"], found["distribution_version"], found["architecture"]) == ("macos", "14.5", "arm64")
    assert found["addresses"] == [] and found["systemd"] is False


@pytest.mark.parametrize("text, wanted", [
    ("ID='rocky'\nVERSION_ID='9.4'\n", ("rocky", "9.4")), ("ID=debian\n", ("debian", None)), ("ID=\nVERSION_ID=\"\"\n", (None, None)),
    (b"\xff\xfe\x00", (None, None)), ("# ID=comment\n ID=indented\n", (None, None))])
def test_os_release(host, text, wanted):
    host("usr/lib/os-release", text)
    found = node.describe(host.root)
    assert (found.get("distribution"), found.get("distribution_version")) == wanted


def test_garbage_in_place_of_addresses(host):
    host("proc/net/fib_trie", b"\xff |--\n   |-- not.an.address\n /32 host LOCAL\n/32 host LOCAL\n")
    host("proc/net/if_inet6", b"\xff\xfe" * 100)
    assert node.describe(host.root)["addresses"] == []


@pytest.mark.parametrize("machine, wanted", [("x86_64", "amd64"), ("aarch64", "arm64"), ("ppc64le", "ppc64le"), ("riscv64", "riscv64"),
                                             ("armv7l", "arm"), ("i686", "386"), ("loongarch64", "loong64")])
def test_architecture(machine, wanted):
    assert node.architecture(machine) == wanted


@pytest.mark.parametrize("value, wanted", [
    ("00000000:1B:00.0", "0000:1b:00.0"), ("0000:1b:00.0", "0000:1b:00.0"), ("1b:00.0", "0000:1b:00.0"), ("10000:01:00.0", "10000:01:00.0"),
    ("00010000:01:1F.7", "10000:01:1f.7"), (" 0000:01:00.0\n", "0000:01:00.0"), ("0000:01:20.0", None), ("0000:01:00.8", None),
    ("", None), ("N/A", None), ("0000:01:00.0x", None), ("123456789:01:00.0", None)])
def test_normal_address(value, wanted):
    assert pci.normal_address(value) == wanted


def test_a_controller_with_nothing_but_a_password_of_its_own_has_access(tmp_path):
    (tmp_path / "etc/accelmon/secrets").mkdir(parents=True)
    assert node.describe(str(tmp_path))["access"] is False
    (tmp_path / "etc/accelmon/secrets/drain_password").write_text("x")
    assert node.describe(str(tmp_path))["access"] is True


DPKG = """Package: prometheus
Status: deinstall ok config-files
Version: 2.42.0+ds-5

Package: victoria-metrics
Status: install ok installed
Priority: optional
Description: fast
 and scalable
Version: 1.112.0+ds-1

Package: prometheus-alertmanager
Status: install ok installed
Version: 1:0.28.1+ds-2
"""


def test_versions_of_the_stack_s_programs(host):
    host("var/lib/dpkg/status", DPKG)
    assert "programs" not in node.describe(host.root), "packages that no unit of ours runs"
    for role in ("vmagent", "vmalert", "alertmanager", "prometheus"):
        host("etc/systemd/system/accelmon-%s.service" % role, "[Service]\nExecStart=/usr/bin/%s\n" % role)
    host("etc/systemd/system/accelmon-victoriametrics.service", "[Service]\nExecStart=/opt/accelmon/victoriametrics/current/bin/victoria-metrics\n")
    host("opt/accelmon/victoriametrics/1.151.0-0123456789ab/.accelmon-release.json", '{"version": 1, "sha256": "%s"}' % ("a" * 64))
    os.symlink("1.151.0-0123456789ab", os.path.join(host.root, "opt/accelmon/victoriametrics/current"))
    host("etc/systemd/system/accelmon-all-smi.service", "[Service]\nExecStart=/opt/accelmon/all_smi/current/bin/all-smi\n")
    host("etc/systemd/system/accelmon-node-exporter.service", "[Service]\nExecStart=/usr/bin/prometheus-node-exporter\n")
    host("etc/systemd/system/accelmon-grafana.service", "[Service]\nExecStart=/usr/bin/podman run --rm x\n")
    package = {"version": "1.112.0", "source": "package"}
    assert node.describe(host.root)["programs"] == {
        "victoriametrics": {"version": "1.151.0", "source": "release", "sha256": "a" * 64}, "vmagent": package, "vmalert": package,
        "alertmanager": {"version": "0.28.1", "source": "package"}, "prometheus": {"source": "package"},
        "node_exporter": {"source": "package"}, "all_smi": {"source": "release"},
        "grafana": {"source": "container"}}


def test_what_a_killed_upgrade_has_not_compared_is_told_with_what_was_before(host):
    host("etc/systemd/system/accelmon-vmagent.service", "[Service]\nExecStart=/opt/accelmon/vmagent/current/bin/vmagent\n")
    host("opt/accelmon/vmagent/1.151.0-0123456789ab/.accelmon-release.json", '{"version": 1, "sha256": "%s"}' % ("a" * 64))
    os.symlink("1.151.0-0123456789ab", os.path.join(host.root, "opt/accelmon/vmagent/current"))
    now = {"source": "release", "version": "1.151.0", "sha256": "a" * 64}
    for before, told in (({"source": "package", "version": "1.112.0"}, True), (dict(now, version="1.150.0"), True), (now, False)):
        note = json.dumps({"at": 7, "programs": {"vmagent": before, "vmalert": before}, "seen": {}, "backup": ""})
        host("var/lib/accelmon/upgrade_vmutils.json", note)
        assert node.describe(host.root)["programs"] == {"vmagent": dict(now, before=dict(before, at=7)) if told else now}
    for note in ("", "{", "[]", '{"programs": {"vmagent": 1}, "at": 7}', '{"programs": {"vmagent": {}}}'):
        host("var/lib/accelmon/upgrade_vmutils.json", note)
        assert node.describe(host.root)["programs"] == {"vmagent": now}


def test_the_program_that_runs_is_told_and_not_the_one_that_a_killed_run_has_put_there(host):
    """What runs is the release before, or the package where there was none; once the service is started again, or does not run, it is the new one."""
    host("var/lib/dpkg/status", DPKG)
    home = os.path.join(host.root, "opt/accelmon/vmagent")
    host("etc/systemd/system/accelmon-vmagent.service", "[Service]\nExecStart=/opt/accelmon/vmagent/current/bin/vmagent\n")
    started = os.path.join(host.root, "run/systemd/units/invocation:accelmon-vmagent.service")
    os.makedirs(os.path.dirname(started))
    os.makedirs(home)
    for link, target, at in ((started, "0f" * 16, 1000), (home + "/current", "1.151.0-0123456789ab", 2000)):
        os.symlink(target, link)
        os.utime(link, (at, at), follow_symlinks=False)

    def told():
        return node.describe(host.root)["programs"]["vmagent"]
    assert told() == {"source": "package", "version": "1.112.0"}
    os.symlink("1.150.0-0123456789ab", home + "/previous")
    assert told() == {"source": "release", "version": "1.150.0"}
    for at in (2000, 3000):
        os.utime(started, (at, at), follow_symlinks=False)
        assert told() == {"source": "release", "version": "1.151.0"}
    os.unlink(started)
    assert told() == {"source": "release", "version": "1.151.0"}
