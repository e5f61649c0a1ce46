// SPDX-License-Identifier: Apache-2.0
#include "framework/image/landmarks.h"

#include "framework/core/csv_table.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych {
namespace {

/// Between LPS and RAS.
Eigen::Vector3d turned(const Eigen::Vector3d& position) {
  return {-position.x(), -position.y(), position.z()};
}

double coordinate(const std::string& text, const std::string& file, int line) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) {
    throw data_error(fmt::format("{}:{}: expected a coordinate in mm, got '{}'", file, line, text));
  }
  return value;
}

/// "LPS", or the numbers of older versions: 0 is RAS, 1 is LPS.
bool is_ras(const std::string& system, const std::string& file) {
  if (system == "RAS" || system == "0") return true;
  if (system == "LPS" || system == "1") return false;
  throw data_error(
      fmt::format("{}: expected the coordinate system LPS or RAS, got '{}'", file, system));
}

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, separator);) fields.push_back(field);
  return fields;
}

Landmarks read_fcsv(const std::string& file) {
  constexpr std::size_t kPosition = 1, kLabel = 11;  // id, x, y, z, orientation, flags, label
  std::istringstream stream(read_file(file));
  Landmarks result;
  bool ras = true;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with("# CoordinateSystem =")) {
      ras = is_ras(split(line, ' ').back(), file);
    } else if (!line.empty() && !line.starts_with('#')) {
      const std::vector<std::string> fields = split(line, ',');
      if (fields.size() < kPosition + 3) {
        throw data_error(fmt::format(
            "{}:{}: expected a fiducial 'id,x,y,z,...', got '{:.60}'", file, number, line));
      }
      Eigen::Vector3d position;
      for (std::size_t axis = 0; axis < 3; ++axis)
        position[static_cast<Eigen::Index>(axis)] =
            coordinate(fields[kPosition + axis], file, number);
      result.push_back(
          {fields.size() > kLabel ? fields[kLabel] : "", ras ? turned(position) : position});
    }
  }
  return result;
}

Landmarks read_markups(const std::string& file) {
  try {
    const nlohmann::json document = nlohmann::json::parse(read_file(file));
    const nlohmann::json& markup = document.at("markups").at(0);
    const nlohmann::json system = markup.value("coordinateSystem", nlohmann::json("RAS"));
    const bool ras = is_ras(system.is_string() ? system.get<std::string>() : system.dump(), file);
    Landmarks result;
    for (const nlohmann::json& point : markup.at("controlPoints")) {
      if (point.value("positionStatus", "defined") != "defined") continue;
      const auto numbers = point.at("position").get<std::vector<double>>();
      if (numbers.size() != 3) {
        throw data_error(fmt::format(
            "{}: expected control points of 3 coordinates, got {}", file, numbers.size()));
      }
      const Eigen::Vector3d position(numbers[0], numbers[1], numbers[2]);
      result.push_back({point.value("label", ""), ras ? turned(position) : position});
    }
    return result;
  } catch (const nlohmann::json::parse_error& problem) {
    throw data_error(
        fmt::format(
            "{}: expected Slicer markups in JSON, got an error at byte {}", file, problem.byte),
        "copy or export the file again");
  } catch (const nlohmann::json::exception&) {
    throw data_error(
        fmt::format("{}: expected Slicer markups with control points, got other JSON", file),
        "expected markups[0].controlPoints, each with a position of three numbers");
  }
}

/// Big-endian numbers, as binary VTK files hold them.
template <class Number, class Bits>
double big_endian(const char* bytes) {
  Bits bits = 0;
  for (std::size_t i = 0; i < sizeof(Bits); ++i)
    bits = static_cast<Bits>(bits << 8) | static_cast<unsigned char>(bytes[i]);
  return static_cast<double>(std::bit_cast<Number>(bits));
}

