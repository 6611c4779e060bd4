#!/usr/bin/env python3
"""Turn the schema into C: structs, descriptor tables, event functions and prototypes of handlers.

    gen.py OUTPUT-DIRECTORY SCHEMA.json...
    gen.py MANUAL.md SCHEMA.json...             the reference of commands, events and types

The schema files are JSON with single-quoted strings and comment lines that begin with '#'.  The comment in front of a
definition documents it; "@name: text" lines there document its members.  Definitions:

    { 'enum': 'Name', 'data': [ 'value', ... ] }
    { 'struct': 'Name', 'base': 'Other', 'data': { 'member': 'type', '*optional': ['element-type'] }, 'rest': true }
    { 'union': 'Name', 'base': { members }, 'discriminator': 'member', 'data': { 'value': 'Struct', ... } }
    { 'alternate': 'Name', 'data': { 'branch': 'type', ... } }
    { 'command': 'name', 'data': { members } or 'Struct', 'returns': type, 'allow-oob': true, 'allow-preconfig': true,
      'rest': true }
    { 'event': 'NAME', 'data': { members } or 'Struct', 'rate-ms': 1000, 'rate-key': 'member' }

'rest' lets an object take members that the schema does not know: they arrive in a json_object.  The C side is described
in core/schema.h.
"""
import ast
import os
import re
import sys

BUILTINS = {  # schema name: (C type, suffix of the list type)
    "str": ("char *", "Str"), "bool": ("bool ", "Bool"), "int": ("int64_t ", "Int"), "number": ("double ", "Number"),
    "int8": ("int8_t ", "Int8"), "int16": ("int16_t ", "Int16"), "int32": ("int32_t ", "Int32"),
    "int64": ("int64_t ", "Int64"), "uint8": ("uint8_t ", "Uint8"), "uint16": ("uint16_t ", "Uint16"),
    "uint32": ("uint32_t ", "Uint32"), "uint64": ("uint64_t ", "Uint64"), "size": ("uint64_t ", "Size"),
    "null": ("bool ", "Null"), "any": ("struct json_object *", "Any"),
}
RESERVED = {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
            "float", "for", "goto", "if", "inline", "int", "long", "register", "return", "short", "signed", "sizeof",
            "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool", "unix",
            "linux"}
KEYS = {
    "enum": {"data"}, "struct": {"data", "base", "rest"}, "union": {"data", "base", "discriminator"},
    "alternate": {"data"}, "command": {"data", "returns", "allow-oob", "allow-preconfig", "rest"},
    "event": {"data", "rate-ms", "rate-key"},
}


class SchemaError(Exception):
    """The schema says something that it cannot mean."""


def c_name(name):
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return "q_" + name if name in RESERVED or name[0].isdigit() else name


def camel(name):
    return "".join(part[0].upper() + part[1:].lower() for part in re.split(r"[-_]", name) if part)


def upper(name):
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9_]", "_", name).upper()


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else "NULL"


class Member:
    def __init__(self, key, kind, doc):
        self.optional = key.startswith("*")
        self.name = key.lstrip("*")
        self.c = c_name(self.name)
        self.kind = kind
        self.doc = doc.get(self.name, "")


