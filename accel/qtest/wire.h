/* The qtest wire without its socket: bytes in, replies out, the machine in between.
 *
 * Requests are lines; nothing is allocated for one, and the data of `write` and `b64write` goes to
 * memory as it comes, so that a line may have any length.  Main lock held. */
#ifndef ACCEL_QTEST_WIRE_H
#define ACCEL_QTEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/device.h"

enum {
    WIRE_LINE = 1024,  /* longest request but for its data */
    WIRE_CHUNK = 3072, /* bytes of memory moved at a time; a multiple of 3 for base64 */
    WIRE_OUT = 65536,
    WIRE_PINS = 256, /* pins of an intercepted device */
};

typedef struct Wire Wire;
typedef struct WireTap { /* an intercepted output pin */
    Irq *pin;
    Irq was;
    Wire *wire;
} WireTap;

struct Wire {
    /* Where replies go: whole lines, in as few calls as possible. */
    void (*send)(void *arg, const char *buf, size_t len);
    void (*log)(void *arg, bool reply, const char *line, size_t len); /* NULL: no log */
    void *arg;
    uint64_t max_size; /* longest transfer that a request may ask for */

    /* The request that is coming in. */
    char line[WIRE_LINE + 1]; /* and room for a NUL */
    size_t len;
    enum {
        WIRE_REQUEST,
        WIRE_DATA,     /* the rest of the line is a write's data */
        WIRE_TOO_LONG, /* the rest is skipped, then refused ... */
        WIRE_ANSWERED, /* ... or was refused already */
    } state;
    struct { /* the data of a write */
        bool base64, bad, ended;
        uint64_t at, left; /* where the next chunk goes; bytes still wanted */
        uint32_t bits;     /* digits that make no byte yet */
        uint8_t n_bits, prefix;
        uint8_t chunk[WIRE_CHUNK];
        size_t n;
    } data;

    char out[WIRE_OUT];
    size_t out_len, line_start;
    bool busy; /* within wire_feed: replies are sent at its end */

    Device *intercepted;
    bool intercept_outputs;
    bool level[WIRE_PINS]; /* of intercepted inputs */
    WireTap taps[WIRE_PINS];
};

void wire_init(Wire *w);
void wire_feed(Wire *w, const char *buf, size_t len);
void wire_reset(Wire *w); /* the connection ended: forget the line and the intercepted device */

/* commands.c: a request without its newline, or the beginning of one that is longer than the
 * buffer; false when it was the beginning of a write, whose data then goes to wire_data. */
bool wire_request(Wire *w, char *line, size_t len); /* line[len] is overwritten */
/* wire.c: more of a write's data. */
void wire_data(Wire *w, const char *buf, size_t len);
/* Reply pieces, for commands.c. */
void wire_put(Wire *w, const char *buf, size_t len);
void wire_text(Wire *w, const char *text);
void wire_end(Wire *w); /* newline; sends it when nothing else is going on */

#endif
