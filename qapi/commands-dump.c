/* Dumps: dump-guest-memory and what belongs to it, in both monitors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "dump/dump.h"
#include "qapi/dispatch.h"
#include "qapi/events.h"
#include "qapi/fdset.h"
#include "qapi/hmp-internal.h"
#include "qapi/schema/qapi-commands.h"
#include "qapi/schema/qapi-events.h"

_Static_assert((int)DUMP_FAILED == (int)Q_DUMP_STATUS_FAILED, "DumpStatus follows the schema");

static QDumpQueryResult result_of(const DumpProgress *p)
{
    return (QDumpQueryResult){(QDumpStatus)p->status, (int64_t)p->completed, (int64_t)p->total};
}

static void completed(const DumpProgress *p, const char *error)
{
    QDumpQueryResult r = result_of(p);
    event_dump_completed(&r, error);
}

void qapi_dump_events_init(void)
{
    dump_hooks.completed = completed;
}

static int open_output(const char *protocol, GError **error)
{
    const char *path = protocol + strlen("file:"), *name = protocol + strlen("fd:");
    int fd = -1;
    if (g_str_has_prefix(protocol, "fd:")) {
        fd = fd_take(name);
        if (fd < 0) {
            error_fail(error, "File descriptor named '%s' has not been found", name);
        }
    } else if (g_str_has_prefix(protocol, "file:")) {
        int64_t set;
        char *end;
        if (g_str_has_prefix(path, "/dev/fdset/")) {
            set = g_ascii_strtoll(path + strlen("/dev/fdset/"), &end, 10);
            fd = fdset_dup(set, O_WRONLY);
            errno = fd < 0 ? -fd : 0;
        } else {
            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* it may hold secrets */
        }
        if (fd < 0) {
            error_fail_errno(error, errno, "Could not open '%s'", path);
        }
    } else {
        error_fail(error, "Parameter 'protocol' expects file:PATH or fd:NAME, not '%s'", protocol);
    }
    return fd;
}

static bool check(const DumpGuestMemoryArgs *a, bool kdump, GError **error)
{
    if (kdump && (a->paging || a->has_begin || a->has_length)) {
        return error_fail(error, "kdump-compressed format doesn't support paging or filter");
    }
    if (a->has_begin != a->has_length) {
        return error_fail(error, "Parameter '%s' is missing", a->has_begin ? "length" : "begin");
    }
    if (a->has_begin && a->begin < 0) {
        return error_fail(error, "Parameter 'begin' expects a physical address");
    }
    if (a->has_length && a->length <= 0) {
        return error_fail(error, "Parameter 'length' expects a number of bytes above 0");
    }
    return true;
}

bool qmp_dump_guest_memory(const DumpGuestMemoryArgs *a, void *ret, GError **error)
{
    QDumpGuestMemoryFormat format = a->has_format ? a->format : Q_DUMP_GUEST_MEMORY_FORMAT_ELF;
    if (dump_progress().status == DUMP_ACTIVE) {
        return error_fail(error, "There is a dump in process, please wait.");
    }
    if (!check(a, format != Q_DUMP_GUEST_MEMORY_FORMAT_ELF && format != Q_DUMP_GUEST_MEMORY_FORMAT_WIN_DMP, error)) {
        return false;
    }
    if (format != Q_DUMP_GUEST_MEMORY_FORMAT_ELF && format != Q_DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB) {
        return error_fail(error, "%s is not available now", qtype_enum_name(&qtype_DumpGuestMemoryFormat, format));
    }
    int fd = open_output(a->protocol, error);
    DumpRequest r = {.format = format == Q_DUMP_GUEST_MEMORY_FORMAT_ELF ? DUMP_ELF : DUMP_KDUMP_ZLIB,
                     .paging = a->paging,
                     .filter = a->has_begin,
                     .begin = (uint64_t)a->begin,
                     .length = (uint64_t)a->length,
                     .fd = fd,
                     .detach = a->has_detach && a->detach};
    return fd >= 0 && dump_start(&r, error);
}

bool qmp_query_dump(const void *args, QDumpQueryResult *ret, GError **error)
{
    DumpProgress p = dump_progress();
    *ret = result_of(&p);
    return true;
}

bool qmp_query_dump_guest_memory_capability(const void *args, QDumpGuestMemoryCapability *ret, GError **error)
{
    *QLIST_ADD(&ret->formats) = Q_DUMP_GUEST_MEMORY_FORMAT_ELF;
    *QLIST_ADD(&ret->formats) = Q_DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB;
    return true;
}

/* ---- Human monitor ---- */

void hmp_dump(Hmp *h, const HmpArgs *a)
{
    static const struct {
        const char *flag;
        QDumpGuestMemoryFormat format;
    } formats[] = {{"z", Q_DUMP_GUEST_MEMORY_FORMAT_KDUMP_ZLIB},
                   {"l", Q_DUMP_GUEST_MEMORY_FORMAT_KDUMP_LZO},
                   {"s", Q_DUMP_GUEST_MEMORY_FORMAT_KDUMP_SNAPPY},
                   {"w", Q_DUMP_GUEST_MEMORY_FORMAT_WIN_DMP}};
    g_autofree char *protocol = g_strconcat("file:", hmp_text(a, "filename"), NULL);
    const int64_t absent = INT64_MIN;
    DumpGuestMemoryArgs d = {.paging = hmp_flag(a, "p"), .protocol = protocol, .has_detach = true,
                             .detach = hmp_flag(a, "d"), .has_begin = hmp_number(a, "begin", absent) != absent,
                             .begin = hmp_number(a, "begin", 0), .has_length = hmp_number(a, "length", absent) != absent,
                             .length = hmp_number(a, "length", 0)};
    unsigned chosen = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (hmp_flag(a, formats[i].flag)) {
            d.has_format = true;
            d.format = formats[i].format;
            chosen++;
        }
    }
    if (chosen > 1) {
        hmp_print(h, "Error: only one of '-z|-l|-s|-w' can be set\n");
        return;
    }
    hmp_qmp(h, "dump-guest-memory", &d);
}

void hmp_info_dump(Hmp *h, const HmpArgs *a)
{
    DumpProgress p = dump_progress();
    hmp_print(h, "Status: %s\n", qtype_enum_name(&qtype_DumpStatus, p.status));
    if (p.status == DUMP_ACTIVE) {
        hmp_print(h, "Finished: %.2f %%\n", p.total ? 100.0 * (double)p.completed / (double)p.total : 0.0);
    }
}
