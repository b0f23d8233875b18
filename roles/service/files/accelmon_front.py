# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers for an exporter that knows neither TLS nor passwords, and asks for both before it does.

systemd listens and hands the socket over. What is asked for stands in a file of the form that Prometheus' exporter-toolkit
reads; of it, exactly what the role access writes is understood. The file, and the certificates that it names, are read again
when they change. While they cannot be used, or ask for less than the command line says, everybody is refused.

A connection carries one request. What may be asked is GET and HEAD of the pages that were named. Who is slow, or many, keeps
nobody waiting but himself: see Front. Python >= 3.6, standard library only, beside accelmon_bcrypt.py, accelmon_command.py and
accelmon_inner.py, which lie in the same directory.
"""

import argparse
import base64
import binascii
import collections
import hashlib
import hmac
import http.client
import os
import re
import selectors
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
PAGE_LIMIT = 32 * 1024 * 1024  # bytes of a page
PAGES = 32 * 1024 * 1024  # bytes of answers that were not taken yet, unless it is a single one
PIECE = 64 * 1024  # bytes that are read or sent at a time
ANSWERING_SECONDS = 30  # for the exporter, and for the client to take its answer
LEAVING_SECONDS = 1  # for the client to close its side
TICK = 0.25  # seconds in which those are noticed whose time is over
TELL_SECONDS = 60  # between two lines of the journal about a crowd
WAITING = 128  # connections whose request is not whole; and as many that are about to close
WORKERS = 4  # threads that ask the exporter
ACCEPTED = 64  # connections that are taken before the others have their turn
COMING, SERVED, LEAVING = "coming", "served", "leaving"
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
        raise Unusable("%r is not plain text" % text)
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
                raise Unusable("outside a section, or a duplicate")
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
        raise Unusable("%s is not supported" % sorted(sections)[0])
    if set(known) - TLS_KEYS:
        raise Unusable("%s is not supported" % sorted(set(known) - TLS_KEYS)[0])
    if known and not (known.get("cert_file") and known.get("key_file")):
        raise Unusable("cert_file or key_file is missing")
    if known.get("client_auth_type", "NoClientCert") not in CLIENTS:
        raise Unusable("client_auth_type %s is not supported" % known["client_auth_type"])
    if known.get("client_auth_type") == "RequireAndVerifyClientCert" and not known.get("client_ca_file"):
        raise Unusable("client_ca_file is missing")
    if tls and not known:
        raise Unusable("it does not require TLS")
    if auth and not users:
        raise Unusable("it does not require a password")
    if any(not accelmon_bcrypt.HASH.match(made) for made in users.values()):
        raise Unusable("a password's hash is not bcrypt")
    return known, users


def context_of(known):
    """The settings of a TLS server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= getattr(ssl, "OP_NO_RENEGOTIATION", 0)
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

    def shown(self, users, header):
        """(password, the hash that it must have, mark) of an Authorization header; None if it cannot be right."""
        kind, _space, text = header.partition(" ")
        try:
            user, colon, password = base64.b64decode(text.strip().encode("ascii"), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            return None
        made = users.get(user)
        if kind.lower() != "basic" or not colon or not made or "\0" in password or "\n" in password or len(password) > 256:
            return None
        return password, made, hmac.new(self.key, ("%s\0%s\0%s" % (user, made, password)).encode("utf-8"), hashlib.sha256).digest()

    def is_costly(self, users, header):
        """Whether a hash has to be made to know if it is right."""
        shown = self.shown(users, header) if users else None
        return bool(shown) and shown[2] not in self.known

    def right(self, users, header):
        """Whether the value of an Authorization header is good."""
        shown = self.shown(users, header)
        if not shown:
            return False
        password, made, mark = shown
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

def parse_head(data):
    """(method, path without what follows a '?', whole target, {header: value}) of a request's head, in bytes. Raises Refused."""
    lines = data.decode("latin-1").split("\r\n")
    match = re.match(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]\Z", lines[0])
    if not match or "#" in match.group(2):
        raise Refused(400)
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not re.match(r"[!-9;-~]+\Z", name) or re.search(r"[\0\r\n]", value):
            raise Refused(400)
        headers[name.lower()] = value.strip()
    target = match.group(2)
    return match.group(1), target.split("?", 1)[0], target, headers


def ask(place, target, accept):
    """(status, content type, [pieces of the page]) that the exporter answers. Raises Refused."""
    deadline = time.monotonic() + ANSWERING_SECONDS
    inner = accelmon_inner.Inner(place, ANSWERING_SECONDS)
    try:
        inner.request("GET", target, headers={"Host": "localhost", "Connection": "close", "Accept": accept or "*/*", "Accept-Encoding": "identity"})
        answer = inner.getresponse()
        pieces, size = [], 0
        # Piece by piece: older Pythons make room for all that might come.
        for piece in iter(lambda: answer.read(PIECE), b""):
            size += len(piece)
            if size > PAGE_LIMIT or time.monotonic() > deadline:
                raise Refused(502)
            pieces.append(piece)
        accelmon_inner.check_whole(answer)
        return answer.status, answer.getheader("Content-Type") or "text/plain; charset=utf-8", pieces
    except (OSError, ValueError, http.client.HTTPException):
        raise Refused(502)
    finally:
        inner.close()


def answer_pieces(status, kind, page, method, extra=""):
    """The pieces of an answer; page: the pieces of its page."""
    head = "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n" % (
        status, REASONS.get(status, "Status"), re.sub(r"[^ -~]", "", kind), sum(len(piece) for piece in page), extra)
    return [head.encode("latin-1")] + ([] if method == "HEAD" else page)


def refusal_pieces(status, method="GET"):
    """The pieces of an answer that is no page."""
    extra = 'WWW-Authenticate: Basic realm="accelmon"\r\n' if status == 401 else ""
    return answer_pieces(status, "text/plain; charset=utf-8", [(REASONS[status] + "\n").encode("ascii")], method, extra)


def peer_of(address):
    """Who is at the other end, as far as connections are counted: an IPv4 address, or the network of 64 bits that an IPv6 host has to itself."""
    host = address[0] if isinstance(address, tuple) else ""
    if "." in host:
        return host.rpartition(":")[2]  # ::ffff:10.0.0.7
    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8] + b"\0" * 8) + "/64"
    except OSError:
        return host


