# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site's own files: rules, and templates of notifications."""

import functools
import os

import yaml

from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem


def check_command(backend, program, recording, alerts, site):
    """The command line by which the evaluator's own checker judges the rule files before they are used.

    program: that checker; recording, alerts, site: paths of the files, of which {stage} stands before the folder while they are checked
    """
    if backend == "prometheus":
        return [program, "check", "rules"] + ["{stage}" + path for path in [recording, alerts, *site]]
    # The recording rules for vmalert end otherwise than the files that Prometheus reads.
    return [program, "-dryRun", f"-rule={{stage}}{os.path.dirname(recording)}/*.yml", f"-rule={{stage}}{recording}"]


def _text(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def check_text(text):
    """Text of a rule file of the site. Raises ValueError for what is none."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from None
    groups = found.get("groups") if isinstance(found, dict) else None
    # A group may have `rules:` and nothing behind it.
    if not isinstance(groups, list) or not all(isinstance(group, dict) and isinstance(group.get("rules") or [], list) for group in groups):
        raise ValueError("it is no rule file, which begins with groups:")
    for group in groups:
        for number_of_rule, rule in enumerate(group.get("rules") or [], 1):
            if not isinstance(rule, dict) or "expr" not in rule or ("record" in rule) == ("alert" in rule):
                raise ValueError(f"group {group.get('name')}, rule {number_of_rule}: it needs expr, and either record or alert")
    return text


@functools.lru_cache(maxsize=None)
def _rules(path, _state):
    """Text of a rule file of the site. Raises ValueError for what is none; _state: what tells one state of the file from another."""
    return check_text(_text(path))


def site_files(paths, directory, variable="accelmon_rule_files", ending="yml"):
    """[{"path" in directory, "content"}] of a site's own files: of rules (yml), or of templates (tmpl), which Alertmanager judges. Raises Problem."""
    files = {}
    for path in paths:
        target = os.path.join(directory, f"site-{os.path.splitext(os.path.basename(path))[0]}.{ending}")
        if not os.path.isabs(path):
            raise Problem(f"the path is relative; give an absolute one, such as {{{{ inventory_dir }}}}/{path}", variable, path)
        if target in files:
            raise Problem("another file has the same name; rename one of them", variable, path)
        try:
            state = os.stat(path)
            files[target] = _rules(path, (state.st_mtime_ns, state.st_size)) if ending == "yml" else _text(path)
        except OSError as error:
            raise Problem(f"it cannot be read on the control node ({error.strerror}); correct the path", variable, path) from None
        except ValueError as error:
            raise Problem(f"it cannot be used ({error}); correct the file", variable, path) from None
    return [{"path": target, "content": content} for target, content in files.items()]
