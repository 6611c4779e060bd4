/* The ATA device: task file, data buffer and protocols, for disks and CD drives alike (ATA/ATAPI-6,
 * T13 1410D). */
#include "hw/storage/ata.h"

#include <errno.h>
#include <string.h>

#include "hw/storage/ide.h"

struct AtaRequest {
    AtaDevice *dev; /* NULL: the device lost interest */
    DriveRequest *handle;
    void (*done)(AtaDevice *s, AtaRequest *r, int result);
    void (*then)(AtaDevice *s);
    void (*release)(void *arg, bool ok);
    void *arg;
    uint32_t len;
    uint8_t *data; /* its own copy, so that a late answer cannot touch a new command's buffer */
};

/* ---- Requests to the drive ---- */

static void request_done(void *arg, int result)
{
    AtaRequest *r = arg;
    AtaDevice *s = r->dev;
    if (s) {
        s->request = NULL;
        r->done(s, r, result);
    }
    if (r->release) {
        r->release(r->arg, result == 0);
    }
    if (s) {
        ide_bus_kick(s->bus);
        device_settle(&s->dev);
    }
    g_free(r->data);
    g_free(r);
}

static AtaRequest *request_new(AtaDevice *s, void (*done)(AtaDevice *s, AtaRequest *r, int result),
                               uint32_t len)
{
    AtaRequest *r = g_new0(AtaRequest, 1);
    r->dev = s;
    r->done = done;
    r->len = len;
    r->data = len ? g_malloc(len) : NULL;
    s->request = r;
    s->phase = ATA_BUSY;
    s->status = ATA_BSY | ATA_DRDY | ATA_DSC;
    return r;
}

void ata_stop(AtaDevice *s)
{
    AtaRequest *r = s->request;
    if (r) {
        r->dev = NULL;
        s->request = NULL;
        drive_cancel(r->handle);
    }
    s->phase = ATA_IDLE;
    s->left = s->buf_at = s->drq_end = s->buf_len = 0;
}

/* ---- Ends of a command ---- */

static void end_command(AtaDevice *s, uint8_t status, uint8_t error)
{
    s->phase = ATA_IDLE;
    s->left = s->buf_at = s->drq_end = s->buf_len = 0;
    s->status = status;
    s->error = error;
    s->irq = true;
}

void ata_finish(AtaDevice *s)
{
    end_command(s, ATA_DRDY | ATA_DSC, 0);
}

void ata_fail(AtaDevice *s, uint8_t error)
{
    end_command(s, ATA_DRDY | ATA_DSC | ATA_ERR, error);
}

void ata_abort(AtaDevice *s)
{
    ata_fail(s, ATA_ABRT);
}

/* ---- Data through the buffer ---- */

static void fetch(AtaDevice *s);
static void store(AtaDevice *s);

uint8_t *ata_reply(AtaDevice *s, uint32_t n)
{
    memset(s->buffer, 0, n);
    return s->buffer;
}

/* The next piece between two interrupts; a packet device says how long it is (§9.8). */
static void begin_block(AtaDevice *s, bool irq)
{
    uint32_t room = s->buf_len - s->buf_at;
    uint32_t bytes = MIN(room, s->block);
    s->drq_end = s->buf_at + bytes;
    s->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    if (ATA_INFO(s)->packet && s->command == 0xa0) {
        s->lba_mid = (uint8_t)bytes;
        s->lba_high = (uint8_t)(bytes >> 8);
        s->count = s->phase == ATA_PIO_IN ? 2 : 0;
    }
    s->irq |= irq;
}

static void begin_buffer(AtaDevice *s, uint32_t len, bool irq)
{
    s->buf_at = s->drq_end = 0;
    s->buf_len = len;
    if (s->dma) {
        s->phase = s->writing ? ATA_DMA_OUT : ATA_DMA_IN;
        s->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        ide_bus_kick(s->bus);
    } else {
        s->phase = s->writing ? ATA_PIO_OUT : ATA_PIO_IN;
        begin_block(s, irq);
    }
}

