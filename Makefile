# Everything a person types here. `make` alone says what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build test check bench torture new-connector

# Outside of the repository, so that no tool has to step around it and several checkouts share one.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/outlay-target

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, then show the product with demonstration data
	exec "$(CARGO_TARGET_DIR)/release/outlay" demo

build: ## build the binary and print its path
	@scripts/build

test: ## format, lints, all tests on both stores, documentation
	@scripts/test

check: ## licences, sources, banned and unused dependencies
	@scripts/check

bench: ## how fast cost queries are, on this machine
	@scripts/bench

torture: ## kill the server and its database under load, and count what survived
	@scripts/torture

new-connector: ## begin a connector, with a failing test: make new-connector NAME=acme
	@scripts/new-connector "$(NAME)"
