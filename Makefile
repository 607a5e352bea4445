# GenRF Circuit Diffuser: `make run` and `make test` bring everything they need. `make help` lists the targets.

PYTHON ?= python3
RECIPE ?= smoke
# Anything: the run uses the servers of make platform.
PLATFORM ?=
# Nights to play.
N ?= 3
# Processes that tests run in.
WORKERS ?= 2
# Images to build or push, the registry to push them to, and the kind of cluster that the pipeline is compiled for.
IMAGES ?= cpu gpu serving
REGISTRY ?=
PROFILE ?= gpu
STEPS_IMAGE = $(if $(filter gpu,$(PROFILE)),gpu,cpu)
# An index or a folder of wheels that has PyTorch's CPU build, which is less than half the size of what the public index gives.
TORCH_CPU ?=
export TORCH_CPU
VENV := .venv
BIN := $(VENV)/bin

# Named after what is installed, so that nothing is installed again unless that changes.
STAMP := $(VENV)/.installed-$(shell cat locks/*.lock | sha256sum | cut -c1-16)
KERNELS_STAMP := $(VENV)/.kernels-$(shell cat genrf/simulation/batched/*.py genrf/simulation/band.py genrf/simulation/scattering.py locks/*.lock | sha256sum | cut -c1-16)
PROJECT_STAMP := $(VENV)/.project-$(shell sha256sum < pyproject.toml | cut -c1-16)

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.cache/home
endif

# The dataset on the platform's S3: sent from DVC's cache, or simulated first where the cache has none.
DATASET_IN_S3 = { $(BIN)/python -m training push || { $(BIN)/python -m training data --recipe $(RECIPE) && $(BIN)/python -m training push; }; }

TORCH_PLACE := $(if $(TORCH_CPU),$(if $(findstring ://,$(TORCH_CPU)),--extra-index-url,--find-links) $(TORCH_CPU))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup system-packages run nights platform platform-stop test lint unit coverage data stages ui compile bench docs drawing findings clean lock images push test-containers test-apiserver

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "TORCH_CPU=PLACE installs PyTorch's CPU build from an index (URL) or a folder of wheels: less than half the size."

setup: system-packages $(STAMP) $(PROJECT_STAMP) $(KERNELS_STAMP) ## Install ngspice and the Python environment, once

system-packages:
	@sh docker/system-packages.sh

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "setup: $(PYTHON) must be Python 3.11 or newer; choose one with make PYTHON=python3.11 ..." >&2; exit 3; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "setup: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 3; }

$(STAMP): | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^pip==' locks/cuda.lock)
	@lock=$$($(BIN)/python locks/locks.py which) \
		&& echo "Installing locks/$$lock.lock: $$($(BIN)/python locks/locks.py size $$lock), once" \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_PLACE) -r locks/$$lock.lock \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r locks/files.lock
	@touch $@

$(PROJECT_STAMP): | $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Half a minute, which the first simulation would have to wait for otherwise.
$(KERNELS_STAMP): | $(PROJECT_STAMP)
	@$(BIN)/python -m genrf.simulation.batched
	@touch $@

run: setup $(if $(PLATFORM),platform) ## Run the whole pipeline here: simulate, train, evaluate, export, register (RECIPE=smoke, PLATFORM=1)
	@$(if $(PLATFORM),. runs/platform/environment && $(DATASET_IN_S3) &&) $(BIN)/python -m pipelines run --recipe $(RECIPE)

nights: setup ## Play nights with requests that move to a new band: served, retrained, judged, compared (N=3)
	@$(BIN)/python -m pipelines.nights --nights $(N)

platform: setup ## Start an S3 server and an MLflow server on it, for make run PLATFORM=1
	@$(BIN)/python -m pipelines.platform start

platform-stop: setup ## Stop both; what they stored stays
	@$(BIN)/python -m pipelines.platform stop

test: lint unit ## Lint, types, import arrows, and all tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# In the order of tests/conftest.py, longest files first.
unit: setup
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

coverage: setup ## All tests with coverage of branches
	@rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder --cov --cov-report=term

test-apiserver: setup ## Apply the manifests to a real Kubernetes API server, built once from Debian's source (a quarter of an hour)
	@sh tests/k8s/build-apiserver.sh .cache/apiserver
	$(BIN)/python -m pytest tests/k8s/api_server.py

data: setup ## Simulate the dataset again from its seed and say whether its hash is that of data.dvc (RECIPE=smoke)
	@$(BIN)/python -m pipelines.stages --recipe $(RECIPE)
	@$(BIN)/python -m training data --recipe $(RECIPE)
	@$(BIN)/dvc commit --quiet --force simulate_data

# From data/ on: the stage that simulates is run by `make data`.
stages: setup ## Run the DVC stages whose inputs changed (RECIPE=smoke)
	@$(BIN)/python -m pipelines.stages --recipe $(RECIPE)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro quantize evaluate_generator

ui: setup ## Open MLflow on the runs so far, at http://127.0.0.1:5000
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 --backend-store-uri sqlite:///mlflow.db

compile: setup ## Compile the pipeline for a cluster into pipelines/compiled/
	@$(BIN)/python -m pipelines compile

images: $(STAMP) ## Build the container images (IMAGES="cpu gpu serving", DOCKER=, BASE=, PIP_CONFIG=, TORCH_CPU=)
	@PYTHON=$(BIN)/python sh docker/images.sh build $(IMAGES)

push: setup ## Push the images and compile the pipeline with their digest into build/ (REGISTRY=host/name, PROFILE=gpu)
	@[ -n "$(REGISTRY)" ] || { echo "push: name the registry: make push REGISTRY=registry.example.org/rf" >&2; exit 2; }
	@[ -n "$(filter $(STEPS_IMAGE),$(IMAGES))" ] \
		|| { echo "push: profile $(PROFILE) runs in image $(STEPS_IMAGE), which is not among IMAGES=$(IMAGES)" >&2; exit 2; }
	@mkdir -p build && sh docker/images.sh push $(REGISTRY) $(IMAGES) > build/images.txt && cat build/images.txt
	@$(BIN)/python -m pipelines compile --profile $(PROFILE) --image "$$(sed -n 's/^$(STEPS_IMAGE) //p' build/images.txt)" --output build

test-containers: setup ## Run the whole pipeline, a search and the server in the CPU image, as a cluster would
	$(BIN)/python -m pytest tests/containers

bench: setup ## Measure the simulator against one ngspice process a circuit
	@$(BIN)/python benchmarks/simulation.py

docs: setup ## Build the documentation's pages as a site into .cache/site/
	@$(BIN)/zensical build --strict --clean

drawing: setup ## Draw the packages and their imports into docs/house.svg
	@$(BIN)/python docs/house.py

findings: ## Run the scripts in findings/, each a surprise of other software; they download packages
	@failed=; for script in findings/*.sh; do echo "$$script"; PYTHON=$(PYTHON) sh "$$script" || failed="$$failed $$script"; done; \
		[ -z "$$failed" ] || { echo "no longer as described, or not runnable here:$$failed" >&2; exit 1; }

clean: ## Remove what runs and tests wrote; keep the environment and the data
	rm -rf runs mlruns mlflow.db* wandb lightning_logs .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*

lock: $(VENV)/bin/python ## Resolve pyproject.toml into the locks, keeping versions (UPGRADE=1 for the newest)
	$(BIN)/python locks/locks.py resolve $(if $(UPGRADE),--upgrade)