Landmarks read_vtk_points(const std::string& file) {
  const std::string text = read_file(file);
  std::istringstream stream(text);
  std::string line, word, type;
  bool binary = false;
  std::int64_t count = -1;
  while (count < 0 && std::getline(stream, line)) {
    binary = binary || line.starts_with("BINARY");
    if (line.starts_with("POINTS")) std::istringstream(line) >> word >> count >> type;
  }
  const bool known = type == "float" || type == "double";
  if (!text.starts_with("# vtk DataFile") || count < 0 || !known) {
    throw data_error(
        fmt::format("{}: expected legacy VTK poly data with POINTS of type float or double", file));
  }
  const std::size_t width = type == "float" ? 4 : 8;
  const auto start = static_cast<std::size_t>(stream.tellg());
  // Also keeps a wrong count from asking for memory: a number takes a byte at least.
  const std::size_t needed = 3 * static_cast<std::size_t>(count) * (binary ? width : 1);
  if (text.size() - start < needed)
    throw data_error(fmt::format("{}: ends before its {} points", file, count));
  Landmarks result;
  for (std::int64_t i = 0; i < count; ++i) {
    Landmark& landmark = result.emplace_back();
    for (int axis = 0; axis < 3; ++axis) {
      const auto at =
          start + (3 * static_cast<std::size_t>(i) + static_cast<std::size_t>(axis)) * width;
      if (!binary) {
        if (!(stream >> landmark.position_mm[axis]))
          throw data_error(fmt::format("{}: ends before its {} points", file, count));
      } else {
        landmark.position_mm[axis] = width == 4
                                         ? big_endian<float, std::uint32_t>(text.data() + at)
                                         : big_endian<double, std::uint64_t>(text.data() + at);
      }
    }
  }
  return result;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\t;#") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

std::string csv_text(const Landmarks& landmarks) {
  std::string text = "label,x_lps_mm,y_lps_mm,z_lps_mm\n";
  for (const Landmark& l : landmarks) {
    const Eigen::Vector3d& p = l.position_mm;
    text += fmt::format("{},{},{},{}\n", quoted(l.label), p.x(), p.y(), p.z());
  }
  return text;
}

std::string fcsv_text(const Landmarks& landmarks) {
  std::string text =
      "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
      "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n";
  for (std::size_t i = 0; i < landmarks.size(); ++i) {
    const Eigen::Vector3d& p = landmarks[i].position_mm;
    text += fmt::format(
        "{},{},{},{},0,0,0,1,1,1,0,{},,\n", i + 1, p.x(), p.y(), p.z(), landmarks[i].label);
  }
  return text;
}

std::string markups_text(const Landmarks& landmarks) {
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < landmarks.size(); ++i) {
    const Eigen::Vector3d& p = landmarks[i].position_mm;
    points.push_back({{"id", std::to_string(i + 1)},
                      {"label", landmarks[i].label},
                      {"position", {p.x(), p.y(), p.z()}},
                      {"positionStatus", "defined"}});
  }
  const nlohmann::ordered_json document = {
      {"@schema",
       "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
       "Schema/markups-schema-v1.0.3.json#"},
      {"markups",
       nlohmann::ordered_json::array({{{"type", "Fiducial"},
                                       {"coordinateSystem", "LPS"},
                                       {"coordinateUnits", "mm"},
                                       {"controlPoints", points}}})}};
  return document.dump(2) + "\n";
}

std::string vtk_text(const Landmarks& landmarks) {
  std::string text = fmt::format(
      "# vtk DataFile Version 3.0\nlandmarks, mm, LPS\nASCII\nDATASET POLYDATA\nPOINTS {} double\n",
      landmarks.size());
  for (const Landmark& l : landmarks) {
    text += fmt::format("{} {} {}\n", l.position_mm.x(), l.position_mm.y(), l.position_mm.z());
  }
  text += fmt::format("VERTICES {} {}\n", landmarks.size(), 2 * landmarks.size());
  for (std::size_t i = 0; i < landmarks.size(); ++i) text += fmt::format("1 {}\n", i);
  return text;
}

/// Points of a table; `image` allows for voxel indices and for 2D.
class TableReader {
 public:
  TableReader(const std::string& file, const Geometry* image)
      : file_(file), table_(read_csv(file)), image_(image) {}

