# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""client: whose name has to be in its certificate, before it gets the password. Stubbed: nothing; the server of the last test is of this file."""
import http.server
import ssl
import subprocess
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import client, query


@pytest.mark.parametrize("host,here", [
    ("127.0.0.1", True), ("localhost", True), ("192.0.2.1", False), ("2001:db8::1", False), ("no-such-host.invalid", False), ("x" * 300, False)])
def test_what_is_this_machine(host, here):
    assert client.is_here(host) == here
    for names in (True, False):
        assert client.Access(names=names).context(host).check_hostname == (names or not here)


def test_a_host_that_nobody_names_may_be_any():
    assert client.Access(names=False).context().check_hostname and client.Access(names=False).context("").check_hostname
    assert not client.Stranger().context("192.0.2.1").check_hostname


def test_a_certificate_of_somebody_else_is_taken_from_this_very_host_alone(tmp_path, monkeypatch):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(tmp_path / "key"), "-out",
                    str(tmp_path / "crt"), "-subj", "/CN=gpu7", "-addext", "subjectAltName=DNS:gpu7", "-days", "1"], check=True, stderr=subprocess.DEVNULL)
    (tmp_path / "password").write_text("geheim\n")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers everything, and keeps who asked."""

        def do_GET(self):
            """One word."""
            asked.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"well")

        def log_message(self, format, *args):
            """Say nothing."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(tmp_path / "crt"), str(tmp_path / "key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        access = client.Access(str(tmp_path / "password"), str(tmp_path / "crt"), names=False)
        url = f"https://127.0.0.1:{server.server_port}/"
        assert query.get_text("storage", url, 5, access=access) == b"well" and asked[0].startswith("Basic ")
        # As if it were the address of another host.
        monkeypatch.setattr(client, "is_here", lambda host: False)
        with pytest.raises(Failure, match="TLS failed|certificate"):
            query.get_text("storage", url, 5, access=access)
        assert len(asked) == 1
        server.shutdown()
