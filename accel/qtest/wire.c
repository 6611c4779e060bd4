#include "accel/qtest/wire.h"

#include <string.h>

#include "accel/accel.h"

/* ---- Out ---- */

static void flush(Wire *w)
{
    if (w->out_len) {
        w->send(w->arg, w->out, w->out_len);
        w->line_start = 0;
        w->out_len = 0;
    }
}

void wire_put(Wire *w, const char *buf, size_t len)
{
    while (len) {
        if (w->out_len == sizeof(w->out)) {
            flush(w);
        }
        size_t part = MIN(len, sizeof(w->out) - w->out_len);
        memcpy(w->out + w->out_len, buf, part);
        w->out_len += part;
        buf += part;
        len -= part;
    }
}

void wire_text(Wire *w, const char *text)
{
    wire_put(w, text, strlen(text));
}

void wire_end(Wire *w)
{
    if (w->log) { /* of a reply that filled the buffer, its last part */
        w->log(w->arg, true, w->out + w->line_start, w->out_len - w->line_start);
    }
    wire_put(w, "\n", 1);
    w->line_start = w->out_len;
    if (!w->busy) {
        flush(w);
    }
}

/* ---- The data of a write ---- */

static Space *memory(void)
{
    return cpu_count() ? cpu_at(0)->memory : space_memory();
}

static void data_store(Wire *w)
{
    size_t n = MIN(w->data.n, w->data.left);
    space_write(memory(), w->data.at, w->data.chunk, n);
    w->data.at += n;
    w->data.left -= n;
    w->data.n = 0;
}

static void data_byte(Wire *w, uint8_t byte)
{
    w->data.chunk[w->data.n++] = byte;
    if (w->data.n == WIRE_CHUNK) {
        data_store(w);
    }
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void data_digits(Wire *w, int digit, unsigned width)
{
    if (digit < 0) {
        w->data.bad = true;
        return;
    }
    w->data.bits = (w->data.bits << width | (uint32_t)digit) & 0xffffff;
    w->data.n_bits += (uint8_t)width;
    if (w->data.n_bits >= 8) {
        w->data.n_bits -= 8;
        data_byte(w, (uint8_t)(w->data.bits >> w->data.n_bits));
    }
}

void wire_data(Wire *w, const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)buf[i];
        if (w->data.ended || c == '\r') {
            continue;
        }
        if (c == ' ' || (w->data.base64 && c == '=')) { /* what follows is not ours, or padding */
            w->data.ended = true;
        } else if (w->data.base64) {
            data_digits(w, base64_digit(c), 6);
        } else if (w->data.prefix < 2) {
            w->data.bad |= (c | 0x20) != "0x"[w->data.prefix] && c != '0';
            w->data.prefix++;
        } else {
            data_digits(w, hex_digit(c), 4);
        }
    }
}

static void data_done(Wire *w)
{
    data_store(w);
    memset(w->data.chunk, 0, sizeof(w->data.chunk));
    while (w->data.left) { /* short data is filled up with zeroes */
        w->data.n = WIRE_CHUNK;
        data_store(w);
    }
    wire_text(w, w->data.bad ? "FAIL Invalid data" : "OK");
    wire_end(w);
}

/* ---- In ---- */

/* A whole request, or as much of it as fits into the line buffer. */
static void request(Wire *w, char *line, size_t len, bool whole)
{
    if (whole && len && line[len - 1] == '\r') {
        len--;
    }
    if (w->log) {
        w->log(w->arg, false, line, len);
    }
    if (len && !wire_request(w, line, len)) {
        w->state = WIRE_DATA;
    } else if (!whole) {
        w->state = WIRE_ANSWERED;
    }
}

/* The line buffer is full: either what is left is data, or the request is nonsense. */
static void long_line(Wire *w)
{
    w->len = 0;
    if (!strncmp(w->line, "write ", 6) || !strncmp(w->line, "b64write ", 9)) {
        request(w, w->line, WIRE_LINE, false);
    } else {
        w->state = WIRE_TOO_LONG;
    }
}

static void end_of_line(Wire *w)
{
    if (w->state == WIRE_DATA) {
        data_done(w);
    } else if (w->state == WIRE_TOO_LONG) {
        wire_text(w, "FAIL Request too long");
        wire_end(w);
    } else if (w->state == WIRE_REQUEST) {
        request(w, w->line, w->len, true);
        if (w->state == WIRE_DATA) {
            data_done(w);
        }
    }
    w->state = WIRE_REQUEST;
    w->len = 0;
}

void wire_feed(Wire *w, const char *buf, size_t len)
{
    w->busy = true;
    while (len) {
        const char *newline = memchr(buf, '\n', len);
        size_t part = newline ? (size_t)(newline - buf) : len;
        for (size_t done = 0; done < part;) {
            if (w->state == WIRE_DATA) {
                wire_data(w, buf + done, part - done);
                done = part;
            } else if (w->state != WIRE_REQUEST) {
                done = part;
            } else {
                size_t n = MIN(part - done, WIRE_LINE - w->len);
                memcpy(w->line + w->len, buf + done, n);
                w->len += n;
                done += n;
                if (w->len == WIRE_LINE) {
                    long_line(w);
                }
            }
        }
        if (newline) {
            end_of_line(w);
            part++;
        }
        buf += part;
        len -= part;
    }
    w->busy = false;
    flush(w);
}

void wire_init(Wire *w)
{
    w->state = WIRE_REQUEST;
    w->len = w->out_len = w->line_start = 0;
    w->intercepted = NULL;
    if (!w->max_size) {
        w->max_size = UINT64_C(1) << 31;
    }
}
