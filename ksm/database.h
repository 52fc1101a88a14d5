/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SQLite below store.h and recording.h: the tables, opening, statements, errors. */
#ifndef KSM_DATABASE_H
#define KSM_DATABASE_H

#include <matrix/error.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* "MKSM", in the file's header; with it file(1) and we know a recording. */
#define DATABASE_APPLICATION_ID 0x4d4b534d
/* Of the tables; a change that old readers would misread gets a new one. */
#define DATABASE_VERSION 1

#define REMEDY_RECORD "record one with `matrix ksm record --out FILE`"

enum database_mode {
    DATABASE_READ,
    DATABASE_WRITE,  /* what is there */
    DATABASE_CREATE, /* an empty file is made a recording */
};

/* Opens a file and checks that it is a recording, of our tables and no others. */
struct matrix_error *database_open(const char *path, enum database_mode mode,
                                   sqlite3 **database) MATRIX_MUST_CHECK;

/* Leaves no file beside it that was not there before. NULL is allowed. */
void database_close(sqlite3 *database);

/* What SQLite says about the last call, as an error: "what PATH: why". */
struct matrix_error *database_error(sqlite3 *database, const char *what);

struct matrix_error *database_run(sqlite3 *database, const char *sql,
                                  const char *what) MATRIX_MUST_CHECK;
struct matrix_error *database_prepare(sqlite3 *database, const char *sql,
                                      sqlite3_stmt **statement) MATRIX_MUST_CHECK;

/* For a statement that yields no rows; resets it. */
struct matrix_error *database_step(sqlite3_stmt *statement, const char *what) MATRIX_MUST_CHECK;

static inline void database_finalize_(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}

#define CLEANUP_STATEMENT __attribute__((cleanup(database_finalize_)))

#endif
