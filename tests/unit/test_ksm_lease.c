// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The knobs of KSM are put back, also after a kill, and a journal that is not whole is refused. The
 * knobs are files of a directory made here: the real ones are those of tests/cli/ksm_experiment.sh.
 */
#include "ksm/lease.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static char root[] = "/tmp/matrix-lease-XXXXXX";
static char lock[64], journal[64];
static struct ksm_places places;

static void put(const char *name, const char *text)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static const char *get(const char *name)
{
    static char text[128];
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* The knobs of Linux 6.1. */
static int set_up(void **state)
{
    put("run", "0\n");
    put("pages_to_scan", "100\n");
    put("sleep_millisecs", "20\n");
    put("max_page_sharing", "256\n");
    put("merge_across_nodes", "1\n");
    put("use_zero_pages", "0\n");
    put("pages_shared", "0\n");
    unlink(journal);
    return 0;
}

static struct ksm_knobs knobs(enum ksm_knob first, const char *value)
{
    struct ksm_knobs made = {0};
    assert_null(ksm_knob_parse(KSM_KNOB_RUN, "1", &made));
    assert_null(ksm_knob_parse(first, value, &made));
    return made;
}

static void begin(struct ksm_lease *lease)
{
    struct matrix_error *error = ksm_lease_begin(places, lease);
    if (error)
        fail_msg("%s", error->message);
}

/* That error says part, in its message or remedy. */
static void check_error(struct matrix_error *error, const char *part)
{
    assert_non_null(error);
    if (!strstr(error->message, part) && !(error->remedy && strstr(error->remedy, part)))
        fail_msg("no '%s' in: %s", part, error->message);
    matrix_error_free(error);
}

static void test_put_back(void **state)
{
    struct ksm_lease lease;
    struct ksm_knobs set = knobs(KSM_KNOB_PAGES_TO_SCAN, "5000");
    begin(&lease);
    assert_int_equal(access(journal, F_OK), 0);
    assert_null(ksm_lease_set(&lease, &set));
    assert_string_equal(get("pages_to_scan"), "5000");
    assert_string_equal(get("run"), "1");
    assert_null(ksm_lease_end(&lease));
    assert_string_equal(get("pages_to_scan"), "100");
    assert_string_equal(get("run"), "0");
    assert_int_equal(access(journal, F_OK), -1);
    assert_null(ksm_lease_end(&lease)); /* nothing is held any more */
}

static void test_what_others_merged_stays(void **state)
{
    struct ksm_lease lease;
    struct ksm_knobs set = knobs(KSM_KNOB_SLEEP_MILLISECS, "0");
    put("run", "1\n");
    begin(&lease);
    assert_null(ksm_lease_set(&lease, &set));
    put("pages_shared", "77\n");
    assert_null(ksm_lease_end(&lease));
    assert_string_equal(get("run"), "1");
    assert_string_equal(get("sleep_millisecs"), "20");
}

/* How often a file has been written; openings are watched, too, since equal events in a row are one. */
static size_t writes_seen(int watch)
{
    struct inotify_event event; /* of a file: without a name behind it */
    size_t count = 0;
    while (read(watch, &event, sizeof(event)) > 0)
        count += (event.mask & IN_CLOSE_WRITE) != 0;
    return count;
}

/* ksmd was off: what had been merged before stays, by `run=0` alone, without a `run=2` before it. */
static void test_what_was_kept_stays(void **state)
{
    char run[96];
    struct ksm_lease lease;
    struct ksm_knobs set = knobs(KSM_KNOB_SLEEP_MILLISECS, "0");
    const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    snprintf(run, sizeof(run), "%s/run", root);
    for (int merged = 0; merged < 2; merged++) {
        put("pages_shared", merged ? "77\n" : "0\n");
        begin(&lease);
        assert_null(ksm_lease_set(&lease, &set));
        put("pages_shared", "99\n");
        assert_true(inotify_add_watch(watch, run, IN_OPEN | IN_CLOSE_WRITE) >= 0);
        writes_seen(watch); /* the one that began */
        assert_null(ksm_lease_end(&lease));
        assert_int_equal(writes_seen(watch), merged ? 1 : 2);
        assert_string_equal(get("run"), "0");
    }
    close(watch);
}

static void test_unknown_knob(void **state)
{
    struct ksm_lease lease;
    struct ksm_knobs set = knobs(KSM_KNOB_ADVISOR_MODE, "scan-time");
    begin(&lease);
    check_error(ksm_lease_set(&lease, &set), "this kernel has no knob advisor_mode");
    assert_null(ksm_knob_parse(KSM_KNOB_ADVISOR_MODE, "none", &set));
    assert_null(ksm_knob_parse(KSM_KNOB_SMART_SCAN, "1", &set));
    check_error(ksm_lease_set(&lease, &set), "this kernel has no knob smart_scan");
    /* What it does without them is no error. */
    assert_null(ksm_knob_parse(KSM_KNOB_SMART_SCAN, "0", &set));
    assert_null(ksm_lease_set(&lease, &set));
    assert_string_equal(get("run"), "1");
    assert_null(ksm_lease_end(&lease));
    assert_string_equal(get("run"), "0");
}

static void test_advisor(void **state)
{
    struct ksm_lease lease;
    struct ksm_knobs set = knobs(KSM_KNOB_ADVISOR_MODE, "none");
    put("advisor_mode", "none [scan-time]\n");
    assert_null(ksm_knob_parse(KSM_KNOB_PAGES_TO_SCAN, "7", &set));
    begin(&lease);
    assert_null(ksm_lease_set(&lease, &set));
    assert_string_equal(get("advisor_mode"), "none");
    assert_null(ksm_lease_end(&lease));
    assert_string_equal(get("advisor_mode"), "scan-time");
    /* With the advisor on the kernel takes none. */
    assert_string_equal(get("pages_to_scan"), "7");
    char path[96];
    snprintf(path, sizeof(path), "%s/advisor_mode", root);
    unlink(path);
}

static void test_kill(void **state)
{
    int ready[2];
    bool mended = false;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ksm_lease lease;
        struct ksm_knobs set = knobs(KSM_KNOB_PAGES_TO_SCAN, "5000");
        if (ksm_lease_begin(places, &lease) || ksm_lease_set(&lease, &set))
            _exit(1);
        (void)!write(ready[1], "x", 1);
        pause();
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);

    /* While it lives it has them, and nobody mends. */
    struct ksm_lease second;
    char pid[16];
    snprintf(pid, sizeof(pid), "process %d", (int)child);
    check_error(ksm_lease_begin(places, &second), pid);
    assert_null(ksm_lease_mend(places, &mended));
    assert_false(mended);
    assert_string_equal(get("pages_to_scan"), "5000");

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_null(ksm_lease_mend(places, &mended));
    assert_true(mended);
    assert_string_equal(get("pages_to_scan"), "100");
    assert_string_equal(get("run"), "0");
    assert_null(ksm_lease_mend(places, &mended));
    assert_false(mended);
}

