PYTHON ?= python3
THREADS ?= 2

.PHONY: check format test types lint docs pictures lock demo hostile benchmarks

check: lint types docs test  ## What CI runs

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

test:
	OMP_NUM_THREADS=$(THREADS) $(PYTHON) -m pytest -q --durations=10

docs:  ## The documentation site in build/site; broken links and anchors fail; no network
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

pictures:  ## The pictures of README and docs; needs Chromium
	$(PYTHON) scripts/build_pictures.py

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lock:  ## Write constraints.txt anew from the open ranges of pyproject.toml
	sh scripts/lock.sh

demo:
	$(PYTHON) -m bimodal demo

hostile:  ## Count hostile files and inputs, by the door through which they come, and how they end
	OMP_NUM_THREADS=1 $(PYTHON) -m tests.hostile

benchmarks:  ## Real corpora; BIMODAL_DATA names their folder
	$(PYTHON) -m benchmarks.all
