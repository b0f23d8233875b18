# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much a node may publish: limits of a page by job, from what the largest node has, and the rules that tell who is above."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue.reader import closest, load
from ansible_collections.accelmon.fleet.plugins.plugin_utils.errors import Problem
from ansible_collections.accelmon.fleet.plugins.plugin_utils.values import TYPES

# As VictoriaMetrics has them by itself: it leaves out a series with more. Prometheus refuses the whole page.
LABELS = {"label_limit": 40, "label_name_length_limit": 256, "label_value_length_limit": 4096}
# A storage of one host does not hold more.
MOST = 10_000_000
TARGET = "cluster, rack, node, job, instance"


def samples(job, chosen=None):
    """The most series that a page of a job may have. chosen: {job: number}, a site's own limits."""
    catalogue = load("sources")
    page, largest = catalogue["pages"][job], catalogue["largest"]
    return (chosen or {}).get(job) or sum(number * (1 if what == "base" else largest[what]) for what, number in page.items())


def checked(chosen):
    """A site's own limits, {job: series}. Raises Problem."""
    pages, found = load("sources")["pages"], {}
    for job, number in chosen.items():
        if job not in pages:
            raise Problem(f"{job}: no such job; {closest(job, pages)}")
        try:
            found[job] = TYPES["int"](number)
        except Problem as problem:
            raise Problem(f"{job}: {problem}") from None
        if not 0 < found[job] <= MOST:
            raise Problem(f"{job}: {number} series; give 1 to {MOST}")
    return found


def keys(job, backend, chosen=None):
    """The keys of a scrape job that limit what one of its targets may publish.

    Of a page with too many series, or too long a one, nothing is stored and `up` is 0. New series beyond the limit are left out by vmagent
    for a day; Prometheus knows no such limit, there an alert tells of them.
    """
    most = samples(job, chosen)
    size = f"{most * load('sources')['line'] // 1000}KB"
    if backend == "prometheus":
        return {"sample_limit": most, "body_size_limit": size, **LABELS}
    return {"sample_limit": most, "series_limit": most, "max_scrape_size": size}


def _by_job(chosen):
    """[(matchers of the targets of a job, its limit)]; who is of no job of ours counts as custom."""
    jobs = [job for job in load("sources")["pages"] if job != "custom"]
    return [(f'node!="",job="{job}"', samples(job, chosen)) for job in jobs] + [('node!="",job!~"%s"' % "|".join(jobs), samples("custom", chosen))]


def _whoever(terms):
    return "(\n  %s\n)" % "\n  or ".join(f"max by ({TARGET}) ({term})" for term in terms)


def refused(chosen=None):
    """Expression: targets that answered with a page of which nothing was stored.

    A scraper writes how many series there were, whatever it stores of them. Prometheus gives such a target an `up` of 0 and 1 in turn.
    """
    return _whoever([f"scrape_samples_post_metric_relabeling{{{who}}} > {most}" for who, most in _by_job(chosen)] + [
        'scrape_samples_scraped{node!=""} > 0 and on (cluster, node, job, instance) (up == 0)'])


def growing(chosen=None):
    """Expression: targets with new series all the time, more of them within an hour than two whole pages may have.

    vmagent leaves out what is beyond its limit of a day, and alone says so.
    """
    return _whoever([f"sum_over_time(scrape_series_added{{{who}}}[1h]) > {2 * most}" for who, most in _by_job(chosen)] + [
        'scrape_series_limit_samples_dropped{node!=""} > 0'])
