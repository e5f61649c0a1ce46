// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/class_table.h"
#include "framework/report/plane_row.h"

#include <vector>

namespace triptych::app {

/// The classes of a recipe as pictures want them: index as value, background left clear.
std::vector<LegendClass> legend_of(const ClassTable& classes);

/// A float image of axis-0 slice `index` of data [C, D, H, W] (first channel), and the same of
/// labels.
FloatImage slice_of(const at::Tensor& data, std::int64_t index);
LabelImage label_slice_of(const at::Tensor& labels, std::int64_t index);

/// Throws data_error when a label file holds values below `lowest`, or more classes than a table, a
/// legend or a confusion matrix can show; such a file is an image, not a label map.
void check_label_range(const at::Tensor& labels, const std::string& file, std::int64_t lowest = 0);

}  // namespace triptych::app
