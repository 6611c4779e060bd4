/* Framing of the remote serial protocol (GDB manual §E.1, E.3): bytes to packets and back.
 *
 * Pure: no Char, no machine.  What comes in is taken apart piece by piece into a bounded buffer; what goes out is framed
 * with checksum, escapes and run lengths. */
#ifndef GDBSTUB_PACKET_H
#define GDBSTUB_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a packet's body, escapes resolved; PacketSize says so to the client. */
enum { GDB_PACKET_MAX = 0x20000 };

typedef enum GdbInput {
    GDB_NOTHING,   /* all was taken, nothing is complete      */
    GDB_PACKET,    /* data, len                               */
    GDB_TOO_LONG,  /* a good packet, too long to be kept      */
    GDB_DAMAGED,   /* a packet whose checksum is wrong        */
    GDB_ACK,       /* '+'                                     */
    GDB_NAK,       /* '-': the last reply is wanted again     */
    GDB_INTERRUPT, /* 0x03 outside of packets                 */
} GdbInput;

typedef struct GdbWire {
    char data[GDB_PACKET_MAX + 1]; /* the packet; a NUL follows it                     */
    size_t len;                    /* bytes of the body so far, kept or not            */
    bool no_ack;                   /* checksums do not count (QStartNoAckMode)         */
    enum { WIRE_OUTSIDE, WIRE_BODY, WIRE_ESCAPE, WIRE_SUM1, WIRE_SUM2 } state;
    uint8_t sum, digit;
    bool bad_digit;
} GdbWire;

/* Between packets, in ack mode: a new client. */
void gdb_wire_reset(GdbWire *w);
/* Takes bytes until something is complete, which *what says; returns how many.  Call again with the rest.  Data are valid
 * until the next call. */
size_t gdb_wire_feed(GdbWire *w, const uint8_t *buf, size_t len, GdbInput *what);

/* Appends "$body#sum", with what needs it escaped and runs shortened. */
void gdb_frame(GByteArray *out, const void *body, size_t len);

/* ---- Numbers and bytes in hexadecimal ---- */
/* -1: no hex digit. */
int gdb_hex_digit(char c);
/* Reads a number in big-endian hex; *p moves behind it.  False: no digit there, or more than 64 bits. */
bool gdb_hex_number(const char **p, uint64_t *value);
/* Bytes from pairs of digits: returns how many (at most max); stops at the first that is none. */
size_t gdb_hex_bytes(const char **p, void *to, size_t max);
void gdb_hex_append(GString *out, const void *bytes, size_t len);

#endif
