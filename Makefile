# The verbs. Each does its own set-up, and re-uses what is there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PORT ?= 8000
NAME ?= duration_of_a_visit
# Slow tests wait for most of their time: for time-outs, elections, leases. On two cores four of them take turns at working.
WORKERS ?= 4
# Browsers work all the time, and their tests look at clocks: no more of them than cores.
BROWSERS ?= $(shell nproc)
RUN := .venv/bin

.PHONY: help demo example test test-nocodb check fix nightly bench client sizes pictures lock clean venv node astro chromium services oidc

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: venv ## serve the demo at http://127.0.0.1:8000 (PORT to change)
	@exec $(RUN)/stillhere demo --store sqlite:///var/demo.db --port $(PORT)

example: venv node ## serve an application of examples/, such as NAME=keep_alive
	@test ! -e examples/$(NAME)/page.tsx || node client/example.mjs examples/$(NAME)
	@test ! -e examples/$(NAME)/provider.mjs -o -e examples/$(NAME)/node_modules || \
		{ scripts/need-oidc && ln -s ../../tests/services/oidc/node_modules examples/$(NAME)/; }
	@cd examples/$(NAME) && PORT=$(PORT) exec ../../$(RUN)/python $(NAME).py

test: chromium services astro oidc check ## everything: the fast loop, then real servers, the program, faults and a real browser
	$(RUN)/pytest -q -m "not fast" --ignore tests/e2e --numprocesses $(WORKERS) --dist worksteal --cov --cov-append --cov-report= --cov-fail-under=0
	$(RUN)/coverage report --include='*/stores/*,*/archive/*' --fail-under=100
	$(RUN)/pytest -q tests/e2e --numprocesses $(BROWSERS) --dist worksteal

test-nocodb: venv ## the tests of the mirror on a real NocoDB, which is large; not part of make test
	@scripts/need-nocodb
	TESTS_NOCODB=real $(RUN)/pytest -q tests/mirrors/real

check: venv node ## the fast loop: format, lint, types, imports, unit tests of both languages
	$(RUN)/ruff format --check --quiet .
	$(RUN)/ruff check --quiet .
	$(RUN)/mypy --no-error-summary
	$(RUN)/pyright --warnings
	$(RUN)/lint-imports > /dev/null || { $(RUN)/lint-imports; exit 1; }
	cd client && npm run --silent check && npm run --silent test -- --test-reporter=dot
	$(RUN)/pytest -q -m fast --numprocesses 2 --cov

fix: venv ## format, and mend what can be mended
	$(RUN)/ruff check --fix --quiet . || true
	$(RUN)/ruff format --quiet .

nightly: test ## the same with many more random examples, and the slow proofs
	TESTS_PROFILE=nightly $(RUN)/pytest -q --timeout 3600

client: node ## build the client, and what the viewer needs, into the package
	cd client && npm run --silent build && node vendor.mjs && node vendor-charts.mjs

sizes: node ## measure what the client weighs beside its peers; writes docs/client.md
	@node client/sizes.mjs

bench: ## measure beside the peers; writes benchmarks/results and docs/benchmarks.md
	benchmarks/run

pictures: venv chromium ## take the pictures of the documents anew
	$(RUN)/python -m tests.e2e.pictures

lock: venv ## write requirements.lock anew from pyproject.toml
	$(RUN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-emit-options --extra server --extra postgresql --extra redis --extra devices --extra tokens --extra parquet --extra summaries --extra dev -o requirements.lock pyproject.toml

clean: ## remove what the other verbs made; the demo's data stays
	rm -rf .venv .bootstrap client/dist client/node_modules tests/e2e/astro/node_modules tests/services/oidc/node_modules tests/services/nocodb/node_modules benchmarks/.peers benchmarks/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist

venv:
	@scripts/need-venv

node:
	@scripts/need-node-modules

astro:
	@scripts/need-astro

oidc:
	@scripts/need-oidc

chromium:
	@scripts/need-chromium

services: venv
	@scripts/need-services
