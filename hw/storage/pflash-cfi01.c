/* Intel 28F128J3 family (datasheet 290667, §4 commands, §4.1 status; JEDEC JESD68.01: CFI query).
 *
 * The array reads as memory until a command is written; then the window shows status, identifiers
 * or the query table until Read Array.  A bank is `width` bytes wide and made of chips of
 * `device-width` bytes side by side, which get each command together and answer in their own lanes.
 * Erasing sets all bits of a block, programming only clears bits. Operations are done at once, so
 * status never says busy, and suspending finds nothing to suspend.
 *
 * Contents come from the drive when the chip is made, and go back there behind the guest's back. */
#include "hw/storage/pflash-cfi01.h"

#include <inttypes.h>
#include <string.h>

#include "block/drive.h"
#include "core/error.h"
#include "cpu/cpu.h"
#include "mem/ram.h"

/* Writing whole pages of 2 KiB through the buffer is what drivers of larger members of the family
 * do. */
enum { BUFFER_LOG2 = 11, BUFFER_SIZE = 1 << BUFFER_LOG2, DISK_SECTOR = 512, QUERY_SIZE = 0x3b };

typedef enum Shown { SHOW_ARRAY, SHOW_STATUS, SHOW_ID, SHOW_QUERY } Shown;
typedef enum Expected {
    EXPECT_COMMAND,
    EXPECT_PROGRAM_DATA,
    EXPECT_ERASE_CONFIRM,
    EXPECT_LOCK_SETUP,
    EXPECT_BUFFER_COUNT,
    EXPECT_BUFFER_DATA,
    EXPECT_BUFFER_CONFIRM,
    EXPECT_CONFIGURATION,
    EXPECTED_LAST = EXPECT_CONFIGURATION,
} Expected;

enum { /* status register, §4.1 */
       SR_LOCKED = 1 << 1,
       SR_PROGRAM = 1 << 4,
       SR_ERASE = 1 << 5,
       SR_READY = 1 << 7,
       SR_BAD_SEQUENCE = SR_PROGRAM | SR_ERASE
};
enum {
    CMD_PROGRAM_2 = 0x10,
    CMD_ERASE = 0x20,
    CMD_PROGRAM = 0x40,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK_SETUP = 0x60,
    CMD_READ_STATUS = 0x70,
    CMD_READ_ID = 0x90,
    CMD_QUERY = 0x98,
    CMD_SUSPEND = 0xb0,
    CMD_CONFIGURE = 0xb8,
    CMD_CONFIRM = 0xd0,
    CMD_WRITE_BUFFER = 0xe8,
    CMD_READ_ARRAY = 0xff
};

typedef struct Pflash {
    Device dev;
    /* properties */
    Drive *drive;
    uint32_t blocks;
    uint64_t sector_length;
    uint8_t width, device_width, max_device_width;
    bool secure;
    uint16_t id0, id1;
    char *name;
    /* state */
    uint8_t shown, expected, status;
    uint16_t units_left; /* of the buffer, still to come                                      */
    uint32_t at;         /* where the two-cycle command was written; where the buffer begins  */
    uint16_t buffered;   /* bytes in use: whole buffer or none                                */
    uint8_t buffer[BUFFER_SIZE]; /* ones where nothing is to be programmed */
    /* outputs and what follows from properties */
    uint32_t size;
    uint8_t query[QUERY_SIZE];
    RamBlock *ram;
    Region *region;
    /* on the way to the drive: [dirty_from, dirty_to) waits until the write in flight is done */
    uint32_t dirty_from, dirty_to;
    uint8_t *in_flight;
    bool attached, failed;
} Pflash;

/* ---- The drive ---- */

static void write_back(Pflash *s);

static void written(void *arg, int result)
{
    Pflash *s = arg;
    g_clear_pointer(&s->in_flight, g_free);
    if (result < 0 && !s->failed) {
        s->failed = true;
        error_report("%s: could not write to drive '%s': %s", s->name, drive_id(s->drive),
                     g_strerror(-result));
    }
    write_back(s);
}

/* One write at a time, so that a later one never overtakes an earlier one. */
static void write_back(Pflash *s)
{
    if (s->in_flight || s->dirty_from == s->dirty_to) {
        return;
    }
    uint32_t from = s->dirty_from, len = s->dirty_to - from;
    s->dirty_from = s->dirty_to = 0;
    s->in_flight = g_malloc(len);
    ram_read(s->ram, from, s->in_flight, len);
    drive_write(s->drive, from, s->in_flight, len, written, s);
}

