/* Addresses of sockets as options describe them: unix, TCP and inherited descriptors.  For char/. */
#ifndef CHAR_ADDRESS_H
#define CHAR_ADDRESS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct Address {
    enum { ADDRESS_UNIX, ADDRESS_INET, ADDRESS_FD } kind;
    char *path;                         /* unix */
    bool abstract, tight;               /* Linux's name space without files; tight: no zero bytes behind the name */
    char *host, *port;                  /* inet; a listener's are what it really got */
    uint64_t to;                        /* listen on the first free port up to this; 0: only on port */
    int family;                         /* AF_UNSPEC, AF_INET, AF_INET6 */
    int fd;
} Address;

/* path=, abstract=, tight= | host=, port=, to=, ipv4=, ipv6= | fd=.  `what` begins the messages. */
bool address_take(Address *a, GHashTable *options, const char *what, GError **error);
void address_clear(Address *a);

/* A listening descriptor, non-blocking, or -1.  An inherited one must be listening already. */
int address_listen(Address *a, GError **error);
/* A connected descriptor, or -1.  Blocks as long as the network takes; any thread. */
int address_connect(const Address *a, GError **error);
/* "127.0.0.1:5555" or "[::1]:5555"; "" when it has no such name.  Caller frees. */
char *address_local(int fd);
char *address_peer(int fd);
char *address_text(const Address *a);   /* "HOST:PORT", the path, or "fd:N" */

#endif
