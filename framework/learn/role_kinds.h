// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/batch.h"

#include <string>

namespace triptych {

/// Throws data_error, naming `task` and role, where a role whose name says what it holds holds
/// something else: `label` and `*_label` labels, `points` and `*_points` points, `displacement` a
/// vector field. To be called with a batch as losses see it, since transforms may make one kind of
/// another (own_frame).
void check_role_kinds(const Batch& batch, const std::string& task);

}  // namespace triptych
