# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host's key, certificate and trusted authorities, in <folder>/host.key, host.crt and ca.crt.

managed: files of ours. The key is made on the host; a new certificate always comes with a new key.
files: links to a site's own files, so that what the site renews holds at once.
"""
import errno
import os
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic
from ansible_collections.accelmon.fleet.plugins.module_utils.access import pki
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

NAMES = ("host.key", "host.crt", "ca.crt")
VARIABLES = ("accelmon_tls_key_file", "accelmon_tls_certificate_file", "accelmon_tls_ca_file")
# A certificate is renewed when less than this part of its time is left.
LAST_PART = 1 / 3.0
NOBODY = 65534


def read(path):
    """Text of a file; None if there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read().decode("ascii", "replace")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise


class HostCertificate(object):
    """What is in one folder.

    gid: of the group that may read the key; None if it does not exist yet, which only check mode bears
    pending: folder of root alone where a new key waits for its certificate
    """

    def __init__(self, folder, pending, gid, relabel=None):
        self.key, self.certificate, self.authorities = (os.path.join(folder, name) for name in NAMES)
        self.paths = (self.key, self.certificate, self.authorities)
        self.folder = folder
        self.pending = pending
        self.gid = gid
        self.relabel = relabel

    # Managed

    def unfit(self, names, client, authority, now=None):
        """Why the present certificate does not do, "" if it does.

        authority: PEM of the one that signs now; "" if there is none yet
        """
        now = time.time() if now is None else now
        if any(os.path.islink(path) for path in self.paths):
            return "the current files belong to the site"
        text = read(self.certificate)
        if text is None or read(self.key) is None:
            return "there is no certificate yet"
        try:
            found = pki.read_certificate(text)
            if found["public_key"] != pki.public_key(self.key):
                return "the key does not match the certificate"
        except Failure as error:
            return "the current one is unusable: %s" % error
        if found["until"] < now:
            return "it has expired"
        if found["until"] - now < (found["until"] - found["from"]) * LAST_PART:
            return "it expires soon"
        if found["names"] != set(pki.same_name(name) for name in names):
            return "the host's names have changed"
        if found["usages"] != (set(["serverAuth", "clientAuth"]) if client else set(["serverAuth"])):
            return "the host's role in the fleet has changed"
        if not self.signed_by(authority):
            return "the CA has changed"
        return ""

    def signed_by(self, authority):
        """Whether the present certificate is of this authority."""
        if not authority:
            return False
        with Scratch(self.pending) as folder:
            bundle = os.path.join(folder, "authority.crt")
            atomic.create(bundle, authority.encode("ascii"))
            return not pki.trusted(self.certificate, bundle, "serverAuth")

    def request(self):
        """A request with a new key, which waits in `pending`."""
        with Scratch(self.pending) as folder:
            key_file = os.path.join(folder, "host.key")
            atomic.create(key_file, pki.new_key(), 0o600)
            text = pki.request(folder, key_file)
            os.rename(key_file, os.path.join(self.pending, "host.key"))
        return text

    def install(self, certificate, bundle, check=False):
        """Put a new certificate with its waiting key and the trusted authorities into place. Returns the paths that change.

        certificate: "" keeps the present one
        """
        changes = []
        if certificate:
            waiting = os.path.join(self.pending, "host.key")
            try:
                fits = read(waiting) is not None and pki.public_key(waiting) == pki.read_certificate(certificate)["public_key"]
            except Failure:
                fits = False
            if not fits:
                raise Failure("%s: the pending key does not match the new certificate; run the play again" % waiting)
            changes += [self.key, self.certificate]
        if read(self.authorities) != bundle or os.path.islink(self.authorities):
            changes.append(self.authorities)
        if check:
            return changes
        atomic.make_folders(self.folder, 0o755, self.relabel)
        # Who is trusted first: a peer with a new certificate may come at any moment.
        if self.authorities in changes:
            atomic.write(self.authorities, bundle.encode("ascii"), 0o644, 0, 0, self.relabel)
        if certificate:
            with open(waiting, "rb") as stream:
                key = stream.read()
            atomic.write(self.key, key, 0o640, 0, self.gid, self.relabel)
            atomic.write(self.certificate, certificate.encode("ascii"), 0o644, 0, 0, self.relabel)
            atomic.discard(waiting)
        return changes + self.owners()

    def owners(self):
        """Give the key back its owner and mode. Returns the paths that change."""
        try:
            found = os.stat(self.key)
        except OSError:
            return []
        if (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, self.gid, 0o640):
            return []
        os.chown(self.key, 0, self.gid)
        os.chmod(self.key, 0o640)
        return [self.key]

    # A site's own files

    def link(self, files, check=False):
        """Point at a site's files (key, certificate, authorities). Returns the paths that change."""
        changes = [path for path, target in zip(self.paths, files)
                   if not (os.path.islink(path) and os.readlink(path) == target)]
        if not check:
            atomic.make_folders(self.folder, 0o755, self.relabel)
            for path, target in zip(self.paths, files):
                if path in changes:
                    atomic.point(path, target)
        return changes

    # None

    def remove(self, check=False):
        """Remove what is ours. Returns the paths that go."""
        gone = [path for path in self.paths + (self.pending,) if os.path.lexists(path)]
        if check:
            return gone
        for path in self.paths + (os.path.join(self.pending, "host.key"),):
            atomic.discard(path)
        for folder in (self.folder, self.pending):
            try:
                os.rmdir(folder)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                    raise
        return gone

    def ends(self):
        """{"host": seconds, "ca": seconds}: when the present files expire; {} without them."""
        text, bundle = read(self.certificate), read(self.authorities)
        if not text or not bundle:
            return {}
        found = pki.read_certificate(text)
        known = [pki.read_certificate(one) for one in pki.CERTIFICATE.findall(bundle)]
        issuers = [one for one in known if one["subject"] == found["issuer"]] or known
        return {"host": found["until"], "ca": max(one["until"] for one in issuers)}


