/* Drives: what a disk, CD or floppy controller sees of the block layer.
 *
 * Requests are asynchronous; `done` runs on the loop that submitted, never from within the call that did.  Offsets and
 * lengths are bytes.  Below, formats and filters are coroutines over nodes (block/node.h); a drive owns a root node, a medium
 * that may be absent, and a policy for host errors.
 *
 * A drive belongs to the main loop unless its device gives it to queue loops (drive_set_loops).  Their threads then submit,
 * cancel and look; all that a person does is done with these loops entered, and so is each call of DriveUser. */
#ifndef BLOCK_DRIVE_H
#define BLOCK_DRIVE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct Drive Drive;
typedef struct DriveRequest DriveRequest;
typedef void DriveDone(void *arg, int result);          /* 0 or -errno, after the error policy had its say */

/* What the controller wants to hear.  Any member may be NULL. */
typedef struct DriveUser {
    void (*media_changed)(void *arg, bool loaded);      /* the medium came or went (change, eject, resize) */
    void (*resized)(void *arg);
    bool (*tray_open)(void *arg);                       /* what query-block reports */
    bool (*locked)(void *arg);                          /* the guest locked the tray */
    void (*eject_request)(void *arg, bool force);       /* a person wants the medium back */
} DriveUser;

/* Claim the drive for a device.  False when another device has it. */
bool drive_attach(Drive *d, const DriveUser *user, void *arg, const char *device_id, GError **error);
void drive_detach(Drive *d, void *arg);

/* The device's requests come from these loops from now on; n 0: from the main loop.  The first one runs them, so requests
 * of the others hop there and back.  After drive_attach; until drive_detach.  Main lock held. */
struct Loop;
void drive_set_loops(Drive *d, struct Loop *const *loops, unsigned n);
/* Enter and leave them all.  Main lock held. */
void drive_enter(Drive *d);
void drive_leave(Drive *d);

const char *drive_id(const Drive *d);
bool drive_has_medium(const Drive *d);
bool drive_readonly(const Drive *d);
int64_t drive_length(const Drive *d);   /* bytes; 0 without a medium; -errno */
unsigned drive_sector_size(const Drive *d);             /* of the request alignment that is cheapest, at least 512 */

/* iov need not be aligned; offset and length must be multiples of 512 (of 1 for drives that say so).  The iov array is
 * copied, the buffers stay the caller's until done.  Writes to a read-only drive end with -EACCES, beyond the end -EIO,
 * without a medium -ENOMEDIUM.  Returns a handle that is valid until done runs. */
DriveRequest *drive_readv(Drive *d, int64_t offset, const struct iovec *iov, unsigned n, DriveDone *done, void *arg);
DriveRequest *drive_writev(Drive *d, int64_t offset, const struct iovec *iov, unsigned n, bool fua, DriveDone *done,
                           void *arg);
DriveRequest *drive_read(Drive *d, int64_t offset, void *buf, size_t len, DriveDone *done, void *arg);
DriveRequest *drive_write(Drive *d, int64_t offset, const void *buf, size_t len, DriveDone *done, void *arg);
DriveRequest *drive_flush(Drive *d, DriveDone *done, void *arg);        /* done: flushed means flushed */
DriveRequest *drive_discard(Drive *d, int64_t offset, int64_t len, DriveDone *done, void *arg);
DriveRequest *drive_write_zeroes(Drive *d, int64_t offset, int64_t len, bool may_unmap, DriveDone *done, void *arg);
/* The device lost interest (reset): done still runs, with -ECANCELED unless the request had finished. */
void drive_cancel(DriveRequest *r);
void drive_drain(Drive *d);             /* until nothing is in flight; runs main loop rounds.  Main lock held */
void drive_drain_all(void);

/* For realize-time and loaders: waits for the answer.  0 or -errno. */
int drive_read_sync(Drive *d, int64_t offset, void *buf, size_t len);
int drive_write_sync(Drive *d, int64_t offset, const void *buf, size_t len);
int drive_flush_sync(Drive *d);

/* The guest opened or closed the tray: emits DEVICE_TRAY_MOVED.  drive_guest_eject is the same as opening it. */
void drive_guest_tray(Drive *d, bool open);
void drive_guest_eject(Drive *d);
void drive_guest_lock(Drive *d, bool locked);

/* ---- What a person does with a medium ----
 * A locked tray is only asked to open (eject_request), which is an error of its own, unless `force`.  In-flight requests
 * end first; the device hears media_changed, and events tell of a tray that moved. */
