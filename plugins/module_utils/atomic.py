# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are whole at every moment: written beside their place, given owner, mode and label there, then renamed.

AnsibleModule.atomic_move is not used: it takes over the mode of the file before, or gives a new file the mode of the
umask until its caller corrects it, so that a secret could be read for a moment.

`relabel` is everywhere a function (path, final_path) that gives `path` the SELinux label that belongs to `final_path`,
or None where there is nothing to label; see `relabeler`.
"""
import errno
import fcntl
import grp
import hashlib
import os
import pwd
import shutil
import stat
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import disk
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Busy

CHUNK = 1 << 20


def relabeler(module):
    """The function `relabel` of an AnsibleModule; None on a host without SELinux."""
    if not module.selinux_enabled():
        return None

    def relabel(path, final_path):
        module.set_context_if_different(path, module.selinux_default_context(final_path), False)
    return relabel


def user_id(name):
    """The id of a user by name or number; KeyError if there is none. 'root' is 0 everywhere."""
    if name == "root":
        return 0
    return int(name) if str(name).isdigit() else pwd.getpwnam(name).pw_uid


def group_id(name):
    """The id of a group by name or number; KeyError if there is none. 'root' is 0, also where that group is called wheel."""
    if name == "root":
        return 0
    return int(name) if str(name).isdigit() else grp.getgrnam(name).gr_gid


def sha256_of(data):
    """SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path):
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def read(path):
    """Content of a file, in bytes; None if there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def beside(path):
    """Where the next content of `path` is prepared: hidden, and with a suffix that no daemon's file pattern matches.

    The name is always the same, so that what a killed run left is overwritten by the next.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, ".%s.accelmon-new" % name)


def discard(path):
    """Remove a file or link if it is there."""
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def create(path, data, mode=0o644, uid=None, gid=None):
    """A new file with its final owner and mode, on the disk. It is readable by its maker alone until it is complete."""
    discard(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with disk.naming(path), os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if uid is not None or gid is not None:
                os.fchown(stream.fileno(), -1 if uid is None else uid, -1 if gid is None else gid)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
    except BaseException:
        discard(path)
        raise


def sync_folder(path):
    """Bring the renames of a directory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path, data, mode=0o644, uid=None, gid=None, relabel=None):
    """Replace the content of `path` by `data` (bytes) in one step."""
    temporary = beside(path)
    create(temporary, data, mode, uid, gid)
    if relabel:
        relabel(temporary, path)
    os.rename(temporary, path)
    sync_folder(os.path.dirname(path))


def copy(source, path):
    """A copy of a file or link with owner, mode and times, at a place where nothing is yet."""
    discard(path)
    found = os.lstat(source)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), path)
        os.lchown(path, found.st_uid, found.st_gid)
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with disk.naming(path), os.fdopen(handle, "wb") as target:
        with open(source, "rb") as stream:
            shutil.copyfileobj(stream, target, CHUNK)
        target.flush()
        os.fchown(target.fileno(), found.st_uid, found.st_gid)
        os.fchmod(target.fileno(), stat.S_IMODE(found.st_mode))
        os.fsync(target.fileno())
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replace(source, path, relabel=None):
    """Move a finished file or link to `path` in one step, also from another file system."""
    if relabel:
        relabel(source, path)
    try:
        os.rename(source, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = beside(path)
        copy(source, temporary)
        if relabel:
            relabel(temporary, path)
        os.rename(temporary, path)
        discard(source)


def point(path, target):
    """Make `path` a link to `target` in one step; whatever link was there is replaced."""
    temporary = beside(path)
    discard(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def make_folders(path, mode=0o755, relabel=None):
    """Make a directory and those above it that are missing, with exactly this mode. Returns those made, outermost first."""
    made = []
    missing = []
    while not os.path.isdir(path or "."):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        mask = os.umask(0)  # in one step: a run killed before a chmod would leave a directory that nobody can enter
        try:
            os.mkdir(folder, mode)
        except FileExistsError:
            if os.path.isdir(folder):
                continue  # another run was faster
            raise
        finally:
            os.umask(mask)
        if relabel:
            relabel(folder, folder)
        made.append(folder)
    return made


class Lock(object):
    """One run at a time: `with Lock(path, seconds)` waits that long for another run, then raises `Busy`."""

    def __init__(self, path, seconds):
        self.path = path
        self.seconds = seconds
        self.handle = None

    def __enter__(self):
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        deadline = time.time() + self.seconds
        while True:
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR) or time.time() > deadline:
                    os.close(self.handle)
                    if error.errno in (errno.EAGAIN, errno.EACCES):
                        raise Busy("another run has held %s for more than %d seconds; wait for it to finish" % (self.path, self.seconds))
                    raise
            time.sleep(0.2)

    def __exit__(self, kind, value, trace):
        os.close(self.handle)
