# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of files that one owner writes, checks, replaces and removes together.

The manifest (<state_dir>/manifests/<name>.json, readable by root alone) says what is ours:
  {"version": 1, "name": str,
   "files": {path: {"sha256": hex, "pending": [hex], "mode": "0644", "owner": str, "group": str, "secret": true}},
   "directories": {path: {"created": bool, "declared": bool}}}
`sha256` is what we wrote, `pending` what a run that has not ended was about to write. An intent with `pending` is on the
disk before the first file changes, so a run killed at any moment leaves nothing that the next one does not know as ours.
A file whose content has neither hash is not as we wrote it: it is kept aside before it is replaced or removed.
"""
import collections
import errno
import json
import os
import re
import shutil
import stat
import tempfile
import time

from ansible_collections.accelmon.fleet.plugins.module_utils import atomic, command, disk, paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure

SECRET = "(secret)\n"
SECRET_CHANGED = "(secret changed)\n"
PRIVATE = "(not shown: not written by accelmon.fleet and not world-readable)\n"
KEPT_COPIES = 10  # per path; something that rewrites a file after every run must not fill the disk
DIFF_BYTES = 256 * 1024
OUTPUT_CHARACTERS = 1500
LOCK_SECONDS = 120
VALIDATOR_SECONDS = 60

# secret: its content is shown nowhere. uid, gid: None if the user is missing, which only check mode bears.
Wanted = collections.namedtuple("Wanted", "path data mode owner group uid gid secret")
# fixed: one that exists gets this mode and owner too.
Folder = collections.namedtuple("Folder", "path mode owner group uid gid fixed")
# kind: absent, file, link, other. data: bytes of a file or link, None if the file is too large to matter.
Found = collections.namedtuple("Found", "kind data size mode uid gid")

ABSENT = Found("absent", None, 0, None, None, None)

_OWNED = {"path": {"type": "str", "required": True}, "mode": {"type": "str"}, "owner": {"type": "str"}, "group": {"type": "str"}}
# The options of a module that writes a set; documented by the fragment config_set.
ARGUMENTS = {
    "files": {"type": "list", "elements": "dict", "default": [], "options": dict(
        _OWNED, owner={"type": "str", "default": "root"}, group={"type": "str", "default": "root"},
        content={"type": "raw"}, secret={"type": "bool", "default": False})},
    "directories": {"type": "list", "elements": "dict", "default": [], "options": _OWNED},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "validate": {"type": "list", "elements": "dict", "default": [], "options": {
        "argv": {"type": "list", "elements": "str", "required": True},
        "timeout": {"type": "int", "default": 60},
    }},
}


# Reading the request

def clean_path(path, what="path"):
    """The path if it is absolute and plain, else Failure."""
    if not path.startswith("/") or os.path.normpath(path) != path or path.startswith("//") or path == "/" or "\0" in path:
        raise Failure("%s = %s: not a plain absolute path; write it without '..', '//' and a trailing '/'" % (what, path))
    return path


def parse_mode(mode, path):
    """'0640' -> 0o640. YAML reads an unquoted 0640 as the number 416, so the leading 0 is asked for."""
    if not re.match(r"0[0-7]{3,4}\Z", str(mode)):
        raise Failure("mode = %s: not a valid mode for %s; write four digits in quotes, such as '0644'" % (mode, path))
    return int(str(mode), 8)


def to_data(content, path):
    """The bytes of a file's content. Older ansible-core turns a templated text that holds JSON into a list or dict."""
    if isinstance(content, (dict, list)):
        content = json.dumps(content, indent=2) + "\n"
    if isinstance(content, bool) or not isinstance(content, (str, int, float)):
        raise Failure("content = %r: not a string for %s; put it in quotes" % (content, path))
    return str(content).encode("utf-8", "surrogateescape")


