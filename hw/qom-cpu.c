/* CPUs as objects: where they sit, and what CPUID says. */
#include <json-c/json.h>
#include <string.h>

#include "cpu/model.h"
#include "hw/machine.h"
#include "hw/qom.h"

typedef json_object *CpuGet(const Cpu *c);

/* ---- Place ---- */

static TopologyPlace place(const Cpu *c)
{
    return topology_place(&machine.topology, c->index);
}

static json_object *apic_id(const Cpu *c)
{
    return json_object_new_int64(c->apic_id);
}
static json_object *thread_id(const Cpu *c)
{
    return json_object_new_int64(place(c).thread);
}
static json_object *core_id(const Cpu *c)
{
    return json_object_new_int64(place(c).core);
}
static json_object *die_id(const Cpu *c)
{
    return json_object_new_int64(place(c).die);
}
static json_object *socket_id(const Cpu *c)
{
    return json_object_new_int64(place(c).socket);
}
static json_object *no_bus(const Cpu *c)
{
    return json_object_new_string("");
}
static json_object *yes(const Cpu *c)
{
    return json_object_new_boolean(true);
}
static json_object *hotplugged(const Cpu *c)
{
    return json_object_new_boolean(((const Device *)c->device)->hotplugged);
}

/* ---- Model ---- */

static json_object *family(const Cpu *c)
{
    return json_object_new_int64(c->model->family);
}
static json_object *model(const Cpu *c)
{
    return json_object_new_int64(c->model->model);
}
static json_object *stepping(const Cpu *c)
{
    return json_object_new_int64(c->model->stepping);
}
static json_object *level(const Cpu *c)
{
    return json_object_new_int64(c->model->level);
}
static json_object *xlevel(const Cpu *c)
{
    return json_object_new_int64(c->model->xlevel);
}
static json_object *xlevel2(const Cpu *c)
{
    return json_object_new_int64(c->model->xlevel2);
}
static json_object *phys_bits(const Cpu *c)
{
    return json_object_new_int64(c->model->phys_bits);
}
static json_object *tsc_frequency(const Cpu *c)
{
    return json_object_new_int64(c->model->tsc_frequency);
}
static json_object *vendor(const Cpu *c)
{
    return json_object_new_string(c->model->vendor);
}
static json_object *model_id(const Cpu *c)
{
    return json_object_new_string(c->model->model_id);
}

/* X86CPUFeatureWordInfo list. */
static json_object *words_json(const uint32_t words[FEATURE_WORDS])
{
    static const char *const registers[] = {"EAX", "EBX", "ECX", "EDX"};
    json_object *list = json_object_new_array();
    for (FeatureWord w = WORD_NONE + 1; w < FEATURE_WORDS; w++) {
        FeatureRegister r;
        if (!feature_register(w, &r)) {
            continue;
        }
        json_object *o = json_object_new_object();
        json_object_object_add(o, "cpuid-input-eax", json_object_new_int64(r.leaf));
        if (r.has_subleaf) {
            json_object_object_add(o, "cpuid-input-ecx", json_object_new_int64(r.subleaf));
        }
        json_object_object_add(o, "cpuid-register", json_object_new_string(registers[r.reg]));
        json_object_object_add(o, "features", json_object_new_int64(words[w]));
        json_object_array_add(list, o);
    }
    return list;
}

static json_object *present(const Cpu *c)
{
    return words_json(c->model->words);
}
static json_object *filtered(const Cpu *c)
{
    return words_json(c->model->filtered);
}

/* ---- The table ---- */

static const struct {
    const char *name, *type;
    CpuGet *get;
} properties[] = {
    {"parent_bus", "link<bus>", no_bus},
    {"realized", "bool", yes},
    {"hotplugged", "bool", hotplugged},
    {"hotpluggable", "bool", yes},
    {"apic-id", "uint32", apic_id},
    {"thread-id", "int32", thread_id},
    {"core-id", "int32", core_id},
    {"die-id", "int32", die_id},
    {"socket-id", "int32", socket_id},
    {"family", "int", family},
    {"model", "int", model},
    {"stepping", "int", stepping},
    {"level", "uint32", level},
    {"xlevel", "uint32", xlevel},
    {"xlevel2", "uint32", xlevel2},
    {"phys-bits", "uint32", phys_bits},
    {"tsc-frequency", "int", tsc_frequency},
    {"vendor", "string", vendor},
    {"model-id", "string", model_id},
    {"feature-words", "X86CPUFeatureWordInfo", present},
    {"filtered-features", "X86CPUFeatureWordInfo", filtered},
};

void qom_cpu_properties(QomPropertyFn *fn, void *arg)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(properties); i++) {
        fn(arg, &(QomProperty){.name = properties[i].name, .type = properties[i].type});
    }
    for (unsigned f = FEATURE(WORD_NONE + 1, 0); f < FEATURE(FEATURE_WORDS, 0); f++) {
        const char *name = feature_name(f / 32, f % 32);
        if (name && feature_find(name) == f) { /* two bits of KVM's go by one name */
            fn(arg, &(QomProperty){.name = name, .type = "bool"});
        }
    }
}

json_object *qom_cpu_get(const Cpu *c, const char *property)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(properties); i++) {
        if (!strcmp(properties[i].name, property)) {
            return properties[i].get(c);
        }
    }
    unsigned feature = feature_find(property);
    return feature ? json_object_new_boolean(model_has(c->model, feature)) : NULL;
}
