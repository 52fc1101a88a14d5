# SPDX-License-Identifier: GPL-2.0-or-later
# A thin front to Meson and Ninja; `make help` lists what there is.

# SANITIZE=1 builds and tests with AddressSanitizer and UBSan, in a directory of its own.
ifdef SANITIZE
BUILD := build-sanitize
SETUP := -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized
else
BUILD := build
SETUP :=
endif

# Warnings are errors where CI looks; a newer compiler must not stop a user.
ifdef CI
SETUP += -Dwerror=true
endif

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 300

# What a test run builds and shows; TEST_ARGS narrows it: make test TEST_ARGS='--suite unit'.
TEST_ARGS ?=

.DEFAULT_GOAL := all
SOAK_SECONDS ?= 600

.PHONY: all deps modules demo test test-kernels test-debug bench fuzz soak lab lint format install clean help

all: deps $(BUILD)/build.ninja ## build everything
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(SETUP) --prefix $(PREFIX) $(BUILD)

deps: ## install what is missing of Debian's packages
	@tools/deps.sh build plot lab check modules

modules: all ## build the kernel modules for the lab's kernel
	@tools/modules.sh $(BUILD)

demo: all ## two guests share one core by contract, 70 to 30
	@tools/demo.sh $(BUILD)

test: all ## run all tests
	@tools/test.sh $(BUILD) $(TEST_ARGS)

test-kernels: all ## test the kernel modules on four kernels
	@tools/deps.sh lint
	@tools/test-kernels.sh $(BUILD) modules 5.10 6.1 6.12 7.3

test-debug: all ## test them on a kernel with KASAN and lockdep, which is built first
	@tools/deps.sh debug
	@tools/test-kernels.sh $(BUILD) modules,race debug

bench: all ## measure every claim against its baseline
	@ninja -C $(BUILD) bench
	@bench/run $(BUILD)

fuzz: all ## fuzz every parser of foreign bytes, FUZZ_SECONDS each
	@tools/deps.sh fuzz
	@tests/fuzz/run.sh $(BUILD) $(FUZZ_SECONDS)

soak: all ## start, stop and change 200 guests at random under the sanitizers, for SOAK_SECONDS
	@test -e build-sanitize/build.ninja || $(MAKE) SANITIZE=1 build-sanitize/build.ninja
	@tools/soak.sh $(BUILD) build-sanitize $(SOAK_SECONDS)

lab: all ## a shell in the throwaway machine
	@$(BUILD)/matrix lab shell

lint: all ## check formatting, clang-tidy, cppcheck
	@tools/deps.sh lint
	@tools/lint.sh $(BUILD)

format: ## format all C sources
	@tools/deps.sh lint
	@git ls-files '*.c' '*.h' | grep -v -e '^kernel/' -e '/uapi/' | xargs clang-format -i

install: all ## install below PREFIX (default /usr/local)
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	meson install -C $(BUILD)

clean: ## delete what was built; downloads of the lab stay in build/lab
	@test ! -e build/build.ninja || ninja -C build -t clean >/dev/null
	@rm -rf build-sanitize build-fuzz

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24
