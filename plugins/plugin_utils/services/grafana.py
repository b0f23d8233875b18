# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Grafana's files: its configuration, its data sources, and the dashboards of the collection.

What they contain is from Grafana's documentation and source; no Grafana server was run with them.
"""
import functools
import glob
import json
import os
import re
import urllib.parse

from ansible_collections.accelmon.fleet.plugins.module_utils import paths
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.oneline import fault, shown
from ansible_collections.accelmon.fleet.plugins.plugin_utils.services import stack

DASHBOARDS = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "dashboards"))
DATA = paths.STATE + "/grafana"
# What links in dashboards and other files refer to.
STORAGE_UID = "accelmon"
ALERTMANAGER_UID = "accelmon-alertmanager"
FOLDER_UID = "accelmon"
DATABASES = ("postgres", "mysql")
# What is stored of Grafana's own page: it has hundreds of series, some with names that users choose.
SERIES = "grafana_build_info|process_.+"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
# Whether values may stand in the file as they are. All others are quoted.
PLAIN = re.compile(r"[A-Za-z0-9_./:@$%(){}?&=+,~-][A-Za-z0-9_./:@$%(){}?&=+,~ -]*")


def sub_path(root_url):
    """The path below which Grafana is reached, without a slash at its end: "" or /grafana."""
    return urllib.parse.urlsplit(root_url).path.rstrip("/")


def listener(address, port, root_url):
    """What `stack.listener` returns, with everything below the path of the root URL: `url`, and the `path` and names of its own series."""
    below = sub_path(root_url)
    made = stack.listener(address, port)
    return dict(made, url=made["url"] + below, path=below + "/metrics", series=SERIES)


def configuration(options):
    """{section: {key: value}} of grafana.ini.

    options: `listen`, `port`, `tls`, `root_url`, `database_url` ("" for a file of SQLite), `log_level`; `settings` of the site, which win
    """
    server = {"protocol": "https" if options["tls"] else "http", "http_addr": options["listen"], "http_port": options["port"]}
    if options["tls"]:
        server.update(cert_file=paths.CERTIFICATE, cert_key=paths.KEY)
    if options["root_url"]:
        server.update(root_url=options["root_url"], serve_from_sub_path=bool(sub_path(options["root_url"])))
    made = {
        "paths": {"data": DATA, "logs": DATA + "/log", "plugins": DATA + "/plugins", "provisioning": paths.GRAFANA_PROVISIONING},
        "server": server,
        "database": {"url": options["database_url"]} if options["database_url"] else {"type": "sqlite3"},
        "log": {"mode": "console", "level": options["log_level"]},
        "security": {
            "admin_user": stack.USER, "admin_password": from_file(paths.GRAFANA_PASSWORD), "secret_key": from_file(paths.GRAFANA_KEY),
            "cookie_secure": options["tls"] or options["root_url"].startswith("https:"), "disable_gravatar": True},
        "users": {"allow_sign_up": False},
        "auth.anonymous": {"enabled": False},
        "public_dashboards": {"enabled": False},
        "snapshots": {"external_enabled": False},
        # Its own series are open to everybody unless it asks for a password.
        "metrics": {"basic_auth_username": stack.USER, "basic_auth_password": from_file(paths.STACK_PASSWORD)},
        "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False, "feedback_links_enabled": False},
        "news": {"news_feed_enabled": False},
        "plugins": {"plugin_admin_enabled": False, "preinstall_disabled": True, "public_key_retrieval_disabled": True},
    }
    for section, values in options["settings"].items():
        made[section] = {**made.get(section, {}), **values}
    return made


def from_file(path):
    """A value that Grafana reads from a file when it starts."""
    return f"$__file{{{path}}}"


def ini(sections):
    """Text of grafana.ini. Raises Problem for what would not be read as it is meant."""
    blocks = [f"[{section}]\n" + "".join(f"{key} = {written(value)}\n" for key, value in values.items()) for section, values in sections.items()]
    return "# Managed by accelmon.fleet: change it through the role's variables.\n" + "\n".join(blocks)


def written(value):
    """A value as it stands in grafana.ini."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if not text or PLAIN.fullmatch(text) and text == text.strip():
        return text
    for quote in ("`", '"""'):
        if quote not in text and not text.endswith(quote[-1]):
            return quote + text + quote
    raise Problem("it has backquotes and ends with a double quote, which grafana.ini cannot hold; put it into a file, and write $__file{PATH}")


def check_settings(settings):
    """Raises Problem unless these are sections of grafana.ini."""
    for section, values in settings.items():
        if not isinstance(section, str) or not NAME.fullmatch(section) or not isinstance(values, dict):
            raise Problem(f"{shown(section)}: not a section of grafana.ini with its keys; write for example {{smtp: {{enabled: true}}}}")
        for key, value in values.items():
            place = f"{section}.{shown(key)}"
            if not isinstance(key, str) or not NAME.fullmatch(key):
                raise Problem(f"{place}: not a key of grafana.ini; write it as Grafana's documentation does")
            if not isinstance(value, (str, int, float)):
                raise Problem(f"{place}: neither text, number nor true or false; give one of these")
            if isinstance(value, str) and fault(value):
                raise Problem(f"{place}: {fault(value)}")
            try:
                written(value)
            except Problem as error:
                raise Problem(f"{place}: {error}") from None


