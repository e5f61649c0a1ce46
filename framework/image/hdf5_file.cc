// SPDX-License-Identifier: Apache-2.0
#include "framework/image/hdf5_file.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <fmt/core.h>

namespace triptych {
namespace {

// A file that could not be closed, since the disk is full, stays open in the library, whose
// clean-up at exit then crashes. Handles close everything else. It has to be said before the
// library's first use.
[[maybe_unused]] const herr_t kNoCleanUpAtExit = H5dont_atexit();

std::recursive_mutex& hdf5_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

herr_t keep_first(unsigned /*depth*/, const H5E_error2_t* entry, void* text) {
  auto& reason = *static_cast<std::string*>(text);
  if (reason.empty() && entry->desc != nullptr) reason = entry->desc;
  return 0;
}

herr_t collect(hid_t root, const char* name, const H5O_info_t* info, void* into) {
  if (info->type != H5O_TYPE_DATASET) return 0;
  auto& found = *static_cast<std::vector<Hdf5Dataset>*>(into);
  const Hdf5Handle dataset(H5Dopen2(root, name, H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) return 0;
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  Hdf5Dataset entry;
  entry.path = std::string("/") + name;
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> sizes(std::max(rank, 0));
  if (rank > 0) H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  entry.shape.assign(sizes.begin(), sizes.end());
  const H5T_class_t kind = H5Tget_class(type);
  entry.numeric = kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
  found.push_back(entry);
  return 0;
}

void check_attribute(bool success, const char* name) {
  if (!success)
    throw io_error(fmt::format("attribute {}: cannot be written: {}", name, hdf5_reason()));
}

}  // namespace

Hdf5Lock::Hdf5Lock() : lock_(hdf5_mutex()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Hdf5Handle open_hdf5_file(const std::filesystem::path& file) {
  Hdf5Handle handle(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (handle.valid()) return handle;
  std::error_code unknown;
  if (!std::filesystem::exists(file, unknown))
    throw io_error(fmt::format("{}: no such file", file.string()));
  throw io_error(fmt::format("{}: cannot be read as HDF5: {}", file.string(), hdf5_reason()),
                 "the file may be truncated, still be written, or have the wrong extension");
}

std::string hdf5_reason() {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  // Failed writes are described with addresses and times over several lines; the system's own words
  // suffice.
  const std::string mark = "error message = '";
  if (const auto start = reason.find(mark); start != std::string::npos) {
    const auto from = start + mark.size();
    return reason.substr(from, reason.find('\'', from) - from);
  }
  reason = reason.substr(0, reason.find('\n'));
  return reason.empty() ? "unknown reason" : reason;
}

std::vector<Hdf5Dataset> list_datasets(hid_t file) {
  std::vector<Hdf5Dataset> found;
  H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, collect, &found);
  return found;
}

std::string dataset_names(const std::vector<Hdf5Dataset>& datasets) {
  std::vector<std::string> names;
  for (const Hdf5Dataset& dataset : datasets) {
    std::vector<std::string> sizes;
    for (const auto size : dataset.shape) sizes.push_back(std::to_string(size));
    names.push_back(fmt::format("{} [{}]", dataset.path, join(sizes, ", ", "")));
  }
  return join(names);
}

std::vector<double> read_attribute(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return {};
  const Hdf5Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  const Hdf5Handle space(H5Aget_space(attribute), H5Sclose);
  const Hdf5Handle type(H5Aget_type(attribute), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || count < 1) return {};
  std::vector<double> values(count);
  return H5Aread(attribute, H5T_NATIVE_DOUBLE, values.data()) >= 0 ? values : std::vector<double>{};
}

std::string read_text_attribute(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return "";
  const Hdf5Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  const Hdf5Handle type(H5Aget_type(attribute), H5Tclose);
  const Hdf5Handle space(H5Aget_space(attribute), H5Sclose);
  if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) return "";
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    if (H5Aread(attribute, type, &text) < 0 || text == nullptr) return "";
    std::string copy = text;
    H5free_memory(text);
    return copy;
  }
  std::string text(H5Tget_size(type), '\0');
  if (H5Aread(attribute, type, text.data()) < 0) return "";
  return text.substr(0, text.find_last_not_of(std::string("\0 ", 2)) + 1);
}

void write_attribute(hid_t object,
                     const char* name,
                     const std::vector<double>& values,
                     const std::vector<hsize_t>& shape) {
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                         H5Sclose);
  const Hdf5Handle attribute(
      H5Acreate2(object, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  check_attribute(attribute.valid() && H5Awrite(attribute, H5T_NATIVE_DOUBLE, values.data()) >= 0,
                  name);
}

void write_attribute(hid_t object, const char* name, const std::string& text) {
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, text.size());
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  check_attribute(attribute.valid() && H5Awrite(attribute, type, text.c_str()) >= 0, name);
}

}  // namespace triptych
