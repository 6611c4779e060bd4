#include "char/telnet.h"

enum {
    IAC = 255,
    DONT = 254,
    DO = 253,
    WONT = 252,
    WILL = 251,
    SB = 250,
    BRK = 243,
    IP = 244,
    SE = 240
};
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_SUPPRESS_GO_AHEAD = 3 };

const uint8_t telnet_hello[12] = {IAC, WILL, OPT_ECHO,   IAC, WILL, OPT_SUPPRESS_GO_AHEAD,
                                  IAC, WILL, OPT_BINARY, IAC, DO,   OPT_BINARY};

/* One byte of data: true when it is to be kept.  Without binary a CR is sent as CR NUL (RFC 854,
 * page 11). */
static bool data_byte(Telnet *t, uint8_t c)
{
    bool stuffed = t->cr && !c && !t->binary;
    t->cr = c == '\r';
    return !stuffed;
}

size_t telnet_decode(Telnet *t, uint8_t *buf, size_t len, unsigned *breaks)
{
    size_t kept = 0;
    *breaks = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = buf[i];
        switch (t->state) {
        case TELNET_DATA:
            if (c == IAC) {
                t->state = TELNET_IAC;
            } else if (data_byte(t, c)) {
                buf[kept++] = c;
            }
            break;
        case TELNET_IAC:
            t->state = TELNET_DATA;
            t->command = c;
            if (c == IAC) {
                data_byte(t, c);
                buf[kept++] = c;
            } else if (c >= WILL) {
                t->state = TELNET_OPTION;
            } else if (c == SB) {
                t->state = TELNET_SUB;
            } else if (c == BRK || c == IP) {
                ++*breaks;
            }
            break;
        case TELNET_OPTION:
            /* Answers to what we offered; offers of the peer's own are left unanswered, which means
             * no. */
            if (c == OPT_BINARY && (t->command == WILL || t->command == WONT)) {
                t->binary = t->command == WILL;
            }
            t->state = TELNET_DATA;
            break;
        case TELNET_SUB: t->state = c == IAC ? TELNET_SUB_IAC : TELNET_SUB; break;
        case TELNET_SUB_IAC: t->state = c == SE ? TELNET_DATA : TELNET_SUB; break;
        }
    }
    return kept;
}

void telnet_encode(GByteArray *out, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        g_byte_array_append(out, &buf[i], 1);
        if (buf[i] == IAC) {
            g_byte_array_append(out, &buf[i], 1);
        }
    }
}
