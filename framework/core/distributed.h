// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/safetensors.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// The processes (ranks) that train one model together, and what they must agree on. This class is
/// the single process; a transport (MPI, NCCL, threads) derives from it. All ranks make the same
/// calls in the same order.
class DistributedContext {
 public:
  virtual ~DistributedContext() = default;
  virtual std::int64_t rank() const { return 0; }
  virtual std::int64_t ranks() const { return 1; }
  /// Writes into each floating-point tensor its mean over the ranks, with equal bits on all of
  /// them. Every rank gives the same number of tensors of the same shapes; they may lie on the CPU
  /// while the model does not.
  virtual void average(std::vector<at::Tensor>& tensors);
  /// True on every rank when `value` is true on one; no rank returns before all have called.
  virtual bool any(bool value) { return value; }
};

/// The context of a process that trains alone.
DistributedContext& single_process();

/// Averages gradients over the ranks. A parameter without gradient on some ranks counts as zero
/// there; one without gradient on all of them stays without.
void average_gradients(DistributedContext& context, const NamedTensors& parameters);

}  // namespace triptych
