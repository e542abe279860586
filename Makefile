# Two commands matter: `make run` and `make test`. Everything else is for those who work on Türmer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.installed

.PHONY: install run test soak lint bench bench-detection quality conformance notebooks kafka kafka-lib docs lock clean

install: $(DONE)

$(DONE): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Türmer needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say: make PYTHON=python3.12 " + "install") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install
	@$(BIN)/tuermer demo

test: install kafka-lib
	@$(BIN)/python -m pytest -m "not soak"

soak: install kafka-lib
	@$(BIN)/python -m pytest -m soak --timeout 3600

lint: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: install
	@$(BIN)/python -m tests.bench

bench-detection: install
	@$(BIN)/python -m tests.bench detection

quality: install
	@$(BIN)/python -m tests.quality

# JupyterLab comes on top of what the product needs; the practice town takes a few minutes the first time.
notebooks: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-notebooks.lock
	@$(BIN)/tuermer notebooks

conformance: install
	@$(BIN)/python -m tests.conformance

docs: install
	@$(BIN)/python -m tests.test_readme

# The broker's jars; without Maven nothing happens here, and the Kafka tests say what is missing.
kafka-lib:
	@test -d deploy/kafka/lib || ! command -v mvn >/dev/null || mvn -q -B -f deploy/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime

kafka: install kafka-lib
	@$(BIN)/python -m detector.sources.broker

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra grafana --group dev -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra grafana --extra notebooks --group dev -c requirements.lock -o requirements-notebooks.lock

clean:
	rm -rf $(VENV) var build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis deploy/kafka/lib
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
