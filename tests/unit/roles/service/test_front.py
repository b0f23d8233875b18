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
from hypothesis import HealthCheck, given, settings, strategies
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.declaration import beside as service_parts
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt
from ansible_collections.accelmon.fleet.plugins.module_utils.host import probe

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
    ("{}\n", True, False, "does not require TLS"),
    ("", False, True, "does not require a password"),
    (text(TLS), True, True, "does not require a password"),
    (text(dict(TLS, min_version="TLS13")), True, False, "min_version is not supported"),
    (text(dict(TLS, client_auth_type="VerifyClientCertIfGiven")), True, False, "client_auth_type VerifyClientCertIfGiven"),
    (text(dict(TLS, client_auth_type="RequireAndVerifyClientCert")), True, False, "client_ca_file is missing"),
    (text({"cert_file": "/c"}), True, False, "key_file is missing"),
    (text(TLS) + "http_server_config:\n  http2: true\n", True, False, "http_server_config is not supported"),
    (text(None, {"accelmon": "plain"}), False, True, "not bcrypt"),
    (text(TLS) + "  cert_file: /other\n", True, False, "line 4: outside a section, or a duplicate"),
    ("tls_server_config: {cert_file: /c}\n", True, False, "line 1: no section"),
    ("tls_server_config:\n  cert_file: [a]\n", True, False, "not plain text"),
    ("\tx\n", True, False, "line 1: no key and value"),
])
def test_what_asks_for_less_or_is_not_understood_lets_nobody_in(front, content, tls, auth, words):
    with pytest.raises(front.Unusable, match=words):
        front.meant(content, tls, auth)


