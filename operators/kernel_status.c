#include "operators/kernel_status.h"

enum np_status np_kernel_status(enum np_kernels_status status)
{
    switch (status) {
    case NP_KERNELS_OK:
        return NP_OK;
    case NP_KERNELS_ENOMEM:
        return NP_ENOMEM;
    case NP_KERNELS_EDEVICE:
        return NP_EDEVICE;
    case NP_KERNELS_EINVAL:
        break;
    }
    return NP_ESTOP;
}
