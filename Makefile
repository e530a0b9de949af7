# `make demo` and `make test` set everything up by themselves, in .venv, on a machine with python3 and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Where wheels lie beside the index (the CPU build of torch, say); pip reads PIP_FIND_LINKS, uv UV_FIND_LINKS.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Without such a folder uv looks for the torch build that fits the machine: cpu, cu128, ... (see `uv help pip install`).
TORCH_BACKEND ?= auto
# Each notebook's kernel imports torch and HoloViews: without bytecode on disk that takes half as long again.
unexport PYTHONDONTWRITEBYTECODE
JOBS ?=
# A file's tests stay together, so that what it makes once is made once.
SPREAD ?= -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo test lab app lint size golden report-card contact-sheet setup clean

demo: $(READY)
	$(BIN)/hydronb run params/demo.yaml $(if $(JOBS),-j $(JOBS))

test: $(READY) lint
	$(BIN)/python -m pytest $(SPREAD) --doctest-modules hydronb tests
	$(BIN)/python -m pytest $(SPREAD) --nbval-lax notebooks

lab: $(READY)
	$(BIN)/jupyter lab notebooks

app: $(READY)
	$(BIN)/hydronb app

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# Statements of the package, which no layout changes.
size:
	@$(PYTHON) -c 'import ast, pathlib; print(sum(isinstance(n, ast.stmt) for f in pathlib.Path("hydronb").rglob("*.py") for n in ast.walk(ast.parse(f.read_text()))), "statements in hydronb/")'

# Whether this version writes, to the bit, what the commit BASE wrote: all models and notebooks, some minutes.
golden: $(READY)
	@test -n "$(BASE)" || { echo "make golden BASE=COMMIT"; exit 2; }
	$(BIN)/python benchmarks/golden.py $(BASE)

# Published numbers beside the same ones computed here: docs/report_card.md.
report-card: $(READY)
	$(BIN)/python benchmarks/report_card.py

# All figures and pages of OUTPUTS on contact sheets below it; needs chromium.
contact-sheet: $(READY)
	$(BIN)/python benchmarks/contact_sheet.py $(OUTPUTS)

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"hydronb needs Python 3.11 or newer, {v[0]}.{v[1]} is here; make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 lacks venv; on Debian: apt install python3-venv"; exit 1; }
	@echo "setting up .venv (once; some minutes, mostly downloads)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv || echo "no uv; pip it is"
	@if ! test -x $(BIN)/uv; then $(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'; \
	elif test -n "$(UV_FIND_LINKS)"; then $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[test]'; \
	else $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --torch-backend $(TORCH_BACKEND) -e '.[test]'; fi
	@touch $(READY)

clean:
	rm -rf .venv .pytest_cache .ruff_cache
