PYTHON ?= python3
THREADS ?= 2
KILLS ?= 10
SEED ?= 0
MINUTES ?= 60
HOURS ?= 24

.PHONY: check format test types lint docs pictures lock demo benchmarks kill-test soak

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

kill-test:  ## Kill each command KILLS times, give it again, compare; BIMODAL_ASR_MODEL adds speech recognition
	$(PYTHON) -m tests.kill build/kill --kills $(KILLS) --seed $(SEED)

soak:  ## A server for MINUTES, a recording of HOURS; memory and handles must stay flat
	$(PYTHON) -m tests.soak build/soak --minutes $(MINUTES) --hours $(HOURS)

benchmarks:  ## Real corpora; BIMODAL_DATA names their folder
	$(PYTHON) -m benchmarks.all
