/* -acpitable: tables that the user adds to ours.
 *
 * file= holds whole tables; data= holds what follows the header, which the other options fill in.
 * They also overwrite the header of a file's table.  Several files, separated by ':', are one after
 * another. */
#include <string.h>

#include "core/keyval.h"
#include "hw/firmware/acpi.h"
#include "hw/firmware/tables.h"

GPtrArray *acpi_user_tables(void)
{
    static GPtrArray *tables;
    if (!tables) {
        tables = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    }
    return tables;
}

static bool read_files(const char *list, GByteArray *out, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ":", -1);
    for (char **name = names; *name; name++) {
        g_autofree char *data = NULL;
        g_autoptr(GError) local = NULL;
        gsize len;
        if (!g_file_get_contents(*name, &data, &len, &local)) {
            return error_fail(error, "-acpitable: could not read '%s': %s", *name, local->message);
        }
        if (len > UINT32_MAX / 2 - out->len) {
            return error_fail(error, "-acpitable: '%s' is larger than 2 GiB", *name);
        }
        g_byte_array_append(out, (const uint8_t *)data, (guint)len);
    }
    return true;
}

static bool take_text(KeyVal *kv, const char *key, char *field, size_t size, bool whole,
                      GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    if (text && (strlen(text) > size || (whole && strlen(text) != size))) {
        return error_fail(error, "-acpitable: %s=%s, expected: %s%zu characters", key, text,
                          whole ? "" : "at most ", size);
    }
    if (text) {
        memset(field, 0, size);
        memcpy(field, text, strlen(text));
    }
    return true;
}

static bool take_number(KeyVal *kv, const char *key, uint64_t most, uint32_t *value, GError **error)
{
    g_autofree char *text = keyval_take(kv, key);
    char *end;
    if (!text) {
        return true;
    }
    uint64_t v = g_ascii_strtoull(text, &end, 0);
    if (!*text || *end || *text == '-' || v > most) {
        return error_fail(error, "-acpitable: %s=%s, expected: a number up to %" G_GUINT64_FORMAT,
                          key, text, most);
    }
    *value = (uint32_t)v;
    return true;
}

static bool take_header(KeyVal *kv, AcpiHeader *h, GError **error)
{
    uint32_t revision = h->revision, oem_revision = h->oem_revision,
             compiler = h->compiler_revision;
    if (!take_text(kv, "sig", h->signature, sizeof(h->signature), true, error) ||
        !take_number(kv, "rev", UINT8_MAX, &revision, error) ||
        !take_text(kv, "oem_id", h->oem_id, sizeof(h->oem_id), false, error) ||
        !take_text(kv, "oem_table_id", h->oem_table_id, sizeof(h->oem_table_id), false, error) ||
        !take_number(kv, "oem_rev", UINT32_MAX, &oem_revision, error) ||
        !take_text(kv, "asl_compiler_id", h->compiler_id, sizeof(h->compiler_id), false, error) ||
        !take_number(kv, "asl_compiler_rev", UINT32_MAX, &compiler, error)) {
        return false;
    }
    h->revision = (uint8_t)revision;
    h->oem_revision = oem_revision;
    h->compiler_revision = compiler;
    return true;
}

static bool check_whole(const char *files, const GByteArray *table, GError **error)
{
    AcpiHeader h;
    if (table->len < sizeof(h)) {
        return error_fail(error, "-acpitable: '%s' has %u bytes, a table's header alone has %zu",
                          files, table->len, sizeof(h));
    }
    memcpy(&h, table->data, sizeof(h));
    if (h.length > table->len || h.length < sizeof(h)) {
        return error_fail(error, "-acpitable: the header of '%s' says %u bytes, the file has %u",
                          files, h.length, table->len);
    }
    return true;
}

bool acpi_table_option(const char *text, GError **error)
{
    g_autoptr(KeyVal) kv = keyval_parse(text, NULL, error);
    if (!kv) {
        return false;
    }
    if (!kv->items) {
        return error_fail(error, "-acpitable: expected data=FILE or file=FILE, not JSON");
    }
    g_autofree char *data = keyval_take(kv, "data"), *file = keyval_take(kv, "file");
    g_autoptr(GByteArray) table = g_byte_array_new();
    AcpiHeader h = {.signature = "QEMU",
                    .revision = 1,
                    .oem_id = "QEMUQE",
                    .oem_table_id = "QEMUQEMU",
                    .oem_revision = 1,
                    .compiler_id = "QEMU",
                    .compiler_revision = 1};
    if (!data == !file) {
        return error_fail(error, "-acpitable: expected either data=FILE or file=FILE%s",
                          data ? ", not both" : "");
    }
    if (data) {
        g_byte_array_append(table, (const uint8_t *)&h, sizeof(h));
    }
    if (!read_files(data ? data : file, table, error) ||
        (file && !check_whole(file, table, error))) {
        return false;
    }
    memcpy(&h, table->data, sizeof(h));
    if (!take_header(kv, &h, error)) {
        return false;
    }
    if (kv->items->len) {
        return error_fail(error,
                          "-acpitable: unknown parameter '%s', expected: sig, rev, oem_id, "
                          "oem_table_id, oem_rev, "
                          "asl_compiler_id, asl_compiler_rev, data, file",
                          g_array_index(kv->items, KeyValue, 0).key);
    }
    memcpy(table->data, &h, sizeof(h));
    g_ptr_array_add(acpi_user_tables(), g_steal_pointer(&table));
    return true;
}
