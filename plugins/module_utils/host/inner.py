# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP to a program that answers its own host alone. Also put beside programs that run on hosts without Ansible, as accelmon_inner.py."""
import http.client
import socket


def check_whole(answer):
    """Raise an HTTPException if an answer ended before all that it announced was there: who reads it in parts does not notice."""
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def page(answer, limit):
    """The page of an answer as text, at most `limit` bytes of it. Raises HTTPException if it is cut off."""
    found = answer.read(limit)
    if len(found) < limit:
        check_whole(answer)
    return found.decode("utf-8", "replace")


class Inner(http.client.HTTPConnection):
    """A connection by the path of a Unix socket, or to ADDRESS:PORT; timeout in seconds."""

    def __init__(self, place, timeout):
        self.place = place
        address, _colon, port = place.rpartition(":")
        http.client.HTTPConnection.__init__(self, address.strip("[]") or "localhost", int(port) if address else 80, timeout=timeout)

    def connect(self):
        if not self.place.startswith("/"):
            return http.client.HTTPConnection.connect(self)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.place)
        return None
