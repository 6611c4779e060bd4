/* 8259A data sheet: initialisation, priorities, EOI modes, masks, polling, cascade, edge and level.
 */
#include "hw/intc/i8259.h"
#include "tests/hw/bench.h"

extern const DeviceClass isa_i8259_class;
enum { EOI = 0x20, READ_IRR = 0x0a, READ_ISR = 0x0b };

static void init(void *pic, uint8_t icw1, uint8_t base, uint8_t icw3, uint8_t icw4)
{
    out8(pic, 0, 0x11 | icw1);
    out8(pic, 1, base);
    if (!(icw1 & 2)) {
        out8(pic, 1, icw3);
    }
    out8(pic, 1, icw4);
    out8(pic, 1, 0);
}

static void *single(uint8_t icw1, uint8_t icw4)
{
    void *pic = bench_device(&isa_i8259_class, "master=on");
    init(pic, icw1, 0x08, 0, icw4);
    return pic;
}

static uint8_t irr(void *pic)
{
    return out8(pic, 0, READ_IRR), in8(pic, 0);
}
static uint8_t isr(void *pic)
{
    return out8(pic, 0, READ_ISR), in8(pic, 0);
}
static void pulse(void *pic, unsigned line)
{
    device_input(pic, line, false);
    device_input(pic, line, true);
}

START_TEST(init_sequence)
{
    void *pic = bench_device(&isa_i8259_class, "master=on");
    out8(pic, 0, 0x11);
    out8(pic, 1, 0x25); /* low bits of ICW2 are the line's */
    out8(pic, 1, 0x04);
    out8(pic, 1, 0x01);
    ck_assert_uint_eq(in8(pic, 1), 0); /* ICW1 clears the mask */
    out8(pic, 1, 0xfe);
    ck_assert_uint_eq(in8(pic, 1), 0xfe);
    device_input(pic, 0, true);
    ck_assert_int_eq(i8259_ack(pic), 0x20);
    /* single, no ICW4: ready after ICW2 */
    out8(pic, 0, 0x12);
    out8(pic, 1, 0x40);
    out8(pic, 1, 0x55);
    ck_assert_uint_eq(in8(pic, 1), 0x55);
}
END_TEST

START_TEST(fully_nested)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    device_input(pic, 4, true);
    ck_assert(p->level);
    ck_assert_uint_eq(irr(pic), 0x10);
    ck_assert_int_eq(i8259_ack(pic), 0x0c);
    ck_assert(!p->level);
    ck_assert_uint_eq(irr(pic), 0);
    ck_assert_uint_eq(isr(pic), 0x10);
    device_input(pic, 5, true); /* lower: waits */
    ck_assert(!p->level);
    device_input(pic, 1, true); /* higher: interrupts */
    ck_assert(p->level);
    ck_assert_int_eq(i8259_ack(pic), 0x09);
    ck_assert_uint_eq(isr(pic), 0x12);
    out8(pic, 0, EOI); /* ends 1 */
    ck_assert_uint_eq(isr(pic), 0x10);
    ck_assert(!p->level);
    out8(pic, 0, 0x60 | 4); /* specific */
    ck_assert_uint_eq(isr(pic), 0);
    ck_assert(p->level);
    ck_assert_int_eq(i8259_ack(pic), 0x0d);
}
END_TEST

START_TEST(mask)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    out8(pic, 1, 0x08);
    device_input(pic, 3, true);
    ck_assert(!p->level);
    ck_assert_uint_eq(irr(pic), 0x08); /* remembered */
    out8(pic, 1, 0);
    ck_assert(p->level);
}
END_TEST

START_TEST(edge_and_level)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    device_input(pic, 3, true);
    i8259_ack(pic);
    out8(pic, 0, EOI);
    ck_assert(!p->level); /* still high, no new edge */
    pulse(pic, 3);
    ck_assert(p->level);
    i8259_ack(pic);
    out8(pic, 0, EOI);
    device_write(pic, 1, 0, 1, 0xff); /* ELCR: 0..2 stay edge-triggered on a master */
    ck_assert_uint_eq(device_read(pic, 1, 0, 1), 0xf8);
    ck_assert(p->level);
    i8259_ack(pic);
    out8(pic, 0, EOI);
    ck_assert(p->level); /* again, while it is high */
    device_input(pic, 3, false);
    ck_assert(!p->level);
    void *slave = bench_device(&isa_i8259_class, "");
    device_write(slave, 1, 0, 1, 0xff);
    ck_assert_uint_eq(device_read(slave, 1, 0, 1), 0xde);
}
END_TEST

START_TEST(level_by_ltim)
{
    void *pic = single(0x08, 1);
    Probe *p = bench_probe(pic, "int", 0);
    device_input(pic, 0, true);
    i8259_ack(pic);
    out8(pic, 0, EOI);
    ck_assert(p->level);
}
END_TEST

START_TEST(spurious)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    device_input(pic, 2, true);
    ck_assert(p->level);
    device_input(pic, 2, false); /* withdrawn before the acknowledge */
    ck_assert(!p->level);
    ck_assert_int_eq(i8259_ack(pic), 0x0f);
    ck_assert_uint_eq(isr(pic), 0); /* no EOI is due */
}
END_TEST

