// SPDX-License-Identifier: GPL-2.0-or-later
/* How the merge map is drawn: tiles, Hilbert's curve, colours; and what is read of command lines. */
#include "base/drawing.h"
#include "ksm/mappings.h"
#include "ksm/picture.h"
#include "ksm/qemu.h"
#include <cairo.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Behind what it needs. */
#include <cmocka.h>

static void the_grid_fits(void **state)
{
    static const struct {
        uint64_t pages;
        unsigned side;
        uint64_t pages_per_tile;
    } cases[] = {
        {0, 1, 1},       {1, 1, 1},       {2, 2, 1},          {5, 4, 1},
        {65536, 256, 1}, {65537, 256, 2}, {1 << 20, 256, 16}, {(1 << 20) + 1, 256, 32},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ksm_grid grid = ksm_grid_choose(KSM_ROWS, cases[i].pages);
        assert_int_equal(grid.side, cases[i].side);
        assert_int_equal(grid.pages_per_tile, cases[i].pages_per_tile);
    }
    const struct ksm_grid grid = ksm_grid_choose(KSM_ROWS, 65537);
    assert_int_equal(ksm_grid_tiles(&grid, 65537), 32769);
    assert_int_equal(ksm_grid_rows(&grid, 65537), 129);
}

/* Every tile has a place of its own, and the next one is beside it. */
static void hilberts_curve_is_one(void **state)
{
    for (unsigned side = 1; side <= KSM_GRID_SIDE_MAX; side *= 2) {
        const struct ksm_grid grid = {KSM_HILBERT, side, 1};
        bool *taken = calloc((size_t)side * side, sizeof(bool));
        unsigned last_x = 0, last_y = 0;
        for (uint64_t tile = 0; tile < (uint64_t)side * side; tile++) {
            unsigned x, y;
            ksm_grid_place(&grid, tile, &x, &y);
            assert_true(x < side && y < side && !taken[y * side + x]);
            taken[y * side + x] = true;
            assert_int_equal(abs((int)x - (int)last_x) + abs((int)y - (int)last_y), tile != 0);
            last_x = x;
            last_y = y;
        }
        /* It ends at a corner beside the one where it began. */
        assert_int_equal(last_x + last_y, side - 1);
        free(taken);
    }
}

static uint64_t page(enum ksm_state state)
{
    return (uint64_t)state << KSM_PAGE_STATE_SHIFT | 42;
}

static void a_tile_is_what_most_of_it_is(void **state)
{
    const uint64_t pages[] = {page(KSM_SHARED), page(KSM_PRIVATE), page(KSM_SHARED),
                              page(KSM_PRIVATE), page(KSM_ZERO)};
    assert_int_equal(ksm_tile_state(pages, 1), KSM_SHARED);
    assert_int_equal(ksm_tile_state(pages, 3), KSM_SHARED);
    assert_int_equal(ksm_tile_state(pages, 5), KSM_PRIVATE);
}

/* L* of CIE 1976, from 0 to 100: what is left of a colour in grey. */
static double lightness(uint32_t colour)
{
    static const double weights[3] = {0.2126, 0.7152, 0.0722};
    double y = 0;
    for (unsigned i = 0; i < 3; i++) {
        const double value = (colour >> (16 - 8 * i) & 0xff) / 255.0;
        y += weights[i] * (value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4));
    }
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static void colours_differ_in_grey(void **state)
{
    for (unsigned i = 0; i < KSM_STATES; i++)
        for (unsigned j = 0; j < i; j++)
            assert_true(fabs(lightness(ksm_state_colour(i)) - lightness(ksm_state_colour(j))) > 6);
}

static void names_of_pictures_are_checked(void **state)
{
    static const char *const bad[] = {"", "map", ".png", "map.gif", "map.png.", "svg"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct matrix_error *error = drawing_check_name(bad[i]);
        assert_non_null(error);
        matrix_error_free(error);
    }
    assert_null(drawing_check_name("a.b/map.png"));
    assert_null(drawing_check_name("map.svg"));
}

