// SPDX-License-Identifier: Apache-2.0
// Projects and reconstructs raw float32 slices for compare_skimage.py, in scikit-image's geometry
// (axis at edge / 2, even angles over 180 degrees, unit pixels), and prints
// "forward fbp forward fbp" of each round: seconds on the clock, then processor seconds of all
// threads.
//
//   project_slices SLICES.raw EDGE ANGLES THREADS ROUNDS PROJECTIONS.raw IMAGE.raw
#include "framework/core/nn.h"
#include "framework/core/parallel.h"
#include "framework/core/torch_compat.h"
#include "framework/ops/filtered_back_projection.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numbers>

namespace {

using triptych::ScanGeometry;
using triptych::SliceGrid;

at::Tensor read_slices(const std::string& path, std::int64_t edge) {
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  at::Tensor slices = at::empty({bytes / 4 / edge / edge, edge, edge});
  std::ifstream(path, std::ios::binary).read(static_cast<char*>(slices.data_ptr()), bytes);
  return slices;
}

void write_values(const std::string& path, const at::Tensor& values) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(values.data_ptr()),
             static_cast<std::streamsize>(values.nbytes()));
}

struct Duration {
  double wall, processor;
};

template <class Operation>
Duration duration_of(Operation operation) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  operation();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr, "expected 7 arguments, see the head of project_slices.cc\n");
    return 2;
  }
  const std::int64_t edge = std::atoll(argv[2]), angles = std::atoll(argv[3]);
  triptych::set_num_threads(std::atoi(argv[4]));
  triptych::set_torch_threads(std::atoi(argv[4]));
  const at::NoGradGuard no_grad;
  const at::Tensor slices = read_slices(argv[1], edge);
  ScanGeometry scan;
  for (std::int64_t i = 0; i < angles; ++i) {
    scan.angles_rad.push_back(std::numbers::pi * static_cast<double>(i) /
                              static_cast<double>(angles));
  }
  scan.centre_column = static_cast<double>(edge / 2);
  SliceGrid grid = SliceGrid::centred(edge, edge);
  grid.centre_row = grid.centre_column = static_cast<double>(edge / 2);
  at::Tensor projections, image;
  for (int round = 0; round < std::atoi(argv[5]); ++round) {
    const Duration forward =
        duration_of([&] { projections = triptych::project(slices, scan, edge, grid); });
    const Duration back = duration_of([&] { image = triptych::fbp(projections, scan, grid); });
    std::printf(
        "%.6f %.6f %.6f %.6f\n", forward.wall, back.wall, forward.processor, back.processor);
  }
  write_values(argv[6], projections);
  write_values(argv[7], image);
  return 0;
}
