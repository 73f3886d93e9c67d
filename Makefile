# Every target runs `setup` first, so two commands are enough on a fresh machine: make demo, make test.
# `make check` while you work, `make test` before you deliver. ARGS goes to pytest: make check ARGS="-k name".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup-done
SUPPORTED := 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "callstream needs Python 3.11 to 3.13, and " + sys.executable + " is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.11")'
PYTEST := $(BIN)/python -m pytest
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11
ARGS ?=

.PHONY: setup demo check test docs lint types imports unit integration golden prove tools chart bench proto client reference sbom pin-images lock format

setup: $(SETUP)  ## the program in .venv, and the embedded broker's jars

$(SETUP): requirements-dev.lock pyproject.toml app/embedded/pom.xml app/embedded/pinned.sha256
	@command -v $(PYTHON) >/dev/null || { echo "callstream: there is no $(PYTHON) on this machine. Name a Python 3.11 to 3.13: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c $(SUPPORTED)
	@# a folder without pip is what venv leaves where ensurepip is missing, as on Debian without python3-venv
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { echo "callstream: $(PYTHON) cannot make $(VENV). On Debian and Ubuntu, install python3-venv, then run make again." >&2; exit 2; }
	@$(BIN)/python -c $(SUPPORTED) || { echo "callstream: delete $(VENV), then run make again." >&2; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/callstream broker --fetch-only
	@touch $@

demo: setup  ## the whole pipeline at work on a real Apache Kafka
	$(BIN)/callstream demo $(ARGS)

check: setup lint types imports  ## about a minute: no broker, no compiler, no test marked slow
	$(PYTEST) -n 2 -q -m "not slow" -o testpaths="tests/unit tests/golden" $(ARGS)

test: setup lint types imports  ## everything that CI runs, in two lanes beside each other
	$(BIN)/python -m tests.support.lanes --durations=25 $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: setup
	$(BIN)/mypy app agents schemas tests bench clients/python/src

imports: setup
	$(BIN)/lint-imports --no-cache

unit: setup  ## everything that needs no broker
	$(PYTEST) -m "not integration" $(ARGS)

integration: setup
	$(PYTEST) -m integration $(ARGS)

golden: setup  ## ADD=FILE makes a golden case of a file of events; without it, all cases are written down as they are now
	$(BIN)/python -m tests.support.golden $(if $(ADD),add $(ADD),update) $(ARGS)

prove: setup  ## the tests marked proof, ten times as large as in `make test`; records bench/results/prove.txt
	$(BIN)/python -m bench.prove $(ARGS)

tools: setup  ## what tests need beside Python packages; without one its tests are skipped. NAMES="helm promtool" for some
	$(BIN)/python -m tests.support.tools $(NAMES)

chart: setup  ## the Helm chart in all shapes, by Helm and the schemas of Kubernetes; builds Helm once, three minutes
	$(BIN)/python -m tests.support.tools helm kubernetes-schemas crds
	$(PYTEST) -q tests/contract/test_chart.py tests/contract/test_chart_values.py $(ARGS)

bench: setup  ## on the real broker; prints a table and records it in bench/results
	$(BIN)/python -m bench

proto: setup  ## regenerate the committed code from proto/
	$(BIN)/python -m tests.support.generate_proto

sbom: setup  ## what the image holds, as CycloneDX, after `make lock`
	$(BIN)/python -m tests.support.image_environment

pin-images: setup  ## needs docker and a container registry; digests behind the tags of the images that others build
	$(BIN)/python -m tests.support.pin_images

client: setup  ## the Python client's types and schemas, from schemas/avro
	$(BIN)/python -m tests.support.generate_client

docs: setup  ## the pages of docs/ as a site in .cache/docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html -d .cache/doctrees docs .cache/docs

reference: setup  ## the pages of docs/ that follow from the program: topics, schemas, settings, commands and so on
	$(BIN)/python -m tests.support.reference_pages

lock:  ## needs uv; versions in pyproject.toml, hashes of their closure in the lock files
	$(COMPILE) --extra embedded --extra dev pyproject.toml -o requirements-dev.lock
	@# what runs in the image is what was tested, so its versions are those of the developers' lock
	$(COMPILE) --constraint requirements-dev.lock pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements-dev.lock --extra aws pyproject.toml -o deploy/requirements-aws.lock
	printf 'setuptools==84.2.1\nmypy==2.4.1\n' | $(COMPILE) - -o deploy/build.lock
