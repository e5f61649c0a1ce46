// SPDX-License-Identifier: Apache-2.0
#include "framework/image/raw_scan.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/image/location.h"
#include "framework/image/raw_scan_format.h"

#include <cmath>
#include <map>
#include <numbers>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

const char* name_of_frames(RawScan::Frames kind) {
  switch (kind) {
    case RawScan::Frames::kFlats:
      return "flat";
    case RawScan::Frames::kDarks:
      return "dark";
    default:
      return "projection";
  }
}

std::vector<std::string> keys_of(const std::map<std::string, double>& units) {
  std::vector<std::string> names;
  for (const auto& [name, factor] : units) names.push_back(name);
  return names;
}

double factor_of_unit(const std::map<std::string, double>& units,
                      const std::string& unit,
                      const std::string& place) {
  const auto found = units.find(unit);
  if (found != units.end()) return found->second;
  throw data_error(fmt::format(
      "{}: unknown unit, expected one of {}, got '{}'", place, join(keys_of(units)), unit));
}

}  // namespace

std::vector<double> angles_in_radians(std::vector<double> values,
                                      const std::string& unit,
                                      const std::string& place) {
  constexpr double kDegree = std::numbers::pi / 180.0;
  static const std::map<std::string, double> units = {{"deg", kDegree},
                                                      {"degree", kDegree},
                                                      {"degrees", kDegree},
                                                      {"\u00b0", kDegree},
                                                      {"rad", 1.0},
                                                      {"radian", 1.0},
                                                      {"radians", 1.0}};
  const double factor = unit.empty() ? kDegree : factor_of_unit(units, unit, place);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      throw data_error(fmt::format("{}: angle {} is {}", place, i, values[i]));
    values[i] *= factor;
  }
  return values;
}

std::optional<double> length_in_mm(double value,
                                   const std::string& unit,
                                   const std::string& place) {
  static const std::map<std::string, double> units = {{"m", 1e3},
                                                      {"meter", 1e3},
                                                      {"metre", 1e3},
                                                      {"cm", 10.0},
                                                      {"mm", 1.0},
                                                      {"um", 1e-3},
                                                      {"\u00b5m", 1e-3},
                                                      {"\u03bcm", 1e-3},
                                                      {"micron", 1e-3},
                                                      {"microns", 1e-3},
                                                      {"micrometer", 1e-3},
                                                      {"nm", 1e-6}};
  if (unit.empty()) return {};
  const double factor = factor_of_unit(units, unit, place);
  if (!(value > 0.0) || !std::isfinite(value))
    throw data_error(fmt::format("{}: expected a positive length, got {} {}", place, value, unit));
  return value * factor;
}

at::Tensor RawScan::read(Frames kind, std::int64_t first_row, std::int64_t rows) {
  TRIPTYCH_ASSERT(first_row >= 0 && rows > 0 && first_row + rows <= header_.rows);
  at::Tensor values = read_rows(kind, first_row, rows).to(at::kFloat).contiguous();
  if (std::isfinite(values.sum().item<float>())) return values;
  const at::Tensor bad = at::isfinite(values).logical_not().nonzero();
  if (bad.size(0) == 0) return values;  // finite values whose sum is not
  const auto index = [&](std::int64_t axis) { return bad[0][axis].item<std::int64_t>(); };
  throw data_error(
      fmt::format(
          "{}: {} values are not finite, the first is {} at {} {}, detector row {}, column {}",
          header_.place,
          bad.size(0),
          values[index(0)][index(1)][index(2)].item<float>(),
          name_of_frames(kind),
          index(0),
          first_row + index(1),
          index(2)),
      "repair the file, or leave these rows out with rows=[first,last]");
}

std::unique_ptr<RawScan> open_raw_scan(const std::string& location, const RawScanOptions& options) {
  const Location parsed = parse_location(location);
  if (parsed.kind == Location::Kind::kHdf5 && parsed.dataset.empty())
    return open_hdf5_scan(parsed.path, options);
  if (options.format != "auto") {
    throw io_error(fmt::format(
        "{}: expected an HDF5 file for the format {}, got images", location, options.format));
  }
  return open_image_scan(location, options);
}

}  // namespace triptych
