# Needs Python 3.11 or newer, pip, git and make; everything else is installed into .venv.
#   make run    the quick study on Fashion-MNIST, from sampling to the report
#   make test-gpu, bench-gpu   what needs a GPU; without .venv by $(PYTHON), which needs no more than torch, torchvision,
#               pandas, SciPy, safetensors, typer and pytest
#   make bench  networks an hour against a plain loop; ARGS="--seed 7" for other networks
#   make test   lint, types, import contracts and all tests
#   make docs   the pages of docs/ and the Python reference as a site, in site/
#   make dist   wheel and sdist in dist/, checked, installed into a clean environment and used there
#   make test-cluster, test-faults, fuzz, audit   the long ones: real clusters, injected faults, odd input
#   make coverage, mutants   how well the tests hold: lines they never run, changes they don't notice (hours)
.PHONY: run test lint bench bench-data bench-sampling bench-scale lock clean data browser test-cluster test-faults fuzz audit \
        coverage mutants docs dist test-gpu bench-gpu

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# The committed tables are put aside at first: their rows would count as finished, and nothing would be trained.
run: $(STAMP) data
	@cd studies/quick && test -e study.db || for table in trials baselines; do \
		test ! -e $$table.csv || mv $$table.csv $$table.backup-committed.csv; done
	$(BIN)/regnetlab run quick
	$(BIN)/regnetlab fit-regnet quick
	$(BIN)/regnetlab compare-baselines quick
	$(BIN)/regnetlab report quick

test: $(STAMP) lint browser
	$(BIN)/pytest -n 2

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

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "regnetlab needs Python 3.11 or newer; name one with: make PYTHON=python3.12 run" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Opens from the folder; its search works behind a server: .venv/bin/mkdocs serve
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

# ARGS=--borrow takes the dependencies from .venv instead of installing them once more.
dist: $(STAMP) data
	.ci/dist $(ARGS)

lock: $(STAMP)
	$(BIN)/pip install --quiet --upgrade --upgrade-strategy eager -e '.[dev]'
	{ echo '# Every version that `make` installs: two installs are the same. Renew with `make lock`.'; \
	  $(BIN)/pip freeze --exclude-editable | sort -f; } > constraints.txt
	$(BIN)/python .ci/audit --lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site mutants .coverage*
	rm -f studies/*/study.db* studies/*/study.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
