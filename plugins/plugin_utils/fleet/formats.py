# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each variable may hold: the formats of variables.yml, each the very check that reads the value later."""
import json
import math
import os
import re
import urllib.parse

import yaml

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.module_utils.errors import Failure
from ansible_collections.accelmon.fleet.plugins.module_utils.durations import milliseconds, units_of
from ansible_collections.accelmon.fleet.plugins.module_utils.access.secrets_store import check_password
from ansible_collections.accelmon.fleet.plugins.module_utils.host.interpreter import HIDDEN as HIDDEN_PLACES
from ansible_collections.accelmon.fleet.plugins.plugin_utils import addresses, values
from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import reader as catalogue
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import HIDDEN, Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault_in, shown, unevaluated
from ansible_collections.accelmon.fleet.plugins.plugin_utils.fleet import variables
from ansible_collections.accelmon.fleet.plugins.plugin_utils.programs import amd_exporter, dcgm, node_collectors, releases
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import grafana, kubernetes, units
from ansible_collections.accelmon.fleet.plugins.plugin_utils.signals import alerts, errors, labels, limits, receivers, rehearsal, routes, site_rules
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import line, one_of

# Directories that hold what is not for everybody, or what a system is made of: no place for files that an exporter publishes.
SENSITIVE = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/sbin", "/sys", "/tmp", "/usr", "/var/log",
             "/var/spool", "/var/tmp", "/var/lib/apt", "/var/lib/containers", "/var/lib/docker", "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/systemd",
             "/run/credentials", "/run/secrets", "/run/systemd", paths.PROGRAMS)
# Of what is ours below this, one is for such files.
OURS, PUBLIC = paths.STATE + "/", paths.TEXTFILE + "/"
# In which others keep their directories; none itself.
PARENTS = ("/home", "/media", "/mnt", "/opt", "/run", "/srv", "/var", "/var/cache", "/var/lib", paths.STATE, "/var/run")
# How a list or dictionary in YAML or JSON begins; a word or `a=b,c=d` is other text, which some variables take too.
LIKE_DATA = re.compile(r"\s*([\[{-]|[\w.-]+:\s)")
LONGEST_TEXT = 65536
LONGEST_VERSION = 128
DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Texts(yaml.BaseLoader):
    """YAML in which every scalar but null stays as it is written: 1.10 is a version, and no a name."""

    def compose_node(self, parent, index):
        """Without aliases: something within itself has no end."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


class Typed(Texts):
    """The same with true, false and numbers, as JSON writes them."""


Texts.add_implicit_resolver("null", re.compile(r"(null|~)\Z"), "n~")
Texts.add_constructor("null", lambda loader, node: None)
Typed.add_implicit_resolver("typed", re.compile(r"(true|false|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)\Z"), "tf-0123456789")
Typed.add_constructor("typed", lambda loader, node: json.loads(node.value))


def unanswered(value):
    """Whether a value is the empty answer of a survey, which is none."""
    return isinstance(value, str) and not value.strip(" \t\r\n")


def normalise(name, spec, value):
    """`value` as the spec's type, checked; the default for an empty answer. Raises Problem.

    Text is taken for numbers, switches, lists and dictionaries too: surveys and `-e name=value` send nothing else.
    """
    try:
        return _normalised(spec, value)
    except Problem as problem:
        raise Problem(problem.behind(name, value)) from None


def _normalised(spec, value):
    if value is None:
        raise Problem("it has no value; set one, or remove the variable")
    if unanswered(value) and "default" in spec:
        return spec["default"]
    kind = spec.get("type", "str")
    if isinstance(value, str) and is_data(value, kind):
        value = parsed(value, Typed if spec.get("typed") else Texts)
    within_bounds(value)
    template = "" if spec.get("templates") else fault_in(value, unevaluated)
    if template:
        raise Problem(template)
    if "choices" in spec:
        return chosen(value, spec["choices"])
    check = FORMATS.get(spec.get("format"))
    if kind in ("str", "path") and check and isinstance(value, bool):
        # What it may be says more than that a text is one in quotes; what may be anything gets as far as that.
        check(str(value).lower(), **spec.get("options", {}))
    value = values.TYPES[kind](value)
    if kind == "list" and check is None:
        values.strings(value)
    if check:
        value = check(value, **spec.get("options", {}))
    if kind in ("str", "path"):
        line(value)
    return within(spec, value)


def is_data(text, kind):
    """Whether a text stands for a list or a dictionary."""
    return kind in ("list", "dict") or (kind == "raw" and bool(LIKE_DATA.match(text)))


def chosen(value, choices):
    """One of the choices, as text. Raises Problem."""
    if isinstance(value, (bool, float, list, dict)) or str(value) not in choices:
        raise Problem(f"not a choice; use {one_of(choices)}")
    return str(value)


def within_bounds(value):
    """Raises Problem for what no file or command line takes: text without end, and what is no number though it is typed like one."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise Problem(f"longer than {LONGEST_TEXT} characters; shorten it, or write it as a list")
    if isinstance(value, float) and not math.isfinite(value):
        raise Problem(f"{value} is not a number; use a finite one")
    for item in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        within_bounds(item)


