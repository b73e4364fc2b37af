# SPDX-License-Identifier: BSD-3-Clause
# The images with a sanitizer or a hardening, one each. Included by ../Makefile.

RUNTIME_ssp := san/ssp.c san/fault_smash.c
RUNTIME_ubsan := san/ubsan.c san/fault_ubsan.c
RUNTIME_kasan := san/kasan.c san/fault_kasan.c
RUNTIME_cfi := san/kcfi.c san/fault_cfi.c san/fault_icall.c san/fault_ubsan.c
SAN_VARIANTS := ssp ubsan kasan cfi
# What the image of variant $(1) is linked without.
san_absent = $(filter-out $(RUNTIME_$(1)),$(foreach v,$(SAN_VARIANTS),$(RUNTIME_$(v))))

VARIANTS_x86_64 += $(SAN_VARIANTS)
VARIANTS_arm64 += $(SAN_VARIANTS)

# Not instrumented: what runs before or below a runtime, the runtimes, and the
# heap, which alone may touch freed memory.
NOSAN := kern/string.c kern/reloc.c kern/malloc.c kern/allocbbuddy.c arch/% stub/% \
	san/init.c san/ssp.c san/ubsan.c san/kasan.c san/kcfi.c san/pkey_%

CFLAGS_v_ssp := $(FP) $(NOPIE)
SAN_v_ssp := -fstack-protector-strong -mstack-protector-guard=global

CFLAGS_v_ubsan := $(FP) $(NOPIE)
SAN_v_ubsan := -fsanitize=undefined

# Every access is a call, as Unikraft builds it: no stack and no globals.
CFLAGS_v_kasan := $(FP) $(NOPIE)
SAN_v_kasan := -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0 \
	--param asan-stack=0 --param asan-globals=0

# kCFI is an ABI (a type word in front of each function), so all C is built with
# it. Two files show clang's other traps: of the check that needs link-time
# optimisation, and of UBSan. $$< is the source, when its recipe runs.
COMPILER_v_cfi := $(CLANG)
CFLAGS_v_cfi := $(FP) $(NOPIE) -Wno-gnu-variable-sized-type-not-at-end \
	$$(if $$(filter san/fault_icall.c,$$<),-flto -fvisibility=hidden -fsanitize=cfi-icall -fsanitize-trap=cfi-icall \
	-fno-sanitize-ignorelist,$$(if $$(filter %.c,$$<),-fsanitize=kcfi))
SAN_v_cfi := $$(if $$(filter san/fault_ubsan.c,$$<),-fsanitize=undefined -fsanitize-trap=undefined)
