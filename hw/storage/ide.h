/* IDE channels: the cable with its two devices, and the bus-master engine that serves it.  Main lock held. */
#ifndef HW_STORAGE_IDE_H
#define HW_STORAGE_IDE_H

#include "hw/storage/ata.h"

/* ---- The cable ---- */
struct IdeBus {
    Bus *bus;                           /* "ide.0"                                                           */
    Device *controller;
    unsigned number;                    /* of the channel: input line of the controller that INTRQ drives    */
    AtaDevice *unit[2];
    bool serial;                        /* a Serial ATA link: one device                                     */
    void (*kick)(Device *controller, unsigned channel);         /* a device waits for the DMA engine         */
};
IdeBus *ide_bus_new(Device *controller, const char *name, unsigned number,
                    void (*kick)(Device *controller, unsigned channel));
void ide_bus_free(IdeBus *bus);         /* after its devices and its Bus are gone; NULL is fine              */
void ide_bus_kick(IdeBus *bus);         /* NULL is fine                                                      */
/* INTRQ as the host sees it: of the selected device, unless nIEN. */
bool ide_bus_intrq(const IdeBus *bus);
AtaDevice *ide_bus_selected(const IdeBus *bus);         /* NULL: that device is absent */

/* Command block, 8 ports, the first of them data in 1, 2 or 4 bytes; control block, 1 port.  opaque: IdeBus. */
extern const IoOps ide_command_ops, ide_control_ops;

/* ---- The bus-master engine of one channel (Programming Interface for Bus Master IDE Controller 1.0) ---- */
typedef struct BmTransfer BmTransfer;
typedef struct BmDma {
    uint8_t command, status;
    uint32_t table;
    uint32_t next, addr, room;          /* descriptor to load next; the current one's rest                   */
    bool last;                          /* the current descriptor ends the table                             */
    bool intrq;                         /* level of INTRQ when last seen                                     */
    Device *controller;                 /* whose Dma capability it uses                                      */
    IdeBus *bus;
    BmTransfer *transfer;               /* in flight, or NULL                                                */
} BmDma;
extern const DeviceClass bm_dma_class;  /* a plain part; 8 ports of space 0 */
/* Move what can be moved: both the engine is started and a device waits. */
void bm_dma_run(BmDma *bm);
/* From the controller's update(): notes an edge of INTRQ in the status. */
void bm_dma_intrq(BmDma *bm, bool level);

/* ---- Disks ---- */
typedef enum IdeTranslation {           /* of the BIOS, between its geometry and the drive's */
    IDE_TRANS_AUTO, IDE_TRANS_NONE, IDE_TRANS_LBA, IDE_TRANS_LARGE, IDE_TRANS_RECHS
} IdeTranslation;
typedef struct IdeGeometry {
    uint32_t cyls, heads, secs;
    IdeTranslation translation;         /* never IDE_TRANS_AUTO as an answer */
} IdeGeometry;
/* A geometry for `sectors`, in the light of a partition table in `mbr` (512 bytes; NULL: none known). */
IdeGeometry ide_guess_geometry(uint64_t sectors, const uint8_t *mbr);
/* Of a realized "ide-hd", for the CMOS of the board.  False: `dev` is no disk. */
bool ide_geometry(const Device *dev, IdeGeometry *g);

/* A new "ide-hd" or "ide-cd" on the cable, realized.  NULL and *error: cannot be. */
Device *ide_drive_new(IdeBus *bus, unsigned unit, Drive *drive, bool cdrom, const char *serial, GError **error);

/* ---- PIIX3 function 1 ---- */
extern const DeviceClass piix3_ide_class, ide_hd_class, ide_cd_class;
IdeBus *piix3_ide_bus(Device *piix3_ide, unsigned channel);

#endif
