# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small reads from /proc and /sys that never raise and never block on what they find there."""
import os

# A FIFO or a terminal planted where a file is expected must not make the caller wait.
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
LIMIT = 64 * 1024


def raw(path, limit=LIMIT):
    """The first `limit` bytes of a file; None when it cannot be read."""
    try:
        handle = os.open(path, FLAGS)
    except (OSError, ValueError):
        return None
    parts, left = [], limit
    try:
        while left > 0:
            part = os.read(handle, left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except OSError:
        return None  # vanished, or the driver refuses, while it was being read
    finally:
        os.close(handle)
    return b"".join(parts)


def text(path, limit=LIMIT):
    """The text of a file without the blanks and NULs around it; None when unreadable or empty."""
    data = raw(path, limit)
    return data.decode("utf-8", "replace").strip("\0 \t\r\n") or None if data else None


def line(path):
    """A one-line value; None when unreadable, empty, or evidently not one printable line."""
    value = text(path, 4096)
    return value if value and len(value) <= 256 and value.isprintable() else None


def number(path):
    """The decimal number in a file; None when there is none."""
    value = line(path)
    try:
        return int(value) if value else None
    except ValueError:
        return None


def names(path):
    """The sorted names in a folder; [] when it cannot be listed."""
    try:
        return sorted(os.listdir(path))
    except (OSError, ValueError):
        return []


def link(path):
    """The last part of what a symbolic link points to, dangling or not; None when it is no link."""
    try:
        return os.path.basename(os.readlink(path)) or None
    except (OSError, ValueError):
        return None


def made(path):
    """When a symbolic link was made, in seconds since 1970; None when it is no link."""
    try:
        return os.lstat(path).st_mtime if os.path.islink(path) else None
    except OSError:
        return None


def usable(path):
    """Whether this user may read and write a device node. It is not opened: opening some nodes starts the device."""
    return os.access(path, os.R_OK | os.W_OK)
