/* The remote serial protocol: gdb, lldb and their kin debug the guest (GDB manual, appendix E).
 *
 * One server, one client at a time.  A client that connects stops the machine; one that goes away takes its breakpoints with it
 * and leaves the machine as it is.  Main lock held for all of it. */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include <glib.h>
#include <stdbool.h>

/* -gdb, `gdbserver`: "tcp::1234", "unix:PATH", "stdio", "pty", "chardev:ID"; "none" ends it.  Replaces the server there was. */
bool gdbstub_start(const char *device, GError **error);
void gdbstub_stop(void);        /* at exit: the client hears that its program has ended */

/* What the stub asks of a higher layer. */
typedef struct GdbHooks {
    char *(*monitor)(const char *line, int cpu); /* `monitor LINE` (qRcmd): the text it prints, caller frees */
} GdbHooks;
extern GdbHooks gdb_hooks;

#endif
