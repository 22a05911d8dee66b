# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

VENV ?= .venv
PYTHON ?=

export PATH := $(abspath $(VENV))/bin:$(PATH)
export LC_ALL := C.UTF-8
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/build/cache/hypothesis
# If Python may not store its compiled files, each playbook takes a quarter longer on the controller.
unexport PYTHONDONTWRITEBYTECODE

heading = @printf '\n=== %s ===\n' '$(1)'

.DEFAULT_GOAL := help
.PHONY: help setup lint sanity unit molecule sample scenarios browser controllers test quick chromium hosts demo demo-down faults stacks states hostile bench docs importer newcomer

# The parts of `test`. Parts that need at most one core run side by side, three at a time, since the first one mostly
# waits. Tests that mostly wait for logins share many workers. Tests with a browser share fewer, because it gives up if
# it waits too long for a core.
one_core := sample sanity lint molecule unit importer
few_workers := tests/controllers tests/browser
many_workers := tests/login tests/newcomer
# Targets that were made just before are not checked again, or the longest part, which needs them, would start last.
made := --old-file=setup --old-file=hosts --old-file=chromium

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: PYTHON (default: the newest from 3.11 on that works, the distribution's own first), VENV (default: .venv)"
	@echo "EVERY_RELEASE=1: run on each release even the tests of what does not depend on the release, before a release of ours"

setup: ## make the virtual environment with everything that development needs
	@tests/setup '$(VENV)' '$(PYTHON)'

lint: setup ## check style, types, documentation, the oldest Python, scripts, web pages, and who may import whom
	$(call heading,lint)
	ansible-lint --strict
	ruff check
	ruff format --check
	MYPYPATH='$(VENV)/checkout' mypy
	vermin --quiet --no-tips --target=3.8- plugins/modules plugins/module_utils
	lint-imports --no-cache --no-logo
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=self .
	antsibull-changelog lint
	check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	reuse lint --quiet
	shellcheck --external-sources --source-path=SCRIPTDIR $$(git grep --untracked -lE '^#!/(bin/sh|usr/bin/env bash)' -- ':!*.py')
	tests/lint-web '$(VENV)'

sanity: setup ## run ansible-test sanity
	$(call heading,sanity)
	tests/run-sanity

importer: setup ## check the tarball of a release with Galaxy's importer
	$(call heading,importer)
	tests/run-importer

unit: setup ## run the unit tests, which need no host
	$(call heading,unit)
	pytest tests/unit --numprocesses 2 --dist loadfile

controllers: hosts ## test execution environments, and a run cut into slices, each in a container of its own
	$(call heading,controllers)
	pytest tests/controllers

newcomer: hosts ## follow README and guides to the letter in a fresh clone
	$(call heading,newcomer)
	pytest tests/newcomer --numprocesses 2 --maxschedchunk 1

# ansible-lint and Molecule prepare the same directory, so they take turns.
ifneq ($(filter lint,$(MAKECMDGOALS)),)
  molecule: | lint
endif
molecule: hosts
	$(call heading,molecule)
	molecule test --all

sample: hosts
	$(call heading,samples of the faults and of the stacks and of hostile hosts)
	pytest tests/faults
	pytest tests/stacks
	pytest tests/hostile

scenarios: molecule sample chromium ## run the Molecule scenarios and real logins, on hosts in containers
	$(call heading,scenarios)
	pytest tests/login --numprocesses 8 --dist loadgroup

browser: setup chromium hosts ## test pages, Cockpit and terminal output in a browser; pictures in build/browser
	$(call heading,browser)
	pytest tests/browser --numprocesses 4 --dist loadgroup

test: ## run all of the above, side by side on two cores
	@$(MAKE) --no-print-directory --jobs 1 setup hosts chromium
	@echo 'side by side, each shown when it has ended: $(one_core)'
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target $(made) $(one_core)
	$(call heading,$(few_workers))
	pytest $(few_workers) --numprocesses 5 --dist loadgroup
	$(call heading,$(many_workers))
	pytest $(many_workers) --numprocesses 8 --dist loadgroup

quick: ## run lint, unit and a login of each kind on one release, for every day: five minutes at most
	@$(MAKE) --no-print-directory --jobs 1 setup hosts chromium
	@echo 'side by side, each shown when it has ended: lint unit'
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(made) lint unit
	$(call heading,quick)
	EVERY_RELEASE=1 pytest tests/login tests/browser -m quick -k 'debian13 and not google' --numprocesses 5 --dist loadgroup

chromium: setup
	@{ command -v chromium-headless-shell || command -v chromium; } >/dev/null || tests/apt-install chromium-headless-shell chromium-headless-shell
	@command -v zbarimg >/dev/null || tests/apt-install zbarimg zbar-tools
	@command -v pdftoppm >/dev/null || tests/apt-install pdftoppm poppler-utils

hosts: setup
	PYTHONPATH=tests python -m hosts images

demo: hosts ## show two-factor login on two hosts by logging in; leave the hosts up
	PYTHONPATH=tests python tests/demo/demo.py

docs: setup ## build the documentation site in build/docs
	$(call heading,docs)
	tests/build-docs

faults: hosts ## kill a change, or let it fail as on a full or broken disk, at every point where that can happen
	PYTHONPATH=tests python -m faults

stacks: hosts ## compare thousands of PAM stacks in libpam and in the collection's own walk through them
	PYTHONPATH=tests python -m stacks

states: hosts ## turn two-factor login on and off on fifty varied hosts of each release; each must be exactly as before
	STATES=50 pytest tests/login/test_starting_states.py --numprocesses 4 --dist loadgroup

hostile: setup ## try everything that compromised hosts can answer; none of it may do harm on the controller
	PYTHONPATH=tests python -m hostile

bench: hosts ## measure what it costs, side by side with ansible -m ping; the last line is JSON
	PYTHONPATH=tests python tests/bench/bench.py

demo-down: setup ## remove what the demo left
	PYTHONPATH=tests python tests/demo/demo.py down
