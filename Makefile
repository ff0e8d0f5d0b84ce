# Everything a newcomer or CI runs. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
ARGS ?=
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-header --no-annotate
PACKAGES := analytics benchmarks cli client dataflows egress inference_workers ingest runtime schemas tests

.PHONY: help demo test test-models check web unit format bench dashboards lock audit fuzz setup setup-dev setup-models clean
MODELS := .venv-models
# A KServe v2 server to test against; it wants a FastAPI older than ours.
MLSERVER := .venv-mlserver
# Of torch's CUDA build, what `import torch` and inference on a CPU do without: 1 GB; and insightface's second OpenCV.
UNUSED := $(addprefix --no-emit-package ,opencv-python triton nvidia-cusolver nvidia-cuda-nvrtc nvidia-nvtx cuda-bindings cuda-pathfinder cuda-toolkit)

help: ## Print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: setup ## Set everything up and run the whole product (ARGS="--headless-seconds 30" for no terminal view)
	@$(BIN)/affectstream demo $(ARGS)

setup: .stamps/python .stamps/web ## Install the product: Python packages, web page, Kafka's jars, models, sample
	@$(BIN)/affectstream setup

setup-dev: .stamps/python-dev .stamps/web .stamps/browser .stamps/redis .stamps/servers ## Install what the tests need besides
	@$(BIN)/affectstream setup

test: setup-dev ## Set everything up and run every check and test
	@$(MAKE) --no-print-directory check
	@cd web && npm run --silent test
	@$(BIN)/pytest -q -m "not unit" $(ARGS)

test-models: setup-models ## Tests of engines and training that need torch, in an environment of their own (2.5 GB)
	@MLSERVER=$(MLSERVER)/bin/mlserver $(MODELS)/bin/pytest -q tests/models $(ARGS)

setup-models: .stamps/python-models ## Install what test-models needs
	@$(MODELS)/bin/affectstream models pull

check: .stamps/python-dev .stamps/web .stamps/audit ## Fast: format, lint, types, imports, known vulnerabilities, unit tests
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@cd web && npm run --silent check
	@cat .stamps/audit
	@$(BIN)/pytest -q -m unit

audit: .stamps/python-dev ## Known vulnerabilities of what is locked, and its bill of materials (dist/sbom-*.json)
	@$(BIN)/python infra/audit.py $(BIN)/uv

fuzz: .stamps/python-dev ## 100,000 hostile inputs to all that reads strangers' bytes, and the HTTP services (ARGS="--inputs N --http N")
	@$(BIN)/python -m tests.fuzz $(ARGS)

web: .stamps/web ## Build the web page

unit: .stamps/python-dev ## Unit tests only
	@$(BIN)/pytest -q -m unit $(ARGS)

bench: setup ## Measure fusion beside its peers (ARGS="--quick" for a short look)
	@$(BIN)/affectstream bench fusion $(ARGS)

format: .stamps/python-dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
	@cd web && npm run --silent format

dashboards: .stamps/python ## Write Grafana's JSON from infra/grafana/dashboards.yaml
	@$(BIN)/python infra/grafana/build.py

lock: $(BIN)/uv ## Resolve the dependencies anew and write the lock files
	@$(COMPILE) --extra cpu --extra registry --extra otel --extra eval --group dev pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --extra cpu -c requirements-dev.lock pyproject.toml -o requirements.lock
	@cp requirements-dev.lock requirements-models.lock # what is pinned there is kept where the extras allow it
	@$(COMPILE) --extra cpu --extra registry --extra train --extra eval --extra sensevoice --extra sensevoice-onnx \
	  --extra kserve --extra insightface --group dev $(UNUSED) pyproject.toml -o requirements-models.lock
	@echo mlserver==1.7.1 | $(COMPILE) - -o requirements-mlserver.lock
	@$(COMPILE) --extra cpu --extra registry --extra otel -c requirements-dev.lock pyproject.toml -o infra/docker/cpu.lock
	@$(COMPILE) --extra gpu --extra registry --extra otel -c requirements-dev.lock pyproject.toml -o infra/docker/gpu.lock

clean: ## Remove what the build made in this folder (caches elsewhere stay)
	@rm -rf $(VENV) $(MODELS) $(MLSERVER) .stamps web/node_modules web/dist

