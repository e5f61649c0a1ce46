// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace triptych {

/// One C++20 source serves LibTorch 1.13.1 to 2.x: every difference between versions is hidden
/// behind these functions, and torch_compat.cc is the only file with version guards.

/// Version of the LibTorch this was compiled with, e.g. "1.13.1".
std::string torch_version();
bool cuda_is_available();
/// "auto", "cpu", "cuda", "cuda:1" -> device; throws ConfigError (`device`) for text that is none,
/// or a GPU that is not there.
c10::Device device_from_text(const std::string& text);
/// Name of the device for run records, e.g. "cpu" or "cuda:0".
std::string device_text(c10::Device device);

/// Threads of LibTorch's operators.
void set_torch_threads(int threads);
/// Deterministic algorithms, no cuDNN autotuning.
void set_deterministic();

/// Turns on bfloat16 autocast for the device kind while it lives; nothing when `enabled` is false.
class Autocast {
 public:
  Autocast(bool enabled, c10::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool enabled_;
  bool cuda_;
  bool previous_ = false;
};

/// Leaves autocast on the device kind while it lives, for projectors, warps and integration.
/// Tensors that autocast made before stay bfloat16: convert them with .to(at::kFloat).
class FullPrecision {
 public:
  explicit FullPrecision(c10::Device device);
  ~FullPrecision();
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  bool cuda_;
  bool previous_;
};

/// mish(x) = x tanh(softplus(x)); float32 inside when the input is bfloat16, which LibTorch 1.13
/// lacks on the CPU.
at::Tensor plain_mish(const at::Tensor& x);

/// LibTorch's message without the backtrace, for an exception caught as std::exception.
std::string message_without_backtrace(const std::exception& error);

}  // namespace triptych
