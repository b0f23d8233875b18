"""Who listens where.

Stubbed: the texts of /proc/net/tcp and of cgroups are written here in the kernel's format, and what docker and podman keep on disk in theirs;
one test uses this machine's real /proc and a real socket.
"""

import json
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
        assert ports.owner(inodes, port)["pid"] == os.getpid()
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


DOCKER, OTHER, PODMAN = "3f" * 32, "4a" * 32, "5b" * 32


@pytest.fixture
def containers(tmp_path):
    """A host on which docker runs two containers, one of which publishes port 9400, and podman one."""
    for number, name, bound in ((DOCKER, "docker.node-exporter.service", {"9100/tcp": None}),
                                (OTHER, "docker.dcgm-exporter.service", {"9400/tcp": [{"HostIp": "0.0.0.0", "HostPort": "9400"}]})):
        folder = tmp_path / "var/lib/docker/containers" / number
        folder.mkdir(parents=True)
        (folder / "config.v2.json").write_text(json.dumps({"Name": f"/{name}", "State": {"Running": True}, "NetworkSettings": {"Ports": bound}}))
    podman = tmp_path / "var/lib/containers/storage/overlay-containers"
    podman.mkdir(parents=True)
    (podman / "containers.json").write_text(json.dumps([{"id": PODMAN, "names": ["site-exporter"]}]))
    return tmp_path


def process(root, program, cgroup, *argv, keeper=()):
    """The owner of a socket, a process of this host; keeper: arguments of the process that started it."""
    folder = root / "proc" / "7"
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to("socket:[111]")
    (folder / "comm").write_text(program[:15] + "\n")
    (folder / "cgroup").write_text(cgroup + "\n")
    (folder / "cmdline").write_text("".join(word + "\0" for word in argv))
    (folder / "status").write_text("Name:\tx\nPPid:\t6\n")
    (root / "proc" / "6").mkdir()
    (root / "proc" / "6" / "cmdline").write_text("".join(word + "\0" for word in keeper))
    return root


@pytest.mark.parametrize("program,cgroup,argv,port,told", [
    ("node_exporter", f"0::/system.slice/docker-{DOCKER}.scope", [], 9100, "container docker.node-exporter.service (pid 7, node_exporter)"),
    ("node_exporter", f"0::/docker/{DOCKER}", [], 9100, "container docker.node-exporter.service (pid 7, node_exporter)"),
    ("docker-proxy", "0::/system.slice/docker.service", ["/usr/bin/docker-proxy"], 9400, "container docker.dcgm-exporter.service (pid 7, docker-proxy)"),
    ("docker-proxy", "0::/system.slice/docker.service", ["docker-proxy"], 9401, "docker.service (pid 7, docker-proxy)"),
    ("node_exporter", f"0::/machine.slice/libpod-{PODMAN}.scope/container", [], 9100, "container site-exporter (pid 7, node_exporter)"),
    ("conmon", "0::/", ["/usr/bin/conmon", "-c", PODMAN], 9100, "container site-exporter (pid 7, conmon)"),
    ("node_exporter", f"0::/system.slice/docker-{'6c' * 32}.scope", [], 9100, f"docker-{'6c' * 32}.scope (pid 7, node_exporter)"),
    ("prometheus-node-exporter", "0::/x", ["/usr/bin/prometheus-node-exporter"], 9100, "pid 7, prometheus-node-exporter"),
    ("prometheus-node", "0::/x", ["/opt/x"], 9100, "pid 7, prometheus-node"),
    ("prometheus-node", "0::/x", ["prometheus-node; rm"], 9100, "pid 7, prometheus-node"),
])
def test_the_container_of_a_port(containers, program, cgroup, argv, port, told):
    root = process(containers, program, cgroup, *argv)
    assert ports.describe(ports.owner(["111"], port, str(root / "proc"), str(root))) == told


