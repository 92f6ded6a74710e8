# Berth. `make help` says what there is.
#
# Any Node with npm is enough to begin with: the Node that Berth runs on comes from npm, as the package `node`.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

PREFIX ?= /usr/local
DESTDIR ?=
UNITDIR ?= /usr/lib/systemd/system

NODE := node_modules/node/bin/node
export PATH := $(CURDIR)/node_modules/node/bin:$(CURDIR)/node_modules/.bin:$(PATH)

INSTALLED := node_modules/.package-lock.json
BUNDLE := dist/berth.mjs
SOURCES := $(shell find src -name '*.ts' ! -name '*.test.ts' 2>/dev/null)

.PHONY: help build plugin up down check format docs test churn bench clean install uninstall

help: ## says what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: $(BUNDLE) ## makes bin/berth work from this checkout

plugin: $(INSTALLED) ## makes dist/plugin, Berth as a managed plugin for `docker plugin create` (swarm mode)
	@$(NODE) tools/plugin.ts
	@echo "dist/plugin is ready; on each node: docker plugin create berth DIR && docker plugin enable berth (docs/swarm.md)"

up: build ## starts Berth here and shows a container on a network of it
	@tools/up.sh

down: ## stops what `make up` started, and removes it
	@tools/down.sh

check: $(INSTALLED) ## types, lint, format, layers, dead code, docs, unit tests: under a minute
	@$(NODE) tools/check.ts

format: $(INSTALLED) ## formats the source and applies safe fixes
	@biome check --write .

docs: $(INSTALLED) ## writes the reference pages that are generated from the code
	@$(NODE) tools/check-docs.ts --write

test: $(INSTALLED) ## everything: installs what it needs, builds, checks, and runs all tests on real engines (root)
	@$(NODE) tools/test.ts

churn: build ## containers come and go on three hosts while everything is killed at random, for five minutes (root)
	@BERTH_CHURN_SECONDS=$${BERTH_CHURN_SECONDS:-300} BERTH_CHURN_CONTAINERS=$${BERTH_CHURN_CONTAINERS:-30} \
	  $(NODE) --test test/e2e/cluster-churn.test.ts

bench: build ## benchmarks, each printing one table (root); ARGS='calls --runs 50' chooses
	@$(NODE) bench/main.ts $(ARGS)

clean: ## removes what was built
	rm -rf dist .cache

install: build ## installs to PREFIX (/usr/local), with the systemd unit; DESTDIR for packages
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' UNITDIR='$(UNITDIR)' tools/install.sh

uninstall: ## removes what `make install` put there; state and networks stay
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' UNITDIR='$(UNITDIR)' tools/install.sh --remove

$(INSTALLED): package-lock.json
	@command -v npm >/dev/null || { \
	  echo "make: npm is missing; it brings everything else that Berth needs" >&2; \
	  echo "  next: apt-get install npm     (or any Node with npm, from nodejs.org)" >&2; \
	  exit 1; }
	npm ci --no-audit --no-fund
	@test -x $(NODE) || { \
	  echo "make: npm did not run the install step of the package 'node', so Node 24 is missing" >&2; \
	  echo "  next: npm rebuild node" >&2; \
	  exit 1; }
	@touch $@

$(BUNDLE): $(SOURCES) build.ts $(INSTALLED)
	@$(NODE) build.ts
