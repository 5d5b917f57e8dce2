# Everything a fresh Debian or Ubuntu machine with Python >= 3.11 needs: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo serve client test soak check format bench lock clean

demo: $(VENV)/.product
	$(BIN)/isocenter demo $(if $(ONCE),--once) $(ARGS)

serve: $(VENV)/.product
	$(BIN)/isocenter serve $(ARGS)

client: $(VENV)/.product
	$(BIN)/pip install -v --no-deps -e .

test: $(VENV)/.dev
	sh tests/install-servers.sh
	$(BIN)/pytest -n 3 --dist loadgroup -m "not soak" $(ARGS)

soak: $(VENV)/.dev
	sh tests/install-servers.sh
	$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python deploy/build_client.py check

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	sh benchmarks/install-peers.sh
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script $(ARGS) || exit 1; done

lock: $(VENV)/.dev
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --group dev -o requirements-dev.lock
LOCK := -q --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11

CLIENT := hatch_build.py deploy/build_client.py $(shell find webui/client -name node_modules -prune -o -type f -print)

$(VENV)/.product: requirements.lock pyproject.toml $(CLIENT)
	sh deploy/install.sh $(PYTHON) $(VENV) requirements.lock
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml $(CLIENT)
	sh deploy/install.sh $(PYTHON) $(VENV) requirements-dev.lock
	touch $@ $(VENV)/.product

clean:
	rm -rf $(VENV) dist webui/static/app webui/client/node_modules
