/* Framing of the remote serial protocol. */
#include <string.h>

#include "gdbstub/packet.h"
#include "tests/unit/suite.h"

static GdbWire wire;

static void setup(void)
{
    gdb_wire_reset(&wire);
}

/* Everything that comes of these bytes, in pieces of `piece`, as letters: P packet, L too long, D damaged, + - I. */
static char *feed(const void *bytes, size_t len, size_t piece)
{
    static const char letters[] = {[GDB_PACKET] = 'P', [GDB_TOO_LONG] = 'L', [GDB_DAMAGED] = 'D', [GDB_ACK] = '+',
                                   [GDB_NAK] = '-',    [GDB_INTERRUPT] = 'I'};
    GString *seen = g_string_new(NULL);
    const uint8_t *p = bytes;
    while (len) {
        size_t part = MIN(len, piece);
        for (size_t at = 0; at < part;) {
            GdbInput what;
            size_t n = gdb_wire_feed(&wire, p + at, part - at, &what);
            ck_assert_uint_gt(n, 0);
            at += n;
            if (what != GDB_NOTHING) {
                g_string_append_c(seen, letters[what]);
            }
        }
        p += part;
        len -= part;
    }
    return g_string_free(seen, FALSE);
}

#define FEED(bytes, piece) feed(bytes, sizeof(bytes) - 1, piece)
#define EXPECT(bytes, letters)                                                                     \
    do {                                                                                           \
        for (size_t piece_ = 1; piece_ <= sizeof(bytes); piece_++) {                               \
            gdb_wire_reset(&wire);                                                                 \
            g_autofree char *seen_ = FEED(bytes, piece_);                                          \
            ck_assert_str_eq(seen_, letters);                                                      \
        }                                                                                          \
    } while (0)

START_TEST(good_packets)
{
    EXPECT("$g#67", "P");
    EXPECT("+$g#67", "+P");
    EXPECT("$g#67$?#3f-\003", "PP-I");
    EXPECT("$#00", "P");
    EXPECT("$OK#9A", "P"); /* upper case digits too */
    EXPECT("noise$g#67noise", "P");
    ck_assert_uint_eq(wire.len, 1);
    ck_assert_str_eq(wire.data, "g");
}
END_TEST

START_TEST(damaged_packets)
{
    EXPECT("$g#68", "D");
    EXPECT("$g#6x", "D");
    EXPECT("$g#x7", "D");
    EXPECT("$g#  ", "D");
    EXPECT("$m0,$g#67", "P"); /* the end of the first is lost */
    EXPECT("$X\003#5b", "P"); /* no interrupt within a packet */
    EXPECT("$g#6", "");
}
END_TEST

START_TEST(no_ack_mode_trusts_the_line)
{
    wire.no_ack = true;
    g_autofree char *seen = FEED("$g#00$g#xx", 3);
    ck_assert_str_eq(seen, "PP");
}
END_TEST

START_TEST(escapes)
{
    g_autofree char *seen = FEED("$X}\x03}\x04}]}\x0a#ba", 2);
    ck_assert_str_eq(seen, "P");
    ck_assert_uint_eq(wire.len, 5);
    ck_assert_mem_eq(wire.data, "X#$}*", 5);
}
END_TEST

START_TEST(long_packets)
{
    for (int over = -1; over <= 2; over++) {
        size_t len = (size_t)(GDB_PACKET_MAX + over);
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        g_autofree char *body = g_malloc(len);
        uint8_t sum = 0;
        for (size_t i = 0; i < len; i++) {
            body[i] = (char)('a' + i % 7);
            sum += (uint8_t)body[i];
        }
        g_byte_array_append(bytes, (const uint8_t *)"$", 1);
        g_byte_array_append(bytes, (const uint8_t *)body, (guint)len);
        g_autofree char *tail = g_strdup_printf("#%02x+", sum);
        g_byte_array_append(bytes, (const uint8_t *)tail, 4);
        g_autofree char *seen = feed(bytes->data, bytes->len, 4096);
        ck_assert_str_eq(seen, over > 0 ? "L+" : "P+");
    }
}
END_TEST