def check_database(value):
    """Raises Problem unless it is "" or the address of a database, whose password no message shows."""
    if not value:
        return
    fix = f"write it as {' or '.join(DATABASES)}://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded"
    try:
        parts = urllib.parse.urlsplit(value)
        usable = parts.scheme in DATABASES and parts.hostname and parts.path.strip("/") and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"(?:[A-Za-z0-9._~:/?#@!&*+,=\[\]-]|%[0-9A-Fa-f]{2})+", value):
        raise Problem(f"not the URL of a database; {fix}")


def check_root_url(value):
    """Raises Problem for a URL with more than a host and a path."""
    parts = urllib.parse.urlsplit(value)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise Problem("it has more than a host and a path; write it as users open it, for example https://mon1.example.org/grafana/")
    if ".." in parts.path.split("/") or not re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path):
        raise Problem("its path is not plain; use letters, digits and slashes, as in https://mon1.example.org/grafana/")


def literal(text):
    """A text in which Grafana replaces no variables, in files that it provisions from."""
    return text.replace("$", "$$")


def data_source(name, kind, uid, service, password, settings):
    """A data source that asks a service of the stack, or a storage of the site's own; service: what `stack.listener` or `stack.of_site` returns."""
    if "user" in service:
        # Its password is in a file that is not ours, and the stack's is none of its business.
        found = {"basicAuth": bool(service["user"]), "basicAuthUser": service["user"]}
        secrets = {"basicAuthPassword": from_file(service["password_file"])} if service["user"] else {}
        return {"name": name, "type": kind, "uid": uid, "access": "proxy", "url": service["url"], **found, "jsonData": settings, "secureJsonData": secrets,
                "editable": False}
    secrets = {"basicAuthPassword": literal(password)}
    if service["server_name"]:
        settings = {**settings, "tlsAuthWithCACert": True, "serverName": service["server_name"]}
        secrets["tlsCACert"] = from_file(paths.CA)
    return {"name": name, "type": kind, "uid": uid, "access": "proxy", "url": service["url"], "basicAuth": True, "basicAuthUser": stack.USER,
            "jsonData": settings, "secureJsonData": secrets, "editable": False}


def other_uid(host):
    """The identifier of the data source for the storage of another host; Grafana takes 40 characters, and no dots."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{STORAGE_UID}-{host}")[:40]


def data_sources(password, storage, alertmanager, interval, others=()):
    """Text of the file of the data sources. JSON, which is YAML too.

    storage, alertmanager: what `stack.listener` returns, or {}; interval: between two scrapes
    others: as `stack.reached` returns them, storages of other monitoring hosts, for when the own one is away
    """
    settings = {"httpMethod": "POST", "timeInterval": interval, "manageAlerts": False}
    found = [dict(data_source("Accelerators", "prometheus", STORAGE_UID, storage, password, settings), isDefault=True)]
    found += [data_source(f"Accelerators on {other['host']}", "prometheus", other_uid(other["host"]), other, password, settings) for other in others]
    if alertmanager:
        found.append(data_source("Alertmanager of the accelerators", "alertmanager", ALERTMANAGER_UID, alertmanager, password,
                                 {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}))
    return json.dumps({"apiVersion": 1, "datasources": found}, indent=2) + "\n"


def provider():
    """Text of the file that tells Grafana where the dashboards are."""
    return json.dumps({"apiVersion": 1, "providers": [{
        "name": "accelmon.fleet", "type": "file", "folder": "Accelerators", "folderUid": FOLDER_UID, "allowUiUpdates": False,
        "disableDeletion": False, "updateIntervalSeconds": 30, "options": {"path": paths.GRAFANA_DASHBOARDS}}]}, indent=2) + "\n"


@functools.lru_cache(maxsize=None)
def dashboards(folder=DASHBOARDS):
    """{name of the file: text} of the collection's dashboards."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as stream:
            found[os.path.basename(path)] = stream.read()
    return found


def files(options):
    """{"files", "secrets", "restart"}: Grafana's files without those that hold the stack's secrets, as the role service takes them.

    options: as `configuration` takes them
    """
    secrets = {paths.GRAFANA_INI: ini(configuration(options))}
    found = [{"path": paths.GRAFANA_INI, "secret": True, "group": "accelmon-grafana"},
             {"path": paths.GRAFANA_PROVIDER, "content": provider()}]
    found += [{"path": f"{paths.GRAFANA_DASHBOARDS}/{name}", "content": text} for name, text in dashboards().items()]
    return {"files": found, "secrets": secrets,
            # Dashboards are reread by themselves.
            "restart": [paths.GRAFANA_INI, paths.GRAFANA_PROVIDER, paths.GRAFANA_SOURCES, paths.GRAFANA_PASSWORD, paths.GRAFANA_KEY, paths.STACK_PASSWORD,
                        paths.CA] + [paths.CERTIFICATE] * options["tls"]}
