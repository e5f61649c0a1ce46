// SPDX-License-Identifier: Apache-2.0
#include "framework/image/sidecar.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

#include <cmath>
#include <sstream>
#include <vector>

#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using Numbers = std::vector<double>;

void append_numbers(const config::Node& node, Numbers& numbers) {
  if (node.is_list()) {
    for (const config::Node& each : node.as_list()) append_numbers(each, numbers);
  } else {
    numbers.push_back(node.as_double());
  }
}

Numbers numbers_of(const config::Node& root, const char* key) {
  Numbers numbers;
  const config::Node* node = root.is_map() ? root.child(key) : nullptr;
  if (node != nullptr) append_numbers(*node, numbers);
  return numbers;
}

Numbers numbers_of(const std::string& text) {
  std::istringstream stream(text);
  Numbers numbers;
  for (double value = 0.0; stream >> value;) numbers.push_back(value);
  if (!stream.eof()) numbers.clear();  // something else than numbers
  return numbers;
}

Eigen::Vector3d vector_of(const Numbers& numbers, const fs::path& file, const char* what) {
  if (numbers.size() != 3) {
    throw data_error(
        fmt::format("{}: expected 3 numbers as {}, got {}", file.string(), what, numbers.size()));
  }
  return {numbers[0], numbers[1], numbers[2]};
}

Eigen::Vector3d spacing_of(Numbers numbers, const fs::path& file) {
  if (numbers.size() == 1) numbers.assign(3, numbers[0]);
  const Eigen::Vector3d spacing = vector_of(numbers, file, "spacing (x, y, z in mm)");
  if (!(spacing.array() > 0.0).all() || !spacing.allFinite()) {
    throw geometry_error(fmt::format("{}: expected a positive spacing, got {:g} {:g} {:g} mm",
                                     file.string(),
                                     spacing[0],
                                     spacing[1],
                                     spacing[2]));
  }
  return spacing;
}

Eigen::Matrix3d direction_of(const Numbers& numbers, const fs::path& file) {
  if (numbers.size() != 9) {
    throw data_error(
        fmt::format("{}: expected 9 numbers as direction, got {}", file.string(), numbers.size()));
  }
  return Eigen::Map<const Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>(numbers.data());
}

std::optional<Sidecar> first_existing(const fs::path& folder) {
  for (const char* name : {"spacing.json", "spacing.yaml", "spacing.yml", "spacing.txt"}) {
    if (fs::is_regular_file(folder / name)) return read_sidecar(folder / name);
  }
  return std::nullopt;
}

}  // namespace

Sidecar read_sidecar(const fs::path& file) {
  Sidecar sidecar;
  sidecar.file = file;
  const std::string text = read_file(file);
  if (file_extension(file) == ".txt") {
    sidecar.spacing = spacing_of(numbers_of(text), file);
    return sidecar;
  }
  try {
    const config::Node root = config::parse_yaml(text, file.string());
    const Numbers spacing = numbers_of(root, "spacing");
    const Numbers origin = numbers_of(root, "origin");
    const Numbers direction = numbers_of(root, "direction");
    if (!spacing.empty()) sidecar.spacing = spacing_of(spacing, file);
    if (!origin.empty()) sidecar.origin = vector_of(origin, file, "origin");
    if (!direction.empty()) sidecar.direction = direction_of(direction, file);
  } catch (const ConfigError&
               problem) {  // a broken sidecar is a fault of the data, not of the configuration
    throw data_error(problem.what());
  }
  return sidecar;
}

std::optional<Sidecar> sidecar_of_file(const fs::path& image) {
  fs::path file = image;
  file.replace_extension(".json");
  return fs::is_regular_file(file) ? std::optional(read_sidecar(file)) : std::nullopt;
}

std::optional<Sidecar> sidecar_of_folder(const fs::path& folder) {
  auto sidecar = first_existing(folder);
  return sidecar ? sidecar : first_existing(fs::absolute(folder).lexically_normal().parent_path());
}

void apply_sidecar(const Sidecar& sidecar, Geometry& geometry, const std::string& place) {
  if (sidecar.spacing) {
    for (int axis = 0; axis < 3; ++axis) {
      const double in_image = geometry.spacing[axis];
      const double beside = (*sidecar.spacing)[axis];
      if (!geometry.spacing_known || std::abs(beside - in_image) <= 0.01 * in_image) continue;
      throw geometry_error(
          fmt::format("{}: spacing along {} contradicts {}, expected {:g} mm, got {:g} mm",
                      place,
                      "xyz"[axis],
                      sidecar.file.filename().string(),
                      beside,
                      in_image),
          "correct or remove one of the two");
    }
    geometry.spacing = *sidecar.spacing;
    geometry.spacing_known = true;
  }
  if (sidecar.origin) geometry.origin = *sidecar.origin;
  if (sidecar.direction) geometry.direction = *sidecar.direction;
}

std::string sidecar_text(const Geometry& geometry) {
  const auto triple = [](const Eigen::Vector3d& values) {
    return fmt::format("{:.17g}, {:.17g}, {:.17g}", values[0], values[1], values[2]);
  };
  const Eigen::Matrix3d& m = geometry.direction;
  const auto row = [&](int index) { return triple(m.row(index).transpose()); };
  const std::string spacing =
      geometry.spacing_known ? fmt::format("\"spacing\": [{}],\n ", triple(geometry.spacing)) : "";
  return fmt::format("{{{}\"origin\": [{}],\n \"direction\": [{}, {}, {}]}}\n",
                     spacing,
                     triple(geometry.origin),
                     row(0),
                     row(1),
                     row(2));
}

}  // namespace triptych
