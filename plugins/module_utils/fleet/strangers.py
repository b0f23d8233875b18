# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody without the password tries at the listeners of the stack. Nothing of it stores or changes anything where it is let in."""
from urllib.parse import urlsplit

# VictoriaMetrics' programs leave paths that end so to the handlers behind; some of those ask nobody. Versions before 1.151 do so
# whatever stands before the last slash, and what takes samples in takes every path that begins right.
ENDINGS = ("config", "reload", "resetRollupResultCache", "delSeries", "delete_series", "force_merge", "force_flush", "snapshot")
# Beginnings that these programs, Prometheus and Alertmanager know, of what writes, asks, administers and shows.
BEGINNINGS = ("/api/v1/import/prometheus", "/prometheus/api/v1/import/prometheus", "/api/v1/query", "/api/v1/admin/tsdb", "/api/v2/alerts", "")
# Pages that everything of theirs asks the password for.
PAGES = ("/metrics", "/config", "/flags", "/debug/pprof/cmdline", "/api/v1/status/tsdb", "/api/v2/status", "/snapshot/list", "/snapshot/accelmon")


# Grafana has pages of its own, shows a page to sign in for all else, and takes nothing without a body.
GRAFANA = ("/metrics", "/api/org", "/api/search", "/api/datasources", "/api/datasources/uid/accelmon", "/api/admin/settings")


def attempts(name=""):
    """[(path, method)] at a listener of this name, the plainest first. A body is never sent: what takes samples in then says that it took none."""
    if name == "grafana":
        return [(path, "GET") for path in GRAFANA]
    crossed = ["%s/%s" % (beginning, ending) for beginning in BEGINNINGS for ending in ENDINGS]
    return ([(page, "GET") for page in PAGES]
            + [(path, "POST") for path in BEGINNINGS[:2] + tuple(crossed)]
            + [(path, "GET") for path in crossed[:len(ENDINGS)]])


def targets(url, name=""):
    """{what `dial.dial_all` takes: "METHOD path"} of one listener, which may be below a path."""
    parts = urlsplit(url)
    return dict(((parts.hostname, parts.port, parts.scheme, parts.path + path, method), "%s %s" % (method, path)) for path, method in attempts(name))


def let_in(answers, asked):
    """What of it was answered, in order, from {target: (kind, detail)} of one listener; a refusal of any kind is none.

    asked: its `targets`
    """
    order = list(asked)
    found = [target for target, (kind, detail) in answers.items() if kind in ("ok", "http") and int(detail) < 400]
    return [asked[target] for target in sorted(found, key=order.index)]
