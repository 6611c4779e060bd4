/* Port 61h: timer 2's gate, the speaker, parity and channel check, refresh. */
#ifndef HW_AUDIO_PCSPK_H
#define HW_AUDIO_PCSPK_H

#include "hw/device.h"

/* Wire GATE2 and OUT2 of the timer. */
void pcspk_wire(Device *spk, Device *pit);

/* The frequency in mHz that the speaker sounds now, 0: silence. */
uint64_t pcspk_tone_mhz(const Device *spk);

#endif