static void touched(Pflash *s, uint32_t at, uint32_t len)
{
    if (!s->drive || !len) {
        return;
    }
    uint32_t from = at & ~(DISK_SECTOR - 1u),
             to = (at + len + DISK_SECTOR - 1) & ~(DISK_SECTOR - 1u);
    bool none = s->dirty_from == s->dirty_to;
    s->dirty_from = none ? from : MIN(s->dirty_from, from);
    s->dirty_to = none ? to : MAX(s->dirty_to, to);
    write_back(s);
}

/* ---- Operations ---- */

static bool writable(Pflash *s, uint8_t error)
{
    if (s->drive && drive_readonly(s->drive)) {
        s->status |= error | SR_LOCKED;
        return false;
    }
    return true;
}

static void program(Pflash *s, uint32_t at, const uint8_t *data, uint32_t len)
{
    uint8_t now[BUFFER_SIZE];
    if (at >= s->size || !writable(s, SR_PROGRAM)) {
        return;
    }
    len = MIN(len, s->size - at);
    ram_read(s->ram, at, now, len);
    for (uint32_t i = 0; i < len; i++) {
        now[i] &= data[i];
    }
    ram_write(s->ram, at, now, len);
    touched(s, at, len);
}

static void erase(Pflash *s, uint32_t at)
{
    uint8_t ones[4096];
    uint32_t length = (uint32_t)s->sector_length, start = at - at % length;
    if (!writable(s, SR_ERASE)) {
        return;
    }
    memset(ones, 0xff, sizeof(ones));
    for (uint32_t done = 0; done < length; done += MIN(length - done, sizeof(ones))) {
        ram_write(s->ram, start + done, ones, MIN(length - done, sizeof(ones)));
    }
    touched(s, start, length);
}

static void bad_sequence(Pflash *s, uint32_t at, uint32_t value)
{
    guest_error(&s->dev, "write of %02x to %x does not continue the command", value, at);
    s->status |= SR_BAD_SEQUENCE;
    s->expected = EXPECT_COMMAND;
}

/* ---- Command cycles (table 4) ---- */

static void begin(Pflash *s, Expected expected, uint32_t at)
{
    s->expected = expected;
    s->shown = SHOW_STATUS;
    s->status |= SR_READY;
    s->at = at;
}

static void command(Pflash *s, uint32_t at, uint8_t cmd)
{
    switch (cmd) {
    case CMD_READ_ARRAY: s->shown = SHOW_ARRAY; break;
    case CMD_READ_STATUS: s->shown = SHOW_STATUS; break;
    case CMD_READ_ID: s->shown = SHOW_ID; break;
    case CMD_QUERY: s->shown = SHOW_QUERY; break;
    case CMD_CLEAR_STATUS:
        /* A real chip is ready still.  UEFI firmware for these boards tells flash from RAM and ROM
         * by a status of 0 here; without, it keeps its variables in memory.  The next operation
         * is ready again. */
        s->status = 0;
        break;
    case CMD_PROGRAM:
    case CMD_PROGRAM_2: begin(s, EXPECT_PROGRAM_DATA, at); break;
    case CMD_ERASE: begin(s, EXPECT_ERASE_CONFIRM, at); break;
    case CMD_LOCK_SETUP: begin(s, EXPECT_LOCK_SETUP, at); break;
    case CMD_CONFIGURE: begin(s, EXPECT_CONFIGURATION, at); break;
    case CMD_WRITE_BUFFER: begin(s, EXPECT_BUFFER_COUNT, at); break;
    case CMD_SUSPEND:
    case CMD_CONFIRM: s->shown = SHOW_STATUS; break; /* nothing is in progress */
    case 0: break;                                   /* some drivers probe with it */
    default: guest_error(&s->dev, "unknown command %02x", cmd); s->shown = SHOW_ARRAY;
    }
}

static void buffer_count(Pflash *s, uint32_t at, uint32_t value)
{
    if ((value + 1) * s->width > BUFFER_SIZE) {
        bad_sequence(s, at, value);
        return;
    }
    s->units_left = (uint16_t)(value + 1);
    s->buffered = 0;
    s->expected = EXPECT_BUFFER_DATA;
}