class Connection(object):
    """One client from its coming to its leaving.

    group: COMING until its request is whole, SERVED until its answer is taken, LEAVING until it has closed its side
    """

    def __init__(self, raw, address):
        self.socket, self.peer, self.group = raw, peer_of(address), COMING
        self.since, self.end = time.monotonic(), None
        self.step, self.waits = None, 0  # what is done next, and what for
        self.data, self.users, self.request, self.pieces = bytearray(), {}, None, collections.deque()
        self.costly = False  # whether a password that is not known yet has to be hashed for it

    def held(self):
        """Bytes of its answer that it has not taken."""
        return sum(len(piece) for piece in self.pieces)


class Front(object):
    """The whole of it: one thread has all connections, and a few others ask the exporter and look at passwords.

    listener: the socket; access: Access; place: where the exporter listens; pages: what may be asked for
    connections: how many are served at a time; patience: seconds that a client has for its handshake and its request together

    There is always room for one more. When a group is full, the peer that has most of it loses the oldest of its own: so a stranger
    who fills it pushes out himself, and who asks at once gets through.
    """

    def __init__(self, listener, access, place, pages, connections, patience):
        self.listener, self.access, self.place, self.pages, self.patience = listener, access, place, pages, patience
        self.room = {COMING: WAITING, SERVED: connections, LEAVING: WAITING}
        self.connections = set()
        self.selector = selectors.DefaultSelector()
        self.waker, self.woken = socket.socketpair()
        # Shared with the threads that ask.
        self.changed = threading.Condition()
        self.queue, self.running, self.hashing, self.done = [], collections.Counter(), 0, collections.deque()
        self.told = -TELL_SECONDS  # when the journal was last told of a crowd

    # Room

    def crowd_out(self, group):
        """Let go of whoever has most of a group, if it has more than it should."""
        members = [one for one in self.connections if one.group == group]
        held = sum(one.held() for one in members)
        while len(members) > self.room[group] or (held > PAGES and len(members) > 1):
            counted = collections.Counter(one.peer for one in members)
            most = max(counted.values())
            victim = min((one for one in members if counted[one.peer] == most), key=lambda one: one.since)
            if time.monotonic() > self.told + TELL_SECONDS:
                self.told = time.monotonic()
                say("%s has %d of %d connections; its oldest are closed to let others in" % (victim.peer, most, len(members)))
            members.remove(victim)
            held -= victim.held()
            self.drop(victim)

    def wait(self, one, step, waits):
        """Do `step` with a connection when it can be read or written; None for nothing, until a thread is done with it."""
        one.step = step
        if waits != one.waits:
            if one.waits and waits:
                self.selector.modify(one.socket, waits, one)
            elif waits:
                self.selector.register(one.socket, waits, one)
            else:
                self.selector.unregister(one.socket)
            one.waits = waits

    def drop(self, one):
        """Close a connection, whatever it is at."""
        self.connections.discard(one)
        self.wait(one, None, 0)
        one.pieces.clear()
        try:
            one.socket.close()
        except OSError:
            pass
        with self.changed:
            if one in self.queue:
                self.queue.remove(one)

    # Steps of a connection. Each does what can be done now, and says what it waits for.

    def accept(self):
        """Take those who have come."""
        for _number in range(ACCEPTED):
            try:
                raw, address = self.listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                say("accept: %s" % error)
                time.sleep(0.2)
                return
            one = Connection(raw, address)
            one.end = one.since + self.patience
            self.connections.add(one)
            self.attempt(one, self.greet)
            self.crowd_out(COMING)

    def attempt(self, one, step):
        """One step. Whatever goes wrong with it ends this connection, and no other."""
        try:
            step(one)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as want:
            self.wait(one, step, selectors.EVENT_READ if isinstance(want, ssl.SSLWantReadError) else selectors.EVENT_WRITE)
        except (BlockingIOError, InterruptedError):
            self.wait(one, step, selectors.EVENT_WRITE if step == self.send else selectors.EVENT_READ)
        except (OSError, ValueError):
            self.drop(one)  # the client's mistake, or its end
        except Exception as error:  # pylint: disable=broad-except
            say("a connection of %s ends with %s: %s" % (one.peer, type(error).__name__, error))
            self.drop(one)

    def greet(self, one):
        """Look whether anybody is let in, and how."""
        one.socket.setblocking(False)
        context, one.users, problem = self.access.read()
        if problem:
            self.drop(one)  # it is in the journal, and nobody's business outside
        elif context:
            one.socket = context.wrap_socket(one.socket, server_side=True, do_handshake_on_connect=False)
            self.wait(one, self.shake, selectors.EVENT_READ)
        else:
            self.wait(one, self.read, selectors.EVENT_READ)

    def shake(self, one):
        """The handshake of TLS. A client that is slow at it keeps nobody else waiting."""
        try:
            one.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            self.leave(one)
            return
        self.attempt(one, self.read)

    def read(self, one):
        """The head of the request."""
        while True:
            more = one.socket.recv(4096)
            if not more:
                raise ValueError("the connection ended before the request was complete")
            seen = max(0, len(one.data) - 3)
            one.data += more
            end = one.data.find(b"\r\n\r\n", seen)
            if end < 0 and len(one.data) <= HEAD_LIMIT:
                continue
            try:
                if end < 0 or end > HEAD_LIMIT:
                    raise Refused(431)
                one.request = parse_head(bytes(one.data[:end]))
            except Refused as refusal:
                self.answer(one, refusal_pieces(refusal.args[0]))
                return
            one.data, one.costly = bytearray(), self.access.is_costly(one.users, one.request[3].get("authorization", ""))
            one.group, one.end = SERVED, time.monotonic() + 2 * ANSWERING_SECONDS
            self.wait(one, None, 0)
            with self.changed:
                self.queue.append(one)
                self.changed.notify()
            self.crowd_out(SERVED)
            return

    def answer(self, one, pieces):
        """Begin to send."""
        one.pieces.extend(memoryview(piece) for piece in pieces)
        one.group, one.end = SERVED, time.monotonic() + ANSWERING_SECONDS
        self.crowd_out(SERVED)
        if one in self.connections:
            self.attempt(one, self.send)

    def send(self, one):
        """A part of the answer, so that others have their turn."""
        if one.pieces:
            sent = one.socket.send(one.pieces[0][:PIECE])
            one.pieces[0] = one.pieces[0][sent:]
            if not one.pieces[0]:
                one.pieces.popleft()
        if one.pieces:
            self.wait(one, self.send, selectors.EVENT_WRITE)
        else:
            self.leave(one)

    def leave(self, one):
        """Let the client read its answer, or why it was refused: closing with bytes unread would reset the connection under it."""
        one.socket.shutdown(socket.SHUT_WR)  # of the socket below: there is no TLS on it any more, nor its goodbye, which would wait for the client's
        one.group, one.end = LEAVING, time.monotonic() + LEAVING_SECONDS
        self.crowd_out(LEAVING)
        if one in self.connections:
            self.wait(one, self.linger, selectors.EVENT_READ)

    def linger(self, one):
        """Throw away what it still says."""
        if not one.socket.recv(PIECE):
            self.drop(one)

    # Asking

    def reply(self, request, users):
        """The pieces of the answer to a request."""
        method, path, target, headers = request
        try:
            if users and not self.access.right(users, headers.get("authorization", "")):
                raise Refused(401)
            if method not in ("GET", "HEAD"):
                raise Refused(405)
            if path not in self.pages:
                raise Refused(404)
            return answer_pieces(*(ask(self.place, target, headers.get("accept")) + (method,)))
        except Refused as refusal:
            return refusal_pieces(refusal.args[0], method)

    def next(self):
        """The next to be asked for: of the peers that wait, the one that has fewest asked for now; None if there is none.

        One thread is left for other peers, and no more than one makes hashes: who guesses passwords keeps nobody waiting whose is known.
        """
        able = [one for one in self.queue if self.running[one.peer] < WORKERS - 1 and not (one.costly and self.hashing)]
        return min(able, key=lambda one: self.running[one.peer]) if able else None

    def work(self):
        """Ask, for ever."""
        while True:
            with self.changed:
                one = self.next()
                while one is None:
                    self.changed.wait()
                    one = self.next()
                self.queue.remove(one)
                self.running[one.peer] += 1
                self.hashing += one.costly
            try:
                pieces = self.reply(one.request, one.users)
            except Exception as error:  # pylint: disable=broad-except
                say("asking ends with %s: %s" % (type(error).__name__, error))
                pieces = refusal_pieces(502)
            with self.changed:
                self.running[one.peer] -= 1
                self.hashing -= one.costly
                if not self.running[one.peer]:
                    del self.running[one.peer]
                self.done.append((one, pieces))
                self.changed.notify()
            self.wake()

    def wake(self):
        """Have the connections' thread look at what is done."""
        try:
            self.waker.send(b"x")
        except BlockingIOError:
            pass  # it has not even looked at what came before

    def collect(self):
        """What the other threads have done."""
        self.woken.recv(4096)
        while self.done:
            one, pieces = self.done.popleft()
            if one in self.connections:
                self.answer(one, pieces)

    def run(self):
        """Serve for ever."""
        for end in (self.listener, self.waker, self.woken):
            end.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        for _number in range(WORKERS):
            thread = threading.Thread(target=self.work)
            thread.daemon = True
            thread.start()
        looked = 0
        while True:
            for key, _mask in self.selector.select(TICK if self.connections else None):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.woken:
                    self.collect()
                elif key.data in self.connections and key.data.step:
                    self.attempt(key.data, key.data.step)
            now = time.monotonic()
            if now >= looked + TICK:
                looked = now
                for one in [one for one in self.connections if one.end < now]:
                    self.drop(one)


