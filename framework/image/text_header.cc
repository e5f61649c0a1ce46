// SPDX-License-Identifier: Apache-2.0
// MetaImage and NRRD: headers of text lines, voxels in the same file or one beside it.
#include "framework/core/error.h"
#include "framework/image/stored_voxels.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

using Fields = std::map<std::string, std::string>;

/// The fields of a header, keys in lower case, and the position after it.
struct TextHeader {
  Fields fields;
  std::int64_t end = 0;

  std::string get(const std::string& key, const std::string& otherwise = "") const {
    const auto found = fields.find(key);
    return found == fields.end() ? otherwise : found->second;
  }
  bool has(const std::string& key) const { return fields.count(key) > 0; }
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::string lower_case(std::string text) {
  std::transform(
      text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::vector<std::int64_t> integers(const std::string& text) {
  std::vector<std::int64_t> result;
  for (const std::string& word : words(text)) {
    std::int64_t value = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (code != std::errc{} || end != word.data() + word.size()) return {};
    result.push_back(value);
  }
  return result;
}

std::int64_t integer(const std::string& text, std::int64_t otherwise) {
  const auto values = integers(text);
  return values.size() == 1 ? values[0] : otherwise;
}

constexpr int kLongestHeader = 100000;  // lines; protects against binary files under a wrong name

/// MetaImage: `Key = Value` lines, the last one names the data.
TextHeader read_meta_header(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  TextHeader header;
  std::string line;
  for (int count = 0; count < kLongestHeader && std::getline(stream, line); ++count) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = lower_case(trimmed(line.substr(0, equals)));
    header.fields[key] = trimmed(line.substr(equals + 1));
    if (key == "elementdatafile") {
      header.end = static_cast<std::int64_t>(stream.tellg());
      return header;
    }
  }
  throw io_error(fmt::format(
      "{}: not a MetaImage or truncated, expected a line 'ElementDataFile = ...'", file.string()));
}

/// NRRD: `key: value` and `key:=value` lines up to an empty one (or the end of a detached header).
TextHeader read_nrrd_header(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  TextHeader header;
  std::string line;
  if (!std::getline(stream, line) || !line.starts_with("NRRD")) {
    throw io_error(
        fmt::format("{}: not an NRRD file, expected a first line 'NRRD...'", file.string()));
  }
  for (int count = 0; count < kLongestHeader && std::getline(stream, line); ++count) {
    if (trimmed(line).empty()) {
      header.end = static_cast<std::int64_t>(stream.tellg());
      return header;
    }
    const auto colon = line.find(':');
    if (line[0] == '#' || colon == std::string::npos) continue;
    const bool pair = colon + 1 < line.size() && line[colon + 1] == '=';
    header.fields[lower_case(trimmed(line.substr(0, colon)))] =
        trimmed(line.substr(colon + (pair ? 2 : 1)));
  }
  const bool detached = header.has("data file") || header.has("datafile");
  if (!detached) {
    throw io_error(
        fmt::format("{}: truncated, expected an empty line after the NRRD header", file.string()));
  }
  return header;
}

std::optional<VoxelType> find_type(const std::map<std::string, VoxelType>& table,
                                   const std::string& name) {
  const auto found = table.find(name);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

std::optional<VoxelType> meta_type(const std::string& name) {
  // MET_LONG has 4 bytes in the format and 8 in some writers: left to ITK.
  static const std::map<std::string, VoxelType> table{{"MET_CHAR", VoxelType::kInt8},
                                                      {"MET_UCHAR", VoxelType::kUInt8},
                                                      {"MET_SHORT", VoxelType::kInt16},
                                                      {"MET_USHORT", VoxelType::kUInt16},
                                                      {"MET_INT", VoxelType::kInt32},
                                                      {"MET_UINT", VoxelType::kUInt32},
                                                      {"MET_LONG_LONG", VoxelType::kInt64},
                                                      {"MET_ULONG_LONG", VoxelType::kUInt64},
                                                      {"MET_FLOAT", VoxelType::kFloat32},
                                                      {"MET_DOUBLE", VoxelType::kFloat64}};
  return find_type(table, name);
}

std::optional<VoxelType> nrrd_type(const std::string& name) {
  // The names of the NRRD format definition, section 4.
  static const std::map<std::string, VoxelType> table = [] {
    std::map<std::string, VoxelType> result{{"float", VoxelType::kFloat32},
                                            {"double", VoxelType::kFloat64}};
    const auto add = [&](VoxelType type, std::initializer_list<const char*> names) {
      for (const char* each : names) result[each] = type;
    };
    add(VoxelType::kInt8, {"signed char", "int8", "int8_t"});
    add(VoxelType::kUInt8, {"uchar", "unsigned char", "uint8", "uint8_t"});
    add(VoxelType::kInt16,
        {"short", "short int", "signed short", "signed short int", "int16", "int16_t"});
    add(VoxelType::kUInt16,
        {"ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"});
    add(VoxelType::kInt32, {"int", "signed int", "int32", "int32_t"});
    add(VoxelType::kUInt32, {"uint", "unsigned int", "uint32", "uint32_t"});
    add(VoxelType::kInt64,
        {"longlong", "long long", "long long int", "signed long long", "int64", "int64_t"});
    add(VoxelType::kUInt64,
        {"ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"});
    return result;
  }();
  return find_type(table, name);
}

bool opposite_order(bool file_is_big_endian) {
  return file_is_big_endian != (std::endian::native == std::endian::big);
}

/// Throws io_error unless `key` states the sizes of all axes, each at least one voxel.
void check_sizes(const fs::path& file, const TextHeader& header, const char* key) {
  const std::vector<std::int64_t> sizes = integers(header.get(key));
  if (!sizes.empty() && std::all_of(sizes.begin(), sizes.end(), [](auto size) { return size > 0; }))
    return;
  throw io_error(
      fmt::format("{}: damaged header, expected sizes of at least one voxel along each axis, got "
                  "'{}: {}'",
                  file.string(),
                  key,
                  header.get(key)));
}

/// Throws geometry_error where a field that tells the place of the image is no list of numbers.
void check_place(const fs::path& file, const TextHeader& header) {
  for (const char* key : {"offset",
                          "position",
                          "origin",
                          "transformmatrix",
                          "rotation",
                          "orientation",
                          "elementspacing",
                          "elementsize"}) {
    for (const std::string& word : words(header.get(key))) {
      char* end = nullptr;
      const double value = std::strtod(word.c_str(), &end);
      if (*end == '\0' && std::isfinite(value)) continue;
      throw geometry_error(fmt::format("{}: damaged header, expected finite numbers, got '{}: {}'",
                                       file.string(),
                                       key,
                                       header.get(key)));
    }
  }
}

/// Sizes from the fastest axis on; up to three of space, then at most one of channels.
bool set_shape(StoredVoxels& stored, std::vector<std::int64_t> sizes) {
  while (sizes.size() < 3) sizes.push_back(1);
  if (sizes.size() > 4 ||
      std::any_of(sizes.begin(), sizes.end(), [](auto size) { return size < 1; }))
    return false;
  if (sizes.size() == 4) {
    if (stored.channels > 1) return false;
    stored.channels = sizes[3];
    stored.planar = true;
  }
  stored.shape = {sizes[2], sizes[1], sizes[0]};
  return true;
}

bool says_true(const std::string& text) { return lower_case(text).starts_with("t") || text == "1"; }

/// A kind that is no position in space or time (NRRD format definition, section 5).
bool is_channel_kind(const std::string& kind) {
  return !(kind.empty() || kind == "domain" || kind == "space" || kind == "time" ||
           kind == "none" || kind == "???");
}

/// Takes the channel axis out of `sizes`; false when it lies between axes of space.
bool set_channels(StoredVoxels& stored,
                  std::vector<std::int64_t>& sizes,
                  const std::vector<std::string>& kinds) {
  if (kinds.size() != sizes.size()) return kinds.empty();
  const auto count = std::count_if(kinds.begin(), kinds.end(), is_channel_kind);
  if (count == 0) return true;
  if (count > 1 || sizes.size() < 2) return false;
  if (is_channel_kind(kinds.front())) {
    stored.channels = sizes.front();
    sizes.erase(sizes.begin());
  } else if (is_channel_kind(kinds.back())) {
    stored.channels = sizes.back();
    stored.planar = true;
    sizes.pop_back();
  } else {
    return false;
  }
  return true;
}

std::optional<StoredVoxels> nrrd_voxels(const fs::path& file, const TextHeader& header) {
  StoredVoxels stored;
  stored.header_file = file;
  const std::string data_name = header.get("data file", header.get("datafile"));
  const bool many_files = data_name.find('%') != std::string::npos || data_name.starts_with("LIST");
  const auto type = nrrd_type(header.get("type"));
  const std::string encoding = header.get("encoding", "raw");
  const bool deflate = encoding == "gzip" || encoding == "gz";
  if (many_files || !type || (!deflate && encoding != "raw") ||
      integer(header.get("line skip"), 0) != 0)
    return std::nullopt;
  stored.type = *type;
  stored.swapped = bytes_of(*type) > 1 && opposite_order(header.get("endian") == "big");
  stored.coding = deflate ? Coding::kDeflate : Coding::kRaw;
  stored.file = data_name.empty() ? file : file.parent_path() / data_name;
  stored.offset = data_name.empty() ? header.end : 0;
  auto sizes = integers(header.get("sizes"));
  if (!set_channels(stored, sizes, words(header.get("kinds"))) || !set_shape(stored, sizes))
    return std::nullopt;
  const std::int64_t skip = integer(header.get("byte skip", header.get("byteskip")), 0);
  if (skip < -1 || (skip == -1 && deflate)) return std::nullopt;
  if (skip == -1 && fs::exists(stored.file)) {  // the data end with the file
    stored.offset = static_cast<std::int64_t>(fs::file_size(stored.file)) - stored.bytes();
  } else if (skip > 0) {
    (deflate ? stored.lead : stored.offset) += skip;
  }
  return stored;
}

std::optional<StoredVoxels> meta_voxels(const fs::path& file, const TextHeader& header) {
  StoredVoxels stored;
  stored.header_file = file;
  const std::string data_name = header.get("elementdatafile");
  const bool local = lower_case(data_name) == "local";
  const bool many_files = data_name.find('%') != std::string::npos || data_name.starts_with("LIST");
  const auto type = meta_type(header.get("elementtype"));
  if (many_files || !type || !says_true(header.get("binarydata", "True"))) return std::nullopt;
  stored.type = *type;
  const std::string order =
      header.get("binarydatabyteordermsb", header.get("elementbyteordermsb", "False"));
  stored.swapped = bytes_of(*type) > 1 && opposite_order(says_true(order));
  stored.coding =
      says_true(header.get("compresseddata", "False")) ? Coding::kDeflate : Coding::kRaw;
  stored.compressed_bytes = integer(header.get("compresseddatasize"), 0);
  stored.file = local ? file : file.parent_path() / data_name;
  stored.offset = local ? header.end : 0;
  stored.channels = integer(header.get("elementnumberofchannels"), 1);
  if (!set_shape(stored, integers(header.get("dimsize")))) return std::nullopt;
  const std::int64_t header_size = integer(header.get("headersize"), 0);
  if (header_size > 0) stored.offset = header_size;
  if (header_size == -1 && fs::exists(stored.file)) {  // the data end with the file
    stored.offset = static_cast<std::int64_t>(fs::file_size(stored.file)) - stored.bytes();
  }
  return stored;
}

}  // namespace

HeaderFacts metaimage_facts(const fs::path& file) {
  const TextHeader header = read_meta_header(file);
  check_sizes(file, header, "dimsize");
  check_place(file, header);
  const bool stated = header.has("elementspacing") || header.has("elementsize");
  return {stated && header.get(kSpacingKey) != kSpacingUnknown, meta_voxels(file, header)};
}

HeaderFacts nrrd_facts(const fs::path& file) {
  const TextHeader header = read_nrrd_header(file);
  check_sizes(file, header, "sizes");
  const bool stated = header.has("spacings") || header.has("space directions");
  return {stated && header.get(kSpacingKey) != kSpacingUnknown, nrrd_voxels(file, header)};
}

}  // namespace triptych