class Scratch(object):
    """A folder for a moment, below a folder of root alone that is made if it is missing."""

    def __init__(self, parent):
        self.parent = parent
        self.path = os.path.join(parent, "work")

    def __enter__(self):
        atomic.make_folders(os.path.dirname(self.parent))
        atomic.make_folders(self.parent, 0o700)
        self._clear()  # of a killed run
        os.mkdir(self.path, 0o700)
        return self.path

    def __exit__(self, kind, value, trace):
        self._clear()

    def _clear(self):
        if os.path.isdir(self.path):
            for name in os.listdir(self.path):
                os.unlink(os.path.join(self.path, name))
            os.rmdir(self.path)


def readable_by(path, gid):
    """Whether a user in this group and in no other can read a file. Asks the kernel, so that access lists count."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([gid])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1)  # a pipe in its place must not make the module wait
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def covers(names, wanted):
    """Whether a certificate for `names` is good for the name or address `wanted`; a * stands for one part of a name."""
    wanted = pki.same_name(wanted)
    if wanted in names:
        return True
    return not pki.is_address(wanted) and "*." + wanted.partition(".")[2] in names


def check_files(host, files, address, client, gid, group="accelmon", now=None):
    """Raises Failure unless a site's files (key, certificate, authorities) serve this host.

    address: what the monitoring hosts call it by; client: whether it scrapes others; gid: None leaves the reading out
    """
    def wrong(number, problem):
        return Failure("%s: %s = %s: %s" % (host, VARIABLES[number], files[number] or '""', problem))

    _check_readable(files, gid, group, wrong)
    try:
        found = pki.read_certificate(read(files[1]))
    except Failure as error:
        raise wrong(1, "%s; provide the host's certificate in PEM" % error)
    try:
        key = pki.public_key(files[0])
    except Failure as error:
        raise wrong(0, "%s; provide the certificate's key in PEM" % error)
    if key != found["public_key"]:
        raise wrong(0, "it is not the key of %s; provide a matching pair" % files[1])
    _check_dates(found, time.time() if now is None else now, wrong)
    _check_trust(files, client, wrong)
    if not covers(found["names"], address):
        raise wrong(1, "it is for %s, but the host is scraped as %s; issue it for that name too, or set accelmon_address"
                       % (", ".join(sorted(found["names"])) or "no name", address))


def _check_readable(files, gid, group, wrong):
    """Raises what `wrong` makes of a file that is not there, or that the services cannot read."""
    for number, path in enumerate(files):
        if not path.startswith("/"):
            raise wrong(number, "not an absolute path, which accelmon_exporter_tls = files requires; give the path of the file on the host")
        if not os.path.isfile(path):
            raise wrong(number, "no such file on the host; put it there or correct the path")
        if gid is not None and not readable_by(path, gid):
            raise wrong(number, "the group %s cannot read it; chgrp %s and chmod g+r it, or setfacl -m g:%s:r, and give the group access to "
                                "the parent directories" % (group, group, group))


def _check_dates(found, now, wrong):
    """Raises what `wrong` makes of a certificate that is not valid now."""
    if found["until"] < now:
        raise wrong(1, "it expired on %s; renew it" % time.strftime("%Y-%m-%d", time.gmtime(found["until"])))
    if found["from"] > now:
        raise wrong(1, "it is not valid before %s; check the host's clock" % time.strftime("%Y-%m-%d", time.gmtime(found["from"])))


def _check_trust(files, client, wrong):
    """Raises what `wrong` makes of authorities that cannot be read, or that do not vouch for the certificate."""
    try:
        pki.earliest_end(read(files[2]))
    except Failure as error:
        raise wrong(2, "%s; provide the CA certificates in PEM" % error)
    for usage, what in (("serverAuth", "a server"),) + ((("clientAuth", "a client, as which this host scrapes"),) if client else ()):
        why = pki.trusted(files[1], files[2], usage)
        if why:
            raise wrong(1, "%s does not verify it for %s (%s); provide the CA that signed it, or a certificate with that usage"
                           % (files[2], what, why))