/* What gdb_frame makes, by the other side's rules: escapes and runs resolved. */
static GByteArray *unframe(const GByteArray *framed)
{
    GByteArray *out = g_byte_array_new();
    uint8_t sum = 0;
    ck_assert_uint_ge(framed->len, 4);
    ck_assert_int_eq(framed->data[0], '$');
    ck_assert_int_eq(framed->data[framed->len - 3], '#');
    for (guint i = 1; i < framed->len - 3; i++) {
        uint8_t c = framed->data[i];
        sum += c;
        ck_assert(c != '#' && c != '$');
        if (c == '}') {
            c = framed->data[++i];
            sum += c;
            c ^= 0x20;
            g_byte_array_append(out, &c, 1);
        } else if (c == '*') {
            c = framed->data[++i];
            sum += c;
            ck_assert(c >= 29 + 3 && c <= 126 && !strchr("#$+-", c));
            ck_assert_uint_gt(out->len, 0);
            uint8_t again = out->data[out->len - 1];
            for (unsigned n = c - 29u; n; n--) {
                g_byte_array_append(out, &again, 1);
            }
        } else {
            g_byte_array_append(out, &c, 1);
        }
    }
    char digits[3] = {(char)framed->data[framed->len - 2], (char)framed->data[framed->len - 1]};
    ck_assert_uint_eq(strtoul(digits, NULL, 16), sum);
    return out;
}

START_TEST(frames)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    gdb_frame(out, "OK", 2);
    ck_assert_uint_eq(out->len, 6);
    ck_assert_mem_eq(out->data, "$OK#9a", 6);
}
END_TEST

START_TEST(runs_of_every_length)
{
    for (size_t len = 0; len < 400; len++) {
        g_autofree char *body = g_malloc(len + 2);
        memset(body, '0', len);
        body[len] = 'x';
        g_autoptr(GByteArray) framed = g_byte_array_new();
        gdb_frame(framed, body, len + 1);
        g_autoptr(GByteArray) back = unframe(framed);
        ck_assert_uint_eq(back->len, len + 1);
        ck_assert_mem_eq(back->data, body, len + 1);
        ck_assert(len < 8 || framed->len < len + 5);
    }
}
END_TEST

START_TEST(every_byte_comes_through)
{
    GRand *r = g_rand_new_with_seed(3);
    for (unsigned n = 0; n < 2000; n++) {
        uint8_t body[64];
        size_t len = (size_t)g_rand_int_range(r, 0, sizeof(body));
        for (size_t i = 0; i < len; i++) {
            body[i] = g_rand_boolean(r) && i ? body[i - 1] : (uint8_t)g_rand_int(r);
        }
        g_autoptr(GByteArray) framed = g_byte_array_new();
        gdb_frame(framed, body, len);
        g_autoptr(GByteArray) back = unframe(framed);
        ck_assert_uint_eq(back->len, len);
        ck_assert(!len || !memcmp(back->data, body, len));
    }
    g_rand_free(r);
}
END_TEST

START_TEST(numbers)
{
    const char *p = "1fG";
    uint64_t v;
    ck_assert(gdb_hex_number(&p, &v));
    ck_assert_uint_eq(v, 0x1f);
    ck_assert_str_eq(p, "G");
    ck_assert(!gdb_hex_number(&p, &v));
    p = "ffffffffffffffff,";
    ck_assert(gdb_hex_number(&p, &v));
    ck_assert(v == UINT64_MAX);
    p = "10000000000000000";
    ck_assert(!gdb_hex_number(&p, &v));
    uint8_t bytes[4];
    p = "0102f";
    ck_assert_uint_eq(gdb_hex_bytes(&p, bytes, sizeof(bytes)), 2);
    ck_assert_str_eq(p, "f");
    p = "0102030405";
    ck_assert_uint_eq(gdb_hex_bytes(&p, bytes, sizeof(bytes)), 4);
}
END_TEST

SUITE_MAIN("gdb-packet", setup, NULL, good_packets, damaged_packets, no_ack_mode_trusts_the_line, escapes, long_packets, frames,
           runs_of_every_length, every_byte_comes_through, numbers)
