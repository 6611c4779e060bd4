#include "qapi/hmp-edit.h"

#include <string.h>

#include "qapi/hmp-internal.h"

static void put(LineEdit *e, const char *text)
{
    e->write(e->arg, text, strlen(text));
}

void edit_init(LineEdit *e, const char *prompt)
{
    *e = (LineEdit){.prompt = prompt};
    e->line = g_string_new(NULL);
    e->history = g_ptr_array_new_with_free_func(g_free);
}

void edit_clear(LineEdit *e)
{
    g_string_free(e->line, TRUE);
    g_ptr_array_unref(e->history);
    g_free(e->kept);
}

void edit_reset(LineEdit *e)
{
    g_string_truncate(e->line, 0);
    e->cursor = 0;
    e->state = EDIT_PLAIN;
    e->cr = false;
    e->browsing = e->history->len;
    g_clear_pointer(&e->kept, g_free);
}

/* Prompt and line anew, with the cursor in its place. */
void edit_show_prompt(LineEdit *e)
{
    put(e, "\r");
    put(e, e->prompt);
    put(e, e->line->str);
    put(e, "\033[K");
    if (e->cursor < e->line->len) {
        g_autofree char *back = g_strdup_printf("\033[%zuD", e->line->len - e->cursor);
        put(e, back);
    }
}

static void insert(LineEdit *e, char c)
{
    if (e->line->len >= EDIT_LINE_MAX) {
        return;
    }
    g_string_insert_c(e->line, (gssize)e->cursor++, c);
    if (e->cursor == e->line->len) {
        e->write(e->arg, &c, 1);
    } else {
        edit_show_prompt(e);
    }
}

static void set_line(LineEdit *e, const char *text)
{
    g_string_assign(e->line, text);
    e->cursor = e->line->len;
    edit_show_prompt(e);
}

static void erase(LineEdit *e, size_t from, size_t to)
{
    g_string_erase(e->line, (gssize)from, (gssize)(to - from));
    e->cursor = from;
    edit_show_prompt(e);
}

static void move(LineEdit *e, size_t to)
{
    e->cursor = MIN(to, e->line->len);
    edit_show_prompt(e);
}

static void browse(LineEdit *e, int step)
{
    guint last = e->history->len;
    if (step < 0 ? !e->browsing : e->browsing >= last) {
        return;
    }
    if (e->browsing == last) {
        g_free(e->kept);
        e->kept = g_strdup(e->line->str);
    }
    e->browsing += (guint)step;
    set_line(e, e->browsing == last ? e->kept : g_ptr_array_index(e->history, e->browsing));
}

static void remember(LineEdit *e)
{
    if (!e->line->len) {
        return;
    }
    for (guint i = 0; i < e->history->len; i++) {
        if (!strcmp(g_ptr_array_index(e->history, i), e->line->str)) {
            g_ptr_array_remove_index(e->history, i);
            break;
        }
    }
    if (e->history->len == EDIT_HISTORY) {
        g_ptr_array_remove_index(e->history, 0);
    }
    g_ptr_array_add(e->history, g_strdup(e->line->str));
}

static void enter(LineEdit *e)
{
    put(e, "\r\n");
    remember(e);
    g_autofree char *line = g_strdup(e->line->str);
    edit_reset(e);
    e->execute(e->arg, line);
}

static size_t word_start(const LineEdit *e)
{
    size_t i = e->cursor;
    while (i && e->line->str[i - 1] == ' ') {
        i--;
    }
    while (i && e->line->str[i - 1] != ' ') {
        i--;
    }
    return i;
}

static void list_candidates(LineEdit *e, const GPtrArray *candidates)
{
    put(e, "\r\n");
    for (guint i = 0; i < candidates->len; i++) {
        g_autofree char *cell =
            g_strdup_printf("%-20s%s", (char *)g_ptr_array_index(candidates, i),
                            i % 4 == 3 || i + 1 == candidates->len ? "\r\n" : "");
        put(e, cell);
    }
    edit_show_prompt(e);
}

