/* Ports of virtio-serial: a console, and a plain line that a guest finds by its name. */
#include "hw/virtio/virtio-serial.h"

extern const DeviceClass virtconsole_class;

bool virtio_port_is_console(const VirtioPort *p)
{
    return p->dev.class == &virtconsole_class;
}

static size_t port_can_receive(void *dev)
{
    return virtio_port_room(dev);
}

static void port_receive(void *dev, const uint8_t *buf, size_t len)
{
    virtio_port_receive(dev, buf, len);
}

static void port_writable(void *dev)
{
    virtio_port_writable(dev);
}

static void port_event(void *dev, int event)
{
    VirtioPort *p = dev;
    if (p->serial && (event == CHAR_OPENED || event == CHAR_CLOSED)) {
        virtio_port_tell(p, PORT_TELL_OPEN);
    }
}

static const Row rows[] = {
    CHARDEV(VirtioPort, chardev, "Back end"),
    PROP(VirtioPort, name, NULL, "What the guest calls it (/dev/virtio-ports/NAME)"),
    PROP(VirtioPort, nr, "4294967295", "Number of the port; default: the next free one"),
    END,
};

#define PORT                                                                                                           \
    .bus = "virtio-serial-bus", .category = "input", .size = sizeof(VirtioPort), .rows = rows, .hotpluggable = true,   \
    .can_receive = port_can_receive, .receive = port_receive, .writable = port_writable, .event = port_event

const DeviceClass virtconsole_class = {
    .name = "virtconsole",
    .doc = "Console on a virtio-serial port",
    PORT,
};

const DeviceClass virtserialport_class = {
    .name = "virtserialport",
    .doc = "Line on a virtio-serial port",
    PORT,
};
