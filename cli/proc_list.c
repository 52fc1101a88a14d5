// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix proc list, and children: tasks as a table or JSON. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/proc.h"
#include <string.h>

/* proc_pid_stat(5). */
static const struct {
    uint8_t letter;
    const char *name;
} states[] = {
    {'R', "running"}, {'S', "sleeping"}, {'D', "uninterruptible"},
    {'T', "stopped"}, {'t', "traced"},   {'Z', "zombie"},
    {'X', "dead"},    {'P', "parked"},   {'I', "idle"},
};

static const char *state_name(uint8_t letter)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (states[i].letter == letter)
            return states[i].name;
    return "unknown";
}

static bool is_module(const struct matrix_lens *lens)
{
    return strcmp(matrix_lens_source_name(lens), "module") == 0;
}

static int compare_tasks(const void *first, const void *second)
{
    const struct matrix_lens_task *a = first, *b = second;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static struct matrix_error *print_table(const struct matrix_task_list *list)
{
    static const struct table_column columns[] = {
        {"PID", TABLE_RIGHT},  {"TID", TABLE_RIGHT}, {"PARENT", TABLE_RIGHT},
        {"STATE", TABLE_LEFT}, {"CPU", TABLE_RIGHT}, {"NAME", TABLE_LEFT},
    };
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < list->count; i++) {
        const struct matrix_lens_task *task = &list->tasks[i];
        CLEANUP_FREE char *name = cli_escape(task->name);
        table_cell(table, "%d", task->pid);
        table_cell(table, "%d", task->tid);
        table_cell(table, "%d", task->parent_pid);
        table_cell(table, "%s%s", state_name(task->state), task->on_cpu ? " now" : "");
        table_cell(table, "%u", task->cpu);
        table_cell(table, task->kernel_thread ? "[%s]" : "%s", name ? name : "?");
    }
    struct matrix_error *error = table_print(table, stdout);
    table_destroy(table);
    return error;
}

static json_t *task_json(const struct matrix_lens_task *task, bool by_module)
{
    return json_pack("{s:i, s:i, s:i, s:o, s:s, s:i, s:o, s:b, s:I}", "pid", task->pid, "tid",
                     task->tid, "parent_pid", task->parent_pid, "name", cli_json_string(task->name),
                     "state", state_name(task->state), "cpu", (int)task->cpu, "on_cpu",
                     by_module ? json_boolean(task->on_cpu) : json_null(), "kernel_thread",
                     task->kernel_thread, "start_time_ns", (json_int_t)task->start_time_ns);
}

static struct matrix_error *print_json(const struct matrix_lens *lens, bool by_module,
                                       const struct matrix_lens_task *parent,
                                       const struct matrix_task_list *list)
{
    json_t *root = proc_json_begin(lens), *tasks = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(tasks, task_json(&list->tasks[i], by_module));
    if (!by_module)
        json_object_set_new(root, "source", json_string("proc"));
    if (parent) {
        json_object_set_new(root, "pid", json_integer(parent->pid));
        json_object_set_new(root, "name", cli_json_string(parent->name));
    }
    json_object_set_new(root, "total", json_integer((json_int_t)list->total));
    json_object_set_new(root, parent ? "children" : "tasks", tasks);
    return cli_json_print(root, false);
}

static void print_cut(const struct matrix_task_list *list)
{
    if (list->total > list->count)
        printf("and %zu more\n", list->total - list->count);
}

struct matrix_error *proc_list(struct proc_options *options)
{
    struct matrix_task_list list;
    const struct matrix_lens *lens = options->lens;
    RETURN_IF_ERROR(options->all ? matrix_lens_processes(lens, &list)
                                 : matrix_lens_running(lens, &list));
    qsort(list.tasks, list.count, sizeof(list.tasks[0]), compare_tasks);
    const bool by_module = is_module(lens) && !options->all;

    struct matrix_error *error;
    if (options->json) {
        error = print_json(lens, by_module, NULL, &list);
    } else {
        error = print_table(&list);
        print_cut(&list);
        printf("%zu %s\n", list.total,
               options->all ? (list.total == 1 ? "process" : "processes")
                            : (list.total == 1 ? "running thread" : "running threads"));
        /* Of those that sleep only /proc tells. */
        if (by_module)
            proc_print_source(lens, "", 0);
        else
            puts(options->all ? "source: /proc/*/stat" : "source: /proc/*/task/*/stat");
    }
    matrix_task_list_free(&list);
    return error;
}

struct matrix_error *proc_children(struct proc_options *options)
{
    struct matrix_task_list list;
    struct matrix_lens_task parent;
    pid_t pid;
    const struct matrix_lens *lens = options->lens;
    RETURN_IF_ERROR(cli_parse_pid(options->arguments[0], &pid));
    RETURN_IF_ERROR(matrix_lens_process(lens, pid, &parent));
    RETURN_IF_ERROR(matrix_lens_children(lens, pid, &list));
    qsort(list.tasks, list.count, sizeof(list.tasks[0]), compare_tasks);

    struct matrix_error *error;
    if (options->json) {
        error = print_json(lens, is_module(lens), &parent, &list);
    } else {
        error = list.count ? print_table(&list) : NULL;
        print_cut(&list);
        fputs("process ", stdout);
        proc_print_process(stdout, &parent);
        printf(" has %zu %s\n", list.total, list.total == 1 ? "child" : "children");
        proc_print_source(lens, "/proc/*/stat", 0);
    }
    matrix_task_list_free(&list);
    return error;
}
