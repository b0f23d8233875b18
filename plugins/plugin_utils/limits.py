# Copyright (c) 2026 accelmon.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much a node may publish: limits of a page by job, from what the largest node has, and the rules that tell who is above."""

from ansible_collections.accelmon.fleet.plugins.plugin_utils.catalogue import closest, load

# As VictoriaMetrics has them by itself: it leaves out a series with more. Prometheus refuses the whole page.
LABELS = {"label_limit": 40, "label_name_length_limit": 256, "label_value_length_limit": 4096}
TARGET = "cluster, rack, node, job, instance"


def samples(job, chosen=None):
    """The most series that a page of a job may have. chosen: {job: number}, a site's own limits."""
    catalogue = load("sources")
    page, largest = catalogue["pages"][job], catalogue["largest"]
    return (chosen or {}).get(job) or sum(number * (1 if what == "base" else largest[what]) for what, number in page.items())


def checked(chosen):
    """A site's own limits, or ValueError with the end of a line that begins with the name of the variable."""
    pages = load("sources")["pages"]
    if not isinstance(chosen, dict):
        raise ValueError(f" = {chosen!r}: not a mapping; give some of {', '.join(pages)} with a number of series each")
    for job, number in chosen.items():
        if job not in pages:
            raise ValueError(f".{job} = {number!r}: no such job; {closest(job, pages)}")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= 10_000_000:
            raise ValueError(f".{job} = {number!r}: not a number of series; give one from 1 to 10000000")
    return chosen


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


def beyond(chosen=None):
    """Expression: targets whose page, or whose new series within an hour, are more than their job's limit, or whose page was refused.

    A scraper writes how many series there were though it stores none of them. vmagent alone tells what it left out as new.
    """
    jobs = [job for job in load("sources")["pages"] if job != "custom"]
    by_job = [(f'job="{job}"', samples(job, chosen)) for job in jobs]
    by_job.append(('job!~"%s"' % "|".join(jobs), samples("custom", chosen)))
    terms = [f'scrape_samples_post_metric_relabeling{{node!="",{match}}} > {most}' for match, most in by_job]
    terms += [f'sum_over_time(scrape_series_added{{node!="",{match}}}[1h]) > {2 * most}' for match, most in by_job]
    terms += ['scrape_series_limit_samples_dropped{node!=""} > 0',
              'scrape_samples_scraped{node!=""} > 0 and on (cluster, node, job, instance) (up == 0)']
    return "(\n  %s\n)" % "\n  or ".join(f"max by ({TARGET}) ({term})" for term in terms)
