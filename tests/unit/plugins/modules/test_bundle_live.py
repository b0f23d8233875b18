# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles, made and verified with the real openssl, from a local web server with upstream's paths; once by the playbooks, as users run them.

Made up: what is in the archives, which nothing here unpacks. Stubbed: the built collection, except in the test of the playbooks; `hostvars` is a
dictionary. No host is reached."""

import hashlib
import http.server
import io
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils import progress
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import bundled
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet.check import bundle_errors
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import bundle_checked
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundling
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs.bundle import read_lock

ROOT = pathlib.Path(__file__).resolve().parents[4]
ARCHIVE = "/prometheus/node_exporter/releases/download/v1.9.9/node_exporter-1.9.9.linux-%s.tar.gz"
CLOCK = itertools.count(1)  # built again, a collection has other times
INVENTORY = "[accelerator_nodes]\ngpu1 ansible_host=192.0.2.1\n[monitoring]\nmon1 ansible_host=192.0.2.9\n[all:vars]\naccelmon_source=bundle\n"


class Upstream:
    """A web server that can continue a download: {path: bytes}, and what it was asked for: [(path, Range)]."""

    def __init__(self):
        self.pages, self.asked = {}, []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                upstream.asked.append((self.path, asked))
                page, start = upstream.pages.get(self.path), int(asked[6:-1]) if asked else 0
                self.send_response(404 if page is None else 416 if asked and start >= len(page) else 206 if asked else 200)
                self.send_header("Content-Length", str(len(page or b"") - start if start <= len(page or b"") else 0))
                self.end_headers()
                self.wfile.write((page or b"")[start:])

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def new_key(path, *kind):
    subprocess.run(["openssl", "genpkey", "-out", str(path), *kind], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "pkey", "-in", str(path), "-pubout", "-out", f"{path}.pub"], check=True)


class Site:
    """Upstream, keys, and a bundle of node_exporter for two architectures."""

    def __init__(self, folder, upstream):
        self.folder, self.upstream, self.bundle, self.lines = folder, upstream, folder / "bundle", []
        self.archives = {architecture: hashlib.sha512(architecture.encode()).digest() * 5000 for architecture in ("amd64", "arm64")}
        new_key(folder / "key", "-algorithm", "ED25519")
        self.publish("1.9.9")

    def publish(self, version, data=bytes):
        """Upstream has a version; data: what to make of the archives' bytes."""
        self.wanted = []
        for architecture, content in self.archives.items():
            path = ARCHIVE.replace("1.9.9", version) % architecture
            self.upstream.pages[path] = data(content)
            found = {"version": version, "url": self.upstream.url + path, "sha256": hashlib.sha256(data(content)).hexdigest()}
            self.wanted.append(bundling.release("node_exporter", "node_exporter", found, architecture))

    def make(self, key="key", check=False):
        self.lines = []
        return bundling.make(str(self.bundle), list(self.wanted), self.lines.append, str(self.folder / key) if key else "", check=check)

    def verify(self, key="key"):
        return bundle_checked(str(self.bundle), str(self.folder / f"{key}.pub"))["problem"]

    def listed(self):
        return {one["file"]: one for one in json.loads((self.bundle / "lock.json").read_text())["artifacts"]}

    def archive(self, version="1.9.9", architecture="amd64"):
        return self.bundle / f"node_exporter-{version}.linux-{architecture}.tar.gz"


@pytest.fixture
def site(tmp_path):
    upstream = Upstream()
    yield Site(tmp_path, upstream)
    upstream.close()