def ancestors(path):
    """The directories above a path, nearest first, without /."""
    found = []
    path = os.path.dirname(path)
    while path != "/":
        found.append(path)
        path = os.path.dirname(path)
    return found


def secret_words(text):
    """The parts of a secret file's content that must not appear anywhere, longest first.

    Its whole text, its lines and its words; not the names of its settings, without which a checker's message says nothing.
    """
    names = set(re.findall(r"""(?m)^\s*(?:- )?["']?([A-Za-z_][\w.-]*)["']?\s*(?::(?=\s|$)|=(?=[^\s=]))""", text))
    words = set(line.strip() for line in text.splitlines()) | set([text.strip()])
    for word in re.split(r"[\s\"',]+", text):
        words.add(word)
        words.update(part.strip("/") for part in re.split(r"[:=@]+", word))
        words.add(word.partition("=")[2])
    return sorted((word for word in words - names if re.search(r"\w", word)), key=lambda word: (-len(word), word))


def mask(text, secrets):
    """`text` with every part of the secrets blotted out. Short parts only where they stand alone."""
    for word in sorted(set(word for secret in secrets for word in secret_words(secret)), key=lambda word: (-len(word), word)):
        pattern = re.escape(word)
        if len(word) < 6:
            pattern = r"(?<!\w)%s(?!\w)" % pattern
        text = re.sub(pattern, "********", text)
    return text


# Looking at the disk

def look(path, size=0):
    """What is at a path, without following a link. Content is read up to DIFF_BYTES, or to `size` if that is more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return ABSENT
        if error.errno in (errno.ELOOP, errno.EMLINK):
            return Found("link", os.readlink(path).encode("utf-8", "surrogateescape"), 0, None, None, None)
        if error.errno == errno.ENXIO:  # a socket
            return Found("other", None, 0, None, None, None)
        raise
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        return Found("other", None, 0, None, None, None)
    with os.fdopen(handle, "rb") as stream:
        data = stream.read() if found.st_size <= max(DIFF_BYTES, size) else None
    return Found("file", data, found.st_size, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def is_ours(path, found, entry):
    """Whether a file is as a manifest entry says we wrote it, or were about to."""
    if found.kind != "file":
        return False
    value = atomic.sha256_file(path) if found.data is None else atomic.sha256_of(found.data)
    return value == entry.get("sha256") or value in entry.get("pending", ())


def shown(found, secret=False, private=False):
    """A file's content as a diff shows it."""
    if found.kind == "absent":
        return ""
    if found.kind == "link":
        return "(link to %s)\n" % found.data.decode("utf-8", "replace")
    if secret or private:
        return SECRET if secret else PRIVATE
    return shown_data(found.data, found.size)


def shown_data(data, size):
    """Bytes as a diff shows them."""
    if data is None or size > DIFF_BYTES or b"\0" in data:
        return "(%d bytes%s)\n" % (size, "" if data is None else ", sha256 " + atomic.sha256_of(data))
    return data.decode("utf-8", "replace")


def shown_owner(mode, uid, gid):
    """Mode and owner as a diff shows them."""
    return "mode %04o, owner %s, group %s\n" % (mode, "to be made" if uid is None else uid, "to be made" if gid is None else gid)


def run_validator(argv, seconds, folder):
    """(exit status, output) of a checker; None as status if it did not end in time. Then what it started ends with it."""
    status, output, errors = command.run_bytes(argv, seconds, folder=folder)
    return status, (output + errors).decode("utf-8", "replace")


# What has to be done

