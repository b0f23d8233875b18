# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the collection keeps what it has on a host. Roles have the lower case of these names in `accelmon_paths`."""

CONFIGURATION = "/etc/accelmon"
PROGRAMS = "/opt/accelmon"
# What is noted in the directory of each release there.
RELEASE = ".accelmon-release.json"
STATE = "/var/lib/accelmon"
RUNTIME = "/run/accelmon"
JOBS = RUNTIME + "/jobs"
CACHE = "/var/cache/accelmon"

# Of every host: its certificate, and what its exporters ask for.
TLS = CONFIGURATION + "/tls"
CA = TLS + "/ca.crt"
CERTIFICATE = TLS + "/host.crt"
KEY = TLS + "/host.key"
WEB = CONFIGURATION + "/web"
EXPORTER_WEB = WEB + "/exporter.yml"
TEXTFILE = STATE + "/textfile"

# Of monitoring hosts.
STACK_PASSWORD = CONFIGURATION + "/secrets/stack_password"
EXPORTER_PASSWORD = CONFIGURATION + "/secrets/exporter_password"
STACK_WEB = WEB + "/stack.yml"
STACK_WEB_TLS = WEB + "/stack_tls.yml"
STACK_VMAUTH = WEB + "/stack_vmauth.yml"
# Of those of a site: with what they write to the global place, and by what they know it.
GLOBAL_PASSWORD = CONFIGURATION + "/secrets/global_password"
GLOBAL_CA = TLS + "/global_ca.crt"
# Of a Slurm controller that drains nodes and is no monitoring host.
DRAIN_PASSWORD = CONFIGURATION + "/secrets/drain_password"
# Of those that run Grafana.
GRAFANA_PASSWORD = CONFIGURATION + "/secrets/grafana_password"
GRAFANA_KEY = CONFIGURATION + "/secrets/grafana_key"
GRAFANA = CONFIGURATION + "/grafana"
GRAFANA_INI = GRAFANA + "/grafana.ini"
GRAFANA_DASHBOARDS = GRAFANA + "/dashboards"
GRAFANA_PROVISIONING = GRAFANA + "/provisioning"
GRAFANA_PROVIDER = GRAFANA_PROVISIONING + "/dashboards/accelmon.yml"
GRAFANA_SOURCES = GRAFANA_PROVISIONING + "/datasources/accelmon.yml"
RULES = CONFIGURATION + "/rules"
VMUI = CONFIGURATION + "/vmui"
TARGETS = STATE + "/targets"
REGISTRY = STATE + "/registry"
# What services own beside their units.
SERVICES = STATE + "/services"
# What was there before a step of upgrade.yml, until it is compared: this and the name of the release.
UPGRADE = STATE + "/upgrade_"
# What somebody chose by a playbook instead of in the inventory.
CHOICES = STATE + "/choices"
# Of the first one: the passwords and the certificate authority of the fleet.
SECRETS = STATE + "/secrets"