@pytest.fixture(autouse=True)
def built(request, monkeypatch):
    """A collection that is quickly built."""
    if "playbooks" in request.node.name:
        return

    def quick(_folder, spare):
        path = os.path.join(spare, "collection.tar.gz")
        with tarfile.open(path, "w:gz") as archive:
            member = tarfile.TarInfo("MANIFEST.json")
            member.size, member.mtime = 2, next(CLOCK)
            archive.addfile(member, io.BytesIO(b"{}"))
        return {"name": "accelmon.fleet", "version": "1", "os": "any", "architecture": "any", "file": "accelmon-fleet-1.tar.gz", "sha256": "",
                "source": "accelmon.fleet", "built": path}
    monkeypatch.setattr(bundling, "_collection", quick)


def play(site, playbook, **variables):
    (site.folder / "hosts.ini").write_text(INVENTORY)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(site.folder / "hosts.ini"), str(ROOT / "playbooks" / f"{playbook}.yml"),
         "-e", json.dumps(dict({"accelmon_bundle": str(site.bundle)}, **variables))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, timeout=600, check=False, cwd=str(site.folder),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(site.folder / "home"), ANSIBLE_NOCOLOR="1",
                 no_proxy="127.0.0.1"))
    return done.returncode, done.stdout


def test_the_playbooks(site):
    sums = {one["architecture"]: one["sha256"] for one in site.wanted}
    (site.folder / "lock.json").write_text(json.dumps({"version": 1, "releases": {"node_exporter": {"version": "1.9.9", "sha256": sums}}}))
    code, output = play(site, "bundle", **{
        "accelmon_bundle_key": str(site.folder / "key"), "accelmon_lock_file": str(site.folder / "lock.json"),
        "accelmon_release_url_prefix": site.upstream.url, "accelmon_exporters": ["node_exporter"], "alertmanager_state": "absent",
        "victoriametrics_state": "absent", "vmagent_state": "absent", "vmalert_state": "absent"})
    assert code == 0 and "changed=1" in output, output
    assert "node_exporter-1.9.9.linux-amd64.tar.gz: 320.0 kB, downloaded, 2 of 3 left" in output.splitlines(), output
    assert "new: accelmon.fleet" in output and "node_exporter 1.9.9 linux/arm64" in output and ", signed" in output
    assert site.archive().read_bytes() == site.archives["amd64"]
    code, output = play(site, "bundle_verify", accelmon_bundle_public_key=str(site.folder / "key.pub"))
    assert code == 0 and "3 files" in output and "signed by the owner of the key" in output, output
    collection = next(site.bundle.glob("accelmon-fleet-*.tar.gz"))
    with tarfile.open(collection) as archive:
        assert {"MANIFEST.json", "playbooks/bundle.yml"} <= set(archive.getnames()) and archive.getmember("plugins/filter/_programs.py").issym()
    site.archive().write_bytes(b"x")
    code, output = play(site, "bundle_verify", accelmon_bundle_public_key=str(site.folder / "key.pub"))
    assert code != 0 and f"accelmon_bundle = {site.bundle}: node_exporter-1.9.9.linux-amd64.tar.gz: 1 bytes, not 320000; copy the bundle" in output, output


def test_what_is_there_is_not_fetched_again(site):
    made = site.make()
    assert made["changed"] and made["signed"] and site.lines[0] == "node_exporter-1.9.9.linux-amd64.tar.gz: 320.0 kB, downloaded, 2 of 3 left"
    one = site.listed()["node_exporter-1.9.9.linux-amd64.tar.gz"]
    assert (one["size"], one["architecture"], one["source"]) == (320000, "amd64", site.upstream.url + ARCHIVE % "amd64")
    assert one["sha256"] == hashlib.sha256(site.archive().read_bytes()).hexdigest()
    assert sorted(site.listed()) == sorted(path.name for path in site.bundle.iterdir() if not path.name.startswith("lock.json"))
    # As somebody does who has no Ansible yet.
    subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(site.folder / "key.pub"), "-in", str(site.bundle / "lock.json"),
                    "-sigfile", str(site.bundle / "lock.json.sig")], check=True)
    asked = len(site.upstream.asked)
    made = site.make()
    assert not made["changed"] and len(site.upstream.asked) == asked == 2 and not made["new"] + made["gone"] + made["changed_files"]
    assert site.verify() == ""


