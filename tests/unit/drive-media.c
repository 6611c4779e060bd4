/* Drives: opening, probing, locks, interfaces and units, media that change. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/drive-bench.h"

#include "block/iov.h"

/* ---- Opening ---- */

START_TEST(open_errors)
{
    g_autofree char *path = image("disk", 4096), *none = path_of("none");
    refused("none", "file=%s", none);
    refused("drive 'refused'", "file=%s", none);
    refused("No such file or directory", "file=%s", none);
    refused("is a directory", "file=%s", dir);
    refused("'bogus'", "file=%s,format=raw,bogus=1", path);
    refused("'bogus' for block driver 'file'", "file=%s,format=raw,file.bogus=1", path);
    refused("cache", "file=%s,cache=sometimes", path);
    refused("werror", "file=%s,werror=never", path);
    refused("enospc", "file=%s,rerror=enospc", path);
    refused("on' or 'off", "file=%s,snapshot=maybe", path);
    refused("detect-zeroes", "file=%s,detect-zeroes=unmap", path);
    refused("Unknown protocol 'nbd'", "file=nbd:localhost:1");
    refused("format=qcow2", "file=%s,format=qcow2", path);
    refused("invalid format", "file=%s,format=none", path);
    refused("aio=native", "file=%s,aio=native", path);
    refused("copy-on-read", "file=%s,copy-on-read=on", path);
    refused("end of the image", "file=%s,format=raw,offset=8192", path);
    refused("end of the image", "file=%s,format=raw,offset=1024,size=4096", path);
    if (getuid()) {
        chmod(path, 0);
        refused("Permission denied", "file=%s", path);
    }
}
END_TEST

START_TEST(probing)
{
    static const struct {
        const char *name;
        size_t at;
        const char *sign;
        size_t len;
    } signs[] = {
        {"qcow2", 0, "QFI\xfb\0\0\0\3", 8},
        {"vmdk", 0, "KDMV", 4},
        {"vdi", 64, "\x7f\x10\xda\xbe", 4},
        {"vhdx", 0, "vhdxfile", 8},
        {"qed", 0, "QED\0", 4},
        {"luks", 0, "LUKS\xba\xbe", 6},
        {"vpc", 0, "conectix", 8},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(signs); i++) {
        char data[4096] = {0};
        g_autofree char *path = path_of(signs[i].name);
        memcpy(data + signs[i].at, signs[i].sign, signs[i].len);
        ck_assert(g_file_set_contents(path, data, sizeof(data), NULL));
        refused(signs[i].name, "file=%s", path);
        refused(path, "file=%s", path);
        drive_free(opened("as-raw", "file=%s,format=raw", path));
    }
    /* A guess is good for everything but the start of another format. */
    g_autofree char *path = image("guess", 4096);
    uint8_t buf[1024] = {0};
    Drive *d = opened("guess", "file=%s", path);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 1024), 0);
    memcpy(buf, "QFI\xfb\0\0\0\3", 8);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), -EPERM);
    ck_assert_int_eq(drive_write_sync(d, 512, buf, 512), 0);
    ck_assert_int_eq(drive_write_sync(d, 0, "QFI\xfb", 4), 0);
    ck_assert_int_eq(drive_write_sync(d, 4, "\0\0\0\2", 4), -EPERM);
    drive_free(d);
    d = opened("guess", "file=%s,format=raw", path);
    ck_assert_int_eq(drive_write_sync(d, 0, buf, 512), 0);
}
END_TEST

