# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which programs a host could not get. Stubbed: the package manager, whose answers are in tests/fixtures/apt_cache; servers are real, on loopback."""
import http.server
import pathlib
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.detect import obtainable

FIXTURES = pathlib.Path(__file__).resolve().parents[4] / "fixtures" / "apt_cache"
PACKAGES = {"datacenter-gpu-manager-4-core": "4.6.0", "datacenter-gpu-manager-exporter": "4.8.3"}
DCGM = {"role": "dcgm_exporter", "vendors": ["nvidia"], "packages": PACKAGES, "urls": {}}
ALL_SMI = {"role": "all_smi", "vendors": ["nvidia", "amd", "intel_gaudi"], "packages": {}, "urls": {"amd64": "http://a/amd64", "arm64": "http://a/arm64"}}
TEXTFILE = {"role": "textfile_collector", "vendors": ["nvidia", "amd"], "packages": {}, "urls": {}}
ALL = [DCGM, ALL_SMI, TEXTFILE]


def apt(name):
    """A package manager that prints a fixture."""
    return lambda argv: (FIXTURES / (name + ".txt")).read_text() if argv[0] == "apt-cache" else None


def lacking(tmp_path, fixture, vendors=("nvidia",), exporters=(), sources=None, architecture="amd64", called=None):
    """The answer, where servers answer if `called` is a list, which gets their addresses."""
    def call(url):
        if called is None:
            return False
        called.append(url)
        return True
    return obtainable.lacking(sources or ALL, list(vendors), list(exporters), architecture, str(tmp_path), apt(fixture), call)


def test_versions_are_read_as_apt_cache_prints_them():
    assert obtainable.parse_policy((FIXTURES / "plain.txt").read_text()) == {
        "podman": ("4.3.1", ["4.3.1"]), "bash": ("5.2.15", ["5.2.15"]), "python3-apt": ("2.6.0", ["2.6.0"])}
    assert obtainable.parse_policy((FIXTURES / "cuda.txt").read_text()) == {
        "datacenter-gpu-manager-4-core": ("", ["4.7.0", "4.6.0"]), "datacenter-gpu-manager-exporter": ("", ["4.8.3"])}
    # What was removed and left its configuration is neither here nor to be had.
    assert obtainable.parse_policy((FIXTURES / "left_over.txt").read_text()) == {
        "datacenter-gpu-manager-4-core": ("4.6.0", []), "datacenter-gpu-manager-exporter": ("", [])}


@pytest.mark.parametrize("fixture, answer", [
    ("plain", {"dcgm_exporter": "package", "all_smi": "address"}),
    ("left_over", {"dcgm_exporter": "package", "all_smi": "address"}),
    ("cuda", {"all_smi": "address"}),
])
def test_a_host_without_a_network_says_what_it_lacks(tmp_path, fixture, answer):
    assert lacking(tmp_path, fixture) == answer


def test_a_release_that_answers_is_to_be_had(tmp_path):
    called = []
    assert lacking(tmp_path, "plain", called=called, architecture="arm64") == {"dcgm_exporter": "package"}
    assert called == ["http://a/arm64"]
    assert lacking(tmp_path, "plain", called=called, architecture="riscv64") == {"dcgm_exporter": "package", "all_smi": "address"}


def test_an_exporter_that_is_there_is_not_asked_about(tmp_path):
    """Its repository may be gone, or the lists be missing at that moment: it stays."""
    assert "dcgm_exporter" not in lacking(tmp_path, "plain", exporters=["dcgm_exporter", "node_exporter"])


@pytest.mark.parametrize("exporters", [["all_smi"], ["textfile_collector"], ["dcgm_exporter"], ["node_exporter", "textfile_collector"]])
def test_a_host_whose_devices_are_read_calls_nobody(tmp_path, exporters):
    called = []
    lacking(tmp_path, "cuda", exporters=exporters, called=called)
    assert called == []


def test_a_host_without_devices_asks_nothing(tmp_path):
    def never(*arguments):
        raise AssertionError(arguments)
    assert obtainable.lacking(ALL, [], [], "amd64", str(tmp_path), never, never) == {}
    assert obtainable.lacking([DCGM, TEXTFILE], ["amd"], [], "amd64", str(tmp_path), never, never) == {}


def test_packages_of_another_version_are_ours_to_change_only_if_we_brought_them(tmp_path):
    other = [dict(DCGM, packages=dict(PACKAGES, bash="9.9"))]

    def ask(argv):
        return (FIXTURES / "plain.txt").read_text() + (FIXTURES / "cuda.txt").read_text()

    def answer():
        return obtainable.lacking(other, ["nvidia"], [], "amd64", str(tmp_path), ask, lambda url: False)
    assert answer() == {"dcgm_exporter": "version"}
    (tmp_path / "var/lib/accelmon/packages").mkdir(parents=True)
    (tmp_path / "var/lib/accelmon/packages/dcgm_exporter.json").write_text("[]")
    assert answer() == {"dcgm_exporter": "package"}


def test_dnf_is_asked_where_there_is_no_apt(tmp_path):
    asked = []

    def ask(argv):
        asked.append(argv)
        return "datacenter-gpu-manager-4-core 4.6.0\n\ndatacenter-gpu-manager-exporter 4.8.3\n" if argv[0] == "dnf" else None
    assert obtainable.lacking([DCGM], ["nvidia"], [], "amd64", str(tmp_path), ask, None) == {}
    assert "--cacheonly" in asked[1]
    assert obtainable.lacking([DCGM], ["nvidia"], [], "amd64", str(tmp_path), lambda argv: None, None) == {"dcgm_exporter": "package"}


@pytest.mark.parametrize("installed, available, answer", [
    # Someone else's DCGM stays as it is, as on a host with apt.
    ("4.5.3", "4.6.0", {"dcgm_exporter": "version"}),
    ("4.6.0", "", {}),
    ("", "4.5.3", {"dcgm_exporter": "package"}),
])
def test_a_host_with_rpm_says_what_is_installed(tmp_path, installed, available, answer):
    one = dict(DCGM, packages={"datacenter-gpu-manager-4-core": "4.6.0"})
    said = {"dnf": available, "rpm": installed}

    def ask(argv):
        return f"datacenter-gpu-manager-4-core {said[argv[0]]}\n" if said.get(argv[0]) else None
    assert obtainable.lacking([one], ["nvidia"], [], "amd64", str(tmp_path), ask, None) == answer


def test_a_tool_that_fails_or_hangs_is_one_that_knows_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(obtainable, "TOOL", 0.2)
    assert obtainable.run(["/nonexistent/apt-cache"]) is None
    assert obtainable.run(["false"]) is None
    assert obtainable.run(["sleep", "5"]) is None
    assert obtainable.run(["sh", "-c", "echo $LC_ALL"]) == "C\n"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_HEAD(self):
        self.send_response(int(self.path[1:4]))
        if self.path.startswith("/302"):
            self.send_header("Location", self.path[4:])
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield "http://127.0.0.1:%d" % one.server_port
        one.shutdown()


@pytest.mark.parametrize("path, there", [("/200", True), ("/302/200", True), ("/302/404", False), ("/403", True), ("/405", True), ("/404", False)])
def test_what_a_server_answers(server, path, there):
    assert obtainable.answers(server + path) is there


def test_no_server_is_no_answer():
    assert obtainable.answers("http://127.0.0.1:9/") is False
    assert obtainable.answers("https://name.invalid/") is False
    assert obtainable.answers("nothing") is False