START_TEST(rotation)
{
    void *pic = single(0, 1);
    device_input(pic, 2, true);
    device_input(pic, 6, true);
    ck_assert_int_eq(i8259_ack(pic), 0x0a);
    out8(pic, 0, 0xa0); /* rotate on non-specific EOI: 2 is the lowest now */
    pulse(pic, 2);
    ck_assert_int_eq(i8259_ack(pic), 0x0e);
    out8(pic, 0, 0xe0 | 6); /* rotate on specific EOI: 6 lowest, 7 highest */
    pulse(pic, 7);
    ck_assert_int_eq(i8259_ack(pic), 0x0f);
    ck_assert_uint_eq(isr(pic), 0x80);
    out8(pic, 0, EOI);
    out8(pic, 0, 0xc0 | 4); /* set priority: 5 highest */
    pulse(pic, 5);
    ck_assert_int_eq(i8259_ack(pic), 0x0d);
    out8(pic, 0, EOI);
    ck_assert_int_eq(i8259_ack(pic), 0x0a);
}
END_TEST

START_TEST(automatic_eoi)
{
    void *pic = single(0, 0x03);
    device_input(pic, 1, true);
    device_input(pic, 3, true);
    ck_assert_int_eq(i8259_ack(pic), 0x09);
    ck_assert_uint_eq(isr(pic), 0);
    ck_assert_int_eq(i8259_ack(pic), 0x0b);
    out8(pic, 0, 0x80); /* rotate in automatic EOI mode */
    pulse(pic, 0);
    i8259_ack(pic); /* 0 is lowest now */
    pulse(pic, 0);
    pulse(pic, 1);
    ck_assert_int_eq(i8259_ack(pic), 0x09);
    ck_assert_int_eq(i8259_ack(pic), 0x08);
}
END_TEST

START_TEST(special_mask)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    device_input(pic, 2, true);
    i8259_ack(pic);
    device_input(pic, 5, true);
    ck_assert(!p->level);
    out8(pic, 1, 0x04); /* masking alone does not free the lower levels */
    ck_assert(!p->level);
    out8(pic, 0, 0x68);
    ck_assert(p->level);
    ck_assert_int_eq(i8259_ack(pic), 0x0d);
    out8(pic, 0, EOI); /* passes over the masked level in service */
    ck_assert_uint_eq(isr(pic), 0x04);
    out8(pic, 0, 0x48); /* mode off */
    out8(pic, 0, EOI);
    ck_assert_uint_eq(isr(pic), 0);
}
END_TEST

START_TEST(poll)
{
    void *pic = single(0, 1);
    Probe *p = bench_probe(pic, "int", 0);
    out8(pic, 0, 0x0c);
    ck_assert_uint_eq(in8(pic, 0) & 0x80, 0);
    device_input(pic, 6, true);
    out8(pic, 0, 0x0c);
    ck_assert_uint_eq(in8(pic, 0), 0x86);
    ck_assert(!p->level);
    ck_assert_uint_eq(isr(pic), 0x40);
    ck_assert_uint_eq(in8(pic, 0), 0x40); /* polling took one read only */
}
END_TEST

static void pair(void **master, void **slave, uint8_t icw4)
{
    *master = bench_device(&isa_i8259_class, "master=on");
    *slave = bench_device(&isa_i8259_class, "");
    i8259_cascade(*master, 2, *slave);
    init(*master, 0, 0x08, 0x04, icw4);
    init(*slave, 0, 0x70, 0x02, 0x01);
}

START_TEST(cascade)
{
    void *master, *slave;
    pair(&master, &slave, 0x01);
    device_input(slave, 6, true);
    ck_assert(i8259_pending(master));
    ck_assert_int_eq(i8259_ack(master), 0x76);
    ck_assert_uint_eq(isr(master), 0x04);
    ck_assert_uint_eq(isr(slave), 0x40);
    device_input(slave, 0, true); /* higher on the slave: blocked by the master's level 2 */
    ck_assert(!i8259_pending(master));
    out8(slave, 0, EOI);
    out8(master, 0, EOI);
    ck_assert_int_eq(i8259_ack(master), 0x70);
    out8(slave, 0, EOI);
    out8(master, 0, EOI);
    /* spurious on the slave: IR7 of the slave, and the master's level is in service */
    device_input(slave, 1, true);
    out8(slave, 1, 0xff);
    ck_assert(!i8259_pending(master));
    out8(slave, 1, 0);
    ck_assert(i8259_pending(master));
    ck_assert_int_eq(i8259_ack(master), 0x71);
}
END_TEST

/* A second request of the slave while the first is in service is a new edge at the master. */
START_TEST(cascade_keeps_requests)
{
    void *master, *slave;
    pair(&master, &slave, 0x01);
    device_input(slave, 3, true);
    device_input(slave, 1, true);
    ck_assert_int_eq(i8259_ack(master), 0x71);
    out8(slave, 0, EOI);
    out8(master, 0, EOI);
    ck_assert_int_eq(i8259_ack(master), 0x73);
}
END_TEST

START_TEST(special_fully_nested)
{
    void *master, *slave;
    pair(&master, &slave, 0x11);
    device_input(slave, 6, true);
    ck_assert_int_eq(i8259_ack(master), 0x76);
    device_input(slave, 0, true);
    ck_assert(i8259_pending(master));
    ck_assert_int_eq(i8259_ack(master), 0x70);
    device_input(master, 3, true); /* lower on the master: no */
    ck_assert(!i8259_pending(master));
}
END_TEST

BENCH_MAIN("i8259", CASE(init_sequence), CASE(fully_nested), CASE(mask), CASE(edge_and_level),
           CASE(level_by_ltim), CASE(spurious), CASE(rotation), CASE(automatic_eoi),
           CASE(special_mask), CASE(poll), CASE(cascade), CASE(cascade_keeps_requests),
           CASE(special_fully_nested))