START_TEST(raw_window)
{
    g_autofree char *path = image("disk", 10000);
    Drive *d =
        opened("w", "driver=raw,offset=1000,size=2048,file.driver=file,file.filename=%s", path);
    uint8_t buf[512];
    ck_assert_int_eq(drive_length(d), 2048);
    ck_assert_int_eq(drive_read_sync(d, 512, buf, 512), 0);
    ck_assert_uint_eq(buf[0], (uint8_t)(1512 * 7 + 1512 / 251 + 1));
    ck_assert_int_eq(drive_write_sync(d, 2048, buf, 512), -EIO);
    drive_free(d);
    d = opened("n", "driver=null-co,size=1M,read-zeroes=on");
    memset(buf, 1, sizeof(buf));
    ck_assert_int_eq(drive_length(d), 1 << 20);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert_uint_eq(buf[0] | buf[511], 0);
    drive_free(d);
    d = opened("colon", "file=file:%s,format=raw", path);
    ck_assert_int_eq(drive_length(d), 10240);
    DriveState state;
    drive_state(d, &state);
    ck_assert_str_eq(state.filename, path);
    ck_assert_str_eq(state.format, "raw");
    ck_assert_str_eq(state.protocol, "file");
}
END_TEST

START_TEST(locks)
{
    g_autofree char *path = image("disk", 4096);
    Drive *d = opened("a", "file=%s,format=raw", path);
    refused("Failed to get \"write\" lock", "file=%s,format=raw", path);
    refused(path, "file=%s,format=raw", path);
    refused("Failed to get shared \"write\" lock", "file=%s,format=raw,readonly=on", path);
    drive_free(opened("b", "file=%s,format=raw,file.locking=off", path));
    drive_free(opened("b", "file=%s,format=raw,readonly=on,file.force-share=on", path));
    refused("force-share", "file=%s,format=raw,file.force-share=on", path);
    drive_free(d);
    /* Readers share, and keep a writer out. */
    d = opened("a", "file=%s,format=raw,readonly=on", path);
    Drive *e = opened("b", "file=%s,format=raw,snapshot=on", path);
    refused("lock", "file=%s,format=raw", path);
    drive_free(d);
    drive_free(e);
    drive_free(opened("a", "file=%s,format=raw", path));
}
END_TEST

/* ---- Interfaces ---- */

static DriveInfo *added(DriveInterface interface, bool snapshot, const char *text)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(text, "file", &error);
    DriveInfo *info = drive_add(options, interface, snapshot, &error);
    ck_assert_msg(info, "%s", error ? error->message : "");
    return info;
}

static void not_added(const char *part, const char *text)
{
    GError *error = NULL;
    g_autoptr(GHashTable) options = options_parse(text, "file", &error);
    ck_assert_ptr_null(drive_add(options, IF_IDE, false, &error));
    ck_assert_msg(strstr(error->message, part), "'%s' lacks '%s'", error->message, part);
    g_error_free(error);
}

static void placed(const DriveInfo *info, DriveInterface interface, int bus, int unit,
                   const char *id)
{
    ck_assert_int_eq(info->interface, interface);
    ck_assert_int_eq(info->bus, bus);
    ck_assert_int_eq(info->unit, unit);
    ck_assert_str_eq(drive_id(info->drive), id);
    ck_assert_ptr_eq(drive_info_find(interface, bus, unit), info);
}

