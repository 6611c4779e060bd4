/* The search for firmware files. */
#include "hw/firmware/path.h"

#include <string.h>
#include <unistd.h>

#include "config.h"

static GPtrArray *user_dirs;

void fw_add_dir(const char *dir)
{
    if (!user_dirs) {
        user_dirs = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(user_dirs, g_strdup(dir));
}

/* The user's folders, the installation's, the build's list (colon-separated).  NULL-terminated. */
static char **all_dirs(void)
{
    GPtrArray *dirs = g_ptr_array_new();
    for (unsigned i = 0; user_dirs && i < user_dirs->len; i++) {
        g_ptr_array_add(dirs, g_strdup(g_ptr_array_index(user_dirs, i)));
    }
    g_ptr_array_add(dirs, g_strdup(DATA_DIR));
    g_auto(GStrv) built_in = g_strsplit(FIRMWARE_PATH, ":", -1);
    for (char **dir = built_in; *dir; dir++) {
        if (**dir) {
            g_ptr_array_add(dirs, g_strdup(*dir));
        }
    }
    g_ptr_array_add(dirs, NULL);
    return (char **)g_ptr_array_free(dirs, FALSE);
}

char *fw_dirs_text(void)
{
    g_auto(GStrv) dirs = all_dirs();
    return g_strjoinv("\n", dirs);
}

char *fw_find_file(const char *name)
{
    if (!access(name, R_OK)) {
        return g_strdup(name);
    }
    if (strchr(name, '/')) {
        return NULL;
    }
    g_auto(GStrv) dirs = all_dirs();
    for (char **dir = dirs; *dir; dir++) {
        g_autofree char *path = g_build_filename(*dir, name, NULL);
        if (!access(path, R_OK)) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}
