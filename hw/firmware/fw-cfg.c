/* The firmware configuration device: selector and data ports, and DMA.
 *
 * Port 510h takes the key of an item (16 bits), each read of 511h yields its next byte, zeroes
 * behind the end.  The 64-bit big-endian register at 514h takes the address of a request block
 * {control, length, address}, all big-endian; writing its low half starts the transfer, and control
 * is 0 afterwards, or 1 for an error.  Reading the register gives the text "QEMU CFG". */
#include <inttypes.h>

#include "hw/firmware/fw-cfg.h"

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum {
    KEY_BITS = 0x3fff,
    ID_PORTS = 1,
    ID_DMA = 2,
    NAME_FIELD = 56,
    MAX_SLOTS = KEY_BITS - FW_CFG_FILE_FIRST
};
static const char dma_signature[8] = "QEMU CFG";

typedef struct Item {
    char *name;    /* NULL: it has a number */
    GBytes *bytes; /* NULL: hooks.buffer */
    size_t size;
    FwCfgHooks hooks;
} Item;

struct FwCfg {
    Device dev;
    bool dma_enabled;  /* property */
    uint16_t slots;    /* property: files at most */
    uint16_t key;      /* selected item */
    uint32_t offset;   /* of the next byte in it */
    uint64_t dma_high; /* upper half of the request's address, in place */
    GHashTable *items; /* number -> Item */
    GPtrArray *files;  /* Items by name */
    Region *ports, *dma_port;
};

typedef struct DmaRequest {
    uint32_t control, length; /* big-endian, as they lie in guest memory */
    uint64_t address;
} DmaRequest;

/* ---- Items ---- */

static void item_free(void *p)
{
    Item *item = p;
    if (item) {
        g_free(item->name);
        g_clear_pointer(&item->bytes, g_bytes_unref);
        g_free(item);
    }
}

static const uint8_t *item_data(const Item *item)
{
    return item->bytes ? g_bytes_get_data(item->bytes, NULL) : item->hooks.buffer;
}

static Item *item_find(const FwCfg *fw, unsigned key)
{
    unsigned number = key & KEY_BITS;
    if (number >= FW_CFG_FILE_FIRST && !(key & FW_CFG_ARCH_LOCAL)) {
        number -= FW_CFG_FILE_FIRST;
        return number < fw->files->len ? fw->files->pdata[number] : NULL;
    }
    return g_hash_table_lookup(fw->items, GUINT_TO_POINTER(number | (key & FW_CFG_ARCH_LOCAL)));
}

static void item_set(Item *item, GBytes *bytes)
{
    g_clear_pointer(&item->bytes, g_bytes_unref);
    item->bytes = g_bytes_ref(bytes);
    item->size = g_bytes_get_size(bytes);
    item->hooks.buffer = NULL;
}

void fw_cfg_add_gbytes(FwCfg *fw, unsigned key, GBytes *bytes)
{
    g_assert((key & ~FW_CFG_ARCH_LOCAL) < FW_CFG_FILE_FIRST);
    Item *item = g_new0(Item, 1);
    item_set(item, bytes);
    g_hash_table_replace(fw->items, GUINT_TO_POINTER(key), item);
}

void fw_cfg_add_bytes(FwCfg *fw, unsigned key, const void *data, size_t len)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, len);
    fw_cfg_add_gbytes(fw, key, bytes);
}

void fw_cfg_add_i16(FwCfg *fw, unsigned key, uint16_t value)
{
    fw_cfg_add_bytes(fw, key, &value, sizeof(value));
}

void fw_cfg_add_i32(FwCfg *fw, unsigned key, uint32_t value)
{
    fw_cfg_add_bytes(fw, key, &value, sizeof(value));
}

void fw_cfg_add_i64(FwCfg *fw, unsigned key, uint64_t value)
{
    fw_cfg_add_bytes(fw, key, &value, sizeof(value));
}

void fw_cfg_add_string(FwCfg *fw, unsigned key, const char *text)
{
    fw_cfg_add_bytes(fw, key, text, strlen(text) + 1);
}

