#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    /* the first byte chooses the options; small blocks, so that short inputs cross their ends */
    const struct np_file_options options = {
        .rate_hz = n && data[0] & 1 ? 50 : 0,
        .time_column = n && (data[0] & 3) == 3 ? "none" : NULL,
        .block_samples = 8,
    };

    if (n)
        fuzz_file("fuzz.csv", &options, data + 1, n - 1);
    return 0;
}
