// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace triptych {

/// Orders names as people count: "slice_2" before "slice_10". Numbers compare by value, the rest by
/// character; names that are equal so ("1" and "01") compare as plain text, so the order never
/// depends on the file system.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace triptych
