/* Ostler's main program: from the command line to a running machine, and out again. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "accel/accel.h"
#include "block/drive.h"
#include "char/char.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "gdbstub/gdbstub.h"
#include "dump/dump.h"
#include "hw/machine.h"
#include "mem/ram.h"
#include "qapi/cmdline.h"
#include "qapi/hmp.h"
#include "qapi/qmp.h"
#include "tools/doctor.h"
#include "ui/display.h"

/* ---- -daemonize: the parent waits until the child is set up, and exits with its status ---- */

static int daemon_pipe = -1;

static bool daemon_start(int *exit_code)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_report("-daemonize: %s", g_strerror(errno));
        *exit_code = 1;
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        error_report("-daemonize: cannot fork: %s", g_strerror(errno));
        *exit_code = 1;
        return false;
    }
    if (child) {
        uint8_t status = 1;
        close(fds[1]);
        while (read(fds[0], &status, 1) < 0 && errno == EINTR) {
        }
        *exit_code = status;
        return false;
    }
    close(fds[0]);
    daemon_pipe = fds[1];
    setsid();
    return true;
}

static void daemon_ready(void)
{
    if (daemon_pipe < 0) {
        return;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (chdir("/") < 0 || null < 0) {
        error_report("-daemonize: %s", g_strerror(errno));
        return;
    }
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    close(null);
    uint8_t status = 0;
    while (write(daemon_pipe, &status, 1) < 0 && errno == EINTR) {
    }
    close(daemon_pipe);
    daemon_pipe = -1;
}

/* ---- -pidfile: locked while we live, so that a stale file never hides a running program ---- */

static bool pidfile_written;

static bool write_pidfile(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    g_autofree char *text = g_strdup_printf("%ld\n", (long)getpid());
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0 || ftruncate(fd, 0) < 0 ||
        write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        error_report("-pidfile: cannot create PID file %s: %s", path,
                     errno == EAGAIN || errno == EACCES
                         ? "it is locked by a running program, or not writable"
                         : g_strerror(errno));
        return false;
    }
    pidfile_written = true;
    return true; /* fd stays open: it holds the lock */
}

/* ---- Signals ---- */

static void terminate(int signal_number)
{
    machine_request_shutdown(CAUSE_HOST_SIGNAL);
}

