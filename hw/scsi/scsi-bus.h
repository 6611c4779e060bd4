/* The SCSI bus: host adapters, the disks and CD drives plugged into them, and commands under way (SAM-5).  Main lock held; what has to
 * do with commands belongs to the bus's loop, if it has one. */
#ifndef HW_SCSI_SCSI_BUS_H
#define HW_SCSI_SCSI_BUS_H

#include "core/loop.h"
#include "hw/scsi/scsi.h"

typedef struct ScsiBus ScsiBus;
typedef struct ScsiDevice ScsiDevice;
typedef struct ScsiTask ScsiTask;

typedef enum ScsiOutcome {
    SCSI_DELIVERED,                     /* status and sense say the rest                                     */
    SCSI_OVERRUN,                       /* the command moves more than the initiator gives or has room for   */
    SCSI_NO_TARGET,                     /* nothing at that address                                           */
    SCSI_ABANDONED,                     /* scsi_abort()                                                      */
    SCSI_BROKEN,                        /* the initiator's memory could not be reached                       */
} ScsiOutcome;

struct ScsiTask {
    /* Filled in by the adapter, the rest zero. */
    uint8_t cdb[SCSI_CDB];
    unsigned channel, target, lun;
    uint64_t out, in;                   /* bytes that the initiator gives; that it has room for              */
    /* The answer, valid in done(). */
    ScsiOutcome outcome;
    uint8_t status, sense_len;
    uint8_t sense[SCSI_SENSE];
    uint64_t moved;                     /* bytes of data that went either way                                */
    bool inward;                        /* they went to the initiator                                        */
    /* scsi-task.c's */
    ScsiBus *bus;
    ScsiDevice *dev;                    /* NULL: it needs none                                               */
    ScsiTask *next, **link;             /* of the device's tasks                                             */
    ScsiPlan plan;
    DriveRequest *request;
    DmaVec vec;                         /* the initiator's memory, mapped; or ...                            */
    uint8_t *copy;                      /* ... in its place, or a piece of the medium                        */
    uint64_t step;                      /* bytes of the request that runs now                                */
    bool aborted;
};

typedef enum ScsiChange { SCSI_PLUGGED, SCSI_UNPLUGGED, SCSI_RESIZED, SCSI_NEW_MEDIUM } ScsiChange;

/* What an adapter offers.  out and in are the initiator's data as byte strings. */
typedef struct ScsiHost {
    unsigned channels, targets, luns;   /* addresses are below these                                         */
    size_t (*fetch)(ScsiTask *t, uint64_t offset, void *buf, size_t len);       /* from out                  */
    size_t (*deliver)(ScsiTask *t, uint64_t offset, const void *buf, size_t len);       /* into in           */
    bool (*map)(ScsiTask *t, bool in, uint64_t len, DmaVec *v);                 /* the first bytes, for the drive */
    /* The task is over and the adapter's again.  Perhaps within scsi_start. */
    void (*done)(ScsiTask *t);
    void (*changed)(ScsiBus *bus, const ScsiDevice *d, ScsiChange what);         /* may be NULL              */
    void (*settle)(ScsiBus *bus);       /* tasks ended outside of scsi_start; NULL: device_settle will do    */
} ScsiHost;

struct ScsiBus {
    Bus *bus;
    Device *adapter;                    /* the whole; it can reach memory                                    */
    const ScsiHost *host;
    void *owner;                        /* the adapter's own                                                 */
    GPtrArray *units;                   /* of ScsiDevice: those that take commands                           */
    Loop *loop;                         /* that commands and drives belong to; NULL: the main loop.  Set before units come */
};

/* A bus named after the adapter ("ID.0"), for its realize; freed with scsi_bus_free in its unrealize. */
ScsiBus *scsi_bus_new(Device *adapter, const ScsiHost *host, void *owner);
void scsi_bus_free(ScsiBus *bus);
/* Enter and leave bus->loop (bus NULL: nothing).  Main lock held. */
void scsi_enter(const ScsiBus *bus);
void scsi_leave(const ScsiBus *bus);
void scsi_join(ScsiBus *bus, ScsiDevice *d);            /* its drive is attached: commands may come          */
ScsiDevice *scsi_find(const ScsiBus *bus, unsigned channel, unsigned target, unsigned lun);
bool scsi_has_target(const ScsiBus *bus, unsigned channel, unsigned target);
/* One device at that address, or with `lun` -1 all of the target, with target -1 all: as power-on, but with their media. */
void scsi_bus_reset(ScsiBus *bus, int target, int lun);

/* Begin; done() is called once, in any case. */
void scsi_start(ScsiBus *bus, ScsiTask *t);
/* done() comes as soon as the drive has let go. */
void scsi_abort(ScsiTask *t);

struct ScsiDevice {
    Device dev;
    ScsiUnit unit;
    /* properties */
    Drive *drive;
    Drive *own_drive;                   /* an empty one, when a CD drive was given none                      */
    uint32_t channel;
    int32_t scsi_id, lun;               /* -1: the next free one                                             */
    int32_t bootindex;
    char *vendor, *product, *ver, *serial, *device_id;
    uint64_t wwn, max_io_size;
    uint32_t logical_block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    uint16_t rotation_rate;
    bool removable, dpofua, share_rw;
    int write_cache, rerror, werror;
    bool attached;                      /* it came to life: the adapter may know of it                       */
    ScsiBus *bus;                       /* NULL: leaving                                                     */
    /* not saved: nothing is in flight then */
    ScsiTask *tasks;
};

extern const DeviceClass scsi_device_class;     /* "scsi-device", abstract */
void scsi_changed(ScsiDevice *d, ScsiChange what);      /* tell the adapter */

#endif
