VENV := .venv
PYTHON := $(VENV)/bin/python
PYTHON_VERSION ?= python3

.PHONY: setup
setup: $(VENV)/.ready .venv-emulator/.ready node_modules/.ready

$(VENV)/.ready: requirements.txt
	$(PYTHON_VERSION) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement requirements.txt
	touch $@

.venv-emulator/.ready: local/requirements.txt
	$(PYTHON_VERSION) -m venv .venv-emulator
	.venv-emulator/bin/pip install --quiet --requirement local/requirements.txt
	touch $@

node_modules/.ready: package.json $(VENV)/.ready
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm install --no-audit --no-fund --loglevel=error
	touch $@
