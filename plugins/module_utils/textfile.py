# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of metrics for node_exporter. Collectors that run from a timer have a copy of this file beside them: standard library only."""
import collections
import os
import stat
import sys

PUBLISH_LIMIT = 64 * 1024 * 1024  # bytes


def escaped(text):
    """A label's value as the exposition format writes it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class Samples(object):
    """Lines of the file by their family. A series that is there already is left out: node_exporter would refuse the whole file."""

    def __init__(self, families):
        """families: {name: (type, help)} in the order of the file."""
        self.families = families
        self.lines = collections.OrderedDict((family, collections.OrderedDict()) for family in families)

    def add(self, family, value, *labels):
        """One sample; labels: (name, value)."""
        inside = ",".join('%s="%s"' % (name, escaped(text)) for name, text in labels)
        self.lines[family].setdefault("%s{%s}" % (family, inside) if inside else family, value)

    def text(self):
        """The file."""
        parts = []
        for family, lines in self.lines.items():
            if lines:
                kind, words = self.families[family]
                parts.append("# HELP %s %s\n# TYPE %s %s\n" % (family, words, family, kind))
                parts += ["%s %s\n" % (series, "%d" % value if value == int(value) else repr(value)) for series, value in lines.items()]
        return "".join(parts)


def replace_file(path, text, mode=0o644):
    """Write the file in one step, under the lock of this run. node_exporter does not read names that end in .tmp."""
    temporary = path + ".tmp"
    try:
        os.unlink(temporary)  # of a run that was killed
    except FileNotFoundError:
        pass
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(text.encode("utf-8", "replace"))
    os.rename(temporary, path)


def publish(source, folder):
    """Copy the file into a directory, in one step. Raises OSError, or ValueError for a file that is not what it seems.

    This runs as root, and the file is its collector's: nothing must be published that is only reachable through it.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.stat(os.path.dirname(source)).st_uid:
            raise ValueError("%s is not a file of its collector" % source)
        text = stream.read(PUBLISH_LIMIT).decode("utf-8")
    replace_file(os.path.join(folder, os.path.basename(source)), text)


def publish_alone(source, folder):
    """The same as all that a program does. Returns its exit status."""
    try:
        publish(source, folder)
    except (OSError, ValueError) as error:
        sys.stderr.write("%s: %s\n" % (folder, error))
        return 1
    return 0
