# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter rule_files."""

import os

from ansible.errors import AnsibleFilterError


def rule_files(paths, directory):
    """See rule_files.yml."""
    files = {}
    for path in paths:
        target = os.path.join(directory, f"site-{os.path.splitext(os.path.basename(path))[0]}.yml")
        if not os.path.isabs(path):
            raise AnsibleFilterError(f"accelmon_rule_files = {path}: the path is relative; give an absolute one, such as {{{{ inventory_dir }}}}/{path}")
        if target in files:
            raise AnsibleFilterError(f"accelmon_rule_files = {path}: another file has the same name; rename one of them")
        try:
            with open(path, encoding="utf-8") as stream:
                files[target] = stream.read()
        except (OSError, ValueError) as error:
            raise AnsibleFilterError(f"accelmon_rule_files = {path}: it cannot be read on the control node ({error}); correct the path") from error
    return [{"path": target, "content": content} for target, content in files.items()]


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Name to function."""
        return {"rule_files": rule_files}
