# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What roles declare of their service. The internal role has no argument spec, which would cost a result for each service of each host."""
import pathlib
import re

import pytest
import yaml

ROLES = pathlib.Path(__file__).resolve().parents[4] / "roles"


def known():
    """The variables of the role service that a role may declare: those without a template."""
    values = yaml.safe_load((ROLES / "service/vars/main.yml").read_text())
    return {"service_name"} | {name for name, value in values.items() if "{{" not in str(value) and name != "service_python"}


def declarations():
    """[(role, {variable: value})] of every service that a role runs."""
    for path in sorted(ROLES.glob("*/tasks/*.yml")):
        for task in yaml.safe_load(path.read_text()) or ():
            if (task.get("ansible.builtin.import_role") or {}).get("name") == "accelmon.fleet.service":
                yield path.parent.parent.name, task["vars"]


@pytest.mark.parametrize("role,declared", list(declarations()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_role_declares_what_there_is(role, declared):
    # A second service of a role has the role's name in front.
    assert re.fullmatch(rf"{role}(_[a-z]+)?", declared["service_name"]) and not set(declared) - known()


def test_every_variable_is_described():
    described = re.findall(r"(?m)^\| `(service_\w+)`", (ROLES / "service/README.md").read_text())
    assert sorted(described) == sorted(known())
