"""Installing releases from a real web server on 127.0.0.1.

Stubbed: os.fsync and os.sync, which only matter when the power fails, and the call at which a test's own process is killed.
The archives are made here, by the standard library; their programs are shell scripts that print what they are.
"""

import functools
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import ssl
import stat
import subprocess
import tarfile
import threading
import time
import zipfile

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs import release as releases
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.release import Release


def script(text):
    return ("#!/bin/sh\necho %s\n" % text).encode() + b"# padding\n" * 2000


def tar(members, how="w:gz"):
    """Bytes of a tar archive. members: [(path, bytes)] or [TarInfo]"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=how) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members:
            archive.writestr(path, data)
    return out.getvalue()


@functools.lru_cache(maxsize=None)  # gzip writes the time into its archives; the same text shall be the same archive
def archive_of(text, how="w:gz"):
    return tar([("tool-1/LICENSE", b"free"), ("tool-1/tool", script(text)), ("tool-1/ctl", script("ctl"))], how)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Web:
    """A web server with pages: {path: bytes, or a function that answers the request}."""

    def __init__(self, context=None):
        self.pages, self.requests = {}, []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.requests.append((self.path, dict(self.headers)))
                page = web.pages.get(self.path)
                if callable(page):
                    page(self)
                elif page is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    # Some servers say so of every .tar.gz; it must not be unpacked on the way.
                    self.send_header("Content-Encoding", "x-gzip")
                    self.end_headers()
                    self.wfile.write(page)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        # A connection that is gone again before it is accepted must not hold the server for ever.
        self.server.socket.settimeout(1)
        self.scheme = "https" if context else "http"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, path):
        return "%s://127.0.0.1:%d%s" % (self.scheme, self.server.server_port, path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def redirect(target):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()
    return answer


def partly(data, sent, length=None):
    """Answer with so many bytes of the announced length, and hang up."""
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(length or len(data)))
        request.end_headers()
        request.wfile.write(data[:sent])
    return answer


def trickle(request):
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    try:
        for _second in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


class Host:
    """One host's /opt/accelmon."""

    def __init__(self, root, web=None):
        self.root, self.web = root, web

    def release(self, data, version="1.0", **options):
        options.setdefault("programs", {"tool": "tool"})
        return Release("tool", root=str(self.root), version=version, sha256=sha256(data), **options)

    def install(self, data, version="1.0", check=False, seconds=10, source=None, **options):
        self.web.pages["/tool.tar.gz"] = data
        return self.release(data, version, **options).present(source or {"url": self.web.url("/tool.tar.gz")}, check, seconds)

    def run(self, program="tool"):
        return subprocess.run([str(self.root / "tool" / "current" / "bin" / program)], stdout=subprocess.PIPE, check=True).stdout.decode().strip()

    def names(self):
        return sorted(os.listdir(str(self.root / "tool")))


@pytest.fixture
def host(tmp_path, web):
    return Host(tmp_path / "opt", web)


# Installing

@pytest.mark.parametrize("pack", [
    archive_of, lambda text: archive_of(text, "w:xz"), lambda text: archive_of(text, "w"),
    lambda text: zipped([("tool-1/LICENSE", "free"), ("tool-1/tool", script(text))]), script,
], ids=["tar.gz", "tar.xz", "tar", "zip", "program"])
def test_every_kind_of_archive_is_installed(host, pack):
    data = pack("one")
    result = host.install(data)
    assert result["changed"] and result["previous"] == "" and host.run() == "one"
    folder = "1.0-" + sha256(data)[:12]
    assert host.names() == [".lock", folder, "current"]
    assert sorted(os.listdir(result["directory"])) == [".accelmon-release.json", "bin"]
    assert os.readlink(result["path"]) == folder
    found = os.stat(result["path"] + "/bin/tool")
    assert stat.S_IMODE(found.st_mode) == 0o755 and found.st_uid == os.geteuid() and found.st_gid == os.getegid()
    assert stat.S_IMODE(os.stat(result["directory"]).st_mode) == 0o755


OTHER = b"\x7fELF\x02\x02\x01\0" + b"\0" * 8 + b"\0\2\0\x16" + b"\0" * 4000  # of s390x