def read(name, value):
    """A variable as whoever uses it wants it. Raises Problem, which names it."""
    spec = variables.declared(name)
    value = values.decrypted(value)
    try:
        return normalise(name, spec, value)
    except Problem as problem:
        raise Problem(problem, name, HIDDEN if spec.get("no_log") else value) from None


def parsed(text, loader=Texts):
    """A list or dictionary that came as text, in YAML or JSON. Other text stays text."""
    try:
        found = yaml.load(text, Loader=loader)  # nosec: it makes nothing but scalars, lists and dictionaries
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return found if isinstance(found, (list, dict)) else text


def within(spec, value):
    """`value` if it is in the spec's range: `at_least`, `at_most`, of durations as such."""
    size = milliseconds if spec.get("format") == "duration" else lambda number: number
    lowest, highest = spec.get("at_least"), spec.get("at_most")
    if value != "" and ((lowest is not None and size(value) < size(lowest)) or (highest is not None and size(value) > size(highest))):
        wanted = f"{lowest} to {highest}" if highest is not None else f"{lowest} or more"
        raise Problem(f"out of range; use {wanted}")
    return value


def duration(value, units=None):
    """A duration as Prometheus writes it, longer than nothing unless the range says otherwise; units: those that its reader knows."""
    try:
        milliseconds(value)
    except ValueError as error:
        raise Problem(str(error)) from None
    odd = [unit for unit in units_of(value) if units and unit not in units]
    if odd:
        raise Problem(f"the unit {', '.join(odd)} is not supported here; use {', '.join(units)}")
    return value


def size(value, units=()):
    """A size in bytes; units: as its reader writes them. "" stays."""
    if value and not re.match(rf"[1-9][0-9]{{0,11}}({'|'.join(units)})\Z", value):
        raise Problem(f"not a size; use a whole number and one of {', '.join(unit for unit in units if unit)}, such as 10{units[-1]}")
    return value


def directory(value):
    """A directory of a host for files that an exporter reads."""
    if not value.startswith("/"):
        raise Problem("not an absolute path; start it with /")
    values.path(value)
    place = re.sub("/+", "/", value).rstrip("/")
    if (place in ("",) + PARENTS or any(f"{place}/".startswith(f"{other}/") for other in SENSITIVE)
            or (f"{place}/".startswith(OURS) and not f"{place}/".startswith(PUBLIC)) or "/." in place):
        raise Problem(f"the system or other programs keep their files there; use a directory for these files only, such as {paths.TEXTFILE}")
    return value


def program(value):
    """Name or path of a program; "" stays."""
    if value and (value.startswith("-") or not re.match(r"[A-Za-z0-9_./+-]+\Z", value) or ".." in value.split("/")):
        raise Problem("neither the name nor the path of a program; use for example nvidia-smi or /opt/bin/nvidia-smi")
    return value


def word(value):
    """A name as programs, users, compilers and scripts have them; "" stays."""
    if value and not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z", value):
        raise Problem("not a name; use letters, digits, dots, dashes, plus signs and underscores, starting with a letter or digit")
    return value


def words(value):
    """A list of names."""
    for entry in values.strings(value):
        if not entry or word(entry) != entry:
            raise Problem("an entry is not a name; remove it")
    return value


def version(value):
    """A version as it stands in names of files; "" stays."""
    if value and (len(value) > LONGEST_VERSION or not releases.VERSION.fullmatch(value)
                  or ".." in value or not re.search("[0-9]", value) or re.match("[vV][0-9]", value)):
        raise Problem('not a version; write it as upstream does, without v and in quotes, such as "1.9.0"')
    return value


