// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace triptych {

/// Cell of one character in font pixels: glyphs are 5 wide and 9 high (7 above the base line, 2
/// below).
inline constexpr int kGlyphWidth = 5;
inline constexpr int kGlyphHeight = 9;
inline constexpr int kGlyphAdvance = 6;

/// A glyph as rows of 5 bits from the top; bit 4 is the leftmost pixel.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

/// The glyphs of a UTF-8 text. ASCII and µ ° ± × ² ³ · – … → ≥ ≤ ä ö ü ß are drawn, anything else
/// is a hollow box.
std::vector<Glyph> glyphs_of(std::string_view utf8);

}  // namespace triptych
