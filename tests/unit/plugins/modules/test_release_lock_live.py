"""The playbook lock.yml, run as users run it, against a local web server with upstream's paths. Nothing is stubbed."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

COLLECTION = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))
NODE_EXPORTER = "/prometheus/node_exporter/releases/download/v1.9.1/sha256sums.txt"
VMUTILS = "/VictoriaMetrics/VictoriaMetrics/releases/download/v1.99.0/vmutils-linux-%s-v1.99.0_checksums.txt"


class Upstream:
    """A web server: {path: text}, and whom it was asked by."""

    def __init__(self):
        self.pages, self.tokens = {}, []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                upstream.tokens.append(self.headers.get("Authorization"))
                page = upstream.pages.get(self.path)
                self.send_response(200 if page is not None else 404)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def upstream():
    server = Upstream()
    server.pages[NODE_EXPORTER] = "%s  node_exporter-1.9.1.linux-amd64.tar.gz\n%s  node_exporter-1.9.1.linux-arm64.tar.gz\n" % ("a" * 64, "b" * 64)
    for architecture, digit in (("amd64", "c"), ("arm64", "d")):
        server.pages[VMUTILS % architecture] = "%s  vmutils-linux-%s-v1.99.0.tar.gz\n%s  vmagent-prod\n" % (digit * 64, architecture, "e" * 64)
    yield server
    server.close()


@pytest.fixture
def lock(tmp_path, upstream):
    """Run lock.yml. Returns (exit code, output)."""
    if not shutil.which("ansible-playbook", path=os.path.dirname(sys.executable)):
        pytest.skip("there is no ansible-playbook beside this Python")
    root = tmp_path / "collections" / "ansible_collections" / "accelmon"
    root.mkdir(parents=True)
    (root / "fleet").symlink_to(COLLECTION)
    (tmp_path / "ansible.cfg").write_text("")

    def run(*options, **variables):
        values = {"accelmon_lock_file": str(tmp_path / "lock.json"), "accelmon_release_url_prefix": upstream.url, "accelmon_release_token": "geheim",
                  "accelmon_lock_versions": {"vmutils": "1.99.0"}, "accelmon_lock_releases": ["node_exporter", "vmutils"]}
        values.update(variables)
        done = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "localhost,", "accelmon.fleet.lock", "-vvv", "--diff",
             "-e", json.dumps(values), *options], cwd=str(tmp_path), timeout=600, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
                 "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "no_proxy": "127.0.0.1",
                 "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"), "ANSIBLE_NOCOLOR": "1"})
        return done.returncode, done.stdout.decode()
    return run


def test_a_lock_file_is_written_once(lock, upstream, tmp_path):
    path = tmp_path / "lock.json"
    code, output = lock("--check")
    assert code == 0 and "changed=1" in output and '+    "vmutils"' in output and not path.exists()
    code, output = lock()
    assert code == 0 and "changed=1" in output
    found = json.loads(path.read_text())["releases"]
    assert found["node_exporter"]["sha256"] == {"amd64": "a" * 64, "arm64": "b" * 64}
    assert (found["vmutils"]["version"], found["vmutils"]["sha256"]) == ("1.99.0", {"amd64": "c" * 64, "arm64": "d" * 64})
    code, output = lock()
    assert code == 0 and "changed=0" in output
    assert set(upstream.tokens) == {"Bearer geheim"} and "geheim" not in output


def test_what_upstream_changed_later_is_not_taken(lock, upstream, tmp_path):
    assert lock()[0] == 0
    before = (tmp_path / "lock.json").read_text()
    upstream.pages[VMUTILS % "arm64"] = upstream.pages[VMUTILS % "arm64"].replace("d" * 64, "f" * 64)
    code, output = lock()
    assert code != 0 and "never changes" in output and (tmp_path / "lock.json").read_text() == before


@pytest.mark.parametrize("page,words", [("<html>", "line 1 is not a checksum"), (None, "responds 404")])
def test_what_upstream_does_not_have_is_said(lock, upstream, tmp_path, page, words):
    upstream.pages[NODE_EXPORTER] = page
    code, output = lock()
    assert code != 0 and words in output and not (tmp_path / "lock.json").exists()
