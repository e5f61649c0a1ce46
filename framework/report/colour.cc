// SPDX-License-Identifier: Apache-2.0
#include "framework/report/colour.h"

#include "framework/core/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

namespace triptych {
namespace {

// Knots at equal distances, linear between them; viridis is reproduced within 3 grey levels.
constexpr std::array<Rgb, 9> kViridisKnots = {{{68, 1, 84},
                                               {71, 44, 122},
                                               {59, 81, 139},
                                               {44, 113, 142},
                                               {33, 144, 141},
                                               {39, 173, 129},
                                               {92, 200, 99},
                                               {170, 220, 50},
                                               {253, 231, 37}}};
constexpr std::array<Rgb, 9> kRdBuKnots = {{{110, 5, 35},
                                            {190, 45, 50},
                                            {225, 125, 95},
                                            {250, 205, 185},
                                            {246, 246, 246},
                                            {190, 215, 235},
                                            {110, 170, 210},
                                            {45, 115, 180},
                                            {10, 55, 105}}};
constexpr std::array<Rgb, 2> kGrayKnots = {{{0, 0, 0}, {255, 255, 255}}};

constexpr std::array<Rgb, 8> kClassColours = {{{230, 159, 0},
                                               {86, 180, 233},
                                               {0, 158, 115},
                                               {213, 94, 0},
                                               {204, 121, 167},
                                               {240, 228, 66},
                                               {0, 114, 178},
                                               {170, 170, 170}}};

Rgb interpolate(std::span<const Rgb> knots, double fraction) {
  const double position = fraction * static_cast<double>(knots.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(position), knots.size() - 2);
  return mix(knots[below], knots[below + 1], position - static_cast<double>(below));
}

// Hue in turns, full value, saturation 0.6.
Rgb from_hue(double hue) {
  const auto channel = [hue](double shift) {
    const double wave = std::abs(std::fmod(hue + shift, 1.0) * 6.0 - 3.0) - 1.0;
    return static_cast<std::uint8_t>(
        std::lround(255 * (1 - 0.6 * (1 - std::clamp(wave, 0.0, 1.0)))));
  };
  return {channel(0.0), channel(2.0 / 3.0), channel(1.0 / 3.0)};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ColourMap colour_map_from_name(std::string_view name) {
  if (name == "gray") return ColourMap::kGray;
  if (name == "viridis") return ColourMap::kViridis;
  if (name == "rdbu") return ColourMap::kRdBu;
  throw usage_error(fmt::format("colour map: expected gray, viridis or rdbu, got '{}'", name));
}

Rgb colour_of(ColourMap map, double fraction) {
  if (std::isnan(fraction)) return kNotANumberColour;
  fraction = std::clamp(fraction, 0.0, 1.0);
  switch (map) {
    case ColourMap::kViridis:
      return interpolate(kViridisKnots, fraction);
    case ColourMap::kRdBu:
      return interpolate(kRdBuKnots, fraction);
    case ColourMap::kGray:
      break;
  }
  return interpolate(kGrayKnots, fraction);
}

Rgb mix(Rgb below, Rgb above, double alpha) {
  const auto channel = [alpha](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(std::lround(from + alpha * (to - from)));
  };
  return {channel(below.r, above.r), channel(below.g, above.g), channel(below.b, above.b)};
}

std::string hex(Rgb colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.r, colour.g, colour.b);
}

Rgb rgb_from_hex(std::string_view text) {
  const bool is_short = text.size() == 4;
  const bool valid =
      (is_short || text.size() == 7) && text[0] == '#' &&
      std::all_of(text.begin() + 1, text.end(), [](char c) { return hex_digit(c) >= 0; });
  if (!valid) throw usage_error(fmt::format("colour: expected #rrggbb, got '{}'", text));
  const auto channel = [&](std::size_t i) {
    return static_cast<std::uint8_t>(is_short ? 17 * hex_digit(text[1 + i])
                                              : 16 * hex_digit(text[1 + 2 * i]) +
                                                    hex_digit(text[2 + 2 * i]));
  };
  return {channel(0), channel(1), channel(2)};
}

Rgb class_colour(int index) {
  TRIPTYCH_ASSERT(index >= 0);
  const auto position = static_cast<std::size_t>(index);
  if (position < kClassColours.size()) return kClassColours[position];
  constexpr double kGoldenAngleTurns = 2.0 - std::numbers::phi;
  return from_hue(std::fmod(0.07 + kGoldenAngleTurns * static_cast<double>(index), 1.0));
}

Rgb readable_on(Rgb background) {
  const auto linear = [](std::uint8_t value) {
    const double v = value / 255.0;
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  const double luminance =
      0.2126 * linear(background.r) + 0.7152 * linear(background.g) + 0.0722 * linear(background.b);
  return luminance > 0.179 ? kBlack : kWhite;
}

}  // namespace triptych
