# Needs Python 3.11 or newer, pip, git and make; everything else is installed into .venv.
#   make run    a first study on Fashion-MNIST, from sampling to the report: studies/first, which git ignores
#   make test-gpu, bench-gpu   what needs a GPU; without .venv by $(PYTHON), which needs no more than torch, torchvision,
#               pandas, SciPy, safetensors, typer and pytest
#   make bench  networks an hour against a plain loop; ARGS="--seed 7" for other networks
#   make test   lint, types, import contracts and all tests
#   make test-fast   the tests of what is computed, without trainings, browsers and processes of their own: under two minutes
#   make docs   the pages of docs/ and the Python reference as a site, in site/
#   make dist   wheel and sdist in dist/, checked, installed into a clean environment and used there
#   make versions   the wheel with the lowest and with the newest versions of all that it needs; how large and how long
#   make release   check version, CITATION.cff and CHANGELOG.md, then tag the commit
#   make test-cluster, test-faults, fuzz, audit   the long ones: real clusters, injected faults, odd input
#   make coverage, mutants   how well the tests hold: lines they never run, changes they don't notice (hours)
.PHONY: run test test-fast lint bench bench-data bench-sampling bench-scale lock clean data browser test-cluster test-faults fuzz audit \
        coverage mutants docs dist versions release test-gpu bench-gpu

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ALL := -e '.[cluster,export,figures,log,postgres]' --group dev

# Begun from the example quick, whose committed tables stay as they are. Again: goes on, or only reports.
run: $(STAMP) data
	@test -e studies/first/study.toml || $(BIN)/regnetlab new first
	$(BIN)/regnetlab run first
	$(BIN)/regnetlab compare first
	$(BIN)/regnetlab fit-regnet first
	$(BIN)/regnetlab compare-baselines first
	$(BIN)/regnetlab report first
	@$(BIN)/python .ci/answer first

test: $(STAMP) lint browser
	$(BIN)/pytest -n 2 --dist worksteal

test-fast: $(STAMP)
	$(BIN)/pytest -n 2 tests/spaces tests/trials/test_*.py tests/analysis/test_*.py tests/test_files.py

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Dask, PostgreSQL, Slurm and SSH in processes of their own, on the loopback interface alone.
test-cluster: $(STAMP)
	@.ci/apt-install /usr/lib/postgresql postgresql
	@.ci/apt-install /usr/sbin/slurmctld slurm-wlm
	@.ci/apt-install /usr/sbin/sshd openssh-server
	REGNETLAB_TEST_CLUSTER=1 $(BIN)/pytest tests/cluster

test-faults: $(STAMP)
	@.ci/apt-install /usr/lib/postgresql postgresql
	$(BIN)/python -m tests.faults --write docs/reliability.md

fuzz: $(STAMP)
	REGNETLAB_FUZZ=20000 $(BIN)/pytest tests/fuzz -o timeout=7200

audit: $(STAMP)
	$(BIN)/python .ci/audit

# Goes on where it was stopped; .venv/bin/mutmut browse shows what survived. ARGS='regnetlab.spaces.law*' for some.
mutants: $(STAMP)
	$(BIN)/mutmut run --max-children 2 $(ARGS)

coverage: $(STAMP) browser
	$(BIN)/pytest -n 2 --cov --cov-report=term-missing:skip-covered

bench: $(STAMP) data
	PYTHONPATH=. $(BIN)/python tests/benchmarks/speed.py $(ARGS)

# Neither installs anything: a GPU machine has its own torch.
GPU_PYTHON = $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
test-gpu:
	$(GPU_PYTHON) -m pytest -c /dev/null --rootdir=. -p no:cacheprovider --import-mode=importlib -o pythonpath=. -q \
	  tests/execution/test_gpu.py tests/training/test_step.py tests/training/test_trainer.py

bench-gpu:
	PYTHONPATH=. $(GPU_PYTHON) tests/benchmarks/gpu.py $(ARGS)

# Surveying, decoding and caching a folder of photos; ARGS="--images 20000" for fewer.
bench-data: $(STAMP)
	$(BIN)/python tests/benchmarks/data.py $(ARGS)

bench-sampling: $(STAMP)
	$(BIN)/python tests/benchmarks/sampling.py

# Time and memory against size, from 100 to 100,000 networks: docs/scale.md, about 15 minutes.
bench-scale: $(STAMP) browser
	$(BIN)/python tests/benchmarks/scale.py -o docs/scale.md

# Fashion-MNIST: REGNETLAB_DATA, else the Debian package, else torchvision's download when it is used.
data:
	@if [ -z "$$REGNETLAB_DATA" ]; then .ci/apt-install /usr/share/datasets/fashion-mnist dataset-fashion-mnist; fi

# For the tests that look at the report in a browser; without one they are skipped and say so.
browser:
	@.ci/apt-install /usr/bin/chromium chromium

# Groups of dependencies need pip 25.1; a new environment has the one that came with Python.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "regnetlab needs Python 3.11 or newer; name one with: make PYTHON=python3.12 run" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -c constraints.txt pip
	$(PIP) -c constraints.txt $(ALL)
	@touch $@

# Opens from the folder, its search too.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

# ARGS=--borrow takes the dependencies from .venv instead of installing them once more.
dist: $(STAMP) data
	.ci/dist $(ARGS)

# Removes each environment again unless something fails; ARGS="--python python3.13" for another Python, newest alone.
versions: $(STAMP)
	$(if $(ARGS),,$(BIN)/python .ci/versions lowest)
	$(BIN)/python .ci/versions newest $(ARGS)

release: $(STAMP)
	$(BIN)/python .ci/release

lock: $(STAMP)
	$(PIP) --upgrade --upgrade-strategy eager pip $(ALL)
	{ echo '# Every version that `make` installs: two installs are the same. Renew with `make lock`.'; \
	  $(BIN)/pip freeze --all --exclude-editable --exclude setuptools | sort -f; } > constraints.txt
	$(BIN)/python .ci/audit --lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site mutants .coverage*
	rm -f studies/*/study.db* studies/*/study.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
