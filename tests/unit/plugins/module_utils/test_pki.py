# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, certificates and their authority, by the openssl program of this machine. Nothing is stubbed but where a test says so."""

import json
import os
import re
import shutil
import ssl
import subprocess
import time

import pytest
from ansible_collections.accelmon.fleet.plugins.module_utils.access import certificates, pki, secrets_store
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.fleet import registry
from ansible_collections.accelmon.fleet.plugins.modules import fleet_secrets

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="this machine has no openssl")
ENTRY = {"address": "10.0.0.7", "labels": {}, "state": "active", "expected": {}, "exporters": [], "reached": True, "status": "retired", "seen": {},
         "highest": {}}
NAMES = ("gpu7", "10.0.0.7", "FD00::0007")


class Site:
    """The authority's host and one other host, in two folders."""

    def __init__(self, folder):
        self.folder = folder
        self.store = secrets_store.Store(str(folder / "secrets"))
        with self.store.lock():
            self.store.authority()
            self.store.save()
        self.own = self.host("gpu7")

    def host(self, name):
        return certificates.HostCertificate(str(self.folder / name / "tls"), str(self.folder / name / "pending"), os.getgid())

    def converge(self, names=NAMES, client=False, own=None, host="gpu7", now=None):
        """One run of the role for a host. Returns why a new certificate was needed."""
        own = own or self.own
        why = own.unfit(names, client, self.store.signing(), now)
        made = {}
        if why:
            made = self.store.sign([{"host": host, "csr": own.request(), "names": names, "client": client}], now)
        own.install(made.get(host, ""), self.store.bundle())
        return why


@pytest.fixture(name="site")
def _site(tmp_path, monkeypatch):
    """Stubbed: changes of owner, where the tests are not root's."""
    if os.getuid():
        monkeypatch.setattr(os, "chown", lambda *args: None)
        monkeypatch.setattr(os, "fchown", lambda *args: None)
    return Site(tmp_path)


def test_a_host_gets_a_certificate_once(site):
    assert site.converge() == "there is no certificate yet"
    assert site.converge() == ""
    found = pki.read_certificate(certificates.read(site.own.certificate))
    assert found["names"] == {"gpu7", "10.0.0.7", "fd00::7"} and found["usages"] == {"serverAuth"}
    assert found["public_key"] == pki.public_key(site.own.key)
    assert os.stat(site.own.key).st_mode & 0o777 == 0o640 and os.stat(site.own.certificate).st_mode & 0o777 == 0o644
    assert os.listdir(site.own.pending) == []
    assert set(site.own.ends()) == {"host", "ca"}
    assert 396 < (site.own.ends()["host"] - time.time()) / 86400 < 398 and 3649 < (site.own.ends()["ca"] - time.time()) / 86400 < 3651


def test_strict_checkers_take_it(site):
    site.converge(client=True)
    for usage in ("serverAuth", "clientAuth"):
        assert pki.trusted(site.own.certificate, site.own.authorities, usage) == ""
    done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", site.own.authorities, site.own.certificate],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, universal_newlines=True)
    assert done.returncode == 0, done.stdout


def test_a_node_is_no_client(site):
    site.converge()
    assert "purpose" in pki.trusted(site.own.certificate, site.own.authorities, "clientAuth")


@pytest.mark.parametrize("change, why", [
    (lambda own: os.unlink(own.key), "there is no certificate yet"),
    (lambda own: open(own.key, "wb").write(pki.new_key()), "the key does not match the certificate"),
    (lambda own: open(own.key, "w").write("junk"), "the current one is unusable"),
    (lambda own: open(own.certificate, "w").write("junk"), "the current one is unusable"),
    (lambda own: open(own.certificate, "w").write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "the current one is unusable"),
])
def test_what_is_broken_is_made_anew(site, change, why):
    site.converge()
    change(site.own)
    assert site.converge().startswith(why)
    assert site.converge() == ""


@pytest.mark.parametrize("days, why", [(200, ""), (300, "it expires soon"), (400, "it has expired")])
def test_it_is_renewed_in_time(site, days, why):
    site.converge()
    assert site.own.unfit(NAMES, False, site.store.signing(), time.time() + days * 86400) == why


