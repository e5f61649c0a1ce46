// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/batch.h"
#include "framework/ops/projector.h"

#include <numbers>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::testing {

/// A disc of 0.2 /cm with a denser spot, and where asked two pieces of metal: [1, 1, 1, 32, 32] of
/// pixels of 1 mm.
inline at::Tensor disc_with_metal(bool metal) {
  const at::Tensor axis = at::arange(32, at::kFloat) - 15.5;
  const auto within = [&](double y, double x, double radius) {
    return ((axis.view({-1, 1}) - y).square() + (axis.view({1, -1}) - x).square()).sqrt() < radius;
  };
  at::Tensor image = within(0, 0, 12).to(at::kFloat) * 0.2 + within(-4, 3, 3).to(at::kFloat) * 0.1;
  if (metal) image = at::where(within(0, -6, 1.5) | within(2, 6, 1.5), at::full({}, 4.0F), image);
  return image.view({1, 1, 1, 32, 32});
}

struct ScanOf {
  std::int64_t views = 30;
  double first_deg = 0.0;
  bool metal = false;
};

/// Parallel scans of disc_with_metal, one an item; with metal also its mask in the role `metal`.
inline Batch reconstruction_batch(const std::vector<ScanOf>& scans) {
  Batch batch;
  BatchEntry projections, mask;
  projections.kind = EntryKind::kProjections;
  mask.kind = EntryKind::kLabel;
  std::vector<at::Tensor> measured, masks;
  for (const ScanOf& of : scans) {
    ScanGeometry scan;
    scan.centre_column = 23.0;
    for (std::int64_t view = 0; view < of.views; ++view) {
      const double part = static_cast<double>(view) / static_cast<double>(of.views);
      scan.angles_rad.push_back(std::numbers::pi * (part + of.first_deg / 180.0));
    }
    Geometry geometry;
    geometry.shape = {1, 32, 32};
    const at::Tensor image = disc_with_metal(of.metal);
    measured.push_back(project(image, scan, 47, slice_grid_of(geometry)));
    masks.push_back((image > 1.0).to(at::kLong));
    projections.items.push_back(static_cast<std::int64_t>(batch.ids.size()));
    projections.geometry.push_back(geometry);
    projections.scans.push_back(std::make_shared<const ScanGeometry>(scan));
    batch.ids.push_back("item");
  }
  projections.data = at::cat(measured);
  mask.data = at::cat(masks);
  mask.items = projections.items;
  mask.geometry = projections.geometry;
  batch.entries["projections"] = projections;
  if (scans.front().metal) batch.entries["metal"] = mask;
  return batch;
}

}  // namespace triptych::testing