@pytest.mark.parametrize("data,words", [
    (OTHER, "it is for s390, 64 bits, big-endian, but this host is "), (tar([("tool-1/tool", OTHER)]), "it is for s390"),
    (zipped([("tool", b"\xcf\xfa\xed\xfe macOS")]), "a program for macOS"), (b"<!DOCTYPE html><html>Not here</html>", "a web page, not a program"),
    (b"Not Found", "it is not a program"), (tar([("tool", b"just text")]), "it is not a program"), (b"#!/no/such/shell\n", "a script for /no/such/shell"),
    (zipped([("tool", zipped([("tool", "x")]))]), "an archive"), (tar([("bin/tool", b"\x7fELF")]), "truncated"), (b"", "has 0 bytes"),
])
def test_what_is_no_program_of_this_host_is_refused_before_anything_is_switched(host, data, words):
    with pytest.raises(Failure, match=re.escape(words)) as raised:
        host.install(data)
    assert "nothing was installed" in str(raised.value) or not data
    good = archive_of("one")
    host.install(good)
    with pytest.raises(Failure, match=re.escape(words)) as raised:
        host.install(data, "2.0")
    assert len(str(raised.value).splitlines()) == 1 and ("1.0 (sha256" in str(raised.value) or not data)
    assert host.run() == "one" and host.names() == [".lock", "1.0-" + sha256(good)[:12], "current"]


def test_of_several_programs_none_is_installed_if_one_is_wrong(host):
    with pytest.raises(Failure, match="programs = ctl: tool-1/LICENSE of .* cannot run on this host: it is not a program"):
        host.install(archive_of("one"), programs={"tool": "tool-1/tool", "ctl": "tool-1/LICENSE"})
    assert host.names() == [".lock"]


@pytest.mark.parametrize("name,value", [("version", "1.0\n"), ("name", "tool\n"), ("sha256", "a" * 64 + "\n"), ("url", "http://127.0.0.1/x\n")])
def test_a_line_break_at_the_end_is_none_of_ours(host, name, value):
    options = dict({"name": "tool", "version": "1.0", "sha256": "a" * 64, "url": "http://127.0.0.1/x"}, **{name: value})
    with pytest.raises(Failure):
        Release(options["name"], str(host.root), options["version"], options["sha256"], {"tool": "tool"}).present({"url": options["url"]})


def test_several_programs_by_path_and_by_name(host):
    host.install(archive_of("one"), programs={"accelmon-tool": "tool-1/tool", "ctl": "ctl"})
    assert (host.run("accelmon-tool"), host.run("ctl")) == ("one", "ctl")


def test_a_converged_host_asks_for_nothing_and_writes_nothing(host):
    data = archive_of("one")
    host.install(data)
    asked = len(host.web.requests)
    before = [os.lstat(os.path.join(folder, name)) for folder, _folders, files in os.walk(str(host.root)) for name in files]
    result = host.install(data)
    after = [os.lstat(os.path.join(folder, name)) for folder, _folders, files in os.walk(str(host.root)) for name in files]
    assert not result["changed"] and len(host.web.requests) == asked and before == after
    assert result["diff"]["before"] == result["diff"]["after"]


def test_a_converged_host_does_not_read_the_programs(host, monkeypatch):
    data = archive_of("one")
    host.install(data)
    monkeypatch.setattr(releases.atomic, "sha256_file", lambda path: pytest.fail("read " + path))
    assert not host.install(data)["changed"]


def test_an_upgrade_keeps_the_version_before_and_the_way_back_needs_no_network(host):
    data = dict((version, archive_of(version)) for version in ("1.0", "2.0", "3.0"))
    for version in ("1.0", "2.0", "3.0"):
        result = host.install(data[version], version)
        assert host.run() == version
    assert result["previous"] == "2.0" and [os.path.basename(path) for path in result["pruned"]] == ["1.0-" + sha256(data["1.0"])[:12]]
    assert result["diff"]["before"].startswith("2.0 ") and result["diff"]["after"].startswith("3.0 ")
    assert [name for name in host.names() if "-" in name] == ["2.0-" + sha256(data["2.0"])[:12], "3.0-" + sha256(data["3.0"])[:12]]
    assert host.install(data["3.0"], "3.0")["previous"] == "2.0"
    asked = len(host.web.requests)
    back = host.install(data["2.0"], "2.0")
    assert back["changed"] and back["previous"] == "3.0" and host.run() == "2.0" and len(host.web.requests) == asked


def test_more_versions_are_kept_on_request_and_pruned_when_it_is_lowered(host):
    for version in ("1.0", "2.0", "3.0", "4.0"):
        host.install(archive_of(version), version, keep=2)
    assert [name[:3] for name in host.names() if "-" in name] == ["2.0", "3.0", "4.0"]
    result = host.install(archive_of("4.0"), "4.0", keep=1)
    assert result["changed"] and [name[:3] for name in host.names() if "-" in name] == ["3.0", "4.0"]