def test_a_long_download_says_how_far_it_is(site, monkeypatch):
    """Every piece counts as long here."""
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0)
    site.make()
    said = [line for line in site.lines if line.startswith("downloading node_exporter-1.9.9.linux-amd64.tar.gz: ")]
    assert said and said[-1].endswith(": 320.0 kB done, 0.0 kB left, about 0 s") and site.lines.index(said[-1]) < len(site.lines) - 1


def test_check_mode_fetches_and_writes_nothing(site):
    made = site.make(check=True)
    assert made["changed"] and site.lines[0] == "node_exporter-1.9.9.linux-amd64.tar.gz: to be fetched, 2 of 3 left"
    assert len(made["new"]) == 3 and not site.bundle.exists() and not site.upstream.asked


def test_an_interrupted_run_continues_and_a_part_of_something_else_is_replaced(site):
    site.bundle.mkdir()
    parts = {architecture: pathlib.Path(f"{site.archive(architecture=architecture)}.part") for architecture in site.archives}
    parts["amd64"].write_bytes(site.archives["amd64"][:100000])
    parts["arm64"].write_bytes(b"something else")
    site.make()
    assert "downloaded, continued" in site.lines[0]
    assert [asked for path, asked in site.upstream.asked] == ["bytes=100000-", "bytes=14-", None]
    assert site.verify() == ""
    # Killed between the end of a download and its rename; damaged since; killed before the signature.
    site.archive().rename(parts["amd64"])
    site.make()
    assert site.archive().read_bytes() == site.archives["amd64"]
    site.archive().write_bytes(b"x")
    (site.bundle / "lock.json.sig").unlink()
    assert site.make()["changed"] and site.verify() == ""


def test_what_nobody_signed_is_built_again(site):
    site.make()
    path, listed = site.bundle / "accelmon-fleet-1.tar.gz", site.bundle / "lock.json"
    good = path.read_bytes()
    path.write_bytes(good + b"more")
    assert tarfile.is_tarfile(path)
    listed.write_text(listed.read_text().replace(hashlib.sha256(good).hexdigest(), hashlib.sha256(good + b"more").hexdigest()))
    site.make()
    assert "built" in site.lines[-1] and not path.read_bytes().endswith(b"more") and site.verify() == ""


def test_another_version_takes_the_place_of_the_one_before_and_what_others_listed_stays(site):
    site.make()
    (site.bundle / "own.tar.gz").write_bytes(b"own")
    own = {"name": "all_smi", "version": "0.1", "os": "linux", "architecture": "amd64", "file": "own.tar.gz", "sha256": hashlib.sha256(b"own").hexdigest()}
    manifest = json.loads((site.bundle / "lock.json").read_text())
    (site.bundle / "lock.json").write_text(json.dumps(dict(manifest, artifacts=manifest["artifacts"] + [own])))
    site.publish("1.9.10", lambda content: content[1:])
    site.wanted.append({"name": "all_smi", "os": "linux", "architecture": "amd64", "problem": "nobody knows its checksum"})
    made = site.make()
    assert made["new"] == ["node_exporter 1.9.10 linux/amd64", "node_exporter 1.9.10 linux/arm64"]
    assert made["gone"] == ["node_exporter 1.9.9 linux/amd64", "node_exporter 1.9.9 linux/arm64"]
    assert {f"gone: {', '.join(made['gone'])}", "not in the bundle: x"} <= set(bundling.lines(made, ["x"]))
    assert not site.archive().exists() and site.archive("1.9.10").exists() and site.listed()["own.tar.gz"]["size"] == 3
    assert site.verify() == ""
    (site.bundle / "own.tar.gz").write_bytes(b"another")
    with pytest.raises(Problem, match="own.tar.gz is not as it was listed"):
        site.make()
    site.wanted[-1]["architecture"] = "arm64"
    with pytest.raises(Problem, match="nobody knows its checksum"):
        site.make()


