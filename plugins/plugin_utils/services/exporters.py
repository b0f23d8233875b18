# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every exporter of ours needs alike: its access, in its arguments, its unit and its probe."""

from ansible_collections.accelmon.fleet.plugins.module_utils import paths

GROUP = "accelmon"


def is_closed(tls, auth):
    """Whether the exporters of a host ask for anything before they answer."""
    return tls != "none" or auth != "none"


def required(tls, auth, client_auth):
    """What the exporters of a host require of who asks: any of "certificate" and "password"."""
    return ["certificate"] * (tls == "managed" or tls == "files" and client_auth) + ["password"] * (auth == "basic")


def access(tls, auth, client_auth, path):
    """{"arguments", "unit", "probe", "needs"} of an exporter that understands exporter-toolkit's web configuration.

    tls: none | managed | files, auth: none | basic, client_auth: whether `files` wants a client certificate
    path: its page
    unit: sections of directives beside its own; probe, needs: as the role service takes them
    """
    if not is_closed(tls, auth):
        return {"arguments": [], "unit": {}, "probe": {"path": path}, "needs": []}
    probe = {"path": path, "status": [401 if auth == "basic" else 200]}
    if tls != "none":
        demanded = "certificate" in required(tls, auth, client_auth)
        probe.update(scheme="https", ca_file=paths.CA, client_certificate="required" if demanded else "none")
    return {
        "arguments": [f"--web.config.file={paths.EXPORTER_WEB}"],
        # It reads passwords and certificates for every request, but whether it speaks TLS at all only when it starts:
        # a switch has to change the unit. systemd leaves a name that begins with X- alone.
        "unit": {"Service": {"SupplementaryGroups": GROUP, "X-Accelmon-Access": f"tls={tls} auth={auth}"}},
        "probe": probe,
        "needs": [paths.EXPORTER_WEB],
    }
