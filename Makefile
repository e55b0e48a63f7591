# Every target that CI runs is here; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CRD := crds/messagingtopologies.messagingtopology.dev.yaml
CHART_CRD := charts/messaging-operator/files/messagingtopologies.messagingtopology.dev.yaml
EXAMPLE := examples/user-api-messaging.yaml
PICTURE := docs/user-api-messaging.svg
export PYTHONPATH := tests
BED := $(BIN)/python -m bed
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.installed: pyproject.toml images/locks/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	awk '/^uv==/ { mine = 1; print; next } /^[^ ]/ { mine = 0 } mine' images/locks/dev.txt >$(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(VENV)/uv.txt
	$(UV) --compile-bytecode --require-hashes --requirement images/locks/dev.txt
	$(UV) --no-deps --editable .
	touch $@

.PHONY: venv
venv: $(VENV)/.installed ## the project's own virtual environment, from the lock

.PHONY: demo
demo: venv ## the main job: the example topology on this machine, sample traffic, where every message ended
	$(BIN)/mtop up $(EXAMPLE) --demo

.PHONY: demo-kind
demo-kind: up ## the same on a cluster: the operator from its chart, sample traffic; leaves the cluster up
	$(BIN)/python -m demo

.PHONY: up
up: venv ## the test bed with operator and processor images loaded
	$(BED) up
	$(BED) images
	$(BED) load

.PHONY: down
down: venv ## remove the test bed and whatever it started; caches, packages and images stay
	$(BED) down

.PHONY: images
images: venv ## build the four images
	$(BED) images

.PHONY: test
test: check unit contract integration chart ## everything but the end-to-end run

.PHONY: check
check: venv ## lint, types, import rules, generated files up to date
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports
	$(BIN)/python images/locks.py --check
	$(BIN)/python -m messaging_api.crd | diff - $(CRD) || { echo "$(CRD) is not what the models say: run make crds"; exit 1; }
	diff $(CRD) $(CHART_CRD) || { echo "$(CHART_CRD) is not the generated CRD: run make crds"; exit 1; }
	$(BIN)/mtop graph -f $(EXAMPLE) -o svg | diff -q - $(PICTURE) || { echo "$(PICTURE) is not what $(EXAMPLE) says: run make graph"; exit 1; }

.PHONY: unit
unit: venv ## functions and commands without services, half a minute
	$(BIN)/pytest -q --numprocesses 2 tests/unit

.PHONY: contract
contract: venv ## what operator and processors agree on
	$(BIN)/pytest -q tests/contract

.PHONY: integration
integration: venv ## real Kafka, PostgreSQL, Redis; four runs at a time, each with services of its own: most of it is waiting
	$(BIN)/pytest -q --numprocesses 4 --dist loadfile --no-loadscope-reorder tests/integration

.PHONY: chart
chart: venv ## what the Helm chart renders
	$(BED) tools
	$(BIN)/pytest -q tests/chart

.PHONY: e2e
e2e: up ## the whole flow on a real cluster, with faults
	$(BIN)/pytest -v tests/e2e

CHAOS := mkdir -p build && $(BIN)/pytest -q --timeout 300 --basetemp build/chaos --durations 0 --durations-min 1 tests/chaos

.PHONY: chaos
chaos: venv ## every fault on real processes, with an oracle of exactly-once charging; 15 to 25 minutes
	$(CHAOS)

.PHONY: chaos-fast
chaos-fast: venv ## the same without what CI tries elsewhere, too, and without the wrong billings that try the oracle
	$(CHAOS) --ignore tests/chaos/test_mutants.py -m 'not elsewhere'

SECONDS ?= 600
.PHONY: soak
soak: venv ## random faults for SECONDS, and what grows meanwhile; SEED=… plays the same ones again
	mkdir -p build
	SECONDS=$(SECONDS) SEED=$(SEED) $(BIN)/pytest -q -s --timeout 0 --basetemp build/soak tests/chaos/soak.py

.PHONY: lock
lock: venv ## pin all dependencies anew, as pyproject.toml asks
	$(BIN)/python images/locks.py

.PHONY: crds
crds: venv ## generate the CRD from the models
	$(BIN)/python -m messaging_api.crd > $(CRD)
	cp $(CRD) $(CHART_CRD)

.PHONY: graph
graph: venv ## draw the example's picture for the README
	$(BIN)/mtop graph -f $(EXAMPLE) -o svg > $(PICTURE)
