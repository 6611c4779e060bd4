/* The telnet protocol (RFC 854), as much of it as a raw 8-bit line needs: binary both ways (RFC 856), we echo (857), no
 * go-aheads (858).  For char/. */
#ifndef CHAR_TELNET_H
#define CHAR_TELNET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Telnet {
    enum { TELNET_DATA, TELNET_IAC, TELNET_OPTION, TELNET_SUB, TELNET_SUB_IAC } state;
    uint8_t command;
    bool binary;                        /* the peer sends 8-bit data: no NUL behind CR */
    bool cr;                            /* the last byte of data was CR */
} Telnet;

/* What to send when somebody connects (a server offers). */
extern const uint8_t telnet_hello[12];
/* Take the protocol out of buf, in place; returns the bytes of data left, and how many breaks were among them. */
size_t telnet_decode(Telnet *t, uint8_t *buf, size_t len, unsigned *breaks);
/* Append data to `out`, 0xff doubled. */
void telnet_encode(GByteArray *out, const uint8_t *buf, size_t len);

#endif
