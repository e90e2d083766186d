#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    /* a .cff holds configuration and samples: both parsers are reached */
    const struct np_file_options options = {.digital = true, .block_samples = 8};

    fuzz_file("fuzz.cff", &options, data, n);
    return 0;
}
