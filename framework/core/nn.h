// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one door to LibTorch's modules and autograd for component and model sources; it is also the
// precompiled header, so including it costs nothing twice. Framework headers outside model/ include
// ATen/core/Tensor.h instead.
#include <torch/autograd.h>
#include <torch/nn.h>
#include <torch/types.h>
