/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of reparenting ask of their actors. Each is a function of actor.h's kind; its
 * arguments stand beside it.
 */
#ifndef TESTS_LENS_DEEDS_H
#define TESTS_LENS_DEEDS_H

#include "tests/lens/actor.h"

deed deed_getpid;
deed deed_getppid;
deed deed_prctl;           /* option, argument */
deed deed_setpgid;         /* makes a process group of its own */
deed deed_ignore;          /* signal, flags of sigaction(2); 0: SIG_IGN */
deed deed_waitpid;         /* pid, options */
deed deed_waitid;          /* idtype_t, id, options; P_PIDFD: id is a pid */
deed deed_signal;          /* takes a pending one: signal; EAGAIN where none is */
deed deed_await_signal;    /* the same, but waits for it: signal */
deed deed_ptrace;          /* request, pid, data */
deed deed_serve_in_thread; /* a second thread serves from now on, and the first one ends */
deed deed_setns;           /* pid: its children are made in that one's pid namespace */
deed deed_reparent;        /* pid, new parent: by this actor instead of the test */
deed deed_drop_ptrace;     /* gives CAP_SYS_PTRACE up */
/* A second thread calls exec, of a program that sleeps for ever: no answer is to be waited for. */
deed deed_exec_in_thread;

/* Starts another thread, that spins or sleeps; tells its tid. The tid of thread 0, 1... */
deed deed_add_thread;
deed deed_thread;

/* For waits: waitpid(2), or waitid(2) of a kind, whose argument is this plus P_PID and so on. */
#define BY_WAITPID 0
#define BY_WAITID  1

/* Waits in a second thread, which it tells; and what came of it. By what, pid or id, options. */
deed deed_wait_in_thread;
deed deed_waited_in_thread;

/* Waits in the actor's own thread. Returns when that sleeps in wait(2); actor_hear() tells more. */
void actor_wait_begin(struct actor actor, long by, long id, long options);
/* The same in its second thread; deed_waited_in_thread tells more. */
void actor_wait_begin_in_thread(struct actor actor, long by, long id, long options);

/* An old parent, its child, and the new parent-to-be; cast_move() has moved the child. */
struct cast {
    struct actor old, child, new;
};
struct cast cast_start(void);
struct cast cast_move(void);

/* 0 or the errno of the request, made by the test. */
int move(struct actor child, struct actor parent);

pid_t getppid_of(struct actor child);
/* The parent gets SIGCHLD with that si_code and si_status for the child. */
void assert_signal(struct actor parent, struct actor child, int code, int status);
/* The parent waits for the child, and gets the status of waitpid(2). */
void assert_waits(struct actor parent, struct actor child, int status);
void assert_has_no_child(struct actor parent);
/* The child ends, and the new parent is told of it, not the old one. */
void assert_ends_as_child_of_new(struct cast cast);

#endif
