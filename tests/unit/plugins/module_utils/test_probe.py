"""Probes against real servers on 127.0.0.1, with certificates that openssl makes. Nothing is stubbed."""

import http.server
import shutil
import ssl
import subprocess
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.host import probe


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get("Authorization") == "Basic YWNjZWxtb246czNjcmV0"  # accelmon:s3cret
        self.send_response({"/metrics": 200, "/closed": 200 if known else 401, "/moved": 302}.get(self.path, 404))
        self.send_header("Location", "/metrics")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A refused handshake is what these tests want."""


def openssl(*arguments, **options):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A folder with authorities ca and other, and host.crt/host.key of ca."""
    folder = tmp_path_factory.mktemp("pki")
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "2", cwd=folder)
    openssl("req", *key, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=gpu7", cwd=folder)
    (folder / "extensions").write_text("subjectAltName=DNS:gpu7\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "host.crt", "-days", "2",
            "-extfile", "extensions", cwd=folder)
    return folder


@pytest.fixture
def serve():
    """serve(context=None) starts a server and gives its port."""
    servers = []

    def start(context=None):
        server = Server(("127.0.0.1", 0), Handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server.server_port
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def context(pki, client_ca=None, newest=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki / "host.crt", pki / "host.key")
    if client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(pki / client_ca)
    if newest:
        made.maximum_version = newest
    return made


def healthy(port, path="/metrics", **wanted):
    asked = {key: str(wanted.pop(key)) for key in ("scheme", "ca_file") if key in wanted}
    wanted.setdefault("status", [200])
    return probe.judge(wanted, probe.ask("127.0.0.1", port, path, refusal="client_certificate" in wanted, **asked))


def test_plain_pages_by_their_status(serve):
    port = serve()
    assert healthy(port)[0]
    assert healthy(port, "/closed") == (False, f"http://127.0.0.1:{port}/closed: HTTP 401")
    assert healthy(port, "/closed", status=[200, 401])[0]
    assert not healthy(port, "/moved")[0], "a redirect is an answer of its own"


def test_a_closed_page_refuses_others_and_answers_the_password(serve, tmp_path):
    port = serve()
    secret = tmp_path / "password"

    def ask(path, text):
        secret.write_text(text)
        return probe.judge({"status": [200]}, probe.ask_closed("127.0.0.1", port, path, "http", "", str(secret)))

    assert ask("/closed", "s3cret\n")[0]
    good, seen = ask("/closed", "another")
    assert not good and "401" in seen and "another" not in seen
    good, seen = ask("/metrics", "s3cret")
    assert not good and "without the password" in seen
    secret.unlink()
    assert "password" in probe.ask_closed("127.0.0.1", port, "/closed", "http", "", str(secret))[2]


def test_nobody_there(serve):
    port = serve()
    assert not healthy(port, scheme="https", ca_file="/dev/null")[0]
    assert "refused" in healthy(1)[1]


def test_a_certificate_of_the_right_authority_only(serve, pki):
    port = serve(context(pki))
    assert healthy(port, scheme="https", ca_file=pki / "ca.crt")[0]
    good, seen = healthy(port, scheme="https", ca_file=pki / "other.crt")
    assert not good and "CERTIFICATE_VERIFY_FAILED" in seen
    assert not healthy(port, scheme="https")[0], "the host's own authorities do not know ours"
    assert not healthy(port)[0], "a TLS server does not answer plain HTTP"
    assert not healthy(serve(), scheme="https", ca_file=pki / "ca.crt")[0], "a plain server does not answer TLS"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_demands_a_certificate_is_healthy_when_it_refuses(serve, pki, newest):
    port = serve(context(pki, client_ca="ca.crt", newest=newest))
    wanted = {"scheme": "https", "ca_file": pki / "ca.crt"}
    assert healthy(port, client_certificate="required", **wanted)[0]
    assert not healthy(port, **wanted)[0], "a refusal that nobody wants is none"
    assert not healthy(port, client_certificate="required", scheme="https", ca_file=pki / "other.crt")[0], "its own certificate counts first"


def test_a_server_that_forgot_to_demand_one_is_not_healthy(serve, pki):
    good, seen = healthy(serve(context(pki)), client_certificate="required", scheme="https", ca_file=pki / "ca.crt")
    assert not good and seen.endswith("HTTP 200 to a client without a certificate")


def test_places():
    assert probe.url("https", "::1", 9100, "/m") == "https://[::1]:9100/m"
    assert [probe.local(address) for address in ("", "0.0.0.0", "::", "10.0.0.7")] == ["127.0.0.1", "127.0.0.1", "::1", "10.0.0.7"]


@pytest.mark.parametrize("pages,well,words", [
    ({"/-/ready": (200, "")}, True, "HTTP 200"), ({"/-/ready": (503, ""), "/metrics": (200, "x_up 1\n")}, False, "HTTP 503"),
    ({"/metrics": (200, "# HELP x_up y\nx_up 1\n")}, True, "HTTP 200"), ({"/metrics": (200, "")}, False, "no line starts with x_"), ({}, False, "HTTP 404"),
    ({"/metrics": (200, "x_up 1\n", 9)}, False, "IncompleteRead"),
])
def test_a_program_behind_a_front_is_asked_itself(inner, pages, well, words):
    inner.pages = pages
    found, seen = probe.well({"to": inner.place, "page": "/metrics", "ready": "/-/ready", "rows": "x_"})
    assert found is well and words in seen and inner.place in seen


def test_a_program_that_is_not_there(tmp_path):
    assert probe.well({"to": str(tmp_path / "none"), "page": "/metrics", "ready": "", "rows": ""})[0] is False
