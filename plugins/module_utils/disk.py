# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What went wrong with a file or a disk, told as one line: which path, what is the matter, what to do."""
import contextlib
import errno
import os

AGAIN = "run again to complete this run"


@contextlib.contextmanager
def naming(path):
    """Give errors of what is done inside the path that they are about, where the system does not name it (a write to an open file)."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = path
        raise


def mount_of(path):
    """Where the file system of a path is mounted, also of one that is not there yet."""
    place = os.path.realpath(path)
    while place != "/" and not os.path.ismount(place):
        place = os.path.dirname(place)
    return place


def _full(path):
    mount = mount_of(path)
    try:
        told = os.statvfs(mount)
    except OSError:
        return mount, "is full"
    if told.f_files and not told.f_favail:
        return mount, "has no inodes left"
    return mount, "is full (%d kB free)" % (told.f_bavail * told.f_frsize // 1024)


def explain(error, path=None):
    """One line about an OSError: `path = …: what is the matter; what to do`. path: what it is about, if it does not say so itself."""
    path = error.filename2 or error.filename or path
    if isinstance(path, bytes):
        path = path.decode("utf-8", "replace")
    if not isinstance(path, str):
        return "%s; fix this, then %s" % (error.strerror or str(error) or type(error).__name__, AGAIN)
    code = error.errno
    if code == errno.ENOSPC:
        told = "the file system at %s %s; free some space there" % _full(path)
    elif code == errno.EDQUOT:
        told = "the quota of the file system at %s is used up; free some space there or raise the quota" % mount_of(path)
    elif code == errno.EROFS:
        told = "the file system at %s is read-only; remount it read-write. If the kernel made it read-only, check dmesg for errors" % mount_of(path)
    elif code == errno.EIO:
        told = "the disk under %s reports an I/O error; check dmesg" % mount_of(path)
    elif code in (errno.EACCES, errno.EPERM) and os.geteuid() == 0:
        told = "permission denied even for root; check for an immutable file (lsattr), SELinux (ausearch -m AVC) or a network file system"
    elif code in (errno.EACCES, errno.EPERM):
        told = "permission denied for user %d; on a node use become, on the control node grant that user access" % os.geteuid()
    elif code in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP):
        told = "a different kind of file is in the way (%s); move it away" % error.strerror
    else:
        told = "%s; fix this" % error.strerror
    return "path = %s: %s, then %s" % (path, told, AGAIN)


def refuse_unwritable(path):
    """Raises the OSError that writing below a directory would raise, before anything is changed. Only what is read-only as a whole is seen."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