class Schema:
    def __init__(self, paths):
        self.types, self.commands, self.events, self.lists = {}, [], [], {}
        for path in paths:
            for where, text, comment in split(path):
                try:
                    self.define(ast.literal_eval(text), comment)
                except (SchemaError, SyntaxError, ValueError, KeyError) as error:
                    sys.exit(f"{where}: {error}")
        try:
            self.resolve()
        except SchemaError as error:
            sys.exit(f"schema: {error}")

    def define(self, expr, comment):
        meta = next(iter(expr))
        if meta not in KEYS:
            raise SchemaError(f"unknown definition '{meta}'")
        name = expr.pop(meta)
        unknown = set(expr) - KEYS[meta]
        if unknown:
            raise SchemaError(f"{meta} '{name}' has unknown keys {sorted(unknown)}")
        text, docs = document(comment)
        definition = {"meta": meta, "name": name, "doc": text, "docs": docs, **expr}
        if meta == "command":
            self.commands.append(definition)
        elif meta == "event":
            self.events.append(definition)
        elif name in self.types or name in BUILTINS:
            raise SchemaError(f"type '{name}' is defined twice")
        else:
            self.types[name] = definition

    def members(self, data, docs):
        return [Member(key, kind, docs) for key, kind in data.items()]

    def resolve(self):
        for definition in list(self.types.values()):
            if definition["meta"] == "enum":
                continue
            own = self.members(definition["data"], definition["docs"])
            if definition["meta"] == "union":
                definition["variants"] = definition["data"]
                own = []
            definition["members"] = self.base_members(definition) + own
        for definition in self.commands + self.events:
            data = definition.get("data")
            suffix = "Args" if definition["meta"] == "command" else "Event"
            if isinstance(data, dict):
                name = camel(definition["name"]) + suffix
                self.types[name] = {"meta": "struct", "name": name, "doc": "", "docs": {}, "implicit": True,
                                    "members": self.members(data, definition["docs"]),
                                    "rest": definition.get("rest", False)}
                definition["data"] = name
            elif data is not None and data not in self.types:
                raise SchemaError(f"{definition['name']}: no type '{data}'")
        for definition in self.types.values():
            for member in definition.get("members", []):
                self.check(member.kind, definition["name"])
            for kind in definition.get("variants", {}).values():
                self.check(kind, definition["name"])
        for definition in self.commands:
            if "returns" in definition:
                self.check(definition["returns"], definition["name"])

    def base_members(self, definition):
        base = definition.get("base")
        if base is None:
            return []
        if isinstance(base, dict):
            return self.members(base, definition["docs"])
        other = self.types[base]
        return self.base_members(other) + self.members(other["data"], other["docs"])

    def check(self, kind, where):
        if isinstance(kind, list):
            if len(kind) != 1 or isinstance(kind[0], list):
                raise SchemaError(f"{where}: a list has one element type")
            self.lists[kind[0]] = True
            kind = kind[0]
        if kind not in BUILTINS and kind not in self.types:
            raise SchemaError(f"{where}: no type '{kind}'")

    # ---- C spelling ----

    def type_name(self, name):
        return name if self.types[name].get("implicit") else "Q" + name

    def list_name(self, element):
        return "Q" + (BUILTINS[element][1] if element in BUILTINS else element) + "List"

    def c_type(self, kind):
        if isinstance(kind, list):
            return self.list_name(kind[0]) + " "
        return BUILTINS[kind][0] if kind in BUILTINS else self.type_name(kind) + " "

    def descriptor(self, kind):
        if isinstance(kind, list):
            return f"qtype_list_{c_name(kind[0])}"
        return f"qtype_{kind}"

    def is_struct(self, kind):
        return isinstance(kind, str) and kind in self.types and self.types[kind]["meta"] != "enum"

    def by_pointer(self, member):
        """An absent value is a NULL pointer."""
        return member.kind == "str" or (member.optional and self.is_struct(member.kind))

    def has_flag(self, member):
        return member.optional and not self.by_pointer(member)

    def ordered(self):
        """Structs after those that they embed."""
        done, order = set(), []

        def visit(name):
            if name in done:
                return
            done.add(name)
            definition = self.types[name]
            kinds = [m.kind for m in definition["members"] if not m.optional]
            for kind in kinds + list(definition.get("variants", {}).values()):
                if self.is_struct(kind):
                    visit(kind)
            order.append(definition)

        for name, definition in self.types.items():
            if definition["meta"] != "enum":
                visit(name)
        return order


def split(path):
    """Yield (place, expression, comment lines) of a schema file."""
    comment, text, start = [], "", 0
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if line.startswith("#"):
                if text:
                    sys.exit(f"{path}:{number}: comment within a definition")
                comment.append(line[1:].strip())
            elif not line.strip() and not text:
                comment = []
            else:
                start = start or number
                text += re.sub(r"\btrue\b(?=\s*[,}])", "True", line)
                if text.count("{") == text.count("}"):
                    yield f"{path}:{start}", text, comment
                    comment, text, start = [], "", 0
    if text:
        sys.exit(f"{path}:{start}: unbalanced definition")


def document(comment):
    """The text and the documentation of members."""
    text, docs, current = [], {}, None
    for line in comment:
        match = re.match(r"@([\w-]+):\s*(.*)", line)
        if match:
            current = match[1]
            docs[current] = match[2]
        elif current:
            docs[current] += " " + line
        else:
            text.append(line)
    return " ".join(text).strip(), docs


