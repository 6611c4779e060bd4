#include "core/error.h"

#include <stdio.h>
#include <string.h>

G_DEFINE_QUARK(ostler - error, ostler_error)

static bool timestamps;

const char *error_class_name(const GError *error)
{
    static const char *const names[] = {"GenericError", "CommandNotFound", "DeviceNotActive",
                                        "DeviceNotFound", "KVMMissingCap"};
    if (error->domain != OSTLER_ERROR || error->code < 0 ||
        error->code >= (int)G_N_ELEMENTS(names)) {
        return names[ERROR_GENERIC];
    }
    return names[error->code];
}

static bool fail_va(GError **error, ErrorClass class, const char *suffix, const char *format,
                    va_list args)
{
    if (error) {
        g_autofree char *text = g_strdup_vprintf(format, args);
        g_set_error(error, OSTLER_ERROR, class, "%s%s%s", text, suffix ? ": " : "",
                    suffix ? suffix : "");
    }
    return false;
}

bool error_fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(error, ERROR_GENERIC, NULL, format, args);
    va_end(args);
    return false;
}

bool error_fail_class(GError **error, ErrorClass class, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(error, class, NULL, format, args);
    va_end(args);
    return false;
}

bool error_fail_errno(GError **error, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(error, ERROR_GENERIC, g_strerror(code < 0 ? -code : code), format, args);
    va_end(args);
    return false;
}

bool report_timestamped(void)
{
    return timestamps;
}

void report_timestamps(bool on)
{
    timestamps = on;
}

static void report_va(const char *kind, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_autofree char *when = NULL;
    if (timestamps) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        when = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ ");
    }
    fprintf(stderr, "%s%s: %s%s\n", when ? when : "", g_get_prgname() ? g_get_prgname() : "ostler",
            kind, text);
}

void warn_report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_va("warning: ", format, args);
    va_end(args);
}

void error_report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_va("", format, args);
    va_end(args);
}

void info_report(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_va("info: ", format, args);
    va_end(args);
}
