/* What firmware does with "etc/table-loader": allocate the files, make addresses of offsets, and sums zero. */
#include "hw/firmware/acpi-script.h"

#include <string.h>

void acpi_blob_free(void *blob)
{
    AcpiBlob *b = blob;
    g_free(b->file);
    g_byte_array_unref(b->bytes);
    g_free(b);
}

static AcpiBlob *blob_of(GPtrArray *blobs, const char *file)
{
    for (guint i = 0; i < blobs->len; i++) {
        AcpiBlob *b = blobs->pdata[i];
        if (!strcmp(b->file, file)) {
            return b;
        }
    }
    g_assert_not_reached();             /* the script is ours */
}

static bool allocate(FwCfg *fw, const Command *c, uint64_t *at, uint64_t end, GPtrArray *blobs, GError **error)
{
    GBytes *bytes = fw_cfg_file(fw, c->allocate.file);
    uint64_t size = g_bytes_get_size(bytes), from = (*at + c->allocate.align - 1) & ~((uint64_t)c->allocate.align - 1);
    if (from > end || size > end - from) {
        g_bytes_unref(bytes);
        return error_fail(error, "the ACPI tables do not fit into the memory that this board has for them");
    }
    AcpiBlob *b = g_new0(AcpiBlob, 1);
    *b = (AcpiBlob){g_strdup(c->allocate.file), from, g_bytes_unref_to_array(bytes)};
    g_ptr_array_add(blobs, b);
    *at = from + size;
    return true;
}

static void patch_pointer(const Command *c, GPtrArray *blobs)
{
    const AcpiBlob *in = blob_of(blobs, c->pointer.in), *to = blob_of(blobs, c->pointer.to);
    uint64_t value = 0;
    memcpy(&value, in->bytes->data + c->pointer.offset, c->pointer.size);
    value += to->at;
    memcpy(in->bytes->data + c->pointer.offset, &value, c->pointer.size);
}

static void patch_checksum(const Command *c, GPtrArray *blobs)
{
    const AcpiBlob *b = blob_of(blobs, c->checksum.file);
    uint8_t sum = 0;
    for (uint32_t i = 0; i < c->checksum.length; i++) {
        sum = (uint8_t)(sum + b->bytes->data[c->checksum.start + i]);
    }
    b->bytes->data[c->checksum.offset] = (uint8_t)(b->bytes->data[c->checksum.offset] - sum);
}

bool acpi_place(FwCfg *fw, uint64_t at, uint64_t room, GPtrArray *blobs, GError **error)
{
    g_autoptr(GBytes) script = fw_cfg_file(fw, LOADER_FILE);
    gsize len = 0;
    const Command *c = script ? g_bytes_get_data(script, &len) : NULL;
    uint64_t end = at + room;
    for (size_t n = len / sizeof(*c); n--; c++) {
        switch (c->what) {
        case ALLOCATE:
            if (!allocate(fw, c, &at, end, blobs, error)) {
                return false;
            }
            break;
        case ADD_POINTER: patch_pointer(c, blobs); break;
        case ADD_CHECKSUM: patch_checksum(c, blobs); break;
        default: break;                 /* WRITE_POINTER: nobody here waits for the address */
        }
    }
    return true;
}
