# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers for an exporter that knows neither TLS nor passwords, and asks for both before it does.

systemd listens and hands the socket over. What is asked for stands in a file of the form that Prometheus' exporter-toolkit
reads; of it, exactly what the role access writes is understood. The file, and the certificates that it names, are read again
when they change. While they cannot be used, or ask for less than the command line says, everybody is refused.

A connection carries one request. What may be asked is GET and HEAD of the pages that were named. Python >= 3.6, standard
library only, beside accelmon_bcrypt.py and accelmon_inner.py, which lie in the same directory.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import http.client
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import accelmon_bcrypt  # noqa: E402 pylint: disable=wrong-import-position,import-error
import accelmon_inner  # noqa: E402 pylint: disable=wrong-import-position,import-error

FIRST_SOCKET = 3  # of those that systemd hands over
HEAD_LIMIT = 16 * 1024  # bytes of a request
PAGE_LIMIT = 64 * 1024 * 1024  # bytes of a page
ANSWERING_SECONDS = 30  # for the exporter, and for the client to take its answer
KNOWN = 64  # passwords that were found right and are not hashed again
DUMPABLE = 4  # PR_SET_DUMPABLE
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large",
           502: "Bad Gateway", 503: "Service Unavailable"}
TLS_KEYS = {"cert_file", "key_file", "client_auth_type", "client_ca_file"}
CLIENTS = {"RequireAndVerifyClientCert": ssl.CERT_REQUIRED, "NoClientCert": ssl.CERT_NONE}


class Unusable(Exception):
    """Why the configuration cannot be used, in one line."""


class Refused(Exception):
    """An answer that is no page: the status."""


def say(text):
    """One line for the journal."""
    sys.stderr.write(text.replace("\n", " ") + "\n")
    sys.stderr.flush()


# Configuration

