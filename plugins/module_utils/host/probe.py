# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask one page of a service of this host, over HTTP or TLS, without a proxy and without following redirects.

With TLS the server's certificate must lead to the given authority. Its names are not compared: a service is asked at
whatever address it listens on, its clients ask it by name.
"""
import base64
import http.client
import re
import socket
import ssl

from ansible_collections.accelmon.fleet.plugins.module_utils.host.inner import Inner, page

# How a server says, in its handshake, that a client without a certificate may not come in.
DEMANDS_CERTIFICATE = re.compile("ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE)|SSLV3_ALERT_HANDSHAKE_FAILURE")

# How long a server may take to say so.
REFUSAL_SECONDS = 1


def url(scheme, address, port, path):
    """A page's address for messages."""
    return "%s://%s:%d%s" % (scheme, "[%s]" % address if ":" in address else address, port, path)


def local(address):
    """The address of this host at which something that listens on `address` is reached."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def tls_context(ca_file):
    """Settings of a client that trusts one authority; without one, those that this host trusts."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.check_hostname = False
    return context


def credentials(password):
    """The header of a request that shows the password of the user accelmon."""
    if password is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(("accelmon:" + password).encode("utf-8")).decode("ascii")}


def ask_closed(address, port, path, scheme, ca_file, password_file, timeout=5):
    """As `ask`, of a page that wants the password in a file: anybody else has to be refused."""
    refused = ask(address, port, path, scheme, ca_file, timeout)
    if refused[0] != 401:
        return None, "failed", "%s to a client without the password" % refused[2]
    try:
        with open(password_file) as stream:
            password = stream.read().strip()
    except (OSError, ValueError) as error:
        return None, "failed", "the password: %s" % error
    return fetch(address, port, path, scheme, ca_file, timeout, 0, password)[:3]


def ask(address, port, path, scheme="http", ca_file="", timeout=5, refusal=False):
    """(HTTP status, "", what was seen), or (None, kind, what was seen).

    kind: `certificate_required`: the server's certificate is good and the server wants one of ours;
    `failed`: anything else
    refusal: whether the server is expected to want one; it is given time to say so
    """
    return fetch(address, port, path, scheme, ca_file, timeout, 0, refusal=refusal)[:3]


def hear_refusal(connection):
    """Raises ssl.SSLError if the server wants a certificate of ours.

    With TLS 1.3 it says so after our side of the handshake. If a request were under way by then, the connection would be
    reset, and what it says be lost. A server that is content says nothing.
    """
    patience = connection.gettimeout()
    connection.settimeout(REFUSAL_SECONDS)
    try:
        connection.recv(1)
    except socket.timeout:
        pass
    connection.settimeout(patience)


def fetch(address, port, path, scheme="http", ca_file="", timeout=5, limit=64 * 1024 * 1024, password=None, refusal=False):
    """As `ask`, and the page's text as the fourth, at most `limit` bytes of it. password: of the user accelmon."""
    place = url(scheme, address, port, path)
    try:
        connection = socket.create_connection((address, port), timeout)
        try:
            if scheme == "https":
                connection = tls_context(ca_file).wrap_socket(connection, server_hostname=address)
                if refusal:
                    hear_refusal(connection)
            client = http.client.HTTPConnection(address, port, timeout=timeout)
            client.sock = connection
            client.request("GET", path, headers=dict({"Connection": "close"}, **credentials(password)))
            answer = client.getresponse()
            text = page(answer, limit)
            return answer.status, "", "%s: HTTP %d" % (place, answer.status), text
        finally:
            connection.close()
    except ssl.SSLError as error:
        reason = getattr(error, "reason", None) or str(error)
        kind = "certificate_required" if DEMANDS_CERTIFICATE.search(reason) else "failed"
        return None, kind, "%s: TLS: %s" % (place, reason), ""
    except (OSError, http.client.HTTPException) as error:
        return None, "failed", "%s: %s" % (place, str(error) or type(error).__name__), ""


def inside(place, path, timeout=5, limit=64 * 1024 * 1024):
    """(HTTP status or None, page's text, what was seen) of a program that answers this host alone."""
    connection = Inner(place, timeout)
    try:
        connection.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, page(answer, limit), "%s of %s: HTTP %d" % (path, place, answer.status)
    except (OSError, http.client.HTTPException) as error:
        return None, "", "%s of %s: %s" % (path, place, str(error) or type(error).__name__)
    finally:
        connection.close()


def well(health, timeout=5):
    """(whether a program is, what was seen).

    health: {"to": place, "page": path, "ready": path or "", "rows": how one of the page's rows must begin}
    Programs that have no such page as `ready` answer 404.
    """
    if health["ready"]:
        status, _text, seen = inside(health["to"], health["ready"], timeout, 0)
        if status != 404:
            return status == 200, seen
    status, text, seen = inside(health["to"], health["page"], timeout)
    if status != 200:
        return False, seen
    if any(line.startswith(health["rows"]) for line in text.splitlines()):
        return True, seen
    return False, "%s, but no line starts with %s" % (seen, health["rows"])


def judge(probe, answer):
    """(healthy, what was seen): whether an answer of `ask` is what the probe wants.

    probe: {"status": [codes], "client_certificate": "none" or "required"}
    """
    status, kind, seen = answer
    if probe.get("client_certificate", "none") == "required":
        if status is not None:
            return False, seen + " to a client without a certificate"
        return kind == "certificate_required", seen
    return status in probe["status"], seen