START_TEST(interfaces)
{
    placed(added(IF_IDE, false, "media=cdrom,index=2"), IF_IDE, 1, 0, "ide1-cd0");
    placed(added(IF_IDE, false, "driver=null-co"), IF_IDE, 0, 0, "ide0-hd0");
    placed(added(IF_IDE, false, "driver=null-co"), IF_IDE, 0, 1, "ide0-hd1");
    placed(added(IF_IDE, false, "driver=null-co,serial=XYZ"), IF_IDE, 1, 1, "ide1-hd1");
    placed(added(IF_IDE, false, "driver=null-co,if=none"), IF_NONE, 0, 0, "none0");
    placed(added(IF_IDE, false, "driver=null-co,if=none,id=mine"), IF_NONE, 0, 1, "mine");
    placed(added(IF_IDE, false, "if=floppy,index=1"), IF_FLOPPY, 0, 1, "floppy1");
    placed(added(IF_IDE, false, "if=floppy"), IF_FLOPPY, 0, 0, "floppy0");
    placed(added(IF_IDE, false, "if=scsi,bus=1,unit=3"), IF_SCSI, 1, 3, "scsi1-hd3");
    placed(added(IF_VIRTIO, false, "driver=null-co"), IF_VIRTIO, 0, 0, "virtio0");
    placed(added(IF_IDE, false, "driver=null-co,if=pflash,unit=1"), IF_PFLASH, 0, 1, "pflash1");
    ck_assert_str_eq(drive_info_find(IF_IDE, 1, 1)->serial, "XYZ");
    ck_assert(!drive_has_medium(drive_info_find(IF_IDE, 1, 0)->drive));
    ck_assert(drive_readonly(drive_info_find(IF_IDE, 1, 0)->drive));
    ck_assert_int_eq(drive_length(drive_info_find(IF_IDE, 1, 0)->drive), 0);
    not_added("exists", "index=0,driver=null-co");
    not_added("too big", "bus=0,unit=2,driver=null-co");
    not_added("index cannot be used", "index=0,bus=1,driver=null-co");
    not_added("already exists", "if=none,id=mine,driver=null-co");
    not_added("'if'", "if=usbstick");
    not_added("'bogus'", "if=none,bogus=1");
    ck_assert_ptr_null(drive_info_find(IF_IDE, 2, 0));
    /* -snapshot */
    g_autofree char *path = image("disk", 4096),
                    *text = g_strdup_printf("if=none,id=s,format=raw,file=%s", path);
    DriveState state;
    drive_state(added(IF_IDE, true, text)->drive, &state);
    ck_assert(state.snapshot && !state.readonly);
    ck_assert_str_eq(state.filename, path);
    drive_free(drive_find("s"));
    ck_assert_ptr_null(drive_info_find(IF_NONE, 0, 2));
}
END_TEST

START_TEST(attaching)
{
    static const DriveUser user;
    GError *error = NULL;
    int a, b;
    Drive *d = drive_new_memory("ram", 512);
    ck_assert(drive_attach(d, &user, &a, "disk-a", &error));
    ck_assert(!drive_attach(d, &user, &b, "disk-b", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "disk-a"));
    g_error_free(error);
    drive_detach(d, &b);
    drive_detach(d, &a);
    ck_assert(drive_attach(d, &user, &b, "disk-b", NULL));
}
END_TEST

/* ---- Media ---- */

static struct {
    bool open, locked, loaded;
    unsigned changes, requests;
} cd;

static void cd_changed(void *arg, bool loaded)
{
    cd.changes++;
    cd.loaded = loaded;
    cd.open = !loaded;
}

static bool cd_tray(void *arg)
{
    return cd.open;
}
static bool cd_locked(void *arg)
{
    return cd.locked;
}
static void cd_request(void *arg, bool force)
{
    cd.requests++;
}

static const DriveUser cd_user = {.media_changed = cd_changed,
                                  .tray_open = cd_tray,
                                  .locked = cd_locked,
                                  .eject_request = cd_request};

