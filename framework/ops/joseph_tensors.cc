// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/joseph_tensors.h"

#include "framework/ops/scan_rays.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kValuesAtOnce = std::int64_t{1} << 24;

/// Rays that are sampled along the same axis.
struct RayList {
  bool along_rows;
  std::vector<std::int64_t> index;  ///< angle * columns + column
  std::vector<double> start, step, length_cm;
};

/// For n rays of m samples: which pixels of the padded, flat slice they mix, and how.
struct Samples {
  at::Tensor rays;      ///< int64 [n]
  at::Tensor low;       ///< int64 [n * m], of the nearer row or column
  at::Tensor high;      ///< of the next one
  at::Tensor rest;      ///< [n, m], weight of `low`
  at::Tensor fraction;  ///< [n, m], weight of `high`
};

RayList rays_along(bool along_rows,
                   const ScanGeometry& scan,
                   const SliceGrid& grid,
                   std::int64_t columns) {
  RayList list{along_rows, {}, {}, {}, {}};
  for (std::size_t a = 0; a < scan.angles_rad.size(); ++a) {
    const ScanView view(scan, grid, scan.angles_rad[a]);
    for (std::int64_t column = 0; column < columns; ++column) {
      const Ray ray = view.ray(static_cast<double>(column));
      if (ray.along_rows != along_rows) continue;
      list.index.push_back(static_cast<std::int64_t>(a) * columns + column);
      list.start.push_back(ray.start);
      list.step.push_back(ray.step);
      list.length_cm.push_back(ray.length_cm);
    }
  }
  return list;
}

template <class T>
at::Tensor part(std::vector<T>& values, std::int64_t first, std::int64_t count, at::Device device) {
  return at::from_blob(values.data() + first, {count}, c10::CppTypeToScalarType<T>::value)
      .clone()
      .to(device);
}

Samples sample(RayList& list,
               std::int64_t first,
               std::int64_t count,
               const SliceGrid& grid,
               const at::TensorOptions& options) {
  const at::Device device = options.device();
  const std::int64_t samples = list.along_rows ? grid.rows : grid.columns;
  const std::int64_t positions = list.along_rows ? grid.columns : grid.rows;
  const std::int64_t row_stride = grid.columns + 2;
  const std::int64_t sample_stride = list.along_rows ? row_stride : 1;
  const std::int64_t position_stride = list.along_rows ? 1 : row_stride;
  const at::Tensor i = at::arange(samples, at::TensorOptions(at::kDouble).device(device));
  const at::Tensor position = at::addcmul(part(list.start, first, count, device).unsqueeze(1),
                                          part(list.step, first, count, device).unsqueeze(1),
                                          i.unsqueeze(0));
  const at::Tensor floor = position.floor();
  const at::Tensor inside = floor.ge(-1).logical_and(floor.lt(positions));
  const at::Tensor length = part(list.length_cm, first, count, device).unsqueeze(1) * inside;
  const at::Tensor fraction = position - floor;
  Samples result;
  result.rays = part(list.index, first, count, device);
  result.low = ((floor.clamp(-1, positions - 1).to(at::kLong) + 1) * position_stride +
                (i.to(at::kLong) + 1).unsqueeze(0) * sample_stride)
                   .flatten();
  result.high = result.low + position_stride;
  result.rest = ((1.0 - fraction) * length).to(options.dtype());
  result.fraction = (fraction * length).to(options.dtype());
  return result;
}

/// Calls `body(samples)` on all rays, in parts that fit into memory.
template <class Body>
void for_all_rays(const ScanGeometry& scan,
                  const SliceGrid& grid,
                  std::int64_t columns,
                  std::int64_t slices,
                  const at::TensorOptions& options,
                  Body body) {
  for (const bool along_rows : {true, false}) {
    RayList list = rays_along(along_rows, scan, grid, columns);
    const auto rays = static_cast<std::int64_t>(list.index.size());
    const std::int64_t at_once = std::max<std::int64_t>(
        1, kValuesAtOnce / (std::max(grid.rows, grid.columns) * std::max<std::int64_t>(1, slices)));
    for (std::int64_t first = 0; first < rays; first += at_once)
      body(sample(list, first, std::min(at_once, rays - first), grid, options));
  }
}

}  // namespace

at::Tensor project_tensors(const at::Tensor& image,
                           const ScanGeometry& scan,
                           const SliceGrid& grid,
                           std::int64_t detector_columns) {
  const std::int64_t slices = image.size(0);
  const auto angles = static_cast<std::int64_t>(scan.angles_rad.size());
  const at::Tensor pixels = at::constant_pad_nd(image, {1, 1, 1, 1}).flatten(1);
  at::Tensor result = at::zeros({slices, angles * detector_columns}, image.options());
  for_all_rays(scan, grid, detector_columns, slices, image.options(), [&](const Samples& s) {
    const at::Tensor low = pixels.index_select(1, s.low).view({slices, -1, s.rest.size(1)});
    const at::Tensor high = pixels.index_select(1, s.high).view({slices, -1, s.rest.size(1)});
    result.index_copy_(1, s.rays, (low * s.rest + high * s.fraction).sum(-1));
  });
  return result.view({slices, angles, detector_columns});
}

at::Tensor back_project_tensors(const at::Tensor& projections,
                                const ScanGeometry& scan,
                                const SliceGrid& grid) {
  const std::int64_t slices = projections.size(0);
  const at::Tensor values = projections.flatten(1);
  at::Tensor pixels = at::zeros({slices, (grid.rows + 2) * (grid.columns + 2)}, values.options());
  for_all_rays(scan, grid, projections.size(2), slices, values.options(), [&](const Samples& s) {
    const at::Tensor value = values.index_select(1, s.rays).unsqueeze(-1);
    pixels.index_add_(1, s.low, (value * s.rest).flatten(1));
    pixels.index_add_(1, s.high, (value * s.fraction).flatten(1));
  });
  return pixels.view({slices, grid.rows + 2, grid.columns + 2})
      .narrow(1, 1, grid.rows)
      .narrow(2, 1, grid.columns)
      .contiguous();
}

}  // namespace triptych
