// SPDX-License-Identifier: Apache-2.0
// Writes an image with FACTOR voxels along every axis for each voxel, interpolated linearly, as
// uint8 over its own range of grey values. The field of view, and so positions in mm, stay.
//
//   enlarge_image IMAGE OUTPUT FACTOR
//
// The result is made and written in slabs: for .nii it is never in memory as a whole.
#include "framework/core/error.h"
#include "framework/data/finer_grid.h"
#include "framework/registration/warped_image.h"

#include <cstdio>
#include <cstdlib>

#include <ATen/ATen.h>

namespace {

using namespace triptych;

void enlarge(const std::string& file, const std::string& output, std::int64_t factor) {
  Volume image = read_volume(file);
  const at::Tensor values = image.data.to(at::kFloat);
  const at::Tensor low = values.min();
  image.data = ((values - low) * (255.0 / (values.max() - low))).round().to(at::kByte);
  const Geometry grid = finer_grid(image.geometry, {factor, factor, factor});
  write_volume(output, warped_image(source_of(image), AffineMap{}, grid));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t factor = argc == 4 ? std::atoll(argv[3]) : 0;
  if (factor < 1) {
    std::fprintf(stderr, "expected IMAGE OUTPUT FACTOR, see the head of enlarge_image.cc\n");
    return 2;
  }
  try {
    enlarge(argv[1], argv[2], factor);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