def test_the_same_version_with_another_checksum_is_another_release(host):
    host.install(archive_of("one"))
    assert host.install(archive_of("rebuilt"))["changed"]
    assert host.run() == "rebuilt" and len([name for name in host.names() if "-" in name]) == 2


def test_check_mode_asks_for_nothing_and_changes_nothing(host):
    result = host.install(archive_of("one"), check=True)
    assert result["changed"] and result["needs_source"] and not host.root.exists() and host.web.requests == []
    host.install(archive_of("one"))
    result = host.install(archive_of("two"), "2.0", check=True)
    assert result["changed"] and result["previous"] == "1.0" and host.run() == "one" and len(host.web.requests) == 1


def test_a_file_of_this_host(host, tmp_path):
    path = tmp_path / "here.tgz"
    path.write_bytes(archive_of("one"))
    assert host.install(archive_of("one"), source={"src": str(path)})["changed"]
    assert host.run() == "one" and host.web.requests == []
    path.write_bytes(archive_of("altered"))
    for check in (True, False):
        with pytest.raises(Failure, match="sha256 = .*here.tgz has .*modified"):
            host.install(archive_of("two"), "2.0", check=check, source={"src": str(path)})
    with pytest.raises(Failure, match="src = .*cannot be read on this host"):
        host.install(archive_of("two"), "2.0", source={"src": "/nowhere"})


# Damage

def test_a_damaged_program_is_replaced(host):
    data = archive_of("one")
    result = host.install(data)
    program = result["directory"] + "/bin/tool"
    found = os.stat(program)
    with open(program, "r+b") as stream:
        stream.seek(20)
        stream.write(b"!")
    os.utime(program, ns=(found.st_atime_ns, found.st_mtime_ns))  # size and time as before: only the inode's time tells
    again = host.install(data)
    assert again["changed"] and "damaged" in again["diff"]["before"] and host.run() == "one"
    assert not host.install(data)["changed"]


@pytest.mark.parametrize("harm", [
    lambda folder: os.unlink(folder + "/bin/tool"),
    lambda folder: os.truncate(folder + "/bin/tool", 10),
    lambda folder: os.unlink(folder + "/.accelmon-release.json"),
    lambda folder: open(folder + "/.accelmon-release.json", "w").close(),
    lambda folder: (os.unlink(folder + "/bin/tool"), os.symlink("/bin/true", folder + "/bin/tool")),
    shutil.rmtree,
], ids=["gone", "short", "no marker", "empty marker", "a link", "all gone"])
def test_every_harm_is_fixed(host, harm):
    data = archive_of("one")
    harm(host.install(data)["directory"])
    assert host.install(data)["changed"]
    assert host.run() == "one" and not host.install(data)["changed"]


def test_a_copied_disk_costs_one_reading_and_no_change(host):
    data = archive_of("one")
    program = host.install(data)["directory"] + "/bin/tool"
    os.utime(program, (1, 1))
    asked = len(host.web.requests)
    assert not host.install(data)["changed"] and len(host.web.requests) == asked
    marker = json.load(open(os.path.dirname(os.path.dirname(program)) + "/.accelmon-release.json"))
    assert marker["programs"]["tool"]["stamp"] == releases.stamp(os.lstat(program))


def test_a_wrong_mode_is_fixed_without_the_network(host):
    data = archive_of("one")
    program = host.install(data)["directory"] + "/bin/tool"
    os.chmod(program, 0o777)
    asked = len(host.web.requests)
    result = host.install(data)
    assert result["changed"] and stat.S_IMODE(os.stat(program).st_mode) == 0o755 and len(host.web.requests) == asked
    assert not host.install(data)["changed"]


# What must not get in

def test_each_host_verifies_its_own_architecture(tmp_path, web):
    """One host per architecture; the archive of one was tampered with at the mirror."""
    amd64, arm64 = archive_of("amd64"), archive_of("arm64")
    web.pages.update({"/tool-amd64.tgz": amd64, "/tool-arm64.tgz": archive_of("evil")})
    good, bad = Host(tmp_path / "a", web), Host(tmp_path / "b", web)
    good.release(amd64).present({"url": web.url("/tool-amd64.tgz")})
    assert good.run() == "amd64"
    with pytest.raises(Failure, match="modified or is a different file; nothing was installed"):
        bad.release(arm64).present({"url": web.url("/tool-arm64.tgz")})
    assert bad.names() == [".lock"]


