/* Where firmware files (BIOS, option ROMs) are found: the folders of -L, then those that the build was told of. */
#ifndef HW_FIRMWARE_PATH_H
#define HW_FIRMWARE_PATH_H

#include <glib.h>
#include <stdbool.h>

/* -L: searched before all others, in order of the calls. */
void fw_add_dir(const char *dir);
/* The folders in order of search, one a line (-L help).  Caller frees. */
char *fw_dirs_text(void);
/* A readable file of that name: `name` itself when it has a slash or exists here, else in the first folder that has it.
 * NULL: nowhere.  Caller frees. */
char *fw_find_file(const char *name);

#endif
