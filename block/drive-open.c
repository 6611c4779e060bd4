/* From `-drive`-like options to a graph of nodes. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "block/drive-private.h"
#include "core/error.h"
#include "core/options.h"

/* ---- Settings ---- */

static bool cache_take(DriveSettings *s, GHashTable *options, GError **error)
{
    static const char *const modes[] = {"writeback", "writethrough", "none", "directsync",
                                        "unsafe",    "off",          NULL};
    int mode = 0;
    if (!options_take_enum(options, "cache", modes, &mode, error)) {
        return false;
    }
    bool writeback = mode != 1 && mode != 3;
    s->mode.direct = mode == 2 || mode == 3 || mode == 5;
    s->mode.no_flush = mode == 4;
    if (!options_take_bool(options, "cache.direct", &s->mode.direct, error) ||
        !options_take_bool(options, "cache.no-flush", &s->mode.no_flush, error) ||
        !options_take_bool(options, "cache.writeback", &writeback, error)) {
        return false;
    }
    s->writethrough = !writeback;
    return true;
}

static bool on_error_take(const char *key, GHashTable *options, DriveOnError *policy,
                          GError **error)
{
    static const char *const names[] = {"report", "ignore", "enospc", "stop", NULL};
    int which = -1;
    if (!options_take_enum(options, key, names, &which, error)) {
        return false;
    }
    if (which == ON_ERROR_ENOSPC && !strcmp(key, "rerror")) {
        return error_fail(
            error,
            "Parameter 'rerror' does not accept value 'enospc' (it accepts report, ignore, stop)");
    }
    if (which >= 0) {
        *policy = (DriveOnError)which;
    }
    return true;
}

static bool discard_take(DriveSettings *s, GHashTable *options, GError **error)
{
    static const char *const discards[] = {"ignore", "off", "unmap", "on", NULL};
    static const char *const zeroes[] = {"off", "on", "unmap", NULL};
    int discard = 0;
    if (!options_take_enum(options, "discard", discards, &discard, error) ||
        !options_take_enum(options, "detect-zeroes", zeroes, &s->detect_zeroes, error)) {
        return false;
    }
    s->mode.unmap = discard >= 2;
    if (s->detect_zeroes == 2 && !s->mode.unmap) {
        return error_fail(error, "setting detect-zeroes to unmap is not allowed without setting "
                                 "discard operation to unmap");
    }
    return true;
}

/* Old and new spelling of one switch. */
static bool readonly_take(DriveSettings *s, GHashTable *options, GError **error)
{
    return options_take_bool(options, "readonly", &s->mode.readonly, error) &&
           options_take_bool(options, "read-only", &s->mode.readonly, error);
}

/* Things that other programs' drives have, off by default: accepted where they say "off". */
static bool absent_take(GHashTable *options, GError **error)
{
    static const char *const keys[] = {"copy-on-read"};
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        bool on = false;
        if (!options_take_bool(options, keys[i], &on, error)) {
            return false;
        }
        if (on) {
            return error_fail(error, "%s=on is not in this build", keys[i]);
        }
    }
    return true;
}

bool drive_settings_take(DriveSettings *s, const char *id, GHashTable *options, bool cdrom,
                         GError **error)
{
    *s = (DriveSettings){
        .rerror = ON_ERROR_REPORT, .werror = ON_ERROR_ENOSPC, .mode.readonly = cdrom};
    s->aio = options_take(options, "aio");
    if (cache_take(s, options, error) && readonly_take(s, options, error) &&
        discard_take(s, options, error) &&
        options_take_bool(options, "snapshot", &s->snapshot, error) &&
        on_error_take("rerror", options, &s->rerror, error) &&
        on_error_take("werror", options, &s->werror, error) && absent_take(options, error)) {
        return true;
    }
    drive_settings_clear(s);
    g_prefix_error(error, "drive '%s': ", id);
    return false;
}

void drive_settings_clear(DriveSettings *s)
{
    g_clear_pointer(&s->aio, g_free);
}

/* ---- The protocol node ---- */

/* "file:PATH", "PATH", "null-co://" into the options of a protocol driver; other protocols are
 * errors. */
static bool parse_filename(const char *text, GHashTable *node, GError **error)
{
    size_t scheme =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    bool has_scheme = scheme && text[scheme] == ':';
    if (has_scheme && !strncmp(text, "file:", 5)) {
        text += g_str_has_prefix(text, "file:///") ? 7 : 5;
    } else if (has_scheme && g_str_has_prefix(text, "null-co://")) {
        options_set(node, "driver", "null-co");
        return true;
    } else if (has_scheme) {
        return error_fail(error,
                          "Unknown protocol '%.*s' in '%s'; write ./%s if that is a file's name",
                          (int)scheme, text, text, text);
    }
    struct stat st;
    bool device = !stat(text, &st) && (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode));
    options_set(node, "driver", device ? "host_device" : "file");
    options_set(node, "filename", text);
    return true;
}

/* Options of the protocol node: file= and file.*, on top of what settings say for all. */
static GHashTable *protocol_options(const DriveSettings *s, GHashTable *options, GError **error)
{
    g_autofree char *file = options_take(options, "file");
    g_autoptr(GHashTable) node = options_take_group(options, "file.");
    if (file && g_hash_table_contains(node, "filename")) {
        error_fail(error, "Cannot specify both 'file' and 'file.filename'");
        return NULL;
    }
    if (file && *file && !parse_filename(file, node, error)) {
        return NULL;
    }
    if (g_hash_table_size(node) && !g_hash_table_contains(node, "driver")) {
        g_autofree char *name = options_take(node, "filename");
        if (!name) {
            error_fail(error, "'file.driver' or 'file.filename' is missing");
            return NULL;
        }
        if (!parse_filename(name, node, error)) {
            return NULL;
        }
    }
    const char *driver = g_hash_table_lookup(node, "driver");
    if (driver && s->aio && (!strcmp(driver, "file") || !strcmp(driver, "host_device")) &&
        !g_hash_table_contains(node, "aio")) {
        options_set(node, "aio", s->aio);
    }
    return g_steal_pointer(&node);
}