static void begin(AtaDevice *s, bool disk, bool writing, bool dma, uint32_t block)
{
    s->disk = disk;
    s->writing = writing;
    s->dma = dma;
    s->block = block ? block : ATA_BUFFER;
    s->left = 0;
}

void ata_send(AtaDevice *s, uint32_t len, uint32_t block, bool dma)
{
    g_assert(len && len <= ATA_BUFFER);
    begin(s, false, false, dma, block);
    begin_buffer(s, len, true);
}

void ata_receive(AtaDevice *s, uint32_t len, uint32_t block, bool dma, bool irq)
{
    g_assert(len && len <= ATA_BUFFER);
    begin(s, false, true, dma, block);
    begin_buffer(s, len, irq);
}

void ata_disk(AtaDevice *s, uint64_t at, uint32_t bytes, uint32_t block, bool write, bool dma)
{
    begin(s, true, write, dma, block);
    s->at = at;
    s->left = bytes;
    if (dma) {
        begin_buffer(s, 0, false);
    } else if (write) {
        begin_buffer(s, MIN(bytes, ATA_BUFFER), false);
    } else {
        fetch(s);
    }
}

static void drive_failed(AtaDevice *s, int result)
{
    ATA_INFO(s)->failed(s, result);
}

static void fetched(AtaDevice *s, AtaRequest *r, int result)
{
    if (result < 0) {
        drive_failed(s, result);
        return;
    }
    memcpy(s->buffer, r->data, r->len);
    s->at += r->len;
    s->left -= r->len;
    begin_buffer(s, r->len, true);
}

static void fetch(AtaDevice *s)
{
    uint32_t len = MIN(s->left, ATA_BUFFER);
    if (!s->drive || !len) {
        drive_failed(s, -ENOMEDIUM);
        return;
    }
    AtaRequest *r = request_new(s, fetched, len);
    r->handle = drive_read(s->drive, (int64_t)s->at, r->data, len, request_done, r);
}

static void stored(AtaDevice *s, AtaRequest *r, int result)
{
    if (result < 0) {
        drive_failed(s, result);
        return;
    }
    s->at += r->len;
    s->left -= r->len;
    if (s->left) {
        begin_buffer(s, MIN(s->left, ATA_BUFFER), true);
    } else {
        ATA_INFO(s)->transferred(s);
    }
}

static void store(AtaDevice *s)
{
    s->buf_len = MIN(s->buf_len, s->left) & ~(ATA_SECTOR - 1u);
    if (!s->drive || !s->buf_len) {
        drive_failed(s, -ENOMEDIUM);
        return;
    }
    AtaRequest *r = request_new(s, stored, s->buf_len);
    memcpy(r->data, s->buffer, s->buf_len);
    r->handle = drive_write(s->drive, (int64_t)s->at, r->data, r->len, request_done, r);
}

/* The host emptied or filled the whole buffer. */
static void buffer_moved(AtaDevice *s)
{
    if (s->disk && s->writing) {
        store(s);
    } else if (s->disk && s->left) {
        fetch(s);
    } else {
        ATA_INFO(s)->transferred(s);
    }
}

/* ---- The data port ---- */

/* Bytes that the host may move now. */
static uint32_t port_room(const AtaDevice *s, AtaPhase phase, uint32_t len)
{
    return s->phase == phase ? MIN(len, s->drq_end - s->buf_at) : 0;
}

static void port_moved(AtaDevice *s, uint32_t n)
{
    s->buf_at += n;
    if (s->buf_at < s->drq_end) {
        return;
    }
    if (s->buf_at < s->buf_len) {
        begin_block(s, true);
    } else {
        buffer_moved(s);
    }
    device_settle(&s->dev);
}

void ata_data_read(AtaDevice *s, void *buf, uint32_t len)
{
    uint32_t n = port_room(s, ATA_PIO_IN, len);
    memcpy(buf, s->buffer + s->buf_at, n);
    memset((uint8_t *)buf + n, 0xff, len - n);
    if (n) {
        port_moved(s, n);
    }
}

