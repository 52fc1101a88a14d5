// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boards: what one side writes the other reads; a reader that was overtaken says so; and memory that
 * is no board, or lies, is refused. The writer here is that of the core, without a core.
 */
#include "board_world.h"

#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIMIT_NS 40000000000ULL

/* --- what is written is read ----------------------------------------------------------------- */

static void test_core_and_guests(void **state)
{
    struct matrix_board_core core = {.host_cpu = -1, .slice_ns = 1000000, .delay_buckets = {7, 8}};
    struct matrix_board_guest guest = {.id = 3,
                                       .name = "neo",
                                       .state = "ready",
                                       .weight = 70,
                                       .region_count = 1,
                                       .regions = {{0, 4096, 8192}}};
    board_memory_write_core(&memory, &core);
    assert_int_equal(matrix_board_slots(board), 0);
    board_memory_write_guest(&memory, 2, &guest);
    assert_int_equal(matrix_board_slots(board), 3);

    struct matrix_board_core core_read;
    struct matrix_board_guest guest_read;
    succeed(matrix_board_core(board, &core_read));
    assert_memory_equal(&core, &core_read, sizeof(core));
    succeed(matrix_board_guest(board, 2, &guest_read));
    assert_memory_equal(&guest, &guest_read, sizeof(guest));
    succeed(matrix_board_guest(board, 1, &guest_read));
    assert_int_equal(guest_read.id, 0);
    refuse(matrix_board_guest(board, SLOTS, &guest_read), "guest 8 of a board for 8");
    assert_int_equal(matrix_board_pid(board), getpid());
}

