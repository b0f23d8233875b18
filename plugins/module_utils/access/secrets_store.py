# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet's passwords and certificate authority, in a directory of root alone on the first monitoring host.

<folder>/secrets.json: {"version": 1,
  "passwords": {name: {"password": str, "hash": bcrypt}},
  "channels"?: {receiver of notifications: {key: value}}, what change_channel.yml was given,
  "authority": {"signing": {"key": PEM, "certificate": PEM}, "next"?: the same, "previous"?: {"certificate": PEM}}}
<folder>/issued.json: {"version": 1, "hosts": {host: {"authority": sha256 of the authority's certificate, "until": seconds}}}
`next` is trusted already and does not sign yet; `previous` is trusted still and signs no more.
"""
import json
import os
import re
import shutil
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.access import bcrypt, pki
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

LOCK_SECONDS = 120
LENGTH = 32
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
PLAIN = re.compile(r"[!-~]{8,72}\Z")


def new_password():
    """A password of letters and digits that cannot be taken for one another; 185 bits."""
    letters = []
    while len(letters) < LENGTH:
        letters += [LETTERS[byte % len(LETTERS)] for byte in os.urandom(LENGTH) if byte < 256 - 256 % len(LETTERS)]
    return "".join(letters[:LENGTH])


def check_password(variable, password):
    """Raises Failure for a password that a password file or bcrypt would cut or change."""
    if not PLAIN.match(password):
        raise Failure("%s = (not shown): not a valid password for every service; use 8-72 printable ASCII characters without spaces" % variable)


def fingerprint(certificate):
    """By what an authority is told from another."""
    return atomic.sha256_of(certificate.encode("ascii", "replace"))


class Store(object):
    """What is kept in one folder. `changed` lists what this run made; nothing is on the disk before `save`."""

    def __init__(self, folder, relabel=None):
        self.folder = folder
        self.relabel = relabel
        self.path = os.path.join(folder, "secrets.json")
        self.issued_path = os.path.join(folder, "issued.json")
        self.changed = []
        self.data = {"version": 1, "passwords": {}, "authority": {}}
        self.exists = os.path.exists(self.path)
        if self.exists:
            self.data = self._read(self.path, ("passwords", "authority"))
        self.issued = {"version": 1, "hosts": {}}
        if os.path.exists(self.issued_path):
            self.issued = self._read(self.issued_path, ("hosts",))

    def _read(self, path, keys):
        try:
            with open(path, encoding="utf-8") as stream:
                data = json.load(stream)
            if data["version"] == 1 and all(isinstance(data[key], dict) for key in keys):
                return data
            why = "unknown version %s" % data["version"]
        except (KeyError, TypeError, ValueError) as error:
            why = type(error).__name__
        # The error's own words would show a part of the file.
        raise Failure("%s: damaged (%s); restore it from a backup, or remove %s to start over and converge the whole fleet"
                      % (path, why, self.folder))

    def lock(self):
        """The lock that a run which may change something holds."""
        atomic.make_folders(os.path.dirname(self.folder), 0o755, self.relabel)
        atomic.make_folders(self.folder, 0o700, self.relabel)
        os.chmod(self.folder, 0o700)
        return atomic.Lock(os.path.join(self.folder, "lock"), LOCK_SECONDS)

    def save(self):
        """Bring what changed to the disk."""
        self._write(self.path, self.data)

    def _write(self, path, data):
        atomic.write(path, (json.dumps(data, indent=1, sort_keys=True) + "\n").encode("ascii"), 0o600, 0, 0, self.relabel)

    # Passwords

    def password(self, name, given="", anew=False):
        """Keep the password of this name as it is, as it is given, or as a new one."""
        variable = "accelmon_%s_password" % name
        known = self.data["passwords"].get(name) or {}
        if given:
            check_password(variable, given)
            if anew:
                raise Failure("%s = (not shown): this password is set in the inventory; change it there and run site.yml" % variable)
            wanted = given
        elif anew or not known.get("password"):
            wanted = new_password()
        else:
            wanted = known["password"]
        if known.get("password") == wanted and bcrypt.fits(wanted, known.get("hash")):
            return
        try:
            self.data["passwords"][name] = {"password": wanted, "hash": bcrypt.hashed(wanted)}
        except bcrypt.BcryptError as error:
            raise Failure(str(error))
        self.changed.append("password of %s" % name)

    # Receivers of notifications

    def channel(self, name, secrets):
        """Keep the secrets of a receiver; {} forgets them."""
        known = self.data.setdefault("channels", {})
        if secrets == known.get(name, {}):
            return
        known.pop(name, None)
        known.update({name: secrets} if secrets else {})
        self.changed.append("secrets of the channel %s" % name)

    # The authority

    def authority(self, step="keep", force=False):
        """Keep the authority, making the first one, or take a step of its replacement: prepare, switch, finish."""
        known = self.data["authority"]
        if not known.get("signing"):
            known["signing"] = self._new_authority()
            self.changed.append("certificate authority")
        elif step == "prepare" and not known.get("next"):
            if known.get("previous"):
                raise Failure("accelmon_rotate = ca: the previous CA change is unfinished, both CAs are still trusted; "
                              "finish it first with accelmon_rotate=ca_end")
            known["next"] = self._new_authority()
            self.changed.append("next CA")
        elif step == "switch" and known.get("next"):
            known["previous"] = {"certificate": known["signing"]["certificate"]}
            known["signing"] = known.pop("next")
            self.changed.append("signing CA")
        elif step == "finish" and known.get("previous"):
            left = self.signed_by(known["previous"]["certificate"])
            if left and not force:
                raise Failure("accelmon_rotate = ca_end: %d host(s) still have a certificate from the previous CA (%s); converge them, "
                              "or set accelmon_rotate_force=true to leave them behind" % (len(left), ", ".join(left[:10])))
            del known["previous"]
            self.changed.append("previous CA")

    def _new_authority(self):
        with Workshop(self.folder) as folder:
            key = pki.new_key()
            key_file = os.path.join(folder, "authority.key")
            atomic.create(key_file, key, 0o600)
            # Two authorities of one name would be taken for one another while both are trusted.
            name = "accelmon CA %s %s" % (time.strftime("%Y-%m-%d", time.gmtime()), atomic.sha256_of(os.urandom(16))[:8])
            text = pki.request(folder, key_file)
            certificate = pki.issue(folder, text, name, pki.AUTHORITY_EXTENSIONS, key_file, days=pki.AUTHORITY_DAYS)
        return {"key": key.decode("ascii"), "certificate": certificate}

    def signing(self):
        """The certificate that signs, "" before there is one."""
        return (self.data["authority"].get("signing") or {}).get("certificate", "")

    def bundle(self):
        """All certificates that are trusted now, the signing one first."""
        known = self.data["authority"]
        return "".join(known[role]["certificate"] for role in ("signing", "next", "previous") if known.get(role))

    def signed_by(self, certificate):
        """Hosts whose last certificate is of this authority and still valid, sorted."""
        mark, now = fingerprint(certificate), time.time()
        return sorted(host for host, entry in self.issued["hosts"].items() if entry["authority"] == mark and entry["until"] > now)

    def forget(self, recorded):
        """Drop hosts from the list of certificates that the fleet no longer has; recorded: names of those that it has."""
        kept = dict((host, entry) for host, entry in self.issued["hosts"].items() if host in recorded)
        if kept != self.issued["hosts"]:
            self.issued["hosts"] = kept
            self._write(self.issued_path, self.issued)

    def sign(self, requests, now=None):
        """{host: certificate} for [{"host", "csr", "names", "client"}]. Notes them as issued."""
        signing = self.data["authority"].get("signing")
        if not signing:
            raise Failure("%s: there is no CA yet; run the play from the beginning" % self.path)
        if pki.read_certificate(signing["certificate"])["until"] < (time.time() if now is None else now):
            raise Failure("%s: the CA has expired; create a new one with rotate.yml -e accelmon_rotate=ca" % self.path)
        made = {}
        for number, request in enumerate(requests):
            host = request["host"]
            try:
                pki.check_request(request["csr"])
                with Workshop(self.folder) as folder:
                    key_file, certificate_file = os.path.join(folder, "authority.key"), os.path.join(folder, "authority.crt")
                    atomic.create(key_file, signing["key"].encode("ascii"), 0o600)
                    atomic.create(certificate_file, signing["certificate"].encode("ascii"))
                    made[host] = pki.issue(folder, request["csr"], subject(request["names"]), pki.leaf_extensions(request["names"], request["client"]),
                                           key_file, certificate_file, now=now)
            except Failure as error:
                raise Failure("%s: request %d: %s" % (host, number + 1, error))
            self.issued["hosts"][host] = {"authority": fingerprint(signing["certificate"]), "until": pki.read_certificate(made[host])["until"]}
        if made:
            self._write(self.issued_path, self.issued)
        return made


def subject(names):
    """The common name for a certificate: the first name that is short enough. Who checks a certificate reads the others."""
    pki.alternative_names(names)
    fitting = [name for name in names if len(name) <= 64]
    return fitting[0] if fitting else "accelmon"


class Workshop(object):
    """A new, empty directory of root alone, gone with all that is in it at the end."""

    def __init__(self, parent):
        self.path = os.path.join(parent, "work")

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)  # of a killed run
        os.mkdir(self.path, 0o700)
        return self.path

    def __exit__(self, kind, value, trace):
        shutil.rmtree(self.path, ignore_errors=True)
