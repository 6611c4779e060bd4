/* Commands about the monitor itself, and those that fit nowhere else. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/runstate.h"
#include "hw/iothread.h"
#include "qapi/dispatch.h"
#include "qapi/fdset.h"
#include "qapi/hmp-internal.h"
#include "qapi/qmp.h"
#include "qapi/schema/qapi-commands.h"

bool qmp_qmp_capabilities(const QmpCapabilitiesArgs *args, void *ret, GError **error)
{
    for (size_t i = 0; qmp_session && i < args->enable.n; i++) {
        qmp_session->oob |= args->enable.at[i] == Q_QMP_CAPABILITY_OOB;
    }
    if (qmp_session) {
        qmp_session->negotiated = true;
    }
    return true;
}

bool qmp_query_version(const void *args, QVersionInfo *ret, GError **error)
{
    ret->qemu = (QVersionTriple){QMP_VERSION_MAJOR, QMP_VERSION_MINOR, QMP_VERSION_MICRO};
    ret->package = g_strdup("ostler " OSTLER_VERSION);
    return true;
}

bool qmp_query_commands(const void *args, QCommandInfoList *ret, GError **error)
{
    for (size_t i = 0; i < qapi_command_count; i++) {
        QLIST_ADD(ret)->name = g_strdup(qapi_commands[i].name);
    }
    return true;
}

bool qmp_query_events(const void *args, QEventInfoList *ret, GError **error)
{
    for (const QEvent *const *e = qapi_events; *e; e++) {
        QLIST_ADD(ret)->name = g_strdup((*e)->name);
    }
    return true;
}

bool qmp_quit(const void *args, void *ret, GError **error)
{
    run_actions.shutdown =
        SHUTDOWN_POWEROFF; /* -no-shutdown is for the guest's wish, not for this */
    machine_request_shutdown(CAUSE_HOST_QMP_QUIT);
    return true;
}

bool qmp_human_monitor_command(const HumanMonitorCommandArgs *args, char **ret, GError **error)
{
    if (args->has_cpu_index && !hmp_cpu_valid(args->cpu_index)) {
        return error_fail(error, "Parameter 'cpu-index' expects a CPU number");
    }
    *ret = hmp_execute(args->command_line, args->has_cpu_index ? (int)args->cpu_index : -1);
    return true;
}

static void add_iothread(void *arg, UserObject *o)
{
    QIOThreadInfoList *list = arg;
    if (o->type == &iothread_type) {
        const IoThread *t = (const IoThread *)o;
        QIOThreadInfo *info = QLIST_ADD(list);
        info->id = g_strdup(o->id);
        info->thread_id = loop_thread_id(t->loop);
        info->poll_max_ns = t->poll_max_ns;
        info->poll_grow = t->poll_grow;
        info->poll_shrink = t->poll_shrink;
    }
}

bool qmp_query_iothreads(const void *args, QIOThreadInfoList *ret, GError **error)
{
    object_foreach(add_iothread, ret);
    return true;
}

void hmp_info_iothreads(Hmp *h, const HmpArgs *a)
{
    QIOThreadInfoList list = {0};
    qmp_query_iothreads(NULL, &list, NULL);
    for (size_t i = 0; i < list.n; i++) {
        const QIOThreadInfo *t = &list.at[i];
        hmp_print(h, "%s:\n  thread_id=%" PRId64 "\n  poll-max-ns=%" PRId64 "\n  poll-grow=%" PRId64 "\n  poll-shrink=%" PRId64
                  "\n  aio-max-batch=%" PRId64 "\n", t->id, t->thread_id, t->poll_max_ns, t->poll_grow, t->poll_shrink,
                  t->aio_max_batch);
    }
    qtype_free(&qtype_list_IOThreadInfo, &list);
}

/* Nothing that exists can be cut yet, so the list of instances is empty and every name is wrong. */
bool qmp_query_yank(const void *args, QYankInstanceList *ret, GError **error)
{
    return true;
}

bool qmp_yank(const YankArgs *args, void *ret, GError **error)
{
    return !args->instances.n ||
           error_fail_class(error, ERROR_DEVICE_NOT_FOUND, "Instance not found");
}

/* ---- Descriptors that clients hand over ---- */

static bool take_fd(int *fd, GError **error)
{
    *fd = qmp_session ? char_take_fd(qmp_session->chr) : -1;
    return *fd >= 0 || error_fail(error, "No file descriptor supplied via SCM_RIGHTS");
}

bool qmp_getfd(const GetfdArgs *args, void *ret, GError **error)
{
    int fd;
    if (!take_fd(&fd, error)) {
        return false;
    }
    if (g_ascii_isdigit(args->fdname[0])) {
        close(fd);
        return error_fail(error, "Parameter 'fdname' expects a name not starting with a digit");
    }
    fd_name(args->fdname, fd);
    return true;
}

bool qmp_closefd(const ClosefdArgs *args, void *ret, GError **error)
{
    int fd = fd_take(args->fdname);
    if (fd < 0) {
        return error_fail(error, "File descriptor named '%s' not found", args->fdname);
    }
    close(fd);
    return true;
}

bool qmp_add_fd(const AddFdArgs *args, QAddfdInfo *ret, GError **error)
{
    int fd;
    if (!take_fd(&fd, error)) {
        return false;
    }
    if (args->has_fdset_id && args->fdset_id < 0) {
        close(fd);
        return error_fail(error, "Parameter 'fdset-id' expects a non-negative value");
    }
    ret->fd = fd;
    ret->fdset_id = fdset_add(args->has_fdset_id ? args->fdset_id : -1, fd, args->opaque);
    return true;
}

bool qmp_remove_fd(const RemoveFdArgs *args, void *ret, GError **error)
{
    if (fdset_remove(args->fdset_id, args->has_fd ? (int)args->fd : -1)) {
        return true;
    }
    g_autofree char *fd =
        args->has_fd ? g_strdup_printf(", fd:%" G_GINT64_FORMAT, args->fd) : g_strdup("");
    return error_fail(error, "File descriptor named 'fdset-id:%" G_GINT64_FORMAT "%s' not found",
                      args->fdset_id, fd);
}

static void list_fd(void *arg, int64_t set, int fd, const char *opaque)
{
    QFdsetInfoList *list = arg;
    QFdsetInfo *info = NULL;
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].fdset_id == set) {
            info = &list->at[i];
        }
    }
    if (!info) {
        info = QLIST_ADD(list);
        info->fdset_id = set;
    }
    QFdsetFdInfo *one = QLIST_ADD(&info->fds);
    one->fd = fd;
    one->opaque = g_strdup(opaque);
}

bool qmp_query_fdsets(const void *args, QFdsetInfoList *ret, GError **error)
{
    fdset_foreach(list_fd, ret);
    return true;
}
