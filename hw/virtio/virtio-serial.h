/* virtio-serial: a console device with ports, each a pair of queues to a character back end (virtio 1.2 §5.3).
 * Ports are devices on its bus "virtio-serial-bus": virtconsole and virtserialport (virtio-port.c). */
#ifndef HW_VIRTIO_VIRTIO_SERIAL_H
#define HW_VIRTIO_VIRTIO_SERIAL_H

#include "char/char.h"
#include "hw/virtio/virtio.h"

enum { SERIAL_PORTS = 32 };             /* array size; 31 at most are used: two more queues are for control */

typedef struct VirtioPort VirtioPort;

typedef struct VirtioSerial {
    VirtioDevice v;
    uint32_t max_ports;
    bool emergency_write;
    VirtioPort *port[SERIAL_PORTS];     /* what is plugged in */
    /* state, by port */
    uint8_t untold[SERIAL_PORTS];       /* control messages that wait for a buffer (enum PortTell) */
    bool added[SERIAL_PORTS];           /* the driver was told of it */
    bool guest_open[SERIAL_PORTS];
    uint64_t tx_done[SERIAL_PORTS];     /* bytes of the first buffer that the back end has */
    bool driver_ready;                  /* for control messages */
} VirtioSerial;

/* In the order in which they are sent. */
enum PortTell { PORT_TELL_REMOVE = 1, PORT_TELL_ADD = 2, PORT_TELL_CONSOLE = 4, PORT_TELL_NAME = 8, PORT_TELL_OPEN = 16 };

struct VirtioPort {
    Device dev;
    Char *chardev;
    char *name;
    uint32_t nr;                        /* UINT32_MAX: the next free one */
    VirtioSerial *serial;
};

extern const DeviceClass virtio_serial_class;
bool virtio_port_is_console(const VirtioPort *p);
void virtio_port_tell(VirtioPort *p, unsigned what);    /* messages to send as soon as the driver takes them */
size_t virtio_port_room(VirtioPort *p); /* bytes that the guest would take now */
void virtio_port_receive(VirtioPort *p, const uint8_t *buf, size_t len);        /* len <= room */
void virtio_port_writable(VirtioPort *p);       /* the back end has room again */

#endif