def test_what_upstream_changed_is_refused(site):
    site.upstream.pages[ARCHIVE % "amd64"] = b"changed"
    with pytest.raises(Problem, match="is pinned for node_exporter 1.9.9 linux/amd64; find out why"):
        site.make()
    assert os.listdir(site.bundle) == []


def spoil_file(site):
    data = site.archive().read_bytes()
    site.archive().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def replace_by_link(site):
    site.archive().rename(site.folder / "elsewhere")
    site.archive().symlink_to(site.folder / "elsewhere")


@pytest.mark.parametrize("spoil, fault", [
    (spoil_file, "node_exporter-1.9.9.linux-amd64.tar.gz: its SHA-256 is another"),
    (lambda site: site.archive().unlink(), "node_exporter-1.9.9.linux-amd64.tar.gz: missing"),
    (lambda site: (site.bundle / "more").write_text(""), "more: not listed"),
    (replace_by_link, "node_exporter-1.9.9.linux-amd64.tar.gz: a link"),
])
def test_other_files_than_those_listed(site, spoil, fault):
    site.make()
    spoil(site)
    assert site.verify() == f"accelmon_bundle = {site.bundle}: {fault}; copy the bundle again, and install nothing from this one"


def spoil_list(site):
    path = site.bundle / "lock.json"
    path.write_text(path.read_text().replace("1.9.9", "1.9.8"))


@pytest.mark.parametrize("spoil, key, words", [
    (spoil_list, "key", "lock.json or lock.json.sig was changed after it was signed"),
    (lambda site: (site.bundle / "lock.json.sig").write_bytes(b"x"), "key", "lock.json or lock.json.sig was changed after it was signed"),
    (lambda site: (site.bundle / "lock.json.sig").unlink(), "key", "a bundle has to be signed"),
    (lambda site: (site.bundle / "lock.json").unlink(), "key", "no lock.json there on the control node"),
    (lambda site: None, "rsa", "it is signed with another key"),
    (lambda site: None, "none", "none.pub cannot be read"),
    (lambda site: (site.folder / "bad.pub").write_text("x"), "bad", "bad.pub holds no public key in PEM"),
])
def test_no_list_but_the_signed_one_is_believed(site, spoil, key, words):
    new_key(site.folder / "rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    site.make()
    spoil(site)
    problem = site.verify(key)
    assert words in problem and "\n" not in problem and problem.startswith("accelmon_bundle")
    # As the first play of site.yml says it.
    given = {"accelmon_bundle": str(site.bundle), "accelmon_bundle_public_key": str(site.folder / f"{key}.pub")}
    for source in ({"accelmon_source": "bundle"}, {"grafana_source": "container"}):
        (error,) = bundle_errors(dict(given, **source))
        assert words in error


def test_a_key_of_another_kind_and_none(site):
    new_key(site.folder / "rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    site.make()
    assert site.make("rsa")["changed"] and site.verify("rsa") == ""
    made = site.make("")
    assert not made["signed"] and not (site.bundle / "lock.json.sig").exists() and "not signed" in bundling.lines(made, [])[-1]
    # Signed by hand, where the key is asked for a passphrase or does not leave a device.
    subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(site.folder / "rsa"), "-in", str(site.bundle / "lock.json"),
                    "-out", str(site.bundle / "lock.json.sig")], check=True)
    assert site.verify("rsa") == "" and not site.make("")["changed"]
    (site.folder / "broken").write_text("no key")
    with pytest.raises(Problem, match="broken holds no private key without a passphrase"):
        site.make("broken")