def emit_struct(schema, definition, out):
    name = schema.type_name(definition["name"])
    out.append(f"struct {name} {{")
    if definition["meta"] == "alternate":
        kinds = ", ".join(f"{upper(name)}_{upper(m.name)}" for m in definition["members"])
        out.append(f"    enum {{ {kinds} }} kind;")
        out.append("    union {")
        for member in definition["members"]:
            out.append(f"        {schema.c_type(member.kind)}{member.c};")
        out += ["    };", "};", ""]
        return
    for member in definition["members"]:
        if schema.has_flag(member):
            out.append(f"    bool has_{member.c};")
        star = "*" if member.optional and schema.is_struct(member.kind) else ""
        out.append(f"    {schema.c_type(member.kind)}{star}{member.c};")
    if definition.get("rest"):
        out.append("    struct json_object *rest;")
    if definition.get("variants"):
        out.append("    union {")
        for value, kind in definition["variants"].items():
            out.append(f"        {schema.c_type(kind)}{c_name(value)};")
        out.append("    } u;")
    if not definition["members"] and not definition.get("rest") and not definition.get("variants"):
        out.append("    char empty;")
    out += ["};", ""]


def types_header(schema):
    out = ['/* Types of the management schema.  Generated by qapi/schema/gen.py. */',
           "#ifndef QAPI_TYPES_H", "#define QAPI_TYPES_H", "", '#include "core/schema.h"', ""]
    for definition in schema.types.values():
        if definition["meta"] != "enum":
            continue
        out.append(f"typedef enum Q{definition['name']} {{")
        for value in definition["data"]:
            out.append(f"    Q_{upper(definition['name'])}_{upper(value)},")
        out.append(f"    Q_{upper(definition['name'])}__MAX")
        out += [f"}} Q{definition['name']};", ""]
    structs = schema.ordered()
    for definition in structs:
        name = schema.type_name(definition["name"])
        out.append(f"typedef struct {name} {name};")
    out.append("")
    for element in schema.lists:
        name = schema.list_name(element)
        out.append(f"typedef struct {name} {{ size_t n; {schema.c_type(element)}*at; }} {name};")
    out.append("")
    for definition in structs:
        emit_struct(schema, definition, out)
    for name in schema.types:
        out.append(f"extern const QType qtype_{name};")
    for element in schema.lists:
        out.append(f"extern const QType qtype_list_{c_name(element)};")
    return out + ["", "#endif"]


def emit_members(schema, definition, out):
    name = definition["name"]
    c = schema.type_name(name)
    out.append(f"static const QMember members_{name}[] = {{")
    for m in definition["members"]:
        has = f"offsetof({c}, has_{m.c})" if schema.has_flag(m) else "-1"
        if definition["meta"] == "alternate":
            has = "-1"
        fields = [f".name = {c_string(m.name)}", f".type = &{schema.descriptor(m.kind)}",
                  f".offset = offsetof({c}, {m.c})", f".has = {has}"]
        if m.optional:
            fields.append(".optional = true")
        if m.doc:
            fields.append(f".doc = {c_string(m.doc)}")
        out.append("    {" + ", ".join(fields) + "},")
    out.append("};")