typedef enum DriveReadonly { READONLY_RETAIN, READONLY_ON, READONLY_OFF } DriveReadonly;
bool drive_eject(Drive *d, bool force, GError **error);
/* format may be NULL: probed.  When the new medium cannot be opened the drive keeps what it has
 * (except that the same file, to be opened in another way, goes first). */
bool drive_change_medium(Drive *d, const char *path, const char *format, DriveReadonly readonly, bool force,
                         GError **error);
bool drive_resize(Drive *d, int64_t length, GError **error);    /* block_resize */

/* ---- What query-block and query-blockstats tell ---- */
typedef enum DriveOp { DRIVE_READ, DRIVE_WRITE, DRIVE_FLUSH, DRIVE_DISCARD, DRIVE_ZERO, DRIVE_OPS } DriveOp;
typedef struct DriveStats {             /* by DriveOp */
    uint64_t operations[DRIVE_OPS], bytes[DRIVE_OPS], time_ns[DRIVE_OPS], failed[DRIVE_OPS], invalid[DRIVE_OPS];
    uint64_t write_highest;             /* end of the highest write */
    int64_t last_access_ns;             /* CLOCK_RT; 0: never */
    unsigned in_flight;
} DriveStats;
void drive_stats(const Drive *d, DriveStats *stats);

typedef enum DriveIoStatus { IO_STATUS_OK, IO_STATUS_FAILED, IO_STATUS_NOSPACE } DriveIoStatus;
typedef enum DriveOnError { ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_ENOSPC, ON_ERROR_STOP } DriveOnError;
typedef struct DriveState {
    const char *device;                 /* id of the device that has the drive, or NULL */
    const char *filename, *format, *protocol, *node_name;       /* NULL without a medium */
    bool removable, tray, tray_open, locked, readonly, snapshot;
    bool writeback, direct, no_flush;
    const char *detect_zeroes;          /* "off", "on", "unmap" */
    DriveIoStatus io_status;
    DriveOnError rerror, werror;
} DriveState;
void drive_state(const Drive *d, DriveState *state);    /* strings stay the drive's */

/* What happens here and is told elsewhere; a higher layer fills it in, empty members are skipped. */
typedef struct DriveEvents {
    void (*tray_moved)(Drive *d, bool open);            /* DEVICE_TRAY_MOVED */
    /* BLOCK_IO_ERROR; `action` is "report", "ignore" or "stop" */
    void (*io_error)(Drive *d, bool write, const char *action, bool nospace, const char *reason);
} DriveEvents;
extern DriveEvents drive_events;

/* What `-drive if=...,index=,bus=,unit=` said, for boards that create controllers. */
typedef enum DriveInterface { IF_NONE, IF_IDE, IF_SCSI, IF_FLOPPY, IF_PFLASH, IF_MTD, IF_SD, IF_VIRTIO, IF_XEN,
                              IF_COUNT } DriveInterface;
typedef struct DriveInfo {
    DriveInterface interface;
    int bus, unit;
    bool cdrom;                         /* media=cdrom */
    bool claimed;                       /* a board has made a device for it */
    char *serial;                       /* serial=, or NULL */
    Drive *drive;
} DriveInfo;
DriveInfo *drive_info_find(DriveInterface interface, int bus, int unit);        /* NULL */
/* How many units a bus has, for index= and for the next free place (IDE: 2 unless the board says otherwise). */
void drive_set_max_units(DriveInterface interface, unsigned units);
void drive_info_foreach(void (*fn)(void *arg, DriveInfo *info), void *arg);
/* `-drive`, parsed to strings (file, format, if, index, bus, unit, media, snapshot, readonly, cache, aio, discard,
 * werror, rerror, id, serial, copy-on-read, detect-zeroes ...); adds to the list of DriveInfo.  `max_units` of an
 * interface says how index= turns into bus and unit (IDE: 2).  What it knows leaves the table. */
DriveInfo *drive_add(GHashTable *options, DriveInterface default_interface, bool global_snapshot, GError **error);
Drive *drive_find(const char *id);
Drive *drive_new(const char *id, GHashTable *options, GError **error);  /* no DriveInfo: blockdev-style users and tests */
Drive *drive_new_empty(void);          /* without id and medium: for a removable device that was given none; drive_free is its */
Drive *drive_new_memory(const char *id, size_t size);   /* a RAM disk, for unit tests */
/* A drive over a graph made elsewhere; takes over the reference. */
struct BlockNode;
Drive *drive_new_node(const char *id, struct BlockNode *root);
void drive_set_on_error(Drive *d, DriveOnError rerror, DriveOnError werror);    /* devices' own rerror=, werror= */
void drive_free(Drive *d);
void drive_foreach(void (*fn)(void *arg, Drive *d), void *arg);
void drive_cleanup(void);               /* at exit: drain and flush all */

#endif
