/* virtio-input: keyboard, mouse and tablet (virtio 1.2 §5.8), events as Linux numbers them. */
#ifndef HW_VIRTIO_VIRTIO_INPUT_H
#define HW_VIRTIO_VIRTIO_INPUT_H

#include "hw/virtio/virtio.h"
#include "ui/input.h"

enum { INPUT_EVENTS = 256 };

typedef struct VirtioInput {
    VirtioDevice v;
    char *serial;
    uint8_t select, subsel;
    uint64_t events[INPUT_EVENTS];      /* type | code << 16 | value << 32, oldest first */
    uint16_t n, whole;                  /* how many, and how many of them up to the last SYN */
    bool dropping;                      /* no room: the rest of this group is lost too */
    bool listening;                     /* not saved: it gets what people type while a driver runs */
} VirtioInput;

extern const DeviceClass virtio_keyboard_class, virtio_mouse_class, virtio_tablet_class;

unsigned virtio_input_code(KeyCode key);        /* Linux' number of a key; 0: it has none */

#endif
