# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""accelmon_pass.py as a process of its own, with the listening socket that systemd would hand over. Nothing is stubbed."""
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[4] / "roles/service/files/accelmon_pass.py"


@pytest.fixture(name="inner")
def _inner():
    listener = socket.create_server(("127.0.0.1", 0))
    yield listener
    listener.close()


@pytest.fixture(name="place")
def _place(inner):
    """Where connections are passed on from; twenty at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    script = f"import os, sys; os.dup2({listener.fileno()}, 3); os.execv(sys.executable, [sys.executable, '-IS', {str(PROGRAM)!r}, *sys.argv[1:]])"
    to = "--to=127.0.0.1:%d" % inner.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", script, to, "--limit=20"], pass_fds=[listener.fileno()])
    yield listener.getsockname()
    process.kill()
    process.wait()
    listener.close()


def everything(connection):
    """What comes until the end."""
    parts = []
    while True:
        data = connection.recv(1 << 16)
        if not data:
            return b"".join(parts)
        parts.append(data)


def test_both_directions_pass_whole_and_each_ends_by_itself(inner, place):
    big = os.urandom(5_000_000)

    def answer():
        connection = inner.accept()[0]
        with connection:
            connection.sendall(b"got %d" % len(everything(connection)) + big)
    threading.Thread(target=answer, daemon=True).start()
    with socket.create_connection(place, 10) as client:
        client.sendall(big)
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"got 5000000" + big


def test_strangers_that_say_nothing_take_no_place_from_who_speaks(inner, place):
    with socket.create_connection(place, 10) as client:
        client.sendall(b"x")
        spoken = inner.accept()[0]
        idle = []
        for _number in range(50):
            idle.append(socket.create_connection(place, 10))
            idle.append(inner.accept()[0])
            client.sendall(b"x")
            assert spoken.recv(1) == b"x"
            time.sleep(0.01)  # it is heard before the next one comes
        spoken.sendall(b"y")
        assert client.recv(1) == b"y"
        assert idle[0].recv(1) == b"", "the first of them went"
    for one in [*idle, spoken]:
        one.close()


def test_where_nothing_listens_the_client_is_told_at_once(inner, place):
    inner.close()
    start = time.monotonic()
    with socket.create_connection(place, 10) as client:
        assert everything(client) == b"" and time.monotonic() - start < 5


def test_what_breaks_off_on_one_side_breaks_off_on_the_other(inner, place):
    with socket.create_connection(place, 10) as client:
        client.sendall(b"x")
        connection = inner.accept()[0]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        client.settimeout(5)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
