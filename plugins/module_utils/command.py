# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a program that may hang, flood or lie, and always comes back. Everything here that waits for a program does it this way."""
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
AGAIN = (errno.EAGAIN, errno.EINTR)


def which(program):
    """The full path of an installed program, or None."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", "")] + list(FOLDERS)))


def run(argv, timeout):
    """As run_bytes(), with both outputs as text. timeout: seconds, which may be infinite."""
    code, output, errors = run_bytes(argv, timeout)
    return code, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


def of_module(module):
    """run_command() for a module, in place of Ansible's own, which loses what a program writes in the moment before it ends.

    Takes a list of words; returns (code, output, errors), and ends the module if the program cannot be started. There is no time limit: some
    of these programs download or wait for a service.
    """
    def run_command(argv):
        try:
            code, output, errors = run(argv, float("inf"))
        except OSError as error:
            module.fail_json(rc=error.errno, msg="%s: cannot be run (%s)" % (argv[0], error.strerror), cmd=" ".join(argv))
        return (1, output, "%s: its output exceeds %d bytes" % (argv[0], LIMIT)) if code is None else (code, output, errors)

    return run_command


def run_bytes(argv, timeout, data=b"", limit=LIMIT, folder=None, environment=None):
    """Run a program without a shell, in the C locale unless the environment says otherwise, in a process group of its own, with `data` as its input.

    environment: {name: value} beside that of this process

    Returns (code, output, errors); code is None when it did not finish within `timeout` seconds or printed more than
    `limit` bytes: then the whole group was killed. A process stuck in the kernel is left behind rather than waited for.
    Raises OSError when the program cannot be started.
    """
    process = subprocess.Popen(argv, stdin=subprocess.PIPE if data else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=dict(os.environ, **dict({"LC_ALL": "C"}, **environment or {})), cwd=folder, start_new_session=True)
    pipes = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    output, errors = pipes.values()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            os.set_blocking(stream.fileno(), False)
    try:
        finished = _collect(process, dict(pipes), data, limit, time.monotonic() + timeout)
    except BaseException:
        _kill(process)
        raise
    if not finished:
        _kill(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
    return process.returncode if finished else None, b"".join(output), b"".join(errors)


def _collect(process, pipes, data, limit, deadline):
    """Write and read until the program has ended; False when it did not in time or said too much.

    The order is what counts. Whether the program has ended is looked at before its output, so that what it wrote last is
    read; and the time before that, so that a program which ended while this process got no time itself is not late.
    """
    total, left = 0, memoryview(data)
    while True:
        late = time.monotonic() > deadline
        ended = process.poll() is not None
        writing = [process.stdin.fileno()] if left and not ended else []
        # The program's end counts, not that of its output: a child left behind may hold that open.
        pause = 0 if ended or late else 0.05
        ready, writable = select.select(list(pipes), writing, [], pause)[:2] if pipes or writing else ([], [])
        if writable:
            left = _write(process.stdin, left)
        total += _take(ready, pipes)
        if total > limit:
            return False
        if ended and not ready:
            return True
        if late and not ended:
            return False
        if not ended and not pipes and not writing:
            time.sleep(0.05)


def _take(ready, pipes):
    """Read what there is of these pipes, and forget those that ended; how many bytes that were."""
    total = 0
    for handle in ready:
        chunk = _read(handle)
        if chunk:
            pipes[handle].append(chunk)
            total += len(chunk)
        elif chunk is not None:
            del pipes[handle]
    return total


def _write(stream, data):
    """Write what fits, and return the rest. After the last part, or where nobody reads, the input is closed."""
    try:
        data = data[os.write(stream.fileno(), data):]
    except OSError as error:
        data = data if error.errno in AGAIN else data[:0]
    if not data:
        stream.close()
    return data


def _read(handle):
    """What can be read; b"" at the end, None for nothing at the moment."""
    try:
        return os.read(handle, 65536)
    except OSError as error:
        return None if error.errno in AGAIN else b""


def _kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=1)
    except (OSError, subprocess.TimeoutExpired):
        pass  # already gone, or stuck in the kernel: nothing more can be done to it
