/* Lists of models and features: -cpu help, query-cpu-definitions. */
#include <string.h>

#include "cpu/model-tables.h"

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void help_models(GString *out)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    for (unsigned t = 0; model_tables[t]; t++) {
        for (const ModelRow *r = model_tables[t]; r->name; r++) {
            const char *id = r->id ? r->id : "";
            g_autofree char *v1 = g_strdup_printf("%s-v1", r->name);
            g_ptr_array_add(lines, g_strdup_printf("x86 %-20s  (alias of %s)", r->name, v1));
            g_ptr_array_add(lines, g_strdup_printf("x86 %-20s  %s", v1, id));
            for (const ModelVersion *v = model_versions; v->name; v++) {
                if (strcmp(v->name, r->name) != 0) {
                    continue;
                }
                g_autofree char *name = g_strdup_printf("%s-v%u", v->name, v->version);
                id = v->id ? v->id : id;
                if (v->alias) {
                    g_ptr_array_add(lines,
                                    g_strdup_printf("x86 %-20s  (alias of %s)", v->alias, name));
                }
                g_ptr_array_add(lines, g_strdup_printf("x86 %-20s  %s%s%s%s", name, id,
                                                       v->note ? " [" : "", v->note ? v->note : "",
                                                       v->note ? "]" : ""));
            }
        }
    }
    g_ptr_array_sort(lines, by_name);
    g_string_append(out, "Available CPUs:\n");
    for (guint i = 0; i < lines->len; i++) {
        g_string_append_printf(out, "%s\n", (const char *)lines->pdata[i]);
    }
    g_string_append_printf(out, "x86 %-20s  base CPU model type with no features enabled\n",
                           "base");
    g_string_append_printf(out, "x86 %-20s  processor with all supported host features \n", "host");
    g_string_append_printf(
        out, "x86 %-20s  Enables all features supported by the accelerator in the current host\n",
        "max");
}

char *model_help(void)
{
    GString *out = g_string_new(NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    help_models(out);
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        for (unsigned b = 0; b < 32 && !feature_words[w].synthetic; b++) {
            if (feature_name(w, b) && !(w == WORD_KVM && b == 3)) {
                g_ptr_array_add(names, (gpointer)feature_name(w, b));
            }
        }
    }
    g_ptr_array_sort(names, by_name);
    g_string_append(out, "\nRecognized CPUID flags:");
    size_t column = 80;
    for (guint i = 0; i < names->len; i++) {
        const char *n = names->pdata[i];
        if (column + 1 + strlen(n) > 75) {
            g_string_append(out, "\n ");
            column = 1;
        }
        g_string_append_printf(out, " %s", n);
        column += 1 + strlen(n);
    }
    g_string_append_c(out, '\n');
    return g_string_free(out, false);
}

static void info_free(gpointer p)
{
    ModelInfo *i = p;
    g_free(i->type_name);
    g_strfreev(i->unavailable);
    g_free(i);
}

static void silence(const char *text) {}

static char **unavailable(const char *name, const ModelEnv *env)
{
    ModelEnv quiet = *env;
    quiet.warn = silence;
    CpuModel *m = model_new(name, &quiet, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    if (!m) { /* only "host" without KVM */
        g_ptr_array_add(names, g_strdup("kvm"));
    }
    for (FeatureWord w = WORD_NONE + 1; m && w < FEATURE_WORDS; w++) {
        for (unsigned b = 0; b < 32; b++) {
            if (m->filtered[w] >> b & 1 && feature_name(w, b)) {
                g_ptr_array_add(names, g_strdup(feature_name(w, b)));
            }
        }
    }
    model_free(m);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

static void add(GPtrArray *list, const ModelEnv *env, const char *name, const char *alias_of,
                bool deprecated)
{
    ModelInfo *i = g_new0(ModelInfo, 1);
    bool moving = !strcmp(name, "host") || !strcmp(name, "max");
    i->name = g_intern_string(name);
    i->alias_of = alias_of ? g_intern_string(alias_of) : NULL;
    i->type_name = g_strdup_printf("%s-x86_64-cpu", name);
    i->migration_safe = !moving;
    i->is_static = !strcmp(name, "base");
    i->deprecated = deprecated;
    i->unavailable = env ? unavailable(name, env) : NULL;
    g_ptr_array_add(list, i);
}

GPtrArray *model_list(const ModelEnv *env)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(info_free);
    add(list, env, "max", NULL, false);
    add(list, env, "host", NULL, false);
    add(list, env, "base", NULL, false);
    for (unsigned t = 0; model_tables[t]; t++) {
        for (const ModelRow *r = model_tables[t]; r->name; r++) {
            g_autofree char *v1 = g_strdup_printf("%s-v1", r->name);
            add(list, env, v1, NULL, r->deprecated);
            add(list, env, r->name, v1, r->deprecated);
            for (const ModelVersion *v = model_versions; v->name; v++) {
                if (!strcmp(v->name, r->name)) {
                    g_autofree char *name = g_strdup_printf("%s-v%u", v->name, v->version);
                    add(list, env, name, NULL, r->deprecated);
                    if (v->alias) {
                        add(list, env, v->alias, name, r->deprecated);
                    }
                }
            }
        }
    }
    return list;
}