class Plan(object):
    """The difference between what is wanted and what is there. Nothing here has been done yet."""

    def __init__(self):
        self.swap = []  # [Wanted], content differs or the file is missing
        self.attributes = []  # [(Wanted, Found)], only mode or owner differ
        self.remove = []  # [path]
        self.keep = []  # [path] to be kept aside before it is replaced or removed
        self.make = []  # [Folder] that are missing, outermost first
        self.folders = []  # [(Folder, Found)] whose mode or owner differ
        self.rmdir = []  # [path], innermost first
        self.found = {}  # path: Found, of everything in swap and remove
        self.secret = set()  # paths whose content is shown nowhere
        self.private = set()  # paths where somebody else's content is not shown
        self.manifest = None  # dict to be written, None to be removed
        self.before = None  # dict as it is on the disk, None without one

    def put_aside(self, path, found):
        """Plan to keep what is at a path: it is not as we wrote it."""
        self.keep.append(path)
        if found.kind == "file" and not found.mode & 0o004:
            self.private.add(path)

    def needed(self):
        """Whether anything differs."""
        return bool(self.swap or self.attributes or self.remove or self.make or self.folders or self.rmdir
                    or self.manifest != self.before)

    def diff(self, kept):
        """Ansible's list of before and after. kept: {path: where it is kept aside}."""
        shown_changes = []

        def add(path, before, after, note=""):
            shown_changes.append({"before_header": path + note, "after_header": path, "before": before, "after": after})

        for folder in self.make:
            add(folder.path, "", "directory, " + shown_owner(folder.mode, folder.uid, folder.gid))
        for folder, found in self.folders:
            add(folder.path, "directory, " + shown_owner(found.mode, found.uid, found.gid),
                "directory, " + shown_owner(folder.mode, folder.uid, folder.gid))
        for wanted in self.swap:
            secret = wanted.path in self.secret
            after = SECRET_CHANGED if secret else shown_data(wanted.data, len(wanted.data))
            note = " (modified since accelmon.fleet wrote it, copy kept as %s)" % kept[wanted.path] if wanted.path in kept else ""
            add(wanted.path, shown(self.found[wanted.path], secret, wanted.path in self.private), after, note)
        for wanted, found in self.attributes:
            add(wanted.path, shown_owner(found.mode, found.uid, found.gid), shown_owner(wanted.mode, wanted.uid, wanted.gid))
        for path in self.remove:
            note = " (modified since accelmon.fleet wrote it, copy kept as %s)" % kept[path] if path in kept else ""
            add(path, shown(self.found[path], path in self.secret, path in self.private), "", note)
        for path in self.rmdir:
            add(path, "directory\n", "")
        return shown_changes


