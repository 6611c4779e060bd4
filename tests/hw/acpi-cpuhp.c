/* CPU hot-plug by ACPI, as docs/specs/acpi_cpu_hotplug.txt of the reference describes its registers: four places, CPUs 0
 * and 2 at the start. */
#include "hw/pci/acpi-cpuhp.h"
#include "hw/pci/acpi-ost.h"

#include <string.h>

#include "hw/cpu-device.h"
#include "hw/hotplug.h"
#include "hw/machine.h"
#include "hw/pci/acpi-pm.h"
#include "hw/pci/piix4-pm.h"
#include "tests/hw/bench.h"

enum { SELECT = 0, FLAGS = 4, COMMAND = 5, DATA = 8 };
enum { ENABLED = 1, INSERTED = 2, REMOVE = 4, EJECT = 8, FIRMWARE = 16 };
enum { NEXT, OST_SOURCE, OST_STATUS, ARCH_ID };

static Device *chip, *pm, *cpus[4];

static void plug(unsigned i)
{
    cpus[i] = cpu_device_new(i, NULL);
    ck_assert_ptr_nonnull(cpus[i]);
}

static void start(void)
{
    GError *error = NULL;
    machine_init();
    machine.class = machine_class_find("pc");
    machine.topology = (Topology){4, 1, 1, 1};
    machine.max_cpus = 4;
    ck_assert(machine_make_model(&error));
    plug(0);
    plug(2);
    pm = bench_device(&piix4_pm_class, NULL);
    chip = bench_device(&acpi_cpuhp_class, NULL);
}

static void start_modern(void)
{
    start();
    out32(chip, SELECT, 0);
}

/* Whether the event was raised; and no more. */
static bool gpe(void)
{
    bool raised = device_peek(pm, "gpe_sts", 0) & 1 << GPE_CPU_HOTPLUG;
    device_write(pm, 2, 0, 1, 1 << GPE_CPU_HOTPLUG);
    return raised;
}

START_TEST(bitmap)
{
    start();
    ck_assert_uint_eq(in8(chip, 0), 0x5);
    ck_assert_uint_eq(in8(chip, 1), 0);
    ck_assert_uint_eq(in8(chip, 31), 0);
    out8(chip, 1, 0);      /* only a zero at the beginning */
    out32(chip, SELECT, 5);
    ck_assert_uint_eq(in8(chip, 0), 0x5);
    ck_assert(!device_unplug_request(cpus[2], NULL)); /* it could not be told of */
    out32(chip, SELECT, 0);
    ck_assert_uint_eq(in32(chip, 0), 0);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED);
    device_reset(chip, false); /* it stays so */
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED);
}
END_TEST

START_TEST(which)
{
    static const uint8_t flags[] = {ENABLED, 0, ENABLED, 0, 0, 0};
    start_modern();
    for (unsigned i = 0; i < 6; i++) {
        out32(chip, SELECT, i);
        ck_assert_uint_eq(in8(chip, FLAGS), flags[i]);
        out8(chip, COMMAND, ARCH_ID); /* ignored of places that are none: the last command stays */
        ck_assert_uint_eq(in32(chip, DATA), i < 4 ? i : 0);
        ck_assert_uint_eq(in32(chip, 0), 0);
    }
    out32(chip, SELECT, 3);
    out8(chip, COMMAND, NEXT); /* nothing has happened: the selection stays */
    ck_assert_uint_eq(in32(chip, DATA), 3);
}
END_TEST

START_TEST(arrives)
{
    start_modern();
    plug(3);
    device_plugged(cpus[3]);
    plug(1);
    device_plugged(cpus[1]);
    ck_assert(gpe());
    out8(chip, COMMAND, NEXT);
    ck_assert_uint_eq(in32(chip, DATA), 1);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED | INSERTED);
    out8(chip, FLAGS, INSERTED);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED);
    out8(chip, COMMAND, NEXT);
    ck_assert_uint_eq(in32(chip, DATA), 3);
    out8(chip, FLAGS, INSERTED);
    out8(chip, COMMAND, NEXT);
    ck_assert_uint_eq(in32(chip, DATA), 3);
    ck_assert(!(in8(chip, FLAGS) & INSERTED));
    ck_assert(!gpe());
}
END_TEST

