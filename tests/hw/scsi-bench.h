/* A host adapter for tests of SCSI devices: commands in, status, sense and data out. */
#ifndef TESTS_HW_SCSI_BENCH_H
#define TESTS_HW_SCSI_BENCH_H

#include <string.h>

#include "core/loop.h"
#include "hw/hotplug.h"
#include "hw/scsi/scsi-bus.h"
#include "tests/hw/bench.h"
#include "tests/hw/fake-drive.h"

static struct {
    Device *adapter;
    ScsiBus *bus;
    unsigned done, plugged, unplugged, resized, media;
    ScsiTask answer;                    /* the last one */
    uint8_t out[1 << 20], in[1 << 20];
} sb;

static size_t sb_fetch(ScsiTask *t, uint64_t offset, void *buf, size_t len)
{
    size_t n = offset < t->out ? MIN(len, t->out - offset) : 0;
    memcpy(buf, sb.out + offset, n);
    return n;
}

static size_t sb_deliver(ScsiTask *t, uint64_t offset, const void *buf, size_t len)
{
    size_t n = offset < t->in ? MIN(len, t->in - offset) : 0;
    memcpy(sb.in + offset, buf, n);
    return n;
}

static bool sb_map(ScsiTask *t, bool in, uint64_t len, DmaVec *v)
{
    return false;
}

static void sb_done(ScsiTask *t)
{
    sb.answer = *t;
    sb.done++;
}

static void sb_changed(ScsiBus *bus, const ScsiDevice *d, ScsiChange what)
{
    unsigned *counts[] = {&sb.plugged, &sb.unplugged, &sb.resized, &sb.media};
    (*counts[what])++;
}

static inline void sb_start(void)
{
    static const ScsiHost host = {1, 8, 512, sb_fetch, sb_deliver, sb_map, sb_done, sb_changed};
    sb.adapter = bench_device(device_class_find("virtio-mmio"), NULL);
    sb.bus = scsi_bus_new(sb.adapter, &host, NULL);
}

/* Realized on the bus, with "prop=value,prop=value"; its power-on attention is still due. */
static inline ScsiDevice *sb_plug(const char *type, Drive *drive, const char *props)
{
    GError *error = NULL;
    Device *d = device_new(device_class_find(type), NULL);
    g_auto(GStrv) pairs = g_strsplit(props ? props : "", ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        *eq = 0;
        ck_assert_msg(device_set(d, *p, eq + 1, &error), "%s", error ? error->message : "");
    }
    if (drive) {
        device_set_pointer(d, "drive", drive);
    }
    ck_assert_msg(device_realize(d, sb.bus->bus, &error), "%s", error ? error->message : "");
    device_plugged(d);
    return (ScsiDevice *)d;
}

static inline void sb_begin(ScsiTask *t, const void *cdb, unsigned len, uint64_t out, uint64_t in)
{
    memcpy(t->cdb, cdb, len);
    t->out = out;
    t->in = in;
    scsi_start(sb.bus, t);
}

/* A command to a unit, to its end; bytes of data that moved. */
static inline unsigned sb_run(unsigned target, unsigned lun, const uint8_t *cdb, unsigned len, uint64_t out, uint64_t in)
{
    ScsiTask t = {.target = target, .lun = lun};
    unsigned before = sb.done;
    sb_begin(&t, cdb, len, out, in);
    while (sb.done == before) {
        drive_drain_all();
        loop_iterate(false);
    }
    ck_assert_uint_eq(sb.done, before + 1);
    return (unsigned)sb.answer.moved;
}

/* Sense as 0xKKAAQQ; 0: it ended well. */
static inline unsigned sb_sense(void)
{
    ck_assert_uint_eq(sb.answer.outcome, SCSI_DELIVERED);
    if (sb.answer.status == SCSI_GOOD) {
        ck_assert_uint_eq(sb.answer.sense_len, 0);
        return 0;
    }
    ck_assert_uint_eq(sb.answer.status, SCSI_CHECK_CONDITION);
    ck_assert_uint_eq(sb.answer.sense_len, SCSI_SENSE);
    ck_assert_uint_eq(sb.answer.sense[0], 0x70);
    ck_assert_uint_eq(sb.answer.sense[7], SCSI_SENSE - 8);
    return (unsigned)sb.answer.sense[2] << 16 | load_be16(sb.answer.sense + 12);
}

#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
/* To target 0, unit 0, with room for `in` bytes, or with `out` bytes of sb.out. */
#define IN(in, ...) sb_run(0, 0, CDB(__VA_ARGS__), 0, in)
#define OUT(out, ...) sb_run(0, 0, CDB(__VA_ARGS__), out, 0)
#define ck_sense(expected) ck_assert_uint_eq(sb_sense(), expected)

#endif
