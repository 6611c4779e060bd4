/* The loops that use a drive, requests on their way between them, and waiting. */
#include "block/drive-private.h"
#include "block/worker.h"
#include "core/coroutine.h"

/* ---- From loop to loop ---- */

static void list_add(Drive *d, DriveRequest ***end, DriveRequest *r)
{
    pthread_mutex_lock(&d->hop);
    r->next = NULL;
    **end = r;
    *end = &r->next;
    pthread_mutex_unlock(&d->hop);
}

/* NULL: there is none. */
static DriveRequest *list_take(Drive *d, DriveRequest **first, DriveRequest ***end)
{
    pthread_mutex_lock(&d->hop);
    DriveRequest *r = *first;
    if (r) {
        *first = r->next;
        if (!*first) {
            *end = first;
        }
    }
    pthread_mutex_unlock(&d->hop);
    return r;
}

DrivePort *drive_port(Drive *d)
{
    Loop *here = loop_current();
    for (unsigned i = 1; i < d->ports; i++) {
        if (d->port[i].loop == here) {
            return &d->port[i];
        }
    }
    return d->port;
}

void drive_hop(DriveRequest *r)
{
    Drive *d = r->drive;
    list_add(d, &d->arrived_end, r);
    bell_ring(d->port->bell);
}

void drive_hop_back(DriveRequest *r)
{
    DrivePort *p = r->port; /* once it is in the list, its loop may end and free it */
    list_add(p->drive, &p->finished_end, r);
    bell_ring(p->bell);
}

/* What the bells would call.  False: there was nothing. */
static bool run_lists(Drive *d)
{
    bool any = false;
    for (DriveRequest *r; (r = list_take(d, &d->arrived, &d->arrived_end)); any = true) {
        drive_request_begin(r);
    }
    for (unsigned i = 0; i < d->ports; i++) {
        for (DriveRequest *r; (r = list_take(d, &d->port[i].finished, &d->port[i].finished_end)); any = true) {
            drive_request_end(r);
        }
    }
    return any;
}

static void bell_rang(void *arg)
{
    DrivePort *p = arg;
    Drive *d = p->drive;
    for (DriveRequest *r; p == d->port && (r = list_take(d, &d->arrived, &d->arrived_end));) {
        drive_request_begin(r);
    }
    for (DriveRequest *r; (r = list_take(d, &p->finished, &p->finished_end));) {
        drive_request_end(r);
    }
}

/* Nothing but requests: a device in the middle of a reset or of its end waits here, so no monitor and no other CPU may come
 * in between.  Whoever waits holds the lock. */
void drive_wait_some(Drive *d)
{
    if (run_lists(d) || worker_reap(d->port->loop, true)) {
        return;
    }
    g_assert(d->port->loop == loop_main()); /* a queue loop's requests wait for nothing else */
    int64_t sleep = co_sleepers_run();
    if (sleep >= 0) {
        g_usleep((gulong)(sleep / NS_PER_US));
    } else if (loop_current() == loop_main()) {
        loop_iterate(true);
    } else { /* a vCPU: the main loop goes on when it gets the lock */
        loop_unlock();
        g_usleep(100);
        loop_lock();
    }
}

static bool pending(const Drive *d)
{
    bool any = d->in_flight || d->arrived;
    for (unsigned i = 0; i < d->ports; i++) {
        any |= d->port[i].finished != NULL;
    }
    return any;
}

void drive_drain(Drive *d)
{
    drive_enter(d);
    while (pending(d)) {
        drive_wait_some(d);
    }
    drive_leave(d);
}

static void set_ports(Drive *d, Loop *const *loops, unsigned n)
{
    d->port = g_new0(DrivePort, n);
    d->ports = n;
    for (unsigned i = 0; i < n; i++) {
        DrivePort *p = &d->port[i];
        *p = (DrivePort){d, loops[i], bell_new(loops[i], bell_rang, p), NULL, &p->finished};
    }
}

/* Entered: a late ring may still be answered. */
static void clear_ports(Drive *d)
{
    drive_enter(d);
    for (unsigned i = 0; i < d->ports; i++) {
        bell_free(d->port[i].bell);
    }
    drive_leave(d);
    g_free(d->port);
}

void drive_set_loops(Drive *d, Loop *const *loops, unsigned n)
{
    Loop *only = loop_main();
    drive_drain(d);
    g_assert(!d->held || (n ? loops[0] : only) == d->port->loop); /* their coroutines cannot move */
    clear_ports(d);
    set_ports(d, n ? loops : &only, MAX(n, 1));
}

void drive_enter(Drive *d)
{
    for (unsigned i = 0; i < d->ports; i++) {
        loop_enter(d->port[i].loop);
    }
}

void drive_leave(Drive *d)
{
    for (unsigned i = d->ports; i-- > 0;) {
        loop_leave(d->port[i].loop);
    }
}

void drive_ports_init(Drive *d)
{
    Loop *only = loop_main();
    pthread_mutex_init(&d->hop, NULL);
    d->arrived_end = &d->arrived;
    set_ports(d, &only, 1);
}

void drive_ports_clear(Drive *d)
{
    clear_ports(d);
    pthread_mutex_destroy(&d->hop);
}
