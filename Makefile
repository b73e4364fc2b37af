# make demo   the whole road on a live guest, ends by itself
# make test   everything, installing what is missing
# make check  format, vet, staticcheck, floors, builds for other systems, race tests, short fuzzing
# make bench  side by side with gdb; writes docs/performance.md
# make soak   kills ukdbg, its guard and both 1,000 times; stops guests 2,000 times beside gdb
# make guest  rebuilds the guest unikernel's images

GO ?= go
# A count, not a time: go test reports a time that ends under load as a failure.
FUZZTIME ?= 3000x


.PHONY: all build demo test check fmt vet lint cross race fuzz soak bench guest guest-check demo-data tools clean

all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/ukdbg ./cmd/ukdbg-pprof

demo:
	@scripts/install.sh qemu
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/ukdbg ./cmd/ukdbg
	@$(GO) run ./internal/rundemo bin/ukdbg

tools:
	@scripts/install.sh qemu gdb cross clang readers debuginfo dumps sources prometheus deploy

test: tools check guest-check demo

check: fmt vet lint cross race fuzz

fmt:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not gofmt'ed:"; echo "$$bad"; exit 1; }

vet:
	$(GO) vet ./...

lint:
	$(GO) tool staticcheck ./...

# Elsewhere than on Linux guests are debugged through stubs, and dumps and logs read.
cross:
	@for os in darwin freebsd windows; do echo "building for $$os"; GOOS=$$os CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/ukdbg || exit 1; done

race: tools
	$(GO) test -race -timeout 40m ./...

fuzz:
	GO="$(GO)" scripts/fuzz.sh $(FUZZTIME)

# kill -9 a thousand times, a hundred times of a recorder, ten minutes of recording each of the two buffers, and 2,000 stops of
# guests that gdb must see as we do; "make test" does it fifty times, ten times, for four seconds and fifty times.
soak: tools
	UKDBG_SOAK=1000 $(GO) test -count=1 -timeout 90m -v -run 'TestKill|TestRecordKilled|TestRecordSoak' ./cmd/ukdbg
	UKDBG_SOAK=1 $(GO) test -count=1 -timeout 30m -v ./internal/soak
	UKDBG_STOPS=2000 $(GO) test -count=1 -timeout 180m -v -run 'TestRandomStops' ./internal/gdbdiff

bench: tools build
	@scripts/install.sh debuginfo crates linuxdumps
	$(GO) run ./internal/bench -ukdbg bin/ukdbg -o docs/performance.md

guest:
	@scripts/install.sh cross clang
	$(MAKE) -C guest install
	$(MAKE) demo-data

# The demo's embedded guest and dump, from guest/prebuilt.
demo-data:
	@scripts/install.sh qemu
	$(GO) run ./demo/mkdata

# Byte for byte under the recorded toolchain; elsewhere it builds and boots.
guest-check: tools
	$(MAKE) -C guest check

clean:
	rm -rf bin guest/obj
