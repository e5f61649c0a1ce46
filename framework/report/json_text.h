// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace triptych {

/// A JSON string with quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// A JSON number with as many digits as reading it back needs. JSON has no NaN and no infinity;
/// they become the strings "NaN", "Infinity" and "-Infinity" (the convention of Protocol Buffers;
/// Python's float() reads them).
std::string json_number(double value);

}  // namespace triptych
