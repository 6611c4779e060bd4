/* Errors that a person caused: GError, with the classes that QMP knows.
 *
 * A function that can fail for such a reason returns false (or NULL) and sets *error; the message is one line,
 * names the option, file or device, and says what would be accepted.  It has no trailing full stop or newline. */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include <glib.h>
#include <stdbool.h>

#define OSTLER_ERROR (ostler_error_quark())
GQuark ostler_error_quark(void);

/* The classes of the QMP specification ("error-response"); every other failure is generic. */
typedef enum ErrorClass {
    ERROR_GENERIC,
    ERROR_COMMAND_NOT_FOUND,
    ERROR_DEVICE_NOT_ACTIVE,
    ERROR_DEVICE_NOT_FOUND,
    ERROR_KVM_MISSING_CAP,
} ErrorClass;

/* The wire name ("GenericError", "CommandNotFound" ...); errors of other domains are generic. */
const char *error_class_name(const GError *error);

/* Sets *error (may be NULL) and returns false, so that a check reads `return error_fail(error, "...", ...)`. */
bool error_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool error_fail_class(GError **error, ErrorClass class, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same with ": " and strerror(code) behind the message; code is an errno, of either sign. */
bool error_fail_errno(GError **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* "ostler: warning: ..." and "ostler: ..." on stderr (`-msg timestamp=on` puts the time in front).  Any thread. */
void warn_report(const char *format, ...) G_GNUC_PRINTF(1, 2);
void error_report(const char *format, ...) G_GNUC_PRINTF(1, 2);
void info_report(const char *format, ...) G_GNUC_PRINTF(1, 2);
void report_timestamps(bool on);
bool report_timestamped(void);

#endif
