#!/usr/bin/python
# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
---
module: fleet_backup
short_description: Back up a monitoring host, and restore it
version_added: 0.1.0
requirements:
  - Python 3.6 or newer
author: accelmon.fleet contributors (@accelmon)
description:
  - Internal to the collection; used by C(backup.yml), C(backup_test.yml), C(restore.yml) and C(upgrade.yml). Runs on a monitoring host.
  - With O(action=restore), every file of the backup is verified before anything is changed, and what was there is kept beside it.
attributes:
  check_mode:
    support: full
    description: With O(action=restore), verifies the backup. The other actions do nothing.
  diff_mode:
    support: none
    description: Shows no differences.
options:
  action:
    description:
      - V(take) runs the service that the role backup installs, and waits for it. The action plugin prints how far it is.
      - V(test) does the same with the service that tests the newest backup.
      - V(restore) brings back storage, registry and secrets, also on a host where nothing is installed yet.
      - V(finish) brings back what needs running services, and compares the number of series. It follows V(restore), once C(site.yml) has run.
      - V(rewind) brings back the storage alone, and leaves it stopped, for an older program that cannot read what is there.
    type: str
    choices: [take, test, restore, finish, rewind]
    required: true
  settings:
    description: What the role backup writes for its program.
    type: dict
    required: true
  path:
    description: Directory of the backup to restore, or C(s3://BUCKET/PREFIX/HOST/TIME).
    type: path
  key:
    description: Private key of the recipient, in PEM, without a passphrase. openssl gets it through a pipe.
    type: str
  secret:
    description: What the backup was signed with, C(accelmon_backup_secret).
    type: str
  s3:
    description: The bucket for O(path) C(s3://…).
    type: dict
    suboptions:
      url:
        description: Where this host's own copies go. Not read.
        type: str
      endpoint:
        description: URL of the service. If empty, Amazon's.
        type: str
        default: ""
      region:
        description: Its region.
        type: str
        default: ""
      access_key:
        description: Name of the key.
        type: str
        required: true
      secret_key:
        description: The key. rclone gets it in its environment.
        type: str
        required: true
  wait:
    description: Seconds to wait for the service. If it is not done then, the result has RV(running).
    type: int
    default: 86400
  since:
    description: When the run of the service was started that is waited for. If unset, it is started.
    type: float
  quiet:
    description: Whether to print nothing on the way.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Back up now
  accelmon.fleet.fleet_backup:
    action: take
    settings: "{{ backup_settings }}"
"""

RETURN = r"""
message:
  description: What was done.
  returned: always
  type: str
  sample: "/mnt/backup/mon01/20261129T030000Z: 1.2 GB in 412 files, 18412 series, 9.2 s"
running:
  description: If the service is not done yet, C(since), when it was started, and C(line), what it has said last.
  returned: with O(action=take) and O(action=test), after O(wait) seconds
  type: dict
backup:
  description: The backup.
  returned: unless the service is not done yet, or the action does nothing in check mode
  type: dict
  contains:
    path:
      description: Its directory.
      type: str
      returned: always
    at:
      description: When it was begun, in seconds since 1970.
      type: int
      returned: always
    bytes:
      description: Its size.
      type: int
      returned: always
    files:
      description: How many files it has.
      type: int
      returned: with O(action=take) and O(action=test)
    seconds:
      description: How long it took.
      type: float
      returned: with O(action=take) and O(action=test)
    copy:
      description: URL of its copy in a bucket. Empty if there is none.
      type: str
      returned: with O(action=take)
    series:
      description: How many series had samples at that time. Null if the storage does not count that many.
      type: int
      returned: always
    kept:
      description: Where what was there before is now.
      type: list
      elements: str
      returned: with O(action=restore) and O(action=rewind)
    found:
      description: How many series of that time there are now, or in the backup.
      type: int
      returned: with O(action=finish) and O(action=test)
    silences:
      description: How many silences were set again.
      type: int
      returned: with O(action=finish)
"""

import json
import os
import syslog
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.accelmon.fleet.plugins.module_utils import backup, bucket, command
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Busy, failing
from ansible_collections.accelmon.fleet.plugins.module_utils.progress import size

POLL_SECONDS = 0.5
SECONDS = 10  # for journalctl
ARGUMENTS = {
    "action": {"type": "str", "choices": ["take", "test", "restore", "finish", "rewind"], "required": True},
    "settings": {"type": "dict", "required": True},
    "path": {"type": "path"},
    "key": {"type": "str", "no_log": True},
    "secret": {"type": "str", "no_log": True},
    "s3": {"type": "dict", "options": {
        "url": {"type": "str"}, "endpoint": {"type": "str", "default": ""}, "region": {"type": "str", "default": ""},
        "access_key": {"type": "str", "required": True, "no_log": True}, "secret_key": {"type": "str", "required": True, "no_log": True}}},
    "wait": {"type": "int", "default": 86400},
    "since": {"type": "float"},
    "quiet": {"type": "bool", "default": False},
}


def journal(line):
    """Write a line to the journal. Nothing that a module prints is shown before it ends."""
    syslog.openlog("accelmon-restore")
    syslog.syslog(line)


def counted(count):
    """A number of series for people."""
    return "unknown number of series" if count is None else "%d series" % count


def state(unit):
    """{property: value} of a unit: whether there is one, what it does, and what is queued for it."""
    return dict(word.split("=", 1) for word in backup.systemctl("show", "--property=LoadState,ActiveState,Job", unit).split() if "=" in word)


def said(unit, since):
    """What a unit has written last to the journal since a time; "" if that was nothing."""
    code, output, _errors = command.run(["journalctl", "-q", "--no-pager", "-o", "cat", "-n", "1", "-u", unit, "--since=@%d" % since], SECONDS)
    return output.strip() if code == 0 else ""


def noted(path, since):
    """What a run that was started at a time has left; None if it has left nothing."""
    try:
        with open(path, encoding="utf-8") as stream:
            # The clock of files is a little behind.
            return json.load(stream) if os.fstat(stream.fileno()).st_mtime > since - 1 else None
    except (OSError, ValueError):
        return None


def ran(params, name, nothing):
    """What a service of the role backup notes of the run that it is started for, or of the one that is waited for. Raises Busy.

    nothing: what to do where there is no such service
    """
    unit, since, until = "accelmon-%s.service" % name.replace("_", "-"), params["since"], time.monotonic() + params["wait"]
    if since is None:
        if state(unit).get("LoadState") == "not-found":
            raise backup.Failure("%s is not on this host; %s and run site.yml" % (unit, nothing))
        since = time.time()
        backup.systemctl("start", "--no-block", unit)
    while True:
        found = state(unit)
        if found.get("Job", "") in ("", "0") and found.get("ActiveState") not in ("activating", "deactivating"):
            break
        if time.monotonic() >= until:
            raise Busy(said(unit, since), since=since)
        time.sleep(POLL_SECONDS)
    last = noted(os.path.join(params["settings"]["home"], name, "last.json"), since)
    if last is None:
        raise backup.Failure("%s has left no result; see journalctl -u %s on this host" % (unit, unit))
    if last["problem"]:
        raise backup.Failure(last["problem"])
    return last


def take(params):
    """(message, backup) of a new backup, which the service takes."""
    last = ran(params, "backup", "set accelmon_backup_directory")
    copied = "; copied to " + last["copy"] if last.get("copy") else ""  # the program may be an older one than this
    return "%s: %s in %d files, %s, %.1f s%s" % (
        last["path"], size(last["bytes"]), last["files"], counted(last["series"]), last["seconds"], copied), last


def test(params):
    """(message, backup) of the newest backup, which the service has tested."""
    last = ran(params, "backup_test", "set accelmon_backup_test = monthly")
    return "%s: intact, %s in %d files; a storage has started from it, %s at its time, %d of them in it, %.1f s; what is encrypted was not decrypted" % (
        last["path"], size(last["bytes"]), last["files"], counted(last["series"]), last["found"], last["seconds"]), last


def restore(params, check):
    """(message, backup) of what came back, or is intact."""
    settings, path, secret = params["settings"], params["path"], params["secret"]
    with bucket.fetched(settings, path, params["s3"], secret, journal) as folder:
        found = dict(backup.restore(settings, folder, params["key"], secret, check, time.time(), journal), path=path)
    if check:
        return "%s: intact, %s, %s" % (path, size(found["bytes"]), counted(found["series"])), found
    kept = "; kept: " + ", ".join(found["kept"]) if found["kept"] else ""
    return "%s: %s, %s%s" % (path, size(found["bytes"]), counted(found["series"]), kept), found


def rewind(settings, path):
    """(message, backup) of the storage's data that came back."""
    found = dict(backup.rewind(settings, path, time.time(), journal), path=path)
    return "%s: storage, %s; kept: %s" % (path, counted(found["series"]), ", ".join(found["kept"])), found


def finish(settings):
    """(message, backup) after the rest came back."""
    found = backup.finish(settings)
    return "%s at the time of the backup, %s of them now; %d silences set again" % (counted(found["series"]), found["found"], found["silences"]), found


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True,
                           required_if=[("action", "restore", ("path", "key", "secret")), ("action", "rewind", ("path",))])
    params, check = module.params, module.check_mode
    if check and params["action"] != "restore":
        module.exit_json(changed=False, message="nothing in check mode")
    with failing(module, path=params["settings"].get("home"), name="backup"):
        try:
            if params["action"] in ("take", "test"):
                message, found = {"take": take, "test": test}[params["action"]](params)
            elif params["action"] == "restore":
                message, found = restore(params, check)
            elif params["action"] == "rewind":
                message, found = rewind(params["settings"], params["path"])
            else:
                message, found = finish(params["settings"])
        except Busy as running:
            module.exit_json(changed=True, message=str(running), running=dict(running.more, line=str(running)))
        except backup.Failure as failure:
            module.fail_json(msg=str(failure))
    module.exit_json(changed=not check, message=message, backup=found)


if __name__ == "__main__":
    main()
