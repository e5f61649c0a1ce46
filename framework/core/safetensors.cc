// SPDX-License-Identifier: Apache-2.0
#include "framework/core/safetensors.h"

#include "framework/core/error.h"
#include "framework/core/file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

namespace triptych {
namespace {

struct TypeName {
  at::ScalarType type;
  const char* name;
};
constexpr TypeName kTypes[] = {{at::kFloat, "F32"},
                               {at::kDouble, "F64"},
                               {at::kHalf, "F16"},
                               {at::kBFloat16, "BF16"},
                               {at::kLong, "I64"},
                               {at::kInt, "I32"},
                               {at::kShort, "I16"},
                               {at::kChar, "I8"},
                               {at::kByte, "U8"},
                               {at::kBool, "BOOL"}};
constexpr std::uint64_t kMaxHeader = 100'000'000;

const char* type_name(at::ScalarType type, const std::string& tensor) {
  for (const TypeName& entry : kTypes) {
    if (entry.type == type) return entry.name;
  }
  throw io_error(fmt::format("safetensors: tensor '{}' has a type the format lacks", tensor));
}

struct Entry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// Refuses duplicate keys, which nlohmann::json would silently merge.
nlohmann::json parse_header(const std::string& text, const std::string& place) {
  std::vector<std::set<std::string>> open;
  bool duplicate = false;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) open.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) open.pop_back();
    if (event == nlohmann::json::parse_event_t::key &&
        !open.back().insert(parsed.get<std::string>()).second) {
      duplicate = true;
    }
    return true;
  };
  nlohmann::json header = nlohmann::json::parse(text, watch, false);
  if (header.is_discarded() || !header.is_object())
    throw io_error(place + ": the header is no JSON object");
  if (duplicate) throw io_error(place + ": a name occurs twice in the header");
  return header;
}

Entry parse_entry(const std::string& name, const nlohmann::json& value, const std::string& place) {
  const auto broken = [&](const char* what) {
    return io_error(fmt::format("{}: tensor '{}': {}", place, name, what));
  };
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets") || !value["dtype"].is_string() ||
      !value["shape"].is_array() || !value["data_offsets"].is_array() ||
      value["data_offsets"].size() != 2) {
    throw broken("dtype, shape or data_offsets is missing or malformed");
  }
  Entry entry;
  entry.name = name;
  const auto dtype = value["dtype"].get<std::string>();
  const auto* known = std::find_if(
      std::begin(kTypes), std::end(kTypes), [&](const TypeName& t) { return dtype == t.name; });
  if (known == std::end(kTypes)) throw broken("unknown dtype");
  entry.type = known->type;
  std::uint64_t bytes = c10::elementSize(entry.type);
  for (const auto& size : value["shape"]) {
    if (!size.is_number_unsigned()) throw broken("malformed shape");
    const auto length = size.get<std::uint64_t>();
    if (length != 0 && bytes > (std::uint64_t{1} << 60) / length) throw broken("shape too large");
    bytes *= length;
    entry.shape.push_back(static_cast<std::int64_t>(length));
  }
  for (const auto& offset : value["data_offsets"]) {
    if (!offset.is_number_unsigned()) throw broken("malformed data_offsets");
  }
  entry.begin = value["data_offsets"][0].get<std::uint64_t>();
  entry.end = value["data_offsets"][1].get<std::uint64_t>();
  if (entry.end < entry.begin || entry.end - entry.begin != bytes)
    throw broken("data_offsets do not fit the shape");
  return entry;
}

}  // namespace

at::Tensor SafeTensors::find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  return {};
}

void write_safetensors(const std::filesystem::path& path,
                       const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  std::vector<at::Tensor> contiguous;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name))
      throw io_error(fmt::format("safetensors: name '{}' occurs twice", name));
    contiguous.push_back(tensor.detach().to(at::kCPU).contiguous());
    const std::uint64_t bytes = contiguous.back().nbytes();
    header[name] = {{"dtype", type_name(tensor.scalar_type(), name)},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.empty() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  std::string bytes;
  bytes.reserve(8 + text.size() + offset);
  const std::uint64_t size = text.size();
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(size >> (8 * i)));
  bytes += text;
  for (const at::Tensor& tensor : contiguous) {
    bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  write_file_atomically(path, bytes);
}

SafeTensors read_safetensors(const std::filesystem::path& path) {
  const std::string place = path.string();
  const std::string bytes = read_file(path);
  if (bytes.size() < 8)
    throw io_error(place + ": truncated, a safetensors file has at least 8 bytes");
  std::uint64_t header_size = 0;
  for (int i = 0; i < 8; ++i)
    header_size |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  if (header_size > kMaxHeader || header_size > bytes.size() - 8) {
    throw io_error(fmt::format("{}: header of {} bytes does not fit the file of {} bytes",
                               place,
                               header_size,
                               bytes.size()),
                   "the file is truncated or no safetensors file");
  }
  const nlohmann::json header = parse_header(bytes.substr(8, header_size), place);

  SafeTensors result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) throw io_error(place + ": __metadata__ is no object");
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string())
          throw io_error(place + ": __metadata__ holds something else than text");
        result.metadata[key] = text.get<std::string>();
      }
      continue;
    }
    entries.push_back(parse_entry(name, value, place));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  const char* data = bytes.data() + 8 + header_size;
  const std::uint64_t data_size = bytes.size() - 8 - header_size;
  std::uint64_t expected = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != expected || entry.end > data_size) {
      throw io_error(
          fmt::format(
              "{}: tensor '{}' lies outside the file or overlaps another", place, entry.name),
          "the file is truncated or damaged");
    }
    expected = entry.end;
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(entry.type));
    if (tensor.nbytes() > 0) std::memcpy(tensor.data_ptr(), data + entry.begin, tensor.nbytes());
    result.tensors.emplace_back(entry.name, std::move(tensor));
  }
  if (expected != data_size)
    throw io_error(place + ": bytes follow the last tensor", "the file is damaged");
  return result;
}

}  // namespace triptych
