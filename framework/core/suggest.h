// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace triptych {

/// Number of insertions, deletions, substitutions and neighbour swaps that turn `a` into `b`.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or "" when none is near enough to be a slip of the keyboard.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c", or `if_empty`.
std::string join(const std::vector<std::string>& words,
                 std::string_view separator = ", ",
                 std::string_view if_empty = "none");

}  // namespace triptych
