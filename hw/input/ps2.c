/* The output buffer that PS/2 keyboard and mouse have alike. */
#include "hw/input/ps2.h"

#include <string.h>

void ps2_reply(Ps2Out *out, uint8_t byte)
{
    if (out->replies < PS2_REPLIES) {
        out->reply[out->replies++] = byte;
    }
}

bool ps2_event(Ps2Out *out, const uint8_t *bytes, unsigned n)
{
    if (out->events + n > PS2_EVENTS) {
        return false;
    }
    memcpy(out->event + out->events, bytes, n);
    out->events += n;
    return true;
}

bool ps2_take(Ps2Out *out, uint8_t *byte)
{
    uint8_t *from = out->replies ? out->reply : out->event;
    uint8_t *n = out->replies ? &out->replies : &out->events;

    if (!*n) {
        return false;
    }
    *byte = out->last = from[0];
    memmove(from, from + 1, --*n);
    return true;
}

void ps2_clear(Ps2Out *out)
{
    out->replies = out->events = 0;
}
