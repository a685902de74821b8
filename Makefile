# make demo: a virtual environment, the package, and a dance to the bundled song, in out/: recorded phrases on its beats;
# DEMO_PHRASES=0 for what the network makes.
# make test: the linter and the tests.
# make docs: the documentation site, in site/.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_SONG := src/longdance/assets/demo_song.ogg
DEMO_GENRE ?= commercial
DEMO_SECONDS ?= 30
DEMO_PHRASES ?= 1

.PHONY: demo test lint docs clean

demo: $(VENV)/installed
	@echo "Dancing $(DEMO_SECONDS) seconds of $(DEMO_GENRE) to $(DEMO_SONG) ..."
	$(BIN)/python -m longdance generate $(DEMO_SONG) --genre $(DEMO_GENRE) --seconds $(DEMO_SECONDS) \
		--phrases $(DEMO_PHRASES) -o out

test: $(VENV)/installed-dev
	$(BIN)/ruff check src tests tools
	$(BIN)/python -m pytest -m alone
	$(BIN)/python -m pytest -m "not alone" -n 2 --dist loadfile

lint: $(VENV)/installed-dev
	$(BIN)/ruff check src tests tools
	$(BIN)/pyright

docs: $(VENV)/installed-docs
	$(BIN)/python tools/build_docs.py build/docs
	$(BIN)/zensical build --strict
	@echo "Open site/index.html"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "longdance needs Python 3.11 or newer; try: make PYTHON=python3.11 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "No virtual environment: on Debian run: apt-get install python3-venv"; exit 1; }

# Editable and complete, so that the checkout itself is what runs.
# pip says what it does, for it takes minutes.
$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing longdance and what it needs; PyTorch alone is some 200 MB ..."
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# Of the package itself the site needs the source alone.
$(VENV)/installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt zensical
	@touch $@

clean:
	rm -rf out dances build dist site .pytest_cache .ruff_cache
