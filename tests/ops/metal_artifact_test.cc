// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/metal_artifact.h"

#include "framework/core/parallel.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/x_ray.h"

#include "tests/ops/ellipse_phantom.h"
#include "tests/support/tensor_matchers.h"

#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace triptych {
namespace {

using Beam = ScanGeometry::Beam;
using testing::error_message;
using testing::near;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::Tensor row(const std::vector<double>& values) {
  return at::tensor(values, at::kFloat).view({1, 1, -1});
}
at::Tensor trace_row(const std::vector<int>& values) {
  return at::tensor(values, at::kInt).to(at::kBool).view({1, 1, -1});
}

/// One view along the columns of a slice with one row of pixels of 1 cm: the projection of a slice
/// is the slice.
ScanGeometry one_view(std::int64_t columns) {
  ScanGeometry scan;
  scan.angles_rad = {0.0};
  scan.column_spacing_mm = 10.0;
  scan.centre_column = 0.5 * static_cast<double>(columns - 1);
  return scan;
}
at::Tensor nmar_of_row(const at::Tensor& projections,
                       const at::Tensor& trace,
                       const at::Tensor& prior) {
  const std::int64_t columns = projections.size(-1);
  return nmar(projections, trace, prior, one_view(columns), SliceGrid::centred(1, columns, 10.0));
}

TEST(MetalTrace, IsTheShadowOfTheMask) {
  ScanGeometry scan = one_view(7);
  scan.angles_rad = {0.0, std::numbers::pi / 2.0};
  const SliceGrid grid = SliceGrid::centred(7, 7, 10.0);
  at::Tensor metal = at::zeros({2, 7, 7}, at::kByte);
  metal[1][2][6] = 1;  // x = 3, y = -1: columns 3 + x and 3 - y
  at::Tensor expected = at::zeros({2, 2, 7}, at::kBool);
  expected[1][0][6] = true;
  expected[1][1][4] = true;
  EXPECT_TRUE(at::equal(metal_trace(metal, scan, 7, grid), expected));
}

TEST(MetalTrace, RefusesAMaskOfAnotherSize) {
  EXPECT_EQ(error_message("shape",
                          [] {
                            metal_trace(at::zeros({1, 7, 6}, at::kBool),
                                        one_view(7),
                                        7,
                                        SliceGrid::centred(7, 7, 10.0));
                          }),
            "metal mask: expected shape [..., D, 7, 7], got [1, 7, 6]");
}

TEST(InterpolateTrace, DrawsLinesBetweenTheNearestPixelsOutside) {
  const auto expect = [](const std::vector<double>& values,
                         const std::vector<int>& trace,
                         const std::vector<double>& expected) {
    EXPECT_TRUE(near(interpolate_trace(row(values), trace_row(trace)), row(expected), 1e-6));
  };
  expect({1, kInfinity, kInfinity, 4, 7}, {0, 1, 1, 0, 0}, {1, 2, 3, 4, 7});
  expect({1, 9, 3, 9, 0}, {0, 1, 0, 1, 0}, {1, 2, 3, 1.5, 0});
  expect({9, 9, 5, 6, kInfinity}, {1, 1, 0, 0, 1}, {5, 5, 5, 6, 6});
  expect({2, 9, 9, 9, 9}, {0, 1, 1, 1, 1}, {2, 2, 2, 2, 2});
  expect({9, 8, 7, 6, 5}, {1, 1, 1, 1, 1}, {9, 8, 7, 6, 5});
  expect({9, 8, 7, 6, 5}, {0, 0, 0, 0, 0}, {9, 8, 7, 6, 5});
}

TEST(InterpolateTrace, TreatsEveryRowAlone) {
  const at::Tensor projections = at::rand({2, 3, 4, 11}, at::kDouble);
  const at::Tensor trace = at::rand({2, 3, 4, 11}) < 0.4;
  const at::Tensor whole = interpolate_trace(projections, trace);
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      for (std::int64_t k = 0; k < 4; ++k) {
        const at::Tensor alone = interpolate_trace(projections[i][j][k].view({1, 1, 11}),
                                                   trace[i][j][k].view({1, 1, 11}));
        EXPECT_TRUE(at::equal(whole[i][j][k], alone.view(11)));
      }
    }
  }
}

TEST(InterpolateTrace, RefusesATraceOfAnotherSizeOrType) {
  const at::Tensor projections = at::zeros({1, 4, 8});
  EXPECT_EQ(
      error_message("shape",
                    [&] {
                      interpolate_trace(projections, at::zeros({1, 4, 7}, at::kBool));
                    }),
      "metal trace: expected Bool of the projections' shape [1, 4, 8], got Bool of [1, 4, 7]");
  EXPECT_EQ(error_message("shape", [&] { interpolate_trace(projections, projections); }),
            "metal trace: expected Bool of the projections' shape [1, 4, 8], got Float of "
            "[1, 4, 8]");
  EXPECT_EQ(error_message("shape",
                          [] {
                            interpolate_trace(at::zeros({4, 8}), at::zeros({4, 8}, at::kBool));
                          }),
            "projections: expected floating-point values of shape [..., D, A, W], got Float of "
            "[4, 8]");
}

