#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct np_file_options options = {.block_samples = 64};

    fuzz_file("fuzz.wav", &options, data, n);
    return 0;
}