$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing: install it, or say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || { echo "Python 3.11 or 3.12 is needed, $(PYTHON) is another: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.stamps/python: requirements.lock pyproject.toml | $(BIN)/uv
	@if [ ! -e .stamps/python-dev ]; then \
	  echo "installing Python packages (about 1 GB)"; \
	  $(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .; fi
	@mkdir -p .stamps && touch $@

.stamps/python-dev: requirements-dev.lock pyproject.toml | $(BIN)/uv
	@echo "installing Python packages with the test tools (about 1 GB)"
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	@mkdir -p .stamps && touch $@ .stamps/python

.stamps/python-models: requirements-models.lock requirements-mlserver.lock pyproject.toml | $(BIN)/uv
	@echo "installing Python packages with torch, FunASR and clients of model servers (about 4 GB)"
	@[ -d $(MODELS) ] || $(BIN)/uv venv --quiet --python $(BIN)/python $(MODELS)
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --python $(MODELS)/bin/python -r requirements-models.lock
	@$(BIN)/uv pip install --quiet --no-deps --python $(MODELS)/bin/python --editable .
	@[ -d $(MLSERVER) ] || $(BIN)/uv venv --quiet --python $(BIN)/python $(MLSERVER)
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --python $(MLSERVER)/bin/python -r requirements-mlserver.lock
	@mkdir -p .stamps && touch $@

.stamps/web: web/package-lock.json $(shell find web/src web/public web/*.html web/vite.config.ts -type f 2>/dev/null)
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "Node.js 20 with npm is missing: install it (Debian: apt-get install nodejs npm)"; exit 1; }
	@echo "building the web page"
	@cd web && npm ci --loglevel=error --no-audit --no-fund && npm run --silent build
	@mkdir -p .stamps && touch $@

# Once for each state of the lock files, for it takes half a minute; `make audit` looks anew.
.stamps/audit: requirements.lock requirements-dev.lock web/package-lock.json infra/audit.py | .stamps/python-dev
	@echo "looking for known vulnerabilities of what is locked"
	@mkdir -p .stamps
	@$(BIN)/python infra/audit.py $(BIN)/uv > .stamps/audit.new || { cat .stamps/audit.new; exit 1; }
	@mv .stamps/audit.new $@

# The browser tests drive Debian's Chromium; elsewhere any Chromium does that CHROMIUM names.
.stamps/browser:
	@if [ -z "$$CHROMIUM" ] && ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Chromium"; apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium libgl1-mesa-dri >/dev/null; \
	  else echo "Chromium is missing: the browser tests will be skipped (install it, or set CHROMIUM=/path)"; fi; fi
	@mkdir -p .stamps && touch $@

# What edges share of sessions is tested against a real Redis (or Valkey).
.stamps/redis:
	@if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Redis"; apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null; \
	  else echo "redis-server is missing: tests of what edges share will be skipped (Debian: apt-get install redis-server)"; fi; fi
	@mkdir -p .stamps && touch $@
# Alert rules, dashboards and the balancing of viewers are tested with Debian's Prometheus and HAProxy, a clock that is stepped with libfaketime; RUNLEVEL=1 keeps
# their services from being started.
.stamps/servers:
	@if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null || [ ! -x /usr/sbin/haproxy ] || ! ls /usr/lib/*/faketime >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Prometheus, HAProxy and libfaketime"; apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus haproxy libfaketime >/dev/null; \
	  else echo "Prometheus, HAProxy or libfaketime is missing: their tests will be skipped (install prometheus with promtool, haproxy, libfaketime)"; fi; fi
	@mkdir -p .stamps && touch $@

# helm and kubeconform, which check the chart, are built with Go (five minutes, once) and kept in the cache; without them
# the chart's tests are skipped.
TOOLS := $(or $(AFFECTSTREAM_CACHE_DIR),$(HOME)/.cache/affectstream)/tools
.PHONY: chart-tools
chart-tools: ## Build helm and kubeconform, with which the tests check the Helm chart (needs Go)
	@mkdir -p $(TOOLS)
	@[ -x $(TOOLS)/kubeconform ] || GOBIN=$(TOOLS) GOFLAGS=-buildvcs=false go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
	@[ -x $(TOOLS)/helm ] || GOBIN=$(TOOLS) GOFLAGS=-buildvcs=false go install helm.sh/helm/v3/cmd/helm@v3.22.0
	@[ -e $(TOOLS)/kubernetes-schemas/triggerauthentication-keda-v1alpha1.json ] || $(BIN)/python infra/helm/schemas.py $(TOOLS)/kubernetes-schemas
