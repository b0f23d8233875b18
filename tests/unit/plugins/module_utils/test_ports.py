"""Who listens where.

Stubbed: the texts of /proc/net/tcp and of cgroups are written here in the kernel's format; the ownership test uses this
machine's real /proc and a real socket.
"""

import os
import socket

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import ports

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:238C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:238C 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000000000000000000001000000:2382 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 444 1 0
"""


def test_parse_listeners():
    assert ports.parse_listeners(TCP) == [("127.0.0.1", 9090, "111"), ("0.0.0.0", 9100, "222")]
    assert ports.parse_listeners(TCP6) == [("::1", 9090, "444")]


@pytest.mark.parametrize("text", ["", "header only\n", "header\ngarbage\n"])
def test_parse_listeners_of_nothing(text):
    assert ports.parse_listeners(text) == []


@pytest.mark.parametrize("address,port,expected", [
    ("10.0.0.5", 9100, ["222"]),     # somebody has every address
    ("", 9090, ["111", "444"]),      # we want every address
    ("10.0.0.5", 9090, []),          # others have only loopback
    ("127.0.0.1", 9090, ["111"]),
    ("127.0.0.1", 9091, []),
])
def test_conflicts(address, port, expected):
    sockets = ports.parse_listeners(TCP) + ports.parse_listeners(TCP6)
    assert ports.conflicts(sockets, address, port) == expected


def test_the_owner_of_a_real_socket_is_this_process():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        inodes = ports.conflicts(ports.listeners(), "127.0.0.1", port)
        assert inodes and ports.holds(os.getpid(), inodes)
        assert ports.owner(inodes)["pid"] == os.getpid()
        assert not ports.holds(1, inodes)
    assert ports.conflicts(ports.listeners(), "127.0.0.1", port) == []


@pytest.mark.parametrize("text,unit", [
    ("0::/system.slice/prometheus-node-exporter.service\n", "prometheus-node-exporter.service"),
    ("12:cpu:/\n1:name=systemd:/machine.slice/libpod-1.scope/system.slice/x.service\n", "x.service"),
    ("0::/user.slice/user-0.slice/user@0.service/app.slice/run-1.scope\n", "run-1.scope"),
    ("0::/system.slice/docker-0a1b.scope\n", "docker-0a1b.scope"),
    ("0::/\n", None),
])
def test_unit_of(tmp_path, text, unit):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(text)
    assert ports.unit_of(7, str(tmp_path)) == unit


def test_describe():
    assert ports.describe({"pid": 7, "program": "x", "unit": "x.service"}) == "x.service (pid 7, x)"
    assert ports.describe({"pid": 7, "program": "x"}) == "pid 7, x"
    assert "is not visible from here" in ports.describe(None)