def test_changed_names_and_parts(site):
    site.converge()
    assert site.converge(names=[*NAMES, "gpu7.example.org"]) == "the host's names have changed"
    assert site.converge(names=["GPU7.example.org.", "gpu7", "10.0.0.7", "fd00:0::7"]) == ""
    assert site.converge(names=["gpu7.example.org", *NAMES], client=True) == "the host's role in the fleet has changed"


def test_a_new_certificate_has_a_new_key_and_a_killed_run_is_completed(site):
    site.converge()
    key = certificates.read(site.own.key)
    site.own.request()  # and no more
    assert certificates.read(site.own.key) == key and site.converge() == ""
    site.converge(names=["gpu7"])
    assert certificates.read(site.own.key) != key


def test_a_certificate_of_another_key_is_refused(site):
    other = site.host("gpu8")
    made = site.store.sign([{"host": "gpu8", "csr": other.request(), "names": ["gpu8"], "client": False}])
    site.own.request()
    with pytest.raises(Failure, match="does not match the new certificate"):
        site.own.install(made["gpu8"], site.store.bundle())


def test_the_authority_is_replaced_while_both_are_trusted(site):
    site.converge()
    first = site.store.signing()
    site.store.authority("prepare")
    assert site.converge() == "" and site.store.signing() == first
    assert len(pki.CERTIFICATE.findall(certificates.read(site.own.authorities))) == 2
    site.store.authority("switch")
    with pytest.raises(Failure, match=r"1 host\(s\) still have .* \(gpu7\)"):
        site.store.authority("finish")
    with pytest.raises(Failure, match="ca_end"):
        site.store.authority("prepare")
    old = site.folder / "old.crt"
    shutil.copy(site.own.certificate, str(old))
    assert site.converge() == "the CA has changed"
    assert pki.trusted(str(old), site.own.authorities) == "" and pki.trusted(site.own.certificate, site.own.authorities) == ""
    site.store.authority("finish")
    site.converge()
    assert pki.trusted(str(old), site.own.authorities) != "" and pki.trusted(site.own.certificate, site.own.authorities) == ""
    assert first not in json.dumps(site.store.data)


def test_a_host_that_the_registry_no_longer_has_does_not_keep_the_authority(site):
    """gpu8 was uninstalled, or pruned: it has a certificate of the former authority, and nobody asks it any more."""
    site.converge()
    site.converge(host="gpu8", own=site.host("gpu8"))
    for step in ("prepare", "switch"):
        site.store.authority(step)
        site.store.save()
    site.converge()
    asked = {"passwords": {}, "channels": {}, "rotate": [], "authority": "finish", "force": False, "create": True, "state_dir": site.store.folder,
             "witness": str(site.folder / "none"), "registry_dir": str(site.folder / "registry")}
    with pytest.raises(Failure, match=r"1 host\(s\) still have .* \(gpu8\)"):
        fleet_secrets.run(asked, False)  # who has no registry knows of nobody that is gone
    (site.folder / "registry").mkdir()
    (site.folder / "registry/c1.json").write_text(json.dumps(dict(registry.empty("c1"), hosts={"gpu7": ENTRY, "gpu8": ENTRY})))
    with pytest.raises(Failure, match="gpu8"):
        fleet_secrets.run(asked, False)
    (site.folder / "registry/c1.json").write_text(json.dumps(dict(registry.empty("c1"), hosts={"gpu7": ENTRY})))
    assert fleet_secrets.run(asked, False)["made"] == ["previous CA"]
    assert list(secrets_store.Store(site.store.folder).issued["hosts"]) == ["gpu7"]


def test_hosts_may_be_left_behind(site):
    site.converge()
    for step in ("prepare", "switch"):
        site.store.authority(step)
    site.store.authority("finish", force=True)
    assert site.own.unfit(NAMES, False, site.store.signing()) == "the CA has changed"