def keep_private():
    """Keep processes of the same user, above all the exporter, from reading this one's memory: it holds the host's key."""
    try:
        import ctypes
        ctypes.CDLL(None).prctl(DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError, MemoryError):
        say("this Python has no ctypes: processes of the same user can look into this one")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Limits, TLS and passwords in front of an exporter that supports none.")
    parser.add_argument("--to", required=True, metavar="PLACE", help="where the exporter listens: path of a Unix socket, or ADDRESS:PORT")
    parser.add_argument("--config", metavar="FILE", help="web configuration: what clients must present")
    parser.add_argument("--page", action="append", default=[], metavar="PATH", help="page that may be requested; repeatable")
    parser.add_argument("--tls", action="store_true", help="refuse everybody unless the file requires TLS")
    parser.add_argument("--auth", action="store_true", help="refuse everybody unless the file requires a password")
    parser.add_argument("--open", action="store_true", help="require nothing of clients")
    parser.add_argument("--connections", type=int, default=32, metavar="NUMBER", help="requests served at the same time (default 32)")
    parser.add_argument("--patience", type=float, default=10, metavar="SECONDS", help="how long a client may take to send its request (default 10)")
    options = parser.parse_args(arguments)
    closed = options.tls or options.auth
    if bool(closed) == options.open or bool(closed) != bool(options.config):
        parser.error("give --open, or --config and --tls, --auth or both")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        parser.error("systemd has not handed over one socket; start this through its socket unit")
    keep_private()
    signal.signal(signal.SIGTERM, lambda *_ignored: os._exit(0))
    listener = socket.socket(fileno=FIRST_SOCKET)
    access = Access(options.config if closed else None, options.tls, options.auth)
    access.read()
    Front(listener, access, options.to, options.page or ["/metrics"], options.connections, options.patience).run()


if __name__ == "__main__":
    main()
