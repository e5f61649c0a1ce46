// SPDX-License-Identifier: Apache-2.0
// Insight Transform Files in text, and the same in HDF5.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/hdf5_file.h"
#include "framework/image/itk_transform_record.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <fmt/core.h>

namespace triptych {
namespace {

constexpr const char* kTextHeader = "#Insight Transform File V1.0";
constexpr const char* kGroup = "/TransformGroup";
/// As ITK 3 to 5 write them; the words are spelt right in some files.
constexpr const char* kParameterNames[] = {"TranformParameters", "TransformParameters"};
constexpr const char* kFixedNames[] = {"TranformFixedParameters", "TransformFixedParameters"};

std::vector<double> numbers_in(const std::string& text, const std::string& place, int line) {
  std::vector<double> numbers;
  const char* position = text.data();
  const char* end = position + text.size();
  while (true) {
    while (position != end && (*position == ' ' || *position == '\t' || *position == '\r'))
      ++position;
    if (position == end) return numbers;
    double value = 0.0;
    const auto [next, error] = std::from_chars(position, end, value);
    if (error != std::errc()) {
      throw data_error(fmt::format("{}:{}: expected numbers, got '{}'",
                                   place,
                                   line,
                                   std::string(position, std::min(position + 20, end))));
    }
    numbers.push_back(value);
    position = next;
  }
}

std::string line_of(const char* name, const std::vector<double>& numbers) {
  std::string line = name;
  for (const double number : numbers) line += fmt::format(" {}", number);
  return line + "\n";
}

Hdf5Handle open_dataset(hid_t group, const char* name) {
  if (H5Lexists(group, name, H5P_DEFAULT) <= 0) return {};
  return {H5Dopen2(group, name, H5P_DEFAULT), H5Dclose};
}

std::string read_text(hid_t dataset) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
  if (H5Tis_variable_str(type) > 0) {
    H5Tset_size(memory, H5T_VARIABLE);
    char* text = nullptr;
    if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0 || text == nullptr)
      return "";
    std::string result = text;
    H5free_memory(text);
    return result;
  }
  std::string result(H5Tget_size(type) + 1, '\0');
  H5Tset_size(memory, result.size());
  if (H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, result.data()) < 0) return "";
  return result.c_str();
}

std::vector<double> read_numbers(hid_t group,
                                 const char* const (&names)[2],
                                 const std::string& place) {
  for (const char* name : names) {
    const Hdf5Handle dataset = open_dataset(group, name);
    if (!dataset.valid()) continue;
    const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
    std::vector<double> numbers(
        static_cast<std::size_t>(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space))));
    if (!numbers.empty() &&
        H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()) < 0)
      throw io_error(fmt::format("{}: {} cannot be read: {}", place, name, hdf5_reason()));
    return numbers;
  }
  return {};
}

void check(bool success, const std::string& place) {
  if (success) return;
  throw io_error(fmt::format("{}: cannot be written: {}", place, hdf5_reason()),
                 "check the free space and the permissions of its folder");
}

void write_text(hid_t group, const char* name, const std::string& text, const std::string& place) {
  const hsize_t one = 1;
  const Hdf5Handle space(H5Screate_simple(1, &one, nullptr), H5Sclose);
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  Hdf5Handle dataset(H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                     H5Dclose);
  const char* value = text.c_str();
  check(dataset.valid() && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0 &&
            dataset.close(),
        place);
}

void write_numbers(hid_t group,
                   const char* name,
                   const std::vector<double>& numbers,
                   const std::string& place) {
  constexpr hsize_t kChunk = 1 << 17, kSmall = 1000;
  constexpr unsigned kDeflateLevel = 4;
  const hsize_t count = numbers.size();
  const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (count > kSmall) {
    const hsize_t chunk = std::min(count, kChunk);
    H5Pset_chunk(properties, 1, &chunk);
    H5Pset_deflate(properties, kDeflateLevel);
  }
  Hdf5Handle dataset(
      H5Dcreate2(group, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, properties, H5P_DEFAULT),
      H5Dclose);
  check(dataset.valid() &&
            (numbers.empty() ||
             H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data()) >=
                 0) &&
            dataset.close(),
        place);
}

}  // namespace

