/* The inside of a drive.  For block/drive*.c only. */
#ifndef BLOCK_DRIVE_PRIVATE_H
#define BLOCK_DRIVE_PRIVATE_H

#include "block/drive.h"
#include "block/node.h"

/* What options say about opening a medium; kept for the next one. */
typedef struct DriveSettings {
    NodeMode mode;
    bool writethrough;                  /* each write is flushed */
    bool snapshot;
    int detect_zeroes;                  /* 0 off, 1 on, 2 unmap */
    DriveOnError rerror, werror;
    char *aio;                          /* or NULL */
} DriveSettings;

struct Drive {
    char *id;
    BlockNode *root;                    /* NULL: no medium */
    DriveSettings settings;
    const DriveUser *user;
    void *user_arg;
    char *device_id;
    bool removable;                     /* media=cdrom, a floppy: media come and go */
    bool locked;                        /* by the guest */
    unsigned in_flight;                 /* requests whose done has not run, without those held */
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
void drive_info_forget(Drive *d);       /* the drive goes away */

#endif
