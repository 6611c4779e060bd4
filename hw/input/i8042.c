/* Intel 8042 as the keyboard and mouse controller of the PS/2, with both devices as parts.
 *
 * After the IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard and Auxiliary Device
 * Controller". Register space 0 is port 60h, space 1 is port 64h.  Pins: irq1, irq12, a20, reset.
 *
 * Bytes from a device come a frame's time apart, as over the real wire: a program that reads port
 * 60h twice for one interrupt gets the same byte twice, and each byte is an edge of its own for the
 * interrupt controller. */
#include "hw/input/ps2-codes.h"
#include "hw/input/ps2.h"

enum { SPACE_DATA, SPACE_COMMAND };
enum { /* status register */
       ST_OBF = 0x01,
       ST_SYSTEM = 0x04,
       ST_COMMAND = 0x08,
       ST_UNLOCKED = 0x10,
       ST_AUX_OBF = 0x20,
};
enum { /* command byte: RAM byte 0 */
       CB_IRQ1 = 0x01,
       CB_IRQ12 = 0x02,
       CB_SYSTEM = 0x04,
       CB_KBD_OFF = 0x10,
       CB_AUX_OFF = 0x20,
       CB_XLATE = 0x40,
};
enum { /* commands; 20..3f and 60..7f read and write RAM */
       PASSWORD_TEST = 0xa4,
       PASSWORD_LOAD = 0xa5,
       PASSWORD_ENABLE = 0xa6,
       AUX_OFF = 0xa7,
       AUX_ON = 0xa8,
       AUX_TEST = 0xa9,
       SELF_TEST = 0xaa,
       KBD_TEST = 0xab,
       KBD_OFF = 0xad,
       KBD_ON = 0xae,
       READ_INPUT = 0xc0,
       POLL_LOW = 0xc1,
       POLL_HIGH = 0xc2,
       READ_OUTPUT = 0xd0,
       WRITE_OUTPUT = 0xd1,
       WRITE_KBD_BUFFER = 0xd2,
       WRITE_AUX_BUFFER = 0xd3,
       WRITE_AUX = 0xd4,
       A20_OFF = 0xdd,
       A20_ON = 0xdf,
       READ_TEST = 0xe0,
       PULSE = 0xf0,
};
enum {
    OUT_RESET = 0x01,
    OUT_A20 = 0x02,
    OUT_AUX_DATA = 0x08,
    OUT_IRQ1 = 0x10,
    OUT_IRQ12 = 0x20,
    OUT_KBD_LINES = 0xc0
};
/* Input port: keyboard not locked, no manufacturing jumper, colour display. */
enum { INPUT_PORT = 0xa0 };
enum { PASSED = 0x55, LINE_PASSED = 0x00, NO_PASSWORD = 0xf1 };
enum { BREAK = 0xf0 };
#define FRAME_NS (900 * NS_PER_US) /* 11 bits at 12 kHz */
#define RESET_NS (6 * NS_PER_US)   /* pulse of the output port */

typedef struct I8042 {
    Device dev;
    Ps2Keyboard kbd;
    Ps2Mouse mouse;
    uint8_t ram[32];
    uint8_t output;     /* output buffer */
    bool full, aux;     /* OBF, and that the byte came from the mouse */
    uint8_t command;    /* that waits for its byte at port 60h */
    bool wrote_command; /* the last write went to port 64h */
    uint8_t poll;       /* command C1 or C2: the status shows the input port */
    bool after_break;   /* translation has seen f0 */
    bool a20, in_reset; /* P21; P20 held low by "write output port" */
    Timer frame;        /* the wire is busy until then */
    Timer pulse;        /* P20 is low until then */
    Irq irq1, irq12, a20_pin, reset;
} I8042;

static void put(I8042 *s, uint8_t byte, bool aux)
{
    s->output = byte;
    s->full = true;
    s->aux = aux;
}

/* False: the byte was a prefix that the translation keeps to itself. */
static bool translate(I8042 *s, uint8_t *byte)
{
    if (!(s->ram[0] & CB_XLATE)) {
        s->after_break = false;
        return true;
    }
    if (*byte == BREAK) {
        s->after_break = true;
        return false;
    }
    *byte = ps2_translate(*byte) | (s->after_break ? 0x80 : 0);
    s->after_break = false;
    return true;
}

