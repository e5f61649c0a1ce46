// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace triptych {

/// One cell of a comma-separated line, quoted where RFC 4180 asks for it.
std::string csv_cell(std::string_view text);

/// The cells of one line, without quotes.
std::vector<std::string> csv_cells(std::string_view line);

}  // namespace triptych
