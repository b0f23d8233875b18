# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recipe that builds all-smi, and release_patches_info, as users run them. Stubbed: cargo, by a script; upstream, by a web server here."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading

import pytest

COLLECTION = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))
CARGO = """#!/bin/sh
echo "$@" >> "$HOME/cargo.log"
for word; do test "$last" = --root && mkdir -p "$word/bin" && echo program > "$word/bin/all-smi" && chmod 755 "$word/bin/all-smi"; last=$word; done
"""


@pytest.fixture
def ansible(tmp_path):
    """Run a command line of a shell, for which Ansible has the collection. Returns (exit code, output)."""
    if not shutil.which("ansible", path=os.path.dirname(sys.executable)):
        pytest.skip("there is no ansible beside this Python")
    root = tmp_path / "collections" / "ansible_collections" / "accelmon"
    root.mkdir(parents=True)
    (root / "fleet").symlink_to(COLLECTION)
    (tmp_path / "ansible.cfg").write_text("")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cargo").write_text(CARGO)
    (tools / "cargo").chmod(0o755)

    def run(line):
        done = subprocess.run(["sh", "-euc", line], cwd=str(tmp_path), timeout=600, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
            "PATH": "%s:%s:%s" % (tools, os.path.dirname(sys.executable), os.environ["PATH"]), "HOME": str(tmp_path), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "no_proxy": "127.0.0.1", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PYTHON_INTERPRETER": sys.executable})
        return done.returncode, done.stdout.decode()
    return run


def test_all_smi_is_built_once_and_listed_in_the_bundle(ansible, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    with open(os.path.join(COLLECTION, "docs", "all_smi.md")) as stream:
        recipe = re.search(r"## Build it from source\n.*?```console\n(.*?)```", stream.read(), re.DOTALL).group(1)
    code, output = ansible(recipe.replace("$ ", "").replace("/srv/fleet/bundle", str(bundle)))
    assert code == 0, output
    (entry,) = json.loads((bundle / "lock.json").read_text())["artifacts"]
    assert (entry["name"], entry["version"]) == ("all_smi", "0.28.1") and (bundle / entry["file"]).exists()
    assert "install all-smi --version 0.28.1 --locked --ignore-rust-version" in (tmp_path / "cargo.log").read_text()
    with tarfile.open(bundle / entry["file"]) as archive:
        assert [(member.name, member.uid, member.mode & 0o111 > 0) for member in archive] == [("./all-smi", 0, True)]


def test_a_newer_patch_is_found(ansible):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            there = "v1.9.2/" in self.path
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(("%s  tool-1.9.2.tar.gz\n" % ("a" * 64)).encode() if there else b"")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        url = "http://127.0.0.1:%d/v1.9.0/sums" % server.server_port
        releases = [{"name": "tool", "version": "1.9.0", "sums": {"amd64": [url, "tool-1.9.0.tar.gz"]}}]
        code, output = ansible("ansible localhost -m accelmon.fleet.release_patches_info -a '%s'" % json.dumps({"releases": releases}))
    finally:
        server.shutdown()
        server.server_close()
    assert code == 0 and '"tool": "1.9.2"' in output, output
