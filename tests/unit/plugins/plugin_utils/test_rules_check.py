# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the rule files are checked before they are used. That both checkers take these command lines is proven by the scenarios."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.internal_filters.signals import rules_check

SITE = [{"path": "/etc/r/site-a.yml", "src": "/srv/a.yml"}, {"path": "/etc/r/site-b.yml", "src": "/srv/b.yml"}]


def test_promtool_gets_every_file():
    assert rules_check(SITE, "prometheus", "/usr/bin/promtool", "/etc/r/rec.yml", "/etc/r/alerts.yml") == [
        "/usr/bin/promtool", "check", "rules", "{stage}/etc/r/rec.yml", "{stage}/etc/r/alerts.yml", "{stage}/etc/r/site-a.yml", "{stage}/etc/r/site-b.yml"]


def test_vmalert_gets_the_directory_and_its_own_recording_rules():
    assert rules_check(SITE, "victoriametrics", "/usr/bin/vmalert", "/etc/r/rec.vmalert", "/etc/r/alerts.yml") == [
        "/usr/bin/vmalert", "-dryRun", "-rule={stage}/etc/r/*.yml", "-rule={stage}/etc/r/rec.vmalert"]
