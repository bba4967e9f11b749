# The two commands that matter are `make demo` and `make test`; see README.md.
SHELL := /bin/bash
export LC_ALL := C.UTF-8
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: setup
setup: .venv/.ready ## install what the project needs (Debian packages when root or sudo, pinned Python packages)

.venv/.ready: requirements.lock pyproject.toml scripts/setup.sh
	scripts/setup.sh
