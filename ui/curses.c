/* The text screen in a terminal (-display curses).
 *
 * Text modes are shown cell by cell; graphics modes as a line that says so.  Alt-1 to Alt-9 choose
 * the console.  The terminal tells of no key's release, so keys are typed rather than pressed. */
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "core/error.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "ui/console.h"
#include "ui/curses-keys.h"
#include "ui/display.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>

enum { CELLS = 256 * 128, TICK_MS = 40 };

typedef struct Picture { /* what the terminal shows, to leave it alone when that is still right */
    TextCell cells[CELLS];
    unsigned columns, rows;
    int cursor_x, cursor_y, lines, cols;
    int width, height; /* graphics mode; 0: text */
} Picture;

static struct {
    SCREEN *screen;
    Watch *watch;
    ConsoleListener listener;
    unsigned index; /* of the console shown */
    wchar_t glyph[256];
    unsigned graphics_ticks;
    Picture shown, next;
} ui;

/* ---- Characters: the graphics of code page 437 below 20h and at 7fh, the rest by the chosen
 * character set ---- */

static const wchar_t low_glyphs[33] =
    L" \x263a\x263b\x2665\x2666\x2663\x2660\x2022\x25d8\x25cb\x25d9\x2642\x2640\x266a\x266b\x263c"
    L"\x25ba\x25c4\x2195\x203c\x00b6\x00a7\x25ac\x21a8\x2191\x2193\x2192\x2190\x221f\x2194\x25b2"
    L"\x25bc";
static char *charset;

static bool glyphs_make(const char *set)
{
    for (unsigned i = 0; i < 256; i++) {
        if (i < 32 || i == 127) {
            ui.glyph[i] = i < 32 ? low_glyphs[i] : L'\x2302';
            continue;
        }
        char in = (char)i;
        gsize got;
        g_autofree char *out = g_convert(&in, 1, "WCHAR_T", set, NULL, &got, NULL);
        if (out && got == sizeof(wchar_t)) {
            memcpy(&ui.glyph[i], out, sizeof(wchar_t));
        } else if (i == 'A') {
            return false; /* no such character set at all */
        } else {
            ui.glyph[i] = L' ';
        }
    }
    return true;
}

static bool curses_check(GHashTable *options, GError **error)
{
    const char *set = g_hash_table_lookup(options, "charset");
    if (!glyphs_make(set ? set : "CP437")) {
        return error_fail(
            error, "-display curses: iconv knows no charset '%s'; the usual one is CP437", set);
    }
    g_free(charset);
    charset = g_strdup(set);
    g_hash_table_remove(options, "charset");
    return true;
}

/* ---- Colours ---- */

static int terminal_color(unsigned vga)
{
    static const uint8_t order[8] = {COLOR_BLACK, COLOR_BLUE,    COLOR_GREEN,  COLOR_CYAN,
                                     COLOR_RED,   COLOR_MAGENTA, COLOR_YELLOW, COLOR_WHITE};
    return order[vga & 7] + (vga & 8 && COLORS >= 16 ? 8 : 0);
}

static bool bright_colors(void)
{
    return COLORS >= 16 && COLOR_PAIRS > 256;
}

static void colors_start(void)
{
    if (!has_colors()) {
        return;
    }
    start_color();
    unsigned n = bright_colors() ? 16 : 8;
    for (unsigned bg = 0; bg < n; bg++) {
        for (unsigned fg = 0; fg < n; fg++) {
            init_pair((short)(1 + bg * n + fg), (short)terminal_color(fg),
                      (short)terminal_color(bg));
        }
    }
}

static void cell_put(int y, int x, TextCell cell)
{
    unsigned fg = cell.attr & 15, bg = cell.attr >> 4 & 7;
    attr_t attr = cell.attr & 0x80 ? A_BLINK : 0;
    short pair = 0;
    if (has_colors()) {
        pair = (short)(bright_colors() ? 1 + bg * 16 + fg : 1 + bg * 8 + (fg & 7));
    } else if (bg) {
        attr |= A_REVERSE;
    }
    if (!bright_colors() && (fg & 8)) {
        attr |= A_BOLD;
    }
    wchar_t text[2] = {ui.glyph[cell.ch], 0};
    cchar_t c;
    setcchar(&c, text, attr, pair, NULL);
    mvadd_wch(y, x, &c);
}

/* ---- Showing ---- */

/* First cell shown and first place on the terminal, in one direction: centred, or following the
 * cursor. */
static void place(int have, int room, int cursor, int *from, int *at)
{
    *at = have < room ? (room - have) / 2 : 0;
    *from = have <= room ? 0 : CLAMP(cursor - room / 2, 0, have - room);
}

static void show_text(const Picture *p)
{
    int from_x, from_y, x, y;
    place((int)p->columns, COLS, p->cursor_x, &from_x, &x);
    place((int)p->rows, LINES, p->cursor_y, &from_y, &y);
    for (int row = from_y; row < (int)p->rows && row - from_y + y < LINES; row++) {
        for (int column = from_x; column < (int)p->columns && column - from_x + x < COLS;
             column++) {
            cell_put(row - from_y + y, column - from_x + x,
                     p->cells[row * (int)p->columns + column]);
        }
    }
    curs_set(p->cursor_x >= 0 ? 1 : 0);
    if (p->cursor_x >= 0) {
        move(p->cursor_y - from_y + y, p->cursor_x - from_x + x);
    }
}

