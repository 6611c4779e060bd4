/* The inside of a drive.  For block/drive*.c only. */
#ifndef BLOCK_DRIVE_PRIVATE_H
#define BLOCK_DRIVE_PRIVATE_H

#include <pthread.h>

#include "block/drive.h"
#include "block/node.h"
#include "core/loop.h"

enum { INLINE_PIECES = 8 };

struct DriveRequest {
    Drive *drive;
    DriveOp op;
    int64_t offset, bytes;
    IoVec iov;
    struct iovec pieces[INLINE_PIECES]; /* the usual case of few pieces */
    bool fua, may_unmap;
    bool cancelled, held;
    int result;
    struct DrivePort *port; /* where it came from */
    int64_t began;
    DriveDone *done;
    void *arg;
    struct Coroutine *co;
    DriveRequest *next; /* among the held, the arrived or the finished */
};

/* What options say about opening a medium; kept for the next one. */
typedef struct DriveSettings {
    NodeMode mode;
    bool writethrough;                  /* each write is flushed */
    bool snapshot;
    int detect_zeroes;                  /* 0 off, 1 on, 2 unmap */
    DriveOnError rerror, werror;
    char *aio;                          /* or NULL */
} DriveSettings;

/* A loop whose thread uses the drive. */
typedef struct DrivePort {
    Drive *drive;
    Loop *loop;
    Bell *bell;
    DriveRequest *finished, **finished_end;     /* their done() is to be called here */
} DrivePort;

struct Drive {
    char *id;
    DrivePort *port;                    /* the first is the loop that the graph belongs to */
    unsigned ports;
    pthread_mutex_t hop;                /* for what goes from loop to loop: `arrived` and `finished` */
    DriveRequest *arrived, **arrived_end;       /* submitted on other loops than the first */
    unsigned submitting;                /* calls of begin on the stack: done must wait */
    BlockNode *root;                    /* NULL: no medium */
    DriveSettings settings;
    const DriveUser *user;
    void *user_arg;
    char *device_id;
    bool removable;                     /* media=cdrom, a floppy: media come and go */
    bool locked;                        /* by the guest */
    unsigned in_flight;                 /* requests that run, without those held */
    bool dirty;                         /* written to since the last flush */
    DriveRequest *held;                 /* failed, and waiting for the machine to go on */
    DriveIoStatus io_status;
    DriveStats stats;
};

/* The medium that options describe, with what they say about drives taken out of them into *settings.  *node is NULL
 * when they name none.  `id` is for messages. */
bool drive_settings_take(DriveSettings *settings, const char *id, GHashTable *options, bool cdrom, GError **error);
bool drive_medium_open(const DriveSettings *settings, const char *id, GHashTable *options, BlockNode **node,
                       GError **error);
void drive_settings_clear(DriveSettings *settings);

Drive *drive_register(const char *id);
/* drive.c's: on the first loop; on the loop that submitted. */
void drive_request_begin(DriveRequest *r);
void drive_request_end(DriveRequest *r);

/* drive-loops.c's */
void drive_ports_init(Drive *d);
void drive_ports_clear(Drive *d);
DrivePort *drive_port(Drive *d);        /* of the loop that this thread works for */
void drive_hop(DriveRequest *r);        /* to the first loop, to begin there */
void drive_hop_back(DriveRequest *r);   /* to the loop that submitted, or out of the call that did */
/* Something more happens for those who wait for requests.  Drive entered. */
void drive_wait_some(Drive *d);
bool drive_exists(const Drive *d);      /* it has not been freed.  Main lock held */
void drive_info_forget(Drive *d);       /* the drive goes away */

#endif
