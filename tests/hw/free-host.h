/* The world around a device in the free tests: buses to plug it into, back ends that block, a hand on its input pins. */
#ifndef TESTS_HW_FREE_HOST_H
#define TESTS_HW_FREE_HOST_H

#include "hw/device.h"

/* A realized device with back ends for all its properties, on a bus of its type. */
Device *free_host_device(const DeviceClass *class, GError **error);
void free_host_drop(Device *d);
/* True: this class cannot stand alone here (said on stdout). */
bool free_host_skips(const DeviceClass *class);

void free_host_calm(Device *d);         /* wait until no back end request is in flight */
void free_host_block(bool blocked);     /* character back ends take nothing */
void free_host_stimulate(Device *d, uint64_t random);   /* bytes from outside, input pins */
/* Start (true) or end (false) counting messages; returns whether any came. */
bool free_host_watch_messages(bool on);

#endif