/* The next lease does it, too, and takes what was before the first for what is to be put back. */
static void test_next_lease_mends(void **state)
{
    struct ksm_journal stale;
    struct ksm_lease lease;
    assert_null(ksm_journal_begin(&stale));
    stale.knobs = knobs(KSM_KNOB_PAGES_TO_SCAN, "300");
    assert_null(ksm_journal_write(journal, &stale));
    begin(&lease);
    assert_string_equal(get("pages_to_scan"), "300");
    assert_string_equal(lease.before.knobs.text[KSM_KNOB_PAGES_TO_SCAN], "300");
    assert_null(ksm_lease_end(&lease));
}

static void test_other_boot(void **state)
{
    struct ksm_journal stale;
    bool mended;
    assert_null(ksm_journal_begin(&stale));
    stale.knobs = knobs(KSM_KNOB_PAGES_TO_SCAN, "300");
    stale.boot_id[0] = stale.boot_id[0] == '0' ? '1' : '0';
    assert_null(ksm_journal_write(journal, &stale));
    assert_null(ksm_lease_mend(places, &mended));
    assert_false(mended);
    assert_string_equal(get("pages_to_scan"), "100");
    assert_int_equal(access(journal, F_OK), -1);
}

/* A killed experiment's journal, whose writer has ended. */
static void leave_journal(void)
{
    struct ksm_journal stale;
    assert_null(ksm_journal_begin(&stale));
    stale.pid = fork();
    if (stale.pid == 0)
        _exit(0);
    waitpid(stale.pid, NULL, 0);
    stale.knobs = knobs(KSM_KNOB_PAGES_TO_SCAN, "300");
    assert_null(ksm_journal_write(journal, &stale));
}

