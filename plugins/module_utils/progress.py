# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long work is, and sizes for people. The program of the role backup has a copy of this file beside it: standard library only."""
import time

# Between lines about how far a long work is.
EVERY_SECONDS = 30
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(count):
    """Bytes for people, with one decimal, in the largest unit of which that is one or more; at least kB."""
    return next("%.1f %s" % (count / unit, name) for unit, name in UNITS if round(count / unit, 1) >= 1 or name == "kB")


class Progress(object):
    """Says now and then how far a long work is, whose every part it is told.

    tell: gets a line; words: what the work is, and at what; total: bytes
    """

    def __init__(self, tell, words, total):
        self.tell, self.words, self.total, self.done = tell, words, total, 0
        self.began = self.said = time.monotonic()

    def add(self, count):
        """So many bytes more are done."""
        self.done += count
        now = time.monotonic()
        if now - self.said >= EVERY_SECONDS:
            self.said = now
            left = max(self.total - self.done, 0)
            self.tell("%s: %s done, %s left, about %d s" % (self.words, size(self.done), size(left), left * (now - self.began) / self.done))
