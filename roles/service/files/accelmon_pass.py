# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passes connections on as they are, to a program in the network that this one runs in.

systemd listens and hands the socket over; what listens behind it asks who comes, and ends connections on which nothing comes.
systemd's own systemd-socket-proxyd does the same, but SELinux keeps that from nearly every port. Python >= 3.6, standard library only.
"""

import argparse
import asyncio
import socket
import sys

FIRST_SOCKET = 3  # of those that systemd hands over
CONNECTIONS = 1024
CHUNK = 64 * 1024


class Passage(object):
    """All connections of one socket."""

    def __init__(self, address, port):
        self.place = (address, port)
        self.free = CONNECTIONS

    async def pump(self, reader, writer):
        """Pass one direction on until its end; the other may go on."""
        while True:
            data = await reader.read(CHUNK)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def connected(self, reader, writer):
        """Answer for one client."""
        inner = None
        self.free -= 1
        try:
            if self.free >= 0:
                answering, inner = await asyncio.open_connection(*self.place)
                pumps = [asyncio.ensure_future(self.pump(*ends)) for ends in ((reader, inner), (answering, writer))]
                # Whoever breaks off ends both directions.
                await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError as error:
            sys.stderr.write("%s:%d: %s\n" % (self.place + (error.strerror or error,)))
            sys.stderr.flush()
        finally:
            self.free += 1
            for one in (inner, writer):
                if one is not None:
                    one.close()


def main(arguments=None, opening=None):
    """The command line; opening: the listening socket, systemd's if there is none."""
    parser = argparse.ArgumentParser(description="Pass connections on")
    parser.add_argument("--to", required=True, help="ADDRESS:PORT")
    address, _colon, port = parser.parse_args(arguments).to.rpartition(":")
    opening = opening or socket.socket(fileno=FIRST_SOCKET)
    opening.setblocking(False)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(asyncio.start_server(Passage(address, int(port)).connected, sock=opening))
    loop.run_forever()


if __name__ == "__main__":
    main()