class Backend(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    asked, body, pause, cut = None, b"all_smi_up 1\n", 0, 0

    class RequestHandlerClass(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, dict(self.headers)))
            time.sleep(self.server.pause)
            body = self.server.body
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body) + self.server.cut))
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
        asks = [] if "--open" in options else [f"--config={self.config}"]
        self.command = [sys.executable, "-c", HANDOVER, str(self.listener.fileno()), str(folder / "accelmon_front.py"), f"--to={self.place}",
                        "--page=/metrics", *asks, *options]
        self.process = None

    def demand(self, pki, certificate=None):
        """Ask for certificates of the authority."""
        self.config.write_text(text({"cert_file": str(certificate or pki / "server.crt"), "key_file": str(pki / "server.key"),
                                     "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(pki / "ca.crt")}))
        return self

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

    def ask(self, password=None, method="GET", path="/metrics", context=None, source="127.0.0.2"):
        """(status, headers, body); status 0 if the connection ends without an answer."""
        made = http.client.HTTPSConnection if context else http.client.HTTPConnection
        connection = made("127.0.0.1", self.port, timeout=20, source_address=(source, 0), **({"context": context} if context else {}))
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


@pytest.mark.parametrize("size", [0, 13, 200000])
def test_half_a_page_is_no_page(running, size):
    """A scraper would take it for the whole, and devices for lost."""
    one = running("--open").start()
    one.backend.body, one.backend.cut = b"x" * size, 1
    assert one.ask()[0] == 502
    one.backend.cut = 0
    assert (one.ask()[0], len(one.ask()[2])) == (200, size)


@pytest.fixture
def crowd():
    """crowd(front, number, said, sources) opens connections and says something in each; from one address, or from many."""
    opened = []

    def open_them(one, number, said=b"", many=False):
        made = []
        for count in range(number):
            source = f"127.0.{1 + count // 200}.{1 + count % 200}" if many else "127.0.0.1"
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.bind((source, 0))
            connection.connect(("127.0.0.1", one.port))
            connection.settimeout(10)
            made.append(connection)
            try:
                connection.sendall(said)
            except OSError:
                pass  # pushed out already
        opened.extend(made)
        return made

    yield open_them
    for connection in opened:
        connection.close()


def in_time(one, *arguments, size=None, **more):
    """A scrape comes through, with its whole page, in less than two seconds. The seconds that it took.

    They are those of a machine with nothing else to do: where several processes wait for each core, everything takes several times as long.
    """
    began = time.monotonic()
    status, _headers, body = one.ask(*arguments, **more)
    took = (time.monotonic() - began) / min(8, max(1, os.getloadavg()[0] / os.cpu_count()))
    assert (status, len(body)) == (200, size or len(one.backend.body)) and took < 2, (status, body[:100], took)
    return took


HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: "
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = bytes.fromhex("16030100f8010000f40303") + b"x" * 40


@pytest.mark.parametrize("many", [False, True], ids=["one_address", "many_addresses"])
@pytest.mark.parametrize("number", [32, 200])
@pytest.mark.parametrize("said", [b"", HALF, WHOLE], ids=["idle", "half_a_head", "slow_reader"])
def test_strangers_keep_no_scraper_out(running, crowd, said, number, many):
    one = running("--open").start()
    one.backend.body = b"# x\n" * 500000
    crowd(one, number, said, many)
    for _time in range(3):
        in_time(one)
    assert one.process.poll() is None


@pytest.mark.parametrize("number", [32, 200])
@pytest.mark.parametrize("said", [b"", HELLO, WHOLE], ids=["idle", "half_a_handshake", "no_tls"])
def test_who_has_no_certificate_holds_no_place(running, pki, crowd, said, number):
    one = running("--tls")
    one.demand(pki).start()
    crowd(one, number, said)
    in_time(one, context=client(pki, "client"))
    assert one.ask(context=client(pki), source="127.0.0.1")[0] == 0
    in_time(one, context=client(pki, "client"))


@pytest.mark.parametrize("many", [False, True], ids=["one_address", "many_addresses"])
def test_wrong_passwords_in_a_row_keep_no_scraper_waiting(running, made, crowd, many):
    one = running("--auth")
    one.config.write_text(text(None, {"accelmon": made}))
    one.start()
    in_time(one, "s3cret pass:word")
    crowd(one, 200, WHOLE[:-2] + b"Authorization: Basic YWNjZWxtb246d3Jvbmc=\r\n\r\n", many)
    for _time in range(3):
        assert in_time(one, "s3cret pass:word") < 1


def test_an_exporter_that_takes_its_time_is_not_asked_for_one_peer_alone(running, crowd):
    one = running("--open").start()
    one.backend.pause = 0.5
    crowd(one, 30, WHOLE)
    time.sleep(0.1)
    assert in_time(one) < 1.2, "one thread is left for others"


def test_those_who_say_nothing_are_ended(running, crowd):
    one = running("--open", "--patience=1").start()
    silent, half = crowd(one, 2), crowd(one, 2, HALF)
    began = time.monotonic()
    for connection in half[:1]:
        # One that goes on, slowly, has no more time than the others.
        for _number in range(40):
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
    for connection in silent + half:
        try:
            assert connection.recv(10) == b""
        except ConnectionError:
            pass
    assert 0.9 < time.monotonic() - began < 4


def test_answers_that_nobody_takes_take_little_memory(running, crowd):
    one = running("--open").start()
    one.backend.body = b"# x\n" * 2000000
    for source in range(3):
        crowd(one, 20, WHOLE, many=source % 2)
    in_time(one)
    with open(f"/proc/{one.process.pid}/status", encoding="ascii") as stream:
        peak = next(int(line.split()[1]) for line in stream if line.startswith("VmHWM"))
    assert peak < 128 * 1024, f"{peak} kB, and the unit has 128M"
    assert "127." in one.log.read_text() and len(one.log.read_text().splitlines()) < 4, "said, and not for every one"


def test_a_crowd_that_leaves_leaves_nothing(running, crowd):
    one = running("--open", "--patience=1").start()
    for said in (b"", HALF, WHOLE, b"nonsense\r\n\r\n"):
        for connection in crowd(one, 20, said):
            connection.close()
    time.sleep(2.5)
    in_time(one)
    time.sleep(0.5)
    assert len(os.listdir(f"/proc/{one.process.pid}/fd")) < 16


@pytest.mark.parametrize("address,peer", [
    (("10.0.0.7", 1), "10.0.0.7"), (("::ffff:10.0.0.7", 1, 0, 0), "10.0.0.7"), (("fd00::1:2:3:4", 1, 0, 0), "fd00::/64"),
    (("fe80::1%eth0", 1, 0, 2), "fe80::/64"), ("", ""), (("odd", 1), "odd")])
def test_who_is_counted_as_one(front, address, peer):
    assert front.peer_of(address) == peer


# The same examples every time, and no folder of them left behind.
BOUNDED = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
HEAD_PARTS = strategies.sampled_from([
    b"GET", b"HEAD", b" ", b"/metrics", b"?a=1", b"#", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r", b"\n", b"\0", b":", b"Host: x", b"Authorization: Basic ",
    b"\x85", b"\xff", b"\t", b"Transfer-Encoding: chunked", b"Content-Length: 9", b"/../x", b"//x"])


@settings(BOUNDED, max_examples=400)
@given(strategies.lists(strategies.one_of(HEAD_PARTS, strategies.binary(max_size=20)), max_size=12).map(b"".join))
def test_a_head_is_understood_or_refused(front, data):
    try:
        method, path, target, headers = front.parse_head(data)
    except front.Refused as refusal:
        assert refusal.args[0] in front.REASONS
        return
    assert method.isalpha() and method.isupper() and target.startswith(path) and path.startswith("/")
    for told in (target, *headers):
        assert told.isascii() and told.isprintable() and " " not in told
    assert not any(sign in value for value in headers.values() for sign in "\r\n\0")


@settings(BOUNDED, max_examples=60)
@given(strategies.lists(strategies.one_of(HEAD_PARTS, strategies.binary(max_size=60)), max_size=8))
def test_whatever_is_said_it_goes_on(fuzzed, pieces):
    with socket.create_connection(("127.0.0.1", fuzzed.port), timeout=10) as connection:
        try:
            for piece in pieces + [b"\r\n\r\n"]:
                connection.sendall(piece)
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
        assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert fuzzed.process.poll() is None and "ends with" not in fuzzed.log.read_text()


@pytest.fixture(scope="module")
def fuzzed(folder, tmp_path_factory):
    one = Running(folder, tmp_path_factory.mktemp("fuzzed"), "--open", "--patience=2").start()
    yield one
    in_time(one)
    one.stop()


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
    one.demand(pki, tmp_path / "host.crt").start()
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
    one = running("--open").start()
    assert one.ask()[::2] == (200, b"all_smi_up 1\n") and one.ask(path="/snapshot")[0] == 404
