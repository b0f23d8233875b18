# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a vendor tool that may hang, flood or lie, and always comes back."""
import errno
import os
import select
import shutil
import signal
import subprocess
import time

LIMIT = 1024 * 1024
# Where vendors install their tools outside a service's search path.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/rocm/bin", "/usr/local/nvidia/bin",
           "/run/nvidia/driver/usr/bin")


def which(program):
    """The full path of an installed program, or None."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", "")] + list(FOLDERS)))


def run(argv, timeout):
    """Run a program without a shell, in the C locale, in a process group of its own.

    Returns (code, output, errors); code is None when it did not finish within `timeout` seconds or printed more than
    LIMIT bytes: then the whole group was killed. A process stuck in the kernel is left behind rather than waited for.
    Raises OSError when the program cannot be started.
    """
    environment = dict(os.environ, LC_ALL="C")
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment, start_new_session=True)
    pipes = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    output, errors = pipes.values()
    for handle in pipes:
        os.set_blocking(handle, False)
    finished = _collect(process, dict(pipes), time.monotonic() + timeout)
    if not finished:
        _kill(process)
    process.stdout.close()
    process.stderr.close()
    return (process.returncode if finished else None,) + tuple(b"".join(one).decode("utf-8", "replace") for one in (output, errors))


def _collect(process, pipes, deadline):
    """Read until the program has ended; False when it did not in time or said too much."""
    total = 0
    while True:
        ended = process.poll() is not None
        # The program's end counts, not that of its output: a child left behind may hold that open.
        ready = select.select(list(pipes), [], [], 0 if ended else 0.05)[0] if pipes else []
        for handle in ready:
            try:
                data = os.read(handle, 65536)
            except OSError as error:
                data = None if error.errno in (errno.EAGAIN, errno.EINTR) else b""
            if data:
                pipes[handle].append(data)
                total += len(data)
            elif data is not None:
                del pipes[handle]
        if total > LIMIT:
            return False
        if ended and not ready:
            return True
        if not ended and not pipes:
            time.sleep(0.05)
        if not ended and time.monotonic() > deadline:
            return False


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=1)
    except (OSError, subprocess.TimeoutExpired):
        pass  # already gone, or stuck in the kernel: nothing more can be done to it
