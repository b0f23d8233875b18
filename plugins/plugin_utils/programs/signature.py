# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signature of a bundle's lock file: made and checked by the openssl program (3.0 or newer), with a key of any kind that it signs with.

By hand, with the same result:
  openssl pkeyutl -sign -rawin -inkey KEY -in lock.json -out lock.json.sig
  openssl pkeyutl -verify -rawin -pubin -inkey PUBLIC -in lock.json -sigfile lock.json.sig
"""
import functools
import json
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.access import pki
from ansible_collections.accelmon.fleet.plugins.module_utils.atomic import sha256_of
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.lock import BUNDLE
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem

FILE = BUNDLE + ".sig"


def _half(arguments, path, variable):
    """SHA-256 of the public half of a key, which is how a bundle names who signed it. arguments: how openssl reads the file"""
    # An empty passphrase instead of a question at the terminal, which nobody would answer.
    status, output, errors = pki.openssl(["pkey"] + arguments + ["-in", path, "-pubout", "-passin", "pass:"])
    if status:
        what = "public key" if "-pubin" in arguments else "private key without a passphrase"
        raise Problem(f"{path} holds no {what} in PEM ({pki.reason(status, errors)}); correct the path or the file", variable, path)
    return sha256_of(output)


def signer(key):
    """Who signs with a private key, as a bundle names him. Raises Problem."""
    return _half([], key, "accelmon_bundle_key")


def sign(path, key, signature):
    """Sign a file with a private key. Raises Problem."""
    status, _output, errors = pki.openssl(["pkeyutl", "-sign", "-rawin", "-inkey", key, "-passin", "pass:", "-in", path, "-out", signature])
    if status:
        raise Problem(f"openssl cannot sign with {key} ({pki.reason(status, errors)}); use an Ed25519 or RSA key and OpenSSL 3", "accelmon_bundle_key", key)


def is_signed(path, key, signature, private=False):
    """Whether a signature is that of a file by the owner of a key, of which this is the public half, or the private one."""
    which = ["-passin", "pass:"] if private else ["-pubin"]
    return not pki.openssl(["pkeyutl", "-verify", "-rawin", "-inkey", key, "-in", path, "-sigfile", signature] + which)[0]


def require(bundle, public_key):
    """Problem unless the owner of a public key signed a bundle's lock file as it is. Asks openssl once for each state of the files."""
    manifest, signature = os.path.join(bundle, BUNDLE), os.path.join(bundle, FILE)
    if not os.path.exists(manifest):
        return  # nothing to trust: whoever reads it says so
    states = [_state(manifest, "accelmon_bundle", bundle, "make it readable"),
              _state(signature, "accelmon_bundle", bundle, "a bundle has to be signed where accelmon_bundle_public_key is set: make it with "
                     "accelmon_bundle_key, and copy all of it"),
              _state(public_key, "accelmon_bundle_public_key", public_key, "put the public key of whoever signs the bundle there")]
    try:
        _require(bundle, *states)
    except Failure as error:
        raise Problem(str(error), "accelmon_bundle", bundle) from None


def _state(path, variable, value, fix):
    """(path, what tells its state)"""
    try:
        found = os.stat(path)
        return path, found.st_mtime_ns, found.st_size
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}); {fix}", variable, value) from None


@functools.lru_cache(maxsize=None)
def _require(bundle, manifest, signature, public_key):
    """manifest, signature, public_key: (path, what tells its state) each"""
    ours = _half(["-pubin"], public_key[0], "accelmon_bundle_public_key")
    if is_signed(manifest[0], public_key[0], signature[0]):
        return
    try:
        with open(manifest[0], encoding="utf-8") as stream:
            theirs = json.load(stream).get("signer") or ours
    except (OSError, ValueError, AttributeError):
        theirs = ours
    if theirs != ours:
        raise Problem(f"it is signed with another key (SHA-256 {str(theirs)[:16]}...) than that in {public_key[0]} ({ours[:16]}...); "
                      "do not use it until you know who made it", "accelmon_bundle", bundle)
    raise Problem(f"{BUNDLE} or {FILE} was changed after it was signed; do not use this bundle, copy it again from where it was made",
                  "accelmon_bundle", bundle)