TEST(Nmar, InterpolatesTheRatioToThePrior) {
  const at::Tensor result =
      nmar_of_row(row({2, kInfinity, 9, 6, 1.5}), trace_row({0, 1, 1, 0, 0}), row({1, 2, 4, 2, 1}));
  const double before = 2.02 / 1.02, after = 6.02 / 2.02;
  EXPECT_TRUE(near(result,
                   row({2,
                        (2.0 / 3.0 * before + 1.0 / 3.0 * after) * 2.02 - 0.02,
                        (1.0 / 3.0 * before + 2.0 / 3.0 * after) * 4.02 - 0.02,
                        6,
                        1.5}),
                   1e-5));
}

TEST(Nmar, TakesThePriorWhereNothingButAirIsBeside) {
  EXPECT_TRUE(near(
      nmar_of_row(row({0, 9, 0}), trace_row({0, 1, 0}), row({0, 2, 0})), row({0, 2, 0}), 1e-5));
}

TEST(Nmar, RestoresWhatThePriorKnows) {
  const SliceGrid grid = SliceGrid::centred(40, 40, 2.5);
  for (const Beam beam : {Beam::kParallel, Beam::kFanFlat, Beam::kFanCurved}) {
    SCOPED_TRACE(testing::beam_name(beam));
    const ScanGeometry scan = testing::covering_scan(beam, 30, 50);
    const at::Tensor prior = testing::ellipse_image(grid).to(at::kFloat).unsqueeze(0);
    at::Tensor metal = at::zeros({1, 40, 40}, at::kBool);
    metal.slice(1, 15, 20).slice(2, 12, 16).fill_(true);
    const at::Tensor clean = project(prior, scan, 50, grid);
    const at::Tensor trace = metal_trace(metal, scan, 50, grid);
    const at::Tensor corrupted = clean.masked_fill(trace, 50.0);
    EXPECT_TRUE(near(nmar(corrupted, trace, prior, scan, grid), clean, 1e-4));
    EXPECT_GT((interpolate_trace(corrupted, trace) - clean).abs().max().item<double>(), 0.05);
  }
}

TEST(Nmar, GradientsAreThoseOfDifferences) {
  const SliceGrid grid = SliceGrid::centred(6, 6, 2.0);
  ScanGeometry scan = one_view(9);
  scan.column_spacing_mm = 2.0;
  scan.angles_rad = {0.1, 0.9, 2.0};
  const at::Tensor projections = at::rand({1, 3, 9}, at::kDouble) + 0.5;
  const at::Tensor prior = at::rand({1, 6, 6}, at::kDouble) + 0.2;
  const at::Tensor trace = (at::arange(9, at::kLong) / 2 == 2).expand({1, 3, 9});
  const at::Tensor weight = at::rand({1, 3, 9}, at::kDouble);
  const auto loss = [&](const at::Tensor& p, const at::Tensor& x) {
    return (nmar(p, trace, x, scan, grid) * weight).sum();
  };
  const at::Tensor p = projections.clone().requires_grad_();
  const at::Tensor x = prior.clone().requires_grad_();
  const auto gradients = torch::autograd::grad({loss(p, x)}, {p, x});
  const at::Tensor along_p = at::rand_like(projections), along_x = at::rand_like(prior);
  constexpr double kStep = 1e-5;
  const auto slope = [&](double of_p, double of_x) {
    return ((loss(projections + of_p * along_p, prior + of_x * along_x) -
             loss(projections - of_p * along_p, prior - of_x * along_x)) /
            (2.0 * kStep))
        .item<double>();
  };
  EXPECT_NEAR(testing::inner_product(gradients[0], along_p), slope(kStep, 0.0), 1e-7);
  EXPECT_NEAR(testing::inner_product(gradients[1], along_x), slope(0.0, kStep), 1e-7);
}

TEST(Nmar, RefusesAPriorThatDoesNotFit) {
  EXPECT_EQ(error_message("shape",
                          [] {
                            nmar_of_row(row({0, 9, 0}), trace_row({0, 1, 0}), at::zeros({2, 1, 3}));
                          }),
            "prior image: expected slices for projections [1, 1, 3], got [2, 1, 3]");
}

