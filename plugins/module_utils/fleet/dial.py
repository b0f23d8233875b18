# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dial exporters from this host and say what happens, many at once and within a bounded time.

The dialler speaks HTTP over its own sockets, so that no proxy is used and a name that does not resolve,
a refused port and a silent host stay apart.
"""
import errno
import http.client
import io
import queue
import socket
import ssl
import threading
import time

from ansible_collections.accelmon.fleet.plugins.module_utils.fleet.client import Stranger

THREADS = 256
# A dialling thread needs little stack; 256 threads of the usual 8 MiB would look large to a memory limit.
STACK_BYTES = 512 * 1024

# Kinds of answer that hold for the host as a whole: its other ports need no call of their own.
HOST_WIDE = ("unresolved", "timeout", "no_route")


def dial(address, port, scheme="http", path="/metrics", method="GET", timeout=2.0, access=None):
    """One call. Returns (kind, detail).

    kind: unresolved | refused | timeout | no_route | silent | not_http | tls | http | ok | error
    detail: the HTTP status for `http` and `ok`, else a short text, possibly ""
    timeout: seconds for each of connecting and answering
    access: a client.Access; without one certificates are not judged, and nothing is shown
    """
    try:
        found = socket.getaddrinfo(address, port, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return "unresolved", error.strerror or ""
    except (UnicodeError, OSError) as error:  # a label that is empty or too long raises UnicodeError
        return "unresolved", str(error)
    outcome = ("error", "no address")
    for family, kind, protocol, _name, sockaddr in found:
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # a host without IPv6 may still be given IPv6 addresses
            outcome = ("no_route", error.strerror or str(error))
            continue
        try:
            connection.settimeout(timeout)
            try:
                connection.connect(sockaddr)
            except OSError as error:
                outcome = _connect_outcome(error)
                continue
            return _ask(connection, address, port, scheme, path, method, access or Stranger())
        finally:
            connection.close()
    return outcome


def _connect_outcome(error):
    """(kind, detail) for a connection that was not made."""
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "timeout", ""
    if error.errno == errno.ECONNREFUSED:
        return "refused", ""
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return "no_route", ""
    return "error", error.strerror or str(error)


class _Answer(io.RawIOBase):
    """What comes over a connected socket until a moment. Each read alone would have all of the time limit, and whoever drips has many."""

    def __init__(self, connection, end):
        self.connection, self.end = connection, end

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.end - time.monotonic()
        if left <= 0:
            raise socket.timeout("no whole answer in time")
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)


class _Connection(object):
    """As much of a socket as http.client needs."""

    def __init__(self, connection, seconds):
        self.sendall, self.close = connection.sendall, connection.close
        self.connection, self.end = connection, time.monotonic() + seconds

    def makefile(self, _mode):
        return io.BufferedReader(_Answer(self.connection, self.end))


def _ask(connection, address, port, scheme, path, method, access):
    """(kind, detail) of one request, without a body, over a connected socket."""
    try:
        if scheme == "https":
            connection = access.context().wrap_socket(connection, server_hostname=address)
        client = http.client.HTTPConnection(address, port)
        client.sock = _Connection(connection, connection.gettimeout())
        try:
            client.request(method, path, headers=dict(access.headers(), Connection="close"))
            status = client.getresponse().status
        finally:
            client.close()
    except ssl.SSLError as error:
        return "tls", getattr(error, "reason", None) or str(error)
    except socket.timeout:
        return "silent", ""
    except http.client.RemoteDisconnected:
        return "not_http", "closes the connection"
    except http.client.HTTPException as error:
        return "not_http", type(error).__name__
    except OSError as error:
        return "not_http", error.strerror or str(error)
    return ("ok" if status == 200 else "http"), str(status)


def dial_all(targets, timeout=2.0, budget=60.0, threads=THREADS, access_of=None):
    """Dial many targets. Returns {target: (kind, detail)}; a target that time did not allow has kind `skipped`.

    targets: [(address, port, scheme, path)], with the method behind it where it is not GET
    timeout: seconds for one call, budget: seconds for all of them
    access_of: function that gives the access for a target, or None
    Ports of one address are called one after the other; once the address is found silent or unknown, the rest of
    its ports get the same answer without a call.
    """
    by_address = {}
    for target in targets:
        by_address.setdefault(target[0], set()).add(target)
    waiting = queue.Queue()
    for address in sorted(by_address):
        waiting.put(sorted(by_address[address]))
    answers = {}
    end = time.monotonic() + budget
    idle = threading.Semaphore(0)

    def work():
        try:
            while time.monotonic() < end:
                try:
                    batch = waiting.get_nowait()
                except queue.Empty:
                    return
                answer = None
                for target in batch:
                    if answer is None or answer[0] not in HOST_WIDE:
                        answer = dial(*target, timeout=timeout, access=access_of(target) if access_of else None)
                    answers[target] = answer
        finally:
            idle.release()

    # Daemon threads, not a pool: name resolution cannot be interrupted, and the process must not wait for it at exit.
    count = min(threads, len(by_address))
    before = threading.stack_size(STACK_BYTES)
    try:
        for _number in range(count):
            threading.Thread(target=work, daemon=True).start()
    finally:
        threading.stack_size(before)
    for _number in range(count):
        if not idle.acquire(timeout=max(0.0, end - time.monotonic()) + timeout):
            break
    done = dict(answers)
    return dict((target, done.get(target, ("skipped", ""))) for target in targets)
