# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dial: real sockets on the loopback address; nothing is stubbed but where a test says so.

`a silent host` is a listening socket whose queue is full: the kernel drops further connection requests, as a firewall does.
Names under .invalid never exist (RFC 2606).
"""
import contextlib
import errno
import http.server
import socket
import threading
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import dial

LOOPBACK = "127.0.0.1"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /metrics with 200, /slow never, anything else with 500."""

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(3)
            return
        self.send_response(200 if self.path == "/metrics" else 500)
        self.end_headers()

    def log_message(self, *_args):
        """Keep the test's output clean."""


@pytest.fixture(name="web")
def _web():
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(name="refused")
def _refused():
    """A port that nothing listens on: bound, so that nobody else gets it meanwhile."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


@pytest.fixture(name="blackholes")
def _blackholes():
    """One port on four loopback addresses; the queue of connections of each is full."""
    addresses = ["127.0.0.%d" % number for number in range(2, 6)]
    port, opened = 0, []
    for address in addresses:
        listener = socket.socket()
        listener.bind((address, port))
        listener.listen(0)
        opened.append(listener)
        port = listener.getsockname()[1]
        for _number in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, port))
            opened.append(filler)
    time.sleep(0.1)
    yield addresses, port
    for item in opened:
        item.close()


@pytest.fixture(name="talker")
def _talker():
    """Gives a function that starts a server which sends these bytes to whoever connects and closes; returns its port."""
    listeners = []

    def start(data):
        listener = socket.socket()
        listener.bind((LOOPBACK, 0))
        listener.listen(5)
        listeners.append(listener)

        def serve():
            while True:
                try:
                    peer = listener.accept()[0]
                except OSError:
                    return
                peer.recv(4096)
                peer.sendall(data)
                peer.close()

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in listeners:
        # Closing alone leaves the thread in accept(), on a descriptor that the next socket may get.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_an_answer(web):
    assert dial.dial(LOOPBACK, web) == ("ok", "200")


def test_an_error_of_the_exporter(web):
    assert dial.dial(LOOPBACK, web, path="/broken") == ("http", "500")


def test_a_name_resolves_to_an_answer(web):
    assert dial.dial("localhost", web) == ("ok", "200")


def test_a_refused_port(refused):
    assert dial.dial(LOOPBACK, refused) == ("refused", "")


@pytest.mark.parametrize("name", ["gpu7.invalid", "a..b", "x" * 70])
def test_a_name_that_does_not_resolve(name):
    assert dial.dial(name, 9100)[0] == "unresolved"


def test_a_silent_host(blackholes):
    addresses, port = blackholes
    start = time.monotonic()
    assert dial.dial(addresses[0], port, timeout=0.4) == ("timeout", "")
    assert 0.3 < time.monotonic() - start < 2


def test_an_exporter_that_hangs(web):
    assert dial.dial(LOOPBACK, web, path="/slow", timeout=0.4) == ("silent", "")


@pytest.mark.parametrize("line", [b"", b"X-A: b\r\n"], ids=["a_header", "headers"])
def test_an_exporter_that_drips(line):
    """Each piece comes in time, and the whole never does."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        def serve():
            peer = listener.accept()[0]
            with contextlib.suppress(OSError), peer:
                peer.sendall(b"HTTP/1.1 200 OK\r\n" + (line or b"X: "))
                while True:
                    time.sleep(0.1)
                    peer.sendall(line or b"y")

        threading.Thread(target=serve, daemon=True).start()
        start = time.monotonic()
        assert dial.dial(LOOPBACK, listener.getsockname()[1], timeout=0.6) == ("silent", "")
        assert time.monotonic() - start < 3


def test_something_else_listens(talker):
    assert dial.dial(LOOPBACK, talker(b"SSH-2.0-OpenSSH_9.2\r\n")) == ("not_http", "BadStatusLine")
    assert dial.dial(LOOPBACK, talker(b"")) == ("not_http", "closes the connection")


def test_tls_where_plain_text_is_spoken(talker):
    kind, detail = dial.dial(LOOPBACK, talker(b"HTTP/1.0 200 OK\r\n\r\n"), scheme="https")
    assert kind == "tls" and detail


