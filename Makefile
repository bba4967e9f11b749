# The two commands that matter are `make demo` and `make test`; README.md says what you will see.
SHELL := /bin/bash
export LC_ALL := C.UTF-8
# Not everybody's PATH has the folders that dpkg, podman's network and mmdebstrap look for their helpers in.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
WORLD := molecule/world/world.py

.DEFAULT_GOAL := help

.PHONY: help setup demo up down test unit nightly molecule lint bench clean
help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | column -t -s $$'\t'

setup: .venv/.ready ## install what the project needs (Debian packages as root or by sudo, pinned Python packages in .venv)

.venv/.ready: requirements.lock pyproject.toml scripts/setup.sh scripts/debian-packages.txt
	scripts/setup.sh

demo: setup ## the whole story in one command: the defect, phase 0, phase 1, the proof
	PYTHONPATH=.collections python -m scripts.demo

up: setup ## build and boot the two-host world called demo, and leave it up
	python $(WORLD) up --name demo

down: setup ## remove the world called demo
	python $(WORLD) down --name demo

test: setup lint unit molecule ## every test; what .ci/run calls

unit: setup ## everything but Molecule: pure code, modules as processes, engine, Lua, the world from outside
	pytest -n 2 --dist loadfile -q -m "not world"
	pytest -q -m world

nightly: setup ## the long fuzz runs, and 45 kills across phases 0 to 4, on top of `make test`
	ROLLOUT_FUZZ_EXAMPLES=20000 pytest -n 2 --dist loadfile -q python_checks/tests/stats
	ROLLOUT_KILLS=45 scripts/molecule.sh interrupted

molecule: setup ## whole phases on the two-host world
	scripts/molecule.sh

lint: setup ## style, types, playbooks, the plan's own rules
	scripts/lint.sh

bench: setup ## figures for the SQL and the tools, with the limits beside them; never part of the tests
	python -m scripts.bench

clean: down ## remove what the project built (not the evidence)
	rm -rf build .world .pytest_cache .mypy_cache .ruff_cache .hypothesis
