/* Displays: how a person sees the machine (-display). */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H

#include <glib.h>
#include <stdbool.h>

/* Whether `text` (-display's argument: "curses,charset=CP850") names a display of this build, with options that it knows;
 * *error lists what is accepted.  When that display shows virtual consoles (`-serial vc`), they exist from here on, so call
 * it before back ends are made. */
bool display_check(const char *text, GError **error);
/* Check and start it, once the consoles exist.  *error says why not (no terminal ...).  Main lock held. */
bool display_start(const char *text, GError **error);
const char *display_default(void);      /* what is shown when the user asks for nothing */
void display_stop(void);                /* gives the terminal back; fine at any time */
const char *display_name(void);         /* "none" until display_check accepted another */
char *display_help(void);               /* for `-display help`; caller frees */

/* ---- For displays ---- */
typedef struct Display {
    const char *name;
    bool text_consoles;                 /* shows virtual consoles */
    bool (*check)(GHashTable *options, GError **error);         /* takes what it knows; NULL: no options */
    bool (*start)(GError **error);
    void (*stop)(void);
} Display;
extern const Display display_none, display_curses;

#endif