@pytest.mark.parametrize("number, kind", [
    (errno.EHOSTUNREACH, "no_route"), (errno.ENETUNREACH, "no_route"), (errno.EHOSTDOWN, "no_route"),
    (errno.ETIMEDOUT, "timeout"), (errno.ECONNREFUSED, "refused"), (errno.EACCES, "error"),
])
def test_errors_of_the_kernel(monkeypatch, number, kind):
    """Stubbed: socket.connect, which raises the given error."""
    class Socket(socket.socket):
        def connect(self, _address):
            raise OSError(number, "words")
    monkeypatch.setattr(dial.socket, "socket", Socket)
    assert dial.dial(LOOPBACK, 9100)[0] == kind


def test_every_address_of_a_name_is_tried(monkeypatch, refused, web):
    """Stubbed: name resolution, which gives a family this host cannot use, a refused port and one that answers."""
    known = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port)) for port in (refused, web)]
    monkeypatch.setattr(dial.socket, "getaddrinfo", lambda *_args: [(99, socket.SOCK_STREAM, 6, "", ("x", 1))] + known)
    assert dial.dial("gpu7", web) == ("ok", "200")


def test_many_targets_each_get_their_answer(web, refused):
    good, bad = (LOOPBACK, web, "http", "/metrics"), (LOOPBACK, refused, "http", "/metrics")
    broken, lost = (LOOPBACK, web, "http", "/broken"), ("gpu7.invalid", 9100, "http", "/metrics")
    assert dial.dial_all([good, bad, broken, lost, good]) == {
        good: ("ok", "200"), bad: ("refused", ""), broken: ("http", "500"), lost: (dial.dial("gpu7.invalid", 1))}
    assert dial.dial_all([]) == {}


def test_the_other_ports_of_a_silent_host_are_not_called(monkeypatch):
    """Stubbed: dial.dial, which counts its calls."""
    calls = []

    def answer(address, port, scheme, path, timeout, access):
        calls.append((address, port))
        return ("timeout", "") if address == "a" else ("refused", "")
    monkeypatch.setattr(dial, "dial", answer)
    targets = [(address, port, "http", "/metrics") for address in "ab" for port in (1, 2, 3)]
    answers = dial.dial_all(targets)
    assert sorted(calls) == [("a", 1), ("b", 1), ("b", 2), ("b", 3)]
    assert [answers[target][0] for target in targets] == ["timeout"] * 3 + ["refused"] * 3


def test_the_budget_bounds_the_whole_and_what_was_not_reached_says_so(blackholes):
    addresses, port = blackholes
    targets = [(address, port, "http", "/metrics") for address in addresses]
    start = time.monotonic()
    answers = dial.dial_all(targets, timeout=0.3, budget=0.5, threads=1)
    assert time.monotonic() - start < 2
    assert [answers[target][0] for target in targets] == ["timeout", "timeout", "skipped", "skipped"]


def test_silent_hosts_are_called_side_by_side(blackholes):
    addresses, port = blackholes
    start = time.monotonic()
    answers = dial.dial_all([(address, port, "http", "/metrics") for address in addresses], timeout=0.5)
    assert time.monotonic() - start < 1.5 and set(answers.values()) == {("timeout", "")}


def test_a_name_resolution_that_never_ends_does_not_hold_up_the_rest(monkeypatch, web):
    """Stubbed: name resolution, which sleeps for one name."""
    real = socket.getaddrinfo

    def resolve(host, *rest):
        if host == "slow":
            time.sleep(3)
            raise socket.gaierror(socket.EAI_AGAIN, "too late")
        return real(host, *rest)
    monkeypatch.setattr(dial.socket, "getaddrinfo", resolve)
    good, slow = (LOOPBACK, web, "http", "/metrics"), ("slow", web, "http", "/metrics")
    start = time.monotonic()
    assert dial.dial_all([good, slow], timeout=0.2, budget=0.5) == {good: ("ok", "200"), slow: ("skipped", "")}
    assert time.monotonic() - start < 2
