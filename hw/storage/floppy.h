/* A floppy disk drive and the formats of its media: mechanics without a controller. */
#ifndef HW_STORAGE_FLOPPY_H
#define HW_STORAGE_FLOPPY_H

#include "block/drive.h"
#include "hw/device.h"

enum { FLOPPY_SECTOR = 512, FLOPPY_TRACKS = 84, FLOPPY_HEADS = 2, FLOPPY_SECTORS = 48 };

/* drive-type, as users write it: "144" "288" "120" "none" "auto". */
typedef enum FloppyType { FLOPPY_144, FLOPPY_288, FLOPPY_120, FLOPPY_NONE, FLOPPY_AUTO } FloppyType;
extern const char *const floppy_type_names[];

/* Data rates as the CCR encodes them. */
typedef enum FloppyRate { RATE_500K, RATE_300K, RATE_250K, RATE_1M } FloppyRate;

typedef struct FloppyFormat {
    uint8_t type;                       /* FloppyType of the drive that is made for it                       */
    uint8_t sectors, tracks, heads;
    uint8_t rate;
} FloppyFormat;

typedef struct Floppy {
    Device dev;
    Drive *drive;                       /* property                                                          */
    Drive *own_drive;                   /* an empty one, when none was given                                 */
    uint32_t unit;                      /* property: select line; UINT32_MAX: the next free one              */
    int type;                           /* property drive-type; after realize no longer FLOPPY_AUTO          */
    uint8_t track;                      /* where the head stands                                             */
    bool changed;                       /* disk change line: set by a new medium, cleared by a step          */
    uint8_t deleted[FLOPPY_TRACKS * FLOPPY_HEADS * FLOPPY_SECTORS / 8]; /* sectors with a deleted data mark  */
} Floppy;

extern const DeviceClass floppy_class;

/* What the medium is: by its size, preferring formats of this drive; the drive's standard format when the size is unusual
 * (the missing part of a short image reads as zeroes).  NULL without a medium. */
const FloppyFormat *floppy_format(const Floppy *f);
/* Step to `track`.  A step with a medium in the drive releases the disk change line. */
void floppy_step_to(Floppy *f, unsigned track);
bool floppy_write_protected(const Floppy *f);
bool floppy_disk_changed(const Floppy *f);
/* The cylinder number recorded where the head stands now; a 40-track medium in an 80-track drive answers to single and to
 * double steps. */
bool floppy_on_cylinder(const Floppy *f, const FloppyFormat *format, unsigned cylinder);
/* Whether the medium is read at that data rate.  Double density 5.25" media are at 250 kbit/s as well as at 300: the drive
 * turns at the speed that was asked for. */
bool floppy_reads_at(const FloppyFormat *format, unsigned rate);
/* Byte offset in the image of a sector (from 1) that the format has. */
int64_t floppy_offset(const FloppyFormat *format, unsigned cylinder, unsigned head, unsigned sector);
/* Images have no room for deleted data marks: they last while the medium is in the drive. */
bool floppy_deleted(const Floppy *f, int64_t offset);
void floppy_set_deleted(Floppy *f, int64_t offset, bool deleted);
/* The type in the RTC's CMOS byte 10h: 0 none, 2 1.2M, 4 1.44M, 5 2.88M. */
uint8_t floppy_cmos_type(const Floppy *f);

/* ---- The cable: bus "floppy-bus" of a controller ---- */
enum { FLOPPY_UNITS = 2 };
typedef struct FloppyBus {
    Floppy *unit[FLOPPY_UNITS];         /* NULL: no such drive                                               */
    int fallback;                       /* FloppyType of a drive-type=auto drive that starts without a medium */
} FloppyBus;
Bus *floppy_bus_new(Device *controller, FloppyBus *cable);

#endif
