// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/transform_io.h"

#include <string>
#include <vector>

namespace triptych {

/// A transform as ITK's files hold it: the name of its class with precision and dimensions, such as
/// "AffineTransform_double_3_3", and two lists of numbers.
struct ItkTransformRecord {
  std::string type;
  std::vector<double> parameters;
  std::vector<double> fixed_parameters;
};

/// The records of a file (a composite transform first names itself) as a chain. `place` is the
/// file, for messages.
SpatialTransform transform_of(const std::vector<ItkTransformRecord>& records,
                              const std::string& place);

/// What transform_of reads.
std::vector<ItkTransformRecord> records_of(const SpatialTransform& transform,
                                           TransformSpace space = TransformSpace::kVolume);

std::vector<ItkTransformRecord> read_text_records(const std::string& file);
void write_text_records(const std::string& file, const std::vector<ItkTransformRecord>& records);
std::vector<ItkTransformRecord> read_hdf5_records(const std::string& file);
void write_hdf5_records(const std::string& file, const std::vector<ItkTransformRecord>& records);

}  // namespace triptych