/* The first address is the buffer's beginning; the others lie within the buffer's size behind it.
 */
static void buffer_data(Pflash *s, uint32_t at, uint32_t value, unsigned size)
{
    if (!s->buffered) {
        memset(s->buffer, 0xff, sizeof(s->buffer));
        s->buffered = BUFFER_SIZE;
        s->at = at;
    }
    if (at < s->at || at - s->at > BUFFER_SIZE - size) {
        bad_sequence(s, at, value);
        return;
    }
    memcpy(s->buffer + (at - s->at), &value, size);
    if (s->units_left <= 1) {
        s->expected = EXPECT_BUFFER_CONFIRM;
    } else {
        s->units_left--;
    }
}

static void cycle(Pflash *s, uint32_t at, uint32_t value, unsigned size)
{
    uint8_t low = (uint8_t)value;
    switch (s->expected) {
    case EXPECT_COMMAND: command(s, at, low); break;
    case EXPECT_PROGRAM_DATA:
        s->expected = EXPECT_COMMAND;
        program(s, at, (const uint8_t *)&value, size);
        break;
    case EXPECT_ERASE_CONFIRM:
        if (low != CMD_CONFIRM) {
            bad_sequence(s, at, value);
            break;
        }
        s->expected = EXPECT_COMMAND;
        erase(s, at);
        break;
    case EXPECT_LOCK_SETUP: /* blocks are never locked */
    case EXPECT_CONFIGURATION: s->expected = EXPECT_COMMAND; break;
    case EXPECT_BUFFER_COUNT: buffer_count(s, at, size == 1 ? low : value & 0xffff); break;
    case EXPECT_BUFFER_DATA: buffer_data(s, at, value, size); break;
    case EXPECT_BUFFER_CONFIRM:
        if (low != CMD_CONFIRM) {
            bad_sequence(s, at, value);
            break;
        }
        s->expected = EXPECT_COMMAND;
        program(s, s->at, s->buffer, BUFFER_SIZE);
        break;
    }
    if (s->expected != EXPECT_BUFFER_DATA && s->expected != EXPECT_BUFFER_CONFIRM) {
        s->buffered = 0;
    }
}

/* ---- Reads of one unit of the bank ---- */

/* The same byte from each chip of the bank. */
static uint32_t in_lanes(const Pflash *s, uint32_t value)
{
    uint32_t out = 0;
    for (unsigned lane = 0; lane < s->width; lane += s->device_width) {
        out |= value << (8 * lane);
    }
    return out;
}

/* A chip that could be wider counts addresses in units of its full width. */
static uint32_t word_number(const Pflash *s, uint32_t at)
{
    return at / s->width / (s->max_device_width / s->device_width);
}

static uint32_t identifier(const Pflash *s, uint32_t at)
{
    switch (word_number(s, at) & 0xff) {
    case 0: return s->id0;
    case 1: return s->id1;
    default: return 0; /* 2 in each block: not locked */
    }
}

static uint32_t unit_read(Pflash *s, uint32_t at)
{
    uint32_t value = 0, word = word_number(s, at);
    switch (s->shown) {
    case SHOW_ARRAY: ram_read(s->ram, at, &value, s->width); return value;
    case SHOW_STATUS: return in_lanes(s, s->status);
    case SHOW_ID: return in_lanes(s, identifier(s, at) & size_mask(s->device_width));
    default: return in_lanes(s, word < QUERY_SIZE ? s->query[word] : 0);
    }
}

/* ---- The window: accesses of any size, as cycles of the bank's width ---- */

/* With secure=on only system-management mode may give commands; others see the array. */
static bool refused(const Pflash *s)
{
    Cpu *c = cpu_current();
    if (!s->secure || !c) {
        return false;
    }
    cpu_sync(c);
    return !c->state.event.smm;
}

static uint64_t flash_read(void *opaque, uint64_t at, unsigned size)
{
    Pflash *s = opaque;
    uint64_t value = 0;
    if (refused(s)) {
        ram_read(s->ram, at, &value, size);
        return value;
    }
    for (unsigned i = 0; i < size;) {
        uint32_t here = (uint32_t)at + i, lane = here % s->width,
                 n = MIN(size - i, s->width - lane);
        uint64_t unit = (unit_read(s, here - lane) >> (8 * lane)) & size_mask(n);
        value |= unit << (8 * i);
        i += n;
    }
    return value;
}

