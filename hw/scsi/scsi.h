/* SCSI logical units: what they are and the commands that they know (SPC-4, SBC-3, MMC-6), apart from what carries them.
 *
 * scsi_execute() decodes a command, changes the unit's state and leaves a ScsiPlan: how it ended, or what is still to be moved
 * between the initiator, a buffer and the medium.  What carries the command does that: scsi-task.c for SCSI buses,
 * hw/storage/atapi.c for packets over ATA.  Main lock held. */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include "block/drive.h"
#include "hw/device.h"

enum { SCSI_CDB = 16, SCSI_BUFFER = 4096, SCSI_SENSE = 18, CD_SECTOR = 2048, CD_RAW = 2352 };
enum { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02 }; /* status (SAM-5 §5.3.1) */
enum {                                  /* sense keys (SPC-4 §4.5.6) */
    SENSE_NONE, SENSE_NOT_READY = 2, SENSE_MEDIUM, SENSE_HARDWARE, SENSE_ILLEGAL, SENSE_ATTENTION, SENSE_PROTECT,
    SENSE_ABORTED = 0x0b, SENSE_MISCOMPARE = 0x0e
};
enum {                                  /* additional sense code and qualifier (SPC-4 annex F, MMC-6 annex F) */
    ASC_NOT_STARTED = 0x0402,
    ASC_WRITE_ERROR = 0x0c00,
    ASC_READ_ERROR = 0x1100,
    ASC_PARAMETER_LENGTH = 0x1a00,
    ASC_MISCOMPARE = 0x1d00,
    ASC_INVALID_COMMAND = 0x2000,
    ASC_OUT_OF_RANGE = 0x2100,
    ASC_INVALID_FIELD = 0x2400,
    ASC_NO_SUCH_UNIT = 0x2500,
    ASC_INVALID_PARAMETER = 0x2600,
    ASC_WRITE_PROTECTED = 0x2700,
    ASC_NO_SPACE = 0x2707,
    ASC_MEDIUM_CHANGED = 0x2800,
    ASC_RESET = 0x2900,
    ASC_CAPACITY_CHANGED = 0x2a09,
    ASC_INCOMPATIBLE_FORMAT = 0x3002,
    ASC_SAVING_UNSUPPORTED = 0x3900,
    ASC_NO_MEDIUM_CLOSED = 0x3a01,
    ASC_NO_MEDIUM_OPEN = 0x3a02,
    ASC_UNITS_CHANGED = 0x3f0e,
    ASC_INTERNAL_FAILURE = 0x4400,
    ASC_REMOVAL_PREVENTED = 0x5302,
};
/* Unit attentions that are due, in the order in which they are told. */
enum { ATTENTION_RESET = 1, ATTENTION_MEDIUM = 2, ATTENTION_CAPACITY = 4, ATTENTION_UNITS = 8, ATTENTIONS = 15 };
enum { EVENT_NONE, EVENT_EJECT_REQUEST, EVENT_NEW_MEDIUM, EVENT_REMOVED };       /* as GET EVENT codes them */

typedef struct ScsiUnit {
    /* fixed from realize on; texts are the device's, NULL: none */
    Drive *drive;
    bool cd, removable, dpofua;
    bool atapi;                         /* behind ATA: an older INQUIRY, and no medium interest after reset   */
    const char *vendor, *product, *version, *serial, *device_id;
    uint64_t wwn;
    uint32_t block, physical_block;     /* bytes, powers of two                                              */
    uint32_t discard_granularity;       /* bytes; 0: no discard                                              */
    uint32_t min_io, opt_io, max_io;    /* bytes; 0: not said                                                */
    uint16_t rotation_rate;
    bool cache_default;
    /* state */
    uint8_t sense;                      /* key for REQUEST SENSE, where the answer does not carry it         */
    uint16_t asc;
    uint8_t attentions;
    uint8_t event;                      /* not yet told by GET EVENT STATUS NOTIFICATION                     */
    bool tray_open, locked, stopped;
    bool cache_on;                      /* writes may wait for a SYNCHRONIZE CACHE                           */
} ScsiUnit;

extern const DeviceClass scsi_unit_class;       /* a plain part: the state */

