// SPDX-License-Identifier: Apache-2.0
#include "framework/image/class_table.h"

#include "framework/core/error.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <system_error>

#include <fmt/core.h>

namespace triptych {
namespace {

using Color = std::array<std::uint8_t, 3>;

// Okabe and Ito (2008): eight colours told apart with every common kind of colour vision; black is
// the background.
constexpr Color kOkabeIto[] = {{0, 0, 0},
                               {230, 159, 0},
                               {86, 180, 233},
                               {0, 158, 115},
                               {240, 228, 66},
                               {0, 114, 178},
                               {213, 94, 0},
                               {204, 121, 167}};
constexpr std::int64_t kOkabeItoSize = std::size(kOkabeIto);

Color color_from_hsv(double hue, double saturation, double value) {
  Color color{};
  for (int channel = 0; channel < 3; ++channel) {
    const double offset = channel == 0 ? 5.0 : channel == 1 ? 3.0 : 1.0;
    const double k = std::fmod(offset + hue * 6.0, 6.0);
    const double ramp = std::max(0.0, std::min({k, 4.0 - k, 1.0}));
    color[channel] =
        static_cast<std::uint8_t>(std::lround(255.0 * value * (1.0 - saturation * ramp)));
  }
  return color;
}

}  // namespace

std::vector<std::string> ClassTable::names() const {
  std::vector<std::string> result;
  for (const LabelClass& entry : classes) result.push_back(entry.name);
  return result;
}

ClassTable numbered_classes(std::int64_t count) {
  ClassTable table;
  for (std::int64_t index = 0; index < count; ++index) {
    table.classes.push_back({index, fmt::format("class_{}", index), class_color(index)});
  }
  return table;
}

Color class_color(std::int64_t index) {
  TRIPTYCH_ASSERT(index >= 0);
  if (index < kOkabeItoSize) return kOkabeIto[index];
  // Steps of the golden ratio never come back close to an earlier hue; brightness alternates beside
  // it.
  constexpr double kGoldenRatio = 0.6180339887498949;
  const double step = static_cast<double>(index - kOkabeItoSize);
  const double hue = std::fmod(0.1 + step * kGoldenRatio, 1.0);
  return color_from_hsv(hue, index % 2 == 0 ? 0.85 : 0.55, index % 3 == 0 ? 0.7 : 0.95);
}

Color color_from_text(const std::string& text) {
  std::uint32_t value = 0;
  const char* end = text.data() + text.size();
  const bool shaped = text.size() == 7 && text[0] == '#';
  const auto [stop, code] = shaped
                                ? std::from_chars(text.data() + 1, end, value, 16)
                                : std::from_chars_result{text.data(), std::errc::invalid_argument};
  if (code != std::errc{} || stop != end) {
    throw data_error(fmt::format("color: expected #rrggbb, got '{}'", text));
  }
  return {static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8 & 0xff),
          static_cast<std::uint8_t>(value & 0xff)};
}

}  // namespace triptych