def archive(value):
    """The address of an archive, whole or what follows the prefix of releases; "" stays."""
    odd = releases.unfilled(value)
    if odd:
        raise Problem(f"{odd} stands for nothing; use {{version}}, {{architecture}} or {{machine}}")
    if "://" in value or not value:
        return addresses.url(value)
    if not re.match(r"[A-Za-z0-9_./{}+~-]+\Z", value) or ".." in value.split("/") or not re.search(r"[^/]/+[^/]", value):
        raise Problem("neither a URL nor a path relative to the releases; start it with https://")
    return value


def git_url(value):
    """The address of a Git repository, without a password in it; "" stays."""
    if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", value):
        raise Problem("it contains a password; keep it in a credential of AWX, and name that in accelmon_awx_git_login")
    if value and not re.match(r"((https?|ssh|git)://|[\w.-]+@[\w.-]+:)[\w.@:/~+-]+\Z", value):
        raise Problem("not the address of a Git repository; start it with https:// or ssh://, or write user@host:path")
    return value


def reference(value):
    """A branch, a path in a repository, or an image; "" stays."""
    if value and (not re.match(r"[A-Za-z0-9_.][A-Za-z0-9_./:@+-]*\Z", value) or ".." in value):
        raise Problem("neither a branch, a path within a repository nor an image; use letters, digits and . / : @ + _ -, without .. or a leading /")
    return value


def checksum(value):
    """A SHA-256; "" stays."""
    if value and not DIGEST.match(value):
        raise Problem("not a SHA-256; use 64 lowercase hexadecimal digits")
    return value


def checksums(value):
    """{architecture: SHA-256}."""
    for architecture, digest in value.items():
        if architecture not in releases.MACHINES:
            raise Problem(f"{architecture} is not an architecture; use {one_of(releases.MACHINES)}")
        if not isinstance(digest, str) or not DIGEST.match(digest):
            raise Problem(f"{architecture}: not a SHA-256; use 64 lowercase hexadecimal digits, in quotes")
    return value


def image(value):
    """An image with its digest; "" stays."""
    if value and not dcgm.REFERENCE.fullmatch(value):
        raise Problem("it has no digest, so it could change at any time; write it as NAME@sha256:DIGEST")
    return value


def mirror(value):
    """An address that the host itself fetches from, a directory of its own (file:///…) too; "" stays."""
    if not value.startswith("file://"):
        return addresses.url(value)
    if not re.match(r"file:///[!-~]+\Z", value):
        raise Problem("not a directory; write file:/// and its path on the host, without spaces, as in file:///srv/mirror")
    return value


def repository(value, own):
    """"", a vendor's own repository by the vendor's name, or the address of a mirror."""
    if value in ("", own):
        return value
    try:
        return mirror(value)
    except Problem as problem:
        raise Problem(f"{str(problem).rstrip()}, or use {own} for the vendor's own") from None


def key(value):
    """A key of a repository: a path on the control node or an address; "" stays."""
    return mirror(value) if "://" in value else values.path(value)


def secret(value):
    """A token of one word; "" stays."""
    if value and not re.match(r"[!-~]+\Z", value):
        raise Problem("it contains a space, a line break or a non-ASCII character; give only the token")
    return value


def link(value):
    """The address of a page that links lead to; `none` is no link."""
    return value if value == "none" else addresses.url(value)


def password(value):
    """A password that every program takes; "" stays."""
    try:
        if value:
            check_password("password", value)
    except Failure as error:
        raise Problem(str(error).partition(": ")[2]) from None
    return value