def plain(text):
    """A scalar as the role access writes it, with or without quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if not text or re.search(r"""^[&*!|>%@`'"\[{#]| #|: """, text):
        raise Unusable("%r is no plain text" % text)
    return text


def parse(text):
    """{section: {key: value}} of the two levels of YAML that the role access writes. Raises Unusable for anything else."""
    sections, section = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line.strip() in ("---", "{}"):
            continue
        match = re.match(r"( *)([A-Za-z0-9_.-]+):(?: (.*))?$", line)
        try:
            if not match:
                raise Unusable("no key and value")
            indent, key, value = match.groups()
            if not indent:
                if value and value.strip() != "{}":
                    raise Unusable("no section")
                section = sections.setdefault(key, {})
            elif section is None or key in section:
                raise Unusable("outside of a section, or twice")
            else:
                section[key] = plain(value or "")
        except Unusable as error:
            raise Unusable("line %d: %s" % (number, error))
    return sections


def meant(text, tls, auth):
    """(settings of TLS or {}, {user: hash}) of a configuration.

    tls, auth: whether it has to ask for them. Raises Unusable if it does not, or has something that is not understood.
    """
    sections = parse(text)
    known, users = sections.pop("tls_server_config", {}), sections.pop("basic_auth_users", {})
    if sections:
        raise Unusable("%s is not understood" % sorted(sections)[0])
    if set(known) - TLS_KEYS:
        raise Unusable("%s is not understood" % sorted(set(known) - TLS_KEYS)[0])
    if known and not (known.get("cert_file") and known.get("key_file")):
        raise Unusable("cert_file or key_file is missing")
    if known.get("client_auth_type", "NoClientCert") not in CLIENTS:
        raise Unusable("client_auth_type %s is not understood" % known["client_auth_type"])
    if known.get("client_auth_type") == "RequireAndVerifyClientCert" and not known.get("client_ca_file"):
        raise Unusable("client_ca_file is missing")
    if tls and not known:
        raise Unusable("it does not ask for TLS")
    if auth and not users:
        raise Unusable("it does not ask for a password")
    if any(not accelmon_bcrypt.HASH.match(made) for made in users.values()):
        raise Unusable("a password's hash is none of bcrypt")
    return known, users


def context_of(known):
    """The settings of a TLS server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if hasattr(context, "minimum_version"):  # Python 3.7 with OpenSSL 1.1.0g
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.options |= ssl.OP_NO_SSLv3 | ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    context.load_cert_chain(known["cert_file"], known["key_file"])
    context.verify_mode = CLIENTS[known.get("client_auth_type", "NoClientCert")]
    if context.verify_mode == ssl.CERT_REQUIRED:
        context.load_verify_locations(known["client_ca_file"])
    return context


def stamp(paths):
    """What changes when one of the files does."""
    found = []
    for path in paths:
        try:
            stat = os.stat(path)
            found.append((path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        except OSError:
            found.append((path, None))
    return found


class Access(object):
    """Who may come in, by the files as they are now; everybody if `path` is None."""

    def __init__(self, path, tls, auth):
        self.path, self.tls, self.auth = path, tls, auth
        self.lock = threading.Lock()
        self.seen = None
        self.files = [path]
        self.context, self.users, self.problem = None, {}, "not read yet"
        # libcrypt is no place for two at a time; and guesses take no more than one processor.
        self.hashing = threading.Lock()
        self.key, self.known = os.urandom(32), {}

    def read(self):
        """(settings of TLS or None, {user: hash}, why nobody is let in or "") as the files are now; they are read if they changed."""
        if self.path is None:
            return None, {}, ""
        with self.lock:
            now = stamp(self.files)
            if now == self.seen:
                return self.context, self.users, self.problem
            # Looked at before they are read: what changes in between is read once more.
            files, now = [self.path], stamp([self.path])
            try:
                with open(self.path) as stream:
                    known, users = meant(stream.read(), self.tls, self.auth)
                named = [known[key] for key in sorted(known) if key.endswith("_file")]
                files, now = files + named, now + stamp(named)
                context = context_of(known) if known else None
                problem = ""
            except (Unusable, OSError, ValueError) as error:
                context, users, problem = None, {}, "%s: %s" % (self.path, error)
            if problem and problem != self.problem:
                say("nobody is let in: " + problem)
            elif self.problem and not problem:
                say("serving by " + self.path)
            self.files, self.seen = files, now
            self.context, self.users, self.problem, self.known = context, users, problem, {}
            return context, users, problem

    def right(self, users, header):
        """Whether the value of an Authorization header is good."""
        kind, _space, text = header.partition(" ")
        try:
            user, colon, password = base64.b64decode(text.strip().encode("ascii"), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            return False
        made = users.get(user)
        if kind.lower() != "basic" or not colon or not made or "\0" in password or "\n" in password or len(password) > 256:
            return False
        mark = hmac.new(self.key, ("%s\0%s\0%s" % (user, made, password)).encode("utf-8"), hashlib.sha256).digest()
        if mark in self.known:
            return True
        try:
            with self.hashing:
                good = hmac.compare_digest(accelmon_bcrypt.hashed(password, made).encode("ascii"), made.encode("ascii"))
        except accelmon_bcrypt.BcryptError as error:
            say(str(error))
            return False
        if good:
            with self.lock:
                if len(self.known) >= KNOWN:
                    self.known.clear()
                self.known[mark] = True
        return good


# Requests

def read_head(connection):
    """(method, path without what follows a '?', whole target, {header: value}) of a request. Raises Refused."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > HEAD_LIMIT:
            raise Refused(431)
        more = connection.recv(4096)
        if not more:
            raise Refused(400)
        data += more
    lines = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    match = re.match(r"([A-Z]+) (/[^ #]*) HTTP/1\.[01]$", lines[0])
    if not match:
        raise Refused(400)
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise Refused(400)
        headers[name.lower()] = value.strip()
    target = match.group(2)
    return match.group(1), target.split("?", 1)[0], target, headers


def ask(place, target, accept):
    """(status, content type, page) that the exporter answers. Raises Refused."""
    inner = accelmon_inner.Inner(place, ANSWERING_SECONDS)
    try:
        inner.request("GET", target, headers={"Host": "localhost", "Connection": "close", "Accept": accept or "*/*", "Accept-Encoding": "identity"})
        answer = inner.getresponse()
        page = answer.read(PAGE_LIMIT + 1)
        if len(page) > PAGE_LIMIT:
            raise Refused(502)
        return answer.status, answer.getheader("Content-Type") or "text/plain; charset=utf-8", page
    except (OSError, http.client.HTTPException):
        raise Refused(502)
    finally:
        inner.close()


def answer_text(status, kind, page, method, extra=""):
    """The bytes of an answer."""
    head = "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n" % (
        status, REASONS.get(status, "Status"), kind.replace("\r", "").replace("\n", ""), len(page), extra)
    return head.encode("latin-1") + (b"" if method == "HEAD" else page)


class Front(object):
    """The whole of it.

    listener: the socket; access: Access; place: where the exporter listens; pages: what may be asked for
    patience: seconds that a client has for its handshake and its request together
    """

    def __init__(self, listener, access, place, pages, connections, patience):
        self.listener, self.access, self.place, self.pages, self.patience = listener, access, place, pages, patience
        self.room = threading.Semaphore(connections)
        self.ends, self.lock = {}, threading.Lock()

    def until(self, connection, seconds):
        """Let a connection end in so many seconds, whatever its client does; None lets it be."""
        with self.lock:
            if seconds is None:
                self.ends.pop(connection, None)
            else:
                self.ends[connection] = time.time() + seconds

    def reap(self):
        """End connections whose time is over."""
        while True:
            time.sleep(0.5)
            with self.lock:
                over = [connection for connection, end in self.ends.items() if end < time.time()]
            for connection in over:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone by itself

    def reply(self, connection, users):
        """The answer to the one request of a connection."""
        method = "GET"
        try:
            method, path, target, headers = read_head(connection)
            if users and not self.access.right(users, headers.get("authorization", "")):
                raise Refused(401)
            if method not in ("GET", "HEAD"):
                raise Refused(405)
            if path not in self.pages:
                raise Refused(404)
            return answer_text(*(ask(self.place, target, headers.get("accept")) + (method,)))
        except Refused as refusal:
            status = refusal.args[0]
            extra = 'WWW-Authenticate: Basic realm="accelmon"\r\n' if status == 401 else ""
            return answer_text(status, "text/plain; charset=utf-8", (REASONS[status] + "\n").encode("ascii"), method, extra)

    def linger(self, connection):
        """Let the client read why it was refused: closing with bytes unread would reset the connection under it."""
        connection.shutdown(socket.SHUT_WR)  # of the socket below: there is no TLS on it any more
        connection.settimeout(1)
        while connection.recv(4096):
            pass

    def serve(self, raw):
        """One connection from its beginning to its end."""
        connection = raw
        try:
            raw.settimeout(self.patience)
            self.until(raw, self.patience)
            context, users, problem = self.access.read()
            if problem:
                return  # it is in the journal, and nobody's business outside
            if context:
                # Its own handshake, in this thread: a client that is slow at it keeps nobody else waiting.
                connection = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                self.until(raw, None)
                self.until(connection, self.patience)
                try:
                    connection.do_handshake()
                except ssl.SSLError:
                    self.linger(connection)
                    raise
            text = self.reply(connection, users)
            connection.settimeout(ANSWERING_SECONDS)
            self.until(connection, ANSWERING_SECONDS)
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)  # not TLS's own goodbye: that would wait for the client's
        except (OSError, ValueError):
            pass  # the client's mistake, or its end
        finally:
            self.until(raw, None)
            self.until(connection, None)
            connection.close()
            self.room.release()

    def run(self):
        """Serve for ever. No more connections are taken than there is room for; the others wait outside."""
        reaper = threading.Thread(target=self.reap)
        reaper.daemon = True
        reaper.start()
        while True:
            self.room.acquire()
            try:
                raw = self.listener.accept()[0]
            except OSError as error:
                self.room.release()
                say("accept: %s" % error)
                time.sleep(0.2)
                continue
            thread = threading.Thread(target=self.serve, args=(raw,))
            thread.daemon = True
            thread.start()


def keep_private():
    """Keep processes of the same user, above all the exporter, from reading this one's memory: it holds the host's key."""
    try:
        import ctypes
        ctypes.CDLL(None).prctl(DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError, MemoryError):
        say("this Python has no ctypes: processes of the same user can look into this one")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="TLS and passwords before an exporter that knows neither.")
    parser.add_argument("--to", required=True, metavar="PLACE", help="where the exporter listens: path of a Unix socket, or ADDRESS:PORT")
    parser.add_argument("--config", metavar="FILE", help="what to ask for")
    parser.add_argument("--page", action="append", default=[], metavar="PATH", help="a page that may be asked for; may be given again")
    parser.add_argument("--tls", action="store_true", help="refuse everybody unless the file asks for TLS")
    parser.add_argument("--auth", action="store_true", help="refuse everybody unless the file asks for a password")
    parser.add_argument("--open", action="store_true", help="ask nobody for anything")
    parser.add_argument("--connections", type=int, default=32, metavar="NUMBER", help="at most so many at a time (default 32)")
    parser.add_argument("--patience", type=float, default=10, metavar="SECONDS", help="how long a client may take to ask (default 10)")
    options = parser.parse_args(arguments)
    closed = options.tls or options.auth
    if bool(closed) == options.open or bool(closed) != bool(options.config):
        parser.error("give --open, or --config and --tls, --auth or both")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        parser.error("systemd has not handed over one socket; start this through its socket unit")
    keep_private()
    signal.signal(signal.SIGTERM, lambda *_ignored: os._exit(0))
    listener = socket.socket(fileno=FIRST_SOCKET)
    listener.setblocking(True)
    access = Access(options.config if closed else None, options.tls, options.auth)
    access.read()
    Front(listener, access, options.to, options.page or ["/metrics"], options.connections, options.patience).run()


if __name__ == "__main__":
    main()
