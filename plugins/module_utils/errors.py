# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error of everything that runs on a node, and how a module ends with it."""
import contextlib

from ansible_collections.accelmon.fleet.plugins.module_utils import disk


class Failure(Exception):
    """One line for the user: `what = value: what is wrong; what to do`.

    status: the HTTP status of a server that refused, else None
    more: what the result of the module has beside the line
    """

    def __init__(self, line, status=None, **more):
        super().__init__(line)
        self.status, self.more = status, more


class Busy(Failure):
    """Another run holds the lock, or the one that is waited for is not done."""


@contextlib.contextmanager
def failing(module, path=None, name=None, **result):
    """What is done inside ends the module with one line where it cannot be done.

    path: what an error of the system is about if it does not say so itself; name: what such a line begins with; result: what else to return
    """
    try:
        yield
    except Failure as error:
        module.fail_json(msg=str(error), **dict(result, **error.more))
    except (IOError, OSError) as error:
        module.fail_json(msg=("%s: " % name if name else "") + disk.explain(error, path), **result)
