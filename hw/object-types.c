/* The types of -object, one a line. */
#include "hw/iothread.h"
#include "hw/memory/memory-backend.h"
#include "hw/object.h"

const ObjectType *const object_types[] = {
    &iothread_type,
    &memory_backend_type,
    &memory_backend_file_type,
    &memory_backend_memfd_type,
    &memory_backend_ram_type,
    NULL,
};