static void flash_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Pflash *s = opaque;
    if (refused(s)) {
        guest_error(&s->dev, "write to %" PRIx64 " from outside of system-management mode", at);
        return;
    }
    for (unsigned i = 0; i < size;) {
        uint32_t here = (uint32_t)at + i, n = MIN(size - i, s->width - here % s->width);
        cycle(s, here, (uint32_t)((value >> (8 * i)) & size_mask(n)), n);
        i += n;
    }
    device_settle(&s->dev);
}

static const IoOps flash_ops = {.read = flash_read, .write = flash_write, .min = 1, .max = 8};

/* ---- The query table (JESD68.01 §4): for one chip of the bank ---- */

static void query_put(Pflash *s, unsigned at, uint32_t value, unsigned size)
{
    memcpy(s->query + at, &value, size);
}

static unsigned log2_up(uint64_t v)
{
    unsigned n = 0;
    while ((UINT64_C(1) << n) < v) {
        n++;
    }
    return n;
}

static void fill_query(Pflash *s)
{
    enum { INTEL_EXTENDED = 0x0001, TABLE = 0x31, X8_X16 = 2, UNIT = 256 };
    unsigned chips = s->width / s->device_width;
    memcpy(s->query + 0x10, "QRY", 3);
    query_put(s, 0x13, INTEL_EXTENDED, 2);
    query_put(s, 0x15, TABLE, 2);
    query_put(s, 0x1b, 0x3627, 2);     /* supply: 2.7 V to 3.6 V */
    query_put(s, 0x1f, 0x000a0707, 4); /* usual times: 2^7 us a word or buffer, 2^10 ms a block */
    query_put(s, 0x23, 0x00040404, 4); /* 2^4 times that at most */
    query_put(s, 0x27, log2_up(s->size / chips), 1);
    query_put(s, 0x28, X8_X16, 2);
    query_put(s, 0x2a, BUFFER_LOG2 - log2_up(chips), 2);
    query_put(s, 0x2c, 1, 1); /* blocks of one size */
    query_put(s, 0x2d, s->blocks - 1, 2);
    query_put(s, 0x2f, (uint32_t)s->sector_length / chips / UNIT, 2);
    memcpy(s->query + TABLE, "PRI10", 5); /* version 1.0, no optional features */
}

/* ---- The device ---- */

static bool power_of_two(uint64_t v, uint64_t most)
{
    return v && v <= most && !(v & (v - 1));
}

static bool check_widths(Pflash *s, GError **error)
{
    s->device_width = s->device_width ? s->device_width : s->width;
    s->max_device_width = s->max_device_width ? s->max_device_width : s->device_width;
    if (!power_of_two(s->width, 4) || !power_of_two(s->device_width, s->width) ||
        !power_of_two(s->max_device_width, 4) || s->max_device_width < s->device_width) {
        return error_fail(error,
                          "cfi.pflash01: width, device-width and max-device-width are %u, %u and "
                          "%u, expected: 1, "
                          "2 or 4 bytes, a device no wider than the bank",
                          s->width, s->device_width, s->max_device_width);
    }
    return true;
}

static bool check_size(Pflash *s, GError **error)
{
    const uint64_t block_most = UINT64_C(1) << 24, most = UINT64_C(1) << 30;
    int64_t have = s->drive ? drive_length(s->drive) : 0;
    if (have < 0) {
        return error_fail_errno(error, (int)have, "cfi.pflash01: drive '%s'", drive_id(s->drive));
    }
    if (s->sector_length < DISK_SECTOR || s->sector_length > block_most ||
        s->sector_length % DISK_SECTOR) {
        return error_fail(error,
                          "cfi.pflash01: sector-length is %" PRIu64
                          ", expected: a multiple of 512, at most 16 MiB",
                          s->sector_length);
    }
    if (!s->blocks) {
        s->blocks = (uint32_t)MIN((uint64_t)have / s->sector_length, UINT32_MAX);
    }
    if (!s->blocks || s->blocks > 1 << 16 || s->blocks * s->sector_length > most) {
        return error_fail(
            error,
            "cfi.pflash01: num-blocks is %u, expected: 1 to 65536 blocks of sector-length %" PRIu64
            " bytes, together at most 1 GiB",
            s->blocks, s->sector_length);
    }
    s->size = (uint32_t)(s->blocks * s->sector_length);
    if (s->drive && have != s->size) {
        return error_fail(error, "cfi.pflash01: the flash has %u bytes, drive '%s' has %" PRId64,
                          s->size, drive_id(s->drive), have);
    }
    return true;
}

