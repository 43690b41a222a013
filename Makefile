# The command surface of the project. `make` alone lists it.

ENV ?= local
ENVIRONMENTS := local development staging production
PYTHON_VERSION ?= python3
VENV ?= .venv
EMULATOR_VENV ?= .venv-emulator
PYTHON := $(VENV)/bin/python
CDK := node_modules/.bin/cdk
ASSEMBLY := cdk.out/$(ENV)
REQUIRE_APPROVAL ?= broadening
TEST_KINDS := stacks lambdas gateway control_plane database local operations capacity privilege documentation egress end_to_end image

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z_% -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

# ---- installation -----------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.ready $(EMULATOR_VENV)/.ready node_modules/.ready ## install everything the other commands need

$(VENV)/.ready: requirements.txt
	@$(PYTHON_VERSION) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make setup: $(PYTHON_VERSION) is older than Python 3.11; name a newer one: make setup PYTHON_VERSION=python3.13"; exit 1; }
	$(PYTHON_VERSION) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(EMULATOR_VENV)/.ready: local/requirements.txt
	$(PYTHON_VERSION) -m venv $(EMULATOR_VENV)
	$(EMULATOR_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement local/requirements.txt
	@touch $@

node_modules/.ready: package.json package-lock.json $(VENV)/.ready
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: requirements
requirements: ## compile the requirements files from their .in files
	$(PYTHON) -m pip install --quiet pip-tools==7.6.2
	cd gateway_image && $(CURDIR)/$(VENV)/bin/pip-compile $(COMPILE_OPTIONS) --generate-hashes --output-file requirements.txt requirements.in
	cd local && $(CURDIR)/$(VENV)/bin/pip-compile $(COMPILE_OPTIONS) --output-file requirements.txt requirements.in
	$(VENV)/bin/pip-compile $(COMPILE_OPTIONS) --output-file requirements.txt requirements.in

COMPILE_OPTIONS := --quiet --strip-extras --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# ---- the embedded cloud -----------------------------------------------------------------------

.PHONY: up down status logs
up: setup ## deploy the stacks to the embedded cloud, start the gateway, send a first request
	@$(PYTHON) -m local up

down: ## stop the embedded cloud and everything in it
	@test ! -x $(PYTHON) || $(PYTHON) -m local down

status: setup ## what runs, what is deployed, what is accepted but does nothing
	@$(PYTHON) -m local status

logs: setup ## the logs of the embedded cloud and the gateway; FOLLOW=1 goes on
	@$(PYTHON) -m local logs $(if $(FOLLOW),--follow)

# ---- the stacks -------------------------------------------------------------------------------

.PHONY: settings synth bootstrap bedrock-role diff deploy
settings: setup ## judge every environment file; all mistakes at once, in a second
	@$(PYTHON) -m stacks.settings check

synth: setup ## synthesise ENV=<environment>, offline, with every rule checked
	@$(JUDGE_DECLARED)
	$(CDK) synth --quiet --no-lookups --context environment=$(ENV) --output $(ASSEMBLY)

bootstrap: setup ## prepare the account and region of ENV for the CDK, once
	@arguments=$$($(PYTHON) -m stacks.settings bootstrap $(ENV)) && set -x && $(CDK) bootstrap $$arguments

bedrock-role: setup ## what the other account's role that ENV calls Bedrock with must trust and allow
	@$(PYTHON) -m stacks.bedrock_role $(ENV)

diff: setup ## what a deployment of ENV would change
	@$(JUDGE_DECLARED)
	$(CDK) diff --all --context environment=$(ENV) --output $(ASSEMBLY) $(DIFF_OPTIONS)

deploy: setup ## deploy ENV to its account, asking before anything gets more permissions
	@$(JUDGE_DECLARED)
	$(CDK) deploy --all --context environment=$(ENV) --output $(ASSEMBLY) --require-approval $(REQUIRE_APPROVAL) $(DEPLOY_OPTIONS)

.PHONY: picture
picture: setup ## draw docs/architecture.svg from the production stacks
	CDK_VALIDATION=false $(MAKE) --no-print-directory synth ENV=production
	$(PYTHON) docs/draw_architecture.py cdk.out/production > docs/architecture.svg

# ---- capacity and cost ------------------------------------------------------------------------

.PHONY: plan costs documents
plan: setup ## simulate ENV's scaling: TRAFFIC=file.csv, PEAK=requests/s, COMPARE=other.toml, HOURS=1, BRIEF=1
	@$(PYTHON) -m capacity plan $(ENV) $(if $(TRAFFIC),--traffic "$(TRAFFIC)") $(if $(PEAK),--peak "$(PEAK)") \
	  $(if $(COMPARE),--compare "$(COMPARE)") $(if $(HOURS),--hours) $(if $(BRIEF),--brief)

costs: setup ## what each environment and each network profile costs a month, by part
	@$(PYTHON) -m capacity costs

documents: setup ## put what plan and costs print now into docs/scaling.md and docs/costs.md
	@$(PYTHON) -m capacity documents

# ---- what operators change while it runs ------------------------------------------------------

OPERATE := PYTHONPATH=gateway_image $(PYTHON) -m operations
# Offline, before anything is synthesised or sent: a version that is deployed can never be corrected.
JUDGE_DECLARED = $(OPERATE) registry-check
# What is named on the command line reaches the shell as a variable of its own, whatever characters it holds.
REASON = --why="$$WHY"

.PHONY: registry-check registry-plan registry-apply models promote deprecate retire reactivate audit
registry-check: setup ## judge what is declared, offline; with ENV= also how what is deployed there differs
	@$(OPERATE) registry-check $(if $(filter-out file,$(origin ENV)),$(ENV))

registry-plan: setup ## what registry-apply would write to ENV
	@$(OPERATE) registry-plan $(ENV)

registry-apply: setup ## write declared versions that ENV lacks, after asking: WHY=, YES=1
	@$(OPERATE) registry-apply $(ENV) $(REASON) $(if $(YES),--yes)

models: setup ## the model versions registered in ENV
	@$(OPERATE) models $(ENV)

promote deprecate retire reactivate: setup ## move a version: MODEL=bedrock#<name>, VERSION=, WHY=
	@$(OPERATE) $@ $(ENV) --model="$$MODEL" --version="$$VERSION" $(REASON)

audit: setup ## who changed what in ENV, and whether the chains of records hold: SUBJECT=, LOGS=1 compares with the logs
	@$(OPERATE) audit $(ENV) $(if $(SUBJECT),--subject="$$SUBJECT") $(if $(LOGS),--logs)

.PHONY: route-sets route-set-propose route-set-activate route-set-rollback
route-sets: setup ## the route set in force in ENV, those before it, and the library
	@$(OPERATE) route-sets $(ENV)

route-set-propose: setup ## put the declared route set, or FILE=, into ENV's library: WHY=
	@$(OPERATE) route-set-propose $(ENV) $(if $(FILE),--file="$$FILE") $(REASON)

route-set-activate: setup ## put one of ENV's library into force: NAME=, VERSION=, WHY=
	@$(OPERATE) route-set-activate $(ENV) --name="$$NAME" --version="$$VERSION" $(REASON)

route-set-rollback: setup ## return ENV to the route set before: WHY=
	@$(OPERATE) route-set-rollback $(ENV) $(REASON)

.PHONY: flags flag kill revive
flags: setup ## every flag of ENV, and what each tier says of it
	@$(OPERATE) flags $(ENV)

flag: setup ## change a flag of ENV: FLAG=, VALUE=, WHY=
	@$(OPERATE) flag $(ENV) --flag="$$FLAG" --value="$$VALUE" $(REASON)

kill revive: setup ## stop a provider of ENV within seconds, or let it be called: PROVIDER=<name>|all, WHY=
	@$(OPERATE) $@ $(ENV) --provider="$$PROVIDER" $(REASON)

.PHONY: secrets rotate
secrets: setup ## how old ENV's secrets are and when they rotate; never a value
	@$(OPERATE) secrets $(ENV)

rotate: setup ## rotate one of ENV's secrets now: SECRET=client-keys|admin-keys|google|llama
	@$(OPERATE) rotate $(ENV) --secret="$$SECRET"

# ---- the image ---------------------------------------------------------------------------------

.PHONY: image image-report
image: setup ## build the gateway's image for ENV (or ARCHITECTURE=, BASE=<image@sha256:…>|debian, TOOL=docker|buildah)
	@$(PYTHON) -m image_build --environment $(ENV) \
	  $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE)) $(if $(BASE),--base $(BASE)) $(if $(TOOL),--tool $(TOOL))

