/* Between the files of the gdb stub.  Main loop's thread, main lock held, for all of it. */
#ifndef GDBSTUB_STUB_H
#define GDBSTUB_STUB_H

#include "accel/debug.h"
#include "char/char.h"
#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"

enum { GDB_CPUS = CPU_MOST, GDB_MEMORY_MAX = GDB_PACKET_MAX / 2 };

/* What a CPU does while the machine runs for the client. */
typedef struct GdbAction {
    enum { GDB_HOLD, GDB_GO, GDB_STEP, GDB_RANGE } what;
    uint64_t from, to; /* GDB_RANGE: step on while RIP is in from <= RIP < to */
} GdbAction;

typedef struct GdbPoint {
    DebugKind kind;
    uint64_t at;
    unsigned len;
} GdbPoint;

typedef struct Stub {
    Char *chr;
    bool own_chr; /* made from the device's text, to be freed with the server */
    bool open;    /* a client is there */
    bool busy;    /* in a command: the server cannot be replaced */
    GdbWire wire;
    GByteArray *out;  /* framed, not yet taken by chr */
    GByteArray *last; /* the last reply as framed, for a NAK */
    /* What the client has told. */
    bool no_ack, extended, multiprocess, swbreak, hwbreak;
    bool physical;       /* Qqemu.PhyMemMode              */
    unsigned step_flags; /* Qqemu.sstep: DEBUG_STEP_*; they outlive the client */
    /* Where it looks. */
    unsigned look, go;     /* CPU of Hg, and of Hc for the old step packets */
    unsigned stopped_cpu;  /* the one reported last */
    unsigned list_at;      /* qsThreadInfo */
    GArray *points;        /* of GdbPoint */
    /* The machine runs because the client said so, and it waits for a stop reply.  A machine that runs for another reason (the
     * monitor's `cont`, the start of the program) is stopped by the next packet. */
    bool resumed;
    unsigned over; /* this CPU (+ 1) is being stepped off a breakpoint, see resume.c; 0: none */
    uint64_t over_at;
    GdbAction action[GDB_CPUS];
} Stub;

/* ---- server.c ---- */
Stub *gdb_stub_new(Char *chr); /* chr may be NULL: for tests, which then call the three below */
void gdb_stub_free(Stub *s);
void gdb_client_came(Stub *s);
void gdb_client_left(Stub *s);
void gdb_client_says(Stub *s, const uint8_t *buf, size_t len);

void gdb_reply_bytes(Stub *s, const void *body, size_t len);
void gdb_reply(Stub *s, const char *text);
void gdb_reply_ok(Stub *s);
/* "E" and a number; gdb shows it as it is, so it is an errno: 14 for memory, 22 for the rest (§E.1.2 leaves it open). */
enum { GDB_EFAULT = 0x14, GDB_EINVAL = 0x22 };
void gdb_reply_error(Stub *s, unsigned code);
/* Text on the client's console; only while it waits for qRcmd's or a resume packet's reply. */
void gdb_console(Stub *s, const char *text, size_t len);

/* ---- commands.c ---- */
void gdb_command(Stub *s, const char *packet, size_t len);
/* Thread ids (§E.2 "thread-id syntax").  Process 1 is the machine, CPU n is thread n + 1. */
typedef enum GdbThreads { GDB_THREAD_BAD, GDB_THREAD_ANY, GDB_THREAD_ALL, GDB_THREAD_ONE } GdbThreads;
GdbThreads gdb_thread_parse(const char **p, unsigned *cpu);
void gdb_thread_append(const Stub *s, GString *out, unsigned cpu);

typedef void GdbHandler(Stub *s, const char *args, size_t len); /* args: what follows the name and its separator */
typedef struct GdbCommand {
    const char *name;
    char separator; /* behind the name: this or the end; 0: nothing more; ' ': anything */
    GdbHandler *run;
} GdbCommand;
extern const GdbCommand gdb_commands[], gdb_queries[]; /* name NULL ends */

/* ---- registers.c, target-xml.c ---- */
typedef enum GdbFeature { GDB_CORE, GDB_SSE, GDB_AVX, GDB_SYSTEM, GDB_FEATURES } GdbFeature;
typedef struct GdbRegister {
    const char *name;
    uint8_t bytes;   /* on the wire                                       */
    uint8_t size;    /* in CpuState; more on the wire reads 0             */
    uint16_t offset; /* in CpuState                                       */
    uint8_t feature;
    uint8_t pointer;  /* 1: to data, 2: to code                           */
    const char *bits; /* its flags are those of this row in cpu_state_rows */
    const char *type; /* NULL: by the members above                       */
    uint64_t arg;
    bool (*set)(Cpu *c, const struct GdbRegister *r, const uint8_t *bytes); /* false: not acceptable */
} GdbRegister;
/* The registers that this machine's CPU model has, in the order of their numbers; the first gdb_register_whole() make up `g`. */
const GdbRegister *gdb_register(unsigned number); /* NULL: no such */
unsigned gdb_register_count(void);
unsigned gdb_register_whole(void);
bool gdb_long(void); /* the model has long mode */
/* What a register's type is in this description. */
const char *gdb_register_type(const GdbRegister *r);
void gdb_register_read(const CpuState *s, const GdbRegister *r, uint8_t *bytes);
/* Fewer bytes than the register has stand for a value with zeros above. */
bool gdb_register_write(Cpu *c, const GdbRegister *r, const uint8_t *bytes, size_t len);
GdbHandler gdb_cmd_g, gdb_cmd_G, gdb_cmd_p, gdb_cmd_P;
const char *gdb_target_xml(void);

/* ---- memory.c ---- */
GdbHandler gdb_cmd_m, gdb_cmd_M, gdb_cmd_x, gdb_cmd_X, gdb_query_search;

/* ---- breakpoints.c ---- */
GdbHandler gdb_cmd_Z, gdb_cmd_z;
void gdb_points_clear(Stub *s);
bool gdb_point_at(const Stub *s, uint64_t at); /* any breakpoint there */
/* Takes the breakpoints there out, or puts them back; the list keeps them. */
void gdb_points_lift(Stub *s, uint64_t at, bool out);

/* ---- resume.c ---- */
GdbHandler gdb_cmd_c, gdb_cmd_C, gdb_cmd_s, gdb_cmd_S, gdb_cmd_vCont, gdb_cmd_vCont_query, gdb_cmd_why;
void gdb_interrupt(Stub *s);
/* The machine has stopped while the client waits: say so, or step on. */
void gdb_report(Stub *s);
/* Steps and holds of the last resumption no longer count. */
void gdb_release_cpus(void);

#endif
