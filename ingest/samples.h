/* Raw sample encodings to float32: value = raw * scale + offset, computed in double and rounded once. */
#ifndef NP_SAMPLES_H
#define NP_SAMPLES_H

#include "pipeline/pipeline.h"

/** Bytes of one sample; 0 for NP_ENC_ARRAY. */
size_t np_sample_size(enum np_encoding encoding);
/** @param bytes [n * np_sample_size()] little-endian, any alignment. @param out [n] */
void np_samples_decode(enum np_encoding encoding, const void *bytes, size_t n, double scale, double offset,
                       float *out);
/** @param out [n], apart from in */
void np_samples_scale(const float *in, size_t n, double scale, double offset, float *out);

#endif
