/* Between the files of the ATAPI drive: its state, and the commands that only compose a reply. */
#ifndef HW_STORAGE_ATAPI_H
#define HW_STORAGE_ATAPI_H

#include "hw/storage/ata.h"

enum { CD_SECTOR = 2048, CD_RAW = 2352 };
enum { SENSE_NONE, SENSE_NOT_READY = 2, SENSE_MEDIUM = 3, SENSE_ILLEGAL = 5, SENSE_ATTENTION = 6 };
enum {                                  /* additional sense code and qualifier (MMC-6 annex F) */
    ASC_READ_ERROR = 0x1100,
    ASC_INVALID_COMMAND = 0x2000,
    ASC_OUT_OF_RANGE = 0x2100,
    ASC_INVALID_FIELD = 0x2400,
    ASC_INVALID_PARAMETER = 0x2600,
    ASC_MEDIUM_CHANGED = 0x2800,
    ASC_INCOMPATIBLE_FORMAT = 0x3002,
    ASC_SAVING_UNSUPPORTED = 0x3900,
    ASC_NO_MEDIUM_CLOSED = 0x3a01,
    ASC_NO_MEDIUM_OPEN = 0x3a02,
    ASC_REMOVAL_PREVENTED = 0x5302,
};
enum { AWAIT_NOTHING, AWAIT_PACKET, AWAIT_PARAMETERS };
enum { EVENT_NONE, EVENT_EJECT_REQUEST, EVENT_NEW_MEDIUM, EVENT_REMOVED };       /* as GET EVENT codes them */

typedef struct IdeCd {
    AtaDevice ata;
    uint8_t cdb[12];
    uint8_t awaiting;                   /* what the host's data are                                          */
    bool use_dma;
    uint16_t limit;                     /* byte count of PACKET                                              */
    uint8_t sense;                      /* key for REQUEST SENSE                                             */
    uint16_t asc, attention;            /* codes; attention 0: none due                                      */
    uint8_t event;                      /* not yet told by GET EVENT STATUS NOTIFICATION                     */
    bool tray_open, locked;
    uint32_t raw_lba, raw_left;         /* READ CD with sector headers: what is still to be read             */
} IdeCd;

/* Ends of a packet command. */
void atapi_ok(IdeCd *s);
void atapi_fail(IdeCd *s, uint8_t key, uint16_t asc);
void atapi_invalid_field(IdeCd *s);
/* `len` bytes of the buffer, cut to what the host has room for. */
void atapi_reply(IdeCd *s, uint32_t len, uint32_t allocated);

uint32_t atapi_blocks(const IdeCd *s);
bool atapi_has_medium(const IdeCd *s);
bool atapi_is_dvd(const IdeCd *s);
void atapi_set_tray(IdeCd *s, bool open);

/* Commands, in atapi-info.c. */
void atapi_identify(IdeCd *s);
void atapi_inquiry(IdeCd *s);
void atapi_read_capacity(IdeCd *s);
void atapi_read_toc(IdeCd *s);
void atapi_get_configuration(IdeCd *s);
void atapi_get_event(IdeCd *s);
void atapi_read_disc_information(IdeCd *s);
void atapi_mode_select(IdeCd *s);
void atapi_mode_selected(IdeCd *s);     /* its parameters arrived */
void atapi_mode_sense(IdeCd *s);
void atapi_read_dvd_structure(IdeCd *s);
void atapi_mechanism_status(IdeCd *s);

/* SCSI is big-endian. */
static inline uint16_t load_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t load_be32(const uint8_t *p) { return (uint32_t)load_be16(p) << 16 | load_be16(p + 2); }
static inline void store_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void store_be32(uint8_t *p, uint32_t v)
{
    store_be16(p, v >> 16);
    store_be16(p + 2, v);
}

#endif