/* Whoever has the lock and is no experiment is named: the knobs stay as they are. */
static void test_stranger_holds_the_lock(void **state)
{
    char pid[24];
    bool mended;
    leave_journal();
    const int held = open(lock, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(held >= 0 && flock(held, LOCK_EX) == 0);
    snprintf(pid, sizeof(pid), "process %d (", (int)getpid());
    check_error(ksm_lease_mend(places, &mended), pid);
    assert_false(mended);
    assert_string_equal(get("pages_to_scan"), "100");
    close(held);
    assert_null(ksm_lease_mend(places, &mended));
    assert_true(mended);
    assert_string_equal(get("pages_to_scan"), "300");
}

/* Nobody else can open it, whoever made it and however. */
static void test_lock_is_private(void **state)
{
    struct ksm_lease lease;
    struct stat file;
    for (int exists = 0; exists < 2; exists++) {
        unlink(lock);
        if (exists) {
            put("lock", "");
            assert_int_equal(chmod(lock, 0666), 0);
        }
        begin(&lease);
        assert_int_equal(stat(lock, &file), 0);
        assert_int_equal(file.st_mode & 07777, 0600);
        assert_null(ksm_lease_end(&lease));
    }
}

static void test_lock_that_is_none(void **state)
{
    struct ksm_lease lease;
    char other[80];
    snprintf(other, sizeof(other), "%s/other", root);
    put("other", "");
    assert_int_equal(chmod(other, 0644), 0);
    unlink(lock);
    assert_int_equal(link(other, lock), 0);
    check_error(ksm_lease_begin(places, &lease), "delete it");
    unlink(lock);
    assert_int_equal(symlink(other, lock), 0);
    check_error(ksm_lease_begin(places, &lease), "symbolic link");
    unlink(lock);
    assert_int_equal(mkfifo(lock, 0600), 0);
    check_error(ksm_lease_begin(places, &lease), "delete it");
    unlink(lock);
    if (geteuid() == 0) {
        put("lock", "");
        assert_int_equal(chown(lock, 65534, 65534), 0);
        check_error(ksm_lease_begin(places, &lease), "delete it");
        unlink(lock);
    }
    struct stat file;
    assert_int_equal(stat(other, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0644);
    assert_int_equal(access(journal, F_OK), -1);
}

static void test_no_ksm(void **state)
{
    struct ksm_places nowhere = places;
    struct ksm_lease lease;
    nowhere.directory = "/nowhere";
    check_error(ksm_lease_begin(nowhere, &lease), "--lab");
    assert_int_equal(access(journal, F_OK), -1);
}

/* Cut at every length it is refused; so is any byte changed into another that makes no sense. */
static void test_journal_cut(void **state)
{
    struct ksm_journal whole, read;
    char text[KSM_JOURNAL_BYTES_MAX];
    bool found;
    assert_null(ksm_journal_begin(&whole));
    whole.pages_shared = 12;
    assert_null(ksm_knobs_read(root, &whole.knobs));
    assert_null(ksm_journal_write(journal, &whole));
    assert_null(ksm_journal_read(journal, &read, &found));
    assert_true(found);
    assert_memory_equal(&whole.knobs, &read.knobs, sizeof(read.knobs));
    assert_int_equal(read.pages_shared, 12);
    assert_int_equal(read.pid, getpid());

    FILE *file = fopen(journal, "r");
    assert_non_null(file);
    const size_t bytes = fread(text, 1, sizeof(text), file);
    fclose(file);
    for (size_t length = 0; length < bytes; length++)
        check_error(ksm_journal_parse(text, length, "name", &read), "the journal name is damaged");
    for (size_t i = 0; i < bytes; i++) {
        const char was = text[i];
        text[i] = '\0';
        check_error(ksm_journal_parse(text, bytes, "name", &read), "delete this file");
        text[i] = was;
    }
    put("ksm-knobs", "tea");
    check_error(ksm_lease_mend(places, &found), "damaged");
}

static void test_values(void **state)
{
    static const struct {
        enum ksm_knob knob;
        const char *text, *part;
    } bad[] = {
        {KSM_KNOB_RUN, "3", "out of range"},
        {KSM_KNOB_RUN, "yes", "not a number"},
        {KSM_KNOB_RUN, "", "not a number"},
        {KSM_KNOB_MAX_PAGE_SHARING, "1", "out of range"},
        {KSM_KNOB_ADVISOR_MODE, "fast", "none or scan-time"},
        {KSM_KNOB_PAGES_TO_SCAN, "-1", "pages_to_scan"},
        {KSM_KNOB_PAGES_TO_SCAN, "99999999999999999999", "out of range"},
    };
    struct ksm_knobs made = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_error(ksm_knob_parse(bad[i].knob, bad[i].text, &made), bad[i].part);
    assert_null(ksm_knob_parse(KSM_KNOB_PAGES_TO_SCAN, "0x10", &made));
    assert_string_equal(made.text[KSM_KNOB_PAGES_TO_SCAN], "16");
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    snprintf(lock, sizeof(lock), "%s/lock", root);
    snprintf(journal, sizeof(journal), "%s/ksm-knobs", root);
    places = (struct ksm_places){.directory = root, .lock = lock, .journal = journal};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_put_back, set_up),
        cmocka_unit_test_setup(test_what_others_merged_stays, set_up),
        cmocka_unit_test_setup(test_what_was_kept_stays, set_up),
        cmocka_unit_test_setup(test_unknown_knob, set_up),
        cmocka_unit_test_setup(test_advisor, set_up),
        cmocka_unit_test_setup(test_kill, set_up),
        cmocka_unit_test_setup(test_next_lease_mends, set_up),
        cmocka_unit_test_setup(test_other_boot, set_up),
        cmocka_unit_test_setup(test_stranger_holds_the_lock, set_up),
        cmocka_unit_test_setup(test_lock_is_private, set_up),
        cmocka_unit_test_setup(test_lock_that_is_none, set_up),
        cmocka_unit_test_setup(test_no_ksm, set_up),
        cmocka_unit_test_setup(test_journal_cut, set_up),
        cmocka_unit_test(test_values),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[96];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command) || failed;
}
