// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace triptych {

/// An sRGB colour, 8 bits a channel.
struct Rgb {
  std::uint8_t r = 0;
  std::uint8_t g = 0;
  std::uint8_t b = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

inline constexpr Rgb kBlack{0, 0, 0};
inline constexpr Rgb kWhite{255, 255, 255};
/// What is not a number is drawn in a colour that no colour map contains.
inline constexpr Rgb kNotANumberColour{255, 0, 255};

/// How a scalar in [0, 1] becomes a colour: gray for CT and MRI, viridis for other scalars, RdBu
/// for signed values.
enum class ColourMap { kGray, kViridis, kRdBu };

/// "gray", "viridis" or "rdbu"; anything else throws a usage error.
ColourMap colour_map_from_name(std::string_view name);

/// The colour of `fraction`, clamped to [0, 1]; NaN gives kNotANumberColour. RdBu runs from red (0)
/// over white (0.5) to blue (1).
Rgb colour_of(ColourMap map, double fraction);

/// `(1 - alpha) below + alpha above`, alpha in [0, 1].
Rgb mix(Rgb below, Rgb above, double alpha);

/// "#rrggbb".
std::string hex(Rgb colour);
/// Reads "#rrggbb" or "#rgb"; anything else throws a usage error.
Rgb rgb_from_hex(std::string_view text);

/// Colours of classes and curves that also colour-blind readers tell apart (after Okabe and Ito),
/// endless by walking the hue circle in golden angles. Index 0 is the first foreground class.
Rgb class_colour(int index);

/// Black or white, whichever reads better on `background` (relative luminance of WCAG 2).
Rgb readable_on(Rgb background);

}  // namespace triptych