static void test_a_board_is_read_only(void **state)
{
    const int writable = MAP_SHARED;
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, writable, memory.fd, 0), MAP_FAILED);
    assert_int_equal(errno, EPERM);
    assert_int_equal(pwrite(memory.fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(memory.fd, 0), -1);
    assert_int_equal(ftruncate(memory.fd, 1 << 30), -1);
    assert_int_equal(fcntl(memory.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void write_stays(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint64_t number = memory.header->stays;
        struct matrix_board_stay stay = {
            .guest = 1 + number % 3, .start_ns = number * 10, .end_ns = number * 10 + 9};
        board_memory_write_stay(&memory, &stay);
    }
}

static void test_stays_in_order(void **state)
{
    struct matrix_board_stay stays[STAYS];
    uint64_t next = 0, lost = 0;
    size_t count = 1;
    succeed(matrix_board_stays(board, &next, stays, STAYS, &count, &lost));
    assert_int_equal(count, 0);
    for (unsigned round = 0; round < 30; round++) {
        write_stays(5);
        succeed(matrix_board_stays(board, &next, stays, STAYS, &count, &lost));
        assert_int_equal(count, 5);
        assert_int_equal(stays[0].number, round * 5 + 1);
        assert_int_equal(stays[4].start_ns, (round * 5 + 4) * 10);
    }
    write_stays(5);
    succeed(matrix_board_stays(board, &next, stays, 3, &count, &lost));
    assert_int_equal(count, 3);
    assert_int_equal(next, 153);
    assert_int_equal(lost, 0);
    assert_int_equal(matrix_board_stays_now(board), 155);
}

static void test_who_is_overtaken_knows(void **state)
{
    struct matrix_board_stay stays[STAYS];
    uint64_t next = 0, lost = 0;
    size_t count;
    write_stays(100);
    succeed(matrix_board_stays(board, &next, stays, STAYS, &count, &lost));
    /* The oldest one may be under the pen already. */
    assert_int_equal(count, STAYS - 1);
    assert_int_equal(lost, 100 - (STAYS - 1));
    assert_int_equal(stays[0].number, 100 - (STAYS - 1) + 1);
    assert_int_equal(next, 100);
}

/* --- a writer that does not stop ------------------------------------------------------------- */

static bool ends;

static void *write_on(void *context)
{
    struct matrix_board_guest guest = {.id = 1, .weight = 1, .state = "ready"};
    for (uint64_t round = 0; !__atomic_load_n(&ends, __ATOMIC_RELAXED); round++) {
        guest.cpu_ns = guest.work = guest.latency_ns = guest.memory_bytes = round;
        board_memory_write_guest(&memory, 0, &guest);
        write_stays(1);
    }
    return NULL;
}

/* On a busy machine the writer may be away for long in the middle of an entry. */
static void read_in_the_end(struct matrix_board_guest *guest)
{
    struct matrix_error *error;
    while ((error = matrix_board_guest(board, 0, guest))) {
        assert_int_equal(error->number, EAGAIN);
        matrix_error_free(error);
    }
}

static void test_copies_are_whole_while_it_is_written(void **state)
{
    pthread_t writer;
    struct matrix_board_stay stays[STAYS];
    struct matrix_board_guest guest = {.id = 1, .weight = 1};
    uint64_t next = 0, lost = 0, seen = 0, changes = 0;
    board_memory_write_guest(&memory, 0, &guest);
    assert_int_equal(pthread_create(&writer, NULL, write_on, NULL), 0);
    /* Where there is one processor for both, a change is seen each time that it goes from one to the other. */
    const uint64_t limit_ns = clock_now_ns(CLOCK_MONOTONIC) + LIMIT_NS;
    for (uint64_t last = 0; changes < 500 || seen < 2000;) {
        size_t count;
        if (clock_now_ns(CLOCK_MONOTONIC) > limit_ns)
            break;
        read_in_the_end(&guest);
        assert_int_equal(guest.cpu_ns, guest.work);
        assert_int_equal(guest.cpu_ns, guest.latency_ns);
        assert_int_equal(guest.cpu_ns, guest.memory_bytes);
        changes += guest.cpu_ns != last;
        if (guest.cpu_ns == last)
            sched_yield();
        last = guest.cpu_ns;
        /* Which checks numbers and order. */
        succeed(matrix_board_stays(board, &next, stays, STAYS, &count, &lost));
        seen += count;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(stays[i].start_ns, (stays[i].number - 1) * 10);
            assert_int_equal(stays[i].guest, 1 + (stays[i].number - 1) % 3);
        }
    }
    __atomic_store_n(&ends, true, __ATOMIC_RELAXED);
    pthread_join(writer, NULL);
    print_message("# %lu entries, %lu stays seen, %lu lost\n", changes, seen, lost);
    assert_int_equal(seen + lost, next);
    assert_true(changes >= 500 && seen >= 2000);
}

/* --- memory that is none --------------------------------------------------------------------- */

static void refuse_file(int fd, const char *part)
{
    struct matrix_board *none = board;
    assert_true(fd >= 0);
    refuse(matrix_board_open(fd, &none), part);
    assert_null(none);
    close(fd);
}

static int make_file(const void *bytes, size_t size, off_t length, int seals)
{
    const int fd = memfd_create("no-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    assert_int_equal(ftruncate(fd, length), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void test_no_board(void **state)
{
    static const char zeroes[4096];
    refuse_file(open("/dev/null", O_RDONLY), "no memory of a fixed size");
    refuse_file(open("/dev/zero", O_RDONLY), "no memory of a fixed size");
    refuse_file(open("/proc/self/exe", O_RDONLY), "no memory of a fixed size");
    refuse_file(open("/", O_RDONLY), "no memory of a fixed size");
    refuse_file(make_file(zeroes, 64, 64, F_SEAL_SHRINK), "a size that no board has");
    refuse_file(make_file("", 0, 0, F_SEAL_SHRINK), "a size that no board has");
    refuse_file(make_file("", 0, 1LL << 40, F_SEAL_SHRINK), "a size that no board has");
    refuse_file(make_file(zeroes, 4096, 4096, F_SEAL_SHRINK), "it is none");
    /* It could shrink under the reader, which would die of SIGBUS. */
    refuse_file(make_file(memory.header, memory.header->bytes, (off_t)memory.header->bytes, 0),
                "no memory of a fixed size");
    refuse_file(make_file(memory.header, memory.header->bytes, (off_t)memory.header->bytes,
                          F_SEAL_GROW | F_SEAL_WRITE),
                "no memory of a fixed size");
}

static const struct {
    size_t offset, bytes;
    uint64_t value;
    const char *part;
} lies[] = {
#define FIELD(name) \
    offsetof(struct matrix_board_header, name), sizeof(((struct matrix_board_header *)0)->name)
    {FIELD(magic), 0, "it is none"},
    {FIELD(version), 2, "not the version"},
    {FIELD(pid), 0, "no pid"},
    {FIELD(pid), UINT32_MAX, "no pid"},
    {FIELD(bytes), 1 << 20, "another size"},
    {FIELD(core_bytes), 16, "no known size"},
    {FIELD(core_bytes), 65544, "no known size"},
    {FIELD(guest_bytes), 1001, "no known size"},
    {FIELD(stay_bytes), 56, "no known size"},
    {FIELD(stay_bytes), 4096, "not in it"},
    {FIELD(stay_slots), 15, "no known number"},
    {FIELD(stay_slots), 0, "no known number"},
    {FIELD(stay_slots), 1 << 20, "not in it"},
    {FIELD(group_bytes), 8, "no known size"},
    {FIELD(group_slots), 0, "no known number"},
    {FIELD(group_slots), 1 << 20, "not in it"},
    {FIELD(group_offset), UINT64_MAX - 7, "not in it"},
    {FIELD(guest_slots), 0, "no known number"},
    {FIELD(guest_slots), UINT32_MAX, "no known number"},
    {FIELD(guest_slots), 1 << 20, "not in it"},
    {FIELD(core_offset), 0, "not in it"},
    {FIELD(core_offset), 4100, "not in it"},
    {FIELD(guest_offset), UINT64_MAX - 7, "not in it"},
    {FIELD(stay_offset), 1ULL << 40, "not in it"},
};

static void test_headers_that_lie(void **state)
{
    const struct matrix_board_header good = *memory.header;
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct matrix_board *none;
        memcpy((char *)memory.header + lies[i].offset, &lies[i].value, lies[i].bytes);
        refuse(matrix_board_open(memory.fd, &none), lies[i].part);
        *memory.header = good;
    }
}

static void refuse_guest(struct matrix_board_guest guest, const char *part)
{
    board_memory_write_guest(&memory, 0, &guest);
    refuse(matrix_board_guest(board, 0, &guest), part);
}

static void test_guests_that_are_none(void **state)
{
    const struct matrix_board_guest good = {.id = 1, .weight = 1, .region_count = 1};
    struct matrix_board_guest guest = good;
    memset(guest.name, 'x', sizeof(guest.name));
    refuse_guest(guest, "a name without end");
    guest = good;
    memset(guest.group, 'x', sizeof(guest.group));
    refuse_guest(guest, "a name without end");
    guest = good;
    memset(guest.state, 'x', sizeof(guest.state));
    refuse_guest(guest, "a name without end");
    guest = good;
    guest.weight = 0;
    refuse_guest(guest, "a guest that is none");
    guest = good;
    guest.ceiling_ppm = 1000001;
    refuse_guest(guest, "a guest that is none");
    guest = good;
    guest.region_count = MATRIX_BOARD_REGIONS + 1;
    refuse_guest(guest, "a guest that is none");
    guest = good;
    guest.regions[0] = (struct matrix_board_region){.hva = UINT64_MAX, .bytes = 1};
    refuse_guest(guest, "a guest that is none");
}

static void refuse_stay(struct matrix_board_stay stay, const char *part)
{
    struct matrix_board_stay stays[STAYS];
    uint64_t next = matrix_board_stays_now(board), lost = 0;
    size_t count;
    board_memory_write_stay(&memory, &stay);
    refuse(matrix_board_stays(board, &next, stays, STAYS, &count, &lost), part);
    assert_int_equal(count, 0);
}

static void test_stays_that_are_none(void **state)
{
    struct matrix_board_stay stays[STAYS];
    refuse_stay((struct matrix_board_stay){.guest = 0}, "a stay that is none");
    refuse_stay((struct matrix_board_stay){.guest = 1, .start_ns = 1}, "a stay that is none");
    refuse_stay((struct matrix_board_stay){.guest = 1, .came = 200}, "a stay that is none");
    refuse_stay((struct matrix_board_stay){.guest = 1, .left = 200}, "a stay that is none");
    uint64_t next = matrix_board_stays_now(board), lost = 0;
    size_t count;
    write_stays(2);
    memory.header->stays -= 2; /* the second was written, but is not counted; now twice */
    write_stays(1);
    succeed(matrix_board_stays(board, &next, stays, STAYS, &count, &lost));
    memory.header->stays = 0;
    refuse(matrix_board_stays(board, &next, stays, STAYS, &count, &lost), "fewer stays");
    next = 0;
    memory.header->stays = UINT64_MAX; /* nothing there has such a number */
    refuse(matrix_board_stays(board, &next, stays, STAYS, &count, &lost), "a stay that is none");
    memory.header->stays = 0;
    write_stays(2);
    ((struct matrix_board_stay *)((char *)memory.header + memory.header->stay_offset))[1].start_ns =
        8;
    next = 0;
    refuse(matrix_board_stays(board, &next, stays, STAYS, &count, &lost), "out of order");
}

static void test_a_writer_that_never_ends(void **state)
{
    struct matrix_board_guest guest;
    uint64_t *sequence = (uint64_t *)((char *)memory.header + memory.header->guest_offset);
    *sequence = 1;
    refuse(matrix_board_guest(board, 0, &guest), "being written all the time");
}

static void test_names(void **state)
{
    assert_string_equal(matrix_board_left_name(MATRIX_BOARD_LEFT_SLICE), "slice");
    assert_string_equal(matrix_board_left_name(MATRIX_BOARD_LEFT_END), "end");
    assert_string_equal(matrix_board_left_name(255), "unknown");
    assert_string_equal(matrix_board_came_name(MATRIX_BOARD_CAME_IDLE), "idle");
    assert_string_equal(matrix_board_came_name(255), "unknown");
    assert_int_equal(matrix_board_bucket_ns(5), 5);
    assert_int_equal(matrix_board_bucket_ns(UINT32_MAX), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(core_and_guests),
        TEST(a_board_is_read_only),
        TEST(stays_in_order),
        TEST(who_is_overtaken_knows),
        TEST(copies_are_whole_while_it_is_written),
        TEST(no_board),
        TEST(headers_that_lie),
        TEST(guests_that_are_none),
        TEST(stays_that_are_none),
        TEST(a_writer_that_never_ends),
        TEST(names),
    };
    return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