def test_an_installed_collection_is_packed_as_it_is(tmp_path, monkeypatch):
    root = tmp_path / "fleet"
    root.mkdir()
    (root / "a.yml").write_text("a")
    (root / "link").symlink_to("a.yml")
    digest = hashlib.sha256(b"a").hexdigest()
    files = [{"name": ".", "ftype": "dir"}] + [{"name": name, "ftype": "file", "chksum_sha256": digest} for name in ("a.yml", "link")]
    (root / "FILES.json").write_text(json.dumps({"files": files}))
    (root / "MANIFEST.json").write_text("{}")
    (root / "left.pyc").write_text("of somebody else")
    monkeypatch.setattr(bundling, "COLLECTION", str(root))
    path = str(tmp_path / "packed")
    bundling._pack(path)
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["MANIFEST.json", "FILES.json", "a.yml", "link"] and archive.getmember("link").issym()
    (root / "a.yml").write_text("b")
    with pytest.raises(Problem, match="a.yml was changed since it was installed"):
        bundling._pack(path)


@pytest.mark.parametrize("file", ["/etc/passwd", "../x", "a/../../x", "./x", "a//x", ".."])
def test_paths_that_lead_out_of_the_bundle(tmp_path, file):
    artifact = {"name": "n", "version": "1", "os": "linux", "architecture": "amd64", "file": file, "sha256": "a" * 64}
    (tmp_path / "lock.json").write_text(json.dumps({"version": 1, "artifacts": [artifact]}))
    with pytest.raises(Problem, match="outside the bundle"):
        read_lock(str(tmp_path))


def wanted(**variables):
    hostvars = {name: dict({"inventory_hostname": name, "accelmon_source": "bundle", "group_names": []}, **variables) for name in ("gpu1", "mon1")}
    return bundled.wanted({"accelerator_nodes": ["gpu1"], "monitoring": ["mon1"]}, hostvars, ["amd64"])


def test_what_a_fleet_needs_by_its_inventory():
    found = wanted(accelmon_grafana=True)
    names = {one["name"]: one for one in found["artifacts"]}
    assert set(names) == {"node_exporter", "all_smi", "all_smi_musl", "victoriametrics", "vmagent", "vmalert", "alertmanager", "grafana"}
    assert names["vmagent"]["file"] == names["vmalert"]["file"] == "vmutils-1.151.0.linux-amd64.tar.gz"
    assert "no checksum known" in names["all_smi_musl"]["problem"] and names["all_smi_musl"]["problem"].startswith("gpu1: all_smi_sha256 = ")
    assert [note.partition(":")[0] for note in found["notes"]] == ["dcgm_exporter", "amd_exporter"]
    few = wanted(accelmon_backend="prometheus", accelmon_expected={"nvidia": 1}, accelmon_exporters=["node_exporter", "dcgm_exporter"],
                 dcgm_exporter_source="container", alertmanager_source="package")
    names = {one["name"]: one for one in few["artifacts"]}
    assert set(names) == {"node_exporter", "prometheus", "dcgm_exporter_image"} and not few["notes"]
    assert names["dcgm_exporter_image"]["source"].startswith("docker://nvcr.io/nvidia/k8s/dcgm-exporter@sha256:")
    with pytest.raises(Problem, match="no host takes a program from a bundle"):
        wanted(accelmon_source="release")


def test_images_of_a_fleet_in_containers():
    """The vendors' exporters, all-smi and Grafana do not follow accelmon_source there."""
    roles = ("node_exporter", "victoriametrics", "victoriametrics_auth", "vmagent", "vmalert", "alertmanager")
    images = {f"{role}_image": f"registry.example/{role}@sha256:{'0' * 64}" for role in roles}
    found = wanted(accelmon_source="container", accelmon_grafana=True, **images)
    assert not found["notes"] and {one["name"]: one["source"] for one in found["artifacts"]} == {name: f"docker://{images[name]}" for name in images}
    with pytest.raises(Problem, match="victoriametrics_auth_image = ''"):
        wanted(accelmon_source="container", **dict(images, victoriametrics_auth_image=""))
