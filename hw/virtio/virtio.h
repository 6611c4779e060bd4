/* virtio: what every device of this kind has, whatever carries it (Virtual I/O Device 1.2 §2, §3).
 *
 * A device class has .base = &virtio_device_class and .info = &(const VirtioInfo){...}; its struct begins with
 * VirtioDevice, its configuration space is rows in SPACE_VIRTIO_CONFIG.  Alone it plugs into a "virtio-bus" (virtio-mmio.c);
 * as a PART of a PCI function it is what virtio-pci.c carries.  The transports show the register rows of
 * SPACE_VIRTIO_COMMON, _LEGACY and _MMIO, which are views of one state.
 *
 * All work on queues happens in VirtioInfo.queue, called from update() for each queue that was kicked.  A driver that breaks
 * the rules of rings gets DEVICE_NEEDS_RESET; from then on the queues stand still until it resets.  Main lock held.
 *
 * A device may give its queues to queue loops (virtio_use_iothreads), each queue to one.  That owns the queue's position and
 * what the device has in flight for it; the driver's set-up of queues (enabled, size, addresses) and the status change only with
 * all the device's loops entered, so their threads read them.  VirtioInfo.queue then runs there; .reset, .ready and .queue_reset
 * run with all loops entered. */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/device.h"
#include "qapi/schema/qapi-types.h"

enum { SPACE_VIRTIO_COMMON = 1, SPACE_VIRTIO_ISR, SPACE_VIRTIO_CONFIG, SPACE_VIRTIO_LEGACY, SPACE_VIRTIO_MMIO };
enum { VIRTIO_QUEUES = 64, VIRTQUEUE_MAX = 1024, VIRTIO_NO_VECTOR = 0xffff };
enum { VIRTIO_VENDOR = 0x1af4 };

/* Device status (§2.1). */
enum { VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 64,
       VIRTIO_FAILED = 128 };
/* Feature bits that belong to no device type (§6). */
enum { VIRTIO_F_ANY_LAYOUT = 27, VIRTIO_F_INDIRECT_DESC = 28, VIRTIO_F_EVENT_IDX = 29, VIRTIO_F_VERSION_1 = 32,
       VIRTIO_F_RING_PACKED = 34, VIRTIO_F_RING_RESET = 40 };
#define VIRTIO_BIT(n) (UINT64_C(1) << (n))
/* Interrupt status (§4.1.4.5). */
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

typedef struct VirtioDevice VirtioDevice;
typedef struct VirtLoop VirtLoop;       /* virtio-loop.c */

typedef struct VirtQueue {
    VirtioDevice *dev;                  /* these are fixed from realize on                                   */
    VirtLoop *loop;                     /* that it belongs to; NULL: the main loop                           */
    unsigned home;                      /* that one's number among the device's loops; 0: the main loop      */
    uint16_t index, max;
    uint16_t size, vector;
    bool enabled;
    uint64_t desc, driver, device;      /* where the driver put the three areas                              */
    uint16_t avail, used;               /* next to take, next to return; split: free-running, packed: slots  */
    uint8_t avail_wrap, used_wrap;      /* packed: wrap counters                                             */
    bool quiet;                         /* the driver was asked not to kick                                  */
    uint16_t since;                     /* returned since the driver's wish for interrupts was looked at     */
    uint16_t inuse;                     /* slots of buffers that the device holds                            */
    int signal_fd;                      /* a loop's: its interrupt, where the kernel sends it; -1: main does; the loop's own */
} VirtQueue;

/* The constants of a class. */
typedef struct VirtioInfo {
    uint16_t type;                      /* device ID (§5)                                                    */
    uint16_t config_size;               /* bytes of configuration space                                      */
    uint64_t features;                  /* always offered                                                    */
    uint64_t (*more_features)(const VirtioDevice *v);   /* offered as properties and back ends say           */
    /* Take buffers while there are any.  True: the ring was emptied and more is welcome.  False: the device itself cannot
     * go on; it calls virtio_kick when it can. */
    bool (*queue)(VirtioDevice *v, VirtQueue *q);
    void (*ready)(VirtioDevice *v);     /* DRIVER_OK was set                                                 */
    void (*reset)(VirtioDevice *v);     /* by the driver or the machine: afterwards nothing touches guest memory */
    void (*queue_reset)(VirtioDevice *v, VirtQueue *q); /* the same for one queue (§2.6.1)                   */
    bool (*busy)(const VirtioDevice *v);/* buffers are held by a back end                                    */
} VirtioInfo;
#define VIRTIO_INFO(v) ((const VirtioInfo *)(v)->dev.class->info)

