/* A serial port of the PC: a 16550A at one of the four customary places of the ISA bus. */
#include "hw/char/uart16550.h"
#include "hw/isa/isa.h"

enum { ANY = UINT32_MAX };

typedef struct IsaSerial {
    Device dev;
    Uart uart;
    uint32_t index, iobase, irq; /* properties; ANY: what is customary */
} IsaSerial;

static const struct {
    uint16_t port;
    uint8_t irq;
} customary[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

static bool isa_serial_realize(void *dev, GError **error)
{
    IsaSerial *s = dev;
    uint32_t index = s->index == ANY ? isa_siblings(&s->dev) : s->index;
    if (index >= G_N_ELEMENTS(customary)) {
        return error_fail(error, "The ISA bus takes %zu serial ports, with index=0 to %zu",
                          G_N_ELEMENTS(customary), G_N_ELEMENTS(customary) - 1);
    }
    s->index = index;
    s->iobase = s->iobase == ANY ? customary[index].port : s->iobase;
    s->irq = s->irq == ANY ? customary[index].irq : s->irq;
    if (s->iobase > 0x10000 - UART_PORTS) {
        return error_fail(error, "Property isa-serial.iobase must lie below 0xfff9, not at 0x%x",
                          s->iobase);
    }
    if (!isa_irq_checked(&s->dev, &s->uart.irq, s->irq, error)) {
        return false;
    }
    isa_map(&s->dev, device_region(&s->dev, SPACE_MAIN, "serial", UART_PORTS), (uint16_t)s->iobase);
    return true;
}

static const Row rows[] = {
    PROP(IsaSerial, index, "4294967295", "0 to 3: COM1 to COM4; default: the next one"),
    PROP(IsaSerial, iobase, "4294967295", "First I/O port; default: by index"),
    PROP(IsaSerial, irq, "4294967295", "Interrupt line; default: by index"),
    PART(IsaSerial, uart, serial_class),
    END,
};

const DeviceClass isa_serial_class = {
    .name = "isa-serial",
    .doc = "Serial port of the PC (16550A)",
    .bus = "ISA",
    .category = "input",
    .size = sizeof(IsaSerial),
    .rows = rows,
    .info = &(const IsaInfo){.fw_name = "serial"},
    .realize = isa_serial_realize,
};
