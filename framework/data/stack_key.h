// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/loader.h"

namespace triptych {

/// Items can be stacked when their keys are equal: modality, and size after the transforms, of the
/// reference role and of every required one. World boxes are taken to be of one size where their
/// regions are. Optional roles do not separate items, so that samples with and without a target
/// share batches.
StackKey make_stack_key(std::vector<RoleBinding> roles,
                        std::shared_ptr<const TransformChain> transforms);

}  // namespace triptych
