# Every target does its own set-up and says what it does. See docs/development.md.
SHELL = /bin/sh
TOOLS = tests/setup.sh
LAB_TOOLS = tests/setup.sh --lab
PREVIEW_TOOLS = tests/setup.sh --lab --preview

.PHONY: help docs dashboards changelog demo demo-down check test test-all lint build galaxy sanity units rules live molecule preview lab-cache hardware clean

help:
	@echo "make demo       a monitored fleet with simulated accelerators in containers; left running"
	@echo "make demo-down  removes it"
	@echo "make check      lint, units and rules of what differs from the main branch: quick, for daily work"
	@echo "make test       lint, build, galaxy, sanity, units, rules, live and the usual molecule scenarios without their costly tests"
	@echo "make test-all   the same with every molecule scenario and every ansible-core this machine has a Python for"
	@echo "make galaxy     the built collection in the hands of galaxy-importer, ansible-builder, antsibull-docs, Molecule and a new user"
	@echo "make lint | build | sanity | units | rules | live | molecule   one part of it"
	@echo "make preview    draws the dashboards and the report in Chromium, and looks for what nobody could read; keeps the pictures"
	@echo "make hardware   on a machine with real accelerators: does the collection read them right? Records fixtures below tests/output, or OUT=directory"
	@echo "make lab-cache  builds release archives for the scenarios release, airgap and all_smi from Go modules and crates, into the cache"
	@echo "make docs       writes the generated pages of docs/ and the variables in the READMEs of roles"
	@echo "make dashboards writes dashboards/*.json; part of make docs"
	@echo "make changelog  writes CHANGELOG.rst from changelogs/fragments"
	@echo "make clean      removes what tests left in the checkout; the cache and the images stay"

demo:
	@$(LAB_TOOLS) lab/demo.sh up

demo-down:
	@$(TOOLS) lab/demo.sh down

check:
	@$(LAB_TOOLS) --collections python tests/run.py --changed

test:
	@$(LAB_TOOLS) --collections python tests/run.py

test-all:
	@$(LAB_TOOLS) --collections python tests/run.py --all

lint build sanity:
	@$(TOOLS) python tests/run.py $@

galaxy:
	@$(LAB_TOOLS) python tests/run.py --all $@

units:
	@$(TOOLS) --collections python tests/run.py $@

rules live molecule:
	@$(LAB_TOOLS) python tests/run.py $@

preview:
	@$(PREVIEW_TOOLS) python tests/run.py $@

docs: dashboards
	@$(TOOLS) python tools/roles.py
	@$(TOOLS) python tools/docs.py
	@$(TOOLS) python tools/docs_detection.py

dashboards:
	@$(TOOLS) python dashboards/generate.py

# Nothing is published yet: the release is not recorded, and its text is written afresh each time.
changelog:
	@$(TOOLS) antsibull-changelog release
	@printf -- '---\nancestor: null\nreleases: {}\n' > changelogs/changelog.yaml

lab-cache:
	@$(TOOLS) python lab/cache.py build

# Without set-up: a machine with accelerators may have no network.
hardware:
	@python3 tests/hardware.py $(OUT)

clean:
	rm -rf .ansible .cache tests/output *.tar.gz inventories/demo/lab.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
