# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python our programs on a host run with: the one that Ansible found, by a name that lasts, where services can see it.

They need the standard library alone (-IS), so that of a virtual environment the Python that it was made from will do.
"""
import os
import re
import stat
import sys

from ansible_collections.accelmon.fleet.plugins.module_utils import command

# Names that stay when the distribution goes to its next Python. EL 8 has the latter, and need not have the former.
LASTING = ("/usr/bin/python3", "/usr/libexec/platform-python")
# What the sandbox of our services hides or replaces.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev", "/proc")
CLEAN = re.compile(r"/[A-Za-z0-9_.+/-]+\Z")
SECONDS = 20
# What stands for it in texts that are written on the control node, where nobody knows it.
PLACEHOLDER = "/python-of-this-host"
TRY = "import sys; sys.exit(sys.version_info < (3, 6))"


def is_clean(path):
    """Whether a path is absolute and plain, and nothing in it could mean anything else."""
    return bool(CLEAN.match(path)) and os.path.normpath(path) == path and not path.startswith("//")


def mode_of(path):
    """Kind and permissions of a file."""
    return os.stat(path).st_mode


def unfit(path):
    """Why a service cannot run this Python; "" if it can."""
    if not is_clean(path):
        return "not a plain absolute path"
    for place in (path, os.path.realpath(path)):
        for folder in HIDDEN:
            if place.startswith(folder + "/"):
                return "%s is below %s, which is hidden from services" % (place, folder)
        while place != "/":
            try:
                mode = mode_of(place)
            except OSError as error:  # a package that is being upgraded takes the Python away that runs this
                return "%s: %s" % (place, error.strerror)
            if mode & stat.S_IWOTH:
                return "%s is world-writable" % place
            if not mode & stat.S_IXOTH:
                return "%s is not accessible to every user" % place
            place = os.path.dirname(place)
    return ""


def runs(path):
    """Whether it is a Python that our programs understand."""
    try:
        return command.run([path, "-IS", "-c", TRY], SECONDS)[0] == 0
    except OSError:
        return False


def own_names(executable):
    """Names of the Python of this process, the most lasting first."""
    if not executable:
        return []
    base = os.path.realpath(executable)
    # The name by which it was called lasts longer than where it leads, unless that is a virtual environment's.
    return [base] if sys.prefix != sys.base_prefix else [executable, base]


def find(executable=None, lasting=LASTING):
    """(path of a Python for our programs, "") or ("", why there is none).

    executable: the Python of this process. A lasting name of the same one is preferred, and taken as well if it is another
    one, but the first cannot be used.
    """
    executable = sys.executable if executable is None else executable
    known = [path for path in lasting if os.access(path, os.X_OK)]
    own = own_names(executable)
    same = [path for path in known if os.path.realpath(path) in own]
    problem = ""
    for path in same + own + known:
        why = unfit(path)
        if not why and (path in own or path in same or runs(path)):
            return path, ""
        problem = problem or why
    return "", "ansible_python_interpreter = %s: services on this host cannot run it (%s); install python3, or set it to Python 3.6 or later " \
        "outside of home directories" % (executable or "(unknown)", problem or "there is none")


def fill(params, names):
    """`params` with the Python of this host in the texts of these names, at any depth, where PLACEHOLDER stands."""
    given = dict((name, params[name]) for name in names if params.get(name))
    if PLACEHOLDER not in str(given):
        return params
    python = find()[0] or LASTING[0]
    return dict(params, **dict((name, _filled(value, python)) for name, value in given.items()))


def _filled(value, python):
    if isinstance(value, dict):
        return dict((key, _filled(item, python)) for key, item in value.items())
    if isinstance(value, list):
        return [_filled(item, python) for item in value]
    return value.replace(PLACEHOLDER, python) if isinstance(value, str) else value