void ata_data_write(AtaDevice *s, const void *buf, uint32_t len)
{
    uint32_t n = port_room(s, ATA_PIO_OUT, len);
    memcpy(s->buffer + s->buf_at, buf, n);
    if (n) {
        port_moved(s, n);
    }
}

/* ---- The DMA engine's side ---- */

bool ata_dma_wants(AtaDevice *s, AtaDma *want)
{
    if (s->phase != ATA_DMA_IN && s->phase != ATA_DMA_OUT) {
        return false;
    }
    *want = (AtaDma){.in = s->phase == ATA_DMA_IN, .disk = s->disk, .at = s->at};
    want->bytes = s->disk ? s->left : s->buf_len - s->buf_at;
    want->buffer = s->buffer + s->buf_at;
    return want->bytes > 0 && (s->drive || !s->disk);
}

void ata_dma_moved(AtaDevice *s, uint32_t bytes)
{
    s->buf_at += bytes;
    if (s->buf_at == s->buf_len) {
        ATA_INFO(s)->transferred(s);
    }
}

void ata_dma_drop(AtaDevice *s)
{
    ata_stop(s);
    s->status = ATA_DRDY | ATA_DSC;
}

static void dma_done(AtaDevice *s, AtaRequest *r, int result)
{
    if (result < 0) {
        drive_failed(s, result);
    } else {
        s->at += r->len;
        s->left -= r->len;
        s->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        s->phase = s->writing ? ATA_DMA_OUT : ATA_DMA_IN;
        if (!s->left) {
            ATA_INFO(s)->transferred(s);
        }
    }
}

void ata_dma_disk(AtaDevice *s, const AtaDma *want, const struct iovec *iov, unsigned n,
                  void (*release)(void *arg, bool ok), void *arg)
{
    AtaRequest *r = request_new(s, dma_done, 0);
    r->release = release;
    r->arg = arg;
    r->len = want->bytes;
    r->handle = want->in
                    ? drive_readv(s->drive, (int64_t)want->at, iov, n, request_done, r)
                    : drive_writev(s->drive, (int64_t)want->at, iov, n, false, request_done, r);
}

static void loaded(AtaDevice *s, AtaRequest *r, int result)
{
    s->phase = ATA_IDLE;
    if (result < 0) {
        drive_failed(s, result);
        return;
    }
    memcpy(s->buffer, r->data, r->len);
    r->then(s);
}

void ata_load(AtaDevice *s, uint64_t at, uint32_t bytes, void (*then)(AtaDevice *s))
{
    if (!s->drive) {
        drive_failed(s, -ENOMEDIUM);
        return;
    }
    AtaRequest *r = request_new(s, loaded, bytes);
    r->then = then;
    r->handle = drive_read(s->drive, (int64_t)at, r->data, bytes, request_done, r);
}

/* ---- Requests without data ---- */

static void plain_done(AtaDevice *s, AtaRequest *r, int result)
{
    s->phase = ATA_IDLE;
    if (result < 0) {
        drive_failed(s, result);
    } else {
        r->then(s);
    }
}

void ata_flush(AtaDevice *s, void (*then)(AtaDevice *s))
{
    if (!s->drive) {
        then(s);
        return;
    }
    AtaRequest *r = request_new(s, plain_done, 0);
    r->then = then;
    r->handle = drive_flush(s->drive, request_done, r);
}

void ata_discard(AtaDevice *s, uint64_t at, uint64_t len, void (*then)(AtaDevice *s))
{
    if (!s->drive) {
        then(s);
        return;
    }
    AtaRequest *r = request_new(s, plain_done, 0);
    r->then = then;
    r->handle = drive_discard(s->drive, (int64_t)at, (int64_t)len, request_done, r);
}

/* ---- The task file ---- */

