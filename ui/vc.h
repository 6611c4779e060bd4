/* Virtual consoles: `-serial vc`, `-monitor vc`, `-chardev vc` as screens of text beside the machine's own. */
#ifndef UI_VC_H
#define UI_VC_H

#include <stdbool.h>

/* Back ends of kind "vc" that are opened from now on get a console; off: what is written to them is lost. */
void vc_enable(bool on);

#endif
