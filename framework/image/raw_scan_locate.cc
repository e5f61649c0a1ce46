// SPDX-License-Identifier: Apache-2.0
// Which datasets of an HDF5 file are the scan: Data Exchange (De Carlo et al. 2014, J. Synchrotron
// Rad. 21:1224), NeXus NXtomo, or /tomo, /flat and /dark.
#include "framework/core/error.h"
#include "framework/image/hdf5_file.h"
#include "framework/image/raw_scan_format.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

namespace triptych {
namespace {

bool has_dataset(const std::vector<Hdf5Dataset>& all, const std::string& path) {
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.path == path; });
}

/// `path`, or "" when the file has no such dataset.
std::string if_there(const std::vector<Hdf5Dataset>& all, const std::string& path) {
  return has_dataset(all, path) ? path : "";
}

ScanDatasets data_exchange(const std::vector<Hdf5Dataset>& all) {
  return {if_there(all, "/exchange/data"),
          if_there(all, "/exchange/data_white"),
          if_there(all, "/exchange/data_dark"),
          if_there(all, "/exchange/theta"),
          "",
          if_there(all, "/measurement/instrument/detector/actual_pixel_size_x")};
}

ScanDatasets plain(const std::vector<Hdf5Dataset>& all) {
  return {if_there(all, "/tomo"),
          if_there(all, "/flat"),
          if_there(all, "/dark"),
          if_there(all, "/theta"),
          "",
          ""};
}

herr_t collect_class(hid_t root, const char* name, const H5O_info_t* info, void* into) {
  if (info->type != H5O_TYPE_GROUP) return 0;
  const Hdf5Handle group(H5Oopen(root, name, H5P_DEFAULT), H5Oclose);
  const std::string kind = read_text_attribute(group, "NX_class");
  auto& classes = *static_cast<std::map<std::string, std::string>*>(into);
  if (!kind.empty()) classes[std::string("/") + name] = kind;
  return 0;
}

/// The first entry whose detector has an image_key; groups are found by their NX_class.
ScanDatasets nexus_tomo(hid_t file, const std::vector<Hdf5Dataset>& all) {
  std::map<std::string, std::string> classes;
  H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, collect_class, &classes);
  for (const auto& [entry, entry_class] : classes) {
    if (entry_class != "NXentry") continue;
    ScanDatasets found;
    for (const auto& [group, group_class] : classes) {
      if (!group.starts_with(entry + "/")) continue;
      if (group_class == "NXdetector" && found.data.empty() &&
          has_dataset(all, group + "/image_key")) {
        found.data = if_there(all, group + "/data");
        found.image_key = group + "/image_key";
        found.pixel_size = if_there(all, group + "/x_pixel_size");
      }
      if (group_class == "NXsample" && found.angles.empty())
        found.angles = if_there(all, group + "/rotation_angle");
    }
    if (!found.data.empty()) return found;
  }
  return {};
}

void replace_named(ScanDatasets& found,
                   const ScanDatasets& own,
                   const std::vector<Hdf5Dataset>& all,
                   const std::string& place) {
  const auto replace = [&](std::string& path, const std::string& wanted, const char* key) {
    if (wanted.empty()) return;
    path = wanted.starts_with('/') ? wanted : "/" + wanted;
    if (has_dataset(all, path)) return;
    throw io_error(fmt::format("{}: datasets.{}: no dataset '{}', expected one of {}",
                               place,
                               key,
                               path,
                               dataset_names(all)));
  };
  replace(found.data, own.data, "data");
  replace(found.flats, own.flats, "flats");
  replace(found.darks, own.darks, "darks");
  replace(found.angles, own.angles, "angles");
  replace(found.image_key, own.image_key, "image_key");
  replace(found.pixel_size, own.pixel_size, "pixel_size");
}

}  // namespace

LocatedScan locate_scan(std::int64_t file,
                        const std::string& place,
                        const RawScanOptions& options) {
  const std::vector<Hdf5Dataset> all = list_datasets(file);
  LocatedScan located{options.format, {}};
  const auto wants = [&](const char* format) {
    return located.datasets.data.empty() && (options.format == "auto" || options.format == format);
  };
  const auto take = [&](const char* format, const ScanDatasets& datasets) {
    located.datasets = datasets;
    if (!datasets.data.empty()) located.format = format;
  };
  if (wants("dxchange")) take("dxchange", data_exchange(all));
  if (wants("nxtomo")) take("nxtomo", nexus_tomo(file, all));
  if (wants("plain")) take("plain", plain(all));
  replace_named(located.datasets, options.datasets, all, place);
  if (located.format == "auto") located.format = "HDF5";
  if (!located.datasets.data.empty()) return located;
  throw io_error(
      fmt::format("{}: expected a scan ({}), got {}",
                  place,
                  options.format == "auto" ? "Data Exchange, NXtomo, or /tomo" : options.format,
                  dataset_names(all)),
      "name its datasets: datasets.data=/path datasets.flats=/path datasets.darks=/path");
}

}  // namespace triptych