/* How many pixels of a part of a PNG are grey: neither a state's colour, nor white. */
static unsigned grey_pixels(const char *path, unsigned left, unsigned top, unsigned side)
{
    cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    unsigned count = 0;
    for (unsigned y = top; y < top + side; y++)
        for (unsigned x = left; x < left + side; x++) {
            const unsigned char *pixel = data + y * stride + (size_t)x * 4;
            count += pixel[0] == pixel[1] && pixel[1] == pixel[2] && pixel[0] > 0 && pixel[0] < 255;
        }
    cairo_surface_destroy(surface);
    return count;
}

#define PANEL_LEFT 124 /* of the first, below its caption */
#define PANEL_TOP  122

/* Draws the first so many pages of 16, untouched, along Hilbert's curve; counts grey in a quarter. */
static unsigned grey_in_quarter(unsigned pages, unsigned x, unsigned y)
{
    static const char path[] = "test-ksm-picture.png";
    uint64_t memory[16] = {0}, *all[] = {memory}, pairs[1] = {0}, within[1] = {0};
    struct ksm_counts counts[1] = {0};
    struct ksm_region region = {.bytes = pages * 4096ULL};
    struct ksm_subject subject = {.name = "neo", .regions = &region, .region_count = 1};
    const struct ksm_subject_list list = {.subjects = &subject, .count = 1};
    struct ksm_map map = {
        .list = &list, .pages = all, .counts = counts, .pairs = pairs, .within = within};
    for (unsigned i = 0; i < 16; i++)
        memory[i] = page(KSM_UNTOUCHED);
    struct matrix_error *error = ksm_picture_draw(&map, KSM_HILBERT, path);
    assert_null(error);
    const unsigned grey = grey_pixels(path, PANEL_LEFT + 256 * x + 2, PANEL_TOP + 256 * y + 2, 252);
    unlink(path);
    return grey;
}

static void no_memory_is_not_untouched_memory(void **state)
{
    assert_int_equal(grey_in_quarter(16, 1, 0), 0);
    assert_int_equal(grey_in_quarter(5, 0, 0), 0);
    assert_true(grey_in_quarter(5, 1, 0) > 10000);
}

static void a_picture_is_written_whole_or_not_at_all(void **state)
{
    static const char path[] = "test-ksm-picture.svg";
    struct drawing drawing;
    struct matrix_error *error = drawing_check_place("none/map.svg");
    assert_non_null(error);
    assert_non_null(strstr(error->message, "No such file or directory"));
    matrix_error_free(error);
    assert_null(drawing_check_place(path));
    assert_int_equal(access(path, F_OK), -1);
    drawing_begin(&drawing, path, 10, 10);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(drawing_end(&drawing));
    assert_int_equal(access(path, F_OK), 0);
    assert_null(drawing_check_place(path));
    unlink(path);
}