struct VirtioDevice {
    Device dev;
    /* properties */
    bool indirect_desc, event_idx, packed, queue_reset_offered, any_layout;
    /* what the transport set up: fixed from realize on */
    bool modern, legacy;                /* interfaces that it offers                                         */
    uint8_t mmio_version;
    uint16_t vectors;                   /* MSI-X vectors that a queue may name                               */
    uint16_t queues;
    void (*settled)(void *transport);   /* interrupts may be due (signals, config_signal); NULL: it looks itself */
    void *transport;
    /* state */
    uint8_t status, isr;
    uint8_t generation;
    uint16_t queue_select, config_vector;
    uint32_t device_feature_select, driver_feature_select;
    uint64_t driver_features;           /* as the driver wrote them                                          */
    uint32_t guest_page_size, queue_align;              /* MMIO version 1                                    */
    uint64_t kicked;                    /* queues to look at                                                 */
    uint64_t pushed;                    /* queues that got buffers back                                      */
    uint64_t signals;                   /* queues whose interrupt is due                                     */
    bool config_signal;                 /* so is that of the configuration                                   */
    unsigned budget;                    /* what may still be taken in this run                               */
    Timer more;                         /* a run ended early: another one then                               */
    VirtLoop **loop;                    /* that the queues belong to                                         */
    unsigned loops;                     /* 0: all to the main loop                                           */
    bool broken;                        /* atomic: a loop saw a rule broken, and the status does not say so yet */
    VirtQueue queue[VIRTIO_QUEUES];
};

extern const DeviceClass virtio_device_class;   /* "virtio-device" */

/* ---- For devices ---- */
/* The next queue, of `size` entries (a power of two, 2 .. VIRTQUEUE_MAX).  From realize only, in the order of the numbers
 * that the specification gives the queues. */
VirtQueue *virtio_queue_new(VirtioDevice *v, unsigned size);
bool virtio_has(const VirtioDevice *v, unsigned feature);       /* negotiated */
bool virtio_is_ready(const VirtioDevice *v);    /* the driver runs: DRIVER_OK, no error, bus master on */
void virtio_kick(VirtioDevice *v, unsigned queue);      /* look at it in the next update() (device_settle) */
void virtio_kick_all(VirtioDevice *v);
void virtio_config_changed(VirtioDevice *v);    /* by the device: the driver gets an interrupt at the next update() */
/* The driver broke the rules: guest_error and DEVICE_NEEDS_RESET (§2.1.2). */
void virtio_break(VirtioDevice *v, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* What `q` got back may interrupt now, and queues that were kicked are looked at.  For the ends of requests. */
void virtqueue_settle(VirtQueue *q);
/* From now on the queues belong to the loops of -object iothread: all to that of the id `iothread` (may be NULL), or each as
 * `mapping` (may be NULL or empty) says, whose numbers begin with the device's first queue.  In realize, after the queues were
 * made.  Both given, or what a mapping must not say: false. */
bool virtio_use_iothreads(VirtioDevice *v, const char *iothread, const QIOThreadVirtQueueMappingList *mapping, GError **error);
struct Loop *virtio_loop(const VirtioDevice *v, unsigned home); /* by VirtQueue.home, below v->loops */
/* For good, in unrealize: in the place of virtio_leave, when nothing is in flight.  What the driver kicked last is not looked at. */
void virtio_leave_iothreads(VirtioDevice *v);
/* Enter and leave those loops, if there are any.  Main lock held. */
void virtio_enter(const VirtioDevice *v);
void virtio_leave(const VirtioDevice *v);

/* ---- For transports ---- */
/* Doorbells of queues with that home rang: what to do on their loop. */
void virtio_doorbell(VirtioDevice *v, unsigned home);
uint64_t virtio_features(const VirtioDevice *v);        /* offered */
bool virtio_busy(const VirtioDevice *v);
/* Bytes of a register space that a legacy or MMIO window shows behind the header; settles nothing. */
static inline bool virtio_is_legacy(const VirtioDevice *v) { return !virtio_has(v, VIRTIO_F_VERSION_1); }

/* ---- Between virtio.c and virtio-regs.c ---- */
extern const Row virtio_rows[];
void virtio_status_write(VirtioDevice *v, uint8_t value);
void virtio_queue_enable(VirtQueue *q, bool on);
void virtio_queue_restart(VirtQueue *q);        /* positions as after reset; the device forgot its buffers */
void virtio_more(void *dev, unsigned i);
void virtio_run_queue(VirtQueue *q);    /* until it is empty, or others should have their turn               */

/* ---- Between virtio.c and virtqueue.c ---- */
unsigned *virtqueue_budget(VirtQueue *q);       /* what may still be taken in this run                       */
uint64_t *virtqueue_pushed(VirtQueue *q);       /* queues that got buffers back                              */

#endif
