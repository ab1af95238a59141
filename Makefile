# Sluice. `make` lists the targets; CI calls `make test` and nothing else.

GO         ?= go
BIN        := $(CURDIR)/bin
FUZZTIME   ?= 3s
LONGFUZZ   ?= 10m
MODULES    := . e2e
TOOLS      := gcc curl lftp ncftp tnftp wget python3 openssl prometheus haproxy systemd-analyze=systemd buildah runc debootstrap
export GOTOOLCHAIN := local

.DEFAULT_GOAL := help
.PHONY: help build test vet unit lint fmt fuzz fuzz-short e2e e2e-kube e2e-image cuts bench chart-readme apt clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: ## bin/sluice
	$(GO) build -o $(BIN)/ ./cmd/...

test: apt vet unit fuzz-short e2e lint ## everything: vet, tests with -race, short fuzzing, e2e, lint

vet:
	$(foreach m,$(MODULES),$(GO) -C $(m) vet ./... &&) true

unit: ## the tests of the packages, with the race detector
	$(GO) test -race -timeout 10m ./...

lint: $(BIN)/golangci-lint ## golangci-lint on both modules
	$(foreach m,$(MODULES),(cd $(m) && $(BIN)/golangci-lint run -c $(CURDIR)/.golangci.yml ./...) &&) true

fmt: $(BIN)/golangci-lint ## gofumpt and gci
	$(foreach m,$(MODULES),(cd $(m) && $(BIN)/golangci-lint fmt -c $(CURDIR)/.golangci.yml ./...) &&) true

fuzz: ## every fuzz target for LONGFUZZ (10m)
	e2e/fuzz.sh $(LONGFUZZ)

fuzz-short:
	e2e/fuzz.sh $(FUZZTIME)

e2e: apt ## the compiled binary and real clients; RUN=name for one script
ifdef RUN
	cd e2e && $(GO) test -count=1 -v -run 'TestScripts/^$(RUN)$$'
else
	@# Transfers first, with the machine to themselves: builds of images and of Kubernetes take all of it.
	cd e2e && $(GO) test -count=1 -timeout 20m $$($(GO) list ./... | grep -v -e /chart$$ -e /image$$)
	cd e2e && $(GO) test -count=1 -timeout 40m -p 1 ./image ./chart
endif

e2e-kube: apt ## the chart alone: its templates, and a real Kubernetes API server
	cd e2e && $(GO) test -count=1 -timeout 40m -v ./chart

e2e-image: apt ## the image alone: built by buildah, run by runc
	cd e2e && $(GO) test -count=1 -timeout 40m -v ./image

chart-readme: ## the chart's README.md, from its values.yaml
	cd e2e/kubetools && $(GO) tool helm-docs --chart-search-root=$(CURDIR)/charts --template-files=README.md.gotmpl

cuts: ## a thousand uploads cut at random points
	cd e2e && $(GO) test -count=1 -timeout 30m -v -run TestCuts .

bench: ## figures of the server process: CPU, throughput, memory
	ulimit -n $$(ulimit -Hn) && cd e2e && $(GO) run ./bench

apt: # what the tests need: installed when root, else named
	@e2e/apt.sh $(TOOLS)

$(BIN)/golangci-lint: e2e/tools/go.mod e2e/tools/go.sum
	$(GO) -C e2e/tools build -o $(BIN)/ tool
	@touch $@

clean: ## what the other targets made
	rm -rf $(BIN)