  Landmarks landmarks() const {
    const Columns columns = position_columns();
    const int label = label_column();
    Landmarks result;
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      const auto& fields = table_.rows[row];
      Landmark& landmark = result.emplace_back();
      if (label >= 0) landmark.label = fields[static_cast<std::size_t>(label)];
      Eigen::Vector3d position(0.0, 0.0, columns.voxels ? 0.0 : plane_mm());
      for (std::size_t axis = 0; axis < columns.index.size(); ++axis) {
        position[static_cast<Eigen::Index>(axis)] = coordinate(
            fields[static_cast<std::size_t>(columns.index[axis])], file_, table_.lines[row]);
      }
      landmark.position_mm = columns.voxels ? image_->world_from_index(position) : position;
    }
    return result;
  }

 private:
  struct Columns {
    std::vector<int> index;  ///< of x, y and, in 3D, z
    bool voxels = false;     ///< indices rather than mm
  };

  std::vector<int> find(const std::vector<const char*>& names) const {
    std::vector<int> found;
    for (const char* name : names) {
      const int column = table_.column(name);
      if (column >= 0) found.push_back(column);
    }
    return found.size() == names.size() ? found : std::vector<int>();
  }

  Columns position_columns() const {
    for (const auto& names : {std::vector<const char*>{"x_lps_mm", "y_lps_mm", "z_lps_mm"},
                              {"x", "y", "z"},
                              {"X", "Y", "Z"}}) {
      if (const auto found = find(names); !found.empty()) return {found, false};
    }
    if (image_ != nullptr) {
      if (const auto found = find({"i_vox", "j_vox", "k_vox"}); !found.empty())
        return {found, true};
    }
    if (image_ != nullptr && image_->is_2d()) {
      for (const auto& names : {std::vector<const char*>{"x", "y"}, {"X", "Y"}}) {
        if (const auto found = find(names); !found.empty()) return {found, false};
      }
      if (const auto found = find({"col_px", "row_px"}); !found.empty()) return {found, true};
    }
    throw data_error(
        fmt::format("{}: expected columns x, y, z or x_lps_mm, y_lps_mm, z_lps_mm "
                    "(mm, LPS), got: {}",
                    file_,
                    join(table_.columns)),
        holds_voxels() ? "voxels and pixels need the image that they belong to (warp: grid=)" : "");
  }

  bool holds_voxels() const {
    return image_ == nullptr && (!find({"i_vox", "j_vox", "k_vox"}).empty() ||
                                 !find({"col_px", "row_px"}).empty() || !find({"X", "Y"}).empty());
  }

  int label_column() const {
    for (const char* name : {"label", "name", "id", ""}) {
      if (const int column = table_.column(name); column >= 0) return column;
    }
    return -1;
  }

  double plane_mm() const { return image_ == nullptr ? 0.0 : image_->origin.z(); }

  const std::string& file_;
  CsvTable table_;
  const Geometry* image_;
};

Landmarks read_points(const std::string& file, const Geometry* image) {
  const std::string extension = file_extension(file);
  if (extension == ".fcsv") return read_fcsv(file);
  if (extension.ends_with(".json")) return read_markups(file);
  if (extension == ".vtk") return read_vtk_points(file);
  return TableReader(file, image).landmarks();
}

}  // namespace

Landmarks read_landmark_table(const std::string& file) {
  return TableReader(file, nullptr).landmarks();
}

Landmarks read_landmarks(const std::string& file) { return read_points(file, nullptr); }

Landmarks read_landmarks(const std::string& file, const Geometry& image) {
  return read_points(file, &image);
}

void write_landmarks(const std::string& file, const Landmarks& landmarks) {
  const std::string extension = file_extension(file);
  if (extension == ".csv") return write_file_atomically(file, csv_text(landmarks));
  if (extension == ".fcsv") return write_file_atomically(file, fcsv_text(landmarks));
  if (extension.ends_with(".json")) return write_file_atomically(file, markups_text(landmarks));
  if (extension == ".vtk") return write_file_atomically(file, vtk_text(landmarks));
  throw io_error(fmt::format(
      "{}: landmarks are written as .csv, .fcsv, .json or .vtk, got '{}'", file, extension));
}

}  // namespace triptych
