// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loader's door: a sound image, then one thing wrong with it at a time. Each refusal names the
 * file and the field or offset.
 */
#include "tests/unit/made_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_sound_file(void **state)
{
    struct image image;
    uint8_t byte;
    assert_accepted(&image);
    assert_int_equal(image.entry, TEXT_GVA + 8);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[0].gva, TEXT_GVA); /* sorted */
    assert_true(image.segments[0].executable && !image.segments[0].writable);
    assert_int_equal(image.segments[1].gva, DATA_GVA);
    assert_true(!image.segments[1].executable && image.segments[1].writable);
    assert_int_equal(image.segments[1].memory_bytes, 0x3000);
    assert_int_equal(image.segments[1].file_bytes, sizeof(made.data));
    assert_null(image_read(&image, image.segments[0].file_offset, &byte, 1));
    assert_int_equal(byte, 0xcc);
    image_close(&image);
}

/* --- the file ------------------------------------------------------------------------------- */

static void test_every_truncation(void **state)
{
    for (size_t bytes = 0; bytes < sizeof(made); bytes++) {
        made_bytes = bytes;
        if (bytes == 0)
            assert_refused("the file is empty");
        else if (bytes < SELFMAG)
            assert_refused("not an ELF file");
        else if (bytes < offsetof(struct made_file, segments) + 2 * sizeof(Elf64_Phdr))
            assert_refused("truncated");
        else
            assert_refused(""); /* a header, or what it refers to */
    }
}

static void test_not_elf(void **state)
{
    memcpy(&made, "#!/bin/sh\n", 10);
    assert_refused("not an ELF file (offset 0)");
    made_bytes = 10;
    assert_refused("not an ELF file (offset 0)");
}

static void test_no_regular_file(void **state)
{
    static const char *const paths[] = {"/", "/dev/null", "/dev/zero"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct image image;
        struct matrix_error *error = image_open(paths[i], &image);
        assert_non_null(error);
        assert_non_null(strstr(error->message, "not a regular file"));
        assert_non_null(strstr(error->message, paths[i]));
        matrix_error_free(error);
    }
}

static void test_fifo_does_not_block(void **state)
{
    char directory[] = "/tmp/matrix-test-XXXXXX", path[64];
    struct image image;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct matrix_error *error = image_open(path, &image);
    unlink(path);
    rmdir(directory);
    assert_non_null(error);
    assert_non_null(strstr(error->message, "not a regular file"));
    matrix_error_free(error);
}

/* --- the header ----------------------------------------------------------------------------- */

static void test_class(void **state)
{
    made.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused("32-bit ELF file (e_ident[EI_CLASS] is 1)");
}

static void test_byte_order(void **state)
{
    made.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused("e_ident[EI_DATA] is 2");
}

static void test_machine(void **state)
{
    made.header.e_machine = EM_AARCH64;
    assert_refused("e_machine is 183");
}

static void test_type(void **state)
{
    static const uint16_t types[] = {ET_NONE, ET_REL, ET_DYN, ET_CORE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        made.header.e_type = types[i];
        assert_refused("e_type");
    }
}

static void test_no_program_headers(void **state)
{
    made.header.e_phnum = 0;
    assert_refused("e_phnum is 0");
    made_reset(state);
    made.header.e_phentsize = 32;
    assert_refused("e_phentsize is 32");
}

static void test_program_headers_elsewhere(void **state)
{
    made.header.e_phoff = sizeof(made) - 8;
    assert_refused("program header 0");
    made.header.e_phoff = UINT64_MAX - 60;
    assert_refused("program header");
    made.header.e_phoff = 1ULL << 63;
    assert_refused("program header 0");
    made_reset(state);
    made.header.e_phnum = UINT16_MAX;
    assert_refused("");
}

static void test_dynamic(void **state)
{
    made.segments[2].p_type = PT_INTERP;
    assert_refused("not static: program header 2 is PT_INTERP");
    made.segments[2].p_type = PT_DYNAMIC;
    assert_refused("not static: program header 2 is PT_DYNAMIC");
}

static void test_entry(void **state)
{
    static const uint64_t entries[] = {0, TEXT_GVA - 1, TEXT_GVA + 64, DATA_GVA, UINT64_MAX};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        made.header.e_entry = entries[i];
        assert_refused("e_entry");
    }
}

/* --- segments ------------------------------------------------------------------------------- */

static void test_nothing_to_load(void **state)
{
    made.segments[0].p_type = made.segments[1].p_type = PT_NULL;
    assert_refused("nothing to load");
    made_reset(state);
    made.segments[0].p_memsz = made.segments[0].p_filesz = 0; /* empty segments are none */
    made.segments[1].p_memsz = made.segments[1].p_filesz = 0;
    assert_refused("nothing to load");
}

