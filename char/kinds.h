/* The kinds of back ends, and what they share.  For char/ only. */
#ifndef CHAR_KINDS_H
#define CHAR_KINDS_H

#include "char/char.h"
#include "core/loop.h"

extern const CharClass char_null, char_stdio, char_file, char_pipe, char_pty, char_socket, char_udp, char_ringbuf,
    char_memory, char_vc, char_serial, char_tty, char_parallel, char_parport;

/* char_new without the search for a class and mux=.  Consumes what it knows of options. */
Char *char_make(const CharClass *class, const char *id, GHashTable *options, GError **error);
/* A multiplexer over `base`, which it owns from now on, in failure too. */
Char *char_mux_new(const char *id, Char *base, GError **error);
bool char_may_wait(void);               /* wait=on may still block */

/* ---- Back ends that are a descriptor or two (fd.c) ----
 * The struct of such a kind begins with a CharFd.  Its open() sets the descriptors (in may be out, either may be -1)
 * and calls char_fd_start; write, accept and close may be the functions below. */
typedef struct CharFd CharFd;
struct CharFd {
    Char base;
    int in, out;
    Watch *in_watch, *out_watch;
    bool eof;
    bool drop;                          /* nobody reads: what is written is lost */
    void (*hangup)(CharFd *f);          /* end of file or an error on `in`; NULL: CHAR_CLOSED, and output goes on */
};
void char_fd_start(CharFd *f);
size_t char_fd_write(Char *c, const uint8_t *buf, size_t len);
void char_fd_accept(Char *c);
void char_fd_close(Char *c);            /* watches and descriptors; standard ones (0 to 2) stay open */
void char_fd_pause(CharFd *f);          /* no watches for now */
bool char_fd_nonblock(int fd);

#endif