def types_source(schema):
    out = ['/* Generated by qapi/schema/gen.py. */', '#include "qapi/schema/qapi-types.h"', ""]
    for name, definition in schema.types.items():
        if definition["meta"] == "enum":
            values = ", ".join(c_string(v) for v in definition["data"])
            out.append(f"static const char *const values_{name}[] = {{{values}, NULL}};")
            out.append(f"const QType qtype_{name} = {{.name = \"{name}\", .kind = QKIND_ENUM, .size = sizeof(int), "
                       f".values = values_{name}, .n_values = {len(definition['data'])}, "
                       f".doc = {c_string(definition['doc'])}}};")
            continue
        c = schema.type_name(name)
        kind = "QKIND_ALTERNATE" if definition["meta"] == "alternate" else "QKIND_STRUCT"
        fields = [f".name = \"{name}\"", f".kind = {kind}", f".size = sizeof({c})",
                  f".doc = {c_string(definition['doc'])}", ".rest = " +
                  (f"offsetof({c}, rest)" if definition.get("rest") else "-1")]
        if definition["members"]:
            emit_members(schema, definition, out)
            fields += [f".members = members_{name}", f".n_members = {len(definition['members'])}"]
        if definition.get("variants"):
            tag = definition["discriminator"]
            index = [m.name for m in definition["members"]].index(tag)
            enum = definition["members"][index].kind
            unknown = set(definition["variants"]) - set(schema.types[enum]["data"])
            if unknown:
                sys.exit(f"schema: union {name}: {sorted(unknown)} not in {enum}")
            rows = [f"[Q_{upper(enum)}_{upper(value)}] = &{schema.descriptor(variant)}"
                    for value, variant in definition["variants"].items()]
            out.append(f"static const QType *const variants_{name}[Q_{upper(enum)}__MAX] = {{{', '.join(rows)}}};")
            fields += [f".variants = variants_{name}", f".tag = {index}", f".variant_at = offsetof({c}, u)"]
        out.append(f"const QType qtype_{name} = {{{', '.join(fields)}}};")
    for element in schema.lists:
        out.append(f"const QType qtype_list_{c_name(element)} = {{.name = \"[{element}]\", .kind = QKIND_LIST, "
                   f".size = sizeof({schema.list_name(element)}), .element = &{schema.descriptor(element)}, .rest = -1}};")
    out.append("")
    out.append("const QType *const qapi_types[] = {")
    out += [f"    &qtype_{name}," for name in schema.types]
    return out + ["    NULL,", "};"]


def event_parameters(schema, event):
    if not event.get("data"):
        return []
    result = []
    for m in schema.types[event["data"]]["members"]:
        if schema.has_flag(m):
            result.append(("bool ", "has_" + m.c))
        kind = schema.c_type(m.kind)
        if m.kind == "str":
            kind = "const char *"
        elif schema.is_struct(m.kind) or isinstance(m.kind, list):
            kind = "const " + kind + "*"
        result.append((kind, m.c))
    return result


def event_prototype(schema, event):
    parameters = ", ".join(a + b for a, b in event_parameters(schema, event)) or "void"
    return f"void event_{c_name(event['name'].lower())}({parameters})"


def events_header(schema):
    out = ['/* Events of the management schema: call from any layer.  Generated by qapi/schema/gen.py. */',
           "#ifndef QAPI_EVENTS_H", "#define QAPI_EVENTS_H", "", '#include "qapi/schema/qapi-types.h"', ""]
    for event in schema.events:
        out += [f"/* {event['doc']} */", event_prototype(schema, event) + ";"]
    return out + ["", "#endif"]


def events_source(schema):
    out = ['/* Generated by qapi/schema/gen.py. */', '#include "qapi/schema/qapi-events.h"', ""]
    for event in schema.events:
        name = c_name(event["name"].lower())
        data = event.get("data")
        kind = f"&qtype_{data}" if data else "NULL"
        out.append(f"static const QEvent desc_{name} = {{.name = \"{event['name']}\", .doc = {c_string(event['doc'])}, "
                   f".args = {kind}, .rate_ms = {event.get('rate-ms', 0)}, .rate_key = "
                   f"{c_string(event.get('rate-key', ''))}}};")
        out += ["", event_prototype(schema, event), "{"]
        if data:
            out.append(f"    {schema.type_name(data)} value = {{")
            for m in schema.types[data]["members"]:
                if schema.has_flag(m):
                    out.append(f"        .has_{m.c} = has_{m.c},")
                if m.kind == "str":
                    out.append(f"        .{m.c} = (char *){m.c},")
                elif schema.is_struct(m.kind) and m.optional:
                    out.append(f"        .{m.c} = ({schema.c_type(m.kind)}*){m.c},")
                elif schema.is_struct(m.kind) or isinstance(m.kind, list):
                    out.append(f"        .{m.c} = *{m.c},")
                else:
                    out.append(f"        .{m.c} = {m.c},")
            out.append("    };")
            out.append(f"    qapi_event_emit(&desc_{name}, &value);")
        else:
            out.append(f"    qapi_event_emit(&desc_{name}, NULL);")
        out += ["}", ""]
    out.append("const QEvent *const qapi_events[] = {")
    out += [f"    &desc_{c_name(e['name'].lower())}," for e in schema.events]
    return out + ["    NULL,", "};"]