def test_names_come_from_the_inventory_and_not_from_the_request(site):
    key = site.folder / "evil.key"
    key.write_bytes(pki.new_key())
    csr = subprocess.run(
        ["openssl", "req", "-new", "-key", str(key), "-subj", "/CN=mon1", "-addext", "subjectAltName=DNS:mon1",
         "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "extendedKeyUsage=clientAuth"],
        stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    made = site.store.sign([{"host": "gpu7", "csr": csr, "names": ["gpu7"], "client": False}])["gpu7"]
    found = pki.read_certificate(made)
    assert (found["names"], found["usages"], found["subject"]) == ({"gpu7"}, {"serverAuth"}, "CN=gpu7")
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=made, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    assert "CA:FALSE" in text and "CA:TRUE" not in text


@pytest.mark.parametrize("name", ["a\nkeyUsage=keyCertSign", "a,DNS:mon1", "a b", "", "-a", "a/CN=b", "*.example.org", "é"])
def test_names_that_would_be_something_else_are_refused(site, name):
    with pytest.raises(Failure, match="neither a host name nor an IP address"):
        site.store.sign([{"host": "gpu7", "csr": site.own.request(), "names": ["gpu7", name], "client": False}])


def weak(folder, *arguments):
    """A request with another key."""
    subprocess.run(["openssl", "req", "-new", "-nodes", "-subj", "/CN=x", "-keyout", str(folder / "k"), "-out", str(folder / "r")]
                   + list(arguments), check=True, stderr=subprocess.DEVNULL)
    return (folder / "r").read_text()


def test_bad_requests_are_refused_and_the_host_is_named(site, tmp_path):
    good = site.own.request()
    body = good.splitlines()
    body[3] = body[3][::-1]
    for csr, why in (("junk", "not a request signed"), (good[:200], "not a request signed"), ("\n".join(body), "not a request signed|cannot create"),
                     (weak(tmp_path, "-newkey", "rsa:1024"), "its key is not EC P-256"),
                     (weak(tmp_path, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"), "its key is not EC P-256")):
        with pytest.raises(Failure, match="^gpu7: request 1: .*(%s)" % why):
            site.store.sign([{"host": "gpu7", "csr": csr, "names": ["gpu7"], "client": False}])


def test_an_expired_authority_signs_no_more(site):
    with pytest.raises(Failure, match="rotate.yml -e accelmon_rotate=ca"):
        site.store.sign([{"host": "gpu7", "csr": site.own.request(), "names": ["gpu7"], "client": False}], time.time() + 3651 * 86400)


def test_without_openssl_it_says_what_to_install(site, monkeypatch):
    """Stubbed: PATH, in which nothing is."""
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(Failure, match="install the package openssl"):
        site.own.request()


def test_all_that_is_ours_is_removed(site):
    site.converge()
    assert len(site.own.remove()) == 4
    assert not os.path.exists(site.own.folder) and not os.path.exists(site.own.pending) and site.own.remove() == []


# A site's own files


@pytest.fixture(name="files")
def _files(site):
    """(key, certificate, authorities) of a site, good for gpu7."""
    site.converge(client=True)
    return tuple(site.own.paths)


def check(files, address="gpu7", client=False, gid=None, now=None):
    certificates.check_files("gpu7", files, address, client, gid, now=now)


def test_good_files_are_linked_and_renewed_by_the_site(site, files):
    check(files)
    check(files, "10.0.0.7", True)
    mine = site.host("linked")
    assert len(mine.link(files)) == 3 and mine.link(files) == []
    assert os.readlink(mine.key) == files[0] and mine.ends() == site.own.ends()
    assert mine.unfit(NAMES, True, site.store.signing()) == "the current files belong to the site"
    assert site.converge(own=mine, client=True) != "" and not os.path.islink(mine.key) and site.converge(client=True) == ""


def test_what_is_wrong_with_files_is_told(site, files):
    key, certificate, authorities = files
    other = site.folder / "other"
    other.write_bytes(pki.new_key())
    stranger = Site(site.folder / "stranger")
    for given, options, message in [
        (("", certificate, authorities), {}, 'gpu7: accelmon_tls_key_file = "": not an absolute path'),
        ((key, "/none", authorities), {}, "gpu7: accelmon_tls_certificate_file = /none: no such file"),
        ((str(other), certificate, authorities), {}, "accelmon_tls_key_file = .*not the key of"),
        ((certificate, certificate, authorities), {}, "accelmon_tls_key_file = .*no private key"),
        ((key, key, authorities), {}, "accelmon_tls_certificate_file = .*no PEM certificate in it"),
        ((key, certificate, key), {}, "accelmon_tls_ca_file = .*no PEM certificate in it"),
        (files, {"address": "10.0.0.8"}, "accelmon_tls_certificate_file = .*is scraped as 10.0.0.8"),
        (files, {"now": time.time() + 400 * 86400}, "it expired on"),
        (files, {"now": 0}, "not valid before"),
    ]:
        with pytest.raises(Failure, match=message) as caught:
            check(given, **options)
        assert "\n" not in str(caught.value)
    site.own.authorities = str(stranger.folder / "ca.crt")
    (stranger.folder / "ca.crt").write_text(stranger.store.bundle())
    with pytest.raises(Failure, match="does not verify it for a server"):
        check((key, certificate, site.own.authorities))


def test_a_server_that_shall_scrape_needs_a_client_s_certificate(site):
    site.converge()
    check(site.own.paths)
    with pytest.raises(Failure, match="for a client"):
        check(site.own.paths, client=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can look as somebody else")
def test_a_key_that_the_group_cannot_read_is_told(site, files):
    with pytest.raises(Failure, match="accelmon_tls_key_file = .*the group accelmon cannot read it"):
        check(files, gid=54321)


@pytest.mark.parametrize("names, wanted, good", [
    ({"a.example.org"}, "A.example.org.", True), ({"*.example.org"}, "a.example.org", True), ({"*.example.org"}, "a.b.example.org", False),
    ({"fd00::7"}, "fd00:0::7", True), ({"*.0.0.7"}, "10.0.0.7", False)])
def test_names_of_certificates(names, wanted, good):
    assert certificates.covers(names, wanted) is good


# The store


def test_passwords_are_kept_given_and_made_anew(site):
    site.store.password("stack")
    site.store.save()
    first = site.store.data["passwords"]["stack"]
    again = secrets_store.Store(site.store.folder)
    again.password("stack")
    assert again.changed == [] and again.data["passwords"]["stack"] == first and re.match(r"[A-Za-z0-9]{32}\Z", first["password"])
    again.password("stack", anew=True)
    assert again.data["passwords"]["stack"] != first
    again.password("stack", "of the vault".replace(" ", "-"))
    assert again.data["passwords"]["stack"]["password"] == "of-the-vault"
    with pytest.raises(Failure, match="change it there"):
        again.password("stack", "of-the-vault", anew=True)


@pytest.mark.parametrize("password", ["short", "with blank in it", "x" * 73, "line\nline", "ümlaut-ümlaut"])
def test_passwords_that_do_not_work_everywhere_are_refused_and_not_shown(site, password):
    with pytest.raises(Failure) as caught:
        site.store.password("stack", password)
    assert password not in str(caught.value)


@pytest.mark.parametrize("text", ["", "junk hunter22", "[]", '{"version": 2}', '{"version": 1, "passwords": [], "authority": {}}'])
def test_a_damaged_store_is_named_and_not_shown(site, text):
    site.store.save()
    with open(site.store.path, "w") as stream:
        stream.write(text)
    with pytest.raises(Failure, match="secrets.json: damaged") as caught:
        secrets_store.Store(site.store.folder)
    assert "hunter22" not in str(caught.value)


def test_only_root_can_read_it(site):
    site.converge()
    assert os.stat(site.store.folder).st_mode & 0o777 == 0o700
    assert {os.stat(os.path.join(site.store.folder, name)).st_mode & 0o777 for name in os.listdir(site.store.folder)} == {0o600}
    assert sorted(os.listdir(site.store.folder)) == ["issued.json", "lock", "secrets.json"]


def test_a_client_of_python_trusts_it_and_its_name(site):
    site.converge()
    context = ssl.create_default_context(cafile=site.own.authorities)
    context.load_cert_chain(site.own.certificate, site.own.key)
    assert context.check_hostname and len(context.get_ca_certs()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_whether_a_group_may_read_is_asked_without_waiting(tmp_path):
    tmp_path.chmod(0o755)
    key, pipe = tmp_path / "key", tmp_path / "pipe"
    key.write_text("x")
    os.mkfifo(str(pipe), 0o644)
    started = time.monotonic()
    assert certificates.readable_by(str(pipe), 12345) in (True, False) and time.monotonic() - started < 5
    key.chmod(0o600)
    assert not certificates.readable_by(str(key), 12345)