std::vector<ItkTransformRecord> read_text_records(const std::string& file) {
  std::istringstream stream(read_file(file));
  std::vector<ItkTransformRecord> records;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (number == 1 && !line.starts_with("#Insight Transform File")) {
      throw data_error(
          fmt::format("{}: expected the first line '{}', got '{:.40}'", file, kTextHeader, line),
          line.starts_with("(") ? "of elastix: transformix -def all writes it as an image" : "");
    }
    const auto colon = line.find(':');
    if (line.starts_with('#') || colon == std::string::npos) continue;
    const std::string key = line.substr(0, colon), value = line.substr(colon + 1);
    if (key == "Transform") {
      std::istringstream words(value);
      words >> records.emplace_back().type;
    } else if (records.empty()) {
      throw data_error(fmt::format("{}:{}: expected 'Transform:' before '{}:'", file, number, key));
    } else if (key == "Parameters") {
      records.back().parameters = numbers_in(value, file, number);
    } else if (key == "FixedParameters") {
      records.back().fixed_parameters = numbers_in(value, file, number);
    }
  }
  return records;
}

void write_text_records(const std::string& file, const std::vector<ItkTransformRecord>& records) {
  std::string text = std::string(kTextHeader) + "\n";
  for (std::size_t i = 0; i < records.size(); ++i) {
    text += fmt::format("#Transform {}\nTransform: {}\n", i, records[i].type);
    // A composite transform has no numbers of its own.
    if (records[i].type.starts_with("CompositeTransform")) continue;
    text += line_of("Parameters:", records[i].parameters) +
            line_of("FixedParameters:", records[i].fixed_parameters);
  }
  write_file_atomically(file, text);
}

std::vector<ItkTransformRecord> read_hdf5_records(const std::string& file) {
  const Hdf5Lock lock;
  const Hdf5Handle handle = open_hdf5_file(file);
  std::vector<ItkTransformRecord> records;
  if (H5Lexists(handle, kGroup, H5P_DEFAULT) <= 0) {
    throw data_error(fmt::format("{}: expected a transform in the group {}, got {}",
                                 file,
                                 kGroup,
                                 dataset_names(list_datasets(handle))));
  }
  for (int i = 0;; ++i) {
    const std::string name = fmt::format("{}/{}", kGroup, i);
    if (H5Lexists(handle, name.c_str(), H5P_DEFAULT) <= 0) return records;
    const Hdf5Handle group(H5Gopen2(handle, name.c_str(), H5P_DEFAULT), H5Gclose);
    const Hdf5Handle type = open_dataset(group, "TransformType");
    if (!type.valid())
      throw data_error(fmt::format("{}: expected a TransformType in {}", file, name));
    records.push_back({read_text(type),
                       read_numbers(group, kParameterNames, file),
                       read_numbers(group, kFixedNames, file)});
  }
}

void write_hdf5_records(const std::string& file, const std::vector<ItkTransformRecord>& records) {
  const Hdf5Lock lock;
  AtomicFile target(file);
  Hdf5Handle handle(H5Fcreate(target.temporary().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                    H5Fclose);
  check(handle.valid(), file);
  {
    const Hdf5Handle root(H5Gcreate2(handle, kGroup, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                          H5Gclose);
    check(root.valid(), file);
    for (std::size_t i = 0; i < records.size(); ++i) {
      const Hdf5Handle group(
          H5Gcreate2(root, std::to_string(i).c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
          H5Gclose);
      check(group.valid(), file);
      write_text(group, "TransformType", records[i].type, file);
      if (records[i].type.starts_with("CompositeTransform")) continue;
      write_numbers(group, kFixedNames[0], records[i].fixed_parameters, file);
      write_numbers(group, kParameterNames[0], records[i].parameters, file);
    }
  }
  check(handle.close(), file);
  target.commit();
}

}  // namespace triptych
