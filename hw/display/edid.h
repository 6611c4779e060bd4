/* EDID: what a monitor says of itself over DDC (VESA E-EDID 1.4). */
#ifndef HW_DISPLAY_EDID_H
#define HW_DISPLAY_EDID_H

#include <stdint.h>

enum { EDID_BLOCK = 128, EDID_SIZE = 2 * EDID_BLOCK };

typedef struct EdidInfo {
    const char *vendor;                 /* three capital letters; NULL: "RHT"                                */
    const char *name;                   /* at most 12 characters; NULL: "Ostler"                             */
    const char *serial;                 /* at most 12 characters; NULL: none                                 */
    unsigned width, height;             /* preferred mode in pixels; 0: 1280 x 800                           */
    unsigned max_width, max_height;     /* largest mode to list; 0: no limit                                 */
    unsigned width_mm, height_mm;       /* 0: as large as 100 dots an inch make it                           */
    unsigned refresh_mhz;               /* thousandths of Hz; 0: 75 Hz                                       */
} EdidInfo;

/* A base block and one CTA-861 extension with the modes that the base block has no room for. */
void edid_build(const EdidInfo *info, uint8_t edid[EDID_SIZE]);

#endif
