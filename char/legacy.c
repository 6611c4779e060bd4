/* What follows -serial, -parallel, -monitor and their like: "stdio", "tcp:localhost:4444" ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "char/char.h"
#include "core/error.h"
#include "core/options.h"

/* "HOST:PORT" or "[V6]:PORT" (HOST may be empty) into options; rest is what follows the port. */
static bool host_port(GHashTable *options, const char *text, const char *host_key,
                      const char *port_key, const char *ends, const char **rest, GError **error)
{
    const char *host = text, *host_end;
    if (*text == '[') {
        host = text + 1;
        host_end = strchr(host, ']');
        if (!host_end || host_end[1] != ':') {
            return error_fail(error, "'%s' is not of the form [ADDRESS]:PORT", text);
        }
        text = host_end + 2;
    } else {
        host_end = strchr(text, ':');
        if (!host_end) {
            return error_fail(error, "'%s' is not of the form HOST:PORT", text);
        }
        text = host_end + 1;
    }
    size_t port_len = strcspn(text, ends);
    if (!port_len) {
        return error_fail(error, "'%s' names no port", host);
    }
    g_autofree char *h = g_strndup(host, (size_t)(host_end - host));
    g_autofree char *p = g_strndup(text, port_len);
    if (*h) {
        options_set(options, host_key, h);
    }
    options_set(options, port_key, p);
    *rest = text + port_len;
    return true;
}

/* The "key=value,key,nokey" behind an address, on top of what is known already. */
static bool more_options(GHashTable *options, const char *text, GError **error)
{
    if (!*text) {
        return true;
    }
    if (*text != ',') {
        return error_fail(error, "a comma is expected before '%s'", text);
    }
    g_autoptr(GHashTable) more = options_parse(text + 1, NULL, error);
    if (!more) {
        return false;
    }
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, more);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        options_set(options, key, value);
    }
    return true;
}

/* "udp:[HOST]:PORT[@[LOCAL]:LOCALPORT]" */
static bool udp_options(GHashTable *options, const char *text, GError **error)
{
    const char *rest;
    if (!host_port(options, text, "host", "port", "@,", &rest, error)) {
        return false;
    }
    if (*rest == '@' &&
        !host_port(options, rest + 1, "localaddr", "localport", ",", &rest, error)) {
        return false;
    }
    return more_options(options, rest, error);
}

static bool tcp_options(GHashTable *options, const char *text, bool telnet, GError **error)
{
    const char *rest;
    if (telnet) {
        options_set(options, "telnet", "on");
    }
    return host_port(options, text, "host", "port", ",", &rest, error) &&
           more_options(options, rest, error);
}

static bool unix_options(GHashTable *options, const char *text, GError **error)
{
    g_autoptr(GHashTable) found = options_parse(text, "path", error);
    if (!found) {
        return false;
    }
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, found);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        options_set(options, key, value);
    }
    return true;
}

static const char *behind(const char *text, const char *prefix)
{
    return g_str_has_prefix(text, prefix) ? text + strlen(prefix) : NULL;
}

/* "vc", "vc:800x600", "vc:80Cx24C" */
static bool vc_options(GHashTable *options, const char *text, GError **error)
{
    unsigned w, h;
    char end;
    if (!*text) {
        return true;
    }
    bool cells = sscanf(text, ":%uCx%uC%c", &w, &h, &end) == 2;
    if (!cells && sscanf(text, ":%ux%u%c", &w, &h, &end) != 2) {
        return error_fail(error, "'vc%s' is not of the form vc:WIDTHxHEIGHT or vc:COLUMNSCxROWSC",
                          text);
    }
    g_autofree char *width = g_strdup_printf("%u", w), *height = g_strdup_printf("%u", h);
    options_set(options, cells ? "cols" : "width", width);
    options_set(options, cells ? "rows" : "height", height);
    return true;
}

/* The kind of back end, with its options; NULL with *error. */
static const char *parse(const char *label, const char *text, GHashTable *o, GError **error)
{
    static const char *const plain[] = {"null",     "pty",     "stdio",  "msmouse",
                                        "wctablet", "braille", "testdev"};
    const char *rest;
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
        if (!strcmp(text, plain[i])) {
            return plain[i];
        }
    }
    if ((rest = behind(text, "vc")) && (!*rest || *rest == ':')) {
        return vc_options(o, rest, error) ? "vc" : NULL;
    }
    if ((rest = behind(text, "file:"))) {
        options_set(o, "path", rest);
        return "file";
    }
    if ((rest = behind(text, "pipe:"))) {
        options_set(o, "path", rest);
        return "pipe";
    }
    if ((rest = behind(text, "unix:"))) {
        return unix_options(o, rest, error) ? "socket" : NULL;
    }
    if ((rest = behind(text, "tcp:"))) {
        return tcp_options(o, rest, false, error) ? "socket" : NULL;
    }
    if ((rest = behind(text, "telnet:"))) {
        return tcp_options(o, rest, true, error) ? "socket" : NULL;
    }
    if ((rest = behind(text, "udp:"))) {
        return udp_options(o, rest, error) ? "udp" : NULL;
    }
    if (g_str_has_prefix(text, "/dev/")) {
        options_set(o, "path", text);
        return g_str_has_prefix(text, "/dev/parport") || g_str_has_prefix(label, "parallel")
                   ? "parallel"
                   : "serial";
    }
    error_fail(
        error,
        "'%s' is not a character device; accepted are none, null, stdio, pty, vc, file:PATH, "
        "pipe:PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, udp:HOST:PORT, chardev:ID, "
        "/dev/..., "
        "and mon: before one of them",
        text);
    return NULL;
}

Char *char_new_legacy(const char *label, const char *text, GError **error)
{
    if (!strcmp(text, "none")) {
        return NULL;
    }
    const char *id = behind(text, "chardev:");
    if (id) {
        Char *c = char_find(id);
        if (!c) {
            error_fail(error, "chardev \"%s\" not found", id);
        }
        return c;
    }
    g_autoptr(GHashTable) options = options_new();
    const char *monitored = behind(text, "mon:");
    if (monitored) {
        text = monitored;
        options_set(options, "mux", "on");
        if (!strcmp(text, "stdio")) { /* Ctrl-C is for the guest */
            options_set(options, "signal", "off");
        }
    }
    const char *kind = parse(label, text, options, error);
    Char *c = kind ? char_new(kind, label, options, error) : NULL;
    if (c && monitored && char_hooks.monitor) {
        char_hooks.monitor(c);
    }
    return c;
}