typedef enum ScsiAction {
    SCSI_END,                           /* nothing to move: `key` says how it ended                          */
    SCSI_REPLY,                         /* `len` bytes of the buffer to the initiator                        */
    SCSI_PARAMETERS,                    /* `len` bytes from the initiator into the buffer, then scsi_parameters() */
    SCSI_READ, SCSI_WRITE,              /* `bytes` of the medium from `at` on                                */
    SCSI_READ_RAW,                      /* the same, each CD sector framed by mmc_frame_sector()             */
    SCSI_VERIFY,                        /* read them, to see whether they can be                             */
    SCSI_COMPARE,                       /* and compare them with the initiator's                             */
    SCSI_FLUSH,
    SCSI_UNMAP,                         /* `len` bytes of descriptors at the start of the buffer             */
    SCSI_FILL,                          /* `bytes` with copies of the block in the buffer                    */
    SCSI_ZERO,                          /* with zeroes                                                       */
} ScsiAction;

typedef struct ScsiPlan {
    ScsiAction action;
    uint8_t key;                        /* sense; SENSE_NONE: the command ended well                         */
    uint16_t asc;
    uint64_t at, bytes;                 /* within the medium: checked                                        */
    uint32_t len;
    bool fua;                           /* what is written is on the medium when the command ends            */
    bool unmap;                         /* zeroes may be holes                                               */
    uint8_t *buffer;                    /* the carrier's of SCSI_BUFFER bytes or more, or g_malloc'ed when it was NULL */
} ScsiPlan;

/* cdb: SCSI_CDB bytes.  *plan: zeroes and perhaps a buffer. */
void scsi_execute(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *plan);
/* The parameters that the plan wanted lie in its buffer (plan->len of them): what then. */
void scsi_parameters(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *plan);
/* What became of a request to the drive (-errno), as sense in the plan. */
void scsi_drive_failed(ScsiPlan *p, bool write, int result);
/* Fixed format (SPC-4 §4.5.3), SCSI_SENSE bytes. */
void scsi_sense_data(uint8_t *to, uint8_t key, uint16_t asc);

void scsi_unit_reset(ScsiUnit *u);      /* by the bus: settings as at power-on, and a unit attention          */
void scsi_attention(ScsiUnit *u, unsigned attention);
bool scsi_has_medium(const ScsiUnit *u);
uint64_t scsi_blocks(const ScsiUnit *u);/* of u->block bytes; 0 without a medium                             */

/* ---- What people do with the medium (DriveUser) ---- */
void scsi_media_changed(ScsiUnit *u, bool loaded);
void scsi_eject_request(ScsiUnit *u, bool force);

/* ---- Between the files of commands ---- */
uint8_t *scsi_buffer(ScsiPlan *p, uint32_t len);        /* zeroed; len <= SCSI_BUFFER                        */
void scsi_fail(ScsiPlan *p, uint8_t key, uint16_t asc);
void scsi_invalid_field(ScsiPlan *p);
void scsi_reply(ScsiPlan *p, uint32_t len, uint32_t allocated);         /* cut to what there is room for     */
bool scsi_check_range(const ScsiUnit *u, ScsiPlan *p, uint64_t lba, uint64_t n);

typedef void ScsiCommand(ScsiUnit *u, const uint8_t *cdb, ScsiPlan *p);
/* spc.c */
ScsiCommand spc_inquiry, spc_mode_sense, spc_mode_select, spc_mode_selected;
/* sbc.c: blocks, of CDs as well */
ScsiCommand sbc_read_write, sbc_read_capacity, sbc_service_in, sbc_verify, sbc_synchronize, sbc_write_same, sbc_write_same_data,
    sbc_unmap, sbc_unmap_list;
/* mmc.c */
ScsiCommand mmc_seek, mmc_read_toc, mmc_get_configuration, mmc_get_event, mmc_read_disc_information, mmc_read_dvd_structure,
    mmc_mechanism_status, mmc_read_cd;
bool mmc_is_dvd(const ScsiUnit *u);
/* A whole sector around its user data: sync, header, data (ECMA-130 §14). */
void mmc_frame_sector(uint8_t *raw, const uint8_t *data, uint64_t lba);

/* SCSI is big-endian. */
static inline uint16_t load_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t load_be24(const uint8_t *p) { return (uint32_t)p[0] << 16 | load_be16(p + 1); }
static inline uint32_t load_be32(const uint8_t *p) { return (uint32_t)load_be16(p) << 16 | load_be16(p + 2); }
static inline uint64_t load_be64(const uint8_t *p) { return (uint64_t)load_be32(p) << 32 | load_be32(p + 4); }
static inline void store_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void store_be24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 16);
    store_be16(p + 1, v);
}
static inline void store_be32(uint8_t *p, uint32_t v)
{
    store_be16(p, v >> 16);
    store_be16(p + 2, v);
}
static inline void store_be64(uint8_t *p, uint64_t v)
{
    store_be32(p, (uint32_t)(v >> 32));
    store_be32(p + 4, (uint32_t)v);
}

#endif
