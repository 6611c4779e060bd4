/* Character back ends: a stream of bytes between a device (the front end) and something outside.
 *
 * Flow control goes both ways: a back end offers at most what can_receive() says, and the front end learns from
 * char_write() how much was taken; the rest is its to keep until writable() is called.  Main lock held. */
#ifndef CHAR_CHAR_H
#define CHAR_CHAR_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Char Char;
typedef enum CharEvent { CHAR_OPENED, CHAR_CLOSED, CHAR_BREAK, CHAR_MUX_IN, CHAR_MUX_OUT } CharEvent;

/* The front end's side.  Any member may be NULL. */
typedef struct CharUser {
    size_t (*can_receive)(void *arg);   /* bytes that receive() takes now */
    void (*receive)(void *arg, const uint8_t *buf, size_t len);
    void (*event)(void *arg, CharEvent event);
    void (*writable)(void *arg);        /* room again after a short char_write */
} CharUser;

/* Claim the back end.  False when another front end has it (a multiplexer takes several).  An already open back end
 * reports CHAR_OPENED at once. */
bool char_attach(Char *c, const CharUser *user, void *arg, GError **error);
void char_detach(Char *c, void *arg);
bool char_attached(const Char *c);

/* Bytes taken; less than len when the other side is slow (then writable() will be called).  A back end that nobody
 * reads (closed socket, null) takes everything.  NULL: takes everything. */
size_t char_write(Char *c, const void *buf, size_t len);
/* Write all of it, queueing what is not taken (monitors).  The queue is bounded only by memory. */
void char_write_all(Char *c, const void *buf, size_t len);
void char_accept(Char *c);              /* the front end has room again */
/* Line settings and modem lines, for back ends that have them (a real serial port); ignored by others. */
typedef struct CharLine { unsigned baud, data_bits, stop_bits; char parity; } CharLine;
void char_set_line(Char *c, const CharLine *line);
void char_send_break(Char *c);
enum { CHAR_TIOCM_CTS = 1, CHAR_TIOCM_DSR = 2, CHAR_TIOCM_RI = 4, CHAR_TIOCM_CAR = 8, CHAR_TIOCM_DTR = 16,
       CHAR_TIOCM_RTS = 32 };
unsigned char_modem_get(Char *c);       /* CTS|DSR|CAR where the back end has no such lines */
void char_modem_set(Char *c, unsigned lines);

const char *char_id(const Char *c);
bool char_is_open(const Char *c);
char *char_filename(const Char *c);     /* as query-chardev prints it ("pty:/dev/pts/3", "unix:...,server=on"); caller frees */
/* Descriptors received with the last bytes (SCM_RIGHTS), or -1; the caller owns what it gets. */
int char_take_fd(Char *c);

/* ---- Making them ----
 * One kind of back end is one CharClass in one file (stdio.c, socket.c ...). */
typedef struct CharClass {
    const char *name;                   /* "socket", "stdio" ... */
    size_t size;                        /* of the struct, which begins with a Char */
    bool (*open)(Char *c, GHashTable *options, GError **error);         /* takes what it knows out of options */
    void (*close)(Char *c);
    size_t (*write)(Char *c, const uint8_t *buf, size_t len);
    void (*accept)(Char *c);
    void (*send_break)(Char *c);
    void (*set_line)(Char *c, const CharLine *line);
    unsigned (*modem_get)(Char *c);
    void (*modem_set)(Char *c, unsigned lines);
    char *(*filename)(const Char *c);   /* NULL: the kind's name */
    /* A back end with several front ends keeps them itself. */
    bool (*attach)(Char *c, const CharUser *user, void *arg, GError **error);
    void (*detach)(Char *c, void *arg);
    int (*take_fd)(Char *c);
} CharClass;

struct Char {
    const CharClass *class;
    char *id;
    const CharUser *user;
    void *user_arg;
    bool open;                          /* somebody is at the other end */
    bool waiting;                       /* a front end was told less than it had: writable() is owed */
    GByteArray *pending;                /* char_write_all's backlog */
    int logfd;                          /* logfile=, or -1 */
};

/* `-chardev KIND,id=...,key=value...` as a table of strings; unknown kinds and left-over keys are errors.  The table
 * stays the caller's.  With mux=on the result is a multiplexer of this id, over a back end "ID-base". */
Char *char_new(const char *kind, const char *id, GHashTable *options, GError **error);
/* `-serial X`, `-monitor X`, `-parallel X`: "stdio", "mon:stdio", "null", "none" (returns NULL without error), "vc",
 * "pty", "file:PATH", "pipe:PATH", "unix:PATH,server=on,wait=off", "tcp:HOST:PORT,...", "telnet:", "udp:", "chardev:ID",
 * "msmouse", "/dev/...".  `label` becomes the id. */
Char *char_new_legacy(const char *label, const char *text, GError **error);
Char *char_find(const char *id);
char *char_kinds(void);                 /* for `-chardev help`: one name a line; caller frees */
bool char_remove(const char *id, GError **error);       /* chardev-remove; refused while in use */
void char_free(Char *c);
void char_foreach(void (*fn)(void *arg, Char *c), void *arg);
void char_cleanup(void);                /* at exit: flush, restore the terminal */

/* From now on the machine may run: `wait=on` no longer blocks.  The last step before the main loop. */
void char_started(void);

/* What back ends ask of higher layers; empty members are skipped. */
typedef struct CharHooks {
    void (*monitor)(Char *c);           /* "mon:X" was given: put a human monitor on this multiplexer */
    void (*save_disks)(void);           /* Ctrl-A s */
} CharHooks;
extern CharHooks char_hooks;

/* Multiplexers.  The front end that attached last has the input; Ctrl-A c gives it to the next one. */
void char_mux_escape(unsigned char key);        /* -echr; 1 (Ctrl-A) at start */
void char_mux_focus(Char *c, void *arg);        /* give the input to the front end attached with `arg` */

/* Ring buffers: what the guest wrote and nobody has read, oldest first; what a monitor wrote goes there too, as it
 * does in QMP ringbuf-write.  False when c is of another kind. */
bool char_is_ringbuf(const Char *c);
size_t char_ringbuf_count(const Char *c);
size_t char_ringbuf_read(Char *c, uint8_t *buf, size_t len);

/* Screens for virtual consoles (kind "vc"): ui/ fills this in when the display shows such consoles; while it is NULL, what
 * is written to them is lost.  columns and rows 0: as the display likes. */
typedef struct CharVcOps {
    void *(*open)(Char *c, unsigned columns, unsigned rows);
    void (*close)(void *vc);
    void (*write)(void *vc, const uint8_t *buf, size_t len);
    void (*accept)(void *vc);           /* the front end has room again for what was typed */
} CharVcOps;
extern const CharVcOps *char_vc_ops;

/* For back ends: something came in (at most what can_receive said), opened, closed, room again. */
size_t char_can_receive(Char *c);
void char_receive(Char *c, const uint8_t *buf, size_t len);
void char_event(Char *c, CharEvent event);
void char_writable(Char *c);

#endif