static void mappings_are_read_right(void **state)
{
    static const struct {
        const char *line;
        bool is_private, is_writable, is_anonymous, is_special;
    } good[] = {
        {"7f00-8000 rw-p 00000000 00:00 0 \n", 1, 1, 1, 0},
        {"7000-8000 rw-p 00000000 00:00 0 \n", 1, 1, 1, 0},
        {"7000-8000 rw-p 00000000 00:00 0   [heap]\n", 1, 1, 1, 0},
        {"7000-8000 r--p 00000000 08:01 123   /usr/lib/a file [v\n", 1, 0, 0, 0},
        {"7000-8000 rw-s 00000000 00:01 7   /memfd:x (deleted)\n", 0, 1, 0, 0},
        {"7000-8000 r-xp 00000000 00:00 0   [vdso]\n", 1, 0, 1, 1},
    };
    struct ksm_mapping mapping;
    assert_false(ksm_mapping_parse(good[0].line, &mapping)); /* not whole pages */
    for (size_t i = 1; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(ksm_mapping_parse(good[i].line, &mapping));
        assert_int_equal(mapping.is_private, good[i].is_private);
        assert_int_equal(mapping.is_writable, good[i].is_writable);
        assert_int_equal(mapping.is_anonymous, good[i].is_anonymous);
        assert_int_equal(mapping.is_special, good[i].is_special);
    }
    static const char *const bad[] = {"",
                                      "7000-8000",
                                      "7000-8000 rw-p",
                                      "7000-8000 rw-p 0 ",
                                      "Rss:   12 kB\n",
                                      "8000-7000 rw-p 0 0 0 \n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(ksm_mapping_parse(bad[i], &mapping));
}

static void all_of_it_is_mapped_or_not(void **state)
{
    const struct ksm_mapping mappings[] = {
        {.start = 0x1000, .end = 0x3000},
        {.start = 0x3000, .end = 0x5000},
        {.start = 0x6000, .end = 0x7000},
        {.start = UINT64_MAX - 0xfff, .end = UINT64_MAX},
    };
    static const struct {
        uint64_t start, bytes;
        bool is_covered;
    } pieces[] = {
        {0x1000, 0x2000, true},      {0x1000, 0x4000, true},      {0x2000, 0x2000, true},
        {0x6000, 0x1000, true},      {0x1000, 0x5000, false},     {0, 0x2000, false},
        {0x4000, 0x3000, false},     {0x5000, 0x1000, false},     {0x6000, 0x2000, false},
        {0x1000, 1ULL << 44, false}, {0x1000, UINT64_MAX, false}, {0x9000, 0x1000, false},
    };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        assert_int_equal(ksm_mappings_cover(mappings, 4, pieces[i].start, pieces[i].bytes),
                         pieces[i].is_covered);
    assert_false(ksm_mappings_cover(NULL, 0, 0x1000, 0x1000));
}

/* Those that were there before, such as who was named, stay, however large. */
static void the_largest_are_left_out(void **state)
{
    static const uint64_t sizes[] = {900, 5, 80, 20, 80, 3};
    struct ksm_subject_list list = {.subjects = calloc(6, sizeof(*list.subjects)), .count = 6};
    assert_non_null(list.subjects);
    for (size_t i = 0; i < 6; i++) {
        struct ksm_subject *subject = &list.subjects[i];
        subject->regions = calloc(1, sizeof(*subject->regions));
        assert_non_null(subject->regions);
        subject->regions->bytes = sizes[i] * MATRIX_PAGE_BYTES;
        subject->region_count = 1;
    }
    ksm_subject_list_limit(&list, 1, 200 * (uint64_t)MATRIX_PAGE_BYTES);
    assert_int_equal(list.count, 6);
    assert_int_equal(list.left_out, 0);
    ksm_subject_list_limit(&list, 1, 28 * (uint64_t)MATRIX_PAGE_BYTES);
    assert_int_equal(list.count, 4);
    assert_int_equal(list.left_out, 2);
    assert_int_equal(ksm_subject_pages(&list.subjects[0]), 900);
    assert_int_equal(ksm_subject_pages(&list.subjects[2]), 20);
    ksm_subject_list_limit(&list, 1, 0);
    assert_int_equal(list.count, 1);
    ksm_subject_list_free(&list);
}

#define WORDS(text) text, sizeof(text)

static void command_lines_of_qemu_are_read(void **state)
{
    static const struct {
        const char *words;
        size_t size;
        uint64_t ram_mib, low_mib; /* 0: not such a QEMU */
    } cases[] = {
        {WORDS("/usr/bin/qemu-system-x86_64\0-m\0"
               "256"),
         256, 256},
        {WORDS("qemu-system-x86_64"), 128, 128},
        {WORDS("kvm\0--machine\0q35,accel=kvm\0-m\0size=3G,slots=2"), 3072, 2048},
        {WORDS("qemu-kvm\0-M\0pc-i440fx-7.2\0-m\0"
               "3583M"),
         3583, 3583},
        {WORDS("qemu-kvm\0-m\0"
               "1M\0-m\0"
               "0"),
         0, 0},
        {WORDS("qemu-kvm\0-m\0lots"), 0, 0},
        {WORDS("qemu-kvm\0-m\0"
               "99999999999999999999"),
         0, 0},
        {WORDS("qemu-kvm\0-m\0"
               "18446744073709551615"),
         0, 0},
        {WORDS("qemu-kvm\0-machine\0microvm"), 0, 0},
        {WORDS("qemu-kvm\0-machine\0pcx"), 0, 0},
        {WORDS("qemu-kvm\0-numa\0node,memdev=a"), 0, 0},
        {WORDS("qemu-system-aarch64\0-m\0"
               "256"),
         0, 0},
        {WORDS("qemu-kvm\0-m"), 128, 128},
        {"", 0, 0, 0},
        {"qemu-kvm", 8, 0, 0}, /* cut off */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ksm_qemu qemu;
        const bool is_one = ksm_qemu_parse(cases[i].words, cases[i].size, &qemu);
        assert_int_equal(is_one, cases[i].ram_mib != 0);
        if (is_one) {
            assert_int_equal(qemu.ram_bytes, cases[i].ram_mib << 20);
            assert_int_equal(qemu.low_bytes, cases[i].low_mib << 20);
        }
    }
}

static void ram_is_the_only_piece_of_its_size(void **state)
{
    const struct ksm_qemu qemu = {.ram_bytes = 0x4000};
    struct ksm_mapping mappings[] = {
        {0x10000, 0x14000, .is_private = false, .is_writable = true, .is_anonymous = true},
        {0x20000, 0x22000, .is_private = true, .is_writable = true, .is_anonymous = true},
        {0x22000, 0x24000, .is_private = true, .is_writable = true, .is_anonymous = true},
        {0x30000, 0x34000, .is_private = true, .is_writable = true, .is_anonymous = true},
        {0x34000, 0x35000, .is_private = true, .is_writable = true, .is_anonymous = true},
    };
    assert_int_equal(ksm_qemu_find_ram(&qemu, mappings, 5), 0x30000); /* one piece goes first */
    assert_int_equal(ksm_qemu_find_ram(&qemu, mappings, 3), 0x20000); /* then a row of them */
    assert_int_equal(ksm_qemu_find_ram(&qemu, mappings, 1), 0x10000); /* then what else there is */
    mappings[1].end = 0x24000;
    assert_int_equal(ksm_qemu_find_ram(&qemu, mappings + 3, 0), 0);
    mappings[4] = mappings[3];
    mappings[4].start += 0x10000;
    mappings[4].end += 0x10000;
    assert_int_equal(ksm_qemu_find_ram(&qemu, mappings + 3, 2), 0); /* which one? */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grid_fits),
        cmocka_unit_test(hilberts_curve_is_one),
        cmocka_unit_test(a_tile_is_what_most_of_it_is),
        cmocka_unit_test(colours_differ_in_grey),
        cmocka_unit_test(names_of_pictures_are_checked),
        cmocka_unit_test(no_memory_is_not_untouched_memory),
        cmocka_unit_test(a_picture_is_written_whole_or_not_at_all),
        cmocka_unit_test(mappings_are_read_right),
        cmocka_unit_test(all_of_it_is_mapped_or_not),
        cmocka_unit_test(the_largest_are_left_out),
        cmocka_unit_test(command_lines_of_qemu_are_read),
        cmocka_unit_test(ram_is_the_only_piece_of_its_size),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cairo_debug_reset_static_data(); /* its fonts, for valgrind */
    return failed;
}
