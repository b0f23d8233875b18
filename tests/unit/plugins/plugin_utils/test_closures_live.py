# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of NVIDIA's exporter with what they need, found by the real apt in a signed repository on a local web server.

Made up: the packages (molecule/dcgm/files/make_packages.py), and what hosts have installed. Nothing is installed here. Skipped without apt, dpkg or gpg.
"""

import base64
import functools
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import bundled
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.fleet import bundle_states
from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.programs import package_files
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import bundling, closures
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services.declaration import packages_needed
from ansible_collections.accelmon.fleet.tests.unit.plugins.fleet_samples import device, facts

ROOT = pathlib.Path(__file__).resolve().parents[4]
CORE, EXPORTER, LIBRARY = "datacenter-gpu-manager-4-core", "datacenter-gpu-manager-exporter", "lab-library"
NODE = {"distribution": "debian", "distribution_version": "12", "architecture": "amd64"}
HERE = "Package: {}\nStatus: install ok installed\nMaintainer: x\nArchitecture: amd64\nVersion: {}\nDescription: of\n two lines\n\n"
VERSIONS = {CORE: "4.6.0", EXPORTER: "4.8.3"}

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("apt-get", "dpkg-deb", "gpg"))), reason="apt, dpkg or gpg is missing")


@pytest.fixture(scope="module", name="made")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([sys.executable, str(ROOT / "molecule" / "dcgm" / "files" / "make_packages.py"), str(folder), "library"], check=True)
    return folder


@pytest.fixture
def site(made, tmp_path):
    """A site whose mirror is a copy of that repository."""
    shutil.copytree(made / "debian12", tmp_path / "mirror" / "debian12")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "mirror"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield Site(tmp_path, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


class Site:
    """states: directory of what hosts have installed; url: of the mirror"""

    def __init__(self, folder, url):
        self.folder, self.url, self.states, self.repository = folder, url, folder / "states", folder / "mirror" / "debian12" / "x86_64"
        self.states.mkdir()

    def installed(self, **versions):
        """Write down a host that has these packages."""
        status = "".join(HERE.format(name.replace("_", "-"), version) for name, version in {"base_files": "12", **versions}.items())
        one = closures.state_of(NODE, ["dcgm_exporter"], status)
        (self.states / one["name"]).write_text(one["text"])

    def wanted(self, **variables):
        hostvars = {"gpu1": {"inventory_hostname": "gpu1", "group_names": [], "accelmon_source": "bundle", "dcgm_exporter_repository": self.url,
                             "accelmon_expected": {"nvidia": 1}, "accelmon_exporters": ["dcgm_exporter"], "node_exporter_source": "package", **variables}}
        return bundled.wanted({"accelerator_nodes": ["gpu1"]}, hostvars, ["amd64"], str(self.states))

    def found(self):
        (self.folder / "spare").mkdir(exist_ok=True)
        try:
            return closures.artifacts(self.wanted()["packages"], str(self.folder / "spare"))
        finally:
            shutil.rmtree(self.folder / "spare")


def names(artifacts):
    return [one["name"] for one in sorted(artifacts, key=lambda one: one["rank"])]


def test_what_a_host_lacks_in_the_order_of_installation(site):
    site.installed()
    found = site.found()
    assert sorted(names(found)) == sorted([CORE, EXPORTER, LIBRARY]) and names(found)[-1] == EXPORTER
    for one in found:
        file = site.repository / one["source"].rpartition("/")[2].replace("%3a", ":")
        assert one["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert (one["os"], one["roles"], one["version"]) == ("debian12", ["dcgm_exporter"], {**VERSIONS, LIBRARY: "2.0-1"}[one["name"]])


@pytest.mark.parametrize("has, needs", [
    ({"lab_library": "2.0-1"}, {CORE, EXPORTER}), ({"lab_library": "3"}, {CORE, EXPORTER}), ({"lab_library": "1"}, {CORE, EXPORTER, LIBRARY}),
    # A host that has them already may be installed anew.
    ({"lab_library": "2.0-1", CORE: "1:4.6.0-1", EXPORTER: "4.8.3-1"}, {CORE, EXPORTER}),
])
def test_what_it_has_is_left_out(site, has, needs):
    site.installed(**has)
    assert set(names(site.found())) == needs


def test_a_bundle_has_what_any_host_lacks_and_each_host_takes_its_own(site, monkeypatch):
    collection = {"name": "accelmon.fleet", "version": "1", "os": "any", "architecture": "any", "file": "c", "sha256": "", "source": "s",
                  "built": str(site.folder / "c")}
    monkeypatch.setattr(bundling, "_collection", lambda _folder, _spare: dict(collection))
    (site.folder / "c").write_text("")
    site.installed(lab_library="2.0-1")
    site.installed()
    wanted, said, place = site.wanted(), [], str(site.folder / "bundle")
    assert len(wanted["packages"]) == 2 and not wanted["notes"]
    bundling.make(place, wanted["artifacts"], said.append, packages=wanted["packages"])
    assert any(line.startswith(f"debian12_{LIBRARY}_2.0-1_amd64.deb: ") and line.endswith(" downloaded, 1 of 4 left") for line in said), said
    files = package_files(place, "dcgm_exporter", [CORE, EXPORTER], VERSIONS, NODE)
    assert [one["name"] for one in files] == [LIBRARY, CORE, EXPORTER]
    assert [one["name"] for one in packages_needed(files, [])] == [CORE, EXPORTER]
    assert package_files(place, "amd_exporter", [], {}, NODE) == []
    again = bundling.make(place, site.wanted()["artifacts"], said.append, packages=site.wanted()["packages"])
    assert not again["changed"] and not again["new"] + again["gone"] + again["changed_files"]


def test_without_what_was_written_down_they_are_named(site):
    told = site.wanted()
    assert not told["packages"] and told["notes"][0].startswith("dcgm_exporter: packages of the vendor: no file in accelmon_bundle_states")
    (site.states / "x.json").write_text("{}")
    with pytest.raises(Problem, match="accelmon_bundle_states = .*: x.json is not what bundle_states.yml wrote"):
        site.wanted()


def test_a_repository_that_the_key_did_not_sign_is_refused(site):
    site.installed()
    text = (site.repository / "InRelease").read_text()
    (site.repository / "InRelease").write_text(text.replace("Origin: lab", "Origin: bad"))
    with pytest.raises(Problem, match="apt-get cannot find all packages of dcgm_exporter"):
        site.found()


def test_what_the_vendor_does_not_have_is_looked_for_where_the_site_says(site):
    site.installed()
    stanzas = (site.repository / "Packages").read_text().split("\n\n")
    other = site.folder / "mirror" / "distribution"
    other.mkdir()
    (other / "Packages").write_text(stanzas[0] + "\n")
    shutil.move(str(site.repository / "lab-library_2.0-1_amd64.deb"), other)
    # Without its signature, which this repository has no longer.
    (site.repository / "Packages").write_text("\n\n".join(stanzas[1:]))
    for name in ("InRelease", "Release"):
        (site.repository / name).unlink()
    request = site.wanted()["packages"][0]
    request["repository"] += "Trusted: yes\n"
    for name in ("without", "with"):
        (site.folder / name).mkdir()
    with pytest.raises(Problem, match="lab-library .* put the distribution's own repository into debian12.sources beside the state"):
        closures.artifacts([request], str(site.folder / "without"))
    (site.states / "debian12.sources").write_text(f"Types: deb\nURIs: {site.url}/distribution/\nSuites: ./\nTrusted: yes\n")
    found = closures.artifacts([request], str(site.folder / "with"))
    assert [one["source"] for one in found if one["name"] == LIBRARY] == [f"{site.url}/distribution/./lab-library_2.0-1_amd64.deb"]


def test_what_is_written_down_is_what_apt_decides_by(site):
    site.installed()
    (one,) = closures.states(str(site.states))
    assert json.loads(pathlib.Path(one["path"]).read_text())["status"] == \
        "Package: base_files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12\n\n".replace("base_files", "base-files")


def test_states_of_hosts_by_what_they_told():
    hosts = {"gpu1": NODE, "gpu2": NODE, "gpu3": dict(NODE, distribution_version="13"), "rpm": dict(NODE, distribution="rocky"),
             "bad": dict(NODE, distribution_version="/../../x"), "silent": NODE, "other": NODE}
    hostvars = {name: {"inventory_hostname": name, "group_names": [], "ansible_facts": facts(device(), node=node), "dcgm_exporter_source": "bundle",
                       "accelmon_packages": {"content": base64.b64encode(HERE.format("x", name[:3]).encode())}} for name, node in hosts.items()}
    hostvars["silent"]["accelmon_packages"] = {"failed": True}
    hostvars["other"]["dcgm_exporter_source"] = "package"
    made = bundle_states(list(hosts), hostvars)
    assert [one["name"].rpartition("-")[0] for one in made] == ["debian12-amd64", "debian13-amd64"]
    assert json.loads(made[0]["text"])["roles"] == ["dcgm_exporter"] and "Package: x" in made[0]["text"]


def play(site, playbook, **variables):
    (site.folder / "hosts.ini").write_text("[accelerator_nodes]\ngpu1 ansible_connection=local ansible_python_interpreter=%s\n" % sys.executable)
    given = {"accelmon_bundle_states": str(site.folder / "states"), "dcgm_exporter_source": "bundle", "accelmon_exporters": ["dcgm_exporter"],
             "accelmon_expected": {"nvidia": 1}, "accelmon_bundle": str(site.folder / "bundle"), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(site.folder / "hosts.ini"), str(ROOT / "playbooks" / f"{playbook}.yml"), "--limit",
         "gpu1,localhost" if playbook == "bundle" else "gpu1", "-e", json.dumps(given)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False, cwd=str(site.folder),
        env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".collections"), ANSIBLE_HOME=str(site.folder / "home"), ANSIBLE_NOCOLOR="1",
                 no_proxy="127.0.0.1"))
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_playbooks_with_this_machine_as_the_host(site):
    """As users run them. This machine has no accelerator, so nothing is written down of it; another's state is there."""
    site.installed()
    before = sorted(site.states.iterdir())
    assert "failed=0" in play(site, "bundle_states") and sorted(site.states.iterdir()) == before
    said = play(site, "bundle", dcgm_exporter_repository=site.url)
    assert "lab-library 2.0-1 debian12/amd64" in said and not [line for line in said.splitlines() if "not in the bundle: dcgm" in line], said
    assert [one["name"] for one in package_files(str(site.folder / "bundle"), "dcgm_exporter", [CORE, EXPORTER], VERSIONS, NODE)] == [LIBRARY, CORE, EXPORTER]