static void test_overlap(void **state)
{
    made.segments[0].p_vaddr = TEXT_GVA + 16;
    assert_refused("segments overlap: 0x400000 to 0x400040, and the one at 0x400010");
    made.segments[0].p_vaddr = TEXT_GVA;
    assert_refused("segments overlap");
    made.segments[0].p_vaddr = TEXT_GVA - 0x2000; /* its .bss reaches over the text */
    assert_refused("segments overlap: 0x3fe000");
}

static void test_shared_page(void **state)
{
    made.segments[0].p_vaddr = TEXT_GVA + 64;
    assert_refused("share the page at 0x400000");
}

static void test_wrap(void **state)
{
    made.segments[0].p_vaddr = UINT64_MAX - 0x1000;
    assert_refused("segment 0: p_vaddr 0xffffffffffffefff plus p_memsz 0x3000 wraps around");
    made.segments[0].p_vaddr = DATA_GVA;
    made.segments[0].p_memsz = UINT64_MAX;
    assert_refused("segment 0");
}

static void test_outside(void **state)
{
    static const uint64_t places[] = {0,         0xfff0,         IMAGE_END - 0x2000,
                                      IMAGE_END, 0x7fffffff0000, 0xffff800000000000};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        made.segments[0].p_vaddr = places[i];
        assert_refused("outside 0x10000 to 0x600000000000");
    }
}

static void test_first_and_last_addresses(void **state)
{
    struct image image;
    made.segments[0].p_vaddr = IMAGE_START;
    assert_accepted(&image);
    image_close(&image);
    made.segments[0].p_vaddr = IMAGE_END - 0x3000;
    assert_accepted(&image);
    image_close(&image);
}

static void test_huge(void **state)
{
    made.segments[0].p_memsz = (1ULL << 30) + 1;
    assert_refused("p_memsz 0x40000001 is huge");
}

static void test_file_part_is_larger(void **state)
{
    made.segments[0].p_memsz = 16;
    assert_refused("segment 0: p_filesz (0x20) is more than p_memsz (0x10)");
}

static void test_content_elsewhere(void **state)
{
    made.segments[1].p_offset = sizeof(made) - 8;
    assert_refused("segment 1: the file is truncated");
    made.segments[1].p_offset = UINT64_MAX - 8;
    assert_refused("segment 1: the file is truncated");
}

static void test_writable_and_executable(void **state)
{
    made.segments[1].p_flags = PF_R | PF_W | PF_X;
    assert_refused("segment 1: writable and executable at once (p_flags is 0x7)");
}

static void test_too_many_segments(void **state)
{
    static struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[IMAGE_SEGMENTS_MAX + 1];
    } many;
    struct image image;
    many.header = made.header;
    many.header.e_phoff = sizeof(Elf64_Ehdr);
    many.header.e_entry = 0x100000;
    for (unsigned count = IMAGE_SEGMENTS_MAX; count <= IMAGE_SEGMENTS_MAX + 1; count++) {
        int fd = memfd_create("image", MFD_CLOEXEC);
        many.header.e_phnum = (uint16_t)count;
        for (unsigned i = 0; i < count; i++)
            many.segments[i] = made_segment(0x100000 + i * 4096, 0, 1, PF_R | PF_X);
        assert_int_equal(write(fd, &many, sizeof(many)), sizeof(many));
        struct matrix_error *error = image_open_fd(fd, "made.elf", &image);
        assert_int_equal(error != NULL, count > IMAGE_SEGMENTS_MAX);
        if (error)
            assert_non_null(strstr(error->message, "more than 32 segments"));
        matrix_error_free(error);
        image_close(&image);
    }
}

/* --- all of it ------------------------------------------------------------------------------- */

static void test_every_byte_changed(void **state)
{
    for (size_t at = 0; at < sizeof(made); at++)
        for (unsigned bit = 0; bit < 8; bit += 7) {
            struct image image;
            uint64_t offset;
            made_reset(state);
            ((uint8_t *)&made)[at] ^= (uint8_t)(1 << bit);
            struct matrix_error *error = made_open(&image);
            if (!error) {
                image_symbol(&image, TEXT_GVA + 8, &offset);
                image_close(&image);
            }
            matrix_error_free(error);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, made_reset)
    const struct CMUnitTest tests[] = {
        TEST(test_sound_file),
        TEST(test_every_truncation),
        TEST(test_not_elf),
        TEST(test_no_regular_file),
        TEST(test_fifo_does_not_block),
        TEST(test_class),
        TEST(test_byte_order),
        TEST(test_machine),
        TEST(test_type),
        TEST(test_no_program_headers),
        TEST(test_program_headers_elsewhere),
        TEST(test_dynamic),
        TEST(test_entry),
        TEST(test_nothing_to_load),
        TEST(test_overlap),
        TEST(test_shared_page),
        TEST(test_wrap),
        TEST(test_outside),
        TEST(test_first_and_last_addresses),
        TEST(test_huge),
        TEST(test_file_part_is_larger),
        TEST(test_content_elsewhere),
        TEST(test_writable_and_executable),
        TEST(test_too_many_segments),
        TEST(test_every_byte_changed),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
