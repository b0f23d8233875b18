# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""bcrypt hashes from what a host has anyway: libcrypt, called directly or through perl. No password is on a command line."""
import ctypes
import ctypes.util
import os
import re

try:
    from ansible_collections.accelmon.fleet.plugins.module_utils import command
except ImportError:  # put beside programs that run on hosts without Ansible, as accelmon_bcrypt.py
    import accelmon_command as command

COST = 10
# For one hash, which takes a tenth of one.
SECONDS = 60
HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
# Reads setting and password as two lines, so that neither is seen in the list of processes.
PERL = "my ($setting, $password) = map { s/\\n\\z//r } <STDIN>; print crypt($password, $setting);"


class BcryptError(Exception):
    """One line for the user. A class of its own, as this file has nothing beside it on a host but command.py."""


def salt(random=os.urandom):
    """A setting for crypt: algorithm, cost and a new salt."""
    number = int.from_bytes(random(16), "big") << 4
    digits = [ALPHABET[(number >> (6 * place)) & 63] for place in range(21, -1, -1)]
    return "$2b$%02d$%s" % (COST, "".join(digits))


def by_library(password, setting, libraries=LIBRARIES):
    """The hash by libcrypt through ctypes, or None where that cannot make it."""
    for name in tuple(libraries):
        try:
            function = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        function.restype = ctypes.c_char_p
        made = function(password.encode("utf-8"), setting.encode("ascii"))
        if made and HASH.match(made.decode("ascii", "replace")):
            return made.decode("ascii")
    return None


def by_perl(password, setting, program="perl"):
    """The hash by perl's crypt, or None where that cannot make it."""
    try:
        status, output, _errors = command.run_bytes([program, "-e", PERL], SECONDS, ("%s\n%s\n" % (setting, password)).encode("utf-8"))
    except OSError:
        return None
    made = output.decode("ascii", "replace")
    return made if status == 0 and HASH.match(made) else None


WAYS = (by_library, by_perl)


def hashed(password, setting=None):
    """The bcrypt hash of a password, with a new salt or the one of `setting`, a hash made before."""
    setting = setting or salt()
    for way in WAYS:
        made = way(password, setting)
        if made:
            return made
    raise BcryptError("bcrypt: neither libcrypt nor perl on this host supports bcrypt; install libxcrypt (libcrypt1 on Debian)")


def fits(password, made):
    """Whether a hash belongs to a password; False for what is no hash."""
    return bool(HASH.match(made or "")) and hashed(password, made) == made