/* The directory: a big-endian count, then {size, key, reserved, name} for each file. */
static void directory_build(FwCfg *fw)
{
    GByteArray *dir = g_byte_array_new();
    uint32_t count = GUINT32_TO_BE(fw->files->len);
    g_byte_array_append(dir, (uint8_t *)&count, sizeof(count));
    for (guint i = 0; i < fw->files->len; i++) {
        const Item *item = fw->files->pdata[i];
        struct {
            uint32_t size;
            uint16_t key, reserved;
            char name[NAME_FIELD];
        } entry = {
            .size = GUINT32_TO_BE((uint32_t)item->size),
            .key = GUINT16_TO_BE((uint16_t)(FW_CFG_FILE_FIRST + i)),
        };
        g_strlcpy(entry.name, item->name, sizeof(entry.name));
        g_byte_array_append(dir, (uint8_t *)&entry, sizeof(entry));
    }
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(dir);
    fw_cfg_add_gbytes(fw, FW_CFG_FILE_DIR, bytes);
}

/* The file of that name, a new one in its alphabetical place, or NULL with *error. */
static Item *file_place(FwCfg *fw, const char *name, GError **error)
{
    size_t length = strlen(name);
    if (!length || length > FW_CFG_NAME_MAX) {
        error_fail(error, "fw_cfg file name \"%s\" has %zu characters; 1 to %d are accepted", name,
                   length, FW_CFG_NAME_MAX);
        return NULL;
    }
    guint at = 0;
    for (; at < fw->files->len; at++) {
        Item *item = fw->files->pdata[at];
        int order = strcmp(item->name, name);
        if (!order) {
            return item;
        }
        if (order > 0) {
            break;
        }
    }
    if (fw->files->len >= fw->slots) {
        error_fail(error, "No room for fw_cfg file \"%s\": fw_cfg_io.x-file-slots is %u", name,
                   fw->slots);
        return NULL;
    }
    Item *item = g_new0(Item, 1);
    item->name = g_strdup(name);
    g_ptr_array_insert(fw->files, (gint)at, item);
    return item;
}

bool fw_cfg_add_file_gbytes(FwCfg *fw, const char *name, GBytes *bytes, GError **error)
{
    if (g_bytes_get_size(bytes) > UINT32_MAX) {
        return error_fail(error, "fw_cfg file \"%s\" is longer than 4 GiB", name);
    }
    Item *item = file_place(fw, name, error);
    if (!item) {
        return false;
    }
    item_set(item, bytes);
    directory_build(fw);
    return true;
}

bool fw_cfg_add_file(FwCfg *fw, const char *name, const void *data, size_t len, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, len);
    return fw_cfg_add_file_gbytes(fw, name, bytes, error);
}

bool fw_cfg_add_file_hooks(FwCfg *fw, const char *name, const void *data, size_t len,
                           const FwCfgHooks *hooks, GError **error)
{
    if (!fw_cfg_add_file(fw, name, hooks->buffer ? NULL : data, hooks->buffer ? 0 : len, error)) {
        return false;
    }
    Item *item = file_place(fw, name, NULL);
    item->hooks = *hooks;
    if (hooks->buffer) {
        g_clear_pointer(&item->bytes, g_bytes_unref);
        item->size = len;
        directory_build(fw);
    }
    return true;
}

bool fw_cfg_add_user_file(FwCfg *fw, const char *name, const char *path, const char *text,
                          GError **error)
{
    if (!name) {
        return error_fail(error, "-fw_cfg needs name=");
    }
    if (!path == !text) {
        return error_fail(error, "-fw_cfg name=%s needs file= or string=, and not both", name);
    }
    if (!g_str_has_prefix(name, "opt/")) {
        warn_report("fw_cfg file \"%s\": names given by users should begin with \"opt/\"", name);
    }
    if (text) {
        return fw_cfg_add_file(fw, name, text, strlen(text), error);
    }
    g_autofree char *contents = NULL;
    gsize length = 0;
    g_autoptr(GError) cause = NULL;
    if (!g_file_get_contents(path, &contents, &length, &cause)) {
        return error_fail(error, "-fw_cfg name=%s: %s", name, cause->message);
    }
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_steal_pointer(&contents), length);
    return fw_cfg_add_file_gbytes(fw, name, bytes, error);
}

