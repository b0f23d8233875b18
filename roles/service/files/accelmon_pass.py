# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passes connections on as they are, to a program in the network that this one runs in.

systemd listens and hands the socket over; what listens behind it asks who comes, and ends connections on which nothing comes.
systemd's own systemd-socket-proxyd does the same, but SELinux keeps that from nearly every port. Python >= 3.6, standard library only.
"""

import argparse
import asyncio
import collections
import socket
import sys

FIRST_SOCKET = 3  # of those that systemd hands over
CONNECTIONS = 1024
CHUNK = 64 * 1024


class Passage(object):
    """All connections of one socket. Where one more than there may be comes in, the one that said nothing for longest goes."""

    def __init__(self, address, port, limit=CONNECTIONS):
        self.place, self.limit = (address, port), limit
        self.open = collections.OrderedDict()  # {key: the ends of a connection}, the longest silent first

    async def pump(self, key, reader, writer):
        """Pass one direction on until its end; the other may go on."""
        while True:
            data = await reader.read(CHUNK)
            if not data:
                break
            if key in self.open:
                self.open.move_to_end(key)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def connected(self, reader, writer):
        """Answer for one client."""
        key, ends = object(), [writer]
        if len(self.open) >= self.limit:
            for end in self.open.popitem(last=False)[1]:
                end.transport.abort()
        self.open[key] = ends
        try:
            answering, inner = await asyncio.open_connection(*self.place)
            ends.append(inner)
            pumps = [asyncio.ensure_future(self.pump(key, *pair)) for pair in ((reader, inner), (answering, writer))]
            # Whoever breaks off ends both directions.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError as error:
            sys.stderr.write("%s:%d: %s\n" % (self.place + (error.strerror or error,)))
            sys.stderr.flush()
        finally:
            self.open.pop(key, None)
            for end in ends:
                end.close()


def main(arguments=None, opening=None):
    """The command line; opening: the listening socket, systemd's if there is none."""
    parser = argparse.ArgumentParser(description="Forward connections.")
    parser.add_argument("--to", required=True, help="ADDRESS:PORT")
    parser.add_argument("--limit", type=int, default=CONNECTIONS, help="connections at the same time")
    options = parser.parse_args(arguments)
    address, _colon, port = options.to.rpartition(":")
    opening = opening or socket.socket(fileno=FIRST_SOCKET)
    opening.setblocking(False)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(asyncio.start_server(Passage(address, int(port), options.limit).connected, sock=opening))
    loop.run_forever()


if __name__ == "__main__":
    main()