void ata_signature(AtaDevice *s)
{
    bool packet = ATA_INFO(s)->packet;
    s->count = s->lba_low = 1;
    s->lba_mid = packet ? 0x14 : 0;
    s->lba_high = packet ? 0xeb : 0;
    s->device = 0;
    s->hob_count = s->hob_low = s->hob_mid = s->hob_high = s->hob_feature = 0;
}

/* §9.2: diagnostics passed; a packet device does not show DRDY until its first command. */
static void signature_status(AtaDevice *s)
{
    ata_signature(s);
    s->error = 0x01;
    s->status = ATA_INFO(s)->packet ? 0 : ATA_DRDY | ATA_DSC;
}

static void reset_protocol(AtaDevice *s, bool hard)
{
    ata_stop(s);
    s->irq = false;
    s->command = 0;
    s->queue_error = (AtaQueueError){.tag = 0x80};
    signature_status(s);
    if (ATA_INFO(s)->reset) {
        ATA_INFO(s)->reset(s, hard);
    }
}

void ata_soft_reset(AtaDevice *s)
{
    reset_protocol(s, false);
}

void ata_hard_reset(AtaDevice *s)
{
    s->dma_mode = 0x45;
    s->control = 0;
    reset_protocol(s, true);
    device_settle(&s->dev);
}

bool ata_is_packet(const AtaDevice *s)
{
    return ATA_INFO(s)->packet;
}

/* Two deep: the register and what was there before, for 48-bit addresses (§6.20). */
static void pair_write(void *dev, unsigned previous, unsigned i, uint64_t old, uint64_t value)
{
    AtaDevice *s = dev;
    *((uint8_t *)s + previous) = (uint8_t)old;
    s->control &= (uint8_t)~ATA_HOB;
}

static void device_write_hook(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((AtaDevice *)dev)->control &= (uint8_t)~ATA_HOB;
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    enum { DEVICE_RESET = 0x08, DIAGNOSTIC = 0x90 };
    AtaDevice *s = dev;
    s->control &= (uint8_t)~ATA_HOB;
    if (value == DEVICE_RESET && ATA_INFO(s)->packet) {
        uint8_t selected = s->device & 0x10;
        reset_protocol(s, false);
        s->device = selected;
        return;
    }
    if (s->status & (ATA_BSY | ATA_DRQ)) {
        guest_error(&s->dev, "command %02x while busy with %02x", (unsigned)value, s->command);
        return;
    }
    s->command = (uint8_t)value;
    s->irq = false;
    s->error = 0;
    if (value == DIAGNOSTIC) {
        signature_status(s);
        s->irq = true;
        return;
    }
    ATA_INFO(s)->command(s, (uint8_t)value);
}

static void status_read(void *dev, unsigned arg, unsigned i)
{
    ((AtaDevice *)dev)->irq = false;
}

static void control_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    AtaDevice *s = dev;
    if (value & ~old & ATA_SRST) {
        ata_stop(s);
        s->irq = false;
        s->status = ATA_BSY;
    } else if (old & ~value & ATA_SRST) {
        ata_soft_reset(s);
    }
}