GBytes *fw_cfg_file(FwCfg *fw, const char *name)
{
    for (guint i = 0; i < fw->files->len; i++) {
        const Item *item = fw->files->pdata[i];
        if (!strcmp(item->name, name)) {
            return item->bytes ? g_bytes_ref(item->bytes)
                               : g_bytes_new(item->hooks.buffer, item->size);
        }
    }
    return NULL;
}

GBytes *fw_cfg_item(FwCfg *fw, unsigned key)
{
    const Item *item = item_find(fw, key);
    return item ? g_bytes_new_from_bytes(item->bytes, 0, item->size) : NULL;
}

/* ---- Ports ---- */

static void select_key(FwCfg *fw, uint16_t key)
{
    fw->key = key;
    fw->offset = 0;
    const Item *item = item_find(fw, key);
    if (item && item->hooks.select) {
        item->hooks.select(item->hooks.arg);
    }
}

/* How much of `len` bytes from the current offset on the item has. */
static size_t item_left(const Item *item, uint32_t offset, size_t len)
{
    return item && offset < item->size ? MIN(len, item->size - offset) : 0;
}

static void advance(FwCfg *fw, uint32_t len)
{
    fw->offset = len > UINT32_MAX - fw->offset ? UINT32_MAX : fw->offset + len;
}

static uint64_t ports_read(void *dev, uint64_t at, unsigned size)
{
    FwCfg *fw = dev;
    if (at != 1) {
        guest_error(&fw->dev, "the selector is write-only");
        return 0;
    }
    const Item *item = item_find(fw, fw->key);
    uint8_t byte = item_left(item, fw->offset, 1) ? item_data(item)[fw->offset] : 0;
    advance(fw, 1);
    return byte;
}

static void ports_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    FwCfg *fw = dev;
    if (at == 0 && size == 2) {
        select_key(fw, (uint16_t)value);
    } else {
        guest_error(&fw->dev, "%u-byte write to port %x; items are written by DMA only", size,
                    FW_CFG_PORT + (unsigned)at);
    }
}

static const IoOps ports_ops = {.read = ports_read, .write = ports_write, .min = 1, .max = 2};

/* ---- DMA ---- */

static bool dma_item_read(FwCfg *fw, uint64_t to, uint32_t len)
{
    static const uint8_t zeroes[4096];
    const Item *item = item_find(fw, fw->key);
    size_t have = item_left(item, fw->offset, len);
    if (have && !dma_write(fw->dev.dma, to, item_data(item) + fw->offset, have)) {
        return false;
    }
    for (uint64_t done = have; done < len;) {
        size_t n = MIN(sizeof(zeroes), len - done);
        if (!dma_write(fw->dev.dma, to + done, zeroes, n)) {
            return false;
        }
        done += n;
    }
    return true;
}

/* Only whole requests inside a writable file are carried out. */
static bool dma_item_write(FwCfg *fw, uint64_t from, uint32_t len)
{
    const Item *item = item_find(fw, fw->key);
    if (!item || !item->hooks.buffer || item_left(item, fw->offset, len) != len) {
        guest_error(&fw->dev, "item %x takes no %u bytes at %u", fw->key, len, fw->offset);
        return false;
    }
    g_autofree uint8_t *copy = g_malloc(len);
    if (!dma_read(fw->dev.dma, from, copy, len)) {
        return false;
    }
    if (len) {
        memcpy((uint8_t *)item->hooks.buffer + fw->offset, copy, len);
    }
    if (item->hooks.written) {
        item->hooks.written(item->hooks.arg, fw->offset, len);
    }
    return true;
}

static void dma_start(FwCfg *fw, uint64_t at)
{
    DmaRequest request;
    uint32_t result = 0;
    if (!dma_read(fw->dev.dma, at, &request, sizeof(request))) {
        guest_error(&fw->dev, "no DMA request at %" PRIx64, at);
        result = DMA_ERROR;
    } else {
        uint32_t control = GUINT32_FROM_BE(request.control);
        uint32_t length = GUINT32_FROM_BE(request.length);
        uint64_t address = GUINT64_FROM_BE(request.address);
        bool ok = true;
        if (control & DMA_SELECT) {
            select_key(fw, (uint16_t)(control >> 16));
        }
        if (control & DMA_READ) {
            ok = dma_item_read(fw, address, length);
        } else if (control & DMA_WRITE) {
            ok = dma_item_write(fw, address, length);
        }
        if (control & (DMA_READ | DMA_WRITE | DMA_SKIP)) {
            advance(fw, length);
        }
        result = ok ? 0 : DMA_ERROR;
    }
    result = GUINT32_TO_BE(result);
    dma_write(fw->dev.dma, at, &result, sizeof(result));
}