static void set_signals(void)
{
    struct sigaction sa = {.sa_handler = terminate};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- Setting up ---- */

static bool report(GError *error, int *exit_code)
{
    error_report("%s", error->message);
    *exit_code = 1;
    return false;
}

static bool choose_machine(int *exit_code)
{
    const MachineClass *c;
    machine.class = cmdline_machine_type();
    for (unsigned i = 0; !machine.class && (c = machine_class_at(i)); i++) {
        machine.class = c->is_default ? c : NULL;
    }
    return machine.class != NULL;
}

static const char *display_wanted(void)
{
    return startup.display ? startup.display : startup.nographic ? "none" : display_default();
}

static bool start_display(int *exit_code)
{
    g_autoptr(GError) error = NULL;
    return display_start(display_wanted(), &error) || report(error, exit_code);
}

/* A drive meant for the board that it has no place for would be lost without a word. */
static void find_unclaimed(void *arg, DriveInfo *info)
{
    const DriveInfo **left = arg;
    bool fixed =
        info->interface == IF_IDE || info->interface == IF_FLOPPY || info->interface == IF_PFLASH || info->interface == IF_SCSI;
    if (fixed && !info->claimed && !*left) {
        *left = info;
    }
}

static bool no_drive_left(GError **error)
{
    static const char *const names[IF_COUNT] = {
        [IF_IDE] = "ide", [IF_FLOPPY] = "floppy", [IF_PFLASH] = "pflash"};
    const DriveInfo *left = NULL;
    drive_info_foreach(find_unclaimed, &left);
    if (left && left->interface == IF_SCSI) {
        return error_fail(error, "-drive if=scsi: the adapter lsi53c895a is not built; use if=none,id=ID with "
                                 "-device virtio-scsi-pci -device scsi-hd,drive=ID");
    }
    return !left ||
           error_fail(error, "-drive: machine type '%s' has no place for if=%s,bus=%d,unit=%d",
                      machine.class->name, names[left->interface], left->bus, left->unit);
}

static bool set_up(int *exit_code)
{
    g_autoptr(GError) error = NULL;
    if (!cmdline_run(PHASE_EARLY, exit_code)) {
        return false;
    }
    if (startup.daemonize && (startup.nographic || !daemon_start(exit_code))) {
        return startup.nographic ? report(g_error_new(OSTLER_ERROR, 0,
                                                      "-nographic cannot be used with -daemonize"),
                                          exit_code)
                                 : false;
    }
    if (!display_check(display_wanted(), &error)) { /* before the back ends: some are shown there */
        g_prefix_error(&error, "-display: ");
        return report(error, exit_code);
    }
    /* The machine's type is needed to understand its properties. */
    if (!choose_machine(exit_code) || !cmdline_run(PHASE_MACHINE, exit_code)) {
        return false;
    }
    if (startup.pidfile && !write_pidfile(startup.pidfile)) {
        *exit_code = 1;
        return false;
    }
    if (startup.qtest && !qtest_listen(startup.qtest, startup.qtest_log, &error)) {
        g_prefix_error(&error, "-qtest: ");
        return report(error, exit_code);
    }
    if (!cmdline_run(PHASE_BACKEND, exit_code) || !cmdline_run(PHASE_LINES, exit_code)) {
        return false;
    }
    if (!cmdline_default_lines(&error) || !cmdline_default_drives(&error) ||
        !accel_start(startup.accels, &error) || !machine_build(&error)) {
        return report(error, exit_code);
    }
    if (!cmdline_debugcon(&error)) {
        return report(error, exit_code);
    }
    if (!cmdline_run(PHASE_DEVICE, exit_code)) {
        return false;
    }
    g_autofree char *unused = device_globals_unused();
    if (*unused) {
        warn_report("%s", g_strchomp(unused));
    }
    if (!no_drive_left(&error) || !machine_finish(&error)) {
        return report(error, exit_code);
    }
    machine_reset_now(CAUSE_NONE);
    if (!accel_start_cpus(&error)) {
        return report(error, exit_code);
    }
    return start_display(exit_code);
}

/* "mon:X": a monitor beside the guest on X. */
static void want_monitor(Char *c)
{
    g_autoptr(GError) error = NULL;
    if (!hmp_monitor_new(c, true, &error)) {
        error_report("%s", error->message);
    }
}

int main(int argc, char **argv)
{
    int exit_code = 0;
    g_autoptr(GError) error = NULL;
    setlocale(LC_CTYPE, "");
    g_autofree char *program = g_path_get_basename(argv[0]);
    g_set_prgname(program);
    if (argc > 1 && !strcmp(argv[1], "doctor")) {
        return doctor_main(argc - 1, argv + 1);
    }
    loop_main();
    loop_lock();
    machine_init();
    qmp_init();
    char_hooks.monitor = want_monitor;
    gdb_hooks.monitor = hmp_execute;
    set_signals();
    if (!cmdline_parse(argc, argv, &exit_code) || !set_up(&exit_code)) {
        char_cleanup();
        if (pidfile_written) {
            unlink(startup.pidfile);
        }
        return exit_code;
    }
    if (!startup.stopped && !machine_continue(&error)) {
        report(error, &exit_code);
    }
    daemon_ready();
    char_started();
    qmp_start();
    while (runstate_poll(&exit_code)) {
        loop_iterate(true);
    }
    run_events.stop = NULL; /* SHUTDOWN has said it */
    machine_stop(RUN_SHUTDOWN);
    gdbstub_stop();
    dump_abandon();
    accel_stop_cpus();
    drive_cleanup();
    ram_exit();
    display_stop();
    qmp_flush();
    char_cleanup();
    if (startup.pidfile) {
        unlink(startup.pidfile);
    }
    return exit_code;
}
