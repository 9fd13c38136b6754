# `make` alone lists what there is.
PREFIX ?= /usr/local
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
# Clones of the same sources share what ccache knows: neither paths below the clone nor the language of messages count.
export CCACHE_BASEDIR = $(CURDIR)
export CCACHE_NOHASHDIR = 1
export CCACHE_SLOPPINESS = locale

help:
	@echo "make quickstart  install what is missing, build, back up and restore real files on this machine"
	@echo "make build       the recoup executable, in build/release/recoup"
	@echo "make install     executable, headers and CMake package into PREFIX ($(PREFIX))"
	@echo "make test        everything that is tested; tests/run PART runs a part (build release dev tsan fuzz"
	@echo "                 consumer aarch64 python interop s3 terraform system)"
	@echo "make provider    the Terraform provider with engine and bundle, in build/terraform, to be used from there"
	@echo "make bench       what the parts do, and the whole beside restic, rustic, borg, bupstash: an hour; see bench/README.md"
	@echo "make umbrella    write include/recoup/recoup.hpp anew, after a header came or went"
	@echo "make clean       remove build/, with the quickstart's repository in it"

quickstart: build
	@tools/quickstart.sh

build: prerequisites
	cmake --preset release
	cmake --build --preset release --target recoup_command

install:
	cmake --install build/release --prefix "$(PREFIX)"

test:
	@tests/run

bench: prerequisites
	@tools/packages.sh bench
	cmake --preset release -DRECOUP_BUILD_BENCHMARKS=ON
	cmake --build --preset release --target recoup_command stages_bench
	@[ ! -x bench/chunker/run ] || bench/chunker/run
	build/release/bench/stages_bench
	@tools/peers.sh >/dev/null
	bench/peers

provider: build
	@tools/provider.sh

umbrella:
	cmake -DSOURCE_DIR=$(CURDIR) -P cmake/umbrella.cmake

clean:
	rm -rf build

prerequisites:
	@tools/packages.sh build
	@tools/static-libraries.sh

.PHONY: help quickstart build install test provider bench umbrella clean prerequisites
