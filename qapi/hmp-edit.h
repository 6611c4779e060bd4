/* A line editor for terminals: cursor keys, history, completion, the control keys that shells have.
 *
 * It sees bytes and writes bytes; a test needs no terminal.  What it does not know it ignores. */
#ifndef QAPI_HMP_EDIT_H
#define QAPI_HMP_EDIT_H

#include <glib.h>
#include <stdbool.h>

enum { EDIT_LINE_MAX = 4096, EDIT_HISTORY = 64 };

typedef struct LineEdit {
    const char *prompt;
    GString *line;
    size_t cursor;
    GPtrArray *history;                 /* oldest first */
    guint browsing;                     /* place in the history; its length: the new line */
    char *kept;                         /* the new line while an old one is shown */
    enum { EDIT_PLAIN, EDIT_ESC, EDIT_CSI, EDIT_SS3 } state;
    unsigned number;                    /* parameter of an escape sequence */
    bool cr;                            /* the last byte was CR: an LF behind it belongs to it */
    void (*write)(void *arg, const char *text, size_t len);
    void (*execute)(void *arg, const char *line);
    void *arg;
} LineEdit;

void edit_init(LineEdit *e, const char *prompt);
void edit_clear(LineEdit *e);           /* releases what it holds */
void edit_reset(LineEdit *e);           /* an empty line, nothing printed */
void edit_show_prompt(LineEdit *e);     /* and what is typed so far */
void edit_byte(LineEdit *e, unsigned char c);

#endif
