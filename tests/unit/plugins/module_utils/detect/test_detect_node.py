# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself. fib_trie and if_inet6 have the layout of Linux 6; their addresses are invented."""
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
    host("sys/fs/selinux/enforce", "1")
    found = node.describe(host.root)
    assert found.pop("architecture") and found.pop("python_version").count(".") == 2
    assert found == {"distribution": "debian", "distribution_version": "12", "systemd": True, "access": True, "selinux": "enforcing",
                     "addresses": ["9.1.2.3", "10.0.0.5", "2001:db8::5", "fd00::2"]}


def test_a_bare_host(host):
    found = node.describe(host.root)
    assert sorted(found) == ["access", "addresses", "architecture", "python_version", "systemd"]
    assert found["addresses"] == [] and found["systemd"] is False and found["access"] is False


@pytest.mark.parametrize("text, wanted", [("0", "permissive"), ("1\n", "enforcing"), ("", None), (b"\xff", None), ("2", None)])
def test_selinux(host, text, wanted):
    host("sys/fs/selinux/enforce", text)
    assert node.describe(host.root).get("selinux") == wanted


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