static uint64_t dma_port_read(void *dev, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, dma_signature + at, size);
    return v;
}

static void dma_port_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    FwCfg *fw = dev;
    if (at == 0 && size == 4) {
        fw->dma_high = (uint64_t)GUINT32_FROM_BE((uint32_t)value) << 32;
    } else if (at + size == 8 && size >= 4) {
        uint64_t address =
            size == 8 ? GUINT64_FROM_BE(value) : fw->dma_high | GUINT32_FROM_BE((uint32_t)value);
        fw->dma_high = 0;
        dma_start(fw, address);
    } else {
        guest_error(&fw->dev, "%u-byte write to the DMA address", size);
    }
}

static const IoOps dma_ops = {.read = dma_port_read, .write = dma_port_write, .min = 1, .max = 8};

/* ---- The device ---- */

static bool fw_cfg_realize(void *dev, GError **error)
{
    FwCfg *fw = dev;
    if (fw->slots < 16 || fw->slots > MAX_SLOTS) {
        return error_fail(error, "Property fw_cfg_io.x-file-slots is %u; 16 to %d are accepted",
                          fw->slots, MAX_SLOTS);
    }
    fw->items = g_hash_table_new_full(NULL, NULL, NULL, item_free);
    fw->files = g_ptr_array_new_with_free_func(item_free);
    fw->ports = device_region_io(&fw->dev, "fwcfg", 2, &ports_ops);
    fw->dma_port = device_region_io(&fw->dev, "fwcfg.dma", sizeof(dma_signature), &dma_ops);
    fw_cfg_add_bytes(fw, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_i32(fw, FW_CFG_ID, ID_PORTS | (fw->dma_enabled ? ID_DMA : 0));
    directory_build(fw);
    return true;
}

static void fw_cfg_unrealize(void *dev)
{
    FwCfg *fw = dev;
    g_clear_pointer(&fw->items, g_hash_table_unref);
    g_clear_pointer(&fw->files, g_ptr_array_unref);
    g_clear_pointer(&fw->dev.dma, dma_free);
}

static const Row rows[] = {
    PROP(FwCfg, dma_enabled, "on", "Offer the DMA interface"),
    PROP_AS(FwCfg, slots, "x-file-slots", "32", "Files at most"),
    STATE(FwCfg, key, .doc = "Selected item"),
    STATE(FwCfg, offset, .doc = "Next byte of the selected item"),
    STATE(FwCfg, dma_high, .doc = "Upper half of the DMA request's address"),
    END,
};

const DeviceClass fw_cfg_io_class = {
    .name = "fw_cfg_io",
    .doc = "Firmware configuration ports",
    .category = "misc",
    .internal = true,
    .size = sizeof(FwCfg),
    .rows = rows,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
};

FwCfg *fw_cfg_new(Region *io, Space *memory, GError **error)
{
    FwCfg *fw = device_new(&fw_cfg_io_class, NULL);
    if (!device_realize(&fw->dev, NULL, error)) {
        device_free(&fw->dev);
        return NULL;
    }
    region_map(io, fw->ports, FW_CFG_PORT, 0);
    if (fw->dma_enabled) {
        fw->dev.dma = dma_grant(memory, NULL);
        region_map(io, fw->dma_port, FW_CFG_PORT + 4, 0);
    }
    return fw;
}

static void find_fw_cfg(void *arg, Device *dev)
{
    if (dev->class == &fw_cfg_io_class) {
        *(FwCfg **)arg = (FwCfg *)dev;
    }
}

FwCfg *fw_cfg_find(void)
{
    FwCfg *fw = NULL;
    device_foreach(find_fw_cfg, &fw);
    return fw;
}
