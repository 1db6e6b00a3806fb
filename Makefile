# `make demo` and `make test` need Python >= 3.11 and nothing else: they install system libraries where they may, make
# the virtual environment .venv, install PocketWorlds into it, and do their job. The second run skips the installation.

VENV := .venv
BIN := $(VENV)/bin
# PyTorch's ordinary build for Linux brings CUDA along. Without an NVIDIA GPU, save the download and disk space with
#     make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
TORCH ?= torch==2.13.0
# The first Python that is new enough; name another one with `make PYTHON=...`. Shims that lead nowhere do not count.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { command -v $$p; break; }; done)
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# Installed anew when what is installed changes, by content: a fresh checkout touches every file.
KEY := $(shell cksum < pyproject.toml | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.installed-$(KEY)
DEV := $(VENV)/.dev-$(KEY)

.PHONY: help demo test lint bench doctor install clean

help:
	@echo "make demo     scan the embedded capture and let the arm lift one of its objects (out/demo)"
	@echo "make test     run the tests"
	@echo "make lint     ruff and mypy"
	@echo "make bench    all benchmarks: reconstruction, the timed room scan, experts, throughput (an hour on 2 cores; out/bench-*)"
	@echo "make doctor   say what is missing on this machine"
	@echo "make install  only the set-up"
	@echo "make clean    remove everything made here"

demo: $(INSTALLED)
	$(BIN)/pocketworlds demo --out out/demo

# As many workers as processors, each with one thread of its own. One file or folder: make test TESTS=tests/envs
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal --durations 10 $(TESTS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

bench: $(INSTALLED)
	$(BIN)/pocketworlds bench real2sim --out out/bench-real2sim
	$(BIN)/python -m pocketworlds.benchmarks.room_capture --out out/bench-room
	$(BIN)/pocketworlds bench experts --episodes 200 --scenes 50
	$(BIN)/pocketworlds bench throughput --out out/bench-throughput
	for task in Reach Push Lift PickPlace Stack Insert TidyTable OpenDrawer CloseDrawer OpenDoor PressButton HandLift HandReorient; do \
		$(BIN)/pocketworlds bench audit $$task-v0 --out out/bench-audit/$$task || exit 1; \
	done

doctor: $(INSTALLED)
	$(BIN)/pocketworlds doctor

install: $(INSTALLED)

$(INSTALLED): scripts/system_packages.sh
	@test -n "$(PYTHON)" || { echo "PocketWorlds needs Python 3.11 or newer: sudo apt-get install python3.11 python3.11-venv, or: brew install python@3.12"; exit 1; }
	sh scripts/system_packages.sh "$(PYTHON)"
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -c 'import torch' 2>/dev/null || \
		$(BIN)/python -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)" || \
		echo "$(TORCH) is not to be had here; taking the version that is"
	$(BIN)/python -m pip install -e .
	rm -f $(VENV)/.installed-* && touch $@

$(DEV): $(INSTALLED)
	$(BIN)/python -m pip install -e ".[dev]"
	rm -f $(VENV)/.dev-* && touch $@

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