def cpus(value):
    """CPUs as systemd writes them; "" stays."""
    for part in re.split(r"[ ,]+", value.strip(" ")) if value.strip(" ") else []:
        found = re.match(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z", part)
        if not found or int(found.group(2) or found.group(1)) < int(found.group(1)) or int(found.group(2) or found.group(1)) > 8191:
            raise Problem("not a list of CPUs; use numbers and ranges, such as 0-1 or 0 64")
    return value


def engine(value):
    """Where DCGM's host engine is: auto, embedded, or HOST:PORT."""
    if value in ("auto", "embedded"):
        return value
    try:
        place, separator, number = value.rpartition(":")
        if not separator or not place:
            raise Problem(value)
        addresses.address(place)
        values.port(number)
    except Problem:
        raise Problem("not auto, embedded or an address with a port; write it as HOST:PORT") from None
    return value


def some_of(value, known, what):
    """A list of which every entry is known."""
    for entry in values.strings(value):
        if entry not in known:
            raise Problem(f"{shown(entry)} is not a known {what}; use some of {', '.join(known)}")
    return value


def architectures(value):
    """Architectures as Go calls them; at least one."""
    if not value:
        raise Problem(f"an empty list; use some of {', '.join(releases.MACHINES)}")
    return some_of(value, tuple(releases.MACHINES), "architecture")


def lock_releases(value):
    """Releases that the collection knows."""
    return some_of(value, tuple(releases.catalogue()), "release")


def lock_versions(value):
    """{release: version}."""
    some_of(list(value), tuple(releases.catalogue()), "release")
    for release, number in value.items():
        try:
            if not version(values.text_of(number)):
                raise Problem("no version; set one")
        except Problem as problem:
            raise Problem(f"{release}: {problem}") from None
    return value


def compared(value):
    """Sources of metrics."""
    return some_of(value, tuple(catalogue.load("sources")["sources"]), "source")


def severities(value):
    """Severities of alerts."""
    return some_of(value, alerts.SEVERITIES, "severity")


ROTATED = ("stack", "exporter", "drain", "certificates", "ca", "ca_end")


def rotated(value):
    """What rotate.yml makes anew, as a list; a text lists it with commas."""
    found = some_of(values.hosts(value), ROTATED, "item for rotate.yml")
    if "ca" in found and "ca_end" in found:
        raise Problem("ca starts what ca_end finishes; use one of them")
    return found


def names(value):
    """Host names and addresses for a certificate."""
    for entry in values.strings(value):
        try:
            addresses.tls_name(entry)
        except Problem as problem:
            raise Problem(f"{entry or 'an empty entry'}: {problem}") from None
    return value


def new_file(value):
    """A file on the control node that a playbook writes."""
    if value.endswith("/"):
        raise Problem("a directory; give the path of a file")
    return values.path(value)


def paths_of(value):
    """Absolute paths or patterns of them as a list; a text lists them with commas, as surveys send it."""
    found = values.hosts(value)
    for entry in found:
        values.path(entry)
    return found


def path_or_url(value):
    """A file on the control node, or the address of a service without credentials in it; "" stays."""
    if not value.startswith(("http://", "https://")):
        return values.path(value)
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise Problem("it contains credentials; put them into accelmon_import_login_file")
    return addresses.url(value)


def remote_write(value):
    """Where samples are sent with a password; "" stays."""
    parts = urllib.parse.urlsplit(addresses.url(value))
    if "@" in parts.netloc:
        raise Problem("it contains credentials; put them into accelmon_global_user and accelmon_global_password")
    if "," in value:  # which programs of VictoriaMetrics take for the end of an address
        raise Problem("it contains a comma; percent-encode it as %2C")
    if parts.scheme == "http" and not addresses.is_loopback(parts.hostname):
        raise Problem("the password would be sent in the clear; start it with https://")
    return value


def clusters(value):
    """A list of names of clusters, each once."""
    for entry in values.strings(value):
        values.cluster(entry)
        if value.count(entry) > 1:
            raise Problem(f"{entry} is there twice; remove one")
    return value


def site_passwords(value):
    """{cluster: [passwords]} of sites; each has one password, or several in a list while they change. No two sites have one in common."""
    found, owners = {}, {}
    for cluster, given in value.items():
        try:
            values.cluster(str(cluster))
            # vmauth takes each but once.
            found[str(cluster)] = list(dict.fromkeys(values.strings(given if isinstance(given, list) else [given])))
            if not all(map(password, found[str(cluster)] or [""])):
                raise Problem("there is no password; give one, for example from openssl rand -hex 24")
            for one in found[str(cluster)]:
                if owners.setdefault(one, cluster) != cluster:
                    raise Problem(f"{owners[one]} has the same password, so each could write as the other; give each its own")
        except Problem as error:
            raise Problem(f"{cluster}: {error.problem}") from None
    return found


def backup_directory(value):
    """A directory on a host that the service of backups sees; "" stays."""
    if value.startswith("~") or any(f"{value}/".startswith(f"{place}/") for place in HIDDEN_PLACES):
        raise Problem("hidden from services; use a directory elsewhere, for example below /srv or /mnt")
    return values.path(value)


def bucket(value):
    """A place in a bucket; "" stays. rclone takes it as it is."""
    if value and not re.match(r"s3://[\w.-]+(/[\w.@+=:-]+)*/?\Z", value, re.ASCII):
        raise Problem("not a place in a bucket; write s3://BUCKET or s3://BUCKET/PREFIX, with letters, digits and . _ - @ + = : alone")
    if {".", ".."} & set(value.split("/")):
        raise Problem("it contains . or ..; write the place itself")
    return value


def bucket_endpoint(value):
    """The address of an S3-compatible service; "" stays."""
    if "@" in value:
        raise Problem("it contains credentials; put them into accelmon_backup_s3_access_key and accelmon_backup_s3_secret_key")
    return addresses.url(value)


def path_or_bucket(value):
    """A directory on a host, or a place in a bucket; "" stays."""
    return bucket(value) if value.startswith("s3:") else values.path(value)


def pem(value, kind, fix):
    """A file on the control node with such a block in PEM, and no block of another kind; "" stays."""
    values.path(value)
    if value:
        try:
            with open(os.path.expanduser(value), encoding="ascii") as stream:
                found = set(re.findall(r"-----BEGIN (?:RSA |EC )?([A-Z ]+)-----", stream.read(LONGEST_TEXT))) - {"PARAMETERS"}
        except (OSError, ValueError) as error:
            raise Problem(f"not a readable file on the control node ({getattr(error, 'strerror', None) or 'not text'}); {fix}") from None
        if found != {kind}:
            raise Problem(f"not a {kind.lower()} alone, in PEM; {fix}")
    return value


def certificate(value):
    """A file that is given to hosts, so nothing private may be in it."""
    return pem(value, "CERTIFICATE", "give the file of a certificate without its key")


def private_key(value):
    """A file with a private key."""
    return pem(value, "PRIVATE KEY", "give the file of the private key, without a passphrase")


def passed(*checks):
    """The format of values that pass checks, which are those of whoever uses them."""
    def check_all(value):
        for check in checks:
            check(value)
        return value
    return check_all


def listed(module, *functions):
    """{name: function} of a module's formats."""
    return {name: getattr(module, name) for name in functions}


FORMATS = {
    **listed(values, "port", "cluster", "label_value", "expected", "expected_links", "strings", "hosts", "batches", "path", "page", "exporters",
             "accelerator_source"),
    **listed(labels, "labels", "custom_exporters"),
    **listed(addresses, "address", "listen", "url"),
    **{check.__name__: check for check in (
        duration, size, directory, program, word, words, version, archive, checksum, checksums, image, repository, key, link, secret, password, cpus,
        engine, architectures, lock_releases, lock_versions, compared, rotated, git_url,
        reference, names, new_file, path_or_url, remote_write, clusters, site_passwords, backup_directory, bucket, bucket_endpoint, path_or_bucket,
        certificate, private_key)},
    "alert": word,
    "alert_names": passed(values.strings, rehearsal.alert_names),
    "alert_overrides": alerts.changes,
    "alert_presets": alerts.presets,
    "amd_config": passed(amd_exporter.check_settings),
    "amd_fields": passed(values.strings, lambda value: amd_exporter.check_names("amd_exporter_extra_fields", value, amd_exporter.FIELDS, "field")),
    "amd_labels": passed(values.strings, lambda value: amd_exporter.check_names("amd_exporter_extra_labels", value, amd_exporter.LABELS, "label")),
    "amd_version": passed(version, amd_exporter.check_version),
    "collectors": passed(lambda value: node_collectors.choices({}, False, value)),
    "counters": passed(values.strings, lambda value: dcgm.counters(str(catalogue.load("dcgm")["version"]), False, value)),
    "database": passed(grafana.check_database),
    "explained": passed(lambda value: value and errors.explain(value)),
    "grafana_settings": passed(grafana.check_settings),
    "host_alert_overrides": alerts.of_hosts,
    "kubernetes_name": passed(kubernetes.check_name),
    "kubernetes_selectors": passed(kubernetes.check_selectors),
    "label_names": passed(values.strings, lambda value: labels.labels(dict.fromkeys(value, ""))),
    "lock_file": passed(values.path, releases.read_lock),
    "pairs": passed(dcgm.pairs),
    "paths": paths_of,
    "receivers": passed(receivers.checked),
    "label_set": receivers.label_set,
    "root_url": passed(addresses.url, grafana.check_root_url),
    "rule_files": passed(values.strings, lambda value: site_rules.site_files(value, "")),
    "scrape_limits": limits.checked,
    "severities": severities,
    "template_files": passed(values.strings, routes.site_templates),
    "unit_overrides": passed(units.check),
    "webhooks": addresses.urls,
}
