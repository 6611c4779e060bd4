/* Inside of the SMBIOS tables: what smbios.c and smbios-option.c share. */
#ifndef HW_FIRMWARE_SMBIOS_H
#define HW_FIRMWARE_SMBIOS_H

#include "hw/firmware/fw-cfg.h"

/* "etc/smbios/smbios-tables" and "etc/smbios/smbios-anchor", for the machine as it stands. */
bool smbios_add(FwCfg *fw, GError **error);

/* ---- What -smbios said ---- */
/* The text of a field ("manufacturer" of type 1), or `otherwise`. */
const char *smbios_text(unsigned type, const char *field, const char *otherwise);
uint64_t smbios_number(unsigned type, const char *field, uint64_t otherwise);
bool smbios_switch(unsigned type, const char *field);
/* Whether a structure of that type was asked for with type=. */
bool smbios_asked(unsigned type);
/* Whether file= brought structures of that type: then there is none of ours. */
bool smbios_from_file(unsigned type);
/* The structures of file=, one behind the other; and their number and the size of the largest. */
const GByteArray *smbios_user_structures(unsigned *count, unsigned *largest);
GPtrArray *smbios_oem_strings(void); /* type=11,value=: char * */

/* The length of a structure with its strings at the beginning of `len` bytes; 0: it is not whole.
 */
size_t smbios_structure_length(const uint8_t *p, size_t len);

#endif
