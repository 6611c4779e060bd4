/* Firmware in flash: -pflash, -drive if=pflash, -machine pflash0= and pflash1=.
 *
 * Unit 0 ends at 4 GiB, where the CPU starts; unit 1, which holds the firmware's variables, lies
 * below it. */
#include <inttypes.h>

#include "hw/board/pc.h"
#include "hw/storage/pflash-cfi01.h"

enum { CHIPS = 2, SECTOR = 4096, ALL_MOST = 8 << 20, ISA_BIOS = 128 << 10, MEGABYTE = 1 << 20 };

static bool find_drive(unsigned unit, const char *property, Drive **drive, GError **error)
{
    DriveInfo *info = drive_info_find(IF_PFLASH, 0, (int)unit);
    if (property && info) {
        return error_fail(error,
                          "-machine pflash%u=%s and -drive if=pflash,unit=%u: expected one of them",
                          unit, property, unit);
    }
    if (property) {
        *drive = drive_find(property);
        return *drive ||
               error_fail(error, "-machine pflash%u=%s: there is no such drive", unit, property);
    }
    if (info) {
        info->claimed = true;
        *drive = info->drive;
    }
    return true;
}

static bool check_size(unsigned unit, const Drive *drive, uint64_t above, GError **error)
{
    int64_t size = drive_length(drive);
    if (size <= 0 || size % SECTOR) {
        return error_fail(
            error, "pflash%u: drive '%s' has %" PRId64 " bytes, expected: a multiple of 4 KiB",
            unit, drive_id(drive), size);
    }
    if ((uint64_t)size > ALL_MOST - above) {
        return error_fail(error,
                          "pflash%u: drive '%s' has %" PRId64
                          " KiB, expected: all flash together at most 8 MiB",
                          unit, drive_id(drive), size >> 10);
    }
    return true;
}

static Device *make_chip(unsigned unit, Drive *drive, GError **error)
{
    g_autofree char *name = g_strdup_printf("system.flash%u", unit);
    Device *d = device_new(&pflash_cfi01_class, name);
    device_set(d, "name", name, NULL);
    device_set_pointer(d, "drive", drive);
    if (!device_realize(d, NULL, error)) {
        device_free(d);
        return NULL;
    }
    return d;
}

bool pc_make_flash(bool *made, GError **error)
{
    const char *const property[CHIPS] = {machine.pflash0, machine.pflash1};
    Drive *drive[CHIPS] = {NULL};
    uint64_t above = 0;
    *made = false;
    for (unsigned unit = 0; unit < CHIPS; unit++) {
        if (!find_drive(unit, property[unit], &drive[unit], error)) {
            return false;
        }
    }
    if (drive[1] && !drive[0]) {
        return error_fail(error, "pflash1 is there without pflash0, which holds the firmware");
    }
    for (unsigned unit = 0; unit < CHIPS && drive[unit]; unit++) {
        if (!check_size(unit, drive[unit], above, error)) {
            return false;
        }
        Device *d = make_chip(unit, drive[unit], error);
        if (!d) {
            return false;
        }
        Region *r = pflash_cfi01_region(d);
        above += region_size(r);
        region_map(pc.memory.pci, r, (UINT64_C(1) << 32) - above, 0);
        if (unit == 0) {
            uint64_t size = MIN(region_size(r), ISA_BIOS);
            pc.memory.bios_isa = region_alias("isa-bios", r, region_size(r) - size, size);
            region_map(pc.memory.pci, pc.memory.bios_isa, MEGABYTE - size, 1);
        }
        *made = true;
    }
    return true;
}
