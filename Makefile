PYTHON ?= python3
WORKERS ?= auto
KILLS ?= 10
SEED ?= 0
MINUTES ?= 60
HOURS ?= 24

.PHONY: check format test types lint docs pictures lock audit sbom fuzz hostile demo benchmarks kill-test soak

check: lint types docs test  ## What CI runs

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

test:
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -q -n $(WORKERS) --maxprocesses 4 --dist loadfile --durations=10

docs:  ## The documentation site in build/site; broken links and anchors fail; no network
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

pictures:  ## The pictures of README and docs; needs Chromium
	$(PYTHON) scripts/build_pictures.py

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lock:  ## Write constraints.txt and requirements.lock anew from the open ranges of pyproject.toml
	sh scripts/lock.sh

RUNS ?= 100000
fuzz:  ## Readers of foreign bytes, guided by coverage; RUNS executions of each; findings in build/fuzz/found
	$(PYTHON) -m scripts.fuzz all $(RUNS)

audit:  ## Licences of all dependencies; known vulnerabilities of the locked versions, where the network is there
	$(PYTHON) -m scripts.audit

sbom:  ## List of all installed packages in CycloneDX format, in build/sbom.json
	mkdir -p build
	$(PYTHON) -m cyclonedx_py environment --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json $(PYTHON)

demo:
	$(PYTHON) -m bimodal demo

kill-test:  ## Kill each command KILLS times, give it again, compare; BIMODAL_ASR_MODEL adds speech recognition
	$(PYTHON) -m tests.kill build/kill --kills $(KILLS) --seed $(SEED)

soak:  ## A server for MINUTES, a recording of HOURS; memory and handles must stay flat
	$(PYTHON) -m tests.soak build/soak --minutes $(MINUTES) --hours $(HOURS)

hostile:  ## Count hostile files and inputs, by the door through which they come, and how they end
	OMP_NUM_THREADS=1 $(PYTHON) -m tests.hostile

benchmarks:  ## Real corpora; BIMODAL_DATA names their folder
	$(PYTHON) -m benchmarks.all