TEST(NmarPrior, KeepsBoneAndFlattensTheRest) {
  at::Tensor image = at::zeros({1, 30, 30}) + 0.02;
  image.slice(2, 10, 30).fill_(0.21);
  image.slice(2, 20, 30).fill_(0.5);
  image[0][15][15] = 0.35;  // noise
  image[0][15][25] = 0.60;
  const at::Tensor prior = nmar_prior(image, PriorTissues::of_water(0.2));
  at::Tensor expected = at::zeros({1, 30, 30});
  expected.slice(2, 10, 30).fill_(0.2);
  expected.slice(2, 20, 30).fill_(0.5);
  expected[0][15][25] = 0.60;
  // Within two pixels of an edge the smoothed image decides.
  for (const auto& [from, to] : {std::pair{0, 8}, {12, 18}, {22, 30}})
    EXPECT_TRUE(near(prior.slice(2, from, to), expected.slice(2, from, to), 1e-6));
  const PriorTissues unsmoothed{0.2, 0.1, 0.25, 0.0};
  expected[0][15][15] = 0.35;
  EXPECT_TRUE(near(nmar_prior(image, unsmoothed), expected, 1e-6));
}

TEST(NmarPrior, RefusesThresholdsOutOfOrder) {
  EXPECT_EQ(error_message("numeric",
                          [] {
                            nmar_prior(at::zeros({1, 4, 4}), {0.2, 0.3, 0.25});
                          }),
            "prior image: expected 0 <= air_below <= water <= bone_above in 1/cm and smoothing >= "
            "0, got 0.3, 0.2, 0.25 and 1");
}

/// A disc of water with four bones and two pieces of iron between them, seen by a tube of 120 kV.
class MetalPhantom : public ::testing::Test {
 protected:
  static constexpr std::int64_t kEdge = 128, kColumns = 185;

  MetalPhantom() {
    scan_.angles_rad = testing::even_angles(180, std::numbers::pi);
    scan_.column_spacing_mm = 1.5;
    scan_.centre_column = 0.5 * (kColumns - 1);
    bone_ = disc(40, 40, 9) + disc(44, 84, 8) + disc(86, 42, 7) + disc(88, 88, 9);
    iron_ = disc(62, 36, 2.5) + disc(66, 92, 2.5);
    clean_ = measured(at::zeros_like(iron_));
    corrupted_ = measured(iron_);
  }

  static at::Tensor disc(double y, double x, double radius) {
    const at::Tensor axis = at::arange(kEdge, at::kFloat);
    const at::Tensor distance =
        ((axis.view({-1, 1}) - y).square() + (axis.view({1, -1}) - x).square()).sqrt();
    return (radius - distance + 0.5).clamp(0.0, 1.0).unsqueeze(0);
  }

  at::Tensor measured(const at::Tensor& iron) const {
    const auto length_cm = [&](const at::Tensor& share) {
      return project(share, scan_, kColumns, grid_);
    };
    const at::Tensor water = disc(63.5, 63.5, 56) * (1.0 - bone_) * (1.0 - iron);
    const std::vector<MaterialPath> paths = {{XRayMaterial::kWater, length_cm(water)},
                                             {XRayMaterial::kBone, length_cm(bone_)},
                                             {XRayMaterial::kIron, length_cm(iron)}};
    return corrected_for_water(polychromatic_line_integrals(paths, spectrum_), spectrum_, 30.0);
  }

  struct Reduced {
    at::Tensor li, nmar;
  };
  Reduced reduced() const {
    const at::Tensor trace = metal_trace(iron_ > 0.0, scan_, kColumns, grid_);
    const at::Tensor li = fbp(interpolate_trace(corrupted_, trace), scan_, grid_);
    const double water = mean_attenuation_per_cm(XRayMaterial::kWater, spectrum_);
    const at::Tensor prior = nmar_prior(li, PriorTissues::of_water(water));
    return {li, fbp(nmar(corrupted_, trace, prior, scan_, grid_), scan_, grid_)};
  }

  double error_of(const at::Tensor& image) const {
    const at::Tensor difference = image - fbp(clean_, scan_, grid_);
    return difference.masked_select(iron_ == 0.0).square().mean().sqrt().item<double>();
  }

  SliceGrid grid_ = SliceGrid::centred(kEdge, kEdge, 1.5);
  ScanGeometry scan_;
  XRaySpectrum spectrum_ = tube_spectrum(120.0, 2.5);
  at::Tensor bone_, iron_, clean_, corrupted_;
};

TEST_F(MetalPhantom, NmarBeatsInterpolationWhichBeatsNothing) {
  const double none = error_of(fbp(corrupted_, scan_, grid_));
  const Reduced images = reduced();
  const double li = error_of(images.li);
  const double nmar = error_of(images.nmar);
  EXPECT_LT(li, 0.5 * none);
  EXPECT_LT(nmar, 0.5 * li);
}

TEST_F(MetalPhantom, GivesTheSameForAnyNumberOfThreads) {
  const int threads = num_threads();
  set_num_threads(1);
  const at::Tensor one = reduced().nmar;
  set_num_threads(4);
  const at::Tensor four = reduced().nmar;
  set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, four));
}

}  // namespace
}  // namespace triptych
