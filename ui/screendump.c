/* Pictures of a console: portable pixmap (P6) and PNG. */
#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "ui/console.h"

/* One line as bytes R, G, B. */
static void line_rgb(const Surface *s, int y, uint8_t *rgb)
{
    const uint32_t *p = surface_line(s, y);
    for (int x = 0; x < s->width; x++) {
        *rgb++ = (uint8_t)(p[x] >> 16);
        *rgb++ = (uint8_t)(p[x] >> 8);
        *rgb++ = (uint8_t)p[x];
    }
}

static bool ppm_write(FILE *f, const Surface *s)
{
    g_autofree uint8_t *rgb = g_malloc((size_t)s->width * 3);
    if (fprintf(f, "P6\n%d %d\n255\n", s->width, s->height) < 0) {
        return false;
    }
    for (int y = 0; y < s->height; y++) {
        line_rgb(s, y, rgb);
        if (fwrite(rgb, 3, (size_t)s->width, f) != (size_t)s->width) {
            return false;
        }
    }
    return true;
}

static void png_quiet(png_structp png, png_const_charp text) {}

static void png_give_up(png_structp png, png_const_charp text)
{
    png_longjmp(png, 1);
}

/* The part that libpng may leave by a jump: it holds nothing of its own. */
static bool png_encode(png_structp png, png_infop info, FILE *f, const Surface *s, uint8_t *rgb)
{
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)s->width, (png_uint_32)s->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < s->height; y++) {
        line_rgb(s, y, rgb);
        png_write_row(png, rgb);
    }
    png_write_end(png, NULL);
    return true;
}

static bool png_write(FILE *f, const Surface *s)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_give_up, png_quiet);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    g_autofree uint8_t *rgb = g_malloc((size_t)s->width * 3);
    errno = ENOMEM; /* for the first two; the file's own errors replace it */
    bool ok = info && png_encode(png, info, f, s, rgb);
    png_destroy_write_struct(&png, &info);
    return ok;
}

bool console_screendump(Console *c, const char *path, const char *format, GError **error)
{
    bool png = format && !strcmp(format, "png");
    if (format && !png && strcmp(format, "ppm")) {
        return error_fail(error, "Invalid screendump format '%s': expected ppm or png", format);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return error_fail_errno(error, errno, "Could not open '%s'", path);
    }
    struct stat st;
    bool regular = !fstat(fd, &st) && S_ISREG(st.st_mode);
    console_refresh(c);
    FILE *f = fdopen(fd, "wb");
    const Surface *s = console_surface(c);
    bool ok = png ? png_write(f, s) : ppm_write(f, s);
    int code = errno;
    if (fclose(f) && ok) {
        ok = false;
        code = errno;
    }
    if (!ok) {
        if (regular) {
            unlink(path);
        }
        return error_fail_errno(error, code, "Could not write the screen to '%s'", path);
    }
    return true;
}