/* Fill the output buffer from the devices.  True: a new byte is there. */
static bool pull(I8042 *s)
{
    uint8_t byte;

    if (s->full || timer_pending(&s->frame)) {
        return false;
    }
    while (!(s->ram[0] & CB_KBD_OFF) && ps2_keyboard_take(&s->kbd, &byte)) {
        if (translate(s, &byte)) {
            put(s, byte, false);
            return true;
        }
    }
    if (!(s->ram[0] & CB_AUX_OFF) && ps2_mouse_take(&s->mouse, &byte)) {
        put(s, byte, true);
        return true;
    }
    return false;
}

static void i8042_update(void *dev)
{
    I8042 *s = dev;

    if (pull(s)) {
        irq_set(&s->irq1, false);
        irq_set(&s->irq12, false);
    }
    irq_set(&s->irq1, s->full && !s->aux && s->ram[0] & CB_IRQ1);
    irq_set(&s->irq12, s->full && s->aux && s->ram[0] & CB_IRQ12);
    irq_set(&s->a20_pin, s->a20);
    irq_set(&s->reset, s->in_reset || timer_pending(&s->pulse));
}

static void time_fire(void *dev, unsigned i) {}

/* ---- Port 60h ---- */

static uint64_t data_get(const void *dev, unsigned arg, unsigned i)
{
    return ((const I8042 *)dev)->output;
}

static void data_read(void *dev, unsigned arg, unsigned i)
{
    I8042 *s = dev;
    if (s->full) {
        s->full = false;
        timer_at(&s->frame, now(&s->dev) + FRAME_NS);
    }
}

static void output_port_write(I8042 *s, uint8_t v)
{
    s->a20 = v & OUT_A20;
    s->in_reset = !(v & OUT_RESET);
}

static void to_keyboard(I8042 *s, uint8_t v)
{
    s->ram[0] &= ~CB_KBD_OFF; /* the controller lets the clock go */
    ps2_keyboard_write(&s->kbd, v);
}

static void data_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t v)
{
    I8042 *s = dev;
    uint8_t command = s->command;

    s->wrote_command = false;
    s->command = 0;
    if (command >= 0x60 && command < 0x80) {
        s->ram[command & 0x1f] = v;
        return;
    }
    switch (command) {
    case 0: to_keyboard(s, v); break;
    case PASSWORD_LOAD: /* up to a zero; there is no lock behind it */
        s->command = v ? PASSWORD_LOAD : 0;
        break;
    case WRITE_OUTPUT: output_port_write(s, v); break;
    case WRITE_KBD_BUFFER: put(s, v, false); break;
    case WRITE_AUX_BUFFER: put(s, v, true); break;
    case WRITE_AUX:
        s->ram[0] &= ~CB_AUX_OFF;
        ps2_mouse_write(&s->mouse, v);
        break;
    default: break;
    }
}

/* ---- Port 64h ---- */

static uint64_t status_get(const void *dev, unsigned arg, unsigned i)
{
    const I8042 *s = dev;
    uint8_t v = (s->full ? ST_OBF | (s->aux ? ST_AUX_OBF : 0) : 0) |
                (s->ram[0] & CB_SYSTEM ? ST_SYSTEM : 0) | (s->wrote_command ? ST_COMMAND : 0) |
                ST_UNLOCKED;

    if (s->poll) { /* half of the input port takes the high half of the status */
        v = (v & 0x0f) | (s->poll == POLL_LOW ? INPUT_PORT << 4 : INPUT_PORT & 0xf0);
    }
    return v;
}

static uint8_t output_port(const I8042 *s)
{
    return (s->in_reset ? 0 : OUT_RESET) | (s->a20 ? OUT_A20 : 0) | OUT_AUX_DATA |
           (s->full && !s->aux ? OUT_IRQ1 : 0) | (s->full && s->aux ? OUT_IRQ12 : 0) |
           OUT_KBD_LINES;
}