class ConfigSet(object):
    """One set on this host.

    name: str; files, directories, secrets, validate, owned_directories: as the module config_set documents them
    check: change nothing outside `scratch`, a private directory (a new one if None)
    """

    def __init__(self, name, files=(), directories=(), secrets=None, validate=(), owned_directories=(),
                 state_dir=paths.STATE, check=False, relabel=None, scratch=None):
        if not re.match(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z", name):
            raise Failure("name = %s: not a valid name for a set; use letters, digits, '_', '-' and '.'" % name)
        self.name = name
        self.validate = validate
        self.check = check
        self.relabel = relabel
        self.scratch = scratch
        self.warnings = []
        self.manifests = os.path.join(clean_path(state_dir, "state_dir"), "manifests")
        self.stages = os.path.join(state_dir, "stage")
        self.kept = os.path.join(state_dir, "kept")
        self.manifest_path = os.path.join(self.manifests, name + ".json")
        self.stage = os.path.join(self.stages, name)
        self.wanted = self._read_files(files, dict(secrets or {}))
        self.folders = self._read_folders(directories)
        self.owned_directories = [clean_path(path, "owned_directories") for path in owned_directories]
        self.secrets = [item.data.decode("utf-8", "replace") for item in self.wanted if item.secret]

    # The request

    def _ids(self, path, owner, group):
        """(uid, gid); in check mode None for who is missing: a task before this one would have made them."""
        ids = []
        for what, name, find in (("owner", owner, atomic.user_id), ("group", group, atomic.group_id)):
            try:
                ids.append(find(name))
            except KeyError:
                if not self.check:
                    raise Failure("%s = %s: this host has no such %s for %s; create it first"
                                  % (what, name, {"owner": "user"}.get(what, what), path))
                ids.append(None)
        return ids

    def _read_files(self, files, secrets):
        wanted, seen = [], set()
        for entry in files:
            path = clean_path(entry["path"])
            if path.startswith((self.manifests + "/", self.stages + "/", self.kept + "/")):
                raise Failure("files = %s: this directory belongs to config_set itself; choose another" % path)
            if path in seen:
                raise Failure("files = %s: the path is listed twice; remove one" % path)
            seen.add(path)
            wanted.append(self._read_file(path, entry, secrets))
        if secrets:
            raise Failure("secrets = %s: no such path with secret: true in files; add it or remove the secret"
                          % ", ".join(sorted(secrets)))
        for path in seen:
            for above in ancestors(path):
                if above in seen:
                    raise Failure("files = %s: it is below %s, which is a file of the same set; move one of them" % (path, above))
        return wanted

    def _read_file(self, path, entry, secrets):
        """The Wanted of an entry; the content of a secret one is taken out of `secrets`."""
        secret = bool(entry.get("secret"))
        if secret and (path not in secrets or entry.get("content") is not None):
            raise Failure("files = %s: a secret file takes its content from the option secrets, under the same path, and only from there" % path)
        if not secret and entry.get("content") is None:
            raise Failure("files = %s: no content; set content, or secret: true and its content in secrets" % path)
        data = to_data(secrets.pop(path) if secret else entry["content"], path)
        mode = parse_mode(entry.get("mode") or ("0640" if secret else "0644"), path)
        if secret and mode & 0o007:
            raise Failure("mode = %04o: the secret in %s would be world-readable; set the last digit to 0" % (mode, path))
        owner, group = entry.get("owner") or "root", entry.get("group") or "root"
        uid, gid = self._ids(path, owner, group)
        return Wanted(path, data, mode, owner, group, uid, gid, secret)

    def _read_folders(self, directories):
        folders = []
        for entry in directories:
            path = clean_path(entry["path"], "directories")
            if path in [folder.path for folder in folders] + [wanted.path for wanted in self.wanted]:
                raise Failure("directories = %s: the path is listed twice; remove one" % path)
            owner, group = entry.get("owner") or "root", entry.get("group") or "root"
            uid, gid = self._ids(path, owner, group)
            fixed = any(entry.get(key) for key in ("mode", "owner", "group"))
            folders.append(Folder(path, parse_mode(entry.get("mode") or "0755", path), owner, group, uid, gid, fixed))
        return sorted(folders, key=lambda folder: folder.path)

    # Manifests

    def _read_manifest(self, path):
        try:
            with open(path, encoding="utf-8") as stream:
                manifest = json.load(stream)
            if manifest["version"] != 1 or not isinstance(manifest["files"], dict) or not isinstance(manifest["directories"], dict):
                raise ValueError("not a manifest of version 1")
            return manifest
        except (IOError, OSError) as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise Failure("manifest = %s: cannot be read (%s); remove it, and the next run takes over its files again" % (path, error))

    def _others(self):
        """Manifests of the other sets: {name: manifest}."""
        found = {}
        names = os.listdir(self.manifests) if os.path.isdir(self.manifests) else []
        for name in sorted(names):
            if name.endswith(".json") and not name.startswith(".") and name != self.name + ".json":
                manifest = self._read_manifest(os.path.join(self.manifests, name))
                if manifest:
                    found[name[:-len(".json")]] = manifest
        return found

    def _lock(self):
        """The lock of all sets of this host: their files and directories must not be claimed twice."""
        atomic.make_folders(self.manifests, relabel=self.relabel)
        return atomic.Lock(os.path.join(self.manifests, ".lock"), LOCK_SECONDS)

    @staticmethod
    def _text(manifest):
        return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode("utf-8")

    def _write_manifest(self, manifest):
        if manifest is None:
            atomic.discard(self.manifest_path)
        else:
            atomic.write(self.manifest_path, self._text(manifest), 0o600, relabel=self.relabel)

    # The plan

    def plan(self, present=True):
        """The Plan that leads from the disk as it is to this set, or to its absence."""
        plan = Plan()
        plan.before = self._read_manifest(self.manifest_path)
        old = plan.before or {"files": {}, "directories": {}}
        wanted, folders = (self.wanted, self.folders) if present else ([], [])
        known = set(old["files"]) | set(old["directories"])
        fresh = [item.path for item in wanted + folders if item.path not in known]
        gone = set(old["files"]) - set(item.path for item in wanted)
        # Who else owns what matters only when something is new here or goes; a converged run reads one manifest.
        others = self._others() if fresh or gone or self._folders_go(old, wanted, folders) else {}
        self._refuse_shared(fresh, others)
        plan.secret = set(path for path, entry in old["files"].items() if entry.get("secret")) | set(item.path for item in wanted if item.secret)
        for item in wanted:
            self._plan_file(plan, item, old["files"].get(item.path, {}))
        for path in sorted(gone):
            self._plan_removal(plan, path, old["files"][path])
        directories = self._plan_folders(plan, old, wanted, folders, others)
        plan.manifest = {"version": 1, "name": self.name, "directories": directories,
                         "files": dict((item.path, self._entry(item)) for item in wanted)} if present else None
        return plan

    @staticmethod
    def _folders_go(old, wanted, folders):
        needed = set(folder.path for folder in folders).union(*[ancestors(item.path) for item in wanted + folders])
        return set(old["directories"]) - needed

    @staticmethod
    def _refuse_shared(paths, others):
        for path in paths:
            for name, manifest in others.items():
                if path in manifest["files"]:
                    raise Failure("files = %s: the set %s owns this file; list it in only one of them" % (path, name))

    @staticmethod
    def _entry(item):
        entry = {"sha256": atomic.sha256_of(item.data), "mode": "%04o" % item.mode, "owner": item.owner, "group": item.group}
        if item.secret:
            entry["secret"] = True
        return entry

    @staticmethod
    def _plan_file(plan, item, entry):
        found = look(item.path, len(item.data))
        if found.kind == "other":
            raise Failure("files = %s: there is a directory or device at this path; move it away" % item.path)
        if found.kind == "file" and found.data == item.data:
            if (found.mode, found.uid, found.gid) != (item.mode, item.uid, item.gid):
                plan.attributes.append((item, found))
            return
        plan.found[item.path] = found
        plan.swap.append(item)
        if found.kind != "absent" and not is_ours(item.path, found, entry):
            plan.put_aside(item.path, found)

    @staticmethod
    def _plan_removal(plan, path, entry):
        found = look(path)
        if found.kind in ("absent", "other"):
            return
        ours = is_ours(path, found, entry)
        if not ours and "sha256" not in entry:
            return  # a run was killed before it ever wrote here: what is there was never ours
        plan.found[path] = found
        plan.remove.append(path)
        if not ours:
            plan.put_aside(path, found)

    def _plan_folders(self, plan, old, wanted, folders, others):
        """Plans the directories; returns the manifest's part on them."""
        claimed = set(path for manifest in others.values() for path, entry in manifest["directories"].items() if entry["declared"])
        created = set(path for manifest in others.values() for path, entry in manifest["directories"].items() if entry["created"])
        declared = dict((folder.path, folder) for folder in folders)
        needed = set(declared).union(*[ancestors(item.path) for item in wanted + folders])
        entries = {}
        for path in sorted(needed):
            exists = self._plan_folder(plan, path, declared.get(path))
            made = not exists or old["directories"].get(path, {}).get("created", path in created)
            if made or path in declared:
                entries[path] = {"created": made, "declared": path in declared}
        leave = [path for path in set(old["directories"]) - needed if old["directories"][path]["created"] and path not in claimed]
        entries.update(self._plan_leaving(plan, leave))
        return entries

    @staticmethod
    def _plan_folder(plan, path, folder):
        """Plans one directory that is needed; folder: how it is declared, or None. Returns whether it exists."""
        try:
            found = os.stat(path)
        except OSError as error:
            if os.path.islink(path):
                raise Failure("path = %s: a dangling link where a directory is needed; remove it" % path)
            if error.errno != errno.ENOENT:
                raise
            plan.make.append(folder or Folder(path, 0o755, "root", "root", os.geteuid(), os.getegid(), False))
            return False
        if not stat.S_ISDIR(found.st_mode):
            raise Failure("path = %s: a file where a directory is needed; move it away" % path)
        attributes = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        if folder and folder.fixed and attributes != (folder.mode, folder.uid, folder.gid):
            plan.folders.append((folder, Found("other", None, 0, *attributes)))
        return True

    @staticmethod
    def _plan_leaving(plan, paths):
        """Plans the directories that we made and nobody needs any more. Returns the manifest's entries of those that are still in use."""
        kept = {}
        gone = set(plan.remove)
        for path in sorted(paths, reverse=True):
            if os.path.islink(path) or not os.path.isdir(path):
                continue
            if set(os.path.join(path, name) for name in os.listdir(path)) <= gone:
                plan.rmdir.append(path)
                gone.add(path)
            else:
                kept[path] = {"created": True, "declared": False}  # for a later run
        return kept

    # Doing it

    def run(self, state="present"):
        """Bring the set to `state`. Returns changed, written, removed, kept_aside, unknown and the Plan that was followed."""
        plan = self.plan(state == "present")
        kept = {}
        if plan.needed():
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            if self.check:
                if state == "present":
                    self._check_in(self.scratch)
                kept = dict((path, self._kept_path(path, stamp)) for path in plan.keep)
            else:
                with self._lock():
                    plan = self.plan(state == "present")  # another run may have been here meanwhile
                    if plan.needed():
                        kept = self._apply(plan, state == "present", stamp)
        elif not self.check and os.path.lexists(self.stage):
            with self._lock():  # a run was killed when only this was left to do; the stage may hold secrets
                shutil.rmtree(self.stage, ignore_errors=True)
        for path in sorted(kept):
            self.warnings.append("%s was modified since accelmon.fleet wrote it; a copy is kept as %s" % (path, kept[path]))
        return {"changed": plan.needed(), "written": [item.path for item in plan.swap], "removed": plan.remove,
                "kept_aside": kept, "unknown": self._unknown(plan) if state == "present" else [], "plan": plan}

    def _unknown(self, plan):
        """Files in the owned directories that no set knows."""
        if not self.owned_directories:
            return []
        known = set(item.path for item in self.wanted) | set(plan.remove)
        for manifest in self._others().values():
            known.update(manifest["files"])
        found = []
        for folder in self.owned_directories:
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
                path = os.path.join(folder, name)
                if path not in known and (os.path.islink(path) or not os.path.isdir(path)):
                    found.append(path)
        if found:
            self.warnings.append("left unchanged because accelmon.fleet did not write them: %s" % ", ".join(found))
        return found

    def _check_in(self, scratch):
        """Stage and validate in a private directory that is not kept."""
        if self.validate:
            folder = tempfile.mkdtemp(prefix="config_set.", dir=scratch)
            try:
                self._stage_and_validate(folder)
            finally:
                shutil.rmtree(folder)

    def _stage_and_validate(self, folder):
        """All files of the set below `folder`, as they will be; then the checkers."""
        for item in self.wanted:
            target = folder + item.path
            os.makedirs(os.path.dirname(target), exist_ok=True)
            atomic.create(target, item.data, item.mode, item.uid, item.gid)
        for validator in self.validate:
            self._validate(validator, folder)

    def _validate(self, validator, folder):
        if not validator["argv"]:
            raise Failure("validate = []: no command in argv; give the program and its arguments")
        program = validator["argv"][0].replace("{stage}", folder)
        argv = [str(word).replace("{stage}", folder) for word in validator["argv"]]
        as_written = " ".join(validator["argv"])
        if not shutil.which(program):
            if self.check:
                self.warnings.append("not validated because this host does not have it yet: %s" % program)
                return
            raise Failure("validate = %s: no such program on this host; install it before its configuration; nothing was changed" % program)
        try:
            status, output = run_validator(argv, validator.get("timeout") or VALIDATOR_SECONDS, folder)
        except OSError as error:
            raise Failure("validate = %s: cannot be run (%s); install it for this host's architecture; nothing was changed" % (as_written, error))
        if status == 0:
            return
        output = mask(output.replace(folder, ""), self.secrets).strip()
        told = " ".join(output.split())
        if len(told) > OUTPUT_CHARACTERS:
            told = "... " + told[-OUTPUT_CHARACTERS:]
        what = "timed out" if status is None else "exited with status %s" % status
        raise Failure("validate = %s: %s: %s; correct the configuration; nothing was changed" % (as_written, what, told or "nothing"),
                      validator={"argv": [str(word) for word in validator["argv"]], "rc": status, "output": output})

    def _kept_path(self, path, stamp):
        return "%s%s.%s" % (self.kept, path, stamp)

    def _keep(self, path, stamp):
        """Keep a copy of what is at a path; the newest kept copy serves if it is the same. Returns its path."""
        target = self._kept_path(path, stamp)
        folder, name = os.path.split(target[:-len(stamp)])
        if not os.path.isdir(self.kept):
            atomic.make_folders(os.path.dirname(self.kept))
            atomic.make_folders(self.kept, 0o700, self.relabel)
        atomic.make_folders(folder, 0o700, self.relabel)
        copies = sorted(entry for entry in os.listdir(folder) if re.match(re.escape(name) + r"\d{8}T\d{6}Z$", entry))
        now = look(path)
        if copies:
            newest = os.path.join(folder, copies[-1])
            if look(newest) == now and (now.data is not None or atomic.sha256_file(newest) == atomic.sha256_file(path)):
                return newest
        temporary = atomic.beside(os.path.join(folder, name))
        atomic.copy(path, temporary)
        os.rename(temporary, target)
        for entry in copies[:max(0, len(copies) + 1 - KEPT_COPIES)]:
            atomic.discard(os.path.join(folder, entry))
        return target

    def _intent(self, plan):
        """The manifest for the time in which files change: what was ours and what will be."""
        old = plan.before or {"files": {}, "directories": {}}
        new = plan.manifest or {"files": {}, "directories": {}}
        files = dict((path, dict(entry)) for path, entry in old["files"].items())
        for path, entry in new["files"].items():
            mixed = files.setdefault(path, dict((key, value) for key, value in entry.items() if key != "sha256"))
            if mixed.get("sha256") != entry["sha256"]:
                mixed["pending"] = sorted(set(mixed.get("pending", [])) | set([entry["sha256"]]))
            if entry.get("secret"):
                mixed["secret"] = True
        return {"version": 1, "name": self.name, "files": files, "directories": dict(old["directories"], **new["directories"])}

    def _apply(self, plan, present, stamp):
        """Do what the plan says, or nothing. Returns {path: where it is kept aside}."""
        atomic.make_folders(self.stages, 0o700, self.relabel)
        shutil.rmtree(self.stage, ignore_errors=True)  # of a killed run
        new, old = os.path.join(self.stage, "new"), os.path.join(self.stage, "old")
        os.mkdir(self.stage, 0o700)
        os.mkdir(new, 0o700)
        os.mkdir(old, 0o700)
        try:
            if present:
                self._stage_and_validate(new)
            kept = dict((path, self._keep(path, stamp)) for path in plan.keep)
            undo = []
            try:
                self._write_manifest(self._intent(plan))
                self._change(plan, new, old, undo)
                self._write_manifest(plan.manifest)
            except Exception as error:
                lost = self._undo(undo, plan)
                end = ("these could not be restored: " + ", ".join(lost)) if lost else "the files are as they were before"
                told = disk.explain(error) if isinstance(error, OSError) else error
                raise Failure("name = %s: the files could not be replaced: %s; %s" % (self.name, told, end))
            return kept
        finally:
            shutil.rmtree(self.stage, ignore_errors=True)

    def _change(self, plan, new, old, undo):
        """Every change, with the call that takes it back noted before it is made."""
        for path in self._intent(plan)["files"]:
            atomic.discard(atomic.beside(path))  # of a killed run
        for folder in plan.make:
            undo.append((folder.path, os.rmdir, (folder.path,)))
            atomic.make_folders(folder.path, folder.mode, self.relabel)
            os.chown(folder.path, folder.uid, folder.gid)
        for folder, found in plan.folders:
            undo.append((folder.path, set_attributes, (folder.path, found)))
            set_attributes(folder.path, folder)
        for number, item in enumerate(plan.swap):
            undo.append(self._way_back(item.path, os.path.join(old, "swap%d" % number), plan.found[item.path]))
            os.utime(new + item.path, None)  # staged before the checkers ran; readers go by the time it came into place
            atomic.replace(new + item.path, item.path, self.relabel)
        for item, found in plan.attributes:
            undo.append((item.path, set_attributes, (item.path, found)))
            set_attributes(item.path, item)
        for number, path in enumerate(plan.remove):
            undo.append(self._way_back(path, os.path.join(old, "remove%d" % number), plan.found[path]))
            os.unlink(path)
        for folder in sorted(set(os.path.dirname(path) for path in [item.path for item in plan.swap] + plan.remove)):
            atomic.sync_folder(folder)
        for path in plan.rmdir:
            found = os.stat(path)
            undo.append((path, remake, (path, Found("other", None, 0, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid))))
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # somebody put a file there just now
                    raise

    @staticmethod
    def _way_back(path, backup, found):
        """(path, function, arguments) that bring back what is at a path now."""
        if found.kind == "absent":
            return path, atomic.discard, (path,)
        try:
            os.link(path, backup, follow_symlinks=False)
        except OSError:  # another file system, or one without hard links
            atomic.copy(path, backup)
        return path, atomic.replace, (backup, path)

    def _undo(self, undo, plan):
        """Take back what was done, last first. Returns the paths where that failed."""
        lost = []
        for path, function, arguments in reversed(undo):
            try:
                function(*arguments)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    lost.append(path)
        if not lost:
            try:
                self._write_manifest(plan.before)
            except OSError:
                pass  # the intent stays in its place; it knows the files as they are too
        return lost


def set_attributes(path, item):
    """Give a path the mode, uid and gid of `item`."""
    os.chown(path, item.uid, item.gid)
    os.chmod(path, item.mode)


def remake(path, item):
    """Make a directory again that was removed."""
    atomic.make_folders(path, item.mode)
    set_attributes(path, item)


def of_module(module, name, state, **options):
    """Bring a set to its state for a module, in its check mode and with its warnings; what ConfigSet.run returns, with a `diff` if it is wanted.

    options: those of ConfigSet. Raises Failure and OSError.
    """
    if state == "absent":
        # The manifest says what is ours; what a role still declares must not be able to fail a removal.
        options = dict((key, value) for key, value in options.items() if key == "state_dir")
    config = ConfigSet(name=name, check=module.check_mode, relabel=atomic.relabeler(module), scratch=module.tmpdir, **options)
    result = config.run(state)
    for warning in config.warnings:
        module.warn(warning)
    plan = result.pop("plan")
    if module._diff:
        result["diff"] = plan.diff(result["kept_aside"])
    return result
