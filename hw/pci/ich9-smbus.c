/* Intel ICH9, function 31.3: SMBus host controller (data sheet 316972-004, chapter 18).  Nobody is on
 * the bus, so that no address is acknowledged. */
#include "hw/pci/pci.h"

enum { SPACE_SMBUS, SMBUS_SIZE = 32 };
enum { HST_EN = 1, SMI_EN = 2, SSRESET = 8 };
enum { DEV_ERR = 1 << 2, FAILED = 1 << 4, EVENTS = 0x1e, STS_W1C = 0xfe };
enum { INTREN = 1, KILL = 2, START = 1 << 6 };

typedef struct Ich9Smbus {
    PciDevice pci;
    uint8_t hostc, hst_sts, hst_cnt, hst_cmd, xmit_slva, hst_d[2], block, pec, rcv_slva;
    uint8_t aux_ctl, slv_sts, slv_cmd;
} Ich9Smbus;

static void cnt_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Smbus *s = dev;
    if ((value & START) && (s->hostc & HST_EN)) {
        s->hst_sts |= value & KILL ? FAILED : DEV_ERR;
    }
    s->hst_cnt &= (uint8_t)~START;
}

/* §18.2.1: INUSE_STS is a lock: the first read after it was given back finds it free, and takes it. */
static void sts_read(void *dev, unsigned arg, unsigned i)
{
    enum { INUSE = 1 << 6 };
    ((Ich9Smbus *)dev)->hst_sts |= INUSE;
}

static void hostc_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ich9Smbus *s = dev;
    s->hostc &= (uint8_t)~SSRESET;
}

#define CFG .space = SPACE_PCI_CONFIG
// clang-format off
static const Row smbus_rows[] = {
    REG(Ich9Smbus, hostc, 0x40, CFG, .rw = 0x07, .w1s = SSRESET, .on_write = hostc_write, .doc = "Host configuration",
        .bits = "HST_EN SMB_SMI_EN I2C_EN SSRESET"),
    REG(Ich9Smbus, hst_sts, 0x00, .w1c = STS_W1C, .on_read = sts_read, .doc = "Host status",
        .bits = "BUSY INTR DEV_ERR BUS_ERR FAILED ALERT INUSE DONE"),
    REG(Ich9Smbus, hst_cnt, 0x02, .rw = 0xbf, .w1s = START, .on_write = cnt_write, .doc = "Host control"),
    REG(Ich9Smbus, hst_cmd, 0x03, .rw = 0xff, .doc = "Host command"),
    REG(Ich9Smbus, xmit_slva, 0x04, .rw = 0xff, .doc = "Slave address"),
    REGS(Ich9Smbus, hst_d, 0x05, .rw = 0xff, .doc = "Host data"),
    REG(Ich9Smbus, block, 0x07, .rw = 0xff, .doc = "Block data"),
    REG(Ich9Smbus, pec, 0x08, .rw = 0xff, .doc = "Packet error check"),
    REG(Ich9Smbus, rcv_slva, 0x09, .rw = 0x7f, .reset = 0x44, .doc = "Own address as a slave"),
    REG(Ich9Smbus, aux_ctl, 0x0d, .rw = 0x03, .doc = "Auxiliary control"),
    CALC(pin_ctl, 1, 0x0f, .ro = true, .is = 0x07, .doc = "Both lines are high"),
    REG(Ich9Smbus, slv_sts, 0x10, .w1c = 0x01, .doc = "Slave status"),
    REG(Ich9Smbus, slv_cmd, 0x11, .rw = 0x07, .doc = "Slave command"),
    END
};
// clang-format on

static bool smbus_realize(void *dev, GError **error)
{
    Ich9Smbus *s = dev;
    pci_bar(&s->pci, 4, PCI_BAR_IO, device_region(dev, SPACE_SMBUS, "ich9-smbus", SMBUS_SIZE));
    return true;
}

static void smbus_update(void *dev)
{
    Ich9Smbus *s = dev;
    pci_irq(&s->pci, (s->hst_sts & EVENTS) && (s->hst_cnt & INTREN) && !(s->hostc & SMI_EN));
}

const DeviceClass ich9_smbus_class = {
    .name = "ICH9-SMB",
    .doc = "ICH9 SMBus bridge",
    .base = &pci_device_class,
    .bus = "PCI",
    .category = "bridge",
    .internal = true,
    .size = sizeof(Ich9Smbus),
    .rows = smbus_rows,
    .info =
        &(const PciInfo){
            .vendor = 0x8086,
            .device = 0x2930,
            .revision = 2,
            .class_code = 0x0c0500,
            .interrupt_pin = 1,
            .status_reset = 0x0280,
        },
    .realize = smbus_realize,
    .update = smbus_update,
};
