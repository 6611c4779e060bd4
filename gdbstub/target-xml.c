/* The target description (GDB manual appendix G), written from the table of registers and from the names of flags in
 * cpu_state_rows. */
#include <string.h>

#include "cpu/state.h"
#include "gdbstub/stub.h"

static const char *const features[GDB_FEATURES] = {
    [GDB_CORE] = "org.gnu.gdb.i386.core",
    [GDB_SSE] = "org.gnu.gdb.i386.sse",
    [GDB_AVX] = "org.gnu.gdb.i386.avx",
    [GDB_SYSTEM] = "org.ostler.i386.system", /* gdb knows none for these; any name will do (§G.5) */
};

static const char vector_types[] =
    "<vector id=\"v8bf16\" type=\"bfloat16\" count=\"8\"/>"
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\">"
    "<field name=\"v8_bfloat16\" type=\"v8bf16\"/><field name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
    "</union>\n";

static void append_flags(GString *out, const char *id, unsigned size, const char *names)
{
    g_auto(GStrv) bits = g_strsplit(names, " ", -1);
    g_string_append_printf(out, "<flags id=\"%s\" size=\"%u\">", id, size);
    for (unsigned i = 0; bits[i]; i++) {
        if (strcmp(bits[i], "-") && strcmp(bits[i], "ONE")) { /* EFLAGS bit 1 is no news */
            g_string_append_printf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", bits[i], i, i);
        }
    }
    g_string_append(out, "</flags>\n");
}

static const char *row_bits(const char *name)
{
    const Row *r = cpu_state_rows;
    while (r->kind != ROW_END && strcmp(r->name, name)) {
        r++;
    }
    return r->bits;
}

static void append_register(GString *out, const GdbRegister *r, unsigned number)
{
    g_string_append_printf(out, "<reg name=\"%s\" bitsize=\"%u\" ", r->name, r->bytes * 8u);
    if (r->bits) {
        g_string_append_printf(out, "type=\"x86_%s\"", r->name);
    } else {
        g_string_append_printf(out, "type=\"%s\"", gdb_register_type(r));
    }
    g_string_append_printf(out, " regnum=\"%u\"/>\n", number);
}

static void append_feature(GString *out, GdbFeature feature)
{
    unsigned found = 0;
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        found += gdb_register(i)->feature == feature;
    }
    if (!found) {
        return;
    }
    g_string_append_printf(out, "<feature name=\"%s\">\n", features[feature]);
    if (feature == GDB_SSE) {
        g_string_append(out, vector_types);
        append_flags(out, "i386_mxcsr", 4, "IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM - - FZ");
    }
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        const GdbRegister *r = gdb_register(i);
        if (r->feature == feature && r->bits) {
            g_autofree char *id = g_strdup_printf("x86_%s", r->name);
            append_flags(out, id, r->bytes, row_bits(r->bits));
        }
    }
    for (unsigned i = 0; i < gdb_register_count(); i++) {
        if (gdb_register(i)->feature == feature) {
            append_register(out, gdb_register(i), i);
        }
    }
    g_string_append(out, "</feature>\n");
}

/* Made anew each time it is asked for: a few times in a session. */
const char *gdb_target_xml(void)
{
    static GString *xml;
    if (!xml) {
        xml = g_string_new(NULL);
    }
    g_string_assign(xml, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n");
    g_string_append_printf(xml, "<architecture>%s</architecture>\n", gdb_long() ? "i386:x86-64" : "i386");
    for (GdbFeature f = 0; f < GDB_FEATURES; f++) {
        append_feature(xml, f);
    }
    g_string_append(xml, "</target>\n");
    return xml->str;
}
