#include "ui/display.h"

#include <string.h>

#include "config.h"
#include "core/error.h"
#include "ui/vc.h"

const Display display_none = {.name = "none"};

static const Display *const displays[] = {
    &display_none,
#ifdef CONFIG_CURSES
    &display_curses,
#endif
};

/* Names that other builds know: asking for one is no typing error. */
static const char *const absent[] = {"gtk",    "sdl",       "egl-headless", "vnc",
                                     "dbus",   "spice-app", "cocoa",        "default",
#ifndef CONFIG_CURSES
                                     "curses",
#endif
                                     NULL};

static const Display *chosen = &display_none;
static bool running;

static char *names(const char *separator)
{
    GString *out = g_string_new(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(displays); i++) {
        g_string_append_printf(out, "%s%s", i ? separator : "", displays[i]->name);
    }
    return g_string_free(out, FALSE);
}

char *display_help(void)
{
    g_autofree char *list = names("\n");
    return g_strdup_printf("Available display backend types:\n%s\n", list);
}

static GHashTable *parse_options(char *const *parts, GError **error)
{
    g_autoptr(GHashTable) options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (; *parts; parts++) {
        const char *eq = strchr(*parts, '=');
        if (!eq) {
            error_fail(error, "-display: '%s' is no option=value", *parts);
            return NULL;
        }
        g_hash_table_replace(options, g_strndup(*parts, (gsize)(eq - *parts)), g_strdup(eq + 1));
    }
    return g_steal_pointer(&options);
}

bool display_check(const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    const char *name = parts[0] ? parts[0] : "";
    g_autofree char *list = names(", ");
    const Display *found = NULL;
    for (unsigned i = 0; i < G_N_ELEMENTS(displays); i++) {
        found = strcmp(displays[i]->name, name) ? found : displays[i];
    }
    if (!found) {
        return error_fail(error, "Display '%s' is %s, choose one of: %s", name,
                          g_strv_contains(absent, name) ? "not available in this build" : "unknown",
                          list);
    }
    g_autoptr(GHashTable) options = parse_options(parts + 1, error);
    if (!options || (found->check && !found->check(options, error))) {
        return false;
    }
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, options);
    if (g_hash_table_iter_next(&iter, &key, NULL)) {
        return error_fail(error, "Display '%s' has no option '%s'", name, (char *)key);
    }
    chosen = found;
    vc_enable(found->text_consoles);
    return true;
}

const char *display_default(void)
{
    return display_none.name;
}

bool display_start(const char *text, GError **error)
{
    if (!display_check(text, error)) {
        return false;
    }
    running = !chosen->start || chosen->start(error);
    return running;
}

void display_stop(void)
{
    if (running && chosen->stop) {
        chosen->stop();
    }
    running = false;
}

const char *display_name(void)
{
    return chosen->name;
}
