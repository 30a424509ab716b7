# Short on purpose: the work is in scripts/. `make` alone prints the targets.
SHELL := bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Show the main job from end to end on this machine (DEMO_KEEP=1: stay up)
	@scripts/demo.sh

.PHONY: demo-ad
demo-ad: setup ## Show it with an Active Directory domain: groups, Kerberos, why (needs root)
	@scripts/demo-ad.sh

.PHONY: test
test: setup ## Run every suite, with real databases and real machines
	@scripts/test.sh

.PHONY: check
check: setup ## What to run before every commit: format, lint, licences, unit tests
	@scripts/check.sh
	@go test ./...

.PHONY: setup
setup: ## Check Go, Node and git; install the Debian packages that are missing
	@scripts/setup.sh

.PHONY: build
build: ## Build the programs into bin/
	@scripts/build.sh

.PHONY: console
console: ## Build the console, which the programs hold
	@scripts/console.sh

.PHONY: screenshots
screenshots: setup ## Take pictures of each page of the console, into build/pictures, and those of the documents into docs
	@scripts/console-run.sh pictures

.PHONY: tools
tools: ## Build the pinned tools into the cache
	@scripts/tools.sh

.PHONY: fmt
fmt: ## Format the Go files
	@"$$(scripts/tools.sh)/golangci-lint" fmt

.PHONY: generate
generate: licences-write ## Write what is generated: OpenAPI, JSON Schema, notices
	@go generate ./...

.PHONY: licences
licences: ## Check the licences of everything that is linked in
	@scripts/licences.sh

.PHONY: licences-write
licences-write: ## Write THIRD_PARTY_NOTICES.md
	@scripts/licences.sh --write

.PHONY: testguest
testguest: setup ## Build the test guest and its second version into the cache
	@scripts/testguest.sh

.PHONY: bench-images
bench-images: setup ## Measure first delivery and second version of the test guest
	@scripts/bench-images.sh

.PHONY: bench-directory
bench-directory: setup ## Measure sign-ins and re-reads of groups against a Samba domain controller
	@scripts/bench-directory.sh

.PHONY: bench-events
bench-events: setup ## Measure ingestion, reports and exports of events on both databases
	@scripts/bench-events.sh

.PHONY: bench-console
bench-console: setup ## Measure how large the console is, and how soon its first page is useful
	@scripts/console-run.sh bench

.PHONY: bench-console-size
bench-console-size: setup ## Measure the console's pages with 100,000 clients, 5,000 versions of images and 10 million events
	@scripts/bench-console-size.sh

.PHONY: bench-plan
bench-plan: setup ## Measure the planner, and what it takes from Dormer itself
	@scripts/bench-plan.sh

.PHONY: policy-matrix
policy-matrix: setup ## Show for each field of a workspace how the tests exercised it, with real guests
	@scripts/policy-matrix.sh

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the network)
	@go run golang.org/x/vuln/cmd/govulncheck@latest ./...

.PHONY: clean
clean: ## Remove what was built in the checkout (the cache stays)
	@rm -rf bin build