static void show_graphics(const Picture *p)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%d x %d Graphic mode", p->width, p->height);
    attrset(A_NORMAL);
    mvaddstr(LINES / 2, MAX((COLS - n) / 2, 0), line);
    curs_set(0);
}

static void picture_take(Console *c, Picture *p)
{
    memset(p, 0, sizeof *p);
    p->lines = LINES;
    p->cols = COLS;
    if (console_text(c, p->cells, CELLS, &p->columns, &p->rows, &p->cursor_x, &p->cursor_y)) {
        ui.graphics_ticks = 0;
        return;
    }
    /* The size is known when it is drawn: once in a while, as nobody looks at the pixels. */
    if (ui.graphics_ticks++ % (1000 / TICK_MS) == 0) {
        console_refresh(c);
    }
    p->columns = p->rows = 0;
    p->width = console_surface(c)->width;
    p->height = console_surface(c)->height;
}

static void show(void)
{
    if (!ui.listener.console) {
        return;
    }
    picture_take(ui.listener.console, &ui.next);
    if (!memcmp(&ui.next, &ui.shown, sizeof ui.shown)) {
        return;
    }
    if (ui.next.columns != ui.shown.columns || ui.next.rows != ui.shown.rows ||
        ui.next.lines != ui.shown.lines || ui.next.cols != ui.shown.cols ||
        ui.next.width != ui.shown.width) {
        erase();
    }
    ui.shown = ui.next;
    if (ui.shown.width) {
        show_graphics(&ui.shown);
    } else {
        show_text(&ui.shown);
    }
    refresh();
}

static void choose(unsigned index)
{
    Console *c = console_find(index);
    if (c) {
        console_unlisten(&ui.listener);
        ui.index = index;
        ui.graphics_ticks = 0;
        memset(&ui.shown, 0, sizeof ui.shown);
        erase();
        console_listen(c, &ui.listener);
    }
}

/* ---- Keys ---- */

static void type(const CursesKey *key)
{
    Console *c = ui.listener.console;
    if (c && console_takes_text(c)) {
        if (*key->text) {
            console_type(c, key->text, strlen(key->text));
        }
    } else if (key->n && runstate_running()) {
        curses_key_send(key);
    }
}

static void keys_read(void)
{
    wint_t ch;
    for (int kind; (kind = get_wch(&ch)) != ERR;) {
        if (kind == KEY_CODE_YES && ch == KEY_RESIZE) {
            continue; /* the next picture has the new size */
        }
        bool alt = false;
        if (kind == OK && ch == 0x1b) {
            wint_t behind;
            int more = get_wch(&behind);
            if (more != ERR) { /* Escape with something right behind is Alt */
                alt = true;
                kind = more;
                ch = behind;
            }
        }
        if (alt && kind == OK && ch >= '1' && ch <= '9' && ch - '0' <= console_count()) {
            choose(ch - '1');
            continue;
        }
        CursesKey key;
        const char *name = kind == KEY_CODE_YES ? keyname((int)ch) : NULL;
        if (curses_key(kind == KEY_CODE_YES, ch, name, alt, &key)) {
            type(&key);
        }
    }
}

static void stdin_ready(void *arg, short revents)
{
    if (revents & (POLLHUP | POLLERR)) {
        loop_unwatch(g_steal_pointer(&ui.watch));
        machine_request_shutdown(CAUSE_HOST_UI);
        return;
    }
    keys_read();
    show();
}

static void tick(ConsoleListener *l)
{
    keys_read(); /* a resized terminal wakes nobody */
    show();
}

/* ---- Start and end ---- */

static bool curses_start(GError **error)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return error_fail(error, "-display curses needs a terminal on standard input and output");
    }
    setlocale(LC_CTYPE, "");
    ui.screen = newterm(NULL, stdout, stdin);
    if (!ui.screen) {
        const char *term = getenv("TERM");
        return error_fail(error,
                          "-display curses cannot use the terminal '%s': check the variable TERM",
                          term ? term : "");
    }
    set_escdelay(25);
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE);
    colors_start();
    ui.listener = (ConsoleListener){.tick = tick, .interval_ms = TICK_MS, .text_only = true};
    ui.watch = loop_watch(loop_main(), STDIN_FILENO, POLLIN, stdin_ready, NULL);
    choose(0);
    refresh();
    return true;
}

static void curses_stop(void)
{
    if (ui.watch) {
        loop_unwatch(g_steal_pointer(&ui.watch));
    }
    console_unlisten(&ui.listener);
    endwin();
    delscreen(ui.screen);
    ui.screen = NULL;
}

const Display display_curses = {
    .name = "curses",
    .text_consoles = true,
    .check = curses_check,
    .start = curses_start,
    .stop = curses_stop,
};
