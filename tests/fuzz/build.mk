# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the fuzz targets with clang, for run.sh: make -f tests/fuzz/build.mk BUILD=DIR
# Apart from Meson, because every source here is compiled once more, by another compiler.
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
CC = clang
TARGETS := board config console control experiment hypercall image lens manage parse policy recording report
SANITIZE := address,undefined
FLAGS := -g -O1 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -std=gnu17 -D_GNU_SOURCE -DMATRIX_VERSION='"fuzz"' -DMATRIX_LIBEXECDIR='"/nowhere"' \
  -DMATRIX_GUESTDIR='"/nowhere"' -DCALLER_IMAGE='"$(abspath $(BUILD))/caller.elf"' \
  -I$(ROOT) -I$(ROOT)/include -fno-omit-frame-pointer -fno-sanitize-recover=all \
  -fsanitize=fuzzer-no-link,$(SANITIZE) -MMD -MP
LIBRARIES := -lcyaml -lyaml -ljansson -lsqlite3 -lZydis -lm

SOURCES := $(wildcard $(addprefix $(ROOT)/,base/*.c vmm/*.c vmm/x86_64/*.c vmm/x86_64/*.S cloud/*.c control/*.c lens/*.c \
  ksm/database.c ksm/experiment_[fs]*.c ksm/journal.c ksm/knobs.c ksm/recording.c ksm/text.c ksm/value.c ksm/walk.c \
  cli/cloud_command*.c cli/cloud_console.c cli/cloud_guests.c cli/cloud_check.c cli/cloud_live.c cli/cloud_outputs.c cli/cloud_periods.c cli/cloud_places.c cli/cloud_reload*.c cli/cloud_service.c cli/service.c cli/common.c cli/find_image.c cli/json.c cli/report*.c cli/modules_log.c))
OBJECTS := $(patsubst $(ROOT)/%,$(BUILD)/%.o,$(filter-out %/cli/report.c %/base/drawing.c,$(SOURCES)))
PROGRAMS := $(TARGETS:%=$(BUILD)/fuzz_%)

GUEST_FLAGS := -Qunused-arguments -g -O2 -std=gnu17 -ffreestanding -fno-builtin -fno-stack-protector -fno-pie \
  -march=x86-64 -I$(ROOT) -I$(ROOT)/include -static -nostdlib -no-pie -Wl,--build-id=none \
  -Wl,-z,separate-code -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-z,norelro
GUEST_SOURCES := $(addprefix $(ROOT)/,tests/fuzz/guests/caller.c guest/start.c guest/library.c)

all: $(PROGRAMS) $(BUILD)/caller.elf

$(BUILD)/%.o: $(ROOT)/%
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -c -o $@ $<

# KVM's ioctls are played where no KVM is needed.
$(BUILD)/fuzz_image: LINK := -Wl,--wrap=ioctl

# The cloud's file is made up.
$(BUILD)/fuzz_manage: LINK := -Wl,--wrap=config_read

# Nobody is waited for.
$(BUILD)/fuzz_board: LINK := -Wl,--wrap=clock_gettime

# From an archive: a target brings in what it uses, and nothing else.
$(BUILD)/product.a: $(OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.c.o $(BUILD)/product.a
	$(CC) -fsanitize=fuzzer,$(SANITIZE) $(LINK) -o $@ $^ $(LIBRARIES)

$(BUILD)/caller.elf: $(GUEST_SOURCES) $(ROOT)/tests/fuzz/mailbox.h $(wildcard $(ROOT)/include/matrix/guest/*.h)
	@mkdir -p $(@D)
	$(CC) $(GUEST_FLAGS) -o $@ $(GUEST_SOURCES)

-include $(OBJECTS:.o=.d) $(PROGRAMS:$(BUILD)/%=$(BUILD)/tests/fuzz/%.c.d)
.PHONY: all
.SECONDARY:
