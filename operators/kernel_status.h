/* Kernels know nothing of the pipeline: their statuses, translated. */
#ifndef NP_KERNEL_STATUS_H
#define NP_KERNEL_STATUS_H

#include "kernels/kernels.h"
#include "pipeline/status.h"

/** @return NP_OK, NP_ENOMEM, NP_EDEVICE; NP_ESTOP for rows that do not fit, a fault of the program */
enum np_status np_kernel_status(enum np_kernels_status status);

#endif
