/* A fuzz target is one function, as libFuzzer wants it.  With clang, `-Dfuzzers=true` links it with libFuzzer; otherwise
 * replay.c feeds it mutated seeds for some seconds, which is what CI does under the sanitizers. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
