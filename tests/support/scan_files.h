// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <hdf5.h>

namespace triptych::testing {

/// An HDF5 file as another program writes it: contiguous datasets, attributes of text.
class ScanFile {
 public:
  explicit ScanFile(const std::string& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}
  ~ScanFile() { H5Fclose(file_); }
  ScanFile(const ScanFile&) = delete;
  ScanFile& operator=(const ScanFile&) = delete;

  /// float32, or uint16 for integer tensors, or float64 for double ones; groups are made.
  void dataset(const std::string& path, const at::Tensor& values) {
    const at::Tensor numbers = values.to(at::kDouble).contiguous();
    const std::vector<hsize_t> shape(numbers.sizes().begin(), numbers.sizes().end());
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t type = values.scalar_type() == at::kDouble        ? H5T_IEEE_F64LE
                       : at::isFloatingType(values.scalar_type()) ? H5T_IEEE_F32LE
                                                                  : H5T_STD_U16LE;
    const hid_t dataset =
        H5Dcreate2(file_, path.c_str(), type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.data_ptr());
    H5Dclose(dataset);
    H5Pclose(links);
    H5Sclose(space);
  }

  /// Text of variable length, on a dataset or a group.
  void attribute(const std::string& path, const char* name, const char* text) {
    const hid_t object = H5Oopen(file_, path.c_str(), H5P_DEFAULT);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, &text);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(object);
  }

 private:
  hid_t file_;
};

}  // namespace triptych::testing