START_TEST(media)
{
    g_autofree char *one = image("one", 4096), *two = image("two", 8192), *none = path_of("none");
    g_autofree char *text = g_strdup_printf("media=cdrom,index=2,format=raw,file=%s", one);
    GError *error = NULL;
    uint8_t buf[512];
    watch_events();
    memset(&cd, 0, sizeof(cd));
    Drive *d = added(IF_IDE, false, text)->drive;
    ck_assert(drive_attach(d, &cd_user, &cd, "cd0", &error));
    /* A file that cannot be opened changes nothing. */
    ck_assert(!drive_change_medium(d, none, NULL, READONLY_RETAIN, false, &error));
    ck_assert_ptr_nonnull(strstr(error->message, none));
    g_clear_error(&error);
    ck_assert(drive_has_medium(d) && !cd.changes);
    /* Change: the tray opens and closes. */
    ck_assert(drive_change_medium(d, two, "raw", READONLY_RETAIN, false, &error));
    ck_assert_int_eq(drive_length(d), 8192);
    ck_assert_uint_eq(cd.changes, 2);
    ck_assert(cd.loaded && !cd.open);
    ck_assert_uint_eq(event.tray_moves, 2);
    ck_assert(drive_readonly(d));
    /* A lock is respected, unless forced. */
    cd.locked = true;
    ck_assert(!drive_eject(d, false, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "locked"));
    g_clear_error(&error);
    ck_assert_uint_eq(cd.requests, 1);
    ck_assert(drive_eject(d, true, &error));
    ck_assert(!drive_has_medium(d) && cd.open);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), -ENOMEDIUM);
    ck_assert_int_eq(drive_length(d), 0);
    ck_assert(event.tray);
    /* Ejecting nothing is fine; loading closes the tray. */
    ck_assert(drive_eject(d, false, &error));
    ck_assert(drive_change_medium(d, one, NULL, READONLY_OFF, false, &error));
    ck_assert(!drive_readonly(d));
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    DriveState state;
    drive_state(d, &state);
    ck_assert(state.removable && state.tray && !state.tray_open && state.locked);
    /* A disk that stays where it is. */
    static const DriveUser fixed;
    Drive *disk = drive_new_memory("ram", 512);
    ck_assert(drive_attach(disk, &fixed, disk, "hd0", &error));
    ck_assert(!drive_eject(disk, true, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "not removable"));
    g_clear_error(&error);
    ck_assert(drive_resize(disk, 2048, &error));
    ck_assert_int_eq(drive_length(disk), 2048);
    ck_assert_int_eq(drive_write_sync(disk, 1536, buf, 512), 0);
}
END_TEST

/* The very image that is in the drive, writable: our own lock on it is no obstacle. */
START_TEST(same_medium_again)
{
    g_autofree char *path = image("floppy", 4096);
    g_autofree char *text = g_strdup_printf("if=floppy,format=raw,file=%s", path);
    GError *error = NULL;
    Drive *d = added(IF_IDE, false, text)->drive;
    bool ok = drive_change_medium(d, path, "raw", READONLY_RETAIN, false, &error);
    ck_assert_msg(ok, "%s", error ? error->message : "");
    ck_assert(drive_has_medium(d));
}
END_TEST

START_TEST(discard_and_zeroes)
{
    g_autofree char *path = image("disk", 1 << 20);
    struct stat st;
    uint8_t buf[4096] = {0};
    Drive *d = opened("disk", "file=%s,format=raw,discard=unmap,detect-zeroes=unmap", path);
    Reply r = {0};
    drive_discard(d, 0, 512 * 1024, reply, &r);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_int_eq(drive_read_sync(d, 4096, buf, 4096), 0);
    ck_assert(buffer_is_zero(buf, 4096));
    for (int i = 128; i < 256; i++) { /* zeros that a guest writes become holes */
        ck_assert_int_eq(drive_write_sync(d, i * 4096, buf, 4096), 0);
    }
    stat(path, &st);
    ck_assert_int_eq(st.st_size, 1 << 20);
    ck_assert_int_lt(st.st_blocks, (1 << 20) / 512 / 4);
    drive_free(d);
    /* Without discard=unmap nothing happens to what is there. */
    g_autofree char *other = image("other", 65536);
    d = opened("disk", "file=%s,format=raw", other);
    drive_discard(d, 0, 65536, reply, &r);
    ck_assert_int_eq(wait_for(&r), 0);
    ck_assert_int_eq(drive_read_sync(d, 0, buf, 512), 0);
    ck_assert(!buffer_is_zero(buf, 512));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {open_errors, probing,           raw_window,
                            locks,       interfaces,        attaching,
                            media,       same_medium_again, discard_and_zeroes};
    return drive_bench_main("drive-media", tests, G_N_ELEMENTS(tests));
}