/* ---- The format ---- */

/* Formats that people know and that this build cannot open. */
static bool format_known_elsewhere(const char *name)
{
    static const char *const names[] = {"qcow2", "qcow", "qed",   "vmdk",      "vdi",
                                        "vhdx",  "vpc",  "luks",  "parallels", "bochs",
                                        "cloop", "dmg",  "vvfat", NULL};
    return g_strv_contains(names, name);
}

static bool format_refused(const char *filename, const char *format, GError **error)
{
    return error_fail(error,
                      "'%s' is a %s image, and this build can only open raw ones "
                      "(convert it: qemu-img convert -O raw)",
                      filename, format);
}

/* Sets *probed when the answer is a guess. */
static bool format_find(BlockNode *file, const char *format, bool *probed, GError **error)
{
    uint8_t head[2048];
    const char *name = file->filename ? file->filename : file->driver->name;
    *probed = false;
    if (format) {
        if (!strcmp(format, "raw")) {
            return true;
        }
        if (format_known_elsewhere(format)) {
            return error_fail(
                error, "format=%s is not in this build, which can only open raw images (for '%s')",
                format, name);
        }
        return error_fail(error, "'%s' invalid format for '%s'; this build has raw", format, name);
    }
    int result = node_pread_sync(file, 0, head, sizeof(head));
    if (result < 0) {
        return error_fail_errno(error, result,
                                "Could not read image for determining its format ('%s')", name);
    }
    const char *found =
        format_probe(head, (size_t)CLAMP(node_length(file), 0, (int64_t)sizeof(head)));
    *probed = true;
    return !strcmp(found, "raw") || format_refused(name, found, error);
}

static void warn_probed(const BlockNode *file)
{
    warn_report("Image format was not specified for '%s' and probing guessed raw.", file->filename);
    warn_report("A guest may disguise a raw image as another format, so writes to block 0 that "
                "would do so are "
                "refused; say format=raw to lift this.");
}

/* The format node over `file`; takes over the reference. */
static BlockNode *format_open(BlockNode *file, GHashTable *options, bool probed, GError **error)
{
    BlockNode *raw = node_new(block_driver_find("raw"), &file->mode);
    g_autofree char *name = options_take(options, "node-name");
    raw->file = file;
    if (name) {
        g_free(raw->name);
        raw->name = g_steal_pointer(&name);
    }
    if (!raw->driver->open(raw, options, error)) {
        raw->driver = block_driver_find("null-co"); /* nothing to close */
        node_unref(raw);
        return NULL;
    }
    raw->probed = probed && !file->mode.readonly;
    return raw;
}

static BlockNode *graph_open(const DriveSettings *s, GHashTable *options, GHashTable *protocol,
                             GError **error)
{
    g_autofree char *format = options_take(options, "format"),
                    *driver = options_take(options, "driver");
    const char *what = driver ? driver : format;
    bool probed;
    if (driver && format && strcmp(driver, format)) {
        error_fail(error, "Cannot specify both 'driver' and 'format'");
        return NULL;
    }
    NodeMode mode = s->mode;
    mode.readonly |= s->snapshot; /* writes go to the overlay */
    /* A protocol may stand at the top: driver=null-co,size=1G or driver=file,filename=X. */
    const BlockDriver *top = what ? block_driver_find(what) : NULL;
    if (top && top->protocol) {
        options_set(options, "driver", what);
        if (s->aio && strcmp(what, "null-co") && strcmp(what, "memory")) {
            options_set(options, "aio", s->aio);
        }
        const char *filename = g_hash_table_lookup(protocol, "filename");
        if (filename) { /* file= is the same thing here */
            options_set(options, "filename", filename);
        }
        return node_open(options, &mode, error);
    }
    BlockNode *file = node_open(protocol, &mode, error);
    if (!file) {
        return NULL;
    }
    if (!format_find(file, what, &probed, error)) {
        node_unref(file);
        return NULL;
    }
    probed &= !mode.readonly && file->driver->protocol && file->filename;
    if (probed) {
        warn_probed(file);
    }
    return format_open(file, options, probed, error);
}

bool drive_medium_open(const DriveSettings *s, const char *id, GHashTable *options,
                       BlockNode **node, GError **error)
{
    GError *why = NULL;
    *node = NULL;
    g_autoptr(GHashTable) protocol = protocol_options(s, options, &why);
    const char *driver = g_hash_table_lookup(options, "driver");
    const BlockDriver *top = driver ? block_driver_find(driver) : NULL;
    bool medium = protocol && (g_hash_table_size(protocol) || (top && top->protocol));
    if (medium) {
        *node = graph_open(s, options, protocol, &why);
    } else if (protocol) { /* an empty drive */
        g_hash_table_remove(options, "format");
        g_hash_table_remove(options, "driver");
        g_hash_table_remove(options, "node-name");
    }
    if (!why && !options_finish(options, "-drive", &why)) {
        g_clear_pointer(node, node_unref);
    }
    if (*node && s->snapshot) {
        *node = overlay_new(*node, &why);
    }
    if (why) {
        g_propagate_prefixed_error(error, why, "drive '%s': ", id);
        return false;
    }
    return true;
}
