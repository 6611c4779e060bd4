/* CPUs as devices: each has one, the board's as well as those of -device and device_add, whose type is the name of its model.
 * It says where the CPU sits, makes it with its local APIC, and takes both away.  Main lock held. */
#ifndef HW_CPU_DEVICE_H
#define HW_CPU_DEVICE_H

#include "cpu/cpu.h"
#include "hw/device.h"

extern const DeviceClass cpu_device_class;      /* abstract: "x86_64-cpu" */
Cpu *cpu_of_device(const Device *d);

/* A CPU of the board, at place `index` of the topology. */
Device *cpu_device_new(unsigned index, GError **error);
bool cpu_device_names(const char *driver);      /* a type name: of some model that there is */
/* The class of a type name as users write it; the machine's CPUs are all of one model.  NULL: *error, or no name of a model
 * (*error stays clear). */
const DeviceClass *cpu_device_type(const char *driver, GError **error);

#endif
