// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"
#include "framework/ops/scan_geometry.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// What the numbers of an entry mean; transforms and test-time augmentation act by kind.
enum class EntryKind {
  kIntensity,    ///< [C, D, H, W] float32; linear interpolation
  kLabel,        ///< [1, D, H, W] int64 class indices; nearest neighbour
  kVectorField,  ///< [3, D, H, W] float32; components x, y, z in mm (LPS); linear, and the vectors
                 ///< turn with the frame
  kPoints,       ///< [P, 3] float64; x, y, z in mm (LPS)
  kProjections,  ///< [C, rows, angles, columns] float32 with a ScanGeometry; spatial transforms
                 ///< refuse it
};
std::string kind_text(EntryKind kind);

/// One named piece of a sample.
///
/// `frame` names the physical space the entry lies in: entries of one frame move together under a
/// spatial transform, the frames of a fixed and a moving image may move apart. A displacement field
/// belongs to two: it lies on a grid in `frame` and its vectors lead to `target_frame`.
struct Entry {
  EntryKind kind = EntryKind::kIntensity;
  at::Tensor data;
  Geometry geometry;  ///< grid of the data; of points: the grid they were marked on; of
                      ///< projections: to reconstruct on
  std::string modality;
  std::string frame = "world";
  std::string target_frame;
  std::shared_ptr<const ScanGeometry> scan;  ///< projections only
};

/// Parameters that a random transform drew: text and numbers only, so that they can be logged and
/// replayed.
using TransformParameters = std::map<std::string, std::vector<double>>;

/// One training or prediction item: named entries (`image`, `label`, `clean`, `fixed`, `moving`,
/// `landmarks`, ...). A missing target is absent, never zero.
struct Sample {
  std::string id;
  std::string reference;  ///< the entry whose grid an item's region and the sizes in transforms are
                          ///< meant in; may be ""
  std::map<std::string, Entry> entries;
  std::vector<std::pair<std::string, TransformParameters>>
      history;  ///< transforms applied, in order

  const Entry* find(const std::string& name) const;
  /// Throws data_error naming the sample and the entries it has.
  const Entry& at(const std::string& name) const;
  Entry& at(const std::string& name);
};

/// Cuts or permutes an entry so that axis `axis` (0 = D, 1 = H, 2 = W) becomes the slicing axis D:
/// axis 0 keeps [D, H, W], axis 1 gives [H, D, W], axis 2 gives [W, D, H]. Geometry follows;
/// vectors and points are in world coordinates and stay.
Entry sliced_along(const Entry& entry, int axis);
/// The geometry of a grid whose axes are reordered as sliced_along does.
Geometry sliced_along(const Geometry& geometry, int axis);
/// The detector rows of projections that a region's D axis names. A parallel beam's rows [C, rows,
/// ...] belong to the D slices of the grid to reconstruct on one by one; other beams and other row
/// counts stay whole.
Entry detector_rows(const Entry& projections, const Region& region);
/// Tensor axis order of the three slicing axes: out axis i is in axis kSliceOrder[axis][i].
inline constexpr int kSliceOrder[3][3] = {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}};

}  // namespace triptych
