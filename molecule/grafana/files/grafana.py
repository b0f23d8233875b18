# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for Grafana: grafana server --homepath=FOLDER --config=FILE. It is none.

Like the real one, as its documentation and source have it, it reads grafana.ini and what is provisioned, once, when it starts; keeps the
administrator's first password in its database; fills in files and variables; asks everybody to sign in, but for /api/health.
"""
import base64
import configparser
import glob
import http.server
import json
import os
import re
import ssl
import sys
import urllib.parse
import urllib.request


def files_in(text):
    """A text with the contents of the files that it names."""
    def content(found):
        with open(found.group(1)) as stream:
            return stream.read().strip()
    return re.sub(r"\$__file\{([^}]+)\}", content, text)


def provisioned(value):
    """A value of a file that is provisioned from."""
    if isinstance(value, dict):
        return {key: provisioned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [provisioned(item) for item in value]
    if not isinstance(value, str):
        return value
    return "$".join(re.sub(r"\$(?:\{(\w+)\}|(\w+|.))", lambda found: os.environ.get(found.group(1) or found.group(2), ""), files_in(part))
                    for part in value.split("$$"))


def load(folder, kind, key):
    """What is provisioned of one kind. The files are JSON, which YAML is too."""
    found = []
    for path in sorted(glob.glob(os.path.join(folder, kind, "*.yml"))):
        with open(path) as stream:
            found += provisioned(json.load(stream)[key])
    return found


class Grafana:
    """Its state."""

    def __init__(self, path):
        self.ini = configparser.RawConfigParser(comment_prefixes=("#", ";"))
        self.ini.read(path)
        provisioning = self.of("paths", "provisioning")
        self.sources = load(provisioning, "datasources", "datasources")
        self.providers = load(provisioning, "dashboards", "providers")
        self.database = os.path.join(self.of("paths", "data"), "grafana.db")
        if not os.path.exists(self.database):
            self.save({"password": self.of("security", "admin_password"), "dashboards": []})
        self.prefix = urllib.parse.urlsplit(self.of("server", "root_url")).path.rstrip("/") if self.of("server", "serve_from_sub_path") == "true" else ""

    def of(self, section, key):
        """A setting."""
        return files_in(self.ini.get(section, key, fallback="")).strip('`"')

    def kept(self):
        """What the database has."""
        with open(self.database) as stream:
            return json.load(stream)

    def save(self, what):
        """Write the database."""
        with open(self.database, "w") as stream:
            json.dump(what, stream)

    def health(self, uid):
        """Whether a data source answers the one question that all of this kind answer."""
        source = next(one for one in self.sources if one["uid"] == uid)
        page = "/api/v1/query?query=1" if source["type"] == "prometheus" else "/api/v2/status"
        secrets = source["secureJsonData"]
        given = "%s:%s" % (source["basicAuthUser"], secrets["basicAuthPassword"])
        request = urllib.request.Request(source["url"] + page, headers={"Authorization": "Basic " + base64.b64encode(given.encode()).decode()})
        context = ssl.create_default_context(cadata=secrets["tlsCACert"]) if "tlsCACert" in secrets else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            json.load(answer)
        return {"status": "OK"}

    def dashboards(self):
        """All dashboards: those in the folders, and those that users made."""
        found = [{"title": title, "uid": "made-%d" % number} for number, title in enumerate(self.kept()["dashboards"])]
        for provider in self.providers:
            for path in sorted(glob.glob(os.path.join(provider["options"]["path"], "*.json"))):
                with open(path) as stream:
                    board = json.load(stream)
                    found.append({"title": board["title"], "uid": board.get("uid", os.path.basename(path))})
        return found


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers of one."""

    def signed_in(self, user, password):
        """Whether a request has a user's password."""
        return self.headers.get("Authorization") == "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()

    def answer(self, status, body=None, text=None, **headers):
        """Send it, as JSON unless it is text."""
        data = (text or json.dumps(body)).encode()
        self.send_response(status)
        for name, value in dict(headers, **{"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """A page."""
        grafana, path = self.server.grafana, self.path
        if grafana.prefix and path.startswith(grafana.prefix + "/"):
            path = path[len(grafana.prefix):]
        if path == "/api/health":
            return self.answer(200, {"database": "ok", "version": "simulated"})
        if path == "/metrics":
            known = self.signed_in(grafana.of("metrics", "basic_auth_username"), grafana.of("metrics", "basic_auth_password"))
            return self.answer(200 if known else 401, text="grafana_build_info{edition=\"simulated\"} 1\nby_a_user 1\n")
        if not path.startswith("/api/"):
            return self.answer(302, Location="/login")
        if not self.signed_in(grafana.of("security", "admin_user"), grafana.kept()["password"]):
            return self.answer(401)
        if path.partition("?")[0] == "/api/search":
            return self.answer(200, grafana.dashboards())
        if path.startswith("/api/dashboards/uid/"):
            return self.answer(200, {"meta": {"provisioned": True}})
        found = re.match("/api/datasources/uid/(.*)/health$", path)
        if found:
            try:
                return self.answer(200, grafana.health(found.group(1)))
            except (OSError, ValueError) as error:
                return self.answer(400, str(error))
        return self.answer(404)

    def do_POST(self):
        """A user saves a dashboard."""
        grafana = self.server.grafana
        if not self.signed_in(grafana.of("security", "admin_user"), grafana.kept()["password"]):
            return self.answer(401)
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/api/ds/query"):
            return self.answer(200, {"results": {query["refId"]: {} for query in document["queries"]}})
        kept = grafana.kept()
        kept["dashboards"].append(document["dashboard"]["title"])
        grafana.save(kept)
        return self.answer(200)

    def log_message(self, *_arguments):
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Listens as it is told."""

    daemon_threads = True


def main():
    options = dict(argument[2:].partition("=")[::2] for argument in sys.argv[2:])
    grafana = Grafana(options["config"])
    server = Server((grafana.of("server", "http_addr"), int(grafana.of("server", "http_port"))), Handler)
    server.grafana = grafana
    if grafana.of("server", "protocol") == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(grafana.of("server", "cert_file"), grafana.of("server", "cert_key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