static bool load_contents(Pflash *s, GError **error)
{
    g_autofree uint8_t *data = g_malloc(s->size);
    memset(data, 0xff, s->size);
    int result = s->drive ? drive_read_sync(s->drive, 0, data, s->size) : 0;
    if (result < 0) {
        return error_fail_errno(error, result, "cfi.pflash01: could not read drive '%s'",
                                drive_id(s->drive));
    }
    ram_write(s->ram, 0, data, s->size);
    return true;
}

static bool pflash_realize(void *dev, GError **error)
{
    static unsigned nameless;
    Pflash *s = dev;
    if (!check_widths(s, error) || !check_size(s, error)) {
        return false;
    }
    if (s->drive && !drive_attach(s->drive, &(const DriveUser){0}, s, s->dev.id, error)) {
        return false;
    }
    s->attached = s->drive != NULL;
    if (!s->name) {
        s->name = g_strdup_printf("pflash%u", nameless++);
    }
    s->ram = ram_new(s->name, s->size, NULL, error);
    if (!s->ram || !load_contents(s, error)) {
        return false;
    }
    s->region = region_romd_new(s->name, s->ram, &flash_ops, s, s->size);
    fill_query(s);
    return true;
}

static void pflash_unrealize(void *dev)
{
    Pflash *s = dev;
    if (s->attached) {
        drive_drain(s->drive);
        drive_detach(s->drive, s);
    }
    region_free(s->region);
    if (s->ram) {
        mem_commit();
        ram_free(s->ram);
    }
}

static void pflash_update(void *dev)
{
    Pflash *s = dev;
    if (s->region) {
        region_romd(s->region, s->shown == SHOW_ARRAY);
    }
}

static bool pflash_busy(const void *dev)
{
    return ((const Pflash *)dev)->in_flight != NULL;
}

Region *pflash_cfi01_region(Device *flash)
{
    return ((Pflash *)flash)->region;
}

// clang-format off
static const Row rows[] = {
    DRIVE(Pflash, drive, "What holds the contents; none: erased at the start, forgotten at the end"),
    PROP_AS(Pflash, blocks, "num-blocks", "0", "Blocks that are erased at once; 0: as many as the drive has"),
    PROP_AS(Pflash, sector_length, "sector-length", "4096", "Bytes in a block"),
    PROP(Pflash, width, "1", "Bytes of the bank"),
    PROP_AS(Pflash, device_width, "device-width", "0", "Bytes of each chip; 0: one chip is as wide as the bank"),
    PROP_AS(Pflash, max_device_width, "max-device-width", "0", "Bytes that each chip could have; 0: what it has"),
    PROP(Pflash, secure, "off", "Only system-management mode may write"),
    PROP(Pflash, id0, "0x89", "Manufacturer code"),
    PROP(Pflash, id1, "0x18", "Device code"),
    PROP(Pflash, name, NULL, "Name of the memory block"),
    STATE(Pflash, shown, .max = SHOW_QUERY, .doc = "What reading yields: array, status, identifier, query"),
    STATE(Pflash, expected, .max = EXPECTED_LAST, .doc = "What the next write is to be"),
    STATE(Pflash, status, .reset = SR_READY, .bits = "- LOCKED - - PROGRAM ERASE - READY"),
    STATE(Pflash, units_left, .max = BUFFER_SIZE),
    STATE(Pflash, at),
    STATE(Pflash, buffered, .max = BUFFER_SIZE),
    QUEUE(Pflash, buffer, buffered),
    DERIVED(Pflash, dirty_from),
    DERIVED(Pflash, dirty_to),
    DERIVED(Pflash, in_flight),
    DERIVED(Pflash, failed),
    END
};
// clang-format on

const DeviceClass pflash_cfi01_class = {
    .name = "cfi.pflash01",
    .doc = "Parallel flash with Intel's command set",
    .category = "storage",
    .internal = true,
    .size = sizeof(Pflash),
    .rows = rows,
    .realize = pflash_realize,
    .unrealize = pflash_unrealize,
    .update = pflash_update,
    .busy = pflash_busy,
};