@pytest.mark.parametrize("keeper,told", [
    (["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", DOCKER], "container docker.node-exporter.service (pid 7, node_exporter)"),
    (["/usr/bin/sh", "-c", DOCKER], "containerd.service (pid 7, node_exporter)"),
    ([], "containerd.service (pid 7, node_exporter)"),
])
def test_a_container_without_a_cgroup_of_its_own(containers, keeper, told):
    """As docker 20.10 in the lab has it."""
    root = process(containers, "node_exporter", "0::/system.slice/containerd.service", "/bin/node_exporter", keeper=keeper)
    assert ports.describe(ports.owner(["111"], 9100, str(root / "proc"), str(root))) == told


def test_docker_may_keep_its_containers_elsewhere(containers):
    (containers / "raid").mkdir()
    (containers / "var/lib/docker").rename(containers / "raid/docker")
    (containers / "etc/docker").mkdir(parents=True)
    (containers / "etc/docker/daemon.json").write_text('{"data-root": "/raid/docker"}')
    root = process(containers, "docker-proxy", "0::/system.slice/docker.service", "docker-proxy")
    assert ports.owner(["111"], 9400, str(root / "proc"), str(root))["container"] == "docker.dcgm-exporter.service"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Name": 7, "NetworkSettings": 7}', '{"NetworkSettings": {"Ports": {"9400/tcp": [7]}}}'])
def test_what_docker_does_not_say_is_left_out(containers, text):
    for number in (DOCKER, OTHER):
        (containers / "var/lib/docker/containers" / number / "config.v2.json").write_text(text)
    (containers / "etc").mkdir()
    root = process(containers, "docker-proxy", "0::/system.slice/docker.service", "docker-proxy")
    assert "container" not in ports.owner(["111"], 9400, str(root / "proc"), str(root))


def test_describe():
    assert ports.describe({"pid": 7, "program": "x", "unit": "x.service"}) == "x.service (pid 7, x)"
    assert ports.describe({"pid": 7, "program": "x"}) == "pid 7, x"
    assert "is not visible from here" in ports.describe(None)


KEEP = "set node_exporter_managed to adopt or external to keep and scrape it, %s to replace it, or choose another node_exporter_port"


@pytest.mark.parametrize("found,role,fix", [
    ({"unit": "node_exporter.service"}, "node_exporter", KEEP % "stop and disable node_exporter.service"),
    ({"unit": "site.service", "program": "prometheus-node-exporter"}, "node_exporter", KEEP % "stop and disable site.service"),
    ({"unit": "docker-1a.scope", "container": "docker.node-exporter.service"}, "node_exporter", KEEP % "stop and disable docker.node-exporter.service"),
    ({"unit": "docker-1a.scope", "program": "node_exporter"}, "node_exporter", KEEP % "stop that container"),
    ({"program": "node_exporter"}, "node_exporter", KEEP % "stop that process"),
    ({"unit": "ssh.service", "program": "sshd"}, "node_exporter", "stop and disable ssh.service, or choose another node_exporter_port"),
    ({"unit": "session-3.scope"}, "node_exporter", "stop that process, or choose another node_exporter_port"),
    ({"unit": "containerd.service"}, "node_exporter", "stop that container, or choose another node_exporter_port"),
    ({"unit": "docker.service", "program": "docker-proxy"}, "node_exporter", "stop that container, or choose another node_exporter_port"),
    ({"unit": "postgres-exporter.service"}, "node_exporter", "stop and disable postgres-exporter.service, or choose another node_exporter_port"),
    ({"unit": "node_exporter.service"}, "", "stop and disable node_exporter.service, or choose another node_exporter_port"),
    (None, "node_exporter", "stop that process, or choose another node_exporter_port"),
])
def test_what_to_do_about_it(found, role, fix):
    told = ports.describe(dict({"pid": 7, "program": "x"}, **found) if found else None)
    assert ports.remedy("node_exporter_port", told, found, role) == fix


def test_a_unit_of_amds_is_known_as_an_exporter_by_the_words_of_its_name():
    assert "amd_exporter_managed" in ports.remedy("amd_exporter_port", "amd-metrics-exporter.service (pid 7, x)", {}, "amd_exporter")
