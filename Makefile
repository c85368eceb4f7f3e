.DEFAULT_GOAL := help
.PHONY: help demo cluster test test-kind lint race bench scale build clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run bookinfo on a local cluster and measure every stage of its routing
	@scripts/demo.sh

cluster: ## create a kind cluster with Istio, for real sidecars and applications
	@scripts/cluster.sh

test: ## run every test
	@scripts/test.sh

test-kind: ## run the suites on a kind cluster, with real sidecars and applications
	@scripts/test-kind.sh

lint: ## check formatting, vet, staticcheck and import rules
	@scripts/lint.sh

race: ## run our packages' tests under the race detector
	@scripts/race.sh

bench: ## time a check of bookinfo-prod beside helm template and istioctl analyze
	@scripts/bench.sh

scale: ## measure how time and memory grow, into docs/scale.md
	@scripts/scale.sh

build: ## build bin/basico
	@scripts/build.sh

clean: ## remove what was built here; what is cached outside the repository stays
	rm -rf bin report.html kind-report.html
