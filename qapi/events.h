/* What lower layers tell in their own terms, from core/runstate.h and block/drive.h to the schema's event functions. */
#ifndef QAPI_EVENTS_RUN_H
#define QAPI_EVENTS_RUN_H

void qapi_run_events_init(void);
void qapi_machine_events_init(void);    /* once the machine is complete */
void qapi_block_events_init(void);      /* commands-block.c */

void qapi_dump_events_init(void);       /* commands-dump.c */

#endif
