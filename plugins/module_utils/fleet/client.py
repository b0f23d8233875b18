# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client of the fleet's own services brings along: a password, whom it trusts, and a certificate of its own."""
import base64
import os
import socket
import ssl

USER = "accelmon"


def is_here(host):
    """Whether an address, or a name with all of its addresses, is of this machine."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        for family, kind, protocol, dummy, place in found:
            with socket.socket(family, kind, protocol) as one:
                one.bind(place)
    except (OSError, UnicodeError):
        return False
    return bool(found)


class Access(object):
    """A file that does not exist counts as none: a host that is not closed has none of them.

    password_file: holds the password of the user
    ca_file: authorities that a server's certificate must lead to, name included unless `names` says otherwise
    certificate_file, key_file: the client's own
    names: whether a server's name must be in its certificate even if the server is this very host, whose services need not have one for its address
    """

    def __init__(self, password_file="", ca_file="", certificate_file="", key_file="", names=True, user=USER):
        self._names, self._user = names, user
        self.password = ""
        if password_file and os.path.exists(password_file):
            with open(password_file, encoding="utf-8") as stream:
                self.password = stream.read().strip()
        self._files = tuple(path if path and os.path.exists(path) else "" for path in (ca_file, certificate_file, key_file))
        self._contexts = {}

    def headers(self):
        """Headers of a request; they must not follow a redirect."""
        if not self.password:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (self._user, self.password)).encode("utf-8")).decode("ascii")}

    def context(self, host=""):
        """Settings for TLS with a host; of "" nobody knows where it is."""
        named = self._names or not (host and is_here(host))
        if named not in self._contexts:
            ca_file, certificate_file, key_file = self._files
            context = ssl.create_default_context(cafile=ca_file or None)
            context.check_hostname = named
            if certificate_file and key_file:
                context.load_cert_chain(certificate_file, key_file)
            self._contexts[named] = context
        return self._contexts[named]


class Stranger(object):
    """A client with nothing, who takes every server for good: what such a one may see, everybody may."""

    def headers(self):
        """None."""
        return {}

    def context(self, host=""):
        """Settings for TLS with any host."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