def test_a_tampered_archive_is_refused_and_the_old_version_stays(host):
    host.install(archive_of("one"))
    wanted = archive_of("two")
    host.web.pages["/new"] = archive_of("evil")
    with pytest.raises(Failure) as caught:
        host.release(wanted, "2.0").present({"url": host.web.url("/new")})
    told = str(caught.value)
    for part in (sha256(wanted), sha256(archive_of("evil")), host.web.url("/new"), "1.0 (sha256 ", "stays current"):
        assert part in told
    assert "\n" not in told and host.run() == "one"
    assert [name for name in host.names() if "2.0" in name or name == ".incoming"] == []


def link(path, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(path)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("members, message", [
    ([("../../etc/evil", b"x"), ("tool", b"x")], "leads outside the archive"),
    ([("/etc/evil", b"x"), ("tool", b"x")], "leads outside the archive"),
    ([link("tool", "/etc/shadow")], "a link, directory or device, not a regular file"),
    ([("real", b"x"), link("tool", "real", tarfile.LNKTYPE)], "a link, directory or device, not a regular file"),
    ([link("tool", "", tarfile.CHRTYPE)], "not a regular file"),
    ([link("tool", "", tarfile.FIFOTYPE)], "not a regular file"),
    ([("a/tool", b"x"), ("b/tool", b"x")], "more than once; give the full path of one of a/tool, b/tool"),
    ([("tool", b"x"), ("tool", b"y")], "more than once"),
    ([("other", b"x"), ("another", b"x")], "has no member tool; it has another, other"),
    ([("tool", b"")], "has 0 bytes"),
])
def test_bad_archives_are_refused_and_leave_nothing(host, members, message):
    with pytest.raises(Failure, match=message):
        host.install(tar(members))
    assert host.names() == [".lock"] and not os.path.exists(str(host.root / "etc"))


def test_a_link_in_a_zip_is_refused(host):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("tool")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/shadow")
    with pytest.raises(Failure, match="not a regular file"):
        host.install(out.getvalue())


def test_a_directory_called_like_the_program_and_links_beside_it_do_no_harm(host):
    folder = tarfile.TarInfo("tool")
    folder.type = tarfile.DIRTYPE
    host.install(tar([folder, link("tool/latest", "tool"), ("tool/tool", script("one"))]))
    assert host.run() == "one"


@pytest.mark.parametrize("data, message", [
    (archive_of("one")[:150], "cannot be unpacked"),
    (archive_of("one", "w:xz")[:200], "cannot be unpacked"),
    (b"\x1f\x8b" + b"x" * 600, "cannot be unpacked"),
    (zipped([("tool", script("x"))])[:100], "cannot be unpacked"),
    (tar([("tool", b"x")], "w:bz2"), "is a bzip2 archive; use tar.gz"),
])
def test_broken_and_unknown_archives_are_told(host, data, message):
    with pytest.raises(Failure, match=message):
        host.install(data)
    assert host.names() == [".lock"]


def test_a_plain_program_is_one_program(host):
    with pytest.raises(Failure, match="is a plain program, not an archive; name one program"):
        host.install(script("one"), programs={"a": "a", "b": "b"})


def test_sizes_are_bounded(host, monkeypatch):
    monkeypatch.setattr(releases, "MAX_BYTES", 1000)
    host.web.pages["/endless"] = partly(b"x" * 3000, 3000)
    with pytest.raises(Failure, match="more than the limit of 1000"):
        host.release(b"").present({"url": host.web.url("/endless")})
    bomb = tar([("tool", b"\0" * 5000)])
    assert len(bomb) < 1000
    with pytest.raises(Failure, match="more than 1000 bytes"):
        host.install(bomb)


# The network

def test_nothing_is_sent_but_the_request(host, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    host.install(archive_of("one"))
    headers = host.web.requests[0][1]
    assert sorted(headers) == ["Accept-Encoding", "Connection", "Host", "User-Agent"]
    assert headers["Accept-Encoding"] == "identity" and headers["User-Agent"] == "accelmon.fleet"


def test_a_redirect_is_followed(host):
    data = archive_of("one")
    host.web.pages["/old"] = redirect("/moved")
    host.web.pages["/moved"] = redirect(host.web.url("/tool.tar.gz"))
    host.install(data, source={"url": host.web.url("/old")})
    assert host.run() == "one"


@pytest.mark.parametrize("target, message", [
    ("/loop", "responds 302"), ("file:///etc/passwd", "is not allowed"), ("ftp://127.0.0.1/x", "not an http or https URL"),
    ("http://bob:hunter2@127.0.0.1/x", "contains credentials"),
])
def test_bad_redirects_are_refused(host, target, message):
    host.web.pages["/loop"] = redirect(target)
    with pytest.raises(Failure, match=message) as caught:
        host.release(b"").present({"url": host.web.url("/loop")})
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def secure_web(tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate, and is not here")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Web(context)
    yield server, lambda: monkeypatch.setenv("SSL_CERT_FILE", certificate)
    server.close()


def test_https_is_verified_and_never_left(host, secure_web):
    server, trust = secure_web
    data = archive_of("one")
    server.pages.update({"/tool": data, "/down": redirect(host.web.url("/tool.tar.gz")), "/side": redirect("/tool")})
    with pytest.raises(Failure, match="is unreachable .*certificate"):
        host.install(data, source={"url": server.url("/tool")})
    trust()
    with pytest.raises(Failure, match="redirects from https to http://127"):
        host.install(data, source={"url": server.url("/down")})
    assert host.web.requests == [] and not os.path.exists(str(host.root / "tool" / "current"))
    host.install(data, source={"url": server.url("/side")})
    assert host.run() == "one"


@pytest.mark.parametrize("page, message", [
    (None, "responds 404 Not Found"),
    (lambda request: request.send_error(503), "responds 503"),
    (partly(b"x" * 1000, 400), "ended after 400 of 1000 bytes"),
    (lambda request: request.wfile.write(b"this is not HTTP\r\n\r\n"), "was interrupted"),
    (trickle, "did not finish within 1 seconds"),
    (lambda request: time.sleep(3), "is unreachable|was interrupted"),
], ids=["404", "503", "truncated", "not an http", "trickle", "silent"])
def test_a_download_that_fails_leaves_nothing_and_the_old_version_running(host, page, message):
    host.install(archive_of("one"))
    before = host.names()
    host.web.pages["/new"] = page
    started = time.time()
    with pytest.raises(Failure, match="url = http://127.0.0.1:.*(%s)" % message) as caught:
        host.release(archive_of("two"), "2.0").present({"url": host.web.url("/new")}, seconds=1)
    assert "\n" not in str(caught.value) and time.time() - started < 5
    assert host.names() == before and host.run() == "one"


def test_a_server_that_keeps_the_connection_open_is_not_waited_for(host):
    data = archive_of("one")

    def answer(request):
        partly(data, len(data))(request)
        request.wfile.flush()
        time.sleep(3)
    host.web.pages["/open"] = answer
    started = time.time()
    host.release(data).present({"url": host.web.url("/open")}, seconds=10)
    assert time.time() - started < 2 and host.run() == "one"


def test_nobody_listens(host):
    host.web.close()
    with pytest.raises(Failure, match="is unreachable .*refused"):
        host.install(archive_of("one"))


# Killed, and two at once

MUTATIONS = ("rename", "unlink", "mkdir", "rmdir", "chmod", "chown", "fchmod", "fchown", "symlink", "utime")


def install_and_die(host, data, version, step, **options):
    """Install in a child that kills itself at its step-th change of the disk. Returns whether it was killed."""
    child = os.fork()
    if child == 0:
        left = [step]
        try:
            for name in MUTATIONS:
                def counted(*arguments, real=getattr(os, name), **options):
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*arguments, **options)
                setattr(os, name, counted)
            host.release(data, version, **options).present({"src": host.file})
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] != 0


@pytest.mark.parametrize("damage", [False, True])
def test_a_run_killed_at_any_moment_leaves_a_whole_version_and_is_completed(tmp_path, damage):
    """Upgrade 1 -> 2 -> 3, or fix a damaged 3; killed at every change in turn."""
    path = tmp_path / "three.tgz"
    path.write_bytes(archive_of("3.0"))
    step, killed = 0, True
    while killed:
        host = Host(tmp_path / str(step))
        host.file = str(tmp_path / "any.tgz")
        for version in ("1.0", "2.0") + (("3.0",) if damage else ()):
            with open(host.file, "wb") as stream:
                stream.write(archive_of(version))
            host.release(archive_of(version), version).present({"src": host.file})
        if damage:
            os.truncate(str(host.root / "tool" / "current" / "bin" / "tool"), 100)
        host.file = str(path)
        killed = install_and_die(host, archive_of("3.0"), "3.0", step)
        assert host.run() in ("2.0", "3.0", ""), step
        assert host.run() != "" or damage, step
        for name in host.names():
            if "-" in name and not damage:
                assert os.path.exists(str(host.root / "tool" / name / "bin" / "tool")), (step, name)
        result = host.release(archive_of("3.0"), "3.0").present({"src": host.file})
        assert host.run() == "3.0" and result["previous"] == "2.0", step
        assert [name for name in host.names() if "-" in name and not name.startswith(("2.0", "3.0"))] == [], step
        assert ".incoming" not in host.names() and not any(name.endswith("accelmon-new") for name in host.names()), step
        assert not host.release(archive_of("3.0"), "3.0").present({"src": host.file})["changed"], step
        step += 1
    assert step > 10


def test_two_runs_at_once_install_once(host):
    data, results = archive_of("one"), []
    host.web.pages["/slow"] = lambda request: (time.sleep(0.5), partly(data, len(data))(request))

    def install():
        results.append(host.release(data).present({"url": host.web.url("/slow")}))
    runs = [threading.Thread(target=install) for _run in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert sorted(result["changed"] for result in results) == [False, True] and len(host.web.requests) == 1


def test_a_run_does_not_wait_for_ever(host):
    os.makedirs(str(host.root / "tool"))
    with releases.atomic.Lock(str(host.root / "tool" / ".lock"), 0):
        with pytest.raises(Failure, match="name = tool: another run has held .*; wait for it to finish"):
            host.install(archive_of("one"), seconds=1)


# Trees

def executable(path, data):
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), 0o755
    return info, data


@functools.lru_cache(maxsize=None)
def tree_of(text, *more):
    """A product that is more than its program."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        folder = tarfile.TarInfo("tool-v1/conf")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for info, data in (executable("tool-v1/bin/tool", script(text)), executable("tool-v1/bin/helper", b"#!/bin/sh\n")):
            archive.addfile(info, io.BytesIO(data))
        for path, data in (("tool-v1/public/a/b.js", b"let a"), ("tool-v1/conf/defaults.ini", text.encode()), ("tool-v1/empty", b"")):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o666
            archive.addfile(info, io.BytesIO(data))
        for path in more:
            archive.addfile(link(path, "public"))
    return out.getvalue()


TREE = {"tree": True, "programs": {"tool": "bin/tool"}}


def files_of(folder):
    """{path: mode} of a version directory."""
    found = {}
    for base, folders, files in os.walk(str(folder)):
        for name in folders + files:
            path = os.path.join(base, name)
            found[os.path.relpath(path, str(folder))] = oct(stat.S_IMODE(os.lstat(path).st_mode))
    return found


def test_a_tree_is_installed_whole_and_without_its_outermost_directory(host):
    result = host.install(tree_of("one"), **TREE)
    assert result["changed"] and host.run() == "one" and result["version"] == "1.0"
    assert files_of(host.root / "tool" / "current") == {
        "bin": "0o755", "bin/tool": "0o755", "bin/helper": "0o755", "public": "0o755", "public/a": "0o755", "public/a/b.js": "0o644",
        "conf": "0o755", "conf/defaults.ini": "0o644", "empty": "0o644", ".accelmon-release.json": "0o644"}
    asked = len(host.web.requests)
    assert not host.install(tree_of("one"), **TREE)["changed"] and len(host.web.requests) == asked


def test_a_tree_is_upgraded_and_the_one_before_is_kept(host):
    for version in ("1.0", "2.0", "3.0"):
        result = host.install(tree_of(version), version, **TREE)
    assert result["previous"] == "2.0" and host.run() == "3.0"
    assert [name[:3] for name in host.names() if "-" in name] == ["2.0", "3.0"]
    asked = len(host.web.requests)
    assert host.install(tree_of("2.0"), "2.0", **TREE)["changed"] and host.run() == "2.0" and len(host.web.requests) == asked


@pytest.mark.parametrize("harm", [
    lambda folder: os.unlink(folder + "/public/a/b.js"),
    lambda folder: open(folder + "/public/a/b.js", "w").write("let b"),
    lambda folder: open(folder + "/public/more.js", "w").close(),
    lambda folder: (os.unlink(folder + "/empty"), os.symlink("conf", folder + "/empty")),
    lambda folder: os.mkfifo(folder + "/fifo"),
    lambda folder: os.chmod(folder + "/conf/defaults.ini", 0o666),
    lambda folder: os.chmod(folder + "/public", 0o777),
    lambda folder: shutil.rmtree(folder + "/bin"),
    lambda folder: os.unlink(folder + "/.accelmon-release.json"),
], ids=["gone", "changed", "more", "a link", "a pipe", "mode", "mode of a directory", "no program", "no marker"])
def test_every_harm_to_a_tree_is_fixed(host, harm):
    folder = host.install(tree_of("one"), **TREE)["directory"]
    whole = files_of(folder)
    harm(folder)
    assert host.install(tree_of("one"), **TREE)["changed"]
    assert files_of(folder) == whole and host.run() == "one" and host.names() == [".lock", os.path.basename(folder), "current"]
    assert not host.install(tree_of("one"), **TREE)["changed"]


def test_a_copied_tree_costs_one_reading_and_no_change(host, monkeypatch):
    folder = host.install(tree_of("one"), **TREE)["directory"]
    for base, _folders, files in os.walk(folder):
        for name in files:
            os.utime(os.path.join(base, name), (1, 1))
    asked = len(host.web.requests)
    assert not host.install(tree_of("one"), **TREE)["changed"] and len(host.web.requests) == asked
    monkeypatch.setattr(releases, "content", None)
    assert not host.install(tree_of("one"), **TREE)["changed"]


def test_links_of_a_tree_are_left_out_and_named(host):
    release = host.release(tree_of("one", "tool-v1/latest"), **TREE)
    path = host.root.parent / "tree.tgz"
    path.write_bytes(tree_of("one", "tool-v1/latest"))
    assert release.present({"src": str(path)})["changed"] and "latest" not in files_of(host.root / "tool" / "current")
    assert release.warnings == [f"{path} has links or devices, which were not installed: tool-v1/latest"]


@pytest.mark.parametrize("members, message", [
    ([("t/bin/other", script("x"))], r"programs = tool: .* has no bin/tool; choose another version or archive"),
    ([("t/bin/tool", b"\x7fELF")], "programs = tool: .*cannot run on this host"),
    ([("t/bin/tool", script("x")), ("t/../../x", b"x")], "leads outside the archive"),
    ([("t/bin/tool", script("x")), ("t/bin/tool", script("y"))], "has t/bin/tool more than once"),
    ([link("t/bin", "/etc"), ("t/bin/tool", script("x")), ("t/bin", b"x")], "t/bin: a different kind of file is in the way|bin"),
])
def test_bad_trees_are_refused_and_leave_nothing(host, members, message):
    with pytest.raises((Failure, OSError), match=message):
        host.install(tar(members), **TREE)
    assert host.names() == [".lock"]


def test_a_tree_comes_from_an_archive_and_is_no_larger_than_any_release(host, monkeypatch):
    with pytest.raises(Failure, match="is a plain program, not an archive"):
        host.install(script("one"), **TREE)
    monkeypatch.setattr(releases, "MAX_TREE", 100)
    with pytest.raises(Failure, match="more than 100 bytes"):
        host.install(tree_of("one"), **TREE)


def test_programs_become_a_tree_and_programs_again(host):
    host.install(archive_of("one"))
    host.install(tree_of("two"), "2.0", **TREE)
    assert host.run() == "two"
    assert host.install(tree_of("two"), "2.0")["changed"] and host.run() == "two"
    assert host.install(tree_of("two"), "2.0", **TREE)["changed"] and host.run() == "two"


def test_a_tree_killed_at_any_moment_leaves_a_whole_version_and_is_completed(tmp_path):
    """Upgrade 1 -> 2, killed at every change in turn."""
    for version in ("1.0", "2.0"):
        (tmp_path / version).write_bytes(tree_of(version))
    step, killed = 0, True
    while killed:
        host = Host(tmp_path / str(step))
        host.release(tree_of("1.0"), "1.0", **TREE).present({"src": str(tmp_path / "1.0")})
        host.file = str(tmp_path / "2.0")
        killed = install_and_die(host, tree_of("2.0"), "2.0", step, **TREE)
        assert host.run() in ("1.0", "2.0"), step
        result = host.release(tree_of("2.0"), "2.0", **TREE).present({"src": host.file})
        assert host.run() == "2.0" and result["previous"] == "1.0" and ".incoming" not in host.names(), step
        assert not host.release(tree_of("2.0"), "2.0", **TREE).present({"src": host.file})["changed"], step
        step += 1
    assert step > 20


# Removal

def test_absent_removes_everything_of_ours(host):
    for version in ("1.0", "2.0"):
        host.install(archive_of(version), version)
    assert Release("tool", str(host.root)).absent(check=True)["changed"] and host.run() == "2.0"
    result = Release("tool", str(host.root)).absent()
    assert result["changed"] and len(result["removed"]) == 2 and result["diff"]["before"].startswith("2.0 ") and not host.root.exists()
    assert not Release("tool", str(host.root)).absent()["changed"]


def test_absent_leaves_what_is_not_ours(host):
    host.install(archive_of("1.0"))
    (host.root / "tool" / "notes").mkdir()
    (host.root / "other").mkdir()
    release = Release("tool", str(host.root))
    result = release.absent()
    assert result["left"] == [str(host.root / "tool" / "notes")] and "notes" in release.warnings[0]
    assert host.names() == [".lock", "notes"] and not Release("tool", str(host.root)).absent()["changed"]


def test_a_foreign_current_is_told(host):
    (host.root / "tool" / "current").mkdir(parents=True)
    with pytest.raises(Failure, match="root = .*current is not a link; move it away"):
        host.install(archive_of("one"))


# Bad requests

@pytest.mark.parametrize("options, message", [
    ({"sha256": "abc"}, "sha256 = abc: not a SHA-256"),
    ({"version": "../1"}, "version = ../1: not usable in a path"),
    ({"name": "a/b"}, "name = a/b"),
    ({"name": "..", }, "name = .."),
    ({"programs": {}}, "programs = {}"),
    ({"programs": {"../x": "x"}}, "programs = ../x"),
    ({"programs": {"x": "../x"}}, "programs = x: ../x is not a path in an archive"),
    ({"programs": {".accelmon-release.json": "x"}}, "programs = .accelmon"),
    ({"tree": True}, "programs = a: a is not where a tree has its programs; use bin/a"),
    ({"root": "/"}, "root = /"),
    ({"root": "opt"}, "root = opt"),
    ({"keep": 0}, "keep = 0: the previous version is always kept"),
])
def test_bad_requests_are_told_in_one_line(options, message):
    given = dict({"name": "tool", "version": "1.0", "sha256": "0" * 64, "programs": {"a": "a"}}, **options)
    with pytest.raises(Failure) as caught:
        Release(**given).present({"url": "http://127.0.0.1:1/"}, check=True)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "https://bob:hunter2@x/y", "tool.tar.gz", "http://a b/"])
def test_bad_urls_are_refused(url, tmp_path):
    with pytest.raises(Failure, match="url = ") as caught:
        releases.download(url, str(tmp_path / "x"), 1)
    assert "hunter2" not in str(caught.value)


def test_a_converged_release_costs_little(host):
    """One program; measured below 1 ms, and refused above 20."""
    data = archive_of("one")
    host.install(data)
    started = time.process_time()
    host.install(data)
    assert time.process_time() - started < 0.02


# Tokens

def test_a_token_goes_to_its_own_host_alone(host, web, tmp_path):
    other, data = Web(), archive_of("one")
    try:
        other.pages["/tool"] = data
        web.pages.update({"/tool": redirect("/same"), "/same": redirect(other.url("/tool"))})
        source = {"url": web.url("/tool"), "token": "geheim", "token_url": web.url("/prefix")}
        host.release(data).present(source)
        assert [headers.get("Authorization") for _path, headers in web.requests] == ["Bearer geheim", "Bearer geheim"]
        assert len(other.requests) == 1 and "Authorization" not in other.requests[0][1]
        # From elsewhere, also if that redirects back to it by another name of the same host.
        web.requests.clear()
        other.pages["/back"] = redirect(web.url("/gone").replace("127.0.0.1", "localhost"))
        with pytest.raises(Failure):
            host.release(archive_of("two"), "2.0").present({"url": other.url("/back"), "token": "geheim", "token_url": web.url("")})
        assert len(web.requests) == 1 and "Authorization" not in web.requests[0][1] and "Authorization" not in other.requests[-1][1]
    finally:
        other.close()


@pytest.mark.parametrize("url,same", [
    ("https://m.example/x", True), ("https://M.example:443/x", True), ("http://m.example/x", False), ("https://m.example:8443/x", False),
    ("https://m.example.evil/x", False), ("https://evil/m.example", False),
])
def test_an_origin_is_scheme_host_and_port(url, same):
    assert (releases.origin(url) == releases.origin("https://m.example/mirror")) == same