START_TEST(leaves)
{
    GError *error = NULL;
    start_modern();
    ck_assert(!device_unplug_request(cpus[0], &error));
    ck_assert_ptr_nonnull(strstr(error->message, "Boot CPU"));
    ck_assert(device_unplug_request(cpus[2], NULL));
    ck_assert(gpe());
    out8(chip, COMMAND, NEXT);
    ck_assert_uint_eq(in32(chip, DATA), 2);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED | REMOVE);
    out8(chip, FLAGS, REMOVE);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED);
    ck_assert(!cpus[2]->going);
    out8(chip, FLAGS, FIRMWARE);
    ck_assert_uint_eq(in8(chip, FLAGS), ENABLED | FIRMWARE);
    out8(chip, FLAGS, EJECT);
    ck_assert(cpus[2]->going);
    ck_assert_uint_eq(in8(chip, FLAGS), 0);
    out32(chip, SELECT, 0);
    out8(chip, FLAGS, EJECT); /* not the one that is always there, and none that is not */
    ck_assert(!cpus[0]->going);
    out32(chip, SELECT, 1);
    out8(chip, FLAGS, EJECT);
}
END_TEST

START_TEST(refused)
{
    enum { EJECTION = 0x103, BUSY = 0x82, IN_PROGRESS = 0x84 };
    start_modern();
    ck_assert(device_unplug_request(cpus[2], NULL));
    out32(chip, SELECT, 2);
    out8(chip, COMMAND, OST_SOURCE);
    out32(chip, DATA, EJECTION);
    out8(chip, COMMAND, OST_STATUS);
    out32(chip, DATA, IN_PROGRESS);
    ck_assert(cpus[2]->removing);
    out32(chip, DATA, BUSY);
    ck_assert(!cpus[2]->removing);
    QACPIOSTInfoList said = {0};
    acpi_ost_list(&said);
    ck_assert_uint_gt(said.n, 2);
    ck_assert_uint_eq(said.at[2].source, EJECTION);
    ck_assert_uint_eq(said.at[2].status, BUSY);
    for (size_t i = 0; i < said.n; i++) {
        qtype_free(&qtype_ACPIOSTInfo, &said.at[i]);
    }
    g_free(said.at);
    ck_assert_uint_eq(in32(chip, DATA), 0);
    ck_assert(device_unplug_request(cpus[2], NULL)); /* it can be asked again; a new start is an answer, too */
    device_reset(chip, false);
    ck_assert(!cpus[2]->removing);
}
END_TEST

/* Places as users give them. */
START_TEST(places)
{
    static const struct {
        const char *socket, *core, *thread, *apic, *says;
    } cases[] = {
        {"0", "1", "1", NULL, NULL},
        {"1", "0", "1", NULL, NULL},
        {NULL, NULL, NULL, "9", NULL},
        {"1", NULL, NULL, "9", NULL},
        {"0", NULL, NULL, "9", "socket-id: 0 doesn't match"},
        {NULL, NULL, NULL, "7", "APIC ID 7"},
        {"0", "0", "0", NULL, "CPU[0] with APIC ID 0 exists"},
        {"2", "0", "0", NULL, "Invalid CPU socket-id: 2 must be in range 0:1"},
        {"1", "3", "0", NULL, "Invalid CPU core-id: 3 must be in range 0:2"},
        {"1", "0", "2", NULL, "Invalid CPU thread-id: 2 must be in range 0:1"},
        {"1", NULL, "0", NULL, "CPU core-id is not set"},
    };
    start();
    machine.topology = (Topology){2, 1, 3, 2}; /* APIC IDs 0 to 5 and 8 to 13 */
    machine.max_cpus = 12;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *const pairs[][2] = {{"socket-id", cases[i].socket},
                                        {"core-id", cases[i].core},
                                        {"thread-id", cases[i].thread},
                                        {"apic-id", cases[i].apic}};
        GError *error = NULL;
        Device *d = device_new(&cpu_device_class, NULL);
        for (unsigned p = 0; p < G_N_ELEMENTS(pairs); p++) {
            ck_assert(!pairs[p][1] || device_set(d, pairs[p][0], pairs[p][1], NULL));
        }
        ck_assert_int_eq(device_realize(d, NULL, &error), !cases[i].says);
        if (cases[i].says) {
            ck_assert_ptr_nonnull(strstr(error->message, cases[i].says));
            g_error_free(error);
        } else {
            const Cpu *c = cpu_of_device(d);
            ck_assert_ptr_eq(cpu_by_index(c->index), c);
            ck_assert_ptr_eq(cpu_by_apic_id(topology_apic_id(&machine.topology, c->index)), c);
        }
        device_free(d);
        ck_assert_uint_eq(cpu_count(), 2);
    }
}
END_TEST

BENCH_MAIN("acpi-cpuhp", CASE(bitmap), CASE(which), CASE(arrives), CASE(leaves), CASE(refused), CASE(places))
