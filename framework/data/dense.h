// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

// Loader threads must not start LibTorch's own threads, which every large ATen operator does: what
// a loader thread copies, it copies with these plain loops.

/// Copies a CPU tensor of up to six axes and any strides to `destination`, in row-major order.
void copy_dense(const at::Tensor& source, void* destination);

/// `source` itself when it is contiguous, else a contiguous copy.
at::Tensor dense(const at::Tensor& source);

/// A contiguous float32 tensor with the values of `source` (any real type); `source` itself when it
/// is one already.
at::Tensor dense_float(const at::Tensor& source);

/// A contiguous int64 tensor with the values of `source` (any integer type); `source` itself when
/// it is one already.
at::Tensor dense_int64(const at::Tensor& source);

}  // namespace triptych