/* While BSY the task file is the device's; while SRST nothing but the control register listens. */
#define READY       LOCK(AtaDevice, status, ATA_BSY, 0)
#define PREVIOUS    WHEN(AtaDevice, control, ATA_HOB, ATA_HOB)
#define PAIR(f)     .rw = 0xff, .on_write = pair_write, .arg = offsetof(AtaDevice, f), READY
#define STATUS_BITS "ERR - - DRQ DSC DF DRDY BSY"
// clang-format off
static const Row ata_rows[] = {
    DRIVE(AtaDevice, drive, "Drive that holds the medium"),
    PROP(AtaDevice, unit, "-1", "0 master, 1 slave; -1: the first free"),
    PROP(AtaDevice, serial, NULL, "Serial number, up to 20 characters"),
    PROP(AtaDevice, ver, NULL, "Firmware revision, up to 8 characters"),
    PROP(AtaDevice, model, NULL, "Model, up to 40 characters"),
    PROP(AtaDevice, wwn, "0", "World wide name; 0: none"),
    PROP(AtaDevice, bootindex, "-1", "Place in the boot order; -1: none"),
    CALC(error_hob, 1, 1, .ro = true, PREVIOUS, FROM(AtaDevice, error)),
    REG(AtaDevice, error, 1, .ro = true, .doc = "Error", .bits = "- - ABRT - IDNF - UNC"),
    REG(AtaDevice, feature, 1, .wo = true, PAIR(hob_feature), .doc = "Features"),
    CALC(previous_count, 1, 2, .ro = true, PREVIOUS, FROM(AtaDevice, hob_count)),
    REG(AtaDevice, count, 2, PAIR(hob_count), .doc = "Sector count; packet devices: interrupt reason"),
    CALC(previous_low, 1, 3, .ro = true, PREVIOUS, FROM(AtaDevice, hob_low)),
    REG(AtaDevice, lba_low, 3, PAIR(hob_low), .doc = "LBA low; sector number"),
    CALC(previous_mid, 1, 4, .ro = true, PREVIOUS, FROM(AtaDevice, hob_mid)),
    REG(AtaDevice, lba_mid, 4, PAIR(hob_mid), .doc = "LBA mid; cylinder low; byte count low"),
    CALC(previous_high, 1, 5, .ro = true, PREVIOUS, FROM(AtaDevice, hob_high)),
    REG(AtaDevice, lba_high, 5, PAIR(hob_high), .doc = "LBA high; cylinder high; byte count high"),
    REG(AtaDevice, device, 6, .rw = 0xff, .on_write = device_write_hook, READY, .doc = "Device and head",
        .bits = "- - - - DEV - LBA"),
    REG(AtaDevice, status, 7, .ro = true, .on_read = status_read, .doc = "Status", .bits = STATUS_BITS),
    CALC(command_port, 1, 7, .wo = true, .on_write = command_write, .doc = "Command"),
    CALC(alternate_status, 1, 0, .space = ATA_CONTROL_SPACE, .ro = true, FROM(AtaDevice, status), .bits = STATUS_BITS,
         .doc = "Status, without acknowledging the interrupt"),
    REG(AtaDevice, control, 0, .space = ATA_CONTROL_SPACE, .wo = true, .rw = ATA_NIEN | ATA_SRST | ATA_HOB,
        .on_write = control_write, .doc = "Device control", .bits = "- NIEN SRST - - - - HOB"),
    STATE(AtaDevice, hob_feature),
    STATE(AtaDevice, hob_count),
    STATE(AtaDevice, hob_low),
    STATE(AtaDevice, hob_mid),
    STATE(AtaDevice, hob_high),
    STATE(AtaDevice, command),
    STATE(AtaDevice, irq),
    STATE(AtaDevice, dma_mode, .max = 0x45),
    STATE(AtaDevice, phase, .max = ATA_PHASES - 1),
    STATE(AtaDevice, disk),
    STATE(AtaDevice, writing),
    STATE(AtaDevice, dma),
    STATE(AtaDevice, at, .max = UINT64_C(1) << 60),
    STATE(AtaDevice, left, .max = UINT32_C(1) << 31),
    STATE(AtaDevice, block, .max = ATA_BUFFER),
    STATE(AtaDevice, buf_at, .max = ATA_BUFFER),
    STATE(AtaDevice, drq_end, .max = ATA_BUFFER),
    STATE(AtaDevice, buf_len, .max = ATA_BUFFER),
    QUEUE(AtaDevice, buffer, buf_len),
    STATE(AtaDevice, queue_error.tag),
    STATE(AtaDevice, queue_error.status),
    STATE(AtaDevice, queue_error.error),
    STATE(AtaDevice, queue_error.count),
    STATE(AtaDevice, queue_error.lba),
    DERIVED(AtaDevice, request),
    DERIVED(AtaDevice, own_drive),
    PIN(AtaDevice, intrq, "Interrupt request"),
    END
};
// clang-format on

