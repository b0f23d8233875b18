# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock files on the control node, read once for all hosts."""
import functools
import os

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem


@functools.lru_cache(maxsize=None)
def _parsed(reader, place, _state):
    """What a reader makes of a lock file; _state: what tells one state of the file from another. Shared, so not to be changed."""
    return reader(place)


def read(reader, place, variable, make, name=""):
    """What a reader of module_utils/programs/lock.py makes of a place, the value of a variable. Raises Problem.

    make: how to get a good file; name: of the lock file where the place is a directory
    """
    full = os.path.expanduser(str(place))
    if not os.path.isabs(full):
        raise Problem(f"a relative path; use an absolute one, such as {{{{ inventory_dir }}}}/{place}", variable, place)
    whose = f"its {name}" if name else "the lock file"
    try:
        state = os.stat(os.path.join(full, name) if name else full)
        return _parsed(reader, full, (state.st_mtime_ns, state.st_size))
    except FileNotFoundError:
        missing = f"no {name} there on the control node; correct the path" if name else "no such file on the control node; correct the path"
        raise Problem(f"{missing}, or {make}", variable, place) from None
    except (OSError, ValueError) as error:
        raise Problem(f"{whose} cannot be read ({getattr(error, 'strerror', None) or error}); correct that, or {make}", variable, place) from None
    except Failure as error:
        raise Problem(f"{whose} cannot be used: {error}; {make}", variable, place) from None
