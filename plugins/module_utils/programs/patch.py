# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest patch release of a version, found by asking upstream, or a mirror of it, for its lists of checksums one after the other."""
import re

from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.programs.lock import parse_checksums

GAP = 3  # numbers in a row that upstream may have left out
MOST = 100  # patches of one minor version
ABSENT = (404, 410)


def newest(one, get):
    """The newest version of the same major and minor that upstream has for every architecture that is wanted; its own if there is no newer.

    one: {name, version, sums: {architecture: [URL of the list, name of the archive]}}, as the filter releases_wanted gives it
    get: function from a list's URL to its bytes
    """
    match = re.match(r"(\d+\.\d+)\.(\d+)$", one["version"])
    if not match:
        raise Failure("version = %s: %s has no patch number, so no newer patch release can be found; set another version yourself" % (
            one["version"], one["name"]))
    minor, last = match.group(1), int(match.group(2))
    found, missing = one["version"], 0
    for number in range(last + 1, last + 1 + MOST):
        version = "%s.%d" % (minor, number)
        if _is_there(one, version, get):
            found, missing = version, 0
        else:
            missing += 1
            if missing == GAP:
                break
    return found


def _is_there(one, version, get):
    """Whether upstream lists the archives of a version for every architecture."""
    for url, archive in one["sums"].values():
        url, archive = [text.replace(one["version"], version) for text in (url, archive)]
        try:
            listed = parse_checksums(get(url), url)
        except Failure as error:
            if error.status in ABSENT:
                return False
            raise
        if archive not in listed:
            return False
    return True
