#include "core/random.h"

#include <errno.h>
#include <glib.h>
#include <sys/random.h>

void host_random(void *buf, size_t len)
{
    enum { WHOLE = 256 }; /* requests up to this size are never cut short (getrandom(2)) */
    for (char *p = buf; len;) {
        ssize_t n = getrandom(p, MIN(len, WHOLE), 0);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            g_error("getrandom: %s", g_strerror(errno));
        }
    }
}