/* ---- The class ---- */

static bool ata_realize(void *dev, GError **error)
{
    AtaDevice *s = dev;
    if (!s->drive && ATA_INFO(s)->packet) {
        s->drive = s->own_drive = drive_new_empty();
    }
    if (s->drive && !drive_attach(s->drive, ATA_INFO(s)->user, s,
                                  device_label(&s->dev), error)) {
        s->drive = NULL;
        return false;
    }
    return true;
}

static void ata_unrealize(void *dev)
{
    AtaDevice *s = dev;
    ata_stop(s);
    if (s->drive) {
        drive_drain(s->drive);
        drive_detach(s->drive, s);
        drive_free(g_steal_pointer(&s->own_drive));
        s->drive = NULL;
    }
}

static void ata_reset(void *dev, bool power_on)
{
    AtaDevice *s = dev;
    AtaRequest *r = s->request;
    s->dma_mode = 0x45;
    reset_protocol(s, true);
    if (r) { /* nothing may reach guest memory after a machine's reset */
        drive_drain(s->drive);
    }
}

static void ata_update(void *dev)
{
    AtaDevice *s = dev;
    /* A snapshot may say anything: indices keep their order, and what waited for a request ends in
     * an error. */
    s->at &= ~(uint64_t)(ATA_SECTOR - 1);
    s->left &= ~(ATA_SECTOR - 1u);
    s->block = s->block ? s->block : ATA_BUFFER;
    s->drq_end = MIN(s->drq_end, s->buf_len);
    s->buf_at = MIN(s->buf_at, s->drq_end);
    if (s->phase == ATA_BUSY && !s->request) {
        ata_abort(s);
    }
    irq_set(&s->intrq, s->irq);
}

static bool ata_busy(const void *dev)
{
    return ((const AtaDevice *)dev)->request;
}

const DeviceClass ata_device_class = {
    .name = "ide-device",
    .doc = "Device on an IDE cable",
    .abstract = true,
    .bus = "IDE",
    .category = "storage",
    .size = sizeof(AtaDevice),
    .rows = ata_rows,
    .info = &(const AtaInfo){0},
    .realize = ata_realize,
    .unrealize = ata_unrealize,
    .reset = ata_reset,
    .update = ata_update,
    .busy = ata_busy,
};

/* ---- What both kinds of device answer alike ---- */

void ata_text(uint8_t *to, unsigned len, const char *text)
{
    for (unsigned i = 0; i < len; i++) {
        to[i ^ 1] = *text ? (uint8_t)*text++ : ' ';
    }
}

void ata_identify_names(const AtaDevice *a, uint8_t *id)
{
    ata_text(id + 2 * 10, 20, a->serial);
    ata_word(id, 20, 3);
    ata_word(id, 21, 512);
    ata_word(id, 22, 4);
    ata_text(id + 2 * 23, 8, a->ver);
    ata_text(id + 2 * 27, 40, a->model);
}

/* Table "Transfer mode values": PIO modes need no setting. */
bool ata_set_transfer_mode(AtaDevice *s)
{
    unsigned kind = s->count >> 3, mode = s->count & 7;
    switch (kind) {
    case 0: return mode <= 1;
    case 1: return mode <= 4;
    case 4:
    case 8:
        if (mode > (kind == 4 ? 2 : 5)) {
            return false;
        }
        s->dma_mode = s->count;
        return true;
    default: return false;
    }
}

void ata_identify_modes(const AtaDevice *s, uint8_t *id)
{
    unsigned mode = s->dma_mode & 7, kind = s->dma_mode >> 3;
    id[2 * 63] = 0x07;
    id[2 * 63 + 1] = (uint8_t)(kind == 4 ? 1u << mode : 0);
    id[2 * 88] = 0x3f;
    id[2 * 88 + 1] = (uint8_t)(kind == 8 ? 1u << mode : 0);
}
