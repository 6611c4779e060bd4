/* Presets of -machine: a table of options for guests by name. */
#ifndef QAPI_PRESET_H
#define QAPI_PRESET_H

#include <glib.h>

typedef struct Preset {
    const char *name, *doc;
    const char *const *options;         /* name, value, name, value ... NULL                                 */
    const char *lacks;
} Preset;
const Preset *preset_find(const char *name);    /* NULL */
char *preset_help(void);                /* the list; caller frees */
char *preset_text(const Preset *p, const char *board);  /* its options as a command line; caller frees */

#endif
