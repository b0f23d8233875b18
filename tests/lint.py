# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-lint with its own options, and check the syntax of all playbooks and roles together.

ansible-lint starts ansible-playbook for each playbook, each role and each import of a playbook, which takes longer than all its rules. Here one
start checks them all. If that fails, ansible-lint checks each for itself and says what is wrong where.
"""

import json
import subprocess
import sys
import tempfile

from ansiblelint import __main__ as ansible_lint
from ansiblelint import runner

# Names of ansible-lint's own. Another release may not have them; it is only slower then.
EACH = "_map_syntax_check_workers"
KNOWN = "_has_playbook_cache"


def is_sound(files, variables, env):
    """Whether ansible-playbook accepts the syntax of all these files of ansible-lint's, in one run."""
    paths = {kind: [str(file.path.absolute()) for file in files if file.kind == kind] for kind in ("playbook", "role")}
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as play:
        tasks = [{"name": "Import it", "ansible.builtin.import_role": {"name": path}} for path in paths["role"]]
        json.dump([{"name": "Import the roles", "hosts": "localhost", "tasks": tasks}], play)
        play.flush()
        return subprocess.run(["ansible-playbook", "--syntax-check", "--extra-vars", json.dumps(variables or {}), play.name, *paths["playbook"]],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, check=False).returncode == 0


def together(each):
    """Return what stands in for ansible-lint's check of each file: nothing is wrong if all are sound together, else it checks each."""
    def check(self, worker, files):
        """Return a list of what is wrong for each file."""
        runtime = self.app.runtime
        if not is_sound(files, self.app.options.extra_vars, runtime.environ):
            return each(self, worker, files)
        # Of these, whoever imports one of the playbooks need not ask again.
        getattr(runtime, KNOWN, {}).update({(str(file.path), None): True for file in files if file.kind == "playbook"})
        return []
    return check


if __name__ == "__main__":
    if hasattr(runner.Runner, EACH):
        setattr(runner.Runner, EACH, together(getattr(runner.Runner, EACH)))
    sys.exit(ansible_lint.main(sys.argv))
