# `make` says what there is. Everything runs in .venv, which `make setup` makes and the other targets ask for.
TASK ?= usb_a_insertion
EPISODES ?= 45
TRIALS ?= 100
SEED ?= 0

PYTHON := .venv/bin/python
RLDG := .venv/bin/rldg
READY := .venv/.ready
RUN := runs/$(TASK)

.DEFAULT_GOAL := help
.PHONY: help setup demo paper specialist collect finetune evaluate report test lint format typecheck benchmarks clean

help:  ## say what there is
	@echo "usage: make TARGET [TASK=$(TASK)] [EPISODES=$(EPISODES)] [TRIALS=$(TRIALS)] [SEED=$(SEED)]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv and see to it that off-screen rendering works (the other targets do so by themselves)

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh
	@touch $@

demo: $(READY)  ## one connector, end to end: specialist, data, two generalists, evaluation, report in runs/demo
	$(PYTHON) -m pipelines.demo $(if $(GENERALIST),--generalist $(GENERALIST) --out runs/demo_$(GENERALIST))

paper: $(READY)  ## the paper's experiments, all of them (hours); `make paper-connectors` one of them, QUICK=1 in minutes
	$(PYTHON) -m pipelines.paper all $(if $(QUICK),--quick)

paper-%: $(READY)
	$(PYTHON) -m pipelines.paper $* $(if $(QUICK),--quick)

specialist: $(READY)  ## train a specialist on TASK
	$(RLDG) train $(TASK) --seed $(SEED) --out $(RUN)/specialist

collect: $(READY)  ## write EPISODES successes of that specialist as an RLDS data set
	$(RLDG) collect $(TASK) --policy $(RUN)/specialist --episodes $(EPISODES) --count-successes --stochastic --seed $(SEED) --out $(RUN)/data

finetune: $(READY)  ## train a generalist on that data set
	$(RLDG) finetune octo --data $(RUN)/data --seed $(SEED) --out $(RUN)/octo

evaluate: $(READY)  ## run that generalist on TRIALS locked scenes
	$(RLDG) evaluate $(TASK) --policy $(RUN)/octo --episodes $(TRIALS) --out $(RUN)/evaluation

report: $(READY)  ## write a page about all of it
	$(RLDG) report $(RUN)

test: $(READY)  ## run the tests, but for those marked slow or gpu
	$(PYTHON) -m pytest -n 2 --dist worksteal

lint: $(READY)  ## check style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: $(READY)  ## mend style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

typecheck: $(READY)  ## check types
	.venv/bin/pyright

benchmarks: $(READY)  ## print speeds beside their bounds
	set -e; for file in benchmarks/[a-z]*.py; do $(PYTHON) -m benchmarks.$$(basename $$file .py); done

clean:  ## remove caches and builds; runs/ and .venv stay
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
