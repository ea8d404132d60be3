# Every task of the project. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
BUILD := .build
SENSOR := $(shell find sensor -name '*.[ch]' -o -name Makefile) hatch_build.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## List the tasks
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Hub, agent and a real attacked workload on this machine, until Ctrl-C (ONCE=1: ends after the story)
	$(BIN)/python -m lab.demo $(if $(ONCE),--once)

.PHONY: test
test: setup-dev ## All tests, the real sensor, containers, engine and browser included
	$(BIN)/python -m pytest -m "not soak and not cluster" $(ARGS)

.PHONY: check
check: setup-dev ## Format, lint, types, import contracts, C warnings as errors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	shellcheck -x -P lab/cluster lab/cluster/{build,load,up,down} lab/machine/{run,init} tools/{e2e,install-packages,machine,render-manifests} deploy/image/build .ci/run
	$(MAKE) -C sensor all check-format PYTHON=$(CURDIR)/$(BIN)/python CLANG_FORMAT=$(CURDIR)/$(BIN)/clang-format

.PHONY: format
format: setup-dev ## Format Python and C
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(MAKE) -C sensor format PYTHON=$(CURDIR)/$(BIN)/python CLANG_FORMAT=$(CURDIR)/$(BIN)/clang-format

.PHONY: bench
bench: setup-dev ## All benchmarks; ONLY=name runs one; results in bench/out/
	tools/install-packages bench
	$(BIN)/python -m bench $(ONLY)

.PHONY: soak
soak: setup-dev ## The long fault runs: agent and hub killed at 200 random moments and at every boundary
	$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

.PHONY: e2e
e2e: setup-dev ## End-to-end tests in a real cluster: that of KUBECONFIG, or one built and started here
	tools/e2e $(ARGS)

.PHONY: machine
machine: setup-dev ## The attack's story on another kernel: pure cgroup v2, systemd, fexit (a guest under qemu)
	tools/machine $(ARGS)

.PHONY: image
image: setup-dev ## The container image as an OCI archive in .build/image/, with its bill of materials
	deploy/image/build

.PHONY: manifests
manifests: ## Render the chart for `keelwatch manifests`
	tools/render-manifests > src/keelwatch/cli/commands/manifests.yaml

.PHONY: wheel
wheel: setup-dev ## A wheel in dist/ that needs no compiler where it is installed
	$(BIN)/python -m build --wheel --no-isolation

.PHONY: docs
docs: setup-dev ## Regenerate the reference pages that come from the code
	$(BIN)/python -m keelwatch.cli.reference docs/reference/cli.md
	$(BIN)/python -m keelwatch.detect.fields.document > docs/reference/fields.md
	$(BIN)/python -m keelwatch.detect.document docs/reference/rules.md

.PHONY: setup
setup: $(BUILD)/run.stamp ## Install what running needs: Debian packages, virtual environment, sensor

.PHONY: setup-dev
setup-dev: $(BUILD)/dev.stamp ## Install what tests and checks need, too

.PHONY: clean
clean: ## Remove what was built (not .venv)
	rm -rf $(BUILD) dist src/keelwatch/_native bench/out
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(BUILD)/venv.stamp: pyproject.toml tools/packages-run.txt
	tools/install-packages run
	@mkdir -p $(BUILD)
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "installing Python packages (once)"
	$(BIN)/pip install -q hatchling editables ziglang==0.17.1
	@touch $@

$(BUILD)/run.stamp: $(BUILD)/venv.stamp $(SENSOR)
	$(BIN)/pip install -q --no-build-isolation -e .
	@touch $@

$(BUILD)/dev.stamp: $(BUILD)/run.stamp tools/packages-test.txt
	tools/install-packages test
	$(BIN)/pip install -q --no-build-isolation -e '.[dev]'
	@touch $@
