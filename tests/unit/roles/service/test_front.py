"""The front: its configuration, and the program itself before a real server on a Unix socket.

Stubbed: systemd's handing over of the socket, by descriptor 3 and the two variables of the environment. Certificates are openssl's.
"""

import http.client
import http.server
import importlib.util
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.filter.service_parts import service_parts
from ansible_collections.accelmon.fleet.plugins.module_utils import bcrypt, probe

HANDOVER = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); " \
           "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.executable, [sys.executable, '-IS'] + sys.argv[2:])"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The front and what it imports, as the role puts them."""
    place = tmp_path_factory.mktemp("parts")
    for file in service_parts("x", [{"port": 1}], {"to": "/x"}, tls="managed")["files"]:
        (place / os.path.basename(file["path"])).write_text(file["content"], encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def front(folder):
    spec = importlib.util.spec_from_file_location("accelmon_front", folder / "accelmon_front.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made():
    return bcrypt.hashed("s3cret pass:word")


TLS = {"cert_file": "/c", "key_file": "/k"}
DEMANDING = dict(TLS, client_auth_type="RequireAndVerifyClientCert", client_ca_file="/ca")


def text(tls=None, users=None):
    """The file as the role access writes it."""
    lines = []
    for section, values in (("basic_auth_users", users), ("tls_server_config", tls)):
        lines += ([f"{section}:"] + [f"  {key}: {value}" for key, value in sorted(values.items())]) if values else []
    return "\n".join(lines or ["{}"]) + "\n"


def test_what_the_role_writes_is_understood(front, made):
    assert front.meant(text(DEMANDING, {"accelmon": made}), True, True) == (DEMANDING, {"accelmon": made})
    assert front.meant(text(None, {"accelmon": made}), False, True) == ({}, {"accelmon": made})
    assert front.meant(text(TLS).replace("/c", "'/c'"), True, False) == (TLS, {})


@pytest.mark.parametrize("content,tls,auth,words", [
    ("{}\n", True, False, "does not ask for TLS"),
    ("", False, True, "does not ask for a password"),
    (text(TLS), True, True, "does not ask for a password"),
    (text(dict(TLS, min_version="TLS13")), True, False, "min_version is not understood"),
    (text(dict(TLS, client_auth_type="VerifyClientCertIfGiven")), True, False, "client_auth_type VerifyClientCertIfGiven"),
    (text(dict(TLS, client_auth_type="RequireAndVerifyClientCert")), True, False, "client_ca_file is missing"),
    (text({"cert_file": "/c"}), True, False, "key_file is missing"),
    (text(TLS) + "http_server_config:\n  http2: true\n", True, False, "http_server_config is not understood"),
    (text(None, {"accelmon": "plain"}), False, True, "none of bcrypt"),
    (text(TLS) + "  cert_file: /other\n", True, False, "line 4: outside of a section, or twice"),
    ("tls_server_config: {cert_file: /c}\n", True, False, "line 1: no section"),
    ("tls_server_config:\n  cert_file: [a]\n", True, False, "no plain text"),
    ("\tx\n", True, False, "line 1: no key and value"),
])
def test_what_asks_for_less_or_is_not_understood_lets_nobody_in(front, content, tls, auth, words):
    with pytest.raises(front.Unusable, match=words):
        front.meant(content, tls, auth)


class Backend(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    asked = None

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, dict(self.headers)))
            body = b"all_smi_up 1\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "unix"

        def log_message(self, *arguments):
            pass

    def __init__(self, path):
        self.asked = []
        super().__init__(path, self.RequestHandlerClass)


class Running:
    """A front that runs: its port, what it logs, and who it answers for."""

    def __init__(self, folder, tmp_path, *options):
        self.config, self.place = tmp_path / "exporter.yml", str(tmp_path / "api.sock")
        self.backend = Backend(self.place)
        threading.Thread(target=self.backend.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.log = tmp_path / "log"
        self.command = [sys.executable, "-c", HANDOVER, str(self.listener.fileno()), str(folder / "accelmon_front.py"), f"--to={self.place}",
                        f"--config={self.config}", "--page=/metrics", *options]
        self.process = None

    def start(self):
        with open(self.log, "w") as stream:
            self.process = subprocess.Popen(self.command, pass_fds=[self.listener.fileno()], stderr=stream)
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.backend.shutdown()
        self.backend.server_close()
        self.listener.close()

    def ask(self, password=None, method="GET", path="/metrics", context=None):
        """(status, headers, body); status 0 if the connection ends without an answer."""
        made = http.client.HTTPSConnection if context else http.client.HTTPConnection
        connection = made("127.0.0.1", self.port, timeout=20, **({"context": context} if context else {}))
        try:
            connection.request(method, path, headers=probe.credentials(password))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, {}, str(error).encode()
        finally:
            connection.close()


@pytest.fixture
def running(folder, tmp_path):
    started = []

    def run(*options):
        started.append(Running(folder, tmp_path, *options))
        return started[-1]

    yield run
    for one in started:
        one.stop()


def test_a_password_opens_one_page(running, made):
    one = running("--auth")
    one.config.write_text(text(None, {"accelmon": made}))
    one.start()
    status, headers, _body = one.ask()
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="accelmon"')
    assert one.ask("wrong")[0] == 401 and one.backend.asked == [], "nothing of a stranger's request gets through"
    status, headers, body = one.ask("s3cret pass:word")
    assert (status, body, headers["Connection"]) == (200, b"all_smi_up 1\n", "close")
    assert "Authorization" not in one.backend.asked[0][1], "the program behind it gets no password to see"
    assert one.ask("s3cret pass:word", path="/metrics?x=1")[0] == 200 and one.backend.asked[-1][0] == "/metrics?x=1"
    assert one.ask("s3cret pass:word", path="/snapshot")[0] == 404
    assert one.ask("s3cret pass:word", method="POST")[0] == 405
    assert one.ask("s3cret pass:word", method="HEAD") == (200, {**headers}, b"")


def test_a_file_that_changes_holds_at_once_and_one_that_is_wrong_closes(running, made):
    one = running("--auth")
    one.start()
    assert one.ask("s3cret pass:word")[0] == 0, "no file yet"
    one.config.write_text(text(None, {"accelmon": made}))
    assert one.ask("s3cret pass:word")[0] == 200
    one.config.write_text(text(None, {"accelmon": bcrypt.hashed("other")}))
    assert (one.ask("s3cret pass:word")[0], one.ask("other")[0]) == (401, 200)
    one.config.write_text("{}\n")
    assert one.ask("other")[0] == 0
    said = one.log.read_text().splitlines()
    assert [line.split(":")[0] for line in said if "ctypes" not in line] == ["nobody is let in", f"serving by {one.config}", "nobody is let in"]
    assert "s3cret" not in one.log.read_text()


def test_a_program_that_is_gone_is_a_bad_gateway(running, made):
    one = running("--auth")
    one.config.write_text(text(None, {"accelmon": made}))
    one.start()
    os.remove(one.place)
    assert one.ask("s3cret pass:word")[0] == 502


def test_those_who_say_nothing_are_ended_and_only_so_many_are_let_in(running, made):
    one = running("--auth", "--connections=2", "--patience=2")
    one.config.write_text(text(None, {"accelmon": made}))
    one.start()
    silent = [socket.create_connection(("127.0.0.1", one.port)) for _number in range(2)]
    time.sleep(0.3)
    began = time.monotonic()
    assert one.ask("s3cret pass:word")[0] == 200
    assert 1 < time.monotonic() - began < 9, "it had to wait until the silent ones were ended"
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("request_text,status", [
    (b"GET /metrics HTTP/1.1\r\n\r\n", b"401"), (b"nonsense\r\n\r\n", b"400"), (b"GET http://x/ HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nA : b\r\n\r\n", b"400"), (b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 9000, b"431"),
    (b"GET /metrics HTTP/1.1\r\nAuthorization: Basic !!!\r\n\r\n", b"401"), (b"GET /metrics HTTP/1.1\r\nAuthorization: Basic YWNjZWxtb24=\r\n\r\n", b"401"),
])
def test_requests_that_are_none(running, made, request_text, status):
    one = running("--auth")
    one.config.write_text(text(None, {"accelmon": made}))
    one.start()
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
        try:
            connection.sendall(request_text)
        except OSError:
            pass  # it has answered before it had everything
        assert connection.recv(1000).split()[1] == status


def openssl(*arguments, **options):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A folder with ca.crt, and of it server.crt, client.crt, each for its own end of a connection alone."""
    place = tmp_path_factory.mktemp("pki")
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "2", cwd=place)
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", cwd=place)
        (place / "extensions").write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\nextendedKeyUsage={name}Auth\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.crt", "-days", "2",
                "-extfile", "extensions", cwd=place)
    return place


def client(pki, name=None):
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.check_hostname = False
    if name:
        context.load_cert_chain(str(pki / f"{name}.crt"), str(pki / f"{name}.key"))
    return context


def test_only_a_client_of_the_authority_comes_in(running, pki, tmp_path):
    one = running("--tls")
    shutil.copy(pki / "server.crt", tmp_path / "host.crt")
    one.config.write_text(text({"cert_file": str(tmp_path / "host.crt"), "key_file": str(pki / "server.key"),
                                "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(pki / "ca.crt")}))
    one.start()
    assert one.ask(context=client(pki, "client"))[0] == 200
    assert one.ask(context=client(pki, "server"))[0] == 0, "a node's certificate reads no other node"
    assert one.ask(context=client(pki))[0] == 0 and one.ask()[0] == 0
    status, kind, _seen = probe.ask("127.0.0.1", one.port, "/metrics", "https", str(pki / "ca.crt"), refusal=True)
    assert (status, kind) == (None, "certificate_required"), "what a role's probe and verify.yml have to see"
    (tmp_path / "host.crt").write_text("broken")
    assert one.ask(context=client(pki, "client"))[0] == 0
    shutil.copy(pki / "server.crt", tmp_path / "host.crt")
    assert one.ask(context=client(pki, "client"))[0] == 200, "a renewed certificate is used at once"


def test_it_starts_only_as_systemd_starts_it(folder):
    done = subprocess.run([sys.executable, "-IS", str(folder / "accelmon_front.py"), "--to=/x", "--config=/y", "--tls"], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and b"start this through its socket unit" in done.stderr
    for options in (["--config=/y"], ["--tls"], ["--open", "--tls", "--config=/y"], ["--open", "--config=/y"]):
        done = subprocess.run([sys.executable, "-IS", str(folder / "accelmon_front.py"), "--to=/x", *options], stderr=subprocess.PIPE, check=False)
        assert done.returncode == 2 and b"give --open, or --config and --tls, --auth or both" in done.stderr, options


def test_an_open_front_asks_nobody(running):
    one = running("--open")
    one.command.remove(f"--config={one.config}")
    one.start()
    assert one.ask()[::2] == (200, b"all_smi_up 1\n") and one.ask(path="/snapshot")[0] == 404
