#include "qapi/output.h"

bool monitors_started;

void output_init(Output *o, Char *chr)
{
    o->chr = chr;
    o->queue = g_byte_array_new();
    o->done = 0;
}

void output_clear(Output *o)
{
    g_byte_array_set_size(o->queue, 0);
    o->done = 0;
}

void output_free(Output *o)
{
    g_byte_array_unref(o->queue);
}

void output_flush(Output *o)
{
    while (o->done < o->queue->len) {
        size_t left = o->queue->len - o->done;
        size_t n = char_write(o->chr, o->queue->data + o->done, left);
        o->done += n;
        if (n < left) { /* writable() comes */
            if (o->done > OUTPUT_HIGH) {
                g_byte_array_remove_range(o->queue, 0, (guint)o->done);
                o->done = 0;
            }
            return;
        }
    }
    output_clear(o);
}

void output_finish(Output *o)
{
    output_flush(o);
    char_write_all(o->chr, o->queue->data + o->done, o->queue->len - o->done);
    output_clear(o);
}

void output_write(Output *o, const char *text, size_t len)
{
    g_byte_array_append(o->queue, (const guint8 *)text, (guint)len);
    output_flush(o);
}
