/* The script "etc/table-loader", by which whoever has the memory puts the ACPI tables in place: firmware, or acpi_place for a
 * machine without one. */
#ifndef HW_FIRMWARE_ACPI_SCRIPT_H
#define HW_FIRMWARE_ACPI_SCRIPT_H

#include <assert.h>

#include "hw/firmware/fw-cfg.h"

#define RSDP_FILE "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"
#define LOADER_FILE "etc/table-loader"

/* ---- The script: commands of 128 bytes ---- */

enum {
    ALLOCATE = 1,
    ADD_POINTER = 2,
    ADD_CHECKSUM = 3,
    WRITE_POINTER = 4,
    HIGH_MEMORY = 1,
    F_SEGMENT = 2,
    FILE_NAME = 56
};
typedef struct Command {
    uint32_t what;
    union {
        struct {
            char file[FILE_NAME];
            uint32_t align;
            uint8_t zone;
        } __attribute__((packed)) allocate;
        struct {
            char in[FILE_NAME], to[FILE_NAME];
            uint32_t offset;
            uint8_t size;
        } __attribute__((packed)) pointer;
        struct {
            char file[FILE_NAME];
            uint32_t offset, start, length;
        } __attribute__((packed)) checksum;
        struct { /* the firmware writes the address of to[to_offset] into a file of ours */
            char in[FILE_NAME], to[FILE_NAME];
            uint32_t offset, to_offset;
            uint8_t size;
        } __attribute__((packed)) write;
        uint8_t room[124];
    };
} __attribute__((packed)) Command;
static_assert(sizeof(Command) == 128, "as the firmware reads it");

/* A file of the script as it lies in memory; owned by the list that acpi_place fills. */
typedef struct AcpiBlob {
    char *file;
    uint64_t at;
    GByteArray *bytes;
} AcpiBlob;
/* Carry the script out: the tables go into [at, at + room), which is below 4 GiB.  `blobs` is an empty list of AcpiBlob *.
 * False and *error: they do not fit. */
bool acpi_place(FwCfg *fw, uint64_t at, uint64_t room, GPtrArray *blobs, GError **error);
void acpi_blob_free(void *blob);

#endif