static void complete(LineEdit *e)
{
    const char *word;
    g_autofree char *left = g_strndup(e->line->str, e->cursor);
    g_autoptr(GPtrArray) candidates = hmp_complete(left, &word);
    if (!candidates->len) {
        return;
    }
    const char *first = g_ptr_array_index(candidates, 0),
               *last = g_ptr_array_index(candidates, candidates->len - 1);
    size_t common = 0, typed = strlen(word);
    while (first[common] && first[common] == last[common]) {
        common++;
    }
    for (size_t i = typed; i < common; i++) {
        insert(e, first[i]);
    }
    if (candidates->len == 1) {
        insert(e, ' ');
    } else if (common == typed) {
        list_candidates(e, candidates);
    }
}

static void control(LineEdit *e, unsigned char c)
{
    switch (c) {
    case 1: move(e, 0); break;                             /* ^A */
    case 2: move(e, e->cursor ? e->cursor - 1 : 0); break; /* ^B */
    case 3:
        edit_reset(e);
        put(e, "\r\n");
        edit_show_prompt(e);
        break; /* ^C */
    case 4:    /* ^D */
        if (e->cursor < e->line->len) {
            erase(e, e->cursor, e->cursor + 1);
        }
        break;
    case 5: move(e, e->line->len); break;  /* ^E */
    case 6: move(e, e->cursor + 1); break; /* ^F */
    case 8:
    case 127:
        if (e->cursor) {
            erase(e, e->cursor - 1, e->cursor);
        }
        break;
    case 9: complete(e); break;
    case 11: erase(e, e->cursor, e->line->len); break; /* ^K */
    case 12:
        put(e, "\033[H\033[2J");
        edit_show_prompt(e);
        break;                                          /* ^L */
    case 14: browse(e, 1); break;                       /* ^N */
    case 16: browse(e, -1); break;                      /* ^P */
    case 21: erase(e, 0, e->cursor); break;             /* ^U */
    case 23: erase(e, word_start(e), e->cursor); break; /* ^W */
    case 27: e->state = EDIT_ESC; break;
    default: break;
    }
}

static void escape_end(LineEdit *e, unsigned char c)
{
    switch (c) {
    case 'A': browse(e, -1); break;
    case 'B': browse(e, 1); break;
    case 'C': move(e, e->cursor + 1); break;
    case 'D': move(e, e->cursor ? e->cursor - 1 : 0); break;
    case 'H': move(e, 0); break;
    case 'F': move(e, e->line->len); break;
    case '~':
        if (e->number == 3) {
            control(e, 4);
        } else if (e->number == 1 || e->number == 7) {
            move(e, 0);
        } else if (e->number == 4 || e->number == 8) {
            move(e, e->line->len);
        }
        break;
    default: break;
    }
}

void edit_byte(LineEdit *e, unsigned char c)
{
    bool after_cr = e->cr;
    e->cr = false;
    switch (e->state) {
    case EDIT_ESC:
        e->state = c == '[' ? EDIT_CSI : c == 'O' ? EDIT_SS3 : EDIT_PLAIN;
        e->number = 0;
        return;
    case EDIT_CSI:
        if (g_ascii_isdigit(c)) {
            e->number = MIN(e->number * 10 + (c - '0'), 1000u);
            return;
        }
        if (c == ';') {
            return;
        }
        /* fall through */
    case EDIT_SS3:
        e->state = EDIT_PLAIN;
        escape_end(e, c);
        return;
    default: break;
    }
    if (c == '\r' || (c == '\n' && !after_cr)) {
        enter(e);
        e->cr = c == '\r';
    } else if (c >= 0x20 && c != 127) {
        insert(e, (char)c);
    } else if (c != '\n') {
        control(e, c);
    }
}