image-report: setup ## size by layer, start-up time and memory of the image that was built
	@PYTHONPATH=gateway_image $(PYTHON) -m tests.image.report

# ---- proofs -----------------------------------------------------------------------------------

.PHONY: test $(TEST_KINDS:%=test-%)
test: setup ## run every test
	$(PYTHON) -m pytest

$(TEST_KINDS:%=test-%): test-%: setup ## run the tests of one kind: stacks, lambdas, gateway, ...
	$(PYTHON) -m pytest tests/$*

.PHONY: egress-table
egress-table: setup ## what the firewall does with every crafted flow, judged by the installed Suricata
	@$(PYTHON) -m tests.egress.table

.PHONY: kill-switch-times
kill-switch-times: setup ## kill and revive three replicas fifty times, events switched off; p50 and max. Minutes
	@$(PYTHON) -m tests.end_to_end.kill_switch_times

.PHONY: control-plane-runs
control-plane-runs: setup ## random operations, crashes and losses on rotation, registry and flags: RUNS=2000
	@PYTHONPATH=gateway_image $(PYTHON) -m tests.control_plane.runs $(RUNS)

.PHONY: test-privilege-mutations permissions
test-privilege-mutations: setup ## take every permission away in turn; each must be missed. Takes minutes
	@directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && PYTHONPATH=gateway_image $(PYTHON) -m tests.privilege.mutations "$$directory"

permissions: setup ## write docs/permissions.md from the production stacks
	CDK_VALIDATION=false $(PYTHON) -m tests.privilege.document

.PHONY: check
check: setup ## everything that can be judged without running the gateway
	@$(PYTHON) -m tests.check $(ENVIRONMENTS)

.PHONY: compliance
compliance: setup ## what each pack of rules finds in ENV, and why it is accepted
	@CDK_VALIDATION= $(PYTHON) -m tests.compliance $(ENV)

.PHONY: pin-logical-ids
pin-logical-ids: setup ## write down the logical ids of what keeps data, if a loss is meant
	@$(PYTHON) -m tests.stacks.stateful_resources

.PHONY: format
format: setup ## rewrite the sources in the project's format
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

.PHONY: bench
bench: setup ## CPU time of a flag's look-up, and of one request against a bare passthrough in the same run
	$(PYTHON) -m tests.benchmarks.flag_lookup
	$(PYTHON) -m tests.benchmarks.cpu_per_request

.PHONY: flag-take-up
flag-take-up: setup ## how long a kill takes to be in force in three replicas, with each tier of flags lost. Takes minutes
	@$(PYTHON) -m tests.benchmarks.flag_take_up $(KILLS)
