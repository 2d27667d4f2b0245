# `make` or `make help` lists the targets. Everything runs in .venv, which the first target that needs it creates.
PYTHON ?= python3
VENV   ?= .venv
LMMS_VENV ?= .venv-lmms
DEEPSPEED_VENV ?= .venv-deepspeed
CONSTRAINTS ?= constraints.txt
EXTRAS ?= app,docs,train,test
IMAGE  ?= comem_hf/default/atlas-small/examples/gr.png
ASK    ?= What is the currency of this country?

BIN    := $(VENV)/bin
# setup.cfg maps import names to folders, which only pip's modern (PEP 517) editable install understands.
PIP    := PIP_USE_PEP517=1 PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c $(CONSTRAINTS)
# Two worker processes of one thread each beat one process of two threads: the models in the tests are tiny.
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -n 2 --dist worksteal

INSTALLED := $(VENV)/.installed
INSTALLED_APP := $(VENV)/.installed-app
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_DOCS := $(VENV)/.installed-docs
INSTALLED_RECIPES := $(VENV)/.installed-recipes
INSTALLED_LMMS := $(LMMS_VENV)/.installed
INSTALLED_DEEPSPEED := $(DEEPSPEED_VENV)/.installed

# Scripts lie in benchmarks/*/, benchmarks/bank/building and benchmarks/bank/index, what others share one level deeper.
OTHER_BENCHMARKS := $(subst /,.,$(basename $(filter-out benchmarks/bank/scale.py,$(wildcard benchmarks/bank/*.py benchmarks/bank/building/*.py benchmarks/bank/index/*.py benchmarks/model/*.py))))
SPEED_LANES := speed-lane-1 speed-lane-2
SMALL := --shape:atlas-small
LARGE := --shape:qwen2-vl-7b:--counts-only
speed-lane-1 := first_token first_token:--batch:8:--depth-share:0.07:--rounds:3 first_token:$(SMALL) first_token:$(SMALL):--batch:8 \
	decoding decoding:$(SMALL) training.cost
speed-lane-2 := start_up:--rounds:3 encoding encoding:$(SMALL) encoding:$(LARGE):--items:1 training_step:--rounds:2 \
	training_step:$(SMALL) memory memory:$(SMALL) memory:$(LARGE) bank

.DEFAULT_GOAL := help
.PHONY: $(SPEED_LANES) help demo app test test-fast test-floors test-lmms test-deepspeed peer-tests odd-pictures docs check format bench bench-speed bench-quick bench-bank trainable-share evaluate-default default-checkpoint sites self-study ablations screenshot clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

demo: $(INSTALLED) ## Install, then ask the embedded model about the flag of a country it was not trained on
	$(BIN)/comem ask --image $(IMAGE) "$(ASK)"

app: $(INSTALLED_APP) ## Install, then serve a page to ask the embedded model in a browser, on 127.0.0.1 only
	$(BIN)/comem app

test: $(INSTALLED_TEST) ## Install, then run all tests, the slow tier (training, installing the wheel) included
	$(PYTEST)

test-fast: $(INSTALLED_TEST) ## Install, then run the fast tests
	$(PYTEST) -m "not slow"

test-floors: ## The fast tests on the lowest versions that setup.cfg allows, in .venv-floors (downloads 3 GB of old torch)
	@mkdir -p build
	sed -nE 's/^ +([a-zA-Z_-]+)>=([0-9.]+).*/\1==\2/p' setup.cfg > build/floors.txt
	@$(MAKE) --no-print-directory test-fast VENV=.venv-floors CONSTRAINTS=build/floors.txt EXTRAS=train,test-floors

test-lmms: $(INSTALLED_LMMS) ## The plugin for lmms-eval, tested with the real lmms-eval in .venv-lmms (3 GB)
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(LMMS_VENV)/bin/python -m pytest tests/lmms

test-deepspeed: $(INSTALLED_DEEPSPEED) ## Training with ZeRO-2 and ZeRO-3 against one process, in .venv-deepspeed (needs a C++ compiler)
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false DS_ACCELERATOR=cpu $(DEEPSPEED_VENV)/bin/python -m pytest tests/training/processes -k "zero2 or zero3"

peer-tests: $(INSTALLED_TEST) ## Transformers' own tests of models and processors, over Qwen2-VL's and ours (tests/peer/README.md)
	$(BIN)/python tests/peer/fetch.py build/peer
	$(PYTEST) -c tests/peer/pytest.ini --rootdir tests/peer -qq -rN --tb=no tests/peer

odd-pictures: $(INSTALLED) ## A bank of the test images in Pillow's source distribution: each is stored, or skipped by its name
	$(BIN)/python tests/odd_pictures/check.py build/odd-pictures

docs: $(INSTALLED_DOCS) ## Build the documentation, pages and API, as a site in build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

check: $(INSTALLED_TEST) ## Lint and check the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED_TEST) ## Apply the formatter and the linter's own repairs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-speed ## Run all of benchmarks/ but bench-bank's (an hour, 20 GB of disk, 6 GB of memory)
	@for name in $(OTHER_BENCHMARKS); do echo "== $$name" && $(BIN)/python -m $$name || exit 1; done

# Two lanes of one thread each, for two cores; a colon stands between a script and its arguments.
bench-speed: $(INSTALLED_TEST) ## Measure time and memory, write benchmarks/RESULTS.md and docs/speed.png (25 minutes, 10 GB of disk, 14 GB of memory)
	@$(MAKE) --no-print-directory -j 2 $(SPEED_LANES)
	$(BIN)/python -m benchmarks.speed.results

$(SPEED_LANES):
	@$(foreach run,$($@),echo "== $(subst :, ,$(run))" && OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed.$(subst :, ,$(run)) &&) true

bench-quick: $(INSTALLED_TEST) ## Compare operations and positions with benchmarks/recorded.json, print time ratios (3 minutes)
	$(BIN)/python -m benchmarks.speed.quick

bench-bank: $(INSTALLED) ## A bank of a million items: opening, searching, recall (15 minutes, 8 GB of disk, 2 GB of memory)
	$(BIN)/python benchmarks/bank/scale.py

trainable-share: $(INSTALLED) ## Count what would be trained on Qwen2-VL-7B-Instruct's shape, against the published 1.2 %
	$(BIN)/python -m benchmarks.model.trainable_share

evaluate-default: $(INSTALLED) ## Score the embedded default on the held-out countries
	$(BIN)/comem evaluate

default-checkpoint: $(INSTALLED_RECIPES) ## Train the embedded default again from its sources (hours)
	$(BIN)/python -m recipes.atlas_small

sites: $(INSTALLED_RECIPES) ## Compare the places where memory enters a model, trained alike (about an hour on two cores)
	$(BIN)/python -m recipes.sites

self-study: $(INSTALLED_RECIPES) ## Synthesize data by the embedded default, train on it, evaluate (about five minutes on two cores)
	$(BIN)/python -m recipes.self_study

ablations: $(INSTALLED_RECIPES) ## Compare objectives and memory encoders, trained alike, resumable (at most twelve hours on two cores)
	$(BIN)/python -m recipes.ablations --page benchmarks/RESULTS.md

screenshot: $(INSTALLED_TEST) ## Take docs/app.png, the picture of the page, with Debian's chromium and chromium-driver
	$(BIN)/python docs/screenshot.py

clean: ## Remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Stamp files: an installation is repeated only when what it was made from has changed.
$(INSTALLED): setup.cfg setup.py constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes a minute or more."
	$(PIP) -e .
	@touch $@

$(INSTALLED_APP): setup.cfg setup.py constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), with what the page needs."
	$(PIP) -e ".[app]"
	@touch $@ $(INSTALLED)

$(INSTALLED_TEST): setup.cfg setup.py constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), with what training, the page, the documentation and tests need."
	$(PIP) -e ".[$(EXTRAS)]"
	@touch $@ $(INSTALLED)

$(INSTALLED_DOCS): setup.cfg setup.py constraints.txt | $(BIN)/python
	$(PIP) -e ".[docs]"
	@touch $@ $(INSTALLED)

$(INSTALLED_RECIPES): setup.cfg setup.py constraints.txt | $(BIN)/python
	$(PIP) -e ".[recipes]"
	@touch $@ $(INSTALLED)

# An environment of its own: lmms-eval brings 70 packages, some of them at one exact version. PyPI's torchvision cannot be
# imported beside a build of torch for the CPU, and then transformers cannot either; nothing here needs it, nor timm.
$(INSTALLED_LMMS): setup.cfg setup.py constraints-lmms.txt
	@echo "Installing into $(LMMS_VENV), with lmms-eval; this takes some minutes."
	$(PYTHON) -m venv $(LMMS_VENV)
	PIP_USE_PEP517=1 PIP_DISABLE_PIP_VERSION_CHECK=1 $(LMMS_VENV)/bin/python -m pip install --quiet -c constraints-lmms.txt -e ".[lmms]" pytest
	$(LMMS_VENV)/bin/python -c "import torchvision" 2>/dev/null || $(LMMS_VENV)/bin/python -m pip uninstall --quiet --yes torchvision timm
	@touch $@

# An environment of its own: DeepSpeed is built from source with the torch that is there, and compiles parts when it runs.
$(INSTALLED_DEEPSPEED): setup.cfg setup.py constraints.txt
	@echo "Installing into $(DEEPSPEED_VENV), with DeepSpeed; this takes some minutes."
	$(PYTHON) -m venv $(DEEPSPEED_VENV)
	PIP_USE_PEP517=1 PIP_DISABLE_PIP_VERSION_CHECK=1 $(DEEPSPEED_VENV)/bin/python -m pip install --quiet -c constraints.txt -e ".[train]" pytest setuptools wheel
	DS_BUILD_OPS=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(DEEPSPEED_VENV)/bin/python -m pip install --quiet -c constraints.txt --no-build-isolation deepspeed
	@touch $@