static void self_test(I8042 *s)
{
    s->ram[0] |= CB_SYSTEM;
    s->after_break = false;
    put(s, PASSED, false);
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t v)
{
    I8042 *s = dev;

    s->wrote_command = true;
    s->command = s->poll = 0;
    if (v >= 0x20 && v < 0x40) {
        put(s, s->ram[v & 0x1f], false);
        return;
    }
    if (v >= 0x60 && v < 0x80) {
        s->command = v;
        return;
    }
    if (v >= PULSE) { /* bits that are 0 pulse low; only P20 leads anywhere */
        if (!(v & OUT_RESET)) {
            timer_at(&s->pulse, now(&s->dev) + RESET_NS);
        }
        return;
    }
    switch (v) {
    case PASSWORD_TEST: put(s, NO_PASSWORD, false); break;
    case PASSWORD_ENABLE: break;
    case AUX_OFF: s->ram[0] |= CB_AUX_OFF; break;
    case AUX_ON: s->ram[0] &= ~CB_AUX_OFF; break;
    case AUX_TEST:
    case KBD_TEST: put(s, LINE_PASSED, false); break;
    case SELF_TEST: self_test(s); break;
    case KBD_OFF: s->ram[0] |= CB_KBD_OFF; break;
    case KBD_ON: s->ram[0] &= ~CB_KBD_OFF; break;
    case READ_INPUT: put(s, INPUT_PORT, false); break;
    case POLL_LOW:
    case POLL_HIGH: s->poll = v; break;
    case READ_OUTPUT: put(s, output_port(s), false); break;
    case PASSWORD_LOAD:
    case WRITE_OUTPUT:
    case WRITE_KBD_BUFFER:
    case WRITE_AUX_BUFFER:
    case WRITE_AUX: s->command = v; break;
    case A20_OFF: s->a20 = false; break;
    case A20_ON: s->a20 = true; break;
    case READ_TEST: put(s, 0, false); break; /* neither clock is held low */
    default: guest_error(&s->dev, "unknown controller command %02x", (unsigned)v); break;
    }
}

// clang-format off
static const Row rows[] = {
    CALC(data, 1, 0, .ro = true, .get = data_get, .on_read = data_read, .doc = "Output buffer"),
    CALC(input, 1, 0, .wo = true, .on_write = data_write, .doc = "Input buffer: to a device or for the last command"),
    CALC(status, 1, 0, .space = SPACE_COMMAND, .ro = true, .get = status_get,
         .bits = "OBF IBF SYS CMD UNLOCKED AUXOBF TIMEOUT PARITY", .doc = "Status"),
    CALC(control, 1, 0, .space = SPACE_COMMAND, .wo = true, .on_write = command_write, .doc = "Controller command"),
    PART(I8042, kbd, ps2_keyboard_class),
    PART(I8042, mouse, ps2_mouse_class),
    STATES(I8042, ram, .doc = "Controller RAM; byte 0 is the command byte"),
    STATE(I8042, output),
    STATE(I8042, full, .doc = "OBF"),
    STATE(I8042, aux, .doc = "The output byte is the mouse's"),
    STATE(I8042, command, .doc = "Command that waits for its byte"),
    STATE(I8042, wrote_command),
    STATE(I8042, poll, .max = POLL_HIGH),
    STATE(I8042, after_break),
    {.kind = ROW_STATE, .name = "p21", .stored = true, .field = offsetof(I8042, a20), .type = TYPE_BOOL, .size = 1, .count = 1,
     .reset = true, .doc = "Output port P21"},
    STATE(I8042, in_reset, .doc = "Output port P20 is low"),
    TIMER(I8042, frame, time_fire, .doc = "Next byte from a device"),
    TIMER(I8042, pulse, time_fire, .doc = "End of the reset pulse"),
    PIN(I8042, irq1, "Keyboard interrupt"),
    PIN(I8042, irq12, "Mouse interrupt"),
    {.kind = ROW_PIN, .name = "a20", .stored = true, .field = offsetof(I8042, a20_pin), .size = sizeof(Irq), .count = 1,
     .doc = "A20 wanted"},
    PIN(I8042, reset, "Reset of the machine"),
    END
};
// clang-format on

static void i8042_reset(void *dev, bool power_on)
{
    I8042 *s = dev;
    s->ram[0] = CB_IRQ1 | CB_IRQ12;
}

void i8042_poke_mouse(Device *i8042)
{
    I8042 *s = (I8042 *)i8042;
    if (s->mouse.enabled) {
        s->mouse.poked = true;
        device_settle(i8042);
    }
}

const DeviceClass i8042_class = {
    .name = "i8042",
    .doc = "Keyboard and mouse controller",
    .category = "input",
    .internal = true,
    .size = sizeof(I8042),
    .rows = rows,
    .reset = i8042_reset,
    .update = i8042_update,
};
