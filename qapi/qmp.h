/* The QMP server: JSON commands and events over any character back end, as many connections as one likes.
 *
 * A connection is greeted when its back end opens and starts afresh when it opens again.  Commands are executed in order on
 * the main thread; while one runs, or while the client does not read its answers, no further one is taken. */
#ifndef QAPI_QMP_H
#define QAPI_QMP_H

#include "char/char.h"
#include "core/error.h"

/* What we say that we are: the version of the command set that clients check. */
enum { QMP_VERSION_MAJOR = 7, QMP_VERSION_MINOR = 2, QMP_VERSION_MICRO = 0 };

/* A monitor on `chr`, for as long as that lives.  `pretty`: answers over several lines. */
bool qmp_monitor_new(Char *chr, bool pretty, GError **error);
void qmp_monitors_free(void);           /* at exit, before char_cleanup */

/* Fill in what lower layers ask of the monitor: the event sink and run_events.  Before the machine is made. */
void qmp_init(void);

/* The machine is complete (or -preconfig waits): from now on monitors, human ones too, take commands. */
void qmp_start(void);
void qmp_flush(void);                   /* at exit: hand over what monitors still have to say */

#endif