def command_prototype(schema, command):
    args = schema.c_type(command["data"]).strip() if command.get("data") else "void"
    returns = "void *"
    if "returns" in command:
        kind = schema.c_type(command["returns"])
        returns = kind + "*"
    return f"bool qmp_{c_name(command['name'])}(const {args} *args, {returns}ret, GError **error)"


def commands_header(schema):
    out = ['/* Handlers of commands; each lives beside what it commands.  Generated by qapi/schema/gen.py.',
           ' *',
           ' * A handler fills *ret (zeroed, freed by the caller also after an error) or sets *error and returns false.',
           ' * It runs on the main thread with the main lock held. */',
           "#ifndef QAPI_COMMANDS_H", "#define QAPI_COMMANDS_H", "", '#include "qapi/schema/qapi-types.h"', ""]
    for command in schema.commands:
        out += [f"/* {command['doc']} */", command_prototype(schema, command) + ";"]
    return out + ["", "#endif"]


def commands_source(schema):
    out = ['/* Generated by qapi/schema/gen.py. */', '#include "qapi/schema/qapi-commands.h"', ""]
    rows = []
    for command in schema.commands:
        name = c_name(command["name"])
        out += [f"static bool call_{name}(const void *args, void *ret, GError **error)", "{",
                f"    return qmp_{name}(args, ret, error);", "}", ""]
        fields = [f".name = \"{command['name']}\"", f".call = call_{name}", f".doc = {c_string(command['doc'])}"]
        if command.get("data"):
            fields.append(f".args = &qtype_{command['data']}")
        if "returns" in command:
            fields.append(f".ret = &{schema.descriptor(command['returns'])}")
        if command.get("allow-oob"):
            fields.append(".allow_oob = true")
        if command.get("allow-preconfig"):
            fields.append(".allow_preconfig = true")
        rows.append((command["name"], "    {" + ", ".join(fields) + "},"))
    out.append("const QCommand qapi_commands[] = {")
    out += [row for _, row in sorted(rows)]
    return out + ["    {NULL},", "};", f"const size_t qapi_command_count = {len(rows)};"]


def manual_type(kind):
    return f"list of {manual_type(kind[0])}" if isinstance(kind, list) else f"`{kind}`"


def manual_members(schema, name, out):
    for m in schema.types[name]["members"] if name else []:
        out.append(f"- `{m.name}`{' (optional)' if m.optional else ''}: {manual_type(m.kind)}"
                   f"{', ' + m.doc if m.doc else ''}")


def manual(schema):
    """The reference of the wire, in Markdown."""
    out = ["# QMP reference", "", "Generated from `qapi/schema/`.", "", "## Commands", ""]
    for command in sorted(schema.commands, key=lambda c: c["name"]):
        out += [f"### {command['name']}", "", command["doc"], ""]
        manual_members(schema, command.get("data"), out)
        if "returns" in command:
            out += ["", f"Returns {manual_type(command['returns'])}."]
        out.append("")
    out += ["## Events", ""]
    for event in sorted(schema.events, key=lambda e: e["name"]):
        out += [f"### {event['name']}", "", event["doc"], ""]
        manual_members(schema, event.get("data"), out)
        out.append("")
    out += ["## Types", ""]
    for name, definition in sorted(schema.types.items()):
        if definition.get("implicit"):
            continue
        out += [f"### {name}", "", definition["doc"], ""]
        if definition["meta"] == "enum":
            out += [f"- `{v}`{': ' + definition['docs'][v] if v in definition['docs'] else ''}"
                    for v in definition["data"]]
        else:
            manual_members(schema, name, out)
        for value, kind in definition.get("variants", {}).items():
            out.append(f"- with `{definition['discriminator']}` = `{value}`: the members of `{kind}`")
        out.append("")
    return out


def main():
    directory, paths = sys.argv[1], sys.argv[2:]
    schema = Schema(paths)
    if directory.endswith(".md"):
        with open(directory, "w", encoding="utf-8") as out:
            out.write("\n".join(manual(schema)))
        return
    for name, make in {"qapi-types.h": types_header, "qapi-types.c": types_source, "qapi-events.h": events_header,
                       "qapi-events.c": events_source, "qapi-commands.h": commands_header,
                       "qapi-commands.c": commands_source}.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as out:
            out.write("\n".join(make(schema)) + "\n")


main()
