# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of several parts share."""

import collections
import http.server
import os
import shutil
import socketserver
import tempfile
import threading

import pytest


@pytest.fixture(autouse=True)
def _umask():
    """The usual umask, whatever the machine's is, and whatever a test before it left."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def promtool():
    """Path of promtool; a test is skipped without it."""
    found = shutil.which("promtool", path=os.environ.get("ACCELMON_PROGRAMS"))
    if not found:
        pytest.skip("no promtool in ACCELMON_PROGRAMS or on PATH")
    return found


# hypothesis keeps tables of Unicode; they do not belong into the checkout.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.path.join(tempfile.gettempdir(), "accelmon-hypothesis"))


def pytest_collection_modifyitems(items):
    """Begin with the files of few tests, which are those that play playbooks or wait for programs: at the end, one of them alone would be waited for."""
    sizes = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: sizes[item.path])


def pytest_make_parametrize_id(val, argname):
    """Name a test by the parameter and not by bytes: an archive has the time in it, and workers that run tests side by side have to agree."""
    return argname if isinstance(val, bytes) else None


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the pages of its server."""

    def do_GET(self):
        """The page of the path."""
        status, body, *cut = self.server.pages.get(self.path, (404, ""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + sum(cut)))
        self.end_headers()
        self.wfile.write(body.encode())

    def address_string(self):
        """A Unix socket tells no address."""
        return "unix"

    def log_message(self, *arguments):
        """Say nothing."""


class Server(socketserver.ThreadingUnixStreamServer):
    """A program's server on a Unix socket."""

    def handle_error(self, request, client_address):
        """A client that does not want the page may be gone before it is written."""


@pytest.fixture
def inner(tmp_path):
    """A server on a Unix socket: its `place`, and its `pages` {path: (status, body)}, with how many bytes of the body are cut off."""
    server = Server(str(tmp_path / "api.sock"), Handler)
    server.place, server.pages = str(tmp_path / "api.sock"), {}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
